//! Part of a message → what was found in the same part before.
//!
//! An agent sends its whole history with every request: its instructions, its tools and every message so far. Byte for
//! byte the same part, looked at by the same rules for the same known values, says again what it said.
//!
//! A part is told by a tag of 128 bits: AES-GCM over additional data alone (GMAC, NIST SP 800-38D), under a key that is
//! random, of this process alone and held in memory only. A tag is shown to nobody, so that one nonce serves for all, and
//! says how the part is read. Whoever does not know the key makes a part of n bytes like one that is kept with a chance of
//! (n / 16 + 2) / 2^128 at most: that is what GHASH promises.
//!
//! Of a part in which something was found, [`sealed`] keeps what that was, under a key that its tag gives. Of the tag no more
//! than 32 bits are kept then. GHASH is linear: whoever took keys and tags out of memory, and knew the rest of the part,
//! could solve a whole tag for what they do not know.

mod finds;
mod sealed;

pub(super) use finds::{Finds, Gathered};

use super::{decode::Voice, hashed::OwnHash};
use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use posture::Direction;
use sealed::{Sealed, Sealer};
use std::{
    collections::{HashMap, HashSet},
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Parts kept of each generation: those of a long session.
const MAX_PARTS: usize = 8 << 10;
/// Bytes kept of what was found in those of each generation. Both generations and their tags take 2.6 MiB at most.
const MAX_BYTES: usize = 1 << 20;

/// How a part of a message is read, beside what is in it.
#[derive(Clone, Copy)]
pub(super) struct Sent {
    /// Of what is known.
    pub(super) generation: u64,
    pub(super) direction: Direction,
    /// Who wrote it, unless it says so itself.
    pub(super) voice: Voice,
}

/// What tells a part from others. Whoever has it can read what was found in the part: it is never printed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Tag(u128);

impl Tag {
    /// As much of it as is kept where something was found.
    #[expect(clippy::cast_possible_truncation, reason = "no more is kept")]
    fn short(self) -> u32 {
        self.0 as u32
    }
}

/// The parts that were met.
pub(super) struct Familiar {
    /// `None` when the system gave no random bytes: then nothing is remembered.
    keys: Option<(LessSafeKey, Sealer)>,
    parts: Mutex<Parts>,
}

/// Those met most recently, and those met before them. When the new are as many as are kept, the old ones go.
#[derive(Default)]
struct Parts {
    new: Generation,
    old: Generation,
}

#[derive(Default)]
struct Generation {
    /// Those that held nothing.
    empty: HashSet<u128, OwnHash>,
    /// What was found in the others.
    finds: HashMap<u32, Arc<Sealed>, OwnHash>,
    /// Bytes of it.
    bytes: usize,
}

/// What is kept of a part.
enum Kept {
    Nothing,
    Finds(Arc<Sealed>),
}

impl Default for Familiar {
    fn default() -> Self {
        let mut key = [0; 16];
        let key = getrandom::fill(&mut key).ok().and_then(|()| UnboundKey::new(&AES_128_GCM, &key).ok());
        Self { keys: key.map(LessSafeKey::new).zip(Sealer::new()), parts: Mutex::default() }
    }
}

impl Familiar {
    /// The tag of a part of a message; `None` when there is no key.
    pub(super) fn tag(&self, sent: Sent, part: &[u8]) -> Option<Tag> {
        let (key, _) = self.keys.as_ref()?;
        let mut nonce = [0; NONCE_LEN];
        nonce[..8].copy_from_slice(&sent.generation.to_le_bytes());
        (nonce[8], nonce[9]) = (sent.direction as u8, sent.voice as u8);
        let nonce = Nonce::assume_unique_for_key(nonce);
        let tag = key.seal_in_place_separate_tag(nonce, Aad::from(part), &mut []).ok()?;
        Some(Tag(u128::from_le_bytes(*tag.as_ref().first_chunk()?)))
    }

    /// What was found in the part that has this tag; `None` when it is not known.
    pub(super) fn recall(&self, tag: Tag) -> Option<Finds> {
        match self.parts().recall(tag)? {
            Kept::Nothing => Some(Finds::default()),
            Kept::Finds(finds) => self.keys.as_ref()?.1.open(&finds, tag),
        }
    }

    /// This was found in the part that has this tag.
    pub(super) fn note(&self, tag: Tag, finds: Finds) {
        if finds.is_empty() {
            self.parts().room(0).empty.insert(tag.0);
        } else if let Some(finds) = self.keys.as_ref().and_then(|(_, sealer)| sealer.seal(finds, tag)) {
            self.parts().keep(tag.short(), Arc::new(finds));
        }
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
    fn recall(&mut self, tag: Tag) -> Option<Kept> {
        if self.new.empty.contains(&tag.0) {
            return Some(Kept::Nothing);
        }
        if self.old.empty.contains(&tag.0) {
            self.room(0).empty.insert(tag.0);
            return Some(Kept::Nothing);
        }
        let finds = self.new.finds.get(&tag.short()).map(Arc::clone).or_else(|| {
            let finds = self.old.take(tag.short())?;
            self.keep(tag.short(), Arc::clone(&finds));
            Some(finds)
        });
        finds.map(Kept::Finds)
    }

    fn keep(&mut self, tag: u32, finds: Arc<Sealed>) {
        let new = self.room(finds.bytes());
        new.take(tag);
        new.bytes += finds.bytes();
        new.finds.insert(tag, finds);
    }

    /// Where there is room for one more part, of which so many bytes are kept.
    fn room(&mut self, bytes: usize) -> &mut Generation {
        let Generation { empty, finds, bytes: kept } = &self.new;
        if empty.len() + finds.len() >= MAX_PARTS || kept + bytes > MAX_BYTES {
            self.old = mem::take(&mut self.new);
        }
        &mut self.new
    }
}

impl Generation {
    fn take(&mut self, tag: u32) -> Option<Arc<Sealed>> {
        let finds = self.finds.remove(&tag)?;
        self.bytes -= finds.bytes();
        Some(finds)
    }
}

#[cfg(test)]
mod tests;
