//! Folder → what is authentic in it: all that depends neither on the time nor on the reader's wishes.

use super::{
    generations::check_earlier,
    log::{Learnt, check_log},
};
use crate::{
    canonical::{self, CanonicalError},
    digest::{self, Document, sha256},
    folder::{self, Folder, Generation},
    keyring::{self, Keyring},
    reason::Reason,
    rotation::RotationError,
};
use keys::{PublicKey, Signature};
use posture::{Memory, Posture, Sha256Hex, State};
use serde::Deserialize;
use std::path::Path;

/// What is authentic, and what was learnt on the way.
pub(super) struct Authentic {
    pub(super) posture: Posture,
    pub(super) posture_sha256: Sha256Hex,
    pub(super) state: State,
    pub(super) ring: Keyring,
    pub(super) log: Learnt,
}

pub(super) fn authenticate(
    folder: &Folder,
    generation: &Generation,
    anchor: &PublicKey,
    remembered: Option<&Memory>,
) -> Result<Authentic, Reason> {
    let bytes = folder::read(generation.posture())?;
    let (Some(path), Some(number)) = (generation.state(), generation.number()) else {
        document::<Posture>(generation.posture(), &bytes, anchor)?;
        return Err(Reason::Partial);
    };
    let ring = keyring::of(folder, anchor)?;
    let key = ring.signer(number);
    let posture: Posture = document(generation.posture(), &bytes, key)
        .map_err(|reason| retired(generation.posture(), &bytes, &ring, number).unwrap_or(reason))?;
    if posture.sequence != number {
        return Err(Reason::Generation { path: generation.posture().into(), sequence: posture.sequence });
    }
    if ring.is_before_pinned(number) {
        return Err(RotationError::BeforePinned { sequence: number }.into());
    }
    let state_bytes = folder::read(path)?;
    if sha256(&state_bytes) != posture.state_sha256 {
        return Err(Reason::StateLink { path: path.into(), sequence: posture.sequence });
    }
    let state = document(path, &state_bytes, key)?;
    let log = check_log(folder, &posture, &ring, remembered.map(|then| then.next_seq))?;
    check_earlier(folder, &posture, &ring)?;
    Ok(Authentic { posture, posture_sha256: sha256(&bytes), state, ring, log })
}

/// A key that gave way signed this all the same.
fn retired(path: &Path, bytes: &[u8], ring: &Keyring, number: u64) -> Option<Reason> {
    let signature = Signature::from_base64_line(&folder::read(&folder::signature_path(path)).ok()?).ok()?;
    let key_id = digest::key_id(ring.retired(number, bytes, &signature)?.key_id());
    Some(RotationError::RetiredKey { path: path.into(), key_id, sequence: number }.into())
}

/// A signed document, step by step.
pub(super) fn document<D: Document>(path: &Path, bytes: &[u8], key: &PublicKey) -> Result<D, Reason> {
    #[derive(Deserialize)]
    struct Version {
        schema_version: String,
    }
    let file = || path.into();
    let signature_path = folder::signature_path(path);
    let signature = Signature::from_base64_line(&folder::read(&signature_path)?)
        .map_err(|_| Reason::SignatureForm { path: signature_path.as_path().into() })?;
    let key_id = key.key_id();
    key.verify(bytes, &signature).map_err(|_| Reason::Signature { path: file(), key_id })?;
    let malformed = |problem| Reason::Document { path: file(), problem };
    let version: Version = serde_json::from_slice(bytes).map_err(|_| malformed(CanonicalError::Spelling))?;
    if version.schema_version != D::SCHEMA {
        let family = D::SCHEMA.trim_end_matches(char::is_numeric);
        let newer = version.schema_version.starts_with(family);
        return Err(if newer { Reason::UnknownVersion { path: file() } } else { malformed(CanonicalError::Schema) });
    }
    let document: D = canonical::read(bytes).map_err(malformed)?;
    if !digest::check(&document) {
        return Err(Reason::Digest { path: file() });
    }
    if document.key_id() != Some(&digest::key_id(key_id)) {
        return Err(Reason::NamedKey { path: file() });
    }
    Ok(document)
}
