//! Bytes that are no text → the strings in them that are measured: how long each is stands right before it.
//!
//! So do Protocol Buffers, CBOR, `MessagePack`, Avro and Thrift. A length, and what begins the next field right behind
//! a string, may each look like one more character of it. Where lengths lead from one string to the next as far as a
//! printable stretch goes, it is made of those.

use std::{collections::HashSet, ops::Range};

/// A shorter stretch holds nothing that could be hidden so.
const SHORTEST: usize = 16;
/// A shorter string says nothing.
const STRING: usize = 8;
/// Bytes behind the last string that may begin what comes next, and before the first one that may end what came last.
const SLACK: usize = 1;
const FIRST: usize = 4;
/// A message in a message in a message: those that are printable throughout.
const MAX_DEPTH: usize = 6;
/// Lengths looked at in a stretch: so many for each byte, and no more than those and one for each.
const STEPS_A_BYTE: usize = 8;
const STEPS: usize = 256;
/// How much is shown again of a stretch, in times of its length: what it is made of may be told in several ways.
const MAX_AGAIN: usize = 4;

/// What stands between two strings.
#[derive(Clone, Copy)]
enum Form {
    /// The number and kind of a field, and a length; or a field of another kind.
    Protobuf,
    /// The kind and the length in one byte, or in two; or a number.
    Cbor,
    /// One byte that says what comes, whatever it is, and a length.
    Tagged,
    /// A length.
    Bare,
    /// Twice the length, as for a number that may be below zero.
    Doubled,
}

const FORMS: [Form; 5] = [Form::Protobuf, Form::Cbor, Form::Tagged, Form::Bare, Form::Doubled];

/// Where a form goes on.
enum Step {
    /// What is no string ends there.
    To(usize),
    String(Range<usize>),
}

impl Form {
    /// What `text` has at `at`, where `end` is the end of what is printable.
    fn step(self, text: &[u8], at: usize, end: usize) -> Option<Step> {
        let (first, second) = (text[at], text[..end].get(at + 1).map(|b| usize::from(*b)));
        let string = |header: usize, len: usize| {
            let start = at + header;
            (start + len <= end).then(|| Step::String(start..start + len))
        };
        match self {
            Self::Protobuf if first < 8 => None,
            Self::Protobuf => match (first & 7, second) {
                (0, Some(_)) => Some(Step::To(at + 2)),
                (1, _) => Some(Step::To(at + 9)),
                // What is not printable throughout may be a message that begins so.
                (2, Some(len)) => string(2, len).or(Some(Step::To(at + 2))),
                (5, _) => Some(Step::To(at + 5)),
                _ => None,
            },
            Self::Cbor => match (first, second) {
                (0x40..=0x57 | 0x60..=0x77, _) => string(1, usize::from(first & 0x1f)),
                (b'X' | b'x', Some(len)) => string(2, len),
                (b'\t' | b'\n' | b'\r' | 0x20..=0x37, _) => Some(Step::To(at + 1)),
                (0x38, _) => Some(Step::To(at + 2)),
                _ => None,
            },
            Self::Tagged => string(2, second?),
            Self::Bare => string(1, usize::from(first)),
            Self::Doubled => string(1, usize::from(first / 2)).filter(|_| first % 2 == 0),
        }
    }
}

