//! Bytes that are no text → the texts among them.

use super::{Unwrap, Voice, archive, measured, packed};
use crate::flow::detect::bits::{BLOCK, Block};
use memchr::memchr;
use std::ops::Range;

/// Printable stretches shorter than this say nothing.
const SHORTEST: usize = 8;

/// How far is looked for what no text has.
const LOOK: usize = 4 << 10;

/// Whether `text` has a NUL early on: no text has, but for UTF-16.
pub(super) fn is(text: &[u8]) -> bool {
    memchr(0, &text[..text.len().min(LOOK)]).is_some()
}

/// Whether `text` has a control early on that is more than a blank, or begins with what is no character.
fn has_controls(text: &[u8]) -> bool {
    let blocks = text.len().min(LOOK).div_ceil(BLOCK);
    let starts_amid = matches!(text, [0x80..0xc0, ..] | [0xc0..=0xff, 0..0x80 | 0xc0..=0xff, ..]);
    starts_amid
        || (0..blocks).any(|n| {
            Block::at(text, n * BLOCK).bits(|b| b.within(0, 0x08).or(b.within(0x0e, 0x1a)).or(b.within(0x1c, 0x1f)))
                != 0
        })
}

/// Shows the measured strings of a form for programs that has no NUL.
pub(super) fn measured(w: &mut Unwrap<'_>, text: &[u8], name: Option<&[u8]>, voice: Voice) {
    let mut out = w.buffer();
    let found =
        if has_controls(text) { lines(text, &mut out) } else { strings(text, measured::throughout(text), &mut out) };
    if found && w.afford(out.len()) {
        // What is packed there is told to be left where it stands as a whole.
        if w.is_deepest() {
            w.show(&out, name, voice);
        } else {
            w.as_written(&out, name, voice);
        }
    }
    w.give_back(out);
}

/// Shows what is packed within it, UTF-16 as UTF-8, and the printable stretches, a line each.
pub(super) fn printable(w: &mut Unwrap<'_>, text: &[u8], name: Option<&[u8]>, voice: Voice) {
    archive::members(w, text, name, voice);
    if !w.afford(text.len()) {
        w.show(text, name, voice);
        return;
    }
    if let Some(plain) = utf16(text) {
        w.as_written(plain.as_bytes(), name, voice);
        return between(w, text, &plain, name, voice);
    }
    stretches(w, text, name, voice);
}

/// Shows what else is in what was read as UTF-16, unless it is that throughout: only its beginning said so, and
/// a short name has as many zeros behind it in an archive.
pub(super) fn between(w: &mut Unwrap<'_>, text: &[u8], plain: &str, name: Option<&[u8]>, voice: Voice) {
    let throughout =
        text.len().is_multiple_of(2) && plain.bytes().all(|b| b.is_ascii_graphic() || b.is_ascii_whitespace());
    if !throughout && w.afford(text.len()) {
        stretches(w, text, name, voice);
    }
}

/// Shows what is packed within `text`, and its printable stretches.
fn stretches(w: &mut Unwrap<'_>, text: &[u8], name: Option<&[u8]>, voice: Voice) {
    packed::within(w, text, name, voice);
    let mut out = w.buffer();
    lines(text, &mut out);
    wide(text, &mut out);
    w.as_written(&out, name, voice);
    w.give_back(out);
}

/// Appends the printable stretches of `text`, a line each, and before each those of its strings that are measured;
/// answers whether any is.
fn lines(text: &[u8], out: &mut Vec<u8>) -> bool {
    let mut measured = false;
    for run in printables(text).filter(|run| run.len() >= SHORTEST) {
        measured |= strings(text, measured::strings(text, &run), out);
        out.extend_from_slice(&text[run]);
        out.push(b'\n');
    }
    measured
}

/// What stands between texts that nothing joins.
const APART: &[u8] = b"\n\x0c\n";

