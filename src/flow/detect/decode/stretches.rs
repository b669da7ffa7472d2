//! Bytes → where many of one class stand in a row, a block at a time.

use super::runs::SHORTEST;
use crate::flow::detect::bits::{BLOCK, Block, Lanes};
use std::ops::Range;

/// The longest stretches of a class of bytes, in order, that are `SHORTEST` bytes or more.
pub(super) struct Stretches<'t, C: Fn(Lanes) -> Lanes> {
    text: &'t [u8],
    /// See [`Block::bits`].
    class: C,
    /// Where the block begins that was looked at last, and the one that is looked at next.
    block: usize,
    next: usize,
    /// Which of its bytes are of the class: the lowest bit is the first byte's.
    bits: u64,
    /// Which of them end `SHORTEST` in a row, of those stretches that were not given yet.
    ends: u64,
}

impl<'t, C: Fn(Lanes) -> Lanes> Stretches<'t, C> {
    pub(super) fn new(text: &'t [u8], class: C) -> Self {
        Self { text, class, block: 0, next: 0, bits: 0, ends: 0 }
    }

    /// Looks at the next block; `None` when there is none.
    fn advance(&mut self) -> Option<()> {
        if self.next >= self.text.len() {
            return None;
        }
        let before = self.bits;
        self.bits = Block::at(self.text, self.next).bits(&self.class);
        self.ends = ends(before, self.bits);
        (self.block, self.next) = (self.next, self.next + BLOCK);
        Some(())
    }
}

impl<C: Fn(Lanes) -> Lanes> Iterator for Stretches<'_, C> {
    type Item = Range<usize>;

    #[inline]
    fn next(&mut self) -> Option<Range<usize>> {
        while self.ends == 0 {
            self.advance()?;
        }
        let first = self.ends.trailing_zeros();
        let start = self.block + first as usize + 1 - SHORTEST;
        let mut others = !self.bits & u64::MAX << first;
        while others == 0 {
            if self.advance().is_none() {
                self.ends = 0;
                return Some(start..self.text.len());
            }
            others = !self.bits;
        }
        let other = others.trailing_zeros();
        self.ends &= u64::MAX << other;
        Some(start..self.block + other as usize)
    }
}

/// Which bits end `SHORTEST` or more in a row, those of the block before counted in.
#[inline]
fn ends(before: u64, bits: u64) -> u64 {
    let mut rows = u128::from(bits) << 64 | u128::from(before);
    let mut len = 1;
    while len < SHORTEST {
        let more = len.min(SHORTEST - len);
        rows &= rows << more;
        len += more;
    }
    (rows >> 64) as u64
}

#[cfg(test)]
mod tests {
    use super::{SHORTEST, Stretches};
    use crate::flow::detect::bits::Lanes;
    use proptest::prelude::*;
    use std::ops::Range;

    fn letters(bytes: Lanes) -> Lanes {
        bytes.within(b'a', b'z')
    }

    /// One byte after the other.
    fn plainly(text: &[u8]) -> Vec<Range<usize>> {
        let mut found = Vec::new();
        let mut start = 0;
        for at in 0..=text.len() {
            if !text.get(at).copied().is_some_and(|b| b.is_ascii_lowercase()) {
                if at - start >= SHORTEST {
                    found.push(start..at);
                }
                start = at + 1;
            }
        }
        found
    }

    #[test]
    fn a_stretch_is_found_wherever_it_begins_and_ends() {
        for before in 0..70 {
            for len in (SHORTEST - 2..SHORTEST + 2).chain(50..80).chain([127, 128, 129, 200]) {
                for after in [0, 1, 40] {
                    let text = ["-".repeat(before), "x".repeat(len), "-".repeat(after)].concat();
                    let found: Vec<_> = Stretches::new(text.as_bytes(), letters).collect();
                    assert_eq!(found, plainly(text.as_bytes()), "{before} {len} {after}");
                }
            }
        }
    }

    proptest! {
        #[test]
        fn all_are_found_and_nothing_else(
            parts in prop::collection::vec(("[a-z]{0,30}", prop::collection::vec(any::<u8>(), 0..3)), 0..20)
        ) {
            let text: Vec<u8> = parts.iter().flat_map(|(word, other)| word.bytes().chain(other.iter().copied())).collect();
            prop_assert_eq!(Stretches::new(&text, letters).collect::<Vec<_>>(), plainly(&text));
        }
    }
}
