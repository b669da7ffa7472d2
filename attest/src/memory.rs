//! What a reader remembers, against what a folder says now.
//!
//! An old folder is as authentic as it ever was. Only who has seen a later one can tell: by its number, by the hash of
//! the posture with the same number, also as the next posture names it, and by the record of the log that was its head.

use crate::{
    canonical::{self, CanonicalError},
    digest::key_id,
    keyring::Keyring,
};
use keys::KeyId;
use posture::{MEMORY_SCHEMA, Memory, Platform, Posture, Sha256Hex};
use serde::{Deserialize, Serialize};

/// Why a folder is not what follows on what was remembered.
#[derive(Debug, PartialEq, Eq, thiserror::Error, Serialize)]
#[serde(tag = "code", rename_all = "snake_case")]
#[non_exhaustive]
pub enum MemoryError {
    /// The folder of another installation.
    #[error("another installation than the one that was verified before")]
    MemoryInstall,
    /// The keys that were seen are not among those that lead here.
    #[error("the key {key_id} that was seen before is not among those that lead to the one that signs now")]
    MemoryKey {
        /// The key remembered.
        key_id: Sha256Hex,
    },
    /// A later posture was seen.
    #[error(
        "rolled back, or a backup restored: posture number {sequence} is the last word, and number {remembered} was verified before"
    )]
    MemoryRolledBack {
        /// The posture's number.
        sequence: u64,
        /// The number remembered.
        remembered: u64,
    },
    /// Another posture of this number was seen.
    #[error(
        "forked, or a backup restored and gone on with: posture number {sequence} is not the one that was verified before"
    )]
    MemoryForked {
        /// The number of both.
        sequence: u64,
    },
    /// Another record of this number was signed.
    #[error(
        "forked, or a backup restored and gone on with: the log no longer holds record {seq} as it was when it was verified"
    )]
    MemoryLog {
        /// The last record of the log, as it was.
        seq: u64,
    },
}

/// A memory's file is not one. Nothing of it is in the error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UnreadMemory {
    /// A memory of a later version of the schema.
    #[error("a memory of a version not known here")]
    UnknownVersion,
    /// Something else.
    #[error("not a memory: {0}")]
    Form(#[from] CanonicalError),
}

/// Reads the content of a memory's file.
///
/// # Errors
/// [`UnreadMemory`].
pub fn read(bytes: &[u8]) -> Result<Memory, UnreadMemory> {
    #[derive(Deserialize)]
    struct Version {
        schema_version: String,
    }
    let version: Version = serde_json::from_slice(bytes).map_err(|_| CanonicalError::Spelling)?;
    if version.schema_version != MEMORY_SCHEMA {
        let later = version.schema_version.starts_with(MEMORY_SCHEMA.trim_end_matches(char::is_numeric));
        return Err(if later { UnreadMemory::UnknownVersion } else { CanonicalError::Schema.into() });
    }
    Ok(canonical::read(bytes)?)
}

/// The content of a memory's file.
///
/// # Errors
/// [`CanonicalError`] for numbers out of bounds, which no authentic posture has.
pub fn to_vec(memory: &Memory) -> Result<Vec<u8>, CanonicalError> {
    canonical::to_vec(memory)
}

/// An authentic posture, and what of its folder a memory is compared with.
pub(crate) struct Seen<'a> {
    pub(crate) posture: &'a Posture,
    pub(crate) posture_sha256: &'a Sha256Hex,
    pub(crate) ring: &'a Keyring,
    /// The posture of the number that was asked about, as far as anything here still tells.
    pub(crate) then_sha256: Option<&'a Sha256Hex>,
    /// The head of the log at the record that was asked about; `None` when it is pruned.
    pub(crate) then_head: Option<&'a Sha256Hex>,
}

impl Seen<'_> {
    /// What is to be remembered of it.
    pub(crate) fn memory(&self, anchor: KeyId) -> Memory {
        let posture = self.posture;
        Memory {
            anchor_key_id: key_id(anchor),
            install_id: posture.install_id.clone(),
            log_head: posture.finding_log_sha256.clone(),
            newest_key_id: posture.key_id.clone(),
            next_seq: posture.finding_log.next_seq,
            platform: Platform::Hermes,
            posture_sha256: self.posture_sha256.clone(),
            schema_version: MEMORY_SCHEMA.into(),
            sequence: posture.sequence,
        }
    }

    /// Whether it follows on what is remembered.
    pub(crate) fn follows(&self, then: &Memory) -> Result<(), MemoryError> {
        let Self { posture, ring, .. } = self;
        if posture.install_id != then.install_id {
            return Err(MemoryError::MemoryInstall);
        }
        let (sequence, remembered) = (posture.sequence, then.sequence);
        if sequence < remembered {
            return Err(MemoryError::MemoryRolledBack { sequence, remembered });
        }
        if let Some(key_id) = [&then.anchor_key_id, &then.newest_key_id].into_iter().find(|id| !ring.has(id)) {
            return Err(MemoryError::MemoryKey { key_id: key_id.clone() });
        }
        if self.then_sha256.is_some_and(|sha256| *sha256 != then.posture_sha256) {
            return Err(MemoryError::MemoryForked { sequence: remembered });
        }
        let shorter = posture.finding_log.next_seq < then.next_seq;
        if shorter || self.then_head.is_some_and(|head| *head != then.log_head) {
            return Err(MemoryError::MemoryLog { seq: then.next_seq.saturating_sub(1) });
        }
        Ok(())
    }
}
