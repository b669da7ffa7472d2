//! A table of a database, of Markdown or of values between commas → which cell stands below which name.
//!
//! The head of a column is the name of what stands in it. Looked at only around a name or a value that is a cell of its own.

use std::ops::Range;

/// How far a table is looked at from a cell, in lines and in bytes.
const MOST_LINES: usize = 16;
const MOST_BYTES: usize = 4 << 10;
/// The longest line of a table.
const LONGEST: usize = 512;

/// A column of a table: the bytes between which its cells stand, and how many of them stand before it on a line; or how far
/// from the line's beginning its cells begin, where no more than blanks set them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Column {
    Between { separator: u8, number: usize, all: usize },
    At(usize),
}

/// The cells below the name at `name`, if that is the head of a column: as long as a value stands in one of two.
pub(super) fn below(text: &[u8], name: &Range<usize>, is_value: impl Fn(&Range<usize>) -> bool) -> Vec<Range<usize>> {
    let line = line(text, name.start);
    let Some(column) = column(text, &line, name) else { return Vec::new() };
    let mut cells = Vec::new();
    let cap = text.len().min(line.end + MOST_BYTES);
    let mut at = line.end + 1;
    let mut others = 0;
    for _ in 0..MOST_LINES {
        if at >= cap || others == 2 {
            break;
        }
        let row = at..memchr::memchr(b'\n', &text[at..cap]).map_or(cap, |n| at + n);
        at = row.end + 1;
        if is_rule(&text[row.clone()]) {
            continue;
        }
        let Some(cell) = column.cell(text, &row) else { break };
        others = if is_value(&cell) { 0 } else { others + 1 };
        cells.push(cell);
    }
    cells
}

/// The head of the column in which the cell at `cell` stands: what stands in the table's first row.
pub(super) fn head<'t>(text: &'t [u8], cell: &Range<usize>) -> Option<&'t [u8]> {
    let line = line(text, cell.start);
    let column = column(text, &line, cell)?;
    let floor = line.start.saturating_sub(MOST_BYTES);
    let mut start = line.start;
    let mut head = None;
    for _ in 0..MOST_LINES {
        let Some(end) = start.checked_sub(1).filter(|end| *end > floor) else { break };
        let row = memchr::memrchr(b'\n', &text[floor..end]).map_or(floor, |n| floor + n + 1)..end;
        start = row.start;
        if is_rule(&text[row.clone()]) {
            continue;
        }
        let Some(cell) = column.cell(text, &row) else { break };
        head = Some(&text[cell]);
    }
    head
}

impl Column {
    /// Its cell in a row; `None` when that is no row of the table.
    fn cell(self, text: &[u8], row: &Range<usize>) -> Option<Range<usize>> {
        let line = &text[row.clone()];
        let (start, end) = match self {
            Self::Between { separator, number, all } => {
                if line.len() > LONGEST || memchr::memchr_iter(separator, line).count() != all {
                    return None;
                }
                let start = number
                    .checked_sub(1)
                    .map_or(Some(0), |n| memchr::memchr_iter(separator, line).nth(n).map(|at| at + 1))?;
                (start, memchr::memchr(separator, &line[start..]).map_or(line.len(), |n| start + n))
            }
            Self::At(start) => {
                if start > 0 && line.get(start - 1) != Some(&b' ')
                    || line.get(start).is_none_or(u8::is_ascii_whitespace)
                {
                    return None;
                }
                (start, memchr::memmem::find(&line[start..], b"  ").map_or(line.len(), |n| start + n))
            }
        };
        let cell = trimmed(line, start..end);
        Some(row.start + cell.start..row.start + cell.end)
    }
}

