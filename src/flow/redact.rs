//! Hit<'_> → Finding: the only door. Raw bytes cannot pass it.
//!
//! What leaves is closed words, a keyed fingerprint, the rule's own template, and a destination checked label by label.

mod dest;
mod text;

pub use text::{Surroundings, text};

use crate::flow::detect::{Hit, known::Known, matcher::Matcher, rule::RuleSet};
use hmac::{Hmac, KeyInit, Mac};
use posture::{
    Direction, Encoding, FINDING_SCHEMA, Family, FindingRecord, Fingerprint, Placement, Platform, Protocol, Severity,
    Sha256Hex, Timestamp, Word,
};
use sha2::Sha256;
use std::{fmt, sync::Arc};

const FINGERPRINT_BYTES: usize = 8;

/// Makes findings; holds the key of the fingerprints.
pub struct Redactor {
    keyed: Hmac<Sha256>,
    /// What a destination must not carry.
    matcher: Arc<Matcher>,
    /// Nor a value that is known.
    known: Arc<Known>,
}

/// A hit without anything of the wire in it. It cannot be made elsewhere, nor read back from a file.
#[derive(Clone, PartialEq, Eq)]
pub struct Finding {
    rule: Word,
    family: Family,
    severity: Severity,
    direction: Direction,
    protocol: Protocol,
    placement: Placement,
    encoding: Vec<Encoding>,
    fingerprint: Fingerprint,
    snippet: String,
    source: String,
    dest: String,
    timestamp: Timestamp,
}

impl Redactor {
    /// A redactor whose fingerprints are keyed with `key`.
    pub fn new(key: &[u8; 32]) -> Self {
        let keyed = Hmac::new_from_slice(key).expect("HMAC takes a key of any length");
        Self { keyed, matcher: Arc::clone(dest::embedded()), known: Arc::default() }
    }

    /// The same, for which a destination must not carry what any of these rules finds.
    #[must_use]
    pub fn with_rules(&self, rules: Arc<RuleSet>) -> Self {
        let same = rules == *self.matcher.rules();
        let matcher = if same { Arc::clone(&self.matcher) } else { Arc::new(Matcher::new(rules)) };
        Self { keyed: self.keyed.clone(), matcher, known: Arc::clone(&self.known) }
    }

    /// The same, which shows no destination whose name holds a known value.
    #[must_use]
    pub fn knowing(self, known: &Arc<Known>) -> Self {
        Self { known: Arc::clone(known), ..self }
    }

    /// The finding of a hit.
    pub fn finding(&self, hit: &Hit<'_>, now: Timestamp) -> Finding {
        Finding {
            rule: hit.rule.id().clone(),
            family: hit.rule.family(),
            severity: hit.severity,
            direction: hit.direction,
            protocol: hit.route.protocol,
            placement: hit.placement,
            encoding: hit.encoding.to_vec(),
            fingerprint: self.fingerprint(hit.matched),
            snippet: snippet(hit),
            source: hit.route.source.to_string(),
            dest: self.destination(&hit.route.host, hit.route.port),
            timestamp: now,
        }
    }

    /// A destination as a record may show it: as [`destination`], and without a name that holds a known value.
    pub fn destination(&self, host: &str, port: u16) -> String {
        if self.known.values().in_name(host) { dest::hidden(port) } else { dest::of(&self.matcher, host, port) }
    }

    /// One value has one fingerprint, whatever rule, family or encoding it was found by.
    pub fn fingerprint(&self, matched: &[u8]) -> Fingerprint {
        let mut keyed = self.keyed.clone();
        keyed.update(matched);
        let whole = keyed.finalize().into_bytes();
        let cut: &[u8; FINGERPRINT_BYTES] = whole.first_chunk().expect("SHA-256 has 32 bytes");
        Fingerprint::from_bytes(cut)
    }
}

/// A destination as it may be shown where there is no [`Redactor`]: by the embedded rules.
pub fn destination(host: &str, port: u16) -> String {
    dest::of(dest::embedded(), host, port)
}

/// A host as it may be shown where there is no [`Redactor`]: by the embedded rules.
pub fn host(host: &str) -> String {
    dest::host(dest::embedded(), host)
}

/// The snippet of a hit: from its rule alone, such as `[REDACTED ai_api_key.openai]`.
pub fn snippet(hit: &Hit<'_>) -> String {
    hit.rule.snippet()
}

impl Finding {
    /// The record this finding becomes at `seq`, after the line whose hash is `prev`.
    pub fn record(&self, seq: u64, prev: Sha256Hex) -> FindingRecord {
        FindingRecord {
            dest: self.dest.clone(),
            direction: self.direction,
            encoding: self.encoding.clone(),
            fingerprint: self.fingerprint.clone(),
            pattern: self.family.into(),
            placement: self.placement,
            platform: Platform::Hermes,
            prev_sha256: prev,
            protocol: self.protocol,
            rule: self.rule.clone(),
            schema_version: FINDING_SCHEMA.to_owned(),
            seq,
            severity: self.severity,
            snippet: self.snippet.clone(),
            source: self.source.clone(),
            threat_type: self.family.threat_type(),
            timestamp: self.timestamp,
        }
    }

    /// The keyed fingerprint of what was matched.
    pub fn fingerprint(&self) -> &Fingerprint {
        &self.fingerprint
    }

    /// The rule.
    pub fn rule(&self) -> &Word {
        &self.rule
    }

    /// The family.
    pub fn family(&self) -> Family {
        self.family
    }

    /// How urgent it is.
    pub fn severity(&self) -> Severity {
        self.severity
    }

    /// Which way the bytes went.
    pub fn direction(&self) -> Direction {
        self.direction
    }

    /// `host:port`, with `[redacted]` for a label that may be a secret.
    pub fn dest(&self) -> &str {
        &self.dest
    }

    /// When it was seen.
    pub fn timestamp(&self) -> Timestamp {
        self.timestamp
    }
}

impl fmt::Debug for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Finding").field("rule", &self.rule).field("severity", &self.severity).finish_non_exhaustive()
    }
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Redactor")
    }
}

#[cfg(test)]
mod tests;
