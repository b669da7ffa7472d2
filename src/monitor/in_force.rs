//! What holds now, for those who ask with each message; a reload puts another in its place.

use std::sync::{Arc, PoisonError, RwLock};

/// One thing in force, shared by all who look it up.
pub(super) struct InForce<T>(Arc<RwLock<Arc<T>>>);

impl<T> InForce<T> {
    pub(super) fn new(first: Arc<T>) -> Self {
        Self(Arc::new(RwLock::new(first)))
    }

    /// The one now. Who keeps it keeps it: a message is judged by what held when it began.
    pub(super) fn now(&self) -> Arc<T> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn replace(&self, next: Arc<T>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = next;
    }
}

impl<T> Clone for InForce<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}
