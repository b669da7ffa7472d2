//! `posture.json`, `state.json` and `verdict.json`.
//!
//! Field names match `[a-z][a-z0-9_]*`, integers stay within [`crate::MAX_INTEGER`], and there are no floats and no maps
//! keyed by data: under those rules RFC 8785 and `JSON.stringify` over sorted keys give the same bytes.

use crate::{
    Attested, CaMode, Counts, Coverage, Ended, InstallId, Mode, MonitorStatus, Platform, RunId, SelfTestResult,
    Sha256Hex, Timestamp, VerdictResult, Word,
};
use serde::{Deserialize, Serialize};

/// A posture is valid for this many export periods.
pub const VALID_PERIODS: u64 = 3;

/// The digest a document carries of itself: over its canonical form without the member `digests`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Digests {
    /// Always `sha256`.
    #[cfg_attr(test, schemars(extend("const" = "sha256")))]
    pub algorithm: String,
    /// The digest.
    pub canonical_sha256: Sha256Hex,
}

/// The rule set in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct PatternSet {
    /// How many rules it holds.
    pub rules: u64,
    /// SHA-256 over the canonical form of the rule data.
    pub sha256: Sha256Hex,
    /// Its version, `MAJOR.MINOR.PATCH`.
    pub version: String,
}

/// The bounds of scanning in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Scan {
    /// Nested decodings followed.
    pub max_depth: u64,
    /// Decoded bytes produced of one message.
    pub max_decoded_bytes: u64,
    /// Bytes looked at of one message: its first three quarters and its last quarter.
    pub max_scan_bytes: u64,
    /// Bytes waiting for the scanner, of all messages together.
    pub queue_bytes: u64,
}

/// The bounds of the log in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Retention {
    /// Age at which a record may go.
    pub max_age_days: u64,
    /// Bytes of all segments together.
    pub max_bytes: u64,
    /// Bytes of one segment.
    pub segment_bytes: u64,
}

/// What is done to a matched text before anything is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Redaction {
    /// Always true: a snippet is built from the rule, never from the wire.
    pub snippets: bool,
}

/// The certificate authority of HTTPS inspection, as the posture has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Ca {
    /// SHA-256 over its key's SPKI DER; null in `off` and `ephemeral`.
    pub key_sha256: Option<Sha256Hex>,
    /// Where it comes from.
    pub mode: CaMode,
    /// When its certificate ends; null in `off`.
    pub not_after: Option<Timestamp>,
}

/// The certificate authority as the state has it: what a renewal on the same key leaves as it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct StateCa {
    /// SHA-256 over its key's SPKI DER; null in `off` and `ephemeral`.
    pub key_sha256: Option<Sha256Hex>,
    /// Where it comes from.
    pub mode: CaMode,
}

/// The last self-test: the rules' vectors, run at start, and a canary that went through the proxy at work and had to be
/// seen in both directions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SelfTest {
    /// When; null before the first.
    pub last_run_at: Option<Timestamp>,
    /// How it went.
    pub result: SelfTestResult,
    /// SHA-256 over the canonical form of the vectors it runs.
    pub vectors_sha256: Sha256Hex,
}

/// What the log holds: sequence numbers `first_seq <= seq < next_seq`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct FindingLog {
    /// The first record retained.
    pub first_seq: u64,
    /// The number the next record gets.
    pub next_seq: u64,
}

