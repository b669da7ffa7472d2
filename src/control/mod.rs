//! Request → Response: one JSON object a line, over a socket that only the owner of the state folder can reach.

mod address;
mod client;
#[cfg(any(test, fuzzing))]
pub mod hostile;
pub(crate) mod server;

pub use client::{ControlError, Lease, ask, lease, status};
pub(crate) use client::{GONE_WITHIN, LOOK_EVERY};

use crate::{flow::store::Recovered, process::Hardening};
use posture::{
    Attested, Ca, Counts, Coverage, Ended, MonitorStatus, NamedCount, Retention, RunId, Scan, SelfTest, Sha256Hex,
    Timestamp, Word,
};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

/// `schema_version` of [`Status`].
pub const STATUS_SCHEMA: &str = "clawsec-traffic-status/v1";
/// What a monitor answers to everything once it is on its way out.
const ENDING: &str = "the monitor is ending";

/// What a running monitor can be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// How it is.
    Status,
    /// An export, now.
    Export,
    /// To give up on a log that is damaged below what was signed, and begin it anew.
    Recover,
    /// An export, now, and its posture in an envelope besides.
    Envelope,
    /// Another signing key, from now on.
    Rotate,
    /// An end, for good: the operator no longer wants a monitor. Answered when it has come.
    Stop,
    /// To live at least as long as this connection. Answered at once; the connection then stays open.
    Lease,
}

/// The answer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Response {
    /// How the run ended, after a stop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Ended>,
    /// The posture just exported, as an in-toto statement in a DSSE envelope.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub envelope: Option<String>,
    /// Why it was not done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The export that was made, after an export, a recovery or a stop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub export: Option<Exported>,
    /// Whether it was done.
    pub ok: bool,
    /// What became of the log, after a recovery.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recovered: Option<Recovered>,
    /// The rotation that was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotated: Option<Box<Rotated>>,
    /// How the monitor is, when asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<Box<Status>>,
}

impl Response {
    /// Done, with nothing more to say.
    pub fn done() -> Self {
        Self { ok: true, ..Self::default() }
    }

    /// Not done.
    pub fn failed(why: impl Into<String>) -> Self {
        Self { error: Some(why.into()), ..Self::default() }
    }
}

/// An export that is complete.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exported {
    /// Its moment.
    pub generated_at: Timestamp,
    /// Its number.
    pub sequence: u64,
}

/// A signing key that gave way to another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rotated {
    /// The first export the new key signs.
    pub from_sequence: u64,
    /// The key that signs now.
    pub new_key_id: Sha256Hex,
    /// The statement's number.
    pub number: u64,
    /// The key that signed until then.
    pub old_key_id: Sha256Hex,
    /// Why the new key has signed no export yet: it is tried again.
    pub unsigned: Option<String>,
}

/// How a running monitor is. Counts and coverage are since genesis, [`Status::refusals`] since this run began.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Status {
    /// Stated counts.
    pub attested: Attested,
    /// The authority of inspected hosts.
    pub ca: Ca,
    /// What came since this run began, by the kind of client: sorted by name.
    #[serde(default)]
    pub clients: Vec<Arrived>,
    /// Findings.
    pub counts: Counts,
    /// What passed and what of it was looked at.
    pub coverage: Coverage,
    /// Why the monitor is not whole: sorted; empty unless degraded.
    pub degraded_reasons: Vec<Word>,
    /// The last export of this run.
    pub export: Option<Exported>,
    /// Why the last try to export failed, unless it did not.
    #[serde(default)]
    pub export_failure: Option<String>,
    /// Destinations to which a kind of client that does not take our certificate gets a tunnel now.
    pub fallbacks: Vec<String>,
    /// How far its process is closed and bounded.
    #[serde(default)]
    pub hardening: Hardening,
    /// Whether HTTPS is decrypted and scanned.
    pub https_inspection: bool,
    /// The signing key.
    pub key_id: Sha256Hex,
    /// What is under way now.
    #[serde(default)]
    pub in_flight: InFlight,
    /// The values that are known, by their number.
    #[serde(default)]
    pub known: KnownValues,
    /// The bounds in force.
    pub limits: Limits,
    /// Where the proxy listens.
    pub listen: SocketAddr,
    /// The log.
    pub log: LogStatus,
    /// `running` or `degraded`.
    pub monitor_status: MonitorStatus,
    /// When the next export is due at the latest, or tried again. Past, when the monitor hangs.
    pub next_export_at: Timestamp,
    /// The process.
    pub pid: u32,
    /// Bytes that wait for a scanner or are held by one.
    pub queue_used_bytes: u64,
    /// The last time the configuration was read again in this run.
    #[serde(default)]
    pub reload: Option<Reloaded>,
    /// Requests the proxy answered itself, by why, without zeros: `proxy_authentication_required` are those without our
    /// token (407).
    pub refusals: Vec<NamedCount>,
    /// Informational responses of this run other than 100 and 101: not passed on (HTTP/1; of HTTP/2 they are not seen).
    #[serde(default)]
    pub informational_dropped: u64,
    /// This run.
    pub run_id: RunId,
    /// [`STATUS_SCHEMA`].
    pub schema_version: String,
    /// The threads that scan.
    #[serde(default)]
    pub scanners: Scanners,
    /// The last self-test.
    pub self_test: SelfTest,
    /// When this run began.
    pub since: Timestamp,
    /// Every suppression, in the order of the configuration.
    #[serde(default)]
    pub suppressions: Vec<Suppressed>,
}

