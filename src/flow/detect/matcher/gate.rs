//! Text → where keywords stand: the one look at every byte.
//!
//! Four bytes, their case folded, are looked up at every second place. They tell of a keyword that begins there and of one
//! beside it. No place waits for the one before, as it would in an automaton of some thousand states. The first look is as
//! short as it can be, and takes a few places for promising that are not; the second, at the eight bytes around those,
//! takes almost none. Neither branches on what it sees: of ordinary text a processor would guess wrong every time.

mod keyword;
mod probe;

use super::clues;
use crate::flow::detect::rule::RuleSet;
use keyword::{BEFORE, Keyword, Sign, Start, word};
use posture::Direction;
use probe::{PLACES, STEP, STRETCH, STRETCH_BYTES, place, places, places_of};
use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

/// Places looked at twice, whether they are promising or not, before a branch asks for more.
const AT_ONCE: usize = 4;
/// Probes of what fills no more than half a stretch.
const HALF: usize = STRETCH / 2;
/// The last place that is looked at begins so many bytes before the end of a text.
const LAST: usize = 3;
/// The shortest keyword that is looked for backwards too: a shorter one stands in everyday words.
const LEAST_BACKWARDS: usize = 4;

/// Words of a secret's name, which are looked for backwards: of some keys the beginning is too short to be.
const NAMES: &[&str] = &["api_key", "apikey", "secret", "token"];

/// The keywords of one direction's rules.
pub(super) struct Gate {
    /// By the place of a probe: 1 where it tells of a keyword, 0 where of none.
    likely: Box<[u8; PLACES]>,
    /// By the same: which of `groups` it tells of.
    told: Box<[u16; PLACES]>,
    groups: Box<[Group]>,
    /// What the eight bytes around a probe of each group have, whichever of its keywords stands there.
    signs: Box<[Sign]>,
    keywords: Box<[Keyword]>,
    /// How each of them begins: enough to pass over almost all.
    starts: Box<[Start]>,
}

