//! Signs of life → successors for scanners that hang, words for the log, and the supervisor's watchdog.
//!
//! It runs among the proxy's own tasks: when these no longer run, the watchdog is not fed either.

use super::{scanners::Shard, signs::Signs, supervisor};
use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
    thread::JoinHandle,
    time::{Duration, Instant},
};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

const EVERY: Duration = Duration::from_secs(1);
/// Threads that hang are not ended, for no thread can be: with so many of them, no more are begun.
const MAX_ADRIFT: u64 = 8;

/// The threads that scan, those that were replaced included.
pub(super) type Threads = Arc<Mutex<Vec<JoinHandle<()>>>>;

/// Watches the threads of one run.
pub(super) struct Watch {
    pub(super) shards: Vec<Arc<Shard>>,
    pub(super) threads: Threads,
    pub(super) signs: Arc<Signs>,
    /// What ends after this ends as it should.
    pub(super) shutdown: CancellationToken,
}

impl Watch {
    /// Starts a thread for each shard.
    pub(super) fn start(shards: Vec<Arc<Shard>>, signs: Arc<Signs>, shutdown: CancellationToken) -> io::Result<Self> {
        let threads = shards.iter().map(Shard::spawn).collect::<io::Result<Vec<_>>>()?;
        Ok(Self { shards, threads: Arc::new(Mutex::new(threads)), signs, shutdown })
    }

    /// Until the end of the proxy's own tasks.
    pub(super) async fn attend(self) {
        let every = supervisor::alive_every().map_or(EVERY, |often| often.min(EVERY)).max(Duration::from_millis(10));
        let mut turn = interval(every);
        turn.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut stalled = false;
        loop {
            turn.tick().await;
            let well = self.look(Instant::now());
            if well {
                supervisor::alive();
            } else if !stalled {
                tracing::error!("a scanner or the recorder does not go on");
            }
            stalled = !well;
        }
    }

    /// Looks once; whether all is well, or on its way to an end.
    fn look(&self, at: Instant) -> bool {
        let stalled = self.signs.watch(at);
        if self.shutdown.is_cancelled() {
            return true;
        }
        // A scanner that waits for a recorder that hangs is no better off with a successor.
        if !self.signs.recorder_stalled() {
            for shard in stalled {
                self.replace(shard, at);
            }
        }
        !self.signs.scanner_stalled() && !self.signs.recorder_stalled()
    }

    fn replace(&self, shard: usize, at: Instant) {
        if self.signs.adrift() >= MAX_ADRIFT {
            return;
        }
        match self.shards[shard].replace(at) {
            Ok(None) => {}
            Ok(Some(thread)) => {
                tracing::error!(shard, "a scanner hung or ended, and another took its place");
                let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
                threads.retain(|thread| !thread.is_finished());
                threads.push(thread);
            }
            Err(error) => {
                tracing::error!(shard, error = crate::warned::why(&error), "no other scanner could be started");
            }
        }
    }
}
