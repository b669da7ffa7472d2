//! Sixteen bytes → for each, whether it is of a class: all of them at once.

use wide::u8x16;

/// Bytes looked at together.
pub(in crate::flow::detect) const LANES: usize = 16;

/// Sixteen bytes; or for each of sixteen, all bits or none.
#[derive(Clone, Copy)]
pub(in crate::flow::detect) struct Lanes(u8x16);

impl Lanes {
    #[inline]
    pub(in crate::flow::detect) fn of(bytes: [u8; LANES]) -> Self {
        Self(u8x16::new(bytes))
    }

    /// Which are `byte`.
    #[inline]
    pub(in crate::flow::detect) fn is(self, byte: u8) -> Self {
        Self(self.0.simd_eq(u8x16::splat(byte)))
    }

    /// Which are the same as the one of `other` at their place.
    #[inline]
    pub(in crate::flow::detect) fn same(self, other: Self) -> Self {
        Self(self.0.simd_eq(other.0))
    }

    /// Which are `first`, `last`, or between them.
    #[inline]
    pub(in crate::flow::detect) fn within(self, first: u8, last: u8) -> Self {
        let above = self.0 - u8x16::splat(first);
        Self(above.min(u8x16::splat(last - first)).simd_eq(above))
    }

    /// The bytes with the bit set in which the cases of a letter differ.
    #[inline]
    pub(in crate::flow::detect) fn lower_case(self) -> Self {
        Self(self.0 | u8x16::splat(0x20))
    }

    /// Which are of either class.
    #[inline]
    pub(in crate::flow::detect) fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// A bit for each, the lowest is the first one's.
    #[inline]
    pub(in crate::flow::detect) fn bits(self) -> u64 {
        u64::from(self.0.to_bitmask())
    }
}

#[cfg(test)]
mod tests {
    use super::{LANES, Lanes};

    proptest::proptest! {
        #[test]
        fn a_class_is_told_of_each_byte(bytes: [u8; LANES], near in 0..LANES, a: u8, b: u8, some in 0..3_u8) {
            // As a rule, some of the bytes are of the class.
            let a = if some == 0 { a } else { bytes[near] };
            let (first, last) = (a.min(b), a.max(b));
            let want = |of: &dyn Fn(u8) -> bool| bytes.iter().rev().fold(0, |bits, b| bits << 1 | u64::from(of(*b)));
            let lanes = Lanes::of(bytes);
            proptest::prop_assert_eq!(lanes.is(a).bits(), want(&|x| x == a));
            proptest::prop_assert_eq!(lanes.same(Lanes::of([a; LANES])).bits(), want(&|x| x == a));
            proptest::prop_assert_eq!(lanes.within(first, last).bits(), want(&|x| (first..=last).contains(&x)));
            proptest::prop_assert_eq!(lanes.lower_case().is(a).bits(), want(&|x| x | 0x20 == a));
            proptest::prop_assert_eq!(lanes.is(a).or(lanes.is(b)).bits(), want(&|x| x == a || x == b));
        }
    }
}
