//! What was relayed, each connection, message and byte in exactly one bucket at every moment.

use posture::{Coverage, UnscannedReason};
use std::sync::Arc;

/// Counts what passes since this process began. Cheap to clone; all clones count together.
#[derive(Clone, Default)]
pub struct Meter {}

/// One client connection: `in_progress` until it is settled.
pub struct ConnectionTicket {}

/// One message: `in_progress` until it is settled. All clones are the same message.
#[derive(Clone)]
pub struct MessageTicket {}

impl Meter {
    /// A client connection was accepted.
    pub fn connection(&self) -> ConnectionTicket {
        todo!()
    }

    /// A message begins.
    pub fn message(&self) -> Arc<MessageTicket> {
        todo!()
    }

    /// Everything so far. `adds_up` holds.
    pub fn coverage(&self) -> Coverage {
        todo!()
    }
}

impl MessageTicket {
    /// Payload bytes of this message went through.
    pub fn relayed(&self, _bytes: u64) {
        todo!()
    }

    /// The message is over: `scanned` of its relayed bytes were looked at, the others not, for `reason`.
    ///
    /// `None` says that everything was looked at. A ticket dropped unsettled counts as `scanner_error`.
    pub fn settle(&self, _scanned: u64, _reason: Option<UnscannedReason>) {
        todo!()
    }
}
