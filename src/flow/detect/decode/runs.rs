//! Base64 and hexadecimal runs → what they spell, when it is text or something packed.
//!
//! Images, hashes and embeddings are runs too. A run's first bytes are decoded, and the rest only when they are plausible.

use super::{Unwrap, Voice, binary, packed};
use data_encoding::{Encoding as Alphabet, HEXLOWER_PERMISSIVE, Specification};
use posture::Encoding;
use std::sync::LazyLock;

/// Shorter runs are words.
const SHORTEST: usize = 16;
/// Characters of a run that are decoded to see whether the rest is worth it.
const SAMPLE: usize = 32;

/// Both alphabets of RFC 4648 at once, without padding, and lenient about the last bits.
static BASE64: LazyLock<Alphabet> = LazyLock::new(|| {
    let mut spec = Specification::new();
    spec.symbols.push_str("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/");
    spec.translate.from.push_str("-_");
    spec.translate.to.push_str("+/");
    spec.check_trailing_bits = false;
    spec.encoding().expect("sixty-four distinct symbols and two translations to them")
});

static IN_ALPHABET: [bool; 256] = {
    let mut table = [false; 256];
    let mut b = 0;
    while b < 256 {
        #[expect(clippy::cast_possible_truncation, reason = "counts to 255")]
        let byte = b as u8;
        table[b] = byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'-' | b'_');
        b += 1;
    }
    table
};

/// Shows what the runs of `text` decode to.
pub(super) fn decode(w: &mut Unwrap<'_>, text: &[u8], name: Option<&[u8]>, voice: Voice) {
    let mut after = 0;
    // A run of sixteen must cover every sixteenth byte.
    let mut at = SHORTEST - 1;
    while at < text.len() {
        if !IN_ALPHABET[usize::from(text[at])] {
            at += SHORTEST;
            continue;
        }
        let before = text[after..at].iter().rposition(|&b| !IN_ALPHABET[usize::from(b)]);
        let start = before.map_or(after, |p| after + p + 1);
        let end = at + run_len(&text[at..]);
        after = end;
        if end - start >= SHORTEST {
            after = run(w, text, start, end, name, voice);
        }
        at = after + SHORTEST;
    }
}

fn run_len(text: &[u8]) -> usize {
    text.iter().position(|&b| !IN_ALPHABET[usize::from(b)]).unwrap_or(text.len())
}

/// Takes one run apart; gives the end of what it used.
fn run(w: &mut Unwrap<'_>, text: &[u8], start: usize, end: usize, name: Option<&[u8]>, voice: Voice) -> usize {
    let run = &text[start..end];
    if hex(w, run, name, voice) {
        return end;
    }
    // A run may begin with what is not its own: a path, a word and a slash.
    let skip = (0..4).find(|&skip| {
        let mut sample = [0; SAMPLE];
        let chars = &run[skip..run.len().min(skip + SAMPLE)];
        chars.len() >= 12 && decoded(chars, &mut sample).is_some_and(plausible)
    });
    let Some(skip) = skip else { return end };
    let mut chars = w.buffer();
    chars.extend_from_slice(&run[skip..]);
    let end = unwrap_lines(text, end, run.len(), &mut chars);
    if w.afford(chars.len()) {
        let url = chars.iter().any(|b| matches!(b, b'-' | b'_'));
        let mut plain = w.buffer();
        plain.resize(chars.len(), 0);
        let len = decoded(&chars, &mut plain).map_or(0, <[u8]>::len);
        plain.truncate(len);
        w.deeper(if url { Encoding::Base64url } else { Encoding::Base64 }, |w| inside(w, &plain, name, voice));
        w.give_back(plain);
    }
    w.give_back(chars);
    end
}

/// Shows a decoded run.
fn inside(w: &mut Unwrap<'_>, plain: &[u8], name: Option<&[u8]>, voice: Voice) {
    match binary::utf16(plain) {
        Some(text) => w.text(text.as_bytes(), name, voice),
        None => w.text(plain, name, voice),
    }
}

/// Appends the lines that continue a run wrapped at `width`; gives the end of the last.
fn unwrap_lines(text: &[u8], mut end: usize, width: usize, chars: &mut Vec<u8>) -> usize {
    loop {
        let rest = &text[end..];
        let break_len = match rest {
            [b'\r', b'\n', ..] => 2,
            [b'\n', ..] => 1,
            _ => return end,
        };
        let indent = rest[break_len..].iter().take(16).take_while(|b| matches!(b, b' ' | b'\t')).count();
        let line = &rest[break_len + indent..];
        let len = run_len(&line[..line.len().min(width + 1)]);
        let whole = matches!(line.get(len), None | Some(b'\r' | b'\n' | b'=' | b'"' | b'\'' | b'`' | b'<'));
        if len == 0 || len > width || !whole {
            return end;
        }
        chars.extend_from_slice(&line[..len]);
        end += break_len + indent + len;
        if len < width {
            return end;
        }
    }
}

/// Shows the hexadecimal stretches of a run; `true` when they are most of it.
fn hex(w: &mut Unwrap<'_>, run: &[u8], name: Option<&[u8]>, voice: Voice) -> bool {
    let mut found = 0;
    for digits in run.split(|b| !b.is_ascii_hexdigit()) {
        let digits = &digits[..digits.len() & !1];
        if digits.len() < SHORTEST {
            continue;
        }
        found += digits.len();
        let sample = HEXLOWER_PERMISSIVE.decode(&digits[..digits.len().min(SAMPLE)]);
        if sample.is_ok_and(|s| plausible(&s)) && w.afford(digits.len() / 2) {
            let plain = HEXLOWER_PERMISSIVE.decode(digits).unwrap_or_default();
            w.deeper(Encoding::Hex, |w| inside(w, &plain, name, voice));
        }
    }
    found > run.len() / 2
}

/// As much of `chars` as decodes, into `out`.
fn decoded<'o>(chars: &[u8], out: &'o mut [u8]) -> Option<&'o [u8]> {
    // One character left over carries no byte.
    let chars = if chars.len() % 4 == 1 { &chars[..chars.len() - 1] } else { chars };
    let len = BASE64.decode_len(chars.len()).ok()?;
    let len = BASE64.decode_mut(chars, out.get_mut(..len)?).ok()?;
    Some(&out[..len])
}

/// Whether decoded bytes look like something a receiver would use: text, UTF-16 text, or compressed data.
fn plausible(bytes: &[u8]) -> bool {
    packed::is(bytes) || binary::utf16(bytes).is_some() || readable(bytes)
}

fn readable(bytes: &[u8]) -> bool {
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(e) if e.error_len().is_none() && e.valid_up_to() > 0 => {
            std::str::from_utf8(&bytes[..e.valid_up_to()]).unwrap_or_default()
        }
        Err(_) => return false,
    };
    bytes.len() >= 8 && text.chars().all(|c| !c.is_control() || matches!(c, '\t' | '\n' | '\r' | '\x1b'))
}
