//! What comes in: folded, refused, or written.

use super::disk::Disk;
use super::ledger::What;
use super::monitor::Monitor;
use super::segments::YOUNG;
use posture::Timestamp;
use std::time::{Duration, Instant};

const WINDOW: Duration = Duration::from_secs(600);

pub(super) struct Window {
    value: u64,
    opened: Instant,
    more: u64,
}

impl Monitor {
    /// Whether a window is open for this value: then it counts one more.
    pub(super) fn sighting(&mut self, value: u64) -> bool {
        self.windows.iter_mut().find(|window| window.value == value).map(|window| window.more += 1).is_some()
    }

    /// Whether there is room for a finding, grave or seen before.
    pub(super) fn admits(&self, disk: &Disk, grave: bool, now: Timestamp) -> bool {
        let max = self.bounds.retention.max_bytes;
        let quarantine = disk.quarantine.as_ref().map_or(0, |q| q.bytes);
        let newest = if self.is_quarantined { quarantine } else { disk.newest().map_or(0, |s| s.bytes) };
        let sealed = self.sealed.values().filter(|_| !self.is_quarantined);
        let aged = self.aged(now).into_iter().filter(|(_, age)| !self.is_quarantined && *age < YOUNG);
        let young = newest + aged.map(|(segment, _)| segment.bytes).sum::<u64>();
        let used = newest + sealed.map(|s| s.bytes).sum::<u64>();
        used < max - max / 8 && (young < max / 2 || grave || !self.seen)
    }

    pub(super) fn refuse(&mut self, at: Instant) {
        self.overflow.get_or_insert((at, 0)).1 += 1;
        self.tally.not_recorded += 1;
        self.refused = true;
    }

    /// A finding is in the log: its window opens.
    pub(super) fn found(&mut self, value: u64, at: Instant) {
        self.events.push(What::Found(value));
        self.seen = true;
        if self.windows.len() >= self.bounds.fold_open_max {
            let oldest = self.close_oldest(1);
            self.events.extend(oldest);
        }
        self.windows.push_back(Window { value, opened: at, more: 0 });
    }

    /// The fold events of windows that have lasted.
    pub(super) fn close_lasted(&mut self, at: Instant) -> Vec<What> {
        self.close(|window| at.saturating_duration_since(window.opened) >= WINDOW)
    }

    pub(super) fn close_all(&mut self) -> Vec<What> {
        let mut events = self.close(|_| true);
        events.extend(self.overflow.take().map(|(_, count)| What::Overflow(count)));
        events
    }

    /// The findings these windows belong to need not be in the log any more: no event tells what they folded.
    pub(super) fn forget(&mut self) {
        self.tally.not_recorded += self.windows.drain(..).map(|window| window.more).sum::<u64>();
    }

    pub(super) fn close_too_many(&mut self) -> Vec<What> {
        let too_many = self.windows.len().saturating_sub(self.bounds.fold_open_max);
        self.close_oldest(too_many)
    }

    pub(super) fn overflow_lasted(&mut self, at: Instant) -> Option<What> {
        let lasted = self.overflow.is_some_and(|(opened, _)| at.saturating_duration_since(opened) >= WINDOW);
        if lasted { self.overflow.take().map(|(_, count)| What::Overflow(count)) } else { None }
    }

    fn close_oldest(&mut self, number: usize) -> Vec<What> {
        let folded: Vec<_> = self.windows.drain(..number).map(|window| window.more).collect();
        folded.into_iter().filter(|more| *more > 0).map(What::Fold).collect()
    }

    fn close(&mut self, mut lasted: impl FnMut(&Window) -> bool) -> Vec<What> {
        let mut events = Vec::new();
        while self.windows.front().is_some_and(&mut lasted) {
            let window = self.windows.pop_front().expect("it was there");
            events.extend((window.more > 0).then_some(What::Fold(window.more)));
        }
        events
    }
}
