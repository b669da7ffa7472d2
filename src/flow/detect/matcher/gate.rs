//! Text → where keywords stand: the one look at every byte.
//!
//! Four bytes, their case folded, are looked up at every second place. They tell of a keyword that begins there and of one
//! beside it. No place waits for the one before, as it would in an automaton of some thousand states. The first look is as
//! short as it can be, and takes a few places for promising that are not; the second, at those, takes almost none.

use crate::flow::detect::rule::RuleSet;
use posture::Direction;
use std::{collections::BTreeMap, ops::Range};

/// The shortest keyword, and how much of each is hashed.
const LEAST: usize = 3;
const HASH_BITS: u32 = 15;
/// As many places are told apart by the first look.
const LIKELY_BITS: u32 = 16;
/// The longest run of blanks that a keyword's blank stands for.
const MAX_BLANKS: usize = 64;
/// The bytes of a probe.
const PROBE: usize = 4;
/// Probes between two branches, one at every second byte.
const PROBES: usize = 16;
const STEP: usize = 2;
const BLOCK: usize = PROBES * STEP + PROBE - STEP;
/// The shortest keyword that is looked for backwards too: a shorter one stands in everyday words.
const LEAST_BACKWARDS: usize = 4;

/// The keywords of one direction's rules.
pub(super) struct Gate {
    /// By the hash of a probe: 1 where [`Gate::probe`] may say yes.
    likely: Box<[u8; 1 << LIKELY_BITS]>,
    /// By the hash of a probe's first three bytes: a bit for each value of the fourth's last three.
    probes: Box<[u8; 1 << HASH_BITS]>,
    /// By hash: where its keywords begin in `keywords`.
    first: Box<[u16]>,
    /// In the order of their hashes, and of those with the same the shortest first.
    keywords: Vec<Keyword>,
    /// How each of them begins: enough to pass over almost all.
    starts: Box<[Start]>,
}

/// In `first`: no keyword has this hash.
const NONE: u16 = u16::MAX;

struct Keyword {
    /// In lower case.
    text: Box<[u8]>,
    hash: usize,
    /// It has blanks.
    blank: bool,
    /// The rules it brings into play; none for one written backwards.
    rules: Vec<usize>,
}

/// As many bytes of a keyword are compared at once.
const WORD: usize = size_of::<u64>();

/// How a keyword begins.
struct Start {
    /// Its first bytes, and the bits of them that are never written otherwise: of a letter, all but its case.
    word: u64,
    mask: u64,
    /// Its length when that is all of it, else 0.
    len: usize,
    /// It is of the least length.
    shortest: bool,
    /// The next one has another hash.
    last: bool,
}

/// Which of the keywords at a place are wanted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Which {
    All,
    Longer,
    Shortest,
}

impl Gate {
    pub(super) fn new(rules: &RuleSet, direction: Direction) -> Self {
        let mut by_keyword: BTreeMap<Vec<u8>, Vec<usize>> = BTreeMap::new();
        for (index, rule) in rules.rules().iter().enumerate().filter(|(_, r)| r.family().direction() == direction) {
            for keyword in rule.keywords() {
                by_keyword.entry(keyword.clone().into_bytes()).or_default().push(index);
                let backwards: Vec<u8> = keyword.trim().bytes().rev().collect();
                if backwards.len() >= LEAST_BACKWARDS && backwards != keyword.trim().as_bytes() {
                    by_keyword.entry(backwards).or_default();
                }
            }
        }
        let mut keywords: Vec<Keyword> = by_keyword
            .into_iter()
            .map(|(text, rules)| Keyword {
                hash: hash([text[0], text[1], text[2]]),
                blank: text.iter().any(|b| is_blank(*b)),
                text: text.into(),
                rules,
            })
            .collect();
        keywords.sort_by_key(|k| (k.hash, k.text.len() > LEAST));
        let next = keywords.iter().skip(1).map(|k| Some(k.hash)).chain([None]);
        let starts = keywords.iter().zip(next).map(|(k, next)| k.start(next != Some(k.hash))).collect();
        let mut likely: Box<[u8; 1 << LIKELY_BITS]> = vec![0; 1 << LIKELY_BITS].try_into().expect("it is that long");
        let mut probes: Box<[u8; 1 << HASH_BITS]> = vec![0; 1 << HASH_BITS].try_into().expect("it is that long");
        let mut first = vec![NONE; 1 << HASH_BITS].into_boxed_slice();
        for (n, keyword) in keywords.iter().enumerate().rev() {
            let n = u16::try_from(n).ok().filter(|&n| n != NONE);
            first[keyword.hash] = n.expect("a rule set has some hundred keywords");
            keyword.probes(&mut |three @ [a, b, c], fourths| {
                probes[hash(three)] |= fourths;
                for fourth in (0..8).filter(|n| fourths >> n & 1 == 1) {
                    likely[likely_at(u32::from_le_bytes([a, b, c, fourth]))] = 1;
                }
            });
        }
        Self { likely, probes, first, keywords, starts }
    }

