//! What the bound on depth leaves packed → how much of it nobody looked at.
//!
//! A text is shown with its escapes, its references and so on undone, one after the other and in any order, and what is
//! packed in it stands in each of these. It is looked at where it stands least deep, which is where it comes last.

use std::{
    collections::{HashMap, hash_map::RandomState},
    hash::BuildHasher,
};

/// Texts that are remembered. What is more is not looked at, as far as we know.
const MOST: usize = 1024;

/// What is packed, and was not opened yet.
#[derive(Default)]
pub(super) struct Closed {
    /// Its length, by a hash of it.
    left: HashMap<u64, usize>,
    hasher: RandomState,
}

impl Closed {
    /// It is too deep here; `false` when it cannot be remembered.
    pub(super) fn keep(&mut self, packed: &[u8]) -> bool {
        let room = self.left.len() < MOST;
        if room {
            self.left.insert(self.hasher.hash_one(packed), packed.len());
        }
        room
    }

    /// It was opened here.
    pub(super) fn open(&mut self, packed: &[u8]) {
        if !self.left.is_empty() {
            self.left.remove(&self.hasher.hash_one(packed));
        }
    }

    /// Bytes that were not opened anywhere so far.
    pub(super) fn bytes(&self) -> usize {
        self.left.values().sum()
    }

    /// Forgets them; `None` where there are none.
    pub(super) fn take(&mut self) -> Option<usize> {
        let bytes = self.bytes();
        self.left.clear();
        (bytes > 0).then_some(bytes)
    }
}
