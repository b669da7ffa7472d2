//! Text → where keywords stand: the one look at every byte.
//!
//! Three bytes, their case folded, are hashed at each place and looked up in a table that stays in the first cache. No
//! place waits for the one before, as it would in an automaton of some thousand states.

use crate::flow::detect::rule::RuleSet;
use posture::Direction;
use std::{collections::BTreeMap, ops::Range};

/// The shortest keyword, and how much of each is hashed.
const LEAST: usize = 3;
const HASH_BITS: u32 = 15;
/// The longest run of blanks that a keyword's blank stands for.
const MAX_BLANKS: usize = 64;
const WORD_BITS: usize = u64::BITS as usize;
/// The shortest keyword that is looked for backwards too: a shorter one stands in everyday words.
const LEAST_BACKWARDS: usize = 4;

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
    /// It has blanks.
    blank: bool,
    /// The rules it brings into play; none for one written backwards.
    rules: Vec<usize>,
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
                blank: text.iter().any(|b| matches!(b, b' ' | b'\t')),
                text: text.into(),
                rules,
            })
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

    /// Reports each keyword in `text`, in order of position, with the rules it brings into play: none when it stands
    /// there backwards.
    pub(super) fn each(&self, text: &[u8], on: &mut dyn FnMut(Range<usize>, &[usize])) {
        for (at, window) in text.windows(LEAST).enumerate() {
            let hash = hash([window[0], window[1], window[2]]);
            if self.known[hash / WORD_BITS] >> (hash % WORD_BITS) & 1 == 0 {
                continue;
            }
            let alike = self.keywords[usize::from(self.first[hash])..].iter().take_while(|k| k.hash == hash);
            for keyword in alike {
                if let Some(len) = keyword.len_at(&text[at..]) {
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

impl Keyword {
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
