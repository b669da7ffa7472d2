//! What a reader keeps of the last authentic posture, on the reader's side.

use crate::{InstallId, Platform, Sha256Hex};
use serde::{Deserialize, Serialize};

/// The file of `verify --memory`: unsigned, canonical, the reader's own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Memory {
    /// The public key that was pinned.
    pub anchor_key_id: Sha256Hex,
    /// The installation.
    pub install_id: InstallId,
    /// The head of the log's chain, as the posture signs it.
    pub log_head: Sha256Hex,
    /// The newest key that was seen to sign: the anchor, or one the rotations lead to from it.
    pub newest_key_id: Sha256Hex,
    /// The number of the record after `log_head`.
    pub next_seq: u64,
    /// The agent platform.
    pub platform: Platform,
    /// SHA-256 over the posture's bytes.
    pub posture_sha256: Sha256Hex,
    /// [`crate::MEMORY_SCHEMA`].
    #[cfg_attr(test, schemars(extend("const" = crate::MEMORY_SCHEMA)))]
    pub schema_version: String,
    /// The posture's number.
    pub sequence: u64,
}
