//! CONNECT.

use super::rig::{Origin, Rig, Wire, bounded};
use guardian::flow::capture::{Head, StartLine};
use posture::{Direction, Protocol, UnscannedReason};
use std::time::Duration;
use tokio::io::AsyncWriteExt;

/// The first bytes of a TLS handshake record that holds a client hello.
const HELLO: &[u8] = b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00";

async fn tunnel(rig: &Rig, origin: &Origin) -> (Wire, Wire) {
    let mut client = rig.send(&format!("CONNECT {0} HTTP/1.1\r\nHost: {0}\r\nAUTH\r\n\r\n", origin.name)).await;
    let upstream = origin.accept().await;
    assert_eq!(client.head().await, "HTTP/1.1 200 OK\r\n\r\n");
    (client, upstream)
}

#[tokio::test]
async fn a_tunnel_carries_bytes_both_ways_and_a_half_closed_one_still_answers() {
    let (rig, origin) = (Rig::new(), Origin::new().await);
    let (mut client, mut upstream) = tunnel(&rig, &origin).await;
    client.send(HELLO).await;
    assert_eq!(upstream.exactly(HELLO.len()).await, HELLO);
    upstream.send(b"echo").await;
    assert_eq!(client.exactly(4).await, b"echo");
    // Counted while it lives.
    let live = rig.meter.coverage();
    assert!(live.adds_up());
    assert_eq!(live.unscanned(UnscannedReason::Tunnel).bytes, 4 + HELLO.len() as u64);
    assert_eq!(live.unscanned(UnscannedReason::Tunnel).connections, 1);

    client.0.shutdown().await.unwrap();
    assert!(upstream.rest().await.is_empty());
    upstream.send(b"the last word").await;
    drop(upstream);
    assert_eq!(client.rest().await, b"the last word");
    drop(client);
    let (meter, seen) = rig.stop().await;
    assert!(seen.is_empty());
    let tunnelled = meter.coverage().unscanned(UnscannedReason::Tunnel);
    assert_eq!((tunnelled.bytes, tunnelled.connections), (17 + HELLO.len() as u64, 1));
}

#[tokio::test]
async fn megabytes_pass_a_tunnel_identical() {
    let (rig, origin) = (Rig::new(), Origin::new().await);
    let (mut client, mut upstream) = tunnel(&rig, &origin).await;
    let mut bytes: Vec<u8> = HELLO.to_vec();
    bytes.extend((0..5_000_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8));
    let up = async { tokio::join!(client.send(&bytes), upstream.exactly(bytes.len())).1 };
    assert!(bounded(up).await == bytes);
    let down = async { tokio::join!(upstream.send(&bytes), client.exactly(bytes.len())).1 };
    assert!(bounded(down).await == bytes);
}

#[tokio::test]
async fn bytes_sent_with_the_connect_are_not_lost() {
    let (rig, origin) = (Rig::new(), Origin::new().await);
    let mut client = rig.connect().await;
    let mut eager =
        super::rig::authenticated(&format!("CONNECT {0} HTTP/1.1\r\nHost: {0}\r\nAUTH\r\n\r\n", origin.name))
            .into_bytes();
    eager.extend_from_slice(HELLO);
    client.send(&eager).await;
    assert_eq!(origin.accept().await.exactly(HELLO.len()).await, HELLO);
}

/// What the one tunnel of a run was counted as.
async fn counted(rig: Rig) -> (&'static str, u64) {
    let (meter, _) = rig.stop().await;
    let coverage = meter.coverage();
    let mut reasons = UnscannedReason::ALL.iter().filter(|r| coverage.unscanned(**r).connections > 0);
    let reason = reasons.next();
    assert!(reasons.next().is_none());
    assert_eq!(coverage.scanned.connections, u64::from(reason.is_none()));
    reason.map_or(("scanned", coverage.scanned.bytes), |r| (r.as_str(), coverage.unscanned(*r).bytes))
}

