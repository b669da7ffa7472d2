//! Parts → Scanner → Hit<'_> → Redactor → recorder, on threads of their own.
//!
//! A panic over one message costs that message: it counts as `scanner_error`, and the thread goes on.

use super::signs::Signs;
use crate::{
    clock,
    flow::{
        capture::{Fed, Feed, Holding, Intake, MessageId, MessageTicket, Part, Sightings},
        detect::{Detector, Hit, Scanner},
        redact::{Finding, Redactor},
    },
};
use std::{
    collections::HashMap,
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    thread::{self, JoinHandle},
};
use tokio::sync::mpsc;

/// What all scanner threads share.
#[derive(Clone)]
pub(super) struct Bench {
    pub(super) detector: Arc<Detector>,
    pub(super) redactor: Arc<Redactor>,
    pub(super) signs: Arc<Signs>,
    pub(super) found: mpsc::Sender<Finding>,
}

/// Starts the thread that scans what falls to `shard`. It ends when the queue does.
pub(super) fn spawn(shard: usize, intake: Intake, bench: Bench) -> io::Result<JoinHandle<()>> {
    thread::Builder::new().name(format!("guardian-scan-{shard}")).spawn(move || scan(shard, &intake, &bench))
}

/// A message that has begun.
struct Work {
    scanner: Scanner,
    ticket: Arc<MessageTicket>,
    holding: Holding,
}

fn scan(shard: usize, intake: &Intake, bench: &Bench) {
    struct Over<'s>(&'s Signs, usize);
    impl Drop for Over<'_> {
        fn drop(&mut self) {
            self.0.scanner(self.1).over();
        }
    }
    let _over = Over(&bench.signs, shard);
    let life = bench.signs.scanner(shard);
    let mut open: HashMap<MessageId, Work> = HashMap::new();
    while let Some(fed) = intake.recv() {
        life.begins();
        let message = fed.message;
        let step = catch_unwind(AssertUnwindSafe(|| bench.step(&mut open, intake, fed)));
        if step.is_err() {
            tracing::error!("a scanner panicked; the message counts as scanner_error");
            // Its ticket goes with it; parts that still come find nothing.
            let _ = catch_unwind(AssertUnwindSafe(|| open.remove(&message)));
        }
        life.done();
    }
}

impl Bench {
    fn step(&self, open: &mut HashMap<MessageId, Work>, intake: &Intake, fed: Fed) {
        let test = fed.sightings.as_deref();
        let mut on = |hit: &Hit<'_>| self.hit(hit, test);
        match fed.feed {
            Feed::Begin(head, ticket) => {
                if !head.route.names_agree {
                    self.signs.audience_mismatch();
                }
                let scanner = Scanner::new(Arc::clone(&self.detector), head, &mut on);
                let mut holding = intake.holding();
                let _ = holding.set(scanner.held());
                open.insert(fed.message, Work { scanner, ticket, holding });
            }
            Feed::Name(head) => {
                let (_, token_seen) = Scanner::new(Arc::clone(&self.detector), head, &mut on).conclude(&mut on);
                self.signs.token_seen(token_seen);
            }
            Feed::Part(Part::End) => {
                let Some(work) = open.remove(&fed.message) else { return };
                self.conclude(work, test);
            }
            Feed::Part(part) => {
                let Some(work) = open.get_mut(&fed.message) else { return };
                match part {
                    Part::Body(piece) => work.scanner.body(&piece, &mut on),
                    Part::Trailers(fields) => work.scanner.trailers(&fields, &mut on),
                    Part::End => {}
                }
                if !work.holding.set(work.scanner.held()) {
                    work.ticket.mark_dropped();
                    open.remove(&fed.message).into_iter().for_each(|work| self.conclude(work, test));
                }
            }
        }
    }

    fn conclude(&self, work: Work, test: Option<&Sightings>) {
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
        let finding = self.redactor.finding(hit, clock::now());
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

    /// Scans these bodies, each a message of its own, with one finding at a time on its way to whoever takes them.
    fn scanned(
        taken_by_someone: bool,
        bodies: &[String],
        names_agree: bool,
    ) -> (Vec<Finding>, posture::Attested, Meter) {
        let meter = Meter::default();
        let (tap, mut intakes) = Tap::new(1 << 20, 1, meter.clone());
        let signs = Arc::new(Signs::new(1, tap.gauge()));
        let (found, mut taken) = mpsc::channel(1);
        let collector = taken_by_someone
            .then(|| thread::spawn(move || std::iter::from_fn(|| taken.blocking_recv()).collect::<Vec<_>>()));
        let bench = Bench {
            detector: Detector::new(Limits::default(), &[], Some(OWN_TOKEN)),
            redactor: Arc::new(Redactor::new(&[7; 32])),
            signs: Arc::clone(&signs),
            found,
        };
        let thread = spawn(0, intakes.remove(0), bench).unwrap();
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
        let bench = Bench {
            detector: Detector::new(Limits::default(), &[], None),
            redactor: Arc::new(Redactor::new(&[7; 32])),
            signs: Arc::new(Signs::new(1, tap.gauge())),
            found,
        };
        let thread = spawn(0, intakes.remove(0), bench).unwrap();
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        std::io::Write::write_all(&mut packed, [key(1), "x ".repeat(1 << 20)].concat().as_bytes()).unwrap();
        let packed = Bytes::from(packed.finish().unwrap());
        let mut message = tap.open(head(&[("Content-Encoding", "gzip")], true));
        message.body(&packed);
        // It is judged before it ends.
        assert!(taken.blocking_recv().is_some());
        while tap.used() > 1024 {
            thread::yield_now();
        }
        message.body(&packed);
        drop((message, tap));
        thread.join().unwrap();
        let coverage = meter.coverage();
        assert!(coverage.adds_up());
        assert_eq!(coverage.unscanned(posture::UnscannedReason::Dropped).messages, 1);
        assert!(coverage.unscanned(posture::UnscannedReason::Dropped).bytes >= packed.len() as u64);
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
}
