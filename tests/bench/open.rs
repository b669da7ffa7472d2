//! Requests that come when they come, whether or not the ones before were answered: does anything go by unscanned?

use crate::{
    child,
    wire::{Client, Origin, Way},
};
use posture::{Coverage, UnscannedReason};
use std::{
    path::Path,
    sync::atomic::{AtomicU32, Ordering::Relaxed},
    thread,
    time::{Duration, Instant},
};

/// Connections the requests are spread over: enough for one slow answer not to hold the others.
const CONNECTIONS: usize = 8;

/// One load, and what became of it.
pub(crate) struct Load {
    /// Requests a second, as they came.
    pub(crate) came: f64,
    /// From when each was due to its last byte, in order.
    pub(crate) took: Vec<Duration>,
    /// Messages not scanned because the queue was full.
    pub(crate) dropped: u64,
    /// Every byte, message and connection is in one bucket.
    pub(crate) adds_up: bool,
}

/// Sends `number` requests for `target`, one every `interval`.
pub(crate) fn load(way: &Way<'_>, origin: &Origin, home: &Path, target: &str, number: u32, interval: Duration) -> Load {
    let before = dropped(&coverage(home));
    let (next, began) = (AtomicU32::new(0), Instant::now());
    let one = || {
        let mut client = Client::new(way, origin, false);
        let mut took = Vec::new();
        loop {
            let at = next.fetch_add(1, Relaxed);
            if at >= number {
                return took;
            }
            let due = began + interval * at;
            thread::sleep(due.saturating_duration_since(Instant::now()));
            client.get(target);
            took.push(due.elapsed());
        }
    };
    let mut took: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = (0..CONNECTIONS).map(|_| scope.spawn(one)).collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("a client that panicked has said why")).collect()
    });
    let came = f64::from(number) / began.elapsed().as_secs_f64();
    took.sort();
    let after = settled(home);
    let dropped = dropped(&after) - before;
    Load { came, took, dropped, adds_up: after.adds_up() }
}

/// What the monitor says once it has looked at everything.
fn settled(home: &Path) -> Coverage {
    for _ in 0..600 {
        let coverage = coverage(home);
        if coverage.unscanned(UnscannedReason::InProgress).messages == 0 {
            return coverage;
        }
        thread::sleep(Duration::from_millis(100));
    }
    panic!("the scanners did not come to an end within a minute");
}

fn coverage(home: &Path) -> Coverage {
    let said = child::guardian(home).args(["status", "--json"]).output().expect("it runs");
    let status: serde_json::Value = serde_json::from_slice(&said.stdout).expect("JSON");
    serde_json::from_value(status["coverage"].clone()).expect("a coverage")
}

fn dropped(coverage: &Coverage) -> u64 {
    coverage.unscanned(UnscannedReason::Dropped).messages
}
