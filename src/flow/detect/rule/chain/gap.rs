//! What stands between two words of a chain: how many bytes, and which.

use regex_syntax::hir::{Class, Hir, HirKind};
use std::ops::Range;

/// A set of bytes, as bits.
type Bytes = [u64; 4];

const NONE: Bytes = [0; 4];
const ALL: Bytes = [u64::MAX; 4];
/// Bytes that a search looks for at once.
const MOST_STOPS: usize = 3;

/// Bytes between two words: some runs, one after the other.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Gap {
    runs: Vec<Run>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Run {
    least: usize,
    /// `None` when there is no bound.
    most: Option<usize>,
    of: Bytes,
    stops: Stops,
}

/// The bytes that are none of a set: so many of them, as long as they are few. The last stands for those that are missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stops {
    None,
    Few([u8; MOST_STOPS]),
    Many,
}

impl Stops {
    fn of(set: Bytes) -> Self {
        let mut stops = (0..=u8::MAX).filter(|b| !has(set, *b));
        let Some(first) = stops.next() else { return Self::None };
        let few = [first, stops.next().unwrap_or(first), stops.next().unwrap_or(first)];
        if stops.next().is_none() { Self::Few(few) } else { Self::Many }
    }
}

impl Gap {
    /// All that matches `hir`, as a gap.
    pub(super) fn of(hir: &Hir) -> Self {
        match hir.kind() {
            HirKind::Empty | HirKind::Look(_) => Self::default(),
            HirKind::Capture(capture) => Self::of(&capture.sub),
            HirKind::Concat(parts) => parts.iter().map(Self::of).fold(Self::default(), Self::then),
            _ => {
                let (properties, mut of) = (hir.properties(), NONE);
                collect(hir, &mut of);
                let run = Run::new(properties.minimum_len().unwrap_or(0), properties.maximum_len(), of);
                Self { runs: vec![run] }
            }
        }
    }

    /// One of these texts, in any case, as a gap.
    pub(super) fn of_texts<'t>(texts: impl Iterator<Item = &'t [u8]>) -> Self {
        let one = |text: &[u8]| {
            let of = text.iter().flat_map(|b| [b.to_ascii_lowercase(), b.to_ascii_uppercase()]).fold(NONE, with);
            Run::new(text.len(), Some(text.len()), of)
        };
        let run = texts.map(one).reduce(Run::or);
        Self { runs: run.filter(|run| run.most != Some(0)).into_iter().collect() }
    }

    /// This one, then `next`.
    pub(super) fn then(mut self, next: Self) -> Self {
        for run in next.runs {
            match self.runs.last_mut() {
                Some(last) if last.of == run.of => *last = last.then(run),
                _ => self.runs.push(run),
            }
        }
        self
    }

    /// This one or `other`.
    pub(super) fn or(self, other: &Self) -> Self {
        if self == *other { self } else { Self { runs: vec![self.whole().or(other.whole())] } }
    }

    /// This one so many times.
    pub(super) fn times(&self, least: u32, most: Option<u32>) -> Self {
        let of_times = |n: usize, times: u32| n.saturating_mul(usize::try_from(times).unwrap_or(usize::MAX));
        let once = self.whole();
        let bound = once.most.zip(most).map(|(n, times)| of_times(n, times));
        Self { runs: vec![Run::new(of_times(once.least, least), bound, once.of)] }
    }

    fn whole(&self) -> Run {
        self.runs.iter().copied().reduce(Run::then).unwrap_or_else(|| Run::new(0, Some(0), NONE))
    }

    /// How many bytes it usually takes at the most.
    pub(super) fn room(&self) -> usize {
        self.runs.iter().map(Run::room).sum()
    }

    /// Where, behind words that end at the earliest and the latest at `ends`, the gap may end: at the earliest and the latest.
    pub(super) fn after(&self, text: &[u8], ends: Range<usize>) -> Option<Range<usize>> {
        self.runs.iter().try_fold(ends, |at, run| {
            let cap = run.most.map_or(text.len(), |most| text.len().min(at.end.saturating_add(most)));
            // What goes on behind the last of them goes on no farther behind one before.
            let rest = &text[at.end..cap];
            let reach = at.start.saturating_add(run.least)..run.stop(rest).map_or(cap, |n| at.end + n);
            (reach.start <= reach.end).then_some(reach)
        })
    }

    /// Where, before words that begin at the earliest and the latest at `starts`, the gap may begin.
    pub(super) fn before(&self, text: &[u8], starts: Range<usize>) -> Option<Range<usize>> {
        self.runs.iter().rev().try_fold(starts, |at, run| {
            let floor = run.most.map_or(0, |most| at.start.saturating_sub(most));
            let rest = &text[floor..at.start];
            let reach = run.last_stop(rest).map_or(floor, |n| floor + n + 1)..at.end.checked_sub(run.least)?;
            (reach.start <= reach.end).then_some(reach)
        })
    }
}

