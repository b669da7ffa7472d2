//! One connection of bytes, sent plain, through a tunnel and within TLS: what became of them, on all three sides.

use super::rig::{Inspecting, listen};
use crate::proxy::rig::{Seen, authenticated, bounded};
use guardian::flow::capture::Meter;
use posture::{Direction, UnscannedReason};
use std::{
    fmt,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
};

/// The origin's answer to everything.
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// How requests reach the origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Plain,
    Tunnelled,
    Opened,
}

/// What became of one connection.
pub(super) struct Became {
    pub(super) way: Way,
    sent: String,
    /// What the client got.
    pub(super) answer: String,
    /// What the origin got, its own name written `ORIGIN`.
    pub(super) heard: String,
    /// The requests the scanner was shown.
    pub(super) seen: Vec<Seen>,
    pub(super) meter: Meter,
}

/// Sends each of `all` each way, on a connection and a proxy of its own. `TARGET` stands for what a target begins with there,
/// `ORIGIN` for the origin, `AUTH` for the credential's field.
pub(super) async fn every_way<S: AsRef<str>>(all: impl IntoIterator<Item = S>) -> Vec<Became> {
    let mut sending = JoinSet::new();
    for bytes in all {
        for way in [Way::Plain, Way::Tunnelled, Way::Opened] {
            let bytes = bytes.as_ref().to_owned();
            sending.spawn(sent(way, bytes));
        }
    }
    sending.join_all().await
}

async fn sent(way: Way, sent: String) -> Became {
    // Who has sent all is waited for so long, and no longer.
    let proxy = Inspecting::with(|settings| settings.timeouts.drain = Duration::from_millis(300), &[], |_| false);
    let heard = Arc::new(Mutex::new(Vec::new()));
    let ears = Arc::clone(&heard);
    let acceptor = proxy.world.server(&["127.0.0.1"], &["http/1.1"], |_| {});
    let port = listen(move |stream| {
        let (acceptor, ears) = (acceptor.clone(), Arc::clone(&ears));
        async move {
            match way {
                Way::Opened => play(acceptor.accept(stream).await.unwrap(), &ears).await,
                Way::Plain | Way::Tunnelled => play(stream, &ears).await,
            }
        }
    })
    .await;
    let origin = format!("127.0.0.1:{port}");
    let target = if way == Way::Plain { format!("http://{origin}") } else { String::new() };
    let bytes = authenticated(&sent).replace("TARGET", &target).replace("ORIGIN", &origin);
    let answer = match way {
        Way::Plain => said(TcpStream::connect(proxy.rig.address).await.unwrap(), &bytes).await,
        Way::Tunnelled => said(proxy.tunnel(&origin).await, &bytes).await,
        Way::Opened => said(proxy.tls(&origin, "127.0.0.1", &["http/1.1"]).await.unwrap(), &bytes).await,
    };
    let (meter, mut seen) = proxy.rig.stop().await;
    seen.retain(|message| message.head.direction == Direction::Outbound);
    let heard = String::from_utf8_lossy(&heard.lock().unwrap()).replace(&origin, "ORIGIN");
    Became { way, sent, answer: String::from_utf8_lossy(&answer).into_owned(), heard, seen, meter }
}

/// The origin: notes what it gets, and answers whatever it takes for a whole request.
async fn play(mut stream: impl AsyncRead + AsyncWrite + Unpin, heard: &Mutex<Vec<u8>>) {
    let (mut bytes, mut answered, mut piece) = (Vec::new(), 0, [0; 4096]);
    while let Ok(length @ 1..) = stream.read(&mut piece).await {
        heard.lock().unwrap().extend_from_slice(&piece[..length]);
        bytes.extend_from_slice(&piece[..length]);
        while let Some(end) = whole(&bytes[answered..]) {
            answered += end;
            if stream.write_all(ANSWER).await.is_err() {
                return;
            }
        }
    }
}

