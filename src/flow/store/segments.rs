//! Records → segments, and which of them go: sealed ones alone, oldest first, by age or for room.
//!
//! Pure: what it is told of the files, it believes. A prune is announced in the log, signed, and only then done.
//!
//! Records are as old as their stamps say, unless these lie in the future: a clock was ahead when they were written, and
//! they would be young for as long as it was ahead. Such records are no younger than what was appended after them.
//! Stamps that can be true are believed, whatever follows: a clock that is behind for a while makes none of those old.

use attest::{Chain, Record};
use chrono::TimeDelta;
use posture::{Counts, EventBody, Prune, PruneReason, Retention, Timestamp};
use std::collections::VecDeque;

/// For room, no younger record goes: a flood must not flush evidence.
pub(super) const YOUNG: TimeDelta = TimeDelta::days(7);
/// Exports before pruned segments are deleted: one that signs it, and two more for readers who are inside an older one.
const EXPORTS: u32 = 3;
/// A segment spans no more than this part of the age at which records go, so that they do not stay for much longer.
const AGE_PARTS: i32 = 8;
/// A record stamped so far in the future ends its segment: with the next one, its age is known again.
const AHEAD: TimeDelta = TimeDelta::hours(1);
/// What a segment's last line takes at most.
const SEAL_BYTES: u64 = 512;

/// A segment nothing is appended to any more.
#[derive(Debug, Clone)]
pub(super) struct Sealed {
    pub(super) first_seq: u64,
    bytes: u64,
    times: Option<Times>,
    /// What its own records add up to.
    counts: Counts,
    end: Chain,
}

impl Sealed {
    /// Of its youngest record, behind which there is one of the time `after`.
    fn age(&self, after: Timestamp, now: Timestamp) -> TimeDelta {
        self.times.map_or(TimeDelta::MAX, |times| {
            let written = if times.youngest > now { after } else { times.youngest };
            now.since(written)
        })
    }
}

/// Of a segment's records.
#[derive(Debug, Clone, Copy)]
struct Times {
    first: Timestamp,
    youngest: Timestamp,
}

/// The segment that is written to.
#[derive(Debug, Clone)]
struct Active {
    first_seq: u64,
    records: u64,
    times: Option<Times>,
    counts: Counts,
    /// Its last record is a seal.
    is_over: bool,
}

impl Active {
    fn new(first_seq: u64) -> Self {
        Self { first_seq, records: 0, times: None, counts: Counts::default(), is_over: false }
    }
}

/// A prune that is not done yet.
#[derive(Debug, Clone, Copy)]
struct Announced {
    /// Its event.
    seq: u64,
    /// Exports since that cover it.
    exports: u32,
}

/// Whose word an event in the log is.
#[derive(Debug, Clone, Copy)]
pub(super) enum Authority {
    /// We wrote it just now.
    Ours,
    /// A signed posture covers it.
    Signed,
    /// Nobody's yet: it must be what this monitor would have written by now.
    Unsigned(Retention, Timestamp),
    /// Nobody's, and nothing signed is left to hold it against.
    Alone(Retention, Timestamp),
}

/// All segments there are.
#[derive(Debug)]
pub(super) struct Segments {
    /// Where the oldest one begins.
    begin: Chain,
    /// The first record retained: those below it go, or went.
    first_seq: u64,
    /// What these add up to.
    pruned: Counts,
    sealed: VecDeque<Sealed>,
    active: Active,
    announced: Option<Announced>,
}

impl Segments {
    /// None but the one that begins at `begin`.
    pub(super) fn new(begin: Chain) -> Self {
        let active = Active::new(begin.next_seq());
        Self {
            begin,
            first_seq: attest::chain::FIRST_SEQ,
            pruned: Counts::default(),
            sealed: VecDeque::new(),
            active,
            announced: None,
        }
    }

    /// A record that was appended to the active segment.
    pub(super) fn see(&mut self, record: &Record) {
        let (active, at) = (&mut self.active, record.timestamp());
        record.count(&mut active.counts);
        active.records += 1;
        active.is_over = matches!(record, Record::Event(e) if matches!(e.event, EventBody::Seal { .. }));
        // A seal comes whenever the next record does, and says nothing that would age.
        if !active.is_over {
            let times = active.times.unwrap_or(Times { first: at, youngest: at });
            active.times = Some(Times { youngest: times.youngest.max(at), ..times });
        }
    }

