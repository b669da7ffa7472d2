//! The two kinds of line in the log. Fields stand in alphabetical order: serialised as they are, they are canonical.

use crate::{
    Attested, Counts, Coverage, Direction, Encoding, Ended, Fingerprint, InstallId, Placement, Platform, Protocol,
    PruneReason, RunId, Severity, Sha256Hex, ThreatType, Timestamp, Word,
};
use serde::{Deserialize, Serialize};

/// A finding as it is stored: ClawSec's eleven fields and ours beside them.
///
/// This is the form read back; what is appended is made by redaction alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct FindingRecord {
    /// Where the bytes really went or came from: `host:port`, or `[redacted]` in place of a label that may be a secret.
    pub dest: String,
    /// Which way the bytes went.
    pub direction: Direction,
    /// The chain of decodings, outermost first.
    pub encoding: Vec<Encoding>,
    /// Keyed fingerprint of what was matched.
    pub fingerprint: Fingerprint,
    /// The family: one of [`crate::Family`].
    pub pattern: Word,
    /// The part of the message.
    pub placement: Placement,
    /// The agent platform.
    pub platform: Platform,
    /// SHA-256 of the line before, without its LF.
    pub prev_sha256: Sha256Hex,
    /// The scheme by which the bytes travelled.
    pub protocol: Protocol,
    /// The rule, such as `ai_api_key.openai`.
    pub rule: Word,
    /// [`crate::FINDING_SCHEMA`].
    #[cfg_attr(test, schemars(extend("const" = crate::FINDING_SCHEMA)))]
    pub schema_version: String,
    /// Its number in the log.
    pub seq: u64,
    /// How urgent it is.
    pub severity: Severity,
    /// Built from the rule, never from the wire.
    pub snippet: String,
    /// The client's IP address.
    pub source: String,
    /// What kind of threat it is.
    pub threat_type: ThreatType,
    /// When it was seen.
    pub timestamp: Timestamp,
}

/// Anything else that belongs in the chain: numbers and closed words alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Event {
    /// What happened.
    pub event: EventBody,
    /// The agent platform.
    pub platform: Platform,
    /// SHA-256 of the line before, without its LF.
    pub prev_sha256: Sha256Hex,
    /// [`crate::EVENT_SCHEMA`].
    #[cfg_attr(test, schemars(extend("const" = crate::EVENT_SCHEMA)))]
    pub schema_version: String,
    /// Its number in the log.
    pub seq: u64,
    /// When it happened.
    pub timestamp: Timestamp,
}

