//! `RuleSet` → `SelftestReport`: every example and counter-example, run here and now.

use super::{
    decode::View,
    matcher::{Match, Matcher},
    rule::{Rule, expand},
};
use posture::{Severity, Word};

/// What the rules' own vectors said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SelftestReport {
    /// Rules with vectors.
    pub rules: usize,
    /// Examples and counter-examples run.
    pub vectors: usize,
    /// Those that did not go as they should.
    pub failures: Vec<Failure>,
}

/// A vector that did not go as it should. It names the vector, not its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The rule.
    pub rule: Word,
    /// An example went unseen, or a counter-example was found.
    pub kind: FailureKind,
    /// Which of the rule's vectors of that kind, from 0.
    pub index: usize,
}

/// How a vector failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    /// The rule found nothing in its example.
    ExampleUnseen,
    /// The rule, or another of its family above `info`, found something in a counter-example. An operator's rules and
    /// the embedded ones do not answer for each other.
    CounterExampleFound,
}

impl SelftestReport {
    /// Whether every vector went as it should.
    pub fn passed(&self) -> bool {
        self.failures.is_empty()
    }
}

/// Runs every vector of the matcher's rules.
pub fn run(matcher: &Matcher) -> SelftestReport {
    let mut report = SelftestReport { rules: 0, vectors: 0, failures: Vec::new() };
    for family in matcher.rules().rules().chunk_by(|a, b| a.family() == b.family()) {
        // Traffic may never want what the vectors make the rules remember: it goes with this.
        let aside = matcher.aside();
        for rule in family {
            run_one(&aside, rule, &mut report);
        }
    }
    report
}

fn run_one(matcher: &Matcher, rule: &Rule, report: &mut SelftestReport) {
    report.rules += 1;
    let kinds =
        [(rule.examples(), FailureKind::ExampleUnseen), (rule.counter_examples(), FailureKind::CounterExampleFound)];
    for (vectors, kind) in kinds {
        for (index, template) in vectors.iter().enumerate() {
            report.vectors += 1;
            let wanted = kind == FailureKind::ExampleUnseen;
            if found(matcher, rule, &expand(template), wanted) != wanted {
                report.failures.push(Failure { rule: rule.id().clone(), kind, index });
            }
        }
    }
}

/// Whether the rule finds something in `text`; for a counter-example, whether its family does.
fn found(matcher: &Matcher, rule: &Rule, text: &str, itself: bool) -> bool {
    let mut found = false;
    let view = View::plain(text.as_bytes());
    matcher.find(rule.family().direction(), &view, &mut |m: Match<'_>| {
        found |= m.rule.id() == rule.id();
        let akin = m.rule.family() == rule.family() && m.rule.file().is_some() == rule.file().is_some();
        found |= !itself && akin && m.severity > Severity::Info;
    });
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::detect::rule::RuleSet;

    #[test]
    fn every_example_is_found_and_no_counter_example_is() {
        let report = run(&Matcher::new(RuleSet::embedded()));
        let shown: Vec<_> = report.failures.iter().map(|f| format!("{} {:?} {}", f.rule, f.kind, f.index)).collect();
        assert!(report.passed(), "{}", shown.join("\n"));
    }

    #[test]
    fn every_rule_has_counter_examples_in_its_family() {
        let rules = RuleSet::embedded();
        for family in
            posture::Family::ALL.iter().filter(|f| !matches!(f, posture::Family::KnownSecret | posture::Family::Canary))
        {
            let own = || rules.rules().iter().filter(move |r| r.family() == *family);
            assert!(own().count() > 0, "{family}");
            assert!(own().any(|r| !r.counter_examples().is_empty()), "{family}");
        }
    }
}
