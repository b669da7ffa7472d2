//! One event → its strings, and the paths that lead to them.
//!
//! Nearly every event of a stream differs from the one before in a value or two: what was read of that one holds for it.

mod node;
mod value;

use super::super::json::{self, Part, Step, Text, Token, Tokens};
use node::{Mark, Node, OUTERMOST, counts_tokens};
use std::{hash::BuildHasher, ops::Range};
use value::Value;

/// Larger than most: an event of more bytes, or with more of anything.
const LARGE: usize = 1 << 10;
const MANY: usize = 32;
/// Nodes of one event that are looked at for pieces.
const MAX_NODES: usize = 4096;

/// An event's strings and where they are.
#[derive(Default)]
pub(in super::super) struct Event {
    /// The last one that was read; the present one has other values at most.
    read: Vec<u8>,
    nodes: Vec<Node>,
    leaves: Vec<Leaf>,
    /// Its strings but for names, its numbers and words, in order.
    values: Vec<Value>,
    /// In order, whatever the order of the members.
    marks: Vec<Mark>,
    open: Vec<usize>,
    streamed: bool,
    /// What a walk through it comes by, in order, when it is one document and nothing else.
    way: Vec<Mile>,
    whole: bool,
    /// Some name in it says more than names do.
    named: bool,
}

/// What a walk comes by.
enum Mile {
    /// An object or array begins; with the name it has in what is around it.
    Open {
        object: bool,
        name: Option<Range<usize>>,
    },
    Close,
    /// A name that says more than names do.
    Name {
        at: Range<usize>,
        escaped: bool,
    },
    /// A string, with its name.
    Text {
        value: usize,
        name: Option<Range<usize>>,
    },
}

/// A string of an event.
pub(super) struct Leaf {
    node: usize,
    name: Range<usize>,
    position: usize,
    value: usize,
    /// The hash of its path; of a string beside the pieces, nothing.
    pub(super) key: u64,
    /// It is a piece for certain.
    pub(super) streamed: bool,
    pub(super) ends: Ends,
}

/// Whether a string says that something is over, as far as its name tells.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Ends {
    Never,
    /// When there is one.
    Present,
    /// When it is the name of an end.
    Named,
}

impl Ends {
    fn of(name: &[u8]) -> Self {
        match name {
            b"finish_reason" | b"stop_reason" | b"finishReason" | b"done_reason" => Self::Present,
            b"type" => Self::Named,
            _ => Self::Never,
        }
    }

    /// Whether this string says so.
    pub(super) fn with(self, text: &[u8]) -> bool {
        match self {
            Self::Never => false,
            Self::Present => !text.is_empty(),
            Self::Named => [&b"_stop"[..], b".done", b".completed", b"-end"].iter().any(|end| text.ends_with(end)),
        }
    }
}

impl Event {
    /// Whether some of its strings are pieces for certain.
    pub(super) fn is_streamed(&self) -> bool {
        self.streamed
    }

    /// Whether it is one JSON document and nothing else.
    pub(super) fn is_whole(&self) -> bool {
        self.whole
    }

    /// Its names that say more than names do, and whether they have escapes.
    pub(super) fn names(&self) -> impl Iterator<Item = (&[u8], bool)> {
        let way = if self.named { &self.way[..] } else { &[] };
        way.iter().filter_map(|mile| match mile {
            Mile::Name { at, escaped } => Some((&self.read[at.clone()], *escaped)),
            _ => None,
        })
    }

    /// The strings of the event that was read last.
    pub(super) fn leaves(&self) -> &[Leaf] {
        &self.leaves
    }

    /// The name of a string, or of the array that holds it.
    pub(super) fn name(&self, leaf: &Leaf) -> &[u8] {
        &self.read[leaf.name.clone()]
    }

