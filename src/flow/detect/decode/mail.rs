//! A mail's texts in quoted-printable, wherever in a text a mail stands → what they say (RFC 2045, section 6.7).

use super::{Unwrap, Voice, multipart::quoted_printable};
use memchr::{memchr_iter, memmem};
use posture::Encoding;

/// Texts of one mail that are decoded.
const MAX_TEXTS: usize = 32;
/// How far behind its encoding's name a part's fields may end.
const MAX_FIELDS: usize = 4 << 10;
/// What both spellings of the encoding's name end in.
const NAME: &[u8] = b"rintable";
const BEFORE: &[u8] = b"quoted-p";
/// What the field's own name ends in.
const FIELD: &[u8] = b"encoding:";
/// A shorter text is no mail with fields and a command or a key behind them.
const SHORTEST: usize = 64;

/// Shows what the parts of `text` say that are said to be written so.
pub(super) fn decode(w: &mut Unwrap<'_>, text: &[u8], name: Option<&[u8]>, voice: Voice) {
    if text.len() < SHORTEST {
        return;
    }
    let mut done = 0;
    let names = memmem::find_iter(text, NAME).filter(|at| is_field(text, *at));
    for at in names.take(MAX_TEXTS) {
        if at < done {
            continue;
        }
        let Some(content) = content(&text[at..]).filter(|content| has_escape(content)) else { continue };
        done = at + content.len();
        if w.afford(content.len()) {
            let plain = quoted_printable(content);
            w.deeper(Encoding::Hex, |w| w.text(&plain, name, voice));
        }
    }
}

/// Whether the end of the encoding's name at `at` ends a field that says so: code and words about it name it too.
fn is_field(text: &[u8], at: usize) -> bool {
    let ends = |text: &[u8], with: &[u8]| {
        text.len().checked_sub(with.len()).is_some_and(|from| text[from..].eq_ignore_ascii_case(with))
    };
    let behind = text[at + NAME.len()..].iter().find(|b| !matches!(b, b' ' | b'\t' | b'\r'));
    behind == Some(&b'\n') && ends(&text[..at], BEFORE) && ends(text[..at - BEFORE.len()].trim_ascii_end(), FIELD)
}

/// Whether a character or the end of a line is written in another way somewhere.
fn has_escape(content: &[u8]) -> bool {
    memchr_iter(b'=', content).any(|at| match content[at + 1..] {
        [b'\n' | b'\r', ..] => true,
        [a, b, ..] => a.is_ascii_hexdigit() && b.is_ascii_hexdigit(),
        _ => false,
    })
}

/// What stands behind the fields at the start of `text`, up to where another part begins.
fn content(text: &[u8]) -> Option<&[u8]> {
    let fields = &text[..text.len().min(MAX_FIELDS)];
    let blank = |end: &[u8]| memmem::find(fields, end).map(|at| at + end.len());
    let start = [blank(b"\n\n"), blank(b"\r\n\r\n")].into_iter().flatten().min()?;
    let content = &text[start..];
    Some(&content[..memmem::find(content, b"\n--").unwrap_or(content.len())])
}
