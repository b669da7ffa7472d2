//! Text → the same with everything any rule finds in it taken out: for a terminal, and for names that are kept.
//!
//! First all of it is taken out, then it is cut, then it is looked through again: no cut shows a part of a secret. What a
//! rule finds and what cannot be told where it stands, or what is found still after that, hides the whole text.

use super::dest;
use crate::flow::detect::{Hit, decode::View, matcher::Matcher, rule::RuleSet};
use memchr::{memchr, memmem, memrchr};
use posture::{Direction, Family, Word};
use std::{collections::HashSet, ops::Range, sync::Arc};

const HIDDEN: &str = "[redacted]";
/// What is found in text whose findings were taken out is taken out too, so often.
const ROUNDS: usize = 4;
/// How far around a hit secrets are looked for before anything around it is shown: the longest key fits.
const STRETCH: usize = 16 << 10;
/// Bytes shown on either side of a hit, on its line.
const SHOWN: usize = 64;
/// So many bytes of a secret are a piece of it.
const PIECE: usize = 8;
/// Pieces remembered of one text; of one with more nothing is shown.
const MAX_PIECES: usize = 1 << 18;
/// The longest word that is shown, and the longest number.
const MAX_WORD: usize = 12;
const MAX_DIGITS: usize = 4;
/// So many numbers in a row may be the bytes of a secret, with so much between two of them at most.
const LISTED: usize = 4;
const MAX_BETWEEN: usize = 3;

/// The text as it may be shown: `[REDACTED …]` for what a rule that is built in finds in it.
pub fn text(text: &str) -> String {
    clean(dest::embedded(), text.as_bytes()).unwrap_or_else(|| HIDDEN.to_owned())
}

/// What stands around the hits of one text.
pub struct Surroundings {
    matcher: Arc<Matcher>,
    pieces: HashSet<[u8; PIECE]>,
}

impl Surroundings {
    /// Those of a text that nothing was found in yet, with what these rules find taken out.
    pub fn new(rules: Arc<RuleSet>) -> Self {
        let embedded = dest::embedded();
        let matcher = if rules == *embedded.rules() { Arc::clone(embedded) } else { Arc::new(Matcher::new(rules)) };
        Self { matcher, pieces: HashSet::new() }
    }

    /// The line a hit stands on, as [`Surroundings::shows`] may let it be shown; `None` when there is nothing around it, or
    /// when it cannot be told where it stands.
    pub fn around(&mut self, hit: &Hit<'_>) -> Option<String> {
        let secret = !matches!(hit.direction, Direction::Inbound) || hit.rule.family() == Family::Canary;
        if secret && self.pieces.len() < MAX_PIECES {
            self.pieces.extend(hit.matched.windows(PIECE).filter_map(|piece| <[u8; PIECE]>::try_from(piece).ok()));
        }
        let span = hit.span.clone()?;
        let from = span.start.saturating_sub(STRETCH);
        let stretch = hit.view.get(from..hit.view.len().min(span.end + STRETCH))?;
        line(&self.matcher, stretch, span.start - from..span.end - from, &mark(hit.rule.id()))
    }

    /// Whether a line may be shown, once everything in the text was found: no piece of it is in the line.
    pub fn shows(&self, line: &str) -> bool {
        let holds = |piece: &[u8]| <&[u8; PIECE]>::try_from(piece).is_ok_and(|piece| self.pieces.contains(piece));
        self.pieces.len() < MAX_PIECES && !line.as_bytes().windows(PIECE).any(holds)
    }

    /// From here on those of another text.
    pub fn forget(&mut self) {
        self.pieces.clear();
    }
}

/// What stands in the place of what a rule found: not its own words, which are a command as they are.
fn mark(rule: &Word) -> String {
    format!("[REDACTED {rule}]")
}

/// What is found in a text, and what is shown in its place.
type Mark = (Range<usize>, String);

/// The line of `own`, its surroundings cut to what is shown.
fn line(matcher: &Matcher, text: &[u8], own: Range<usize>, mark: &str) -> Option<String> {
    let mut marks = marks(matcher, text)?;
    marks.push((own.clone(), mark.to_owned()));
    let marks = merged(marks);
    let at = marks.iter().position(|(range, _)| range.start <= own.start && own.end <= range.end)?;
    let (whole, before, after) = (&marks[at].0, &marks[..at], &marks[at + 1..]);

    // What is taken out takes no room.
    let from = before.iter().rev().fold(whole.start.saturating_sub(SHOWN), |from, (range, _)| {
        if range.end > from { from.saturating_sub(range.len()).min(range.start) } else { from }
    });
    let from = memrchr(b'\n', &text[..whole.start]).map_or(from, |n| from.max(n + 1));
    let to =
        after.iter().fold(
            whole.end + SHOWN,
            |to, (range, _)| {
                if range.start < to { (to + range.len()).max(range.end) } else { to }
            },
        );
    let to = to.min(memchr(b'\n', &text[whole.end..]).map_or(text.len(), |n| whole.end + n));
    // A word that the cut goes through is not shown.
    let cut = |at: usize| at > 0 && at < text.len() && is_of_word(text[at - 1]) && is_of_word(text[at]);
    let rest = |bytes: &mut dyn Iterator<Item = &u8>| bytes.take_while(|b| is_of_word(**b)).count();
    let begin = if cut(from) { from + rest(&mut text[from..whole.start].iter()) } else { from };
    let end = if cut(to) { to - rest(&mut text[whole.end..to].iter().rev()) } else { to };

    let (left, right) = (shown(text, before, begin..whole.start), shown(text, after, whole.end..end));
    if left.trim().is_empty() && right.trim().is_empty() {
        return None;
    }
    let dots = |is: bool| if is { "…" } else { "" };
    let line = format!("{}{}{mark}{}{}", dots(begin > from), left, right, dots(end < to));
    (clean(matcher, line.as_bytes())? == line).then(|| line.trim().to_owned())
}

