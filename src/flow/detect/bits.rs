//! Sixty-four bytes → a bit each, of one class or not.
//!
//! What one byte is decides no branch here: of real text, no processor could foretell it.

/// Bytes looked at together.
pub(super) const BLOCK: usize = 64;

/// A bit for each byte of `block`, from the lowest on: whether it is of the class.
#[inline]
pub(super) fn bits(block: &[u8; BLOCK], of_class: impl Fn(u8) -> bool) -> u64 {
    let mut flags = [0; BLOCK];
    for (flag, b) in flags.iter_mut().zip(block) {
        *flag = u8::from(of_class(*b));
    }
    // Most blocks have none of a rare class.
    if flags.iter().fold(0, |any, flag| any | flag) == 0 {
        return 0;
    }
    // Bit `k` of row `j` is that of byte `8 * k + j`.
    let (words, _) = flags.as_chunks();
    transposed(words.iter().enumerate().fold(0, |rows, (k, word)| rows | u64::from_le_bytes(*word) << k))
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
    use super::{BLOCK, bits};

    proptest::proptest! {
        #[test]
        fn each_byte_has_its_bit(block in proptest::array::uniform32(proptest::prelude::any::<[u8; 2]>())) {
            let block: &[u8; BLOCK] = block.as_flattened().try_into().unwrap();
            let made = bits(block, |b| b.is_ascii_punctuation());
            for (n, b) in block.iter().enumerate() {
                proptest::prop_assert_eq!(made >> n & 1 == 1, b.is_ascii_punctuation());
            }
            proptest::prop_assert_eq!(bits(block, |_| false), 0);
        }
    }
}
