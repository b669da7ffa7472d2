//! JSON text → its strings, however deep, and the texts they make together.

mod ahead;
mod escape;
mod extent;
mod joins;
mod part;
mod repeats;
mod token;
mod words;

use ahead::Ahead;
pub(super) use escape::undo;
use escape::undo_within;
pub(super) use extent::objects;
pub(super) use token::{Text, Token, Tokens};

use super::{Unwrap, Voice, delta::Shapes, numbers, runs, voice, voice::Roles};
use crate::flow::detect::bits::Lanes;
use joins::Joins;
use memchr::memchr;
pub(super) use part::Part;
use posture::{Encoding, Placement};
use repeats::Repeats;

/// Structure is followed to this depth; beyond it strings are still seen, but not who holds them.
pub(super) const MAX_NESTING: usize = 128;
/// Strings shorter than this are matched together with their neighbours: one by one they cost more than they say.
const SHORT: usize = 20;

/// Whether `text` may be JSON: worth a walk.
pub(super) fn likely(text: &[u8]) -> bool {
    let text = text.trim_ascii_start();
    match *text {
        [b'{', ref rest @ ..] => matches!(rest.trim_ascii_start(), [] | [b'"' | b'}', ..]),
        [b'[', ref rest @ ..] => {
            let rest = rest.trim_ascii_start();
            // JSON's numbers are decimal ones.
            !rest.starts_with(b"0x")
                && matches!(rest, [] | [b'"' | b'{' | b'[' | b']' | b'-' | b'0'..=b'9' | b't' | b'f' | b'n', ..])
        }
        [b'"', ref rest @ ..] => rest.trim_ascii_end().ends_with(b"\""),
        _ => false,
    }
}

/// One open object or array.
struct Frame<'t> {
    object: bool,
    /// The key of the value that comes next; in an array, the key of the array.
    key: Option<Part<'t>>,
    voice: Voice,
    /// Its items are messages with a role.
    lists_messages: bool,
    /// Its items have nothing to do with each other.
    apart: bool,
}

/// Shows the strings of `text`; `true` when it was JSON and nothing else, so that they say everything.
///
/// `request` says that `text` is the body of a request, whose structure tells who wrote what.
pub(super) fn walk(w: &mut Unwrap<'_>, text: &[u8], voice: Voice, request: bool) -> bool {
    walk_with(w, text, voice, request, None)
}

/// As [`walk`], of a text that may be documents, a line each: most of them look like one before.
pub(super) fn walk_lines(w: &mut Unwrap<'_>, text: &[u8], voice: Voice, request: bool) -> bool {
    walk_with(w, text, voice, request, Some(Shapes::default()))
}

fn walk_with(w: &mut Unwrap<'_>, text: &[u8], voice: Voice, request: bool, mut lines: Option<Shapes>) -> bool {
    let mut tokens = Ahead::new(Tokens::new(text));
    let mut frames: Vec<Frame<'_>> = Vec::new();
    let mut beyond = 0_usize;
    let mut joins = Joins::new(w);
    let mut first_document = request;
    let mut roles = Roles::new(text);
    let mut repeats = Repeats::default();
    // Strings with their escapes undone.
    let mut room = w.buffer();
    while let Some(token) = tokens.next() {
        match token {
            Token::Open(_) if frames.len() == MAX_NESTING => beyond += 1,
            Token::Open(b) => {
                let object = b == b'{';
                let apart = frames.last().filter(|f| f.apart && object);
                if apart.is_some_and(|f| repeats.passes_over(w, &mut tokens, f.voice)) {
                    continue;
                }
                let (key, voice, lists_messages) = match frames.last() {
                    None => (None, voice, false),
                    Some(f) if f.lists_messages && object && tokens.unread().is_some_and(|at| !roles.follow(at)) => {
                        (f.key, Voice::Unknown, false)
                    }
                    Some(f) if f.lists_messages && object => (f.key, voice::of_message(tokens.look()), false),
                    Some(f) if first_document && frames.len() == 1 && f.object => {
                        let key = f.key.unwrap_or_default().bytes();
                        (f.key, voice::of_member(key), !object && voice::lists_messages(key))
                    }
                    Some(f) => (f.key, f.voice, false),
                };
                let of_request = first_document && frames.len() == 1 && !object;
                let apart = lists_messages || (of_request && voice::lists_tools(key.unwrap_or_default().bytes()));
                joins.open(object, key, apart);
                if let Some(at) = tokens.unread().filter(|_| !object) {
                    numbers::list(w, &text[at..], key.map(Part::bytes), voice);
                }
                frames.push(Frame { object, key: if object { None } else { key }, voice, lists_messages, apart });
            }
            Token::Close if beyond > 0 => beyond -= 1,
            Token::Close => {
                if let Some(frame) = frames.pop() {
                    joins.close(w, frame.voice);
                    first_document &= !frames.is_empty();
                    if frames.last().is_some_and(|f| f.apart) {
                        repeats.end(w, &tokens);
                    }
                }
                if let (true, false, Some(shapes)) =
                    (frames.is_empty(), first_document, lines.as_mut().filter(|shapes| shapes.come_again()))
                    && let Some(mut at) = tokens.unread()
                {
                    while let Some(line) = next_line(text, at).filter(|_| shapes.come_again()) {
                        let way = shapes.read(line).way(line);
                        let known = way.map(|way| way.for_each(|step| take(w, &mut joins, &mut room, step, voice)));
                        shapes.done();
                        if known.is_none() {
                            break;
                        }
                        at += 1 + line.len();
                    }
                    tokens.go_on_at(at);
                }
            }
            Token::Key(string) | Token::Text(string) => {
                let part = Part::of(text, string.raw);
                let top = first_document && frames.len() == 1;
                match frames.last_mut() {
                    Some(frame) if frame.object && matches!(token, Token::Key(_)) => {
                        frame.key = Some(part);
                        if is_unusual(string, part) {
                            leaf(w, &mut room, part, string.escaped, None, Voice::Unknown, |plain| joins.item(plain));
                        }
                    }
                    frame => {
                        let (key, voice) = match frame {
                            None => (None, voice),
                            Some(f) if top && f.object => (f.key, voice::of_member(f.key.unwrap_or_default().bytes())),
                            Some(f) => (f.key, f.voice),
                        };
                        leaf(w, &mut room, part, string.escaped, key, voice, |plain| joins.leaf(key, plain));
                    }
                }
            }
            Token::Word(_) => {}
        }
    }
    // Cut short: what was open still counts.
    while let Some(frame) = frames.pop() {
        joins.close(w, frame.voice);
    }
    joins.close(w, voice);
    w.give_back(room);
    !tokens.stray()
}

