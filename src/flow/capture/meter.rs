//! What was relayed, each connection, message and byte in exactly one bucket at every moment.

mod ticket;

pub use ticket::{ConnectionTicket, MessageTicket, OpaqueTicket};

use super::reply::Refusal;
use posture::{Coverage, Timestamp, Totals, Unscanned, UnscannedReason};
use std::collections::BTreeMap;
use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, AtomicU64},
};
use tokio::time::Instant;

/// Counts what passes since this process began. Cheap to clone; all clones count together.
#[derive(Clone, Default)]
pub struct Meter {
    books: Arc<Mutex<Books>>,
}

#[derive(Default)]
struct Books {
    seen: Totals,
    scanned: Totals,
    unscanned: [Totals; UnscannedReason::ALL.len()],
    refused: [u64; Refusal::WORDS.len()],
    informational: u64,
    fallbacks: Vec<Fallback>,
    untold: Vec<Fallback>,
    clients: BTreeMap<&'static str, Arrived>,
}

/// What came from one kind of client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrived {
    /// Requests, CONNECT included.
    pub requests: u64,
    /// When the first came.
    pub first_at: Timestamp,
    /// When the last came.
    pub last_at: Timestamp,
}

/// A host to which one kind of client is given a tunnel, for it does not take our certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fallback {
    /// The host, as in a [`super::Route`].
    pub host: String,
    /// The port.
    pub port: u16,
    /// When that is over.
    until: Instant,
}

impl Fallback {
    /// How long a tunnel is given.
    pub const LASTS: std::time::Duration = std::time::Duration::from_secs(600);
}

/// Fallbacks kept to be told of. There are not more in force at once.
const MAX_FALLBACKS: usize = 1024;

impl Books {
    /// The bucket for `reason`, or the scanned one.
    fn bucket(&mut self, reason: Option<UnscannedReason>) -> &mut Totals {
        match reason {
            Some(reason) => &mut self.unscanned[reason as usize],
            None => &mut self.scanned,
        }
    }

    fn waiting(&mut self) -> &mut Totals {
        self.bucket(Some(UnscannedReason::InProgress))
    }
}

impl Meter {
    /// A client connection was accepted.
    pub fn connection(&self) -> ConnectionTicket {
        let mut books = self.open();
        books.seen.connections += 1;
        books.waiting().connections += 1;
        let [head, refused, settled] = [const { AtomicBool::new(false) }; 3];
        ConnectionTicket { meter: self.clone(), head, refused, settled }
    }

    /// A message begins.
    pub fn message(&self) -> Arc<MessageTicket> {
        let mut books = self.open();
        books.seen.messages += 1;
        books.waiting().messages += 1;
        Arc::new(MessageTicket {
            meter: self.clone(),
            relayed: AtomicU64::new(0),
            shown: AtomicU64::new(0),
            dropped: AtomicBool::new(false),
            settled: AtomicBool::new(false),
        })
    }

    /// Everything so far. `adds_up` holds.
    pub fn coverage(&self) -> Coverage {
        let books = self.open();
        let mut not_scanned: Vec<_> = UnscannedReason::ALL
            .iter()
            .zip(books.unscanned)
            .filter(|(_, totals)| *totals != Totals::default())
            .map(|(&reason, Totals { bytes, connections, messages })| Unscanned {
                bytes,
                connections,
                messages,
                reason: reason.into(),
            })
            .collect();
        not_scanned.sort_by(|a, b| a.reason.cmp(&b.reason));
        Coverage { not_scanned, scanned: books.scanned, seen: books.seen }
    }

    /// Requests answered here instead of upstream since this process began: a closed word, and how often. No zeros.
    pub fn refusals(&self) -> Vec<(&'static str, u64)> {
        let refused = self.open().refused;
        Refusal::WORDS.iter().copied().zip(refused).filter(|(_, times)| *times > 0).collect()
    }

    /// Informational responses that were not passed on: the engine has no way to send them.
    pub fn informational_dropped(&self) -> u64 {
        self.open().informational
    }

