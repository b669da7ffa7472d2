//! Trouble with a key → what happened, where, and what to do. Never a byte of a key.

use crate::KeyId;
use std::{io, path::PathBuf};

/// Why a key, a signature or a key file was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The operating system gave no random bytes.
    #[error("the operating system gave no random bytes: {0}")]
    Random(getrandom::Error),
    /// Text that is no private key.
    #[error("not an Ed25519 private key in PKCS#8 PEM")]
    PrivateKeyForm,
    /// Text or bytes that are no public key.
    #[error("not an Ed25519 public key in SPKI PEM")]
    PublicKeyForm,
    /// A point of small order: one fixed signature passes for any message under it.
    #[error("a weak Ed25519 public key (a point of small order): signatures under it prove nothing")]
    WeakKey,
    /// A signature file that is not exactly one line.
    #[error("not a signature: expected one line of padded base64 of 64 bytes, ending in LF")]
    SignatureForm,
    /// A signature that this key did not make over these bytes.
    #[error("the signature does not match key {key_id}")]
    Signature {
        /// The key it was checked against.
        key_id: KeyId,
    },
    /// What a file holds was refused.
    #[error("{}: {source}; put the right file there, or restore it from a backup", path.display())]
    In {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Box<KeyError>,
    },
    /// A file that holds a secret in another form than it is written in.
    #[error("{}: corrupt: expected {expected}; restore it from a backup, or remove it to have a new one made", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        expected: &'static str,
    },
    /// A path that is a symlink, where the file itself is expected.
    #[error("{}: is a symlink; put the file itself there", path.display())]
    Symlink {
        /// The path.
        path: PathBuf,
    },
    /// Something other than the expected file or folder.
    #[error("{}: is not a {expected}; move it away", path.display())]
    Kind {
        /// The path.
        path: PathBuf,
        /// `regular file` or `folder`.
        expected: &'static str,
    },
    /// A secret that belongs to somebody else.
    #[error("{}: belongs to user {owner}, not to {user} who runs this; run as its owner, or chown it", path.display())]
    Owner {
        /// The path.
        path: PathBuf,
        /// The user it belongs to.
        owner: u32,
        /// The user of this process.
        user: u32,
    },
    /// A secret that others can reach.
    #[error("{}: mode {mode:04o} lets others reach it; run: chmod go= '{}'", path.display(), path.display())]
    Mode {
        /// The path.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A file larger than anything it should hold.
    #[error("{}: larger than {limit} bytes; this is not the file expected there", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The limit in bytes.
        limit: u64,
    },
    /// A file that would have been overwritten.
    #[error("{}: exists already; nothing is overwritten", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The private key and the public key beside it are two different keys.
    #[error(
        "{} holds the key {private_id}, but {} is the key {public_id}; restore the file that belongs to the other",
        private.display(), public.display()
    )]
    Mismatch {
        /// The private key's file.
        private: PathBuf,
        /// Its key.
        private_id: KeyId,
        /// The public key's file.
        public: PathBuf,
        /// Its key.
        public_id: KeyId,
    },
    /// The public key is there, its private key is not. A new identity is never made silently.
    #[error(
        "{} is missing, but {} exists; restore it from a backup, or, to begin as a new identity, move the public key away",
        private.display(), public.display()
    )]
    MissingPrivate {
        /// Where the private key should be.
        private: PathBuf,
        /// The public key's file.
        public: PathBuf,
    },
    /// The file system said no.
    #[error("could not {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// The answer.
        source: io::Error,
    },
}

impl KeyError {
    pub(crate) fn io(action: &'static str, path: &std::path::Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { action, path: path.to_owned(), source }
    }

    pub(crate) fn within(self, path: &std::path::Path) -> Self {
        Self::In { path: path.to_owned(), source: Box::new(self) }
    }

    /// True when the file may not be written by us, or by nobody.
    pub fn is_denied(&self) -> bool {
        let denied = [io::ErrorKind::PermissionDenied, io::ErrorKind::ReadOnlyFilesystem];
        matches!(self, Self::Io { source, .. } if denied.contains(&source.kind()))
    }

    /// True when the file was simply not there.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }
}
