//! Digests → what finds them in a text.
//!
//! A text is looked at in windows of eight bytes, every fourth of them. A table of bits, which stays in the first cache,
//! lets few through; of those a value's beginning has to stand at its distance; then the digest decides.

use super::{
    Kind, MAX_CANARIES, MAX_SECRETS, MIN_VALUE,
    digest::{Digest, DigestKeys, STRIDE, WINDOW, word},
};
use std::{collections::HashSet, ops::Range, sync::Arc};

/// One bit for each value a window's hash can have.
const BITS: usize = 1 << 16;
const WORD: usize = u64::BITS as usize;
const MAX_DIGESTS: usize = MAX_SECRETS + MAX_CANARIES;
// A window is two halves, and the next one begins where the second half does.
const _: () = assert!(WINDOW == 2 * STRIDE);

/// Digests, ordered for search.
#[derive(Default)]
pub(super) struct Table(Option<Search>);

struct Search {
    keys: Arc<DigestKeys>,
    bits: Box<[u64]>,
    /// In the order of their hashes.
    windows: Vec<Window>,
    digests: Vec<Digest>,
}

/// Eight bytes of a value.
struct Window {
    hash: u16,
    /// Whose.
    digest: usize,
    /// The bytes of the value before them.
    before: usize,
}

/// The digests found in one text: a bit each.
type Found = [u64; MAX_DIGESTS.div_ceil(WORD)];

impl Table {
    /// Of equal values of one kind the first stands; more than there may be at once are left out.
    pub(super) fn new(keys: &Arc<DigestKeys>, mut digests: Vec<Digest>) -> Self {
        let mut seen = HashSet::new();
        digests.retain(|digest| seen.insert(digest.mark.hmac));
        digests.truncate(MAX_DIGESTS);
        if digests.is_empty() {
            return Self(None);
        }
        let mut bits = vec![0; BITS / WORD].into_boxed_slice();
        let mut windows = Vec::with_capacity(digests.len() * STRIDE);
        for (index, Digest { mark, .. }) in digests.iter().enumerate() {
            for (n, &hash) in mark.windows.iter().enumerate() {
                bits[usize::from(hash) / WORD] |= 1 << (usize::from(hash) % WORD);
                windows.push(Window { hash, digest: index, before: mark.before(n) });
            }
        }
        windows.sort_unstable_by_key(|window| window.hash);
        Self(Some(Search { keys: Arc::clone(keys), bits, windows, digests }))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Reports each value that is wanted and stands in `text`, once: where it stands first, as far as was looked.
    pub(super) fn find<'t>(
        &'t self,
        text: &[u8],
        wanted: &dyn Fn(Kind) -> bool,
        on: &mut dyn FnMut(&'t Digest, Range<usize>),
    ) {
        let Some(search) = self.0.as_ref().filter(|_| text.len() >= MIN_VALUE) else { return };
        let gate = search.keys.gate;
        let (halves, _) = text.as_chunks::<{ WINDOW / 2 }>();
        let mut found = Found::default();
        let mut before = u64::from(u32::from_le_bytes(halves[0]));
        for (n, half) in halves[1..].iter().enumerate() {
            let half = u64::from(u32::from_le_bytes(*half));
            let hash = gate.window(before | half << 32);
            before = half;
            if search.bits[usize::from(hash) / WORD] >> (usize::from(hash) % WORD) & 1 == 1 {
                search.look(text, n * STRIDE, hash, wanted, &mut found, on);
            }
        }
    }
}

impl Search {
    /// Looks closely at what may be a window at `at`.
    #[cold]
    fn look<'t>(
        &'t self,
        text: &[u8],
        at: usize,
        hash: u16,
        wanted: &dyn Fn(Kind) -> bool,
        found: &mut Found,
        on: &mut dyn FnMut(&'t Digest, Range<usize>),
    ) {
        let first = self.windows.partition_point(|window| window.hash < hash);
        for window in self.windows[first..].iter().take_while(|window| window.hash == hash) {
            let digest = &self.digests[window.digest];
            let (place, bit) = (window.digest / WORD, 1 << (window.digest % WORD));
            if found[place] & bit != 0 || !wanted(digest.kind) {
                continue;
            }
            let Some(start) = at.checked_sub(window.before) else { continue };
            let Some(value) = text.get(start..start + digest.mark.len) else { continue };
            if self.keys.gate.head(word(value)) == digest.mark.head && self.keys.confirms(digest, value) {
                found[place] |= bit;
                on(digest, start..start + digest.mark.len);
            }
        }
    }
}
