//! Four bytes → their place in a table: the same for all that are alike but for their case.

use std::collections::BTreeSet;

/// The bytes of a probe.
pub(super) const PROBE: usize = 4;
/// As many places there are.
pub(super) const PLACES: usize = 1 << u16::BITS;
/// From one probe of a stretch to the next.
pub(super) const STEP: usize = 2;
/// Probes of a stretch: one for each bit of a word.
pub(super) const STRETCH: usize = u64::BITS as usize;
/// The bytes of a stretch: its first probe stands behind the first, around the last are eight.
pub(super) const STRETCH_BYTES: usize = STEP * STRETCH + 6;

/// What counts of a probe's bytes, two by two: all but their case; of the first five bits, since what stands before a
/// short keyword may be anything; of the last three, since what stands behind it may be so too.
const FIRST_TWO: u16 = 0xdf1f;
const LAST_TWO: u16 = 0x07df;
/// Odd, and such that few places of the built-in rules' keywords are those of everyday words.
const FIRST_FACTOR: u16 = 0x697b;
const LAST_FACTOR: u16 = 0xcf69;

/// The place of a probe is the sum of both (Knuth's multiplicative hashing, in words of which a processor multiplies eight
/// at once).
#[inline]
const fn of_first(two: [u8; 2]) -> u16 {
    (u16::from_le_bytes(two) & FIRST_TWO).wrapping_mul(FIRST_FACTOR)
}

#[inline]
const fn of_last(two: [u8; 2]) -> u16 {
    (u16::from_le_bytes(two) & LAST_TWO).wrapping_mul(LAST_FACTOR)
}

/// The place of one probe.
pub(super) const fn place([a, b, c, d]: [u8; PROBE]) -> u16 {
    of_first([a, b]).wrapping_add(of_last([c, d]))
}

/// Notes the places of a stretch's first probes.
#[inline]
pub(super) fn places<const N: usize>(stretch: &[u8; STRETCH_BYTES], places: &mut [u16; N]) {
    let pairs = stretch[1..].as_chunks().0;
    for (place, pair) in places.iter_mut().zip(pairs.windows(2)) {
        *place = of_first(pair[0]).wrapping_add(of_last(pair[1]));
    }
}

/// The places of the probes whose bytes are any of these.
pub(super) fn places_of([a, b, c, d]: &[Vec<u8>; PROBE]) -> BTreeSet<u16> {
    let each = |a: &[u8], b: &[u8], of: fn([u8; 2]) -> u16| -> BTreeSet<u16> {
        a.iter().flat_map(|a| b.iter().map(move |b| of([*a, *b]))).collect()
    };
    let (first, last) = (each(a, b, of_first), each(c, d, of_last));
    first.iter().flat_map(|first| last.iter().map(|last| first.wrapping_add(*last))).collect()
}

#[cfg(test)]
mod tests {
    use super::{PROBE, STEP, STRETCH, STRETCH_BYTES, place, places, places_of};

    proptest::proptest! {
        #[test]
        fn a_place_is_the_same_alone_in_a_stretch_and_in_the_other_case(
            text in proptest::collection::vec(0_u8.., STRETCH_BYTES),
        ) {
            let stretch: &[u8; STRETCH_BYTES] = text.as_slice().try_into().unwrap();
            let (mut all, mut half) = ([0; STRETCH], [0; STRETCH / 2]);
            places(stretch, &mut all);
            places(stretch, &mut half);
            proptest::prop_assert_eq!(&all[..STRETCH / 2], &half);
            for (n, made) in all.into_iter().enumerate() {
                let probe: [u8; PROBE] = *stretch[1 + STEP * n..].first_chunk().unwrap();
                proptest::prop_assert_eq!(made, place(probe));
                proptest::prop_assert_eq!(made, place(probe.map(|b| b ^ 0x20)));
            }
        }

        #[test]
        fn any_of_some_bytes_has_its_place(
            bytes in proptest::array::uniform4(proptest::collection::vec(0_u8.., 1..4)), n in 0_usize..12,
        ) {
            let places = places_of(&bytes);
            let one = bytes.each_ref().map(|some| some[n % some.len()]);
            proptest::prop_assert!(places.contains(&place(one)));
            proptest::prop_assert!(places.len() <= bytes.iter().map(Vec::len).product());
        }
    }
}
