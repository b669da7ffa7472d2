//! Two streams → each other, unchanged: every byte told of once it has passed, no longer idle than allowed.
//!
//! Bytes pass through the stack: a tunnel on which nothing moves holds no buffer, and thousands of them are cheap.

use std::{
    future::poll_fn,
    io,
    mem::MaybeUninit,
    pin::Pin,
    sync::{Mutex, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

/// Read at once: a whole TLS record (RFC 8446, section 5.1).
const BUFFER: usize = 16 << 10;
/// When the proxy stops, a tunnel on which nothing moves for this long is over.
const QUIET: Duration = Duration::from_millis(500);

/// Relays, and tells `up` what passed to upstream and `down` what passed to the client, until both sides have ended, one failed, or nothing moved for `idle`. A side that has only finished sending
/// can still receive. Once `stopping`, a tunnel is cut as soon as it is quiet.
pub(super) async fn relay(
    mut client: impl AsyncRead + AsyncWrite + Unpin,
    mut upstream: impl AsyncRead + AsyncWrite + Unpin,
    mut up: impl FnMut(&[u8]),
    mut down: impl FnMut(&[u8]),
    idle: Duration,
    stopping: &CancellationToken,
) {
    let last = Mutex::new(Instant::now());
    let moved = || *last.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    let mut up = |bytes: &[u8]| {
        moved();
        up(bytes);
    };
    let mut down = |bytes: &[u8]| {
        moved();
        down(bytes);
    };
    let (mut there, mut back) = (Way::default(), Way::default());
    let both = poll_fn(|cx| {
        let there = there.poll(cx, &mut client, &mut upstream, &mut up)?;
        let back = back.poll(cx, &mut upstream, &mut client, &mut down)?;
        if there.is_ready() && back.is_ready() { Poll::Ready(io::Result::Ok(())) } else { Poll::Pending }
    });
    tokio::select! {
        // Why a tunnel ended is its two ends' affair.
        _ = both => {}
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

/// One direction.
#[derive(Default)]
struct Way {
    // Read, and not yet taken by the other side: what was read and never written was not relayed.
    unsent: Vec<u8>,
    ended: bool,
    over: bool,
}

impl Way {
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut (impl AsyncRead + Unpin),
        to: &mut (impl AsyncWrite + Unpin),
        passed: &mut impl FnMut(&[u8]),
    ) -> Poll<io::Result<()>> {
        while !self.over {
            while !self.unsent.is_empty() {
                let written = ready!(Pin::new(&mut *to).poll_write(cx, &self.unsent))?;
                if written == 0 {
                    return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
                }
                passed(&self.unsent[..written]);
                self.unsent.drain(..written);
            }
            if self.ended {
                ready!(Pin::new(&mut *to).poll_shutdown(cx))?;
                self.over = true;
                break;
            }
            self.unsent = Vec::new();
            let mut space = [MaybeUninit::uninit(); BUFFER];
            let mut read = ReadBuf::uninit(&mut space);
            if Pin::new(&mut *from).poll_read(cx, &mut read)?.is_pending() {
                // Nothing more for now: what was written has to leave.
                let _ = Pin::new(&mut *to).poll_flush(cx)?;
                return Poll::Pending;
            }
            let read = read.filled();
            if read.is_empty() {
                self.ended = true;
            } else if let Poll::Ready(written) = Pin::new(&mut *to).poll_write(cx, read)? {
                passed(&read[..written]);
                self.unsent.extend_from_slice(&read[written..]);
            } else {
                self.unsent.extend_from_slice(read);
            }
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::capture::{Meter, OpaqueTicket};
    use posture::UnscannedReason;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    fn count(ticket: &OpaqueTicket) -> impl FnMut(&[u8]) {
        |bytes| ticket.relayed(bytes.len() as u64)
    }

    const IDLE: Duration = Duration::from_secs(60);

    #[tokio::test(start_paused = true)]
    async fn a_half_closed_tunnel_still_answers_and_counts_both_ways() {
        let meter = Meter::default();
        let ticket = meter.connection().opaque(UnscannedReason::Tunnel);
        let ((mut client, near), (far, mut origin)) = (duplex(64), duplex(64));
        let stopping = CancellationToken::new();
        let relay = relay(near, far, count(&ticket), count(&ticket), IDLE, &stopping);
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
    async fn a_slow_reader_gets_every_byte_in_order() {
        let meter = Meter::default();
        let ticket = meter.connection().opaque(UnscannedReason::Tunnel);
        let ((client, near), (far, origin)) = (duplex(7), duplex(100));
        let stopping = CancellationToken::new();
        let bytes: Vec<u8> = (0..=250).cycle().take(3 * BUFFER + 1).collect();
        let talk = |end: tokio::io::DuplexStream| async {
            let (mut reader, mut writer) = tokio::io::split(end);
            let mut received = vec![0; bytes.len()];
            let (sent, read) = tokio::join!(writer.write_all(&bytes), reader.read_exact(&mut received));
            sent.and(read.map(drop)).unwrap();
            assert!(received == bytes);
        };
        tokio::join!(relay(near, far, count(&ticket), count(&ticket), IDLE, &stopping), talk(client), talk(origin));
        assert_eq!(meter.coverage().unscanned(UnscannedReason::Tunnel).bytes, 2 * bytes.len() as u64);
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_tunnel_ends_and_a_stop_ends_it_sooner() {
        let meter = Meter::default();
        let ticket = meter.connection().opaque(UnscannedReason::Tunnel);
        let stopping = CancellationToken::new();
        let ((_client, near), (far, _origin)) = (duplex(64), duplex(64));
        let start = Instant::now();
        relay(near, far, count(&ticket), count(&ticket), IDLE, &stopping).await;
        assert_eq!(start.elapsed().as_secs(), 60);

        let ((_client, near), (far, _origin)) = (duplex(64), duplex(64));
        let start = Instant::now();
        stopping.cancel();
        relay(near, far, count(&ticket), count(&ticket), IDLE, &stopping).await;
        assert!(start.elapsed() < Duration::from_secs(1));
    }
}
