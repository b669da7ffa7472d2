//! Limits: what is bounded, what is cut, and what is counted then.

use super::rig::{self, Origin, Rig, bounded};
use posture::UnscannedReason;
use std::time::Duration;
use tokio::io::AsyncWriteExt;

#[tokio::test]
async fn a_large_body_is_not_gathered_on_its_way() {
    const TOTAL: usize = 100 << 20;
    let (rig, origin) = (Rig::new(), Origin::new().await);
    let request =
        format!("POST http://{}/ HTTP/1.1\r\nHost: x\r\nAUTH\r\nContent-Length: {TOTAL}\r\n\r\n", origin.name);
    let mut client = rig.send(&request).await;
    let mut upstream = origin.accept().await;
    upstream.head().await;
    // The origin reads nothing: what can be sent is what sockets and one buffer on each side hold.
    let piece = vec![7; 64 << 10];
    let mut sent = 0;
    while let Ok(written) = tokio::time::timeout(Duration::from_secs(1), client.0.write(&piece)).await {
        sent += written.unwrap();
        assert!(sent < TOTAL / 2, "{sent} bytes were taken that nobody read");
    }
    assert!(rig.tap.used() < 1 << 20);
    // Then all of it goes through.
    let rest = async {
        while sent < TOTAL {
            let more = piece.len().min(TOTAL - sent);
            client.0.write_all(&piece[..more]).await.unwrap();
            sent += more;
        }
    };
    let read = async {
        let mut left = TOTAL;
        while left > 0 {
            let bytes = upstream.exactly(left.min(1 << 20)).await;
            assert!(bytes.iter().all(|b| *b == 7));
            left -= bytes.len();
        }
    };
    bounded(async { tokio::join!(rest, read) }).await;
    upstream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    client.head().await;
    drop((client, upstream));
    let (meter, _) = rig.stop().await;
    assert_eq!(meter.coverage().seen.bytes, TOTAL as u64);
}

#[tokio::test]
async fn what_does_not_fit_the_queue_passes_all_the_same_and_is_counted() {
    let (rig, origin) = (Rig::with(2000, |_| {}), Origin::new().await);
    let body = vec![b'x'; 50_000];
    let request =
        format!("POST http://{}/ HTTP/1.1\r\nHost: x\r\nAUTH\r\nContent-Length: {}\r\n\r\n", origin.name, body.len());
    let mut client = rig.send(&request).await;
    let mut upstream = origin.accept().await;
    upstream.head().await;
    let ((), received) = tokio::join!(client.send(&body), upstream.exactly(body.len()));
    assert!(received == body);
    upstream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
    client.head().await;
    assert_eq!(client.exactly(2).await, b"ok");
    drop((client, upstream));
    let (meter, _) = rig.stop().await;
    let coverage = meter.coverage();
    assert_eq!(coverage.seen.bytes, 50_002);
    let dropped = coverage.unscanned(UnscannedReason::Dropped);
    assert!(dropped.messages >= 1 && dropped.bytes > 0);
    assert_eq!(coverage.unscanned(UnscannedReason::InProgress), posture::Totals::default());
}

#[tokio::test]
async fn a_client_that_leaves_ends_both_messages_and_the_upstream_exchange() {
    let rig = Rig::with(1 << 20, |settings| settings.timeouts.drain = Duration::from_millis(200));
    let origin = Origin::new().await;
    let request =
        format!("POST http://{}/ HTTP/1.1\r\nHost: x\r\nAUTH\r\nContent-Length: 100\r\n\r\nhalf", origin.name);
    let mut client = rig.send(&request).await;
    let mut upstream = origin.accept().await;
    upstream.head().await;
    assert_eq!(upstream.exactly(4).await, b"half");
    upstream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart").await;
    client.head().await;
    assert_eq!(client.exactly(4).await, b"part");
    drop(client);
    assert!(upstream.rest().await.is_empty());
    let seen = rig.seen(2).await;
    assert!(seen.iter().any(|m| m.body == b"half") && seen.iter().any(|m| m.body == b"part"));
    let (meter, _) = rig.stop().await;
    assert_eq!(meter.coverage().scanned.bytes, 8);
}

