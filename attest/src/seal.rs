//! Document → signed bytes. The last that can be done to it.

use crate::{
    canonical::{self, CanonicalError},
    digest::{self, Document},
    folder::MAX_DOCUMENT_BYTES,
};
use keys::{Signature, SigningKey};
use posture::Sha256Hex;
use std::marker::PhantomData;

/// A document's exact bytes and their signature, for the file writer alone. The document is not in reach any more.
pub struct Sealed<T> {
    bytes: Vec<u8>,
    signature: Signature,
    document: PhantomData<T>,
}

/// Why a document was not sealed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// It has no canonical form.
    #[error(transparent)]
    Canonical(#[from] CanonicalError),
    /// More bytes than a reader takes.
    #[error("the document is larger than {MAX_DOCUMENT_BYTES} bytes, and no reader would take it")]
    TooLarge,
    /// Its `schema_version` is another document's.
    #[error("the document says it is not a {0}")]
    Schema(&'static str),
    /// Its digest of itself is missing or stale: [`digest::bind`] comes last.
    #[error("the document's digest of itself does not hold")]
    Digest,
    /// It names another key than the one that would sign.
    #[error("the document names another key than the one that signs")]
    Key,
}

/// Signs the canonical bytes of a document.
///
/// # Errors
/// [`SealError`] for a document a verifier would refuse.
pub fn seal<T: Document>(key: &SigningKey, document: &T) -> Result<Sealed<T>, SealError> {
    let bytes = canonical::to_vec(document)?;
    if bytes.len() as u64 > MAX_DOCUMENT_BYTES {
        return Err(SealError::TooLarge);
    }
    if document.schema_version() != T::SCHEMA {
        return Err(SealError::Schema(T::SCHEMA));
    }
    if !digest::check(document) {
        return Err(SealError::Digest);
    }
    if document.key_id() != Some(&digest::key_id(key.public().key_id())) {
        return Err(SealError::Key);
    }
    let signature = key.sign(&bytes);
    Ok(Sealed { bytes, signature, document: PhantomData })
}

impl<T> Sealed<T> {
    /// The content of the document's file: canonical, without a line end.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The content of the `.sig` file beside it.
    pub fn signature_line(&self) -> String {
        self.signature.to_base64_line()
    }

    /// SHA-256 of [`Sealed::bytes`]: what `state_sha256` and `previous_sha256` refer to.
    pub fn sha256(&self) -> Sha256Hex {
        digest::sha256(&self.bytes)
    }
}