/// The measured strings of a printable stretch of `text`, as far as they are not the whole stretch: the likeliest first.
pub(super) fn strings(text: &[u8], stretch: &Range<usize>) -> Vec<Range<usize>> {
    if stretch.len() < SHORTEST {
        return Vec::new();
    }
    let Range { start, end } = *stretch;
    let steps = (STEPS_A_BYTE * stretch.len()).min(STEPS + stretch.len());
    let mut search = Search { text, end, steps, found: Vec::new() };
    // Where a length of which nothing is printable measures all that is, no other does.
    if lengths(&text[..start]).any(|len| len == stretch.len()) {
        search.string(start..end, 0);
        return worth_a_look(vec![search.found], stretch);
    }
    let mut ways = Vec::new();
    let forms = |first: usize| [Form::Protobuf, Form::Cbor].map(|form| (form, first..end));
    for (form, at) in forms(start) {
        search.way(form, at, &mut ways);
    }
    let likely = ways.len();
    // Nor, most often, where its last byte is.
    let is_alone = plain(&text[..=start]).any(|len| len == stretch.len() - 1);
    for first in start..start + FIRST {
        // What is told from the first bytes on is likelier than what is so from later ones.
        if first > start + 1 && !ways.is_empty() {
            break;
        }
        for (form, at) in forms(first).into_iter().filter(|_| first > start + 1) {
            search.way(form, at, &mut ways);
        }
        let fits =
            |len: &usize| (1..=end - first).contains(len) && (first == start || !is_alone || *len == end - first);
        for len in lengths(&text[..first]).filter(fits) {
            search.from(first..first + len, &mut ways);
        }
    }
    ways[likely..].sort_by_key(Vec::len);
    worth_a_look(ways, stretch)
}

/// The strings of all ways to make a stretch that are worth a look, as many as may be shown.
fn worth_a_look(ways: Vec<Vec<Range<usize>>>, stretch: &Range<usize>) -> Vec<Range<usize>> {
    let mut told = HashSet::new();
    let mut left = MAX_AGAIN * stretch.len();
    let mut strings = Vec::new();
    let says_more = |string: &Range<usize>| string.len() >= STRING && string != stretch;
    for string in ways.into_iter().flatten().filter(|s| says_more(s) && told.insert(s.clone())) {
        let Some(rest) = left.checked_sub(string.len()) else { break };
        left = rest;
        strings.push(string);
    }
    strings
}

/// The measured strings of a text that has nothing else, and no byte that is not printable.
pub(super) fn throughout(text: &[u8]) -> Vec<Range<usize>> {
    let form = if text.first() == Some(&b'x') { Form::Cbor } else { Form::Protobuf };
    let mut search = Search { text, end: text.len(), steps: STEPS, found: Vec::new() };
    search.walk(form, 0..text.len(), 0, 0);
    search.found
}

/// The lengths that may stand at the end of `before`, and the halves of them that count twice.
fn lengths(before: &[u8]) -> impl Iterator<Item = usize> {
    let doubled = plain(before).take(2).filter(|len| len % 2 == 0).map(|len| len / 2);
    plain(before).chain(doubled)
}

/// The lengths that may stand at the end of `before`: in one byte, in more of them, and in one that says more.
fn plain(before: &[u8]) -> impl Iterator<Item = usize> {
    let back = |n: usize| before.len().checked_sub(n).map(|at| usize::from(before[at]));
    let byte = back(1).unwrap_or_default();
    // Alone it says so behind its kind, since others mean something else.
    let kinds = [0x58, 0x78, 0x8c, 0xc4, 0xd9];
    let one = (byte < 0x80 || back(2).is_some_and(|kind| kinds.contains(&kind))).then_some(byte);
    let variable = back(2).filter(|b| *b >= 0x80 && byte < 0x80).map(|low| byte << 7 | low & 0x7f);
    let higher = back(2).filter(|b| (1..0x10).contains(b)).map(|high| high << 8 | byte);
    // The low byte first, and zeros behind it.
    let zeros = before.iter().rev().take(8).take_while(|b| **b == 0).count();
    let lower = back(zeros + 1).filter(|_| zeros > 0);
    let lower_two = back(zeros + 2).zip(lower).map(|(low, high)| high << 8 | low);
    let in_kind = matches!(byte, 0x40..=0x57 | 0x60..=0x77 | 0xa0..=0xbf).then_some(byte & 0x1f);
    [one, variable, higher, lower, lower_two, in_kind].into_iter().flatten()
}

/// A search of one stretch.
struct Search<'t> {
    text: &'t [u8],
    end: usize,
    /// Lengths that may be looked at still.
    steps: usize,
    found: Vec<Range<usize>>,
}

