//! A call that makes text of numbers or of an encoding → the literal that it makes: `chr(105) + chr(100)`,
//! `map(chr, [105, 100])`, `pack("H*", "6964")`, `atob("aWQ=")`.

use crate::flow::detect::normalise::of_base64;
use std::ops::Range;

/// The longest literal that is read, and how many numbers.
const LONGEST: usize = 2 << 10;
const MOST: usize = 512;
/// The most brackets around a list.
const MOST_OPEN: usize = 4;
/// Fewer characters say nothing.
const LEAST: usize = 4;
/// How far before a call what it belongs to begins, and how far back its line is looked at for a quote.
const BEFORE: usize = 40;
const LINE: usize = 256;

/// The names of such calls, as far as each needs to be told.
pub(super) const CLUES: &[&str] = &[
    "fromcharcode",
    "fromcodepoint",
    "map(chr",
    "chr(",
    "[char",
    "pack(",
    "pack \"h*",
    "pack 'h*",
    "fromhex(",
    "unhex(",
    "hex2bin(",
    "unhexlify(",
    "atob(",
    "b64decode(",
    "base64_decode(",
    "decode64(",
    "buffer.from(",
    "bytes([",
    "bytearray([",
    "uint8array",
];

/// Where something stands, and what is put in its place.
pub(super) type Replaced = (Range<usize>, Vec<u8>);

/// What is read, from one place on.
#[derive(Clone, Copy)]
struct Cursor<'t> {
    text: &'t [u8],
    at: usize,
}

impl<'t> Cursor<'t> {
    fn rest(self) -> &'t [u8] {
        &self.text[self.at.min(self.text.len())..]
    }

    fn blanks(&mut self) {
        self.at += self.rest().iter().take(64).take_while(|b| b.is_ascii_whitespace()).count();
    }

    /// Takes `word`, in any case, and the blanks before it.
    fn takes(&mut self, word: &[u8]) -> bool {
        let mut next = *self;
        next.blanks();
        let is = next.rest().get(..word.len()).is_some_and(|t| t.eq_ignore_ascii_case(word));
        if is {
            self.at = next.at + word.len();
        }
        is
    }

    /// Takes a number that is a character of a text.
    fn number(&mut self) -> Option<u8> {
        self.blanks();
        let marked = matches!(self.rest(), [b'0', b'x' | b'X', ..]);
        let digits = &self.rest()[if marked { 2 } else { 0 }..];
        let len = digits
            .iter()
            .take(4)
            .take_while(|b| if marked { b.is_ascii_hexdigit() } else { b.is_ascii_digit() })
            .count();
        let number = std::str::from_utf8(&digits[..len]).ok()?;
        let byte = u8::from_str_radix(number, if marked { 16 } else { 10 }).ok()?;
        self.at += len + if marked { 2 } else { 0 };
        is_of_text(byte).then_some(byte)
    }

    /// Takes a literal, in a literal too.
    fn literal(&mut self) -> Option<&'t [u8]> {
        self.blanks();
        self.at += usize::from(matches!(self.rest(), [b'b' | b'r', b'"' | b'\'', ..]));
        let escapes = self.rest().iter().take(3).take_while(|b| **b == b'\\').count();
        let quote = *self.rest().get(escapes).filter(|b| matches!(b, b'"' | b'\'' | b'`'))?;
        let inner = &self.rest()[escapes + 1..];
        let inner = &inner[..memchr::memchr(quote, &inner[..inner.len().min(LONGEST)])?];
        self.at += escapes + inner.len() + 2;
        Some(&inner[..inner.len().checked_sub(escapes)?])
    }

    /// Takes a list of numbers, with the brackets around it and `open` more that were opened.
    fn list(&mut self, mut open: usize) -> Option<Vec<u8>> {
        loop {
            if self.takes(b"(") || self.takes(b"[") {
                open += 1;
            } else if !self.takes(b"...") {
                break;
            }
            if open > MOST_OPEN {
                return None;
            }
        }
        let mut made = vec![self.number()?];
        while self.takes(b",") && made.len() < MOST {
            made.push(self.number()?);
        }
        for _ in 0..open {
            if !self.takes(b")") && !self.takes(b"]") {
                return None;
            }
        }
        Some(made)
    }

    /// Takes calls with a number each, put together.
    fn chain(&mut self) -> Vec<u8> {
        let from = self.at;
        let mut made = Vec::new();
        while made.len() < MOST {
            let mut next = *self;
            let called = next.takes(b"chr(");
            if !called && !next.takes(b"[char]") {
                break;
            }
            let Some(byte) = next.number() else { break };
            if called && !next.takes(b")") {
                break;
            }
            made.push(byte);
            *self = next;
            let joined = next.takes(b"||") || [b".", b"+", b"&", b","].into_iter().any(|sign| next.takes(sign));
            if !joined {
                break;
            }
            self.at = next.at;
        }
        // What joins it to something else is no part of it.
        while self.at > from && matches!(self.text[self.at - 1], b'.' | b'+' | b'&' | b',' | b'|' | b' ') {
            self.at -= 1;
        }
        made
    }
}

