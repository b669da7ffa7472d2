//! The messages and tools of a request → those that were sent before and held nothing are passed over.

use super::{Unwrap, token::Ahead};

/// What is known of the parts of one request.
#[derive(Default)]
pub(super) struct Repeats {
    /// The digest of the part that is looked at, and where it ends.
    open: Option<(u128, usize)>,
    /// One did not end where it seemed to. Another might be followed to the end of the text, and so might each.
    misled: bool,
}

impl Repeats {
    /// Passes over the object whose brace was taken last if it was looked at before and held nothing.
    pub(super) fn passes_over(&mut self, w: &mut Unwrap<'_>, tokens: &mut Ahead<'_>) -> bool {
        self.open = None;
        if self.misled || !w.remembers_parts() {
            return false;
        }
        let (Some(object), Some(at)) = (tokens.object(), tokens.unread()) else {
            self.misled = true;
            return false;
        };
        let Some(digest) = w.digest(object) else { return false };
        let end = at - 1 + object.len();
        let before = w.begin_part(digest);
        if before {
            tokens.go_on_at(end);
        } else {
            self.open = Some((digest, end));
        }
        before
    }

    /// A part ends.
    pub(super) fn end(&mut self, w: &mut Unwrap<'_>, tokens: &Ahead<'_>) {
        let Some((digest, end)) = self.open.take() else { return };
        if tokens.ended() == Some(end) && !tokens.stray() {
            w.end_part(digest);
        } else {
            self.misled = true;
        }
    }
}