#[tokio::test]
async fn a_handshake_byte_by_byte_is_still_a_handshake() {
    let (rig, origin) = (Rig::new(), Origin::new().await);
    let (mut client, mut upstream) = tunnel(&rig, &origin).await;
    client.0.set_nodelay(true).unwrap();
    for byte in HELLO {
        client.send(&[*byte]).await;
        tokio::task::yield_now().await;
    }
    assert_eq!(upstream.exactly(HELLO.len()).await, HELLO);
    drop((client, upstream));
    assert_eq!(counted(rig).await, ("tunnel", HELLO.len() as u64));
}

#[tokio::test]
async fn a_server_that_speaks_first_is_heard() {
    let (rig, origin) = (Rig::new(), Origin::new().await);
    let (mut client, mut upstream) = tunnel(&rig, &origin).await;
    upstream.send(b"SSH-2.0-server\r\n").await;
    assert_eq!(client.exactly(16).await, b"SSH-2.0-server\r\n");
    client.send(b"GET / HTTP/1.1\r\n\r\n").await;
    assert_eq!(upstream.exactly(18).await, b"GET / HTTP/1.1\r\n\r\n");
    drop((client, upstream));
    assert_eq!(counted(rig).await, ("server_first", 34));
}

#[tokio::test]
async fn a_server_that_answers_before_it_is_asked_is_not_heard() {
    for pieces in [&[&b"HTTP/1.1 200 OK\r\n\r\n"[..]][..], &[b"H", b"TTP/1.0 408 \r\n\r\n"], &[b"HTT", b"P", b"/"]] {
        let (rig, origin) = (Rig::new(), Origin::new().await);
        let (mut client, mut upstream) = tunnel(&rig, &origin).await;
        for piece in pieces {
            upstream.send(piece).await;
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        assert_eq!(client.rest().await, b"");
        drop((client, upstream));
        assert_eq!(counted(rig).await, ("incomplete_head", 0));
    }
}

#[tokio::test]
async fn a_server_that_only_begins_like_an_answer_is_heard() {
    let (rig, origin) = (Rig::new(), Origin::new().await);
    let (mut client, mut upstream) = tunnel(&rig, &origin).await;
    upstream.send(b"HT").await;
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    upstream.send(b"ML\r\n").await;
    assert_eq!(client.exactly(6).await, b"HTML\r\n");
    drop((client, upstream));
    assert_eq!(counted(rig).await, ("server_first", 6));
}

#[tokio::test]
async fn what_is_not_recognised_passes_and_is_counted() {
    for words in [&b"SSH-2.0-client\r\n"[..], b"\0\x01\x02", b"EHLO me\r\n", b"GET /\r\n", b"\x80\x2e\x01"] {
        let (rig, origin) = (Rig::new(), Origin::new().await);
        let (mut client, mut upstream) = tunnel(&rig, &origin).await;
        client.send(words).await;
        assert_eq!(upstream.exactly(words.len()).await, words);
        drop((client, upstream));
        assert_eq!(counted(rig).await, ("unknown_protocol", words.len() as u64));
    }
}

#[tokio::test]
async fn requests_inside_are_read_over_the_connection_already_made() {
    let (rig, origin) = (Rig::new(), Origin::new().await);
    let (mut client, mut upstream) = tunnel(&rig, &origin).await;
    for (host, path) in [(&origin.name[..], "/one"), ("elsewhere.example", "/two")] {
        let head = format!("POST {path} HTTP/1.1\r\nhOst: {host}\r\nContent-Length: 4\r\n\r\n");
        // The line in two pieces: half a line is not yet anything.
        client.send(&head.as_bytes()[..9]).await;
        client.send(&head.as_bytes()[9..]).await;
        client.send(b"body").await;
        assert_eq!(upstream.head().await, head);
        assert_eq!(upstream.exactly(4).await, b"body");
        upstream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
        assert_eq!(client.head().await, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n");
        assert_eq!(client.exactly(2).await, b"ok");
    }
    let seen = rig.seen(4).await;
    let asked: Vec<_> = seen.iter().filter(|m| m.head.direction == Direction::Outbound).collect();
    assert_eq!(asked.iter().map(|m| m.head.route.names_agree).collect::<Vec<_>>(), [true, false]);
    let StartLine::Request { target, .. } = &asked[0].head.start else { panic!("a request") };
    assert_eq!(&target[..], b"/one");
    assert_eq!((asked[0].head.route.protocol, &asked[0].head.route.host[..]), (Protocol::Http, "127.0.0.1"));
    drop((client, upstream));
    assert_eq!(counted(rig).await, ("scanned", 12));
}

#[tokio::test]
async fn a_tunnel_in_a_tunnel_is_refused() {
    let (rig, origin) = (Rig::new(), Origin::new().await);
    let (mut client, _upstream) = tunnel(&rig, &origin).await;
    client.send(b"CONNECT example.com:443 HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(client.head().await.starts_with("HTTP/1.1 400 "));
    assert_eq!(client.until(b"\n").await, "{\"error\":\"bad_request\",\"reason\":\"nested_connect\"}\n");
}

#[tokio::test]
async fn half_a_beginning_never_becomes_a_tunnel() {
    for half in [&b"\x16"[..], b"\x16\x03\x01\x02\x00", b"GE", b"GET /half", b"PRI * HTTP/2.0\r\n"] {
        let (rig, origin) =
            (Rig::with(1 << 20, |s| s.timeouts.handshake = Duration::from_millis(50)), Origin::new().await);
        let (mut client, mut upstream) = tunnel(&rig, &origin).await;
        client.send(half).await;
        assert!(client.rest().await.is_empty());
        assert!(upstream.rest().await.is_empty(), "{}", half.escape_ascii());
        assert_eq!(counted(rig).await, ("incomplete_head", 0));
    }
}

#[tokio::test]
async fn silence_buys_no_tunnel() {
    let rig = Rig::with(1 << 20, |s| {
        (s.timeouts.handshake, s.timeouts.head) = (Duration::from_millis(20), Duration::from_secs(20));
    });
    let origin = Origin::new().await;
    let (mut client, mut upstream) = tunnel(&rig, &origin).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    client.send(b"GET /late HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert_eq!(upstream.head().await, "GET /late HTTP/1.1\r\nHost: x\r\n\r\n");
    drop((client, upstream));
    assert_eq!(rig.seen(1).await.len(), 1);
    assert_eq!(counted(rig).await, ("scanned", 0));
}

#[tokio::test]
async fn a_silent_tunnel_is_closed_when_idle_too_long() {
    let rig = Rig::with(1 << 20, |s| s.timeouts.tunnel_idle = Duration::from_millis(50));
    let origin = Origin::new().await;
    let (mut client, mut upstream) = tunnel(&rig, &origin).await;
    assert!(client.rest().await.is_empty());
    assert!(upstream.rest().await.is_empty());
    assert_eq!(counted(rig).await, ("incomplete_head", 0));
}

#[tokio::test]
async fn where_a_tunnel_should_go_is_looked_at_though_it_never_gets_there() {
    let rig = Rig::new();
    for target in [super::rig::dead().await, "Some-Name.invalid:443".to_owned()] {
        let mut client = rig.send(&format!("CONNECT {target} HTTP/1.1\r\nHost: x\r\nAUTH\r\n\r\n")).await;
        assert!(client.head().await.starts_with("HTTP/1.1 502 "));
        let named = bounded(async {
            loop {
                match rig.named().pop() {
                    Some(Head { start: StartLine::Request { target: named, .. }, .. }) if named == target => break,
                    _ => tokio::task::yield_now().await,
                }
            }
        });
        named.await;
    }
    let mut unwelcome = rig.connect().await;
    unwelcome.send(b"CONNECT other.invalid:443 HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(unwelcome.head().await.starts_with("HTTP/1.1 407 "));
    assert_eq!(rig.named().len(), 2);
    assert_eq!(rig.stop().await.0.coverage().seen.messages, 0);
}
