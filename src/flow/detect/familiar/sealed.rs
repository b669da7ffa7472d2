//! What was found in a part → the same, for whoever has the part.
//!
//! Its text is sealed with AES-GCM under a key that is HMAC-SHA-256 over the whole tag of the part, itself under a random
//! key of this process. Only the part gives its tag, so that memory holds nothing that was matched for longer than the
//! message. Whoever takes the process' keys out of its memory, and knows all of a part but what is sought, can try that
//! out, as with a value of which a keyed digest is kept.

use super::{
    Tag,
    finds::{ALLOCATION, Find, Finds},
};
use aws_lc_rs::{
    aead::{AES_128_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey},
    hmac,
};
use std::sync::Arc;

/// What was found in one part, its text sealed.
pub(super) struct Sealed {
    all: Arc<[Find]>,
    text: Box<[u8]>,
    nonce: [u8; NONCE_LEN],
    bytes: usize,
}

impl Sealed {
    /// Bytes kept of it.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    #[cfg(test)]
    pub(super) fn text(&self) -> &[u8] {
        &self.text
    }
}

/// Seals and opens.
pub(super) struct Sealer {
    key: hmac::Key,
}

impl Sealer {
    /// One with a key of its own; `None` when the system gave no random bytes.
    pub(super) fn new() -> Option<Self> {
        let mut key = [0; 32];
        getrandom::fill(&mut key).ok()?;
        Some(Self { key: hmac::Key::new(hmac::HMAC_SHA256, &key) })
    }

    /// What was found in a part, for those who have it.
    pub(super) fn seal(&self, finds: Finds, tag: Tag) -> Option<Sealed> {
        // The matches, their text with its tag, and itself.
        let bytes = finds.held() + AES_128_GCM.tag_len() + size_of::<Sealed>() + 3 * ALLOCATION;
        let Finds { all, mut text } = finds;
        let nonce = self.of(tag)?.seal_in_place_append_tag(Aad::empty(), &mut text).ok()?;
        Some(Sealed { all, text: text.into(), nonce: *nonce.as_ref(), bytes })
    }

    /// What was found in the part with this tag; `None` when it was found in another one.
    pub(super) fn open(&self, sealed: &Sealed, tag: Tag) -> Option<Finds> {
        let mut text = sealed.text.to_vec();
        let nonce = Nonce::assume_unique_for_key(sealed.nonce);
        let opened = self.of(tag)?.open_in_place(nonce, Aad::empty(), &mut text).ok()?.len();
        text.truncate(opened);
        Some(Finds { all: Arc::clone(&sealed.all), text })
    }

    /// The key of the part with this tag.
    fn of(&self, tag: Tag) -> Option<RandomizedNonceKey> {
        let key = hmac::sign(&self.key, &tag.0.to_le_bytes());
        RandomizedNonceKey::new(&AES_128_GCM, key.as_ref().get(..AES_128_GCM.key_len())?).ok()
    }
}
