//! What goes through, byte for byte.

use super::rig::{Origin, Rig, Wire, authenticated, bounded};
use guardian::flow::capture::StartLine;
use posture::{Direction, UnscannedReason};
use std::time::Duration;
use tokio::io::AsyncWriteExt;

/// Sends one request for the origin and gives the origin's side after its head, and that head.
async fn through(rig: &Rig, origin: &Origin, request: &str) -> (Wire, Wire, String) {
    let client = rig.send(&request.replace("ORIGIN", &origin.name)).await;
    let mut upstream = origin.accept().await;
    let head = upstream.head().await;
    (client, upstream, head)
}

#[tokio::test]
async fn a_head_keeps_its_case_values_and_order_and_gains_nothing() {
    let (rig, origin) = (Rig::new(), Origin::new().await);
    let request = "GET http://ORIGIN/a%2Fb/../c?q=%20x&y HTTP/1.1\r\nhOsT: ORIGIN\r\nX-First: 1\r\nAUTH\r\n\
                   Proxy-Connection: keep-alive\r\nConnection: X-Hop, close\r\nX-Hop: only here\r\nKeep-Alive: 5\r\n\
                   UPPER: a, b\r\nx-tab: a\tb \"c\"\r\nupper-2: \u{e9}\r\nX-Empty:\r\nX-Last: 9\r\n\r\n";
    let (mut client, mut upstream, head) = through(&rig, &origin, request).await;
    let expected = format!(
        "GET /a%2Fb/../c?q=%20x&y HTTP/1.1\r\nhOsT: {0}\r\nX-First: 1\r\nUPPER: a, b\r\nx-tab: a\tb \"c\"\r\n\
         upper-2: \u{e9}\r\nX-Empty:\r\nX-Last: 9\r\n\r\n",
        origin.name
    );
    assert_eq!(head, expected);
    upstream
        .send(
            b"HTTP/1.1 299 Quite Fine\r\nSeT-cookie: a\r\nZ: 1\r\nset-Cookie: b\r\nConnection: x-gone, close\r\n\
              X-Gone: 1\r\nKeep-Alive: timeout=1\r\nProxy-Authenticate: Basic\r\nCONTENT-length: 2\r\nA: 2\r\n\r\nok",
        )
        .await;
    let head = client.head().await;
    assert_eq!(
        head,
        "HTTP/1.1 299 Quite Fine\r\nSeT-cookie: a\r\nset-Cookie: b\r\nZ: 1\r\nCONTENT-length: 2\r\nA: 2\r\n\
         Connection: close\r\n\r\n"
    );
    assert_eq!(client.rest().await, b"ok");

    let (meter, seen) = rig.stop().await;
    let [asked, told] = &seen[..] else { panic!("{} messages", seen.len()) };
    let StartLine::Request { method, target } = &asked.head.start else { panic!("a request first") };
    assert_eq!(
        (&method[..], &target[..]),
        (&b"GET"[..], format!("http://{}/a%2Fb/../c?q=%20x&y", origin.name).as_bytes())
    );
    assert_eq!(asked.head.direction, Direction::Outbound);
    assert!(asked.head.route.names_agree && !asked.head.route.verified_tls);
    assert_eq!(asked.head.route.host, "127.0.0.1");
    assert_eq!(asked.head.field("upper"), Some(&b"a, b"[..]));
    for gone in ["proxy-authorization", "x-hop", "connection", "keep-alive"] {
        assert_eq!(asked.head.field(gone), None, "{gone}");
    }
    assert!(matches!(told.head.start, StartLine::Response { status: 299 }));
    assert_eq!(told.head.field(":reason"), Some(&b"Quite Fine"[..]));
    assert_eq!((told.head.direction, &told.body[..]), (Direction::Inbound, &b"ok"[..]));
    let coverage = meter.coverage();
    assert_eq!((coverage.scanned, &coverage.not_scanned[..]), (coverage.seen, &[][..]));
    assert_eq!((coverage.seen.bytes, coverage.seen.connections, coverage.seen.messages), (2, 1, 2));
}

