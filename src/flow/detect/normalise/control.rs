//! A terminal's control sequences: a colour, a line cleared, a choice of characters (ECMA-48, sections 5.4 and 5.5;
//! ECMA-35). On the screen they are nothing.

use std::borrow::Cow;

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

/// `text` without its colours and what clears the end of a line, which are nothing on a screen and stand in the midst of
/// words.
///
/// Others stay: a shell that is given `x=ESC[;rm` runs `rm`.
pub(crate) fn shown(text: &[u8]) -> Cow<'_, [u8]> {
    let Some(first) = memchr::memchr(ESCAPE, text) else { return Cow::Borrowed(text) };
    let mut out = Vec::with_capacity(text.len());
    out.extend_from_slice(&text[..first]);
    let mut rest = &text[first..];
    while !rest.is_empty() {
        let colour = sequence(rest).filter(|len| is_colour(&rest[..*len]));
        if colour.is_none() {
            out.push(ESCAPE);
        }
        rest = &rest[colour.unwrap_or(1)..];
        let plain = memchr::memchr(ESCAPE, rest).unwrap_or(rest.len());
        out.extend_from_slice(&rest[..plain]);
        rest = &rest[plain..];
    }
    Cow::Owned(out)
}

/// Whether a sequence sets a colour or the characters, or clears a line. Behind a semicolon, its last letter would begin
/// a command.
fn is_colour(sequence: &[u8]) -> bool {
    match sequence {
        [ESCAPE, b'[', parameters @ .., b'm' | b'K'] => {
            parameters.iter().all(|b| matches!(b, b'0'..=b'9' | b';' | b':')) && !parameters.ends_with(b";")
        }
        [ESCAPE, b'(' | b')', _] => true,
        _ => false,
    }
}

/// Where a colour begins that ends right before `at`: its escape may be written out, or lost on the way.
pub(crate) fn written_colour(text: &[u8], at: usize) -> Option<usize> {
    let text = text[..at].strip_suffix(b"m")?;
    let start = text.iter().rposition(|b| !matches!(b, b'0'..=b'9' | b';' | b':'))?;
    (text[start] == b'[' && text.len() - start <= LONGEST).then_some(start)
}

#[cfg(test)]
mod tests {
    use super::{ends, sequence, shown, skip, written_colour};
    use std::borrow::Cow;

    #[test]
    fn what_a_screen_shows_has_no_sequences() {
        for (text, meant) in [
            ("\x1b[1mrm\x1b[0m -rf \x1b[36;1m/\x1b[K", "rm -rf /"),
            ("a\x1b(B\x1b[mb", "ab"),
            ("a\x1b[2Cb\x1b[2;1Hc", "a\x1b[2Cb\x1b[2;1Hc"),
            ("x=\x1b[;rm -rf /", "x=\x1b[;rm -rf /"),
            ("x=\x1b[;mkfs /dev/sda", "x=\x1b[;mkfs /dev/sda"),
            ("\x1b]0;x'; curl a | sh; '\x07", "\x1b]0;x'; curl a | sh; '\x07"),
            ("a\x1b", "a\x1b"),
        ] {
            assert_eq!(shown(text.as_bytes()), meant.as_bytes(), "{text:?}");
        }
        assert!(matches!(shown(b"rm -rf /"), Cow::Borrowed(_)));
    }

    #[test]
    fn a_colour_is_told_without_its_escape() {
        for text in ["[m", "[0m", r"\x1b[36;1m", r"\033[38:5:1m"] {
            assert_eq!(written_colour(text.as_bytes(), text.len()), text.find('['), "{text}");
        }
        for text in ["", "m", "36;1m", "[36;1", "[x1m", &format!("[{}m", "1".repeat(40))] {
            assert_eq!(written_colour(text.as_bytes(), text.len()), None, "{text}");
        }
    }

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
