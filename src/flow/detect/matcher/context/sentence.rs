//! The words of a sentence or a command around a value → whether they say that it is a vendor's key.

use super::{is_drawn, is_of_secret, is_one_of, is_plain, is_quote, trimmed, unquoted};
use memchr::memmem;
use std::ops::Range;

/// How far before a vendor's name words say that its value is a key.
const WORDS_BEFORE: usize = 24;

/// Whether `before` ends in a vendor's own name, which stands at `name`, and a sign that gives it the value that follows:
/// one that is no digest, or a key by the words before the name. `ключ Mistral: `, `"zhipu": "`, `API key for Mistral is `.
pub(in super::super) fn is_value_of(before: &[u8], name: Range<usize>, value: &[u8]) -> bool {
    let off = |b: &u8| matches!(b, b' ' | b'\t') || is_quote(*b);
    let sign = trimmed(&before[name.end..], |b| off(&b));
    let sign = &sign[sign.iter().take_while(|b| off(b)).count()..];
    let sign = sign.strip_prefix(b")").unwrap_or(sign);
    if !matches!(sign, b":" | b"=" | b"=>" | b":=" | b"is" | &[0xef, 0xbc, 0x9a]) {
        return false;
    }
    let line = words_before(&before[..name.start], |b| matches!(b, b'\n' | b';' | b','));
    let is_drawn = is_drawn(value);
    let is_named = || is_of_secret(line);
    if sign == b"is" {
        // In a sentence it is somebody's or one of an API, or none of what other keys are.
        return is_named() && (is_drawn || line.windows(3).any(|word| is_one_of(word, &[b"api", b"my ", b"our"])));
    }
    is_drawn || !is_plain(value) || is_named()
}

/// Whether words of a sentence between a vendor's name and a value, and those before the name, say that the value, which
/// is no digest, is the key they speak of: `my Vendor key for the demo: `, `clé Vendor de la démo : `.
pub(in super::super) fn is_told(before: &[u8], between: &[u8], value: &[u8]) -> bool {
    const LONGEST: usize = 64;
    const SIGNS: &[&[u8]] = &[b":", b"=", b" is", "\u{ff1a}".as_bytes(), "\u{2192}".as_bytes(), "\u{2014}".as_bytes()];
    if between.len() > LONGEST || !is_drawn(value) {
        return false;
    }
    let words = unquoted(between);
    let Some(words) = SIGNS.iter().find_map(|sign| words.strip_suffix(*sign)) else { return false };
    let of_prose = |b: &u8| b.is_ascii_alphabetic() || !b.is_ascii() || matches!(b, b' ' | b'\'' | b'-' | b'(' | b')');
    let line = words_before(before, |b| matches!(b, b'\n' | b';' | b','));
    words.iter().all(of_prose) && [line, words].into_iter().any(is_of_secret)
}

/// Whether words between a value and a vendor's name, or between both of them, say that the one is a key of the other:
/// `K is my Vendor key`, `K (Vendor API key)`. `after` is what stands behind the name.
pub(in super::super) fn is_said_of(between: &[u8], after: &[u8]) -> bool {
    /// Words that may stand between, and those of which one does.
    const WORDS: &[&[u8]] =
        &[b"my", b"our", b"the", b"your", b"a", b"an", b"that", b"this", b"it", b"for", b"to", b"new"];
    const LINKS: &[&[u8]] =
        &[b"is", b"as", b"=", b"(", b"-", b"\xe2\x80\x93", b"\xe2\x80\x94", b"<-", b"\xe2\x86\x90", b"are", b"was"];
    const KINDS: &[&[u8]] = &[b"key", b"token", b"secret", b"keys"];
    const GO_ON: &[&[u8]] =
        &[b"and", b"so", b"please", b"now", b"if", b"which", b"but", b"you", b"i", b"for", b"we", b"in"];
    // A bracket opens right before the name.
    let (between, mut linked) = between.strip_suffix(b"(").map_or((between, false), |before| (before, true));
    for word in between.split(u8::is_ascii_whitespace) {
        let word = trimmed(word, |b| is_quote(b) || matches!(b, b',' | b'*' | b'_'));
        let word = &word[word.iter().take_while(|b| is_quote(**b) || matches!(b, b',' | b'*' | b'_')).count()..];
        let links = is_one_of(word, LINKS);
        linked |= links;
        if !word.is_empty() && !links && !is_one_of(word, WORDS) {
            return false;
        }
    }
    let (mut kind, mut rest) = first_word(after);
    let (next, behind) = first_word(rest);
    if !next.is_empty() && is_one_of(kind, &[b"api", b"access", b"secret", b"ai"]) {
        (kind, rest) = (next, behind);
    }
    if !linked || !is_one_of(kind, KINDS) {
        return false;
    }
    !matches!(rest, [b' ', b, ..] if b.is_ascii_alphanumeric()) && !matches!(rest, [b'_' | b'-' | b'/', ..])
        || is_one_of(first_word(rest).0, GO_ON)
}

