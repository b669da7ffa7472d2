//! One message's state: fed in order, it reports each hit once.

use super::Hit;
use crate::flow::capture::{Field, Head};
use posture::UnscannedReason;
use std::sync::Arc;

/// The bounds of scanning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes looked at of one message: its first three quarters and its last quarter.
    pub max_scan_bytes: usize,
    /// Decoded bytes produced of one message, in all.
    pub max_decoded_bytes: usize,
    /// Decoded bytes per encoded byte, beyond which a decoder stops.
    pub max_ratio: usize,
    /// Nested decodings followed.
    pub max_depth: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_scan_bytes: 8 << 20, max_decoded_bytes: 32 << 20, max_ratio: 100, max_depth: 5 }
    }
}

/// The compiled rules, the audiences and the bounds: made once, shared by every scanner.
pub struct Detector {}

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scanned {
    /// Body bytes, as relayed, that were looked at.
    pub bytes: u64,
    /// Why the others were not; `None` when all were.
    pub unscanned: Option<UnscannedReason>,
}

/// The scanner of one message.
pub struct Scanner {}

impl Scanner {
    /// Begins a message. Its head is looked at here.
    pub fn new(_detector: Arc<Detector>, _head: Head, _on: &mut dyn FnMut(&Hit<'_>)) -> Self {
        todo!()
    }

    /// The next piece of the body.
    pub fn body(&mut self, _chunk: &[u8], _on: &mut dyn FnMut(&Hit<'_>)) {
        todo!()
    }

    /// The trailer section.
    pub fn trailers(&mut self, _fields: &[Field], _on: &mut dyn FnMut(&Hit<'_>)) {
        todo!()
    }

    /// The message is over: judges what was held back for its end.
    pub fn end(self, _on: &mut dyn FnMut(&Hit<'_>)) -> Scanned {
        todo!()
    }

    /// Bytes held until the end or the next event.
    pub fn held(&self) -> usize {
        todo!()
    }
}
