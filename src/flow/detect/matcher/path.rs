//! Paths: the token around a keyword, resolved, then judged as a whole.

use super::Found;
use crate::flow::detect::{
    bits::{BLOCK, Block, Lanes},
    rule::Rule,
};
use std::{borrow::Cow, ops::Range};

/// How far a path reaches from its keyword.
const REACH: usize = 256;
/// How much of what stands before a keyword is looked at together with what stands behind.
const HALF: usize = BLOCK / 2;

/// The bytes of a path.
static OF_PATH: [bool; 256] = {
    let others = b"_-./\\~$%{}@+*?[]";
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < table.len() {
        #[expect(clippy::cast_possible_truncation, reason = "counts to 255")]
        let letter = byte as u8;
        table[byte] = letter.is_ascii_alphanumeric();
        byte += 1;
    }
    let mut n = 0;
    while n < others.len() {
        table[others[n] as usize] = true;
        n += 1;
    }
    table
};

const SLASH: u8 = 1;
const DOT: u8 = 2;
const BACKSLASH: u8 = 3;
/// A bit of its own.
const WILD: u8 = 4;
/// What a byte means in a path; zero, when it is of a name.
static KINDS: [u8; 256] = {
    let mut table = [0; 256];
    table[b'/' as usize] = SLASH;
    table[b'.' as usize] = DOT;
    table[b'\\' as usize] = BACKSLASH;
    table[b'*' as usize] = WILD;
    table[b'?' as usize] = WILD;
    table[b'[' as usize] = WILD;
    table
};

#[inline]
fn of_path(b: u8) -> bool {
    OF_PATH[usize::from(b)]
}

/// The path looked at last: one keyword often brings several rules, and one path has several keywords.
#[derive(Default)]
pub(super) struct Last {
    span: Range<usize>,
    /// It was taken apart.
    read: bool,
    path: Path,
    /// The path with the ends of the lines beside it, when a line breaks in its midst; or with its last wildcard.
    whole: Option<Path>,
    tried: Vec<usize>,
    refused: Refused,
    /// Where it stands among the refused, if nothing but itself says what it is.
    place: Option<usize>,
}

impl Last {
    /// Bytes kept from one path to the next, as far as they are many.
    pub(super) fn held(&self) -> usize {
        self.refused.0.capacity() * size_of::<Refusal>()
    }
}

/// A path as it is judged.
#[derive(Default)]
struct Path {
    resolved: Vec<u8>,
    /// Where it begins and what stands behind each of its slashes.
    parts: Vec<usize>,
    /// It has wildcards.
    wild: bool,
}

/// The path around `keyword`, judged by the rule of that index once.
pub(super) fn find(
    rule: &Rule,
    index: usize,
    text: &[u8],
    keyword: Range<usize>,
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
    for path in [Some(&last.path), last.whole.as_ref()].into_iter().flatten() {
        if path.is_of(rule) {
            let matched = Cow::Borrowed(&path.resolved[..]);
            return report(Found { severity: rule.severity(), span: last.span.clone(), matched });
        }
    }
    if let Some(place) = last.place {
        last.refused.note(place, index);
    }
}

impl Last {
    /// Another text begins.
    pub(super) fn forget(&mut self) {
        self.span = 0..0;
    }

    /// Looks at another path: no room is made anew for it.
    fn around(&mut self, text: &[u8], keyword: Range<usize>) {
        self.tried.clear();
        self.read = false;
        let Range { mut start, end } = extent(text, keyword);
        let called = text.get(end) == Some(&b'(') || start.checked_sub(1).is_some_and(|n| text[n] == b')');
        let [before, after] = line_ends(text, start..end);
        self.place = if called { None } else { self.refused.place([before, &text[start..end], after]) };
        // What is left of an escaped line end is no folder.
        if matches!(text[start..end], [b'\\', b'n' | b'r' | b't', b'/' | b'~' | b'.' | b'$', ..]) {
            start += 2;
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
        self.path.resolve(trim(token));
    }
}

/// Paths that rules did not take, in one message: the same few come again and again.
///
/// What a rule says of a path follows from the path and the ends of the lines beside it, unless a call stands there.
#[derive(Default)]
struct Refused(Vec<Refusal>);

/// Paths remembered at once; another with the same hash takes the place of one.
const MAX_REFUSED: usize = 256;
/// The longest one, with the ends of the lines beside it.
const MAX_REFUSED_BYTES: usize = 64;
/// Rules told apart; of others nothing is remembered.
const MAX_RULES: usize = 256;

#[derive(Clone)]
struct Refusal {
    path: Written,
    /// By the rules of these indices, a bit each.
    by: [u64; MAX_RULES / 64],
}

/// A path and the ends of the lines beside it, one after the other: none of them holds a zero.
#[derive(Clone, PartialEq, Eq)]
struct Written {
    bytes: [u8; MAX_REFUSED_BYTES],
    /// Where the second and the third begin.
    parts: [u8; 2],
}

impl Written {
    fn of(parts: [&[u8]; 3]) -> Option<Self> {
        let mut written = Self { bytes: [0; MAX_REFUSED_BYTES], parts: [0; 2] };
        let mut at = 0;
        for (n, part) in parts.into_iter().enumerate() {
            if let Some(begins) = n.checked_sub(1).and_then(|n| written.parts.get_mut(n)) {
                *begins = u8::try_from(at).ok()?;
            }
            if !part.is_empty() {
                written.bytes.get_mut(at..at + part.len())?.copy_from_slice(part);
                at += part.len();
            }
        }
        Some(written)
    }

