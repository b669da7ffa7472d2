//! Base64, base32 and hexadecimal runs → what they spell, when it is text or something packed.
//!
//! Images, hashes and embeddings are runs too. A run's first bytes are decoded, and the rest only when they are plausible.

mod base32;

use super::{Unwrap, Voice, archive, binary, numbers, packed, percent::nibble, stretches::Stretches};
use crate::flow::detect::bits::Lanes;
use data_encoding::{Encoding as Alphabet, HEXLOWER_PERMISSIVE, Specification};
use memchr::{memchr_iter, memrchr};
use posture::Encoding;
use std::{ops::Range, sync::LazyLock};

/// Shorter runs are words.
pub(super) const SHORTEST: usize = 12;
/// Characters of a run that are decoded to see whether the rest is worth it.
const SAMPLE: usize = 16;
/// Characters of a run of which so much as its beginning is plausible that are decoded to see whether it was chance.
const MORE: usize = 256;
/// A beginning as long as this is hardly chance: of drawn bytes three in eight are of a text.
const LONG: usize = 12;
/// A shorter run is no form for programs that holds a text.
const SHORTEST_FORM: usize = 2 * SHORTEST;
/// A text has that many bytes at least that are not zero.
const MIN_BYTES: usize = 3;
/// Path segments of a run at which something may begin.
const MAX_SEGMENTS: usize = 8;
/// The longest segment that may follow what a run encodes.
const LAST_SEGMENT: usize = 64;

/// Both alphabets of RFC 4648 at once, without padding, and lenient about the last bits.
static BASE64: LazyLock<Alphabet> = LazyLock::new(|| {
    let mut spec = Specification::new();
    spec.symbols.push_str("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/");
    spec.translate.from.push_str("-_");
    spec.translate.to.push_str("+/");
    spec.check_trailing_bits = false;
    spec.encoding().expect("sixty-four distinct symbols and two translations to them")
});

/// The value of each character, as `BASE64` has it.
static SEXTETS: [u8; 256] = {
    let symbols = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut table = [0; 256];
    let mut value = 0;
    while value < symbols.len() {
        #[expect(clippy::cast_possible_truncation, reason = "counts to 63")]
        let sextet = value as u8;
        table[symbols[value] as usize] = sextet;
        value += 1;
    }
    (table[b'-' as usize], table[b'_' as usize]) = (62, 63);
    table
};

/// Which bytes are characters of the base64 alphabets.
#[inline]
fn of_base64(bytes: Lanes) -> Lanes {
    // The slash stands before the digits.
    let letters_and_digits = bytes.lower_case().within(b'a', b'z').or(bytes.within(b'/', b'9'));
    letters_and_digits.or(bytes.is(b'+')).or(bytes.is(b'-')).or(bytes.is(b'_'))
}

const fn in_base64(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'-' | b'_')
}

/// Which bytes are hexadecimal digits.
#[inline]
fn of_hex(bytes: Lanes) -> Lanes {
    bytes.lower_case().within(b'a', b'f').or(bytes.within(b'0', b'9'))
}

/// Shows what the runs of `text` decode to.
pub(super) fn decode(w: &mut Unwrap<'_>, text: &[u8], name: Option<&[u8]>, voice: Voice) {
    let mut after = 0;
    let mut runs = Stretches::new(text, of_base64);
    for run in runs.by_ref() {
        // The lines of a wrapped one are runs too.
        if run.start < after {
            continue;
        }
        after = hex(w, text, run.clone(), name, voice).unwrap_or_else(|| {
            // What only begins like base32 is the other's.
            let base32 = base32::decode(w, text, run.clone(), name, voice);
            base32.max(base64(w, text, run, name, voice))
        });
    }
    if !runs.numbers().is_empty() {
        numbers::decode(w, text, runs.numbers(), name, voice);
    }
}

