//! The Hermes Traffic Guardian: a monitor an operator puts in front of the Hermes agent.
//!
//! ```text
//! wire → capture → detect → redact → store → tally → vouch → (canonical → digest → seal) → file → verify
//! ```
//!
//! The stages stand in [`flow`], in the order of the data. Documents are in the crate `posture`, keys in `keys`, and
//! everything a third party needs to check our word in `attest`.

pub mod cli;
pub mod clock;
pub mod config;
pub mod control;
pub mod flow;
pub mod home;
pub mod monitor;
pub mod platform;
pub mod process;
pub mod warned;
