//! What is not opened, what is opened and is not HTTP, and upstream servers that cannot be trusted.

use super::rig::{Inspecting, Speaker, World, body, bounded, echo, handshake, listen, listen_tls, origin, request};
use guardian::flow::capture::StartLine;
use posture::{Direction, Protocol, UnscannedReason};
use rcgen::CertificateParams;
use time::{Duration, OffsetDateTime};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsAcceptor;

const BOTH: &[&str] = &["h2", "http/1.1"];

#[tokio::test]
async fn a_server_that_cannot_be_trusted_is_an_error_to_the_client() {
    fn as_it_is(_: &mut CertificateParams) {}
    fn expired(params: &mut CertificateParams) {
        params.not_after = OffsetDateTime::now_utc() - Duration::days(1);
    }
    fn not_yet(params: &mut CertificateParams) {
        params.not_before = OffsetDateTime::now_utc() + Duration::days(1);
    }
    type Server = fn(&World) -> TlsAcceptor;
    let cases: [(Server, &str); 5] = [
        (|_| World::called("a stranger").server(&["localhost"], BOTH, as_it_is), "certificate_not_trusted"),
        (|_| World::new().server(&["localhost"], BOTH, as_it_is), "certificate_invalid"),
        (|world| world.server(&["elsewhere.example"], BOTH, as_it_is), "certificate_for_another_name"),
        (|world| world.server(&["localhost"], BOTH, expired), "certificate_expired"),
        (|world| world.server(&["localhost"], BOTH, not_yet), "certificate_not_yet_valid"),
    ];
    for (server, reason) in cases {
        for http2 in [false, true] {
            let proxy = Inspecting::new();
            let port = origin(server(&proxy.world), |_| async { unreachable!("nothing was asked") }).await;
            let authority = format!("localhost:{port}");
            let alpn = if http2 { "h2" } else { "http/1.1" };
            let tls = proxy.tls(&authority, "localhost", &[alpn]).await.unwrap();
            let mut speaker = Speaker::new(tls, http2).await;
            let answer = speaker.ask(request(http2, &authority, "/", "sk-secret")).await;
            assert_eq!(answer.status(), 502);
            assert_eq!(body(answer).await, format!("{{\"error\":\"upstream_failed\",\"reason\":\"{reason}\"}}\n"));
            drop(speaker);
            let (meter, _) = proxy.rig.stop().await;
            let failed = meter.coverage().unscanned(UnscannedReason::InterceptionFailed);
            assert_eq!((failed.connections, meter.coverage().scanned.bytes), (1, 0));
        }
    }
}

#[tokio::test]
async fn a_server_without_tls_is_an_error_to_the_client() {
    let proxy = Inspecting::new();
    let port = listen(|mut stream| async move {
        let mut hello = [0; 16];
        let _ = stream.read(&mut hello).await;
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
    })
    .await;
    let authority = format!("localhost:{port}");
    let tls = proxy.tls(&authority, "localhost", BOTH).await.unwrap();
    let answer = Speaker::new(tls, false).await.ask(request(false, &authority, "/", "")).await;
    assert_eq!(body(answer).await, "{\"error\":\"upstream_failed\",\"reason\":\"tls_failed\"}\n");
}

#[tokio::test]
async fn hosts_of_the_pass_through_list_keep_their_own_certificate() {
    let proxy = Inspecting::with(|_| {}, &["localhost"], |_| false);
    let port = origin(proxy.world.server(&["localhost", "127.0.0.1"], BOTH, |_| {}), echo).await;
    let stream = proxy.tunnel(&format!("LocalHost.:{port}")).await;
    let tls = handshake(stream, proxy.world.certificate.clone(), "localhost", &["http/1.1"]).await.unwrap();
    let answer = body(Speaker::new(tls, false).await.ask(request(false, "localhost", "/", "own")).await).await;
    assert_eq!(answer, "HTTP/1.1 POST localhost - own");
    // A host of the list, named with another one's server name, is none of the list.
    let fronted = proxy.tls(&format!("localhost:{port}"), "other.example", &["http/1.1"]).await;
    assert!(fronted.is_ok());
    drop(fronted);
    let (meter, seen) = proxy.rig.stop().await;
    assert!(seen.is_empty());
    let passed = meter.coverage().unscanned(UnscannedReason::PassThrough);
    assert_eq!(passed.connections, 1);
    assert!(passed.bytes > 1000, "a handshake and more: {}", passed.bytes);
}

