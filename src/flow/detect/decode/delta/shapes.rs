//! A stream's events → how each is read: a stream has few shapes, and as a rule that of the event before.

use super::event::Event;
use std::hash::RandomState;

/// Shapes that are kept from one event to the next.
const MAX_SHAPES: usize = 8;

/// As many events in a row that look like none before say that the next one will not either.
const MAX_NEW: usize = 64;

/// The shapes of the last events, the last one at the end.
#[derive(Default)]
pub(in super::super) struct Shapes {
    last: Vec<Event>,
    paths: RandomState,
    /// Events in a row that looked like none before.
    new: usize,
}

impl Shapes {
    /// Reads the next event.
    pub(in super::super) fn read(&mut self, event: &[u8]) -> &Event {
        let Self { last: shapes, paths, new } = self;
        if let Some(at) = shapes.iter_mut().rposition(|shape| shape.comes_again(event)) {
            shapes[at..].rotate_left(1);
            *new = 0;
        } else {
            *new += 1;
            if shapes.len() == MAX_SHAPES {
                shapes.rotate_left(1);
            } else {
                shapes.push(Event::default());
            }
            if let Some(shape) = shapes.last_mut() {
                shape.read(event, paths);
            }
        }
        &shapes[shapes.len() - 1]
    }

    /// Whether it is worth a look what the next event looks like.
    pub(in super::super) fn come_again(&self) -> bool {
        self.new < MAX_NEW
    }

    /// Bytes of memory they take.
    pub(super) fn held(&self) -> usize {
        self.last.iter().map(Event::held).sum()
    }

    /// The event that was read last was dealt with: lets go of it when it is larger than most.
    pub(in super::super) fn done(&mut self) {
        let _ = self.last.pop_if(|shape| shape.is_large());
    }
}

#[cfg(test)]
mod tests {
    use super::{MAX_NEW, MAX_SHAPES, Shapes};

    #[test]
    fn shapes_that_come_in_turn_are_kept_and_no_more_than_so_many() {
        let mut shapes = Shapes::default();
        for n in 0..100 {
            let event = format!(r#"{{"{}":"{n}"}}"#, "a".repeat(1 + n % 5));
            assert_eq!(shapes.read(event.as_bytes()).leaves().len(), 1);
            shapes.done();
            assert_eq!(shapes.last.len(), (n + 1).min(5));
        }
        assert!(shapes.come_again());
        for n in 0..MAX_NEW {
            assert!(shapes.come_again());
            shapes.read("[".repeat(n % 20).as_bytes());
            shapes.done();
        }
        assert!(!shapes.come_again());
        assert_eq!(shapes.last.len(), MAX_SHAPES);
        shapes.read(format!("[{}]", "1,".repeat(2000)).as_bytes());
        shapes.done();
        assert_eq!(shapes.last.len(), MAX_SHAPES - 1);
    }

    #[test]
    fn what_is_kept_is_bounded_and_told() {
        let mut shapes = Shapes::default();
        let mut most = 0;
        for n in 0..2000 {
            let event =
                format!("{{{}\"a{n}\":[\"{}\"]}}", format!("\"b{n}\":{{\"index\":1}},").repeat(n % 40), "x".repeat(n));
            shapes.read(event.as_bytes());
            shapes.done();
            most = most.max(shapes.held());
        }
        assert!(most > 0 && most < 96 << 10, "{most}");
    }
}
