//! `c u r l   - s` → `curl -s`: characters set apart by one mark, a blank or a line's end as a rule, closed up.

/// The fewest characters set apart that are closed up.
const LEAST: usize = 8;

/// The stretches of a text whose characters stand one by one between marks, closed up, a line each.
pub(super) struct Spaced<'t> {
    text: &'t [u8],
    /// Where the last stretch that was looked at ends.
    done: usize,
    out: Vec<u8>,
}

/// Of a bit for each byte of a block, set where it is the same as the second one behind it: one for each eighth place from
/// which on six bytes are every other one the same, and the others are not. A stretch of [`LEAST`] characters covers a place
/// and its six bytes, unless the three characters among them are one.
#[inline]
pub(super) fn stretches(same: u64) -> u64 {
    const EIGHTHS: u64 = u64::from_le_bytes([1; 8]);
    let even = same & same >> 2;
    (even ^ even >> 1) & EIGHTHS
}

/// What may set characters apart. A slash sets folders apart.
const fn sets_apart(mark: u8) -> bool {
    matches!(mark, b' ' | b'\t' | b'\n' | b'.' | b',' | b';' | b':' | b'|' | b'-' | b'_' | b'*' | b'+' | b'~' | b'#')
}

impl<'t> Spaced<'t> {
    pub(super) fn new(text: &'t [u8]) -> Self {
        Self { text, done: 0, out: Vec::new() }
    }

    /// From `at` on six bytes are every other one the same.
    pub(super) fn stretch(&mut self, at: usize) {
        let Self { text, done, out } = self;
        if at < *done {
            return;
        }
        let is_mark_first = text[at] == text[at + 2] && text[at] == text[at + 4];
        let (first, mark) = if is_mark_first { (at + 1, text[at]) } else { (at, text[at + 1]) };
        // A gap between two words is one mark more.
        let marks = [0, 2, 4].iter().filter(|n| text.get(first + **n) == Some(&mark)).count();
        if !sets_apart(mark) || marks > 1 {
            return;
        }
        let mut start = first;
        while start >= *done + 2 && text[start - 1] == mark && text[start - 2] != b'\n' {
            start -= 2;
        }
        let before = out.len();
        *done = close_up(text, mark, start, out);
        if out.len() - before < LEAST {
            out.truncate(before);
        } else {
            out.push(b'\n');
        }
    }

    /// `None` when nothing was closed up.
    pub(super) fn finish(self) -> Option<Vec<u8>> {
        (!self.out.is_empty()).then_some(self.out)
    }
}

/// Appends every second byte of `text` from `start` on, as long as `mark` stands between them; answers where that ends.
fn close_up(text: &[u8], mark: u8, start: usize, out: &mut Vec<u8>) -> usize {
    let mut at = start;
    while let Some(&b) = text.get(at) {
        // More than one blank for a space is a gap, and so is an empty line.
        let is_gap = b == b' ' && matches!(out.last(), Some(b' ' | b'\n'));
        if is_gap || b == b'\n' {
            break;
        }
        out.push(b);
        at += 1;
        if text.get(at) != Some(&mark) {
            break;
        }
        at += 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use crate::flow::detect::normalise::{marks::SHORT, undone};

    fn closed_up(text: &[u8]) -> Option<Vec<u8>> {
        let [_, closed_up, ..] = undone(text);
        closed_up
    }

    #[test]
    fn characters_set_apart_close_up() {
        for mark in [" ", "\n", "-", ".", ",", "|", "_"] {
            let apart = |text: &str| text.chars().map(String::from).collect::<Vec<_>>().join(mark);
            for text in ["sk-abcdefgh", "rm -rf --no-preserve-root /", "cat /etc/passwd"] {
                let line = [text, "\n"].concat();
                for before in 0..20 {
                    let within = ["=".repeat(before), "\n\n".into(), apart(text), "\n\nmore words".into()].concat();
                    let closed = closed_up(within.as_bytes()).unwrap();
                    assert!(closed.ends_with(line.as_bytes()), "{within}");
                }
                // A text so short is only looked at when it has many blanks.
                if apart(text).len() > SHORT {
                    assert_eq!(closed_up(apart(text).as_bytes()).unwrap(), line.as_bytes(), "{text}");
                }
            }
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
            "/a/b/c/d/e/f/g/h/i",
            "banana banana banana",
            "}\n\n}\n\n}\n\n}\n",
        ] {
            assert_eq!(closed_up(text.as_bytes()), None, "{text}");
        }
    }
}
