//! A file → a log that can go on: walked from its beginning, repaired above the signed head, left alone below it.

use super::{
    Store,
    admit::Admission,
    log::{self, Log, Standing},
    walk::{self, Damage, Walked, walk},
};
use attest::{Chain, Record};
use posture::{Checkpoint, Counts, EventBody, Timestamp};
use std::{
    io,
    time::{Duration, Instant},
};

/// Pause between two walks of a log that fail, doubled with each up to a minute or so.
const LOAD_AGAIN: Duration = Duration::from_secs(1);

impl Store {
    /// The log is open, its name leads to it, and it is as long as we left it.
    pub(super) fn make_sure_of_log(&mut self, at: Instant) -> io::Result<()> {
        match &mut self.log {
            Some(log) => match log.standing()? {
                Standing::Ours => return Ok(()),
                Standing::Gone => return log.restore(),
                Standing::Changed => self.log = None,
            },
            // A walk reads all of the log: not every second, while it fails.
            None if self.load_after.is_some_and(|after| at < after) => return Err(io::ErrorKind::NotConnected.into()),
            None => {}
        }
        let loaded = self.load().map(|_| ());
        self.load_failures = if loaded.is_ok() { 0 } else { self.load_failures + 1 };
        self.load_after = Some(at + LOAD_AGAIN * 2_u32.saturating_pow(self.load_failures).min(64));
        loaded
    }

    /// Walks the log and makes it writable. Returns whether the last run before this one did not stop.
    pub(super) fn load(&mut self) -> io::Result<bool> {
        let mut log = Log::open(&self.folder.join("findings.jsonl"))?;
        let mut seen = Seen::new(self.bounds.retention.max_bytes);
        let through = self.signed.as_ref().map(|s| &s.chain);
        let walked = walk(log.reader()?, through, &mut |record| seen.see(record))?;
        let unfinished = self.signed.as_ref().is_some_and(|s| s.unfinished);
        if walked.reaches {
            let signed_seq = through.map_or(0, Chain::next_seq);
            // What the posture says of the run it ends with counts, unless the log goes on to another.
            let open = seen.run.filter(|run| run.seq >= signed_seq).map_or(unfinished, |run| run.open);
            self.adopt(log, walked, seen, false)?;
            return Ok(open);
        }
        tracing::error!("the log is damaged at or below its signed head; findings go to quarantine.jsonl");
        let mut log = Log::open(&self.folder.join("quarantine.jsonl"))?;
        let mut seen = Seen::new(self.bounds.retention.max_bytes);
        let walked = walk(log.reader()?, None, &mut |record| seen.see(record))?;
        let open = seen.run.map_or(unfinished, |run| run.open);
        self.adopt(log, walked, seen, true)?;
        Ok(open)
    }

    fn adopt(&mut self, mut log: Log, walked: Walked, seen: Seen, quarantined: bool) -> io::Result<()> {
        self.repair(&mut log, &walked)?;
        let same_file = quarantined == self.quarantined;
        let gone = self.end.next_seq().saturating_sub(walked.end.next_seq());
        if same_file && gone > 0 {
            self.unreported += Damage { bytes: self.bytes.saturating_sub(log.len()), records: gone };
        }
        if !same_file || walked.end != self.end {
            self.folds.forget();
        }
        self.quarantined = quarantined;
        self.end = walked.end;
        self.counts = seen.counts;
        self.last_checkpoint = seen.checkpoint;
        self.admission = seen.admission;
        // What an earlier process wrote and did not live to sync is not on the disk for certain.
        self.unsynced = true;
        self.bytes = log.len();
        self.log = Some(log);
        Ok(())
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
struct Seen {
    counts: Counts,
    checkpoint: Option<Checkpoint>,
    run: Option<Run>,
    admission: Admission,
}

/// The last word of the log on a run.
#[derive(Clone, Copy)]
struct Run {
    seq: u64,
    /// It began, and did not stop.
    open: bool,
}

impl Seen {
    fn new(max_bytes: u64) -> Self {
        Self { counts: Counts::default(), checkpoint: None, run: None, admission: Admission::new(max_bytes) }
    }

    fn see(&mut self, record: &Record) {
        record.count(&mut self.counts);
        match record {
            Record::Finding(finding) => self.admission.seen(finding),
            Record::Event(event) => match &event.event {
                EventBody::Checkpoint(checkpoint) => self.checkpoint = Some(Checkpoint::clone(checkpoint)),
                EventBody::Start { .. } => self.run = Some(Run { seq: event.seq, open: true }),
                EventBody::Stop { .. } => self.run = Some(Run { seq: event.seq, open: false }),
                _ => {}
            },
        }
    }
}
