//! Base32 runs → what they spell (RFC 4648 section 6): capitals and the digits 2 to 7, as `base32` writes them.
//!
//! To whoever reads base64 they are a run as well, of bytes that say nothing. Sixteen such characters begin hardly any
//! other run, and are all that is looked at of one.

use super::{Unwrap, Voice, archive, inside, packed, readable, unwrap_lines};
use data_encoding::{Encoding as Alphabet, Specification};
use posture::Encoding;
use std::{ops::Range, sync::LazyLock};

/// Characters that are decoded to see whether the rest is worth it: two quanta.
const SAMPLE: usize = 16;
/// Characters of a quantum of 40 bits.
const QUANTUM: usize = 8;

/// Without padding, and lenient about the last bits.
static BASE32: LazyLock<Alphabet> = LazyLock::new(|| {
    let mut spec = Specification::new();
    spec.symbols.push_str("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567");
    spec.check_trailing_bits = false;
    spec.encoding().expect("thirty-two distinct symbols")
});

const fn in_base32(b: u8) -> bool {
    matches!(b, b'A'..=b'Z' | b'2'..=b'7')
}

/// Shows what a run decodes to; gives the end of what it used, its beginning where that is nothing.
pub(super) fn decode(w: &mut Unwrap<'_>, text: &[u8], run: Range<usize>, name: Option<&[u8]>, voice: Voice) -> usize {
    let own = &text[run.clone()];
    if !own.first_chunk().is_some_and(begins) {
        return run.start;
    }
    let len = own.iter().take_while(|b| in_base32(**b)).count();
    let mut end = run.start + len;
    let mut chars = w.buffer();
    chars.extend_from_slice(&own[..len]);
    if len == own.len() {
        end = unwrap_lines(text, end, len, in_base32, &mut chars);
    }
    if w.afford(chars.len()) {
        let plain = BASE32.decode(&chars[..whole(chars.len())]).unwrap_or_default();
        w.opened(Encoding::Base64, &chars, |w| inside(w, &plain, name, voice));
    }
    w.give_back(chars);
    end
}

/// Whether a run that begins so is base32 of a text or of something packed. Zeros are one letter over and over here as well.
fn begins(sample: &[u8; SAMPLE]) -> bool {
    sample.iter().all(|b| in_base32(*b))
        && BASE32.decode(sample).is_ok_and(|plain| readable(&plain) || packed::is(&plain) || archive::is(&plain))
}

/// How many of so many characters carry whole bytes: one, three or six beyond the quanta leave one over.
const fn whole(len: usize) -> usize {
    len - matches!(len % QUANTUM, 1 | 3 | 6) as usize
}

#[cfg(test)]
mod tests {
    use super::{BASE32, whole};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn as_many_characters_as_carry_bytes_are_decoded(text in "[A-Z2-7]{0,64}") {
            let plain = BASE32.decode(&text.as_bytes()[..whole(text.len())]).unwrap();
            prop_assert_eq!(plain.len(), text.len() * 5 / 8);
        }
    }
}