/// `posture.json`: the signed statement, one an export.
///
/// The nine fields of ClawSec's SPEC keep their names and types; the others stand beside them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Posture {
    /// Stated counts that cannot be recounted from the log.
    pub attested: Attested,
    /// The certificate authority of HTTPS inspection.
    pub ca: Ca,
    /// SHA-256 of the authority's certificate (SPEC); null in `off`.
    pub ca_fingerprint_sha256: Option<Sha256Hex>,
    /// SHA-256 over the canonical form of the security-relevant settings that differ from their defaults (SPEC).
    pub config_sha256: Sha256Hex,
    /// Findings since genesis.
    pub counts: Counts,
    /// What passed and what of it was looked at, since genesis.
    pub coverage: Coverage,
    /// Why the monitor is not whole: sorted [`crate::DegradedReason`] words; empty unless `degraded`.
    pub degraded_reasons: Vec<Word>,
    /// The digest of this document without this member.
    pub digests: Digests,
    /// How the last run ended.
    pub ended: Ended,
    /// What the log holds.
    pub finding_log: FindingLog,
    /// Head of the log's chain: SHA-256 of the last record's line without its LF (SPEC).
    pub finding_log_sha256: Sha256Hex,
    /// Wall clock at the export (SPEC).
    pub generated_at: Timestamp,
    /// Whether HTTPS is decrypted and scanned (SPEC).
    pub https_inspection: bool,
    /// This installation.
    pub install_id: InstallId,
    /// The signing key.
    pub key_id: Sha256Hex,
    /// Always `detect` (SPEC).
    pub mode: Mode,
    /// The operator's intent: set by `start` and `run`, cleared by the verb `stop` alone.
    pub monitor_enabled: bool,
    /// The monitor's condition (SPEC).
    pub monitor_status: MonitorStatus,
    /// The rule set in force.
    pub pattern_set: PatternSet,
    /// Seconds between exports.
    pub period_seconds: u64,
    /// The agent platform (SPEC).
    pub platform: Platform,
    /// SHA-256 over the bytes of the posture before this one; null for the first.
    pub previous_sha256: Option<Sha256Hex>,
    /// The bounds of the log.
    pub retention: Retention,
    /// The run that speaks, or the last one.
    pub run_id: RunId,
    /// The bounds of scanning.
    pub scan: Scan,
    /// [`crate::POSTURE_SCHEMA`] (SPEC).
    #[cfg_attr(test, schemars(extend("const" = crate::POSTURE_SCHEMA)))]
    pub schema_version: String,
    /// The last self-test.
    pub self_test: SelfTest,
    /// This document's number, from 1, never reused.
    pub sequence: u64,
    /// SHA-256 over the bytes of the `state.json` beside it.
    pub state_sha256: Sha256Hex,
    /// `generated_at` and exactly [`VALID_PERIODS`] periods more.
    pub valid_until: Timestamp,
}

/// `state.json`: the signed summary whose bytes change only when security changes.
///
/// It holds no time, no counter, no host name and no port that moves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct State {
    /// The certificate authority of HTTPS inspection.
    pub ca: StateCa,
    /// As in the posture.
    pub config_sha256: Sha256Hex,
    /// The digest of this document without this member.
    pub digests: Digests,
    /// Whether HTTPS is decrypted and scanned.
    pub https_inspection: bool,
    /// The signing key.
    pub key_id: Sha256Hex,
    /// Always `detect`.
    pub mode: Mode,
    /// The operator's intent.
    pub monitor_enabled: bool,
    /// The rule set in force.
    pub pattern_set: PatternSet,
    /// Seconds between exports.
    pub period_seconds: u64,
    /// The agent platform.
    pub platform: Platform,
    /// What is done to a matched text.
    pub redaction: Redaction,
    /// The bounds of the log.
    pub retention: Retention,
    /// The bounds of scanning.
    pub scan: Scan,
    /// [`crate::STATE_SCHEMA`].
    #[cfg_attr(test, schemars(extend("const" = crate::STATE_SCHEMA)))]
    pub schema_version: String,
}

/// `verdict.json`: the last answer of `verify`, unsigned, stable, and written on every path out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Verdict {
    /// The digest of this document without this member.
    pub digests: Digests,
    /// The anchor that was used; null when none could be read.
    pub key_id: Option<Sha256Hex>,
    /// The agent platform.
    pub platform: Platform,
    /// The answer.
    pub result: VerdictResult,
    /// [`crate::VERDICT_SCHEMA`].
    #[cfg_attr(test, schemars(extend("const" = crate::VERDICT_SCHEMA)))]
    pub schema_version: String,
}