/// The call of which `name` tells and the literal it makes; and how far was looked.
pub(super) fn literal(text: &[u8], name: &Range<usize>) -> (Option<Replaced>, usize) {
    let mut cursor = Cursor { text, at: name.end };
    let word = text[name.clone()].to_ascii_lowercase();
    let made = made(&word, &mut cursor, name.start);
    let plain = made.filter(|made| made.len() >= LEAST && is_text(made));
    let replaced = plain.map(|plain| {
        for ends in [&b".decode("[..], b".tostring("] {
            if cursor.takes(ends) {
                let rest = cursor.rest();
                let close = memchr::memchr(b')', &rest[..rest.len().min(24)]);
                cursor.at += close.map_or(0, |at| at + 1);
            }
        }
        let span = with_join(text, begins(text, name.start, &word)..cursor.at);
        let quote = quote_in(text, span.start);
        (span, [&[quote][..], &plain, &[quote]].concat())
    });
    (replaced, cursor.at)
}

/// What the call makes; its end is where the cursor stands then.
fn made(word: &[u8], cursor: &mut Cursor<'_>, start: usize) -> Option<Vec<u8>> {
    let text = cursor.text;
    let is_apart = start.checked_sub(1).is_none_or(|at| !text[at].is_ascii_alphanumeric() && text[at] != b'_');
    match word {
        b"fromcharcode" | b"fromcodepoint" => {
            if cursor.takes(b".apply(") {
                let rest = cursor.rest();
                cursor.at += memchr::memchr(b',', &rest[..rest.len().min(16)])? + 1;
                return cursor.list(1);
            }
            cursor.list(0)
        }
        b"map(chr" => cursor.takes(b",").then(|| cursor.list(1))?,
        b"[char" if cursor.takes(b"[]]") => cursor.list(0),
        b"chr(" | b"[char" if is_apart => {
            let rest = cursor.rest();
            let each = rest.first().is_some_and(u8::is_ascii_alphabetic);
            if each {
                cursor.at += memchr::memmem::find(&rest[..rest.len().min(40)], b" in ")? + 4;
                return cursor.list(0);
            }
            cursor.at = start;
            Some(cursor.chain())
        }
        [b'p', b'a', b'c', b'k', ..] if is_apart => {
            cursor.at = start + b"pack".len();
            let called = cursor.takes(b"(");
            let is_hex = cursor.literal().is_some_and(|format| format == b"H*" || format == b"h*");
            let hex = (is_hex && cursor.takes(b",")).then(|| cursor.literal())??;
            (!called || cursor.takes(b")")).then(|| of_hex(hex))?
        }
        b"fromhex(" | b"unhex(" | b"hex2bin(" | b"unhexlify(" => {
            let hex = cursor.literal()?;
            cursor.takes(b")").then(|| of_hex(hex))?
        }
        b"atob(" | b"b64decode(" | b"base64_decode(" | b"decode64(" => {
            let coded = cursor.literal()?;
            cursor.takes(b")").then(|| of_base64(coded))?
        }
        b"buffer.from(" if cursor.rest().trim_ascii_start().starts_with(b"[") => cursor.list(1),
        b"bytes([" | b"bytearray([" => {
            let made = cursor.list(1)?;
            cursor.takes(b")").then_some(made)
        }
        b"uint8array" => {
            let _ = cursor.takes(b".from") || cursor.takes(b".of");
            cursor.list(0)
        }
        b"buffer.from(" => {
            let coded = cursor.literal()?;
            let coding = cursor.takes(b",").then(|| cursor.literal())??;
            let read = if coding.eq_ignore_ascii_case(b"hex") { of_hex } else { of_base64 };
            cursor.takes(b")").then(|| read(coded))?
        }
        _ => None,
    }
}