#[tokio::test]
async fn an_upstream_that_breaks_off_breaks_the_response_off() {
    let (rig, origin) = (Rig::new(), Origin::new().await);
    let mut client = rig.send(&format!("GET http://{}/ HTTP/1.1\r\nHost: x\r\nAUTH\r\n\r\n", origin.name)).await;
    let mut upstream = origin.accept().await;
    upstream.head().await;
    upstream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart").await;
    client.head().await;
    assert_eq!(client.exactly(4).await, b"part");
    drop(upstream);
    assert!(client.rest().await.is_empty());
}

#[tokio::test]
async fn a_head_beyond_its_limits_is_a_431_and_counted() {
    let rig = Rig::with(1 << 20, |settings| (settings.max_fields, settings.max_head_bytes) = (10, 8 << 10));
    let many = "X: 1\r\n".repeat(11);
    let long = format!("X: {}\r\n", "a".repeat(9 << 10));
    for fields in [many, long] {
        let mut client = rig.send(&format!("GET http://x.invalid/ HTTP/1.1\r\n{fields}\r\n")).await;
        assert!(client.head().await.starts_with("HTTP/1.1 431 "));
    }
    let (meter, _) = rig.stop().await;
    assert_eq!(meter.coverage().unscanned(UnscannedReason::Refused).connections, 2);
    assert_eq!(meter.refusals(), [("bad_request", 2)]);
}

#[tokio::test]
async fn a_head_that_does_not_come_is_not_waited_for() {
    let rig = Rig::with(1 << 20, |settings| settings.timeouts.head = Duration::from_millis(100));
    let (mut silent, mut slow) = (rig.connect().await, rig.send("GET http://half.a.head").await);
    assert!(silent.rest().await.is_empty());
    assert!(slow.rest().await.is_empty());
    let (meter, _) = rig.stop().await;
    assert_eq!(meter.coverage().unscanned(UnscannedReason::IncompleteHead).connections, 2);
}

#[tokio::test]
async fn an_exchange_outlives_the_limits_of_a_head_and_a_pause() {
    let rig = Rig::with(1 << 20, |settings| {
        settings.timeouts.head = Duration::from_millis(400);
        settings.timeouts.keep_alive_idle = Duration::from_millis(400);
    });
    let origin = Origin::new().await;
    let mut client = rig.send(&format!("GET http://{}/ HTTP/1.1\r\nHost: x\r\nAUTH\r\n\r\n", origin.name)).await;
    let mut upstream = origin.accept().await;
    upstream.head().await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    upstream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab").await;
    client.head().await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    upstream.send(b"cd").await;
    assert_eq!(client.exactly(4).await, b"abcd");
    // Then the pause is over soon.
    assert!(client.rest().await.is_empty());
}

