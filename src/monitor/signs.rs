//! What the other threads leave for the recorder to read: counters that never wait, and signs of life.

use crate::control::KnownValues;
use posture::Attested;
use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

/// A thread at one piece of work for this long hangs, or for an export period if that is shorter: the largest piece of a
/// message is scanned in a second, and a disk takes an export in less.
const STALLED: Duration = Duration::from_secs(20);
/// Whatever the period: a loaded machine lets a thread wait for a while.
const NOT_YET: Duration = Duration::from_secs(5);

/// Written by the scanners and the recorder, read by the recorder and whoever watches both.
pub(super) struct Signs {
    expected: AtomicU64,
    token_seen: AtomicU64,
    audience_mismatch: AtomicU64,
    lost: AtomicU64,
    known: Mutex<KnownValues>,
    scanners: Vec<Life>,
    recorder: Life,
    stalled_after: Duration,
    seen: Mutex<Vec<Seen>>,
    /// Threads that hang and were replaced: each holds the message it hangs at.
    adrift: AtomicU64,
    restarted: AtomicU64,
    /// The recorder hung, and no export has said so yet.
    recorder_hung: AtomicBool,
    queue_used: Box<dyn Fn() -> usize + Send + Sync>,
}

/// One thread at work.
#[derive(Default)]
pub(super) struct Life {
    pieces: AtomicU64,
    busy: AtomicBool,
    over: AtomicBool,
}

/// What the recorder last saw of one.
#[derive(Clone, Copy)]
struct Seen {
    pieces: u64,
    /// Since when it is busy with the same piece.
    since: Option<Instant>,
    stalled: bool,
}

impl Signs {
    /// For so many scanners, and exports `period` apart.
    pub(super) fn new(
        scanners: usize,
        period: Duration,
        queue_used: impl Fn() -> usize + Send + Sync + 'static,
    ) -> Self {
        Self {
            expected: AtomicU64::new(0),
            token_seen: AtomicU64::new(0),
            audience_mismatch: AtomicU64::new(0),
            lost: AtomicU64::new(0),
            known: Mutex::default(),
            scanners: (0..scanners).map(|_| Life::default()).collect(),
            recorder: Life::default(),
            stalled_after: period.clamp(NOT_YET, STALLED),
            // The recorder's is the last.
            seen: Mutex::new(vec![Seen { pieces: 0, since: None, stalled: false }; scanners + 1]),
            adrift: AtomicU64::new(0),
            restarted: AtomicU64::new(0),
            recorder_hung: AtomicBool::new(false),
            queue_used: Box::new(queue_used),
        }
    }

    /// A hit that is the agent working.
    pub(super) fn expected(&self) {
        self.expected.fetch_add(1, Relaxed);
    }

    /// Our own token went by.
    pub(super) fn token_seen(&self, times: u64) {
        self.token_seen.fetch_add(times, Relaxed);
    }

    /// A message's names did not agree.
    pub(super) fn audience_mismatch(&self) {
        self.audience_mismatch.fetch_add(1, Relaxed);
    }

    /// A finding the recorder had no room for.
    pub(super) fn lost(&self) {
        self.lost.fetch_add(1, Relaxed);
    }

    /// What the scanners know from here on.
    pub(super) fn knows(&self, now: KnownValues) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if *known != now {
            let KnownValues { secrets, canaries, skipped, .. } = now;
            tracing::info!(secrets, canaries, skipped, "known values");
            *known = now;
        }
    }

    pub(super) fn known(&self) -> KnownValues {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn attested(&self) -> Attested {
        Attested {
            audience_mismatch: self.audience_mismatch.load(Relaxed),
            expected: self.expected.load(Relaxed),
            not_recorded: self.lost.load(Relaxed),
            token_seen: self.token_seen.load(Relaxed),
            ..Attested::default()
        }
    }

    pub(super) fn queue_used(&self) -> usize {
        (self.queue_used)()
    }

    pub(super) fn scanner(&self, shard: usize) -> &Life {
        &self.scanners[shard]
    }

    pub(super) fn recorder(&self) -> &Life {
        &self.recorder
    }

    /// Looks at every thread, and tells which scanners hang or are gone, now.
    pub(super) fn watch(&self, at: Instant) -> Vec<usize> {
        let mut all = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        for (life, seen) in self.scanners.iter().chain([&self.recorder]).zip(all.iter_mut()) {
            let pieces = life.pieces.load(Relaxed);
            let same = seen.since.filter(|_| pieces == seen.pieces);
            let since = life.busy.load(Relaxed).then(|| same.unwrap_or(at));
            let hangs = since.is_some_and(|since| at.saturating_duration_since(since) >= self.stalled_after);
            *seen = Seen { pieces, since, stalled: hangs || life.over.load(Relaxed) };
        }
        let (recorder, scanners) = all.split_last().expect("the recorder's is there");
        if recorder.stalled {
            self.recorder_hung.store(true, Relaxed);
        }
        scanners.iter().enumerate().filter_map(|(shard, seen)| seen.stalled.then_some(shard)).collect()
    }

    /// Whether a scanner that hung at the last look is at the same piece of work now.
    pub(super) fn hangs_still(&self, shard: usize) -> bool {
        let life = &self.scanners[shard];
        let Seen { pieces, stalled, .. } = self.seen.lock().unwrap_or_else(PoisonError::into_inner)[shard];
        stalled && life.is_busy() && life.pieces.load(Relaxed) == pieces
    }

    /// Whether a scanner hung or was gone at the last look, or one that was replaced still hangs.
    pub(super) fn scanner_stalled(&self) -> bool {
        let all = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let (_, scanners) = all.split_last().expect("the recorder's is there");
        scanners.iter().any(|seen| seen.stalled) || self.adrift() > 0
    }

    /// Whether the recorder hung or was gone at the last look.
    pub(super) fn recorder_stalled(&self) -> bool {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).last().is_some_and(|seen| seen.stalled)
    }

    /// Whether the recorder hung since this was last told to a reader.
    pub(super) fn recorder_hung(&self) -> bool {
        self.recorder_hung.load(Relaxed)
    }

    /// An export said that the recorder hung.
    pub(super) fn told_that_the_recorder_hung(&self) {
        self.recorder_hung.store(false, Relaxed);
    }

    /// A scanner that hangs, or is gone, has a successor.
    pub(super) fn replaced(&self, shard: usize, at: Instant) {
        self.restarted.fetch_add(1, Relaxed);
        self.scanners[shard].over.store(false, Relaxed);
        self.scanners[shard].busy.store(false, Relaxed);
        let mut all = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        all[shard] = Seen { pieces: self.scanners[shard].pieces.load(Relaxed), since: Some(at), stalled: false };
    }

    /// One that was replaced hangs still.
    pub(super) fn goes_adrift(&self) {
        self.adrift.fetch_add(1, Relaxed);
    }

    /// It does no more.
    pub(super) fn comes_back(&self) {
        self.adrift.fetch_sub(1, Relaxed);
    }

    /// Threads that were replaced and hang still.
    pub(super) fn adrift(&self) -> u64 {
        self.adrift.load(Relaxed)
    }

    /// Scanners that were given a successor.
    pub(super) fn restarted(&self) -> u64 {
        self.restarted.load(Relaxed)
    }
}

