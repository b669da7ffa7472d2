//! Clients and servers that mean harm: bounded in what they take, and others are served meanwhile.

use crate::{
    inspect::rig::{Inspecting, body, bounded, echo, listen, request},
    proxy::rig::{Origin, Rig, Wire, authenticated},
};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hudsucker::{
    hyper::{
        Request, Response,
        body::{Body, Frame, SizeHint},
        client, server,
        service::service_fn,
    },
    hyper_util::rt::{TokioExecutor, TokioIo},
};
use posture::Totals;
use posture::UnscannedReason::{InProgress, IncompleteHead, Refused};
use std::{
    convert::Infallible,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll},
    time::Duration,
};
use tokio::{io::AsyncReadExt, net::TcpStream, task::yield_now, time::sleep};

/// Asks an origin over a new connection, and is answered.
async fn served(rig: &Rig, origin: &Origin) {
    let get = format!("GET http://{}/ HTTP/1.1\r\nHost: x\r\nAUTH\r\nConnection: close\r\n\r\n", origin.name);
    let mut client = rig.send(&get).await;
    let mut upstream = origin.accept().await;
    upstream.head().await;
    upstream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok").await;
    assert!(client.head().await.starts_with("HTTP/1.1 200 "));
    assert_eq!(client.exactly(2).await, b"ok");
}

/// Goes away with a reset (RFC 9293, section 3.10.5), not with an end.
fn reset(wire: Wire) {
    wire.0.set_zero_linger().unwrap();
    drop(wire);
}

