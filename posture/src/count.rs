//! Findings and coverage, added up since genesis. Arrays of records, never maps keyed by data.

use crate::{MAX_INTEGER, UnscannedReason, Word};
use serde::{Deserialize, Serialize};

/// A name and how often.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct NamedCount {
    /// How often, since genesis.
    pub count: u64,
    /// A word of the list the array is about.
    pub name: Word,
}

/// Findings in the log since genesis. `verify` recounts every number here.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Counts {
    /// By `direction`, sorted by name, without zeros.
    pub direction: Vec<NamedCount>,
    /// By `pattern`, sorted by name, without zeros.
    pub family: Vec<NamedCount>,
    /// All findings in the log.
    pub findings: u64,
    /// Further sightings of findings: the sum over the `fold` events in the log.
    pub folded: u64,
    /// By `severity`, sorted by name, without zeros.
    pub severity: Vec<NamedCount>,
}

impl Counts {
    /// Counts one finding.
    pub fn add_finding(&mut self, direction: &Word, family: &Word, severity: &Word) {
        // Onto what a prune event stated, which may be anything.
        self.findings = self.findings.saturating_add(1).min(MAX_INTEGER);
        add(&mut self.direction, direction, 1);
        add(&mut self.family, family, 1);
        add(&mut self.severity, severity, 1);
    }

    /// Counts what other records add up to.
    ///
    /// Sums saturate: a count read from a file may be anything.
    pub fn add(&mut self, other: &Self) {
        self.findings = self.findings.saturating_add(other.findings).min(MAX_INTEGER);
        self.folded = self.folded.saturating_add(other.folded).min(MAX_INTEGER);
        let arrays = [
            (&mut self.direction, &other.direction),
            (&mut self.family, &other.family),
            (&mut self.severity, &other.severity),
        ];
        for (counts, more) in arrays {
            for m in more {
                add(counts, &m.name, m.count);
            }
        }
    }
}

fn add(counts: &mut Vec<NamedCount>, name: &Word, count: u64) {
    match counts.binary_search_by(|c| c.name.cmp(name)) {
        Ok(at) => counts[at].count = counts[at].count.saturating_add(count).min(MAX_INTEGER),
        Err(at) => counts.insert(at, NamedCount { count, name: name.clone() }),
    }
}

/// What the monitor states and a verifier cannot recount. No number here ever decreases.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Attested {
    /// Messages whose connection, SNI and Host named different hosts.
    pub audience_mismatch: u64,
    /// Hits that are the agent working: a key in its own vendor's authentication header, a path in a system prompt.
    pub expected: u64,
    /// Findings the log had no room for.
    pub not_recorded: u64,
    /// Self-tests run.
    pub self_tests: u64,
    /// Findings an operator's suppression covered.
    pub suppressed: u64,
    /// Sightings of the proxy's own token in traffic.
    pub token_seen: u64,
}

/// Connections, messages and payload bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Totals {
    /// Body and tunnel bytes, each direction counted once, where they are relayed.
    pub bytes: u64,
    /// Client connections accepted.
    pub connections: u64,
    /// Requests, responses and WebSocket messages, each counted once.
    pub messages: u64,
}

/// What was relayed unscanned, for one reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Unscanned {
    /// Payload bytes.
    pub bytes: u64,
    /// Client connections.
    pub connections: u64,
    /// Messages with at least one such byte.
    pub messages: u64,
    /// Why: one of [`UnscannedReason`].
    pub reason: Word,
}

/// What passed and what of it was looked at, since genesis.
///
/// Every connection, message and byte of `seen` is in exactly one of `scanned` and the records of `not_scanned`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Coverage {
    /// By reason, sorted by reason, without records that are all zero.
    pub not_scanned: Vec<Unscanned>,
    /// Looked at in full.
    pub scanned: Totals,
    /// Relayed.
    pub seen: Totals,
}

impl Coverage {
    /// What was relayed unscanned for `reason`.
    pub fn unscanned(&self, reason: UnscannedReason) -> Totals {
        self.not_scanned.iter().find(|u| u.reason.as_str() == reason.as_str()).map_or_else(Totals::default, |u| {
            Totals { bytes: u.bytes, connections: u.connections, messages: u.messages }
        })
    }

    /// True when `seen` is exactly `scanned` and every `not_scanned` together.
    pub fn adds_up(&self) -> bool {
        let sum = self.not_scanned.iter().fold(self.scanned, |sum, u| Totals {
            bytes: sum.bytes.saturating_add(u.bytes),
            connections: sum.connections.saturating_add(u.connections),
            messages: sum.messages.saturating_add(u.messages),
        });
        sum == self.seen
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Direction, Family, Severity};

    #[test]
    fn counts_stay_sorted_and_hold_no_zeros() {
        let mut counts = Counts::default();
        for family in [Family::ReverseShell, Family::AiApiKey, Family::ReverseShell] {
            counts.add_finding(&family.direction().into(), &family.into(), &Severity::High.into());
        }
        let names: Vec<_> = counts.family.iter().map(|c| (c.name.as_str(), c.count)).collect();
        assert_eq!(names, [("ai_api_key", 1), ("reverse_shell", 2)]);
        assert_eq!(counts.direction.len(), 2);
        assert_eq!(counts.direction[0].name, Word::from(Direction::Inbound));
        assert_eq!(counts.findings, 3);
    }

    #[test]
    fn sums_of_parts_are_the_sum_of_all() {
        let families = [Family::ReverseShell, Family::AiApiKey, Family::ReverseShell, Family::Canary];
        let count = |families: &[Family]| {
            let mut counts = Counts { folded: 2, ..Counts::default() };
            for f in families {
                counts.add_finding(&f.direction().into(), &(*f).into(), &Severity::Low.into());
            }
            counts
        };
        for cut in 0..=families.len() {
            let mut sum = count(&families[..cut]);
            sum.add(&count(&families[cut..]));
            assert_eq!(sum, Counts { folded: 4, ..count(&families) });
        }
        let mut most = Counts { findings: MAX_INTEGER, folded: MAX_INTEGER, ..Counts::default() };
        most.add(&count(&families));
        assert_eq!((most.findings, most.folded), (MAX_INTEGER, MAX_INTEGER), "what a document can hold");
    }

    #[test]
    fn a_missing_byte_does_not_add_up() {
        let mut coverage = Coverage {
            not_scanned: vec![Unscanned {
                bytes: 3,
                connections: 1,
                messages: 0,
                reason: UnscannedReason::Tunnel.into(),
            }],
            scanned: Totals { bytes: 4, connections: 1, messages: 2 },
            seen: Totals { bytes: 7, connections: 2, messages: 2 },
        };
        assert!(coverage.adds_up());
        coverage.seen.bytes += 1;
        assert!(!coverage.adds_up());
    }
}
