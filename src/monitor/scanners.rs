//! Parts → Scanner → Hit<'_> → Redactor → recorder, on threads of their own.
//!
//! A panic over one message costs that message: it counts as `scanner_error`, and the thread goes on.

use super::signs::Signs;
use crate::{
    clock,
    flow::{
        capture::{Fed, Feed, Holding, Intake, MessageId, MessageTicket, Part},
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
        let mut on = |hit: &Hit<'_>| self.hit(hit);
        match fed.feed {
            Feed::Begin(head, ticket) => {
                if !head.route.names_agree {
                    self.signs.audience_mismatch();
                }
                let scanner = Scanner::new(Arc::clone(&self.detector), head, &mut on);
                let mut holding = intake.holding();
                holding.set(scanner.held());
                open.insert(fed.message, Work { scanner, ticket, holding });
            }
            Feed::Part(Part::End) => {
                let Some(work) = open.remove(&fed.message) else { return };
                let (scanned, token_seen) = work.scanner.conclude(&mut on);
                self.signs.token_seen(token_seen);
                work.ticket.settle(scanned.bytes, scanned.unscanned);
            }
            Feed::Part(part) => {
                let Some(work) = open.get_mut(&fed.message) else { return };
                match part {
                    Part::Body(piece) => work.scanner.body(&piece, &mut on),
                    Part::Trailers(fields) => work.scanner.trailers(&fields, &mut on),
                    Part::End => {}
                }
                work.holding.set(work.scanner.held());
            }
        }
    }

    fn hit(&self, hit: &Hit<'_>) {
        if hit.expected {
            return self.signs.expected();
        }
        let finding = self.redactor.finding(hit, clock::now());
        if self.found.try_send(finding).is_err() {
            self.signs.lost();
        }
    }
}
