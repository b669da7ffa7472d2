//! The way to one scanner: a channel whose receiver sleeps lightly.
//!
//! **Who wakes whom.** Waking a thread is a system call, and costs more than all else that is done here for a message.
//! So a scanner with nothing to do looks again by itself, after pauses that grow, and goes to sleep only after the
//! longest of them: as long as messages come, whoever relays them calls nobody. It is woken early when much waits.

use super::{
    Fed,
    budget::{Budget, Charge, Holding},
};
use std::{
    sync::{
        Arc,
        atomic::{
            AtomicU8,
            Ordering::{Relaxed, SeqCst},
            fence,
        },
        mpsc::{self, Receiver, Sender, SyncSender, TryRecvError},
    },
    time::Duration,
};

/// A scanner's first pause and, each twice the one before, its longest. After it, it sleeps.
const PAUSES: [Duration; 2] = [Duration::from_millis(1), Duration::from_millis(64)];
/// A scanner that pauses is woken when as much waits, or a quarter of the queue: memory is best used again while warm.
const PRESSING: usize = 1 << 20;

/// The way to one scanner. Its fields go in this order: a scanner woken by the bell's end finds the queue's.
pub(super) struct Shard {
    parts: Sender<Fed>,
    bell: SyncSender<()>,
    rest: Arc<AtomicU8>,
}

/// One scanner's end of the queue: the whole of every message that falls to it, in order.
pub struct Intake {
    parts: Receiver<Fed>,
    bell: Receiver<()>,
    rest: Arc<AtomicU8>,
    budget: Budget,
    share: usize,
}

/// What a scanner does while it has nothing to do.
const AWAKE: u8 = 0;
const PAUSING: u8 = 1;
const ASLEEP: u8 = 2;

/// A way to a scanner, which may hold `share` bytes of its open messages.
pub(super) fn channel(budget: &Budget, share: usize) -> (Shard, Intake) {
    let ((sender, parts), (ring, bell)) = (mpsc::channel(), mpsc::sync_channel(1));
    let rest = Arc::new(AtomicU8::new(AWAKE));
    let there = Shard { parts: sender, bell: ring, rest: Arc::clone(&rest) };
    (there, Intake { parts, bell, rest, budget: budget.clone(), share })
}

impl Shard {
    /// Hands something to the scanner, and wakes it if it would not come by itself in time. `false` without a scanner.
    pub(super) fn send(&self, fed: Fed) -> bool {
        let budget = &fed.charge.budget;
        let pressing = budget.used.load(Relaxed) > PRESSING.min(budget.limit / 4);
        if self.parts.send(fed).is_err() {
            return false;
        }
        // Either it sees what was sent, or we see that it rests.
        fence(SeqCst);
        let rest = self.rest.load(Relaxed);
        if (rest == ASLEEP || rest == PAUSING && pressing) && self.rest.swap(AWAKE, Relaxed) != AWAKE {
            // Rung already is as good.
            let _ = self.bell.try_send(());
        }
        true
    }
}

impl Intake {
    /// The next thing to scan; waits for it. `None` when the proxy is gone and everything was handed over.
    pub fn recv(&self) -> Option<Fed> {
        let [mut pause, longest] = PAUSES;
        loop {
            let found = match self.parts.try_recv() {
                Err(TryRecvError::Empty) => self.rest(pause, longest),
                found => found,
            };
            match found {
                Ok(fed) => return Some(fed),
                Err(TryRecvError::Disconnected) => return None,
                Err(TryRecvError::Empty) => pause = pause.saturating_mul(2),
            }
        }
    }

    /// Pauses, or sleeps where a pause would be longer than the longest, unless something comes at the last moment.
    fn rest(&self, pause: Duration, longest: Duration) -> Result<Fed, TryRecvError> {
        let sleeps = pause > longest;
        self.rest.store(if sleeps { ASLEEP } else { PAUSING }, Relaxed);
        fence(SeqCst);
        let found = self.parts.try_recv();
        if matches!(found, Err(TryRecvError::Empty)) {
            // Rung, over or ended: whoever asked looks again.
            if sleeps {
                let _ = self.bell.recv();
            } else {
                let _ = self.bell.recv_timeout(pause);
            }
        }
        self.rest.store(AWAKE, Relaxed);
        found
    }

    /// The bytes this scanner may hold of its open messages together: beyond, one of several gives way. Those that stall
    /// would otherwise leave no room for those that begin.
    pub fn share(&self) -> usize {
        self.share
    }

    /// A place to tell what a scanner holds of a message, nothing at first.
    pub fn holding(&self) -> Holding {
        Holding(Charge { budget: self.budget.clone(), bytes: 0 })
    }

    /// What waits to be scanned, without waiting for it.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> Option<Fed> {
        self.parts.try_recv().ok()
    }
}
