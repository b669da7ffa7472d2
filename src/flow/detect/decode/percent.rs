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
        found.for_each(|(at, b)| patch.replace(at, at + 3, &[b]));
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

fn byte(text: &[u8]) -> Option<u8> {
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
