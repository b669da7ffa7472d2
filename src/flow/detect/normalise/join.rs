//! Split literals → whole ones: `"sk-" + "abc"`, characters set apart by spaces, a token broken over lines.

use memchr::memchr2_iter;
use regex::bytes::Regex;
use std::sync::LazyLock;

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

/// The characters from `start` on that stand one by one between single blanks; at most `max` of them.
pub(crate) fn spaced(text: &[u8], start: usize, max: usize) -> Vec<u8> {
    let mut out = Vec::new();
    let mut at = start;
    while out.len() < max {
        let Some(&b) = text.get(at) else { break };
        if b.is_ascii_whitespace() {
            break;
        }
        out.push(b);
        match (text.get(at + 1), text.get(at + 2)) {
            (Some(b' '), Some(b' ')) if text.get(at + 3) == Some(&b' ') => {
                out.push(b' ');
                at += 4;
            }
            (Some(b' '), Some(_)) => at += 2,
            _ => break,
        }
    }
    out
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
    use super::{literals, spaced, unwrapped};

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
    fn spaced_characters_close_up_until_the_first_that_is_not() {
        assert_eq!(spaced(b"s k - a b c end", 0, 99), b"sk-abce");
        assert_eq!(spaced(b"plain", 0, 99), b"p");
        assert_eq!(spaced(b"a b c d", 0, 2), b"ab");
    }

    #[test]
    fn a_wrapped_token_closes_up() {
        assert_eq!(unwrapped(b"ab\r\n   cd\nef gh", 99), b"abcdef gh");
        assert_eq!(unwrapped(br"ab\ncd", 99), b"abcd");
    }
}
