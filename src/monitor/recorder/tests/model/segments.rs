//! Segments: which are sealed, and which of them go.

use super::disk::{Disk, Line};
use super::ledger::{Ledger, What};
use super::monitor::Monitor;
use attest::{Chain, Record};
use chrono::TimeDelta;
use posture::{EventBody, Prune, PruneReason, Timestamp};
use std::rc::Rc;

pub(super) const YOUNG: TimeDelta = TimeDelta::days(7);

/// A segment that is sealed, as its lines have it.
pub(super) struct Sealed {
    pub(super) begin: Chain,
    pub(super) end: Chain,
    pub(super) bytes: u64,
    youngest: Option<Timestamp>,
}

impl Sealed {
    fn of(lines: &[Rc<Line>]) -> Option<Self> {
        let ages = |line: &&Rc<Line>| !matches!(line.event(), Some(EventBody::Seal { .. }));
        Some(Self {
            begin: lines.first()?.before()?,
            end: lines.last()?.behind()?,
            bytes: lines.iter().map(|line| line.bytes.len() as u64).sum(),
            youngest: lines.iter().filter(ages).filter_map(|l| l.record.as_ref()).map(Record::timestamp).max(),
        })
    }

    pub(super) fn age(&self, now: Timestamp) -> TimeDelta {
        self.youngest.map_or(TimeDelta::MAX, |youngest| now.since(youngest))
    }
}

pub(super) fn sealed(disk: &Disk) -> impl Iterator<Item = Sealed> {
    disk.segments.iter().filter(|segment| !segment.is_newest).filter_map(|segment| Sealed::of(&segment.lines))
}

impl Monitor {
    /// A line it wrote: behind a seal, the next segment begins.
    pub(super) fn wrote(&mut self, line: &Rc<Line>) {
        if self.active.last().is_some_and(|last| matches!(last.event(), Some(EventBody::Seal { .. }))) {
            let lines = std::mem::take(&mut self.active);
            self.seal(&lines);
        }
        self.active.push(Rc::clone(line));
    }

    pub(super) fn seal(&mut self, lines: &[Rc<Line>]) {
        let sealed = Sealed::of(lines).expect("it knows its records");
        self.sealed.insert(sealed.begin.next_seq(), sealed);
    }

    /// Takes note of segments that were deleted.
    pub(super) fn deleted(&mut self, disk: &Disk, first_seq: u64) {
        self.sealed.retain(|seq, _| *seq >= first_seq || disk.segments.iter().any(|s| s.first_seq == Some(*seq)));
    }

    /// Whether a prune is not done yet.
    pub(super) fn is_deleting(&self, first_seq: u64) -> bool {
        self.sealed.keys().any(|seq| *seq < first_seq)
    }

    /// What a look at these segments comes to, none of which is to go yet; without what was `said` of it.
    pub(super) fn due(&self, disk: &Disk, said: &[Rc<Line>], now: Timestamp) -> Option<What> {
        let max_bytes = self.bounds.retention.max_bytes;
        let said_bytes = said.iter().map(|line| line.bytes.len() as u64).sum::<u64>();
        let newest = disk.newest().map_or(0, |newest| newest.bytes);
        let sealed_bytes = self.sealed.values().map(|segment| segment.bytes).sum::<u64>();
        let (mut rest, mut last) = (newest + sealed_bytes - said_bytes, None);
        let from = said.first().and_then(|line| line.before()).map_or(u64::MAX, |before| before.next_seq());
        for segment in self.sealed.values().filter(|segment| segment.end.next_seq() <= from) {
            let age = segment.age(now);
            if age < self.max_age() && (age < YOUNG || rest <= max_bytes - max_bytes / 4) {
                break;
            }
            rest -= segment.bytes;
            last = Some(What::Prune { last_seq: segment.end.next_seq() - 1 });
        }
        last
    }

    /// Whether a prune nobody signed is what would be done now.
    pub(super) fn would(&self, disk: &Disk, ledger: &Ledger, prune: &Prune, first_seq: u64, now: Timestamp) -> bool {
        let at_least_so_old = match prune.reason {
            PruneReason::Age => self.max_age(),
            PruneReason::Bytes => YOUNG,
        };
        let mut going = sealed(disk).take_while(|s| s.end.next_seq() <= prune.last_seq + 1).collect::<Vec<_>>();
        let Some(youngest) = going.pop() else { return false };
        let begins = disk.lines().first().and_then(|line| line.before()).is_some_and(|b| b.next_seq() <= first_seq);
        let adds_up = ledger
            .get(&prune.last_sha256)
            .is_some_and(|s| (s.findings, s.folded) == (prune.counts.findings, prune.counts.folded));
        let old = going.iter().chain([&youngest]).all(|s| s.age(now) >= at_least_so_old);
        let fits = *youngest.end.head() == prune.last_sha256 && youngest.end.next_seq() == prune.last_seq + 1;
        fits && old && adds_up && begins && prune.last_seq + 1 > first_seq
    }

    fn max_age(&self) -> TimeDelta {
        TimeDelta::days(self.bounds.retention.max_age_days.cast_signed())
    }
}
