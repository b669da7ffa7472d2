//! Connections opened and closed, of a monitor at work: nothing is left of them but their count. A million of each kind:
//! `cargo bench --bench load -- closes 1000000`.

use super::{
    rig::{World, bounded, echo, handshake, origin},
    wired::home,
};
use crate::place::Place;
use hudsucker::rustls::pki_types::{CertificateDer, pem::PemObject};
use std::fs;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
};

/// Of each kind.
const TIMES: usize = 50;

/// How far a connection goes before it is closed.
#[derive(Clone, Copy)]
enum Kind {
    Connected,
    HalfAHead,
    Tunnel,
    Opened,
}

/// What is asked for, and with what.
struct Way {
    listen: String,
    credential: String,
    origin: String,
    trusted: CertificateDer<'static>,
}

impl Way {
    async fn opened_and_closed(&self, kind: Kind) {
        let mut stream = TcpStream::connect(&self.listen).await.unwrap();
        let Self { origin, credential, .. } = self;
        match kind {
            Kind::Connected => return ended(stream).await,
            Kind::HalfAHead => {
                stream.write_all(b"POST http://127.0.0.1/ HTTP/1.1\r\nContent-Le").await.unwrap();
                return ended(stream).await;
            }
            Kind::Tunnel | Kind::Opened => {}
        }
        let head =
            format!("CONNECT {origin} HTTP/1.1\r\nHost: {origin}\r\nProxy-Authorization: Basic {credential}\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = [0; 19];
        bounded(stream.read_exact(&mut answer)).await.unwrap();
        assert_eq!(&answer, b"HTTP/1.1 200 OK\r\n\r\n");
        match kind {
            Kind::Opened => {
                ended(handshake(stream, self.trusted.clone(), "localhost", &["http/1.1"]).await.unwrap()).await;
            }
            _ => ended(stream).await,
        }
    }
}

async fn ended(mut stream: impl AsyncRead + AsyncWrite + Unpin) {
    stream.shutdown().await.unwrap();
    assert!(!matches!(bounded(stream.read(&mut [0])).await, Ok(1..)), "an answer to nothing");
}

/// `None` where the kernel does not say: the process is closed to others of its user.
fn descriptors(pid: u64) -> Option<usize> {
    Some(fs::read_dir(format!("/proc/{pid}/fd")).ok()?.count())
}

fn status(place: &Place) -> serde_json::Value {
    place.run(&["status", "--json"]).json()
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_opened_and_closed_leave_nothing_but_their_count() {
    let world = World::new();
    let port = origin(world.server(&["localhost"], &["http/1.1"], |_| {}), echo).await;
    let place = home(&world, "");
    assert_eq!(place.run(&["ca", "init"]).code, 0);
    assert_eq!(place.run(&["start", "--inspect-https", "--background"]).code, 0);
    let status = || tokio::task::block_in_place(|| status(&place));
    let token = fs::read_to_string(place.home().join("keys/proxy.token")).unwrap();
    let way = Way {
        listen: status()["listen"].as_str().unwrap().to_owned(),
        credential: data_encoding::BASE64.encode(format!("guardian:{}", token.trim()).as_bytes()),
        origin: format!("localhost:{port}"),
        trusted: CertificateDer::from_pem_file(place.home().join("ca/ca.pem")).unwrap(),
    };
    let kinds = [Kind::Connected, Kind::HalfAHead, Kind::Tunnel, Kind::Opened];
    // The first of each: what is made once is no leak.
    for kind in kinds {
        way.opened_and_closed(kind).await;
    }
    let pid = status()["pid"].as_u64().unwrap();
    let settled = async || {
        for _ in 0..200 {
            if status()["in_flight"] == serde_json::json!({"connections": 0, "exchanges": 0}) {
                // The one that asked is gone, too, a moment later.
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                return descriptors(pid);
            }
        }
        panic!("connections are left: {}", status());
    };
    let before = settled().await;
    for kind in kinds {
        for _ in 0..TIMES {
            way.opened_and_closed(kind).await;
        }
    }
    // A file of an export or a socket of a self-test may be open at one look and not at the other: a few, and not one a time.
    let after = settled().await;
    assert!(after.unwrap_or_default() < before.unwrap_or_default() + TIMES / 2, "{before:?} became {after:?}");
    let opened = (TIMES + 1) * kinds.len();
    let coverage = &status()["coverage"];
    assert_eq!(coverage["seen"]["connections"], opened);
    let incomplete =
        serde_json::json!([{"bytes": 0, "connections": opened, "messages": 0, "reason": "incomplete_head"}]);
    assert_eq!(coverage["not_scanned"], incomplete);
    assert_eq!(tokio::task::block_in_place(|| place.run(&["stop"])).code, 0);
}
