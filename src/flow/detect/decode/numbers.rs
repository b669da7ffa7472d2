//! Bytes written as numbers → the text they are: `67 73 6b`, `[0x67, 0x73]`, `fromCharCode(103, 115)`,
//! `chr(103) + chr(115)`.
//!
//! Between two of them stands the same each time, blanks apart. Where they may stand is told by the look at runs: there
//! nothing is long and much is a digit.

use super::{Unwrap, Voice, percent::nibble, runs};
use posture::Encoding;
use std::ops::Range;

/// Fewer say nothing.
const LEAST: usize = 8;
/// What stands between two of them, at most: an indentation too.
const LONGEST_BETWEEN: usize = 24;
/// Before the place that tells of them they may begin.
const BEFORE: usize = 64;

/// One number, as what it may be read.
struct Number {
    len: usize,
    hex: Option<u8>,
    decimal: Option<u8>,
}

impl Number {
    /// The number that `text` begins with, if it may be a byte of a text.
    fn at(text: &[u8]) -> Option<Self> {
        let is_text = |b: &u8| matches!(b, b'\t' | b'\n' | b'\r' | b' '..=b'~');
        let marked = matches!(text, [b'0', b'x' | b'X', ..]);
        let digits = if marked { &text[2..] } else { text };
        let len = digits.iter().take(4).take_while(|b| b.is_ascii_hexdigit()).count();
        if len == 0 || len > 3 || digits.get(len).is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_') {
            return None;
        }
        let value = |radix: u8| {
            let mut each = digits[..len].iter().map(|b| nibble(*b).filter(|digit| *digit < radix));
            each.try_fold(0_u8, |sum, digit| sum.checked_mul(radix)?.checked_add(digit?)).filter(is_text)
        };
        let hex = if marked || len == 2 { value(16) } else { None };
        let decimal = if marked { None } else { value(10) };
        (hex.is_some() || decimal.is_some()).then_some(Self { len: if marked { len + 2 } else { len }, hex, decimal })
    }
}

/// Numbers read as bytes, each in the ways that all of them can be read.
#[derive(Default)]
struct List {
    hex: Vec<u8>,
    decimal: Vec<u8>,
    len: usize,
}

impl List {
    /// Reads the numbers from `at` on; answers where to go on.
    fn read(&mut self, text: &[u8], mut at: usize) -> usize {
        self.hex.clear();
        self.decimal.clear();
        self.len = 0;
        let mut between: Option<&[u8]> = None;
        let mut last = at;
        while let Some(number) = Number::at(&text[at..]) {
            let as_hex = number.hex.filter(|_| self.hex.len() == self.len);
            let as_decimal = number.decimal.filter(|_| self.decimal.len() == self.len);
            if as_hex.is_none() && as_decimal.is_none() {
                break;
            }
            self.hex.extend(as_hex);
            self.decimal.extend(as_decimal);
            self.len += 1;
            last = at;
            at += number.len;
            let Some(len) = to_next(&text[at..]) else { break };
            let here = &text[at..at + len];
            if !same(between.replace(here).unwrap_or(here), here) {
                break;
            }
            at += len;
        }
        // The last of a few may be the first of others.
        if (2..LEAST).contains(&self.len) { last } else { at }
    }
}

/// How far it is from the end of a number to the next one.
fn to_next(text: &[u8]) -> Option<usize> {
    let near = &text[..text.len().min(LONGEST_BETWEEN)];
    let marks = near.iter().position(u8::is_ascii_alphanumeric)?;
    if marks > 0 && Number::at(&text[marks..]).is_some() {
        return Some(marks);
    }
    near.windows(2).position(|w| !w[0].is_ascii_alphanumeric() && w[1].is_ascii_digit()).map(|at| at + 1)
}

fn same(one: &[u8], other: &[u8]) -> bool {
    let marks = |text: &'_ [u8]| text.iter().copied().filter(|b| !b.is_ascii_whitespace()).collect::<Vec<_>>();
    one == other || marks(one) == marks(other)
}

/// Shows what is written as numbers in the `likely` stretches of `text`, and around them.
pub(super) fn decode(w: &mut Unwrap<'_>, text: &[u8], likely: &[Range<usize>], name: Option<&[u8]>, voice: Voice) {
    let mut list = List::default();
    let mut done = 0;
    for near in likely {
        let mut at = near.start.saturating_sub(BEFORE).max(done);
        while at < near.end {
            let word = text[at..].iter().take_while(|b| b.is_ascii_alphanumeric()).count();
            let begins = at == 0 || !text[at - 1].is_ascii_alphanumeric();
            if word == 0 || !begins || Number::at(&text[at..]).is_none() {
                at += word.max(1);
                continue;
            }
            at = list.read(text, at).max(at + 1);
            if list.len < LEAST || !w.afford(list.len) {
                continue;
            }
            for bytes in [&list.hex, &list.decimal] {
                if bytes.len() == list.len {
                    w.opened(Encoding::Hex, bytes, |w| w.text(bytes, name, voice));
                }
            }
        }
        done = at;
    }
}

