//! What is said: the documents the guardian signs and the words they use.
//!
//! Closed schemas only. No input or output, no clock, no cryptography: a time is an argument and a hash is a value.
//!
//! | file | holds |
//! |---|---|
//! | `word` | the closed lists: severities, families, reasons |
//! | `time` | the one spelling of a time: RFC 3339, UTC, milliseconds, `Z` |
//! | `hex` | hashes and identifiers as lower-case hexadecimal of a fixed length |
//! | `count` | findings and coverage, added up |
//! | `document` | `posture.json`, `state.json` and `verdict.json` |
//! | `memory` | what a reader keeps of the last authentic posture |
//! | `record` | the two kinds of line in the log: a finding and an event |
//! | `rotation` | a signing key gives way to another |
//! | [`schema`] | the JSON Schema of each |

mod count;
mod document;
mod hex;
mod memory;
mod record;
mod rotation;
pub mod schema;
mod time;
mod word;

pub use count::{Attested, Counts, Coverage, NamedCount, Totals, Unscanned};
pub use document::{
    Ca, Digests, FindingLog, PatternSet, Posture, Redaction, Retention, Scan, SelfTest, State, StateCa, VALID_PERIODS,
    Verdict,
};
pub use hex::{Fingerprint, HexError, InstallId, PublicKeyHex, RunId, Sha256Hex};
pub use memory::Memory;
pub use record::{Checkpoint, Event, EventBody, FindingRecord, Prune, Recovery, Reload, SetAside};
pub use rotation::Rotation;
pub use time::{Timestamp, TimestampError};
pub use word::{
    CaMode, DegradedReason, Direction, Encoding, Ended, Family, Mode, MonitorStatus, Placement, Platform, Protocol,
    PruneReason, SelfTestResult, Severity, ThreatType, UnscannedReason, VerdictResult, Weakening, Word, WordError,
};

/// `schema_version` of `posture.json`.
pub const POSTURE_SCHEMA: &str = "clawsec-traffic-posture/v1";
/// `schema_version` of `state.json`.
pub const STATE_SCHEMA: &str = "clawsec-traffic-state/v1";
/// `schema_version` of `verdict.json`.
pub const VERDICT_SCHEMA: &str = "clawsec-traffic-verdict/v1";
/// `schema_version` of a finding, one line of the log.
pub const FINDING_SCHEMA: &str = "clawsec-traffic-finding/v1";
/// `schema_version` of an event, one line of the log.
pub const EVENT_SCHEMA: &str = "clawsec-traffic-event/v1";
/// `schema_version` of a line of `rotations.jsonl`.
pub const ROTATION_SCHEMA: &str = "clawsec-traffic-rotation/v1";
/// `schema_version` of a reader's memory.
pub const MEMORY_SCHEMA: &str = "clawsec-traffic-memory/v1";
/// The text whose SHA-256 is the `prev_sha256` of a log's first line.
pub const LOG_GENESIS: &str = "clawsec-traffic-log/v1";
/// Integers in a signed document stay at or below 2^53 − 1 (RFC 8785, section 3.2.2.3; RFC 7493, section 2.2).
pub const MAX_INTEGER: u64 = (1 << 53) - 1;
