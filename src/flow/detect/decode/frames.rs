//! Amazon's framing of a stream, `application/vnd.amazon.eventstream` → the texts that its pieces make together.
//!
//! A frame has its length and that of its headers, a checksum of both, headers, an event in JSON, and a checksum of it all.
//! What stands in each is shown as any binary's.

use super::{Deltas, Unwrap};
use data_encoding::BASE64;
use flate2::Crc;
use memchr::{memchr, memmem};

/// Bytes before a frame's headers.
const LENGTHS: usize = 12;
/// The checksum at its end.
const SUM: usize = 4;

/// Whether `text` begins with a frame.
pub(super) fn is(text: &[u8]) -> bool {
    text.first() == Some(&0) && frame(text).is_some()
}

/// Puts what the frames of `text` hold together.
pub(super) fn pieces(w: &mut Unwrap<'_>, text: &[u8]) {
    let mut deltas = Deltas::new();
    let mut rest = text;
    while let Some((event, after)) = frame(rest) {
        // An event of the model's own may be within one of the frame's, as it was made.
        match bytes(event).filter(|packed| w.afford(packed.len())).and_then(|packed| BASE64.decode(packed).ok()) {
            Some(inner) => deltas.pieces(w, &inner),
            None => deltas.pieces(w, event),
        }
        rest = after;
    }
    deltas.end(w);
}

/// The event of the frame that `text` begins with, and what follows it.
fn frame(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let number = |at: usize| Some(u32::from_be_bytes(*text.get(at..)?.first_chunk()?));
    let (len, headers) = (usize::try_from(number(0)?).ok()?, usize::try_from(number(4)?).ok()?);
    let mut sum = Crc::new();
    sum.update(&text[..8]);
    let frame = text.get(..len).filter(|_| number(8) == Some(sum.sum()))?;
    let event = frame.get(LENGTHS.checked_add(headers)?..len.checked_sub(SUM)?)?;
    Some((event, &text[len..]))
}

/// What the member `bytes` of an event holds.
fn bytes(event: &[u8]) -> Option<&[u8]> {
    const NAME: &[u8] = b"\"bytes\"";
    let after = event[memmem::find(event, NAME)? + NAME.len()..].trim_ascii_start();
    let value = after.strip_prefix(b":")?.trim_ascii_start().strip_prefix(b"\"")?;
    Some(&value[..memchr(b'"', value)?])
}
