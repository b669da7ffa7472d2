//! Record ⇄ one line of the log, bound to the line before.
//!
//! A line is the record's canonical form and LF. Its `prev_sha256` is the SHA-256 of the line before without LF, the
//! first one's that of [`posture::LOG_GENESIS`]. Numbers begin at 1.
//!
//! A line is read by a closed typed parse and written again: if the bytes are the same, it is canonical, because the
//! fields of a record stand in alphabetical order.

use crate::{canonical, digest::sha256};
use posture::{
    Counts, EVENT_SCHEMA, Event, EventBody, FINDING_SCHEMA, FindingRecord, LOG_GENESIS, Platform, Sha256Hex, Timestamp,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// No line is longer, in bytes, without its LF.
pub const MAX_LINE_BYTES: usize = 64 * 1024;
/// The number of a log's first record.
pub const FIRST_SEQ: u64 = 1;

/// One line of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// Something was found.
    Finding(Box<FindingRecord>),
    /// Anything else.
    Event(Box<Event>),
}

/// Why a line was refused. Nothing of the line is in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LineError {
    /// Longer than [`MAX_LINE_BYTES`].
    #[error("the line is longer than {MAX_LINE_BYTES} bytes")]
    TooLong,
    /// Not a record of the two schemas, or a number in it is out of bounds.
    #[error("the line is not a record of this log")]
    Malformed,
    /// A record, but spelt otherwise than its canonical form.
    #[error("the line is not in canonical form")]
    NotCanonical,
    /// A record of a later version of its schema.
    #[error("the line is a record of a version not known here")]
    UnknownVersion,
    /// Another number than the next.
    #[error("the line has seq {found}, expected {expected}")]
    Seq {
        /// The next number.
        expected: u64,
        /// The line's.
        found: u64,
    },
    /// Not bound to the line before.
    #[error("the line is not chained to the one before it")]
    Prev,
}

impl Record {
    /// Its number.
    pub fn seq(&self) -> u64 {
        match self {
            Self::Finding(r) => r.seq,
            Self::Event(r) => r.seq,
        }
    }

    /// The hash of the line before.
    pub fn prev_sha256(&self) -> &Sha256Hex {
        match self {
            Self::Finding(r) => &r.prev_sha256,
            Self::Event(r) => &r.prev_sha256,
        }
    }

    /// When it happened.
    pub fn timestamp(&self) -> Timestamp {
        match self {
            Self::Finding(r) => r.timestamp,
            Self::Event(r) => r.timestamp,
        }
    }

    /// Adds this record to the counts a posture states.
    pub fn count(&self, counts: &mut Counts) {
        match self {
            Self::Finding(r) => counts.add_finding(&r.direction.into(), &r.pattern, &r.severity.into()),
            Self::Event(r) => {
                if let EventBody::Fold { count, .. } = r.event {
                    counts.folded = counts.folded.saturating_add(count).min(posture::MAX_INTEGER);
                }
            }
        }
    }

    /// The canonical line, without LF.
    fn to_vec(&self) -> Result<Vec<u8>, LineError> {
        let mut line = Vec::with_capacity(1024);
        match self {
            Self::Finding(r) => canonical::plain(r, &mut line),
            Self::Event(r) => canonical::plain(r, &mut line),
        }
        .map_err(|_| LineError::Malformed)?;
        if line.len() > MAX_LINE_BYTES { Err(LineError::TooLong) } else { Ok(line) }
    }
}

/// Reads one line, without its LF: closed schema, canonical form. Its place in the chain is [`Chain::follow`]'s to check.
///
/// # Errors
/// [`LineError`], but for `Seq` and `Prev`.
pub fn read_line(line: &[u8]) -> Result<Record, LineError> {
    if line.len() > MAX_LINE_BYTES {
        return Err(LineError::TooLong);
    }
    // Canonical form fixes the first member: `event` of an event, `dest` of a finding.
    let record = if line.starts_with(br#"{"event":"#) {
        typed(line, EVENT_SCHEMA, |r: &Event| &r.schema_version).map(|r| Record::Event(Box::new(r)))
    } else {
        typed(line, FINDING_SCHEMA, |r: &FindingRecord| &r.schema_version).map(|r| Record::Finding(Box::new(r)))
    }?;
    if record.to_vec()? == line { Ok(record) } else { Err(LineError::NotCanonical) }
}

fn typed<T: DeserializeOwned>(line: &[u8], schema: &str, version: fn(&T) -> &String) -> Result<T, LineError> {
    // Whether all of it is UTF-8 is asked once, not of each string.
    let record = str::from_utf8(line).ok().and_then(|text| serde_json::from_str::<T>(text).ok());
    match record {
        Some(record) if version(&record) == schema => Ok(record),
        _ => Err(link(line).map_or(LineError::Malformed, |link| link.foreign())),
    }
}

/// What every version of a record has.
#[derive(Deserialize)]
struct Link {
    prev_sha256: Sha256Hex,
    schema_version: String,
    seq: u64,
}

impl Link {
    fn foreign(&self) -> LineError {
        let known = [EVENT_SCHEMA, FINDING_SCHEMA].contains(&self.schema_version.as_str());
        if known || !self.schema_version.starts_with("clawsec-traffic-") {
            LineError::Malformed
        } else {
            LineError::UnknownVersion
        }
    }
}

fn link(line: &[u8]) -> Option<Link> {
    serde_json::from_slice(line).ok()
}

/// One line read by itself. Where it belongs is [`Chain::take`]'s to check.
pub(crate) struct Entry {
    record: Result<Record, LineError>,
    /// What it says of its place all the same, when it is no record known here.
    link: Option<Link>,
    sha256: Sha256Hex,
}

