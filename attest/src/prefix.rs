//! The newest signed word on the beginning of the log → what the records that are missing there add up to.
//!
//! Records at the beginning may be missing for two reasons alone, and each is an event inside the signed range: a prune,
//! which names the last record that went, or a recovery, which stands in its place.

use crate::chain::FIRST_SEQ;
use posture::{Counts, Event, EventBody, Prune, Sha256Hex};

/// Why the log begins where it does.
pub(crate) enum Prefix {
    /// Nothing says that anything is missing.
    Whole,
    /// The oldest records were pruned.
    Pruned(Box<Prune>),
    /// A person began the log anew with record `seq`.
    BegunAnew { seq: u64, prev_sha256: Sha256Hex, counts: Counts },
}

impl Prefix {
    /// The next signed event of the log: the newest word counts.
    pub(crate) fn see(&mut self, event: Event) {
        match event.event {
            EventBody::Prune(prune) => *self = Self::Pruned(prune),
            EventBody::Recovery(recovery) => {
                let Event { seq, prev_sha256, .. } = event;
                *self = Self::BegunAnew { seq, prev_sha256, counts: recovery.totals.counts };
            }
            _ => {}
        }
    }

    pub(crate) fn is_recovery(&self) -> bool {
        matches!(self, Self::BegunAnew { .. })
    }

    /// What the records below `first_seq`, the last of which hashes to `before_first`, add up to. `None` when that is
    /// not where this says that the log begins.
    pub(crate) fn counts(self, first_seq: u64, before_first: Option<&Sha256Hex>) -> Option<Counts> {
        match self {
            Self::Whole => (first_seq == FIRST_SEQ).then(Counts::default),
            Self::Pruned(prune) => {
                let ends = prune.last_seq.checked_add(1) == Some(first_seq) && before_first == Some(&prune.last_sha256);
                ends.then_some(prune.counts)
            }
            Self::BegunAnew { seq, prev_sha256, counts } => {
                let begins = seq == first_seq && seq != FIRST_SEQ && before_first == Some(&prev_sha256);
                begins.then_some(counts)
            }
        }
    }
}