/// A longer line is walked through: few look like it.
const LONGEST_LINE: usize = 1 << 10;

/// The line after the one that ends at `at`, if it begins as a document does.
fn next_line(text: &[u8], at: usize) -> Option<&[u8]> {
    let [b'\n', rest @ ..] = text.get(at..)? else { return None };
    let near = &rest[..rest.len().min(LONGEST_LINE)];
    let end = memchr(b'\n', near).or((near.len() == rest.len()).then_some(rest.len()))?;
    rest.starts_with(b"{").then_some(&rest[..end])
}

/// What a walk comes by.
#[derive(Clone, Copy)]
pub(super) enum Step<'t> {
    /// An object or array begins; with the name it has in what is around it.
    Open {
        object: bool,
        name: Option<Part<'t>>,
    },
    Close,
    /// A name that says more than names do.
    Name {
        name: Part<'t>,
        escaped: bool,
    },
    /// A string, with its name.
    Text {
        text: Part<'t>,
        escaped: bool,
        name: Option<Part<'t>>,
    },
}

/// As [`walk`], of a document the steps through which are known, no part of it a request's: it is JSON and nothing else.
pub(super) fn retell<'t>(w: &mut Unwrap<'_>, way: impl Iterator<Item = Step<'t>>, voice: Voice) -> bool {
    let mut joins = Joins::new(w);
    let mut room = w.buffer();
    way.for_each(|step| take(w, &mut joins, &mut room, step, voice));
    joins.close(w, voice);
    w.give_back(room);
    true
}

fn take(w: &mut Unwrap<'_>, joins: &mut Joins, room: &mut Vec<u8>, step: Step<'_>, voice: Voice) {
    match step {
        Step::Text { text, escaped, name } => {
            leaf(w, room, text, escaped, name, voice, |plain| joins.leaf(name, plain));
        }
        Step::Open { object, name } => joins.open(object, name, false),
        Step::Close => joins.close(w, voice),
        Step::Name { name, escaped } => {
            leaf(w, room, name, escaped, None, Voice::Unknown, |plain| joins.item(plain));
        }
    }
}

/// A key that is more than a name.
pub(super) fn is_unusual(key: Text<'_>, part: Part<'_>) -> bool {
    let of_name = |b: Lanes| b.lower_case().within(b'a', b'z').or(b.within(b'0', b'9')).or(b.is(b'_'));
    let other = || match part.bits(of_name) {
        Some(bits) => bits.count_ones() as usize != part.len(),
        None => !key.raw.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'_'),
    };
    key.escaped || part.len() >= SHORT || other()
}

/// Shows one string, and tells it to `join`.
fn leaf(
    w: &mut Unwrap<'_>,
    room: &mut Vec<u8>,
    text: Part<'_>,
    escaped: bool,
    name: Option<Part<'_>>,
    voice: Voice,
    join: impl FnOnce(Part<'_>),
) {
    let name = name.map(Part::bytes);
    if !escaped {
        return plain(w, text, name, voice, join);
    }
    if !w.afford(text.len()) {
        return w.show(text.bytes(), name, voice);
    }
    let len = undo_within(text.bytes(), room);
    plain(w, Part::new(room, len), name, voice, join);
}

fn plain(w: &mut Unwrap<'_>, text: Part<'_>, name: Option<&[u8]>, voice: Voice, join: impl FnOnce(Part<'_>)) {
    let bytes = text.bytes();
    // Most begin with a letter.
    let likely = bytes.first().is_some_and(|b| !b.is_ascii_alphanumeric()) && likely(bytes);
    if bytes.len() < SHORT && !likely {
        if bytes.len() >= 3 && may_hide(text) {
            w.reshape(bytes, name, voice);
        }
    } else if likely && name.is_some_and(|n| matches!(n, b"arguments" | b"input" | b"partial_json")) {
        w.within(Encoding::ToolCall, |w| w.text(bytes, name, voice));
    } else {
        w.text(bytes, name, voice);
    }
    join(text);
}

/// Whether a short string may hide something from those who do not decode it.
fn may_hide(text: Part<'_>) -> bool {
    let of_mark = |b: Lanes| b.is(b'<').or(b.is(b'&')).or(b.is(b'%')).or(b.is(b'\\'));
    text.len() >= runs::SHORTEST || text.bits(of_mark) != Some(0)
}

/// The body of a request can tell who wrote what; nothing else can.
pub(super) fn tells_voice(placement: Placement, outbound: bool) -> bool {
    outbound && placement == Placement::Body
}
