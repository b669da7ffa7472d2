//! Signature ⇄ one line of padded base64.

use crate::KeyError;
use data_encoding::BASE64;

/// An Ed25519 signature. Whether it holds is [`crate::PublicKey::verify`]'s to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature(pub(crate) ed25519_dalek::Signature);

impl Signature {
    /// Bytes of the line: 88 digits of base64 and LF.
    pub const LINE_BYTES: usize = 89;

    /// From the 64 bytes of RFC 8032.
    pub fn from_bytes(bytes: &[u8; 64]) -> Self {
        Self(ed25519_dalek::Signature::from_bytes(bytes))
    }

    /// The 64 bytes of RFC 8032.
    pub fn to_bytes(&self) -> [u8; 64] {
        self.0.to_bytes()
    }

    /// The content of a `.sig` file.
    pub fn to_base64_line(&self) -> String {
        let mut line = BASE64.encode(&self.0.to_bytes());
        line.push('\n');
        line
    }

    /// Reads the content of a `.sig` file: exactly what [`Signature::to_base64_line`] writes.
    ///
    /// # Errors
    /// [`KeyError::SignatureForm`]: a lenient decoder takes sixteen spellings of one signature.
    pub fn from_base64_line(line: &[u8]) -> Result<Self, KeyError> {
        let digits = line.strip_suffix(b"\n").ok_or(KeyError::SignatureForm)?;
        let bytes = BASE64.decode(digits).map_err(|_| KeyError::SignatureForm)?;
        let signature = Self::from_bytes(bytes.as_slice().try_into().map_err(|_| KeyError::SignatureForm)?);
        if signature.to_base64_line().as_bytes() == line { Ok(signature) } else { Err(KeyError::SignatureForm) }
    }
}
