//! A compressed text inside a text, known by its first bytes.

use super::{Coding, Stop, Unwrap, Voice, binary};
use posture::Encoding;

/// How far a text is looked at that may be one.
const LOOK: usize = 12;
/// How much is unpacked at a time.
const STEP: usize = 1 << 10;
/// What is shown again of what was unpacked before it broke: a decoder takes some bytes to see that they are not its own.
const RECENT: usize = 64;

/// Whether `text` begins as gzip, zlib or Zstandard data does.
pub(super) fn is(text: &[u8]) -> bool {
    kind(text).is_some()
}

fn kind(text: &[u8]) -> Option<Encoding> {
    // Most texts are told from all of them by one byte.
    if !matches!(text.first(), Some(0x1f | 0x28 | 0x78)) {
        return None;
    }
    match text {
        [0x1f, 0x8b, 8, ..] => Some(Encoding::Gzip),
        // RFC 1950, section 2.2, a window of 32 KiB; then a block of one of the three kinds. What begins with two letters is
        // a text, unless it does not go on as one.
        [0x78, 0x01 | 0x9c | 0xda, block, ..] if block & 0b110 != 0b110 => Some(Encoding::Deflate),
        [0x78, 0x5e, block, ..] if block & 0b110 != 0b110 && !text.iter().take(LOOK).all(u8::is_ascii_graphic) => {
            Some(Encoding::Deflate)
        }
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Some(Encoding::Zstd),
        _ => None,
    }
}

/// Shows what `text` unpacks to, and as it is what follows on it; `false` when nothing came out.
pub(super) fn unpack(w: &mut Unwrap<'_>, text: &[u8], name: Option<&[u8]>, voice: Voice) -> bool {
    let Some(kind) = kind(text) else { return false };
    if w.affordable() == 0 {
        w.leave(text.len());
        return false;
    }
    let (mut at, mut broken) = (0, false);
    let shown = w.opened(kind, text, |w| {
        let mut plain = w.buffer();
        let mut coding = Coding::of(kind, w.limits());
        let most = w.affordable();
        let mut done = Ok(());
        // In small steps, so that the budget stops a bomb early.
        while done.is_ok() && at < text.len() && plain.len() < most {
            let step = &text[at..text.len().min(at + STEP)];
            done = coding.push(step, &mut |out| plain.extend_from_slice(out));
            at += step.len();
        }
        if done.is_ok() && at == text.len() {
            // What ends early still said something.
            done = coding.end(&mut |out| plain.extend_from_slice(out));
        }
        broken = done == Err(Stop::Broken);
        if !broken && (done.is_err() || plain.len() > most || at < text.len()) {
            // The last step may have brought all that was left of the bound, and more.
            w.leave(text.len() - at.saturating_sub(STEP));
        }
        plain.truncate(most);
        let shown = !plain.is_empty() && w.afford(plain.len());
        if shown {
            w.text(&plain, name, voice);
        }
        w.give_back(plain);
        coding.aside().for_each(|(_, text)| w.text(text, name, voice));
        if coding.unsaid() > 0 {
            w.leave(coding.unsaid());
        }
        shown
    });
    // A few packed bytes must not hide what stands behind them. It broke in the last step, or shortly before.
    if shown == Some(true) && broken {
        binary::printable(w, &text[at.saturating_sub(STEP + RECENT)..], name, voice);
    }
    shown.unwrap_or(false)
}
