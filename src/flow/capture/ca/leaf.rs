//! Host → a certificate for it, made when first needed and kept while it is good.

use super::{Ca, CaError, date, facts::Facts, serial};
use crate::clock;
use hudsucker::rustls::{
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
    sign::{CertifiedKey, SigningKey},
};
use posture::Timestamp;
use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose, SanType,
};
use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

/// Certificates kept at once.
const MAX_KEPT: usize = 1000;
/// A leaf's whole life, its beginning in the past included; never past its authority's.
const LIFE: chrono::Duration = chrono::Duration::days(7);
/// A leaf begins this long before it is made: clocks differ.
const SKEW: chrono::Duration = chrono::Duration::hours(1);

/// An authority at work: one key for all leaves, and the leaves made so far. In memory only.
pub struct Leaves {
    ca: Mutex<Arc<Ca>>,
    key: KeyPair,
    signing: Arc<dyn SigningKey>,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    leaves: HashMap<String, Leaf>,
    uses: u64,
}

struct Leaf {
    certified: Arc<CertifiedKey>,
    /// No client takes it before: a clock that was set back has another made.
    from: Timestamp,
    /// From here on another is made: a client that holds on to it still has half its life.
    fresh_until: Timestamp,
    used: u64,
}

impl Leaf {
    fn is_good(&self, now: Timestamp) -> bool {
        self.from <= now && now < self.fresh_until
    }
}

impl Leaves {
    /// An authority with a fresh key for its leaves.
    ///
    /// # Errors
    /// The system gives no random bytes.
    pub fn new(ca: Ca) -> Result<Self, CaError> {
        let key = KeyPair::generate()?;
        let der = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let signing = aws_lc_rs::sign::any_supported_type(&der).map_err(|_| CaError::Made)?;
        Ok(Self { ca: Mutex::new(Arc::new(ca)), key, signing, kept: Mutex::default() })
    }

    /// The authority that signs now.
    pub fn authority(&self) -> Arc<Ca> {
        Arc::clone(&self.ca.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// From here on `ca` signs.
    pub fn renew(&self, ca: Ca) {
        *self.ca.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(ca);
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).leaves.clear();
    }

    /// The certificate for `host` (lower case, no trailing dot, an IPv6 literal without brackets), and its key.
    ///
    /// # Errors
    /// A host no certificate can name, or an authority whose time is over.
    pub(in super::super) fn certified(&self, host: &str) -> Result<Arc<CertifiedKey>, CaError> {
        self.at(host, clock::now())
    }

    pub(super) fn at(&self, host: &str, now: Timestamp) -> Result<Arc<CertifiedKey>, CaError> {
        {
            let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
            kept.uses += 1;
            let uses = kept.uses;
            if let Some(leaf) = kept.leaves.get_mut(host).filter(|leaf| leaf.is_good(now)) {
                leaf.used = uses;
                return Ok(Arc::clone(&leaf.certified));
            }
        }
        // Outside the lock: two who ask at once make one each, and either will do.
        let ca = self.authority();
        let (certificate, [from, until]) = ca.leaf(host, &self.key, now)?;
        let above = if ca.facts.is_root() { &[] } else { ca.chain() };
        let chain = std::iter::once(certificate).chain(above.iter().cloned()).collect();
        let certified = Arc::new(CertifiedKey::new(chain, Arc::clone(&self.signing)));
        let fresh_until = now.plus(until.since(now) / 2);
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.make_room();
        let used = kept.uses;
        kept.leaves.insert(host.to_owned(), Leaf { certified: Arc::clone(&certified), from, fresh_until, used });
        Ok(certified)
    }

    #[cfg(test)]
    pub(super) fn kept(&self) -> usize {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).leaves.len()
    }
}

impl Kept {
    /// Lets go of the one not asked for the longest.
    fn make_room(&mut self) {
        if self.leaves.len() < MAX_KEPT {
            return;
        }
        if let Some(oldest) = self.leaves.iter().min_by_key(|(_, leaf)| leaf.used).map(|(host, _)| host.clone()) {
            self.leaves.remove(&oldest);
        }
    }
}

impl Ca {
    /// A certificate for `host` over `key`, and when it begins and ends.
    pub(super) fn leaf(
        &self,
        host: &str,
        key: &KeyPair,
        now: Timestamp,
    ) -> Result<(CertificateDer<'static>, [Timestamp; 2]), CaError> {
        if now >= self.not_after() {
            return Err(CaError::Made);
        }
        let name = match host.parse::<IpAddr>() {
            Ok(address) => SanType::IpAddress(address),
            Err(_) => SanType::DnsName(host.try_into()?),
        };
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        // A host may be longer than a common name can be, and clients look at the alternative names alone.
        params.distinguished_name.push(DnType::CommonName, "inspected by Hermes Traffic Guardian");
        params.subject_alt_names = vec![name];
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        params.serial_number = Some(serial()?);
        let from = now.plus(-SKEW).max(self.not_before());
        let until = from.plus(LIFE).min(self.not_after());
        (params.not_before, params.not_after) = (date(from), date(until));
        Ok((params.signed_by(key, &self.issuer)?.der().clone(), [from, until]))
    }

    /// Whether what it signs names it exactly as its own certificate does.
    pub(super) fn signs_under_its_name(&self, now: Timestamp) -> bool {
        let leaf = KeyPair::generate().map_err(CaError::from).and_then(|key| self.leaf("localhost", &key, now));
        leaf.ok().and_then(|(der, _)| Facts::of(&der)).is_some_and(|leaf| leaf.issuer == self.facts.subject)
    }
}

/// The one provider of cryptography: never a process default, of which another crate could make two.
pub(in super::super) fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}
