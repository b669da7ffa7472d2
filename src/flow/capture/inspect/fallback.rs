//! Rejections → whether a connection may pass unopened. An off-switch in the agent's hands, so it is narrow.
//!
//! One kind of client (by the shape of its `ClientHello`) that rejected our certificate for one host three times in a row
//! gets a tunnel to that host for ten minutes. A host that was intercepted once in this run never does.

use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

/// Rejections in a row.
const TIMES: u8 = 3;
/// How long a tunnel is given; and how long rejections are remembered.
pub(super) const LASTS: Duration = super::super::meter::Fallback::LASTS;
/// Hosts remembered. When there are more, no host can fall back any more.
const MAX_HOSTS: usize = 16 << 10;
/// Pairs of a host and a shape remembered. While there are more, no further one can fall back.
const MAX_PAIRS: usize = 1024;

/// Who was rejected, and who was not.
#[derive(Default)]
pub(super) struct Fallback {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    intercepted: HashSet<String>,
    pairs: HashMap<(String, u64), Pair>,
}

struct Pair {
    times: u8,
    last: Instant,
}

impl Fallback {
    /// Whether this kind of client gets a tunnel to this host now.
    pub(super) fn tunnels(&self, host: &str, shape: u64, now: Instant) -> bool {
        let state = self.state();
        // Without a rejection there is nothing to look up: the usual case costs no allocation.
        if state.pairs.is_empty() || !state.may(host) {
            return false;
        }
        let pair = state.pairs.get(&(host.to_owned(), shape));
        pair.is_some_and(|pair| pair.times >= TIMES && !pair.is_over(now))
    }

    /// This kind of client rejected our certificate for this host. True when that gives it a tunnel from now on.
    pub(super) fn rejected(&self, host: &str, shape: u64, now: Instant) -> bool {
        let mut state = self.state();
        if !state.may(host) {
            return false;
        }
        state.pairs.retain(|_, pair| !pair.is_over(now));
        let room = state.pairs.len() < MAX_PAIRS;
        let key = (host.to_owned(), shape);
        if !room && !state.pairs.contains_key(&key) {
            return false;
        }
        let pair = state.pairs.entry(key).or_insert(Pair { times: 0, last: now });
        if pair.times >= TIMES {
            return false;
        }
        pair.times += 1;
        pair.last = now;
        pair.times == TIMES
    }

    /// A client took our certificate for this host.
    pub(super) fn intercepted(&self, host: &str) {
        let mut state = self.state();
        if state.intercepted.len() < MAX_HOSTS && !state.intercepted.contains(host) {
            state.intercepted.insert(host.to_owned());
            state.pairs.retain(|(of, _), _| of != host);
        }
    }

    // Nothing in here can panic half-way.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn may(&self, host: &str) -> bool {
        self.intercepted.len() < MAX_HOSTS && !self.intercepted.contains(host)
    }
}

impl Pair {
    fn is_over(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.last) >= LASTS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: u64 = 7;

    fn reject(fallback: &Fallback, times: usize, now: Instant) -> Vec<bool> {
        (0..times).map(|_| fallback.rejected("pinned.example", SHAPE, now)).collect()
    }

    #[test]
    fn three_rejections_in_a_row_give_ten_minutes_to_that_client_and_host_alone() {
        let (fallback, now) = (Fallback::default(), Instant::now());
        assert_eq!(reject(&fallback, 2, now), [false, false]);
        assert!(!fallback.tunnels("pinned.example", SHAPE, now));
        assert_eq!(reject(&fallback, 2, now), [true, false], "told once");
        assert!(fallback.tunnels("pinned.example", SHAPE, now));
        assert!(!fallback.tunnels("pinned.example", SHAPE + 1, now));
        assert!(!fallback.tunnels("other.example", SHAPE, now));
        assert!(fallback.tunnels("pinned.example", SHAPE, now + LASTS - Duration::from_secs(1)));
        assert!(!fallback.tunnels("pinned.example", SHAPE, now + LASTS));
        assert_eq!(reject(&fallback, 3, now + LASTS), [false, false, true], "and then from the beginning");
    }

    #[test]
    fn a_host_intercepted_once_never_falls_back() {
        let (fallback, now) = (Fallback::default(), Instant::now());
        fallback.intercepted("pinned.example");
        assert_eq!(reject(&fallback, 5, now), [false; 5]);
        assert!(!fallback.tunnels("pinned.example", SHAPE, now));
    }

    #[test]
    fn an_interception_ends_a_tunnel_already_given() {
        let (fallback, now) = (Fallback::default(), Instant::now());
        reject(&fallback, 3, now);
        fallback.intercepted("pinned.example");
        assert!(!fallback.tunnels("pinned.example", SHAPE, now));
    }

    #[test]
    fn rejections_long_apart_are_not_in_a_row() {
        let (fallback, now) = (Fallback::default(), Instant::now());
        for n in 0..6 {
            assert_eq!(reject(&fallback, 1, now + LASTS * n), [false]);
        }
    }

    #[test]
    fn a_flood_of_hosts_buys_nothing() {
        let (fallback, now) = (Fallback::default(), Instant::now());
        for n in 0..MAX_PAIRS {
            fallback.rejected(&format!("{n}.example"), SHAPE, now);
        }
        assert_eq!(reject(&fallback, 4, now), [false; 4]);
        for n in 0..=MAX_HOSTS {
            fallback.intercepted(&format!("{n}.example"));
        }
        assert!(!fallback.rejected("late.example", SHAPE, now + LASTS * 2));
        assert_eq!(fallback.state().intercepted.len(), MAX_HOSTS);
    }
}
