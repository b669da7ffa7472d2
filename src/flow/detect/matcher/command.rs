//! A keyword of a command → the commands on its line, or in the lines around it.

use super::{Found, cells, warned};
use crate::flow::detect::{
    normalise::control::written_colour,
    rule::{Rule, Sighted},
};
use posture::Severity;
use std::{borrow::Cow, ops::Range};

/// How far before a keyword a command may begin, on its line.
pub(super) const LINE_BEFORE: usize = 1 << 10;
/// How far after a keyword a command may end, on its line.
const LINE_AFTER: usize = 4 << 10;
/// The longest first word of a command, its folder included.
const MAX_WORD: usize = 128;
const BLOCK_BEFORE: usize = 768;
const BLOCK_AFTER: usize = 1536;
/// What a search is taken to read at least, in bytes: to know where a match ends takes a look behind it.
const LEAST_READ: usize = 256;
/// Of what is read where nothing matches, one byte in so many counts: a text without a match should not come to the point
/// where a looser regex has the last word.
const UNMATCHED: usize = 8;
/// Names that are looked at in one match: of what was fetched, something else may be run before it.
const MAX_NAMES: usize = 4;
/// Names that are passed over in one text; beyond, a match has the first one alone. Where texts name one thing and remove
/// another again and again, each such look costs as much as all else.
const MAX_PASSED: usize = 256;
/// The longest command or path kept of a match.
const MAX_MATCHED: usize = 1 << 10;

/// What a rule's searches of a message came to.
#[derive(Default)]
pub(super) struct Searches {
    /// In the text that is searched.
    sighted: Sighted,
    read: Read,
}

/// What a rule has read.
#[derive(Default)]
struct Read {
    /// Bytes of the message, by its regex.
    bytes: usize,
    /// Names it has passed over in the text that is searched.
    passed: usize,
}

impl Searches {
    /// The same where another text of the message begins.
    pub(super) fn of_another_text(self) -> Self {
        Self { sighted: Sighted::default(), read: Read { passed: 0, ..self.read } }
    }

    /// Bytes it takes beside its own.
    pub(super) fn held(&self) -> usize {
        self.sighted.held()
    }
}

/// Lines whose ends have no carriage return, which a mail, a form and a file of Windows have.
struct Unix {
    text: Vec<u8>,
    /// Where lines end in it that had one.
    ends: Vec<usize>,
}

impl Unix {
    /// `None` when no line of `text` has one.
    fn of(text: &[u8]) -> Option<Self> {
        let mut plain: Option<Self> = None;
        let mut from = 0;
        for at in memchr::memmem::find_iter(text, b"\r\n") {
            let plain = plain.get_or_insert_with(|| Self { text: Vec::with_capacity(text.len()), ends: Vec::new() });
            plain.text.extend_from_slice(&text[from..at]);
            plain.ends.push(plain.text.len());
            from = at + 1;
        }
        plain.as_mut()?.text.extend_from_slice(&text[from..]);
        plain
    }

    /// Where what stands at `at` stands in the text it was made of.
    fn written(&self, at: usize) -> usize {
        at + self.ends.partition_point(|end| *end < at)
    }
}

