//! Regex → which bytes can stand at the first places of what it matches: the cheap test before it.
//!
//! Where a token cannot be one, its first bytes show it. To try the regex there costs ten times as much.

use super::pattern::parsed;
use regex_syntax::hir::{Class, ClassBytes, Hir, HirKind};

/// Places looked at, at most: one for each bit of [`Places`].
const MOST: usize = u64::BITS as usize;

/// A set of places, as bits.
type Places = u64;
/// A set of bytes, as bits.
type Bytes = [u32; 8];

/// The bytes at each place that every match has, from its first on.
#[derive(Debug, Clone)]
pub(super) struct Opening {
    places: Box<[Bytes]>,
    /// What ends a line, or escapes its end, can stand at one of them.
    breaks: bool,
}

impl Opening {
    /// The opening of a regex that is tried where it must begin.
    pub(super) fn of(regex: &str) -> Self {
        Self::of_parsed(regex, Clone::clone)
    }

    /// The opening of a path's regex, behind the folders it may stand in: one of a path's parts fits it, if the path does.
    pub(super) fn of_path(regex: &str) -> Self {
        Self::of_parsed(regex, inner)
    }

    fn of_parsed(regex: &str, part: fn(&Hir) -> Hir) -> Self {
        parsed(regex).map_or(Self { places: [].into(), breaks: false }, |hir| Self::of_hir(&part(&hir)))
    }

    fn of_hir(hir: &Hir) -> Self {
        let least = hir.properties().minimum_len().unwrap_or(0).min(MOST);
        let mut places = [Bytes::default(); MOST];
        let told = after(hir, 1, &mut places).is_some();
        let places = &places[..if told { least } else { 0 }];
        let breaks = places.iter().any(|bytes| (0..=u8::MAX).any(|b| is_break(b) && has(bytes, b)));
        Self { places: places.into(), breaks }
    }

    /// How many bytes are looked at: no match has fewer.
    pub(super) fn least(&self) -> usize {
        self.places.len()
    }

    /// How many bytes of `text` can begin a match; `None` when all do that are looked at.
    #[inline]
    pub(super) fn misfit(&self, text: &[u8]) -> Option<usize> {
        let looked_at = self.places.len().min(text.len());
        let misfit = self.places.iter().zip(text).position(|(bytes, b)| !has(bytes, *b));
        misfit.or((looked_at < self.places.len()).then_some(looked_at))
    }

    /// Whether a line ends, or its end is escaped, in the first bytes of `text`, up to the one that misfits at `misfit`.
    #[inline]
    pub(super) fn breaks(&self, text: &[u8], misfit: usize) -> bool {
        match text.get(misfit) {
            Some(b) if is_break(*b) => true,
            _ => self.breaks && text.iter().take(misfit).any(|b| is_break(*b)),
        }
    }

    /// Whether the regex can match at the start of `text`.
    #[inline]
    pub(super) fn fits(&self, text: &[u8]) -> bool {
        self.misfit(text).is_none()
    }
}

#[inline]
const fn is_break(b: u8) -> bool {
    matches!(b, b'\\' | b'\r' | b'\n' | b'=' | 0x1b)
}

#[inline]
fn has(bytes: &Bytes, b: u8) -> bool {
    bytes[usize::from(b >> 5)] & 1 << (b & 31) != 0
}

