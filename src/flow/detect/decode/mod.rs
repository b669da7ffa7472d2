//! Bytes → View: undoes what the receiver will undo, within bounds.

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
}
