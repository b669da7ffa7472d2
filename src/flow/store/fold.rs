//! Sightings → windows: the first of a kind is a finding, those that follow within its window are a number.

use posture::{EventBody, FindingRecord};
use sha2::{Digest, Sha256};
use std::{
    collections::{HashMap, VecDeque},
    time::{Duration, Instant},
};

/// Room that is made at once: what a table takes that grows is taken late, and from between everything else.
const ROOM: usize = 4096;

/// What makes two sightings the same: a digest of it, so that an open window takes 100 bytes whatever they name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Key([u8; 32]);

impl Key {
    pub(super) fn of(record: &FindingRecord) -> Self {
        let mut digest = Sha256::new();
        let (rule, fingerprint) = (record.rule.as_str(), record.fingerprint.as_str());
        for part in [rule, fingerprint, record.direction.as_str(), &record.dest] {
            digest.update((part.len() as u64).to_le_bytes());
            digest.update(part);
        }
        Self(digest.finalize().into())
    }
}

struct Window {
    finding_seq: u64,
    more: u64,
}

/// The windows that are open, oldest first: they all last equally long.
pub(super) struct Folds {
    length: Duration,
    max_open: usize,
    open: HashMap<Key, Window>,
    order: VecDeque<(Instant, Key)>,
}

impl Folds {
    pub(super) fn new(length: Duration, max_open: usize) -> Self {
        let (max_open, room) = (max_open.max(1), max_open.min(ROOM));
        Self { length, max_open, open: HashMap::with_capacity(room), order: VecDeque::with_capacity(room) }
    }

    /// From here on windows last so long, and so many are open; the folds of those too many are returned.
    pub(super) fn rebound(&mut self, length: Duration, max_open: usize) -> Vec<EventBody> {
        (self.length, self.max_open) = (length, max_open.max(1));
        let mut folds = Vec::new();
        while self.open.len() > self.max_open {
            folds.extend(self.close_oldest());
        }
        folds
    }

    /// Counts a sighting if a window for it is open. Close what has lasted first.
    pub(super) fn sighting(&mut self, key: &Key) -> bool {
        self.open.get_mut(key).map(|window| window.more += 1).is_some()
    }

    /// Opens the window of the finding at `finding_seq`, which has been seen `more` times since. The oldest one makes
    /// room when there is none; its fold is returned.
    pub(super) fn open(&mut self, key: Key, finding_seq: u64, more: u64, at: Instant) -> Option<EventBody> {
        let closed = if self.open.len() >= self.max_open { self.close_oldest() } else { None };
        self.order.push_back((at, key));
        self.open.insert(key, Window { finding_seq, more });
        closed
    }

    /// Closes the windows that have lasted, and returns the folds of those that folded anything.
    pub(super) fn close_lasted(&mut self, at: Instant) -> Vec<EventBody> {
        let mut folds = Vec::new();
        while self.order.front().is_some_and(|(opened, _)| at.saturating_duration_since(*opened) >= self.length) {
            folds.extend(self.close_oldest());
        }
        folds
    }

    /// Closes every window.
    pub(super) fn close_all(&mut self) -> Vec<EventBody> {
        let mut folds = Vec::new();
        while !self.order.is_empty() {
            folds.extend(self.close_oldest());
        }
        folds
    }

    /// Forgets every window: the findings they belong to need not be in this log. Returns how many sightings they folded,
    /// of which no event can tell any more.
    pub(super) fn forget(&mut self) -> u64 {
        self.order.clear();
        self.open.drain().map(|(_, window)| window.more).sum()
    }

    fn close_oldest(&mut self) -> Option<EventBody> {
        let (_, key) = self.order.pop_front()?;
        let Window { finding_seq, more } = self.open.remove(&key)?;
        (more > 0).then_some(EventBody::Fold { count: more, finding_seq })
    }
}
