use super::*;
use crate::flow::capture::{Intake, Meter, Proxy, ProxySettings, Tap};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_util::sync::CancellationToken;

const NONCE: &str = "a-nonce-of-this-test";
const TOKEN: &str = "a-token-of-this-test";

/// A proxy with a probe registered for `socket`, whose sink is a port nobody listens on.
fn registered(socket: &TcpSocket, sink: SocketAddr) -> (Prober, Meter, Vec<Intake>) {
    let meter = Meter::default();
    let (tap, intakes) = Tap::new(1 << 20, 1, meter.clone());
    let settings = ProxySettings::new(TOKEN.to_owned().into());
    let proxy = Proxy::bind((Ipv4Addr::LOCALHOST, 0).into(), &settings, tap, meter.clone()).unwrap();
    let prober = proxy.prober().unwrap();
    tokio::spawn(proxy.serve(CancellationToken::new()));
    let nonce = Zeroizing::new(NONCE.to_owned());
    let probe = Probe { nonce, sink, sightings: Arc::default(), inspector: None };
    prober.probes.open().insert(socket.local_addr().unwrap(), probe);
    (prober, meter, intakes)
}

async fn ask(mut stream: TcpStream, secret: &str, to: &str) -> String {
    let credential = &*crate::flow::capture::proxy::credential(secret);
    let head = format!("GET http://{to}/ HTTP/1.1\r\nHost: {to}\r\nProxy-Authorization: Basic {credential}\r\n");
    stream.write_all(format!("{head}Connection: close\r\n\r\n").as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer.lines().next().unwrap_or_default().to_owned()
}

fn socket() -> TcpSocket {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    socket
}

#[tokio::test]
async fn a_registered_connection_without_its_nonce_gets_nothing_and_is_not_asked_again() {
    let (first, second) = (socket(), socket());
    let from = first.local_addr().unwrap();
    let (prober, meter, _intakes) = registered(&first, (Ipv4Addr::LOCALHOST, 1).into());
    // Not even with what opens the proxy to agents.
    let answer = ask(first.connect(prober.listen).await.unwrap(), TOKEN, "127.0.0.1:1").await;
    assert_eq!(answer, "HTTP/1.1 407 Proxy Authentication Required");
    assert!(prober.probes.take(from).is_none(), "once");
    assert_eq!((meter.coverage().seen.connections, meter.refusals()), (0, vec![]));
    // And the nonce on any other connection is as good as none.
    let answer = ask(second.connect(prober.listen).await.unwrap(), NONCE, "127.0.0.1:1").await;
    assert_eq!(answer, "HTTP/1.1 407 Proxy Authentication Required");
    assert_eq!((meter.coverage().seen.connections, meter.refusals().len()), (1, 1));
}

#[tokio::test]
async fn a_probe_reaches_its_sink_and_nothing_else() {
    let origin = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let elsewhere = origin.local_addr().unwrap();
    for to in [elsewhere.to_string(), format!("localhost:{}", elsewhere.port())] {
        let socket = socket();
        let (prober, ..) = registered(&socket, (Ipv4Addr::LOCALHOST, 1).into());
        let answer = ask(socket.connect(prober.listen).await.unwrap(), NONCE, &to).await;
        assert_eq!(answer, "HTTP/1.1 502 Bad Gateway", "{to}");
    }
    assert!(timeout(Duration::ZERO, origin.accept()).await.is_err());
}

#[tokio::test]
async fn a_probe_that_never_came_is_taken_back() {
    let (prober, ..) = registered(&socket(), (Ipv4Addr::LOCALHOST, 1).into());
    let from = socket().local_addr().unwrap();
    let probe = Probe { nonce: Zeroizing::default(), sink: from, sightings: Arc::default(), inspector: None };
    prober.probes.open().insert(from, probe);
    drop(Registered(&prober.probes, from));
    assert!(prober.probes.take(from).is_none());
}
