//! What waits → one more line at the end of the chain.

use super::{Store, Waiting};
use attest::{Chain, Framed, Record};
use posture::{Event, EventBody, FindingRecord, Platform, Timestamp};
use std::io;

impl Waiting {
    /// The record this becomes at the end of `chain`.
    fn record(&self, chain: &Chain) -> Record {
        let (seq, prev_sha256) = (chain.next_seq(), chain.head().clone());
        match self {
            Self::Finding { record, .. } => {
                Record::Finding(Box::new(FindingRecord { seq, prev_sha256, ..FindingRecord::clone(record) }))
            }
            Self::Event { event, at } => Record::Event(Box::new(Event {
                event: event.clone(),
                platform: Platform::Hermes,
                prev_sha256,
                schema_version: posture::EVENT_SCHEMA.to_owned(),
                seq,
                timestamp: *at,
            })),
        }
    }
}

impl Store {
    /// `None` when there is no room for it, or no way to spell it.
    pub(super) fn write(&mut self, waiting: &Waiting, now: Timestamp) -> io::Result<Option<u64>> {
        let mut framed = self.frame(waiting);
        if let Some((_, line)) = &framed
            && self.make_segment(line.line.len() as u64, now)?
        {
            framed = self.frame(waiting);
        }
        let Some((record, framed)) = framed else { return Ok(None) };
        if let Waiting::Event { event, .. } = waiting
            && !self.admission.admits_event(event, self.bytes(), framed.line.len() as u64)
        {
            return Ok(None);
        }
        self.append(&record, &framed)?;
        Ok(Some(framed.seq))
    }

    fn frame(&self, waiting: &Waiting) -> Option<(Record, Framed)> {
        let record = waiting.record(&self.end);
        let framed = self.end.frame(&record);
        if framed.is_err() {
            tracing::error!("a record has no canonical form; it is counted as not recorded");
        }
        Some((record, framed.ok()?))
    }

    pub(super) fn append(&mut self, record: &Record, framed: &Framed) -> io::Result<()> {
        let log = self.log.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        log.append(&framed.line)?;
        self.bytes = log.len();
        self.stands_behind(record, framed);
        Ok(())
    }

    pub(super) fn stands_behind(&mut self, record: &Record, framed: &Framed) {
        self.unsynced = true;
        self.end.advance(framed);
        record.count(&mut self.counts);
        self.segments.see(record);
    }

    pub(super) fn frame_event(&self, event: EventBody, now: Timestamp) -> io::Result<(Record, Framed)> {
        self.frame(&Waiting::Event { event, at: now }).ok_or_else(|| io::ErrorKind::InvalidData.into())
    }
}
