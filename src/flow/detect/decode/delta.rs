//! Pieces of a text spread over events → the text.
//!
//! Model vendors stream an answer in pieces of a few bytes, each at the same place of an event of its own: OpenAI under
//! `choices[].delta`, and a tool call's arguments by the call's `index`; Anthropic under `delta`, by the block's
//! `index`; the Responses API in `delta`, by `item_id` and its indexes. All of these, and vendors not known here, are
//! one rule: strings at the same path, whose array positions are the `index` the items name, make one text.

use super::{
    Unwrap, Voice,
    json::{self, Token, Tokens},
    stream::Stream,
};
use posture::Encoding;
use std::hash::{BuildHasher, RandomState};

/// Texts put together at the same time; the oldest gives way, one of unsure pieces first.
const MAX_STREAMS: usize = 64;
/// A longer string is a text of its own, unless its place says that it is a piece.
const LONGEST_PIECE: usize = 1 << 10;
/// No more room than for that many of each is kept from one event to the next.
const MAX_ROOM: usize = 256;
/// Nodes of one event that are looked at for pieces.
const MAX_NODES: usize = 4096;
/// Members of one object that tell its pieces apart.
const MAX_MARKS: usize = 8;

/// The texts a stream of events is putting together.
pub(super) struct Deltas {
    streams: Vec<Stream>,
    paths: RandomState,
    /// Hashes of what came beside the pieces of the last events.
    recent: [u64; 16],
    /// What came beside the pieces of the last event, in order: as a rule it comes again.
    beside: Vec<Vec<u8>>,
    room: Room,
    path: Vec<u8>,
}

/// What is remembered of what comes beside the pieces of an event.
const MAX_BESIDE: usize = 8;
const LONGEST_BESIDE: usize = 128;

/// An object or array of an event.
struct Node<'t> {
    parent: usize,
    name: &'t [u8],
    object: bool,
    /// Its place in the array around it, or items so far when it is one.
    position: usize,
    items: usize,
    /// How many of its members tell pieces apart.
    marks: usize,
    /// What it holds are pieces, not texts.
    streamed: bool,
}

/// A member that tells pieces apart: of which object, its name and value.
type Mark<'t> = (usize, &'t [u8], &'t [u8]);

/// One event's strings.
struct Event<'t> {
    nodes: Vec<Node<'t>>,
    leaves: Vec<Leaf<'t>>,
    /// In order, whatever the order of the members.
    marks: Vec<Mark<'t>>,
    open: Vec<usize>,
    /// Some of them are pieces for certain.
    streamed: bool,
}

struct Leaf<'t> {
    node: usize,
    name: &'t [u8],
    position: usize,
    text: json::Text<'t>,
    streamed: bool,
}

/// What an event was read into, empty: the next one needs as much.
#[derive(Default)]
struct Room {
    nodes: Vec<Node<'static>>,
    leaves: Vec<Leaf<'static>>,
    marks: Vec<Mark<'static>>,
    open: Vec<usize>,
}

impl Deltas {
    pub(super) fn new() -> Self {
        Self {
            streams: Vec::new(),
            paths: RandomState::new(),
            recent: [0; 16],
            beside: Vec::new(),
            room: Room::default(),
            path: Vec::new(),
        }
    }

    pub(super) fn held(&self) -> usize {
        self.streams.iter().map(Stream::held).sum()
    }

    /// One JSON event: its texts are shown, its pieces put to theirs.
    pub(super) fn event(&mut self, w: &mut Unwrap<'_>, event: &[u8]) {
        let pieces = Event::read(event, std::mem::take(&mut self.room));
        if !pieces.streamed {
            let clean = w.deeper(Encoding::Json, |w| json::walk(w, event, Voice::Unknown, false));
            if clean != Some(true) {
                w.text(event, None, Voice::Unknown);
            }
        }
        self.put(w, &pieces, true);
        self.room = pieces.into_room();
    }

