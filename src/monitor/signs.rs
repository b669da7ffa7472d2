//! What the other threads leave for the recorder to read: counters that never wait, and signs of life.

use posture::Attested;
use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

/// A scanner at one piece of a message for this long hangs: the largest it gets is scanned in a second.
const STALLED: Duration = Duration::from_secs(20);

/// Written by the scanners, read by the recorder.
pub(super) struct Signs {
    expected: AtomicU64,
    token_seen: AtomicU64,
    audience_mismatch: AtomicU64,
    lost: AtomicU64,
    scanners: Vec<Life>,
    seen: Mutex<Vec<Seen>>,
    queue_used: Box<dyn Fn() -> usize + Send + Sync>,
}

/// One scanner thread.
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
    pub(super) fn new(scanners: usize, queue_used: impl Fn() -> usize + Send + Sync + 'static) -> Self {
        Self {
            expected: AtomicU64::new(0),
            token_seen: AtomicU64::new(0),
            audience_mismatch: AtomicU64::new(0),
            lost: AtomicU64::new(0),
            scanners: (0..scanners).map(|_| Life::default()).collect(),
            seen: Mutex::new(vec![Seen { pieces: 0, since: None, stalled: false }; scanners]),
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

    /// Looks at every scanner.
    pub(super) fn watch(&self, at: Instant) {
        let mut all = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        for (life, seen) in self.scanners.iter().zip(all.iter_mut()) {
            let pieces = life.pieces.load(Relaxed);
            let same = seen.since.filter(|_| pieces == seen.pieces);
            let since = life.busy.load(Relaxed).then(|| same.unwrap_or(at));
            let hangs = since.is_some_and(|since| at.saturating_duration_since(since) >= STALLED);
            *seen = Seen { pieces, since, stalled: hangs || life.over.load(Relaxed) };
        }
    }

    /// Whether a scanner hung or was gone at the last look.
    pub(super) fn scanner_stalled(&self) -> bool {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).iter().any(|seen| seen.stalled)
    }
}

impl Life {
    /// A piece of a message is being looked at.
    pub(super) fn begins(&self) {
        self.pieces.fetch_add(1, Relaxed);
        self.busy.store(true, Relaxed);
    }

    /// It was.
    pub(super) fn done(&self) {
        self.busy.store(false, Relaxed);
    }

    /// The thread is no more.
    pub(super) fn over(&self) {
        self.over.store(true, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scanner_that_hangs_or_is_gone_is_stalled_and_an_idle_or_busy_one_is_not() {
        let at = Instant::now();
        let signs = Signs::new(2, || 0);
        let stalled_after = |seconds: u64| {
            signs.watch(at + Duration::from_secs(seconds));
            signs.scanner_stalled()
        };
        assert!(!stalled_after(0) && !stalled_after(100), "idle");
        signs.scanner(1).begins();
        assert!(!stalled_after(101) && !stalled_after(120));
        signs.scanner(1).begins();
        assert!(!stalled_after(121) && !stalled_after(140), "another piece");
        assert!(stalled_after(142));
        signs.scanner(1).done();
        assert!(!stalled_after(143), "it went on");
        signs.scanner(0).over();
        assert!(stalled_after(144));
    }
}