async fn until(what: impl Fn() -> bool) {
    bounded(async {
        while !what() {
            sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn strangers_at_the_limit_keep_nobody_out() {
    const ROOM: usize = 32;
    let rig = Rig::with(1 << 20, |settings| settings.max_connections = ROOM);
    let origin = Origin::new().await;
    let mut strangers = Vec::new();
    for n in 0..200 {
        let mut stranger = rig.connect().await;
        // Silent, half a head, a whole one without the credential.
        stranger.send([&b""[..], b"GET http://x", b"GET http://x.invalid/ HTTP/1.1\r\n\r\n"][n % 3]).await;
        strangers.push(stranger);
        if n % 10 == 9 {
            served(&rig, &origin).await;
            assert!(rig.load.connections() <= ROOM);
        }
    }
    let (meter, _) = rig.stop().await;
    assert_eq!(meter.coverage().unscanned(InProgress), Totals::default());
    assert!(meter.refusals().iter().any(|(why, times)| *why == "too_many_connections" && *times > 100));
}

#[tokio::test]
async fn resets_at_every_stage_leave_nothing_behind() {
    let (rig, origin) = (Rig::new(), Origin::new().await);
    let name = &origin.name;
    let stages = [
        String::new(),
        "G".to_owned(),
        format!("POST http://{name}/ HTTP/1.1\r\nHost: x\r\nAU"),
        format!("POST http://{name}/ HTTP/1.1\r\nHost: x\r\nAUTH\r\nContent-Length: 9\r\n\r\n"),
        format!("POST http://{name}/ HTTP/1.1\r\nHost: x\r\nAUTH\r\nContent-Length: 9\r\n\r\nhalf"),
        format!("POST http://{name}/ HTTP/1.1\r\nHost: x\r\nAUTH\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nha"),
        format!("CONNECT {name} HTTP/1.1\r\nHost: x\r\nAUTH\r\n\r\n"),
        format!("CONNECT {name} HTTP/1.1\r\nHost: x\r\nAUTH\r\n\r\n\u{16}\u{3}\u{1}"),
        format!("CONNECT {name} HTTP/1.1\r\nHost: x\r\nAUTH\r\n\r\nPOST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nha"),
        format!("CONNECT {name} HTTP/1.1\r\nHost: x\r\nAUTH\r\n\r\nPRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    ];
    let accepting = async {
        loop {
            // It, too, does nothing but go away.
            drop(origin.accept().await);
        }
    };
    let storm = async {
        for sent in stages.iter().cycle().take(20 * stages.len()) {
            let wire = rig.send(sent).await;
            yield_now().await;
            reset(wire);
        }
        until(|| rig.load.connections() == 0 && rig.load.exchanges() == 0).await;
    };
    tokio::select! {
        () = storm => {}
        () = accepting => {}
    }
    until(|| rig.meter.coverage().unscanned(InProgress) == Totals::default()).await;
    let coverage = rig.meter.coverage();
    assert!(coverage.adds_up() && coverage.unscanned(IncompleteHead).connections > 0);
    let origin = Origin::new().await;
    served(&rig, &origin).await;
    rig.stop().await;
}

#[tokio::test]
async fn an_upstream_gone_at_every_stage_costs_one_exchange() {
    let (rig, origin) = (Rig::new(), Origin::new().await);
    let stages: [(&[u8], bool); 6] = [
        (b"", false),
        (b"HTTP/1.1 20", false),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\nX: ", false),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", true),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", true),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nha", true),
    ];
    for (sent, answered) in stages {
        for by_reset in [false, true] {
            let get = format!("GET http://{}/ HTTP/1.1\r\nHost: x\r\nAUTH\r\n\r\n", origin.name);
            let mut client = rig.send(&get).await;
            let mut upstream = origin.accept().await;
            upstream.head().await;
            upstream.send(sent).await;
            if answered {
                assert!(client.head().await.starts_with("HTTP/1.1 200 "));
            }
            if by_reset {
                reset(upstream);
            } else {
                drop(upstream);
            }
            if answered {
                // Broken off as it was: no end that was not sent.
                assert!(!client.rest().await.ends_with(b"0\r\n\r\n"));
            } else {
                assert!(client.head().await.starts_with("HTTP/1.1 502 "));
                client.send(authenticated(&get).as_bytes()).await;
                origin.accept().await.head().await;
            }
            drop(client);
            served(&rig, &origin).await;
        }
    }
    let (meter, _) = rig.stop().await;
    assert_eq!(meter.coverage().unscanned(InProgress), Totals::default());
}

/// A frame of HTTP/2 (RFC 9113, section 4.1).
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

#[tokio::test]
async fn a_storm_of_http2_resets_is_cut_and_others_are_served() {
    let proxy = Inspecting::new();
    let begun = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&begun);
    let port = listen(move |stream| {
        let count = Arc::clone(&count);
        async move {
            let service = service_fn(move |request| {
                count.fetch_add(1, Relaxed);
                async { Ok::<_, Infallible>(echo(request).await) }
            });
            let server = server::conn::http2::Builder::new(TokioExecutor::new());
            let _ = server.serve_connection(TokioIo::new(stream), service).await;
        }
    })
    .await;
    let authority = format!("127.0.0.1:{port}");
    let mut attacker = Wire(proxy.tunnel(&authority).await);
    attacker.send(&[b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &frame(4, 0, 0, &[])[..]].concat()).await;
    // GET http / with the authority, then CANCEL at once (CVE-2023-44487).
    let name = authority.as_bytes();
    let head = [&[0x82, 0x86, 0x84, 0x41, u8::try_from(name.len()).unwrap()], name].concat();
    let storm = async {
        for n in 0..50_000_u32 {
            let pair = [frame(1, 5, 2 * n + 1, &head), frame(3, 0, 2 * n + 1, &8_u32.to_be_bytes())].concat();
            if tokio::io::AsyncWriteExt::write_all(&mut attacker.0, &pair).await.is_err() {
                return n;
            }
        }
        50_000
    };
    let answers = async {
        for _ in 0..20 {
            let stream = proxy.tunnel(&authority).await;
            let (mut sender, connection) =
                client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
            tokio::spawn(connection);
            let question = request(true, &authority, "/", "still there");
            let answer = body(bounded(sender.send_request(question)).await.unwrap()).await;
            assert!(answer.ends_with("still there"));
        }
    };
    let (sent, ()) = bounded(async { tokio::join!(storm, answers) }).await;
    assert!(sent < 50_000, "the connection of the storm was never cut");
    assert!(begun.load(Relaxed) < 5_000, "{} requests reached the origin", begun.load(Relaxed));
    drop(attacker);
    until(|| proxy.rig.load.exchanges() == 0).await;
}

/// So many bytes, a piece at a time, counted as they are taken.
struct Counted(usize, Arc<AtomicUsize>);

impl Body for Counted {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        const PIECE: &[u8] = &[b'x'; 16 << 10];
        if self.0 == 0 {
            return Poll::Ready(None);
        }
        let length = PIECE.len().min(self.0);
        self.0 -= length;
        self.1.fetch_add(length, Relaxed);
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&PIECE[..length])))))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0 as u64)
    }
}

#[tokio::test]
async fn a_window_that_never_opens_holds_no_more_than_itself() {
    const STREAMS: usize = 50;
    const BODY: usize = 100 << 20;
    let (proxy, taken) = (Inspecting::new(), Arc::new(AtomicUsize::new(0)));
    let count = Arc::clone(&taken);
    let port = listen(move |stream| {
        let count = Arc::clone(&count);
        async move {
            let service = service_fn(move |request: Request<_>| {
                let count = Arc::clone(&count);
                async move {
                    let small = request.uri().path() == "/small";
                    let body = Counted(if small { 2 } else { BODY }, count);
                    Ok::<_, Infallible>(Response::new(body))
                }
            });
            let server = server::conn::http2::Builder::new(TokioExecutor::new());
            let _ = server.serve_connection(TokioIo::new(stream), service).await;
        }
    })
    .await;
    let authority = format!("127.0.0.1:{port}");
    let stream = proxy.tunnel(&authority).await;
    let mut builder = client::conn::http2::Builder::new(TokioExecutor::new());
    builder.initial_stream_window_size(1).initial_connection_window_size(1 << 16);
    let (mut sender, connection) = builder.handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let get = |path: &str| Request::get(format!("http://{authority}{path}")).body(Full::<Bytes>::default()).unwrap();
    let mut unread = Vec::new();
    for _ in 0..STREAMS {
        unread.push(bounded(sender.send_request(get("/"))).await.unwrap());
    }
    let mut before = usize::MAX;
    while before != taken.load(Relaxed) {
        before = taken.load(Relaxed);
        sleep(Duration::from_millis(300)).await;
    }
    assert!(before < 64 << 20, "{before} bytes of {} were taken that nobody read", STREAMS * BODY);
    assert!(proxy.rig.tap.used() < 1 << 20);
    // On a connection of its own, another is served.
    let stream: TcpStream = proxy.tunnel(&authority).await;
    let (mut other, connection) =
        client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let answer = bounded(other.send_request(get("/small"))).await.unwrap();
    assert_eq!(bounded(answer.into_body().collect()).await.unwrap().to_bytes(), "xx");
    drop((unread, sender));
    until(|| proxy.rig.load.exchanges() == 0).await;
}

