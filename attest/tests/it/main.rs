//! The proof, from its bytes to the attacks it must withstand.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod attacks;
mod canonical;
mod cases;
mod chain;
mod dsse;
mod format;
mod hostile;
mod long;
mod memory;
mod mutations;
mod recovery;
mod retention;
mod rotation;
mod schema;
mod support;
mod time;
