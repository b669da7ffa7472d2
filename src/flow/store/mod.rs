//! Finding → `findings.jsonl`: appended, chained, bounded; repaired where that is honest, set aside where it is not.
//!
//! * Only a [`Finding`] or an event of closed words and numbers becomes a line; both go through [`Store::record`] and
//!   [`Store::event`].
//! * Written means acknowledged: it survives this process. [`Store::sync`] makes it survive power loss, before the
//!   export that covers it.
//! * Trouble never reaches traffic. What cannot be written waits, bounded, and is tried again with every
//!   [`Store::tick`]; what cannot wait is counted in [`Store::not_recorded`].
//! * Damage above the signed head is set aside as `damaged-<seq>.jsonl` and a `gap` event says how much. Damage at or
//!   below it leaves the log as it is: records go to `quarantine.jsonl` until a person begins it anew.

mod admit;
mod fold;
mod log;
mod mend;
mod recover;
mod retain;
mod segments;
mod signed;
mod walk;
mod write;

pub use recover::{RecoverError, Recovered};
pub use signed::{Signed, Stated};

use crate::{
    flow::redact::Finding,
    warned::{self, Warned},
};
use admit::{Admission, Overflow};
use attest::Chain;
use fold::{Folds, Key};
use log::Log;
use posture::{Checkpoint, Counts, DegradedReason, EventBody, FindingLog, FindingRecord, Retention, Timestamp};
use segments::Segments;
use std::{
    collections::VecDeque,
    io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};
use walk::Damage;

/// Findings and events that may wait for a log that cannot be written.
const MAX_WAITING: usize = 256;
/// Of these, findings.
const MAX_WAITING_FINDINGS: usize = 192;

/// The bounds in force.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Bytes of the log, and how long a record stays.
    pub retention: Retention,
    /// How long sightings of one finding fold, and refusals of one kind add up.
    pub fold_window: Duration,
    /// Fold windows open at once.
    pub fold_open_max: usize,
}

/// The one writer of the log. Its caller holds the lock of the state folder.
#[expect(clippy::struct_excessive_bools, reason = "seven facts that do not depend on each other")]
pub struct Store {
    folder: PathBuf,
    bounds: Bounds,
    signed: Option<Signed>,
    stated: Stated,
    /// `None` while it cannot be opened.
    log: Option<Log>,
    /// Its length, also while it cannot be opened.
    bytes: u64,
    segments: Segments,
    /// What the next segment begins with, but for the counts.
    totals: Option<Checkpoint>,
    load_after: Option<Instant>,
    load_failures: u32,
    quarantined: bool,
    /// The log holds an event that says so, and no recovery since.
    exports_missing: bool,
    /// The log holds the event of a rotation whose statement is gone, and no recovery since.
    rotations_missing: bool,
    end: Chain,
    /// `end` is what this process left in the log, and is to be found there again.
    is_known: bool,
    counts: Counts,
    last_checkpoint: Option<Checkpoint>,
    unclean: bool,
    unreported: Damage,
    unsynced: bool,
    failing: bool,
    warned: Warned,
    /// Of segments that could not be deleted.
    warned_of_pruned: Warned,
    waiting: VecDeque<Waiting>,
    folds: Folds,
    admission: Admission,
    overflow: Overflow,
    not_recorded: u64,
}

/// A line to be, once the log takes it.
enum Waiting {
    Finding { record: Box<FindingRecord>, more: u64 },
    Event { event: EventBody, at: Timestamp },
}

impl Store {
    /// Opens the log, or makes it, and walks all of it.
    ///
    /// It never fails: a log that cannot be read or written is a [`Store::trouble`], and tried again.
    pub fn open(folder: &Path, bounds: Bounds, signed: Option<Signed>, stated: Stated, now: Timestamp) -> Self {
        let mut this = Self {
            folder: folder.to_owned(),
            bounds,
            signed: stated.or(signed),
            stated,
            log: None,
            bytes: 0,
            segments: Segments::new(Chain::genesis()),
            totals: None,
            load_after: None,
            load_failures: 0,
            quarantined: false,
            exports_missing: false,
            rotations_missing: false,
            end: Chain::genesis(),
            is_known: false,
            counts: Counts::default(),
            last_checkpoint: None,
            unclean: false,
            unreported: Damage::default(),
            unsynced: false,
            failing: false,
            warned: Warned::default(),
            warned_of_pruned: Warned::default(),
            waiting: VecDeque::new(),
            folds: Folds::new(bounds.fold_window, bounds.fold_open_max),
            admission: Admission::new(bounds.retention.max_bytes),
            overflow: Overflow::default(),
            not_recorded: 0,
        };
        match this.load(now) {
            Ok(run_was_open) => this.unclean = run_was_open,
            Err(error) => this.fail("open the log", &error),
        }
        this
    }

