//! Parts → scanner threads: a queue bounded in bytes that never makes the wire wait.
//!
//! The bound covers what is queued and what the scanners hold. A part that does not fit is dropped, and so is the rest
//! of its message, which then settles as `dropped` with what was scanned before: a scanner cannot go on across a gap.
//!
//! **Copy or share.** A piece of a body is a slice of the engine's read buffer, and sharing it keeps the whole buffer
//! alive: a 100-byte event would hold 256 KiB. So a piece under [`SHARE_FROM`] is copied and charged by its length; a
//! longer one is shared and charged as a whole [`READ_BUFFER`]. The bound is thus a bound on memory, not only on
//! lengths, and a megabyte passes without a copy.

mod budget;
mod channel;

pub use budget::Holding;
pub use channel::Intake;

use super::{
    message::{Field, Head, Part, StartLine},
    meter::{MessageTicket, Meter},
    probe::Sightings,
};
use budget::{Budget, Charge};
use bytes::Bytes;
use channel::{Shard, channel};
use posture::UnscannedReason;
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

/// The most the engine reads at once, on either side: what one shared piece can keep alive.
pub(super) const READ_BUFFER: usize = 256 << 10;
const SHARE_FROM: usize = READ_BUFFER / 4;
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
        let (shards, intakes): (Vec<_>, Vec<_>) = (0..scanners.max(1)).map(|_| channel(&budget, each)).unzip();
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
mod tests;
