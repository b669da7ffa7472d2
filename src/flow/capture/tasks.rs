//! Work that has to end before the proxy has.

use hudsucker::hyper::rt::Executor;
use std::time::Duration;
use tokio::{task::AbortHandle, time::timeout};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// A group of tasks that ends together: by itself, or cut.
#[derive(Clone, Default)]
pub(super) struct Tasks {
    tracker: TaskTracker,
    cut: CancellationToken,
}

impl Tasks {
    /// Runs until it is done or cut.
    pub(super) fn spawn<F>(&self, work: F) -> AbortHandle
    where
        F: Future<Output: Send> + Send + 'static,
    {
        let cut = self.cut.clone();
        // Boxed, or else the task would hold it once for each hand it goes through.
        let work = Box::pin(work);
        self.tracker.spawn(async move { cut.run_until_cancelled(work).await.map(drop) }).abort_handle()
    }

    /// Waits until all are done, and after `limit` cuts them.
    pub(super) async fn end_within(&self, limit: Duration) {
        self.tracker.close();
        if timeout(limit, self.tracker.wait()).await.is_err() {
            self.cut.cancel();
            self.tracker.wait().await;
        }
    }
}

/// The engine's own tasks, one for each upstream connection, hold the bodies they send.
impl<F> Executor<F> for Tasks
where
    F: Future<Output: Send> + Send + 'static,
{
    fn execute(&self, work: F) {
        drop(self.spawn(work));
    }
}