    /// A string as `event` has it, which was read last.
    pub(super) fn text<'t>(&self, leaf: &Leaf, event: &'t [u8]) -> Text<'t> {
        let value = &self.values[leaf.value];
        Text { raw: &event[value.now.clone()], escaped: value.escaped }
    }

    /// What a walk through `event`, which was read last, would come by; `None` when only a walk itself can tell.
    pub(in super::super) fn way<'t>(&'t self, event: &'t [u8]) -> Option<impl Iterator<Item = Step<'t>>> {
        let part = |at: &Range<usize>| Part::at(&self.read, at);
        let step = move |mile: &Mile| match mile {
            Mile::Open { object, name } => Step::Open { object: *object, name: name.as_ref().map(part) },
            Mile::Close => Step::Close,
            Mile::Name { at, escaped } => Step::Name { name: part(at), escaped: *escaped },
            Mile::Text { value, name } => {
                let Value { now, escaped, .. } = &self.values[*value];
                Step::Text { text: Part::at(event, now), escaped: *escaped, name: name.as_ref().map(part) }
            }
        };
        self.whole.then(|| self.way.iter().map(step))
    }

    /// Whether more room is needed for it than for most.
    pub(super) fn is_large(&self) -> bool {
        let items = [self.nodes.capacity(), self.leaves.capacity(), self.values.capacity(), self.marks.capacity()];
        self.read.capacity() > LARGE || items.into_iter().any(|room| room > MANY) || self.way.capacity() > 2 * MANY
    }

    /// Bytes of memory it takes.
    pub(super) fn held(&self) -> usize {
        let Self { read, nodes, leaves, values, marks, open, way, .. } = self;
        let of_items = [
            nodes.capacity() * size_of::<Node>(),
            leaves.capacity() * size_of::<Leaf>(),
            values.capacity() * size_of::<Value>(),
            marks.capacity() * size_of::<Mark>(),
            open.capacity() * size_of::<usize>(),
            way.capacity() * size_of::<Mile>(),
        ];
        read.capacity() + of_items.iter().sum::<usize>()
    }

    /// Whether `event` is the one that was read but for some values, which are found in it.
    ///
    /// Tokens are told from left to right. What is the same up to a value is read the same, and so is what is the same
    /// after it.
    pub(super) fn comes_again(&mut self, event: &[u8]) -> bool {
        let Self { read, values, .. } = self;
        let mut values = values.iter_mut();
        // Up to where both were read.
        let (mut old, mut new) = (0, 0);
        loop {
            let same = common(&read[old..], &event[new..]);
            let over = old + same == read.len() && new + same == event.len();
            let (differs, moved) = (old + same, new.wrapping_sub(old));
            let other = loop {
                match values.next() {
                    None => return over,
                    Some(value) if !over && differs <= value.was.end => break value,
                    Some(value) => value.stays(moved),
                }
            };
            if differs < other.was.start || other.marks || !other.is_found(event, other.was.start.wrapping_add(moved)) {
                return false;
            }
            (old, new) = (other.was.end, other.now.end);
        }
    }

    /// Reads an event; its paths are hashed by `paths`.
    pub(super) fn read(&mut self, event: &[u8], paths: &impl BuildHasher) {
        self.read.clear();
        self.read.extend_from_slice(event);
        let Self { nodes, leaves, values, marks, open, way, .. } = self;
        nodes.clear();
        leaves.clear();
        values.clear();
        marks.clear();
        open.clear();
        way.clear();
        self.named = false;
        let mut whole = true;
        nodes.push(Node::new(0, 0..0, false, None, 0, false));
        open.push(0);
        let mut name = 0..0;
        let mut tokens = Tokens::new(event);
        for token in tokens.by_ref() {
            if nodes.len() == MAX_NODES {
                whole = false;
                break;
            }
            let node = *open.last().unwrap_or(&0);
            let first = nodes.len() == 1;
            let around = &mut nodes[node];
            match token {
                Token::Open(b) => {
                    let (own, position) = around.place(&name);
                    let streamed =
                        around.streamed || matches!(&event[own.clone()], b"delta" | b"choices" | b"candidates");
                    let object = b == b'{';
                    whole &= open.len() <= json::MAX_NESTING && (node > 0 || first);
                    let next = around.next.clone().filter(|_| !object);
                    way.push(Mile::Open { object, name: around.next.clone() });
                    open.push(nodes.len());
                    nodes.push(Node::new(node, own, object, next, position, streamed));
                }
                Token::Close => {
                    whole &= open.len() > 1;
                    way.push(Mile::Close);
                    if open.len() > 1 {
                        open.pop();
                    }
                }
                Token::Key(key) => {
                    name = span(event, key.raw);
                    whole &= around.object;
                    if json::is_unusual(key, Part::of(event, key.raw)) {
                        self.named = true;
                        way.push(Mile::Name { at: name.clone(), escaped: key.escaped });
                    }
                    around.next = Some(name.clone());
                }
                Token::Word(word) => {
                    let at = span(event, word);
                    let mark = around.mark(node, event, &name, &at);
                    values.push(Value::word(at, mark.is_some()));
                    marks.extend(mark);
                }
                Token::Text(text) => {
                    let at = span(event, text.raw);
                    let mark = around.mark(node, event, &name, &at);
                    let (own, position) = around.place(&name);
                    whole &= node > 0;
                    way.push(Mile::Text { value: values.len(), name: around.next.clone() });
                    let word = &event[own.clone()];
                    let streamed = word == b"delta"
                        || (around.streamed && !matches!(word, b"role" | b"type" | b"id" | b"finish_reason"));
                    let ends = Ends::of(word);
                    leaves.push(Leaf { node, name: own, position, value: values.len(), key: 0, streamed, ends });
                    values.push(Value::string(at, text.escaped, mark.is_some()));
                    marks.extend(mark);
                }
            }
        }
        self.whole = whole && !way.is_empty() && open.len() == 1 && !tokens.stray();
        let is_of_token = |n: &Node| n.parent == OUTERMOST && n.items > 0 && event[n.name.clone()] == b"token"[..];
        self.streamed = leaves.iter().any(|l| l.streamed);
        if !self.streamed && nodes.iter().skip(2).any(is_of_token) {
            counts_tokens(event, &mut nodes[OUTERMOST], values, marks);
        }
        marks.sort_unstable_by(|a, b| a.of(event).cmp(&b.of(event)));
        let mut leaves = std::mem::take(&mut self.leaves);
        let mut path = Vec::new();
        for leaf in leaves.iter_mut().filter(|l| l.streamed || !self.streamed) {
            // Marks may come after what they mark: all are known now.
            self.path(leaf, &mut path);
            leaf.key = paths.hash_one(&path[..]);
        }
        self.leaves = leaves;
    }

    /// A string's path, to be hashed at once: a hash of many small parts costs a multiple.
    fn path(&self, leaf: &Leaf, path: &mut Vec<u8>) {
        path.clear();
        let number = |path: &mut Vec<u8>, n: usize| path.extend_from_slice(&n.to_le_bytes());
        let text = |path: &mut Vec<u8>, at: &Range<usize>| {
            number(path, at.len());
            path.extend_from_slice(&self.read[at.clone()]);
        };
        text(path, &leaf.name);
        number(path, leaf.position);
        let mut at = leaf.node;
        while at != 0 {
            let node = &self.nodes[at];
            text(path, &node.name);
            number(path, node.marks);
            if node.marks == 0 {
                number(path, node.position);
            } else {
                let first = self.marks.partition_point(|mark| mark.node < at);
                for mark in &self.marks[first..first + node.marks] {
                    text(path, &mark.name);
                    text(path, &mark.value);
                }
            }
            at = node.parent;
        }
    }
}

