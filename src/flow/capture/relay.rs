//! Two streams → each other, unseen: every byte counted as it passes, no longer idle than allowed.

use super::meter::OpaqueTicket;
use std::{
    io,
    pin::Pin,
    sync::{Mutex, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf, copy_bidirectional_with_sizes},
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

/// For each direction: thousands of idle tunnels are cheap, and a TLS record passes in two or three.
const BUFFER: usize = 8 << 10;
/// When the proxy stops, a tunnel on which nothing moves for this long is over.
const QUIET: Duration = Duration::from_millis(500);

/// Relays until both sides have ended, one failed, or nothing moved for `idle`. A side that has only finished sending
/// can still receive. Once `stopping`, a tunnel is cut as soon as it is quiet.
pub(super) async fn relay(
    client: impl AsyncRead + AsyncWrite + Unpin,
    upstream: impl AsyncRead + AsyncWrite + Unpin,
    ticket: &OpaqueTicket,
    idle: Duration,
    stopping: &CancellationToken,
) {
    let last = Mutex::new(Instant::now());
    let mut client = Counted { stream: client, ticket, last: &last };
    let mut upstream = Counted { stream: upstream, ticket, last: &last };
    tokio::select! {
        // Why a tunnel ended is its two ends' affair.
        _ = copy_bidirectional_with_sizes(&mut client, &mut upstream, BUFFER, BUFFER) => {}
        () = still(&last, idle, stopping) => {}
    }
}

/// Returns when nothing has moved for `idle`, or for [`QUIET`] once stopping.
async fn still(last: &Mutex<Instant>, idle: Duration, stopping: &CancellationToken) {
    let moved = || *last.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        let stopped = stopping.is_cancelled();
        let deadline = moved() + if stopped { QUIET.min(idle) } else { idle };
        if deadline <= Instant::now() {
            return;
        }
        tokio::select! {
            () = sleep_until(deadline) => {}
            () = stopping.cancelled(), if !stopped => {}
        }
    }
}

/// A stream whose written bytes are counted: what was read and never written was not relayed.
struct Counted<'a, S> {
    stream: S,
    ticket: &'a OpaqueTicket,
    last: &'a Mutex<Instant>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Counted<'_, S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Counted<'_, S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write(cx, buf))?;
        self.ticket.relayed(written as u64);
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::capture::Meter;
    use posture::UnscannedReason;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    const IDLE: Duration = Duration::from_secs(60);

    #[tokio::test(start_paused = true)]
    async fn a_half_closed_tunnel_still_answers_and_counts_both_ways() {
        let meter = Meter::default();
        let ticket = meter.connection().opaque(UnscannedReason::Tunnel);
        let ((mut client, near), (far, mut origin)) = (duplex(64), duplex(64));
        let stopping = CancellationToken::new();
        let relay = relay(near, far, &ticket, IDLE, &stopping);
        let talk = async {
            client.write_all(b"question").await.unwrap();
            client.shutdown().await.unwrap();
            let mut question = Vec::new();
            origin.read_to_end(&mut question).await.unwrap();
            assert_eq!(question, b"question");
            origin.write_all(b"an answer").await.unwrap();
            drop(origin);
            let mut answer = Vec::new();
            client.read_to_end(&mut answer).await.unwrap();
            assert_eq!(answer, b"an answer");
        };
        tokio::join!(relay, talk);
        assert_eq!(meter.coverage().unscanned(UnscannedReason::Tunnel).bytes, 17);
        assert!(meter.coverage().adds_up());
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_tunnel_ends_and_a_stop_ends_it_sooner() {
        let meter = Meter::default();
        let ticket = meter.connection().opaque(UnscannedReason::Tunnel);
        let stopping = CancellationToken::new();
        let ((_client, near), (far, _origin)) = (duplex(64), duplex(64));
        let start = Instant::now();
        relay(near, far, &ticket, IDLE, &stopping).await;
        assert_eq!(start.elapsed().as_secs(), 60);

        let ((_client, near), (far, _origin)) = (duplex(64), duplex(64));
        let start = Instant::now();
        stopping.cancel();
        relay(near, far, &ticket, IDLE, &stopping).await;
        assert!(start.elapsed() < Duration::from_secs(1));
    }
}
