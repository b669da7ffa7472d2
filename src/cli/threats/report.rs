//! Findings → our own report, written as they are read.

use posture::FindingRecord;
use serde::Serialize;
use std::io::{self, Write};

/// A report that is being written.
pub(super) struct Report<W> {
    out: W,
    is_empty: bool,
}

#[derive(Serialize)]
struct Shown<'a> {
    finding: &'a FindingRecord,
    folded: u64,
}

impl<W: Write> Report<W> {
    pub(super) fn begin(mut out: W) -> io::Result<Self> {
        out.write_all(br#"{"schema_version":"clawsec-traffic-threats/v1","findings":["#)?;
        Ok(Self { out, is_empty: true })
    }

    /// One more; it was seen `folded` times again.
    pub(super) fn finding(&mut self, finding: &FindingRecord, folded: u64) -> io::Result<()> {
        if !std::mem::take(&mut self.is_empty) {
            self.out.write_all(b",")?;
        }
        Ok(serde_json::to_writer(&mut self.out, &Shown { finding, folded })?)
    }

    /// So many older findings were not shown, and so many lines are no records.
    pub(super) fn end(mut self, not_shown: u64, unreadable: u64) -> io::Result<()> {
        writeln!(self.out, r#"],"not_shown":{not_shown},"unreadable_lines":{unreadable}}}"#)?;
        self.out.flush()
    }
}
