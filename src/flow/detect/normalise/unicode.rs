//! Text → its ASCII look: NFKC, invisible characters out, dashes, quotes and common homoglyphs folded.

use crate::flow::detect::patch::Patch;
use std::borrow::Cow;
use unicode_normalization::UnicodeNormalization;

/// The folded text, or the text itself when it holds nothing that folding would change.
///
/// Bytes that are no UTF-8 stay as they are. A text in which every other byte is zero is taken for UTF-16.
pub(crate) fn fold(text: &[u8]) -> Cow<'_, [u8]> {
    if let Some(narrow) = utf16(text) {
        return Cow::Owned(fold(&narrow).into_owned());
    }
    let Some(first) = foldable(text) else { return Cow::Borrowed(text) };
    let mut out = Vec::with_capacity(text.len());
    out.extend_from_slice(&text[..first]);
    let mut rest = &text[first..];
    loop {
        // No character goes on beyond a stretch without ASCII, nor does what is none.
        let wide = rest.iter().position(u8::is_ascii).unwrap_or(rest.len());
        fold_wide(&rest[..wide], &mut out);
        rest = &rest[wide..];
        let plain = not_ascii(rest).unwrap_or(rest.len());
        out.extend_from_slice(&rest[..plain]);
        rest = &rest[plain..];
        if rest.is_empty() {
            return Cow::Owned(out);
        }
    }
}

/// The words of `text` in which folding makes a character part of the word beside it, without those characters, a line
/// each: a key or a path that such a one stands beside ends there.
pub(crate) fn parted(text: &[u8]) -> Option<Vec<u8>> {
    let mut parted = Vec::new();
    let mut patch = Patch::new(text, 0, Vec::new(), |word: &[u8]| {
        parted.extend_from_slice(word);
        parted.push(b'\n');
    });
    let mut folded = Vec::new();
    let mut at = 0;
    while let Some(more) = not_ascii(&text[at..]) {
        let start = at + more;
        let end = text[start..].iter().position(u8::is_ascii).map_or(text.len(), |n| start + n);
        folded.clear();
        fold_wide(&text[start..end], &mut folded);
        let joins = |b: Option<&u8>| {
            b.is_none_or(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'~' | b'/'))
        };
        let before = ends_word(&text[..start]) && joins(folded.first());
        let behind = begins_word(&text[end..]) && joins(folded.last());
        if (before || behind) && folded != text[start..end] {
            patch.replace(start, end, b" ");
        }
        at = end;
    }
    patch.finish();
    (!parted.is_empty()).then_some(parted)
}

fn ends_word(text: &[u8]) -> bool {
    text.last().is_some_and(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
}

fn begins_word(text: &[u8]) -> bool {
    let opens = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'~' | b'.' | b'$' | b'_');
    text.first().is_some_and(opens) && text.get(1).is_some_and(u8::is_ascii_graphic)
}

/// Appends what folding makes of a stretch without ASCII.
fn fold_wide(wide: &[u8], out: &mut Vec<u8>) {
    for chunk in wide.utf8_chunks() {
        chunk.valid().chars().for_each(|c| fold_char(c, out));
        out.extend_from_slice(chunk.invalid());
    }
}

/// Where the first character is that may be folded.
fn foldable(text: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        at += not_ascii(&text[at..])?;
        match text[at..] {
            [lead, next, ..] if suspicious(lead, next) => return Some(at),
            _ => at += 1,
        }
    }
}

/// Where the first byte is that is not ASCII.
fn not_ascii(text: &[u8]) -> Option<usize> {
    /// Looked at together, without a branch.
    const BLOCK: usize = 32;
    const WORD: usize = size_of::<u64>();
    const HIGH: u64 = u64::from_le_bytes([0x80; WORD]);
    let (blocks, _) = text.as_chunks::<BLOCK>();
    let wide = |block: &[u8; BLOCK]| block.iter().fold(0, |all, b| all | b) >= 0x80;
    let mut at = BLOCK * blocks.iter().position(wide).unwrap_or(blocks.len());
    while let Some(word) = text[at..].first_chunk() {
        let high = u64::from_le_bytes(*word) & HIGH;
        if high != 0 {
            return Some(at + high.trailing_zeros() as usize / WORD);
        }
        at += WORD;
    }
    text[at..].iter().position(|b| !b.is_ascii()).map(|n| at + n)
}

/// Lead bytes of the blocks that hold something to fold: Latin-1's no-break space and soft hyphen, Greek, Cyrillic,
/// Armenian, general punctuation, fullwidth forms, mathematical letters, tags. Of plain Chinese or emoji, most is none.
const fn suspicious(lead: u8, next: u8) -> bool {
    matches!(
        (lead, next),
        (0xc2, 0xa0 | 0xad) | (0xc7 | 0xc9 | 0xca | 0xcd..=0xd5 | 0xe1 | 0xe2 | 0xef | 0xf3, _) | (0xf0, 0x9d)
    ) || matches!((lead, next), (0xe3, 0x80 | 0x85))
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
    use super::{fold, fold_char, not_ascii, parted};
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
    fn a_word_is_parted_where_folding_would_go_on_with_it() {
        for (text, parts) in [
            ("so it is—abc—or", " is abc or\n"),
            ("это—abc—не", " abc \n"),
            ("API-ключ", "API- \n"),
            ("—~/.x", " ~/.x\n"),
            ("/etc/x− y\u{200b}z", "/etc/x \n y z\n"),
        ] {
            assert_eq!(parted(text.as_bytes()).as_deref(), Some(parts.as_bytes()), "{text:?}");
        }
        for text in ["a — b", "naïve", "слово, слово.", "“a”, it’s", "x：y", "这是abc"] {
            assert_eq!(parted(text.as_bytes()), None, "{text}");
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
        fn the_first_byte_that_is_not_ascii_is_found(before in 0usize..90, wide in 0x80u8.., after in 0usize..40) {
            let text = [vec![b'a'; before], vec![wide], vec![0xff; after]].concat();
            proptest::prop_assert_eq!(not_ascii(&text), Some(before));
            proptest::prop_assert_eq!(not_ascii(&text[..before]), None);
        }

        #[test]
        fn a_text_folds_as_its_characters_do(
            text in "—[ -~éа—“\u{ad}\u{200b}ﬁ中\n]{0,90}",
            broken in proptest::collection::vec(0x80u8..0xc0, 0..4),
        ) {
            let mut each = Vec::new();
            text.chars().for_each(|c| fold_char(c, &mut each));
            let bytes = [text.as_bytes(), &broken, b"x"].concat();
            proptest::prop_assert_eq!(&*fold(&bytes), &[&each[..], &broken, b"x"].concat()[..]);
        }

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
