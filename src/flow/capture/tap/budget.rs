//! Bytes → room for them in the queue, as long as there is some, until they are let go.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

/// Room for what is queued and what the scanners hold.
#[derive(Clone)]
pub(super) struct Budget {
    pub(super) limit: usize,
    pub(super) used: Arc<AtomicUsize>,
}

impl Budget {
    pub(super) fn take(&self, bytes: usize) -> Option<Charge> {
        let fits = |used: usize| used.checked_add(bytes).filter(|total| *total <= self.limit);
        self.used.fetch_update(Relaxed, Relaxed, fits).ok()?;
        Some(Charge { budget: self.clone(), bytes })
    }
}

/// Room in the queue, given back when dropped.
pub(super) struct Charge {
    pub(super) budget: Budget,
    pub(super) bytes: usize,
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.budget.used.fetch_sub(self.bytes, Relaxed);
    }
}

/// Bytes a scanner holds on to: they count against the queue's bound.
pub struct Holding(pub(super) Charge);

impl Holding {
    /// What it holds.
    pub fn bytes(&self) -> usize {
        self.0.bytes
    }

    /// The scanner now holds `bytes`. It may hold more than fits: then nothing new fits until it lets go.
    ///
    /// `false` when it holds more than before and that is too much, as what is packed small and held unpacked can be.
    #[must_use]
    pub fn set(&mut self, bytes: usize) -> bool {
        let Charge { budget, bytes: before } = &mut self.0;
        let used = budget.used.fetch_add(bytes, Relaxed).saturating_add(bytes).saturating_sub(*before);
        budget.used.fetch_sub(*before, Relaxed);
        bytes <= std::mem::replace(before, bytes) || used <= budget.limit
    }
}
