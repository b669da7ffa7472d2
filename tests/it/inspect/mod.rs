//! HTTPS through the proxy, opened: real TLS on both sides, over real sockets.
#![expect(clippy::unwrap_used, reason = "the helpers of a test fail as the test does")]

mod audience;
mod became;
mod certificates;
mod closes;
mod fallback;
mod identity;
mod names;
mod opened;
mod programs;
pub(crate) mod rig;
mod smuggling;
mod unopened;
mod wired;
