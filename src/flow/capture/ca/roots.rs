//! The platform's roots → what upstream servers are checked against, and the bundle clients are pointed at.

use super::{Ca, CaError};
use data_encoding::BASE64;
use hudsucker::rustls::{
    RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};
use std::{collections::HashSet, fmt::Write, io::Read, path::Path};

/// No file of roots is longer.
const MAX_BYTES: u64 = 16 << 20;

/// Roots that vouch for upstream servers.
#[derive(Clone)]
pub struct Roots {
    pub(super) platform: Vec<CertificateDer<'static>>,
    pub(super) extra: Vec<CertificateDer<'static>>,
}

impl Roots {
    /// The platform's, and those of an extra file.
    ///
    /// # Errors
    /// A file that cannot be read or holds none; or there is not one root at all.
    pub fn load(extra: Option<&Path>) -> Result<Self, CaError> {
        // What the platform has and cannot be read is not trusted; the others are.
        let mut platform = rustls_native_certs::load_native_certs().certs;
        let mut seen = HashSet::new();
        platform.retain(|root| seen.insert(root.clone()));
        let extra = extra.map(read).transpose()?.unwrap_or_default();
        if platform.is_empty() && extra.is_empty() {
            return Err(CaError::NoRoots);
        }
        Ok(Self { platform, extra })
    }

    /// Reads a file of extra roots and keeps nothing: whether it could be used.
    ///
    /// # Errors
    /// As [`Roots::load`] for that file; the platform's are not looked at.
    pub fn check(extra: &Path) -> Result<(), CaError> {
        read(extra).map(drop)
    }

    /// Those that can be used, as an anchor for verification. Our own authority is none, by whichever certificate:
    /// `SSL_CERT_FILE` may name our bundle, and it speaks for clients' connections to us alone.
    pub(in super::super) fn store(&self, ours: &Ca) -> RootCertStore {
        let mut store = RootCertStore::empty();
        let others = self.platform.iter().chain(&self.extra).filter(|root| !ours.has_the_key_of(root));
        store.add_parsable_certificates(others.cloned());
        store
    }
}

/// The platform's roots and ours, in PEM: every variable but `NODE_EXTRA_CA_CERTS` replaces the platform's.
pub fn bundle(roots: &Roots, ca: &Ca) -> String {
    let mut text = String::new();
    let others = roots.platform.iter().filter(|root| !ca.has_the_key_of(root));
    for certificate in ca.chain().iter().chain(others) {
        pem(&mut text, certificate);
    }
    text
}

/// Appends a certificate in PEM.
pub(super) fn pem(text: &mut String, certificate: &CertificateDer<'_>) {
    text.push_str("-----BEGIN CERTIFICATE-----\n");
    for line in BASE64.encode(certificate).as_bytes().chunks(64) {
        // Base64 is ASCII.
        writeln!(text, "{}", String::from_utf8_lossy(line)).expect("writing to a String cannot fail");
    }
    text.push_str("-----END CERTIFICATE-----\n");
}

fn read(path: &Path) -> Result<Vec<CertificateDer<'static>>, CaError> {
    let certificates = read_certificates(path)?;
    let mut store = RootCertStore::empty();
    let (_, unusable) = store.add_parsable_certificates(certificates.iter().cloned());
    if certificates.is_empty() || unusable > 0 {
        return Err(CaError::NoExtraRoots { path: path.to_owned() });
    }
    Ok(certificates)
}

/// Every certificate of a PEM file; what stands around them is passed over.
pub(super) fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, CaError> {
    let file = std::fs::File::open(path).map_err(CaError::io("read", path))?;
    let mut bytes = Vec::new();
    file.take(MAX_BYTES).read_to_end(&mut bytes).map_err(CaError::io("read", path))?;
    CertificateDer::pem_slice_iter(&bytes)
        .collect::<Result<_, _>>()
        .map_err(|_| CaError::NoCertificate { path: path.to_owned() })
}