/// The keywords that one probe tells of, in the order they are reported.
type Group = Box<[Told]>;

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
        if direction == Direction::Outbound && !by_keyword.is_empty() {
            for name in NAMES {
                by_keyword.entry(name.bytes().rev().collect()).or_default();
            }
        }
        if !by_keyword.is_empty() {
            for clue in clues::keywords(direction) {
                by_keyword.entry(clue.into()).or_default();
            }
        }
        let mut keywords: Vec<Keyword> =
            by_keyword.into_iter().map(|(text, rules)| Keyword::new(&text, rules)).collect();
        // Where two begin, the order is the same whichever probes tell of them.
        keywords.sort_by_key(|k| !k.told_before());
        let mut by_place: BTreeMap<usize, BTreeSet<Told>> = BTreeMap::new();
        for (n, keyword) in keywords.iter().enumerate() {
            for (bytes, begins) in keyword.probes() {
                for place in places_of(&bytes) {
                    by_place.entry(usize::from(place)).or_default().insert(Told { begins, keyword: n });
                }
            }
        }
        let mut likely: Box<[u8; PLACES]> = vec![0; PLACES].try_into().expect("it is that long");
        let mut told: Box<[u16; PLACES]> = vec![0; PLACES].try_into().expect("it is that long");
        let mut groups: BTreeMap<&BTreeSet<Told>, u16> = by_place.values().map(|told| (told, 0)).collect();
        for (n, number) in groups.values_mut().enumerate() {
            *number = u16::try_from(n).expect("no more groups than places");
        }
        for (&place, group) in &by_place {
            (likely[place], told[place]) = (1, groups[group]);
        }
        let groups: Box<[Group]> = groups.keys().map(|told| told.iter().copied().collect()).collect();
        let sign = |told: &Told| keywords[told.keyword].sign(told.begins);
        let signs = groups.iter().map(|g| g.iter().map(sign).reduce(Sign::common).unwrap_or(Sign::NONE));
        // Places of no keyword tell of the first: there is one.
        let signs = signs.chain([Sign::NONE]).collect();
        let starts = keywords.iter().map(Keyword::start).collect();
        Self { likely, told, groups, signs, keywords: keywords.into(), starts }
    }

    /// Reports each keyword in `text`, in order of position, with the rules it brings into play: none when it stands
    /// there backwards, or tells of another reading.
    pub(super) fn each(&self, text: &[u8], on: &mut dyn FnMut(Range<usize>, &[usize])) {
        // The first place of the first stretch is the text's second.
        if let Some(&[a, b, c]) = text.first_chunk() {
            let place = place([0, a, b, c]);
            if self.likely[usize::from(place)] == 1 {
                self.report(text, 0_usize.wrapping_sub(BEFORE + 1), place, on);
            }
        }
        let mut at = 0;
        while let Some(rest) = text.get(at..).filter(|rest| rest.len() > LAST) {
            let mut padded;
            let stretch = if let Some(stretch) = rest.first_chunk() {
                stretch
            } else {
                padded = [0; STRETCH_BYTES];
                padded[..rest.len()].copy_from_slice(rest);
                &padded
            };
            let mut places = [0; STRETCH];
            let likely = match places.first_chunk_mut::<HALF>().filter(|_| rest.len() <= STEP * HALF + LAST) {
                Some(half) => self.look(stretch, half),
                None => self.look(stretch, &mut places),
            };
            let mut standing = self.look_again(stretch, &places, likely);
            while standing != 0 {
                let n = standing.trailing_zeros() as usize % STRETCH;
                standing &= standing - 1;
                self.report(text, at + STEP * n, places[n], on);
            }
            at += STEP * STRETCH;
        }
    }

    /// The first look: which of a stretch's first probes are likely to tell of a keyword, as bits, the first one's the
    /// lowest. Notes their places.
    #[inline]
    fn look<const N: usize>(&self, stretch: &[u8; STRETCH_BYTES], at: &mut [u16; N]) -> u64 {
        const PARTS: usize = 8;
        places(stretch, at);
        // Parts of the bits, side by side: none waits for another.
        let mut parts = [0_u64; PARTS];
        for n in (0..N / PARTS).rev() {
            for (part, at) in parts.iter_mut().zip(at.chunks_exact(N / PARTS)) {
                *part = part.wrapping_add(*part).wrapping_add(u64::from(self.likely[usize::from(at[n])]));
            }
        }
        parts.iter().rev().fold(0, |likely, part| likely << (N / PARTS) | part)
    }

    /// The second look: around which of the likely probes a keyword may stand.
    #[inline]
    fn look_again(&self, stretch: &[u8; STRETCH_BYTES], places: &[u16; STRETCH], mut likely: u64) -> u64 {
        let mut standing = 0;
        loop {
            // When there are fewer, some bits of nothing: the first probe is looked at, and counts for none.
            for _ in 0..AT_ONCE {
                let n = likely.trailing_zeros() as usize % STRETCH;
                let sign = self.signs[usize::from(self.told[usize::from(places[n])])];
                let around = stretch[STEP * n..].first_chunk().map_or(0, |around| u64::from_le_bytes(*around));
                let next = likely & likely.wrapping_sub(1);
                standing |= (likely ^ next) * u64::from(sign.fits(around));
                likely = next;
            }
            if likely == 0 {
                return standing;
            }
        }
    }

    /// Reports those keywords that a probe of that place tells of and that stand there, where its sign begins at `at`.
    fn report(&self, text: &[u8], at: usize, place: u16, on: &mut dyn FnMut(Range<usize>, &[usize])) {
        for &Told { begins, keyword } in &self.groups[usize::from(self.told[usize::from(place)])] {
            let at = at.wrapping_add(begins);
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

#[cfg(test)]
mod tests {
    use super::{keyword::LEAST, *};
    use crate::flow::detect::rule::Source;
    use std::sync::LazyLock;

    #[test]
    fn each_keyword_is_found_in_any_case_wherever_it_stands() {
        let rules = RuleSet::embedded();
        for direction in [Direction::Outbound, Direction::Inbound] {
            let gate = Gate::new(&rules, direction);
            for (index, rule) in rules.rules().iter().enumerate().filter(|(_, r)| r.family().direction() == direction) {
                for keyword in rule.keywords() {
                    let next = STRETCH * STEP;
                    for before in (0..40).chain(next - 10..next + 10).chain(2 * next - 10..2 * next + 10) {
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

    #[test]
    fn a_gate_of_no_rules_finds_nothing() {
        let vendors = Source { name: "vendors.toml", text: "vendor = []" };
        let none = RuleSet::load("1.0.0", &[], vendors).unwrap();
        let gate = Gate::new(&none, Direction::Outbound);
        for len in [0, 1, 3, 4, STRETCH_BYTES, 3 * STRETCH_BYTES] {
            assert!(!gate.any(&vec![b'k'; len]));
        }
    }

    /// Of what goes out, and of what comes in.
    static GATES: LazyLock<[Gate; 2]> =
        LazyLock::new(|| [Direction::Outbound, Direction::Inbound].map(|way| Gate::new(&RuleSet::embedded(), way)));

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
        fn every_keyword_is_found_once(text in "[ske_.\\- \trmnvpcu/]{0,300}", inbound in proptest::bool::ANY) {
            let [outward, inward] = &*GATES;
            let gate = if inbound { inward } else { outward };
            let mut found = Vec::new();
            gate.each(text.as_bytes(), &mut |at, rules| found.push((at.start, at.end, rules.len())));
            let mut want = everywhere(gate, text.as_bytes());
            found.sort_unstable();
            want.sort_unstable();
            proptest::prop_assert_eq!(found, want);
        }

        #[test]
        fn what_is_found_is_there_and_in_order(text in "[ske_.a-d/p:-]{0,200}") {
            let rules = RuleSet::embedded();
            let [gate, _] = &*GATES;
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
