//! What the bound on depth leaves packed → how much of it nobody looked at.
//!
//! A text is shown with its escapes, its references and so on undone, one after the other and in any order, and what is
//! packed in it stands in each of these. It is looked at where it stands least deep, be that first or last.

use std::{
    collections::{HashMap, HashSet, hash_map::RandomState},
    hash::BuildHasher,
};

/// Texts that are remembered. What is more is not looked at, as far as we know.
const MOST: usize = 1024;

/// What is packed, and was not opened yet.
#[derive(Default)]
pub(super) struct Closed {
    /// Its length, by a hash of it.
    left: HashMap<u64, usize>,
    opened: HashSet<u64>,
    hasher: RandomState,
}

impl Closed {
    /// It is too deep here; `false` when it cannot be remembered.
    pub(super) fn keep(&mut self, packed: &[u8]) -> bool {
        let hash = self.hasher.hash_one(packed);
        if self.opened.contains(&hash) {
            return true;
        }
        let room = self.left.len() < MOST;
        if room {
            self.left.insert(hash, packed.len());
        }
        room
    }

    /// It was opened here.
    pub(super) fn open(&mut self, packed: &[u8]) {
        let hash = self.hasher.hash_one(packed);
        self.left.remove(&hash);
        if self.opened.len() < MOST {
            self.opened.insert(hash);
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
        self.opened.clear();
        (bytes > 0).then_some(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::Closed;

    #[test]
    fn what_was_opened_before_or_behind_is_not_left() {
        let mut closed = Closed::default();
        assert!(closed.keep(b"behind") && closed.keep(b"nowhere"));
        closed.open(b"before");
        closed.open(b"behind");
        assert!(closed.keep(b"before"));
        assert_eq!(closed.take(), Some(b"nowhere".len()));
        assert_eq!(closed.take(), None);
        assert!(closed.keep(b"before"), "of another part");
        assert_eq!(closed.bytes(), b"before".len());
    }
}
