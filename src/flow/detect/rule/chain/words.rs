//! Words, of which one stands at a place of a chain, in any case.

use crate::flow::detect::bits::{LANES, Lanes};
use std::ops::Range;

/// How rare a byte is in text, in bits: what a word's are together says how seldom it stands anywhere.
const fn rarity(b: u8) -> u32 {
    match b {
        b' ' => 2,
        b'e' | b't' | b'a' | b'o' | b'i' | b'n' | b's' | b'r' => 4,
        b'h' | b'l' | b'd' | b'c' | b'u' | b'm' | b'p' => 5,
        b'f' | b'g' | b'y' | b'w' | b'b' | b'v' | b'.' | b'\n' | b'-' | b',' | b'"' | b'/' | b'`' => 6,
        b'k' | b'\'' | b'(' | b')' | b':' | b'_' | b'0' | b'1' | b'2' | b'=' => 7,
        b'x' | b'j' | b'q' | b'z' => 9,
        _ => 8,
    }
}

/// What it costs to look for `text`, in nanoseconds for each byte of another: for the bytes, and for the chains that are
/// followed from where it stands.
pub(super) fn price(text: &[u8]) -> f64 {
    0.1 + 100.0 * (-f64::from(Word::new(text).bits())).exp2()
}

/// So many words are looked for together, if it is not far: to search for one after the other begins slower and goes faster.
const MANY: usize = 3;
const FAR: usize = 64;
/// Farther than this, a byte that is so rare is looked for alone.
const NEAR: usize = 160;
const RARE: u32 = 6;

/// One or more words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Words {
    all: Box<[Word]>,
    /// By a byte, which words it is the rarest of: the number of its group, from 1 on. Of few words there are none.
    told: Option<Box<[u8; 256]>>,
    groups: Box<[Box<[usize]>]>,
    shortest: usize,
    longest: usize,
}

/// A word that is looked for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Word {
    /// In lower case.
    text: Box<[u8]>,
    /// Where its two rarest bytes stand in it.
    rare: [usize; 2],
}

impl Word {
    pub(super) fn new(text: &[u8]) -> Self {
        let text = text.to_ascii_lowercase();
        let rarest = |but: usize| (0..text.len()).filter(|n| *n != but).max_by_key(|n| rarity(text[*n]));
        let one = rarest(usize::MAX).unwrap_or(0);
        let rare = [one, rarest(one).unwrap_or(one)];
        Self { text: text.into(), rare }
    }

    fn bits(&self) -> u32 {
        self.text.iter().map(|b| rarity(*b)).sum()
    }

    /// Its rarest byte.
    fn rarest(&self) -> u8 {
        self.text[self.rare[0]]
    }

    #[inline]
    fn stands(&self, text: &[u8], at: usize) -> bool {
        // Almost always the first byte or the second says it.
        let same = |t: &[u8]| t.iter().zip(&self.text).all(|(b, own)| b.to_ascii_lowercase() == *own);
        text.get(at..at + self.text.len()).is_some_and(same)
    }

    /// Tells where it begins in `text`, of the places `starts`, in order, until `done`; answers whether it was.
    pub(super) fn each(&self, text: &[u8], starts: Range<usize>, done: &mut dyn FnMut(usize) -> bool) -> bool {
        let Some(last) = text.len().checked_sub(self.text.len()) else { return false };
        let (start, end) = (starts.start, starts.end.min(last + 1));
        if start >= end {
            return false;
        }
        if end - start > NEAR && rarity(self.rarest()) >= RARE {
            return self.each_far(text, start..end, done);
        }
        let [one, other] = self.rare.map(|n| text[start + n..].as_chunks::<LANES>().0);
        let mut at = start;
        for (one, other) in one.iter().zip(other).take((end - start).div_ceil(LANES)) {
            let likely = self.likely(*one, *other);
            if likely != 0 && self.among(text, at..end, likely, done) {
                return true;
            }
            at += LANES;
        }
        if at >= end {
            return false;
        }
        // The last block ends with the text, and begins before what is left.
        let block = text.len().checked_sub(self.rare[0].max(self.rare[1]) + LANES);
        let blocks = block.and_then(|block| {
            let [one, other] = self.rare.map(|n| text[block + n..].first_chunk());
            Some((block, self.likely(*one?, *other?)))
        });
        match blocks {
            Some((block, likely)) => self.among(text, at..end, likely >> (at - block), done),
            None => (at..end).any(|at| self.stands(text, at) && done(at)),
        }
    }

