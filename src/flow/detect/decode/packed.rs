//! A compressed text inside a text, known by its first bytes.

use super::{Coding, Unwrap, Voice};
use posture::Encoding;

/// How far a text is looked at that may be one.
const LOOK: usize = 12;

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

/// Shows what `text` unpacks to; `false` when nothing came out.
pub(super) fn unpack(w: &mut Unwrap<'_>, text: &[u8], name: Option<&[u8]>, voice: Voice) -> bool {
    let Some(kind) = kind(text).filter(|_| w.affordable() > 0) else { return false };
    w.deeper(kind, |w| {
        let mut plain = w.buffer();
        let mut coding = Coding::of(kind, w.limits());
        let mut broke = false;
        let most = w.affordable();
        // In small steps, so that the budget stops a bomb early.
        for piece in text.chunks(1 << 10) {
            broke = coding.push(piece, &mut |out| plain.extend_from_slice(out)).is_err();
            broke |= plain.len() >= most;
            if broke {
                break;
            }
        }
        if !broke {
            // What ends early still said something.
            let _ = coding.end(&mut |out| plain.extend_from_slice(out));
        }
        plain.truncate(most);
        let shown = !plain.is_empty() && w.afford(plain.len());
        if shown {
            w.text(&plain, name, voice);
        }
        w.give_back(plain);
        shown
    })
    .unwrap_or(false)
}
