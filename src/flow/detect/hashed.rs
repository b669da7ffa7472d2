//! A keyed hash → its own hash, in a set of them.

use std::hash::{BuildHasherDefault, Hasher};

/// For sets of what nobody can foretell.
pub(super) type OwnHash = BuildHasherDefault<Hashed>;

/// The last eight bytes that were written, of a wide hash its upper half.
#[derive(Default)]
pub(super) struct Hashed(u64);

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for b in bytes {
            self.write_u64(self.0 << 8 | u64::from(*b));
        }
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn write_u128(&mut self, hash: u128) {
        self.write_u64((hash >> 64) as u64);
    }
}
