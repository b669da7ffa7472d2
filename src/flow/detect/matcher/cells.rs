//! A command with pipes → whether it crosses the cells of a table: a row of one holds commands, and is none.

use memchr::memmem;
use std::ops::Range;

/// From the first border of a cell inside `matched` to behind the last, when they stand in a table's row.
///
/// A row begins and ends with a border. One in code, or behind a backslash, is a pipe; so is one in a box around a text.
/// What a match begins and ends with only guards it.
pub(super) fn borders(text: &[u8], matched: Range<usize>) -> Option<Range<usize>> {
    let inside = matched.start + 1..matched.end.max(matched.start + 2) - 1;
    let last = memchr::memrchr(b'|', text.get(inside.clone())?)? + inside.start;
    let start = memchr::memrchr(b'\n', &text[..last]).map_or(0, |n| n + 1);
    let end = memchr::memchr(b'\n', &text[last..]).map_or(text.len(), |n| last + n);
    let line = &text[start..end];
    if !is_row(line) && !is_row(literal(line, last - start)) || is_box(line, inside.start.saturating_sub(start)) {
        return None;
    }
    let first = start.max(inside.start);
    let is_border = |at: usize| (at == start || text[at - 1] != b'\\') && !is_in_code(&text[start..at]);
    let last = memchr::memrchr_iter(b'|', &text[first..=last]).map(|n| first + n).find(|at| is_border(*at))?;
    let first = memchr::memchr_iter(b'|', &text[first..=last]).map(|n| first + n).find(|at| is_border(*at))?;
    Some(first..last + 1)
}

/// Whether what follows `before`, on its line, is code: between as many backquotes, or in an element for it.
fn is_in_code(before: &[u8]) -> bool {
    let mut open = 0;
    let mut at = 0;
    while let Some(n) = memchr::memchr(b'`', &before[at..]) {
        let run = before[at + n..].iter().take_while(|b| **b == b'`').count();
        match open {
            0 => open = run,
            _ if open == run => open = 0,
            _ => {}
        }
        at += n + run;
    }
    let element = memchr::memrchr_iter(b'<', before).map(|n| &before[n + 1..]).find_map(|tag| {
        let (tag, opens) = tag.strip_prefix(b"/").map_or((tag, true), |tag| (tag, false));
        let name = &tag[..tag.iter().position(|b| !b.is_ascii_alphabetic()).unwrap_or(tag.len())];
        [&b"code"[..], b"kbd", b"pre", b"tt", b"samp"].iter().any(|e| e.eq_ignore_ascii_case(name)).then_some(opens)
    });
    open > 0 || element == Some(true)
}

/// Whether a row is a box around one text, in which the command from `from` stands: it has one pipe alone, and behind the
/// words before it is a colon or a prompt, or the box leaves more room at its edges than around the pipe.
fn is_box(line: &[u8], from: usize) -> bool {
    let bars: Vec<usize> = memchr::memchr_iter(b'|', line).take(4).collect();
    let &[first, pipe, last] = &bars[..] else { return false };
    let Some(before) = line.get(first + 1..from).map(<[u8]>::trim_ascii) else { return false };
    let wide = line[first + 1..].starts_with(b"  ") && line[..last].ends_with(b"  ");
    let aligned = line[..pipe].ends_with(b"  ") || line[pipe + 1..].starts_with(b"  ");
    before.ends_with(b":") || before.ends_with(b"$") || wide && !aligned
}

/// The line of a literal, on a line of code or JSON, in which the byte at `at` stands: all of it where there is none. One
/// may stand in another, its quotes escaped; a line's end that is written out, with no quote around it, sets off a row
/// whose cells blanks set off.
fn literal(line: &[u8], at: usize) -> &[u8] {
    let (before, after) = line.split_at(at);
    let quote = memchr::memrchr(b'"', before).filter(|quote| opens(before, *quote) || is_value(before, *quote));
    let ends_before = memmem::rfind(before, b"\\n").map(|n| n + 2);
    let Some(start) = quote.map(|quote| quote + 1).max(ends_before) else { return line };
    let end = [memchr::memchr(b'"', after), memmem::find(after, b"\\n")].into_iter().flatten().min();
    let row = &line[start..at + end.unwrap_or(after.len())];
    let row = &row[..row.iter().rposition(|b| *b != b'\\').map_or(0, |n| n + 1)];
    let is_set_off = row.starts_with(b"| ") && row.ends_with(b" |");
    if quote.is_some() || is_set_off { row } else { line }
}

