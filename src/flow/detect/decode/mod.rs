//! Bytes → View: undoes what the receiver will undo, within bounds.
//!
//! Every step is tried only when a cheap test finds its mark, gives the text it made to the next step, and draws on one
//! budget a message: work is linear in the input whatever the input is. A view borrows; nothing decoded outlives it.

mod archive;
mod binary;
mod closed;
mod coding;
mod delta;
mod envelopes;
mod escape;
mod form;
mod frames;
mod head;
mod html;
mod json;
mod kept;
mod mail;
mod measured;
mod multipart;
mod numbers;
mod packed;
mod percent;
mod runs;
mod shape;
mod sse;
mod stream;
mod stretches;
#[cfg(test)]
mod tests;
mod unwrap;
mod voice;

pub(super) use coding::{AWS_CHUNKED, Blocks, Coding, Stop};
use delta::Deltas;
pub(super) use head::{absolute, fields, host, method, target};
pub(super) use kept::Kept;
pub(super) use shape::{Shape, body, shape, tail};
pub(super) use sse::Events;
pub(super) use unwrap::{Budget, Unwrap};

use posture::{Encoding, Placement};

/// Who wrote a text, as far as the message's own structure tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Voice {
    /// Nothing known.
    #[default]
    Unknown,
    /// A `system` or `developer` message, or a tool's definition: instructions Hermes itself sends with each request.
    System,
}

/// A text as its receiver will see it, and how it was reached.
#[derive(Clone, Copy)]
pub struct View<'v> {
    /// The decoded bytes.
    pub text: &'v [u8],
    /// The chain of decodings, outermost first.
    pub encoding: &'v [Encoding],
    /// The part of the message.
    pub placement: Placement,
    /// The header field, query parameter or JSON member that held it, when there is one.
    pub name: Option<&'v [u8]>,
    /// Who wrote it.
    pub voice: Voice,
    /// It was put together from texts that were shown before.
    pub joined: bool,
}

/// Who is shown the views of a message, and may know some of its parts.
pub(super) trait Viewer {
    /// The next view.
    fn view(&mut self, view: &View<'_>);

    /// A part of the message begins that is as it is by itself: `part` is all of it, and what is outside of it. Answers
    /// whether it is known; then it is passed over.
    fn begin(&mut self, _part: &View<'_>) -> bool {
        false
    }

    /// The part that began last is over. `whole` says that all that is in it was shown.
    fn end(&mut self, _whole: bool) {}
}

impl<F: FnMut(&View<'_>)> Viewer for F {
    fn view(&mut self, view: &View<'_>) {
        self(view);
    }
}

impl<'v> View<'v> {
    /// A text as a body has it, of which nothing else is known.
    pub const fn plain(text: &'v [u8]) -> Self {
        Self { text, encoding: &[], placement: Placement::Body, name: None, voice: Voice::Unknown, joined: false }
    }
}
