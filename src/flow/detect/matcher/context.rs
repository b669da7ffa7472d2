//! What stands beside a value → whether it says that the value is a key.
//!
//! A vendor's name is near; what is asked here is whether the words between promise a secret of its.

mod member;
mod secret;
mod sentence;

pub(super) use member::{
    begins_anew, holds_name, is_cell, is_host, is_inserted, is_member, leads_on, makes_client, names_key, names_value,
};
pub(super) use secret::{is_of_secret, is_other, says_secret};
pub(super) use sentence::{goes_on, is_handed, is_said_of, is_told, is_value_of, keeps_key};

/// Whether a value has nothing by which it is known but its name: letters and digits alone, or a UUID.
pub(super) fn is_plain(value: &[u8]) -> bool {
    let uuid = value.len() == 36 && [8, 13, 18, 23].iter().all(|&at| value[at] == b'-');
    value.iter().all(|b| b.is_ascii_alphanumeric() || (uuid && *b == b'-'))
}

/// Whether a value has letters of both cases and digits, as no digest has.
pub(super) fn is_drawn(value: &[u8]) -> bool {
    let has = |class: fn(&u8) -> bool| value.iter().any(class);
    has(u8::is_ascii_lowercase) && has(u8::is_ascii_uppercase) && has(u8::is_ascii_digit)
}

/// `text` without the blanks and quotes at its end.
pub(super) fn unquoted(text: &[u8]) -> &[u8] {
    trimmed(text, |b| matches!(b, b' ' | b'\t') || is_quote(b))
}

/// Whether a word is one of these, in any case.
pub(super) fn is_one_of(word: &[u8], words: &[&[u8]]) -> bool {
    words.iter().any(|w| word.eq_ignore_ascii_case(w))
}

const fn is_quote(byte: u8) -> bool {
    matches!(byte, b'"' | b'\'' | b'`' | b'\\')
}

fn trimmed(text: &[u8], off: impl Fn(u8) -> bool) -> &[u8] {
    &text[..text.iter().rposition(|b| !off(*b)).map_or(0, |at| at + 1)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_values_have_no_shape_of_their_own() {
        for plain in ["d704484fb8b02d950eb67d6bffe650bc", "b25a2c4e-9c1d-4f1e-8a3b-5d7c9e0f1a2b"] {
            assert!(is_plain(plain.as_bytes()), "{plain}");
        }
        for shaped in ["ak-d704484fb8b02d950eb6", "vcp_d704484f", "d704484fb8b02d950eb67d6bffe650bc.Ab3"] {
            assert!(!is_plain(shaped.as_bytes()), "{shaped}");
        }
    }
}
