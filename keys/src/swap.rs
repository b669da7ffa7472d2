//! A new key beside the one in use → the one in use. Each step is one rename: a crash leaves it done or not begun.

use crate::{KeyError, PublicKey, SigningKey, file, folder};
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// The files of the signing key, and the place where the next one waits.
#[derive(Debug, Clone)]
pub struct KeySwap {
    private: PathBuf,
    next: PathBuf,
    public: PathBuf,
}

impl KeySwap {
    /// Of the keys in `keys_dir` and the trust anchor `public_pem`. Nothing is read or made.
    pub fn new(keys_dir: &Path, public_pem: &Path) -> Self {
        let private = folder::private_path(keys_dir);
        Self { private, next: keys_dir.join("signing.next.pem"), public: public_pem.to_owned() }
    }

    /// Makes the next key, in the place of one that was never taken up.
    ///
    /// # Errors
    /// Those of [`file::create_private`], or [`KeyError::Random`].
    pub fn stage(&self) -> Result<SigningKey, KeyError> {
        self.discard()?;
        let key = SigningKey::generate()?;
        file::create_private(&self.next, key.to_pem().as_bytes())?;
        Ok(key)
    }

    /// The key that waits.
    ///
    /// # Errors
    /// Those of [`file::read_private`] and [`SigningKey::from_pem`].
    pub fn staged(&self) -> Result<Option<SigningKey>, KeyError> {
        folder::optional(folder::read_signing(&self.next))
    }

    /// The key in use.
    ///
    /// # Errors
    /// Those of [`file::read_private`] and [`SigningKey::from_pem`].
    pub fn in_use(&self) -> Result<Option<SigningKey>, KeyError> {
        folder::optional(folder::read_signing(&self.private))
    }

    /// Removes the key that waits; none is fine.
    ///
    /// # Errors
    /// [`KeyError::Io`].
    pub fn discard(&self) -> Result<(), KeyError> {
        match fs::remove_file(&self.next) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(e) => Err(KeyError::io("remove", &self.next)(e)),
            Ok(()) => file::sync_parent(&self.next),
        }
    }

    /// Puts the key that waits in the place of the one in use, which is gone then.
    ///
    /// # Errors
    /// [`KeyError::Io`]: the old one is still in use, or the new one is and may not survive power loss.
    pub fn take_up(&self) -> Result<(), KeyError> {
        fs::rename(&self.next, &self.private).map_err(KeyError::io("replace", &self.private))?;
        file::sync_parent(&self.private)
    }

    /// Whether the trust anchor is another key than `key`; one that is missing is another too.
    ///
    /// # Errors
    /// Those of [`file::read_public`].
    pub fn anchor_differs(&self, key: &PublicKey) -> Result<bool, KeyError> {
        Ok(folder::optional(file::read_public(&self.public))?.as_ref() != Some(key))
    }

    /// Puts `key` in the place of the trust anchor.
    ///
    /// # Errors
    /// [`KeyError::Io`]: the old one still stands.
    pub fn put_anchor(&self, key: &PublicKey) -> Result<(), KeyError> {
        file::replace_public(&self.public, key.to_pem().as_bytes())
    }
}
