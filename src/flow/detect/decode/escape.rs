//! `\x41`, `\101`, `\e[`, `\u0041`, `\u{41}`, `\n`, `%u0041` → what a program reading the text as a string literal sees.

use super::{Unwrap, Voice, percent::nibble};
use crate::flow::detect::{bits::places, patch::Patch};
use posture::Encoding;

/// A command line, or a few lines of a key.
const CONTEXT: usize = 256;

/// Shows `text` with the escapes of string literals undone.
pub(super) fn decode(w: &mut Unwrap<'_>, text: &[u8], name: Option<&[u8]>, voice: Voice) {
    let marks = || places(text, 0, |b| b.is(b'\\').or(b.is(b'%')));
    let Some(by) = marks().find_map(|at| strong(text, at)) else { return };
    if !w.afford(text.len()) {
        return;
    }
    let buffer = w.buffer();
    let out = w.deeper(by, |w| {
        let mut patch = Patch::new(text, CONTEXT, buffer, |t: &[u8]| w.text(t, name, voice));
        let mut done = 0;
        for at in marks() {
            if at < done {
                continue;
            }
            if let Some((unit, len)) = unit(&text[at..]) {
                let (unit, len) = surrogates(unit, len, &text[at + len..]);
                match unit {
                    Unit::Byte(b) => patch.replace(at, at + len, &[b]),
                    Unit::Code(code) => {
                        let c = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
                        patch.replace(at, at + len, c.encode_utf8(&mut [0; 4]).as_bytes());
                    }
                }
                done = at + len;
            }
        }
        patch.finish()
    });
    w.give_back(out.unwrap_or_default());
}

#[derive(Clone, Copy)]
enum Unit {
    Byte(u8),
    Code(u32),
}

/// The kind of an escape that is worth undoing a text for: a lone `\"` or `\\` hides nothing.
fn strong(text: &[u8], at: usize) -> Option<Encoding> {
    let before = at.checked_sub(1).map(|before| text[before]);
    let text = &text[at..];
    unit(text)?;
    match text {
        [b'%', ..] => Some(Encoding::Url),
        [_, b'x' | b'0'..=b'3' | b'e' | b'E', ..] => Some(Encoding::Hex),
        // A letter after an `n` that is none: what begins a line seems to stand in the middle of a word.
        [_, b'n', next, ..] if !(next.is_ascii_alphanumeric() || b"/~.$-_\\".contains(next)) => None,
        // The last: JSON within a text that is none itself.
        [_, b'u' | b'U' | b'n' | b'/', ..] | [_, b'\\', b'\\', b'"', ..] => Some(Encoding::Json),
        [_, b'"', ..] if matches!(before, Some(b'{' | b'[')) => Some(Encoding::Json),
        _ => None,
    }
}

/// One escape and its length.
fn unit(text: &[u8]) -> Option<(Unit, usize)> {
    let byte = |b| Some((Unit::Byte(b), 2));
    match *text {
        [b'%', b'u', ..] | [b'\\', b'u', b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F', ..] => {
            Some((Unit::Code(hex(text.get(2..6)?)?), 6))
        }
        [b'\\', b'u', b'{', ..] => {
            let len = text.iter().take(12).position(|&b| b == b'}')?;
            Some((Unit::Code(hex(&text[3..len])?), len + 1))
        }
        [b'\\', b'U', ..] => Some((Unit::Code(hex(text.get(2..10)?)?), 10)),
        [b'\\', b'x', ..] => Some((Unit::Byte(u8::try_from(hex(text.get(2..4)?)?).ok()?), 4)),
        [b'\\', a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', ..] => {
            Some((Unit::Byte((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0')), 4))
        }
        [b'\\', b'n', ..] => byte(b'\n'),
        [b'\\', b'r', ..] => byte(b'\r'),
        [b'\\', b't', ..] => byte(b'\t'),
        // As shells write what begins a control sequence.
        [b'\\', b'e' | b'E', b'[', ..] => byte(0x1b),
        [b'\\', b @ (b'"' | b'\'' | b'/' | b'\\'), ..] => byte(b),
        _ => None,
    }
}

/// Joins a surrogate pair written as two escapes (RFC 8259, section 7).
fn surrogates(first: Unit, len: usize, rest: &[u8]) -> (Unit, usize) {
    if let Unit::Code(high @ 0xd800..=0xdbff) = first
        && let Some((Unit::Code(low @ 0xdc00..=0xdfff), more)) = unit(rest)
    {
        return (Unit::Code(0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00)), len + more);
    }
    (first, len)
}

fn hex(digits: &[u8]) -> Option<u32> {
    if digits.is_empty() || digits.len() > 8 {
        return None;
    }
    digits.iter().try_fold(0_u32, |sum, &d| Some(sum << 4 | u32::from(nibble(d)?)))
}