/// Shows the hexadecimal stretches of a run; gives the end of what it used when they are most of it.
fn hex(w: &mut Unwrap<'_>, text: &[u8], run: Range<usize>, name: Option<&[u8]>, voice: Voice) -> Option<usize> {
    let run_end = run.end;
    let mut end = run_end;
    let run = &text[run];
    // Most runs are short: in those, a stretch has the middle.
    let middle = [run[SHORTEST - 1], run[run.len() - SHORTEST]];
    if run.len() < 2 * SHORTEST && !middle.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    let mut found = 0;
    for stretch in Stretches::new(run, of_hex) {
        let digits = &run[stretch];
        let digits = &digits[..digits.len() & !1];
        // Zeros are the same letter in base64, over and over.
        if digits.iter().any(u8::is_ascii_digit) {
            found += digits.len();
        }
        let mut sample = [0; SAMPLE * 3 / 4];
        let mut sampled = 0;
        for (byte, pair) in sample.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = nibble(pair[0]).unwrap_or(0) << 4 | nibble(pair[1]).unwrap_or(0);
            sampled += 1;
        }
        let begins = || HEXLOWER_PERMISSIVE.decode(&digits[..digits.len().min(MORE)]).unwrap_or_default();
        let promises = plausible(&sample[..sampled]) || (digits.len() >= SHORTEST_FORM && is_form(&begins()));
        if promises && says_something(digits) {
            let mut wrapped = w.buffer();
            wrapped.extend_from_slice(digits);
            if digits.len() == run.len() {
                end = unwrap_lines(text, end, run.len(), |b| b.is_ascii_hexdigit(), &mut wrapped);
                wrapped.truncate(wrapped.len() & !1);
            }
            if w.afford(wrapped.len() / 2) {
                let plain = HEXLOWER_PERMISSIVE.decode(&wrapped).unwrap_or_default();
                w.opened(Encoding::Hex, &wrapped, |w| inside(w, &plain, name, voice));
            }
            w.give_back(wrapped);
        }
    }
    (found > run.len() / 2 || end > run_end).then_some(end)
}

/// Whether hexadecimal digits are more than a small number behind many zeros, as those who count write it: the one or two
/// characters it would be, each in two bytes, are no text.
fn says_something(digits: &[u8]) -> bool {
    digits.chunks_exact(2).filter(|pair| *pair != b"00").nth(MIN_BYTES - 1).is_some()
}

/// Shows what a run of base64 decodes to; gives the end of what it used.
fn base64(w: &mut Unwrap<'_>, text: &[u8], run: Range<usize>, name: Option<&[u8]>, voice: Voice) -> usize {
    let Range { start, mut end } = run;
    let run = &text[start..end];
    // Behind a dot it is a part of a token, such as Vault's: it is told by that, not by what it holds.
    let of_token = text[..start].ends_with(b".");
    let Some(skip) = own(run, of_token) else { return end };
    let mut chars = w.buffer();
    chars.extend_from_slice(&run[skip..]);
    if skip < SHORTEST {
        end = unwrap_lines(text, end, run.len(), in_base64, &mut chars);
    }
    if w.afford(chars.len()) {
        let url = chars.iter().any(|b| matches!(b, b'-' | b'_'));
        let mut plain = w.buffer();
        plain.resize(chars.len(), 0);
        let len = decoded(&chars, &mut plain).map_or(0, <[u8]>::len);
        plain.truncate(len);
        // Nor does it always end with its own: what follows may be the next segment.
        if let Some(slash) = memrchr(b'/', &chars).filter(|at| *at >= SHORTEST && chars.len() - at <= LAST_SEGMENT)
            && !readable(&plain)
            && readable(&plain[..slash / 4 * 3])
            && !is_form(&plain[slash / 4 * 3..])
        {
            plain.truncate(slash * 3 / 4);
        }
        let by = if url { Encoding::Base64url } else { Encoding::Base64 };
        w.opened(by, &chars, |w| inside(w, &plain, name, voice));
        w.give_back(plain);
    }
    w.give_back(chars);
    end
}

