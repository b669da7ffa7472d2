//! `patterns list|show|selftest`: the rules in force, and whether they still find what they should.

use super::place::{Json, Place};
use super::{Answer, NO, Trouble, YES, show, trouble};
use crate::flow::detect::{
    Detector, Limits,
    rule::{Rule, RuleSet},
    selftest::FailureKind,
};
use posture::{Direction, Family, PatternSet, Severity};
use serde::Serialize;
use std::sync::Arc;

/// List, show or prove the rules
#[derive(clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand)]
enum What {
    /// Every rule, and the hash of them all
    List(Json),
    /// One rule in full
    Show(ShowArgs),
    /// Runs every rule over its own examples and counter-examples
    Selftest(Json),
}

#[derive(clap::Args)]
struct ShowArgs {
    /// Its identifier, such as `ai_api_key.openai`
    rule: String,
    #[command(flatten)]
    json: Json,
}

#[derive(Serialize)]
struct List<'a> {
    schema_version: &'static str,
    pattern_set: PatternSet,
    rules: Vec<Row<'a>>,
    vendors: Vec<&'a str>,
}

#[derive(Serialize)]
struct Row<'a> {
    rule: &'a str,
    pattern: Family,
    direction: Direction,
    severity: Severity,
    vendors: &'a [String],
    /// The operator's file it stands in; null when it is built in.
    file: Option<&'a str>,
}

#[derive(Serialize)]
struct Full<'a> {
    schema_version: &'static str,
    #[serde(flatten)]
    row: Row<'a>,
    find: crate::flow::detect::rule::Find,
    keywords: &'a [String],
    regex: &'a str,
    snippet: String,
    examples: usize,
    counter_examples: usize,
}

pub(super) fn run(args: &Args, place: &Place) -> Answer {
    let rules = place.config_if_any()?.rules();
    match &args.what {
        What::List(Json { json }) => list(&rules, *json),
        What::Show(ShowArgs { rule, json }) => {
            let found = rules.rules().iter().find(|r| r.id().as_str() == rule);
            let none = || Trouble::no("no rule has this identifier").hint("`patterns list` names them");
            show_one(found.ok_or_else(none)?, json.json)
        }
        What::Selftest(Json { json }) => selftest(rules, *json),
    }
}

fn row(rule: &Rule) -> Row<'_> {
    let family = rule.family();
    Row {
        rule: rule.id().as_str(),
        pattern: family,
        direction: family.direction(),
        severity: rule.severity(),
        vendors: rule.vendors(),
        file: rule.file(),
    }
}

fn list(set: &RuleSet, json: bool) -> Answer {
    let pattern_set = set.pattern_set();
    if json {
        show::json(&List {
            schema_version: "clawsec-traffic-patterns/v1",
            pattern_set,
            rules: set.rules().iter().map(row).collect(),
            vendors: set.vendors().iter().map(|v| v.name.as_str()).collect(),
        })?;
        return Ok(YES);
    }
    let mut table = show::table(["rule", "severity", "direction", "from", "vendors"]);
    for rule in set.rules().iter().map(row) {
        let severity = show::severity(rule.severity);
        let from = rule.file.map_or_else(|| "built in".to_owned(), show::plain);
        table.add_row([rule.rule.to_owned(), severity, rule.direction.to_string(), from, rule.vendors.join(" ")]);
    }
    show::line(table.trim_fmt())?;
    show::note(format_args!(
        "{} rules, version {}, sha256 {}",
        pattern_set.rules, pattern_set.version, pattern_set.sha256
    ));
    Ok(YES)
}

fn show_one(rule: &Rule, json: bool) -> Answer {
    let full = Full {
        schema_version: "clawsec-traffic-pattern/v1",
        row: row(rule),
        find: rule.find(),
        keywords: rule.keywords(),
        regex: rule.regex().as_str(),
        snippet: rule.snippet(),
        examples: rule.examples().len(),
        counter_examples: rule.counter_examples().len(),
    };
    if json {
        show::json(&full)?;
        return Ok(YES);
    }
    let fields = serde_json::to_value(&full).map_err(std::io::Error::from)?;
    for (name, value) in fields.as_object().into_iter().flatten().filter(|(name, _)| *name != "schema_version") {
        let text = match value {
            serde_json::Value::Null => "built in".to_owned(),
            value => value.as_str().map_or_else(|| value.to_string(), str::to_owned),
        };
        show::line(format_args!("{name:<16}  {}", show::plain(&text)))?;
    }
    Ok(YES)
}

#[derive(Serialize)]
struct Proof {
    schema_version: &'static str,
    ok: bool,
    rules: usize,
    vectors: usize,
    failures: Vec<Failed>,
}

#[derive(Serialize)]
struct Failed {
    rule: String,
    failure: &'static str,
    index: usize,
}

/// The vectors a rule fails are named by their place in the rule's file: their text may be a secret's.
fn tell(proof: &Proof) -> Result<(), Trouble> {
    for Failed { rule, failure, index } in &proof.failures {
        show::line(format_args!("{rule}: {failure}, number {index}"))?;
    }
    let word = if proof.ok { show::paint("passed", "32") } else { show::paint("failed", "31") };
    show::line(format_args!("{word}: {} vectors of {} rules", proof.vectors, proof.rules))
}

fn selftest(rules: Arc<RuleSet>, json: bool) -> Answer {
    let report = Detector::with_rules(rules, Limits::default(), &[], None).selftest();
    let failures = report.failures.iter().map(|f| Failed {
        rule: f.rule.to_string(),
        failure: match f.kind {
            FailureKind::ExampleUnseen => "example_unseen",
            FailureKind::CounterExampleFound => "counter_example_found",
        },
        index: f.index,
    });
    let schema_version = "clawsec-traffic-selftest/v1";
    let ok = report.passed();
    let proof =
        Proof { schema_version, ok, rules: report.rules, vectors: report.vectors, failures: failures.collect() };
    let told = if json { show::json(&proof) } else { tell(&proof) };
    trouble::whoever_listens(told, if ok { YES } else { NO })
}
