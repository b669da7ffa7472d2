//! Everything but loopback through another proxy.

use super::rig::{Origin, Rig, Wire};
use guardian::flow::capture::Parent;

fn through(parent: &Origin) -> Rig {
    let port = parent.name.rsplit_once(':').unwrap().1.parse().unwrap();
    Rig::with(1 << 20, |s| s.parent = Some(Parent::new("127.0.0.1".to_owned(), port, Some("us:pa:ss"))))
}

const AUTHORIZATION: &str = "Proxy-Authorization: Basic dXM6cGE6c3M=";

#[tokio::test]
async fn a_request_is_handed_over_whole_with_the_credential_of_that_proxy() {
    let parent = Origin::new().await;
    let rig = through(&parent);
    let mut client = rig.send("GET http://far.example/p?q HTTP/1.1\r\nHost: far.example\r\nAUTH\r\n\r\n").await;
    let mut upstream = parent.accept().await;
    let head = upstream.head().await;
    assert!(head.starts_with("GET http://far.example/p?q HTTP/1.1\r\nHost: far.example\r\n"), "{head}");
    assert!(head.to_ascii_lowercase().contains(&AUTHORIZATION.to_ascii_lowercase()), "{head}");
    assert_eq!(head.to_ascii_lowercase().matches("proxy-authorization").count(), 1, "ours stays here: {head}");
    upstream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
    assert!(client.head().await.starts_with("HTTP/1.1 200"));
    assert_eq!(client.exactly(2).await, b"ok");
    let seen = rig.seen(2).await;
    assert_eq!(seen[0].head.route.host, "far.example");
    assert!(seen.iter().all(|m| m.head.field("proxy-authorization").is_none()), "a credential is not scanned");
}

async fn asked(parent: &Origin) -> Wire {
    let mut upstream = parent.accept().await;
    let head = upstream.head().await;
    assert_eq!(head, format!("CONNECT far.example:443 HTTP/1.1\r\nHost: far.example:443\r\n{AUTHORIZATION}\r\n\r\n"));
    upstream
}

#[tokio::test]
async fn a_tunnel_goes_through_a_tunnel_and_what_follows_at_once_is_not_lost() {
    let parent = Origin::new().await;
    let rig = through(&parent);
    let mut client = rig.send("CONNECT far.example:443 HTTP/1.1\r\nHost: far.example:443\r\nAUTH\r\n\r\n").await;
    let mut upstream = asked(&parent).await;
    upstream.send(b"HTTP/1.1 200 Connection established\r\nVia: x\r\n\r\nSSH-2.0-far\r\n").await;
    assert_eq!(client.head().await, "HTTP/1.1 200 OK\r\n\r\n");
    assert_eq!(client.exactly(13).await, b"SSH-2.0-far\r\n");
    client.send(b"SSH-2.0-near\r\n").await;
    assert_eq!(upstream.exactly(14).await, b"SSH-2.0-near\r\n");
}

#[tokio::test]
async fn a_proxy_that_refuses_is_a_502_that_says_so() {
    for answer in [&b"HTTP/1.1 407 No\r\n\r\n"[..], b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n", b"SSH-2.0\r\n\r\n"]
    {
        let parent = Origin::new().await;
        let rig = through(&parent);
        let mut client = rig.send("CONNECT far.example:443 HTTP/1.1\r\nHost: far.example:443\r\nAUTH\r\n\r\n").await;
        asked(&parent).await.send(answer).await;
        assert!(client.head().await.starts_with("HTTP/1.1 502 "));
        assert!(client.until(b"\n").await.contains("upstream_proxy_refused"));
    }
}

#[tokio::test]
async fn loopback_never_goes_there() {
    let (parent, origin) = (Origin::new().await, Origin::new().await);
    let rig = through(&parent);
    let port = origin.name.rsplit_once(':').unwrap().1;
    for name in ["localhost", "LocalHost", "localhost.", "127.0.0.1"] {
        let host = format!("{name}:{port}");
        let mut client = rig.send(&format!("GET http://{host}/ HTTP/1.1\r\nHost: {host}\r\nAUTH\r\n\r\n")).await;
        let mut upstream = origin.accept().await;
        assert_eq!(upstream.head().await, format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        upstream.send(b"HTTP/1.1 204 No Content\r\n\r\n").await;
        assert!(client.head().await.starts_with("HTTP/1.1 204"));
    }
}
