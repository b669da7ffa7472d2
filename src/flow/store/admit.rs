//! Pressure must not flush evidence: who may still come in as the log fills, and a count of those who may not.
//!
//! | the log holds | admitted |
//! |---|---|
//! | less than half its bound that is young | everything |
//! | less than 7/8 | outbound high and critical; the first of each (rule, dest) |
//! | less than 15/16 | no finding; folds, overflows and clock steps |
//! | less than 63/64 | no more than a run's own events: start, stop, checkpoint, gap, rotate |
//! | less than all of it | no more than what makes room: seal, prune |
//!
//! Young are segments with a record younger than a week. What is older does not count against findings: it goes before
//! the log is at 7/8.

use posture::{Direction, EventBody, FindingRecord, Severity, Word};
use std::{
    collections::{BTreeMap, HashSet},
    hash::{BuildHasher, RandomState},
    time::{Duration, Instant},
};

/// Pairs of (rule, dest) remembered; later ones count as seen before.
const MAX_FIRSTS: usize = 1 << 16;
/// Pairs of (rule, dest) with an overflow count of their own; the others are counted by rule.
const MAX_OVERFLOW_PAIRS: usize = 4096;

/// The bound and what it leaves room for.
pub(super) struct Admission {
    max_bytes: u64,
    // Hashes, under a key of this process: a wire that picks its hosts cannot aim for a collision.
    firsts: HashSet<u64>,
    hasher: RandomState,
    refused: bool,
}

impl Admission {
    pub(super) fn new(max_bytes: u64) -> Self {
        Self { max_bytes, firsts: HashSet::new(), hasher: RandomState::new(), refused: false }
    }

    /// From here on the log is bounded so.
    pub(super) fn rebound(&mut self, max_bytes: u64) {
        self.max_bytes = max_bytes;
        self.refused = false;
    }

    /// Remembers a finding that is in the log.
    pub(super) fn seen(&mut self, record: &FindingRecord) {
        if self.firsts.len() < MAX_FIRSTS {
            self.firsts.insert(self.pair(record));
        }
    }

    /// Whether a finding may join a log that holds `used` bytes, so many of them in segments with young records.
    pub(super) fn admits(&mut self, record: &FindingRecord, used: u64, young: u64) -> bool {
        let grave = record.direction == Direction::Outbound && record.severity >= Severity::High;
        let first = self.firsts.len() < MAX_FIRSTS && !self.firsts.contains(&self.pair(record));
        let admitted = used < self.finding_bytes() && (young < self.max_bytes / 2 || grave || first);
        self.refused |= !admitted;
        admitted
    }

    /// Whether a line of `len` bytes with this event may join a log that holds `used` bytes.
    pub(super) fn admits_event(&self, event: &EventBody, used: u64, len: u64) -> bool {
        let limit = match event {
            EventBody::Fold { .. }
            | EventBody::Overflow { .. }
            | EventBody::ClockStep { .. }
            | EventBody::TunnelFallback { .. } => self.max_bytes - self.max_bytes / 16,
            EventBody::Checkpoint(_)
            | EventBody::ExportsMissing { .. }
            | EventBody::Gap { .. }
            | EventBody::Reload(_)
            | EventBody::Rotate { .. }
            | EventBody::Start { .. }
            | EventBody::Stop { .. } => self.max_bytes - self.max_bytes / 64,
            // What makes room again.
            EventBody::Prune(_) | EventBody::Recovery(_) | EventBody::Seal { .. } | EventBody::SetAside { .. } => {
                self.max_bytes
            }
        };
        used + len <= limit
    }

    /// Whether findings are, or were since the log was opened, refused for want of room.
    pub(super) fn is_full(&self, used: u64) -> bool {
        self.refused || used >= self.finding_bytes()
    }

    /// There is room again.
    pub(super) fn relieved(&mut self) {
        self.refused = false;
    }

    fn finding_bytes(&self) -> u64 {
        self.max_bytes - self.max_bytes / 8
    }

    fn pair(&self, record: &FindingRecord) -> u64 {
        self.hasher.hash_one((&record.rule, &record.dest))
    }
}

/// What was refused in the window that is open: it opens with the first refusal.
#[derive(Default)]
pub(super) struct Overflow {
    opened: Option<Instant>,
    counts: BTreeMap<(Word, Option<String>), u64>,
}

impl Overflow {
    pub(super) fn refused(&mut self, record: &FindingRecord, at: Instant) {
        self.opened.get_or_insert(at);
        let pair = (record.rule.clone(), Some(record.dest.clone()));
        let room = self.counts.len() < MAX_OVERFLOW_PAIRS || self.counts.contains_key(&pair);
        *self.counts.entry(if room { pair } else { (pair.0, None) }).or_default() += 1;
    }

    /// The events of a window that has lasted, which is closed thereby.
    pub(super) fn close_lasted(&mut self, at: Instant, length: Duration) -> Vec<EventBody> {
        let lasted = self.opened.is_some_and(|opened| at.saturating_duration_since(opened) >= length);
        if lasted { self.close() } else { Vec::new() }
    }

    /// Closes the window.
    pub(super) fn close(&mut self) -> Vec<EventBody> {
        self.opened = None;
        let counts = std::mem::take(&mut self.counts);
        counts.into_iter().map(|((rule, dest), count)| EventBody::Overflow { count, dest, rule }).collect()
    }
}
