//! A file → a log that can go on: walked from its beginning, repaired above the signed head, left alone below it.

use super::{
    Signed, Stated, Store,
    admit::Admission,
    log::{self, Log, Standing},
    recover::{PENDING, QUARANTINE},
    segments::{Authority, Segments},
    walk::{self, Damage, Walker},
};
use attest::{Chain, Record};
use posture::{Checkpoint, EventBody, Family, FindingRecord, Prune, Retention, SetAside, Timestamp};
use std::{
    fs::File,
    io::{self, BufReader},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// Pause between two walks of a log that fail, doubled with each up to a minute or so.
const LOAD_AGAIN: Duration = Duration::from_secs(1);
/// Files set aside that no event told of yet: each start that was cut short leaves one at most.
const MAX_UNTOLD: usize = 16;

impl Store {
    /// The log is open, its name leads to it, and it is as long as we left it.
    pub(super) fn make_sure_of_log(&mut self, now: Timestamp, at: Instant) -> io::Result<()> {
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
        let loaded = self.load(now).map(|_| ());
        self.load_failures = if loaded.is_ok() { 0 } else { self.load_failures + 1 };
        self.load_after = Some(at + LOAD_AGAIN * 2_u32.saturating_pow(self.load_failures).min(64));
        loaded
    }

    /// Walks the log and makes it writable. Returns whether the last run before this one did not stop.
    pub(super) fn load(&mut self, now: Timestamp) -> io::Result<bool> {
        let unfinished = self.signed.as_ref().is_some_and(|s| s.unfinished);
        let mut files = log::sealed(&self.folder)?;
        let newest = self.folder.join(log::NEWEST);
        Log::open(&newest)?;
        files.push(newest);
        let found = self.walk(files, self.signed.as_ref(), now)?;
        if !found.reaches && self.finish_recovery(now)? {
            return self.load(now);
        }
        if found.reaches {
            let signed_seq = self.signed.as_ref().map_or(0, |s| s.chain.next_seq());
            // Who can write the log can make it end with a stop: only a posture says so.
            let begun = found.seen.run.is_some_and(|run| run.open && run.seq >= signed_seq);
            let open = unfinished || begun;
            self.adopt(found, log::NEWEST)?;
            return Ok(open);
        }
        tracing::error!("the log is damaged at or below its signed head; findings go to quarantine.jsonl");
        let quarantine = self.folder.join(QUARANTINE);
        self.clear_of_strangers(&quarantine)?;
        Log::open(&quarantine)?;
        let found = self.walk(vec![quarantine], None, now)?;
        let open = unfinished || found.seen.run.is_some_and(|run| run.open);
        self.adopt(found, QUARANTINE)?;
        Ok(open)
    }

    /// Walks these segments, the newest one last, as far as they are one chain.
    pub(super) fn walk(&self, files: Vec<PathBuf>, signed: Option<&Signed>, now: Timestamp) -> io::Result<Found> {
        let mut begin = Chain::genesis();
        for path in &files {
            if let Some(chain) = walk::begin(reader(path)?)? {
                begin = chain;
                break;
            }
        }
        let known_first_seq = self.is_known.then(|| self.segments.first_seq());
        let held = Held { signed, known_first_seq, stated: &self.stated, retention: self.bounds.retention, now };
        let marks = [signed.map(|s| &s.chain), self.is_known.then_some(&self.end)];
        let mut walker = Walker::new(begin.clone(), marks);
        let mut found = Found {
            end: walker.end.clone(),
            reaches: false,
            goes_on: false,
            seen: Seen::new(held.retention.max_bytes, begin),
            last: 0,
            valid_bytes: 0,
            damage: Damage::default(),
            files,
        };
        for (n, path) in found.files.iter().enumerate() {
            let seen = &mut found.seen;
            let read = walker.read(reader(path)?, &mut |record| seen.see(record, &held))?;
            (found.last, found.valid_bytes, found.damage) = (n, read.valid_bytes, read.damage);
            if read.damage != Damage::default() {
                break;
            }
            if n + 1 < found.files.len() {
                found.seen.segments.seal(read.valid_bytes, &walker.end);
            }
        }
        let [reaches, goes_on] = walker.met();
        (found.end, found.reaches, found.goes_on) = (walker.end, reaches, goes_on);
        if found.seen.segments.is_torn_off() {
            // What is missing is the beginning, and nothing says that it may be. With nothing signed, nothing is kept.
            (found.reaches, found.goes_on) = (signed.is_none(), !self.is_known);
            found.seen = Seen::new(held.retention.max_bytes, Chain::genesis());
            (found.end, found.last, found.valid_bytes) = (Chain::genesis(), 0, 0);
            found.damage = walk::damage_in(&found.files[0])?;
        }
        for path in &found.files[found.last + 1..] {
            found.damage += walk::damage_in(path)?;
        }
        found.seen.segments.settle();
        Ok(found)
    }

    /// Goes on at the end of what was found, in the file of this name.
    pub(super) fn adopt(&mut self, found: Found, name: &str) -> io::Result<()> {
        let (seq, quarantined) = (found.end.next_seq(), name == QUARANTINE);
        if found.damage != Damage::default() {
            tracing::warn!(bytes = found.damage.bytes, "the log's end is damaged; it was set aside");
            log::set_aside(&found.files[found.last..], found.valid_bytes, seq)?;
        }
        let log = Log::open(&self.folder.join(name))?;
        // Set aside before a crash, and no gap event since: it would have had this very number.
        self.unreported = Damage::default();
        let there = |name: &PathBuf| name.symlink_metadata().is_ok();
        for name in log::damaged_names(&self.folder, "damaged", seq).take(MAX_UNTOLD).take_while(there) {
            if name.symlink_metadata()?.is_file() {
                self.unreported += walk::damage_in(&name)?;
            }
        }
        let same_file = quarantined == self.quarantined;
        if same_file && self.is_known && !found.goes_on {
            // Cut off, or given way to a stranger's: at least the last record this process wrote is in the log no more.
            let bytes = found.seen.segments.sealed_bytes() + log.len() + found.damage.bytes;
            let gone = self.end.next_seq().saturating_sub(seq).max(1);
            let records = gone.saturating_sub(found.damage.records);
            self.unreported += Damage { bytes: self.bytes().saturating_sub(bytes), records };
        }
        if !same_file || found.end != self.end {
            self.not_recorded += self.folds.forget();
        }
        self.quarantined = quarantined;
        // A log anew is given up if nobody signs it.
        self.is_known = name != PENDING;
        self.exports_missing = found.seen.exports_missing;
        self.rotations_missing = found.seen.rotations_missing;
        self.end = found.end;
        self.counts = found.seen.segments.counts();
        self.segments = found.seen.segments;
        self.last_checkpoint = found.seen.checkpoint;
        self.admission = found.seen.admission;
        // What an earlier process wrote and did not live to sync is not on the disk for certain.
        self.unsynced = true;
        self.bytes = log.len();
        self.log = Some(log);
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

    /// Says, at the beginning of a run, that exports are gone that the log knows of: the newest one left is number
    /// `last`. Without any, nothing holds the log to what was signed; and one that begins later was signed when it was cut.
    pub fn report_missing_exports(&mut self, last: Option<u64>, now: Timestamp, at: Instant) {
        let next_sequence = self.last_checkpoint.as_ref().map(|checkpoint| checkpoint.next_sequence);
        let fewer = next_sequence.is_some_and(|next| next > last.unwrap_or(0) + 1);
        // A first run that broke off before its first export leaves its start, and nothing that somebody could want gone.
        let begins_later = self.segments.first_seq() > attest::chain::FIRST_SEQ;
        let holds = begins_later || self.counts.findings > 0 || self.counts.folded > 0;
        if fewer || last.is_none() && holds {
            self.exports_missing |= last.is_none();
            self.event(EventBody::ExportsMissing { last_sequence: last, next_sequence }, now, at);
        }
    }

    /// What says that the posture before was not current any more when this one came, in a run that went on.
    pub fn silence(&self, now: Timestamp) -> EventBody {
        self.gap(Damage::default(), false, now)
    }

    fn gap(&self, damage: Damage, unclean: bool, now: Timestamp) -> EventBody {
        let since = self.signed.as_ref().and_then(|s| s.at).map(|at| now.since(at).num_seconds());
        EventBody::Gap {
            damaged_bytes: damage.bytes,
            damaged_records: damage.records,
            // A clock that went back makes no negative span.
            seconds: since.map(|s| u64::try_from(s).unwrap_or(0)),
            unclean,
        }
    }
}

/// What a walk over the log found.
pub(super) struct Found {
    /// Where the valid chain ends.
    end: Chain,
    /// It goes through the signed head, and begins where it should.
    pub(super) reaches: bool,
    /// It goes through what this process wrote last.
    goes_on: bool,
    pub(super) seen: Seen,
    /// The segments, oldest first.
    files: Vec<PathBuf>,
    /// The one the chain ends in.
    last: usize,
    /// What is the chain's of it.
    valid_bytes: u64,
    /// What is not.
    damage: Damage,
}

impl Found {
    /// Whether its first record, and the first that is retained, has this number.
    pub(super) fn begins_at(&self, seq: u64) -> bool {
        self.seen.segments.begins_at(seq)
    }
}

/// What a walk over the log learns of its records.
pub(super) struct Seen {
    /// The files that the recovery it begins with names.
    pub(super) set_aside: Option<Vec<SetAside>>,
    exports_missing: bool,
    rotations_missing: bool,
    segments: Segments,
    checkpoint: Option<Checkpoint>,
    run: Option<Run>,
    admission: Admission,
}

/// What a walk holds the records against.
struct Held<'s> {
    signed: Option<&'s Signed>,
    /// The first record retained, as this process knows it.
    known_first_seq: Option<u64>,
    stated: &'s Stated,
    retention: Retention,
    now: Timestamp,
}

impl Held<'_> {
    /// Whether the record of this number was signed.
    fn covers(&self, seq: u64) -> bool {
        self.signed.is_some_and(|signed| seq < signed.chain.next_seq())
    }

    /// Whether a prune that nobody signed would drop records a posture or this process knows of.
    fn knows_better_than(&self, prune: &Prune) -> bool {
        let exported = self.signed.is_some_and(|signed| signed.at.is_some());
        exported || self.known_first_seq.is_some_and(|first_seq| prune.last_seq >= first_seq)
    }

    /// Whether this monitor may have written a record that nobody signed: what it signs of a stranger's is its own word.
    fn could_be_ours(&self, record: &Record) -> bool {
        match record {
            Record::Finding(finding) => is_known(finding),
            Record::Event(event) => match &event.event {
                // A key that is in use has its statement, and the event it names was signed before.
                EventBody::Rotate { new_key_id, .. } => !self.stated.keys.contains(new_key_id),
                EventBody::ExportsMissing { last_sequence: None, .. } => self.signed.is_none_or(|s| s.at.is_none()),
                _ => true,
            },
        }
    }
}