    /// What came from which kind of client since this process began, by a closed word each.
    pub fn clients(&self) -> BTreeMap<&'static str, Arrived> {
        self.open().clients.clone()
    }

    /// A request came that may be relayed.
    pub(super) fn arrived(&self, client: &'static str, now: Timestamp) {
        let mut books = self.open();
        let new = Arrived { requests: 0, first_at: now, last_at: now };
        let arrived = books.clients.entry(client).or_insert(new);
        arrived.requests += 1;
        arrived.last_at = now;
    }

    /// A kind of client is given a tunnel to a host.
    pub(super) fn fell_back(&self, host: &str, port: u16, until: Instant) {
        let mut books = self.open();
        let fallback = Fallback { host: host.to_owned(), port, until };
        books.fallbacks.retain(|f| f.until > Instant::now());
        if books.fallbacks.len() < MAX_FALLBACKS {
            books.fallbacks.push(fallback.clone());
        }
        if books.untold.len() < MAX_FALLBACKS {
            books.untold.push(fallback);
        }
    }

    /// The fallbacks nobody was told of yet.
    pub fn untold_fallbacks(&self) -> Vec<Fallback> {
        std::mem::take(&mut self.open().untold)
    }

    /// The fallbacks in force.
    pub fn fallbacks(&self) -> Vec<Fallback> {
        let now = Instant::now();
        self.open().fallbacks.iter().filter(|f| f.until > now).cloned().collect()
    }

    pub(super) fn refused(&self, why: Refusal) {
        self.open().refused[why.index()] += 1;
    }

    pub(super) fn informational(&self) {
        self.open().informational += 1;
    }

    // A panic while the books are open leaves every number where it was or where it belongs: they stay readable.
    fn open(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Debug, Clone)]
    enum Step {
        Connect,
        Head(usize),
        SettleConnection(usize, Option<UnscannedReason>),
        Disconnect(usize),
        Opaque(usize, UnscannedReason, u32),
        Begin,
        Relay(usize, u32),
        Lose(usize),
        Settle(usize, u32, Option<UnscannedReason>),
        Forget(usize),
    }

    fn reason() -> impl Strategy<Value = UnscannedReason> {
        proptest::sample::select(UnscannedReason::ALL)
    }

    fn step() -> impl Strategy<Value = Step> {
        let at = any::<usize>();
        prop_oneof![
            Just(Step::Connect),
            at.prop_map(Step::Head),
            (at, proptest::option::of(reason())).prop_map(|(at, r)| Step::SettleConnection(at, r)),
            at.prop_map(Step::Disconnect),
            (at, reason(), any::<u32>()).prop_map(|(at, r, n)| Step::Opaque(at, r, n)),
            Just(Step::Begin),
            (at, any::<u32>()).prop_map(|(at, n)| Step::Relay(at, n)),
            at.prop_map(Step::Lose),
            (at, any::<u32>(), proptest::option::of(reason())).prop_map(|(at, n, r)| Step::Settle(at, n, r)),
            at.prop_map(Step::Forget),
        ]
    }

    fn pick<T>(from: &[T], at: usize) -> Option<&T> {
        from.get(at.checked_rem(from.len())?)
    }

    fn remove<T>(from: &mut Vec<T>, at: usize) {
        if let Some(at) = at.checked_rem(from.len()) {
            from.swap_remove(at);
        }
    }

    proptest! {
        #[test]
        fn every_interleaving_adds_up_at_every_moment(steps in proptest::collection::vec(step(), 0..80)) {
            let meter = Meter::default();
            let (mut connections, mut messages, mut total) = (Vec::new(), Vec::new(), Totals::default());
            for step in steps {
                match step {
                    Step::Connect => { connections.push(meter.connection()); total.connections += 1; }
                    Step::Head(at) => { if let Some(c) = pick(&connections, at) { c.head_read(); } }
                    Step::SettleConnection(at, r) => { if let Some(c) = pick(&connections, at) { c.settle(r); } }
                    Step::Disconnect(at) => remove(&mut connections, at),
                    Step::Opaque(at, r, n) => if let Some(c) = pick(&connections, at) {
                        c.opaque(r).relayed(n.into());
                        total.bytes += u64::from(n);
                    },
                    Step::Begin => { messages.push(meter.message()); total.messages += 1; }
                    Step::Relay(at, n) => if let Some(m) = pick(&messages, at) {
                        m.relayed(n.into());
                        total.bytes += u64::from(n);
                    },
                    Step::Lose(at) => { if let Some(m) = pick(&messages, at) { m.mark_dropped(); } }
                    Step::Settle(at, n, r) => { if let Some(m) = pick(&messages, at) { m.settle(n.into(), r); } }
                    Step::Forget(at) => remove(&mut messages, at),
                }
                let coverage = meter.coverage();
                prop_assert!(coverage.adds_up());
                prop_assert_eq!(coverage.seen, total);
            }
            drop((connections, messages));
            prop_assert!(meter.coverage().adds_up());
        }
    }

    #[test]
    fn a_message_is_in_progress_until_it_is_settled_and_settles_once() {
        let meter = Meter::default();
        let ticket = meter.message();
        ticket.relayed(10);
        assert_eq!(meter.coverage().unscanned(UnscannedReason::InProgress).bytes, 10);
        ticket.settle(7, Some(UnscannedReason::OverBound));
        ticket.settle(10, None);
        let coverage = meter.coverage();
        assert_eq!(coverage.scanned, Totals { bytes: 7, connections: 0, messages: 0 });
        assert_eq!(coverage.unscanned(UnscannedReason::OverBound), Totals { bytes: 3, connections: 0, messages: 1 });
        assert_eq!(coverage.not_scanned.len(), 1);
    }

    #[test]
    fn a_forgotten_message_is_a_scanner_error() {
        let meter = Meter::default();
        meter.message().relayed(5);
        let totals = meter.coverage().unscanned(UnscannedReason::ScannerError);
        assert_eq!(totals, Totals { bytes: 5, connections: 0, messages: 1 });
    }

    #[test]
    fn a_dropped_part_outweighs_what_the_scanner_says() {
        let meter = Meter::default();
        let ticket = meter.message();
        ticket.relayed(9);
        ticket.mark_dropped();
        ticket.settle(4, None);
        ticket.relayed(2);
        let coverage = meter.coverage();
        assert_eq!(coverage.scanned.bytes, 4);
        assert_eq!(coverage.unscanned(UnscannedReason::Dropped), Totals { bytes: 7, connections: 0, messages: 1 });
    }

    #[test]
    fn a_connection_without_a_head_is_told_from_one_with() {
        let meter = Meter::default();
        let (silent, spoke) = (meter.connection(), meter.connection());
        assert_eq!(meter.coverage().unscanned(UnscannedReason::InProgress).connections, 2);
        spoke.head_read();
        drop((silent, spoke));
        let coverage = meter.coverage();
        assert_eq!(coverage.scanned.connections, 1);
        assert_eq!(coverage.unscanned(UnscannedReason::IncompleteHead).connections, 1);
    }
}