/// Whether a value that is a row of its own begins with the quote: of those around it the escapes may be undone already.
fn is_value(text: &[u8], quote: usize) -> bool {
    let before = text[..quote].trim_ascii_end();
    text[quote + 1..].starts_with(b"| ") && matches!(before.last(), Some(b':' | b'[' | b',' | b'{'))
}

/// Whether the last quote of a text, at `quote`, begins a literal: of those escaped as often, in the one around it.
fn opens(text: &[u8], quote: usize) -> bool {
    let escapes = |at: usize| text[..at].iter().rev().take_while(|b| **b == b'\\').count();
    let level = escapes(quote);
    let quotes = memchr::memrchr_iter(b'"', &text[..=quote]).map(escapes);
    quotes.take_while(|other| *other >= level).filter(|other| *other == level).count() % 2 == 1
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
    use super::borders;

    fn first(text: &str) -> Option<usize> {
        let start = text.find("curl").expect("stands there");
        let end = text.rfind("sh").map_or(text.len(), |n| n + 2);
        borders(text.as_bytes(), start - 1..(end + 1).min(text.len())).map(|borders| borders.start)
    }

    #[test]
    fn a_border_is_told_from_a_pipe() {
        for text in [
            "| curl x | sh |",
            "a\n| `curl x` | `sh` |\nb",
            "> | curl x |sh|",
            "| a | curl x | y | sh |  \r\n",
            r#"{"a": "| curl x | sh |"}"#,
            r#"{\"a\": \"b\n| curl x | sh |\nc\"}"#,
            "text: | curl x | sh |\n",
            "| ``curl x`` | sh |",
            "| <code>curl x</code> | <code>sh</code> |",
            "|  curl x  |  sh  |",
            "| one: | curl x | sh |",
            r#"log: {"a": "{\"t\": \"| curl x | sh | it |\"}"}"#,
            r#"x "{\"t\": \"h\\n| curl x | sh | it |\\n\"}""#,
            r"x\n| curl x | sh | it |\ny",
            r#"log: {"a": "{"t": "| curl x | sh | it |"}"}"#,
        ] {
            let curl = text.find("curl").expect("stands there");
            assert_eq!(first(text), text[curl..].find('|').map(|n| curl + n), "{text}");
        }
    }

    #[test]
    fn a_match_of_nothing_has_no_borders() {
        for at in 0..4 {
            assert_eq!(borders(b"|a|", at..at), None, "{at}");
        }
    }

    #[test]
    fn a_pipe_is_told_from_a_border() {
        for text in [
            " curl x | sh |",
            "| curl x | sh",
            " curl x | sh",
            "| `curl x | sh` | it |",
            "| ``curl x | sh`` | it |",
            "| ``a ` curl x | sh`` |",
            "| <kbd>curl x | sh</kbd> | it |",
            "| <CODE class=a>curl x | sh</CODE> |",
            r"| curl x \| sh |",
            "| a |\n curl x | sh\n| b |",
            "| curl x sh|",
            "|  Run this: curl x | sh  |",
            "|  curl x | sh  |",
            "| $ curl x | sh |",
            "uname -n|curl x|sh|nl",
            r"echo n\n|curl x|sh|nl\n",
            r#"echo "a"| curl x | sh |"nl""#,
            r#"{"c": "echo \"a\"| curl x | sh |\"nl\""}"#,
        ] {
            assert_eq!(first(text), None, "{text}");
        }
    }
}
