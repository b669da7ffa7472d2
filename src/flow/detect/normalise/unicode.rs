//! Text → its ASCII look: NFKC, invisible characters out, dashes, quotes and common homoglyphs folded.

use std::borrow::Cow;
use unicode_normalization::UnicodeNormalization;

/// The folded text, or the text itself when it holds nothing that folding would change.
///
/// Bytes that are no UTF-8 stay as they are. A text in which every other byte is zero is taken for UTF-16.
pub(crate) fn fold(text: &[u8]) -> Cow<'_, [u8]> {
    if let Some(narrow) = utf16(text) {
        return Cow::Owned(fold(&narrow).into_owned());
    }
    if text.is_ascii() {
        return Cow::Borrowed(text);
    }
    let Some(first) = text.windows(2).position(|w| suspicious(w[0], w[1])) else { return Cow::Borrowed(text) };
    let mut out = Vec::with_capacity(text.len());
    out.extend_from_slice(&text[..first]);
    for chunk in text[first..].utf8_chunks() {
        fold_str(chunk.valid(), &mut out);
        out.extend_from_slice(chunk.invalid());
    }
    Cow::Owned(out)
}

/// Lead bytes of the blocks that hold something to fold: Latin-1's no-break space and soft hyphen, Greek, Cyrillic,
/// Armenian, general punctuation, fullwidth forms, mathematical letters, tags. Of plain Chinese or emoji, most is none.
const fn suspicious(lead: u8, next: u8) -> bool {
    matches!(
        (lead, next),
        (0xc2, 0xa0 | 0xad) | (0xc7 | 0xc9 | 0xca | 0xcd..=0xd5 | 0xe1 | 0xe2 | 0xef | 0xf3, _) | (0xf0, 0x9d)
    ) || matches!((lead, next), (0xe3, 0x80 | 0x85))
}

fn fold_str(text: &str, out: &mut Vec<u8>) {
    let mut rest = text;
    while let Some(at) = rest.bytes().position(|b| !b.is_ascii()) {
        out.extend_from_slice(&rest.as_bytes()[..at]);
        let end = rest[at..].bytes().position(|b| b.is_ascii()).map_or(rest.len(), |n| at + n);
        for c in rest[at..end].chars() {
            fold_char(c, out);
        }
        rest = &rest[end..];
    }
    out.extend_from_slice(rest.as_bytes());
}

fn fold_char(c: char, out: &mut Vec<u8>) {
    let mut push = |c: char| out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
    if invisible(c) {
        return;
    }
    if let Some(look) = look(c) {
        return push(look);
    }
    for c in std::iter::once(c).nfkc() {
        push(look(c).unwrap_or(c));
    }
}