/// Appends strings of `text`, each apart from the next; answers whether there are any.
fn strings(text: &[u8], strings: Vec<Range<usize>>, out: &mut Vec<u8>) -> bool {
    let before = out.len();
    for string in strings.into_iter().filter(|s| s.len() >= SHORTEST) {
        out.extend_from_slice(&text[string]);
        out.extend_from_slice(APART);
    }
    out.len() > before
}

/// Where `text` is printable: ASCII, and characters in UTF-8. A high byte alone belongs to none; there are many among
/// packed bytes, and between them names would come up that nobody wrote.
pub(super) fn printables(text: &[u8]) -> impl Iterator<Item = Range<usize>> {
    let mut end = 0;
    text.utf8_chunks().flat_map(move |chunk| {
        let mut start = end;
        end += chunk.valid().len() + chunk.invalid().len();
        let runs = chunk.valid().as_bytes().split(|b| b.is_ascii_control() && !matches!(b, b'\t' | b'\n' | b'\r'));
        runs.map(move |run| {
            let run = start..start + run.len();
            start = run.end + 1;
            run
        })
    })
}

/// Appends the stretches of ASCII written as UTF-16, of either order, a line each.
fn wide(text: &[u8], out: &mut Vec<u8>) {
    let mut after = 0;
    while let Some(nul) = memchr(0, &text[after..]).map(|at| after + at) {
        let start = nul.saturating_sub(1).max(after);
        let letters = text[start..].chunks_exact(2).take_while(|c| (0x20..0x7f).contains(&c[0]) && c[1] == 0);
        let before = out.len();
        out.extend(letters.map(|c| c[0]));
        let found = out.len() - before;
        let end = start + 2 * found;
        if found + 1 >= SHORTEST {
            out.push(b'\n');
            // Big end first, the last letter has its zero before it; little end first, it is something else.
            if let Some(last) = text.get(end).filter(|b| (0x20..0x7f).contains(*b)) {
                out.extend_from_within(before..before + found);
                out.extend([*last, b'\n']);
            }
        } else {
            out.truncate(before);
        }
        after = end.max(nul + 1).min(text.len());
    }
}

/// `text` read as UTF-16, little endian unless it says otherwise, when that is what it looks like.
pub(super) fn utf16(text: &[u8]) -> Option<String> {
    let (text, big) = match text {
        [0xff, 0xfe, rest @ ..] => (rest, false),
        [0xfe, 0xff, rest @ ..] => (rest, true),
        [0, ..] => (text, true),
        _ => (text, false),
    };
    let sample = &text[..text.len().min(64) & !1];
    let zeros = sample.iter().skip(usize::from(!big)).step_by(2).filter(|&&b| b == 0).count();
    if sample.len() < 8 || zeros * 2 < sample.len() / 2 {
        return None;
    }
    let units = text.chunks_exact(2).map(|c| {
        let pair = [c[0], c[1]];
        if big { u16::from_be_bytes(pair) } else { u16::from_le_bytes(pair) }
    });
    Some(char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).filter(|&c| c != '\0').collect())
}

#[cfg(test)]
mod tests {
    use super::{SHORTEST, printables};

    #[test]
    fn what_is_printable_ends_at_controls_and_at_high_bytes_that_make_no_character() {
        let shown = |text: &[u8]| -> Vec<String> {
            let long = printables(text).filter(|run| run.len() >= SHORTEST);
            long.map(|run| std::str::from_utf8(&text[run]).unwrap().to_owned()).collect()
        };
        assert_eq!(shown(b"\0\x01cat /srv/.env\0\x02"), ["cat /srv/.env"]);
        assert_eq!(shown("\0\u{1}cp größe/.env\tx\0".as_bytes()), ["cp größe/.env\tx"]);
        assert_eq!(shown(b"\0\xd7\xc9\xf2e4/.env\xdb\xee\xc5\xf0ab\x07\xc3"), [""; 0]);
    }
}
