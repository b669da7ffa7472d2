//! A body → what kind of body it is, by its type and by its shape; senders are wrong about types.

use super::{Deltas, Unwrap, Voice, binary, envelopes, form, frames, json, multipart, packed};
use memchr::{memchr, memchr_iter, memmem};
use posture::{Direction, Encoding};

/// Bytes after which a body's shape is certain.
const CERTAIN: usize = 64;

/// How a body is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::flow::detect) enum Shape {
    /// Server-sent events: as they come.
    Events,
    /// JSON documents, a line each: as they come.
    Lines,
    /// Anything else: when it is whole.
    Whole,
}

/// The shape of a body that begins with `start`; `None` while more of it is needed.
///
/// What it says depends on the beginning alone, not on how it was cut into pieces.
pub(in crate::flow::detect) fn shape(content_type: &[u8], start: &[u8], over: bool) -> Option<Shape> {
    let text = without_mark(start).trim_ascii_start();
    if text.is_empty() || (text.len() < CERTAIN && memchr(b'\n', text).is_none() && !over) {
        return over.then_some(Shape::Whole);
    }
    let typed = |name: &[u8]| is_type(content_type, name);
    let other = matches!(text[0], b'{' | b'[' | b'<');
    // Before the first of its parts stands any text.
    let in_parts = typed(b"multipart/");
    let events = (!in_parts && (is_field(text) || numbered(text).is_some())) || (typed(b"text/event-stream") && !other);
    let lines = typed(b"application/x-ndjson") || typed(b"application/jsonl") || typed(b"application/x-jsonlines");
    Some(match (events, lines) {
        (true, _) => Shape::Events,
        (_, true) if text[0] == b'{' => Shape::Lines,
        _ => Shape::Whole,
    })
}

/// Whether a body is said to be of this type, or of one whose name begins so.
pub(super) fn is_type(content_type: &[u8], name: &[u8]) -> bool {
    content_type.get(..name.len()).is_some_and(|t| t.eq_ignore_ascii_case(name))
}

/// Whether `text` begins as a field of an event, or a comment between events, does.
pub(super) fn is_field(text: &[u8]) -> bool {
    let begins: [&[u8]; 5] = [b"data:", b"event:", b"id:", b"retry:", b":"];
    begins.iter().any(|field| text.starts_with(field))
}

/// The kind and the data of a line of a stream that has one character for each kind of part: `0:"Hel"`, `d:{…}`.
pub(super) fn numbered(line: &[u8]) -> Option<(u8, &[u8])> {
    match line {
        [kind @ (b'0'..=b'9' | b'a'..=b'l'), b':', data @ ..] if matches!(data, [b'"' | b'{' | b'[', ..]) => {
            Some((*kind, data))
        }
        _ => None,
    }
}

/// Shows a whole body.
pub(in crate::flow::detect) fn body(w: &mut Unwrap<'_>, body: &[u8], content_type: &[u8], direction: Direction) {
    let request = json::tells_voice(w.placement(), direction == Direction::Outbound);
    parsed(w, body, content_type, None, request);
}

/// Shows the end of a body whose middle was not kept: it may begin anywhere, in the middle of a string for one.
pub(in crate::flow::detect) fn tail(w: &mut Unwrap<'_>, tail: &[u8]) {
    w.text(tail, None, Voice::Unknown);
    if let Some(quote) = first_quote(tail) {
        let after = tail[quote + 1..].trim_ascii_start();
        let closes = matches!(after, [b',' | b':' | b'}' | b']', ..]);
        let start = if closes { quote + 1 } else { quote };
        w.deeper(Encoding::Json, |w| json::walk(w, &tail[start..], Voice::Unknown, false));
    }
}

/// Shows a body within a body.
pub(super) fn inner(w: &mut Unwrap<'_>, body: &[u8], content_type: &[u8], name: Option<&[u8]>) {
    parsed(w, body, content_type, name, false);
}

fn parsed(w: &mut Unwrap<'_>, body: &[u8], content_type: &[u8], name: Option<&[u8]>, request: bool) {
    let text = without_mark(body);
    if packed::is(text) && packed::unpack(w, text, name, Voice::Unknown) {
        return;
    }
    if let Some(boundary) = multipart::boundary(content_type, text) {
        return multipart::show(w, text, &boundary);
    }
    if frames::is(text) {
        frames::pieces(w, text);
    }
    envelopes::messages(w, text, content_type, name);
    let document = without_guard(text);
    if json::likely(document) {
        let lines = memmem::find(document, b"}\n{").is_some();
        let walk = if lines { json::walk_lines } else { json::walk };
        let clean = w.deeper(Encoding::Json, |w| walk(w, document, Voice::Unknown, request));
        if lines {
            let mut start = 0;
            let line = |end| &document[std::mem::replace(&mut start, end + 1)..end];
            pieces(w, memchr_iter(b'\n', document).chain([document.len()]).map(line));
        } else if is_streamed(document) {
            pieces(w, json::objects(document));
        }
        if clean == Some(true) {
            return;
        }
        return w.bytes(text, name, Voice::Unknown);
    }
    let is_form = is_type(content_type, b"application/x-www-form-urlencoded");
    if (is_form && !binary::is(text)) || form::likely(text) {
        return form::show(w, text);
    }
    w.text(text, name, Voice::Unknown);
}

/// How far into an array it is looked for what tells that it is a stream's.
const TELLING: usize = 1 << 10;

/// Whether an array holds the pieces of a stream: Gemini's, where nobody asked for events.
fn is_streamed(document: &[u8]) -> bool {
    let array = document.trim_ascii_start().strip_prefix(b"[").unwrap_or_default().trim_ascii_start();
    array.starts_with(b"{") && memmem::find(&array[..array.len().min(TELLING)], b"\"candidates\"").is_some()
}

/// Puts what documents of a stream hold together, whose texts were shown already.
fn pieces<'t>(w: &mut Unwrap<'_>, documents: impl Iterator<Item = &'t [u8]>) {
    let mut deltas = Deltas::new();
    documents.for_each(|document| deltas.pieces(w, document));
    deltas.end(w);
}

/// Without a byte order mark.
fn without_mark(body: &[u8]) -> &[u8] {
    body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body)
}

/// Without what some servers put before JSON so that it cannot be run as a script.
fn without_guard(text: &[u8]) -> &[u8] {
    [&b")]}',"[..], b")]}'", b"for(;;);", b"for (;;);", b"while(1);", b"{}&&"]
        .iter()
        .find_map(|guard| text.strip_prefix(*guard))
        .unwrap_or(text)
}

fn first_quote(text: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        let found = at + memchr::memchr2(b'"', b'\\', text.get(at..)?)?;
        if text[found] == b'"' {
            return Some(found);
        }
        at = found + 2;
    }
}
