//! One signing key → the next: the statement both sign, and the files in their order.
//!
//! 1. The new key waits beside the old one.
//! 2. The log says so, and the old key signs that.
//! 3. The statement is on the disk: from here on there is no way back.
//! 4. The new key is the one in use.
//! 5. It has signed an export: then it is the trust anchor.
//!
//! What a crash left before 3 is given up; after it, finished.

use crate::{
    flow::store::Stated,
    home::{Home, file},
    warned,
};
use attest::{Chain, Keyring, Rotations, folder, rotation::StatementError};
use keys::{KeyError, KeySwap, PublicKey, SigningKey};
use posture::{EventBody, Rotation, Sha256Hex};
use std::{
    io,
    path::{Path, PathBuf},
};

/// Why a key does not follow on another.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SuccessionError {
    /// The statements of earlier rotations are not what they should be.
    #[error("{} line {line}: {problem}", path.display())]
    Statement {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// What is wrong with it.
        problem: StatementError,
    },
    /// The private key gave way to another, or the rotations are another installation's.
    #[error("the signing key {key_id} is not the one that {} says signs now", path.display())]
    NotTheNewest {
        /// The statements.
        path: PathBuf,
        /// The private key's identifier.
        key_id: keys::KeyId,
    },
    /// The private keys are another's to replace.
    #[error(
        "the keys in {} cannot be replaced there; stop the monitor, copy that folder to one of your own (mode 0700), run \
         `keys rotate` once with keys.dir naming the copy, hand its signing.key.pem to whoever provides the keys, and start again",
        keys_dir.display()
    )]
    Lent {
        /// Their folder.
        keys_dir: PathBuf,
    },
    /// The new statement could not be made.
    #[error("could not make the statement: {0}")]
    Unstated(StatementError),
    /// No more statements can be kept.
    #[error("{} has no room for another statement", path.display())]
    Full {
        /// The file.
        path: PathBuf,
    },
    /// The statements say that the key that waits signs, and it cannot be read.
    #[error("a rotation broke off, and the key it leads to cannot be read: {source}")]
    Next {
        /// Why not.
        source: KeyError,
    },
    /// A key file.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The statements could not be read or written.
    #[error("could not {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

/// The keys of an installation, in their order, and the next one.
pub struct Succession {
    path: PathBuf,
    swap: KeySwap,
    lines: Vec<u8>,
    rotations: Rotations,
    next: Option<SigningKey>,
    /// The folder of the private keys, and whether another provides it.
    keys_dir: PathBuf,
    is_lent: bool,
    /// The trust anchor is still an older key's.
    anchor_is_old: bool,
}

impl Succession {
    /// Finishes what a crash left of a rotation, or gives it up. Returns the key that the one in use took over from:
    /// the trust anchor may still be that one.
    ///
    /// # Errors
    /// [`SuccessionError`]: nothing was changed.
    pub fn mend(home: &Home) -> Result<Option<PublicKey>, SuccessionError> {
        let (_, rotations) = read(&home.rotations())?;
        let swap = swap(home);
        let is_newest = |key: &SigningKey| rotations.newest() == Some(&key.public());
        match swap.staged() {
            Ok(None) => {}
            Ok(Some(staged)) if is_newest(&staged) => swap.take_up()?,
            Ok(Some(_)) => swap.discard()?,
            Err(source) => {
                // Where the one in use cannot be read either, that is what is wrong.
                let in_use = swap.in_use()?;
                // The statement stands, and whoever holds the key it names is not the one in use.
                if rotations.newest().is_some() && !in_use.as_ref().is_some_and(is_newest) {
                    return Err(SuccessionError::Next { source });
                }
                tracing::warn!(error = %source, "what waits as the next signing key is none; nothing needs it");
                // One that cannot be removed is in the way of the next rotation alone, which says so.
                let _ = swap.discard();
            }
        }
        Ok(rotations.before_newest().cloned())
    }

    /// Of a signing key that is `key`. Returns, beside it, the keys that signed until now.
    pub(super) fn open(home: &Home, key: &PublicKey) -> Result<(Self, Keyring), SuccessionError> {
        let (path, swap) = (home.rotations(), swap(home));
        let (lines, rotations) = read(&path)?;
        let ring = rotations.keyring(key).filter(|_| rotations.newest().is_none_or(|newest| newest == key));
        let Some(ring) = ring else { return Err(SuccessionError::NotTheNewest { path, key_id: key.key_id() }) };
        let anchor_is_old = swap.anchor_differs(key)?;
        let keys_dir = home.keys_dir().to_owned();
        Ok((
            Self { path, swap, lines, rotations, next: None, keys_dir, is_lent: home.keys_are_lent(), anchor_is_old },
            ring,
        ))
    }

    /// What the statements say of the keys, `key_id` among them, and of the log.
    pub(super) fn stated(&self, key_id: &Sha256Hex) -> Stated {
        let statements = self.rotations.statements();
        let keys = statements.iter().map(|s| s.old_key_id.clone()).chain([key_id.clone()]).collect();
        let chain = statements.last().map(|s| Chain::resume(s.log_seq + 1, s.log_head.clone()));
        Stated { keys, chain }
    }

