use super::{Chains, Sighted};
use crate::flow::detect::rule::{Find, Rule, RuleSet, expand};
use proptest::prelude::*;
use regex::bytes::{Regex, RegexBuilder};
use std::{ops::Range, sync::LazyLock};

/// Whether every match in `text`, wherever it may begin, stands in one of the parts, and those are apart.
fn hold_all(chains: &Chains, regex: &Regex, text: &[u8]) -> bool {
    let parts = chains.parts(text);
    let apart = parts.windows(2).all(|two| two[0].end < two[1].start);
    let held = |found: Range<usize>| parts.iter().any(|part| part.start <= found.start && found.end <= part.end);
    let all = (0..=text.len()).filter_map(|at| regex.find_at(text, at)).all(|found| held(found.range()));
    apart && all
}

/// The embedded rules that are searched for in a text, each with its regex.
static RULES: LazyLock<Vec<(Rule, Chains, Regex)>> = LazyLock::new(|| {
    let rules: Vec<Rule> = RuleSet::embedded().rules().to_vec();
    let searched = rules.into_iter().filter(|r| matches!(r.find(), Find::Command | Find::Line | Find::Block));
    let with_chains = searched.map(|rule| {
        let chains = Chains::of(rule.regex().as_str());
        let regex = rule.regex().clone();
        (rule, chains, regex)
    });
    with_chains.collect()
});

#[test]
fn where_the_words_do_not_stand_so_there_is_no_match() {
    for (regex, parts, texts) in [
        ("ab.{0,3}cd", &[("x ab12cd x", 2..8), ("AB cd", 0..5)][..], &["ab1234cd", "cd ab", "ab\ncd", "ab", ""][..]),
        ("(?i)a(?:b|x)c[0-9]+?d{2}e", &[("axc1DDE", 0..7)], &["abcdde", "adc1dde", "abc1 dde", "abc1de"]),
        ("(?s)go.{0,400}?(?:stop|halt)", &[("go\n\nhalt.", 0..8)], &["halt go", "stop", "go on"]),
        (r"key\s*=\s*[a-z]+", &[("a key = abc d", 2..11)], &["ke y=a", "key a", "key"]),
        (r"(?:one|two\s+three)[^\n]*end", &[("two  three\tend\n", 0..14)], &["two end", "one\nend", "three end"]),
        ("one|two", &[("a two one b", 2..5)], &["tw o"]),
        ("(?:ab){2,3}c", &[("ababc", 0..5)], &["ab"]),
    ] {
        let chains = Chains::of(regex);
        for (text, part) in parts {
            assert_eq!(chains.parts(text.as_bytes()).first(), Some(part), "{regex} {text}");
        }
        for text in texts {
            assert!(chains.parts(text.as_bytes()).is_empty(), "{regex} {text}");
        }
    }
}

#[test]
fn a_regex_without_words_tells_nothing() {
    for regex in ["[a-z]+", "a|[a-z]", "(", "a?", r"\w\w"] {
        let chains = Chains::of(regex);
        assert_eq!(chains.parts(b"text").first(), Some(&(0..4)), "{regex}");
    }
}

#[test]
fn of_almost_every_rule_something_is_known() {
    let nothing: Vec<String> =
        RULES.iter().filter(|(_, chains, _)| chains.cores.is_none()).map(|(rule, ..)| rule.id().to_string()).collect();
    assert_eq!(nothing, [""; 0]);
}

#[test]
fn where_a_look_for_the_words_costs_too_much_the_whole_text_is_a_part() {
    let chains = Chains::of("ab.*cd.*ef");
    assert!(chains.parts("ab cd ".repeat(10).as_bytes()).is_empty());
    let text = "ab cd ".repeat(1000);
    assert_eq!(chains.parts(text.as_bytes()).first(), Some(&(0..text.len())));
}

#[test]
fn a_rules_examples_stand_in_its_parts() {
    for (rule, chains, regex) in &*RULES {
        for text in rule.examples().iter().map(|text| expand(text)) {
            for text in [text.clone(), text.to_uppercase(), format!("{text}\n{text}"), format!("x\n {text} y")] {
                assert!(hold_all(chains, regex, text.as_bytes()), "{} {text}", rule.id());
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn no_match_stands_outside_of_the_parts(
        picks in proptest::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<prop::sample::Index>()), 1..7)
    ) {
        for (rule, chains, regex) in &*RULES {
            let texts: Vec<String> = rule.examples().iter().map(|text| expand(text)).collect();
            let mut mixed = Vec::new();
            for (text, from, to) in &picks {
                let text = text.get(&texts).as_bytes();
                let (from, to) = (from.index(text.len()), to.index(text.len()) + 1);
                // Half of them whole, the others what is left of them when a piece is cut out.
                if from < to {
                    mixed.extend_from_slice(text);
                } else {
                    mixed.extend_from_slice(&text[..to]);
                    mixed.extend_from_slice(&text[from..]);
                }
                mixed.push(b" \n;|"[from % 4]);
            }
            prop_assert!(hold_all(chains, regex, &mixed), "{} {:?}", rule.id(), String::from_utf8_lossy(&mixed));
        }
    }

}

proptest! {
    #[test]
    fn no_match_stands_outside_of_the_parts_of_its_window(
        text in "(sed|dup|sh|\\(|-i|[ab\n ]){0,60}",
        steps in proptest::collection::vec((0usize..30, 1usize..60), 1..9),
    ) {
        let text = text.as_bytes();
        for regex in ["sed.{0,20}?-i", "(?s)dup.*sh", "(?:sed|dup)\\s*\\(.{0,9}?sh|-i", "a[ab]*\\(?sh"] {
            let (chains, compiled) = (Chains::of(regex), RegexBuilder::new(regex).unicode(false).build().unwrap());
            let (mut start, mut sighted) = (0, Sighted::default());
            for (step, len) in &steps {
                start = text.len().min(start + step);
                let end = text.len().min(start + len);
                let parts = chains.parts_in(text, start..end, 60, &mut sighted);
                for found in compiled.find_iter(&text[start..end]) {
                    let held = parts.iter().any(|part| part.start <= found.start() && found.end() <= part.end);
                    prop_assert!(held, "{} {:?} {}..{}", regex, text, start, end);
                }
            }
        }
    }

    #[test]
    fn no_match_of_any_regex_stands_outside_of_the_parts(
        pieces in proptest::collection::vec((
            prop::sample::select(vec!["a", "bc", "[ab]", "[^a]", ".", "(?:a|bc)", "(?:ab|c[bc]|a?)", "(?:b{2}|c+a|(?:ab)*)"]),
            prop::sample::select(vec!["", "", "", "{0,3}", "+", "*?", "?", "{2}"]),
        ), 1..6),
        flags in prop::sample::select(vec!["", "(?i)", "(?s)"]),
        text in "[abcABC\n]{0,40}",
    ) {
        let regex = pieces.into_iter().fold(flags.to_owned(), |regex, (piece, times)| regex + "(?:" + piece + ")" + times);
        let compiled = RegexBuilder::new(&regex).unicode(false).build().unwrap();
        prop_assert!(hold_all(&Chains::of(&regex), &compiled, text.as_bytes()), "{} {:?}", regex, text);
    }
}