/// Tries a command whose first word stands at `at`; answers where a match ends.
pub(super) fn at_word(
    rule: &Rule,
    text: &[u8],
    at: usize,
    searches: &mut Searches,
    report: &mut dyn FnMut(Found<'_>),
) -> Option<usize> {
    let of_word = |b: &u8| {
        b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'~' | b'-' | b'/' | b'@' | b':' | b'%' | b'\\')
    };
    let floor = at.saturating_sub(MAX_WORD);
    let word = text[floor..at].iter().rposition(|b| !of_word(b)).map_or(floor, |n| floor + n + 1);
    let end = line_end(text, at);
    let begins_in = |start: usize| {
        let window = text[start..end].strip_prefix(b"\n").unwrap_or(&text[start..end]);
        rule.at_start().is_some_and(|regex| regex.is_match(window))
    };
    let begins = |word: usize| begins_in(word.saturating_sub(1));
    // A word may be glued to another by what no file's name ends in: `x:rm`, `\rm`.
    let glued = || at > word && matches!(text[at - 1], b':' | b'\\' | b'%');
    // A drive stands before its folders.
    let drive = || text[word..at].get(1) == Some(&b':');
    // A colour stands before it: its last letter is none of the word.
    let coloured = || {
        let letters = (word..at).filter(|n| text[*n] == b'm');
        letters.filter_map(|n| written_colour(text, n + 1)).any(begins_in)
    };
    (begins(word) || (glued() && begins(at)) || (drive() && begins(word + 2)) || coloured())
        .then(|| line(rule, text, at, searches, report))
}

