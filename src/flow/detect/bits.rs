//! Sixty-four bytes → a bit each, of one class or not.
//!
//! What one byte is decides no branch here: of real text, no processor could foretell it.

/// Bytes looked at together.
pub(super) const BLOCK: usize = 64;

/// Which of the first `BLOCK` bytes of `text` from `at` on are of the class; the lowest bit is the first byte's. Where
/// there are fewer, the others are not of it.
///
/// `off` says how far a byte is from the class: nothing, when it is of it. See [`off_range`] and [`off_byte`]: put
/// together with `min` they are told of sixteen bytes at once, which comparisons seldom are.
#[inline]
pub(super) fn bits_at(text: &[u8], at: usize, off: impl Fn(u8) -> u8) -> u64 {
    let rest = &text[at..];
    if let Some(block) = rest.first_chunk() {
        return of(block, off);
    }
    if rest.is_empty() {
        return 0;
    }
    let before = BLOCK - rest.len();
    if let Some(block) = text.last_chunk() {
        return of(block, off) >> before;
    }
    let mut block = [0; BLOCK];
    block[before..].copy_from_slice(rest);
    of(&block, off) >> before
}

/// How far `b` is above the range, or it is as far below as bytes go round.
#[inline]
pub(super) fn off_range(b: u8, first: u8, last: u8) -> u8 {
    b.wrapping_sub(first).saturating_sub(last - first)
}

/// How far `b` is from `byte`.
#[inline]
pub(super) fn off_byte(b: u8, byte: u8) -> u8 {
    b.saturating_sub(byte) | byte.saturating_sub(b)
}

/// The same of a whole block.
#[inline]
fn of(block: &[u8; BLOCK], off: impl Fn(u8) -> u8) -> u64 {
    // Bit `k` of row `j` is that of byte `8 * k + j`. Sixteen at once are what the machine has.
    let mut rows = [[0_u8; 8]; 2];
    for (k, bytes) in block.chunks_exact(16).enumerate() {
        for (row, &b) in rows.as_flattened_mut().iter_mut().zip(bytes) {
            *row |= (off(b).min(1) ^ 1) << (2 * k);
        }
    }
    let [even, odd] = rows.map(u64::from_le_bytes);
    transposed(even | odd << 1)
}

/// Eight rows of eight bits, a byte a row → their columns: squares of one bit change places over the diagonal, then of
/// two, then of four.
#[inline]
fn transposed(rows: u64) -> u64 {
    let swap = |bits: u64, by: u32, upper: u64| {
        let differ = (bits ^ bits >> by) & upper;
        bits ^ differ ^ differ << by
    };
    let pairs = swap(rows, 7, 0x00aa_00aa_00aa_00aa);
    let fours = swap(pairs, 14, 0x0000_cccc_0000_cccc);
    swap(fours, 28, 0x0000_0000_f0f0_f0f0)
}

#[cfg(test)]
mod tests {
    use super::{BLOCK, bits_at, off_byte, off_range};
    use proptest::prelude::*;

    #[test]
    fn only_what_is_of_a_class_is_not_off_it() {
        for b in 0..=u8::MAX {
            assert_eq!(off_range(b, b'a', b'f') == 0, (b'a'..=b'f').contains(&b), "{b}");
            assert_eq!(off_byte(b, b'f') == 0, b == b'f', "{b}");
        }
    }

    proptest::proptest! {
        #[test]
        fn each_byte_has_its_bit(block in proptest::array::uniform32(proptest::prelude::any::<[u8; 2]>())) {
            let block: &[u8; BLOCK] = block.as_flattened().try_into().unwrap();
            let made = bits_at(block, 0, |b| u8::from(!b.is_ascii_punctuation()));
            for (n, b) in block.iter().enumerate() {
                proptest::prop_assert_eq!(made >> n & 1 == 1, b.is_ascii_punctuation());
            }
            proptest::prop_assert_eq!(bits_at(block, 0, |_| 1), 0);
        }

        #[test]
        fn each_bit_is_that_of_its_byte_at_the_end_too(text in prop::collection::vec(0..4_u8, 0..200)) {
            for start in 0..=text.len() {
                let of_block = text[start..].iter().take(BLOCK).enumerate();
                let want = of_block.fold(0, |bits, (n, &b)| bits | u64::from(b == 1) << n);
                prop_assert_eq!(bits_at(&text, start, |b| off_byte(b, 1)), want);
            }
        }
    }
}