    /// Records a finding: as a line, as one more sighting of a line, or as a number.
    pub fn record(&mut self, finding: &Finding, now: Timestamp, at: Instant) {
        let unplaced = Chain::genesis();
        self.put(finding.record(unplaced.next_seq(), unplaced.head().clone()), now, at);
    }

    /// Records an event.
    pub fn event(&mut self, event: EventBody, now: Timestamp, at: Instant) {
        self.wait_for_log(Waiting::Event { event, at: now });
        self.settle(now, at);
    }

    /// Records an event now or not at all. Returns the chain, which ends with it.
    ///
    /// # Errors
    /// When the log does not take it: it is damaged, full, or cannot be written.
    pub fn place(&mut self, event: EventBody, now: Timestamp, at: Instant) -> io::Result<Chain> {
        self.write_waiting(now, at);
        if self.quarantined || !self.waiting.is_empty() {
            return Err(io::ErrorKind::NotConnected.into());
        }
        self.make_sure_of_log(now, at)?;
        let placed = self.write(&Waiting::Event { event, at: now }, now)?;
        placed.map(|_| self.end.clone()).ok_or_else(|| io::ErrorKind::StorageFull.into())
    }

    /// What is due by time: tries again what failed, closes the windows that have lasted, reports damage. To be called
    /// about once a second. Returns whether the log takes lines again after it did not.
    pub fn tick(&mut self, now: Timestamp, at: Instant) -> bool {
        let lasted = self.folds.close_lasted(at);
        let refused = self.overflow.close_lasted(at, self.bounds.fold_window);
        self.failing = false;
        self.wait_for_log_all(lasted.into_iter().chain(refused), now, at);
        self.write_waiting(now, at);
        self.report_damage(now, at);
        self.retain(now, at);
        !self.failing && self.warned.over("the log is written")
    }

    /// From here on these bounds. What no longer fits goes as it would have: announced and signed first.
    pub fn rebound(&mut self, bounds: Bounds, now: Timestamp, at: Instant) {
        self.bounds = bounds;
        self.admission.rebound(bounds.retention.max_bytes);
        let folds = self.folds.rebound(bounds.fold_window, bounds.fold_open_max);
        self.wait_for_log_all(folds, now, at);
        self.settle(now, at);
    }

    /// The end of a run: closes every window, so that no sighting is lost.
    pub fn close_windows(&mut self, now: Timestamp, at: Instant) {
        self.failing = false;
        self.settle(now, at);
        let folds = self.folds.close_all();
        let refused = self.overflow.close();
        self.wait_for_log_all(folds.into_iter().chain(refused), now, at);
        self.settle(now, at);
    }

    /// Gives up on what still waits: it is counted as not recorded. The log takes nothing after this.
    pub fn abandon(&mut self) {
        while let Some(waiting) = self.waiting.pop_front() {
            self.lose(&waiting);
        }
    }

    /// Everything written is on the disk when this returns.
    ///
    /// # Errors
    /// What the system says: a posture must then not cover the log.
    pub fn sync(&mut self) -> io::Result<()> {
        if !self.unsynced {
            return Ok(());
        }
        let log = self.log.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        log.sync()?;
        self.unsynced = false;
        Ok(())
    }

    /// A posture that covers the log up to `signed` is complete.
    pub fn signed(&mut self, signed: Signed) {
        self.segments.signed(signed.chain.next_seq());
        self.signed = Some(signed);
        self.delete_pruned();
    }

    /// The signing key gave way to another.
    pub fn stated(&mut self, stated: Stated) {
        self.stated = stated;
    }

    /// What the checkpoint says with which the next segment begins; its counts are the log's. Without it, no segment
    /// ends: tell it before the first record, and again whenever it changed.
    pub fn totals(&mut self, totals: Checkpoint) {
        self.totals = Some(totals);
    }

    /// What a posture says of the log: with damage at or below the signed head, what was signed.
    pub fn standing(&self) -> (FindingLog, &Chain, &Counts) {
        match &self.signed {
            // A log that could not be opened yet is no shorter than it was signed.
            Some(s) if self.quarantined || self.end.next_seq() < s.chain.next_seq() => {
                (FindingLog { first_seq: s.first_seq, next_seq: s.chain.next_seq() }, &s.chain, &s.counts)
            }
            _ => {
                let (first_seq, next_seq) = (self.segments.first_seq(), self.end.next_seq());
                (FindingLog { first_seq, next_seq }, &self.end, &self.counts)
            }
        }
    }

