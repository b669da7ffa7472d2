//! One segment → the next, and the oldest → gone: announced, signed, and then deleted.
//!
//! | step | after a crash behind it |
//! |---|---|
//! | a `seal` is appended | the next record finds the segment over, and begins the next |
//! | the segment is renamed | the newest one is made anew, and begins with a `checkpoint` |
//! | the next one, which holds its checkpoint, gets the name | nothing is left to do |
//! | a `prune` is appended | signed or not, it is taken up again, if it is what would be due now |
//! | the posture that signs it and two more are exported | with one of them counted, two more are waited for |
//! | segments are deleted, oldest first | the rest is deleted |

use super::{
    Store,
    log::{self, Log},
    segments::Authority,
};
use crate::{home::file, warned};
use attest::{Framed, Record};
use posture::{Checkpoint, EventBody, Prune, Timestamp};
use std::{io, time::Instant};

/// Segments deleted at once: each is made durable, and findings wait.
const DELETE_AT_ONCE: usize = 64;

impl Store {
    /// What is due by age and by bytes.
    pub(super) fn retain(&mut self, now: Timestamp, at: Instant) {
        if self.failing || self.quarantined || !self.waiting.is_empty() {
            return;
        }
        self.delete_pruned();
        if let Err(error) = self.make_segment(0, now) {
            return self.fail("begin a new segment", &error);
        }
        if let Some(prune) = self.segments.due(&self.bounds.retention, self.bytes(), now) {
            match self.announce(&prune, now) {
                Err(error) => self.fail("announce what goes", &error),
                Ok(()) => self.checkpoint(now, at),
            }
        }
    }

    /// Not by way of what waits: by the time it is written, it must still be true.
    fn announce(&mut self, prune: &Prune, now: Timestamp) -> io::Result<()> {
        self.make_segment(CHECKPOINT_BYTES, now)?;
        let (record, framed) = self.frame_event(EventBody::Prune(Box::new(prune.clone())), now)?;
        if self.bytes() + framed.line.len() as u64 > self.bounds.retention.max_bytes {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.append(&record, &framed)?;
        self.segments.announce(framed.seq, prune, Authority::Ours);
        Ok(())
    }

    fn checkpoint(&mut self, now: Timestamp, at: Instant) {
        if let Some(totals) = self.totals.clone() {
            let checkpoint = Checkpoint { counts: self.counts.clone(), ..totals };
            self.event(EventBody::Checkpoint(Box::new(checkpoint)), now, at);
        }
    }

    /// Deletes what a prune announced, once it is signed and readers had time to leave.
    pub(super) fn delete_pruned(&mut self) {
        if self.quarantined {
            return;
        }
        for _ in 0..DELETE_AT_ONCE {
            let Some(seq) = self.segments.deletable().map(|segment| segment.first_seq) else { return };
            let deleted = file::remove(&log::sealed_name(&self.folder, seq));
            // Each on the disk before the next: what is left after a crash is of one piece.
            match deleted.and_then(|()| file::sync_folder(&self.folder)) {
                Err(error) => {
                    return self
                        .warned_of_pruned
                        .of(format!("could not delete a pruned segment: {}", warned::why(&error)));
                }
                Ok(()) => self.segments.deleted(),
            }
            self.warned_of_pruned.over("pruned segments are deleted");
            self.admission.relieved();
        }
    }

    /// Ends the active segment if it is over, or full for a line of this length, and begins the next. Returns whether
    /// anything was written.
    pub(super) fn make_segment(&mut self, line: u64, now: Timestamp) -> io::Result<bool> {
        let (begin, retention) = (self.segments.is_to_begin(), self.bounds.retention);
        if self.quarantined || !begin && !self.segments.is_full(self.bytes, line, &retention, now) {
            return Ok(false);
        }
        let Some(totals) = self.totals.clone() else { return Ok(false) };
        if !begin && !self.segments.is_over() {
            let seal = EventBody::Seal { bytes: self.bytes, first_seq: self.segments.active_first_seq() };
            let (record, framed) = self.frame_event(seal, now)?;
            // The last of the room is kept for this.
            let room = framed.line.len() as u64 + CHECKPOINT_BYTES;
            if self.bytes() + room > retention.max_bytes {
                return Ok(false);
            }
            self.append(&record, &framed)?;
        }
        let checkpoint = Checkpoint { counts: self.counts.clone(), ..totals };
        let (record, framed) = self.frame_event(EventBody::Checkpoint(Box::new(checkpoint)), now)?;
        if begin {
            self.append(&record, &framed)?;
        } else {
            self.begin_segment(&record, &framed)?;
        }
        Ok(true)
    }

    fn begin_segment(&mut self, checkpoint: &Record, framed: &Framed) -> io::Result<()> {
        let log = self.log.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        let name = log::sealed_name(&self.folder, self.segments.active_first_seq());
        if let Err(error) = log.roll(&name, &framed.line) {
            // Which of the names changed, a walk will tell.
            self.log = None;
            return Err(error);
        }
        self.segments.seal(self.bytes, &self.end);
        self.bytes = self.log.as_ref().map_or(0, Log::len);
        self.stands_behind(checkpoint, framed);
        Ok(())
    }
}

/// What a checkpoint takes at most.
const CHECKPOINT_BYTES: u64 = 8 << 10;
