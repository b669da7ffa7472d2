//! One binary of integration tests.

mod cli;
mod lifecycle;
mod place;
mod proxy;
mod scan;
mod threats;
