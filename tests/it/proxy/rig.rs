//! A proxy on loopback, a scanner that keeps what it is shown, and sockets to speak through byte by byte.

use guardian::flow::capture::{Feed, Field, Head, Intake, Load, Meter, Part, Proxy, ProxySettings, Tap, Timeouts};
use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Condvar, Mutex},
    thread::JoinHandle,
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

pub(crate) const TOKEN: &str = "a-token-of-this-test";

/// What a scanner saw of one message.
#[derive(Clone)]
pub(crate) struct Seen {
    pub(crate) head: Head,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Vec<Field>,
}

#[derive(Default)]
struct Notes {
    seen: Mutex<Vec<Seen>>,
    named: Mutex<Vec<Head>>,
    more: Condvar,
}

pub(crate) struct Rig {
    pub(crate) address: SocketAddr,
    pub(crate) meter: Meter,
    pub(crate) tap: Tap,
    pub(crate) load: Load,
    pub(crate) stop: CancellationToken,
    pub(crate) serving: task::JoinHandle<()>,
    notes: Arc<Notes>,
    scanner: JoinHandle<()>,
}

impl Rig {
    pub(crate) fn new() -> Self {
        Self::with(64 << 20, |_| {})
    }

    pub(crate) fn with(queue: usize, change: impl FnOnce(&mut ProxySettings)) -> Self {
        let mut settings = ProxySettings::new(TOKEN.to_owned().into());
        settings.timeouts = Timeouts { drain: Duration::from_secs(20), ..Timeouts::default() };
        change(&mut settings);
        let meter = Meter::default();
        let (tap, mut intakes) = Tap::new(queue, 1, meter.clone());
        let proxy = Proxy::bind(([127, 0, 0, 1], 0).into(), &settings, tap.clone(), meter.clone()).unwrap();
        let (address, load) = (proxy.local_addr().unwrap(), proxy.load());
        let (stop, notes) = (CancellationToken::new(), Arc::new(Notes::default()));
        let serving = tokio::spawn(proxy.serve(stop.clone()));
        let (intake, kept) = (intakes.remove(0), Arc::clone(&notes));
        let scanner = std::thread::spawn(move || scan(&intake, &kept));
        Self { address, meter, tap, load, stop, serving, notes, scanner }
    }

    pub(crate) async fn connect(&self) -> Wire {
        Wire(TcpStream::connect(self.address).await.unwrap())
    }

    /// Sends a request head in which `AUTH` stands for the credential's field.
    pub(crate) async fn send(&self, request: &str) -> Wire {
        let mut wire = self.connect().await;
        wire.send(authenticated(request).as_bytes()).await;
        wire
    }

    /// The first `count` messages, in the order in which they ended.
    pub(crate) async fn seen(&self, count: usize) -> Vec<Seen> {
        let notes = Arc::clone(&self.notes);
        let wait = task::spawn_blocking(move || {
            let (seen, outcome) = notes
                .more
                .wait_timeout_while(notes.seen.lock().unwrap(), crate::GIVE_UP, |seen| seen.len() < count)
                .unwrap();
            assert!(!outcome.timed_out(), "{} of {count} messages", seen.len());
            seen.clone()
        });
        wait.await.unwrap()
    }

    /// Where tunnels were asked to go so far, as the scanner was told.
    pub(crate) fn named(&self) -> Vec<Head> {
        self.notes.named.lock().unwrap().clone()
    }

    /// Stops the proxy, waits for it and for the scanner, and gives everything it saw.
    pub(crate) async fn stop(self) -> (Meter, Vec<Seen>) {
        self.stop.cancel();
        bounded(self.serving).await.unwrap();
        let tap = self.tap;
        drop(tap);
        bounded(task::spawn_blocking(|| self.scanner.join().unwrap())).await.unwrap();
        let seen = std::mem::take(&mut *self.notes.seen.lock().unwrap());
        assert!(self.meter.coverage().adds_up());
        (self.meter, seen)
    }
}

fn scan(intake: &Intake, notes: &Notes) {
    let mut open = HashMap::new();
    while let Some(fed) = intake.recv() {
        match fed.feed {
            Feed::Begin(head, ticket, _) => {
                let seen = Seen { head, body: Vec::new(), trailers: Vec::new() };
                open.insert(fed.message, (seen, ticket));
            }
            Feed::Part(Part::Body(piece)) => open.get_mut(&fed.message).unwrap().0.body.extend_from_slice(&piece),
            Feed::Name(head, _) => notes.named.lock().unwrap().push(head),
            Feed::Part(Part::Trailers(fields)) => open.get_mut(&fed.message).unwrap().0.trailers = fields,
            Feed::Part(Part::End) => {
                let (seen, ticket) = open.remove(&fed.message).unwrap();
                ticket.settle(seen.body.len() as u64, None);
                notes.seen.lock().unwrap().push(seen);
                notes.more.notify_all();
            }
        }
    }
}

pub(crate) fn authenticated(request: &str) -> String {
    let credential = data_encoding::BASE64.encode(format!("guardian:{TOKEN}").as_bytes());
    request.replace("AUTH", &format!("Proxy-Authorization: Basic {credential}"))
}

/// Nothing here may hang a test run.
pub(crate) async fn bounded<F: Future>(future: F) -> F::Output {
    timeout(crate::GIVE_UP, future).await.expect("in time")
}

/// A socket spoken to in bytes.
pub(crate) struct Wire(pub(crate) TcpStream);

impl Wire {
    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        bounded(self.0.write_all(bytes)).await.unwrap();
    }

    /// Up to and with the empty line.
    pub(crate) async fn head(&mut self) -> String {
        self.until(b"\r\n\r\n").await
    }

    pub(crate) async fn until(&mut self, end: &[u8]) -> String {
        let mut head = Vec::new();
        while !head.ends_with(end) {
            match bounded(self.0.read_u8()).await {
                Ok(byte) => head.push(byte),
                Err(error) => panic!("{error} after {:?}", String::from_utf8_lossy(&head)),
            }
        }
        String::from_utf8(head).unwrap()
    }

    pub(crate) async fn exactly(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        bounded(self.0.read_exact(&mut bytes)).await.unwrap();
        bytes
    }

    /// Whatever comes until the other side has finished sending.
    pub(crate) async fn rest(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        // A reset is an end, too.
        let _ = bounded(self.0.read_to_end(&mut bytes)).await;
        bytes
    }

    /// A whole chunked body, its framing undone, and the lines of its trailer section.
    pub(crate) async fn chunked(&mut self) -> (Vec<u8>, String) {
        let mut body = Vec::new();
        loop {
            let line = self.until(b"\r\n").await;
            match usize::from_str_radix(line.trim_end(), 16).unwrap() {
                0 => break,
                length => {
                    body.extend(self.exactly(length).await);
                    assert_eq!(self.exactly(2).await, b"\r\n");
                }
            }
        }
        let mut trailers = String::new();
        loop {
            match self.until(b"\r\n").await.as_str() {
                "\r\n" => return (body, trailers),
                line => trailers.push_str(line),
            }
        }
    }
}

/// An origin of which the test plays every byte.
pub(crate) struct Origin {
    listener: TcpListener,
    pub(crate) name: String,
}

impl Origin {
    pub(crate) async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let name = listener.local_addr().unwrap().to_string();
        Self { listener, name }
    }

    pub(crate) async fn accept(&self) -> Wire {
        let (stream, _) = bounded(self.listener.accept()).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Wire(stream)
    }
}

/// A port nobody listens on.
pub(crate) async fn dead() -> String {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().to_string()
}
