//! Paths: the token around a keyword, resolved, then judged as a whole.

mod excepted;
mod extent;
mod glob;
mod refused;
mod resolve;

use super::Found;
use crate::flow::detect::{normalise::control, rule::Rule};
use excepted::Excepted;
use extent::{broken, extent, in_braces, line_ends, trim, unmarked};
pub(super) use glob::said;
use refused::Refused;
use resolve::Path;
use std::{borrow::Cow, ops::Range};

/// The path looked at last: one keyword often brings several rules, and one path has several keywords.
#[derive(Default)]
pub(super) struct Last {
    span: Range<usize>,
    /// It was taken apart.
    read: bool,
    path: Path,
    /// The path with the ends of the lines beside it, when a line breaks in its midst; with its last wildcard, or
    /// without the marks of what it is written in.
    whole: Option<Path>,
    tried: Vec<usize>,
    refused: Refused,
    excepted: Excepted,
    /// Where it stands among the refused, if nothing but itself says what it is.
    place: Option<usize>,
}

/// The path around `keyword`, judged by the rule of that index once. A text that is `joined` was put together from what
/// was looked at before.
pub(super) fn find(
    (index, rule): (usize, &Rule),
    text: &[u8],
    keyword: Range<usize>,
    joined: bool,
    last: &mut Last,
    report: &mut dyn FnMut(Found<'_>),
) {
    if !last.span.contains(&keyword.start) {
        last.around(text, keyword);
    }
    if last.tried.contains(&index) {
        return;
    }
    last.tried.push(index);
    if last.place.is_some_and(|place| last.refused.has(place, index)) {
        return;
    }
    last.read(text);
    let whole = last.whole.as_ref().filter(|_| !rule.data().unbroken);
    let mut refused = !joined;
    for (path, put_together) in [(Some(&last.path), joined), (whole, true)] {
        let Some(path) = path.filter(|path| path.is_of(rule)) else { continue };
        if path.is_excepted(rule) {
            last.excepted.note(index, &path.resolved);
        } else if !put_together || !last.excepted.are_in(index, &path.resolved) {
            let matched = Cow::Borrowed(&path.resolved[..]);
            return report(Found { severity: rule.severity(), span: last.span.clone(), matched });
        }
        refused = false;
    }
    if let Some(place) = last.place.filter(|_| refused) {
        last.refused.note(place, index);
    }
}

impl Last {
    /// Bytes kept from one path to the next, as far as they are many.
    pub(super) fn held(&self) -> usize {
        self.refused.held() + self.excepted.held()
    }

    /// Another text begins.
    pub(super) fn forget(&mut self) {
        self.span = 0..0;
    }

    /// A text begins that has nothing to do with those before.
    pub(super) fn forget_exceptions(&mut self) {
        self.excepted = Excepted::default();
    }

    /// Looks at another path: no room is made anew for it.
    fn around(&mut self, text: &[u8], keyword: Range<usize>) {
        self.tried.clear();
        self.read = false;
        let Range { mut start, end } = extent(text, keyword);
        let called = text.get(end) == Some(&b'(') || start.checked_sub(1).is_some_and(|n| text[n] == b')');
        // What it is with one of the words in its braces, the rest of them says too.
        let is_list = text.get(end) == Some(&b',') && text[start..end].contains(&b'{');
        let [before, after] = line_ends(text, start..end);
        self.place = if called || is_list { None } else { self.refused.place([before, &text[start..end], after]) };
        // What is left of an escaped line end is no folder.
        if matches!(text[start..end], [b'\\', b'n' | b'r' | b't', b'/' | b'~' | b'.' | b'$', ..]) {
            start += 2;
        }
        // Nor is that of a colour.
        if start > 0 && matches!(text[start - 1], 0x1b | b';') {
            let behind = control::covers(text, start).filter(|behind| (start..end).contains(behind));
            self.place = self.place.filter(|_| behind.is_none());
            start = behind.unwrap_or(start);
        }
        self.span = start..end;
    }

    /// Takes the path apart, once.
    fn read(&mut self, text: &[u8]) {
        if std::mem::replace(&mut self.read, true) {
            return;
        }
        let Range { start, end } = self.span;
        self.whole = None;
        // `context().env`, `target()?.env` and `.env("A", "b")` are members, not files.
        let after_call = start.checked_sub(1).is_some_and(|n| text[n] == b')');
        let name = text[start..end].strip_prefix(b"?").filter(|_| after_call).unwrap_or(&text[start..end]);
        let is_called = text.get(end) == Some(&b'(') && !name.contains(&b'/');
        if name.starts_with(b".") && (after_call || is_called) {
            return self.path.resolve(b"");
        }
        let token = &text[start..end];
        let resolved = |path: &[u8]| {
            let mut whole = Path::default();
            whole.resolve(path);
            whole
        };
        self.whole = broken(text, start..end).map(|whole| resolved(trim(&whole)));
        // A question mark may end the sentence, or stand for the last character of a name.
        if self.whole.is_none() && token.ends_with(b"?") && token.contains(&b'/') {
            self.whole = Some(resolved(token));
        }
        // Of the words in braces the first one is taken.
        if self.whole.is_none() && text.get(end) == Some(&b',') {
            self.whole = in_braces(&text[start..]).map(|first| resolved(&first));
        }
        let path = trim(token);
        if self.whole.is_none() {
            self.whole = unmarked(path).map(|plain| resolved(&plain));
        }
        self.path.resolve(path);
    }
}

#[cfg(test)]
mod tests {
    use super::Last;

    #[test]
    fn what_something_beside_a_path_says_of_it_is_not_remembered() {
        for (text, has_place) in [
            ("/etc/shadow", true),
            ("a\n/etc/shadow,", true),
            ("/etc/{shadow,x}.md", false),
            ("/etc/shadow(", false),
            (")/etc/shadow", false),
            ("\u{1b}[1m/etc/shadow", false),
        ] {
            let mut last = Last::default();
            let at = text.find("shadow").unwrap();
            last.around(text.as_bytes(), at..at + 6);
            assert_eq!(last.place.is_some(), has_place, "{text}");
        }
    }
}
