//! Parts → Scanner → Hit<'_> → Redactor → recorder, on threads of their own.
//!
//! A panic over one message costs that message: it counts as `scanner_error`, and the thread goes on. So does a thread
//! that hangs: [`Shard::replace`] gives its shard to another, which goes on with all messages but that one.

mod bench;

pub(super) use bench::Bench;

use crate::{
    flow::capture::{Fed, Feed, Holding, Intake, MessageId, MessageTicket},
    process,
};
use bench::Work;
use posture::UnscannedReason;
use std::{
    collections::HashMap,
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::Instant,
};

/// What falls to one thread at a time: a queue, and the messages that have begun in it.
pub(super) struct Shard {
    number: usize,
    /// See [`Intake::share`].
    share: usize,
    intake: Mutex<Intake>,
    desk: Mutex<ShardDesk>,
    bench: Bench,
}

#[derive(Default)]
struct ShardDesk {
    /// Which thread's turn it is. Only its own work comes back here.
    turn: u64,
    open: HashMap<MessageId, Box<Work>>,
    /// Bytes held of those that are open.
    held: usize,
    /// Of the message that is being looked at.
    ticket: Option<Arc<MessageTicket>>,
}

impl ShardDesk {
    fn take(&mut self, message: MessageId) -> Option<Box<Work>> {
        let work = self.open.remove(&message)?;
        self.held -= work.holding.bytes();
        Some(work)
    }

    fn put(&mut self, message: MessageId, work: Box<Work>) {
        self.held += work.holding.bytes();
        self.open.insert(message, work);
    }
}

impl Shard {
    pub(super) fn new(number: usize, intake: Intake, bench: Bench) -> Arc<Self> {
        Arc::new(Self { number, share: intake.share(), intake: Mutex::new(intake), desk: Mutex::default(), bench })
    }

    /// Starts the thread that scans what falls here. It ends when the queue does, or once it has been replaced.
    pub(super) fn spawn(self: &Arc<Self>) -> io::Result<JoinHandle<()>> {
        let (this, turn) = (Arc::clone(self), self.desk().turn);
        thread::Builder::new().name(format!("guardian-scan-{}", self.number)).spawn(move || this.scan(turn))
    }

    /// Gives the shard to another thread, if the one it has hangs over a message or is gone. The message counts as
    /// `scanner_error`.
    ///
    /// # Errors
    /// There can be no other thread: then everything is as it was.
    pub(super) fn replace(self: &Arc<Self>, at: Instant) -> io::Result<Option<JoinHandle<()>>> {
        let signs = &self.bench.signs;
        let mut desk = self.desk();
        let (hangs, gone) = (signs.hangs_still(self.number), signs.scanner(self.number).is_over());
        // It may have gone on a moment ago; then what it took is its own to do.
        if !hangs && !gone {
            return Ok(None);
        }
        let (this, turn) = (Arc::clone(self), desk.turn + 1);
        // The new thread waits here for the desk until it is laid out for it.
        let name = format!("guardian-scan-{}", self.number);
        let thread = thread::Builder::new().name(name).spawn(move || this.scan(turn))?;
        desk.turn = turn;
        if !gone {
            signs.goes_adrift();
        }
        signs.replaced(self.number, at);
        if let Some(ticket) = desk.ticket.take() {
            ticket.settle(0, Some(UnscannedReason::ScannerError));
        }
        Ok(Some(thread))
    }

    fn scan(&self, turn: u64) {
        // A message on its way never waits for one that has passed.
        process::give_way();
        let _over = Over { shard: self, turn };
        while let Some((fed, holding)) = self.next() {
            let message = fed.message;
            let work = self.begin(turn, &fed);
            if !self.end(turn, message, unharmed(|| self.bench.step(work, holding, fed))) {
                return;
            }
            while let Some((message, work)) = self.excess() {
                if !self.end(turn, message, unharmed(|| self.bench.cut(*work))) {
                    return;
                }
            }
        }
    }

    /// The next thing to do, and a place to tell what is held of it if it is a beginning.
    fn next(&self) -> Option<(Fed, Holding)> {
        let intake = self.intake.lock().unwrap_or_else(PoisonError::into_inner);
        intake.recv().map(|fed| (fed, intake.holding()))
    }

    /// Lays out what there is of the message. Only who is at work is replaced, so that it is still this thread's turn.
    fn begin(&self, turn: u64, fed: &Fed) -> Option<Box<Work>> {
        let mut desk = self.desk();
        debug_assert_eq!(desk.turn, turn);
        let work = desk.take(fed.message);
        desk.ticket = match &fed.feed {
            Feed::Begin(_, ticket, _) => Some(Arc::clone(ticket)),
            _ => work.as_ref().map(|work| Arc::clone(&work.ticket)),
        };
        self.bench.signs.scanner(self.number).begins();
        work
    }

    /// Lays out the message of which the most is held, if of those that are open more is held than may be.
    fn excess(&self) -> Option<(MessageId, Box<Work>)> {
        let mut desk = self.desk();
        if desk.held <= self.share || desk.open.len() < 2 {
            return None;
        }
        let (&message, _) = desk.open.iter().max_by_key(|(_, work)| work.holding.bytes())?;
        let work = desk.take(message)?;
        desk.ticket = Some(Arc::clone(&work.ticket));
        self.bench.signs.scanner(self.number).begins();
        Some((message, work))
    }

    /// Puts away what goes on; `false` when it is another's turn by now.
    fn end(&self, turn: u64, message: MessageId, work: Option<Box<Work>>) -> bool {
        let mut desk = self.desk();
        if desk.turn != turn {
            self.bench.signs.comes_back();
            return false;
        }
        desk.ticket = None;
        if let Some(work) = work {
            desk.put(message, work);
        }
        self.bench.signs.scanner(self.number).done();
        true
    }

    // Nothing is left half done when a thread panics here.
    fn desk(&self) -> MutexGuard<'_, ShardDesk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What work leaves of a message: nothing when it panics.
fn unharmed(work: impl FnOnce() -> Option<Box<Work>>) -> Option<Box<Work>> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
        // Its ticket went with it; parts that still come find nothing.
        tracing::error!("a scanner panicked; the message counts as scanner_error");
        None
    })
}

/// Tells when a thread is no more, and its shard has no other.
struct Over<'s> {
    shard: &'s Shard,
    turn: u64,
}

impl Drop for Over<'_> {
    fn drop(&mut self) {
        if self.shard.desk().turn == self.turn {
            self.shard.bench.signs.scanner(self.shard.number).over();
        }
    }
}

#[cfg(test)]
mod tests;