/// Whether a finding counts under a name there is: others would fill the documents that hold the sums.
pub(super) fn is_known(finding: &FindingRecord) -> bool {
    finding.pattern.as_str().parse::<Family>().is_ok()
}

/// The last word of the log on a run.
#[derive(Clone, Copy)]
struct Run {
    seq: u64,
    /// It began, and did not stop.
    open: bool,
}

impl Seen {
    fn new(max_bytes: u64, begin: Chain) -> Self {
        let (segments, admission) = (Segments::new(begin), Admission::new(max_bytes));
        let (exports_missing, rotations_missing) = (false, false);
        Self { set_aside: None, exports_missing, rotations_missing, segments, checkpoint: None, run: None, admission }
    }

    /// False when it is not a record this log can hold.
    fn see(&mut self, record: &Record, held: &Held<'_>) -> bool {
        if !held.covers(record.seq()) && !held.could_be_ours(record) {
            return false;
        }
        let ours = |seq| held.signed.is_none() || held.covers(seq);
        match record {
            Record::Finding(finding) => self.admission.seen(finding),
            Record::Event(event) => match &event.event {
                EventBody::Checkpoint(checkpoint) => self.checkpoint = Some(Checkpoint::clone(checkpoint)),
                EventBody::Prune(prune) => {
                    let authority = match held.signed {
                        _ if held.covers(event.seq) => Authority::Signed,
                        _ if held.knows_better_than(prune) => Authority::Unsigned(held.retention, held.now),
                        _ => Authority::Alone(held.retention, held.now),
                    };
                    if !self.segments.announce(event.seq, prune, authority) {
                        return false;
                    }
                }
                EventBody::Recovery(recovery) => {
                    // Of one that nobody signed, a person has to ask again.
                    if !ours(event.seq) || !self.segments.begin_anew(event.seq, &recovery.totals.counts) {
                        return false;
                    }
                    self.set_aside = Some(recovery.set_aside.clone());
                }
                EventBody::SetAside { files } => {
                    // Nobody's word but a signed recovery's moves a file.
                    if let Some(listed) = self.set_aside.as_mut().filter(|_| ours(event.seq)) {
                        listed.extend_from_slice(files);
                    }
                }
                EventBody::ExportsMissing { last_sequence: None, .. } => self.exports_missing = true,
                EventBody::Rotate { new_key_id, .. } => self.rotations_missing |= held.stated.misses(new_key_id),
                EventBody::Start { .. } => self.run = Some(Run { seq: event.seq, open: true }),
                EventBody::Stop { .. } => self.run = Some(Run { seq: event.seq, open: false }),
                _ => {}
            },
        }
        self.segments.see(record);
        true
    }
}

pub(super) fn reader(path: &Path) -> io::Result<BufReader<File>> {
    Ok(BufReader::with_capacity(64 << 10, log::open_private(path)?))
}