    /// The first posture the key in use signs.
    pub(super) fn first_sequence(&self) -> u64 {
        self.rotations.statements().last().map_or(1, |statement| statement.from_sequence)
    }

    pub(super) fn stage(&mut self, old_key_id: &Sha256Hex) -> Result<EventBody, SuccessionError> {
        let lent = || SuccessionError::Lent { keys_dir: self.keys_dir.clone() };
        if self.is_lent {
            return Err(lent());
        }
        let next = self.swap.stage().map_err(|error| if error.is_denied() { lent() } else { error.into() })?;
        let new_key_id = attest::digest::key_id(next.public().key_id());
        self.next = Some(next);
        Ok(EventBody::Rotate { new_key_id, number: self.rotations.next_number(), old_key_id: old_key_id.clone() })
    }

    /// Sees to it that the file of the statements holds what it held: they are ours alone to add to.
    fn keep(&self) -> io::Result<Kept> {
        let there = file::read(&self.path, folder::MAX_DOCUMENT_BYTES);
        let missing = there.as_ref().is_err_and(|e| e.kind() == io::ErrorKind::NotFound);
        let as_they_were = if missing { self.lines.is_empty() } else { there.is_ok_and(|lines| lines == self.lines) };
        if as_they_were {
            return Ok(Kept::AsTheyWere);
        }
        if self.lines.is_empty() {
            file::remove(&self.path)
        } else {
            file::replace(&self.path, file::PUBLIC, &self.lines)
        }?;
        Ok(Kept::Restored)
    }

    pub(super) fn discard(&mut self) {
        self.next = None;
        // Without the key a statement speaks of nobody could sign any more: what cannot be told now, the next start can.
        if !read(&self.path).is_ok_and(|(lines, _)| lines == self.lines) {
            return;
        }
        if let Err(error) = self.swap.discard() {
            tracing::warn!(%error, "could not remove a key that is not used; the next start does");
        }
    }

    /// States that `old` gives way to the key that was staged, which is in use when this returns.
    pub(super) fn succeed(
        &mut self,
        old: &SigningKey,
        from_sequence: u64,
        log: &Chain,
    ) -> Result<(SigningKey, Rotation), SuccessionError> {
        let Some(new) = self.next.take() else { return Err(SuccessionError::Unstated(StatementError::OldKey)) };
        let line = self.rotations.state(old, &new, from_sequence, log).map_err(SuccessionError::Unstated)?;
        let lines = [&self.lines[..], &line].concat();
        let rotations = Rotations::read(&lines).map_err(|(_, problem)| SuccessionError::Unstated(problem))?;
        let last = rotations.statements().last().cloned();
        let statement = last.ok_or(SuccessionError::Unstated(StatementError::Torn))?;
        if lines.len() as u64 > folder::MAX_DOCUMENT_BYTES {
            return Err(SuccessionError::Full { path: self.path.clone() });
        }
        if let Err(source) = file::replace(&self.path, file::PUBLIC, &lines) {
            // It may be there all the same, and then it counts.
            if !read(&self.path).is_ok_and(|(there, _)| there == lines) {
                return Err(SuccessionError::Io { action: "write", path: self.path.clone(), source });
            }
        }
        (self.lines, self.rotations) = (lines, rotations);
        if let Err(error) = self.swap.take_up() {
            tracing::warn!(%error, "the new key signs, but its file still waits; the next start puts it in place");
        }
        self.anchor_is_old = true;
        Ok((new, statement))
    }

    /// An export signed by `key` is out: a reader who takes the trust anchor from the folder finds one that leads to it,
    /// and the statements by which it does.
    pub(super) fn signed(&mut self, key: &PublicKey) {
        match self.keep() {
            Ok(Kept::AsTheyWere) => {}
            Ok(Kept::Restored) => {
                tracing::warn!("the statements of the key's rotations were altered; they are restored");
            }
            Err(error) => tracing::warn!(error = warned::why(&error), "could not restore the rotations; trying again"),
        }
        if self.anchor_is_old {
            match self.swap.put_anchor(key) {
                Ok(()) => self.anchor_is_old = false,
                Err(error) => tracing::warn!(%error, "could not write the trust anchor; trying again"),
            }
        }
    }
}

/// What became of the file of the statements since it was written.
enum Kept {
    AsTheyWere,
    Restored,
}

fn swap(home: &Home) -> KeySwap {
    KeySwap::new(home.keys_dir(), &home.public_key())
}

/// The statements of a home; none when there is no file of them.
///
/// # Errors
/// [`SuccessionError::Io`] or [`SuccessionError::Statement`].
pub fn read(path: &Path) -> Result<(Vec<u8>, Rotations), SuccessionError> {
    let lines = match file::read(path, folder::MAX_DOCUMENT_BYTES) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Vec::new(),
        lines => lines.map_err(|source| SuccessionError::Io { action: "read", path: path.to_owned(), source })?,
    };
    let refused = |(line, problem)| SuccessionError::Statement { path: path.to_owned(), line, problem };
    let rotations = Rotations::read(&lines).map_err(refused)?;
    Ok((lines, rotations))
}
