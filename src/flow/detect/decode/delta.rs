//! Pieces of a text spread over events → the text.
//!
//! Model vendors stream an answer in pieces of a few bytes, each at the same place of an event of its own: OpenAI under
//! `choices[].delta`, and a tool call's arguments by the call's `index`; Anthropic under `delta`, by the block's
//! `index`; the Responses API in `delta`, by `item_id` and its indexes; Text Generation Inference in `token`, each with a
//! number of its own, which tells none apart. All of these, and vendors not known here, are
//! one rule: strings at the same path, whose array positions are the `index` the items name, make one text.

mod event;
mod shapes;

use super::{
    Unwrap, Voice, json,
    json::{Token, Tokens},
    stream::Stream,
};
use event::Event;
use posture::Encoding;
pub(super) use shapes::Shapes;
use std::hash::{BuildHasher, RandomState};

/// Texts put together at the same time; the oldest gives way, one of unsure pieces first.
const MAX_STREAMS: usize = 64;
/// A longer string is a text of its own, unless its place says that it is a piece.
const LONGEST_PIECE: usize = 1 << 10;

/// The texts a stream of events is putting together.
#[derive(Default)]
pub(super) struct Deltas {
    shapes: Shapes,
    streams: Streams,
    beside: Beside,
    names: Beside,
}

impl Deltas {
    pub(super) fn new() -> Self {
        Self::default()
    }

    pub(super) fn held(&self) -> usize {
        self.shapes.held() + self.streams.0.iter().map(Stream::held).sum::<usize>()
    }

    /// One JSON event: its texts are shown, its pieces put to theirs.
    pub(super) fn event(&mut self, w: &mut Unwrap<'_>, event: &[u8]) {
        let read = self.shapes.read(event);
        if !read.is_streamed() {
            let clean = w.deeper(Encoding::Json, |w| match read.way(event) {
                Some(way) => json::retell(w, way, Voice::Unknown),
                None => json::walk(w, event, Voice::Unknown, false),
            });
            if clean != Some(true) {
                w.text(event, None, Voice::Unknown);
            }
        } else if read.is_whole() {
            let mut place = 0;
            for (name, escaped) in read.names() {
                plain(w, name, escaped, |w, name| {
                    if self.names.is_new(&mut place, name) {
                        w.within(Encoding::Json, |w| w.text(name, None, Voice::Unknown));
                    }
                });
            }
        } else {
            // It is not JSON throughout: its strings do not say everything.
            w.as_written(event, None, Voice::Unknown);
        }
        put(w, read, event, &mut self.streams, Some(&mut self.beside));
        self.shapes.done();
    }

    /// One JSON document whose texts were shown already: only its pieces.
    pub(super) fn pieces(&mut self, w: &mut Unwrap<'_>, document: &[u8]) {
        put(w, self.shapes.read(document), document, &mut self.streams, None);
        self.shapes.done();
    }

    /// One part of a stream whose parts have a kind each: a piece of the text of that kind, or an event.
    pub(super) fn part(&mut self, w: &mut Unwrap<'_>, kind: u8, data: &[u8]) {
        let mut tokens = Tokens::new(data);
        match (tokens.next(), tokens.next()) {
            (Some(Token::Text(piece)), None) => {
                plain(w, piece.raw, piece.escaped, |w, text| {
                    self.streams.of(w, u64::from(kind), b"", true).piece(w, text);
                });
                if tokens.stray() {
                    w.as_written(data, None, Voice::Unknown);
                }
            }
            _ => self.event(w, data),
        }
    }

    /// One event that is no JSON, shown already.
    pub(super) fn plain(&mut self, w: &mut Unwrap<'_>, data: &[u8]) {
        self.streams.of(w, 0, b"", false).piece(w, data);
    }

    /// Something ended: what was put together so far is whole.
    pub(super) fn settle(&mut self, w: &mut Unwrap<'_>) {
        self.streams.settle(w);
    }

