//! Template → a key of that shape, drawn anew.

use std::fmt::Write;

/// Draws characters: the same ones for one seed (Steele and Vigna's splitmix64).
pub(crate) struct Draw(pub(crate) u64);

impl Draw {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    pub(crate) fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.next() % n as u64).unwrap()
    }

    pub(crate) fn text(&mut self, alphabet: &[u8], len: usize) -> String {
        (0..len).map(|_| char::from(alphabet[self.below(alphabet.len())])).collect()
    }

    /// `{{name:length}}` in `template` replaced by that many characters; anything else stays.
    pub(crate) fn fill(&mut self, template: &str) -> String {
        let mut out = String::new();
        let mut rest = template;
        while let Some((before, after)) = rest.split_once("{{") {
            out.push_str(before);
            let part = after.split_once("}}").and_then(|(spec, tail)| {
                let (name, len) = spec.split_once(':')?;
                Some((alphabet(name)?, len.parse().ok()?, name == "crc32", tail))
            });
            if let Some((alphabet, len, is_summed, tail)) = part {
                let text = self.text(alphabet, len);
                write!(out, "{text}{}", if is_summed { base62(crc32(text.as_bytes())) } else { String::new() })
                    .unwrap();
                rest = tail;
            } else {
                out.push_str("{{");
                rest = after;
            }
        }
        out + rest
    }
}

/// CRC-32 (ISO 3309), bit by bit.
fn crc32(text: &[u8]) -> u32 {
    !text.iter().fold(!0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| crc >> 1 ^ if crc & 1 == 1 { 0xedb8_8320 } else { 0 })
    })
}

/// A number in six digits, letters after figures and capitals first.
fn base62(number: u32) -> String {
    let digit = |n: u32| match u8::try_from(n).unwrap() {
        n @ 0..10 => char::from(b'0' + n),
        n @ 10..36 => char::from(b'A' + n - 10),
        n => char::from(b'a' + n - 36),
    };
    (0..6).rev().map(|power| digit(number / 62_u32.pow(power) % 62)).collect()
}

fn alphabet(name: &str) -> Option<&'static [u8]> {
    Some(match name {
        "alnum" | "crc32" => b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
        "letters" => b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
        "lower" => b"abcdefghijklmnopqrstuvwxyz0123456789",
        "word" => b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-",
        "base64" => b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
        "base32" => b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567",
        "hex" => b"0123456789abcdef",
        "digits" => b"0123456789",
        "x" => b"x",
        "zero" => b"0",
        _ => return None,
    })
}
