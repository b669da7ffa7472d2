//! Files ↔ an authority: ours in the state folder's `ca/`, an operator's where the configuration names it.

use super::{
    A_YEAR, Ca, CaError,
    facts::Facts,
    roots::{self, Roots, pem},
};
use crate::home::file;
use hudsucker::rustls::pki_types::CertificateDer;
use posture::{CaMode, Timestamp};
use rcgen::KeyPair;
use std::{
    fs, io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};
use zeroize::Zeroizing;

/// The folder of a generated authority: `ca.pem`, `ca.key.pem` (0600), and `bundle.pem`, which clients are pointed at.
pub struct CaFolder {
    folder: PathBuf,
}

/// Whether a certificate was renewed when it was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Renewed {
    /// Two thirds of its life were over, or it had not begun: another was made on the same key.
    Yes,
    /// It is as it was.
    No,
}

impl CaFolder {
    /// The folder of this state folder.
    pub fn of(home: &Path) -> Self {
        Self { folder: home.join("ca") }
    }

    /// Whether there is anything of this name, be it what it may.
    pub fn is_there(&self) -> bool {
        self.folder.symlink_metadata().is_ok()
    }

    /// The authority's certificate.
    pub fn certificate(&self) -> PathBuf {
        self.folder.join("ca.pem")
    }

    /// The authority's key.
    pub fn key(&self) -> PathBuf {
        self.folder.join("ca.key.pem")
    }

    /// The platform's roots and the authority's certificate.
    pub fn bundle(&self) -> PathBuf {
        self.folder.join("bundle.pem")
    }

    /// Makes an authority and its files. Nothing is overwritten.
    ///
    /// # Errors
    /// There is one, or the files cannot be made: then there is none.
    pub fn init(&self, roots: &Roots, now: Timestamp) -> Result<Ca, CaError> {
        let (key_path, certificate) = (self.key(), self.certificate());
        if [&key_path, &certificate].into_iter().any(|path| path.symlink_metadata().is_ok()) {
            return Err(CaError::Exists { folder: self.folder.clone() });
        }
        self.make()?;
        let key = KeyPair::generate()?;
        let key_pem = Zeroizing::new(key.serialize_pem());
        let ca = Ca::self_made(CaMode::Generated, key, now, A_YEAR)?;
        keys::file::create_private(&key_path, key_pem.as_bytes())?;
        // Half an authority would stand in the way of a whole one.
        let made = file::create(&certificate, file::PUBLIC, ca.certificate_pem().as_bytes());
        made.map_err(CaError::io("write", &certificate)).inspect_err(|_| undo(&[&key_path]))?;
        self.write_bundle(roots, &ca).inspect_err(|_| undo(&[&key_path, &certificate]))?;
        Ok(ca)
    }

    /// The authority of this folder; with a renewed certificate once two thirds of its life are over, or before it begins.
    ///
    /// Same key, name and key identifier: what was pointed at the old certificate accepts what the new one signs for as
    /// long as the old one lives.
    ///
    /// # Errors
    /// There is none, or its files are not what they should be.
    pub fn open(&self, now: Timestamp) -> Result<(Ca, Renewed), CaError> {
        let ca = self.look()?;
        if !ca.is_due(now) {
            return Ok((ca, Renewed::No));
        }
        let key = read_key(&self.key())?;
        let ca = Ca::self_made(CaMode::Generated, key, now, A_YEAR)?;
        let path = self.certificate();
        file::replace(&path, file::PUBLIC, ca.certificate_pem().as_bytes()).map_err(CaError::io("write", &path))?;
        Ok((ca, Renewed::Yes))
    }

    /// The authority as it is, to look at: an old one is not renewed.
    ///
    /// # Errors
    /// As [`CaFolder::open`].
    pub fn look(&self) -> Result<Ca, CaError> {
        if self.key().symlink_metadata().is_err() && self.certificate().symlink_metadata().is_err() {
            return Err(CaError::Missing { folder: self.folder.clone() });
        }
        read_pair(CaMode::Generated, &self.certificate(), &self.key())
    }

