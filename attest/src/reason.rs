//! Why a verification did not pass.

use crate::{
    canonical::CanonicalError,
    chain::LineError,
    folder::{FolderError, Place},
    memory::MemoryError,
    rotation::RotationError,
};
use keys::{KeyError, KeyId};
use posture::{Ended, Sha256Hex, Timestamp, VerdictResult, Word};
use serde::{Serialize, Serializer};

/// The first step that failed, with its facts. Never with anything a file holds that is not a number or a known word.
#[derive(Debug, thiserror::Error, Serialize)]
#[serde(tag = "code", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Reason {
    /// No public key was given for a folder that is not the configured home.
    #[error("no public key is pinned, so anybody could have signed this")]
    Unpinned,
    /// The public key to check with cannot be used.
    #[error("the trust anchor cannot be used: {source}")]
    Anchor {
        /// Why.
        #[serde(skip)]
        source: KeyError,
    },
    /// A signature file is not one line of base64.
    #[error("{path}: not a signature: expected one line of padded base64 and LF")]
    SignatureForm {
        /// The signature file.
        path: Place,
    },
    /// The key did not sign these bytes.
    #[error("{path}: the signature does not match key {key_id}")]
    Signature {
        /// The document.
        path: Place,
        /// The anchor.
        #[serde(serialize_with = "as_text")]
        key_id: KeyId,
    },
    /// Signed, and of a version of the schema that is not known here.
    #[error("{path}: a version not known here")]
    UnknownVersion {
        /// The document, or the segment of the log.
        path: Place,
    },
    /// Signed, but not the document it should be.
    #[error("{path}: {problem}")]
    Document {
        /// The document.
        path: Place,
        /// What is wrong with it.
        #[serde(serialize_with = "as_text")]
        problem: CanonicalError,
    },
    /// Signed, but its digest of itself is another's.
    #[error("{path}: its digest of itself does not hold")]
    Digest {
        /// The document.
        path: Place,
    },
    /// Signed, but it names another key.
    #[error("{path}: names another key than the one that signed it")]
    NamedKey {
        /// The document.
        path: Place,
    },
    /// The posture was moved to another generation.
    #[error("{path}: holds the posture number {sequence}")]
    Generation {
        /// The document.
        path: Place,
        /// Its number.
        sequence: u64,
    },
    /// The state is not the one the posture was exported with.
    #[error("{path}: not the state that posture number {sequence} was exported with")]
    StateLink {
        /// The state.
        path: Place,
        /// The posture's number.
        sequence: u64,
    },
    /// Records at the beginning are gone, or announced to go, otherwise than the posture says.
    #[error(
        "the posture says the log begins at record {first_seq}, and no newest signed prune or recovery event says so"
    )]
    LogPrefix {
        /// The first record the posture claims.
        first_seq: u64,
    },
    /// A record is altered, out of place, or not one.
    #[error("{path} line {line}, where record {seq} should be: {problem}")]
    LogLine {
        /// The segment.
        path: Place,
        /// Its line, from 1.
        line: u64,
        /// The record expected there.
        seq: u64,
        /// What is wrong.
        #[serde(serialize_with = "as_text")]
        problem: LineError,
    },
    /// Signed records are missing at the end.
    #[error("the log ends before record {missing}, but the posture signs it up to record {last}")]
    LogCut {
        /// The first record that is not there.
        missing: u64,
        /// The last one signed.
        last: u64,
    },
    /// The chain holds in itself, but is not the one that was signed.
    #[error("the log up to record {last} is not the one the posture signs: edited and chained anew")]
    LogHead {
        /// The last record signed.
        last: u64,
    },
    /// The posture's counts are not those of the log.
    #[error("the posture states other counts than the log up to record {last} holds")]
    Counts {
        /// The last record signed.
        last: u64,
    },
    /// A number that never decreases has.
    #[error("{counter} is lower in posture number {sequence} than in number {earlier}")]
    Decreased {
        /// The number's name.
        counter: String,
        /// The posture.
        sequence: u64,
        /// The earlier one.
        earlier: u64,
    },
    /// `current` leads back behind a later statement.
    #[error("rolled back: `current` leads to posture number {sequence}, and number {newer} stands beside it")]
    RolledBack {
        /// The posture it leads to.
        sequence: u64,
        /// The newest authentic one.
        newer: u64,
    },
    /// The monitor was stopped, or died.
    #[error("the monitor stopped ({ended}), as posture number {sequence} of {at} says")]
    Stopped {
        /// How.
        ended: Ended,
        /// The posture's time.
        at: Timestamp,
        /// The posture's number.
        sequence: u64,
    },
    /// The posture comes from the future.
    #[error("clock: the posture was made at {generated_at}, but it is {now}")]
    ClockAhead {
        /// The posture's time.
        generated_at: Timestamp,
        /// The verifier's.
        now: Timestamp,
    },
    /// The posture claims another validity than three periods.
    #[error(
        "clock: the posture of {generated_at} claims to be valid until {valid_until}, which is not three periods on"
    )]
    ClockSpan {
        /// The posture's time.
        generated_at: Timestamp,
        /// What it claims.
        valid_until: Timestamp,
    },
    /// No newer posture came.
    #[error("expired: the posture was valid until {valid_until}, and it is {now}")]
    Expired {
        /// The end of its validity.
        valid_until: Timestamp,
        /// The verifier's time.
        now: Timestamp,
    },
    /// Older than the reader allows.
    #[error(
        "too old: the posture was made at {generated_at}, {age_seconds} seconds ago, more than the {max_age_seconds} allowed"
    )]
    TooOld {
        /// The posture's time.
        generated_at: Timestamp,
        /// Its age.
        age_seconds: u64,
        /// The bound.
        max_age_seconds: u64,
    },
    /// The monitor says it is not whole.
    #[error("the monitor is degraded: {}", list(reasons))]
    Degraded {
        /// Why.
        reasons: Vec<Word>,
    },
    /// Not the state of the baseline.
    #[error("the state differs from the baseline{}{}", if fields.is_empty() { "" } else { ": " }, fields.join(", "))]
    Drifted {
        /// The members that differ; none when the baseline is only a hash.
        fields: Vec<String>,
        /// The state's hash now.
        state_sha256: Sha256Hex,
    },
    /// A posture without its folder: nothing is known of the log and the state.
    #[error("partial: the posture is authentic, but without its folder nothing can be said of the log and the state")]
    Partial,
    /// A change of the signing key is not accepted.
    #[error(transparent)]
    #[serde(untagged)]
    Rotation(#[from] RotationError),
    /// Authentic, but not what follows on what the reader remembers.
    #[error(transparent)]
    #[serde(untagged)]
    Memory(#[from] MemoryError),
    /// Something in the folder is missing or cannot be read.
    #[error(transparent)]
    #[serde(untagged)]
    Folder(#[from] FolderError),
}

impl Reason {
    /// The answer this reason gives.
    pub fn result(&self) -> VerdictResult {
        match self {
            Self::Drifted { .. } => VerdictResult::Drifted,
            Self::Degraded { .. } => VerdictResult::Degraded,
            Self::RolledBack { .. }
            | Self::Stopped { .. }
            | Self::ClockAhead { .. }
            | Self::ClockSpan { .. }
            | Self::Expired { .. }
            | Self::TooOld { .. }
            | Self::Memory(_) => VerdictResult::NotCurrent,
            Self::Partial
            | Self::UnknownVersion { .. }
            | Self::Anchor { source: KeyError::Io { .. } | KeyError::Kind { .. } | KeyError::Symlink { .. } }
            | Self::Folder(
                FolderError::NoFolder { .. }
                | FolderError::NoExport { .. }
                | FolderError::Kind { .. }
                | FolderError::Unreadable { .. },
            ) => VerdictResult::Unverifiable,
            _ => VerdictResult::NotAuthentic,
        }
    }

    /// Whether a monitor at work could have caused it between two of our reads.
    pub(crate) fn is_racy(&self) -> bool {
        matches!(
            self,
            Self::LogLine { .. }
                | Self::LogCut { .. }
                | Self::LogHead { .. }
                | Self::RolledBack { .. }
                | Self::Rotation(RotationError::RotationUnsigned { .. })
                | Self::Folder(FolderError::Missing { .. })
        )
    }

    /// What to do.
    pub fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::Unpinned => {
                "give the guardian's public key: --public-key signing.pub.pem, obtained apart from this folder"
            }
            Self::Signature { .. } | Self::NamedKey { .. } => {
                "compare the key with the one you noted; if it is the right one, the document was altered, or rotations.jsonl is gone, which leads from it to the key in use"
            }
            Self::UnknownVersion { .. } => "verify with a newer release",
            Self::LogLine { .. } | Self::LogCut { .. } | Self::LogHead { .. } | Self::LogPrefix { .. } => {
                "signed records were altered or lost; keep the folder as it is and compare it with a backup"
            }
            Self::RolledBack { .. } => {
                "someone set `current` back, or an export was cut short; `export` makes a new one"
            }
            Self::Stopped { .. } => "start the monitor; for one stopped on purpose, --accept-stopped",
            Self::ClockAhead { .. } | Self::ClockSpan { .. } => "compare the clocks of the two machines",
            Self::Expired { .. } => "the monitor is dead or cannot export; for a copy of a folder, --max-age",
            Self::Degraded { .. } => "`status` says more",
            Self::Drifted { .. } => "if the change was meant, take a new baseline",
            Self::Rotation(RotationError::RetiredKey { .. }) => {
                "whoever still has the old key signed this; keep the folder as it is and compare it with a backup"
            }
            Self::Rotation(RotationError::BeforePinned { .. }) => {
                "give a newer state of the folder, or pin its older key"
            }
            Self::Rotation(RotationError::RotationMissing { .. }) => {
                "a monitor at work restores rotations.jsonl with its next export; else restore it from a copy of the folder, or, with no copy left, run `recover` and pin the new key"
            }
            Self::Rotation(_) => {
                "the history of the key was altered or lost; restore rotations.jsonl from a copy of the folder"
            }
            Self::Memory(_) => {
                "someone set the folder back, or a backup was restored; if it was you, --accept-restore remembers anew"
            }
            Self::Partial => "give the whole folder, or a copy of it",
            Self::Folder(FolderError::NoFolder { .. }) => {
                "look at its name; the first start of a monitor makes its folder"
            }
            Self::Folder(FolderError::NoExport { .. }) => "start the monitor, or give the folder that holds `export`",
            Self::Folder(FolderError::Current { .. }) => "copy the folder with its links (cp -a), or remove `current`",
            _ => return None,
        })
    }
}

fn list(words: &[Word]) -> String {
    let words: Vec<_> = words.iter().map(Word::as_str).collect();
    if words.is_empty() { "no reason stated".into() } else { words.join(", ") }
}

pub(crate) fn as_text<S: Serializer>(value: &impl ToString, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&value.to_string())
}