    /// One JSON document whose texts were shown already: only its pieces.
    pub(super) fn pieces(&mut self, w: &mut Unwrap<'_>, document: &[u8]) {
        let pieces = Event::read(document, std::mem::take(&mut self.room));
        self.put(w, &pieces, false);
        self.room = pieces.into_room();
    }

    /// One event that is no JSON, shown already.
    pub(super) fn plain(&mut self, w: &mut Unwrap<'_>, data: &[u8]) {
        self.stream(w, 0, b"", false).piece(w, data);
    }

    /// Something ended: what was put together so far is whole.
    pub(super) fn settle(&mut self, w: &mut Unwrap<'_>) {
        self.streams.iter_mut().for_each(|s| s.settle(w));
    }

    /// No more events.
    pub(super) fn end(&mut self, w: &mut Unwrap<'_>) {
        self.settle(w);
        self.streams.clear();
    }

    fn put(&mut self, w: &mut Unwrap<'_>, event: &Event<'_>, show: bool) {
        let mut ends = false;
        let mut beside = 0;
        for leaf in &event.leaves {
            let mut buffer = w.buffer();
            let text = if leaf.text.escaped && w.afford(leaf.text.raw.len()) {
                json::undo(leaf.text.raw, &mut buffer);
                &buffer[..]
            } else {
                leaf.text.raw
            };
            ends |= is_end(leaf, text);
            if leaf.streamed || (!event.streamed && text.len() <= LONGEST_PIECE) {
                let key = event.key(leaf, &self.paths, &mut self.path);
                self.stream(w, key, leaf.name, leaf.streamed).piece(w, text);
            } else if show && event.streamed && !self.came_again(&mut beside, text) && self.is_new(text) {
                w.within(Encoding::Json, |w| w.text(text, Some(leaf.name), Voice::Unknown));
            }
            w.give_back(buffer);
        }
        if ends {
            self.settle(w);
        }
    }

    /// Whether the string that comes at this place beside the pieces came there with the last event too.
    fn came_again(&mut self, place: &mut usize, text: &[u8]) -> bool {
        if *place == MAX_BESIDE || text.len() > LONGEST_BESIDE {
            return false;
        }
        if *place == self.beside.len() {
            self.beside.push(Vec::new());
        }
        let last = &mut self.beside[*place];
        *place += 1;
        let again = last == text;
        if !again {
            last.clear();
            last.extend_from_slice(text);
        }
        again
    }

    /// Whether a string beside the pieces, such as the model's name, did not come with one of the last events too.
    fn is_new(&mut self, text: &[u8]) -> bool {
        let hash = self.paths.hash_one(text);
        let new = !self.recent.contains(&hash);
        if new {
            self.recent.rotate_right(1);
            self.recent[0] = hash;
        }
        new
    }

    /// The stream of `key`, new when there is none.
    fn stream(&mut self, w: &mut Unwrap<'_>, key: u64, name: &[u8], streamed: bool) -> &mut Stream {
        if let Some(at) = self.streams.iter().position(|s| s.key() == key) {
            return &mut self.streams[at];
        }
        if streamed {
            // The next call begins: the last one's arguments are whole.
            self.streams.iter_mut().filter(|s| s.is_json()).for_each(|s| s.settle(w));
        }
        if self.streams.len() == MAX_STREAMS {
            let oldest = self.streams.iter().position(|s| !s.is_streamed()).unwrap_or(0);
            self.streams.remove(oldest).settle(w);
        }
        self.streams.push(Stream::new(key, name, streamed));
        self.streams.last_mut().expect("pushed above")
    }
}

// === impl Event ===

