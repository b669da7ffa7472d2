//! What a reader asks of a folder: which key, at what time, against which state and memory.

use crate::{
    canonical::{self, CanonicalError},
    digest::sha256,
    reason::Reason,
};
use keys::PublicKey;
use posture::{Memory, Sha256Hex, State, Timestamp};
use std::time::Duration;

/// What to verify against.
#[derive(Debug, Clone)]
pub struct Options {
    /// The public key.
    pub anchor: Anchor,
    /// The time it is.
    pub now: Timestamp,
    /// How old the posture may be, in place of its own expiry.
    pub max_age: Option<Duration>,
    /// Whether a monitor that was stopped on purpose passes, however long ago.
    pub accept_stopped: bool,
    /// The state there should be.
    pub baseline: Option<Baseline>,
    /// What the reader remembers of the last authentic posture.
    pub remembered: Option<Memory>,
    /// Whether a posture that contradicts what is remembered is taken all the same: a backup was restored.
    pub accept_restore: bool,
}

impl Options {
    /// Against this key, at this time, and nothing else.
    pub fn new(anchor: Anchor, now: Timestamp) -> Self {
        let (max_age, baseline, remembered) = (None, None, None);
        Self { anchor, now, max_age, accept_stopped: false, baseline, remembered, accept_restore: false }
    }
}

/// The public key to check against.
#[derive(Debug, Clone)]
pub enum Anchor {
    /// The folder's own `signing.pub.pem`: for the configured home alone.
    Own,
    /// A key obtained apart from the folder.
    Pinned(PublicKey),
    /// None: nothing passes.
    Unpinned,
}

/// The state there should be.
#[derive(Debug, Clone)]
pub struct Baseline {
    sha256: Sha256Hex,
    state: Option<Box<State>>,
}

impl Baseline {
    /// From the bytes of a `state.json` kept by the reader: a difference is named.
    ///
    /// # Errors
    /// [`CanonicalError`] when they are not a state's.
    pub fn from_state(bytes: &[u8]) -> Result<Self, CanonicalError> {
        Ok(Self { sha256: sha256(bytes), state: Some(canonical::read(bytes)?) })
    }

    /// From the SHA-256 of a `state.json`: a difference is only noticed.
    pub fn from_sha256(sha256: Sha256Hex) -> Self {
        Self { sha256, state: None }
    }

    /// The hash of that state.
    pub fn sha256(&self) -> &Sha256Hex {
        &self.sha256
    }

    pub(super) fn check(&self, state: &State, sha256: Sha256Hex) -> Result<(), Reason> {
        if sha256 == self.sha256 {
            return Ok(());
        }
        let members = |s: &State| serde_json::to_value(s).ok().and_then(|v| v.as_object().cloned()).unwrap_or_default();
        let (then, now) = (self.state.as_deref().map(members).unwrap_or_default(), members(state));
        let differ = then.into_iter().filter(|(name, value)| name != "digests" && now.get(name) != Some(value));
        Err(Reason::Drifted { fields: differ.map(|(name, _)| name).collect(), state_sha256: sha256 })
    }
}
