//! Bytes → JSON tokens, whatever the bytes are: what is no JSON is passed over and remembered.

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
pub(in super::super) struct Tokens<'t> {
    text: &'t [u8],
    at: usize,
    stray: bool,
}

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
        Self { text, at: 0, stray: false }
    }

    /// Whether something was passed over that JSON does not have.
    pub(in super::super) fn stray(&self) -> bool {
        self.stray
    }

    /// What was not read yet.
    pub(in super::super) fn rest(&self) -> &'t [u8] {
        &self.text[self.at..]
    }

    fn skip(&mut self, class: Class) -> &'t [u8] {
        let start = self.at;
        let len = self.text[start..].iter().position(|&b| CLASS[usize::from(b)] != class);
        self.at = len.map_or(self.text.len(), |len| start + len);
        &self.text[start..self.at]
    }

    fn string(&mut self) -> Text<'t> {
        let start = self.at + 1;
        let mut at = start;
        let mut escaped = false;
        loop {
            match memchr2(b'"', b'\\', &self.text[at..]) {
                None => {
                    self.at = self.text.len();
                    return Text { raw: &self.text[start.min(self.at)..], escaped };
                }
                Some(len) if self.text[at + len] == b'"' => {
                    self.at = at + len + 1;
                    return Text { raw: &self.text[start..at + len], escaped };
                }
                Some(len) => {
                    escaped = true;
                    at = (at + len + 2).min(self.text.len());
                }
            }
        }
    }
}

impl<'t> Iterator for Tokens<'t> {
    type Item = Token<'t>;

    fn next(&mut self) -> Option<Token<'t>> {
        loop {
            let b = *self.text.get(self.at)?;
            match CLASS[usize::from(b)] {
                Class::Space => drop(self.skip(Class::Space)),
                Class::Stray => {
                    self.stray = true;
                    self.skip(Class::Stray);
                }
                Class::Word => {
                    let word = self.skip(Class::Word);
                    if word[0].is_ascii_digit()
                        || word[0] == b'-'
                        || matches!(word, b"true" | b"false" | b"null" | b"NaN")
                    {
                        return Some(Token::Word(word));
                    }
                    self.stray = true;
                }
                Class::Structure if b == b'"' => {
                    let text = self.string();
                    let blank = self.rest().iter().position(|b| !b.is_ascii_whitespace());
                    let key = blank.is_some_and(|len| self.text[self.at + len] == b':');
                    return Some(if key { Token::Key(text) } else { Token::Text(text) });
                }
                Class::Structure => {
                    self.at += 1;
                    return Some(if matches!(b, b'{' | b'[') { Token::Open(b) } else { Token::Close });
                }
            }
        }
    }
}