    /// The last checkpoint in the log.
    pub fn last_checkpoint(&self) -> Option<&Checkpoint> {
        self.last_checkpoint.as_ref()
    }

    /// Whether the run before this process ended without a word.
    pub fn was_unclean(&self) -> bool {
        self.unclean
    }

    /// Findings that are in no line and in no fold, in this process.
    pub fn not_recorded(&self) -> u64 {
        self.not_recorded
    }

    /// Findings and events that wait for the log to take them.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Bytes of all segments.
    pub fn bytes(&self) -> u64 {
        self.segments.sealed_bytes() + self.bytes
    }

    /// Why the log is not whole.
    pub fn trouble(&self) -> impl Iterator<Item = DegradedReason> {
        let write = self.log.is_none() || !self.waiting.is_empty();
        [
            (write, DegradedReason::LogWrite),
            (self.exports_missing, DegradedReason::ExportsMissing),
            (self.quarantined, DegradedReason::LogDamaged),
            (self.rotations_missing, DegradedReason::RotationsMissing),
            (self.admission.is_full(self.bytes()), DegradedReason::LogFull),
        ]
        .into_iter()
        .filter_map(|(is, reason)| is.then_some(reason))
    }

    // === from a finding to a line ===

    fn put(&mut self, record: FindingRecord, now: Timestamp, at: Instant) {
        let lasted = self.folds.close_lasted(at);
        self.wait_for_log_all(lasted, now, at);
        let key = Key::of(&record);
        if self.folds.sighting(&key) || self.more_of_one_that_waits(&key) {
            return self.settle(now, at);
        }
        let young = self.segments.young_bytes(now) + self.bytes;
        if !self.admission.admits(&record, self.bytes(), young) {
            self.overflow.refused(&record, at);
            self.not_recorded += 1;
            return self.settle(now, at);
        }
        self.wait_for_log(Waiting::Finding { record: Box::new(record), more: 0 });
        self.settle(now, at);
    }

    fn more_of_one_that_waits(&mut self, key: &Key) -> bool {
        self.waiting.iter_mut().any(|waiting| match waiting {
            Waiting::Finding { record, more } if Key::of(record) == *key => {
                *more += 1;
                true
            }
            _ => false,
        })
    }

    fn wait_for_log_all(&mut self, events: impl IntoIterator<Item = EventBody>, now: Timestamp, at: Instant) {
        for event in events {
            self.wait_for_log(Waiting::Event { event, at: now });
            // While the log takes lines, nothing waits for long: a flood of events must not be cut at the bound.
            if !self.failing && self.waiting.len() >= MAX_WAITING {
                self.write_waiting(now, at);
            }
        }
    }

    fn wait_for_log(&mut self, waiting: Waiting) {
        let findings = || self.waiting.iter().filter(|w| matches!(w, Waiting::Finding { .. })).count();
        let full = self.waiting.len() >= MAX_WAITING
            || matches!(waiting, Waiting::Finding { .. }) && findings() >= MAX_WAITING_FINDINGS;
        if full { self.lose(&waiting) } else { self.waiting.push_back(waiting) }
    }

    fn lose(&mut self, waiting: &Waiting) {
        self.not_recorded += match waiting {
            Waiting::Finding { more, .. } => 1 + more,
            Waiting::Event { event: EventBody::Fold { count, .. }, .. } => *count,
            // What an overflow event stands for is counted already.
            Waiting::Event { .. } => 0,
        };
    }

    /// Writes what waits, in order, until the log refuses.
    fn settle(&mut self, now: Timestamp, at: Instant) {
        if !self.failing && !self.waiting.is_empty() {
            self.write_waiting(now, at);
        }
    }

    fn write_waiting(&mut self, now: Timestamp, at: Instant) {
        if let Err(error) = self.make_sure_of_log(now, at) {
            return self.fail("open the log", &error);
        }
        while let Some(waiting) = self.waiting.pop_front() {
            match self.write(&waiting, now) {
                Ok(Some(seq)) => {
                    if let Waiting::Finding { record, more } = waiting {
                        self.admission.seen(&record);
                        if let Some(event) = self.folds.open(Key::of(&record), seq, more, at) {
                            self.waiting.push_back(Waiting::Event { event, at: now });
                        }
                    }
                }
                // Waiting would not help it.
                Ok(None) => self.lose(&waiting),
                Err(error) => {
                    self.waiting.push_front(waiting);
                    return self.fail("write the log", &error);
                }
            }
        }
    }

    fn fail(&mut self, what: &'static str, error: &io::Error) {
        self.failing = true;
        self.warned.of(format!("could not {what}: {}", warned::why(error)));
    }
}

#[cfg(test)]
pub(crate) mod tests;