    /// Fibonacci hashing (Knuth), of all of it folded.
    fn hash(&self) -> usize {
        let words = self.bytes.as_chunks().0.iter().map(|word| u64::from_le_bytes(*word));
        let mixed =
            words.fold(0, |mixed: u64, word| (mixed ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29));
        usize::try_from(mixed >> 32).unwrap_or(0) % MAX_REFUSED
    }
}

impl Refused {
    /// Where a path between the ends of two lines is remembered, from now on if it was not; `None` when it is too long.
    fn place(&mut self, parts: [&[u8]; 3]) -> Option<usize> {
        let path = Written::of(parts)?;
        if self.0.is_empty() {
            self.0 = vec![Refusal { path: Written::of([b""; 3])?, by: [0; MAX_RULES / 64] }; MAX_REFUSED];
        }
        let place = path.hash();
        let refusal = &mut self.0[place];
        if refusal.path != path {
            *refusal = Refusal { path, by: [0; MAX_RULES / 64] };
        }
        Some(place)
    }

    fn has(&self, place: usize, rule: usize) -> bool {
        self.0[place].by.get(rule / 64).is_some_and(|by| by >> (rule % 64) & 1 == 1)
    }

    fn note(&mut self, place: usize, rule: usize) {
        if let Some(by) = self.0[place].by.get_mut(rule / 64) {
            *by |= 1 << (rule % 64);
        }
    }
}

impl Path {
    /// Makes it that path: no room is made anew for it.
    fn resolve(&mut self, path: &[u8]) {
        self.resolved.clear();
        resolve(path, &mut self.resolved);
        // As many parts as bytes, and one: nothing branches on what a byte is.
        self.parts.clear();
        self.parts.resize(self.resolved.len() + 1, 0);
        let (mut parts, mut seen) = (1, 0);
        for (at, b) in self.resolved.iter().enumerate() {
            if let Some(next) = self.parts.get_mut(parts) {
                *next = at + 1;
            }
            let kind = KINDS[usize::from(*b)];
            parts += usize::from(kind == SLASH);
            seen |= kind;
        }
        self.parts.truncate(parts);
        self.wild = seen & WILD != 0;
    }

