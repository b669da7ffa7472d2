//! Bytes → JSON tokens, whatever the bytes are: what is no JSON is passed over and remembered.

use super::extent::Escapes;
use crate::flow::detect::bits::{BLOCK, Block, LANES, Lanes};
use memchr::memchr2;

/// A token. Commas say nothing that matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Token<'t> {
    /// `{` or `[`.
    Open(u8),
    /// `}` or `]`.
    Close,
    /// A string before a colon.
    Key(Text<'t>),
    /// Any other string.
    Text(Text<'t>),
    /// A number, `true`, `false` or `null`.
    Word(&'t [u8]),
}

/// A string between its quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) struct Text<'t> {
    /// As written.
    pub(in super::super) raw: &'t [u8],
    /// It has escapes.
    pub(in super::super) escaped: bool,
}

/// The tokens of a text.
#[derive(Clone)]
pub(in super::super) struct Tokens<'t> {
    pub(super) text: &'t [u8],
    pub(super) at: usize,
    /// The end of what was closed last.
    pub(super) closed: usize,
    stray: bool,
}

/// Bytes of a string that are looked at without a loop.
const SHORT: usize = 2 * LANES;

/// As many times [`LANES`] bytes of a string are looked at before the others.
const MAX_LOOKS: usize = 4;

/// What a byte outside a string can be.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Space,
    Word,
    Structure,
    Stray,
}

static CLASS: [Class; 256] = {
    let mut table = [Class::Stray; 256];
    let mut b = 0;
    while b < 256 {
        #[expect(clippy::cast_possible_truncation, reason = "counts to 255")]
        let byte = b as u8;
        table[b] = match byte {
            b' ' | b'\t' | b'\r' | b'\n' | b',' | b':' | 0x1e => Class::Space,
            b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b'+' | b'-' | b'.' => Class::Word,
            b'{' | b'}' | b'[' | b']' | b'"' => Class::Structure,
            _ => Class::Stray,
        };
        b += 1;
    }
    table
};

impl<'t> Tokens<'t> {
    pub(in super::super) fn new(text: &'t [u8]) -> Self {
        Self { text, at: 0, closed: 0, stray: false }
    }

    /// Whether something was passed over that JSON does not have.
    pub(in super::super) fn stray(&self) -> bool {
        self.stray
    }

    /// The string whose first character is at `start`.
    pub(in super::super) fn string_at(text: &'t [u8], start: usize) -> Text<'t> {
        Self { text, at: start - 1, closed: 0, stray: false }.string()
    }

    /// The [`Token::Word`] that begins at `start`, if one does.
    pub(in super::super) fn word_at(text: &'t [u8], start: usize) -> Option<&'t [u8]> {
        let word = Self { text, at: start, closed: 0, stray: false }.word();
        is_value(word).then_some(word)
    }

    /// The word that stands here.
    #[inline]
    fn word(&mut self) -> &'t [u8] {
        let rest = &self.text[self.at..];
        if let Some(block) = rest.first_chunk::<LANES>() {
            let len = of_word(Lanes::of(*block)).bits().trailing_ones() as usize;
            if len < LANES {
                self.at += len;
                return &rest[..len];
            }
        }
        self.skip(Class::Word)
    }

    fn skip(&mut self, class: Class) -> &'t [u8] {
        let start = self.at;
        let len = self.text[start..].iter().position(|&b| CLASS[usize::from(b)] != class);
        self.at = len.map_or(self.text.len(), |len| start + len);
        &self.text[start..self.at]
    }

