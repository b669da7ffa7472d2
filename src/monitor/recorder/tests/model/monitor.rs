//! What a monitor makes of a folder: which records it believes, what it writes next, and what it says of itself.
//!
//! It is told the bytes there are and the steps that are taken, and knows of hashes, numbers and times alone.

use super::disk::{Disk, Lines};
use super::intake::Window;
use super::ledger::{Ledger, Tally, What};
use super::reader::{self, Archive, Ring};
use super::segments::Sealed;
use attest::Chain;
use posture::{Checkpoint, Ended, Posture, Retention, Sha256Hex, Timestamp};
use std::{
    collections::{BTreeMap, VecDeque},
    rc::Rc,
    time::{Duration, Instant},
};

/// What was signed last of the log: by a posture, or by a rotation where no posture that covers it is left.
#[derive(Clone)]
pub(super) struct Held {
    pub(super) first_seq: u64,
    pub(super) chain: Chain,
    /// Findings, and further sightings.
    pub(super) counts: (u64, u64),
    /// A posture is left.
    pub(super) exported: bool,
    pub(super) unfinished: bool,
}

impl Held {
    pub(super) fn by(posture: &Posture) -> Self {
        Self {
            first_seq: posture.finding_log.first_seq,
            chain: Chain::resume(posture.finding_log.next_seq, posture.finding_log_sha256.clone()),
            counts: (posture.counts.findings, posture.counts.folded),
            exported: true,
            unfinished: matches!(posture.ended, Ended::Running | Ended::Unclean),
        }
    }

    fn now(last: Option<&Posture>, disk: &Disk) -> Option<Self> {
        let last = last.map(Self::by);
        let Some(statement) = disk.rotations.last() else { return last };
        let chain = Chain::resume(statement.log_seq + 1, statement.log_head.clone());
        match last {
            Some(last) if last.chain.next_seq() >= chain.next_seq() => Some(last),
            Some(last) => Some(Self { chain, unfinished: true, ..last }),
            None => Some(Self { first_seq: 1, chain, counts: (0, 0), exported: false, unfinished: true }),
        }
    }
}

/// The bounds a monitor is given.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub(super) retention: Retention,
    pub(super) fold_open_max: usize,
}

/// A monitor, or whoever does something without one.
#[expect(clippy::struct_excessive_bools, reason = "facts that do not depend on each other")]
pub(super) struct Monitor {
    pub(super) bounds: Bounds,
    /// The last whole posture, and its hash.
    pub(super) signed: Option<(Rc<Posture>, Sha256Hex)>,
    pub(super) held: Option<Held>,
    /// The keys in use, the one that signs among them.
    pub(super) keys: Vec<Sha256Hex>,
    /// Until when the last posture of this process holds.
    pub(super) valid_until: Option<Instant>,
    pub(super) tally: Tally,
    /// What a segment that begins now would be told.
    pub(super) told: Tally,
    pub(super) end: Chain,
    /// It has looked: `end` is what it left there.
    pub(super) is_known: bool,
    pub(super) is_quarantined: bool,
    pub(super) exports_missing: bool,
    pub(super) rotations_missing: bool,
    /// What it writes to, as it left it, and how long that was.
    pub(super) left: Lines,
    pub(super) left_bytes: u64,
    pub(super) unclean: bool,
    /// What was in the log when it wrote to it.
    pub(super) base: Lines,
    /// What it writes behind that.
    pub(super) events: Vec<What>,
    pub(super) refused: bool,
    pub(super) sealed: BTreeMap<u64, Sealed>,
    /// What is in the newest segment, as it was read or written.
    pub(super) active: Lines,
    /// It has seen a finding since it opened the log.
    pub(super) seen: bool,
    pub(super) looked: bool,
    /// Some of it is gone, though it has not looked yet.
    pub(super) is_shorter: bool,
    pub(super) windows: VecDeque<Window>,
    pub(super) overflow: Option<(Instant, u64)>,
    pub(super) unreported: bool,
    pub(super) checkpoint: Option<Checkpoint>,
    pub(super) clock: (Timestamp, Instant),
}