    /// Whether it is one of a rule's.
    fn is_of(&self, rule: &Rule) -> bool {
        let path = &self.resolved[..];
        let may = || self.parts.iter().any(|&at| rule.may_begin(&path[at..]));
        let stands = || rule.data().targets.iter().any(|t| stands_for(path, t));
        let taken = (may() && rule.regex().is_match(path)) || (self.wild && stands());
        taken && !rule.except().is_some_and(|e| e.is_match(path))
    }
}

/// The bytes of a path around `keyword`, no more than `REACH` on either side. Most are told without a branch for any.
fn extent(text: &[u8], keyword: Range<usize>) -> Range<usize> {
    let from = keyword.start.saturating_sub(HALF);
    let bits = if from < text.len() { Block::at(text, from).bits(class) } else { 0 };
    let (before, behind) = (keyword.start - from, keyword.end - from);
    let ahead = if before > 0 { (bits << (BLOCK - before)).leading_ones() } else { 0 };
    let after = if behind < BLOCK { (bits >> behind).trailing_ones() } else { 0 };
    let (mut start, mut end) = (keyword.start - ahead as usize, keyword.end + after as usize);
    if start == from {
        let floor = keyword.start.saturating_sub(REACH);
        start = text[floor..start].iter().rposition(|b| !of_path(*b)).map_or(floor, |n| floor + n + 1);
    }
    if end >= from + BLOCK {
        let cap = text.len().min(keyword.end + REACH);
        end += text[end..cap].iter().take_while(|b| of_path(**b)).count();
    }
    start..end
}

/// [`OF_PATH`], of sixteen bytes.
#[inline]
fn class(bytes: Lanes) -> Lanes {
    let ranges = [(b'-', b'9'), (b'?', b']'), (b'a', b'{'), (b'}', b'~'), (b'$', b'%'), (b'*', b'+')];
    ranges.iter().fold(bytes.is(b'_'), |class, (first, last)| class.or(bytes.within(*first, *last)))
}

/// What ends the line before the token and what begins the one after it, of the bytes of a path: nothing where no line
/// ends beside it.
fn line_ends(text: &[u8], token: Range<usize>) -> [&[u8]; 2] {
    let before = text[token.start.saturating_sub(REACH)..token.start].strip_suffix(b"\n").map(|line| {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        &line[line.iter().rposition(|b| !of_path(*b)).map_or(0, |n| n + 1)..]
    });
    let after = &text[token.end..text.len().min(token.end + REACH)];
    let after = after.strip_prefix(b"\n").or_else(|| after.strip_prefix(b"\r\n")).map(|line| {
        let end = line.iter().position(|b| !of_path(*b)).unwrap_or(line.len());
        &line[..end]
    });
    [before.unwrap_or_default(), after.unwrap_or_default()]
}

/// The token put together with the ends of the lines beside it, when a line breaks in the midst of its path.
fn broken(text: &[u8], token: Range<usize>) -> Option<Vec<u8>> {
    let [before, after] = line_ends(text, token.clone());
    let parted = |part: &[u8]| part.iter().any(|b| matches!(b, b'/' | b'\\'));
    let joins = parted(before) || (!after.is_empty() && parted(&text[token.clone()]));
    joins.then(|| [before, &text[token], after].concat())
}

/// The token without the punctuation of the sentence or list around it.
fn trim(mut token: &[u8]) -> &[u8] {
    while let Some((&last, head)) = token.split_last() {
        let stray = match last {
            b'.' | b'?' | b'\\' | b'+' | b'@' | b'$' | b'%' => true,
            b'/' => head.len() > 1,
            b'}' => !head.contains(&b'{'),
            b']' => !head.contains(&b'['),
            b'*' => head.ends_with(b"*"),
            _ => false,
        };
        if !stray {
            break;
        }
        token = if last == b'*' { &head[..head.len() - 1] } else { head };
    }
    while let Some((&first, tail)) = token.split_first() {
        let stray = match first {
            b'{' | b'}' | b']' | b'@' | b'+' | b'?' => true,
            b'[' => !tail.contains(&b']'),
            b'*' => tail.starts_with(b"*"),
            _ => false,
        };
        if !stray {
            break;
        }
        token = if first == b'*' { &tail[1..] } else { tail };
    }
    token
}

/// Appends the path to an empty `out`: in lower case, its separators one kind, its dots and empty parts resolved.
fn resolve(path: &[u8], out: &mut Vec<u8>) {
    if is_resolved(path) {
        out.extend_from_slice(path);
        if path.len() > 1 && path.ends_with(b"/") {
            out.pop();
        }
        return out.make_ascii_lowercase();
    }
    let is_separator = |b: &u8| matches!(b, b'/' | b'\\');
    let root = usize::from(path.first().is_some_and(is_separator));
    out.extend_from_slice(&b"/"[..root]);
    for (n, part) in path.split(is_separator).enumerate() {
        match part {
            b"" => continue,
            b"." if n > 0 => continue,
            b".." => {
                let last = memchr::memrchr(b'/', &out[root..]).map_or(root, |at| root + at + 1);
                if !matches!(out[last..], [] | [b'.'] | [b'.', b'.'] | [b'~' | b'$', ..]) {
                    out.truncate(last.saturating_sub(usize::from(last > root)));
                    continue;
                }
            }
            _ => {}
        }
        if out.len() > root {
            out.push(b'/');
        }
        let at = out.len();
        out.extend_from_slice(part);
        out[at..].make_ascii_lowercase();
    }
}

/// Whether there is nothing to resolve, but for the last slash; answers no for some others too.
///
/// No byte branches: where the slashes stand, no processor could foretell.
fn is_resolved(path: &[u8]) -> bool {
    let mut last = 0;
    let mut found = 0;
    for &b in path {
        last = (last << 2 | u32::from(KINDS[usize::from(b)] & BACKSLASH)) & 0b11_1111;
        found |= UNRESOLVED >> last;
    }
    found & 1 == 0 && last & 0b1111 != 0b0110
}

/// Of a path's last three bytes, two bits of [`KINDS`] each: which have a part to resolve. Behind two dots it may be a
/// name that begins so.
const UNRESOLVED: u64 = {
    let mut kinds = 0_u64;
    let mut bits = 0;
    while bits < u64::BITS {
        if bits & 0b11 == 3 || matches!(bits & 0b1111, 0b0101) || matches!(bits, 0b01_10_01 | 0b01_10_10) {
            kinds |= 1 << bits;
        }
        bits += 1;
    }
    kinds
};

/// Whether a path with wildcards can mean `target`, part by part from the end.
///
/// A part says at least two characters of its own and does not begin with `*`: `*/*` means everything and nothing.
fn stands_for(path: &[u8], target: &str) -> bool {
    let parts: Vec<&[u8]> = path.split(|b| *b == b'/').filter(|p| !p.is_empty()).collect();
    let wanted: Vec<&[u8]> = target.as_bytes().split(|b| *b == b'/').collect();
    let Some(skip) = parts.len().checked_sub(wanted.len()) else { return false };
    let said = |part: &[u8]| {
        let mut in_set = false;
        let plain = part.iter().filter(|b| {
            in_set = (in_set || **b == b'[') && **b != b']';
            !in_set && (b.is_ascii_alphanumeric() || **b == b'.')
        });
        plain.count() >= 2 && part[0] != b'*'
    };
    parts[skip..].iter().zip(&wanted).all(|(p, w)| said(p) && glob(p, w))
}

/// `*`, `?` and `[…]` of a shell, over one part of a path.
fn glob(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut star = None;
    loop {
        let (width, fits) = match pattern.get(p) {
            None if t == text.len() => return true,
            None => (1, false),
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
                continue;
            }
            Some(b'?') => (1, t < text.len()),
            Some(b'[') => match pattern[p..].iter().position(|b| *b == b']') {
                Some(close) => {
                    let set = &pattern[p + 1..p + close];
                    let negated = set.first().is_some_and(|b| matches!(b, b'!' | b'^'));
                    let inside = text.get(t).is_some_and(|c| {
                        set.contains(c) || set.windows(3).any(|w| w[1] == b'-' && (w[0]..=w[2]).contains(c))
                    });
                    (close + 1, t < text.len() && inside != negated)
                }
                None => (1, false),
            },
            Some(b) => (1, text.get(t) == Some(b)),
        };
        if fits {
            p += width;
            t += 1;
        } else if let Some((sp, st)) = star.filter(|(_, st)| *st < text.len()) {
            star = Some((sp, st + 1));
            p = sp + 1;
            t = st + 1;
        } else {
            return false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Lanes, Path, REACH, Written, class, extent, glob, is_resolved, of_path, resolve, stands_for, trim};
    use crate::flow::detect::bits::LANES;

    #[test]
    fn bytes_of_a_path_are_told_alone_as_together() {
        for b in 0..=u8::MAX {
            assert_eq!(class(Lanes::of([b; LANES])).bits() & 1 == 1, of_path(b), "{b}");
        }
    }

    proptest::proptest! {
        #[test]
        fn a_path_reaches_to_what_is_not_of_it(
            parts in proptest::array::uniform3("[a/]{0,5}|[a/ ]{0,40}|[a/]{200,300}"), len in 0_usize..70,
        ) {
            let [before, keyword, _] = parts.each_ref().map(String::len);
            let text = parts.concat().into_bytes();
            let keyword = before..before + keyword.min(len);
            let start = text[..before].iter().rposition(|b| !of_path(*b)).map_or(0, |n| n + 1);
            let end = text[keyword.end..].iter().position(|b| !of_path(*b)).map_or(text.len(), |n| keyword.end + n);
            let want = start.max(before.saturating_sub(REACH))..end.min(keyword.end + REACH);
            proptest::prop_assert_eq!(extent(&text, keyword), want, "{}", parts.concat());
        }

        #[test]
        fn what_has_nothing_to_resolve_resolves_to_itself(path in r"[a/.~\\]{0,9}") {
            let parts = [r"\", "//", "/./", "/.."];
            let some = parts.iter().any(|part| path.contains(part)) || path.ends_with("/.");
            proptest::prop_assert_eq!(is_resolved(path.as_bytes()), !some);
            if !some {
                let mut out = Vec::new();
                resolve(path.as_bytes(), &mut out);
                let same = path.strip_suffix('/').filter(|rest| !rest.is_empty()).unwrap_or(&path);
                proptest::prop_assert_eq!(&out, same.as_bytes());
            }
        }

        #[test]
        fn the_parts_of_a_path_stand_behind_its_slashes(path in "[a/*.]{0,20}") {
            let mut made = Path::default();
            made.resolve(path.as_bytes());
            let parts: Vec<&[u8]> = made.parts.iter().map(|at| &made.resolved[*at..]).collect();
            let slashes = memchr::memchr_iter(b'/', &made.resolved).map(|at| &made.resolved[at + 1..]);
            let want: Vec<&[u8]> = std::iter::once(&made.resolved[..]).chain(slashes).collect();
            proptest::prop_assert_eq!(parts, want);
            proptest::prop_assert_eq!(made.wild, made.resolved.contains(&b'*'));
        }

        #[test]
        fn a_path_is_remembered_with_what_stands_beside_it(
            one in proptest::array::uniform3("[ab/]{0,2}"), other in proptest::array::uniform3("[ab/]{0,2}"),
        ) {
            let written = |parts: &[String; 3]| Written::of(parts.each_ref().map(String::as_bytes)).unwrap();
            proptest::prop_assert_eq!(written(&one) == written(&other), one == other);
        }
    }

    #[test]
    fn a_path_too_long_to_be_remembered_is_not() {
        assert!(Written::of([b"a", &[b'a'; 62], b"a"]).is_some());
        assert!(Written::of([b"a", &[b'a'; 63], b"a"]).is_none());
        assert!(Written::of([b"", &[b'a'; 300], b""]).is_none());
    }

    #[test]
    fn spellings_of_one_path_resolve_to_it() {
        let resolved = |path: &str| {
            let mut out = Vec::new();
            resolve(path.as_bytes(), &mut out);
            String::from_utf8(out).unwrap()
        };
        for spelt in
            ["/etc/shadow", "/etc//shadow", "/etc/./shadow", "/etc/ssh/../shadow", r"\etc\shadow", "/ETC/Shadow"]
        {
            assert_eq!(resolved(spelt), "/etc/shadow", "{spelt}");
        }
        for (path, same) in [
            ("../../etc/passwd", "../../etc/passwd"),
            ("/../etc/passwd", "/../etc/passwd"),
            ("~/../x", "~/../x"),
            ("./x", "./x"),
            ("a/../x", "x"),
            ("/a/b/../../x/", "/x"),
            ("$HOME/../x", "$HOME/../x"),
            ("/", "/"),
            ("", ""),
        ] {
            assert_eq!(resolved(path), same.to_ascii_lowercase(), "{path}");
        }
    }

    #[test]
    fn a_sentences_punctuation_is_no_part_of_a_path() {
        for token in ["/etc/passwd.", "/etc/passwd?", "{/etc/passwd", "**/etc/passwd**", "[/etc/passwd"] {
            assert_eq!(trim(token.as_bytes()), b"/etc/passwd", "{token}");
        }
        assert_eq!(trim(b"${HOME}/x"), b"${HOME}/x");
    }

    #[test]
    fn wildcards_stand_for_what_a_shell_would_find() {
        for (pattern, text) in [
            ("sh?dow", "shadow"),
            ("s*w", "shadow"),
            ("[s]hadow", "shadow"),
            ("sh[a-c]dow", "shadow"),
            ("*", ""),
            ("a*b*c", "aXbXc"),
        ] {
            assert!(glob(pattern.as_bytes(), text.as_bytes()), "{pattern}");
        }
        for (pattern, text) in [("sh?dow", "shdow"), ("s*x", "shadow"), ("[!s]hadow", "shadow"), ("[s", "s"), ("", "a")]
        {
            assert!(!glob(pattern.as_bytes(), text.as_bytes()), "{pattern}");
        }
        assert!(stands_for(b"/etc/sh*dow", "etc/shadow"));
        assert!(!stands_for(b"/etc/*", "etc/shadow"));
        assert!(!stands_for(b"*/*", "etc/shadow"));
        assert!(!stands_for(b"[a-z]*/[a-z]*", "etc/shadow"));
    }
}
