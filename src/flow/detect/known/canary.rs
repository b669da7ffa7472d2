//! Random bytes → a value to plant; and what is kept of it, which is no more than finds it again.
//!
//! A canary is 38 letters and digits of base32 in lower case: 190 random bits without a prefix to know it by. Nothing in
//! it changes in a URL, in JSON, in a shell, as the label of a host or the name of a header field, and no vendor's key has
//! that length.

use super::{
    Kind,
    digest::{Digest, DigestKeys, Mark, STRIDE},
};
use data_encoding::HEXLOWER;
use posture::{Fingerprint, Timestamp};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use zeroize::Zeroizing;

/// What [`Planted`] files begin with.
pub const CANARY_SCHEMA: &str = "clawsec-traffic-canary/v1";

const LEN: usize = 38;
const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
/// The digits a canary has at least: a run of letters alone could be taken for a word.
const MIN_DIGITS: usize = 3;

/// Why there is no canary.
#[derive(Debug, thiserror::Error)]
pub enum CanaryError {
    /// The system has no random bytes.
    #[error("could not get random bytes")]
    Random(#[source] getrandom::Error),
    /// Not what this version writes.
    #[error("not a canary's file of this version")]
    Form,
    /// Its digest was made under other keys: it cannot be recognised.
    #[error("it was planted under another fingerprint key, and cannot be recognised under this one")]
    OtherKey,
}

/// A value nobody has seen before.
///
/// # Errors
/// [`CanaryError::Random`].
pub fn new_canary() -> Result<Zeroizing<String>, CanaryError> {
    loop {
        let mut bytes = Zeroizing::new([0_u8; LEN]);
        getrandom::fill(&mut *bytes).map_err(CanaryError::Random)?;
        let text: Zeroizing<String> =
            Zeroizing::new(bytes.iter().map(|b| char::from(LETTERS[usize::from(b % 32)])).collect());
        let digits = text.bytes().filter(u8::is_ascii_digit).count();
        if digits >= MIN_DIGITS && text.starts_with(|c: char| c.is_ascii_lowercase()) {
            return Ok(text);
        }
    }
}

/// One canary's file: everything is keyed, and 190 bits cannot be guessed from it with the key either.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Planted {
    /// HMAC-SHA-256 of the value, in hex.
    digest: String,
    /// The fingerprint its findings carry, and its name.
    pub fingerprint: Fingerprint,
    /// Short keyed hashes that bring the digest into play, in hex.
    gate: String,
    /// Tells under which key this was made, in hex.
    key_check: String,
    /// When it was made.
    pub made_at: Timestamp,
    /// [`CANARY_SCHEMA`].
    schema_version: String,
}

impl Planted {
    /// What is kept of `value`, whose findings carry this fingerprint.
    pub fn new(keys: &DigestKeys, value: &str, fingerprint: Fingerprint, now: Timestamp) -> Self {
        let digest = keys.digest(Kind::Canary, value.as_bytes(), Arc::new([])).expect("a canary has the right length");
        let hashes = digest.mark.windows.iter().chain([&digest.mark.head]);
        Self {
            digest: HEXLOWER.encode(&digest.mark.hmac),
            fingerprint,
            gate: HEXLOWER.encode(&hashes.flat_map(|hash| hash.to_be_bytes()).collect::<Vec<_>>()),
            key_check: HEXLOWER.encode(keys.check()),
            made_at: now,
            schema_version: CANARY_SCHEMA.to_owned(),
        }
    }

    /// Reads a file's bytes.
    ///
    /// # Errors
    /// [`CanaryError::Form`].
    pub fn read(bytes: &[u8]) -> Result<Self, CanaryError> {
        let this: Self = serde_json::from_slice(bytes).map_err(|_| CanaryError::Form)?;
        if this.schema_version == CANARY_SCHEMA && this.mark().is_some() { Ok(this) } else { Err(CanaryError::Form) }
    }

    /// A file's bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec(self).expect("text and times become JSON");
        bytes.push(b'\n');
        bytes
    }

    /// What finds it.
    ///
    /// # Errors
    /// [`CanaryError::OtherKey`] when it was made under other keys; [`CanaryError::Form`].
    pub fn recognised(&self, keys: &DigestKeys) -> Result<Digest, CanaryError> {
        if self.key_check != HEXLOWER.encode(keys.check()) {
            return Err(CanaryError::OtherKey);
        }
        let mark = self.mark().ok_or(CanaryError::Form)?;
        let host = Some(mark.clone());
        Ok(Digest { kind: Kind::Canary, vendors: Arc::new([]), mark, host })
    }

    fn mark(&self) -> Option<Mark> {
        let gate = HEXLOWER.decode(self.gate.as_bytes()).ok()?;
        let (hashes, []) = gate.as_chunks::<2>() else { return None };
        let hashes: &[[u8; 2]; STRIDE + 1] = hashes.try_into().ok()?;
        let [windows @ .., head] = hashes.map(u16::from_be_bytes);
        let hmac = HEXLOWER.decode(self.digest.as_bytes()).ok()?.try_into().ok()?;
        Some(Mark { len: LEN, windows, head, hmac })
    }
}