#[tokio::test]
async fn what_speaks_first_or_is_unknown_within_tls_is_relayed_and_counted() {
    let cases: [(&[u8], &[u8], UnscannedReason); 2] = [
        (b"220 mail.example ESMTP\r\n", b"EHLO me\r\n", UnscannedReason::ServerFirst),
        (b"", b"\x10\x0c\x00\x04MQTT", UnscannedReason::UnknownProtocol),
    ];
    for (greeting, words, reason) in cases {
        let proxy = Inspecting::new();
        let acceptor = proxy.world.server(&["localhost"], &[], |_| {});
        let port = listen_tls(acceptor, move |mut tls| async move {
            tls.write_all(greeting).await.unwrap();
            let mut heard = vec![0; words.len()];
            tls.read_exact(&mut heard).await.unwrap();
            tls.write_all(&heard).await.unwrap();
            tls.shutdown().await.unwrap();
        })
        .await;
        let mut tls = proxy.tls(&format!("localhost:{port}"), "localhost", &["mqtt"]).await.unwrap();
        let mut heard = vec![0; greeting.len()];
        bounded(tls.read_exact(&mut heard)).await.unwrap();
        assert_eq!(heard, greeting);
        tls.write_all(words).await.unwrap();
        let mut heard = vec![0; words.len()];
        bounded(tls.read_exact(&mut heard)).await.unwrap();
        assert_eq!(heard, words);
        drop(tls);
        let (meter, seen) = proxy.rig.stop().await;
        assert!(seen.is_empty());
        let counted = meter.coverage().unscanned(reason);
        assert_eq!((counted.connections, counted.bytes), (1, (greeting.len() + 2 * words.len()) as u64));
    }
}

#[tokio::test]
async fn a_server_that_answers_within_tls_before_it_is_asked_is_not_heard() {
    let proxy = Inspecting::new();
    let acceptor = proxy.world.server(&["localhost"], &[], |_| {});
    let port = listen_tls(acceptor, move |mut tls| async move {
        for piece in [&b"HT"[..], b"TP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno"] {
            tls.write_all(piece).await.unwrap();
        }
        let _ = tls.read(&mut [0; 16]).await;
    })
    .await;
    let mut tls = proxy.tls(&format!("localhost:{port}"), "localhost", &["http/1.1"]).await.unwrap();
    let mut heard = Vec::new();
    let _ = bounded(tls.read_to_end(&mut heard)).await;
    assert_eq!(heard, b"");
    drop(tls);
    let (meter, seen) = proxy.rig.stop().await;
    assert!(seen.is_empty());
    let counted = meter.coverage().unscanned(UnscannedReason::IncompleteHead);
    assert_eq!((counted.connections, meter.coverage().seen.bytes), (1, 0));
}

