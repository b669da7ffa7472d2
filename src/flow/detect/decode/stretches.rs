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
    /// Where numbers may be listed.
    numbers: Vec<Range<usize>>,
}

/// No number that is one byte is longer: `0x67`.
const LONGEST_NUMBER: u32 = 4;
/// How many of a block's bytes are digits then. A list shorter than two blocks may have none for itself.
const LEAST_DIGITS: u32 = 8;

impl<'t, C: Fn(Lanes) -> Lanes> Stretches<'t, C> {
    pub(super) fn new(text: &'t [u8], class: C) -> Self {
        Self { text, class, block: 0, next: 0, bits: 0, ends: 0, numbers: Vec::new() }
    }

    /// Where numbers may be listed, as far as was looked: nothing of the class is long there, and much of it a digit.
    pub(super) fn numbers(&self) -> &[Range<usize>] {
        &self.numbers
    }

    #[inline]
    fn look_for_numbers(&mut self) {
        let long = (1..=LONGEST_NUMBER).fold(self.bits, |long, n| long & self.bits >> n);
        if long == 0 {
            self.note_numbers();
        }
    }

    #[cold]
    fn note_numbers(&mut self) {
        let start = self.next;
        let digits = Block::at(self.text, start).bits(|b| b.within(b'0', b'9'));
        if digits.count_ones() >= LEAST_DIGITS {
            let end = self.text.len().min(start + BLOCK);
            match self.numbers.last_mut() {
                Some(last) if last.end == start => last.end = end,
                _ => self.numbers.push(start..end),
            }
        }
    }

    /// Looks at the next block; `None` when there is none.
    fn advance(&mut self) -> Option<()> {
        if self.next >= self.text.len() {
            return None;
        }
        let before = self.bits;
        self.bits = Block::at(self.text, self.next).bits(&self.class);
        self.ends = ends(before, self.bits);
        self.look_for_numbers();
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

    #[test]
    fn numbers_are_looked_for_where_nothing_is_long_and_much_is_a_digit() {
        for before in 0..130 {
            let list = "103,115,107,95,117,56,106,122,80,100,101,48,73,103,120,76,".repeat(3);
            let text = ["words ".repeat(before), list.clone(), " words and more of them ".repeat(9)].concat();
            let mut stretches = Stretches::new(text.as_bytes(), |b| letters(b).or(b.within(b'0', b'9')));
            stretches.by_ref().for_each(drop);
            let at = 6 * before..6 * before + list.len();
            let found = stretches.numbers();
            assert!(
                !found.is_empty() && found.iter().all(|n| n.start < at.end && at.start < n.end),
                "{before} {found:?}"
            );
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
