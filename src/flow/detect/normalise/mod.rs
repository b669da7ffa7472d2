//! View → the text its receiver would act on: Unicode look-alikes folded, shell spellings undone, split literals joined.
//!
//! Each pass is linear and bounded, and answers `None` when a cheap test shows nothing to undo.

pub(crate) mod join;
pub(crate) mod shell;
pub(crate) mod unicode;
