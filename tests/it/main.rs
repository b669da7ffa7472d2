//! One binary of integration tests.

mod cli;
mod place;
mod threats;
