//! A connection, a message, bytes nobody looks at → the bucket each is in, until it is settled and from then on.

use super::Meter;
use posture::UnscannedReason;
use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
};

/// One client connection: `in_progress` until it is settled.
///
/// Dropped unsettled, it counts as scanned if a request was let through, as `refused` if all that came were not, and as
/// `incomplete_head` if none came whole.
pub struct ConnectionTicket {
    pub(super) meter: Meter,
    pub(super) head: AtomicBool,
    pub(super) refused: AtomicBool,
    pub(super) settled: AtomicBool,
}

/// One message: `in_progress` until it is settled. Shared, never copied.
pub struct MessageTicket {
    pub(super) meter: Meter,
    // Changed only while the books are open, so that they and the books agree.
    pub(super) relayed: AtomicU64,
    pub(super) shown: AtomicU64,
    pub(super) dropped: AtomicBool,
    pub(super) settled: AtomicBool,
}

/// Bytes of one connection that nobody looks at, counted as they pass.
pub struct OpaqueTicket {
    pub(super) meter: Meter,
    pub(super) reason: UnscannedReason,
}

impl ConnectionTicket {
    /// A request of this connection is let through, and its head shown to the scanners.
    pub fn head_read(&self) {
        self.head.store(true, Relaxed);
    }

    /// A request of this connection is not let through.
    pub fn refused(&self) {
        self.refused.store(true, Relaxed);
    }

    /// The connection's bucket is known: scanned (`None`), or not, for a reason. The first settling counts.
    pub fn settle(&self, reason: Option<UnscannedReason>) {
        let mut books = self.meter.open();
        if !self.settled.swap(true, Relaxed) {
            books.waiting().connections -= 1;
            books.bucket(reason).connections += 1;
        }
    }

    /// From here on bytes pass unseen, for `reason`: the connection is settled so, and each byte is counted so.
    pub fn opaque(&self, reason: UnscannedReason) -> OpaqueTicket {
        self.settle(Some(reason));
        self.bytes(reason)
    }

    /// Some bytes of a connection that is read pass unseen, for `reason`: only they are counted so.
    pub fn bytes(&self, reason: UnscannedReason) -> OpaqueTicket {
        OpaqueTicket { meter: self.meter.clone(), reason }
    }

    /// A message begins on this connection that nobody looks at.
    pub fn message(&self) -> Arc<MessageTicket> {
        self.meter.message()
    }
}

impl Drop for ConnectionTicket {
    fn drop(&mut self) {
        self.settle(match (self.head.load(Relaxed), self.refused.load(Relaxed)) {
            (true, _) => None,
            (false, true) => Some(UnscannedReason::Refused),
            (false, false) => Some(UnscannedReason::IncompleteHead),
        });
    }
}

impl OpaqueTicket {
    /// Bytes went through, in either direction.
    pub fn relayed(&self, bytes: u64) {
        let mut books = self.meter.open();
        books.seen.bytes += bytes;
        books.bucket(Some(self.reason)).bytes += bytes;
    }
}

impl MessageTicket {
    /// Payload bytes of this message went through.
    ///
    /// Bytes that come after the message was settled count as `scanner_error`, or as `dropped` if it was: nobody can have
    /// looked at them.
    pub fn relayed(&self, bytes: u64) {
        let mut books = self.meter.open();
        let settled = self.settled.load(Relaxed);
        books.seen.bytes += bytes;
        let reason = match (settled, self.dropped.load(Relaxed)) {
            (false, _) => UnscannedReason::InProgress,
            (true, true) => UnscannedReason::Dropped,
            (true, false) => UnscannedReason::ScannerError,
        };
        books.bucket(Some(reason)).bytes += bytes;
        self.relayed.fetch_add(bytes, Relaxed);
    }

    /// What passed packed was handed to the scanner as so many bytes: it is these that [`MessageTicket::settle`] is
    /// told of, and a part of them stands for the same part of what was relayed.
    pub(in crate::flow::capture) fn shown(&self, bytes: u64) {
        self.shown.fetch_add(bytes, Relaxed);
    }

    /// Part of this message was not handed to the scanner: what is not scanned of it is `dropped`.
    pub fn mark_dropped(&self) {
        self.dropped.store(true, Relaxed);
    }

    /// The message is over: `scanned` of its relayed bytes were looked at, the others not, for `reason`.
    ///
    /// `None` says that everything was looked at. A ticket dropped unsettled counts as `scanner_error`. Of a message
    /// marked as dropped, the others are `dropped`, whatever `reason` says. The first settling counts.
    pub fn settle(&self, scanned: u64, reason: Option<UnscannedReason>) {
        let mut books = self.meter.open();
        if self.settled.swap(true, Relaxed) {
            return;
        }
        let relayed = self.relayed.load(Relaxed);
        let reason = if self.dropped.load(Relaxed) { Some(UnscannedReason::Dropped) } else { reason };
        let scanned = match (reason, self.shown.load(Relaxed)) {
            (None, _) => relayed,
            (Some(_), 0) => scanned.min(relayed),
            (Some(_), shown) => {
                let part = u128::from(relayed) * u128::from(scanned.min(shown)) / u128::from(shown);
                u64::try_from(part).unwrap_or(relayed)
            }
        };
        books.waiting().messages -= 1;
        books.waiting().bytes -= relayed;
        books.scanned.bytes += scanned;
        let bucket = books.bucket(reason);
        bucket.messages += 1;
        bucket.bytes += relayed - scanned;
    }
}

impl Drop for MessageTicket {
    fn drop(&mut self) {
        self.settle(0, Some(UnscannedReason::ScannerError));
    }
}
