//! Part of a message → whether the same was looked at before and held nothing.
//!
//! An agent sends its whole history with every request: its instructions, its tools and every message so far. Byte for
//! byte the same part, looked at by the same rules for the same known values, says again what it said: nothing. Of a part
//! in which anything at all was found, expected or not, nothing is kept: it is looked at each time.
//!
//! Kept of a part is a digest of 128 bits (SipHash-2-4) under a key that is random, of this process alone and held in
//! memory only. Whoever does not know the key makes two parts alike in one of 2^128 attempts for each that is kept.

use siphasher::sip128::{Hasher128, SipHasher24};
use std::{
    collections::HashSet,
    hash::{BuildHasher, Hasher, RandomState},
    mem,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// Parts kept of each generation: those of a long session. Both take 600 KiB at most.
const MAX_PARTS: usize = 8 << 10;

/// The parts that held nothing.
pub(super) struct Familiar {
    key: (u64, u64),
    parts: Mutex<Parts>,
}

/// Those met most recently, and those met before them. When the new are as many as are kept, the old ones go.
#[derive(Default)]
struct Parts {
    new: HashSet<u128>,
    old: HashSet<u128>,
}

impl Default for Familiar {
    fn default() -> Self {
        let random = RandomState::new();
        Self { key: (random.hash_one(0), random.hash_one(1)), parts: Mutex::default() }
    }
}

impl Familiar {
    /// The digest of a part of a message that is judged by what was known in `generation`.
    pub(super) fn digest(&self, generation: u64, part: &[u8]) -> u128 {
        let mut hasher = SipHasher24::new_with_keys(self.key.0, self.key.1);
        hasher.write_u64(generation);
        hasher.write(part);
        hasher.finish128().as_u128()
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
    use super::{Familiar, MAX_PARTS};

    #[test]
    fn a_part_is_known_once_it_was_noted_and_to_its_generation_only() {
        let familiar = Familiar::default();
        let digest = familiar.digest(1, b"a part");
        assert!(!familiar.knows(digest));
        familiar.note(digest);
        assert!(familiar.knows(digest));
        familiar.forget();
        assert!(!familiar.knows(digest));
        familiar.note(digest);
        for other in [familiar.digest(2, b"a part"), familiar.digest(1, b"a part."), familiar.digest(1, b"")] {
            assert!(!familiar.knows(other));
        }
        assert_ne!(Familiar::default().digest(1, b"a part"), digest, "each has a key of its own");
    }

    #[test]
    fn what_is_met_again_stays_and_the_rest_is_bounded() {
        let familiar = Familiar::default();
        let part = |n: usize| familiar.digest(0, &n.to_le_bytes());
        for n in 0..10 * MAX_PARTS {
            familiar.note(part(n));
            assert!(familiar.knows(part(0)), "{n}");
        }
        assert!(!familiar.knows(part(1)));
        let parts = familiar.parts();
        assert!(parts.new.len() <= MAX_PARTS && parts.old.len() <= MAX_PARTS);
    }
}
