//! Key ⇄ PEM, and the one identifier of a key.

use crate::{KeyError, Signature};
use data_encoding::HEXLOWER;
use ed25519_dalek::{
    Signer,
    pkcs8::{
        DecodePrivateKey, DecodePublicKey, EncodePrivateKey, EncodePublicKey, KeypairBytes, spki::der::pem::LineEnding,
    },
};
use sha2::{Digest, Sha256};
use std::fmt;
use zeroize::Zeroizing;

/// The guardian's private key. Wiped from memory when dropped.
pub struct SigningKey(ed25519_dalek::SigningKey);

impl SigningKey {
    /// A new key from the operating system's random bytes.
    ///
    /// # Errors
    /// [`KeyError::Random`] when there are none.
    pub fn generate() -> Result<Self, KeyError> {
        Ok(Self(ed25519_dalek::SigningKey::from_bytes(&*random()?)))
    }

    /// The public half.
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key())
    }

    /// Signs exactly these bytes (RFC 8032, section 5.1.6: deterministic).
    pub fn sign(&self, bytes: &[u8]) -> Signature {
        Signature(self.0.sign(bytes))
    }

    /// PKCS#8 **version 1** PEM, LF line ends: version 2 is refused by OpenSSL 3.0, Node 20 and Python.
    pub fn to_pem(&self) -> Zeroizing<String> {
        KeypairBytes { secret_key: self.0.to_bytes(), public_key: None }
            .to_pkcs8_pem(LineEnding::LF)
            .expect("32 bytes always encode")
    }

    /// Reads PKCS#8 PEM.
    ///
    /// # Errors
    /// [`KeyError::PrivateKeyForm`] for anything else, a public half that does not belong to it included.
    pub fn from_pem(pem: &str) -> Result<Self, KeyError> {
        ed25519_dalek::SigningKey::from_pkcs8_pem(pem).map(Self).map_err(|_| KeyError::PrivateKeyForm)
    }
}

/// Only the key's identifier.
impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.public().key_id())
    }
}

/// A public key that is safe to check signatures with: canonically encoded and not of small order.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey(ed25519_dalek::VerifyingKey);

impl PublicKey {
    /// From the 32 bytes of RFC 8032, section 5.1.5.
    ///
    /// # Errors
    /// [`KeyError::PublicKeyForm`] when they are no point or not its canonical encoding; [`KeyError::WeakKey`] for a
    /// point of small order.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, KeyError> {
        Self::checked(ed25519_dalek::VerifyingKey::from_bytes(bytes).map_err(|_| KeyError::PublicKeyForm)?)
    }

    /// Reads SPKI PEM.
    ///
    /// # Errors
    /// As [`PublicKey::from_bytes`].
    pub fn from_pem(pem: &str) -> Result<Self, KeyError> {
        Self::checked(ed25519_dalek::VerifyingKey::from_public_key_pem(pem).map_err(|_| KeyError::PublicKeyForm)?)
    }

    fn checked(key: ed25519_dalek::VerifyingKey) -> Result<Self, KeyError> {
        if key.is_weak() {
            return Err(KeyError::WeakKey);
        }
        // A coordinate at or above 2^255 − 19 decodes all the same: one key would have two identifiers.
        if key.to_edwards().compress().as_bytes() != key.as_bytes() {
            return Err(KeyError::PublicKeyForm);
        }
        Ok(Self(key))
    }

    /// SPKI PEM (RFC 8410), LF line ends.
    pub fn to_pem(&self) -> String {
        self.0.to_public_key_pem(LineEnding::LF).expect("32 bytes always encode")
    }

    /// The 32 bytes of RFC 8032.
    pub fn to_bytes(&self) -> [u8; 32] {
        self.0.to_bytes()
    }

    /// The identifier of this key.
    pub fn key_id(&self) -> KeyId {
        let public = HEXLOWER.encode(self.0.as_bytes());
        let canonical = format!(r#"{{"keytype":"ed25519","keyval":{{"public":"{public}"}},"scheme":"ed25519"}}"#);
        KeyId(Sha256::digest(canonical).into())
    }

    /// Checks a signature over exactly these bytes, strictly: no malleable and no small-order signature passes.
    ///
    /// # Errors
    /// [`KeyError::Signature`].
    pub fn verify(&self, bytes: &[u8], signature: &Signature) -> Result<(), KeyError> {
        self.0.verify_strict(bytes, &signature.0).map_err(|_| KeyError::Signature { key_id: self.key_id() })
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", self.key_id())
    }
}

/// The identifier of a public key, as TUF and securesystemslib compute it.
///
/// SHA-256 over the canonical form of `{"keytype":"ed25519","keyval":{"public":<hex>},"scheme":"ed25519"}`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId([u8; 32]);

impl KeyId {
    /// The hash.
    pub fn to_bytes(self) -> [u8; 32] {
        self.0
    }
}

/// 64 lower-case hexadecimal digits.
impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

pub(crate) fn random() -> Result<Zeroizing<[u8; 32]>, KeyError> {
    let mut bytes = Zeroizing::new([0; 32]);
    getrandom::fill(&mut *bytes).map_err(KeyError::Random)?;
    Ok(bytes)
}