#[tokio::test]
async fn one_connection_too_many_is_told_so_and_room_comes_free_again() {
    let rig = Rig::with(1 << 20, |settings| settings.max_connections = 1);
    let origin = Origin::new().await;
    let get = format!("GET http://{}/ HTTP/1.1\r\nAUTH\r\n\r\n", origin.name);
    let first = rig.send(&get).await;
    let mut upstream = origin.accept().await;
    upstream.head().await;
    let mut second = rig.connect().await;
    assert!(String::from_utf8(second.rest().await).unwrap().starts_with("HTTP/1.1 503 "));
    drop(first);
    bounded(async {
        while rig.load.connections() > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let _third = rig.send(&get).await;
    origin.accept().await.head().await;
    assert_eq!(rig.meter.refusals(), [("too_many_connections", 1)]);
}

#[tokio::test]
async fn heads_that_never_end_make_room_oldest_first_and_those_who_are_known_stay() {
    let rig = Rig::with(1 << 20, |settings| settings.max_connections = 3);
    let origin = Origin::new().await;
    let get = format!("GET http://{}/ HTTP/1.1\r\nAUTH\r\n\r\n", origin.name);
    let mut agent = rig.send(&get).await;
    let mut upstream = origin.accept().await;
    upstream.head().await;
    let (mut older, mut younger) = (rig.send("GET http://half").await, rig.send("GET http://a.head").await);
    // A refusal is no credential: whoever only collects those keeps nobody out.
    let mut refused = rig.send("GET http://x.invalid/ HTTP/1.1\r\n\r\n").await;
    assert!(older.rest().await.is_empty());
    assert!(refused.head().await.starts_with("HTTP/1.1 407 "));
    let second = rig.send(&get).await;
    assert!(younger.rest().await.is_empty());
    let _upstream_of_second = origin.accept().await;
    let third = rig.send(&get).await;
    refused.rest().await;
    let _upstream_of_third = origin.accept().await;
    bounded(async {
        while rig.load.exchanges() < 3 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(rig.load.connections(), 3);
    let mut none_left = rig.send(&get).await;
    assert!(String::from_utf8(none_left.rest().await).unwrap().starts_with("HTTP/1.1 503 "));
    upstream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
    agent.head().await;
    assert_eq!(agent.exactly(2).await, b"ok");
    let refusals = rig.meter.refusals();
    assert_eq!(refusals, [("too_many_connections", 4), ("proxy_authentication_required", 1)]);
    drop((agent, second, third));
    let (meter, _) = rig.stop().await;
    let coverage = meter.coverage();
    let [incomplete, refused] = [UnscannedReason::IncompleteHead, UnscannedReason::Refused]
        .map(|reason| coverage.unscanned(reason).connections);
    assert_eq!((incomplete, refused), (2, 2));
}

#[tokio::test]
async fn one_request_too_many_is_told_so_and_room_comes_free_again() {
    let rig = Rig::with(1 << 20, |settings| settings.max_exchanges = 2);
    let origin = Origin::new().await;
    let get = format!("GET http://{}/ HTTP/1.1\r\nAUTH\r\n\r\n", origin.name);
    let (mut first, _second) = (rig.send(&get).await, rig.send(&get).await);
    let (mut upstream, mut other) = (origin.accept().await, origin.accept().await);
    assert_eq!(upstream.head().await, other.head().await);
    assert_eq!(rig.load.exchanges(), 2);
    let mut third = rig.send(&get).await;
    assert!(third.head().await.starts_with("HTTP/1.1 503 "));
    assert_eq!(third.exactly(31).await, b"{\"error\":\"too_many_exchanges\"}\n");
    // A body that is still under way is under way.
    upstream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n").await;
    first.head().await;
    third.send(rig::authenticated(&get).as_bytes()).await;
    assert!(third.head().await.starts_with("HTTP/1.1 503 "));
    assert_eq!(third.exactly(31).await.len(), 31);
    upstream.send(b"ok").await;
    first.exactly(2).await;
    bounded(async {
        while rig.load.exchanges() > 1 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    third.send(rig::authenticated(&get).as_bytes()).await;
    // Over the connection the first one left.
    upstream.head().await;
    assert_eq!(rig.meter.refusals(), [("too_many_exchanges", 2)]);
}

#[tokio::test]
async fn what_was_begun_is_finished_after_a_stop_and_nothing_new_begins() {
    let (rig, origin) = (Rig::new(), Origin::new().await);
    let mut idle = rig.connect().await;
    let mut client = rig.send(&format!("GET http://{}/ HTTP/1.1\r\nHost: x\r\nAUTH\r\n\r\n", origin.name)).await;
    let mut upstream = origin.accept().await;
    upstream.head().await;
    rig.stop.cancel();
    assert!(idle.rest().await.is_empty());
    upstream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
    client.head().await;
    assert_eq!(client.rest().await, b"ok");
    assert!(tokio::net::TcpStream::connect(rig.address).await.is_err());
    let (meter, _) = rig.stop().await;
    assert_eq!(meter.coverage().unscanned(UnscannedReason::InProgress), posture::Totals::default());
}

#[tokio::test]
async fn streams_and_tunnels_do_not_hold_a_stop() {
    let rig = Rig::with(1 << 20, |settings| settings.timeouts.drain = Duration::from_millis(200));
    let origin = Origin::new().await;
    let mut stream = rig.send(&format!("GET http://{}/ HTTP/1.1\r\nHost: x\r\nAUTH\r\n\r\n", origin.name)).await;
    let mut upstream = origin.accept().await;
    upstream.head().await;
    upstream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart").await;
    stream.head().await;
    let mut tunnel = rig.send(&format!("CONNECT {} HTTP/1.1\r\nHost: x\r\nAUTH\r\n\r\n", origin.name)).await;
    let _far = origin.accept().await;
    tunnel.head().await;
    let (meter, _) = rig.stop().await;
    assert_eq!(tunnel.rest().await, b"");
    assert_eq!(stream.rest().await, b"part");
    assert_eq!(meter.coverage().unscanned(UnscannedReason::InProgress), posture::Totals::default());
}

#[tokio::test]
async fn who_goes_round_many_servers_leaves_few_connections_behind() {
    let rig = Rig::with(1 << 20, |settings| settings.max_connections = 8);
    let mut client = rig.connect().await;
    let mut left = Vec::new();
    for _ in 0..60 {
        let origin = Origin::new().await;
        let request = format!("GET http://{0}/ HTTP/1.1\r\nHost: {0}\r\nAUTH\r\n\r\n", origin.name);
        client.send(rig::authenticated(&request).as_bytes()).await;
        let mut upstream = origin.accept().await;
        upstream.head().await;
        upstream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
        client.head().await;
        client.exactly(2).await;
        left.push((origin, upstream));
    }
    for (_, upstream) in &mut left[..40] {
        assert!(upstream.rest().await.is_empty());
    }
}

#[tokio::test]
async fn connections_in_use_are_not_taken_for_left_behind() {
    let rig = Rig::with(1 << 20, |settings| settings.max_connections = 32);
    let origin = Origin::new().await;
    let request = format!("GET http://{0}/ HTTP/1.1\r\nHost: {0}\r\nAUTH\r\n\r\n", origin.name);
    let mut busy = Vec::new();
    for _ in 0..20 {
        let mut client = rig.connect().await;
        client.send(rig::authenticated(&request).as_bytes()).await;
        let mut upstream = origin.accept().await;
        upstream.head().await;
        busy.push((client, upstream));
    }
    let mut client = rig.connect().await;
    client.send(rig::authenticated(&request).as_bytes()).await;
    let mut upstream = origin.accept().await;
    for _ in 0..3 {
        upstream.head().await;
        upstream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
        client.head().await;
        client.exactly(2).await;
        client.send(rig::authenticated(&request).as_bytes()).await;
    }
    upstream.head().await;
}

#[tokio::test]
async fn a_connection_nobody_asks_for_again_ends_at_the_limit_of_a_pause() {
    let rig = Rig::with(1 << 20, |settings| settings.timeouts.keep_alive_idle = Duration::from_millis(200));
    let origin = Origin::new().await;
    let mut client = rig.send(&format!("GET http://{}/ HTTP/1.1\r\nHost: x\r\nAUTH\r\n\r\n", origin.name)).await;
    let mut upstream = origin.accept().await;
    upstream.head().await;
    upstream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
    client.head().await;
    assert_eq!(client.exactly(2).await, b"ok");
    assert!(upstream.rest().await.is_empty());
}
