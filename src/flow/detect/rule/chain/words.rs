//! Words, of which one stands at a place of a chain, in any case.

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

/// What it costs to look for `text`, in nanoseconds for each byte of another: for the bytes, for those that are as its rarest
/// one, and for the chains that are followed from where it stands.
pub(super) fn price(text: &[u8]) -> f64 {
    let word = Word::new(text);
    let chance = |bits: u32| (-f64::from(bits)).exp2();
    0.06 + 5.0 * chance(rarity(word.text[word.rare])) + 100.0 * chance(word.bits())
}

/// So many words are looked for together, if it is not far: to search for one after the other begins slower and goes faster.
const MANY: usize = 3;
const FAR: usize = 160;
/// Where a look at each place costs less than a search.
const SHORT: usize = 16;

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
    /// Where its rarest byte stands in it.
    rare: usize,
}

impl Word {
    pub(super) fn new(text: &[u8]) -> Self {
        let text = text.to_ascii_lowercase();
        let rare = (0..text.len()).max_by_key(|n| rarity(text[*n])).unwrap_or(0);
        Self { text: text.into(), rare }
    }

    fn bits(&self) -> u32 {
        self.text.iter().map(|b| rarity(*b)).sum()
    }

    #[inline]
    fn stands(&self, text: &[u8], at: usize) -> bool {
        text.get(at..at + self.text.len()).is_some_and(|t| t.eq_ignore_ascii_case(&self.text))
    }

    /// Tells where it begins in `text`, of the places `starts`, in order, until `done`; answers whether it was.
    pub(super) fn each(&self, text: &[u8], starts: Range<usize>, done: &mut dyn FnMut(usize) -> bool) -> bool {
        let len = self.text.len();
        let Some(last) = text.len().checked_sub(len) else { return false };
        let (from, to) = (starts.start + self.rare, starts.end.min(last + 1) + self.rare);
        let Some(looked_at) = text.get(from..to) else { return false };
        let rare = self.text[self.rare];
        let mut stands = |n: usize| {
            let at = starts.start + n;
            text[at..at + len].eq_ignore_ascii_case(&self.text) && done(at)
        };
        if looked_at.len() <= SHORT {
            looked_at.iter().enumerate().any(|(n, b)| b.to_ascii_lowercase() == rare && stands(n))
        } else if rare.is_ascii_alphabetic() {
            memchr::memchr2_iter(rare, rare.to_ascii_uppercase(), looked_at).any(&mut stands)
        } else {
            memchr::memchr_iter(rare, looked_at).any(&mut stands)
        }
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
        for rare in self.all.iter().map(|word| word.text[word.rare]) {
            if told[usize::from(rare)] == 0 {
                let alike = |n: &usize| self.all[*n].text[self.all[*n].rare] == rare;
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
                    let Some(at) = (starts.start + n).checked_sub(word.rare) else { continue };
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