#[tokio::test]
async fn a_websocket_within_tls_is_read_both_ways() {
    let proxy = Inspecting::new();
    let acceptor = proxy.world.server(&["localhost"], BOTH, |_| {});
    let port = listen_tls(acceptor, move |mut tls| async move {
        let (mut head, mut byte) = (Vec::new(), [0]);
        while !head.ends_with(b"\r\n\r\n") {
            tls.read_exact(&mut byte).await.unwrap();
            head.extend_from_slice(&byte);
        }
        let head = String::from_utf8(head).unwrap();
        assert!(head.contains("Sec-WebSocket-Protocol: chat") && head.contains("Upgrade: websocket"), "{head}");
        tls.write_all(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
            .await
            .unwrap();
        let mut frame = [0; 8];
        tls.read_exact(&mut frame).await.unwrap();
        tls.write_all(&frame).await.unwrap();
        let _ = tls.read(&mut byte).await;
    })
    .await;
    let mut tls = proxy.tls(&format!("localhost:{port}"), "localhost", &["http/1.1"]).await.unwrap();
    let head = format!(
        "GET /chat HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Protocol: chat\r\n\r\n"
    );
    tls.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        bounded(tls.read_exact(&mut byte)).await.unwrap();
        answer.extend_from_slice(&byte);
    }
    assert!(answer.starts_with(b"HTTP/1.1 101 "));
    tls.write_all(b"\x81\x06spoken").await.unwrap();
    let mut echoed = [0; 8];
    bounded(tls.read_exact(&mut echoed)).await.unwrap();
    assert_eq!(&echoed, b"\x81\x06spoken");
    drop(tls);
    let (meter, seen) = proxy.rig.stop().await;
    let said: Vec<_> = seen.iter().filter(|m| matches!(m.head.start, StartLine::WebSocket)).collect();
    assert_eq!(seen.len(), 2 + said.len(), "and its two heads");
    assert_eq!(said.iter().map(|m| m.head.direction).collect::<Vec<_>>(), [Direction::Outbound, Direction::Inbound]);
    for message in said {
        assert_eq!((&message.body[..], message.head.route.protocol), (&b"spoken"[..], Protocol::Wss));
        assert!(message.head.route.verified_tls && message.head.route.names_agree);
    }
    assert_eq!(meter.coverage().scanned, meter.coverage().seen);
}

#[tokio::test]
async fn the_connection_dialled_for_the_client_is_the_one_its_requests_go_out_on() {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    };
    for http2 in [false, true] {
        let proxy = Inspecting::new();
        let inner = origin(proxy.world.server(&["localhost"], BOTH, |_| {}), echo).await;
        let dialled = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&dialled);
        let port = listen(move |mut near| {
            count.fetch_add(1, Relaxed);
            async move {
                let mut far = tokio::net::TcpStream::connect(("127.0.0.1", inner)).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
            }
        })
        .await;
        let alpn = if http2 { "h2" } else { "http/1.1" };
        let authority = format!("localhost:{port}");
        let tls = proxy.tls(&authority, "localhost", &[alpn]).await.unwrap();
        let mut speaker = Speaker::new(tls, http2).await;
        for _ in 0..5 {
            body(speaker.ask(request(http2, &authority, "/", "x")).await).await;
        }
        assert_eq!(dialled.load(Relaxed), 1, "HTTP/2 {http2}");
    }
}

#[tokio::test]
async fn an_origin_that_ended_its_connection_is_dialled_again_in_the_same_protocol() {
    for http2 in [false, true] {
        let proxy = Inspecting::new();
        let inner = origin(proxy.world.server(&["localhost"], BOTH, |_| {}), echo).await;
        // Every connection is cut half a second after it was made.
        let port = listen(move |mut near| async move {
            let mut far = tokio::net::TcpStream::connect(("127.0.0.1", inner)).await.unwrap();
            let relay = tokio::io::copy_bidirectional(&mut near, &mut far);
            let _ = tokio::time::timeout(std::time::Duration::from_millis(500), relay).await;
        })
        .await;
        let (alpn, version) = if http2 { ("h2", "HTTP/2.0") } else { ("http/1.1", "HTTP/1.1") };
        let authority = format!("localhost:{port}");
        let tls = proxy.tls(&authority, "localhost", &[alpn]).await.unwrap();
        let mut speaker = Speaker::new(tls, http2).await;
        for pause in [0, 700, 700] {
            tokio::time::sleep(std::time::Duration::from_millis(pause)).await;
            let answer = body(speaker.ask(request(http2, &authority, "/", "x")).await).await;
            assert!(answer.starts_with(version), "{answer}");
        }
    }
}
