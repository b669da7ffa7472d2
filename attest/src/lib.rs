//! How it is proved: the canonical form, the digest, the seal, the chain, and the verification of all of them.
//!
//! ```text
//! document → digest::bind → seal → Sealed (bytes and signature, for the file writer)
//! record   → Chain::frame → Framed (one line of the log)
//! folder   → verify → Report, and only there Verified<Posture>
//! ```
//!
//! `FORMAT.md` describes every byte. Nothing here writes a file or reads a clock.
//!
//! | file | holds |
//! |---|---|
//! | [`canonical`] | document ⇄ its one spelling, RFC 8785, with a guard on each side |
//! | [`digest`] | a document's digest of itself |
//! | [`seal`](mod@seal) | document → signed bytes |
//! | [`dsse`] | posture → in-toto statement, in a DSSE envelope |
//! | [`chain`] | record ⇄ line, each bound to the line before |
//! | [`rotation`] | the statements by which one key gives way to another |
//! | `keyring` | which key signs which posture, by them |
//! | [`folder`] | state folder → bytes, read-only and bounded |
//! | `ahead` | log → its lines, read by every core |
//! | `prefix` | why the log begins where it does |
//! | [`verify`](mod@verify) | the steps of a verification, in their order |
//! | [`memory`] | what a reader remembers, against what a folder says now |
//! | [`reason`] | why a verification did not pass |
//! | [`limit`] | what a passing one does not prove |
//! | [`report`] | the answer, for a person and for a program |

mod ahead;
pub mod canonical;
pub mod chain;
pub mod digest;
pub mod dsse;
pub mod folder;
mod keyring;
pub mod limit;
pub mod memory;
mod prefix;
pub mod reason;
pub mod report;
pub mod rotation;
pub mod seal;
pub mod verify;

pub use chain::{Chain, Framed, Record};
pub use digest::Document;
pub use folder::Folder;
pub use keyring::Keyring;
pub use limit::Limit;
pub use reason::Reason;
pub use report::Report;
pub use rotation::Rotations;
pub use seal::{Sealed, seal};
pub use verify::{Anchor, Baseline, Options, Verified, verify};