/// Everything a client gets for its bytes.
async fn said(mut stream: impl AsyncRead + AsyncWrite + Unpin, bytes: &str) -> Vec<u8> {
    stream.write_all(bytes.as_bytes()).await.unwrap();
    stream.flush().await.unwrap();
    let (mut answer, mut piece) = (Vec::new(), [0; 4096]);
    // The proxy may wait for more; whoever has nothing more to say lets it know.
    while let Ok(Ok(length @ 1..)) = tokio::time::timeout(Duration::from_millis(200), stream.read(&mut piece)).await {
        answer.extend_from_slice(&piece[..length]);
    }
    let _ = stream.shutdown().await;
    let _ = bounded(stream.read_to_end(&mut answer)).await;
    answer
}

/// The length of the request that `bytes` begin with, once it is whole. Knows one way to frame one, and no leniency.
fn whole(bytes: &[u8]) -> Option<usize> {
    let text = std::str::from_utf8(bytes).expect("what is sent here is text");
    let (head, rest) = text.split_once("\r\n\r\n")?;
    let body = match field(head, "transfer-encoding") {
        Some(_) => rest.split_once("0\r\n").and_then(|(before, after)| {
            Some(before.len() + 3 + after.split_once("\r\n").map(|(trailer, _)| trailer.len() + 2)?)
        })?,
        None => field(head, "content-length").map_or(0, |length| length.parse().expect("a length")),
    };
    (rest.len() >= body).then_some(head.len() + 4 + body)
}

fn field<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    head.lines()
        .skip(1)
        .filter_map(|line| line.split_once(": "))
        .find(|(n, _)| n.eq_ignore_ascii_case(name))
        .map(|f| f.1)
}

impl Became {
    /// Nothing of it reached the origin or the scanner; the client was told with this status, and it was counted.
    pub(super) fn was_refused(&self, status: u16) {
        self.was_refused_as("bad_request", status);
    }

    pub(super) fn was_refused_as(&self, word: &'static str, status: u16) {
        self.answered(status);
        assert_eq!((self.heard.as_str(), self.seen.len()), ("", 0), "{self}");
        self.counted(word);
        assert_eq!(self.meter.coverage().unscanned(UnscannedReason::Refused).connections, 1, "{self}");
    }

    /// The origin got exactly `heard`, the scanner was shown as many requests with these bodies, and the client an answer to
    /// each.
    pub(super) fn went_through(&self, heard: &str, bodies: &[&str]) {
        self.answered(200);
        assert_eq!(self.heard, heard, "{self}");
        self.showed(bodies);
        assert_eq!(self.answer.matches("\r\n\r\nok").count(), bodies.len(), "{self}");
        assert_eq!(self.meter.refusals(), [], "{self}");
    }

    /// The origin got no end of the request, and of its body no more than the scanner was shown.
    pub(super) fn was_cut(&self, body: &str) {
        assert!(whole(self.heard.as_bytes()).is_none(), "{self}");
        let framed = self.heard.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        assert_eq!(framed, if framed.is_empty() { String::new() } else { chunk(body) }, "{self}");
        self.showed(&[body]);
    }

    pub(super) fn answered(&self, status: u16) {
        let answer = self.answer.strip_prefix("HTTP/1.").and_then(|answer| answer.get(1..));
        assert!(answer.is_some_and(|answer| answer.starts_with(&format!(" {status} "))), "{self}");
    }

    pub(super) fn counted(&self, word: &'static str) {
        assert_eq!(self.meter.refusals(), [(word, 1)], "{self}");
    }

    fn showed(&self, bodies: &[&str]) {
        let seen: Vec<_> = self.seen.iter().map(|message| String::from_utf8_lossy(&message.body)).collect();
        assert_eq!(seen, bodies, "{self}");
        assert_eq!(self.meter.coverage().scanned.connections, 1, "{self}");
    }
}

/// What is shown when it was not as it should be.
impl fmt::Display for Became {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { way, sent, answer, heard, .. } = self;
        write!(f, "{way:?}: {sent:?} was heard as {heard:?} and answered with {answer:?}")
    }
}

/// A body in one chunk that is not the last.
fn chunk(body: &str) -> String {
    format!("{:X}\r\n{body}\r\n", body.len())
}
