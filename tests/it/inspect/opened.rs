//! What is opened and read.

use super::rig::{Inspecting, Speaker, body, bounded, client_config, echo, listen, origin, request};
use guardian::flow::capture::StartLine;
use hudsucker::rustls::{ClientConnection, pki_types::ServerName};
use posture::{Direction, Protocol, UnscannedReason};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const BOTH: &[&str] = &["h2", "http/1.1"];

#[tokio::test]
async fn each_client_is_served_in_its_own_version_and_the_origin_hears_the_same() {
    // What the client offers, what the origin does, what is spoken.
    let cases: [(&[&str], &[&str], &str); 6] = [
        (BOTH, BOTH, "HTTP/2.0"),
        (&["http/1.1"], BOTH, "HTTP/1.1"),
        (BOTH, &["http/1.1"], "HTTP/1.1"),
        (&["h2"], BOTH, "HTTP/2.0"),
        (&[], BOTH, "HTTP/1.1"),
        (BOTH, &[], "HTTP/1.1"),
    ];
    for (offered, known, version) in cases {
        let proxy = Inspecting::new();
        let port = origin(proxy.world.server(&["localhost"], known, |_| {}), echo).await;
        let authority = format!("localhost:{port}");
        let tls = proxy.tls(&authority, "localhost", offered).await.unwrap();
        let http2 = version == "HTTP/2.0";
        let negotiated = tls.get_ref().1.alpn_protocol().map(|p| String::from_utf8(p.to_vec()).unwrap());
        let expected =
            if http2 { Some("h2") } else { Some("http/1.1").filter(|p| offered.contains(p) && known.contains(p)) };
        assert_eq!(negotiated.as_deref(), expected, "{offered:?} {known:?}");
        let mut speaker = Speaker::new(tls, http2).await;
        for path in ["/one", "/two"] {
            let answer = body(speaker.ask(request(http2, &authority, path, "question")).await).await;
            let (host, named) = if http2 { ("-", authority.as_str()) } else { (authority.as_str(), "-") };
            assert_eq!(answer, format!("{version} POST {host} {named} question"));
        }
        drop(speaker);
        let seen = proxy.rig.seen(4).await;
        for message in &seen {
            let route = &message.head.route;
            assert_eq!((route.protocol, &route.host[..], route.port), (Protocol::Https, "localhost", port));
            assert!(route.names_agree && route.verified_tls);
        }
        assert!(seen.iter().any(|m| m.head.direction == Direction::Outbound && m.body == b"question"));
        let (meter, _) = proxy.rig.stop().await;
        let coverage = meter.coverage();
        assert_eq!((coverage.scanned, coverage.not_scanned.len()), (coverage.seen, 0), "{offered:?} {known:?}");
        assert_eq!((coverage.seen.connections, coverage.seen.messages), (1, 4));
    }
}

#[tokio::test]
async fn an_ip_literal_verifies_and_so_does_a_name_in_another_spelling() {
    let proxy = Inspecting::new();
    let port = origin(proxy.world.server(&["127.0.0.1", "localhost"], BOTH, |_| {}), echo).await;
    for (named, name) in [("127.0.0.1", "127.0.0.1"), ("LOCALHOST", "localhost"), ("localhost.", "localhost")] {
        let authority = format!("{named}:{port}");
        let tls = proxy.tls(&authority, name, BOTH).await.unwrap();
        let mut speaker = Speaker::new(tls, true).await;
        let answer = body(speaker.ask(request(true, &authority, "/", "")).await).await;
        assert_eq!(answer, format!("HTTP/2.0 POST - {authority} "), "what the client called it reaches the origin");
    }
    assert!(proxy.rig.seen(6).await.iter().all(|m| m.head.route.names_agree));
}

#[tokio::test]
async fn a_hello_byte_by_byte_is_inspected_or_closed_and_never_tunnelled() {
    for (limit, pause, inspected) in [(10_000, 1, true), (60, 100, false)] {
        let proxy = Inspecting::with(|s| s.timeouts.handshake = Duration::from_millis(limit), &[], |_| false);
        let port = origin(proxy.world.server(&["localhost"], BOTH, |_| {}), echo).await;
        let mut stream = proxy.tunnel(&format!("localhost:{port}")).await;
        let trusted = proxy.leaves.authority().certificate().clone();
        let mut client =
            ClientConnection::new(client_config(trusted, BOTH), ServerName::try_from("localhost").unwrap()).unwrap();
        let mut hello = Vec::new();
        client.write_tls(&mut hello).unwrap();
        for byte in hello {
            if stream.write_all(&[byte]).await.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(pause)).await;
        }
        let mut answer = [0];
        let read = bounded(stream.read(&mut answer)).await;
        if inspected {
            assert_eq!((read.unwrap(), answer[0]), (1, 0x16), "a ServerHello");
        } else {
            assert!(!matches!(read, Ok(1..)));
            let (meter, _) = proxy.rig.stop().await;
            let coverage = meter.coverage();
            assert_eq!(coverage.unscanned(UnscannedReason::IncompleteHead).connections, 1);
            assert_eq!(coverage.seen.bytes, 0);
        }
    }
}

#[tokio::test]
async fn what_is_no_hello_is_answered_with_an_alert_and_goes_nowhere() {
    let proxy = Inspecting::new();
    let port = listen(|mut stream| async move {
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes).await;
        assert!(bytes.is_empty());
    })
    .await;
    let mut stream = proxy.tunnel(&format!("localhost:{port}")).await;
    stream.write_all(b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00").await.unwrap();
    let mut answer = Vec::new();
    let _ = bounded(stream.read_to_end(&mut answer)).await;
    assert_eq!(answer.first(), Some(&0x15));
    let (meter, _) = proxy.rig.stop().await;
    assert_eq!(meter.coverage().unscanned(UnscannedReason::InterceptionFailed).connections, 1);
}

