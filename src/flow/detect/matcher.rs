//! View → matches: one cheap gate, then the exact rule.

use super::{
    decode::View,
    rule::{Rule, RuleSet},
};
use memchr::memmem;
use posture::{Direction, Encoding, Severity};
use std::sync::Arc;

/// A match.
pub struct Match<'m> {
    /// The rule.
    pub rule: &'m Rule,
    /// What it matched.
    pub matched: &'m [u8],
    /// A normalisation that was needed.
    pub extra: Option<Encoding>,
    /// How severe.
    pub severity: Severity,
}

/// The rules, compiled.
pub struct Matcher(Arc<RuleSet>);

impl Matcher {
    /// Compiles.
    pub fn new(rules: Arc<RuleSet>) -> Self {
        Self(rules)
    }

    /// Finds.
    pub fn find(&self, direction: Direction, view: &View<'_>, on: &mut dyn FnMut(Match<'_>)) {
        for rule in self.0.rules.iter().filter(|r| r.direction == direction) {
            if let Some(at) = memmem::find(view.text, rule.literal.as_bytes()) {
                let matched = &view.text[at..at + rule.literal.len()];
                on(Match { rule, matched, extra: None, severity: Severity::High });
            }
        }
    }
}
