//! What was stated before + this process → Attested and Coverage. What was not seen is counted too.
//!
//! Pure: numbers in, numbers out. Findings are counted in the log alone ([`attest::Record::count`]), so that
//! `verify` can recount them; what is here is stated.

use posture::{Attested, Checkpoint, Coverage, InstallId, MAX_INTEGER, Posture, Totals, Unscanned, UnscannedReason};

/// Exports that may have been made since the last one that is complete.
const NEAR: u64 = 1 << 20;
/// No installation comes near it, an export a second: there are twelve digits for a number.
const FAR: u64 = 500_000_000_000;

/// What the runs before stated: where this one goes on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Base {
    /// Stated counts.
    pub attested: Attested,
    /// What passed.
    pub coverage: Coverage,
    /// The installation; `None` before its first run.
    pub install_id: Option<InstallId>,
    /// The number the next posture gets at least.
    pub next_sequence: u64,
}

impl Base {
    /// From the last complete signed posture, and without one from the last checkpoint.
    ///
    /// What a checkpoint says beyond the posture nobody signed: whoever can write to the log could invent it, or take away
    /// what was signed. Of it the number of the next posture counts alone, and only if it is near: numbers are not to be
    /// used twice, nor used up.
    ///
    /// What was in progress when the process that counted it ended never got settled: from here on it is unscanned, as
    /// `scanner_error`.
    pub fn newest(checkpoint: Option<&Checkpoint>, posture: Option<&Posture>) -> Self {
        let signed = posture.map(|p| Self {
            attested: p.attested.clone(),
            coverage: p.coverage.clone(),
            install_id: Some(p.install_id.clone()),
            next_sequence: p.sequence + 1,
        });
        let logged = checkpoint.map(|c| Self {
            attested: c.attested.clone(),
            coverage: c.coverage.clone(),
            install_id: Some(c.install_id.clone()),
            next_sequence: c.next_sequence,
        });
        let mut newest = match (logged, signed) {
            (Some(logged), Some(signed)) => {
                let near = logged.next_sequence <= signed.next_sequence + NEAR;
                let next_sequence =
                    if near { logged.next_sequence.max(signed.next_sequence) } else { signed.next_sequence };
                Self { next_sequence, ..signed }
            }
            (Some(logged), None) => Self {
                coverage: in_known_words(&logged.coverage),
                next_sequence: logged.next_sequence.min(FAR),
                ..logged
            },
            (None, signed) => signed.unwrap_or(Self { next_sequence: 1, ..Self::default() }),
        };
        newest.coverage = settle(newest.coverage);
        newest
    }
}

/// The same sums under the reasons there are. A list nobody signed may hold others, and so many of them that no document
/// has the room.
fn in_known_words(coverage: &Coverage) -> Coverage {
    let sums = Coverage { not_scanned: Vec::new(), ..coverage.clone() };
    coverage.not_scanned.iter().fold(sums, |sums, u| {
        let reason = u.reason.as_str().parse().unwrap_or(UnscannedReason::ScannerError).into();
        plus(&sums, &Coverage { not_scanned: vec![Unscanned { reason, ..u.clone() }], ..Coverage::default() })
    })
}

fn settle(mut coverage: Coverage) -> Coverage {
    let open = coverage.unscanned(UnscannedReason::InProgress);
    coverage.not_scanned.retain(|u| u.reason.as_str() != UnscannedReason::InProgress.as_str());
    let error = Unscanned {
        bytes: open.bytes,
        connections: open.connections,
        messages: open.messages,
        reason: UnscannedReason::ScannerError.into(),
    };
    let settled = Coverage { not_scanned: vec![error], ..Coverage::default() };
    plus(&coverage, &settled)
}

/// The cumulative tally: what was stated before, and what this process adds.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    base: Base,
}

impl Tally {
    /// Goes on from `base`.
    pub fn new(base: Base) -> Self {
        Self { base }
    }

    /// Stated counts since genesis, of which `here` are this process'.
    pub fn attested(&self, here: &Attested) -> Attested {
        plus_attested(&self.base.attested, here)
    }

    /// Coverage since genesis, of which `here` passed in this process.
    pub fn coverage(&self, here: &Coverage) -> Coverage {
        plus(&self.base.coverage, here)
    }
}

fn plus_attested(a: &Attested, b: &Attested) -> Attested {
    Attested {
        audience_mismatch: sum(a.audience_mismatch, b.audience_mismatch),
        expected: sum(a.expected, b.expected),
        not_recorded: sum(a.not_recorded, b.not_recorded),
        self_tests: sum(a.self_tests, b.self_tests),
        suppressed: sum(a.suppressed, b.suppressed),
        token_seen: sum(a.token_seen, b.token_seen),
    }
}

/// Two coverages that have nothing in common, as one: sorted by reason, without zeros; it adds up if both do.
fn plus(a: &Coverage, b: &Coverage) -> Coverage {
    let mut not_scanned = a.not_scanned.clone();
    for more in &b.not_scanned {
        match not_scanned.binary_search_by(|u| u.reason.cmp(&more.reason)) {
            Ok(at) => {
                let u = &mut not_scanned[at];
                u.bytes = sum(u.bytes, more.bytes);
                u.connections = sum(u.connections, more.connections);
                u.messages = sum(u.messages, more.messages);
            }
            Err(at) => not_scanned.insert(at, more.clone()),
        }
    }
    not_scanned.retain(|u| (u.bytes, u.connections, u.messages) != (0, 0, 0));
    let scanned = plus_totals(a.scanned, b.scanned);
    Coverage { not_scanned, scanned, seen: plus_totals(a.seen, b.seen) }
}

fn plus_totals(a: Totals, b: Totals) -> Totals {
    Totals {
        bytes: sum(a.bytes, b.bytes),
        connections: sum(a.connections, b.connections),
        messages: sum(a.messages, b.messages),
    }
}

/// Stays an integer every JSON reader has exactly. At 10 GB/s the bound is eleven days past ten years away.
fn sum(a: u64, b: u64) -> u64 {
    a.saturating_add(b).min(MAX_INTEGER)
}

#[cfg(test)]
mod tests;
