//! The pipeline. Read downwards; a stage knows only the type above it.
//!
//! | stage | arrow |
//! |---|---|
//! | [`capture`] | wire → `Message` |
//! | [`detect`] | `Message` → `Hit<'_>` |
//! | [`redact`] | `Hit<'_>` → `Finding`, the only door |
//! | [`suppress`] | `Finding` → one the operator knows of, or not |
//! | [`store`] | `Finding` → `findings.jsonl` |
//! | [`tally`] | `Finding` → counts and coverage |
//! | [`vouch`] | tally → posture and state, signed, one generation |

pub mod capture;
pub mod detect;
pub mod redact;
pub mod store;
pub mod suppress;
pub mod tally;
pub mod vouch;
