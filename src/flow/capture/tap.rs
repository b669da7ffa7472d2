//! Parts → scanner threads: a queue bounded in bytes that never makes the wire wait.
//!
//! The bound covers what is queued and what the scanners hold. A part that does not fit is dropped, and so is the rest
//! of its message, which then settles as `dropped` with what was scanned before: a scanner cannot go on across a gap.
//!
//! **Copy or share.** A piece of a body is a slice of the engine's read buffer, and sharing it keeps the whole buffer
//! alive: a 100-byte event would hold 256 KiB. So a piece under [`SHARE_FROM`] is copied and charged by its length; a
//! longer one is shared and charged as a whole [`READ_BUFFER`]. The bound is thus a bound on memory, not only on
//! lengths, and a megabyte passes without a copy.
//!
//! **Who wakes whom.** Waking a thread is a system call, and costs more than all else that is done here for a message.
//! So a scanner with nothing to do looks again by itself, after pauses that grow, and goes to sleep only after the
//! longest of them: as long as messages come, whoever relays them calls nobody. It is woken early when much waits.

mod budget;

pub use budget::Holding;

use super::{
    message::{Field, Head, Part, StartLine},
    meter::{MessageTicket, Meter},
    probe::Sightings,
};
use budget::{Budget, Charge};
use bytes::Bytes;
use posture::UnscannedReason;
use std::{
    sync::{
        Arc,
        atomic::{
            AtomicU8, AtomicU64,
            Ordering::{Relaxed, SeqCst},
            fence,
        },
        mpsc::{self, Receiver, Sender, SyncSender, TryRecvError},
    },
    time::Duration,
};

/// The most the engine reads at once, on either side: what one shared piece can keep alive.
pub(super) const READ_BUFFER: usize = 256 << 10;
const SHARE_FROM: usize = READ_BUFFER / 4;
/// A scanner's first pause and, each twice the one before, its longest. After it, it sleeps.
const PAUSES: [Duration; 2] = [Duration::from_millis(1), Duration::from_millis(64)];
/// A scanner that pauses is woken when as much waits, or a quarter of the queue: memory is best used again while warm.
const PRESSING: usize = 1 << 20;
/// So large a part of the queue is kept free of what scanners hold of open messages.
const KEPT_FREE: usize = 8;
/// Charged for each item beside its bytes: its place in the queue and its allocations.
const ITEM: usize = 256;
/// Charged for each field beside its bytes.
const FIELD: usize = size_of::<Field>();

/// A message's number in this run.
pub type MessageId = u64;

/// Where capture hands its parts. Cheap to clone.
#[derive(Clone)]
pub struct Tap {
    meter: Meter,
    budget: Budget,
    next: Arc<AtomicU64>,
    shards: Arc<[Shard]>,
    sightings: Option<Arc<Sightings>>,
}

