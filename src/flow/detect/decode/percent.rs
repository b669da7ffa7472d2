//! `%41` → `A`.

use super::{Unwrap, Voice};
use crate::flow::detect::patch::Patch;
use memchr::memchr_iter;
use posture::Encoding;

/// What is percent-encoded has no blanks: little beside it belongs to it.
const CONTEXT: usize = 32;

/// Shows `text` with its percent-encoding undone once; the next round is the next decoding's.
pub(super) fn decode(w: &mut Unwrap<'_>, text: &[u8], name: Option<&[u8]>, voice: Voice) {
    let mut found = memchr_iter(b'%', text).filter_map(|at| byte(&text[at..]).map(|b| (at, b))).peekable();
    if found.peek().is_none() || !w.afford(text.len()) {
        return;
    }
    let buffer = w.buffer();
    let out = w.deeper(Encoding::Url, |w| {
        let mut patch = Patch::new(text, CONTEXT, buffer, |t: &[u8]| w.text(t, name, voice));
        let mut done = 0;
        found.for_each(|(at, b)| {
            if at >= done {
                let (b, len) = overlong(&text[at..], b).unwrap_or((b, 3));
                done = at + len;
                patch.replace(at, done, &[b]);
            }
        });
        patch.finish()
    });
    w.give_back(out.unwrap_or_default());
}

/// All of `text` with its percent-encoding undone, and `+` as a space when `plus` says so; `None` when that changes nothing.
pub(super) fn whole(text: &[u8], plus: bool, mut out: Vec<u8>) -> Option<Vec<u8>> {
    let mut changed = false;
    let mut at = 0;
    while at < text.len() {
        let (b, step) = match text[at] {
            b'%' => byte(&text[at..]).map_or((b'%', 1), |b| (b, 3)),
            b'+' if plus => (b' ', 1),
            b => (b, 1),
        };
        changed |= step == 3 || b != text[at];
        out.push(b);
        at += step;
    }
    changed.then_some(out)
}

/// A character of ASCII in more bytes than it needs, which is no UTF-8 and taken for it by some: `%c0%af` is a slash.
fn overlong(text: &[u8], lead: u8) -> Option<(u8, usize)> {
    let more = |at: usize| byte(text.get(at..)?).filter(|b| b & 0xc0 == 0x80).map(|b| b & 0x3f);
    match lead {
        0xc0 | 0xc1 => Some((lead << 6 | more(3)?, 6)),
        0xe0 if matches!(more(3), Some(0 | 1)) => Some((more(3)? << 6 | more(6)?, 9)),
        _ => None,
    }
}

fn byte(text: &[u8]) -> Option<u8> {
    if text.first() != Some(&b'%') {
        return None;
    }
    let [_, high, low, ..] = *text else { return None };
    Some(nibble(high)? << 4 | nibble(low)?)
}

/// The value of one hexadecimal digit.
pub(super) fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}
