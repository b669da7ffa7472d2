//! What every scanner shares: the rules, the audiences, what is known and what was met before.

use super::{
    audience::{self, Audience},
    familiar::Familiar,
    known::{self, Known},
    matcher::Matcher,
    rule::RuleSet,
    selftest::{self, SelftestReport},
};
use memchr::memmem::Finder;
use posture::{PatternSet, Sha256Hex};
use std::sync::Arc;

/// The bounds of scanning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes held and looked at of one message: its first three quarters and its last quarter. An event stream is
    /// looked at as it passes, up to `max_decoded_bytes`.
    pub max_scan_bytes: usize,
    /// Decoded bytes produced of one message, in all.
    pub max_decoded_bytes: usize,
    /// Decoded bytes per encoded byte, beyond which a decoder stops.
    pub max_ratio: usize,
    /// Nested decodings followed.
    pub max_depth: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_scan_bytes: 8 << 20, max_decoded_bytes: 32 << 20, max_ratio: 100, max_depth: 5 }
    }
}

/// The compiled rules, the audiences and the bounds: made once, shared by every scanner.
pub struct Detector {
    pub(super) limits: Limits,
    pub(super) rules: Arc<RuleSet>,
    pub(super) matcher: Matcher,
    pub(super) audience: Audience,
    pub(super) known: Arc<Known>,
    /// What was found in parts of messages, by these rules and within these bounds.
    pub(super) familiar: Familiar,
    /// Our own proxy token: seeing it is worth knowing, and never a hit.
    pub(super) own_token: Option<Finder<'static>>,
}

impl Detector {
    /// A detector with the rules built in, the operator's own audiences, and the token that opens our proxy.
    pub fn new(limits: Limits, audience: &[audience::Entry], own_token: Option<&str>) -> Arc<Self> {
        Self::with_rules(RuleSet::embedded(), limits, audience, own_token)
    }

    /// The same with these rules.
    pub fn with_rules(
        rules: Arc<RuleSet>,
        limits: Limits,
        audience: &[audience::Entry],
        own_token: Option<&str>,
    ) -> Arc<Self> {
        Arc::new(Self {
            limits,
            matcher: Matcher::new(Arc::clone(&rules)),
            audience: Audience::new(Arc::clone(&rules), audience),
            known: Arc::default(),
            familiar: Familiar::default(),
            rules,
            own_token: own_token.filter(|t| !t.is_empty()).map(|t| Finder::new(t).into_owned()),
        })
    }

    /// One with these rules, bounds and audiences, that knows and remembers what this one does.
    pub fn succeeded_by(&self, rules: Arc<RuleSet>, limits: Limits, audience: &[audience::Entry]) -> Arc<Self> {
        Arc::new(Self {
            limits,
            matcher: Matcher::new(Arc::clone(&rules)),
            audience: self.audience.succeeded_by(Arc::clone(&rules), audience),
            known: Arc::clone(&self.known),
            familiar: Familiar::default(),
            rules,
            own_token: self.own_token.clone(),
        })
    }

    /// The bounds.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The rules.
    pub fn rules(&self) -> &RuleSet {
        &self.rules
    }

    /// The version and hash of the rules, as posture documents carry them.
    pub fn pattern_set(&self) -> PatternSet {
        self.rules.pattern_set()
    }

    /// The hash of the rules' examples and counter-examples.
    pub fn vectors_sha256(&self) -> &Sha256Hex {
        self.rules.vectors_sha256()
    }

    /// The values that are known: none, until someone says which.
    pub fn known(&self) -> &Arc<Known> {
        &self.known
    }

    /// The vendors to whom the value of a variable belongs.
    pub fn owners(&self, name: &str, value: &[u8]) -> Arc<[String]> {
        known::owners(&self.matcher, name, value)
    }

    /// Whether a host is a model vendor's, or one the operator trusts with a vendor's keys.
    pub fn is_vendors(&self, host: &str) -> bool {
        self.audience.is_vendors(host)
    }

    /// Forgets which credentials went to their vendors, and what was found in parts of messages: the next one is of another
    /// agent.
    pub fn forget(&self) {
        self.audience.forget();
        self.familiar.forget();
    }

    /// Runs every example and counter-example through the matcher.
    pub fn selftest(&self) -> SelftestReport {
        selftest::run(&self.matcher)
    }
}
