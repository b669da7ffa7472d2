//! Paths that rules did not take → not judged again.

/// Paths that rules did not take, in one message: the same few come again and again.
///
/// What a rule says of a path follows from the path and the ends of the lines beside it, unless a call stands there or the
/// rest of a list in braces.
#[derive(Default)]
pub(super) struct Refused(Vec<Refusal>);

/// Paths remembered at once; another with the same hash takes the place of one.
const MAX_REFUSED: usize = 256;
/// The longest one, with the ends of the lines beside it.
const MAX_REFUSED_BYTES: usize = 64;
/// Rules told apart; of others nothing is remembered.
const MAX_RULES: usize = 256;

#[derive(Clone)]
struct Refusal {
    path: Written,
    /// By the rules of these indices, a bit each.
    by: [u64; MAX_RULES / 64],
}

/// A path and the ends of the lines beside it, one after the other: none of them holds a zero.
#[derive(Clone, PartialEq, Eq)]
struct Written {
    bytes: [u8; MAX_REFUSED_BYTES],
    /// Where the second and the third begin.
    parts: [u8; 2],
}

impl Written {
    fn of(parts: [&[u8]; 3]) -> Option<Self> {
        let mut written = Self { bytes: [0; MAX_REFUSED_BYTES], parts: [0; 2] };
        let mut at = 0;
        for (n, part) in parts.into_iter().enumerate() {
            if let Some(begins) = n.checked_sub(1).and_then(|n| written.parts.get_mut(n)) {
                *begins = u8::try_from(at).ok()?;
            }
            if !part.is_empty() {
                written.bytes.get_mut(at..at + part.len())?.copy_from_slice(part);
                at += part.len();
            }
        }
        Some(written)
    }

    /// Fibonacci hashing (Knuth), of all of it folded.
    fn hash(&self) -> usize {
        let words = self.bytes.as_chunks().0.iter().map(|word| u64::from_le_bytes(*word));
        let mixed =
            words.fold(0, |mixed: u64, word| (mixed ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29));
        usize::try_from(mixed >> 32).unwrap_or(0) % MAX_REFUSED
    }
}

impl Refused {
    /// Bytes it takes beside its own.
    pub(super) fn held(&self) -> usize {
        self.0.capacity() * size_of::<Refusal>()
    }

    /// Where a path between the ends of two lines is remembered, from now on if it was not; `None` when it is too long.
    pub(super) fn place(&mut self, parts: [&[u8]; 3]) -> Option<usize> {
        let path = Written::of(parts)?;
        if self.0.is_empty() {
            self.0 = vec![Refusal { path: Written::of([b""; 3])?, by: [0; MAX_RULES / 64] }; MAX_REFUSED];
        }
        let place = path.hash();
        let refusal = &mut self.0[place];
        if refusal.path != path {
            *refusal = Refusal { path, by: [0; MAX_RULES / 64] };
        }
        Some(place)
    }

    pub(super) fn has(&self, place: usize, rule: usize) -> bool {
        self.0[place].by.get(rule / 64).is_some_and(|by| by >> (rule % 64) & 1 == 1)
    }

    pub(super) fn note(&mut self, place: usize, rule: usize) {
        if let Some(by) = self.0[place].by.get_mut(rule / 64) {
            *by |= 1 << (rule % 64);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Written;

    proptest::proptest! {
        #[test]
        fn a_path_is_remembered_with_what_stands_beside_it(
            one in proptest::array::uniform3("[ab/]{0,2}"), other in proptest::array::uniform3("[ab/]{0,2}"),
        ) {
            let written = |parts: &[String; 3]| Written::of(parts.each_ref().map(String::as_bytes)).unwrap();
            proptest::prop_assert_eq!(written(&one) == written(&other), one == other);
        }
    }

    #[test]
    fn a_path_too_long_to_be_remembered_is_not() {
        assert!(Written::of([b"a", &[b'a'; 62], b"a"]).is_some());
        assert!(Written::of([b"a", &[b'a'; 63], b"a"]).is_none());
        assert!(Written::of([b"", &[b'a'; 300], b""]).is_none());
    }
}