/// A part of a text: its words, and its marks instead of what they stand for.
fn shown(text: &[u8], marks: &[Mark], part: Range<usize>) -> String {
    let mut out = String::new();
    let mut at = part.start;
    for (range, mark) in marks.iter().filter(|(range, _)| range.end > part.start && range.start < part.end) {
        out.push_str(&words(&text[at.min(range.start.max(part.start))..range.start.max(part.start)]));
        out.push_str(mark);
        at = range.end.max(at);
    }
    out.push_str(&words(&text[at.min(part.end)..part.end]));
    out
}

fn is_of_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_-+/=~".contains(&byte)
}

/// Words and numbers as they are; `…` for what no person would have written as one: it may be a secret no rule knows.
fn words(text: &[u8]) -> String {
    let ordinary = |part: &[u8]| {
        let rest = part.get(1..).unwrap_or_default();
        let one_case = rest.iter().all(u8::is_ascii_lowercase) || part.iter().all(u8::is_ascii_uppercase);
        let word = part.len() <= MAX_WORD && part.iter().all(u8::is_ascii_alphabetic) && one_case;
        word || (part.len() <= MAX_DIGITS && part.iter().all(u8::is_ascii_digit))
    };
    let runs: Vec<&[u8]> = text.chunk_by(|a, b| is_of_word(*a) == is_of_word(*b)).collect();
    let listed = listed(&runs);
    let mut out = Vec::with_capacity(text.len());
    for (run, is_listed) in runs.into_iter().zip(listed) {
        let is_run = run.first().is_some_and(|b| is_of_word(*b));
        let plain = run.len() <= 2 * MAX_WORD && run.split(|b| !b.is_ascii_alphanumeric()).all(ordinary);
        out.extend_from_slice(if !is_run || (plain && !is_listed) { run } else { "…".as_bytes() });
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Which runs, of words and of what stands between them, are numbers in a list: `103, 115, 107, 95`, `67 6c 70 61`. An
/// address's are not.
fn listed(runs: &[&[u8]]) -> Vec<bool> {
    let number = |run: &[u8]| {
        let digits = run.iter().all(u8::is_ascii_hexdigit) && (run.len() == 2 || run.iter().any(u8::is_ascii_digit));
        digits && run.len() <= MAX_DIGITS
    };
    let parts = |run: &[u8]| run.len() <= MAX_BETWEEN && run.iter().all(|b| !is_of_word(*b) && *b != b'.');
    let mut listed = vec![false; runs.len()];
    let mut from = 0;
    while from < runs.len() {
        let len = runs[from..].iter().take_while(|run| number(run) || parts(run)).count();
        let numbers = runs[from..from + len].iter().filter(|run| number(run)).count();
        listed[from..from + len].fill(numbers >= LISTED);
        from += len.max(1);
    }
    listed
}

/// The text with what is found in it taken out, until nothing is found.
fn clean(matcher: &Matcher, text: &[u8]) -> Option<String> {
    let mut text = text.to_vec();
    for _ in 0..ROUNDS {
        let marks = merged(marks(matcher, &text)?);
        if marks.is_empty() {
            return Some(String::from_utf8_lossy(&text).into_owned());
        }
        let mut next = Vec::with_capacity(text.len());
        let mut at = 0;
        for (range, snippet) in marks {
            next.extend_from_slice(&text[at..range.start]);
            next.extend_from_slice(snippet.as_bytes());
            at = range.end;
        }
        next.extend_from_slice(&text[at..]);
        text = next;
    }
    None
}

/// Everything that any rule finds, either way, wherever it stands; `None` when it cannot be told where.
fn marks(matcher: &Matcher, text: &[u8]) -> Option<Vec<Mark>> {
    let mut marks = Some(Vec::new());
    let view = View::plain(text);
    for direction in [Direction::Outbound, Direction::Inbound] {
        matcher.find(direction, &view, &mut |m| {
            let stands = m.span.clone().or_else(|| {
                let at = memmem::find(text, m.matched)?;
                Some(at..at + m.matched.len())
            });
            let (Some(found), Some(span)) = (marks.as_mut(), stands.filter(|span| !span.is_empty())) else {
                return marks = None;
            };
            // A value is reported once, and may stand in many places.
            let value = &text[span];
            found.extend(memmem::find_iter(text, value).map(|at| (at..at + value.len(), mark(m.rule.id()))));
        });
    }
    marks
}

/// Marks in their order, those that touch as one.
fn merged(mut marks: Vec<Mark>) -> Vec<Mark> {
    marks.sort_by_key(|(range, _)| (range.start, std::cmp::Reverse(range.end)));
    let mut out: Vec<Mark> = Vec::with_capacity(marks.len());
    for (range, snippet) in marks {
        match out.last_mut() {
            Some((last, _)) if range.start < last.end => last.end = last.end.max(range.end),
            _ => out.push((range, snippet)),
        }
    }
    out
}

#[cfg(test)]
mod tests;
