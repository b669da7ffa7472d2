//! The messages and tools of a request → those that are known from a request before are passed over.

use super::{Unwrap, Voice, token::Ahead};

/// What is known of the parts of one request.
#[derive(Default)]
pub(super) struct Repeats<'t> {
    /// The part that is looked at, and where it ends.
    open: Option<(&'t [u8], usize)>,
    /// One did not end where it seemed to. Another might be followed to the end of the text, and so might each.
    misled: bool,
}

impl<'t> Repeats<'t> {
    /// Passes over the object whose brace was taken last if it is known. `voice` is who wrote it unless it says so itself.
    pub(super) fn passes_over(&mut self, w: &mut Unwrap<'_>, tokens: &mut Ahead<'t>, voice: Voice) -> bool {
        self.open = None;
        if self.misled || !w.has_parts() {
            return false;
        }
        let (Some(object), Some(at)) = (tokens.object(), tokens.unread()) else {
            self.misled = true;
            return false;
        };
        let end = at - 1 + object.len();
        let known = w.begin_part(object, voice);
        if known {
            tokens.go_on_at(end);
        } else {
            self.open = Some((object, end));
        }
        known
    }

    /// A part ends.
    pub(super) fn end(&mut self, w: &mut Unwrap<'_>, tokens: &Ahead<'_>) {
        let Some((object, end)) = self.open.take() else { return };
        let whole = tokens.ended() == Some(end) && !tokens.stray();
        self.misled |= !whole;
        w.end_part(object, whole);
    }
}
