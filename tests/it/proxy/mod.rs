//! The proxy, spoken to over real sockets on both sides.
#![expect(clippy::unwrap_used, reason = "the helpers of a test fail as the test does")]

mod answers;
mod bounds;
mod coverage;
mod parent;
mod refused;
mod relayed;
pub(crate) mod rig;
mod tunnel;
mod websocket;
