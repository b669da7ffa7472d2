//! Where an object ends, without a look at what is in it.

use crate::flow::detect::bits::{BLOCK, Block};

/// The object or array that `text` begins with; `None` when it does not end there.
///
/// A backslash is taken for a quote's escape outside strings too, which JSON has not: who reads tokens may see another
/// end.
pub(super) fn of(text: &[u8]) -> Option<&[u8]> {
    let mut escapes = Escapes::default();
    let mut depth = 0;
    // All bits where the block begins within a string.
    let mut within = 0;
    for at in (0..text.len()).step_by(BLOCK) {
        let bytes = Block::at(text, at);
        let quotes = bytes.bits(|b| b.is(b'"')) & !escapes.escaped(bytes.bits(|b| b.is(b'\\')));
        let strings = from_each_on(quotes) ^ within;
        within = 0_u64.wrapping_sub(strings >> (BLOCK - 1));
        // The bit in which they differ is the one of letters' cases.
        let opening = bytes.bits(|b| b.lower_case().is(b'{')) & !strings;
        let closing = bytes.bits(|b| b.lower_case().is(b'}')) & !strings;
        if closing.count_ones() < depth {
            depth = depth - closing.count_ones() + opening.count_ones();
            continue;
        }
        let mut all = opening | closing;
        while all != 0 {
            let place = all.trailing_zeros();
            all &= all - 1;
            depth = if opening >> place & 1 == 1 { depth + 1 } else { depth.saturating_sub(1) };
            if depth == 0 {
                return Some(&text[..=at + place as usize]);
            }
        }
    }
    None
}

/// The objects of the array that `text` is, up to anything else in it.
pub(in super::super) fn objects(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = text.trim_ascii_start().strip_prefix(b"[").unwrap_or_default();
    std::iter::from_fn(move || {
        let blank = rest.iter().take_while(|b| b.is_ascii_whitespace() || **b == b',').count();
        let object = rest[blank..].starts_with(b"{").then(|| of(&rest[blank..])).flatten()?;
        rest = &rest[blank + object.len()..];
        Some(object)
    })
}

/// Each bit: whether an odd number of bits are set up to it.
fn from_each_on(mut bits: u64) -> u64 {
    let mut by = 1;
    while by < u64::BITS {
        bits ^= bits << by;
        by *= 2;
    }
    bits
}

/// Tells which characters of one block after the other are escaped.
#[derive(Default)]
pub(super) struct Escapes {
    /// Whether the first byte of the next block is.
    first: u64,
}

impl Escapes {
    /// Which bytes of the block with these backslashes are escaped.
    #[inline]
    pub(super) fn escaped(&mut self, backslashes: u64) -> u64 {
        let mut escapes = backslashes & !self.first;
        // As a rule none stands beside another. Else every second one only looks like one.
        if escapes & escapes << 1 != 0 {
            let mut rest = std::mem::take(&mut escapes);
            while rest != 0 {
                let next = rest & rest.wrapping_neg();
                escapes |= next;
                rest &= !(next | next << 1);
            }
        }
        let after = self.first | escapes << 1;
        self.first = escapes >> (BLOCK - 1);
        after
    }
}

#[cfg(test)]
mod tests {
    use super::{objects, of};
    use proptest::prelude::*;

    #[test]
    fn what_does_not_end_has_no_extent() {
        for text in ["", "{", "{\"a\":[1,{\"b\":2}]", "{\"}", "{\"\\\"}"] {
            assert_eq!(of(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn the_objects_of_an_array_are_told_up_to_what_is_none() {
        for (text, want) in [
            ("[{\"a\":\"}\"}\n,\r\n{}]", vec!["{\"a\":\"}\"}", "{}"]),
            (" [ {},1,{}]", vec!["{}"]),
            ("[{},{", vec!["{}"]),
            ("{}", vec![]),
            ("", vec![]),
        ] {
            assert_eq!(
                objects(text.as_bytes()).collect::<Vec<_>>(),
                want.iter().map(|o| o.as_bytes()).collect::<Vec<_>>()
            );
        }
    }

    /// Byte for byte.
    fn plainly(text: &[u8]) -> Option<&[u8]> {
        let (mut depth, mut string, mut escape) = (0, false, false);
        for (at, &b) in text.iter().enumerate() {
            let escaped = std::mem::take(&mut escape);
            match b {
                b'"' | b'\\' if escaped => {}
                b'\\' => escape = true,
                b'"' => string = !string,
                b'{' | b'[' if !string => depth += 1,
                b'}' | b']' if !string => {
                    depth -= 1;
                    if depth == 0 {
                        return Some(&text[..=at]);
                    }
                }
                _ => {}
            }
        }
        None
    }

    proptest! {
        #[test]
        fn an_object_ends_where_it_does_byte_for_byte(
            parts in prop::collection::vec((r#"[{}\[\]"\\]{0,4}"#, prop_oneof!["[a-z]{0,9}", "[a-z]{50,80}"]), 0..20)
        ) {
            let text: String = parts.into_iter().flat_map(|(marks, plain)| [marks, plain]).collect();
            let text = format!("{{{text}");
            prop_assert_eq!(of(text.as_bytes()), plainly(text.as_bytes()));
        }

        #[test]
        fn what_serde_wrote_ends_with_its_last_byte(
            keys in prop::collection::vec((any::<String>(), any::<String>(), 0..9_u8), 0..9), after in any::<String>()
        ) {
            let members: serde_json::Map<String, serde_json::Value> =
                keys.into_iter().map(|(k, v, n)| (k, serde_json::json!([v, {"n": n}]))).collect();
            let text = serde_json::Value::Object(members).to_string();
            let followed = [text.as_str(), &after].concat();
            prop_assert_eq!(of(followed.as_bytes()), Some(text.as_bytes()));
        }
    }
}
