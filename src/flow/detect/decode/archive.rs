//! What is packed within an archive, or within what `git push` sends → its texts, one by one.
//!
//! Each is packed by itself, and between them stands what no packed text begins with: only the archive's own form tells
//! where they are. What is not packed there is seen as it is.

use super::{Unwrap, Voice, coding::RATIO_FLOOR};
use flate2::{Decompress, FlushDecompress, Status};
use memchr::memmem;
use posture::Encoding;

/// A member of a ZIP archive begins so (APPNOTE, section 4.3.7).
const MEMBER: &[u8] = b"PK\x03\x04";
const MEMBER_HEAD: usize = 30;
/// A pack begins so (gitformat-pack), and then says how many objects there are.
const PACK: &[u8] = b"PACK\0\0\0";
/// How far a pack is looked for: what is to be changed is listed before it.
const LISTED: usize = 64 << 10;
/// How much is unpacked at a time.
const BLOCK: usize = 4 << 10;

/// Whether `text` begins as an archive does.
pub(super) fn is(text: &[u8]) -> bool {
    text.starts_with(MEMBER)
}

/// Shows what is packed within `text`, if it is an archive, whatever stands before that, or has a pack.
pub(super) fn members(w: &mut Unwrap<'_>, text: &[u8], name: Option<&[u8]>, voice: Voice) {
    if let Some(at) = memmem::find(text, MEMBER) {
        w.opened(Encoding::Deflate, &text[at..], |w| zip(w, &text[at..], name, voice));
    }
    if let Some(at) = pack(text) {
        w.opened(Encoding::Deflate, &text[at..], |w| objects(w, &text[at..], name, voice));
    }
}

/// Whoever unpacks an archive goes by the list at its end, which may point to a head within what another takes for a
/// name, or into packed bytes: each head is gone by.
fn zip(w: &mut Unwrap<'_>, text: &[u8], name: Option<&[u8]>, voice: Voice) {
    let (mut inflater, mut read) = (Decompress::new(false), 0);
    for at in memmem::find_iter(text, MEMBER) {
        let head = &text[at..];
        let Some(fixed) = head.get(..MEMBER_HEAD) else { return };
        let number = |at: usize| usize::from(u16::from_le_bytes([fixed[at], fixed[at + 1]]));
        let (encrypted, method) = (number(6) & 1 == 1, number(8));
        let Some(packed) = head.get(MEMBER_HEAD + number(26) + number(28)..) else { continue };
        match method {
            0 if !encrypted => {}
            8 if !encrypted => {
                // Many heads may lead to the same packed text.
                if read > text.len() || w.affordable() < BLOCK {
                    return w.leave(head.len());
                }
                let Unpacked { plain, used, .. } = inflate(w, &mut inflater, packed, false);
                w.text(&plain, name, voice);
                w.give_back(plain);
                read += used;
            }
            // Nobody here can tell what it says.
            _ => w.leave(packed.len().min(number(18) | number(20) << 16)),
        }
    }
}

/// Where the pack in `text` begins: it stands alone, behind what is pushed, or behind the head of a bundle.
fn pack(text: &[u8]) -> Option<usize> {
    let at = memmem::find(&text[..text.len().min(LISTED)], PACK)?;
    (at == 0 || text[..at].ends_with(b"0000") || text[..at].ends_with(b"\n\n")).then_some(at)
}

fn objects(w: &mut Unwrap<'_>, pack: &[u8], name: Option<&[u8]>, voice: Voice) {
    const HEAD: usize = 12;
    const OFFSET: u8 = 6;
    const NAMED: u8 = 7;
    let mut inflater = Decompress::new(true);
    let mut rest = pack.get(HEAD..).unwrap_or_default();
    while let Some(first) = rest.first() {
        let kind = first >> 4 & 7;
        rest = after_number(rest);
        rest = match kind {
            OFFSET => after_number(rest),
            NAMED => rest.get(20..).unwrap_or_default(),
            _ => rest,
        };
        let Unpacked { plain, used, whole } = inflate(w, &mut inflater, rest, true);
        if matches!(kind, OFFSET | NAMED) {
            let mut inserted = w.buffer();
            insertions(&plain, &mut inserted);
            w.text(&inserted, name, voice);
            w.give_back(inserted);
        } else {
            w.text(&plain, name, voice);
        }
        w.give_back(plain);
        if !whole {
            return;
        }
        rest = &rest[used..];
    }
}

/// What follows a number of seven bits a byte.
fn after_number(text: &[u8]) -> &[u8] {
    let len = text.iter().position(|b| b & 0x80 == 0).map_or(text.len(), |at| at + 1);
    &text[len..]
}

/// Appends what a delta brings that the object before had not, a line for each stretch.
fn insertions(delta: &[u8], out: &mut Vec<u8>) {
    let mut rest = after_number(after_number(delta));
    while let Some((&what, more)) = rest.split_first() {
        let len = if what & 0x80 == 0 { usize::from(what) } else { (what & 0x7f).count_ones() as usize };
        let Some((own, after)) = more.split_at_checked(len) else { return };
        if what & 0x80 == 0 {
            out.extend_from_slice(own);
        } else {
            out.push(b'\n');
        }
        rest = after;
    }
}

/// What came of a packed text.
struct Unpacked {
    plain: Vec<u8>,
    /// Bytes of it that were read.
    used: usize,
    /// It ended, or all there is of it was read.
    whole: bool,
}

/// Unpacks what `packed` begins with, as far as the bounds allow and until it breaks. Framed, it is zlib's.
fn inflate(w: &mut Unwrap<'_>, inflater: &mut Decompress, packed: &[u8], framed: bool) -> Unpacked {
    inflater.reset(framed);
    let mut plain = w.buffer();
    let mut block = [0; BLOCK];
    let mut used = 0;
    let whole = loop {
        let made = inflater.total_out();
        let status = inflater.decompress(&packed[used..], &mut block, FlushDecompress::None);
        let made = usize::try_from(inflater.total_out() - made).unwrap_or(BLOCK).min(BLOCK);
        used = usize::try_from(inflater.total_in()).unwrap_or(packed.len()).min(packed.len());
        let bound = inflater.total_in().saturating_mul(w.limits().max_ratio as u64).max(RATIO_FLOOR);
        if inflater.total_out() > bound || !w.afford(made) {
            w.leave(packed.len());
            break false;
        }
        plain.extend_from_slice(&block[..made]);
        match status {
            Ok(Status::StreamEnd) => break true,
            // What was cut short still said something.
            Ok(_) if made == 0 => break used == packed.len(),
            Ok(_) => {}
            Err(_) => break false,
        }
    };
    Unpacked { plain, used, whole }
}