    /// Reports each keyword in `text`, in order of position, with the rules it brings into play: none when it stands
    /// there backwards.
    pub(super) fn each(&self, text: &[u8], on: &mut dyn FnMut(Range<usize>, &[usize])) {
        let mut at = 0;
        while let Some(block) = text[at..].first_chunk::<BLOCK>() {
            // Copied as one, not byte by byte: so it is one load.
            let four = |at: usize| block[at..at + PROBE].try_into().unwrap_or([0; PROBE]);
            // The first probe's bit is the highest.
            let mut hits = 0_u32;
            for n in (0..PROBES * STEP).step_by(4 * STEP) {
                let likely = |n: usize| u32::from(self.likely[likely_at(u32::from_le_bytes(four(n)))]);
                hits = hits << 1 | likely(n);
                hits = hits << 1 | likely(n + STEP);
                hits = hits << 1 | likely(n + 2 * STEP);
                hits = hits << 1 | likely(n + 3 * STEP);
            }
            hits <<= u32::BITS as usize - PROBES;
            while hits != 0 {
                let n = hits.leading_zeros();
                hits ^= 1 << (u32::BITS - 1 - n);
                let n = STEP * n as usize;
                if self.probe(four(n)) {
                    self.around(text, at + n, on);
                }
            }
            at += PROBES * STEP;
        }
        while let Some(&four) = text[at..].first_chunk() {
            if self.probe(four) {
                self.around(text, at, on);
            }
            at += STEP;
        }
        // What ends with the text, too late for a probe.
        self.keywords_at(text, at.wrapping_sub(1), Which::Longer, on);
        self.keywords_at(text, at, Which::Shortest, on);
    }

    /// Whether a keyword may begin with these bytes, or a byte before or after the first of them.
    #[inline]
    fn probe(&self, [a, b, c, fourth]: [u8; PROBE]) -> bool {
        self.probes[hash([a, b, c])] & fourths(fourth) != 0
    }

    /// Reports the keywords that a probe at `at` tells of.
    fn around(&self, text: &[u8], at: usize, on: &mut dyn FnMut(Range<usize>, &[usize])) {
        self.keywords_at(text, at.wrapping_sub(1), Which::Longer, on);
        self.keywords_at(text, at, Which::All, on);
        self.keywords_at(text, at + 1, Which::Shortest, on);
    }

    /// Reports the keywords at `at`, the shortest first.
    #[inline]
    fn keywords_at(&self, text: &[u8], at: usize, which: Which, on: &mut dyn FnMut(Range<usize>, &[usize])) {
        let Some(rest @ &[a, b, c, ..]) = text.get(at..) else { return };
        let first = self.first[hash([a, b, c])];
        if first != NONE {
            self.keywords_from(usize::from(first), (at, rest), which, on);
        }
    }

    /// Reports those keywords that `rest` begins with, of the one numbered `first` and the others with its hash.
    #[inline(never)]
    fn keywords_from(
        &self,
        first: usize,
        (at, rest): (usize, &[u8]),
        which: Which,
        on: &mut dyn FnMut(Range<usize>, &[usize]),
    ) {
        let word = word(rest);
        for (n, start) in self.starts[first..].iter().enumerate() {
            let wanted = match which {
                Which::All => true,
                Which::Longer => !start.shortest,
                Which::Shortest => start.shortest,
            };
            if wanted && (word ^ start.word) & start.mask == 0 {
                let keyword = &self.keywords[first + n];
                let len = if start.len > 0 { Some(start.len) } else { keyword.len_at(rest) };
                if let Some(len) = len {
                    on(at..at + len, &keyword.rules);
                }
            }
            if start.last || (which == Which::Shortest && !start.shortest) {
                return;
            }
        }
    }

