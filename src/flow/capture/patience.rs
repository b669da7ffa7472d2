//! How long a client connection may take: for a head, and between two exchanges.
//!
//! The engine knows one limit for both. Here a head must come whole within its limit from its first byte on (from the
//! connection's start for the first one), and the pause before it has a limit of its own. An exchange has none.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, sleep},
};

/// The limits of one connection, and where it stands.
#[derive(Clone)]
pub(super) struct Patience {
    head: Duration,
    idle: Duration,
    state: Arc<Mutex<State>>,
}

struct State {
    exchanges: usize,
    since: Instant,
    // A head has begun at `since`; otherwise the pause has.
    in_head: bool,
}

/// An exchange is under way for as long as this lives.
pub(super) struct Busy(Patience, Arc<Counted>);

/// The exchanges of all connections, and how many there may be.
#[derive(Clone)]
pub(super) struct Exchanges {
    most: usize,
    now: Arc<AtomicUsize>,
}

/// One of them.
pub(super) struct Counted(Exchanges);

impl Exchanges {
    pub(super) fn new(most: usize) -> Self {
        Self { most, now: Arc::default() }
    }

    /// One more begins, whatever the bound.
    fn begin(&self) -> Counted {
        self.now.fetch_add(1, Relaxed);
        Counted(self.clone())
    }

    /// How many there are.
    pub(super) fn now(&self) -> usize {
        self.now.load(Relaxed)
    }

    /// Whether there are more than there may be, this one included.
    pub(super) fn too_many(&self) -> bool {
        self.now() > self.most
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.now.fetch_sub(1, Relaxed);
    }
}

impl Patience {
    pub(super) fn new(head: Duration, idle: Duration) -> Self {
        let state = State { exchanges: 0, since: Instant::now(), in_head: true };
        Self { head, idle, state: Arc::new(Mutex::new(state)) }
    }

    /// A complete head was read.
    pub(super) fn busy(&self, exchanges: &Exchanges) -> Busy {
        let mut state = self.state();
        state.exchanges += 1;
        state.in_head = false;
        Busy(self.clone(), Arc::new(exchanges.begin()))
    }

    /// Returns when a limit has passed. It looks again at the earliest time one could, so that an exchange costs no timer.
    pub(super) async fn exhausted(&self) {
        while let Some(left) = self.left(Instant::now()) {
            sleep(left).await;
        }
    }

    /// How long no limit can pass; `None` when one has.
    fn left(&self, now: Instant) -> Option<Duration> {
        let state = self.state();
        let spent = now.saturating_duration_since(state.since);
        let left = if state.exchanges > 0 {
            self.head
        } else if state.in_head {
            self.head.saturating_sub(spent)
        } else {
            // A head may begin meanwhile: it has its whole limit until the next look.
            self.idle.saturating_sub(spent).min(self.head)
        };
        (!left.is_zero()).then_some(left)
    }

    fn bytes_read(&self) {
        let mut state = self.state();
        if state.exchanges == 0 && !state.in_head {
            *state = State { exchanges: 0, since: Instant::now(), in_head: true };
        }
    }

    // Nothing in here can panic half-way.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clone for Busy {
    fn clone(&self) -> Self {
        self.0.state().exchanges += 1;
        Self(self.0.clone(), Arc::clone(&self.1))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.exchanges -= 1;
        state.since = Instant::now();
    }
}

/// A client's stream that tells its [`Patience`] when bytes come.
pub(super) struct Watched<S> {
    pub(super) stream: S,
    pub(super) patience: Patience,
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let result = ready!(Pin::new(&mut self.stream).poll_read(cx, buf));
        if buf.filled().len() > before {
            self.patience.bytes_read();
        }
        Poll::Ready(result)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: Duration = Duration::from_secs(30);
    const IDLE: Duration = Duration::from_secs(300);

    async fn age(patience: &Patience) -> Duration {
        let start = Instant::now();
        patience.exhausted().await;
        start.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_head_has_its_limit_however_its_bytes_drip() {
        let patience = Patience::new(HEAD, IDLE);
        patience.bytes_read();
        sleep(HEAD / 2).await;
        patience.bytes_read();
        assert_eq!(age(&patience).await.as_secs(), 15);
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_has_its_own_limit_and_an_exchange_none() {
        let patience = Patience::new(HEAD, IDLE);
        let busy = patience.busy(&Exchanges::new(1));
        assert!(tokio::time::timeout(HEAD * 1000, patience.exhausted()).await.is_err());
        drop(busy);
        assert_eq!(age(&patience).await.as_secs(), 300);
    }

    #[tokio::test(start_paused = true)]
    async fn a_later_head_is_limited_from_its_first_byte() {
        let patience = Patience::new(HEAD, IDLE);
        drop(patience.busy(&Exchanges::new(1)));
        let late = patience.clone();
        tokio::spawn(async move {
            sleep(Duration::from_secs(100)).await;
            late.bytes_read();
        });
        assert_eq!(age(&patience).await.as_secs(), 130);
    }
}
