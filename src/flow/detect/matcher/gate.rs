//! Text → where keywords stand: the one look at every byte.
//!
//! Four bytes, their case folded, are looked up at every second place. They tell of a keyword that begins there and of one
//! beside it. No place waits for the one before, as it would in an automaton of some thousand states. The first look is as
//! short as it can be, and takes a few places for promising that are not; the second, at the eight bytes around those,
//! takes almost none. The first branches on nothing it sees: of ordinary text a processor would guess wrong every time.

mod keyword;

use crate::flow::detect::rule::RuleSet;
use keyword::{BEFORE, Keyword, LEAST, Sign, Start, word};
use posture::Direction;
use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

/// As many places are told apart by a look.
const LIKELY_BITS: u32 = 16;
/// The bytes of a probe.
const PROBE: usize = 4;
/// Probes of a block, one at every second byte.
const PROBES: usize = 16;
const STEP: usize = 2;
/// How far the probes of a block reach.
const BLOCK: usize = PROBES * STEP + PROBE - STEP;
/// Probes between two branches on what was seen: one for each bit of a word.
const STRETCH: usize = u64::BITS as usize;
/// The shortest keyword that is looked for backwards too: a shorter one stands in everyday words.
const LEAST_BACKWARDS: usize = 4;

/// The keywords of one direction's rules.
pub(super) struct Gate {
    /// By the hash of a probe: 1 where it tells of a keyword, 0 where of none.
    likely: Box<[u8; 1 << LIKELY_BITS]>,
    /// By the same hash: which of `groups` it tells of.
    told: Box<[u16; 1 << LIKELY_BITS]>,
    groups: Box<[Group]>,
    keywords: Box<[Keyword]>,
    /// How each of them begins: enough to pass over almost all.
    starts: Box<[Start]>,
}

/// The keywords that one probe tells of.
struct Group {
    /// What the eight bytes around the probe have, whichever of them stands there.
    sign: Sign,
    /// In the order they are reported.
    told: Box<[Told]>,
}

