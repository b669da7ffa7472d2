//! `c u r l   - s` → `curl -s`: characters set apart by blanks, closed up.

/// The fewest characters set apart by blanks that are closed up.
const LEAST: usize = 8;

/// The stretches of a text whose characters stand one by one between blanks, closed up, a line each.
pub(super) struct Spaced<'t> {
    text: &'t [u8],
    /// Where the last stretch that was looked at ends.
    done: usize,
    out: Vec<u8>,
}

/// Of a bit for each byte of a block, set for a blank: one for each eighth place from which on six bytes are every other
/// one a blank, and not all of them. A stretch of [`LEAST`] characters covers such a place, and the six bytes.
#[inline]
pub(super) fn stretches(blanks: u64) -> u64 {
    const EIGHTHS: u64 = u64::from_le_bytes([1; 8]);
    let even = blanks & blanks >> 2 & blanks >> 4;
    (even ^ even >> 1) & EIGHTHS
}

impl<'t> Spaced<'t> {
    pub(super) fn new(text: &'t [u8]) -> Self {
        Self { text, done: 0, out: Vec::new() }
    }

    /// From `at` on six bytes are every other one a blank.
    pub(super) fn stretch(&mut self, at: usize) {
        let Self { text, done, out } = self;
        if at < *done {
            return;
        }
        let blank = |at: usize| text.get(at) == Some(&b' ');
        let first = if [0, 2, 4].iter().all(|n| blank(at + n)) { at + 1 } else { at };
        // A gap between two words is one blank more.
        if [0, 2, 4].iter().filter(|n| blank(first + **n)).count() > 1 {
            return;
        }
        let mut start = first;
        while start >= *done + 2 && text[start - 1] == b' ' && text[start - 2] != b'\n' {
            start -= 2;
        }
        let before = out.len();
        *done = close_up(text, start, out);
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

#[cfg(test)]
mod tests {
    use crate::flow::detect::normalise::undone;

    fn closed_up(text: &[u8]) -> Option<Vec<u8>> {
        let [_, closed_up, ..] = undone(text);
        closed_up
    }

    #[test]
    fn characters_set_apart_close_up() {
        let apart = |text: &str| text.chars().map(String::from).collect::<Vec<_>>().join(" ");
        for text in ["sk-abcdefgh", "rm -rf --no-preserve-root /", "cat /etc/passwd"] {
            let line = [text, "\n"].concat();
            for before in 0..20 {
                let within = ["-".repeat(before), "\n".into(), apart(text), "\nmore words".into()].concat();
                let closed = closed_up(within.as_bytes()).unwrap();
                assert!(closed.ends_with(line.as_bytes()), "{within}");
            }
            assert_eq!(closed_up(apart(text).as_bytes()).unwrap(), line.as_bytes(), "{text}");
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
            assert_eq!(closed_up(text.as_bytes()), None, "{text}");
        }
    }
}