    /// The active segment, of so many bytes, got its name, and the next one begins at `end`.
    pub(super) fn seal(&mut self, bytes: u64, end: &Chain) {
        let Active { first_seq, times, counts, .. } = std::mem::replace(&mut self.active, Active::new(end.next_seq()));
        self.sealed.push_back(Sealed { first_seq, bytes, times, counts, end: end.clone() });
    }

    /// The first record retained.
    pub(super) fn first_seq(&self) -> u64 {
        self.first_seq
    }

    /// The first record of the active segment.
    pub(super) fn active_first_seq(&self) -> u64 {
        self.active.first_seq
    }

    /// Whether the active segment ends with its seal, and the next one has yet to begin.
    pub(super) fn is_over(&self) -> bool {
        self.active.is_over
    }

    /// Whether the active segment is to begin with a checkpoint, and has not begun.
    pub(super) fn is_to_begin(&self) -> bool {
        self.active.records == 0 && !self.sealed.is_empty()
    }

    /// Whether the active segment, of so many bytes, should end before a line of `line` bytes.
    pub(super) fn is_full(&self, bytes: u64, line: u64, retention: &Retention, now: Timestamp) -> bool {
        let full = bytes + line + SEAL_BYTES > retention.segment_bytes;
        let span = (max_age(retention) / AGE_PARTS).max(TimeDelta::days(1));
        let old = self.active.times.is_some_and(|times| now.since(times.first) >= span);
        let ahead = self.active.times.is_some_and(|times| times.youngest.since(now) >= AHEAD);
        // It holds more than the checkpoint it begins with.
        self.active.is_over || self.active.records > 1 && (full || old || ahead)
    }

    /// Bytes of all sealed segments, pruned ones that are still there included.
    pub(super) fn sealed_bytes(&self) -> u64 {
        self.sealed.iter().map(|s| s.bytes).sum()
    }

    /// Of these, bytes of segments with young records.
    pub(super) fn young_bytes(&self, now: Timestamp) -> u64 {
        self.aged(now).filter(|(_, age)| *age < YOUNG).map(|(s, _)| s.bytes).sum()
    }

    /// The sealed segments and how old each is, the newest one first.
    fn aged(&self, now: Timestamp) -> impl Iterator<Item = (&Sealed, TimeDelta)> {
        let mut after = self.active.times.map_or(now, |times| times.first.min(now));
        self.sealed.iter().rev().map(move |segment| {
            let age = segment.age(after, now);
            after = segment.times.map_or(after, |times| times.first.min(after));
            (segment, age)
        })
    }

    /// What all records since genesis add up to.
    pub(super) fn counts(&self) -> Counts {
        let mut counts = self.below(u64::MAX);
        counts.add(&self.active.counts);
        counts
    }

    /// What the records below `seq`, where a segment begins, add up to.
    fn below(&self, seq: u64) -> Counts {
        let mut counts = self.pruned.clone();
        for segment in self.sealed.iter().filter(|s| s.first_seq >= self.first_seq && s.end.next_seq() <= seq) {
            counts.add(&segment.counts);
        }
        counts
    }

    // === what goes ===

    /// The prune that is due with a log of so many bytes; none while one is not done.
    pub(super) fn due(&self, retention: &Retention, bytes: u64, now: Timestamp) -> Option<Prune> {
        if self.announced.is_some() {
            return None;
        }
        let full = retention.max_bytes - retention.max_bytes / 4;
        let mut rest = bytes;
        let mut last: Option<(&Sealed, PruneReason)> = None;
        let aged: Vec<_> = self.aged(now).collect();
        for (segment, age) in aged.into_iter().rev() {
            let reason = match () {
                () if age >= max_age(retention) => PruneReason::Age,
                () if age >= YOUNG && rest > full => PruneReason::Bytes,
                () => break,
            };
            // Some of it would not go yet but for the room.
            let reason = last.map_or(reason, |(_, before)| reason.max(before));
            rest = rest.saturating_sub(segment.bytes);
            last = Some((segment, reason));
        }
        let (Sealed { end, .. }, reason) = last?;
        Some(Prune {
            counts: self.below(end.next_seq()),
            last_seq: end.next_seq() - 1,
            last_sha256: end.head().clone(),
            reason,
        })
    }

