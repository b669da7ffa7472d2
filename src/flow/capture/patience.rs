//! How long a client connection may take: for a head, and between two exchanges.
//!
//! The engine knows one limit for both. Here a head must come whole within its limit from its first byte on (from the
//! connection's start for the first one), and the pause before it has a limit of its own. An exchange has none, unless
//! its client has finished sending: then each next byte to it has.

use super::proxy::Timeouts;
use std::{
    io,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll, Waker, ready},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::Notify,
    time::{Instant, sleep},
};

/// The limits of one connection, and where it stands.
#[derive(Clone)]
pub(super) struct Patience {
    head: Duration,
    idle: Duration,
    /// For the next byte to a client that has finished sending.
    finish: Duration,
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    /// The client has finished sending: what was waited for is over sooner.
    ended: Notify,
}

struct State {
    exchanges: usize,
    since: Instant,
    // A head has begun at `since`; otherwise the pause has.
    in_head: bool,
    // The client has finished sending, which the engine is told when nothing is under way; and when it last took a byte.
    ended: Option<Instant>,
    untold: Option<Waker>,
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
    pub(super) fn new(limits: &Timeouts) -> Self {
        let state = Mutex::new(State { exchanges: 0, since: Instant::now(), in_head: true, ended: None, untold: None });
        let shared = Arc::new(Shared { state, ended: Notify::new() });
        Self { head: limits.head, idle: limits.keep_alive_idle, finish: limits.drain, shared }
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
            tokio::select! {
                () = sleep(left) => {}
                () = self.shared.ended.notified() => {}
            }
        }
    }

    /// How long no limit can pass; `None` when one has.
    fn left(&self, now: Instant) -> Option<Duration> {
        let state = self.state();
        let spent = now.saturating_duration_since(state.since);
        let left = if let Some(ended) = state.ended {
            self.finish.saturating_sub(now.saturating_duration_since(ended))
        } else if state.exchanges > 0 {
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
            (state.since, state.in_head) = (Instant::now(), true);
        }
    }

    /// The client takes what is sent to it: whoever is gone would not for long.
    fn bytes_written(&self) {
        if let Some(taken) = &mut self.state().ended {
            *taken = Instant::now();
        }
    }

    /// The client has finished sending. True when the engine must not know yet: it takes whoever has finished sending for
    /// gone, and lets go of what is under way. Whether it is gone shows only when something is sent to it.
    fn ended(&self, engine: &Waker) -> bool {
        let mut state = self.state();
        if state.exchanges == 0 {
            return false;
        }
        state.untold = Some(engine.clone());
        if state.ended.is_none() {
            state.ended = Some(Instant::now());
            self.shared.ended.notify_one();
        }
        true
    }

    // Nothing in here can panic half-way.
    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
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
        if state.exchanges == 0
            && let Some(engine) = state.untold.take()
        {
            engine.wake();
        }
    }
}

/// A client's stream that tells its [`Patience`] when bytes come and go.
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
        } else if buf.remaining() > 0 && result.is_ok() && self.patience.ended(cx.waker()) {
            return Poll::Pending;
        }
        Poll::Ready(result)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write(cx, buf));
        self.patience.bytes_written();
        Poll::Ready(written)
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
        let written = ready!(Pin::new(&mut self.stream).poll_write_vectored(cx, bufs));
        self.patience.bytes_written();
        Poll::Ready(written)
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

    const FINISH: Duration = Duration::from_secs(5);

    fn patience() -> Patience {
        Patience::new(&Timeouts { head: HEAD, keep_alive_idle: IDLE, drain: FINISH, ..Timeouts::default() })
    }

    async fn age(patience: &Patience) -> Duration {
        let start = Instant::now();
        patience.exhausted().await;
        start.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_head_has_its_limit_however_its_bytes_drip() {
        let patience = patience();
        patience.bytes_read();
        sleep(HEAD / 2).await;
        patience.bytes_read();
        assert_eq!(age(&patience).await.as_secs(), 15);
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_has_its_own_limit_and_an_exchange_none() {
        let patience = patience();
        let busy = patience.busy(&Exchanges::new(1));
        assert!(tokio::time::timeout(HEAD * 1000, patience.exhausted()).await.is_err());
        drop(busy);
        assert_eq!(age(&patience).await.as_secs(), 300);
    }

    #[tokio::test(start_paused = true)]
    async fn a_later_head_is_limited_from_its_first_byte() {
        let patience = patience();
        drop(patience.busy(&Exchanges::new(1)));
        let late = patience.clone();
        tokio::spawn(async move {
            sleep(Duration::from_secs(100)).await;
            late.bytes_read();
        });
        assert_eq!(age(&patience).await.as_secs(), 130);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_under_way_when_a_client_has_finished_sending_is_limited_from_then_on() {
        let patience = patience();
        let _busy = patience.busy(&Exchanges::new(1));
        let late = patience.clone();
        tokio::spawn(async move {
            sleep(Duration::from_secs(100)).await;
            assert!(late.ended(Waker::noop()));
            sleep(FINISH / 2).await;
            assert!(late.ended(Waker::noop()));
        });
        assert_eq!(age(&patience).await.as_secs(), 105);
    }

    #[tokio::test(start_paused = true)]
    async fn each_byte_taken_gives_the_next_its_whole_limit() {
        let patience = patience();
        let _busy = patience.busy(&Exchanges::new(1));
        patience.bytes_written();
        assert!(patience.ended(Waker::noop()));
        let late = patience.clone();
        tokio::spawn(async move {
            for _ in 0..20 {
                sleep(FINISH / 2).await;
                late.bytes_written();
            }
        });
        assert_eq!(age(&patience).await.as_secs(), 55);
    }

    #[tokio::test(start_paused = true)]
    async fn an_end_between_two_exchanges_is_told_at_once_and_one_within_after_it() {
        struct Woken(std::sync::atomic::AtomicBool);
        impl std::task::Wake for Woken {
            fn wake(self: Arc<Self>) {
                self.0.store(true, std::sync::atomic::Ordering::SeqCst);
            }
        }
        let (patience, woken) = (patience(), Arc::new(Woken(false.into())));
        let engine = Waker::from(Arc::clone(&woken));
        assert!(!patience.ended(&engine));
        let exchanges = Exchanges::new(2);
        let (busy, more) = (patience.busy(&exchanges), patience.busy(&exchanges));
        assert!(patience.ended(&engine));
        drop(busy);
        assert!(!woken.0.load(std::sync::atomic::Ordering::SeqCst));
        drop(more);
        assert!(woken.0.load(std::sync::atomic::Ordering::SeqCst));
        assert!(!patience.ended(&engine));
    }
}
