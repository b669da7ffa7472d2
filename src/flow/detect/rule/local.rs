//! An operator's rule files beside the embedded rules: the same schema, closer bounds, and names of their own.

use super::{
    Rule, RuleError, RuleSet, Source, data,
    error::error,
    read::{Whose, compile, parse},
    set::hash,
};
use crate::flow::detect::{
    matcher::Matcher,
    selftest::{self, FailureKind},
};
use data::{RuleData, RuleFile, Vendor};
use posture::Family;
use std::{collections::BTreeSet, sync::Arc};

/// What one regex of an operator may compile to.
pub(super) const MAX_COMPILED_BYTES: usize = 256 << 10;
/// Rules of all the operator's files together.
const MAX_RULES: usize = 128;
const MAX_VENDORS: usize = 64;
/// Texts in one list of a rule or vendor.
const MAX_TEXTS: usize = 64;
/// The longest keyword, host or field name.
const MAX_NAME_BYTES: usize = 64;
const MAX_REGEX_BYTES: usize = 4 << 10;
const MAX_EXAMPLE_BYTES: usize = 4 << 10;
const MAX_SNIPPET_BYTES: usize = 100;

/// `base` and the rules of `files`.
pub(super) fn join(base: &RuleSet, files: &[Source<'_>]) -> Result<RuleSet, RuleError> {
    let mut vendors = base.vendors.clone();
    let mut parsed = Vec::with_capacity(files.len());
    for source in files {
        let file: RuleFile = parse(*source)?;
        for vendor in &file.vendor {
            let wrong = |field, problem: &str| error(*source, vendor.span(), None, Some(field), problem);
            let vendor = vendor.get_ref();
            check_vendor(vendor, &base.vendors).map_err(|(field, problem)| wrong(field, problem))?;
            if vendors.iter().any(|v| v.name == vendor.name) {
                return Err(wrong("name", "a vendor that there is already"));
            }
            if vendors.len() - base.vendors.len() == MAX_VENDORS {
                return Err(wrong("vendor", &format!("more than {MAX_VENDORS} in all")));
            }
            vendors.push(vendor.clone());
        }
        parsed.push(file);
    }

    let names: BTreeSet<&str> = vendors.iter().map(|v| v.name.as_str()).collect();
    let mut rules: Vec<Rule> = Vec::new();
    for (source, file) in files.iter().zip(&parsed) {
        if matches!(file.family, Family::KnownSecret | Family::Canary) {
            let problem = "is of values, not of patterns: no rule can be of it";
            return Err(error(*source, 0..0, None, Some("family"), problem));
        }
        let whose = Whose::Local(source.name.into());
        for data in &file.rule {
            let id = &data.get_ref().id;
            let wrong = |field, problem: String| error(*source, data.span(), Some(id), field, problem);
            check_bounds(data.get_ref()).map_err(|(field, problem)| wrong(Some(field), problem))?;
            let rule = compile(*source, file, data, &names, &whose)?;
            if rules.iter().any(|r| r.id == rule.id) {
                return Err(wrong(Some("id"), "stands twice".into()));
            }
            if rules.len() == MAX_RULES {
                return Err(wrong(None, format!("more than {MAX_RULES} rules in all")));
            }
            rules.push(rule);
        }
    }
    let (version, sha256) = (format!("{}+local", base.version), hash(&(&base.sha256, &parsed)));
    prove(RuleSet::of(version.clone(), rules.clone(), vendors.clone(), sha256.clone()), files, &parsed)?;
    let rules = base.rules.iter().cloned().chain(rules).collect();
    Ok(RuleSet::of(version, rules, vendors, sha256))
}

/// What keeps an operator's rule from being the one that stalls the scanners. The loader checks the rest.
fn check_bounds(data: &RuleData) -> Result<(), (&'static str, String)> {
    let wrong = |field, problem: String| Err((field, problem));
    let is_name = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    if data.id.is_empty() || !data.id.bytes().all(is_name) {
        return wrong("id", "expected lower-case letters, digits and `_`".into());
    }
    let lists = [
        ("keywords", &data.keywords, MAX_NAME_BYTES),
        ("needs", &data.needs, MAX_NAME_BYTES),
        ("vendors", &data.vendors, MAX_NAME_BYTES),
        ("targets", &data.targets, MAX_EXAMPLE_BYTES),
        ("examples", &data.examples, MAX_EXAMPLE_BYTES),
        ("counter_examples", &data.counter_examples, MAX_EXAMPLE_BYTES),
    ];
    for (field, texts, most) in lists {
        if texts.len() > MAX_TEXTS {
            return wrong(field, format!("more than {MAX_TEXTS}"));
        }
        if let Some(n) = texts.iter().position(|t| t.len() > most) {
            return wrong(field, format!("number {} is longer than {most} bytes", n + 1));
        }
    }
    if data.counter_examples.is_empty() {
        return wrong("counter_examples", "none given: nothing would prove that it stays quiet".into());
    }
    for (field, regex) in [("regex", Some(&data.regex)), ("except", data.except.as_ref())] {
        if regex.is_some_and(|r| r.len() > MAX_REGEX_BYTES) {
            return wrong(field, format!("longer than {MAX_REGEX_BYTES} bytes"));
        }
    }
    let shown = |text: &String| text.len() <= MAX_SNIPPET_BYTES && !text.contains(char::is_control);
    if !data.snippet.as_ref().is_none_or(shown) {
        return wrong("snippet", format!("expected one line of at most {MAX_SNIPPET_BYTES} bytes"));
    }
    Ok(())
}

/// A vendor of the operator's own: exact hosts alone, as a wildcard may stand for someone else's.
fn check_vendor(vendor: &Vendor, embedded: &[Vendor]) -> Result<(), (&'static str, &'static str)> {
    let Vendor { name, hosts, headers, query, body, path, variables } = vendor;
    let wrong = |field, problem| Err((field, problem));
    let is_word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    if name.is_empty() || name.len() > MAX_NAME_BYTES || !name.bytes().all(is_word) {
        return wrong("name", "expected lower-case letters, digits and `_`");
    }
    let is_host = |host: &String| {
        let of_label = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
        host.len() <= 253 && host.split('.').all(|l| (1..=63).contains(&l.len()) && l.bytes().all(of_label))
    };
    if hosts.is_empty() || hosts.len() > MAX_TEXTS || !hosts.iter().all(is_host) {
        return wrong("hosts", "expected exact host names in lower case, without ports or wildcards");
    }
    let fields = [headers, query, body];
    let is_field = |name: &String| {
        (1..=MAX_NAME_BYTES).contains(&name.len())
            && name.bytes().all(|b| b.is_ascii_graphic() && !b.is_ascii_uppercase())
    };
    for (field, names) in ["headers", "query", "body"].into_iter().zip(fields) {
        if names.len() > MAX_TEXTS || !names.iter().all(is_field) {
            return wrong(field, "expected names in lower case");
        }
    }
    if !path && fields.iter().all(|names| names.is_empty()) {
        return wrong("vendor", "says nowhere where its key stands: give headers, query, body or path");
    }
    let is_words = |words: &String| (1..=MAX_NAME_BYTES).contains(&words.len()) && words.bytes().all(is_word);
    if variables.len() > MAX_TEXTS || !variables.iter().all(is_words) {
        return wrong("variables", "expected words in lower case, joined by `_`");
    }
    // Else a variable that is an embedded vendor's could be claimed by naming more of it.
    let within = |words: &str, theirs: &str| format!("_{words}_").contains(&format!("_{theirs}_"));
    let taken = |words: &&String| embedded.iter().flat_map(|v| &v.variables).any(|theirs| within(words, theirs));
    if variables.iter().any(|words| taken(&words)) {
        return wrong("variables", "a word there is one of a vendor that is built in");
    }
    Ok(())
}

/// Every rule finds its examples and leaves its counter-examples alone.
fn prove(own: RuleSet, files: &[Source<'_>], parsed: &[RuleFile]) -> Result<(), RuleError> {
    let matcher = Matcher::new(Arc::new(own));
    let report = selftest::run(&matcher);
    let Some(failure) = report.failures.first() else { return Ok(()) };
    let rule = matcher.rules().rules().iter().find(|r| *r.id() == failure.rule);
    let (file, id) = rule.map_or(("", ""), |r| (r.file().unwrap_or_default(), r.data().id.as_str()));
    let (source, of) =
        files.iter().zip(parsed).find(|(source, _)| source.name == file).expect("every rule is of a file");
    let data = of.rule.iter().find(|data| data.get_ref().id == id).expect("every rule is of its file");
    let (field, what) = match failure.kind {
        FailureKind::ExampleUnseen => ("examples", "is not found by the rule"),
        FailureKind::CounterExampleFound => ("counter_examples", "is found, by it or another of its family"),
    };
    Err(error(*source, data.span(), Some(id), Some(field), format!("number {} {what}", failure.index + 1)))
}

#[cfg(test)]
mod tests;
