//! Hit<'_> → Finding: the only door. Raw bytes cannot pass it.

use crate::flow::detect::Hit;
use posture::{Fingerprint, Sha256Hex, Timestamp};

/// Makes findings; holds the key of the fingerprints.
pub struct Redactor {}

/// A hit without anything of the wire in it. It cannot be made elsewhere, nor read back from a file.
pub struct Finding {}

impl Redactor {
    /// A redactor whose fingerprints are keyed with `key`.
    pub fn new(_key: &[u8; 32]) -> Self {
        todo!()
    }

    /// The finding of a hit.
    pub fn finding(&self, _hit: &Hit<'_>, _now: Timestamp) -> Finding {
        todo!()
    }
}

/// The snippet of a hit: from its rule alone, such as `[REDACTED ai_api_key.openai]`.
pub fn snippet(_hit: &Hit<'_>) -> String {
    todo!()
}

impl Finding {
    /// The record this finding becomes at `seq`, after the line whose hash is `prev`.
    pub fn record(&self, _seq: u64, _prev: Sha256Hex) -> posture::FindingRecord {
        todo!()
    }

    /// The keyed fingerprint of what was matched.
    pub fn fingerprint(&self) -> &Fingerprint {
        todo!()
    }
}
