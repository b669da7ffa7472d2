//! Long work, on a terminal: how much of it is done, in a line that goes when something else is said.

use super::show;
use std::{
    cell::RefCell,
    time::{Duration, Instant},
};

/// What ends before is not long.
const AFTER: Duration = Duration::from_millis(700);
const EVERY: Duration = Duration::from_millis(100);

/// How far a piece of work is. Nothing is shown where stderr is no terminal.
pub(super) struct Progress(Option<RefCell<At>>);

struct At {
    doing: &'static str,
    next: Instant,
    shown: bool,
    pieces: u64,
    bytes: u64,
}

impl Progress {
    pub(super) fn new(doing: &'static str) -> Self {
        let at = || RefCell::new(At { doing, next: Instant::now() + AFTER, shown: false, pieces: 0, bytes: 0 });
        Self(show::is_watched().then(at))
    }

    /// Another piece, of so many bytes, is done.
    pub(super) fn tick(&self, bytes: u64) {
        let Some(at) = &self.0 else { return };
        let mut at = at.borrow_mut();
        at.pieces += 1;
        at.bytes += bytes;
        let now = Instant::now();
        if now >= at.next {
            (at.next, at.shown) = (now + EVERY, true);
            show::passing(format_args!("{}: {} of {} MiB", at.doing, at.pieces, at.bytes >> 20));
        }
    }

    /// Makes room for something that is said.
    pub(super) fn clear(&self) {
        let Some(at) = &self.0 else { return };
        if std::mem::take(&mut at.borrow_mut().shown) {
            show::passing("");
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}