/// What happened, under its own name: `{"fold":{"count":3,"finding_seq":7}}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum EventBody {
    /// The cumulative tally, so that nothing restarts from zero.
    Checkpoint(Box<Checkpoint>),
    /// The wall clock moved against the steady one.
    ClockStep {
        /// True when it went back.
        backwards: bool,
        /// By how much.
        milliseconds: u64,
    },
    /// A monitor that had signed before found less than it had signed: no export at all, or not the newest ones.
    ExportsMissing {
        /// The newest export left; null when none is.
        last_sequence: Option<u64>,
        /// The number the log's last checkpoint names for the next one; null without a checkpoint.
        next_sequence: Option<u64>,
    },
    /// Further sightings of one finding, counted when its window closed.
    Fold {
        /// How many followed the first.
        count: u64,
        /// `seq` of the first.
        finding_seq: u64,
    },
    /// The run before did not end cleanly, a torn end of the log was set aside, or a posture expired before the next one:
    /// the monitor stood still, or could not export.
    Gap {
        /// Bytes set aside as `damaged-<seq>.jsonl`, or gone from under the monitor that wrote them.
        damaged_bytes: u64,
        /// Lines among them, counted in the first 16 MiB of each file; at least as many where a stranger's took their place.
        damaged_records: u64,
        /// Seconds since the last signed posture; null when there was none.
        seconds: Option<u64>,
        /// Whether the run before ended without a stop.
        unclean: bool,
    },
    /// Findings the log had no room for.
    Overflow {
        /// How many.
        count: u64,
        /// Where they went; null when the sum is over several.
        dest: Option<String>,
        /// Their rule.
        rule: Word,
    },
    /// Records at the beginning of the log go, once this is signed.
    Prune(Box<Prune>),
    /// A person gave up on the log as it was: everything before this record was set aside.
    Recovery(Box<Recovery>),
    /// Another key signs soon: a statement in `rotations.jsonl` names this event, or the change was given up.
    Rotate {
        /// The identifier of the key that is to sign.
        new_key_id: Sha256Hex,
        /// The statement's number.
        number: u64,
        /// The identifier of the key that signs.
        old_key_id: Sha256Hex,
    },
    /// A configuration read anew took the place of the one in force.
    Reload(Box<Reload>),
    /// The last record of its segment.
    Seal {
        /// Bytes of the segment before this line.
        bytes: u64,
        /// The segment's first record: the number in its name.
        first_seq: u64,
    },
    /// What a [`Recovery`] set aside beyond what its own record has room for.
    SetAside {
        /// The files.
        files: Vec<SetAside>,
    },
    /// A monitor began.
    Start {
        /// This run.
        run_id: RunId,
    },
    /// A monitor ended.
    Stop {
        /// How.
        ended: Ended,
    },
    /// One kind of client did not take our certificate for a host, and gets a tunnel to it for a while.
    TunnelFallback {
        /// The host: `host:port`, or `[redacted]` in place of a label that may be a secret.
        dest: String,
        /// For how long.
        seconds: u64,
    },
}

/// Which records go, and what is left of them: their sum.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Prune {
    /// What the records up to `last_seq` add up to, since genesis.
    pub counts: Counts,
    /// The last record that goes. All before it go, or went, as well.
    pub last_seq: u64,
    /// SHA-256 of its line, without its LF: the `prev_sha256` of the first record that stays.
    pub last_sha256: Sha256Hex,
    /// Why they go.
    pub reason: PruneReason,
}

/// The log begun anew. Its record stands where the signed head was: its `seq` is the posture's `next_seq`, its
/// `prev_sha256` the posture's `finding_log_sha256`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Recovery {
    /// What was set aside: at most [`Recovery::MAX_SET_ASIDE`]; [`EventBody::SetAside`] events follow with the rest.
    pub set_aside: Vec<SetAside>,
    /// The tally. Its counts are those that were signed last, and stand for every record before this one.
    pub totals: Checkpoint,
}

impl Recovery {
    /// Files that one record names at most, so that it stays a line.
    pub const MAX_SET_ASIDE: usize = 256;
}

/// A file that is no part of the log any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SetAside {
    /// Its length.
    pub bytes: u64,
    /// Its name now, beside the log.
    pub name: String,
    /// SHA-256 of all of it.
    pub sha256: Sha256Hex,
}

/// What was in force before and after a reload, and what of it is weaker now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Reload {
    /// The posture's `config_sha256` from here on.
    pub config_sha256: Sha256Hex,
    /// The posture's `pattern_set.sha256` from here on.
    pub pattern_set_sha256: Sha256Hex,
    /// The `config_sha256` before.
    pub previous_config_sha256: Sha256Hex,
    /// The `pattern_set.sha256` before.
    pub previous_pattern_set_sha256: Sha256Hex,
    /// What is weaker than it was: sorted [`crate::Weakening`] words.
    pub weakened: Vec<Word>,
}

/// The cumulative tally at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Checkpoint {
    /// Stated counts.
    pub attested: Attested,
    /// Findings since genesis, this record's predecessors included.
    pub counts: Counts,
    /// What passed.
    pub coverage: Coverage,
    /// This installation.
    pub install_id: InstallId,
    /// The number the next posture gets.
    pub next_sequence: u64,
}
