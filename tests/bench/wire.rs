//! Both ends of what is relayed: a client that keeps its connection, and the origin.

use hudsucker::rustls::{
    ClientConfig, ClientConnection, ServerConfig, ServerConnection, StreamOwned, pki_types::ServerName,
};
use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

const KIB: usize = 1 << 10;
/// Events of one stream.
pub(crate) const EVENTS: usize = 200;
const EVENT_EVERY: Duration = Duration::from_millis(5);

trait Wire: Read + Write + Send {}
impl<T: Read + Write + Send> Wire for T {}

/// One way to the origin: what is connected to, and what is said to be let through.
pub(crate) struct Way<'p> {
    pub(crate) name: &'static str,
    pub(crate) through: Option<&'p crate::child::Program>,
    pub(crate) credential: String,
}

/// Where the origin is, and how it is trusted.
pub(crate) struct Origin {
    plain: SocketAddr,
    secure: SocketAddr,
    trust: Arc<ClientConfig>,
    /// When each event of the last stream was sent.
    pub(crate) sent: Arc<Mutex<Vec<Instant>>>,
}

// === client ===

/// One connection kept alive.
pub(crate) struct Client {
    wire: Box<dyn Wire>,
    // What of a request comes before and after its path.
    request: [String; 2],
    buffer: Vec<u8>,
}

impl Client {
    pub(crate) fn new(way: &Way<'_>, origin: &Origin, secure: bool) -> Self {
        let to = if secure { origin.secure } else { origin.plain };
        let stream = TcpStream::connect(way.through.map_or(to, |p| p.listen)).expect("it listens");
        stream.set_nodelay(true).expect("a socket option");
        stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a socket option");
        let credential = match way.credential.as_str() {
            "" => String::new(),
            value => format!("Proxy-Authorization: {value}\r\n"),
        };
        let buffer = vec![0; 256 * KIB];
        if !secure {
            let request = [format!("GET http://{to}"), format!(" HTTP/1.1\r\nHost: {to}\r\n{credential}\r\n")];
            return Self { wire: Box::new(stream), request, buffer };
        }
        let stream = if way.through.is_some() { tunnel(stream, to, &credential) } else { stream };
        let name = ServerName::from(to.ip());
        let tls = ClientConnection::new(Arc::clone(&origin.trust), name).expect("a whole configuration");
        let request = ["GET ".to_owned(), format!(" HTTP/1.1\r\nHost: {to}\r\n\r\n")];
        Self { wire: Box::new(StreamOwned::new(tls, stream)), request, buffer }
    }

    fn ask(&mut self, path: &str) {
        let [before, after] = &self.request;
        self.wire.write_all(format!("{before}{path}{after}").as_bytes()).expect("it listens");
        self.wire.flush().expect("it listens");
    }

    /// One exchange, to its last byte.
    pub(crate) fn get(&mut self, path: &str) {
        self.ask(path);
        let mut filled = 0;
        let head = loop {
            let n = self.wire.read(&mut self.buffer[filled..]).expect("an answer");
            assert!(n > 0, "no answer");
            filled += n;
            if let Some(end) = memchr::memmem::find(&self.buffer[..filled], b"\r\n\r\n") {
                break end + 4;
            }
        };
        let text = std::str::from_utf8(&self.buffer[..head]).expect("a head in ASCII").to_ascii_lowercase();
        assert!(text.starts_with("http/1.1 200"), "{text}");
        let length = text.split("content-length: ").nth(1).and_then(|l| l.split("\r\n").next()?.parse().ok());
        let mut left = length.map(|length: usize| length - (filled - head)).expect("a length");
        while left > 0 {
            let n = self.wire.read(&mut self.buffer).expect("the rest");
            assert!(n > 0, "cut {left} bytes before the end");
            left -= n;
        }
    }

    /// How long each exchange took.
    pub(crate) fn repeat(&mut self, path: &str, times: usize, pause: Duration) -> Vec<Duration> {
        let one = |_| {
            let began = Instant::now();
            self.get(path);
            let took = began.elapsed();
            if !pause.is_zero() {
                thread::sleep(pause);
            }
            took
        };
        (0..times).map(one).collect()
    }