#[tokio::test]
async fn a_name_with_the_dot_of_the_root_is_the_same_place() {
    let (rig, origin) = (Rig::new(), Origin::new().await);
    let host = origin.name.replace("127.0.0.1", "localhost.");
    let mut client = rig.send(&format!("GET http://{host}/x HTTP/1.1\r\nHost: {host}\r\nAUTH\r\n\r\n")).await;
    let mut upstream = origin.accept().await;
    assert_eq!(upstream.head().await, format!("GET /x HTTP/1.1\r\nHost: {host}\r\n\r\n"), "as it came");
    upstream.send(b"HTTP/1.1 204 No Content\r\n\r\n").await;
    assert!(client.head().await.starts_with("HTTP/1.1 204"));
    let route = &rig.seen(2).await[0].head.route;
    assert!(route.host == "localhost" && route.names_agree, "{}", route.host);
}

#[tokio::test]
async fn every_method_passes_with_and_without_a_body() {
    let (rig, origin) = (Rig::new(), Origin::new().await);
    for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PURGE", "M-SEARCH"] {
        for body in ["", "all of it"] {
            let length = if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
            let request = format!("{method} http://ORIGIN/ HTTP/1.1\r\nHost: x\r\nAUTH\r\n{length}\r\n{body}");
            let client = rig.send(&request.replace("ORIGIN", &origin.name)).await;
            let mut upstream = origin.accept().await;
            assert_eq!(upstream.head().await, format!("{method} / HTTP/1.1\r\nHost: x\r\n{length}\r\n"));
            assert_eq!(upstream.exactly(body.len()).await, body.as_bytes());
            drop((client, upstream));
        }
    }
}

#[tokio::test]
async fn a_coded_body_is_not_touched() {
    let (rig, origin) = (Rig::new(), Origin::new().await);
    let body: Vec<u8> = (0..=255).cycle().take(200_000).collect();
    let head = format!("Content-Encoding: gzip\r\nContent-Length: {}\r\n\r\n", body.len());
    let request = format!("POST http://ORIGIN/ HTTP/1.1\r\nHost: x\r\nAUTH\r\n{head}");
    let (mut client, mut upstream, seen) = through(&rig, &origin, &request).await;
    assert_eq!(seen, format!("POST / HTTP/1.1\r\nHost: x\r\n{head}"));
    let ((), received) = tokio::join!(client.send(&body), upstream.exactly(body.len()));
    assert!(received == body);
    upstream.send(format!("HTTP/1.1 200 OK\r\n{head}").as_bytes()).await;
    assert_eq!(client.head().await, format!("HTTP/1.1 200 OK\r\n{head}"));
    let ((), received) = tokio::join!(upstream.send(&body), client.exactly(body.len()));
    assert!(received == body);
    drop((client, upstream));
    let (meter, seen) = rig.stop().await;
    assert!(seen.iter().all(|message| message.body == body));
    assert_eq!(meter.coverage().scanned.bytes, 400_000);
}

#[tokio::test]
async fn chunks_and_announced_trailers_pass_both_ways() {
    let (rig, origin) = (Rig::new(), Origin::new().await);
    let chunked =
        "Transfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n3\r\nabc\r\n4;ext=1\r\ndefg\r\n0\r\nX-Sum: 7\r\n\r\n";
    for method in ["POST", "GET"] {
        let request = format!("{method} http://ORIGIN/ HTTP/1.1\r\nHost: x\r\nAUTH\r\nTE: trailers\r\n{chunked}");
        let (mut client, mut upstream, head) = through(&rig, &origin, &request).await;
        assert!(head.contains("\r\nTransfer-Encoding: chunked\r\n") && head.contains("\r\nTE: trailers\r\n"), "{head}");
        let (body, trailers) = upstream.chunked().await;
        assert_eq!((&body[..], &trailers.to_lowercase()[..]), (&b"abcdefg"[..], "x-sum: 7\r\n"));
        upstream.send(format!("HTTP/1.1 200 OK\r\n{chunked}").as_bytes()).await;
        let head = client.head().await;
        assert!(head.contains("\r\nTransfer-Encoding: chunked\r\n") && !head.contains("ength"), "{head}");
        let (body, trailers) = client.chunked().await;
        assert_eq!((&body[..], &trailers.to_lowercase()[..]), (&b"abcdefg"[..], "x-sum: 7\r\n"));
    }
    let (_, seen) = rig.stop().await;
    assert_eq!(seen.len(), 4);
    for message in seen {
        assert_eq!(message.body, b"abcdefg");
        assert_eq!(message.trailers.len(), 1);
        assert_eq!((&message.trailers[0].name[..], &message.trailers[0].value[..]), (&b"x-sum"[..], &b"7"[..]));
    }
}