fn of_hex(digits: &[u8]) -> Option<Vec<u8>> {
    let digits: Vec<u8> = digits.iter().copied().filter(|b| !b.is_ascii_whitespace()).collect();
    data_encoding::HEXLOWER_PERMISSIVE.decode(&digits).ok()
}

/// Where the name begins of which the last part is at `start`, with what it is a member of.
fn begins(text: &[u8], start: usize, word: &[u8]) -> usize {
    if word.starts_with(b"[") {
        return start;
    }
    let of_name = |b: &&u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.');
    let len = text[..start].iter().rev().take(BEFORE).take_while(of_name).count();
    // A dot that joins it to a literal, as in Perl, is no member's.
    let dots = text[start - len..start].iter().take_while(|b| **b == b'.').count();
    start - len + dots
}

/// The same with the call that joins the characters it makes: `"".join(…)`.
fn with_join(text: &[u8], span: Range<usize>) -> Range<usize> {
    let mut whole = span.clone();
    if text[..span.start].ends_with(b"[") && text.get(span.end) == Some(&b']') {
        whole = span.start - 1..span.end + 1;
    }
    let before = &text[..whole.start];
    let joins = [&b"\"\".join("[..], b"''.join("].into_iter().find(|join| before.ends_with(join));
    match joins {
        Some(join) if text.get(whole.end) == Some(&b')') => whole.start - join.len()..whole.end + 1,
        _ => span,
    }
}

/// The quote for a literal that begins at `at`: not the one that is open there.
fn quote_in(text: &[u8], at: usize) -> u8 {
    let line = &text[at.saturating_sub(LINE)..at];
    let line = &line[memchr::memrchr(b'\n', line).map_or(0, |n| n + 1)..];
    if memchr::memchr_iter(b'"', line).count() % 2 == 1 { b'\'' } else { b'"' }
}

fn is_text(made: &[u8]) -> bool {
    made.iter().all(|b| is_of_text(*b) || !b.is_ascii()) && std::str::from_utf8(made).is_ok()
}

fn is_of_text(b: u8) -> bool {
    matches!(b, b'\t' | b'\n' | b'\r' | b' '..=b'~')
}

#[cfg(test)]
mod tests {
    use super::{CLUES, literal};

    /// The text with the first call in it that tells of itself replaced.
    fn read(text: &str) -> Option<String> {
        let lower = text.to_ascii_lowercase();
        let places = CLUES.iter().filter_map(|clue| lower.find(clue).map(|at| at..at + clue.len()));
        let mut made = places.filter_map(|name| literal(text.as_bytes(), &name).0);
        let (span, plain) = made.next()?;
        Some([&text[..span.start], std::str::from_utf8(&plain).unwrap(), &text[span.end..]].concat())
    }

