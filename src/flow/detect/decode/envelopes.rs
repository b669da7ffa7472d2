//! Messages that each stand behind their flags and their length, as gRPC and Connect send them → what is packed in each.
//!
//! A flag says that one is, and a field of the head by what. What is not packed is seen as it is.

use super::{Unwrap, Voice, packed, shape};

/// Flags, and the length, the high byte first.
const HEAD: usize = 5;
/// The flag of what is packed.
const PACKED: u8 = 0x01;
/// Those there are: Connect's end of a stream and the trailers of gRPC-Web are told by one as well.
const FLAGS: u8 = PACKED | 0x02 | 0x80;

/// Shows what the messages of `text` hold packed. Of a type that has such messages, what nobody here unpacks is left.
pub(super) fn messages(w: &mut Unwrap<'_>, text: &[u8], content_type: &[u8], name: Option<&[u8]>) {
    let has_them = |own: &[u8]| shape::is_type(content_type, own);
    let typed = has_them(b"application/grpc") || has_them(b"application/connect+");
    let mut rest = text;
    while let Some((flags, message, after)) = first(rest) {
        if flags & PACKED != 0 {
            if packed::is(message) {
                packed::unpack(w, message, name, Voice::Unknown);
            } else if typed {
                w.leave(message.len());
            }
        }
        rest = after;
    }
}

/// The flags of the message that `text` begins with, the message, and what follows it. The last may be cut short.
fn first(text: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (head, rest) = text.split_first_chunk::<HEAD>()?;
    let [flags, len @ ..] = *head;
    let len = usize::try_from(u32::from_be_bytes(len)).ok()?;
    let (message, after) = rest.split_at(len.min(rest.len()));
    (flags & !FLAGS == 0).then_some((flags, message, after))
}
