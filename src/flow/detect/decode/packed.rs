//! A compressed text inside a text, known by its first bytes.

use super::{Coding, Stop, Unwrap, Voice, binary};
use memchr::memmem;
use posture::Encoding;

/// What gzip and Zstandard data begin with.
const GZIP: &[u8] = b"\x1f\x8b\x08";
const ZSTD: &[u8] = b"\x28\xb5\x2f\xfd";
/// What begins what nobody here unpacks: xz, bzip2's blocks, 7z, LZ4's frames and RAR.
const SEALED: &[&[u8]] = &[b"\xfd7zXZ\0", b"1AY&SY", b"7z\xbc\xaf\x27\x1c", b"\x04\x22\x4d\x18", b"Rar!\x1a\x07"];
/// Packed texts that are unpacked within one that is not.
const MAX_WITHIN: usize = 16;

/// How far a text is looked at that may be one.
const LOOK: usize = 12;
/// How much is unpacked at a time.
const STEP: usize = 1 << 10;
/// What is shown again of what was unpacked before it broke: a decoder takes some bytes to see that they are not its own.
const RECENT: usize = 64;

/// Whether `text` begins as packed data does: six bytes tell.
pub(super) fn is(text: &[u8]) -> bool {
    kind(text).is_some() || is_sealed(text)
}

/// Whether `text` begins as what nobody here unpacks.
fn is_sealed(text: &[u8]) -> bool {
    match text {
        [b'B', b'Z', b'h', b'1'..=b'9', b'1', b'A', ..] => true,
        [0xfd | b'7' | 0x04 | b'R', ..] => SEALED.iter().any(|begins| text.starts_with(begins)),
        _ => false,
    }
}

fn kind(text: &[u8]) -> Option<Encoding> {
    // Most texts are told from all of them by one byte.
    if !matches!(text.first(), Some(0x1f | 0x28 | 0x78)) {
        return None;
    }
    match text {
        _ if text.starts_with(GZIP) => Some(Encoding::Gzip),
        _ if text.starts_with(ZSTD) => Some(Encoding::Zstd),
        // RFC 1950, section 2.2, a window of 32 KiB; then a block of one of the three kinds. What begins with two letters is
        // a text, unless it does not go on as one.
        [0x78, 0x01 | 0x9c | 0xda, block, ..] if block & 0b110 != 0b110 => Some(Encoding::Deflate),
        [0x78, 0x5e, block, ..] if block & 0b110 != 0b110 && !text.iter().take(LOOK).all(u8::is_ascii_graphic) => {
            Some(Encoding::Deflate)
        }
        _ => None,
    }
}

/// Shows what `text` unpacks to, which [`is`] packed, and as it is what follows on it; `false` when nothing came out.
pub(super) fn unpack(w: &mut Unwrap<'_>, text: &[u8], name: Option<&[u8]>, voice: Voice) -> bool {
    let Some(kind) = kind(text) else {
        w.leave(text.len());
        return false;
    };
    let (shown, broken_at) = open(w, kind, text, name, voice);
    // A few packed bytes must not hide what stands behind them. It broke in the last step, or shortly before.
    if let Some(at) = broken_at.filter(|_| shown) {
        binary::printable(w, &text[at.saturating_sub(STEP + RECENT)..], name, voice);
    }
    shown
}

/// Shows what is packed within `text`, which begins as something else: a file in an archive that only holds it, or behind a
/// line of text.
pub(super) fn within(w: &mut Unwrap<'_>, text: &[u8], name: Option<&[u8]>, voice: Voice) {
    let found = |packed: &'static [u8]| memmem::find_iter(text, packed).filter(|at| *at > 0);
    // Its flags have bits that are always zero.
    let gzip = found(GZIP).filter(|at| text.get(at + GZIP.len()).is_some_and(|flags| flags & 0xe0 == 0));
    let packed = gzip.map(|at| (at, Encoding::Gzip)).chain(found(ZSTD).map(|at| (at, Encoding::Zstd)));
    for (n, (at, kind)) in packed.enumerate() {
        if n == MAX_WITHIN {
            w.leave(text.len() - at);
            break;
        }
        // What begins so and is none would cost nothing else, however often it is looked at.
        if !w.afford(STEP.min(text.len() - at)) {
            break;
        }
        open(w, kind, &text[at..], name, voice);
    }
    if let Some(at) = SEALED.iter().filter_map(|sealed| memmem::find(text, sealed)).min() {
        w.leave(text.len() - at);
    }
}

/// Shows what `text` unpacks to: whether anything came out, and up to where was read when it broke.
fn open(w: &mut Unwrap<'_>, kind: Encoding, text: &[u8], name: Option<&[u8]>, voice: Voice) -> (bool, Option<usize>) {
    if w.affordable() == 0 {
        w.leave(text.len());
        return (false, None);
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
    (shown.unwrap_or(false), broken.then_some(at))
}