/// Where a part of a text is in it.
fn span(text: &[u8], part: &[u8]) -> Range<usize> {
    let start = part.as_ptr().addr() - text.as_ptr().addr();
    start..start + part.len()
}

/// How many bytes both begin with.
fn common(a: &[u8], b: &[u8]) -> usize {
    let mut len = 0;
    while let (Some(x), Some(y)) = (a[len..].first_chunk(), b[len..].first_chunk()) {
        let differ = u128::from_le_bytes(*x) ^ u128::from_le_bytes(*y);
        if differ != 0 {
            return len + differ.trailing_zeros() as usize / 8;
        }
        len += size_of::<u128>();
    }
    len + a[len..].iter().zip(&b[len..]).take_while(|(x, y)| x == y).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::{prelude::*, sample::Index};
    use std::hash::RandomState;

    type Seen = Vec<(Vec<u8>, Vec<u8>, bool, u64, bool)>;

    fn seen(read: &Event, event: &[u8]) -> Seen {
        let each = |leaf| {
            let Text { raw, escaped } = read.text(leaf, event);
            (read.name(leaf).to_vec(), raw.to_vec(), escaped, leaf.key, leaf.streamed)
        };
        read.leaves().iter().map(each).collect()
    }

    /// Whether the second is taken for the first with other values; it must be read the same in any case.
    fn again(first: &[u8], second: &[u8]) -> bool {
        let paths = RandomState::new();
        let (mut after_first, mut alone) = (Event::default(), Event::default());
        after_first.read(first, &paths);
        alone.read(second, &paths);
        let again = after_first.comes_again(second);
        if again {
            assert_eq!(seen(&after_first, second), seen(&alone, second), "{}", String::from_utf8_lossy(second));
            assert_eq!(after_first.is_streamed(), alone.is_streamed());
        }
        again
    }

    #[test]
    fn an_event_with_other_values_is_not_read_anew() {
        let first = r#"{"id":"a","n":1,"choices":[{"index":0,"delta":{"content":"Hel"},"end":null}],"x":"y"}"#;
        for (from, to) in [
            ("Hel", ""),
            ("Hel", "lo, wor"),
            ("Hel", r#"a \" b \\"#),
            ("Hel", "Hello"),
            ("Hel", "H"),
            ("\"a\"", "\"bcd\""),
            ("null", "1"),
            (":1,", ":234567,"),
            ("\"y\"", "\"\""),
            ("", ""),
        ] {
            assert!(again(first.as_bytes(), first.replace(from, to).as_bytes()), "{from} {to}");
        }
    }

    #[test]
    fn an_event_of_another_shape_is_read_anew() {
        let first = r#"{"n":12,"choices":[{"index":0,"delta":{"content":"Hel"},"end":null}],"x":"y"}"#;
        for (from, to) in [
            ("content", "refusal"),
            ("index\":0", "index\":1"),
            ("\"Hel\"", "null"),
            ("\"Hel\"", "[\"Hel\"]"),
            ("12", "\"12\""),
            ("\"y\"}", "\"y\",\"z\":\"z\"}"),
            ("\"y\"}", "\"y"),
            ("\"y\"", "\"y\":"),
            ("\"Hel\"", "\"Hel\",\"role\":\"x\""),
        ] {
            assert!(!again(first.as_bytes(), first.replace(from, to).as_bytes()), "{from} {to}");
        }
    }

    proptest! {
        #[test]
        fn whatever_came_before_an_event_is_read_the_same(
            first in prop_oneof![
                Just(r#"{"id":"a\\\"b","n":-1.5,"choices":[{"index":0,"delta":{"content":"Hel"},"end":null}],"x":"y"}"#.to_owned()),
                Just(r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hi"}}"#.to_owned()),
                r#"[ ab01":,{}\[\]\\]{0,40}"#,
            ],
            changes in prop::collection::vec((any::<Index>(), 0..3_usize, r#"[ ab01":,{}\[\]\\]{0,3}"#), 0..4),
        ) {
            let mut second = first.clone();
            for (at, removed, put) in changes {
                let start = at.index(second.len() + 1);
                let end = second.len().min(start + removed);
                second.replace_range(start..end, &put);
            }
            again(first.as_bytes(), second.as_bytes());
        }
    }
}
