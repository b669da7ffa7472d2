//! One binary of integration tests.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod attacks;
mod cli;
mod doctor;
mod hardening;
mod hostile;
mod inspect;
mod keys;
mod known;
mod lifecycle;
mod monitor;
mod place;
mod planted;
mod proxy;
mod scan;
mod security;
mod shapes;
mod threats;
mod users;

/// Whatever is waited for comes sooner than this, on a machine that has much else to do as well.
const GIVE_UP: std::time::Duration = std::time::Duration::from_secs(120);
