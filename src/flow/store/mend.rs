//! A file → a log that can go on: walked from its beginning, repaired above the signed head, left alone below it.

use super::{
    Store,
    admit::Admission,
    log::{self, Log, Standing},
    walk::{self, Damage, Walked, walk},
};
use attest::Record;
use posture::{Checkpoint, Counts, Ended, EventBody, Timestamp};
use std::{io, time::Instant};

impl Store {
    /// The log is open, its name leads to it, and it is as long as we left it.
    pub(super) fn make_sure_of_log(&mut self) -> io::Result<()> {
        let Some(log) = &mut self.log else { return self.load().map(|_| ()) };
        match log.standing()? {
            Standing::Ours => Ok(()),
            Standing::Gone => log.restore(),
            Standing::Changed => {
                let before = (self.end.next_seq(), log.len());
                self.log = None;
                self.load()?;
                let gone = before.0.saturating_sub(self.end.next_seq());
                if gone > 0 && !self.quarantined {
                    let bytes = before.1.saturating_sub(self.bytes());
                    self.unreported += Damage { bytes, records: gone };
                }
                Ok(())
            }
        }
    }

    /// Walks the log and makes it writable. Returns whether the last run in it did not stop.
    pub(super) fn load(&mut self) -> io::Result<bool> {
        let path = self.folder.join("findings.jsonl");
        let mut log = Log::open(&path)?;
        let mut seen = Seen::default();
        let mut admission = Admission::new(self.bounds.retention.max_bytes);
        let through = self.signed.as_ref().map(|s| &s.chain);
        let walked = walk(log.reader()?, through, &mut |record| seen.see(record, &mut admission))?;
        if !walked.reaches {
            tracing::error!("the log is damaged at or below its signed head; findings go to quarantine.jsonl");
            return self.quarantine();
        }
        self.repair(&mut log, &walked)?;
        let reported = (walked.end.next_seq(), self.quarantined) == (self.end.next_seq(), false);
        if !reported {
            self.folds.forget();
        }
        self.quarantined = false;
        self.end = walked.end;
        self.counts = seen.counts;
        self.last_checkpoint = seen.checkpoint;
        self.admission = admission;
        // What an earlier process wrote and did not live to sync is not on the disk for certain.
        self.unsynced = true;
        self.log = Some(log);
        Ok(seen.running)
    }

    fn quarantine(&mut self) -> io::Result<bool> {
        let mut log = Log::open(&self.folder.join("quarantine.jsonl"))?;
        let mut seen = Seen::default();
        let mut admission = Admission::new(self.bounds.retention.max_bytes);
        let walked = walk(log.reader()?, None, &mut |record| seen.see(record, &mut admission))?;
        self.repair(&mut log, &walked)?;
        self.folds.forget();
        self.quarantined = true;
        self.end = walked.end;
        self.counts = seen.counts;
        self.last_checkpoint = seen.checkpoint;
        self.admission = admission;
        // What an earlier process wrote and did not live to sync is not on the disk for certain.
        self.unsynced = true;
        self.log = Some(log);
        Ok(seen.running || self.signed.as_ref().is_some_and(|s| s.running))
    }

    /// Cuts a log down to its valid chain, once what is cut is safe elsewhere.
    fn repair(&mut self, log: &mut Log, walked: &Walked) -> io::Result<()> {
        let seq = walked.end.next_seq();
        if walked.damage != Damage::default() {
            tracing::warn!(bytes = walked.damage.bytes, "the log's end is damaged; it was set aside");
            log.set_aside(walked.valid_bytes, seq)?;
        }
        // Set aside before a crash, and no gap event since: it would have had this very number.
        self.unreported = Damage::default();
        for name in log::damaged_names(&self.folder, seq).take_while(|name| name.exists()) {
            self.unreported += walk::damage_in(&name)?;
        }
        Ok(())
    }

    /// Says what was lost, once.
    pub fn report_damage(&mut self, now: Timestamp, at: Instant) {
        let damage = std::mem::take(&mut self.unreported);
        if damage != Damage::default() {
            self.event(self.gap(damage, false, now), now, at);
        }
    }

    /// Says, at the beginning of a run, that the one before it broke off, and what was lost.
    pub fn report_gap(&mut self, now: Timestamp, at: Instant) {
        let damage = std::mem::take(&mut self.unreported);
        if self.unclean || damage != Damage::default() {
            self.event(self.gap(damage, self.unclean, now), now, at);
        }
    }

    fn gap(&self, damage: Damage, unclean: bool, now: Timestamp) -> EventBody {
        let since = self.signed.as_ref().map(|s| now.since(s.at).num_seconds());
        EventBody::Gap {
            damaged_bytes: damage.bytes,
            damaged_records: damage.records,
            // A clock that went back makes no negative span.
            seconds: since.map(|s| u64::try_from(s).unwrap_or(0)),
            unclean,
        }
    }
}

/// What a walk over the log learns.
#[derive(Default)]
struct Seen {
    counts: Counts,
    checkpoint: Option<Checkpoint>,
    running: bool,
}

impl Seen {
    fn see(&mut self, record: &Record, admission: &mut Admission) {
        record.count(&mut self.counts);
        match record {
            Record::Finding(finding) => admission.seen(finding),
            Record::Event(event) => match &event.event {
                EventBody::Checkpoint(checkpoint) => self.checkpoint = Some(Checkpoint::clone(checkpoint)),
                EventBody::Start { .. } => self.running = true,
                EventBody::Stop { ended } => self.running = *ended == Ended::Running,
                _ => {}
            },
        }
    }
}
