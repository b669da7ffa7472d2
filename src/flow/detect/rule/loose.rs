//! Regex → one that matches wherever it does, and may match elsewhere: its long gaps have no end.
//!
//! An automaton counts a gap with a state for each byte of it, from each place where it may have begun: over a text in which
//! the words before a gap stand again and again it makes states without end, at a hundredth of its speed. Of a gap without
//! an end it has one.

use super::pattern::parsed;
use regex_syntax::hir::{Hir, HirKind, Repetition};

/// The most that is still counted.
const MOST: u32 = 32;

/// The looser regex; `None` where it would be the same.
pub(super) fn loosened(regex: &str) -> Option<String> {
    let hir = parsed(regex)?;
    let loose = loose(&hir);
    (loose != hir).then(|| loose.to_string())
}

fn loose(hir: &Hir) -> Hir {
    match hir.kind() {
        HirKind::Repetition(repetition) => Hir::repetition(Repetition {
            max: repetition.max.filter(|most| *most <= MOST),
            sub: Box::new(loose(&repetition.sub)),
            ..*repetition
        }),
        // What stands in a group is not asked.
        HirKind::Capture(capture) => loose(&capture.sub),
        HirKind::Concat(parts) => Hir::concat(parts.iter().map(loose).collect()),
        HirKind::Alternation(parts) => Hir::alternation(parts.iter().map(loose).collect()),
        HirKind::Empty | HirKind::Literal(_) | HirKind::Class(_) | HirKind::Look(_) => hir.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::loosened;
    use crate::flow::detect::rule::{Find, RuleSet, expand};
    use proptest::prelude::*;
    use regex::bytes::{Regex, RegexBuilder};
    use std::sync::LazyLock;

    fn compiled(text: &str) -> Regex {
        RegexBuilder::new(text).unicode(false).build().unwrap()
    }

    #[test]
    fn only_long_gaps_lose_their_end() {
        assert_eq!(loosened("a.{0,32}b"), None);
        let loose = compiled(&loosened(r"(a[^\n]{2,33}?b|\xff)").unwrap());
        for (text, matches) in [("a--b", true), ("a-b", false), ("a\n-b", false)] {
            assert_eq!(loose.is_match(text.as_bytes()), matches, "{text}");
        }
        assert!(loose.is_match(["a", &"-".repeat(99), "b"].concat().as_bytes()));
    }

    /// Each regex with long gaps, looser beside it, and what it matches.
    static REGEXES: LazyLock<Vec<(Regex, Regex, Vec<String>)>> = LazyLock::new(|| {
        let rules = RuleSet::embedded();
        let blocks = rules.rules().iter().filter(|r| r.find() == Find::Block);
        let both = |text: &str| loosened(text).map(|loose| (compiled(text), compiled(&loose)));
        blocks
            .filter_map(|r| both(r.regex().as_str()).map(|(strict, loose)| (strict, loose, r.examples().to_vec())))
            .collect()
    });

    proptest! {
        #[test]
        fn where_a_rule_matches_its_looser_regex_does(
            which in any::<prop::sample::Index>(), example in any::<prop::sample::Index>(),
            cut in any::<prop::sample::Index>(), within in "[ a-z(\n]{0,60}", before in "[ -~\n]{0,9}",
        ) {
            let (strict, loose, examples) = which.get(&REGEXES);
            let example = expand(&examples[example.index(examples.len())]);
            let cut = (0..=cut.index(example.len() + 1)).rev().find(|at| example.is_char_boundary(*at)).unwrap_or(0);
            let text = [&before, &example[..cut], &within, &example[cut..]].concat();
            prop_assert!(loose.is_match(text.as_bytes()) || !strict.is_match(text.as_bytes()));
            prop_assert!(loose.is_match(example.as_bytes()));
        }
    }
}