/// Whether what stands before a vendor's name on its line says that a key of its is kept: `llm keys set `, `pass insert `.
pub(in super::super) fn keeps_key(before: &[u8]) -> bool {
    let line = words_before(before, |b| matches!(b, b'\n' | b';' | b'|' | b'&'));
    is_of_secret(line) || memmem::find(line, b"pass insert").is_some()
}

/// Whether a value right behind `between` is handed to a command as what goes into it, or as an option's: `<<< "`,
/// `--body `.
pub(in super::super) fn is_handed(between: &[u8]) -> bool {
    let words = unquoted(between);
    let options: [&[u8]; 7] =
        [b"<<<", b"--value", b"--body", b"--secret-string", b"--secret", b"--from-literal", b"--data"];
    options.iter().any(|option| words.ends_with(option))
        && !words.iter().any(|b| matches!(b, b'\n' | b';' | b'|' | b'&'))
}

/// Whether words follow on the line of a value, as in a log that begins each with a commit.
pub(in super::super) fn goes_on(behind: &[u8]) -> bool {
    matches!(behind, [b' ', b, ..] if b.is_ascii_alphanumeric())
}

/// What stands at the end of `before`, where the words may be that say what follows, back to one of the bytes that `end`.
fn words_before(before: &[u8], end: impl Fn(u8) -> bool) -> &[u8] {
    let near = &before[before.len().saturating_sub(WORDS_BEFORE)..];
    &near[near.iter().rposition(|b| end(*b)).map_or(0, |at| at + 1)..]
}

/// The first word of a text, the `s` of a genitive passed over, and what stands behind it.
fn first_word(text: &[u8]) -> (&[u8], &[u8]) {
    let start = text.iter().take_while(|b| !b.is_ascii_alphanumeric()).count();
    let len = text[start..].iter().take_while(|b| b.is_ascii_alphanumeric()).count();
    let (word, rest) = text[start..].split_at(len);
    if word.eq_ignore_ascii_case(b"s") { first_word(rest) } else { (word, rest) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vendor_s_name_alone_has_a_key_by_what_it_is_or_by_what_stands_before() {
        let hex = "d704484fb8b02d950eb67d6bffe650bc";
        for (before, name, value, is) in [
            ("mistral: \"", 0..7, "ZhrHpe7coruNgr4tNNpnCQCHbMVqeXyh", true),
            ("mistral: \"", 0..7, hex, false),
            ("\"zhipu\" : \"", 1..6, "d704484fb8b02d950eb67d6bffe650bc.B184sl1i0XSslTAg", true),
            ("clave Mistral: ", 6..13, hex, true),
            ("the key of Mistral is ", 11..18, hex, false),
            ("The API key for Mistral is ", 16..23, hex, true),
            ("the key of Mistral is ", 11..18, "ZhrHpe7coruNgr4tNNpnCQCHbMVqeXyh", true),
            ("Mistral is ", 0..7, "ZhrHpe7coruNgr4tNNpnCQCHbMVqeXyh", false),
            ("the key.\nmistral: ", 9..16, hex, false),
            ("cache key mistral=", 10..17, hex, false),
            ("mistral ", 0..7, "ZhrHpe7coruNgr4tNNpnCQCHbMVqeXyh", false),
        ] {
            assert_eq!(is_value_of(before.as_bytes(), name, value.as_bytes()), is, "{before}{value}");
        }
    }

    #[test]
    fn a_sentence_says_whose_key_a_value_is() {
        for (between, after) in [
            (" is my ", " key"),
            ("` as the ", " API key."),
            (" (", " API key)"),
            (" – that is the ", " token, and more"),
            (" is our ", "'s key for now"),
        ] {
            assert!(is_said_of(between.as_bytes(), after.as_bytes()), "{between}V{after}");
        }
        for (between, after) in [
            (" ", " key"),
            (" Rename ", " key"),
            (": rotate the ", " API key"),
            (" is the ", " key rotation"),
            (" is the ", " model"),
            (" is my ", " key_id"),
            (" is a ", ""),
        ] {
            assert!(!is_said_of(between.as_bytes(), after.as_bytes()), "{between}V{after}");
        }
    }

    #[test]
    fn a_value_is_handed_to_a_command() {
        for between in [" --data-file=- <<< \"", " --repo a/b --body '", " --value "] {
            assert!(is_handed(between.as_bytes()), "{between}");
        }
        for between in [" --data-file=- ", "; cat <<< ", " --body-file ", ""] {
            assert!(!is_handed(between.as_bytes()), "{between}");
        }
    }

    #[test]
    fn a_command_says_whose_key_it_keeps() {
        for before in ["llm keys set ", "$ pass insert -e ai/", "vault token put "] {
            assert!(keeps_key(before.as_bytes()), "{before}");
        }
        for before in ["llm models default ", "the keys are here;\nset ", ""] {
            assert!(!keeps_key(before.as_bytes()), "{before}");
        }
    }
}
