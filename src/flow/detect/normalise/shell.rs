//! Shell text → plain words: continuations, `$IFS`, quotes and backslashes inside words, braces, variables, `$'…'`.
//!
//! No shell: only the lines that hold such a spelling are rewritten, each one once, and what is unclear stays.

mod expand;
mod functions;
mod makefile;
mod output;
mod parameter;
mod ticks;
mod variables;

use super::marks::{CERTAIN, CONTINUES, IN_LITERAL, IN_WORD, OPENS, Spells, TICK, in_word, means_itself};
use expand::{MAX_BRACES, MAX_QUOTED, MAX_VALUE, Plain, rewrite, simple};
use variables::{Variables, assignments};

/// Longest line rewritten; the rest of a longer one is left out.
const MAX_LINE: usize = 16 << 10;
const MAX_DEPTH: usize = 3;

/// What is written for each byte read, at most: a variable's value is longer than its name.
const MAX_GROWTH: usize = 4;

/// The lines of a text that spell something in a shell's way, rewritten plainly and in their order.
pub(super) struct Shell<'t> {
    text: &'t [u8],
    /// Its lines before that were looked at.
    done: usize,
    /// Looked for when the first line is rewritten.
    variables: Option<Variables>,
    joined: Vec<u8>,
    out: Plain,
}

impl<'t> Shell<'t> {
    pub(super) fn new(text: &'t [u8]) -> Self {
        Self {
            text,
            done: 0,
            variables: None,
            joined: Vec::new(),
            out: Plain::new(text.len() * MAX_GROWTH + MAX_VALUE),
        }
    }

    /// A mark stands at `at` that may spell something.
    pub(super) fn mark(&mut self, at: usize, spells: Spells) {
        if at < self.done {
            return;
        }
        let Self { text, done, .. } = *self;
        let spelt = spells & CERTAIN != 0
            || (spells & IN_WORD != 0 && breaks_word(text[at - 1], &text[at + 1..]))
            || (spells & OPENS != 0 && quotes_word(&text[at..]))
            || (spells & IN_LITERAL != 0 && breaks_literal_word(&text[at..]))
            || (spells & TICK != 0 && ticks::rest_of_word(&text[..at], &text[at..]).is_some());
        if !spelt && spells & CONTINUES == 0 {
            return;
        }
        let start = memchr::memrchr(b'\n', &text[done..at]).map_or(done, |n| done + n + 1);
        self.done = self.line(start, spelt);
    }

    /// `None` when no line spells anything.
    pub(super) fn finish(self) -> Option<Vec<u8>> {
        let Plain { bytes, .. } = self.out;
        (!bytes.is_empty()).then_some(bytes)
    }

    /// Rewrites the line that begins at `start`, with those it is continued on, if it is or if it spells something; answers
    /// where it ends.
    fn line(&mut self, start: usize, spelt: bool) -> usize {
        let Self { text, done, variables, joined, out } = self;
        let variables = variables.get_or_insert_with(|| Variables::used_in(text));
        assignments(&text[*done..start], *done, variables);
        joined.clear();
        let mut was_joined = false;
        let mut rest = &text[start..];
        let bare = loop {
            let end = memchr::memchr(b'\n', rest).map_or(rest.len(), |n| n + 1);
            let (line, after) = rest.split_at(end);
            rest = after;
            let bare = line.strip_suffix(b"\n").unwrap_or(line);
            let bare = bare.strip_suffix(b"\r").unwrap_or(bare);
            let continued =
                bare.strip_suffix(b"\\").or_else(|| bare.strip_suffix(b" ^")).or_else(|| bare.strip_suffix(b" `"));
            match continued {
                Some(head) if joined.len() < MAX_LINE && !rest.is_empty() => {
                    joined.extend_from_slice(head);
                    was_joined = true;
                }
                None if was_joined && !rest.is_empty() && is_comment(bare) => {}
                // It goes on without a mark that says so.
                None if was_joined
                    && joined.len() < MAX_LINE
                    && !rest.is_empty()
                    && bare.trim_ascii_end().ends_with(b"|") =>
                {
                    joined.extend_from_slice(bare);
                }
                _ => break bare,
            }
        };
        let whole: &[u8] = if was_joined {
            joined.extend_from_slice(bare);
            joined
        } else {
            bare
        };
        let whole = &whole[..whole.len().min(MAX_LINE)];
        assignments(whole, start, variables);
        if was_joined || spelt {
            variables.enter(start..text.len() - rest.len());
            out.braces = MAX_BRACES;
            rewrite(whole, variables, MAX_DEPTH, out);
            out.push(b'\n');
        }
        text.len() - rest.len()
    }
}

/// Whether a line within a command is a comment, as in a Dockerfile, and no part of a command that is commented out.
fn is_comment(line: &[u8]) -> bool {
    let text = line.trim_ascii_start();
    let word = text.iter().find(|b| !matches!(b, b'#' | b' ' | b'\t'));
    text.starts_with(b"#") && !matches!(word, Some(b'|' | b'&' | b'>' | b'<' | b'-'))
}

/// Whether a quote in the midst of a word, as in `r''m`, is more than an apostrophe of English.
fn breaks_word(before: u8, after: &[u8]) -> bool {
    let end = after.iter().position(|b| !b.is_ascii_alphanumeric()).unwrap_or(after.len());
    let closed = matches!(after.get(end), Some(b'\'' | b'"'));
    let english = matches!(after[..end], [b't' | b's' | b'd' | b'm'] | [b'r' | b'v', b'e'] | [b'l', b'l']);
    !(before.is_ascii_alphabetic() && english && !closed)
}

/// Whether a quote of a literal's own, behind a word, is no end of what it quotes: as in `"r\"m\" -rf"`.
fn breaks_literal_word(rest: &[u8]) -> bool {
    let after = rest.get(2..).unwrap_or_default();
    let after = if after.starts_with(&rest[..2]) { &after[2..] } else { after };
    after.first().is_some_and(|b| in_word(*b))
}

/// Whether a word stands in quotes it does not need, as in `"rm" -rf`.
fn quotes_word(quoted: &[u8]) -> bool {
    let inner = quoted[1..].iter().take(MAX_QUOTED + 1).take_while(|b| means_itself(**b)).count();
    let (inner, rest) = quoted[1..].split_at(inner);
    let blank = |b: Option<&u8>| b.is_none_or(u8::is_ascii_whitespace);
    !inner.is_empty() && rest.first() == quoted.first() && blank(rest.get(1)) && simple(inner)
}

#[cfg(test)]
mod tests;