/// Shows what the numbers are that an array of JSON begins with, each a byte: a program writes bytes so that makes JSON of
/// what is no text.
pub(super) fn list(w: &mut Unwrap<'_>, text: &[u8], name: Option<&[u8]>, voice: Voice) {
    let mut bytes = w.buffer();
    read_array(text, &mut bytes);
    if bytes.len() >= LEAST && runs::may_be_read(&bytes) && w.afford(bytes.len()) {
        w.opened(Encoding::Hex, &bytes, |w| runs::inside(w, &bytes, name, voice));
    }
    w.give_back(bytes);
}

/// Appends the bytes that `text` begins with in decimal, with commas between them, as far as all are such.
fn read_array(text: &[u8], bytes: &mut Vec<u8>) {
    let mut rest = text.trim_ascii_start();
    loop {
        let digits = rest.iter().take(4).take_while(|b| b.is_ascii_digit()).count();
        let byte = rest[..digits].iter().try_fold(0_u8, |sum, digit| sum.checked_mul(10)?.checked_add(digit - b'0'));
        let (after, Some(byte)) = (rest[digits..].trim_ascii_start(), byte.filter(|_| digits > 0)) else { return };
        match after.first() {
            None | Some(b']') => return bytes.push(byte),
            Some(b',') => bytes.push(byte),
            Some(_) => return,
        }
        rest = after[1..].trim_ascii_start();
    }
}

#[cfg(test)]
mod tests {
    use super::{LEAST, List, read_array};

    fn read(text: &str) -> Vec<String> {
        let mut list = List::default();
        list.read(text.as_bytes(), 0);
        let whole = |bytes: &Vec<u8>| (bytes.len() == list.len).then(|| String::from_utf8_lossy(bytes).into_owned());
        [&list.hex, &list.decimal].into_iter().filter_map(whole).filter(|text| text.len() >= LEAST).collect()
    }

    #[test]
    fn numbers_with_the_same_between_them_are_a_text() {
        let text = "cat /etc/shadow";
        let each = |write: fn(u8) -> String| text.bytes().map(write).collect::<Vec<_>>();
        let hex = each(|b| format!("{b:02x}"));
        let decimal = each(|b| b.to_string());
        let marked = each(|b| format!("0x{b:X}"));
        for numbers in [
            hex.join(" "),
            hex.join(":").to_uppercase(),
            hex.join(", "),
            hex.join("\n"),
            hex.join("','"),
            marked.join(","),
            marked.join(",\n    "),
            decimal.join(","),
            decimal.join(" "),
            decimal.join(")+chr("),
            decimal.join(") + chr("),
            decimal.join(") .\n  chr("),
        ] {
            assert_eq!(read(&numbers), [text], "{numbers}");
        }
    }

    #[test]
    fn numbers_of_more_or_less_than_bytes_of_a_text_are_none() {
        for numbers in [
            "67 73 6b 5f",
            "1 2 3 4 5 6 7 8 9 10 11 12",
            "255, 254, 253, 252, 251, 250, 249, 248, 247",
            "1067 1068 1069 1070 1071 1072 1073 1074",
            "67, 73; 6b 5f, 67; 73 6b, 5f; 67",
            "words and more words",
        ] {
            assert_eq!(read(numbers), [""; 0], "{numbers}");
        }
        assert_eq!(read("48 49 50 51 52 53 54 55").len(), 2, "either");
    }

    #[test]
    fn an_array_of_bytes_is_read_to_what_is_none() {
        for (array, bytes) in [
            ("195, 169 ,0,\n 255]", &[195, 169, 0, 255][..]),
            ("1,2", &[1, 2]),
            ("1,2,256,3]", &[1, 2]),
            ("1,2.5]", &[1]),
            ("1,\"a\"]", &[1]),
            ("1,,2]", &[1]),
            ("1,-2]", &[1]),
            ("]", &[]),
            ("0x41]", &[]),
        ] {
            let mut read = Vec::new();
            read_array(array.as_bytes(), &mut read);
            assert_eq!(read, bytes, "{array}");
        }
    }
}