/// The way to one scanner. Its fields go in this order: a scanner woken by the bell's end finds the queue's.
struct Shard {
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

impl Shard {
    /// Hands something to the scanner, and wakes it if it would not come by itself in time. `false` without a scanner.
    fn send(&self, fed: Fed) -> bool {
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

/// One thing to scan. Its room in the queue is free again when it is dropped.
pub struct Fed {
    /// Which message.
    pub message: MessageId,
    /// What of it.
    pub feed: Feed,
    charge: Charge,
}

/// A piece of a message.
///
/// A self-test's begins with who waits to be told of every hit, which is no finding.
pub enum Feed {
    /// A message begins. Whoever has looked at it settles the ticket, once, after [`Part::End`].
    Begin(Head, Arc<MessageTicket>, Option<Arc<Sightings>>),
    /// It goes on, or ends.
    Part(Part),
    /// Where a tunnel is asked to go. It is no message: nothing follows, nothing is settled.
    Name(Head, Option<Arc<Sightings>>),
}

/// A message being relayed. Dropping it ends the message, complete or not.
pub struct TapMessage {
    ticket: Arc<MessageTicket>,
    budget: Budget,
    // None once something was dropped before anything was queued: nobody waits for the end.
    queue: Option<Queue>,
}

struct Queue {
    message: MessageId,
    shards: Arc<[Shard]>,
    whole: bool,
    // Kept from the beginning, so that the end always fits.
    end: Option<Charge>,
}

impl Queue {
    fn send(&self, part: Part, charge: Charge) -> bool {
        shard(&self.shards, self.message).send(Fed { message: self.message, feed: Feed::Part(part), charge })
    }
}

impl Tap {
    /// A queue for `bytes`, and an intake for each of `scanners` threads (at least one).
    pub fn new(bytes: usize, scanners: usize, meter: Meter) -> (Self, Vec<Intake>) {
        let budget = Budget { limit: bytes, used: Arc::default() };
        let each = (bytes - bytes / KEPT_FREE) / scanners.max(1);
        let (shards, intakes): (Vec<_>, Vec<_>) = (0..scanners.max(1))
            .map(|_| {
                let ((sender, parts), (ring, bell)) = (mpsc::channel(), mpsc::sync_channel(1));
                let rest = Arc::new(AtomicU8::new(AWAKE));
                let shard = Shard { parts: sender, bell: ring, rest: Arc::clone(&rest) };
                (shard, Intake { parts, bell, rest, budget: budget.clone(), share: each })
            })
            .unzip();
        (Self { meter, budget, next: Arc::default(), shards: shards.into(), sightings: None }, intakes)
    }

    /// The same queue for a self-test: counted in books of its own, and every hit told to `sightings`.
    pub(super) fn watched(&self, sightings: Arc<Sightings>, meter: Meter) -> Self {
        Self { meter, sightings: Some(sightings), ..self.clone() }
    }

    /// A message begins. Never waits: when its head does not fit, the message counts as dropped.
    pub fn open(&self, head: Head) -> TapMessage {
        let ticket = self.meter.message();
        let message = self.next.fetch_add(1, Relaxed);
        let queue = self.budget.take(ITEM + head.weight()).zip(self.budget.take(ITEM)).and_then(|(begin, end)| {
            let (feed, shards) =
                (Feed::Begin(head, Arc::clone(&ticket), self.sightings.clone()), Arc::clone(&self.shards));
            let sent = shard(&shards, message).send(Fed { message, feed, charge: begin });
            sent.then_some(Queue { message, shards, whole: true, end: Some(end) })
        });
        if queue.is_none() {
            ticket.mark_dropped();
        }
        TapMessage { ticket, budget: self.budget.clone(), queue }
    }

    /// Where a tunnel is asked to go: a name can say something, though no message was relayed.
    ///
    /// Never waits: when there is no room, it counts as a dropped message.
    pub fn name(&self, head: Head) {
        let message = self.next.fetch_add(1, Relaxed);
        let sent = self.budget.take(ITEM + head.weight()).is_some_and(|charge| {
            let feed = Feed::Name(head, self.sightings.clone());
            shard(&self.shards, message).send(Fed { message, feed, charge })
        });
        if !sent {
            self.meter.message().settle(0, Some(UnscannedReason::Dropped));
        }
    }

    /// Reads [`Tap::used`] without keeping the queue open.
    pub fn gauge(&self) -> impl Fn() -> usize + Send + Sync + 'static {
        let used = Arc::clone(&self.budget.used);
        move || used.load(Relaxed)
    }

    /// Bytes queued and held, of the bound given to [`Tap::new`].
    pub fn used(&self) -> usize {
        self.budget.used.load(Relaxed)
    }
}

/// The scanner a message falls to.
fn shard(shards: &[Shard], message: MessageId) -> &Shard {
    &shards[usize::try_from(message % shards.len() as u64).expect("less than the number of shards")]
}

impl TapMessage {
    /// A piece of the body went through.
    pub fn body(&mut self, piece: &Bytes) {
        self.ticket.relayed(piece.len() as u64);
        if piece.len() < SHARE_FROM {
            self.pass(ITEM + piece.len(), || Part::Body(Bytes::copy_from_slice(piece)));
        } else {
            self.pass(ITEM + piece.len().max(READ_BUFFER), || Part::Body(piece.clone()));
        }
    }

    /// Payload bytes went through, of which [`TapMessage::show`] hands on what they mean.
    pub(super) fn relayed(&self, bytes: u64) {
        self.ticket.relayed(bytes);
    }

