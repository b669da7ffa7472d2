//! The words around a command → whether they warn of it: who writes "never run it" does not ask for it.

use super::context::is_one_of;

/// How far before a command its sentence is looked at, and behind it.
const BEFORE: usize = 96;
const BEHIND: usize = 40;

/// What may stand between a warning and the command that it is about.
const BETWEEN: &[&[u8]] = &[
    b"a",
    b"an",
    b"and",
    b"as",
    b"blindly",
    b"command",
    b"commands",
    b"do",
    b"e",
    b"enter",
    b"ever",
    b"execute",
    b"executing",
    b"g",
    b"issue",
    b"like",
    b"or",
    b"paste",
    b"please",
    b"run",
    b"running",
    b"such",
    b"the",
    b"to",
    b"try",
    b"type",
    b"typing",
    b"use",
    b"using",
];
/// What warns, as the last word of it.
const WARNINGS: &[&[u8]] = &[
    b"avoid",
    b"blocks",
    b"cannot",
    b"dangerous",
    b"don't",
    b"dont",
    b"forbids",
    b"mustn't",
    b"never",
    b"not",
    b"prevents",
    b"refuse",
    b"refuses",
    b"shouldn't",
];
/// Those of them that turn another one before it into its opposite.
const NO: &[&[u8]] = &[b"don't", b"dont", b"never", b"not"];
/// What makes of a sentence none that warns: what would be, a question, another command that is asked for.
const ELSE: &[&[u8]] = &[
    b"else",
    b"forget",
    b"hesitate",
    b"if",
    b"mind",
    b"only",
    b"unless",
    b"until",
    b"when",
    b"whether",
    b"why",
    b"worry",
];
/// The same in Chinese, right before the command or a word for running it.
const ELSEWHERE: &[&str] = &["不要", "切勿", "请勿", "千万别", "禁止", "勿"];
const RUN_ELSEWHERE: &[&str] = &["运行", "执行", "使用", "输入"];
/// What is said behind a command of which one is warned.
const SAID: &[&[u8]] = &[
    b"blocked",
    b"forbidden",
    b"refused",
    b"denied",
    b"rejected",
    b"disallowed",
    b"prohibited",
    b"dangerous",
    b"banned",
];

/// Whether a sentence warns of the command that stands between `before` and `behind`.
pub(super) fn of(before: &[u8], behind: &[u8]) -> bool {
    let before = &before[before.len().saturating_sub(BEFORE)..];
    says_before(before) || says_behind(&behind[..behind.len().min(BEHIND)])
}

fn says_before(before: &[u8]) -> bool {
    let blanks = before.iter().rev().take_while(|b| matches!(b, b' ' | b'\t')).count();
    let open = &before[..before.len() - blanks];
    let ends = |b: &u8| matches!(b, b'.' | b';' | b'!' | b'?' | b',' | b'\n' | b'&' | b'|' | b'(' | b'#' | b'=');
    let sentence = &open[open.iter().rposition(ends).map_or(0, |at| at + 1)..];
    if !sentence.is_ascii() && is_said_elsewhere(sentence) {
        return true;
    }
    let of_word = |b: &u8| b.is_ascii_alphabetic() || *b == b'\'' || !b.is_ascii();
    let mut words = sentence.rsplit(|b| !of_word(b)).map(trimmed).filter(|word| !word.is_empty());
    let Some(last) = words.find(|word| !is_one_of(word, BETWEEN)).filter(|word| is_one_of(word, WARNINGS)) else {
        return false;
    };
    // "It is dangerous not to run it" asks for it.
    !words.any(|word| is_one_of(word, ELSE) || is_one_of(last, NO) && is_one_of(word, WARNINGS))
}

fn says_behind(behind: &[u8]) -> bool {
    let mut words = trimmed(behind).split(|b| !b.is_ascii_alphabetic()).filter(|word| !word.is_empty());
    let marks = behind.iter().take_while(|b| is_mark(**b)).count();
    marks > 0
        && behind.get(marks).is_some_and(u8::is_ascii_alphabetic)
        && words.next().is_some_and(|word| is_one_of(word, &[b"is", b"are"]))
        && words.next().is_some_and(|word| is_one_of(word, SAID))
}

/// Whether the last word of a sentence in Chinese warns.
fn is_said_elsewhere(sentence: &[u8]) -> bool {
    let sentence = trimmed(sentence);
    let run = RUN_ELSEWHERE.iter().find_map(|run| sentence.strip_suffix(run.as_bytes()));
    let sentence = trimmed(run.unwrap_or(sentence));
    ELSEWHERE.iter().any(|warning| sentence.ends_with(warning.as_bytes()))
}

const fn is_mark(b: u8) -> bool {
    matches!(b, b'"' | b'\'' | b'`' | b'\\' | b' ' | b'*' | b'_' | b':')
}

/// `text` without quotes and blanks at its ends.
fn trimmed(text: &[u8]) -> &[u8] {
    let end = text.iter().rposition(|b| !is_mark(*b)).map_or(0, |at| at + 1);
    &text[text[..end].iter().take_while(|b| is_mark(**b)).count()..end]
}

#[cfg(test)]
mod tests {
    use super::of;

    #[test]
    fn a_sentence_that_warns_is_told_from_one_that_asks() {
        for before in [
            "Never run `",
            "Do not run: ",
            "all is well. You must not execute ",
            "Warning: don't ever type \"",
            "**Never** use ",
            "- AVOID commands such as `",
            "Do not use dangerous commands such as `",
            "The agent refuses to run ",
            "It is dangerous to run '",
            "切勿运行 ",
            "请不要 `",
        ] {
            assert!(of(before.as_bytes(), b""), "{before}");
        }
        for before in [
            "",
            "Run ",
            "Never mind: run ",
            "Do not hesitate to run ",
            "Don't worry, run ",
            "If you do not run ",
            "Why not run ",
            "Do not run tests. ",
            "do not run tests; ",
            "never=1 && ",
            "Never stop before you run ",
            "It is dangerous not to run ",
            "You cannot not run ",
            "echo never\n",
            "运行 ",
        ] {
            assert!(!of(before.as_bytes(), b""), "{before}");
        }
        for (behind, warns) in [
            ("` is blocked", true),
            ("\" are forbidden.", true),
            ("` is quick", false),
            (" && is blocked", false),
            ("is denied", false),
        ] {
            assert_eq!(of(b"", behind.as_bytes()), warns, "{behind}");
        }
    }
}