/// Where what a run of base64 encodes begins, if it may be worth a look: a few characters, or path segments, may be another's.
fn own(run: &[u8], of_token: bool) -> Option<usize> {
    let segments = memchr_iter(b'/', run).map(|at| at + 1).take(MAX_SEGMENTS);
    let mut places = first_promising(run).into_iter().flatten().chain(segments.filter(|&at| promising_at(run, at)));
    let own = places.find(|&skip| {
        let mut sample = [0; SAMPLE];
        decoded(&run[skip..run.len().min(skip + SAMPLE)], &mut sample).is_some_and(plausible)
    });
    let mut more = [0; MORE];
    let mut more =
        |skip: usize, is: fn(&[u8]) -> bool| decoded(&run[skip..run.len().min(skip + MORE)], &mut more).is_some_and(is);
    if let Some(skip) = own {
        return (!more(skip, is_drawn)).then_some(skip);
    }
    // A name or a path of as many characters has no capitals.
    let begins = run.get(..SHORTEST_FORM).filter(|chars| !of_token && chars.iter().any(u8::is_ascii_uppercase));
    (begins.is_some() && more(0, is_form)).then_some(0)
}

/// Shows a decoded run.
pub(super) fn inside(w: &mut Unwrap<'_>, plain: &[u8], name: Option<&[u8]>, voice: Voice) {
    // Packed bytes may have as many zeros.
    match binary::utf16(plain).filter(|_| !packed::is(plain) && !archive::is(plain)) {
        Some(text) => {
            w.text(text.as_bytes(), name, voice);
            binary::between(w, plain, &text, name, voice);
        }
        None => w.text(plain, name, voice),
    }
}

/// Appends the lines that continue a run wrapped at `width`; gives the end of the last.
fn unwrap_lines(text: &[u8], mut end: usize, width: usize, own: fn(u8) -> bool, chars: &mut Vec<u8>) -> usize {
    loop {
        let rest = &text[end..];
        let Some(between) = to_next_line(rest) else { return end };
        let line = &rest[between..];
        let len = line.iter().take(width + 1).take_while(|b| own(**b)).count();
        let whole = matches!(line.get(len), None | Some(b'\r' | b'\n' | b'=' | b'"' | b'\'' | b'`' | b'<'));
        if len == 0 || len > width || !whole {
            return end;
        }
        chars.extend_from_slice(&line[..len]);
        end += between + len;
        if len < width {
            return end;
        }
    }
}

/// How far it is to the next line: indented, quoted as in a mail, or another literal that source code or a shell puts to
/// the one before.
fn to_next_line(text: &[u8]) -> Option<usize> {
    const MOST: usize = 16;
    let skip = |from: usize, of: &[u8]| from + text[from..].iter().take(MOST).take_while(|b| of.contains(b)).count();
    let quote = text.first().filter(|b| matches!(b, b'"' | b'\''));
    let mut at = usize::from(quote.is_some());
    if quote.is_some() {
        at = skip(skip(at, b" \t"), b"+.\\");
    } else if text.first() == Some(&b'\\') {
        at = 1;
    }
    at += usize::from(text.get(at) == Some(&b'\r'));
    if text.get(at) != Some(&b'\n') {
        return None;
    }
    at = skip(at + 1, b" \t>|#*");
    match quote {
        Some(quote) => (text.get(at) == Some(quote)).then_some(at + 1),
        None => Some(at),
    }
}

/// As much of `chars` as decodes, into `out`.
fn decoded<'o>(chars: &[u8], out: &'o mut [u8]) -> Option<&'o [u8]> {
    // One character left over carries no byte.
    let chars = if chars.len() % 4 == 1 { &chars[..chars.len() - 1] } else { chars };
    let len = BASE64.decode_len(chars.len()).ok()?;
    let len = BASE64.decode_mut(chars, out.get_mut(..len)?).ok()?;
    Some(&out[..len])
}

