//! Segments: which are sealed, and which of them go.

use super::disk::{Disk, Line};
use super::ledger::{Ledger, What};
use super::monitor::Monitor;
use attest::{Chain, Record};
use chrono::TimeDelta;
use posture::{EventBody, Prune, PruneReason, Timestamp};
use std::{borrow::Borrow, rc::Rc};

pub(super) const YOUNG: TimeDelta = TimeDelta::days(7);

/// A segment that is sealed, as its lines have it.
pub(super) struct Sealed {
    pub(super) begin: Chain,
    pub(super) end: Chain,
    pub(super) bytes: u64,
    /// Its first record's time, and its youngest one's.
    times: Option<(Timestamp, Timestamp)>,
}

impl Sealed {
    fn of(lines: &[Rc<Line>]) -> Option<Self> {
        let ages = |line: &&Rc<Line>| !matches!(line.event(), Some(EventBody::Seal { .. }));
        let times = lines.iter().filter(ages).filter_map(|l| l.record.as_ref()).map(Record::timestamp);
        Some(Self {
            begin: lines.first()?.before()?,
            end: lines.last()?.behind()?,
            bytes: lines.iter().map(|line| line.bytes.len() as u64).sum(),
            times: times.clone().next().zip(times.max()),
        })
    }

    /// Stamps of the future are no times: then it is as old as the oldest stamp behind it.
    fn age(&self, behind: Timestamp, now: Timestamp) -> TimeDelta {
        match self.times {
            None => TimeDelta::MAX,
            Some((_, youngest)) if youngest > now => now.since(behind),
            Some((_, youngest)) => now.since(youngest),
        }
    }
}

/// Segments and their ages, oldest first, the newest of which begins at `begun`.
fn aged<S: Borrow<Sealed>>(sealed: Vec<S>, begun: Option<Timestamp>, now: Timestamp) -> Vec<(S, TimeDelta)> {
    let age = |n: usize| {
        let firsts = sealed[n + 1..].iter().filter_map(|s| s.borrow().times).map(|(first, _)| first);
        sealed[n].borrow().age(firsts.chain(begun).chain([now]).min().expect("now is one"), now)
    };
    let ages: Vec<_> = (0..sealed.len()).map(age).collect();
    sealed.into_iter().zip(ages).collect()
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

    /// Its sealed segments, oldest first.
    pub(super) fn aged(&self, now: Timestamp) -> Vec<(&Sealed, TimeDelta)> {
        let begun = self.active.first().and_then(|line| line.record.as_ref()).map(Record::timestamp);
        aged(self.sealed.values().collect(), begun, now)
    }

    /// What a look at these segments comes to, none of which is to go yet; without what was `said` of it.
    pub(super) fn due(&self, disk: &Disk, said: &[Rc<Line>], now: Timestamp) -> Option<What> {
        let max_bytes = self.bounds.retention.max_bytes;
        let said_bytes = said.iter().map(|line| line.bytes.len() as u64).sum::<u64>();
        let newest = disk.newest().map_or(0, |newest| newest.bytes);
        let sealed_bytes = self.sealed.values().map(|segment| segment.bytes).sum::<u64>();
        let (mut rest, mut last) = (newest + sealed_bytes - said_bytes, None);
        let from = said.first().and_then(|line| line.before()).map_or(u64::MAX, |before| before.next_seq());
        let aged = self.aged(now);
        for (segment, age) in aged.into_iter().filter(|(segment, _)| segment.end.next_seq() <= from) {
            if age < self.max_age() && (age < YOUNG || rest <= max_bytes - max_bytes / 4) {
                break;
            }
            rest -= segment.bytes;
            last = Some(What::Prune { last_seq: segment.end.next_seq() - 1 });
        }
        last
    }

    /// Whether a prune nobody signed, at record `seq`, is what would be done now.
    pub(super) fn would(
        &self,
        disk: &Disk,
        ledger: &Ledger,
        (seq, prune): (u64, &Prune),
        first_seq: u64,
        now: Timestamp,
    ) -> bool {
        let at_least_so_old = match prune.reason {
            PruneReason::Age => self.max_age(),
            PruneReason::Bytes => YOUNG,
        };
        let sealed = sealed(disk).filter(|s| s.end.next_seq() <= seq).collect();
        let mut firsts = disk.segments.iter().filter_map(|s| s.lines.first()?.record.as_ref());
        let begun = firsts.rfind(|first| first.seq() < seq).map(Record::timestamp);
        let mut going = aged(sealed, begun, now);
        going.retain(|(s, _)| s.end.next_seq() <= prune.last_seq + 1);
        let Some((last, _)) = going.last() else { return false };
        let begins = disk.lines().first().and_then(|line| line.before()).is_some_and(|b| b.next_seq() <= first_seq);
        let adds_up = ledger
            .get(&prune.last_sha256)
            .is_some_and(|s| (s.findings, s.folded) == (prune.counts.findings, prune.counts.folded));
        let old = going.iter().all(|(_, age)| *age >= at_least_so_old);
        let fits = *last.end.head() == prune.last_sha256 && last.end.next_seq() == prune.last_seq + 1;
        fits && old && adds_up && begins && prune.last_seq + 1 > first_seq
    }

    fn max_age(&self) -> TimeDelta {
        TimeDelta::days(self.bounds.retention.max_age_days.cast_signed())
    }
}
