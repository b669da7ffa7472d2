//! `cu<b>rl</b> &#x68;ttp:` → `curl http:`: a page as its reader sees it.

mod entity;

use super::{Unwrap, Voice};
use crate::flow::detect::{bits::places, patch::Patch};
use entity::reference;
use memchr::{
    memchr,
    memmem::{self, Finder},
};
use posture::Encoding;
use std::sync::LazyLock;

/// A command line and its neighbours.
const CONTEXT: usize = 256;
/// The longest tag looked at.
const LONGEST: usize = 256;
/// Elements that begin no new line or cell.
const INLINE: &[&[u8]] = &[
    b"a", b"b", b"i", b"s", b"u", b"em", b"tt", b"kbd", b"sub", b"sup", b"var", b"wbr", b"abbr", b"code", b"font",
    b"mark", b"samp", b"span", b"small", b"strong",
];

/// A bit for each letter an inline element's name begins with.
const INITIALS: u32 = {
    let (mut bits, mut n) = (0, 0);
    while n < INLINE.len() {
        bits |= 1 << (INLINE[n][0] - b'a');
        n += 1;
    }
    bits
};

/// Shows `text` without the tags that begin no new line and without comments, and with its character references replaced.
pub(super) fn decode(w: &mut Unwrap<'_>, text: &[u8], name: Option<&[u8]>, voice: Voice) {
    static CLOSING: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"</"));
    let tagged = CLOSING.find(text).is_some();
    let mut found = places(text, 0, |b| b.is(b'<').or(b.is(b'&')))
        .filter_map(|at| match text[at] {
            b'<' => match text[at + 1..].first() {
                Some(b'!') => unseen(text, at).map(|(start, end)| (start, end, None)),
                _ if tagged => inline_tag(&text[at..]).map(|len| (at, at + len, None)),
                _ => None,
            },
            b'&' => reference(&text[at + 1..]).map(|(c, len)| (at, at + 1 + len, Some(c))),
            _ => None,
        })
        .peekable();
    if found.peek().is_none() || !w.afford(text.len()) {
        return;
    }
    let buffer = w.buffer();
    let out = w.deeper(Encoding::Html, |w| {
        let mut patch = Patch::new(text, CONTEXT, buffer, |t: &[u8]| w.text(t, name, voice));
        let (mut done, mut utf8) = (0, [0; 4]);
        for (start, end, c) in found {
            // A tag's attributes may hold references.
            if start >= done {
                patch.replace(start, end, c.map_or(&b""[..], |c| c.encode_utf8(&mut utf8).as_bytes()));
                done = end;
            }
        }
        patch.finish()
    });
    w.give_back(out.unwrap_or_default());
}

/// From where to where nothing is seen of what begins at `at`: a comment, or where one piece of character data ends and
/// the next begins.
fn unseen(text: &[u8], at: usize) -> Option<(usize, usize)> {
    const DATA: &[u8] = b"<![CDATA[";
    let here = &text[at..text.len().min(at + LONGEST)];
    if here.starts_with(DATA) {
        let before = text[..at].strip_suffix(b"]]>").map_or(at, <[u8]>::len);
        return Some((before, at + DATA.len()));
    }
    let comment = here.strip_prefix(b"<!--")?;
    memmem::find(comment, b"-->").map(|len| (at, at + 4 + len + 3))
}

/// The length of the inline tag `text` begins with.
fn inline_tag(text: &[u8]) -> Option<usize> {
    let rest = text.strip_prefix(b"<")?;
    let rest = rest.strip_prefix(b"/").unwrap_or(rest);
    let first = rest.first()? | 0x20;
    if !first.is_ascii_lowercase() || INITIALS & 1 << (first - b'a') == 0 {
        return None;
    }
    let name = rest.iter().take(8).take_while(|b| b.is_ascii_alphabetic()).count();
    matches!(rest.get(name), Some(b'>' | b' ' | b'/')).then_some(())?;
    INLINE.iter().find(|n| n.len() == name && n[0] == first && n.eq_ignore_ascii_case(&rest[..name]))?;
    memchr(b'>', &text[..text.len().min(LONGEST)]).map(|at| at + 1)
}

#[cfg(test)]
mod tests {
    use super::inline_tag;

    #[test]
    fn only_inline_tags_are_passed_over() {
        for (text, len) in [("<b>x", 3), ("</SPAN>", 7), ("<span class=\"k\">x", 16), ("<br/>", 0), ("<wbr/>x", 6)] {
            assert_eq!(inline_tag(text.as_bytes()).unwrap_or(0), len, "{text}");
        }
        for other in ["<p>", "<div>", "<(curl x)", "</dev/tcp/h/1", "<b", "<", "<b c", "< b>", "<bash>", "b>"] {
            assert_eq!(inline_tag(other.as_bytes()), None, "{other}");
        }
    }
}