/// What a path's regex says of the path behind its folders: each alternative without the `.*/` it begins with.
fn inner(hir: &Hir) -> Hir {
    match hir.kind() {
        HirKind::Alternation(parts) => Hir::alternation(parts.iter().map(inner).collect()),
        HirKind::Capture(capture) => inner(&capture.sub),
        HirKind::Concat(parts) => {
            let parts: Vec<&Hir> = parts.iter().skip_while(|part| matches!(part.kind(), HirKind::Look(_))).collect();
            let rest = |from: usize| parts[from..].iter().copied().cloned();
            match parts.as_slice() {
                [first, ..] if is_folders(first) => Hir::concat(rest(1).collect()),
                [first, second, ..] if is_anything(first) => match second.kind() {
                    HirKind::Literal(text) if text.0.starts_with(b"/") => {
                        let name = Hir::literal(&text.0[1..]);
                        Hir::concat([name].into_iter().chain(rest(2)).collect())
                    }
                    _ => hir.clone(),
                },
                [first, ..] if matches!(first.kind(), HirKind::Alternation(_) | HirKind::Concat(_)) => {
                    Hir::concat([inner(first)].into_iter().chain(rest(1)).collect())
                }
                _ => hir.clone(),
            }
        }
        _ => hir.clone(),
    }
}

/// `(?:.*/)?`
fn is_folders(hir: &Hir) -> bool {
    let HirKind::Repetition(optional) = hir.kind() else { return false };
    let HirKind::Concat(parts) = optional.sub.kind() else { return false };
    let slash = |hir: &Hir| matches!(hir.kind(), HirKind::Literal(text) if text.0[..] == *b"/");
    optional.max == Some(1) && matches!(parts.as_slice(), [any, last] if is_anything(any) && slash(last))
}

/// `.*`
fn is_anything(hir: &Hir) -> bool {
    let HirKind::Repetition(any) = hir.kind() else { return false };
    any.min == 0 && any.max.is_none() && any.sub.properties().maximum_len() == Some(1)
}

/// Notes in `places` what `hir` can have where it begins at any of `from`; answers where it can end, or `None` for what
/// is not of bytes.
fn after(hir: &Hir, from: Places, places: &mut [Bytes; MOST]) -> Option<Places> {
    Some(match hir.kind() {
        _ if from == 0 => 0,
        HirKind::Empty | HirKind::Look(_) => from,
        HirKind::Literal(text) => text.0.iter().fold(from, |at, &b| note(places, at, b..=b)),
        HirKind::Class(Class::Bytes(class)) => class_after(class, from, places),
        HirKind::Class(Class::Unicode(class)) => class_after(&class.to_byte_class()?, from, places),
        HirKind::Capture(capture) => after(&capture.sub, from, places)?,
        HirKind::Concat(parts) => parts.iter().try_fold(from, |at, part| after(part, at, places))?,
        HirKind::Alternation(parts) => {
            parts.iter().try_fold(0, |ends, part| Some(ends | after(part, from, places)?))?
        }
        HirKind::Repetition(repetition) => {
            let mut last = from;
            for _ in 0..repetition.min {
                last = after(&repetition.sub, last, places)?;
                if last == 0 {
                    return Some(0);
                }
            }
            let mut ends = last;
            for _ in repetition.min..repetition.max.unwrap_or(u32::MAX) {
                last = after(&repetition.sub, last, places)?;
                if last & !ends == 0 {
                    break;
                }
                ends |= last;
            }
            ends
        }
    })
}

fn class_after(class: &ClassBytes, from: Places, places: &mut [Bytes; MOST]) -> Places {
    class.iter().fold(from << 1, |next, range| {
        note(places, from, range.start()..=range.end());
        next
    })
}

/// Notes that these bytes can stand at each of `at`; answers the places after.
fn note(places: &mut [Bytes; MOST], at: Places, bytes: std::ops::RangeInclusive<u8>) -> Places {
    for (_, place) in places.iter_mut().enumerate().filter(|(n, _)| at >> n & 1 != 0) {
        for b in bytes.clone() {
            place[usize::from(b >> 5)] |= 1 << (b & 31);
        }
    }
    at << 1
}

#[cfg(test)]
mod tests {
    use super::Opening;
    use crate::flow::detect::rule::{RuleSet, expand};
    use regex::bytes::RegexBuilder;

    /// Whether a path, or what stands behind one of its slashes, fits.
    fn fits_part(opening: &Opening, path: &[u8]) -> bool {
        let mut parts = std::iter::once(path).chain(memchr::memchr_iter(b'/', path).map(|at| &path[at + 1..]));
        parts.any(|part| opening.fits(part))
    }

