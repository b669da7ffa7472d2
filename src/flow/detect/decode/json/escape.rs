//! A JSON string as written → as meant (RFC 8259, section 7).

use super::super::percent::nibble;
use memchr::memchr;

/// Appends `raw` to `out` with its escapes undone.
///
/// A lone surrogate becomes U+FFFD, an escape JSON does not have stays as it is, one cut short at the end is left out.
pub(in super::super) fn undo(mut raw: &[u8], out: &mut Vec<u8>) {
    while let Some(at) = memchr(b'\\', raw) {
        out.extend_from_slice(&raw[..at]);
        raw = &raw[at..];
        let len = match *raw {
            [] | [_] => return,
            [_, b'u', ref rest @ ..] => {
                let Some(code) = unit(rest) else {
                    if rest.len() < 4 && rest.iter().all(u8::is_ascii_hexdigit) {
                        return;
                    }
                    out.push(b'\\');
                    raw = &raw[1..];
                    continue;
                };
                let (c, len) = match (code, rest.get(4..)) {
                    (0xd800..=0xdbff, Some([b'\\', b'u', low @ ..])) => match unit(low) {
                        Some(low @ 0xdc00..=0xdfff) => {
                            (char::from_u32(0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00)), 12)
                        }
                        _ => (None, 6),
                    },
                    _ => (char::from_u32(code), 6),
                };
                let c = c.unwrap_or(char::REPLACEMENT_CHARACTER);
                out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                len
            }
            [_, b, ..] => {
                match b {
                    b'n' => out.push(b'\n'),
                    b't' => out.push(b'\t'),
                    b'r' => out.push(b'\r'),
                    b'b' => out.push(8),
                    b'f' => out.push(12),
                    b'"' | b'\\' | b'/' => out.push(b),
                    _ => out.extend_from_slice(&[b'\\', b]),
                }
                2
            }
        };
        raw = &raw[len..];
    }
    out.extend_from_slice(raw);
}

fn unit(digits: &[u8]) -> Option<u32> {
    digits.get(..4)?.iter().try_fold(0, |sum, &d| Some(sum << 4 | u32::from(nibble(d)?)))
}

#[cfg(test)]
mod tests {
    use super::undo;
    use proptest::prelude::*;

    fn undone(raw: &str) -> String {
        let mut out = Vec::new();
        undo(raw.as_bytes(), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn escapes_are_undone() {
        for (raw, want) in [
            (r"a\u0026b", "a&b"),
            (r"\/etc\/passwd", "/etc/passwd"),
            (r#"\"\\\b\f\n\r\t"#, "\"\\\u{8}\u{c}\n\r\t"),
            (r"\ud83d\ude00", "😀"),
            (r"\uD83D", "\u{fffd}"),
            (r"\uD83Dx", "\u{fffd}x"),
            (r"\uD83D\u0041", "\u{fffd}A"),
            (r"\ude00\ud83d", "\u{fffd}\u{fffd}"),
            (r"\q", r"\q"),
            (r"\uzzzz", r"\uzzzz"),
            (r"cut\u00", "cut"),
            (r"cut\", "cut"),
        ] {
            assert_eq!(undone(raw), want, "{raw}");
        }
    }

    proptest! {
        #[test]
        fn what_serde_wrote_is_read_back(text in any::<String>()) {
            let written = serde_json::to_string(&text).unwrap();
            prop_assert_eq!(undone(&written[1..written.len() - 1]), text);
        }
    }
}
