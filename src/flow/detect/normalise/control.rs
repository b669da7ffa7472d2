//! A terminal's control sequences: a colour, a line cleared, a choice of characters (ECMA-48, sections 5.4 and 5.5;
//! ECMA-35). On the screen they are nothing.

const ESCAPE: u8 = 0x1b;
/// The longest one: a colour by its three parts, with room.
const LONGEST: usize = 32;

/// The length of the sequence that `text` begins with.
pub(crate) fn sequence(text: &[u8]) -> Option<usize> {
    match text {
        [ESCAPE, b'[', sequence @ ..] => {
            let parameters = sequence.iter().take(LONGEST).take_while(|b| matches!(b, b' '..=b'?')).count();
            matches!(sequence.get(parameters), Some(b'@'..=b'~')).then_some(2 + parameters + 1)
        }
        [ESCAPE, b'(' | b')', b'0' | b'A' | b'B', ..] => Some(3),
        _ => None,
    }
}

/// Whether one ends right before `at`.
pub(crate) fn ends(text: &[u8], at: usize) -> bool {
    covers(text, at).is_some_and(|end| end == at)
}

/// Where the one ends that begins last before `at`.
pub(crate) fn covers(text: &[u8], at: usize) -> Option<usize> {
    let from = at.saturating_sub(LONGEST + 3);
    let start = from + memchr::memrchr(ESCAPE, &text[from..at])?;
    Some(start + sequence(&text[start..])?)
}

/// `text` without those it begins with.
pub(crate) fn skip(mut text: &[u8]) -> &[u8] {
    while let Some(len) = sequence(text) {
        text = &text[len..];
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{ends, sequence, skip};

    #[test]
    fn sequences_are_told_from_other_escapes() {
        for text in ["\x1b[m", "\x1b[K", "\x1b[38;2;255;100;12m", "\x1b[4:3m", "\x1b(B", "\x1b[2 q"] {
            let within = format!("a\x1b[1m{text}b");
            let end = within.len() - 1;
            assert_eq!(sequence(text.as_bytes()), Some(text.len()), "{text:?}");
            assert!(ends(within.as_bytes(), end) && !ends(within.as_bytes(), end - 1), "{text:?}");
            assert_eq!(skip(&within.as_bytes()[1..]), b"b");
        }
        for text in ["", "m", "\x1b", "\x1b[", "\x1b[1", "\x1bc", "\x1b]8;;", &format!("\x1b[{}m", "1".repeat(40))] {
            assert_eq!(sequence(text.as_bytes()), None, "{text:?}");
            assert!(!ends(text.as_bytes(), text.len()), "{text:?}");
            assert_eq!(skip(text.as_bytes()), text.as_bytes());
        }
    }
}