impl Entry {
    /// Of a line without its LF.
    pub(crate) fn read(line: &[u8]) -> Self {
        let record = read_line(line);
        Self { link: record.is_err().then(|| link(line)).flatten(), record, sha256: sha256(line) }
    }

    /// As [`Chain::before`].
    pub(crate) fn before(&self) -> Option<Chain> {
        let (seq, prev_sha256) = match &self.record {
            Ok(record) => (record.seq(), record.prev_sha256()),
            Err(_) => self.link.as_ref().map(|link| (link.seq, &link.prev_sha256))?,
        };
        Some(Chain::resume(seq, prev_sha256.clone()))
    }
}

/// A line ready to be appended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Framed {
    /// The bytes, with LF.
    pub line: Vec<u8>,
    /// SHA-256 of the line without LF: the head of the chain once it is appended.
    pub sha256: Sha256Hex,
    /// The record's number.
    pub seq: u64,
}

/// The end of a log: where the next record goes.
///
/// ```
/// # use attest::chain::Chain; use posture::{Ended, EventBody};
/// let mut chain = Chain::genesis();
/// let framed = chain.event("2026-04-26T00:00:00.000Z".parse()?, EventBody::Stop { ended: Ended::Signal })?;
/// // Once the line is in the file:
/// chain.advance(&framed);
/// assert_eq!((chain.next_seq(), chain.head()), (2, &framed.sha256));
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Chain {
    head: Sha256Hex,
    next_seq: u64,
}

impl Chain {
    /// Before the first record.
    pub fn genesis() -> Self {
        Self { head: sha256(LOG_GENESIS), next_seq: FIRST_SEQ }
    }

    /// Before this line, as it says itself: whatever is right of what lies before it must end here. `None` for a line
    /// that is no record of any version.
    pub fn before(line: &[u8]) -> Option<Self> {
        link(line).map(|link| Self { head: link.prev_sha256, next_seq: link.seq })
    }

    /// After the record `next_seq` − 1, whose line hashes to `head`.
    pub fn resume(next_seq: u64, head: Sha256Hex) -> Self {
        Self { head, next_seq }
    }

    /// The number the next record gets.
    pub fn next_seq(&self) -> u64 {
        self.next_seq
    }

    /// The hash of the last line: the next record's `prev_sha256`, and a posture's `finding_log_sha256`.
    pub fn head(&self) -> &Sha256Hex {
        &self.head
    }

    /// Frames the finding made for the next number and the head. The chain stands still until [`Chain::advance`].
    ///
    /// # Errors
    /// As [`Chain::frame`].
    pub fn finding(&self, make: impl FnOnce(u64, Sha256Hex) -> FindingRecord) -> Result<Framed, LineError> {
        self.frame(&Record::Finding(Box::new(make(self.next_seq, self.head.clone()))))
    }

    /// Frames an event. The chain stands still until [`Chain::advance`].
    ///
    /// # Errors
    /// As [`Chain::frame`].
    pub fn event(&self, timestamp: Timestamp, event: EventBody) -> Result<Framed, LineError> {
        self.frame(&Record::Event(Box::new(Event {
            event,
            platform: Platform::Hermes,
            prev_sha256: self.head.clone(),
            schema_version: EVENT_SCHEMA.into(),
            seq: self.next_seq,
            timestamp,
        })))
    }

    /// The line of a record made for the next number and the head. The chain stands still until [`Chain::advance`].
    ///
    /// # Errors
    /// [`LineError`] for a record that could not be read back.
    pub fn frame(&self, record: &Record) -> Result<Framed, LineError> {
        self.check(record.seq(), record.prev_sha256())?;
        let mut line = record.to_vec()?;
        if read_line(&line)? != *record {
            return Err(LineError::NotCanonical);
        }
        let sha256 = sha256(&line);
        line.push(b'\n');
        Ok(Framed { line, sha256, seq: record.seq() })
    }

    /// Moves behind a line that was appended.
    pub fn advance(&mut self, framed: &Framed) {
        self.head = framed.sha256.clone();
        self.next_seq = framed.seq + 1;
    }

    /// Reads the next line, without its LF, and moves behind it.
    ///
    /// # Errors
    /// [`LineError`]; the chain stands still.
    pub fn follow(&mut self, line: &[u8]) -> Result<Record, LineError> {
        let record = read_line(line)?;
        self.step(record.seq(), record.prev_sha256(), sha256(line))?;
        Ok(record)
    }

    /// As [`Chain::follow`], of a line that was read. Of a record of a version not known here only its place in the chain
    /// is checked: `None`.
    pub(crate) fn take(&mut self, entry: Entry) -> Result<Option<Record>, LineError> {
        let Entry { record, link, sha256 } = entry;
        match (record, link) {
            (Ok(record), _) => {
                self.step(record.seq(), record.prev_sha256(), sha256)?;
                Ok(Some(record))
            }
            (Err(LineError::UnknownVersion), Some(link)) => {
                self.step(link.seq, &link.prev_sha256, sha256)?;
                Ok(None)
            }
            (Err(problem), _) => Err(problem),
        }
    }

    fn check(&self, seq: u64, prev: &Sha256Hex) -> Result<(), LineError> {
        if seq != self.next_seq {
            return Err(LineError::Seq { expected: self.next_seq, found: seq });
        }
        if *prev == self.head { Ok(()) } else { Err(LineError::Prev) }
    }

    fn step(&mut self, seq: u64, prev: &Sha256Hex, sha256: Sha256Hex) -> Result<(), LineError> {
        self.check(seq, prev)?;
        self.head = sha256;
        self.next_seq += 1;
        Ok(())
    }
}