impl Monitor {
    /// Reads the log for the first time.
    pub(super) fn open(
        bounds: Bounds,
        archive: &Archive,
        ledger: &mut Ledger,
        disk: &Disk,
        (now, at): (Timestamp, Instant),
    ) -> Self {
        let newest = disk.rotations.last().map(|s| &s.new_key_id).or(disk.anchor.as_ref());
        let ring = newest.and_then(|key| Ring::of(disk, key));
        let mut this = Self {
            bounds,
            signed: ring.and_then(|ring| reader::last_whole(archive, disk, &ring)),
            held: None,
            keys: keys(disk),
            valid_until: None,
            tally: Tally::default(),
            told: Tally::default(),
            end: Chain::genesis(),
            is_known: false,
            is_quarantined: false,
            exports_missing: false,
            rotations_missing: false,
            left: Lines::new(),
            left_bytes: 0,
            unclean: false,
            base: Lines::new(),
            events: Vec::new(),
            refused: false,
            sealed: BTreeMap::new(),
            active: Lines::new(),
            seen: false,
            looked: false,
            is_shorter: false,
            windows: VecDeque::new(),
            overflow: None,
            unreported: false,
            checkpoint: None,
            clock: (now, at),
        };
        this.held = Held::now(this.signed.as_ref().map(|(last, _)| &**last), disk);
        let run = this.read(archive, ledger, disk, now);
        let signed_seq = this.held.as_ref().map_or(0, |held| held.chain.next_seq());
        let begun = run.is_some_and(|(seq, open)| open && (this.is_quarantined || seq >= signed_seq));
        this.unclean = begun || this.held.as_ref().is_some_and(|held| held.unfinished);
        this.tally = match (&this.signed, &this.checkpoint) {
            (Some((last, _)), _) => Tally::of_posture(last),
            (None, Some(checkpoint)) => Tally::of_checkpoint(checkpoint),
            (None, None) => Tally::default(),
        };
        this.told = this.tally;
        this
    }

    /// What a run begins with.
    pub(super) fn begin(&mut self, ledger: &Ledger) {
        if self.unclean || std::mem::take(&mut self.unreported) {
            self.events.push(What::Gap { unclean: self.unclean });
        }
        self.unreported = false;
        let last = self.signed.as_ref().map(|(last, _)| last.sequence);
        let fewer = self.checkpoint.as_ref().is_some_and(|c| c.next_sequence > last.unwrap_or(0) + 1);
        let sums = ledger[self.end.head()];
        if fewer || last.is_none() && (sums.first_seq > 1 || sums.findings > 0 || sums.folded > 0) {
            self.exports_missing |= last.is_none();
            self.events.push(What::ExportsMissing { last });
        }
        self.events.push(What::Start);
    }

    /// A posture is out. What it has to say of the silence before is written behind it.
    pub(super) fn exports(&mut self, period: Duration, at: Instant) -> Option<What> {
        let was_silent = self.valid_until.is_some_and(|until| at > until);
        self.valid_until = Some(at + 3 * period);
        was_silent.then_some(What::Gap { unclean: false })
    }

    /// What an export covers now; from here on the log is held against that.
    pub(super) fn signs(&mut self, ledger: &Ledger) -> Option<Chain> {
        if !self.is_quarantined {
            let sums = ledger.get(self.end.head())?;
            let (chain, counts) = (self.end.clone(), (sums.findings, sums.folded));
            self.held = Some(Held { first_seq: sums.first_seq, chain, counts, exported: true, unfinished: true });
        }
        self.held.as_ref().map(|held| held.chain.clone())
    }

    /// A new step: nothing is written yet.
    pub(super) fn rest(&mut self) {
        self.events.clear();
        self.base.clear();
        self.looked = false;
    }

    pub(super) fn report_damage(&mut self) {
        if std::mem::take(&mut self.unreported) {
            self.events.push(What::Gap { unclean: false });
        }
    }

    pub(super) fn is_lost(&self) -> bool {
        self.is_quarantined || self.exports_missing || self.rotations_missing
    }

    pub(super) fn has_looked(&self) -> bool {
        self.looked
    }

    /// Whether the wall clock did more than pass since the last look.
    pub(super) fn clock_step(&mut self, now: Timestamp, at: Instant) -> Option<What> {
        let steady = i64::try_from(at.duration_since(self.clock.1).as_millis()).expect("no such sequence is so long");
        let step = now.since(self.clock.0).num_milliseconds() - steady;
        self.clock = (now, at);
        (step.abs() >= 1000).then_some(What::ClockStep { backwards: step < 0 })
    }

    /// What a posture says ails it.
    pub(super) fn ails(&self, disk: &Disk) -> Vec<&'static str> {
        let max = self.bounds.retention.max_bytes;
        let quarantine = disk.quarantine.as_ref().map_or(0, |q| q.bytes);
        let used = if self.is_quarantined { quarantine } else { disk.bytes() };
        let full = self.refused || used >= max - max / 8;
        let all = [
            (self.exports_missing, "exports_missing"),
            (self.is_quarantined, "log_damaged"),
            (full, "log_full"),
            (self.rotations_missing, "rotations_missing"),
        ];
        all.into_iter().filter_map(|(is, word)| is.then_some(word)).collect()
    }
}

/// Every key that signs or signed.
pub(super) fn keys(disk: &Disk) -> Vec<Sha256Hex> {
    let old = disk.rotations.iter().map(|s| &s.old_key_id);
    let newest = disk.rotations.last().map(|s| &s.new_key_id).or(disk.anchor.as_ref());
    old.chain(newest).cloned().collect()
}