    /// The same by its rarest byte alone: no faster where that stands often, or it is not far.
    fn each_far(&self, text: &[u8], starts: Range<usize>, done: &mut dyn FnMut(usize) -> bool) -> bool {
        let (rare, at) = (self.rarest(), self.rare[0]);
        let looked_at = &text[starts.start + at..starts.end + at];
        let mut stands = |n: usize| self.stands(text, starts.start + n) && done(starts.start + n);
        if rare.is_ascii_alphabetic() {
            memchr::memchr2_iter(rare, rare.to_ascii_uppercase(), looked_at).any(&mut stands)
        } else {
            memchr::memchr_iter(rare, looked_at).any(&mut stands)
        }
    }

    /// At which places its two rarest bytes stand where they should, as bits.
    #[inline]
    fn likely(&self, one: [u8; LANES], other: [u8; LANES]) -> u64 {
        let [a, b] = self.rare.map(|n| self.text[n] | 0x20);
        Lanes::of(one).lower_case().is(a).bits() & Lanes::of(other).lower_case().is(b).bits()
    }

    /// Tells at which of the likely of these places it stands.
    fn among(&self, text: &[u8], places: Range<usize>, likely: u64, done: &mut dyn FnMut(usize) -> bool) -> bool {
        let mut likely = likely;
        while likely != 0 {
            let at = places.start + likely.trailing_zeros() as usize;
            if at >= places.end {
                return false;
            }
            if self.stands(text, at) && done(at) {
                return true;
            }
            likely &= likely - 1;
        }
        false
    }
}

impl Words {
    /// None of `texts` is empty.
    pub(super) fn new(texts: &[Vec<u8>]) -> Self {
        let mut words: Vec<Word> = texts.iter().map(|text| Word::new(text)).collect();
        words.sort();
        words.dedup();
        let lengths = || words.iter().map(|w| w.text.len());
        let (shortest, longest) = (lengths().min().unwrap_or(0), lengths().max().unwrap_or(0));
        let mut of = Self { all: words.into(), told: None, groups: [].into(), shortest, longest };
        if of.all.len() >= MANY {
            of.tell();
        }
        of
    }

    /// Groups the words by their rarest byte.
    fn tell(&mut self) {
        let mut told = Box::new([0; 256]);
        let mut groups: Vec<Box<[usize]>> = Vec::new();
        for rare in self.all.iter().map(Word::rarest) {
            if told[usize::from(rare)] == 0 {
                let alike = |n: &usize| self.all[*n].rarest() == rare;
                groups.push((0..self.all.len()).filter(alike).collect());
                let number = u8::try_from(groups.len()).expect("no more groups than bytes");
                told[usize::from(rare)] = number;
                told[usize::from(rare.to_ascii_uppercase())] = number;
            }
        }
        (self.told, self.groups) = (Some(told), groups.into());
    }

    pub(super) fn count(&self) -> usize {
        self.all.len()
    }

    pub(super) fn texts(&self) -> impl Iterator<Item = &[u8]> {
        self.all.iter().map(|w| &*w.text)
    }

    /// How often one of them stands somewhere by chance.
    pub(super) fn chance(&self) -> f64 {
        self.all.iter().map(|w| (-f64::from(w.bits())).exp2()).sum()
    }

    /// Tells where each of them that begins at `start` ends, until `done`; answers whether it was.
    pub(super) fn at(&self, text: &[u8], start: usize, done: &mut dyn FnMut(usize) -> bool) -> bool {
        self.all.iter().any(|w| w.stands(text, start) && done(start + w.text.len()))
    }