    #[test]
    fn what_cannot_be_a_token_is_told_by_its_first_bytes() {
        for (regex, fits, others) in [
            (
                r"\A(?:sk-[A-Za-z0-9]{4})",
                &["sk-abcd", "sk-ab1-not looked at"][..1],
                &["sk-abc", "SK-abcd", "sk-a-cd", ""][..],
            ),
            (r"\A(?:a(?:b|cd)?[0-9]{2})", &["a12", "ab12", "acd12"], &["b12", "a-2", "a1"]),
            (r"\A(?:://[a-z]{1,4}:x@)", &["://a:x@", "://abcd:x@"], &["://a/b/c", "http://a:x@"]),
            (r"(?i)\A(?:key)", &["KEY", "key"], &["kex"]),
            (r"\A(?:(?:ab)*c)", &["c", "abc", "ababc"], &["b", ""]),
        ] {
            let opening = Opening::of(regex);
            for text in fits {
                assert!(opening.fits(text.as_bytes()), "{regex} {text}");
            }
            for text in others {
                assert!(!opening.fits(text.as_bytes()), "{regex} {text}");
            }
        }
    }

    #[test]
    fn where_it_does_not_go_on_is_told() {
        let opening = Opening::of(r"\A(?:sk-[a-z]{5})");
        for (text, misfit) in
            [("", Some(0)), ("s", Some(1)), ("sk-A", Some(3)), ("sk-abcde", None), ("sk-abcde-", None)]
        {
            assert_eq!(opening.misfit(text.as_bytes()), misfit, "{text}");
        }
    }

    #[test]
    fn a_line_that_ends_before_it_misfits_is_told() {
        for (regex, text, want) in [
            (r"\A(?:sk-[a-z]{5})", "sk-ab\ncd", true),
            (r"\A(?:sk-[a-z]{5})", r"sk-ab\ncd", true),
            (r"\A(?:sk-[a-z]{5})", "sk-ab cd\n", false),
            (r"\A(?:sk-[a-z]{5})", "sk-ab", false),
            (r"\A(?:a[^/]{3}b)", "a\ncd/", true),
            (r"\A(?:a[^/]{3}b)", "abcd/\n", false),
        ] {
            let opening = Opening::of(regex);
            let misfit = opening.misfit(text.as_bytes()).unwrap();
            assert_eq!(opening.breaks(text.as_bytes(), misfit), want, "{regex} {text}");
        }
    }

    #[test]
    fn a_path_is_told_by_what_stands_behind_a_slash() {
        let opening = Opening::of_path(r"\A(?:(?:.*/)?etc/(?:passwd|shadow)|.*/prod\.env)\z");
        for path in ["etc/passwd", "/etc/shadow", "/a/../etc/passwd", "x/prod.env", "prod.env"] {
            assert!(fits_part(&opening, path.as_bytes()), "{path}");
        }
        for path in ["/etc/hosts", "/etc", "x/test.env", "etc", "passwd", ""] {
            assert!(!fits_part(&opening, path.as_bytes()), "{path}");
        }
    }

    #[test]
    fn no_rule_matches_what_its_opening_refuses() {
        for rule in RuleSet::embedded().rules() {
            let anchored = format!(r"\A(?:{})", rule.regex().as_str());
            let regex = RegexBuilder::new(&anchored).unicode(false).build().unwrap();
            let (opening, of_path) = (Opening::of(&anchored), Opening::of_path(&anchored));
            let texts = rule.examples().iter().chain(rule.counter_examples()).map(|t| expand(t));
            for text in texts.map(String::into_bytes) {
                for rest in (0..text.len()).map(|at| &text[at..]).filter(|rest| regex.is_match(rest)) {
                    assert!(opening.fits(rest), "{}", rule.id());
                    assert!(fits_part(&of_path, rest), "{}", rule.id());
                }
            }
        }
    }
}