/// Searches the lines around `at`; answers how far it has looked.
pub(super) fn block(
    rule: &Rule,
    text: &[u8],
    at: usize,
    searches: &mut Searches,
    report: &mut dyn FnMut(Found<'_>),
) -> usize {
    let (start, end) = (at.saturating_sub(BLOCK_BEFORE), text.len().min(at + BLOCK_AFTER));
    let window = &text[start..end];
    if rule.may_match(window) {
        let plain = Unix::of(window);
        let (lines, parts) = match &plain {
            Some(plain) => (&plain.text[..], rule.parts(&plain.text)),
            None => (window, rule.parts_in(text, start..end, BLOCK_BEFORE + BLOCK_AFTER, &mut searches.sighted)),
        };
        let written = |at| start + plain.as_ref().map_or(at, |plain| plain.written(at));
        for part in parts {
            matches(rule, lines, part, &mut searches.read, &mut |whole| command(rule, lines, whole, &written, report));
        }
    }
    if end == text.len() { end } else { end - BLOCK_BEFORE }
}

/// Searches the line around `at`; answers how far it has looked.
pub(super) fn line(
    rule: &Rule,
    text: &[u8],
    at: usize,
    searches: &mut Searches,
    report: &mut dyn FnMut(Found<'_>),
) -> usize {
    let (start, end) = (line_start(text, at), line_end(text, at));
    let is_cut = end == at + LINE_AFTER && end < text.len();
    let window = &text[start..end];
    for part in rule.parts(window) {
        matches(rule, window, part, &mut searches.read, &mut |whole| {
            command(rule, window, whole, &|at| start + at, report);
        });
    }
    if is_cut { end - LINE_BEFORE } else { end }
}

/// Where the line at `at` begins, as far as it is looked at, with those before it that go on in it.
fn line_start(text: &[u8], at: usize) -> usize {
    let floor = at.saturating_sub(LINE_BEFORE);
    let begin = |end: usize| memchr::memrchr(b'\n', &text[floor..end]).map_or(floor, |n| floor + n + 1);
    let mut start = begin(at);
    // Where the command begins if the comments before that stand behind no open line.
    let mut first = None;
    while start > floor {
        let before = begin(start - 1);
        let line = &text[before..start - 1];
        if ends_open(line) || goes_before(line, &text[start..]) {
            first = None;
        } else if is_comment(line) {
            first = first.or(Some(start));
        } else {
            break;
        }
        start = before;
    }
    first.unwrap_or(start)
}

/// Where the line at `at` ends, as far as it is looked at, with those behind it in which it goes on.
fn line_end(text: &[u8], at: usize) -> usize {
    let cap = text.len().min(at + LINE_AFTER);
    let mut start = at;
    // A line that is open is followed by what it goes on in, be that behind comments.
    let mut open = false;
    while let Some(n) = memchr::memchr(b'\n', &text[start..cap]) {
        let line = &text[start..start + n];
        open = (open && is_comment(line)) || ends_open(line);
        if !open && !goes_before(line, &text[start + n + 1..]) {
            return start + n;
        }
        start += n + 1;
    }
    cap
}

fn is_comment(line: &[u8]) -> bool {
    line.trim_ascii_start().starts_with(b"#")
}

/// Whether a line ends so that a shell reads on. A text of YAML begins behind `: |`, and a cell of Markdown ends behind a
/// backquote.
fn ends_open(line: &[u8]) -> bool {
    let line = trimmed(uncommented(line));
    line.strip_suffix(b"|")
        .map_or_else(|| line.ends_with(b"&&"), |line| !matches!(trimmed(line).last(), Some(b':' | b'`')))
}

/// Whether the next line begins with the pipe into which the line before it goes, as in PowerShell and in a text that
/// YAML folds. A row of a table begins so too.
fn goes_before(line: &[u8], next: &[u8]) -> bool {
    let next = &next[..next.len().min(LINE_AFTER)];
    let blanks = next.iter().take_while(|b| is_blank(**b)).count();
    if blanks == 0 || !matches!(next[blanks..], [b'|', b' ' | b'\t' | b'&', ..]) {
        return false;
    }
    let next = &next[blanks..memchr::memchr(b'\n', next).unwrap_or(next.len())];
    !trimmed(line).is_empty() && !trimmed(next).ends_with(b"|") && !cells::is_row(line)
}

/// A line without the comment behind the pipe, or the `&&`, that it ends with.
fn uncommented(line: &[u8]) -> &[u8] {
    let open = |at: &usize| {
        let before = trimmed(&line[..*at]);
        before.len() < *at && (before.ends_with(b"|") || before.ends_with(b"&&"))
    };
    memchr::memchr_iter(b'#', line).find(open).map_or(line, |at| &line[..at])
}

/// A text without the blanks at its end.
fn trimmed(text: &[u8]) -> &[u8] {
    &text[..text.iter().rposition(|b| !is_blank(*b)).map_or(0, |n| n + 1)]
}

const fn is_blank(b: u8) -> bool {
    matches!(b, b' ' | b'\t' | b'\r')
}

/// Tells of each match in a window, all of which stand in one part of it.
///
/// `read` is what the rule has read by then.
fn matches(rule: &Rule, window: &[u8], part: Range<usize>, read: &mut Read, on: &mut dyn FnMut(Range<usize>)) {
    let lines = window;
    // What follows a match is looked at too: whether a word, a line or the text ends there.
    let window = &window[..window.len().min(part.end + 1)];
    let mut at = part.start;
    if !rule.may_match_from(window, at) {
        return;
    }
    while at <= window.len() {
        let from = at;
        let found = if rule.names_again() {
            named_again(rule, window, at, &mut read.passed)
        } else {
            rule.regex_after(read.bytes).find_at(window, at).map(|whole| (whole.range(), true))
        };
        let Some((whole, is_one)) = found else { break };
        let borders = cells::borders(lines, whole.clone());
        at = borders.as_ref().map_or(whole.end + usize::from(whole.is_empty()), |borders| borders.end);
        if let Some(borders) = borders {
            // What goes on to the end of its line may stand in the one cell, too.
            if !rule.names_again()
                && let Some(whole) = rule.regex_after(read.bytes).find_at(&window[..borders.start], whole.start)
            {
                on(whole.range());
            }
        } else if is_one {
            on(whole);
        }
        read.bytes += (at - from).max(LEAST_READ);
    }
    read.bytes += window.len().saturating_sub(at) / UNMATCHED;
}

/// The first match from `at` on, and whether what it names again stands in it before: another name is passed over, a few
/// times, for one behind it.
fn named_again(rule: &Rule, window: &[u8], at: usize, passed: &mut usize) -> Option<(Range<usize>, bool)> {
    let mut text = Cow::Borrowed(window);
    let mut first = None;
    for _ in 0..MAX_NAMES {
        let Some(groups) = rule.regex().captures_at(&text, at) else { break };
        let (Some(whole), Some(again)) = (groups.get(0), groups.name("again")) else { break };
        let is_same = match groups.name("name") {
            Some(name) => name.as_bytes().eq_ignore_ascii_case(again.as_bytes()),
            None => names(&window[whole.start()..again.start()], again.as_bytes()),
        };
        let (whole, again) = (whole.range(), again.range());
        if is_same {
            return Some((whole, true));
        }
        if first.get_or_insert(whole.clone()).start != whole.start {
            break;
        }
        *passed += 1;
        if *passed > MAX_PASSED {
            break;
        }
        text.to_mut()[again].fill(0);
    }
    first.map(|whole| (whole, false))
}

/// Whether a file's name, without its folder and what calls it, or a variable's stands in `text`, in any case and as a
/// word of its own.
fn names(text: &[u8], again: &[u8]) -> bool {
    let before = |b: &u8| matches!(b, b'/' | b'\\' | b'&' | b'(' | b'"' | b'\'') || b.is_ascii_whitespace();
    let name = again.rsplit(before).next().unwrap_or_default();
    let of_word = |b: Option<&u8>| b.is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_');
    let begins = |at: usize| !of_word(name.first()) || !of_word(at.checked_sub(1).and_then(|n| text.get(n)));
    let ends = |at: usize| !of_word(name.last()) || !of_word(text.get(at + name.len()));
    !name.is_empty()
        && (0..text.len().saturating_sub(name.len() - 1))
            .any(|at| text[at..at + name.len()].eq_ignore_ascii_case(name) && begins(at) && ends(at))
}

/// Reports one command: its blanks made single, what stands around it left out.
///
/// `written` tells where a place of the window stands in the text.
fn command(
    rule: &Rule,
    window: &[u8],
    range: Range<usize>,
    written: &dyn Fn(usize) -> usize,
    report: &mut dyn FnMut(Found<'_>),
) {
    let mut whole = &window[range.clone()];
    if rule.except().is_some_and(|e| e.is_match(whole)) {
        return;
    }
    whole = &whole[..whole.len().min(MAX_MATCHED)];
    let edge = |b: &u8| b.is_ascii_whitespace() || matches!(b, b';' | b'&' | b'|' | b'"' | b'\'' | b'`' | b'(' | b')');
    let from = whole.iter().position(|b| !edge(b)).unwrap_or(0);
    let to = whole.iter().rposition(|b| !edge(b)).map_or(0, |n| n + 1);
    let mut matched = Vec::with_capacity(to.saturating_sub(from));
    for word in whole[from.min(to)..to].split(u8::is_ascii_whitespace).filter(|w| !w.is_empty()) {
        if !matched.is_empty() {
            matched.push(b' ');
        }
        matched.extend_from_slice(word);
    }
    let span = written(range.start)..written(range.end);
    let is_warned_of = warned::of(&window[..range.start + from], &window[range.start + to.max(from)..]);
    let severity = if is_warned_of { Severity::Low.min(rule.severity()) } else { rule.severity() };
    report(Found { severity, span, matched: Cow::Owned(matched) });
}

#[cfg(test)]
mod tests {
    use super::Unix;

    #[test]
    fn a_place_among_lines_is_told_as_it_was_written() {
        let text = b"a\r\nbc\n\rd\r\n\r\ne\r";
        let plain = Unix::of(text).expect("lines with a carriage return");
        assert_eq!(plain.text, b"a\nbc\n\rd\n\ne\r");
        for (at, byte) in plain.text.iter().enumerate().filter(|(_, b)| **b != b'\n') {
            assert_eq!(text[plain.written(at)], *byte);
        }
        assert_eq!(plain.written(plain.text.len()), text.len());
        assert!(Unix::of(b"a\nb\r").is_none() && Unix::of(b"").is_none());
    }
}
