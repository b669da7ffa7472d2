//! A command with pipes → whether it crosses the cells of a table: a row of one holds commands, and is none.

use memchr::memmem;
use std::ops::Range;

/// The last border of a cell in `matched`, when it stands in a table's row.
///
/// A row begins and ends with a border. One in code, between backquotes, or behind a backslash is a pipe.
pub(super) fn border(text: &[u8], matched: Range<usize>) -> Option<usize> {
    let last = memchr::memrchr(b'|', &text[matched.clone()])? + matched.start;
    let start = memchr::memrchr(b'\n', &text[..last]).map_or(0, |n| n + 1);
    let end = memchr::memchr(b'\n', &text[last..]).map_or(text.len(), |n| last + n);
    if !is_row(&text[start..end]) && !is_row(literal(&text[start..end], last - start)) {
        return None;
    }
    let ticks = |to: usize| memchr::memchr_iter(b'`', &text[start..to]).count();
    let first = start.max(matched.start);
    let mut borders = memchr::memrchr_iter(b'|', &text[first..=last]).map(|n| first + n);
    borders.find(|&at| (at == start || text[at - 1] != b'\\') && ticks(at) % 2 == 0)
}

/// The line of a literal, on a line of code or JSON, in which the byte at `at` stands. Of the escapes between its lines the
/// backslash may be gone: to a shell it is none.
fn literal(line: &[u8], at: usize) -> &[u8] {
    let (before, after) = line.split_at(at);
    let quote = before.iter().rposition(|b| *b == b'"');
    let escape = memmem::rfind(before, b"\\n").map(|n| n + 1);
    let row = memmem::rfind(before, b"n|");
    let start = [quote, escape, row].into_iter().flatten().max().map_or(0, |n| n + 1);
    let quote = after.iter().position(|b| *b == b'"');
    let escape = memmem::find(after, b"\\n");
    let row = memmem::find(after, b"|n").map(|n| n + 1);
    let end = [quote, escape, row].into_iter().flatten().min().unwrap_or(after.len());
    let line = &line[start..at + end];
    line.strip_suffix(b"\\").unwrap_or(line)
}

/// Whether a line is a row; it may stand in a quotation, a patch or a comment, or behind a member's name.
pub(super) fn is_row(line: &[u8]) -> bool {
    let line = line.trim_ascii();
    let name = line.iter().position(|b| !b.is_ascii_alphanumeric() && *b != b'_').unwrap_or(line.len());
    let line = line[name..].strip_prefix(b": ").unwrap_or(line);
    let from = line.iter().position(|b| !matches!(b, b' ' | b'\t' | b'>' | b'+' | b'*' | b'#' | b'/'));
    let line = &line[from.unwrap_or(line.len())..];
    line.len() > 1 && line.starts_with(b"|") && line.ends_with(b"|")
}

#[cfg(test)]
mod tests {
    use super::border;

    #[test]
    fn a_border_is_told_from_a_pipe() {
        let border = |text: &str| {
            let start = text.find("curl").expect("stands there");
            let end = text.find("sh").map_or(text.len(), |n| n + 2);
            border(text.as_bytes(), start..end)
        };
        for text in [
            "| curl x | sh |",
            "a\n| `curl x` | `sh` |\nb",
            "> | curl x |sh|",
            "| a | curl x | y | sh |  \r\n",
            r#"{"a": "| curl x | sh |"}"#,
            r#"{\"a\": \"b\n| curl x | sh |\nc\"}"#,
            "x |n| curl x | sh |n| y |",
            "text: | curl x | sh |\n",
        ] {
            assert_eq!(border(text), text[..text.find("sh").expect("stands there")].rfind('|'), "{text}");
        }
        for text in [
            "curl x | sh |",
            "| curl x | sh",
            "curl x | sh",
            "| `curl x | sh` | it |",
            r"| curl x \| sh |",
            "| a |\ncurl x | sh\n| b |",
            "| curl x sh |",
        ] {
            assert_eq!(border(text), None, "{text}");
        }
    }
}
