//! The proof, from its bytes to the attacks it must withstand.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod attacks;
mod canonical;
mod chain;
mod format;
mod memory;
mod recovery;
mod retention;
mod rotation;
mod schema;
mod support;
mod time;