#[tokio::test]
async fn responses_without_a_body_stay_without_one() {
    let (rig, origin) = (Rig::new(), Origin::new().await);
    let cases = [
        ("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n"),
        ("HEAD", "HTTP/1.1 200 OK\r\nX: 1\r\n\r\n"),
        ("GET", "HTTP/1.1 204 No Content\r\nX: 1\r\n\r\n"),
        ("GET", "HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\n\r\n"),
        ("GET", "HTTP/1.1 304 Not Modified\r\ncontent-Length: 1234\r\n\r\n"),
        ("GET", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
    ];
    for (method, response) in cases {
        let request = format!("{method} http://ORIGIN/ HTTP/1.1\r\nHost: x\r\nAUTH\r\n\r\n");
        let (mut client, mut upstream, _) = through(&rig, &origin, &request).await;
        upstream.send(response.as_bytes()).await;
        assert_eq!(client.head().await, response, "{method}");
        // The connection goes on: nothing of a body was promised.
        drop(upstream);
        let again = format!("GET http://{}/ HTTP/1.1\r\nHost: x\r\nAUTH\r\n\r\n", origin.name);
        client.send(authenticated(&again).as_bytes()).await;
        let mut upstream = origin.accept().await;
        upstream.head().await;
        upstream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi").await;
        assert_eq!(client.head().await, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n");
        assert_eq!(client.exactly(2).await, b"hi");
    }
}

#[tokio::test]
async fn of_two_lengths_the_one_that_counts_passes() {
    let (rig, origin) = (Rig::new(), Origin::new().await);
    let both = "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    let request = format!("POST http://ORIGIN/ HTTP/1.1\r\nHost: x\r\nAUTH\r\n{both}");
    let (mut client, mut upstream, head) = through(&rig, &origin, &request).await;
    assert_eq!(head, "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
    assert_eq!(upstream.chunked().await.0, b"hello");
    upstream.send(format!("HTTP/1.1 200 OK\r\n{both}").as_bytes()).await;
    let head = client.head().await;
    assert!(head.contains("\r\nTransfer-Encoding: chunked\r\n") && !head.contains("Content-Length"), "{head}");
    assert_eq!(client.chunked().await.0, b"hello");
}

#[tokio::test]
async fn a_body_that_ends_with_the_connection_arrives_whole() {
    let (rig, origin) = (Rig::new(), Origin::new().await);
    let request = "GET http://ORIGIN/ HTTP/1.1\r\nHost: x\r\nAUTH\r\n\r\n";
    let (mut client, mut upstream, _) = through(&rig, &origin, request).await;
    upstream.send(b"HTTP/1.0 200 OK\r\nX: 1\r\n\r\nuntil the end").await;
    drop(upstream);
    assert!(client.head().await.starts_with("HTTP/1.1 200 OK\r\nX: 1\r\n"));
    assert_eq!(client.chunked().await.0, b"until the end");
}

#[tokio::test]
async fn an_origins_old_ways_are_relayed() {
    let (rig, origin) = (Rig::new(), Origin::new().await);
    let request = "GET http://ORIGIN/ HTTP/1.1\r\nHost: x\r\nAUTH\r\n\r\n";
    let (mut client, mut upstream, _) = through(&rig, &origin, request).await;
    upstream.send(b"HTTP/1.1 200\r\nX-Folded: one\r\n two\r\nX-Spaced : 1\r\nContent-Length: 2\r\n\r\nok").await;
    let head = client.head().await;
    assert!(head.contains("\r\nX-Folded: one") && head.contains(" two\r\nX-Spaced: 1\r\n"), "{head}");
    assert_eq!(client.exactly(2).await, b"ok");
}

#[tokio::test]
async fn a_client_that_has_finished_sending_still_gets_its_answer() {
    let (rig, origin) = (Rig::new(), Origin::new().await);
    let request = "POST http://ORIGIN/ HTTP/1.1\r\nHost: x\r\nAUTH\r\nContent-Length: 3\r\n\r\nall";
    let (mut client, mut upstream, _) = through(&rig, &origin, request).await;
    client.0.shutdown().await.unwrap();
    assert_eq!(upstream.exactly(3).await, b"all");
    tokio::time::sleep(Duration::from_millis(50)).await;
    upstream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nans").await;
    assert!(client.head().await.starts_with("HTTP/1.1 200 OK\r\n"));
    tokio::time::sleep(Duration::from_millis(50)).await;
    upstream.send(b"wer").await;
    assert_eq!(client.rest().await, b"answer");
}

#[tokio::test]
async fn requests_sent_together_are_all_answered_though_the_client_has_finished_sending() {
    for requests in 1..=3 {
        let (rig, origin) = (Rig::new(), Origin::new().await);
        let request = "GET http://ORIGIN/ HTTP/1.1\r\nHost: x\r\nAUTH\r\n\r\n".repeat(requests);
        let mut client = rig.send(&request.replace("ORIGIN", &origin.name)).await;
        client.0.shutdown().await.unwrap();
        let mut upstream = origin.accept().await;
        for _ in 0..requests {
            upstream.head().await;
            upstream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
        }
        let answers = client.rest().await;
        assert_eq!(answers.windows(8).filter(|w| w == b"HTTP/1.1").count(), requests);
    }
}

#[tokio::test]
async fn an_answer_that_flows_outlasts_the_limit_of_a_client_that_has_finished_sending() {
    const DRAIN: Duration = Duration::from_millis(500);
    let rig = Rig::with(1 << 20, |settings| settings.timeouts.drain = DRAIN);
    let origin = Origin::new().await;
    let request = "GET http://ORIGIN/ HTTP/1.1\r\nHost: x\r\nAUTH\r\n\r\n";
    let (mut client, mut upstream, _) = through(&rig, &origin, request).await;
    client.0.shutdown().await.unwrap();
    upstream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n").await;
    client.head().await;
    for _ in 0..15 {
        tokio::time::sleep(DRAIN / 5).await;
        upstream.send(b".").await;
        assert_eq!(client.exactly(1).await, b".");
    }
    assert!(client.rest().await.is_empty(), "and then it is over, for the client has said all");
    let (meter, _) = rig.stop().await;
    assert_eq!(meter.coverage().scanned.bytes, 15);
}

#[tokio::test]
async fn an_answer_that_stops_flowing_is_cut_when_its_client_has_finished_sending() {
    let rig = Rig::with(1 << 20, |settings| settings.timeouts.drain = Duration::from_millis(200));
    let origin = Origin::new().await;
    let request = "GET http://ORIGIN/ HTTP/1.1\r\nHost: x\r\nAUTH\r\n\r\n";
    let (mut client, mut upstream, _) = through(&rig, &origin, request).await;
    client.0.shutdown().await.unwrap();
    upstream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\nhalf").await;
    client.head().await;
    assert_eq!(client.rest().await, b"half");
    assert!(upstream.rest().await.is_empty());
}

#[tokio::test]
async fn a_stream_that_flows_to_a_client_that_has_left_is_over_at_once() {
    let rig = Rig::with(1 << 20, |settings| settings.timeouts.drain = Duration::from_secs(600));
    let origin = Origin::new().await;
    let request = "GET http://ORIGIN/ HTTP/1.1\r\nHost: x\r\nAUTH\r\n\r\n";
    let (mut client, mut upstream, _) = through(&rig, &origin, request).await;
    upstream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n").await;
    client.head().await;
    drop(client);
    let sent = async {
        while upstream.0.write_all(b"data: 1\n\n").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    bounded(sent).await;
}

#[tokio::test]
async fn who_has_finished_sending_and_may_have_left_is_not_answered_for_ever() {
    let rig = Rig::with(1 << 20, |settings| settings.timeouts.drain = Duration::from_millis(100));
    let origin = Origin::new().await;
    let request = "GET http://ORIGIN/ HTTP/1.1\r\nHost: x\r\nAUTH\r\n\r\n";
    let (client, mut upstream, _) = through(&rig, &origin, request).await;
    drop(client);
    assert!(upstream.rest().await.is_empty(), "the exchange with the origin is over, too");
}

#[tokio::test]
async fn an_event_arrives_before_the_next_is_sent() {
    let (rig, origin) = (Rig::new(), Origin::new().await);
    let request = "GET http://ORIGIN/ HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\nAUTH\r\n\r\n";
    let (mut client, mut upstream, _) = through(&rig, &origin, request).await;
    upstream.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n").await;
    client.head().await;
    for event in 0..50 {
        let event = format!("data: {event}\n\n");
        upstream.send(format!("{:x}\r\n{event}\r\n", event.len()).as_bytes()).await;
        // A rendezvous: the next event is not sent until this one is here, in a chunk of its own.
        assert_eq!(client.until(b"\r\n").await, format!("{:X}\r\n", event.len()));
        assert_eq!(client.exactly(event.len()).await, event.as_bytes());
        assert_eq!(client.exactly(2).await, b"\r\n");
    }
    upstream.send(b"0\r\n\r\n").await;
    assert_eq!(client.until(b"\r\n\r\n").await, "0\r\n\r\n");
}

#[tokio::test]
async fn a_client_that_waits_for_100_is_told_to_go_on() {
    let (rig, origin) = (Rig::new(), Origin::new().await);
    let request =
        "POST http://ORIGIN/ HTTP/1.1\r\nHost: x\r\nAUTH\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n";
    let (mut client, mut upstream, head) = through(&rig, &origin, request).await;
    assert!(head.contains("\r\nExpect: 100-continue\r\n"));
    assert_eq!(client.head().await, "HTTP/1.1 100 Continue\r\n\r\n");
    client.send(b"body").await;
    assert_eq!(upstream.exactly(4).await, b"body");
    upstream.send(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    assert_eq!(client.head().await, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
}

#[tokio::test]
async fn a_missing_host_is_the_targets_and_a_wrong_one_is_told() {
    let (rig, origin) = (Rig::new(), Origin::new().await);
    let (_client, _upstream, head) = through(&rig, &origin, "GET http://ORIGIN/ HTTP/1.0\r\nAUTH\r\n\r\n").await;
    assert_eq!(head.to_lowercase(), format!("get / http/1.1\r\nhost: {}\r\n\r\n", origin.name));
    let request = "GET http://ORIGIN/ HTTP/1.1\r\nHost: api.example.com\r\nAUTH\r\n\r\n";
    let (_client, _upstream, head) = through(&rig, &origin, request).await;
    assert_eq!(head, "GET / HTTP/1.1\r\nHost: api.example.com\r\n\r\n");
    let seen = rig.seen(2).await;
    assert_eq!(seen.iter().map(|m| m.head.route.names_agree).collect::<Vec<_>>(), [true, false]);
}

#[tokio::test]
async fn what_is_no_websocket_after_all_is_relayed_and_counted() {
    let (rig, origin) = (Rig::new(), Origin::new().await);
    let request = "GET http://ORIGIN/chat HTTP/1.1\r\nHost: x\r\nAUTH\r\nConnection: keep-alive, Upgrade\r\n\
                   Upgrade: websocket\r\nSec-WebSocket-Key: k\r\nSec-WebSocket-Protocol: p\r\n\r\n";
    let (mut client, mut upstream, head) = through(&rig, &origin, request).await;
    assert_eq!(
        head,
        "GET /chat HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: k\r\n\
         Sec-WebSocket-Protocol: p\r\n\r\n"
    );
    let switch = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: a\r\n\r\n";
    upstream.send(format!("{switch}early").as_bytes()).await;
    assert_eq!(client.head().await, switch);
    assert_eq!(client.exactly(5).await, b"early");
    client.send(b"frames").await;
    assert_eq!(upstream.exactly(6).await, b"frames");
    drop((client, upstream));
    let (meter, seen) = rig.stop().await;
    assert_eq!(seen.len(), 2);
    let relayed = meter.coverage().unscanned(UnscannedReason::WebsocketRelayed);
    assert_eq!((relayed.bytes, relayed.connections, relayed.messages), (11, 1, 0));
}

#[tokio::test]
async fn no_other_upgrade_is_asked_for_or_taken() {
    let (rig, origin) = (Rig::new(), Origin::new().await);
    let request = "GET http://ORIGIN/ HTTP/1.1\r\nHost: x\r\nAUTH\r\nConnection: Upgrade, HTTP2-Settings\r\n\
                   Upgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n";
    let (mut client, mut upstream, head) = through(&rig, &origin, request).await;
    assert_eq!(head, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    upstream.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n").await;
    assert!(client.head().await.starts_with("HTTP/1.1 502 "));
}