    /// Writes the bundle anew: the platform's roots change too. A reader sees all of the old or all of the new.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write_bundle(&self, roots: &Roots, ca: &Ca) -> Result<(), CaError> {
        self.make()?;
        let path = self.bundle();
        file::replace(&path, file::PUBLIC, roots::bundle(roots, ca).as_bytes()).map_err(CaError::io("write", &path))
    }

    /// Removes the authority, its key first. The bundle stays unless `bundle`: Hermes refuses to start on a missing one.
    ///
    /// # Errors
    /// There is none, or a file cannot be removed.
    pub fn remove(&self, bundle: bool) -> Result<Vec<PathBuf>, CaError> {
        let mut removed = Vec::new();
        let bundle = bundle.then(|| self.bundle());
        for path in [Some(self.key()), Some(self.certificate()), bundle].into_iter().flatten() {
            match fs::remove_file(&path) {
                Ok(()) => removed.push(path),
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                Err(e) => return Err(CaError::io("remove", &path)(e)),
            }
        }
        if removed.is_empty() { Err(CaError::Missing { folder: self.folder.clone() }) } else { Ok(removed) }
    }

    fn make(&self) -> Result<(), CaError> {
        match fs::DirBuilder::new().mode(0o750).create(&self.folder) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
            made => made.map_err(CaError::io("make the folder", &self.folder))?,
        }
        Ok(crate::home::ours(&self.folder)?)
    }
}

/// An operator's own authority: its certificate, followed by those above it if it is not a root, and its key.
///
/// # Errors
/// The key is not safe or not the certificate's; the certificate is not in its time, or may not sign.
pub fn operator(certificate: &Path, key: &Path, now: Timestamp) -> Result<Ca, CaError> {
    let ca = read_pair(CaMode::Operator, certificate, key)?;
    let path = || certificate.to_owned();
    if now >= ca.not_after() {
        return Err(CaError::Expired { path: path(), not_after: ca.not_after() });
    }
    if now < ca.not_before() {
        return Err(CaError::NotYet { path: path(), not_before: ca.not_before() });
    }
    if !ca.signs_under_its_name(now) {
        return Err(CaError::Subject { path: path() });
    }
    Ok(ca)
}

/// Removes what was just made. Why it is of no use is what is said.
fn undo(made: &[&Path]) {
    for path in made {
        let _ = file::remove(path);
    }
}

fn read_pair(mode: CaMode, certificate: &Path, key: &Path) -> Result<Ca, CaError> {
    let path = || certificate.to_owned();
    let chain = roots::read_certificates(certificate)?;
    let facts = chain.first().and_then(|der: &CertificateDer<'_>| Facts::of(der));
    let facts = facts.ok_or_else(|| CaError::NoCertificate { path: path() })?;
    if !facts.is_authority {
        return Err(CaError::NotAnAuthority { path: path(), lacks: "CA:TRUE in Basic Constraints" });
    }
    if !facts.may_sign {
        return Err(CaError::NotAnAuthority { path: path(), lacks: "certificate signing in Key Usage" });
    }
    let pair = read_key(key)?;
    let ca = Ca::from_chain(mode, chain, facts, pair);
    ca.ok_or_else(|| CaError::Mismatch { key: key.to_owned(), certificate: path() })
}

fn read_key(path: &Path) -> Result<KeyPair, CaError> {
    let bytes = keys::file::read_private(path)?;
    let text = std::str::from_utf8(&bytes).ok();
    text.and_then(|pem| KeyPair::from_pem(pem).ok()).ok_or_else(|| CaError::NoKey { path: path.to_owned() })
}

impl Ca {
    fn certificate_pem(&self) -> String {
        let mut text = String::new();
        pem(&mut text, self.certificate());
        text
    }
}