/// The column in which all of a cell stands that is at `cell` on its line.
fn column(text: &[u8], line: &Range<usize>, cell: &Range<usize>) -> Option<Column> {
    if line.len() > LONGEST || cell.end > line.end {
        return None;
    }
    let marks = |b: &u8| matches!(b, b' ' | b'"' | b'`' | b'\'' | b'*' | b'\r');
    let before = &text[line.start..cell.start];
    let behind = &text[cell.end..line.end];
    let left = before.iter().rposition(|b| !marks(b)).map(|at| before[at]);
    let right = behind.iter().find(|b| !marks(b)).copied();
    for separator in [b'|', b'\t', b','] {
        let edge = |b: Option<u8>| b.is_none_or(|b| b == separator);
        if edge(left) && edge(right) && (left.is_some() || right.is_some()) {
            let number = memchr::memchr_iter(separator, before).count();
            let all = number + memchr::memchr_iter(separator, behind).count();
            return Some(Column::Between { separator, number, all });
        }
    }
    let wide = |gap: &[u8]| gap.is_empty() || gap == b" " || gap == b"\r" || gap.starts_with(b"  ");
    let is_set_apart = wide(behind) && (before.is_empty() || before.ends_with(b"  "));
    (is_set_apart && !(before.trim_ascii().is_empty() && behind.trim_ascii().is_empty()))
        .then_some(Column::At(before.len()))
}

/// The line around `at`, as far as one of a table goes.
fn line(text: &[u8], at: usize) -> Range<usize> {
    let floor = at.saturating_sub(LONGEST);
    let cap = text.len().min(at + LONGEST);
    let start = memchr::memrchr(b'\n', &text[floor..at]).map_or(floor, |n| floor + n + 1);
    start..memchr::memchr(b'\n', &text[at..cap]).map_or(cap, |n| at + n)
}

/// Whether a line only draws the table.
fn is_rule(line: &[u8]) -> bool {
    line.len() > 2 && line.iter().all(|b| matches!(b, b'-' | b'+' | b'|' | b'=' | b':' | b' ' | b'\r'))
}

/// A part of a line without the blanks and quotes at its ends.
fn trimmed(line: &[u8], part: Range<usize>) -> Range<usize> {
    let off = |b: &u8| matches!(b, b' ' | b'"' | b'`' | b'\'' | b'\r' | b'*');
    let end = line[part.clone()].iter().rposition(|b| !off(b)).map_or(part.start, |n| part.start + n + 1);
    part.start + line[part.start..end].iter().take_while(|b| off(b)).count()..end
}

#[cfg(test)]
mod tests {
    use super::{below, head};

    fn at(text: &str, word: &str) -> std::ops::Range<usize> {
        let start = text.find(word).expect("stands there");
        start..start + word.len()
    }

    #[test]
    fn the_cells_of_a_column_are_named_by_its_head() {
        for text in [
            " id | KEY  | at \n----+------+----\n  1 | abcd | x  \n  2 | efgh | y  \n(2 rows)\n",
            "+----+------+\n| id | KEY  |\n+----+------+\n|  1 | abcd |\n|  2 | efgh |\n+----+------+\n",
            "| id | `KEY` |\n| --- | --- |\n| 1 | `abcd` |\n| 2 | efgh |\n\nmore",
            "id,KEY,at\n1,\"abcd\",x\n2,efgh,y\n",
            "id\tKEY\n1\tabcd\r\n2\tefgh",
            "id|KEY\n1|abcd\n2|efgh\n",
            "id  KEY   at\n--  ----  --\n1   abcd  x\n2   efgh  y\n",
            "KEY  at\nabcd  x\nefgh  y",
        ] {
            let cells: Vec<&str> =
                below(text.as_bytes(), &at(text, "KEY"), |_| true).into_iter().map(|cell| &text[cell]).collect();
            assert_eq!(cells[..2], ["abcd", "efgh"], "{text}");
            assert_eq!(head(text.as_bytes(), &at(text, "efgh")), Some(&b"KEY"[..]), "{text}");
        }
    }

    #[test]
    fn what_is_no_cell_is_in_no_column() {
        for text in
            ["the KEY, and\nmore, of it", "KEY\nabcd", "KEY=1|2\nx|y", "f(KEY, a)\ng(b, c)", "a KEY b\nc abcd d"]
        {
            assert!(below(text.as_bytes(), &at(text, "KEY"), |_| true).is_empty(), "{text}");
        }
        let text = "a | KEY\nb | c | d";
        assert!(below(text.as_bytes(), &at(text, "KEY"), |_| true).is_empty());
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_looked_at_within_it(text in "[ab |,\t\n\"-]{0,120}", start: usize, len in 0_usize..4) {
            let start = start % (text.len() + 1);
            let cell = start..text.len().min(start + len);
            for cell in below(text.as_bytes(), &cell, |_| true) {
                proptest::prop_assert!(cell.start <= cell.end && cell.end <= text.len());
            }
            let _ = head(text.as_bytes(), &cell);
        }
    }
}