impl Life {
    /// A piece of work begins.
    pub(super) fn begins(&self) {
        self.pieces.fetch_add(1, Relaxed);
        self.busy.store(true, Relaxed);
    }

    /// It is done.
    pub(super) fn done(&self) {
        self.busy.store(false, Relaxed);
    }

    /// The thread is no more.
    pub(super) fn over(&self) {
        self.over.store(true, Relaxed);
    }

    /// A piece of work, for as long as this is kept.
    pub(super) fn working(&self) -> impl Drop {
        struct Working<'l>(&'l Life);
        impl Drop for Working<'_> {
            fn drop(&mut self) {
                self.0.done();
            }
        }
        self.begins();
        Working(self)
    }

    /// The thread, for as long as this is kept.
    pub(super) fn lived(&self) -> impl Drop {
        struct Lived<'l>(&'l Life);
        impl Drop for Lived<'_> {
            fn drop(&mut self) {
                self.0.over();
            }
        }
        Lived(self)
    }

    /// Begun so far.
    #[cfg(test)]
    pub(super) fn pieces(&self) -> u64 {
        self.pieces.load(Relaxed)
    }

    pub(super) fn is_busy(&self) -> bool {
        self.busy.load(Relaxed)
    }

    pub(super) fn is_over(&self) -> bool {
        self.over.load(Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scanner_that_hangs_or_is_gone_is_stalled_and_an_idle_or_busy_one_is_not() {
        let at = Instant::now();
        let signs = Signs::new(2, Duration::from_secs(60), || 0);
        let stalled_after = |seconds: u64| {
            signs.watch(at + Duration::from_secs(seconds));
            signs.scanner_stalled()
        };
        assert!(!stalled_after(0) && !stalled_after(100), "idle");
        signs.scanner(1).begins();
        assert!(!stalled_after(101) && !stalled_after(120));
        signs.scanner(1).begins();
        assert!(!stalled_after(121) && !stalled_after(140), "another piece");
        assert!(stalled_after(142) && signs.hangs_still(1) && !signs.hangs_still(0));
        signs.scanner(1).done();
        signs.scanner(1).begins();
        assert!(!signs.hangs_still(1), "it went on since that look, to another piece");
        signs.scanner(1).done();
        assert!(!stalled_after(143), "it went on");
        signs.scanner(0).over();
        assert!(stalled_after(144));
    }

    #[test]
    fn a_hang_is_noticed_within_a_period_and_a_short_wait_is_none() {
        let at = Instant::now();
        for (period, noticed) in [(1, 5), (7, 7), (60, 20), (3600, 20)] {
            let signs = Signs::new(1, Duration::from_secs(period), || 0);
            signs.scanner(0).begins();
            signs.recorder().begins();
            let after = |seconds: u64| signs.watch(at + Duration::from_secs(seconds));
            assert_eq!((after(0), after(noticed - 1)), (vec![], vec![]));
            assert!(!signs.recorder_stalled() && !signs.recorder_hung());
            assert_eq!(after(noticed), [0]);
            assert!(signs.recorder_stalled() && signs.recorder_hung());
        }
    }

    #[test]
    fn a_recorder_that_hung_is_remembered_until_it_was_told() {
        let at = Instant::now();
        let signs = Signs::new(1, Duration::from_secs(60), || 0);
        signs.recorder().begins();
        signs.watch(at);
        signs.watch(at + STALLED);
        signs.recorder().done();
        signs.watch(at + STALLED);
        assert!(!signs.recorder_stalled() && signs.recorder_hung() && !signs.scanner_stalled());
        signs.told_that_the_recorder_hung();
        assert!(!signs.recorder_hung());
    }
}
