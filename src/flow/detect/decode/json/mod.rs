//! JSON text → its strings, however deep, and the texts they make together.

mod escape;
mod joins;
mod token;

pub(super) use escape::undo;
use token::Ahead;
pub(super) use token::{Text, Token, Tokens};

use super::{Unwrap, Voice, voice, voice::Roles};
use joins::Joins;
use posture::{Encoding, Placement};

/// Structure is followed to this depth; beyond it strings are still seen, but not who holds them.
const MAX_NESTING: usize = 128;
/// Strings shorter than this are matched together with their neighbours: one by one they cost more than they say.
const SHORT: usize = 20;

/// Whether `text` may be JSON: worth a walk.
pub(super) fn likely(text: &[u8]) -> bool {
    let text = text.trim_ascii_start();
    match *text {
        [b'{', ref rest @ ..] => matches!(rest.trim_ascii_start(), [] | [b'"' | b'}', ..]),
        [b'[', ref rest @ ..] => {
            matches!(
                rest.trim_ascii_start(),
                [] | [b'"' | b'{' | b'[' | b']' | b'-' | b'0'..=b'9' | b't' | b'f' | b'n', ..]
            )
        }
        [b'"', ref rest @ ..] => rest.trim_ascii_end().ends_with(b"\""),
        _ => false,
    }
}

/// One open object or array.
struct Frame<'t> {
    object: bool,
    /// The key of the value that comes next; in an array, the key of the array.
    key: Option<&'t [u8]>,
    voice: Voice,
    /// Its items are messages with a role.
    lists_messages: bool,
}

/// Shows the strings of `text`; `true` when it was JSON and nothing else, so that they say everything.
///
/// `request` says that `text` is the body of a request, whose structure tells who wrote what.
pub(super) fn walk(w: &mut Unwrap<'_>, text: &[u8], voice: Voice, request: bool) -> bool {
    let mut tokens = Ahead::new(Tokens::new(text));
    let mut frames: Vec<Frame<'_>> = Vec::new();
    let mut beyond = 0_usize;
    let mut joins = Joins::new(w);
    let mut first_document = request;
    let mut roles = Roles::new(text);
    while let Some(token) = tokens.next() {
        match token {
            Token::Open(_) if frames.len() == MAX_NESTING => beyond += 1,
            Token::Open(b) => {
                let object = b == b'{';
                let (key, voice, lists_messages) = match frames.last() {
                    None => (None, voice, false),
                    Some(f) if f.lists_messages && object && tokens.unread().is_some_and(|at| !roles.follow(at)) => {
                        (f.key, Voice::Unknown, false)
                    }
                    Some(f) if f.lists_messages && object => (f.key, voice::of_message(tokens.look()), false),
                    Some(f) if first_document && frames.len() == 1 && f.object => {
                        let key = f.key.unwrap_or_default();
                        (f.key, voice::of_member(key), !object && voice::lists_messages(key))
                    }
                    Some(f) => (f.key, f.voice, false),
                };
                joins.open(object, key, lists_messages);
                frames.push(Frame { object, key: if object { None } else { key }, voice, lists_messages });
            }
            Token::Close if beyond > 0 => beyond -= 1,
            Token::Close => {
                if let Some(frame) = frames.pop() {
                    joins.close(w, frame.voice);
                    first_document &= !frames.is_empty();
                }
            }
            Token::Key(key) if frames.last().is_some_and(|f| f.object) => {
                if let Some(frame) = frames.last_mut() {
                    frame.key = Some(key.raw);
                }
                if unusual(key) {
                    leaf(w, key, None, Voice::Unknown, |plain| joins.item(plain));
                }
            }
            Token::Key(text) | Token::Text(text) => {
                let (key, voice) = match frames.last() {
                    None => (None, voice),
                    Some(f) if first_document && frames.len() == 1 && f.object => {
                        (f.key, voice::of_member(f.key.unwrap_or_default()))
                    }
                    Some(f) => (f.key, f.voice),
                };
                leaf(w, text, key, voice, |plain| joins.leaf(key, plain));
            }
            Token::Word(_) => {}
        }
    }
    // Cut short: what was open still counts.
    while let Some(frame) = frames.pop() {
        joins.close(w, frame.voice);
    }
    joins.close(w, voice);
    !tokens.stray()
}

/// A key that is more than a name.
fn unusual(key: Text<'_>) -> bool {
    key.escaped || key.raw.len() >= SHORT || !key.raw.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'_')
}

/// Shows one string, and tells it to `join`.
fn leaf(w: &mut Unwrap<'_>, text: Text<'_>, name: Option<&[u8]>, voice: Voice, join: impl FnOnce(&[u8])) {
    if !text.escaped {
        return plain(w, text.raw, name, voice, join);
    }
    if !w.afford(text.raw.len()) {
        return w.show(text.raw, name, voice);
    }
    let mut buffer = w.buffer();
    undo(text.raw, &mut buffer);
    plain(w, &buffer, name, voice, join);
    w.give_back(buffer);
}

fn plain(w: &mut Unwrap<'_>, text: &[u8], name: Option<&[u8]>, voice: Voice, join: impl FnOnce(&[u8])) {
    if text.len() < SHORT && !likely(text) {
        if text.len() >= 3 {
            w.reshape(text, name, voice);
        }
    } else if likely(text) && name.is_some_and(|n| matches!(n, b"arguments" | b"input" | b"partial_json")) {
        w.within(Encoding::ToolCall, |w| w.text(text, name, voice));
    } else {
        w.text(text, name, voice);
    }
    join(text);
}

/// The body of a request can tell who wrote what; nothing else can.
pub(super) fn tells_voice(placement: Placement, outbound: bool) -> bool {
    outbound && placement == Placement::Body
}