#[tokio::test]
async fn a_tunnel_in_an_opened_connection_is_refused_and_the_connection_lives() {
    let proxy = Inspecting::new();
    let port = origin(proxy.world.server(&["localhost"], BOTH, |_| {}), echo).await;
    let authority = format!("localhost:{port}");
    let mut tls = proxy.tls(&authority, "localhost", &["http/1.1"]).await.unwrap();
    for (head, status) in [("CONNECT a.example:443", "400"), ("GET /", "200"), ("CONNECT b.example:443", "400")] {
        tls.write_all(format!("{head} HTTP/1.1\r\nHost: {authority}\r\n\r\n").as_bytes()).await.unwrap();
        let mut answer = [0; 4096];
        let length = bounded(tls.read(&mut answer)).await.unwrap();
        assert_eq!(&answer[9..12], status.as_bytes(), "{}", answer[..length].escape_ascii());
    }
}

#[tokio::test]
async fn http2_without_tls_is_read_too() {
    let proxy = Inspecting::new();
    let port = listen(|stream| async move {
        use hudsucker::{
            hyper::service::service_fn,
            hyper_util::rt::{TokioExecutor, TokioIo},
        };
        let service = service_fn(|request| async { Ok::<_, std::convert::Infallible>(echo(request).await) });
        let server = hudsucker::hyper::server::conn::http2::Builder::new(TokioExecutor::new());
        let _ = server.serve_connection(TokioIo::new(stream), service).await;
    })
    .await;
    let authority = format!("127.0.0.1:{port}");
    let mut speaker = Speaker::new(proxy.tunnel(&authority).await, true).await;
    let question = request(true, &authority, "/", "plain");
    let (mut parts, payload) = question.into_parts();
    parts.uri = format!("http://{authority}/").parse().unwrap();
    let answer = body(speaker.ask(hudsucker::hyper::Request::from_parts(parts, payload)).await).await;
    assert_eq!(answer, format!("HTTP/2.0 POST - {authority} plain"));
    let seen = proxy.rig.seen(2).await;
    assert!(seen.iter().all(|m| m.head.route.protocol == Protocol::Http && !m.head.route.verified_tls));
    let StartLine::Request { target, .. } = &seen.iter().find(|m| m.body == b"plain").unwrap().head.start else {
        panic!("a request")
    };
    assert_eq!(&target[..], format!("http://{authority}/").as_bytes());
}

#[tokio::test]
async fn a_head_that_does_not_end_is_closed_within_tls_in_either_version() {
    for http2 in [false, true] {
        let proxy = Inspecting::with(|s| s.timeouts.head = Duration::from_millis(200), &[], |_| false);
        let port = origin(proxy.world.server(&["localhost"], BOTH, |_| {}), echo).await;
        let alpn = if http2 { "h2" } else { "http/1.1" };
        let mut tls = proxy.tls(&format!("localhost:{port}"), "localhost", &[alpn]).await.unwrap();
        let beginning: &[u8] = if http2 {
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0"
        } else {
            b"GET / HTTP/1.1\r\nHost: x\r\n"
        };
        tls.write_all(beginning).await.unwrap();
        let mut rest = Vec::new();
        let _ = bounded(tls.read_to_end(&mut rest)).await;
        let (meter, seen) = proxy.rig.stop().await;
        assert!(seen.is_empty());
        assert_eq!(meter.coverage().unscanned(UnscannedReason::IncompleteHead).connections, 1, "HTTP/2 {http2}");
    }
}

#[tokio::test]
async fn a_stream_of_events_is_not_held_back() {
    use http_body_util::BodyExt;
    for http2 in [false, true] {
        let proxy = Inspecting::new();
        let (events, told) = tokio::sync::mpsc::channel::<bytes::Bytes>(1);
        let told = std::sync::Arc::new(tokio::sync::Mutex::new(Some(told)));
        let answer = move |_: hudsucker::hyper::Request<hudsucker::hyper::body::Incoming>| {
            let told = std::sync::Arc::clone(&told);
            async move {
                let told = told.lock().await.take().unwrap();
                hudsucker::hyper::Response::new(BodyExt::boxed(Events(told)))
            }
        };
        let port = origin(proxy.world.server(&["localhost"], BOTH, |_| {}), answer).await;
        let alpn = if http2 { "h2" } else { "http/1.1" };
        let authority = format!("localhost:{port}");
        let tls = proxy.tls(&authority, "localhost", &[alpn]).await.unwrap();
        let mut speaker = Speaker::new(tls, http2).await;
        let mut response = speaker.ask(request(http2, &authority, "/", "")).await;
        // Each event is received before the next one exists.
        for n in 0..20 {
            let event = format!("data: {n}\n\n");
            events.send(event.clone().into()).await.unwrap();
            let frame = bounded(response.frame()).await.unwrap().unwrap();
            assert_eq!(frame.into_data().unwrap(), event);
        }
    }
}

/// A body of what comes through a channel, as it comes.
struct Events(tokio::sync::mpsc::Receiver<bytes::Bytes>);

impl hudsucker::hyper::body::Body for Events {
    type Data = bytes::Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<hudsucker::hyper::body::Frame<Self::Data>, Self::Error>>> {
        self.0.poll_recv(cx).map(|event| event.map(|event| Ok(hudsucker::hyper::body::Frame::data(event))))
    }
}
