//! Why there is no authority to inspect with.

use crate::home::HomeError;
use keys::KeyError;
use posture::Timestamp;
use std::{io, path::PathBuf};

/// Why there is no authority.
#[derive(Debug, thiserror::Error)]
pub enum CaError {
    /// None was ever made.
    #[error("there is no certificate authority in {}", folder.display())]
    Missing {
        /// The folder.
        folder: PathBuf,
    },
    /// One is there already.
    #[error("there is a certificate authority in {} already", folder.display())]
    Exists {
        /// The folder.
        folder: PathBuf,
    },
    /// Its folder is not one that is ours alone.
    #[error(transparent)]
    Folder(#[from] HomeError),
    /// The key file is not safe, not there, or not a file.
    #[error("the authority's key cannot be used")]
    Key(#[from] KeyError),
    /// The key file holds no private key we can sign with.
    #[error("{} does not hold a private key in PEM that certificates can be signed with", path.display())]
    NoKey {
        /// The file.
        path: PathBuf,
    },
    /// The certificate file holds none.
    #[error("{} does not hold a certificate in PEM", path.display())]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
    /// The certificate may not sign others.
    #[error("{} is no certificate authority: it lacks {lacks}", path.display())]
    NotAnAuthority {
        /// The file.
        path: PathBuf,
        /// What it lacks.
        lacks: &'static str,
    },
    /// The certificate's time is over.
    #[error("the certificate in {} ended on {not_after}", path.display())]
    Expired {
        /// The file.
        path: PathBuf,
        /// Its end.
        not_after: Timestamp,
    },
    /// The certificate's time has not come.
    #[error("the certificate in {} begins on {not_before}", path.display())]
    NotYet {
        /// The file.
        path: PathBuf,
        /// Its beginning.
        not_before: Timestamp,
    },
    /// Two files that do not belong together.
    #[error("the key in {} is not that of the certificate in {}", key.display(), certificate.display())]
    Mismatch {
        /// The key's file.
        key: PathBuf,
        /// The certificate's file.
        certificate: PathBuf,
    },
    /// Names the certificate has in a form we could not repeat to the byte: no client would accept what we sign.
    #[error("the subject of the certificate in {} is in a form that cannot be signed under", path.display())]
    Subject {
        /// The file.
        path: PathBuf,
    },
    /// Nothing to check an upstream server against.
    #[error("no trusted roots were found on this system")]
    NoRoots,
    /// A file of extra roots that holds none.
    #[error("{} does not hold certificates in PEM", path.display())]
    NoExtraRoots {
        /// The file.
        path: PathBuf,
    },
    /// The system refused.
    #[error("could not {action} {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which path.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// No random bytes, or a certificate that could not be made.
    #[error("could not make a certificate")]
    Made,
}

impl CaError {
    /// What a person can do about it.
    pub fn hint(&self) -> String {
        match self {
            Self::Missing { .. } => "`hermes-traffic-guardian ca init` makes one".into(),
            Self::Folder(error) => error.hint(),
            Self::Exists { .. } => "`ca show` shows it; `ca remove` removes it".into(),
            Self::Key(KeyError::Io { path, .. }) | Self::Io { path, .. } => {
                format!("check that {} can be read and written by this user, and that there is room", path.display())
            }
            Self::Key(_) => "the key must be a regular file of this user with mode 0600".into(),
            Self::NoKey { .. } => "it must be PKCS#8, SEC1 or PKCS#1, without a passphrase".into(),
            Self::NoRoots => "install the system's CA certificates, or name a file with `ca_bundle`".into(),
            Self::Expired { .. } | Self::NotYet { .. } => {
                "renew the certificate, and check this machine's clock".into()
            }
            Self::NoCertificate { .. }
            | Self::NotAnAuthority { .. }
            | Self::Mismatch { .. }
            | Self::Subject { .. }
            | Self::NoExtraRoots { .. } => "check `ca.cert`, `ca.key` and `ca_bundle` in the configuration".into(),
            Self::Made => "check that this system gives random bytes".into(),
        }
    }

    pub(super) fn io(action: &'static str, path: &std::path::Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { action, path: path.to_owned(), source }
    }
}

/// An engine's error may name what it was given: only that it failed is kept.
impl From<rcgen::Error> for CaError {
    fn from(_: rcgen::Error) -> Self {
        Self::Made
    }
}
