//! Text → where keywords stand: the one look at every byte.
//!
//! Three bytes, their case folded, are hashed at each place and looked up in a table that stays in the first cache. No
//! place waits for the one before, as it would in an automaton of some thousand states.

use crate::flow::detect::rule::{Find, RuleSet};
use posture::Direction;
use std::{collections::BTreeMap, ops::Range};

/// The shortest keyword, and how much of each is hashed.
const LEAST: usize = 3;
const HASH_BITS: u32 = 15;
const WORD_BITS: usize = u64::BITS as usize;
/// Characters of a keyword that, set apart by blanks, are looked for.
const SPACED: usize = 4;

/// The keywords of one direction's rules.
pub(super) struct Gate {
    /// One bit for each hash that a keyword's first bytes have.
    known: Box<[u64]>,
    /// By hash: where its keywords begin in `keywords`.
    first: Box<[u16]>,
    /// In the order of their hashes.
    keywords: Vec<Keyword>,
}

struct Keyword {
    /// In lower case.
    text: Box<[u8]>,
    hash: usize,
    /// The rules it brings into play; none for one set apart by blanks.
    rules: Vec<usize>,
}

impl Gate {
    pub(super) fn new(rules: &RuleSet, direction: Direction) -> Self {
        let mut by_keyword: BTreeMap<Vec<u8>, Vec<usize>> = BTreeMap::new();
        for (index, rule) in rules.rules().iter().enumerate().filter(|(_, r)| r.family().direction() == direction) {
            for keyword in rule.keywords() {
                by_keyword.entry(keyword.clone().into_bytes()).or_default().push(index);
                let one_word = !keyword.trim_end().contains([' ', '\t']);
                if one_word && matches!(rule.find(), Find::Prefix | Find::Path | Find::Pem) {
                    let letters: Vec<String> = keyword.chars().take(SPACED).map(String::from).collect();
                    by_keyword.entry(letters.join(" ").into_bytes()).or_default();
                }
            }
        }
        let mut keywords: Vec<Keyword> = by_keyword
            .into_iter()
            .map(|(text, rules)| Keyword { hash: hash([text[0], text[1], text[2]]), text: text.into(), rules })
            .collect();
        keywords.sort_by_key(|k| k.hash);
        let mut known = vec![0; (1 << HASH_BITS) / WORD_BITS].into_boxed_slice();
        let mut first = vec![0; 1 << HASH_BITS].into_boxed_slice();
        for (n, keyword) in keywords.iter().enumerate().rev() {
            known[keyword.hash / WORD_BITS] |= 1 << (keyword.hash % WORD_BITS);
            first[keyword.hash] = u16::try_from(n).expect("a rule set has some hundred keywords");
        }
        Self { known, first, keywords }
    }

    /// Reports each keyword in `text`, in order of position, with the rules it brings into play.
    pub(super) fn each(&self, text: &[u8], on: &mut dyn FnMut(Range<usize>, &[usize])) {
        for (at, window) in text.windows(LEAST).enumerate() {
            let hash = hash([window[0], window[1], window[2]]);
            if self.known[hash / WORD_BITS] >> (hash % WORD_BITS) & 1 == 0 {
                continue;
            }
            let alike = self.keywords[usize::from(self.first[hash])..].iter().take_while(|k| k.hash == hash);
            for keyword in alike {
                let end = at + keyword.text.len();
                if text.get(at..end).is_some_and(|t| t.eq_ignore_ascii_case(&keyword.text)) {
                    on(at..end, &keyword.rules);
                }
            }
        }
    }

    /// Whether a keyword stands in `text`.
    pub(super) fn any(&self, text: &[u8]) -> bool {
        let mut any = false;
        self.each(text, &mut |_, _| any = true);
        any
    }
}

/// The bytes without their case, mixed (Knuth's multiplicative hashing).
#[inline]
fn hash(bytes: [u8; LEAST]) -> usize {
    let word = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], 0]) | 0x0020_2020;
    (word.wrapping_mul(0x9e37_79b1) >> (u32::BITS - HASH_BITS)) as usize
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
                    for text in [keyword.clone(), keyword.to_uppercase(), format!("ab {keyword} cd")] {
                        let mut found = false;
                        gate.each(text.as_bytes(), &mut |_, rules| found |= rules.contains(&index));
                        assert!(found, "{text}");
                    }
                }
            }
        }
    }

    proptest::proptest! {
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
