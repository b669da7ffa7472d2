//! Document → its digest of itself, as `hermes-attestation-guardian` computes it.
//!
//! Alone it proves little; the signature over the exact bytes is what counts.

use crate::canonical::CanonicalError;
use posture::{Digests, Posture, Sha256Hex, State, Verdict};
use serde::{Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};

/// A document with a schema version and a digest of itself.
pub trait Document: Serialize + DeserializeOwned + PartialEq {
    /// Its `schema_version`.
    const SCHEMA: &'static str;
    /// The value of its `schema_version`.
    fn schema_version(&self) -> &str;
    /// Its digest of itself.
    fn digests(&self) -> &Digests;
    /// Where [`bind`] puts it.
    fn digests_mut(&mut self) -> &mut Digests;
    /// The key it names.
    fn key_id(&self) -> Option<&Sha256Hex>;
}

macro_rules! document {
    ($name:ident, $schema:expr, $self:ident => $key_id:expr) => {
        impl Document for $name {
            const SCHEMA: &'static str = $schema;
            fn schema_version(&self) -> &str {
                &self.schema_version
            }
            fn digests(&self) -> &Digests {
                &self.digests
            }
            fn digests_mut(&mut self) -> &mut Digests {
                &mut self.digests
            }
            fn key_id(&$self) -> Option<&Sha256Hex> {
                $key_id
            }
        }
    };
}
document!(Posture, posture::POSTURE_SCHEMA, self => Some(&self.key_id));
document!(State, posture::STATE_SCHEMA, self => Some(&self.key_id));
document!(Verdict, posture::VERDICT_SCHEMA, self => self.key_id.as_ref());

/// SHA-256.
pub fn sha256(bytes: impl AsRef<[u8]>) -> Sha256Hex {
    Sha256Hex::from_bytes(&Sha256::digest(bytes).into())
}

/// A key's identifier, as documents carry it.
pub fn key_id(id: keys::KeyId) -> Sha256Hex {
    Sha256Hex::from_bytes(&id.to_bytes())
}

/// The digest of a document: SHA-256 over its canonical form without the member `digests`.
///
/// # Errors
/// [`CanonicalError::Lossy`] when it has no canonical form.
pub fn of<D: Document>(document: &D) -> Result<Digests, CanonicalError> {
    let mut value = serde_json::to_value(document).map_err(|_| CanonicalError::Lossy)?;
    value.as_object_mut().ok_or(CanonicalError::Schema)?.remove("digests");
    let bytes = serde_jcs::to_vec(&value).map_err(|_| CanonicalError::Lossy)?;
    Ok(Digests { algorithm: "sha256".into(), canonical_sha256: sha256(bytes) })
}

/// Fills in the document's digest of itself. Any later change needs another call.
///
/// # Errors
/// As [`of`].
pub fn bind<D: Document>(document: &mut D) -> Result<(), CanonicalError> {
    *document.digests_mut() = of(document)?;
    Ok(())
}

/// Whether the document's digest of itself holds.
pub fn check<D: Document>(document: &D) -> bool {
    of(document).is_ok_and(|digests| digests == *document.digests())
}