    /// The string whose quote stands here.
    #[inline]
    fn string(&mut self) -> Text<'t> {
        let start = self.at + 1;
        let rest = self.text.get(start..).unwrap_or_default();
        // Most are as short as that.
        if let Some(block) = rest.first_chunk::<SHORT>() {
            let (lanes, _) = block.as_chunks();
            let len = (marks(&lanes[0]) | marks(&lanes[1]) << LANES).trailing_zeros() as usize;
            if len < SHORT && block[len] == b'"' {
                self.at = start + len + 1;
                return Text { raw: &rest[..len], escaped: false };
            }
        }
        self.any_string(start)
    }

    #[inline(never)]
    fn any_string(&mut self, start: usize) -> Text<'t> {
        let first = quote_or_escape(&self.text[start.min(self.text.len())..]).map(|len| start + len);
        let escaped = first.is_some_and(|at| self.text[at] == b'\\');
        let end = if escaped { first.and_then(|at| unescaped_quote(self.text, at)) } else { first };
        self.at = end.map_or(self.text.len(), |end| end + 1);
        Text { raw: &self.text[start.min(self.at)..end.unwrap_or(self.at)], escaped }
    }

    /// The token of the string that begins here.
    #[inline]
    fn quoted(&mut self) -> Token<'t> {
        let text = self.string();
        if self.pass(b':') {
            return Token::Key(text);
        }
        if self.pass(b',') {
            return Token::Text(text);
        }
        let blank = self.text.get(self.at).is_some_and(u8::is_ascii_whitespace);
        if blank && self.colon_follows() { Token::Key(text) } else { Token::Text(text) }
    }

    /// Whether a colon comes next, whatever blanks are before it.
    #[inline(never)]
    fn colon_follows(&self) -> bool {
        self.text[self.at..].iter().find(|b| !b.is_ascii_whitespace()) == Some(&b':')
    }

    /// Takes along `mark`, which says nothing here, and a blank behind it; whether it was there.
    #[inline]
    fn pass(&mut self, mark: u8) -> bool {
        let found = self.text.get(self.at) == Some(&mark);
        if found {
            self.at += 1;
            self.at += usize::from(self.text.get(self.at) == Some(&b' '));
        }
        found
    }
}

/// Whether a word may be a number or one of the literals. The flag of a command between two texts in quotes is none.
fn is_value(word: &[u8]) -> bool {
    word.strip_prefix(b"-").unwrap_or(word).first().is_some_and(u8::is_ascii_digit)
        || matches!(word, b"true" | b"false" | b"null" | b"NaN" | b"-Infinity")
}

/// Where the first `"` is from `at` on that no `\\` escapes.
fn unescaped_quote(text: &[u8], at: usize) -> Option<usize> {
    let mut escapes = Escapes::default();
    for block in (at..text.len()).step_by(BLOCK) {
        let bytes = Block::at(text, block);
        let quotes = bytes.bits(|b| b.is(b'"')) & !escapes.escaped(bytes.bits(|b| b.is(b'\\')));
        if quotes != 0 {
            return Some(block + quotes.trailing_zeros() as usize);
        }
    }
    None
}

/// Which bytes are `"` or `\`.
#[inline]
fn marks(block: &[u8; LANES]) -> u64 {
    let bytes = Lanes::of(*block);
    bytes.is(b'"').or(bytes.is(b'\\')).bits()
}

/// Where the first `"` or `\` is.
#[inline]
fn quote_or_escape(text: &[u8]) -> Option<usize> {
    // Most strings are short: for them a call costs more than the look.
    let mut at = 0;
    while at < MAX_LOOKS * LANES {
        let Some(block) = text[at..].first_chunk() else { break };
        let found = marks(block);
        if found != 0 {
            return Some(at + found.trailing_zeros() as usize);
        }
        at += LANES;
    }
    memchr2(b'"', b'\\', &text[at..]).map(|found| at + found)
}

/// Which bytes are of [`Class::Word`].
#[inline]
fn of_word(bytes: Lanes) -> Lanes {
    let letters_and_digits = bytes.lower_case().within(b'a', b'z').or(bytes.within(b'0', b'9'));
    letters_and_digits.or(bytes.is(b'+')).or(bytes.within(b'-', b'.'))
}

