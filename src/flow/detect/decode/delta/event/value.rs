//! A string, number or word of an event → the same one in the next event.

use crate::flow::detect::decode::json::Tokens;
use std::ops::Range;

#[derive(Clone, Copy)]
enum Kind {
    String,
    Word,
}

/// What may be another in the next event of the same shape.
pub(super) struct Value {
    /// Where it is in the event that was read.
    pub(super) was: Range<usize>,
    was_escaped: bool,
    /// Where it is in the present one.
    pub(super) now: Range<usize>,
    pub(super) escaped: bool,
    kind: Kind,
    /// It tells pieces apart: with another value, it leads to other texts.
    pub(super) marks: bool,
}

impl Value {
    pub(super) fn string(at: Range<usize>, escaped: bool, marks: bool) -> Self {
        Self { was: at.clone(), was_escaped: escaped, now: at, escaped, kind: Kind::String, marks }
    }

    pub(super) fn word(at: Range<usize>, marks: bool) -> Self {
        Self { was: at.clone(), was_escaped: false, now: at, escaped: false, kind: Kind::Word, marks }
    }

    /// It is the same in the present event, that much further on.
    pub(super) fn stays(&mut self, moved: usize) {
        self.now = self.was.start.wrapping_add(moved)..self.was.end.wrapping_add(moved);
        self.escaped = self.was_escaped;
    }

    /// Whether one of the same kind begins at `start`: it is this one.
    pub(super) fn is_found(&mut self, event: &[u8], start: usize) -> bool {
        let len = match self.kind {
            Kind::String => {
                let text = Tokens::string_at(event, start);
                self.escaped = text.escaped;
                text.raw.len()
            }
            Kind::Word => match Tokens::word_at(event, start) {
                Some(word) => word.len(),
                None => return false,
            },
        };
        self.now = start..start + len;
        true
    }
}