/// A keyword that a probe tells of.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Told {
    /// Where it begins, in bytes after the sign of its probe does.
    begins: usize,
    keyword: usize,
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
        let mut keywords: Vec<Keyword> =
            by_keyword.into_iter().map(|(text, rules)| Keyword::new(&text, rules)).collect();
        keywords.sort_by_key(|k| k.text.len() > LEAST);
        let mut by_probe: BTreeMap<usize, BTreeSet<Told>> = BTreeMap::new();
        for (n, keyword) in keywords.iter().enumerate() {
            keyword.probes(&mut |[a, b, c], fourths, begins| {
                for fourth in (0..8).filter(|n| fourths >> n & 1 == 1) {
                    let probe = likely_at([a, b, c, fourth]);
                    by_probe.entry(probe).or_default().insert(Told { begins, keyword: n });
                }
            });
        }
        let mut likely: Box<[u8; 1 << LIKELY_BITS]> = vec![0; 1 << LIKELY_BITS].try_into().expect("it is that long");
        let mut told: Box<[u16; 1 << LIKELY_BITS]> = vec![0; 1 << LIKELY_BITS].try_into().expect("it is that long");
        let mut groups: BTreeMap<&BTreeSet<Told>, u16> = by_probe.values().map(|told| (told, 0)).collect();
        for (n, number) in groups.values_mut().enumerate() {
            *number = u16::try_from(n).expect("no more groups than probes are told apart");
        }
        for (&probe, group) in &by_probe {
            (likely[probe], told[probe]) = (1, groups[group]);
        }
        let groups = groups.keys().map(|told| Group::of(told, &keywords)).collect();
        let starts = keywords.iter().map(Keyword::start).collect();
        Self { likely, told, groups, keywords: keywords.into(), starts }
    }

    /// Reports each keyword in `text`, in order of position, with the rules it brings into play: none when it stands
    /// there backwards.
    pub(super) fn each(&self, text: &[u8], on: &mut dyn FnMut(Range<usize>, &[usize])) {
        let mut at = 0;
        loop {
            let (mut likely, probes) = self.look(&text[at..]);
            while likely != 0 {
                let place = at + STEP * likely.trailing_zeros() as usize;
                likely &= likely - 1;
                let Some(&probe) = text[place..].first_chunk() else { break };
                let group = self.group(probe);
                if group.may_stand(text, place) {
                    self.report(text, place, group, on);
                }
            }
            at += STEP * probes;
            if probes < STRETCH {
                break;
            }
        }
        // Of what ends with the text, too late for a probe, none asks for a fourth byte.
        if let [a, b, c] = text[at..] {
            let probe = [a, b, c, 0];
            if self.likely[likely_at(probe)] == 1 {
                self.report(text, at, self.group(probe), on);
            }
        }
    }

    /// The first look: which of the first probes of `text` are likely to tell of a keyword, as bits, the first one's the
    /// lowest; and how many probes those are.
    #[inline]
    fn look(&self, text: &[u8]) -> (u64, usize) {
        let likely = |probe: [u8; PROBE]| u64::from(self.likely[likely_at(probe)]);
        let (mut seen, mut probes) = (0, 0);
        while probes < STRETCH {
            let Some(block) = text[STEP * probes..].first_chunk::<BLOCK>() else {
                // The last probes of the text.
                while let Some(&probe) = text[STEP * probes..].first_chunk() {
                    seen |= likely(probe) << probes;
                    probes += 1;
                }
                break;
            };
            // Copied as one, not byte by byte: so it is one load.
            let four = |at: usize| block[at..at + PROBE].try_into().unwrap_or([0; PROBE]);
            let block = (0..PROBES).rev().fold(0, |seen, n| seen << 1 | likely(four(STEP * n)));
            seen |= block << probes;
            probes += PROBES;
        }
        (seen, probes)
    }

    /// What a likely probe tells of.
    #[inline]
    fn group(&self, probe: [u8; PROBE]) -> &Group {
        &self.groups[usize::from(self.told[likely_at(probe)])]
    }

    /// Reports those keywords of a group that stand around the probe at `at`.
    fn report(&self, text: &[u8], at: usize, group: &Group, on: &mut dyn FnMut(Range<usize>, &[usize])) {
        for &Told { begins, keyword } in &group.told {
            let at = (at + begins).wrapping_sub(BEFORE);
            let Some(rest) = text.get(at..) else { continue };
            let start = &self.starts[keyword];
            if start.sign.fits(word(rest)) {
                let keyword = &self.keywords[keyword];
                let len = if start.len > 0 { Some(start.len) } else { keyword.len_at(rest) };
                if let Some(len) = len {
                    on(at..at + len, &keyword.rules);
                }
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

impl Group {
    fn of(told: &BTreeSet<Told>, keywords: &[Keyword]) -> Self {
        let signs = told.iter().map(|t| keywords[t.keyword].sign(t.begins));
        let sign = signs.reduce(Sign::common).unwrap_or(Sign::NONE);
        Self { sign, told: told.iter().copied().collect() }
    }

    /// The second look: whether one of its keywords may stand around its probe at `at`. At both ends of a text it is not
    /// asked.
    #[inline]
    fn may_stand(&self, text: &[u8], at: usize) -> bool {
        let around = text.get(at.wrapping_sub(BEFORE)..).and_then(|t| t.first_chunk());
        around.is_none_or(|around| self.sign.fits(u64::from_le_bytes(*around)))
    }
}

/// A probe without its case, of its fourth byte what [`fourths`] has of it, mixed (Knuth's multiplicative hashing).
#[inline]
const fn likely_at(probe: [u8; PROBE]) -> usize {
    ((u32::from_le_bytes(probe) & 0x07df_dfdf).wrapping_mul(0x9e37_79b1) >> (u32::BITS - LIKELY_BITS)) as usize
}

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
                    let next = STRETCH * STEP;
                    for before in (0..2 * BLOCK).chain(next - BLOCK..next + PROBE) {
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

    /// What a look at every keyword at every place finds. Its first bytes are as they are written, blanks too.
    fn everywhere(gate: &Gate, text: &[u8]) -> Vec<(usize, usize, usize)> {
        let places = (0..text.len()).flat_map(|at| gate.keywords.iter().map(move |k| (at, k)));
        let as_written =
            |at: usize, k: &Keyword| text[at..].get(..LEAST).is_some_and(|t| t.eq_ignore_ascii_case(&k.text[..LEAST]));
        let found = places.filter(|(at, k)| as_written(*at, k));
        found.filter_map(|(at, k)| Some((at, at + k.len_at(&text[at..])?, k.rules.len()))).collect()
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
