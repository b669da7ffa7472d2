//! A text that YAML folds → its one line: what stands below a `>` means what it would mean on one.

use std::ops::Range;

/// The longest text that is folded; the rest of a longer one is left out.
const MAX_TEXT: usize = 4 << 10;

/// The lines of the text that the line `head` of `text` announces, as one; and where they end.
pub(super) fn below(text: &[u8], head: Range<usize>) -> Option<(Vec<u8>, usize)> {
    let line = text[head.clone()].trim_ascii_end();
    let name = line.strip_suffix(b">").or_else(|| line.strip_suffix(b">-")).or_else(|| line.strip_suffix(b">+"))?;
    if !name.ends_with(b": ") && !name.ends_with(b"- ") {
        return None;
    }
    let outer = indentation(line);
    let mut folded = Vec::new();
    let mut at = head.end + 1;
    let cap = text.len().min(at + MAX_TEXT);
    while at < cap {
        let end = memchr::memchr(b'\n', &text[at..cap]).map_or(cap, |n| at + n);
        let line = &text[at..end];
        let words = line.trim_ascii();
        if !words.is_empty() && indentation(line) <= outer {
            break;
        }
        folded.extend_from_slice(words);
        folded.push(if words.is_empty() { b'\n' } else { b' ' });
        at = end + 1;
    }
    (!folded.is_empty()).then_some((folded, at))
}

fn indentation(line: &[u8]) -> usize {
    line.iter().take_while(|b| **b == b' ').count()
}

#[cfg(test)]
mod tests {
    use super::below;

    #[test]
    fn a_folded_text_is_one_line_up_to_what_is_not_below_its_head() {
        for (text, want) in [
            ("- >\n  a b\n  | c\nd", "a b | c "),
            ("  run: >-\n    a\n    b\r\n  c: d\n", "a b "),
            ("a: >+\n  b\n\n  c", "b \nc "),
        ] {
            let end = text.find('\n').expect("a head");
            let (folded, at) = below(text.as_bytes(), 0..end).expect("folded");
            assert_eq!(String::from_utf8_lossy(&folded), want, "{text:?}");
            assert!(at <= text.len() + 1);
        }
        for text in ["a >\n  b", "<p>\n  b", "x -->\n  b", "a: |\n  b", "a: >", "a: >\nb"] {
            assert_eq!(below(text.as_bytes(), 0..text.find('\n').unwrap_or(text.len())), None, "{text:?}");
        }
    }
}