/// Characters that take no room: format characters, joiners, fillers, variation selectors, tags.
const fn invisible(c: char) -> bool {
    matches!(
        c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}' | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

/// The ASCII character that `c` is drawn like, of those NFKC keeps apart (Unicode TR39, the confusables in use).
const fn look(c: char) -> Option<char> {
    Some(match c {
        '\u{2010}'..='\u{2015}' | '\u{2043}' | '\u{2212}' | '\u{2e3a}' | '\u{2e3b}' | '\u{fe58}' | '\u{30fc}' => '-',
        '\u{2018}' | '\u{2019}' | '\u{201b}' | '\u{2032}' | '\u{2bc}' | '\u{2b9}' => '\'',
        '\u{201c}' | '\u{201d}' | '\u{201f}' | '\u{2033}' => '"',
        '\u{2044}' | '\u{2215}' | '\u{29f8}' => '/',
        '\u{29f5}' | '\u{2216}' => '\\',
        '\u{2223}' | '\u{1c0}' | '\u{23d0}' => '|',
        '\u{2217}' | '\u{204e}' => '*',
        '\u{223c}' | '\u{2053}' => '~',
        '\u{2024}' => '.',
        '\u{37e}' => ';',
        '\u{2039}' => '<',
        '\u{203a}' => '>',
        '\u{2028}' | '\u{2029}' => '\n',
        '\u{1680}' | '\u{2800}' => ' ',
        'а' | 'ɑ' | 'α' => 'a',
        'А' | 'Α' => 'A',
        'В' | 'Β' => 'B',
        'Ь' => 'b',
        'с' | 'ϲ' => 'c',
        'С' | 'Ϲ' => 'C',
        'ԁ' => 'd',
        'е' | 'ҽ' => 'e',
        'Е' | 'Ε' => 'E',
        'ɡ' => 'g',
        'һ' | 'հ' => 'h',
        'Н' | 'Η' => 'H',
        'і' | 'ι' | 'ı' => 'i',
        'І' | 'Ι' | 'Ӏ' => 'I',
        'ј' | 'ϳ' => 'j',
        'Ј' => 'J',
        'к' | 'κ' => 'k',
        'К' | 'Κ' => 'K',
        'ӏ' | 'ⅼ' => 'l',
        'м' | 'ⅿ' => 'm',
        'М' | 'Μ' => 'M',
        'п' | 'ո' => 'n',
        'Ν' => 'N',
        'о' | 'ο' | 'օ' => 'o',
        'О' | 'Ο' | 'Օ' => 'O',
        'р' | 'ρ' => 'p',
        'Р' | 'Ρ' => 'P',
        'ԛ' => 'q',
        'г' => 'r',
        'ѕ' => 's',
        'Ѕ' | 'Տ' => 'S',
        'т' | 'τ' => 't',
        'Т' | 'Τ' => 'T',
        'υ' | 'ս' => 'u',
        'ѵ' | 'ν' => 'v',
        'ѡ' | 'ԝ' => 'w',
        'Ԝ' => 'W',
        'х' | 'χ' => 'x',
        'Х' | 'Χ' => 'X',
        'у' | 'ү' | 'γ' => 'y',
        'У' | 'Υ' | 'Ү' => 'Y',
        'Ζ' => 'Z',
        _ => return None,
    })
}

/// The text of a UTF-16 one, of either order, as far as it is ASCII.
fn utf16(text: &[u8]) -> Option<Vec<u8>> {
    const HEAD: usize = 64;
    if !text.iter().take(2).any(|b| *b == 0) {
        return None;
    }
    let head = &text[..text.len().min(HEAD)];
    let zeros = |odd: usize| head.iter().skip(odd).step_by(2).filter(|&&b| b == 0).count();
    let half = head.len() / 2;
    (half >= 2 && (zeros(0) == head.len().div_ceil(2) || zeros(1) == half || zeros(0).max(zeros(1)) * 10 >= half * 9))
        .then(|| text.iter().copied().filter(|&b| b != 0).collect())
}

#[cfg(test)]
mod tests {
    use super::fold;
    use std::borrow::Cow;

    #[test]
    fn spellings_of_one_text_fold_to_it() {
        for spelt in [
            "rm -rf /",
            "ｒｍ －ｒｆ ／",
            "r\u{200b}m -\u{ad}rf /",
            "rm\u{a0}–rf /",
            "𝐫𝐦 -𝗋𝖿 /",
            "\u{feff}rm −rf ∕",
            "гm -rf /",
        ] {
            assert_eq!(&*fold(spelt.as_bytes()), b"rm -rf /", "{spelt}");
        }
    }

    #[test]
    fn utf_16_is_read() {
        for bytes in [&b"r\0m\0 \0-\0r\0"[..], b"\0r\0m\0 \0-\0r", b"r\0m\0 \0-\0r"] {
            assert_eq!(&*fold(bytes), b"rm -r");
        }
    }

    #[test]
    fn a_text_without_anything_to_fold_is_not_copied() {
        for plain in ["", "rm -rf /", "这是中文", "日本語のテキスト", "naïve"] {
            let same = matches!(fold(plain.as_bytes()), Cow::Borrowed(_));
            assert!(same || !plain.is_ascii(), "{plain}");
        }
        assert_eq!(&*fold(b"\xff\xfe\x80abc"), b"\xff\xfe\x80abc");
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_fold_and_ascii_never_changes(bytes in proptest::collection::vec(1u8.., 0..200)) {
            let folded = fold(&bytes);
            if bytes.is_ascii() {
                proptest::prop_assert_eq!(&*folded, &bytes[..]);
            }
            proptest::prop_assert!(folded.len() <= bytes.len() * 20);
        }
    }
}
