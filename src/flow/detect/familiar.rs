//! Part of a message → whether the same was looked at before and held nothing.
//!
//! An agent sends its whole history with every request: its instructions, its tools and every message so far. Byte for
//! byte the same part, looked at by the same rules for the same known values, says again what it said: nothing. Of a part
//! in which anything at all was found, expected or not, nothing is kept: it is looked at each time.
//!
//! Kept of a part is a tag of 128 bits: AES-GCM over additional data alone (GMAC, NIST SP 800-38D), under a key that is
//! random, of this process alone and held in memory only. A tag is shown to nobody, so that one nonce serves for all, and
//! says how the part is read. Whoever does not know the key makes a part of n bytes like one that is kept with a chance of
//! (n / 16 + 2) / 2^128 at most: that is what GHASH promises.

use super::{decode::Voice, hashed::OwnHash};
use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use posture::Direction;
use std::{
    collections::HashSet,
    mem,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// Parts kept of each generation: those of a long session. Both take 600 KiB at most.
const MAX_PARTS: usize = 8 << 10;

/// How a part of a message is read, beside what is in it.
#[derive(Clone, Copy)]
pub(super) struct Sent {
    /// Of what is known.
    pub(super) generation: u64,
    pub(super) direction: Direction,
    /// Who wrote it, unless it says so itself.
    pub(super) voice: Voice,
}

/// The parts that held nothing.
pub(super) struct Familiar {
    /// `None` when the system gave no random bytes: then nothing is remembered.
    key: Option<LessSafeKey>,
    parts: Mutex<Parts>,
}

/// Those met most recently, and those met before them. When the new are as many as are kept, the old ones go.
#[derive(Default)]
struct Parts {
    new: HashSet<u128, OwnHash>,
    old: HashSet<u128, OwnHash>,
}

impl Default for Familiar {
    fn default() -> Self {
        let mut key = [0; 16];
        let key = getrandom::fill(&mut key).ok().and_then(|()| UnboundKey::new(&AES_128_GCM, &key).ok());
        Self { key: key.map(LessSafeKey::new), parts: Mutex::default() }
    }
}

impl Familiar {
    /// The digest of a part of a message; `None` when there is no key.
    pub(super) fn digest(&self, sent: Sent, part: &[u8]) -> Option<u128> {
        let mut nonce = [0; NONCE_LEN];
        nonce[..8].copy_from_slice(&sent.generation.to_le_bytes());
        (nonce[8], nonce[9]) = (sent.direction as u8, sent.voice as u8);
        let nonce = Nonce::assume_unique_for_key(nonce);
        let tag = self.key.as_ref()?.seal_in_place_separate_tag(nonce, Aad::from(part), &mut []).ok()?;
        Some(u128::from_le_bytes(*tag.as_ref().first_chunk()?))
    }

    /// Whether a part with this digest held nothing.
    pub(super) fn knows(&self, digest: u128) -> bool {
        let mut parts = self.parts();
        let known = parts.new.contains(&digest) || parts.old.contains(&digest);
        if known {
            parts.keep(digest);
        }
        known
    }

    /// A part with this digest was looked at and held nothing.
    pub(super) fn note(&self, digest: u128) {
        self.parts().keep(digest);
    }

    /// No part is known any more.
    pub(super) fn forget(&self) {
        *self.parts() = Parts::default();
    }

    fn parts(&self) -> MutexGuard<'_, Parts> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Parts {
    fn keep(&mut self, digest: u128) {
        if self.new.len() == MAX_PARTS && !self.new.contains(&digest) {
            self.old = mem::take(&mut self.new);
        }
        self.new.insert(digest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SENT: Sent = Sent { generation: 1, direction: Direction::Outbound, voice: Voice::Unknown };

    #[test]
    fn a_part_is_known_once_it_was_noted_and_as_it_was_sent_only() {
        let familiar = Familiar::default();
        let digest = familiar.digest(SENT, b"a part").unwrap();
        assert!(!familiar.knows(digest));
        familiar.note(digest);
        assert!(familiar.knows(digest));
        familiar.forget();
        assert!(!familiar.knows(digest));
        familiar.note(digest);
        let others = [
            Sent { generation: 2, ..SENT },
            Sent { direction: Direction::Inbound, ..SENT },
            Sent { voice: Voice::System, ..SENT },
        ];
        let others = others.map(|sent| familiar.digest(sent, b"a part"));
        for other in others.into_iter().chain([familiar.digest(SENT, b"a part."), familiar.digest(SENT, b"")]) {
            assert!(!familiar.knows(other.unwrap()));
        }
        assert_ne!(Familiar::default().digest(SENT, b"a part"), Some(digest), "each has a key of its own");
    }

    #[test]
    fn what_is_met_again_stays_and_the_rest_is_bounded() {
        let familiar = Familiar::default();
        let part = |n: usize| familiar.digest(SENT, &n.to_le_bytes()).unwrap();
        for n in 0..10 * MAX_PARTS {
            familiar.note(part(n));
            assert!(familiar.knows(part(0)), "{n}");
        }
        assert!(!familiar.knows(part(1)));
        let parts = familiar.parts();
        assert!(parts.new.len() <= MAX_PARTS && parts.old.len() <= MAX_PARTS);
    }
}
