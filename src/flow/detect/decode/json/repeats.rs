//! The messages and tools of a request → those that are known from a request before are passed over.

use super::{Unwrap, Voice, ahead::Ahead};

/// A shorter part is looked at sooner than it is told from others.
const SHORTEST: usize = 32;

/// What is known of the parts of one request.
#[derive(Default)]
pub(super) struct Repeats {
    /// Where the part ends that is looked at.
    open: Option<usize>,
    /// One did not end where it seemed to. Another might be followed to the end of the text, and so might each.
    misled: bool,
}

impl Repeats {
    /// Passes over the object whose brace was taken last if it is known. `voice` is who wrote it unless it says so itself.
    pub(super) fn passes_over(&mut self, w: &mut Unwrap<'_>, tokens: &mut Ahead<'_>, voice: Voice) -> bool {
        self.open = None;
        if self.misled || !w.has_parts() {
            return false;
        }
        let (Some(object), Some(at)) = (tokens.object(), tokens.unread()) else {
            self.misled = true;
            return false;
        };
        if object.len() < SHORTEST {
            return false;
        }
        let end = at - 1 + object.len();
        let known = w.begin_part(object, voice);
        if known {
            tokens.go_on_at(end);
        } else {
            self.open = Some(end);
        }
        known
    }

    /// A part ends.
    pub(super) fn end(&mut self, w: &mut Unwrap<'_>, tokens: &Ahead<'_>) {
        let Some(end) = self.open.take() else { return };
        let whole = tokens.ended() == Some(end) && !tokens.stray();
        self.misled |= !whole;
        w.end_part(whole);
    }
}