    /// Whether a keyword stands in `text`.
    pub(super) fn any(&self, text: &[u8]) -> bool {
        let mut any = false;
        self.each(text, &mut |_, rules| any |= !rules.is_empty());
        any
    }
}

impl Keyword {
    fn start(&self, last: bool) -> Start {
        // A blank may be any run of blanks: from the first one on, nothing stands where the keyword has it.
        let fixed = self.text.iter().take(WORD).take_while(|b| !is_blank(**b)).count();
        let bits = |b: &u8| if b.is_ascii_lowercase() { !CASE } else { u8::MAX };
        let mask: Vec<u8> = self.text[..fixed].iter().map(bits).collect();
        let len = if fixed == self.text.len() { fixed } else { 0 };
        Start { word: word(&self.text), mask: word(&mask), len, shortest: self.text.len() == LEAST, last }
    }

    /// The probes that tell of the keyword: their first three bytes, and the [`fourths`] of those their fourth may be.
    ///
    /// A probe stands where the keyword begins, or a byte later; where the keyword is too short for that, a byte earlier.
    /// Its first three bytes are as they are written: only after them may a blank be a run of blanks.
    fn probes(&self, on: &mut dyn FnMut([u8; LEAST], u8)) {
        let Some((&three, rest)) = self.text.split_first_chunk::<LEAST>() else { return };
        let [first, second, third] = three;
        let blanks = fourths(b' ') | fourths(b'\t');
        let Some(&fourth) = rest.first() else {
            on(three, u8::MAX);
            return (0..=u8::MAX).for_each(|before| on([before, first, second], fourths(third)));
        };
        let runs = is_blank(third) || is_blank(fourth);
        on(three, fourths(fourth) | if runs { blanks } else { 0 });
        let then = match rest.get(1) {
            Some(&fifth) if !runs => fourths(fifth) | if is_blank(fifth) { blanks } else { 0 },
            _ => u8::MAX,
        };
        on([second, third, fourth], then);
        if runs {
            on([second, third, b' '], then);
            on([second, third, b'\t'], then);
        }
    }

    /// How long the keyword is at the start of `text`, if it stands there. Its blanks may be any run of them.
    fn len_at(&self, text: &[u8]) -> Option<usize> {
        let len = self.text.len();
        if text.get(..len).is_some_and(|t| t.eq_ignore_ascii_case(&self.text)) {
            return Some(len);
        }
        if !self.blank {
            return None;
        }
        let mut at = 0;
        for (n, &b) in self.text.iter().enumerate() {
            if matches!(b, b' ' | b'\t') {
                let last = !matches!(self.text.get(n + 1), Some(b' ' | b'\t'));
                let most = if last { MAX_BLANKS } else { 1 };
                let run = text.get(at..)?.iter().take(most).take_while(|b| matches!(b, b' ' | b'\t')).count();
                at += run;
                if run == 0 {
                    return None;
                }
            } else if text.get(at)?.eq_ignore_ascii_case(&b) {
                at += 1;
            } else {
                return None;
            }
        }
        Some(at)
    }
}

const fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// A bit for the last three bits of a byte, whatever its case.
#[inline]
const fn fourths(byte: u8) -> u8 {
    1 << (byte & 7)
}

/// The bit in which the cases of a letter differ.
const CASE: u8 = 0x20;

/// The first eight bytes; zeros for those that are missing.
#[inline]
fn word(bytes: &[u8]) -> u64 {
    if let Some(whole) = bytes.first_chunk() {
        return u64::from_le_bytes(*whole);
    }
    let mut word = [0; WORD];
    word[..bytes.len()].copy_from_slice(bytes);
    u64::from_le_bytes(word)
}

/// A probe without its case, of its fourth byte what [`fourths`] has of it, mixed.
#[inline]
const fn likely_at(probe: u32) -> usize {
    ((probe & 0x07df_dfdf).wrapping_mul(MIX) >> (u32::BITS - LIKELY_BITS)) as usize
}

