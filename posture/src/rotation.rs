//! One line of `rotations.jsonl`: a signing key gives way to another, and both say so.

use crate::{Platform, PublicKeyHex, Sha256Hex};
use serde::{Deserialize, Serialize};

/// A change of the signing key. Fields stand in alphabetical order: serialised as they are, they are canonical.
///
/// Both signatures are over the canonical form without `new_signature` and `old_signature`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Rotation {
    /// The first posture the new key signs. The old one signs none from here on.
    pub from_sequence: u64,
    /// SHA-256 of the line of the `rotate` event in the log, without its LF.
    pub log_head: Sha256Hex,
    /// The number of that event.
    pub log_seq: u64,
    /// The identifier of the key that signs from here on.
    pub new_key_id: Sha256Hex,
    /// That key: the 32 bytes of RFC 8032.
    pub new_public_key: PublicKeyHex,
    /// Its signature: 64 bytes in base64 with padding.
    #[cfg_attr(test, schemars(regex(pattern = "^[A-Za-z0-9+/]{86}==$")))]
    pub new_signature: String,
    /// This statement's number, from 1.
    pub number: u64,
    /// The identifier of the key that signed until here.
    pub old_key_id: Sha256Hex,
    /// That key: the 32 bytes of RFC 8032.
    pub old_public_key: PublicKeyHex,
    /// Its signature: 64 bytes in base64 with padding.
    #[cfg_attr(test, schemars(regex(pattern = "^[A-Za-z0-9+/]{86}==$")))]
    pub old_signature: String,
    /// The agent platform.
    pub platform: Platform,
    /// SHA-256 of the line before, without its LF; null for the first.
    pub previous_sha256: Option<Sha256Hex>,
    /// [`crate::ROTATION_SCHEMA`].
    #[cfg_attr(test, schemars(extend("const" = crate::ROTATION_SCHEMA)))]
    pub schema_version: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{EventBody, InstallId, Memory};

    fn is_sorted<T: Serialize>(value: &T) {
        let sorted = serde_json::to_value(value).unwrap();
        assert_eq!(serde_json::to_string(value).unwrap(), sorted.to_string());
    }

    #[test]
    fn serialised_as_they_are_they_are_sorted() {
        let hash = Sha256Hex::from_bytes(&[7; 32]);
        let key = PublicKeyHex::from_bytes(&[8; 32]);
        is_sorted(&Rotation {
            from_sequence: 3,
            log_head: hash.clone(),
            log_seq: 9,
            new_key_id: hash.clone(),
            new_public_key: key.clone(),
            new_signature: String::new(),
            number: 1,
            old_key_id: hash.clone(),
            old_public_key: key,
            old_signature: String::new(),
            platform: Platform::Hermes,
            previous_sha256: None,
            schema_version: crate::ROTATION_SCHEMA.into(),
        });
        is_sorted(&Memory {
            anchor_key_id: hash.clone(),
            install_id: InstallId::from_bytes(&[1; 16]),
            log_head: hash.clone(),
            newest_key_id: hash.clone(),
            next_seq: 9,
            platform: Platform::Hermes,
            posture_sha256: hash.clone(),
            schema_version: crate::MEMORY_SCHEMA.into(),
            sequence: 2,
        });
        is_sorted(&EventBody::Rotate { new_key_id: hash.clone(), number: 1, old_key_id: hash });
    }
}
