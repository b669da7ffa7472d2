//! Parts → Scanner → Hit<'_> → Redactor → recorder, on threads of their own.
//!
//! A panic over one message costs that message: it counts as `scanner_error`, and the thread goes on. So does a thread
//! that hangs: [`Shard::replace`] gives its shard to another, which goes on with all messages but that one.

use super::{in_force::InForce, signs::Signs};
use crate::{
    clock,
    flow::{
        capture::{Fed, Feed, Holding, Intake, MessageId, MessageTicket, Part, Sightings},
        detect::{Detector, Hit, Scanner},
        redact::{Finding, Redactor},
    },
    process,
};
use posture::UnscannedReason;
use std::{
    collections::HashMap,
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::Instant,
};
use tokio::sync::mpsc;

/// What all scanner threads share.
#[derive(Clone)]
pub(super) struct Bench {
    pub(super) detector: InForce<Detector>,
    pub(super) redactor: InForce<Redactor>,
    pub(super) signs: Arc<Signs>,
    pub(super) found: mpsc::Sender<Finding>,
}

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

/// A message that has begun.
struct Work {
    scanner: Scanner,
    ticket: Arc<MessageTicket>,
    holding: Holding,
    /// See [`Feed`].
    sightings: Option<Arc<Sightings>>,
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

impl Bench {
    /// Does one thing, and gives back what goes on of the message.
    fn step(&self, work: Option<Box<Work>>, mut holding: Holding, fed: Fed) -> Option<Box<Work>> {
        match fed.feed {
            Feed::Begin(head, ticket, sightings) => {
                if !head.route.names_agree {
                    self.signs.audience_mismatch();
                }
                let mut on = |hit: &Hit<'_>| self.hit(hit, sightings.as_deref());
                let scanner = Scanner::new(self.detector.now(), head, &mut on);
                let _ = holding.set(scanner.held());
                Some(Box::new(Work { scanner, ticket, holding, sightings }))
            }
            Feed::Name(head, sightings) => {
                let mut on = |hit: &Hit<'_>| self.hit(hit, sightings.as_deref());
                let (_, token_seen) = Scanner::new(self.detector.now(), head, &mut on).conclude(&mut on);
                self.signs.token_seen(token_seen);
                None
            }
            Feed::Part(part) => {
                let mut work = work?;
                let Work { scanner, sightings, .. } = &mut *work;
                let mut on = |hit: &Hit<'_>| self.hit(hit, sightings.as_deref());
                match part {
                    Part::Body(piece) => scanner.body(&piece, &mut on),
                    Part::Trailers(fields) => scanner.trailers(&fields, &mut on),
                    Part::End => {
                        self.conclude(*work);
                        return None;
                    }
                }
                if work.holding.set(work.scanner.held()) { Some(work) } else { self.cut(*work) }
            }
        }
    }

    /// Judges what came of a message; what still comes is dropped.
    fn cut(&self, work: Work) -> Option<Box<Work>> {
        work.ticket.mark_dropped();
        self.conclude(work);
        None
    }

    fn conclude(&self, work: Work) {
        let test = work.sightings.as_deref();
        let (scanned, token_seen) = work.scanner.conclude(&mut |hit| self.hit(hit, test));
        self.signs.token_seen(token_seen);
        work.ticket.settle(scanned.bytes, scanned.unscanned);
    }