/// Characters that are looked at to see whether a run can begin anything [`plausible`]: six bytes.
const LOOK: usize = 8;
/// Characters at a run's beginning that may not be its own.
const OTHERS: usize = 4;

/// Which of the first places of a run can begin anything [`plausible`].
///
/// Most runs are neither text nor packed, and this look is all they cost: the bits of each place are those of the one
/// before, moved on by one character.
fn first_promising(run: &[u8]) -> [Option<usize>; OTHERS] {
    let mut places = [None; OTHERS];
    let mut bits = run[..LOOK - 1].iter().fold(0, |bits, c| with_sextet(bits, *c));
    for (skip, place) in places.iter_mut().enumerate() {
        if run.len() - skip < SHORTEST {
            break;
        }
        bits = with_sextet(bits, run[skip + LOOK - 1]);
        *place = can_begin(bits).then_some(skip);
    }
    places
}

/// Whether the characters of `run` from `at` on can begin anything [`plausible`].
fn promising_at(run: &[u8], at: usize) -> bool {
    run.len() - at >= SHORTEST && can_begin(run[at..at + LOOK].iter().fold(0, |bits, c| with_sextet(bits, *c)))
}

#[inline]
fn with_sextet(bits: u64, character: u8) -> u64 {
    bits << 6 | u64::from(SEXTETS[usize::from(character)])
}

/// Whether the six bytes in the lower part of `bits` can begin anything [`plausible`].
#[inline]
fn can_begin(bits: u64) -> bool {
    const EACH: u64 = 0x0101_0101_0101;
    let bits = bits & (EACH * 0xff);
    // Not zero when a byte is below the bound.
    let below = |bound: u64| bits.wrapping_sub(EACH * bound) & !bits & (EACH * 0x80);
    if below(1) != 0 {
        return true;
    }
    let deletes = (bits ^ (EACH * 0x7f)).wrapping_sub(EACH) & (EACH * 0x80);
    if below(0x20) == 0 && bits & (EACH * 0x80) == 0 && deletes == 0 {
        return true;
    }
    let [_, _, six @ ..] = bits.to_be_bytes();
    packed::is(&six) || (may_be_utf8(bits) && readable(&six))
}

/// Whether the six bytes in the lower part of `bits` may begin a text in UTF-8: none that goes on a character stands
/// where none has begun, nor does any other byte where one has. What no longer is one is found out at once.
#[inline]
fn may_be_utf8(bits: u64) -> bool {
    const FIRST: u64 = 0x80 << 40;
    const OTHERS: u64 = 0x0080_8080_8080;
    let high = bits & (FIRST | OTHERS);
    let begins = high & bits << 1;
    let goes_on = high & !begins;
    let after_beginning = begins >> 8;
    let after_ascii = !high >> 8;
    let out_of_place = (after_beginning & !goes_on | after_ascii & goes_on) & OTHERS;
    goes_on & FIRST == 0 && out_of_place == 0
}

/// Whether bytes that a text was decoded to say something, as a whole or somewhere near their beginning.
pub(super) fn may_be_read(bytes: &[u8]) -> bool {
    plausible(bytes) || is_form(&bytes[..bytes.len().min(MORE)])
}

/// Whether decoded bytes look like something a receiver would use: text, UTF-16 text, compressed data, or an archive.
fn plausible(bytes: &[u8]) -> bool {
    packed::is(bytes) || archive::is(bytes) || (bytes.len() >= 8 && readable(bytes)) || binary::utf16(bytes).is_some()
}

/// Whether bytes that begin like a text are drawn: one line in some ten thousand begins so, hardly one as far as a key or
/// a path reaches. Of those a quarter and more are high and make no character, and some are controls; texts in older
/// encodings have none of these, forms for programs few of those.
fn is_drawn(bytes: &[u8]) -> bool {
    if binary::printables(bytes).next().is_some_and(|begins| begins.len() >= LONG) {
        return false;
    }
    let controls =
        bytes.iter().filter(|b| b.is_ascii_control() && !matches!(b, 0 | b'\t' | b'\n' | b'\r' | 0x1b)).count();
    let high = || bytes.utf8_chunks().map(|chunk| chunk.invalid().len()).sum::<usize>();
    controls >= 2
        && controls * 32 >= bytes.len()
        && high() * 4 >= bytes.len()
        && !packed::is(bytes)
        && !archive::is(bytes)
        && binary::utf16(bytes).is_none()
}

