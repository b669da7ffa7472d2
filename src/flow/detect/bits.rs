//! Sixty-four bytes → a bit each, of one class or not.
//!
//! What one byte is decides no branch here: of real text, no processor could foretell it.

mod lanes;
mod places;

pub(super) use lanes::{LANES, Lanes};
pub(super) use places::places;

/// Bytes looked at together.
pub(super) const BLOCK: usize = 64;

/// Bytes of a text to be asked of what class they are.
#[derive(Clone, Copy)]
pub(super) struct Block {
    lanes: [Lanes; BLOCK / LANES],
    /// Bytes of it that stand before those that were asked for.
    before: u32,
}

impl Block {
    /// The first [`BLOCK`] bytes of `text` from `at` on, or as many as there are: one at least.
    #[inline]
    pub(super) fn at(text: &[u8], at: usize) -> Self {
        let rest = &text[at..];
        if let Some(block) = rest.first_chunk() {
            return Self::of(block, 0);
        }
        let before = BLOCK - rest.len();
        if let Some(block) = text.last_chunk() {
            return Self::of(block, before);
        }
        let mut block = [0; BLOCK];
        block[before..].copy_from_slice(rest);
        Self::of(&block, before)
    }

    #[inline]
    fn of(block: &[u8; BLOCK], before: usize) -> Self {
        let (lanes, _) = block.as_chunks();
        #[expect(clippy::cast_possible_truncation, reason = "less than a block")]
        let before = before as u32;
        Self { lanes: [0, 1, 2, 3].map(|n| Lanes::of(lanes[n])), before }
    }

    /// Which bytes are of a class; the lowest bit is the first byte's. Where there is no byte, none is of it.
    #[inline]
    pub(super) fn bits(&self, class: impl Fn(Lanes) -> Lanes) -> u64 {
        let all = self.lanes.iter().rev().fold(0, |bits, lanes| bits << LANES | class(*lanes).bits());
        all >> self.before
    }
}

/// From a byte to the one that is the same in [`comes_again`].
const APART: usize = 2;

/// Which of the first [`BLOCK`] bytes of `text` from `at` on are the same as the second one behind them.
#[inline]
pub(super) fn comes_again(text: &[u8], at: usize) -> u64 {
    let rest = &text[at..];
    if let Some(bytes) = rest.first_chunk() {
        return same(bytes);
    }
    let mut bytes = [0; BLOCK + APART];
    bytes[..rest.len()].copy_from_slice(rest);
    // Behind the last ones is none.
    same(&bytes) & ((1 << rest.len().saturating_sub(APART)) - 1)
}

#[inline]
fn same(bytes: &[u8; BLOCK + APART]) -> u64 {
    let (bytes, (again, _)) = (&bytes[..BLOCK], bytes[APART..].as_chunks());
    let pairs = bytes.as_chunks().0.iter().zip(again);
    pairs.rev().fold(0, |bits, (one, other)| bits << LANES | Lanes::of(*one).same(Lanes::of(*other)).bits())
}

#[cfg(test)]
mod tests {
    use super::{APART, BLOCK, Block, comes_again};
    use proptest::prelude::*;

    proptest::proptest! {
        #[test]
        fn each_bit_is_that_of_its_byte(text in prop::collection::vec(0..4_u8, 1..200)) {
            for start in 0..text.len() {
                let of_block = text[start..].iter().take(BLOCK).enumerate();
                let want = of_block.fold(0, |bits, (n, &b)| bits | u64::from(b == 1) << n);
                prop_assert_eq!(Block::at(&text, start).bits(|b| b.is(1)), want);
            }
        }

        #[test]
        fn a_byte_comes_again_wherever_a_text_ends(text in prop::collection::vec(0..2_u8, 1..200)) {
            for start in 0..text.len() {
                let pairs = text[start..].iter().zip(text.iter().skip(start + APART)).take(BLOCK);
                let want = pairs.enumerate().fold(0, |bits, (n, (one, other))| bits | u64::from(one == other) << n);
                prop_assert_eq!(comes_again(&text, start), want);
            }
        }
    }
}
