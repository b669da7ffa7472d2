//! One binary of integration tests.

mod cli;
mod place;
mod proxy;
mod threats;