    /// A piece of the payload as the receiver reads it: unmasked, inflated. It is copied.
    pub(super) fn show(&mut self, piece: &[u8]) {
        self.ticket.shown(piece.len() as u64);
        self.pass(ITEM + piece.len(), || Part::Body(Bytes::copy_from_slice(piece)));
    }

    /// The trailer section went through.
    pub fn trailers(&mut self, fields: Vec<Field>) {
        self.pass(ITEM + weight(&fields), || Part::Trailers(fields));
    }

    fn pass(&mut self, weight: usize, part: impl FnOnce() -> Part) {
        let Some(queue) = self.queue.as_mut().filter(|q| q.whole) else { return };
        let sent = self.budget.take(weight).is_some_and(|charge| queue.send(part(), charge));
        if !sent {
            queue.whole = false;
            self.ticket.mark_dropped();
        }
    }
}

impl Drop for TapMessage {
    fn drop(&mut self) {
        let Some(queue) = &mut self.queue else {
            return self.ticket.settle(0, Some(UnscannedReason::Dropped));
        };
        if let Some(charge) = queue.end.take() {
            // Without a scanner to take it, the ticket settles itself when its last owner lets go.
            let _ = queue.send(Part::End, charge);
        }
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
}

impl Head {
    fn weight(&self) -> usize {
        let start = match &self.start {
            StartLine::Request { method, target } => method.len() + target.len(),
            StartLine::Response { .. } | StartLine::WebSocket => 0,
        };
        start + self.route.host.len() + weight(&self.fields)
    }
}

fn weight(fields: &[Field]) -> usize {
    fields.iter().map(|f| FIELD + f.name.len() + f.value.len()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::capture::Route;
    use posture::{Direction, Protocol};
    use proptest::prelude::*;

    fn head() -> Head {
        let route = Route {
            protocol: Protocol::Http,
            host: "origin".to_owned(),
            port: 80,
            source: [127, 0, 0, 1].into(),
            names_agree: true,
            verified_tls: false,
        };
        let fields = vec![Field { name: Bytes::from_static(b"host"), value: Bytes::from_static(b"origin") }];
        Head {
            direction: Direction::Outbound,
            route: Arc::new(route),
            start: StartLine::Response { status: 200 },
            fields,
        }
    }

    /// A scanner that looks at everything, on the spot.
    fn scan(intake: &Intake) -> Vec<u8> {
        let (mut seen, mut ticket) = (Vec::new(), None);
        while let Ok(fed) = intake.parts.try_recv() {
            match fed.feed {
                Feed::Begin(_, t, _) => ticket = Some(t),
                Feed::Part(Part::Body(piece)) => seen.extend_from_slice(&piece),
                Feed::Name(..) | Feed::Part(Part::Trailers(_)) => {}
                Feed::Part(Part::End) => ticket.take().unwrap().settle(seen.len() as u64, None),
            }
        }
        seen
    }

    #[test]
    fn a_message_arrives_whole_and_gives_its_room_back() {
        let meter = Meter::default();
        let (tap, intakes) = Tap::new(1 << 20, 1, meter.clone());
        let mut message = tap.open(head());
        message.body(&Bytes::from_static(b"hello "));
        message.body(&Bytes::from(vec![b'x'; SHARE_FROM]));
        drop(message);
        assert!(tap.used() > READ_BUFFER);
        assert_eq!(scan(&intakes[0]).len(), 6 + SHARE_FROM);
        assert_eq!(tap.used(), 0);
        assert_eq!(meter.coverage().scanned.bytes, 6 + SHARE_FROM as u64);
        assert_eq!(meter.coverage().scanned.messages, 1);
    }

    #[test]
    fn what_does_not_fit_is_dropped_and_what_was_scanned_before_stays_scanned() {
        let meter = Meter::default();
        let (tap, intakes) = Tap::new(4096, 1, meter.clone());
        let mut message = tap.open(head());
        message.body(&Bytes::from(vec![1; 1000]));
        message.body(&Bytes::from(vec![2; 4000]));
        message.body(&Bytes::from(vec![3; 10]));
        drop(message);
        assert_eq!(scan(&intakes[0]), vec![1; 1000]);
        let coverage = meter.coverage();
        assert!(coverage.adds_up());
        assert_eq!(coverage.scanned.bytes, 1000);
        assert_eq!(coverage.unscanned(UnscannedReason::Dropped).bytes, 4010);
        assert_eq!(coverage.unscanned(UnscannedReason::Dropped).messages, 1);
        assert_eq!(tap.used(), 0);
    }

    #[test]
    fn a_message_whose_head_does_not_fit_is_dropped_without_a_scanner() {
        let meter = Meter::default();
        let (tap, intakes) = Tap::new(10, 1, meter.clone());
        let mut message = tap.open(head());
        message.body(&Bytes::from_static(b"four"));
        drop(message);
        assert!(intakes[0].parts.try_recv().is_err());
        assert_eq!(meter.coverage().unscanned(UnscannedReason::Dropped).bytes, 4);
        assert_eq!(tap.used(), 0);
    }

    #[test]
    fn a_long_target_takes_its_room() {
        let meter = Meter::default();
        let (tap, intakes) = Tap::new(4096, 1, meter.clone());
        let start = |length| StartLine::Request { method: Bytes::new(), target: Bytes::from(vec![b'a'; length]) };
        let message = tap.open(Head { start: start(2000), ..head() });
        assert!(tap.used() > 2000);
        drop(message);
        scan(&intakes[0]);
        tap.name(Head { start: start(2000), ..head() });
        assert!(tap.used() > 2000);
        assert_eq!(meter.coverage().seen.messages, 1);
        drop(tap.open(Head { start: start(3000), ..head() }));
        tap.name(Head { start: start(3000), ..head() });
        assert_eq!(meter.coverage().unscanned(UnscannedReason::Dropped).messages, 2);
        scan(&intakes[0]);
        assert_eq!(tap.used(), 0);
    }

    #[test]
    fn bytes_a_scanner_holds_leave_no_room() {
        let meter = Meter::default();
        let (tap, intakes) = Tap::new(4096, 1, meter.clone());
        let mut holding = intakes[0].holding();
        assert!(holding.set(4096));
        drop(tap.open(head()));
        assert_eq!(meter.coverage().unscanned(UnscannedReason::Dropped).messages, 1);
        assert!(!holding.set(4097), "more than fits");
        assert!(holding.set(4097), "no more than before");
        assert!(holding.set(10));
        assert_eq!(tap.used(), 10);
        drop(holding);
        assert_eq!(tap.used(), 0);
    }

    #[test]
    fn a_scanner_that_died_leaves_nothing_unsettled() {
        let meter = Meter::default();
        let (tap, intakes) = Tap::new(4096, 1, meter.clone());
        let mut message = tap.open(head());
        drop(intakes);
        message.body(&Bytes::from_static(b"four"));
        drop(message);
        drop(tap.open(head()));
        let coverage = meter.coverage();
        assert!(coverage.adds_up());
        assert_eq!(coverage.unscanned(UnscannedReason::InProgress).messages, 0);
        assert_eq!(coverage.scanned.messages, 0);
        assert_eq!(tap.used(), 0);
    }

    proptest! {
        #[test]
        fn the_bound_is_never_passed_and_everything_is_given_back(
            pieces in proptest::collection::vec((0_usize..3, 0_usize..70_000, any::<bool>()), 0..60)
        ) {
            let meter = Meter::default();
            let (tap, intakes) = Tap::new(200_000, 2, meter.clone());
            let mut messages: Vec<_> = (0..3).map(|_| tap.open(head())).collect();
            for (at, length, reopen) in pieces {
                messages[at].body(&Bytes::from(vec![0; length]));
                if reopen { messages[at] = tap.open(head()); }
                prop_assert!(tap.used() <= 200_000);
                prop_assert!(meter.coverage().adds_up());
            }
            drop(messages);
            for intake in &intakes {
                // Several messages share an intake: only their tickets' drop is of interest here.
                while intake.parts.try_recv().is_ok() {}
            }
            prop_assert_eq!(tap.used(), 0);
            prop_assert!(meter.coverage().adds_up());
            prop_assert_eq!(meter.coverage().unscanned(UnscannedReason::InProgress), posture::Totals::default());
        }
    }
}
