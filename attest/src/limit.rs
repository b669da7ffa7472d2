//! What a passing verification does not prove.

use serde::{Serialize, Serializer};
use std::borrow::Cow;

/// Something a passing verification does not prove.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Limit {
    /// The signer is trusted.
    KeyHolder,
    /// What no export covers yet.
    UnsignedRecords,
    /// Old but valid.
    FolderRollback,
    /// What was never seen.
    OtherTraffic,
    /// Who vouches for the voucher.
    OwnAnchor,
    /// Which generation is the newest.
    NoCurrent,
    /// What was pruned.
    PrunedRecords,
    /// What was set aside when a person began the log anew.
    BegunAnew {
        /// The first record that is provable.
        first_seq: u64,
    },
    /// A stop is the last word.
    ExpiryNotTested,
    /// An older key was pinned.
    OlderAnchor,
    /// What lies between the memory and the oldest record is gone.
    Continuity {
        /// The oldest record retained.
        before_seq: u64,
    },
}

impl Limit {
    /// Its name in a report.
    pub fn name(self) -> &'static str {
        match self {
            Self::KeyHolder => "key_holder",
            Self::UnsignedRecords => "unsigned_records",
            Self::FolderRollback => "folder_rollback",
            Self::OtherTraffic => "other_traffic",
            Self::OwnAnchor => "own_anchor",
            Self::NoCurrent => "no_current",
            Self::PrunedRecords => "pruned_records",
            Self::BegunAnew { .. } => "begun_anew",
            Self::ExpiryNotTested => "expiry_not_tested",
            Self::OlderAnchor => "older_anchor",
            Self::Continuity { .. } => "continuity",
        }
    }

    /// What is not proved.
    pub fn text(self) -> Cow<'static, str> {
        let text = match self {
            Self::BegunAnew { first_seq } => {
                return format!(
                    "records before number {first_seq} are not provable: the log was damaged, and a person began it anew"
                )
                .into();
            }
            Self::KeyHolder => "whoever holds the signing key can omit or invent records",
            Self::UnsignedRecords => "records newer than the last export can be cut or altered unseen",
            Self::FolderRollback => "the whole folder can be set back to an older state that is still valid",
            Self::OtherTraffic => "nothing is said of traffic that never reached the proxy",
            Self::OwnAnchor => {
                "the anchor is the guardian's: whoever can write its folder can replace the key and sign anew"
            }
            Self::NoCurrent => {
                "there is no `current`: the highest complete generation was read, and newer ones may be gone"
            }
            Self::PrunedRecords => {
                "the oldest records were pruned: of them the sums alone are known, as they were signed"
            }
            Self::ExpiryNotTested => "the expiry of a stopped monitor's last word is not tested: it may be of any age",
            Self::OlderAnchor => {
                "an older key was pinned: whoever has that one can lead a verifier without memory to another key"
            }
            Self::Continuity { before_seq } => {
                return format!("history before seq {before_seq} is pruned; continuity not proven").into();
            }
        };
        text.into()
    }
}

/// As its name.
impl Serialize for Limit {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}
