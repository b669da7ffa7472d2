//! Whatever comes, in whatever order: each connection, message and byte is in one bucket, and none is missing.

use super::rig::{Origin, Rig, authenticated};
use posture::{Coverage, UnscannedReason};
use proptest::{
    prelude::*,
    strategy::ValueTree,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use std::time::Duration;
use tokio::io::AsyncWriteExt;

/// What a client and an origin do on one connection.
#[derive(Debug, Clone)]
enum Deed {
    /// Exchanges of so many bytes up and down, chunked or not, on one connection.
    Exchanges(Vec<(usize, usize, bool)>),
    /// An upload and its answer, both cut: of what was promised, so much comes.
    Cut(usize, usize),
    /// The same exchanges inside a tunnel.
    Tunnelled(Vec<(usize, usize, bool)>),
    /// A tunnel of something else.
    Opaque(usize, usize),
    /// A tunnel in which the server speaks first.
    ServerFirst(usize, usize),
    /// No credential.
    Stranger,
    /// Half a head.
    Half,
}

fn exchanges() -> impl Strategy<Value = Vec<(usize, usize, bool)>> {
    proptest::collection::vec((0..90_000_usize, 0..90_000_usize, any::<bool>()), 1..4)
}

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        exchanges().prop_map(Deed::Exchanges),
        (1..50_000_usize, 1..50_000_usize).prop_map(|(up, down)| Deed::Cut(up, down)),
        exchanges().prop_map(Deed::Tunnelled),
        (1..70_000_usize, 0..70_000_usize).prop_map(|(up, down)| Deed::Opaque(up, down)),
        (0..70_000_usize, 1..70_000_usize).prop_map(|(up, down)| Deed::ServerFirst(up, down)),
        Just(Deed::Stranger),
        Just(Deed::Half),
    ]
}

/// A head's framing and a body of so many bytes.
fn framed(length: usize, chunked: bool) -> Vec<u8> {
    let body = vec![b'x'; length];
    if !chunked {
        return [format!("Content-Length: {length}\r\n\r\n").as_bytes(), &body].concat();
    }
    let mut framed = b"Transfer-Encoding: chunked\r\n\r\n".to_vec();
    for piece in body.chunks(7_000) {
        framed.extend(format!("{:x}\r\n", piece.len()).as_bytes());
        framed.extend(piece);
        framed.extend(b"\r\n");
    }
    framed.extend(b"0\r\n\r\n");
    framed
}

impl Deed {
    /// Does it, and says what it adds to coverage: the bucket of the connection, and its bytes and messages.
    async fn done(&self, rig: &Rig, origin: &Origin) -> (Option<UnscannedReason>, usize, u64) {
        let connect = format!("CONNECT {0} HTTP/1.1\r\nHost: {0}\r\nAUTH\r\n\r\n", origin.name);
        match self {
            Self::Exchanges(exchanges) | Self::Tunnelled(exchanges) => {
                let tunnelled = matches!(self, Self::Tunnelled(_));
                let mut client = rig.connect().await;
                let mut upstream = None;
                let target = if tunnelled { String::new() } else { format!("http://{}", origin.name) };
                if tunnelled {
                    client.send(authenticated(&connect).as_bytes()).await;
                    upstream = Some(origin.accept().await);
                    client.head().await;
                }
                for (up, down, chunked) in exchanges {
                    let head = format!("POST {target}/ HTTP/1.1\r\nHost: {}\r\nAUTH\r\n", origin.name);
                    let request = [authenticated(&head).as_bytes(), &framed(*up, *chunked)].concat();
                    let there = async {
                        // A pooled connection may have served the deed before.
                        let mut upstream = match upstream.take() {
                            Some(upstream) => upstream,
                            None => origin.accept().await,
                        };
                        upstream.head().await;
                        let body = if *chunked { upstream.chunked().await.0 } else { upstream.exactly(*up).await };
                        assert_eq!(body.len(), *up);
                        let answer = [b"HTTP/1.1 200 OK\r\n", &framed(*down, *chunked)[..]].concat();
                        upstream.send(&answer).await;
                        upstream
                    };
                    let here = async {
                        client.send(&request).await;
                        client.head().await;
                        let body = if *chunked { client.chunked().await.0 } else { client.exactly(*down).await };
                        assert_eq!(body.len(), *down);
                    };
                    upstream = Some(tokio::join!(there, here).0);
                }
                let bytes = exchanges.iter().map(|(up, down, _)| up + down).sum();
                (None, bytes, 2 * exchanges.len() as u64)
            }
            Self::Cut(up, down) => {
                let head = format!(
                    "POST http://{}/ HTTP/1.1\r\nHost: x\r\nAUTH\r\nContent-Length: 99999\r\n\r\n",
                    origin.name
                );
                let mut client = rig.send(&head).await;
                let mut upstream = origin.accept().await;
                upstream.head().await;
                let (sent, answer) = (vec![b'x'; *up], vec![b'y'; *down]);
                tokio::join!(client.send(&sent), upstream.exactly(*up));
                upstream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n").await;
                client.head().await;
                tokio::join!(upstream.send(&answer), client.exactly(*down));
                drop(client);
                upstream.rest().await;
                (None, up + down, 2)
            }
            Self::Opaque(up, down) | Self::ServerFirst(up, down) => {
                let mut client = rig.send(&connect).await;
                let mut upstream = origin.accept().await;
                client.head().await;
                let (sent, answer) = (vec![b'!'; *up], vec![b'y'; *down]);
                if matches!(self, Self::Opaque(..)) {
                    client.send(b"\0").await;
                    upstream.exactly(1).await;
                } else {
                    upstream.send(b"\0").await;
                    client.exactly(1).await;
                }
                tokio::join!(client.send(&sent), upstream.exactly(*up));
                tokio::join!(upstream.send(&answer), client.exactly(*down));
                client.0.shutdown().await.unwrap();
                upstream.rest().await;
                let opaque = matches!(self, Self::Opaque(..));
                let reason = if opaque { UnscannedReason::UnknownProtocol } else { UnscannedReason::ServerFirst };
                (Some(reason), up + down + 1, 0)
            }
            Self::Stranger => {
                let mut client = rig.send(&format!("GET http://{}/ HTTP/1.1\r\n\r\n", origin.name)).await;
                assert!(client.head().await.starts_with("HTTP/1.1 407 "));
                (Some(UnscannedReason::Refused), 0, 0)
            }
            Self::Half => {
                let mut client = rig.send("GET http://half").await;
                client.0.shutdown().await.unwrap();
                client.rest().await;
                (Some(UnscannedReason::IncompleteHead), 0, 0)
            }
        }
    }
}

