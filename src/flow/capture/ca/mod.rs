//! A key → an authority that speaks for the hosts of inspected connections, and for nothing else.
//!
//! Its certificate may sign leaves and no further authority (path length 0). Only what the operator points at the
//! bundle believes it: no trust store is touched.

mod error;
mod facts;
mod folder;
mod leaf;
mod roots;

pub use error::CaError;
pub use folder::{CaFolder, Renewed, operator};
pub use leaf::Leaves;
pub(super) use leaf::provider;
pub use roots::{Roots, bundle};

use facts::Facts;
use hudsucker::rustls::pki_types::CertificateDer;
use posture::{CaMode, Sha256Hex, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PublicKeyData, SerialNumber,
};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;

/// An authority's certificate begins this long before it is made: clocks differ.
const SKEW: chrono::Duration = chrono::Duration::hours(1);
/// An ephemeral authority's life.
const A_DAY: chrono::Duration = chrono::Duration::days(1);
/// A generated authority's life.
const A_YEAR: chrono::Duration = chrono::Duration::days(365);

/// An authority: its certificate and the key behind it. It has no `Debug` that shows the key, and cannot be cloned.
pub struct Ca {
    mode: CaMode,
    issuer: Issuer<'static, KeyPair>,
    /// Its own certificate, then those of the authorities above it, if it has any.
    chain: Vec<CertificateDer<'static>>,
    facts: Facts,
}

impl Ca {
    /// An authority for one run: a day's life, its key nowhere but in memory.
    ///
    /// # Errors
    /// The system gives no random bytes.
    pub fn ephemeral(now: Timestamp) -> Result<Self, CaError> {
        Self::self_made(CaMode::Ephemeral, KeyPair::generate()?, now, A_DAY)
    }

    /// A certificate of our own making over `key`. The same key gives the same name and key identifier, so that what
    /// trusts an older certificate trusts what is signed under the newer one.
    fn self_made(mode: CaMode, key: KeyPair, now: Timestamp, life: chrono::Duration) -> Result<Self, CaError> {
        let mark = data_encoding::HEXLOWER.encode(&Sha256::digest(key.subject_public_key_info())[..4]);
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, format!("Hermes Traffic Guardian CA {mark}"));
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.serial_number = Some(serial()?);
        let from = now.plus(-SKEW);
        (params.not_before, params.not_after) = (date(from), date(from.plus(life)));
        let certificate = params.self_signed(&key)?.der().clone();
        let facts = Facts::of(&certificate).ok_or(CaError::Made)?;
        Ok(Self { mode, issuer: Issuer::new(params, key), chain: vec![certificate], facts })
    }

    /// An authority from a certificate that was read. `None` when the key is not the certificate's.
    fn from_chain(mode: CaMode, chain: Vec<CertificateDer<'static>>, facts: Facts, key: KeyPair) -> Option<Self> {
        if key.subject_public_key_info() != facts.spki {
            return None;
        }
        let issuer = Issuer::from_ca_cert_der(chain.first()?, key).ok()?;
        Some(Self { mode, issuer, chain, facts })
    }

    /// Where it comes from.
    pub fn mode(&self) -> CaMode {
        self.mode
    }

    /// Its certificate (DER).
    pub fn certificate(&self) -> &CertificateDer<'static> {
        // An authority is only made with one.
        &self.chain[0]
    }

    /// Its certificate and those above it (DER).
    pub fn chain(&self) -> &[CertificateDer<'static>] {
        &self.chain
    }

    /// When its certificate begins.
    pub fn not_before(&self) -> Timestamp {
        self.facts.not_before
    }

    /// When its certificate ends.
    pub fn not_after(&self) -> Timestamp {
        self.facts.not_after
    }

    /// Whether two thirds of its life are over; or it has not begun, made by a clock that was ahead.
    pub fn is_due(&self, now: Timestamp) -> bool {
        let life = self.not_after().since(self.not_before());
        now < self.not_before() || now >= self.not_before().plus(life * 2 / 3)
    }

    /// SHA-256 of its certificate.
    pub fn fingerprint(&self) -> Sha256Hex {
        Sha256Hex::from_bytes(&Sha256::digest(self.certificate()).into())
    }

    /// SHA-256 over its key's SPKI DER.
    pub fn key_sha256(&self) -> Sha256Hex {
        Sha256Hex::from_bytes(&Sha256::digest(&self.facts.spki).into())
    }

    /// Whether a certificate is over this authority's key.
    fn has_the_key_of(&self, certificate: &CertificateDer<'_>) -> bool {
        Facts::of(certificate).is_some_and(|facts| facts.spki == self.facts.spki)
    }

    /// What a posture says of it. An ephemeral key is not named: a new run is no drift.
    pub fn stated(&self) -> posture::Ca {
        let key_sha256 = (self.mode != CaMode::Ephemeral).then(|| self.key_sha256());
        posture::Ca { key_sha256, mode: self.mode, not_after: Some(self.not_after()) }
    }
}

/// 127 random bits: positive in DER, never zero, never twice (RFC 5280, section 4.1.2.2).
fn serial() -> Result<SerialNumber, CaError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|_| CaError::Made)?;
    bytes[0] = bytes[0] & 0x7f | 0x40;
    Ok(SerialNumber::from_slice(&bytes))
}

/// As the certificate has it: whole seconds.
fn date(time: Timestamp) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(time.to_utc().timestamp()).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

#[cfg(test)]
mod tests;