/// What became of a configuration that was read again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reloaded {
    /// When.
    pub at: Timestamp,
    /// Whether anything in force changed.
    pub changed: bool,
    /// Why it was refused as a whole; the one before is then in force.
    pub error: Option<String>,
    /// Settings that differ and stay as they were until a restart.
    pub needs_restart: Vec<String>,
    /// What is weaker since: sorted [`posture::Weakening`] words.
    pub weakened: Vec<Word>,
}

/// A suppression at work, or one that is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Suppressed {
    /// What it covers: a fingerprint, or a rule at a host.
    pub covers: String,
    /// Whether its last day has passed: it covers nothing any more.
    pub expired: bool,
    /// Findings it covered in this run.
    pub findings: u64,
    /// Its last day, in UTC.
    pub until: String,
}

/// What is under way, of what there may be at once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InFlight {
    /// Client connections, those of self-tests apart.
    pub connections: u64,
    /// Requests.
    pub exchanges: u64,
}

/// What came from one kind of client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Arrived {
    /// The kind: a closed word, after its User-Agent.
    pub client: Word,
    /// When the first request came.
    pub first_at: Timestamp,
    /// When the last request came.
    pub last_at: Timestamp,
    /// Requests, CONNECT included.
    pub requests: u64,
}

/// Values that are looked for: how many, never which.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KnownValues {
    /// Planted canaries.
    pub canaries: u64,
    /// Whether known secrets are looked for at all.
    pub enabled: bool,
    /// Known secrets.
    pub secrets: u64,
    /// What is not looked for, of either.
    pub skipped: u64,
    /// The first of those.
    pub skips: Vec<Skipped>,
}

/// Something that is not looked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Skipped {
    /// A variable's name, a file's, or a canary's.
    pub name: String,
    /// Why not: a closed word.
    pub why: Word,
}

/// The bounds in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Client connections at once: as configured, or as many as there may be files for.
    pub max_connections: u64,
    /// Requests under way at once.
    pub max_exchanges: u64,
    /// Bytes of one head.
    pub max_head_bytes: u64,
    /// Fields of one head.
    pub max_head_fields: u64,
    /// Folds open at once.
    pub max_folds: u64,
    /// Seconds between exports.
    pub period_seconds: u64,
    /// Of the log.
    pub retention: Retention,
    /// Of scanning.
    pub scan: Scan,
}

/// The threads that scan.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scanners {
    /// That hang, each at one message, and were replaced.
    pub hanging: u64,
    /// Begun in the place of one that hung or was gone, since this run began.
    pub restarted: u64,
}

/// The log, as it is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogStatus {
    /// Bytes it takes.
    pub bytes: u64,
    /// The number the next record gets.
    pub next_seq: u64,
    /// Records that wait for it to take them.
    pub waiting: u64,
}

#[cfg(test)]
mod tests;
