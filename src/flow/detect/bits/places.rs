//! Bits of blocks → the places they stand for.

use super::{BLOCK, Block, Lanes};

/// The places of `text` from `from` on whose bytes are of a class, in order.
pub(in crate::flow::detect) fn places<'t>(
    text: &'t [u8],
    from: usize,
    class: impl Fn(Lanes) -> Lanes + 't,
) -> impl Iterator<Item = usize> + 't {
    let mut blocks = (from..text.len()).step_by(BLOCK);
    let (mut block, mut bits) = (from, 0);
    std::iter::from_fn(move || {
        while bits == 0 {
            block = blocks.next()?;
            bits = Block::at(text, block).bits(&class);
        }
        let at = block + bits.trailing_zeros() as usize;
        bits &= bits - 1;
        Some(at)
    })
}

#[cfg(test)]
mod tests {
    use super::places;
    use proptest::prelude::*;

    proptest::proptest! {
        #[test]
        fn every_place_is_told_once_and_in_order(text in prop::collection::vec(0..3_u8, 0..200), from in 0..200_usize) {
            let from = from.min(text.len());
            let told: Vec<_> = places(&text, from, |b| b.is(1)).collect();
            let want: Vec<_> = (from..text.len()).filter(|at| text[*at] == 1).collect();
            prop_assert_eq!(told, want);
        }
    }
}