/// The bytes without their case, mixed.
#[inline]
const fn hash(bytes: [u8; LEAST]) -> usize {
    let word = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], 0]) & 0x00df_dfdf;
    (word.wrapping_mul(MIX) >> (u32::BITS - HASH_BITS)) as usize
}

/// Knuth's multiplicative hashing.
const MIX: u32 = 0x9e37_79b1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_keyword_is_found_in_any_case_wherever_it_stands() {
        let rules = RuleSet::embedded();
        for direction in [Direction::Outbound, Direction::Inbound] {
            let gate = Gate::new(&rules, direction);
            for (index, rule) in rules.rules().iter().enumerate().filter(|(_, r)| r.family().direction() == direction) {
                for keyword in rule.keywords() {
                    for before in 0..2 * BLOCK {
                        for text in
                            [keyword.clone(), keyword.to_uppercase(), format!("{keyword} "), format!("{keyword} cd")]
                        {
                            let text = ["-".repeat(before), text].concat();
                            let mut found = false;
                            gate.each(text.as_bytes(), &mut |at, rules| {
                                found |= at.start == before && rules.contains(&index);
                            });
                            assert!(found, "{text}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn a_blank_stands_for_any_run_of_blanks_and_a_keyword_backwards_brings_no_rule() {
        let rules = RuleSet::embedded();
        let gate = Gate::new(&rules, Direction::Inbound);
        let brings = |text: &str| {
            let mut brought = None;
            gate.each(text.as_bytes(), &mut |at, rules| {
                brought.get_or_insert((at, rules.is_empty()));
            });
            brought
        };
        assert_eq!(brings("sh.exe \t -x").map(|(_, backwards)| backwards), Some(false));
        assert_eq!(brings("rd \t /s"), Some((0..6, false)));
        assert_eq!(brings("syek_dezirohtua"), Some((0..15, true)));
        assert_eq!(brings("words of no use"), None);
    }

    #[test]
    fn runs_of_blanks_are_found_wherever_they_stand() {
        let gate = Gate::new(&RuleSet::embedded(), Direction::Inbound);
        for (written, before) in
            ["rd /s", "rd \t  /s", "sh.exe   -c", "sh  -c"].iter().flat_map(|w| (0..9).map(move |n| (w, n)))
        {
            let text = ["-".repeat(before), (*written).to_owned()].concat();
            let mut found = false;
            gate.each(text.as_bytes(), &mut |at, rules| found |= at.start == before && !rules.is_empty());
            assert!(found, "{text}");
        }
    }

    /// What a look at every keyword at every place finds.
    fn everywhere(gate: &Gate, text: &[u8]) -> Vec<(usize, usize, usize)> {
        let places = text.windows(LEAST).enumerate();
        let at = places.flat_map(|(at, w)| gate.keywords.iter().map(move |k| (at, hash([w[0], w[1], w[2]]), k)));
        let found = at.filter(|(_, hash, k)| k.hash == *hash);
        found.filter_map(|(at, _, k)| Some((at, at + k.len_at(&text[at..])?, k.rules.len()))).collect()
    }

    proptest::proptest! {
        #[test]
        fn every_keyword_is_found_once(text in "[ske_.\\- \trmnvpcu/]{0,120}", inbound in proptest::bool::ANY) {
            let direction = if inbound { Direction::Inbound } else { Direction::Outbound };
            let gate = Gate::new(&RuleSet::embedded(), direction);
            let mut found = Vec::new();
            gate.each(text.as_bytes(), &mut |at, rules| found.push((at.start, at.end, rules.len())));
            let mut want = everywhere(&gate, text.as_bytes());
            found.sort_unstable();
            want.sort_unstable();
            proptest::prop_assert_eq!(found, want);
        }

        #[test]
        fn what_is_found_is_there_and_in_order(text in "[ske_.a-d/p:-]{0,200}") {
            let rules = RuleSet::embedded();
            let gate = Gate::new(&rules, Direction::Outbound);
            let mut last = 0;
            let mut wrong = false;
            gate.each(text.as_bytes(), &mut |at, indices| {
                wrong |= at.start < last;
                last = at.start;
                let word = text[at].to_ascii_lowercase();
                wrong |= indices.iter().any(|i| !rules.rules()[*i].keywords().contains(&word));
            });
            proptest::prop_assert!(!wrong);
        }
    }
}
