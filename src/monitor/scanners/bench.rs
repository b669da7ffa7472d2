//! Fed → Scanner → Hit<'_> → Finding: does one thing of a message, and gives back what goes on of it.

use crate::{
    clock,
    flow::{
        capture::{Fed, Feed, Holding, MessageTicket, Part, Sightings},
        detect::{Detector, Hit, Scanner},
        redact::{Finding, Redactor},
    },
    monitor::{in_force::InForce, signs::Signs},
};
use std::sync::Arc;
use tokio::sync::mpsc;

/// What all scanner threads share.
#[derive(Clone)]
pub(in crate::monitor) struct Bench {
    pub(in crate::monitor) detector: InForce<Detector>,
    pub(in crate::monitor) redactor: InForce<Redactor>,
    pub(in crate::monitor) signs: Arc<Signs>,
    pub(in crate::monitor) found: mpsc::Sender<Finding>,
}

/// A message that has begun.
pub(super) struct Work {
    scanner: Scanner,
    pub(super) ticket: Arc<MessageTicket>,
    pub(super) holding: Holding,
    /// See [`Feed`].
    sightings: Option<Arc<Sightings>>,
}

impl Bench {
    /// Does one thing, and gives back what goes on of the message.
    pub(super) fn step(&self, work: Option<Box<Work>>, mut holding: Holding, fed: Fed) -> Option<Box<Work>> {
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
    pub(super) fn cut(&self, work: Work) -> Option<Box<Work>> {
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