    fn each(&self, text: &[u8], starts: Range<usize>, found: &mut dyn FnMut(Range<usize>)) {
        if let Some(told) = self.told.as_ref().filter(|_| starts.len() <= FAR) {
            let end = text.len().min(starts.end.saturating_add(self.longest));
            let Some(looked_at) = text.get(starts.start..end) else { return };
            for (n, b) in looked_at.iter().enumerate() {
                let Some(group) = usize::from(told[usize::from(*b)]).checked_sub(1) else { continue };
                for word in self.groups[group].iter().map(|n| &self.all[*n]) {
                    let Some(at) = (starts.start + n).checked_sub(word.rare[0]) else { continue };
                    if starts.contains(&at) && word.stands(text, at) {
                        found(at..at + word.text.len());
                    }
                }
            }
            return;
        }
        for word in &self.all {
            word.each(text, starts.clone(), &mut |at| {
                found(at..at + word.text.len());
                false
            });
        }
    }

    /// Where those that begin at `reach`, its end included, end: the first and the last.
    pub(super) fn ends_in(&self, text: &[u8], reach: Range<usize>) -> Option<Range<usize>> {
        let mut ends = None;
        if reach.is_empty() {
            self.at(text, reach.start, &mut |end| {
                spread(&mut ends, end);
                false
            });
            return ends;
        }
        self.each(text, reach.start..reach.end + 1, &mut |word| spread(&mut ends, word.end));
        ends
    }

    /// Where those that end at `reach`, its end included, begin: the first and the last.
    pub(super) fn starts_in(&self, text: &[u8], reach: Range<usize>) -> Option<Range<usize>> {
        let mut starts = None;
        let from = reach.start.saturating_sub(self.longest);
        let to = (reach.end + 1).checked_sub(self.shortest)?;
        self.each(text, from..to, &mut |word| {
            if word.end >= reach.start && word.end <= reach.end {
                spread(&mut starts, word.start);
            }
        });
        starts
    }
}

/// From the first to the last.
fn spread(places: &mut Option<Range<usize>>, at: usize) {
    let places = places.get_or_insert(at..at);
    *places = places.start.min(at)..places.end.max(at);
}

#[cfg(test)]
mod tests {
    use super::{Word, Words};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn words_are_found_wherever_they_begin(
            text in "[aAbBk_K(\\x7f\n]{0,290}",
            from in 0usize..90,
            len in 0usize..290,
            words in proptest::collection::vec("[abk_(]{1,5}", 1..6),
        ) {
            let text = text.as_bytes();
            let texts: Vec<Vec<u8>> = words.iter().map(|word| word.clone().into_bytes()).collect();
            let begins = |word: &Vec<u8>, at: usize| {
                text.get(at..at + word.len()).is_some_and(|t| t.eq_ignore_ascii_case(word))
            };
            for word in &texts {
                let mut found = Vec::new();
                Word::new(word).each(text, from..from + len, &mut |at| {
                    found.push(at);
                    false
                });
                let want: Vec<usize> = (from..from + len).filter(|at| begins(word, *at)).collect();
                prop_assert_eq!(found, want);
            }
            let all = Words::new(&texts);
            if from + len <= text.len() {
                let ends = (from..=from + len).flat_map(|at| texts.iter().filter(move |w| begins(w, at)).map(move |w| at + w.len()));
                let ends: Vec<usize> = ends.collect();
                let want = ends.iter().min().zip(ends.iter().max()).map(|(min, max)| *min..*max);
                prop_assert_eq!(all.ends_in(text, from..from + len), want);
                let places = |w: &Vec<u8>, end: usize| end.checked_sub(w.len()).filter(|at| begins(w, *at));
                let starts: Vec<usize> =
                    (from..=from + len).flat_map(|end| texts.iter().filter_map(move |w| places(w, end))).collect();
                let want = starts.iter().min().zip(starts.iter().max()).map(|(min, max)| *min..*max);
                prop_assert_eq!(all.starts_in(text, from..from + len), want);
            }
        }
    }
}