    /// No more events.
    pub(super) fn end(&mut self, w: &mut Unwrap<'_>) {
        self.streams.0.drain(..).for_each(|mut stream| stream.finish(w));
    }
}

/// Puts the strings of an event to their texts, and shows those beside its pieces, unless they were shown already.
fn put(w: &mut Unwrap<'_>, read: &Event, event: &[u8], streams: &mut Streams, mut beside: Option<&mut Beside>) {
    let mut ends = false;
    let mut place = 0;
    for leaf in read.leaves() {
        let name = read.name(leaf);
        let text = read.text(leaf, event);
        plain(w, text.raw, text.escaped, |w, text| {
            ends |= leaf.ends.with(text);
            if leaf.streamed || (!read.is_streamed() && text.len() <= LONGEST_PIECE) {
                streams.of(w, leaf.key, name, leaf.streamed).piece(w, text);
            } else if let Some(beside) = beside.as_deref_mut()
                && read.is_streamed()
                && beside.is_new(&mut place, text)
            {
                w.within(Encoding::Json, |w| w.text(text, Some(name), Voice::Unknown));
            }
        });
    }
    if ends {
        streams.settle(w);
    }
}

/// Hands on a string of JSON with its escapes undone, as far as they can be afforded.
fn plain(w: &mut Unwrap<'_>, raw: &[u8], escaped: bool, on: impl FnOnce(&mut Unwrap<'_>, &[u8])) {
    if escaped && w.afford(raw.len()) {
        let mut plain = w.buffer();
        json::undo(raw, &mut plain);
        on(w, &plain);
        w.give_back(plain);
    } else {
        on(w, raw);
    }
}

/// What is remembered of what comes beside the pieces of an event.
const MAX_BESIDE: usize = 8;
const LONGEST_BESIDE: usize = 128;

/// What comes beside the pieces, such as the model's name.
#[derive(Default)]
struct Beside {
    /// Of the last event, in order: as a rule it comes again.
    last: Vec<Vec<u8>>,
    /// Hashes of what came with the last events.
    recent: [u64; 16],
    hasher: RandomState,
}

impl Beside {
    /// Whether the string that comes at this place did not come with one of the last events too.
    fn is_new(&mut self, place: &mut usize, text: &[u8]) -> bool {
        if self.came_again(place, text) {
            return false;
        }
        let hash = self.hasher.hash_one(text);
        let new = !self.recent.contains(&hash);
        if new {
            self.recent.rotate_right(1);
            self.recent[0] = hash;
        }
        new
    }

    /// Whether the string that comes at this place came there with the last event.
    fn came_again(&mut self, place: &mut usize, text: &[u8]) -> bool {
        if *place == MAX_BESIDE || text.len() > LONGEST_BESIDE {
            return false;
        }
        if *place == self.last.len() {
            self.last.push(Vec::new());
        }
        let last = &mut self.last[*place];
        *place += 1;
        let again = last == text;
        if !again {
            last.clear();
            last.extend_from_slice(text);
        }
        again
    }
}

/// The texts in the making.
#[derive(Default)]
struct Streams(Vec<Stream>);

impl Streams {
    /// The one of `key`, new when there is none.
    fn of(&mut self, w: &mut Unwrap<'_>, key: u64, name: &[u8], streamed: bool) -> &mut Stream {
        if let Some(at) = self.0.iter().position(|s| s.key() == key) {
            return &mut self.0[at];
        }
        if streamed {
            // The next call begins: the last one's arguments are whole.
            self.0.iter_mut().filter(|s| s.is_json()).for_each(|s| s.settle(w));
        }
        if self.0.len() == MAX_STREAMS {
            let oldest = self.0.iter().position(|s| !s.is_streamed()).unwrap_or(0);
            self.0.remove(oldest).finish(w);
        }
        self.0.push(Stream::new(key, name, streamed));
        self.0.last_mut().expect("pushed above")
    }

    fn settle(&mut self, w: &mut Unwrap<'_>) {
        self.0.iter_mut().for_each(|s| s.settle(w));
    }
}