    #[test]
    fn a_call_is_the_literal_that_it_makes() {
        for (call, meant) in [
            ("exec(String.fromCharCode(114,109,32,45,114,102,32,126))", "exec(\"rm -rf ~\")"),
            ("String.fromCharCode(...[0x72, 0x6d, 0x20, 0x7e])", "\"rm ~\""),
            ("String.fromCharCode.apply(null, [114, 109, 32, 126])", "\"rm ~\""),
            ("os.system(\"\".join(map(chr,[114,109,32,47])))", "os.system(\"rm /\")"),
            ("os.system(''.join(chr(c) for c in [114, 109, 32, 47]))", "os.system(\"rm /\")"),
            ("os.system(''.join([chr(c) for c in (114, 109, 32, 47)]))", "os.system(\"rm /\")"),
            ("system(chr(114).chr(109).chr(32).chr(47));", "system(\"rm /\");"),
            ("x(chr(114) + chr(109) + chr(32) + chr(47) + y)", "x(\"rm /\" + y)"),
            ("iex (-join [char[]](114,109,32,47))", "iex (-join \"rm /\")"),
            ("iex ([char]114+[char]109+[char]32+[char]47)", "iex (\"rm /\")"),
            ("open F,'>>'.pack('H*','2f726f6f74')", "open F,'>>'.\"/root\""),
            ("system pack \"H*\", \"726d202f\";", "system \"rm /\";"),
            ("os.system(bytes.fromhex('726d202f').decode())", "os.system(\"rm /\")"),
            ("python3 -c \"os.system(bytes.fromhex('726d202f').decode('utf-8'))\"", "python3 -c \"os.system('rm /')\""),
            ("os.system(bytes.fromhex('72 6d 20 2f'))", "os.system(\"rm /\")"),
            ("exec(Buffer.from(\"726d202f\", \"hex\").toString())", "exec(\"rm /\")"),
            ("exec(Buffer.from('cm0gLw==','base64').toString('utf8'))", "exec(\"rm /\")"),
            ("cat(Buffer.from([47,101,116,99]).toString())", "cat(\"/etc\")"),
            ("os.system(bytes([114,109,32,47]).decode())", "os.system(\"rm /\")"),
            ("x(new Uint8Array([114,109,32,47]))", "x(new \"rm /\")"),
            ("x(Uint8Array.of(114,109,32,47))", "x(\"rm /\")"),
            ("exec(base64.b64decode(b'cm0gLw=='))", "exec(\"rm /\")"),
            ("system(base64_decode('cm0gLw=='))", "system(\"rm /\")"),
            ("exec(atob(\\\"cm0gLw==\\\"))", "exec(\"rm /\")"),
        ] {
            assert_eq!(read(call).as_deref(), Some(meant), "{call}");
        }
    }

    #[test]
    fn what_makes_no_text_stays() {
        for text in [
            "String.fromCharCode(code)",
            "String.fromCharCode(1, 2, 3, 4)",
            "chr(65)",
            "chr(x)",
            "map(chr, codes)",
            "unpack('H*', 'aabbccdd')",
            "pack('N', 1)",
            "bytes.fromhex(x)",
            "atob(x)",
            "atob('AAAA')",
            "Buffer.from('abcd')",
            "Buffer.from([1, 2, 3, 4])",
            "bytes([x])",
            "new Uint8Array(16)",
            "b64decode('//79/Pv6')",
            "hex2bin('zz')",
            "[char]65",
            "String.fromCharCode(114,109,32",
            "pack(",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_taken(text in "(chr\\(|map\\(chr|\\[char|pack\\(|atob\\(|[0-9'\"\\\\,.+)\\]\\[ ax]){0,24}") {
            let lower = text.to_ascii_lowercase();
            for clue in CLUES {
                for (at, _) in lower.match_indices(clue) {
                    let (made, to) = literal(text.as_bytes(), &(at..at + clue.len()));
                    proptest::prop_assert!(to <= text.len());
                    proptest::prop_assert!(made.is_none_or(|(span, _)| span.start <= at && span.end <= text.len()));
                }
            }
        }
    }
}