/// Whether decoded bytes may be a form for programs: they begin like no text, and hold one.
fn is_form(bytes: &[u8]) -> bool {
    binary::printables(bytes).any(|text| text.len() >= LONG)
}

fn readable(bytes: &[u8]) -> bool {
    if bytes.iter().any(|&b| b < 0x20 && !matches!(b, b'\t' | b'\n' | b'\r' | 0x1b) || b == 0x7f) {
        return false;
    }
    match std::str::from_utf8(bytes) {
        Ok(_) => true,
        Err(e) => e.error_len().is_none() && e.valid_up_to() > 0,
    }
}

#[cfg(test)]
mod tests {
    use super::{can_begin, in_base64, is_drawn, may_be_utf8, of_base64, of_hex, packed, readable};
    use crate::flow::detect::bits::Block;
    use proptest::prelude::*;

    #[test]
    fn the_characters_of_both_alphabets_are_told_from_all_others() {
        for b in 0..=u8::MAX {
            let block = Block::at(std::slice::from_ref(&b), 0);
            assert_eq!(block.bits(of_base64) == 1, in_base64(b), "{b}");
            assert_eq!(block.bits(of_hex) == 1, b.is_ascii_hexdigit(), "{b}");
        }
    }

    #[test]
    fn drawn_bytes_are_told_from_texts_and_from_forms_for_programs() {
        let packed = b"\xc3\x1f\x8b\x02\xff\x9a\x7f\xe5k\x81\x03\xb4\xf0\x11\xd8\x95w\x80\xa6";
        assert!(is_drawn(&[b"plain text,", &packed[..], packed].concat()));
        assert!(!is_drawn(&[b"cat /etc/shadow", &packed[..], packed, packed].concat()), "junk behind a text");
        assert!(!is_drawn(&["Größe: 5".as_bytes(), " Ключ".as_bytes(), &packed[..], packed, packed].concat()));
        // "please read the file … now", in the encoding of mainland China, and as UTF-16 with more of it.
        let older = b"\xc7\xeb\xb6\xc1\xc8\xa1\xce\xc4\xbc\xfe .env \xcf\xd6\xd4\xda\xa3\xac\xd0\xbb\xd0\xbb";
        let wide: Vec<u8> = "cat ~/.env, 请读取文件".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let form = b"read\x12\x05/.env\x18\x01\x22\x02ok";
        for text in [
            &older[..],
            &wide,
            form,
            "прочитай .env сейчас".as_bytes(),
            b"SQLite format 3\0\x10\0\x01\x01\0\x40\x20\x20",
        ] {
            assert!(!is_drawn(text), "{text:?}");
        }
        assert!(!is_drawn(&[&b"\x1f\x8b\x08"[..], packed, packed].concat()), "something packed");
    }

    proptest! {
        #[test]
        fn what_is_readable_may_be_utf8(
            text in prop_oneof!["\\PC{1,6}", "[a-zé—😀\\t]{1,6}"], cut in 0..3_usize, more in any::<[u8; 6]>(), kept in 0..=6_usize
        ) {
            let bytes: Vec<u8> = text.bytes().skip(cut / 2).chain(more).take(6).collect();
            let mut six: [u8; 6] = bytes.try_into().unwrap();
            six[kept..].copy_from_slice(&more[kept..]);
            let bits = six.iter().fold(0, |bits, b| bits << 8 | u64::from(*b));
            prop_assert!(may_be_utf8(bits) || !readable(&six));
            prop_assert_eq!(can_begin(bits), six.contains(&0) || packed::is(&six) || readable(&six));
        }
    }
}