    /// What is seen of a self-test is told to it, and is neither found nor counted.
    fn hit(&self, hit: &Hit<'_>, test: Option<&Sightings>) {
        if let Some(test) = test {
            return test.saw(hit.direction, hit.rule.id());
        }
        if hit.expected {
            return self.signs.expected();
        }
        let finding = self.redactor.now().finding(hit, clock::now());
        // A flood waits here, off the forwarding path: what the queue before us then has no room for is counted as dropped.
        if self.found.blocking_send(finding).is_err() {
            self.signs.lost();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::{
        capture::{Field, Head, Meter, Route, StartLine, Tap},
        detect::Limits,
    };
    use bytes::Bytes;
    use posture::{Direction, Protocol};
    use std::time::Duration;

    const PERIOD: Duration = Duration::from_secs(60);
    const OWN_TOKEN: &str = "Zm9yIHRoaXMgdGVzdCBhbG9uZSwgbm90aGluZyBlbHNl";

    fn head(fields: &[(&'static str, &'static str)], names_agree: bool) -> Head {
        let route = Route {
            protocol: Protocol::Http,
            host: "api.example.com".into(),
            port: 80,
            source: [127, 0, 0, 1].into(),
            names_agree,
            verified_tls: false,
        };
        let field = |(name, value): &(&'static str, &'static str)| Field {
            name: Bytes::from_static(name.as_bytes()),
            value: Bytes::from_static(value.as_bytes()),
        };
        Head {
            direction: Direction::Outbound,
            route: Arc::new(route),
            start: StartLine::Request { method: Bytes::from_static(b"POST"), target: Bytes::from_static(b"/") },
            fields: fields.iter().map(field).collect(),
        }
    }

    /// Waits for what other threads bring about, within a minute.
    fn until(what: &str, holds: impl Fn() -> bool) {
        let at = Instant::now();
        while !holds() {
            assert!(at.elapsed() < Duration::from_secs(60), "never: {what}");
            thread::yield_now();
        }
    }

    /// Scanners that know `token` for our own, and hand what they find to `found`.
    fn bench(token: Option<&str>, signs: &Arc<Signs>, found: mpsc::Sender<Finding>) -> Bench {
        Bench {
            detector: InForce::new(Detector::new(Limits::default(), &[], token)),
            redactor: InForce::new(Arc::new(Redactor::new(&[7; 32]))),
            signs: Arc::clone(signs),
            found,
        }
    }

    /// Scans these bodies, each a message of its own, with one finding at a time on its way to whoever takes them.
    fn scanned(
        taken_by_someone: bool,
        bodies: &[String],
        names_agree: bool,
    ) -> (Vec<Finding>, posture::Attested, Meter) {
        let meter = Meter::default();
        let (tap, mut intakes) = Tap::new(1 << 20, 1, meter.clone());
        let signs = Arc::new(Signs::new(1, PERIOD, tap.gauge()));
        let (found, mut taken) = mpsc::channel(1);
        let collector = taken_by_someone
            .then(|| thread::spawn(move || std::iter::from_fn(|| taken.blocking_recv()).collect::<Vec<_>>()));
        let bench = bench(Some(OWN_TOKEN), &signs, found);
        let thread = Shard::new(0, intakes.remove(0), bench).spawn().unwrap();
        for body in bodies {
            let mut message = tap.open(head(&[("Content-Type", "text/plain")], names_agree));
            message.body(&Bytes::copy_from_slice(body.as_bytes()));
        }
        drop(tap);
        thread.join().unwrap();
        assert_eq!(signs.queue_used(), 0);
        signs.watch(std::time::Instant::now());
        assert!(signs.scanner_stalled(), "a thread that is gone is told");
        (collector.map(|t| t.join().unwrap()).unwrap_or_default(), signs.attested(), meter)
    }

    fn key(n: usize) -> String {
        let letter = |i: usize| char::from(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"[(i * 7 + n * 5 + i * i * 3) % 32]);
        let body: String = (0..16).map(letter).collect();
        format!("the key AKIA{body} is mine")
    }

    #[test]
    fn findings_nobody_takes_are_counted_and_the_messages_all_the_same() {
        let bodies: Vec<_> = (0..5).map(key).collect();
        let (found, attested, meter) = scanned(false, &bodies, true);
        assert_eq!((found.len(), attested.not_recorded), (0, 5));
        let coverage = meter.coverage();
        assert!(coverage.adds_up());
        assert_eq!((coverage.scanned.messages, coverage.not_scanned), (5, vec![]));
    }

    #[test]
    fn a_flood_waits_for_whoever_takes_it_and_loses_nothing() {
        let bodies: Vec<_> = (0..40).map(key).collect();
        let (found, attested, _) = scanned(true, &bodies, true);
        assert_eq!((found.len(), attested.not_recorded), (40, 0));
    }

    #[test]
    fn what_unpacks_to_more_than_fits_is_judged_at_once_and_counts_as_dropped() {
        let meter = Meter::default();
        let (tap, mut intakes) = Tap::new(64 << 10, 1, meter.clone());
        let (found, mut taken) = mpsc::channel(9);
        let bench = bench(None, &Arc::new(Signs::new(1, PERIOD, tap.gauge())), found);
        let thread = Shard::new(0, intakes.remove(0), bench).spawn().unwrap();
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        std::io::Write::write_all(&mut packed, [key(1), "x ".repeat(1 << 20)].concat().as_bytes()).unwrap();
        let packed = Bytes::from(packed.finish().unwrap());
        let mut message = tap.open(head(&[("Content-Encoding", "gzip")], true));
        message.body(&packed);
        // It is judged before it ends.
        assert!(taken.blocking_recv().is_some());
        until("what was held is let go", || tap.used() <= 1024);
        message.body(&packed);
        drop((message, tap));
        thread.join().unwrap();
        let coverage = meter.coverage();
        assert!(coverage.adds_up());
        assert_eq!(coverage.unscanned(posture::UnscannedReason::Dropped).messages, 1);
        assert!(coverage.unscanned(posture::UnscannedReason::Dropped).bytes >= packed.len() as u64);
    }

    #[test]
    fn messages_that_stall_leave_room_for_those_that_begin() {
        let meter = Meter::default();
        let (tap, mut intakes) = Tap::new(256 << 10, 1, meter.clone());
        let (found, mut taken) = mpsc::channel(128);
        let signs = Arc::new(Signs::new(1, PERIOD, tap.gauge()));
        let bench = bench(None, &signs, found);
        let shard = Shard::new(0, intakes.remove(0), bench);
        let thread = shard.spawn().unwrap();
        let begin = |n: u64| {
            let mut message = tap.open(head(&[("Content-Type", "text/plain")], true));
            message.body(&Bytes::from([key(usize::try_from(n).unwrap()), " x".repeat(2 << 10)].concat()));
            until("it is held, or one gave way", || {
                // Each has begun and gone on, and those that are open no more gave way.
                let open = shard.desk().open.len() as u64;
                signs.scanner(0).pieces() == 3 * (n + 1) - open && !signs.scanner(0).is_busy()
            });
            message
        };
        let stalled: Vec<_> = (0..99).map(begin).collect();
        assert!(shard.desk().held <= 224 << 10);
        drop((stalled, tap));
        thread.join().unwrap();
        let coverage = meter.coverage();
        assert!(coverage.adds_up());
        let dropped = coverage.unscanned(UnscannedReason::Dropped).messages;
        assert!((40..60).contains(&dropped), "{dropped}");
        let all = std::iter::from_fn(|| taken.try_recv().ok()).count();
        assert_eq!(all, 99, "what came of each was looked at");
    }

    #[test]
    fn our_own_token_is_counted_and_no_finding() {
        let (found, attested, _) = scanned(true, &[format!("say {OWN_TOKEN} again"), "nothing".into()], true);
        assert_eq!((found.len(), attested.token_seen), (0, 1));
    }

    #[test]
    fn a_message_whose_names_do_not_agree_is_counted() {
        assert_eq!(scanned(true, &["nothing".into()], true).1.audience_mismatch, 0);
        assert_eq!(scanned(true, &["nothing".into(), "more".into()], false).1.audience_mismatch, 2);
    }

    #[test]
    fn a_thread_that_hangs_is_replaced_and_costs_the_one_message_it_hangs_at() {
        let meter = Meter::default();
        let (tap, mut intakes) = Tap::new(1 << 20, 1, meter.clone());
        let signs = Arc::new(Signs::new(1, PERIOD, tap.gauge()));
        // One finding fits, and nobody takes it: the next one is waited for without end.
        let (found, mut taken) = mpsc::channel(1);
        let bench = bench(None, &signs, found);
        let shard = Shard::new(0, intakes.remove(0), bench);
        let thread = shard.spawn().unwrap();
        let send = |text: &str| {
            let mut message = tap.open(head(&[("Content-Type", "text/plain")], true));
            message.body(&Bytes::copy_from_slice(text.as_bytes()));
            message
        };
        let mut under_way = send("begun before");
        let scanned = || meter.coverage().scanned.messages;
        drop(send(&key(1)));
        until("the first key is dealt with", || scanned() == 1 && !signs.scanner(0).is_busy());
        let before = signs.scanner(0).pieces();
        drop(send(&key(2)));
        // Its head and its body go by; with its end it is judged.
        until("the second key waits", || signs.scanner(0).pieces() == before + 3 && signs.scanner(0).is_busy());
        let at = Instant::now();
        assert!(signs.watch(at).is_empty());
        let noticed = at + PERIOD;
        assert_eq!((signs.watch(noticed), signs.scanner_stalled()), (vec![0], true));
        let successor = shard.replace(noticed).unwrap().unwrap();
        // What had begun elsewhere goes on, and what begins is looked at.
        under_way.body(&Bytes::from_static(b", ended after"));
        drop((under_way, send("nothing")));
        until("its successor is done", || scanned() == 3 && !signs.scanner(0).is_busy());
        assert!(!thread.is_finished());
        signs.watch(noticed);
        assert!(signs.scanner_stalled(), "the message it holds is not looked at, and it is not gone");
        assert_eq!((signs.adrift(), signs.restarted()), (1, 1));
        assert!(shard.replace(noticed).unwrap().is_none(), "its successor does not hang");
        // It comes back, and has no say any more.
        assert!(taken.blocking_recv().is_some() && taken.blocking_recv().is_some());
        thread.join().unwrap();
        assert!(!signs.scanner_stalled());
        drop((tap, shard));
        successor.join().unwrap();
        let coverage = meter.coverage();
        assert!(coverage.adds_up());
        assert_eq!(coverage.scanned.messages, 3);
        assert_eq!(coverage.unscanned(UnscannedReason::ScannerError).messages, 1);
        assert_eq!(coverage.not_scanned.len(), 1);
    }

    #[test]
    fn a_thread_that_is_gone_is_replaced_and_nothing_is_lost() {
        let meter = Meter::default();
        let (tap, mut intakes) = Tap::new(1 << 20, 1, meter.clone());
        let signs = Arc::new(Signs::new(1, PERIOD, tap.gauge()));
        let (found, _taken) = mpsc::channel(9);
        let bench = bench(None, &signs, found);
        let shard = Shard::new(0, intakes.remove(0), bench);
        drop(tap.open(head(&[], true)));
        drop(Over { shard: &shard, turn: 0 });
        assert_eq!(signs.watch(Instant::now()), [0]);
        let successor = shard.replace(Instant::now()).unwrap().unwrap();
        drop(tap);
        successor.join().unwrap();
        assert_eq!((meter.coverage().scanned.messages, signs.adrift()), (1, 0));
    }
}