impl Search<'_> {
    /// Notes the ways in which `first` is a string and others follow it, or nothing does.
    fn from(&mut self, first: Range<usize>, ways: &mut Vec<Vec<Range<usize>>>) {
        let next = first.end;
        self.string(first, 0);
        let strings = std::mem::take(&mut self.found);
        if self.end - next <= SLACK {
            ways.push(strings);
            return;
        }
        for form in FORMS {
            self.found.clone_from(&strings);
            self.way(form, next..self.end, ways);
        }
    }

    /// Notes what was found and what stands there as this form has it, if that is all that stands there.
    fn way(&mut self, form: Form, at: Range<usize>, ways: &mut Vec<Vec<Range<usize>>>) {
        if self.walk(form, at, SLACK, 0) {
            ways.push(std::mem::take(&mut self.found));
        }
        self.found.clear();
    }

    /// Takes what stands there as this form has it, all of it but so many bytes at its end; `false` when it is none.
    fn walk(&mut self, form: Form, at: Range<usize>, slack: usize, depth: usize) -> bool {
        let Range { start: mut at, end } = at;
        let before = self.found.len();
        while at < end {
            let step = self.steps.checked_sub(1).and_then(|left| {
                self.steps = left;
                form.step(self.text, at, end)
            });
            match step {
                Some(Step::String(string)) => {
                    at = string.end;
                    self.string(string, depth);
                }
                Some(Step::To(next)) => at = next,
                None => break,
            }
        }
        let whole = at + slack >= end && (slack > 0 || at == end) && self.found.len() > before;
        if !whole {
            self.found.truncate(before);
        }
        whole
    }

    /// Takes a string, and those of which it is made where it may be a message.
    fn string(&mut self, string: Range<usize>, depth: usize) {
        if depth < MAX_DEPTH {
            self.walk(Form::Protobuf, string.clone(), 0, depth + 1);
        }
        self.found.push(string);
    }
}

#[cfg(test)]
mod tests {
    use super::{STEPS, strings, throughout};
    use std::ops::Range;

    fn told(text: &[u8], stretch: Range<usize>) -> Vec<String> {
        strings(text, &stretch).into_iter().map(|s| String::from_utf8_lossy(&text[s]).into_owned()).collect()
    }

    #[test]
    fn lengths_lead_from_one_string_to_the_next() {
        let name = "a name of twenty-six bytes";
        let key = "k".repeat(51);
        let of = |text: String, before: &[u8]| {
            told(&[before, text.as_bytes()].concat(), before.len()..before.len() + text.len())
        };
        // One field, and what begins the next one.
        assert_eq!(of(format!("3{key}"), b"\x12")[..1], [key.as_str()]);
        assert_eq!(of(format!("23{key}B"), b"\x01")[..1], [key.as_str()]);
        assert_eq!(of(format!("{name}\"3{key}"), &[0x1a, 26])[..2], [name, key.as_str()]);
        assert_eq!(of(format!("5\n3{key}"), &[0x12])[..1], [key.as_str()]);
        assert_eq!(of(format!("gapi_keyx3{key}dname"), b"\xa2")[..1], [key.as_str()]);
        assert_eq!(of(format!("{name}f{key}"), &[52])[..2], [name, key.as_str()]);
        // All of it is one string, or not any.
        assert_eq!(of(name.into(), &[0x1a, 26]), [""; 0]);
        assert_eq!(of("a text without a length, nor one before".into(), b"\xff"), [""; 0]);
    }

    #[test]
    fn a_text_is_one_form_or_none() {
        let text = |text: &[u8]| throughout(text).len();
        assert_eq!(text(b"\n\ta message*\x0cof two parts"), 2);
        assert_eq!(text(b"\n\ta message*\x0cof two parts, and more"), 0);
        assert_eq!(text(b"\n  a list\n  of lines\n"), 0);
        assert_eq!(text(b""), 0);
    }

    #[test]
    fn what_may_be_made_of_many_strings_is_looked_at_so_often_and_no_more() {
        for unit in ["a", " ", "\n", "\"\"", "b4", "x ", "(\"\t"] {
            let text = [b"\x01", unit.repeat(1 << 20).as_bytes()].concat();
            let found = strings(&text, &(1..text.len()));
            assert!(found.iter().map(Range::len).sum::<usize>() <= 4 * text.len(), "{unit}");
            assert!(found.len() <= STEPS + text.len(), "{unit}");
        }
    }
}