impl<'t> Event<'t> {
    /// The strings of an event and where they are.
    fn read(event: &'t [u8], spare: Room) -> Self {
        let root = Node { parent: 0, name: b"", object: false, position: 0, items: 0, marks: 0, streamed: false };
        let (mut nodes, mut leaves, mut marks) = (emptied(spare.nodes), emptied(spare.leaves), emptied(spare.marks));
        nodes.push(root);
        let mut open = spare.open;
        open.push(0);
        let mut name: &[u8] = b"";
        for token in Tokens::new(event) {
            if nodes.len() == MAX_NODES {
                break;
            }
            let node = *open.last().unwrap_or(&0);
            let around = &mut nodes[node];
            match token {
                Token::Open(b) => {
                    let (own, position) = around.place(name);
                    let streamed = around.streamed || matches!(own, b"delta" | b"choices" | b"candidates");
                    open.push(nodes.len());
                    let object = b == b'{';
                    nodes.push(Node { parent: node, name: own, object, position, items: 0, marks: 0, streamed });
                }
                Token::Close => {
                    if open.len() > 1 {
                        open.pop();
                    }
                }
                Token::Key(key) => name = key.raw,
                Token::Word(word) => marks.extend(around.mark(node, name, word)),
                Token::Text(text) => {
                    marks.extend(around.mark(node, name, text.raw));
                    let (own, position) = around.place(name);
                    let streamed = own == b"delta"
                        || (around.streamed && !matches!(own, b"role" | b"type" | b"id" | b"finish_reason"));
                    leaves.push(Leaf { node, name: own, position, text, streamed });
                }
            }
        }
        let streamed = leaves.iter().any(|l| l.streamed);
        marks.sort_unstable();
        Self { nodes, leaves, marks, open, streamed }
    }

    fn into_room(mut self) -> Room {
        self.open.clear();
        let (nodes, leaves, marks) = (emptied(self.nodes), emptied(self.leaves), emptied(self.marks));
        if nodes.capacity().max(leaves.capacity()).max(marks.capacity()) > MAX_ROOM {
            return Room::default();
        }
        Room { nodes, leaves, marks, open: self.open }
    }

    /// The key of a string's path. Marks may come after what they mark, so it is made when all are known.
    fn key(&self, leaf: &Leaf<'_>, paths: &RandomState, path: &mut Vec<u8>) -> u64 {
        // Hashed at once: a hash of many small parts costs a multiple.
        path.clear();
        let number = |path: &mut Vec<u8>, n: usize| path.extend_from_slice(&n.to_le_bytes());
        let text = |path: &mut Vec<u8>, text: &[u8]| {
            number(path, text.len());
            path.extend_from_slice(text);
        };
        text(path, leaf.name);
        number(path, leaf.position);
        let mut at = leaf.node;
        while at != 0 {
            let node = &self.nodes[at];
            text(path, node.name);
            number(path, node.marks);
            if node.marks == 0 {
                number(path, node.position);
            } else {
                let first = self.marks.partition_point(|(of, ..)| *of < at);
                for (_, name, value) in &self.marks[first..first + node.marks] {
                    text(path, name);
                    text(path, value);
                }
            }
            at = node.parent;
        }
        paths.hash_one(&path[..])
    }
}

impl<'t> Node<'t> {
    /// The name and position of the next thing in it.
    fn place(&mut self, key: &'t [u8]) -> (&'t [u8], usize) {
        let place = if self.object { (key, 0) } else { (self.name, self.items) };
        self.items += 1;
        place
    }

    /// Notes a member that tells an item apart; `at` is this one's place.
    fn mark(&mut self, at: usize, name: &'t [u8], value: &'t [u8]) -> Option<Mark<'t>> {
        let tells = matches!(name, b"index" | b"output_index" | b"content_index" | b"summary_index" | b"item_id");
        let noted = self.object && tells && self.marks < MAX_MARKS;
        self.marks += usize::from(noted);
        noted.then_some((at, name, value))
    }
}

/// The same room for what lives another time.
fn emptied<T, U>(mut used: Vec<T>) -> Vec<U> {
    used.clear();
    // Of two types that differ in a lifetime alone, the second takes the first one's room.
    used.into_iter().map_while(|_| None).collect()
}

/// Whether this string says that something is over.
fn is_end(leaf: &Leaf<'_>, text: &[u8]) -> bool {
    match leaf.name {
        b"finish_reason" | b"stop_reason" | b"finishReason" | b"done_reason" => !text.is_empty(),
        b"type" => [&b"_stop"[..], b".done", b".completed", b"-end"].iter().any(|end| text.ends_with(end)),
        _ => false,
    }
}
