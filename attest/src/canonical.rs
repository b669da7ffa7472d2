//! Document ⇄ its one spelling: RFC 8785, with a guard on each side.
//!
//! `serde_jcs` is byte-correct on what JSON and IEEE 754 can carry, and silent about the rest: NaN becomes `null`,
//! duplicate members lose one, integers beyond 2^53 are rounded. So nothing is written that does not read back equal, and
//! nothing is read that would not be written so.

use serde::{Serialize, de::DeserializeOwned};
use serde_json::ser::{CompactFormatter, Formatter, Serializer};
use std::io;

/// Why a document has no canonical form, or why bytes are not one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CanonicalError {
    /// The bytes are not JSON, nest too deeply, or are spelt otherwise than RFC 8785 spells them.
    #[error("not canonical JSON (RFC 8785)")]
    Spelling,
    /// Canonical JSON, but a member is missing, unknown, or holds what it may not.
    #[error("not a document of this schema")]
    Schema,
    /// A number that is no integer of 0 to 2^53 − 1.
    #[error("a number that is not an integer from 0 to 2^53 - 1")]
    Number,
    /// The document reads back as another one.
    #[error("the document does not survive its canonical form")]
    Lossy,
}

/// The canonical bytes of a document: the producer's guard.
///
/// # Errors
/// [`CanonicalError`] when the bytes would not read back as the same document. Then it must not be signed.
pub fn to_vec<T: Serialize + DeserializeOwned + PartialEq>(document: &T) -> Result<Vec<u8>, CanonicalError> {
    let bytes = serde_jcs::to_vec(document).map_err(|_| CanonicalError::Lossy)?;
    if read::<T>(&bytes)? == *document { Ok(bytes) } else { Err(CanonicalError::Lossy) }
}

/// The document in canonical bytes: the receiver's guard. `T` denies unknown fields.
///
/// # Errors
/// [`CanonicalError`].
pub fn read<T: Serialize + DeserializeOwned>(bytes: &[u8]) -> Result<T, CanonicalError> {
    let value: serde_json::Value = serde_json::from_slice(bytes).map_err(|_| CanonicalError::Spelling)?;
    if serde_jcs::to_vec(&value).map_err(|_| CanonicalError::Spelling)? != bytes {
        return Err(CanonicalError::Spelling);
    }
    let document = serde_json::from_slice(bytes).map_err(|_| CanonicalError::Schema)?;
    plain(&document, io::sink())?;
    // A member that may be null is there all the same; serde takes it for null where it is missing.
    let whole = serde_jcs::to_vec(&document).is_ok_and(|written| written == bytes);
    if whole { Ok(document) } else { Err(CanonicalError::Schema) }
}

/// Writes a value as it is, members in the order of its fields, refusing numbers that are not integers of 0 to 2^53 − 1.
///
/// For a struct whose fields stand in alphabetical order this is its canonical form.
pub(crate) fn plain<T: Serialize>(value: &T, out: impl io::Write) -> Result<(), CanonicalError> {
    value.serialize(&mut Serializer::with_formatter(out, Integers)).map_err(|_| CanonicalError::Number)
}

struct Integers;

impl Formatter for Integers {
    fn write_u64<W: ?Sized + io::Write>(&mut self, writer: &mut W, value: u64) -> io::Result<()> {
        if value > posture::MAX_INTEGER {
            return Err(io::ErrorKind::InvalidData.into());
        }
        CompactFormatter.write_u64(writer, value)
    }

    fn write_i64<W: ?Sized + io::Write>(&mut self, writer: &mut W, value: i64) -> io::Result<()> {
        let value = u64::try_from(value).map_err(|_| io::ErrorKind::InvalidData)?;
        self.write_u64(writer, value)
    }

    fn write_f64<W: ?Sized + io::Write>(&mut self, _: &mut W, _: f64) -> io::Result<()> {
        Err(io::ErrorKind::InvalidData.into())
    }

    fn write_f32<W: ?Sized + io::Write>(&mut self, _: &mut W, _: f32) -> io::Result<()> {
        Err(io::ErrorKind::InvalidData.into())
    }
}