impl Run {
    fn new(least: usize, most: Option<usize>, of: Bytes) -> Self {
        Self { least, most, of, stops: Stops::of(of) }
    }

    /// Where the first byte stands that is none of it.
    #[inline]
    fn stop(&self, text: &[u8]) -> Option<usize> {
        match self.stops {
            Stops::None => None,
            Stops::Few([a, b, c]) => memchr::memchr3(a, b, c, text),
            Stops::Many => text.iter().position(|b| !has(self.of, *b)),
        }
    }

    /// Where the last byte stands that is none of it.
    #[inline]
    fn last_stop(&self, text: &[u8]) -> Option<usize> {
        match self.stops {
            Stops::None => None,
            Stops::Few([a, b, c]) => memchr::memrchr3(a, b, c, text),
            Stops::Many => text.iter().rposition(|b| !has(self.of, *b)),
        }
    }

    /// How many bytes it usually takes at the most: some blanks, a word, the rest of a line, or of a text.
    fn room(&self) -> usize {
        let kinds: u32 = self.of.iter().map(|bits| bits.count_ones()).sum();
        let usual = match kinds {
            0..16 => 2,
            16..128 => 8,
            128..256 => 64,
            _ => 2 << 10,
        };
        self.most.unwrap_or(usize::MAX).min(usual)
    }

    fn then(self, next: Self) -> Self {
        let most = self.most.zip(next.most).map(|(a, b)| a.saturating_add(b));
        Self::new(self.least.saturating_add(next.least), most, union(self.of, next.of))
    }

    fn or(self, other: Self) -> Self {
        let most = self.most.zip(other.most).map(|(a, b)| a.max(b));
        Self::new(self.least.min(other.least), most, union(self.of, other.of))
    }
}

fn collect(hir: &Hir, of: &mut Bytes) {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => {}
        HirKind::Literal(text) => *of = text.0.iter().copied().fold(*of, with),
        HirKind::Class(class) => {
            let bytes = match class {
                Class::Bytes(class) => Some(class.clone()),
                Class::Unicode(class) => class.to_byte_class(),
            };
            *of = bytes.map_or(ALL, |class| class.iter().flat_map(|r| r.start()..=r.end()).fold(*of, with));
        }
        HirKind::Repetition(repetition) => collect(&repetition.sub, of),
        HirKind::Capture(capture) => collect(&capture.sub, of),
        HirKind::Concat(parts) | HirKind::Alternation(parts) => parts.iter().for_each(|part| collect(part, of)),
    }
}

fn union(a: Bytes, b: Bytes) -> Bytes {
    std::array::from_fn(|n| a[n] | b[n])
}

fn with(mut of: Bytes, b: u8) -> Bytes {
    of[usize::from(b >> 6)] |= 1 << (b & 63);
    of
}

const fn has(of: Bytes, b: u8) -> bool {
    of[(b >> 6) as usize] >> (b & 63) & 1 == 1
}