impl<'t> Iterator for Tokens<'t> {
    type Item = Token<'t>;

    #[inline]
    fn next(&mut self) -> Option<Token<'t>> {
        loop {
            let b = *self.text.get(self.at)?;
            if b == b'"' {
                return Some(self.quoted());
            }
            match CLASS[usize::from(b)] {
                Class::Space => self.at += 1,
                Class::Structure => {
                    self.at += 1;
                    if matches!(b, b'{' | b'[') {
                        return Some(Token::Open(b));
                    }
                    self.closed = self.at;
                    self.pass(b',');
                    return Some(Token::Close);
                }
                Class::Word => {
                    let word = self.word();
                    if is_value(word) {
                        self.pass(b',');
                        return Some(Token::Word(word));
                    }
                    self.stray = true;
                }
                Class::Stray => {
                    self.stray = true;
                    self.skip(Class::Stray);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{CLASS, Class, Text, Token, Tokens, quote_or_escape};
    use memchr::memchr2;
    use proptest::prelude::*;

    #[test]
    fn the_first_quote_or_escape_is_found_wherever_it_stands() {
        for at in 0..70 {
            for (marks, after) in ["\"", "\\", "\"\\", "\\\"", "#\"", "]\\", "\u{a2}\"", ""].iter().zip((0..9).cycle())
            {
                let text = ["!".repeat(at), (*marks).to_owned(), "x".repeat(after)].concat();
                let want = memchr2(b'"', b'\\', text.as_bytes());
                assert_eq!(quote_or_escape(text.as_bytes()), want, "{text}");
            }
        }
    }

    proptest! {
        #[test]
        fn a_word_ends_where_another_class_begins(text in "[0-9a-zA-Z@\\[`{+,./:-]{0,40}") {
            let word = Tokens { text: text.as_bytes(), at: 0, closed: 0, stray: false }.word();
            let len = text.bytes().position(|b| CLASS[usize::from(b)] != Class::Word).unwrap_or(text.len());
            prop_assert_eq!(word, &text.as_bytes()[..len]);
        }

        #[test]
        fn a_string_ends_at_the_first_quote_that_is_not_escaped(
            parts in prop::collection::vec((r#"[\\"]{0,5}"#, prop_oneof!["[a-z]{0,9}", "[a-z]{50,80}"]), 0..9)
        ) {
            let text: String = parts.into_iter().flat_map(|(marks, plain)| [marks, plain]).collect();
            let (mut end, mut escaped) = (None, false);
            let mut bytes = text.bytes().enumerate();
            while let Some((at, b)) = bytes.next() {
                match b {
                    b'\\' => {
                        escaped = true;
                        bytes.next();
                    }
                    b'"' => {
                        end = Some(at);
                        break;
                    }
                    _ => {}
                }
            }
            let quoted = format!("\"{text}");
            let raw = &text.as_bytes()[..end.unwrap_or(text.len())];
            prop_assert_eq!(Tokens::string_at(quoted.as_bytes(), 1), Text { raw, escaped });
        }
    }

    #[test]
    fn a_key_is_a_string_before_a_colon() {
        for (text, key, stray) in [
            ("\"a\":1", true, false),
            ("\"a\" \t\r\n:1", true, false),
            ("\"a\"\u{c}:1", true, true),
            ("\"a\",:1", false, false),
            ("\"a\" ,:1", false, false),
            ("\"a\" 1", false, false),
            ("\"a\"", false, false),
            ("\"a\" ", false, false),
        ] {
            let mut tokens = Tokens::new(text.as_bytes());
            let first = tokens.next();
            assert_eq!(matches!(first, Some(Token::Key(_))), key, "{text}");
            assert_eq!(tokens.by_ref().count(), usize::from(text.ends_with('1')), "{text}");
            assert_eq!(tokens.stray(), stray, "{text}");
        }
    }
}