#[tokio::test]
async fn a_flood_of_headers_ends_at_the_bound_and_costs_one_connection() {
    let (rig, origin) = (Rig::new(), Origin::new().await);
    let mut attacker = rig.send(&format!("GET http://{}/ HTTP/1.1\r\nAUTH\r\n", origin.name)).await;
    let mut sent = 0_usize;
    let field = format!("X-Flood: {}\r\n", "a".repeat(1000));
    while tokio::io::AsyncWriteExt::write_all(&mut attacker.0, field.as_bytes()).await.is_ok() {
        sent += field.len();
        assert!(sent < 8 << 20, "nobody cuts it");
        yield_now().await;
    }
    let mut answer = Vec::new();
    let _ = attacker.0.read_to_end(&mut answer).await;
    served(&rig, &origin).await;
    let (meter, _) = rig.stop().await;
    assert_eq!(meter.coverage().unscanned(Refused).connections, 1);
}

#[tokio::test]
async fn a_head_without_end_of_an_upstream_ends_at_a_bound_and_costs_one_exchange() {
    let (rig, origin) = (Rig::new(), Origin::new().await);
    let flood = format!("X-Flood: {}\r\n", "a".repeat(1000));
    for (begin, more) in [("HTTP/1.1 200 OK\r\n", flood.as_str()), ("HTTP/1.1 200 OK\r\nX: ", "aaaaaaaa")] {
        let mut client = rig.send(&format!("GET http://{}/ HTTP/1.1\r\nHost: x\r\nAUTH\r\n\r\n", origin.name)).await;
        let mut upstream = origin.accept().await;
        upstream.head().await;
        upstream.send(begin.as_bytes()).await;
        let (piece, mut sent) = (more.repeat(1 << 16 >> more.len().ilog2()), 0_usize);
        while tokio::io::AsyncWriteExt::write_all(&mut upstream.0, piece.as_bytes()).await.is_ok() {
            sent += piece.len();
            assert!(sent < 16 << 20, "nobody cuts it");
            yield_now().await;
        }
        assert!(client.head().await.starts_with("HTTP/1.1 502 "));
        drop(client);
        served(&rig, &origin).await;
    }
    let (meter, _) = rig.stop().await;
    assert_eq!(meter.coverage().unscanned(InProgress), Totals::default());
}

#[tokio::test]
async fn an_answer_without_end_passes_and_no_more_than_the_queue_of_it_is_held() {
    const QUEUE: usize = 1 << 20;
    for (fields, end) in [
        ("Transfer-Encoding: chunked\r\n\r\n7fffffffffff\r\n", "an endless chunk"),
        ("Content-Type: text/event-stream\r\nConnection: close\r\n\r\ndata: ", "an endless event"),
    ] {
        let (rig, origin) = (Rig::with(QUEUE, |_| {}), Origin::new().await);
        let mut client = rig.send(&format!("GET http://{}/ HTTP/1.1\r\nHost: x\r\nAUTH\r\n\r\n", origin.name)).await;
        let mut upstream = origin.accept().await;
        upstream.head().await;
        upstream.send(format!("HTTP/1.1 200 OK\r\n{fields}").as_bytes()).await;
        client.head().await;
        let piece = vec![b'x'; 64 << 10];
        let (mut passed, mut buffer) = (0, vec![0; 256 << 10]);
        while passed < 16 << 20 {
            upstream.send(&piece).await;
            passed += bounded(client.0.read(&mut buffer)).await.unwrap();
            assert!(rig.tap.used() <= QUEUE, "{end}");
        }
        drop(client);
        // Nobody reads any more: it is told so, and the exchange is over.
        while tokio::io::AsyncWriteExt::write_all(&mut upstream.0, &piece).await.is_ok() {
            yield_now().await;
        }
        until(|| rig.load.exchanges() == 0).await;
        let (meter, _) = rig.stop().await;
        assert_eq!(meter.coverage().unscanned(InProgress), Totals::default(), "{end}");
    }
}
