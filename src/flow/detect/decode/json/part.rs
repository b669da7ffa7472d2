//! A text → the same, and what stands behind it in memory: short ones are copied and looked at a block at once.
//!
//! A copy of as many bytes as the text has is a call, and one whose length no processor could foretell.

use crate::flow::detect::bits::{LANES, Lanes};
use std::ops::Range;

/// As much of a text is copied as a block.
const BLOCK: usize = 2 * LANES;

/// A part of a larger text.
#[derive(Clone, Copy, Default)]
pub(in super::super) struct Part<'t> {
    /// From its first byte to the last of the larger text.
    from: &'t [u8],
    len: usize,
}

impl<'t> Part<'t> {
    /// The first `len` bytes of `from`.
    #[inline]
    pub(super) fn new(from: &'t [u8], len: usize) -> Self {
        Self { from, len: len.min(from.len()) }
    }

    /// `text`, which is part of `whole`.
    pub(in super::super) fn of(whole: &'t [u8], text: &'t [u8]) -> Self {
        let start = text.as_ptr().addr().wrapping_sub(whole.as_ptr().addr());
        let from = whole.get(start..).filter(|from| from.len() >= text.len()).unwrap_or(text);
        Self { from, len: text.len() }
    }

    /// What is in a range of `whole`.
    #[inline]
    pub(in super::super) fn at(whole: &'t [u8], at: &Range<usize>) -> Self {
        Self::new(&whole[at.start..], at.len())
    }

    #[inline]
    pub(super) fn bytes(self) -> &'t [u8] {
        &self.from[..self.len]
    }

    pub(super) fn len(self) -> usize {
        self.len
    }

    /// Its first `len` bytes.
    pub(super) fn first(self, len: usize) -> Self {
        Self { len: self.len.min(len), ..self }
    }

    /// Appends it to `out`.
    #[inline]
    pub(super) fn append_to(self, out: &mut Vec<u8>) {
        match self.from.first_chunk::<BLOCK>() {
            Some(block) if self.len <= BLOCK => {
                let end = out.len() + self.len;
                out.extend_from_slice(block);
                out.truncate(end);
            }
            _ => append_counted(self.bytes(), out),
        }
    }

    /// Which of its bytes are of a class, as bits, the first one's the lowest; of a long one, or where too little stands
    /// behind it, `None`.
    #[inline]
    pub(super) fn bits(self, class: impl Fn(Lanes) -> Lanes) -> Option<u64> {
        let block = self.from.first_chunk::<LANES>().filter(|_| self.len <= LANES)?;
        Some(class(Lanes::of(*block)).bits() & ((1 << self.len) - 1))
    }
}

#[inline(never)]
fn append_counted(text: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(text);
}

#[cfg(test)]
mod tests {
    use super::Part;

    proptest::proptest! {
        #[test]
        fn a_part_is_appended_and_looked_at_as_any_text(whole in "[ab]{0,90}", start: usize, len: usize) {
            let start = start % (whole.len() + 1);
            let text = &whole.as_bytes()[start..][..len % (whole.len() - start + 1)];
            let whole = whole.as_bytes();
            let at = start..start + text.len();
            for part in [Part::of(whole, text), Part::at(whole, &at), Part::of(b"", text), Part::new(text, text.len())] {
                let mut out = b"before".to_vec();
                part.append_to(&mut out);
                proptest::prop_assert_eq!(out, [&b"before"[..], text].concat());
                proptest::prop_assert_eq!(part.bytes(), text);
                if let Some(bits) = part.bits(|b| b.is(b'b')) {
                    let want = text.iter().rev().fold(0, |bits, b| bits << 1 | u64::from(*b == b'b'));
                    proptest::prop_assert_eq!(bits, want);
                }
            }
        }
    }
}