    /// Takes note of the prune event at `seq`. False when it is not one to believe.
    pub(super) fn announce(&mut self, seq: u64, prune: &Prune, authority: Authority) -> bool {
        let Some(first_seq) = prune.last_seq.checked_add(1) else { return false };
        let ends = std::iter::once(&self.begin).chain(self.sealed.iter().map(|s| &s.end));
        let fits = ends.into_iter().any(|end| end.next_seq() == first_seq && *end.head() == prune.last_sha256);
        let believed = match authority {
            // Of a prune before the newest one, nothing may be left to hold it against.
            Authority::Signed if first_seq < self.begin.next_seq() => return true,
            Authority::Ours | Authority::Signed => fits,
            // Somebody without our key may have written it: then it would be us who delete what they could not.
            Authority::Unsigned(retention, now) => fits && self.would(first_seq, prune, &retention, now),
            // What is gone already cannot be told from what a signed posture once covered.
            Authority::Alone(retention, now) => {
                fits && (self.is_torn_off() || self.would(first_seq, prune, &retention, now))
            }
        };
        if believed {
            self.first_seq = first_seq;
            self.pruned = prune.counts.clone();
            self.announced = Some(Announced { seq, exports: u32::from(matches!(authority, Authority::Signed)) });
        }
        believed
    }

    /// Takes note of a recovery with record `seq`, before which everything adds up to `counts`. False when the log does
    /// not begin there.
    pub(super) fn begin_anew(&mut self, seq: u64, counts: &Counts) -> bool {
        let begins = seq == self.begin.next_seq() && seq > self.first_seq;
        if begins {
            (self.first_seq, self.pruned) = (seq, counts.clone());
        }
        begins
    }

    /// Whether the oldest record there is, and the first one retained, has this number.
    pub(super) fn begins_at(&self, seq: u64) -> bool {
        (self.begin.next_seq(), self.first_seq) == (seq, seq)
    }

    fn would(&self, first_seq: u64, prune: &Prune, retention: &Retention, now: Timestamp) -> bool {
        let least = match prune.reason {
            PruneReason::Age => max_age(retention),
            PruneReason::Bytes => YOUNG,
        };
        let mut going = self.aged(now).filter(|(s, _)| s.end.next_seq() <= first_seq);
        let old = going.all(|(_, age)| age >= least);
        old && first_seq > self.first_seq && !self.is_torn_off() && prune.counts == self.below(first_seq)
    }

    /// Whether records at the beginning are gone that no prune speaks for.
    pub(super) fn is_torn_off(&self) -> bool {
        self.begin.next_seq() > self.first_seq
    }

    /// A posture covers the log up to `next_seq`.
    pub(super) fn signed(&mut self, next_seq: u64) {
        if let Some(announced) = self.announced.as_mut().filter(|a| a.seq < next_seq) {
            announced.exports += 1;
        }
    }

    /// The oldest segment, if it may be deleted now.
    pub(super) fn deletable(&self) -> Option<&Sealed> {
        self.announced.filter(|a| a.exports >= EXPORTS)?;
        self.sealed.front().filter(|s| s.first_seq < self.first_seq)
    }

    /// The oldest segment was deleted.
    pub(super) fn deleted(&mut self) {
        if let Some(gone) = self.sealed.pop_front() {
            self.begin = gone.end;
        }
        self.settle();
    }

    /// A prune of which nothing is left to do is done.
    pub(super) fn settle(&mut self) {
        if self.sealed.front().is_none_or(|s| s.first_seq >= self.first_seq) {
            self.announced = None;
        }
    }
}

fn max_age(retention: &Retention) -> TimeDelta {
    i64::try_from(retention.max_age_days).ok().and_then(TimeDelta::try_days).unwrap_or(TimeDelta::MAX)
}
