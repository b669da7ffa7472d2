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
/// Nodes of one event that are looked at for pieces.
const MAX_NODES: usize = 4096;

/// The texts a stream of events is putting together.
pub(super) struct Deltas {
    streams: Vec<Stream>,
    paths: RandomState,
}

/// An object or array of an event.
struct Node<'t> {
    parent: usize,
    name: &'t [u8],
    object: bool,
    /// Its place in the array around it, or items so far when it is one.
    position: usize,
    items: usize,
    /// The members that tell pieces apart, hashed.
    marks: u64,
    /// What it holds are pieces, not texts.
    streamed: bool,
}

struct Leaf<'t> {
    node: usize,
    name: &'t [u8],
    position: usize,
    text: json::Text<'t>,
    streamed: bool,
}

impl Deltas {
    pub(super) fn new() -> Self {
        Self { streams: Vec::new(), paths: RandomState::new() }
    }

    pub(super) fn held(&self) -> usize {
        self.streams.iter().map(Stream::held).sum()
    }

    /// One JSON event: its texts are shown, its pieces put to theirs.
    pub(super) fn event(&mut self, w: &mut Unwrap<'_>, event: &[u8]) {
        let leaves = self.leaves(event);
        if !leaves.iter().any(|(_, leaf)| leaf.streamed) {
            let clean = w.deeper(Encoding::Json, |w| json::walk(w, event, Voice::Unknown, false));
            if clean != Some(true) {
                w.text(event, None, Voice::Unknown);
            }
        }
        self.put(w, &leaves, true);
    }

    /// One JSON document whose texts were shown already: only its pieces.
    pub(super) fn pieces(&mut self, w: &mut Unwrap<'_>, document: &[u8]) {
        let leaves = self.leaves(document);
        self.put(w, &leaves, false);
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

    fn put(&mut self, w: &mut Unwrap<'_>, leaves: &[(u64, Leaf<'_>)], show: bool) {
        let any_streamed = leaves.iter().any(|(_, leaf)| leaf.streamed);
        let mut ends = false;
        for (key, leaf) in leaves {
            let mut buffer = w.buffer();
            let text = if leaf.text.escaped && w.afford(leaf.text.raw.len()) {
                json::undo(leaf.text.raw, &mut buffer);
                &buffer[..]
            } else {
                leaf.text.raw
            };
            ends |= is_end(leaf, text);
            if leaf.streamed || text.len() <= LONGEST_PIECE {
                let stream = self.stream(w, *key, leaf.name, leaf.streamed);
                let repeated = !stream.piece(w, text);
                if show && any_streamed && !leaf.streamed && !repeated {
                    w.within(Encoding::Json, |w| w.text(text, Some(leaf.name), Voice::Unknown));
                }
            } else if show && any_streamed {
                w.within(Encoding::Json, |w| w.text(text, Some(leaf.name), Voice::Unknown));
            }
            w.give_back(buffer);
        }
        if ends {
            self.settle(w);
        }
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

    /// The strings of an event, each with the key of its path.
    fn leaves<'t>(&self, event: &'t [u8]) -> Vec<(u64, Leaf<'t>)> {
        let mut nodes =
            vec![Node { parent: 0, name: b"", object: false, position: 0, items: 0, marks: 0, streamed: false }];
        let mut open = vec![0_usize];
        let mut name: &[u8] = b"";
        let mut leaves = Vec::new();
        for token in Tokens::new(event) {
            let node = *open.last().unwrap_or(&0);
            match token {
                Token::Open(_) if nodes.len() == MAX_NODES => break,
                Token::Open(b) => {
                    let around = &mut nodes[node];
                    let (own, position) = if around.object { (name, 0) } else { (around.name, around.items) };
                    around.items += 1;
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
                Token::Word(word) => self.mark(&mut nodes[node], name, word),
                Token::Text(text) => {
                    let around = &mut nodes[node];
                    self.mark(around, name, text.raw);
                    let own = if around.object { name } else { around.name };
                    let streamed = (around.streamed && !matches!(own, b"role" | b"type" | b"id" | b"finish_reason"))
                        || own == b"delta";
                    let position = if around.object { 0 } else { around.items };
                    around.items += 1;
                    leaves.push(Leaf { node, name: own, position, text, streamed });
                }
            }
        }
        // Marks may come after what they mark, so paths are made when all are known; parents come before children.
        let mut keys: Vec<u64> = Vec::with_capacity(nodes.len());
        for node in &nodes {
            let parent = keys.get(node.parent).copied().unwrap_or(0);
            let position = if node.marks == 0 { node.position } else { 0 };
            keys.push(self.paths.hash_one((parent, node.name, position, node.marks)));
        }
        leaves.into_iter().map(|l| (self.paths.hash_one((keys[l.node], l.name, l.position)), l)).collect()
    }

    /// Notes a member that tells an item apart.
    fn mark(&self, node: &mut Node<'_>, name: &[u8], value: &[u8]) {
        if node.object && matches!(name, b"index" | b"output_index" | b"content_index" | b"summary_index" | b"item_id")
        {
            // The order of members does not matter.
            node.marks ^= self.paths.hash_one((name, value)) | 1;
        }
    }
}

/// Whether this string says that something is over.
fn is_end(leaf: &Leaf<'_>, text: &[u8]) -> bool {
    match leaf.name {
        b"finish_reason" | b"stop_reason" | b"finishReason" | b"done_reason" => !text.is_empty(),
        b"type" => [&b"_stop"[..], b".done", b".completed", b"-end"].iter().any(|end| text.ends_with(end)),
        _ => false,
    }
}
