//! CONNECT.

use super::rig::{Origin, Rig, Wire, bounded};
use posture::UnscannedReason;
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