    /// How late each event of a stream arrives.
    pub(crate) fn events(&mut self, sent: &Mutex<Vec<Instant>>) -> Vec<Duration> {
        sent.lock().expect("no writer panicked").clear();
        self.ask("/events");
        let (mut arrived, mut seen) = (Vec::new(), Vec::new());
        while arrived.len() < EVENTS {
            let n = self.wire.read(&mut self.buffer).expect("the stream goes on");
            let now = Instant::now();
            assert!(n > 0, "the stream ended after {} events", arrived.len());
            seen.extend_from_slice(&self.buffer[..n]);
            arrived.resize(memchr::memmem::find_iter(&seen, b"!!\n\n").count(), now);
        }
        let sent = sent.lock().expect("no writer panicked");
        arrived.iter().zip(sent.iter()).map(|(arrived, sent)| *arrived - *sent).collect()
    }
}

/// A stream to `to`, by way of the proxy at the other end of `stream`.
pub(crate) fn tunnel(mut stream: TcpStream, to: SocketAddr, credential: &str) -> TcpStream {
    let request = format!("CONNECT {to} HTTP/1.1\r\nHost: {to}\r\n{credential}\r\n");
    stream.write_all(request.as_bytes()).expect("it listens");
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).expect("an answer");
        head.push(byte[0]);
    }
    assert!(head.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&head));
    stream
}

// === origin ===

/// `/bytes/N` and `/events`, a thread a connection, over HTTP and HTTPS.
pub(crate) fn origin(server: Arc<ServerConfig>, trust: Arc<ClientConfig>) -> Origin {
    let sent = Arc::default();
    let (plain, secure) = (listen(None, &sent), listen(Some(server), &sent));
    Origin { plain, secure, trust, sent }
}

fn listen(server: Option<Arc<ServerConfig>>, sent: &Arc<Mutex<Vec<Instant>>>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    let sent = Arc::clone(sent);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (sent, server) = (Arc::clone(&sent), server.clone());
            thread::spawn(move || {
                stream.set_nodelay(true).ok()?;
                match server {
                    None => serve(stream, &sent),
                    Some(server) => serve(StreamOwned::new(ServerConnection::new(server).ok()?, stream), &sent),
                }
            });
        }
    });
    address
}

fn serve(mut wire: impl Wire, sent: &Mutex<Vec<Instant>>) -> Option<()> {
    let mut buffer = [0; 8 * KIB];
    let mut filled = 0;
    let mut ready: Option<(usize, Vec<u8>)> = None;
    loop {
        let n = wire.read(&mut buffer[filled..]).ok().filter(|n| *n > 0)?;
        filled += n;
        let Some(end) = memchr::memmem::find(&buffer[..filled], b"\r\n\r\n") else { continue };
        let head = std::str::from_utf8(&buffer[..end]).ok()?;
        let target = head.split(' ').nth(1)?;
        filled = 0;
        if target.ends_with("/events") {
            send_events(&mut wire, sent)?;
            continue;
        }
        let size: usize = target.rsplit('/').next()?.parse().ok()?;
        if ready.as_ref().is_none_or(|(made, _)| *made != size) {
            ready = Some((size, answer(size)));
        }
        wire.write_all(&ready.as_ref()?.1).ok()?;
        wire.flush().ok()?;
    }
}

/// A head and `size` bytes of JSON such as a model provider sends.
fn answer(size: usize) -> Vec<u8> {
    const WORDS: &str = "the agent reads a file, thinks about it \\u2014 and answers with what it found there; ";
    let text: String = WORDS.chars().cycle().take(size - 13).collect();
    let mut body = format!("{{\"answer\":\"{}\"}}", text.trim_end_matches('\\'));
    body.extend(std::iter::repeat_n(' ', size - body.len()));
    let head = format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n", body.len());
    [head.into_bytes(), body.into_bytes()].concat()
}

fn send_events(wire: &mut impl Wire, sent: &Mutex<Vec<Instant>>) -> Option<()> {
    wire.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n").ok()?;
    for number in 0..EVENTS {
        thread::sleep(EVENT_EVERY);
        let event = format!("data: {{\"delta\":\"event {number:05} of a stream\"}}!!\n\n");
        let chunk = format!("{:x}\r\n{event}\r\n", event.len());
        sent.lock().ok()?.push(Instant::now());
        wire.write_all(chunk.as_bytes()).ok()?;
        wire.flush().ok()?;
    }
    wire.write_all(b"0\r\n\r\n").ok()?;
    wire.flush().ok()
}

/// A listener that takes connections and says nothing. Its address, and how many it holds.
pub(crate) fn silent() -> (SocketAddr, Arc<Mutex<Vec<TcpStream>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let (address, held) = (listener.local_addr().expect("it is bound"), Arc::new(Mutex::new(Vec::new())));
    let all = Arc::clone(&held);
    thread::spawn(move || listener.incoming().flatten().for_each(|stream| all.lock().expect("no panic").push(stream)));
    (address, held)
}
