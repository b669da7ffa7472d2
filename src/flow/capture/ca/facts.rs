//! Certificate → what decides about it.

use chrono::DateTime;
use posture::Timestamp;
use x509_parser::prelude::{FromDer, X509Certificate};

/// What a certificate says of itself.
#[derive(Debug, Clone)]
pub(super) struct Facts {
    pub(super) not_before: Timestamp,
    pub(super) not_after: Timestamp,
    /// Basic Constraints: CA:TRUE.
    pub(super) is_authority: bool,
    /// Key Usage allows signing certificates, or says nothing.
    pub(super) may_sign: bool,
    /// Its public key, SPKI DER.
    pub(super) spki: Vec<u8>,
    /// Its subject, DER.
    pub(super) subject: Vec<u8>,
    /// Its issuer, DER.
    pub(super) issuer: Vec<u8>,
}

impl Facts {
    /// `None` when `der` is no certificate.
    pub(super) fn of(der: &[u8]) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        let time = |t: x509_parser::time::ASN1Time| DateTime::from_timestamp(t.timestamp(), 0).map(Timestamp::new);
        let usage = certificate.key_usage().ok()?;
        Some(Self {
            not_before: time(certificate.validity().not_before)?,
            not_after: time(certificate.validity().not_after)?,
            is_authority: certificate.is_ca(),
            may_sign: usage.is_none_or(|usage| usage.value.key_cert_sign()),
            spki: certificate.public_key().raw.to_vec(),
            subject: certificate.subject().as_raw().to_vec(),
            issuer: certificate.issuer().as_raw().to_vec(),
        })
    }

    /// Signed by itself: whoever trusts it needs no other.
    pub(super) fn is_root(&self) -> bool {
        self.subject == self.issuer
    }
}