#[tokio::test]
async fn the_buckets_together_are_what_was_relayed() {
    let mut runner = TestRunner::new_with_rng(Config::default(), TestRng::from_seed(RngAlgorithm::ChaCha, &[3; 32]));
    for round in 0..8 {
        // A large queue; one that takes heads and little else; and one that takes nothing.
        let queue = [64 << 20, 30_000, 100][round % 3];
        let rig = Rig::with(queue, |settings| settings.timeouts.drain = Duration::from_millis(300));
        let deeds = proptest::collection::vec(deed(), 1..12).new_tree(&mut runner).unwrap().current();
        let mut expected = Coverage::default();
        let mut opaque = [(0, 0); UnscannedReason::ALL.len()];
        for deed in &deeds {
            let origin = Origin::new().await;
            let (reason, bytes, messages) = deed.done(&rig, &origin).await;
            expected.seen.connections += 1;
            expected.seen.bytes += bytes as u64;
            expected.seen.messages += messages;
            match reason {
                None => expected.scanned.connections += 1,
                Some(reason) => {
                    opaque[reason as usize].0 += 1;
                    opaque[reason as usize].1 += bytes as u64;
                }
            }
            assert!(rig.meter.coverage().adds_up());
        }
        let coverage = rig.stop().await.0.coverage();
        assert!(coverage.adds_up(), "{deeds:?}");
        // Of a tunnel's target that found no room is told as of a message.
        let tunnels =
            deeds.iter().filter(|d| matches!(d, Deed::Tunnelled(_) | Deed::Opaque(..) | Deed::ServerFirst(..)));
        let named = if round % 3 == 0 { 0 } else { tunnels.count() as u64 };
        let extra = coverage.seen.messages - expected.seen.messages;
        assert!(extra <= named, "{deeds:?}");
        expected.seen.messages += extra;
        assert_eq!(coverage.seen, expected.seen, "{deeds:?}");
        assert_eq!(coverage.scanned.connections, expected.scanned.connections, "{deeds:?}");
        assert_eq!(coverage.unscanned(UnscannedReason::InProgress), posture::Totals::default());
        let mut left = coverage.seen.bytes - coverage.scanned.bytes;
        for reason in UnscannedReason::ALL {
            let totals = coverage.unscanned(*reason);
            let (connections, bytes) = opaque[*reason as usize];
            assert_eq!(totals.connections, connections, "{reason} of {deeds:?}");
            if *reason != UnscannedReason::Dropped {
                assert_eq!((totals.bytes, totals.messages), (bytes, 0), "{reason} of {deeds:?}");
            }
            left -= totals.bytes;
        }
        assert_eq!(left, 0);
        if round % 3 == 0 {
            assert_eq!(coverage.unscanned(UnscannedReason::Dropped), posture::Totals::default());
        }
    }
}
