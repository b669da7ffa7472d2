//! `cu<b>rl</b>` → `curl`: tags within lines, which a reader of the page does not see.

use super::{Unwrap, Voice, patch::Patch};
use memchr::{memchr, memchr_iter, memmem};
use posture::Encoding;

/// The longest tag looked at.
const LONGEST: usize = 256;
/// Elements that begin no new line or cell.
const INLINE: &[&[u8]] = &[
    b"a", b"abbr", b"b", b"code", b"em", b"font", b"i", b"kbd", b"mark", b"s", b"samp", b"small", b"span", b"strong",
    b"sub", b"sup", b"tt", b"u", b"var", b"wbr",
];

/// Shows `text` without the tags that begin no new line.
pub(super) fn decode(w: &mut Unwrap<'_>, text: &[u8], name: Option<&[u8]>, voice: Voice) {
    if memchr(b'<', text).is_none() || memmem::find(text, b"</").is_none() {
        return;
    }
    let mut found = tags(text).peekable();
    if found.peek().is_none() || !w.afford(text.len()) {
        return;
    }
    let buffer = w.buffer();
    let out = w.deeper(Encoding::Html, |w| {
        let mut patch = Patch::new(text, buffer, |t: &[u8]| w.text(t, name, voice));
        found.for_each(|(start, end)| patch.replace(start, end, b""));
        patch.finish()
    });
    w.give_back(out.unwrap_or_default());
}

/// Runs of inline tags.
fn tags(text: &[u8]) -> impl Iterator<Item = (usize, usize)> {
    let mut done = 0;
    memchr_iter(b'<', text).filter_map(move |start| {
        if start < done {
            return None;
        }
        let mut end = start;
        while let Some(len) = inline_tag(&text[end..]) {
            end += len;
        }
        done = end;
        (end > start).then_some((start, end))
    })
}

/// The length of the inline tag `text` begins with.
fn inline_tag(text: &[u8]) -> Option<usize> {
    let rest = text.strip_prefix(b"<")?;
    let rest = rest.strip_prefix(b"/").unwrap_or(rest);
    let name = rest.iter().take(8).take_while(|b| b.is_ascii_alphabetic()).count();
    INLINE.iter().find(|n| n.eq_ignore_ascii_case(&rest[..name]))?;
    matches!(rest.get(name), Some(b'>' | b' ' | b'/')).then_some(())?;
    memchr(b'>', &text[..text.len().min(LONGEST)]).map(|at| at + 1)
}

#[cfg(test)]
mod tests {
    use super::tags;

    #[test]
    fn only_inline_tags_count() {
        let found = |text: &str| tags(text.as_bytes()).map(|(a, b)| text[a..b].to_owned()).collect::<Vec<_>>();
        assert_eq!(found("cu<b>r</b>l"), ["<b>", "</b>"]);
        assert_eq!(found("a</span><span class=\"k\">b"), ["</span><span class=\"k\">"]);
        for none in ["<p>a</p><p>b</p>", "a<div>b", "bash <(curl x)", "x</dev/tcp/h/1", "1<b", "a<b c", "<"] {
            assert!(found(none).is_empty(), "{none}");
        }
    }
}
