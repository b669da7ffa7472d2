//! A keyed hash → its own hash, in a set of them.

use std::hash::{BuildHasherDefault, Hasher};

/// For sets of what nobody can foretell.
pub(super) type OwnHash = BuildHasherDefault<Hashed>;

/// The last eight bytes that were written, of a wide hash its upper half, of a short one itself twice.
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

    fn write_u32(&mut self, hash: u32) {
        // A table looks at both ends.
        self.write_u64(u64::from(hash) << 32 | u64::from(hash));
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn write_u128(&mut self, hash: u128) {
        self.write_u64((hash >> 64) as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::OwnHash;
    use std::hash::BuildHasher;

    #[test]
    fn a_hash_of_any_width_fills_its_own() {
        let hash = OwnHash::default();
        for bit in 0..32 {
            let both = 1_u64 << bit | 1 << (bit + 32);
            assert_eq!(hash.hash_one(1_u32 << bit), both);
            assert_eq!(hash.hash_one(both), both);
            assert_eq!(hash.hash_one(u128::from(both) << 64), both);
        }
    }
}
