//! An object or array of an event → its place, and the members that tell its pieces apart.

use super::value::Value;
use std::ops::Range;

/// The place of an event's outermost object among its nodes.
pub(super) const OUTERMOST: usize = 1;
/// Members of one object that tell its pieces apart.
const MAX_MARKS: usize = 8;

/// An object or array of an event.
pub(super) struct Node {
    pub(super) parent: usize,
    pub(super) name: Range<usize>,
    pub(super) object: bool,
    /// The name of the member that comes next; of an array, its own.
    pub(super) next: Option<Range<usize>>,
    /// Its place in the array around it, or items so far when it is one.
    pub(super) position: usize,
    pub(super) items: usize,
    /// How many of its members tell pieces apart.
    pub(super) marks: usize,
    /// What it holds are pieces, not texts.
    pub(super) streamed: bool,
}

/// A member that tells pieces apart: of which object, its name and value.
pub(super) struct Mark {
    pub(super) node: usize,
    pub(super) name: Range<usize>,
    pub(super) value: Range<usize>,
}

impl Node {
    pub(super) fn new(
        parent: usize,
        name: Range<usize>,
        object: bool,
        next: Option<Range<usize>>,
        position: usize,
        streamed: bool,
    ) -> Self {
        Self { parent, name, object, next, position, items: 0, marks: 0, streamed }
    }

    /// The name and position of the next thing in it.
    pub(super) fn place(&mut self, key: &Range<usize>) -> (Range<usize>, usize) {
        let place = if self.object { (key.clone(), 0) } else { (self.name.clone(), self.items) };
        self.items += 1;
        place
    }

    /// Notes a member that tells an item apart; `at` is this one's place.
    pub(super) fn mark(&mut self, at: usize, event: &[u8], name: &Range<usize>, value: &Range<usize>) -> Option<Mark> {
        let tells = matches!(
            &event[name.clone()],
            b"index" | b"output_index" | b"content_index" | b"summary_index" | b"item_id"
        );
        let noted = self.object && tells && self.marks < MAX_MARKS;
        self.marks += usize::from(noted);
        noted.then(|| Mark { node: at, name: name.clone(), value: value.clone() })
    }
}

impl Mark {
    pub(super) fn of<'t>(&self, event: &'t [u8]) -> (usize, &'t [u8], &'t [u8]) {
        (self.node, &event[self.name.clone()], &event[self.value.clone()])
    }
}

/// The outermost object is of one token, and its `index` the number of that: it tells none apart.
pub(super) fn counts_tokens(event: &[u8], outermost: &mut Node, values: &mut [Value], marks: &mut Vec<Mark>) {
    let counts = |mark: &Mark| mark.node == OUTERMOST && event[mark.name.clone()] == b"index"[..];
    for value in values.iter_mut().filter(|v| v.marks) {
        value.marks = !marks.iter().any(|mark| counts(mark) && mark.value == value.was);
    }
    let before = marks.len();
    marks.retain(|mark| !counts(mark));
    outermost.marks -= before - marks.len();
}
