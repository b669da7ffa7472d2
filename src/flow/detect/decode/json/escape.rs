//! A JSON string as written → as meant (RFC 8259, section 7).

use super::super::percent::nibble;
use crate::flow::detect::bits::{BLOCK, Block};

/// What the escapes of one character stand for; of any other, zero.
static SHORT: [u8; 256] = {
    let mut table = [0; 256];
    let escapes = [
        (b'n', b'\n'),
        (b't', b'\t'),
        (b'r', b'\r'),
        (b'b', 8),
        (b'f', 12),
        (b'"', b'"'),
        (b'\\', b'\\'),
        (b'/', b'/'),
    ];
    let mut n = 0;
    while n < escapes.len() {
        table[escapes[n].0 as usize] = escapes[n].1;
        n += 1;
    }
    table
};

/// Appends `raw` to `out` with its escapes undone.
///
/// A lone surrogate becomes U+FFFD, an escape JSON does not have stays as it is, one cut short at the end is left out.
pub(in super::super) fn undo(raw: &[u8], out: &mut Vec<u8>) {
    let before = out.len();
    // No escape is shorter than what it stands for.
    out.resize(before + raw.len(), 0);
    let len = undone(raw, &mut out[before..]);
    out.truncate(before + len);
}

/// Writes `raw` with its escapes undone to the beginning of `room`, and gives the length of what was written.
///
/// The room grows to what is needed, and a little more. What it holds already is written over.
pub(super) fn undo_within(raw: &[u8], room: &mut Vec<u8>) -> usize {
    let need = raw.len() + BLOCK;
    if room.len() < need {
        room.resize(need, 0);
    }
    undone(raw, room)
}

/// Writes `raw` to the beginning of `out`, which is as long at least; gives the length of what was written.
fn undone(raw: &[u8], out: &mut [u8]) -> usize {
    // Up to where was read and written.
    let (mut from, mut to) = (0, 0);
    for block in (0..raw.len()).step_by(BLOCK) {
        let mut escapes = Block::at(raw, block).bits(|b| b.is(b'\\'));
        while escapes != 0 {
            let at = block + escapes.trailing_zeros() as usize;
            escapes &= escapes - 1;
            if at < from {
                // It was the second character of an escape.
                continue;
            }
            copy(&raw[from..], at - from, &mut out[to..]);
            to += at - from;
            let Some(&second) = raw.get(at + 1) else { return to };
            match SHORT[usize::from(second)] {
                0 => {
                    let Some((c, len)) = long(&raw[at..]) else { return to };
                    to += c.encode_utf8(&mut out[to..]).len();
                    from = at + len;
                }
                meant => {
                    out[to] = meant;
                    to += 1;
                    from = at + 2;
                }
            }
        }
    }
    let rest = &raw[from..];
    out[to..to + rest.len()].copy_from_slice(rest);
    to + rest.len()
}

/// Copies the first `len` bytes of `text`. Few as a rule: then a block is copied where there is room for it, which asks
/// nothing of `len`. What comes next goes over the bytes beyond.
#[inline]
fn copy(text: &[u8], len: usize, out: &mut [u8]) {
    if len <= BLOCK
        && let (Some(block), Some(room)) = (text.first_chunk::<BLOCK>(), out.first_chunk_mut())
    {
        *room = *block;
    } else {
        copy_counted(&text[..len], out);
    }
}

/// A function apart, or the compiler makes both the same call.
#[inline(never)]
fn copy_counted(text: &[u8], out: &mut [u8]) {
    out[..text.len()].copy_from_slice(text);
}

/// What any other escape stands for and its length; `None` when it is cut short. An escape JSON does not have is a
/// backslash, and then what follows it.
fn long(raw: &[u8]) -> Option<(char, usize)> {
    let [_, b'u', rest @ ..] = raw else { return Some(('\\', 1)) };
    let Some(code) = unit(rest) else {
        let cut = rest.len() < 4 && rest.iter().all(u8::is_ascii_hexdigit);
        return (!cut).then_some(('\\', 1));
    };
    let (c, len) = match (code, rest.get(4..)) {
        (0xd800..=0xdbff, Some([b'\\', b'u', low @ ..])) => match unit(low) {
            Some(low @ 0xdc00..=0xdfff) => (char::from_u32(0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00)), 12),
            _ => (None, 6),
        },
        _ => (char::from_u32(code), 6),
    };
    Some((c.unwrap_or(char::REPLACEMENT_CHARACTER), len))
}

fn unit(digits: &[u8]) -> Option<u32> {
    digits.get(..4)?.iter().try_fold(0, |sum, &d| Some(sum << 4 | u32::from(nibble(d)?)))
}

#[cfg(test)]
mod tests {
    use super::{SHORT, long, undo, undo_within};
    use proptest::prelude::*;

    fn undone(raw: &str) -> String {
        let mut out = Vec::new();
        undo(raw.as_bytes(), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn escapes_are_undone() {
        for (raw, want) in [
            (r"a\u0026b", "a&b"),
            (r"\/etc\/passwd", "/etc/passwd"),
            (r#"\"\\\b\f\n\r\t"#, "\"\\\u{8}\u{c}\n\r\t"),
            (r"\ud83d\ude00", "😀"),
            (r"\uD83D", "\u{fffd}"),
            (r"\uD83Dx", "\u{fffd}x"),
            (r"\uD83D\u0041", "\u{fffd}A"),
            (r"\ude00\ud83d", "\u{fffd}\u{fffd}"),
            (r"\q", r"\q"),
            (r"\uzzzz", r"\uzzzz"),
            (r"cut\u00", "cut"),
            (r"cut\", "cut"),
        ] {
            assert_eq!(undone(raw), want, "{raw}");
        }
    }

    /// One byte after the other.
    fn plainly(mut raw: &[u8], out: &mut Vec<u8>) {
        while let Some((&b, rest)) = raw.split_first() {
            let meant = rest.first().map_or(0, |b| SHORT[usize::from(*b)]);
            if b != b'\\' {
                out.push(b);
                raw = rest;
            } else if meant != 0 {
                out.push(meant);
                raw = &rest[1..];
            } else if rest.is_empty() {
                return;
            } else {
                let Some((c, len)) = long(raw) else { return };
                out.extend(c.encode_utf8(&mut [0; 4]).bytes());
                raw = &raw[len..];
            }
        }
    }

    proptest! {
        #[test]
        fn block_by_block_is_as_byte_by_byte(
            parts in prop::collection::vec(
                (r#"(\\\\|\\n|\\"|\\q|\\|\\u00e9|\\ud83d|\\ude00|\\u1)?"#, prop_oneof!["[a-z]{0,9}", "[a-zé]{50,80}"]),
                0..12,
            )
        ) {
            let raw: String = parts.into_iter().flat_map(|(escape, plain)| [escape, plain]).collect();
            let mut want = b"before".to_vec();
            let mut out = want.clone();
            plainly(raw.as_bytes(), &mut want);
            undo(raw.as_bytes(), &mut out);
            prop_assert_eq!(&out, &want);
            // In a room that held something else.
            let len = undo_within(raw.as_bytes(), &mut out);
            prop_assert_eq!(&out[..len], &want[b"before".len()..]);
        }

        #[test]
        fn what_serde_wrote_is_read_back(text in any::<String>()) {
            let written = serde_json::to_string(&text).unwrap();
            prop_assert_eq!(undone(&written[1..written.len() - 1]), text);
        }
    }
}
