//! What passing through costs: ours, the bare engine (hudsucker with a handler that does nothing), and no proxy at all.
//!
//! One client, keep-alive, plain HTTP, JSON answers. Each proxy is a process of its own, pinned to one core where
//! `taskset` is there, client and origin to another. Rounds alternate, so that a change of the machine meets all alike.
//! `cargo bench --bench relay [-- QUICK]` with `quick` for a tenth of the rounds' length.

#![expect(clippy::print_stdout, reason = "a benchmark's answer is its table")]

mod child;

use child::{Program, median};
use std::{
    env, fs,
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    process::{Command, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

const KIB: usize = 1 << 10;
const ROUNDS: usize = 5;
const EVENTS: usize = 200;
const EVENT_EVERY: Duration = Duration::from_millis(5);

/// One size of answer: how many requests a round, back to back for CPU and then paced for latency.
struct Case {
    name: &'static str,
    size: usize,
    back_to_back: usize,
    paced: usize,
    pause: Duration,
}

const CASES: [Case; 3] = [
    Case { name: "1 KiB", size: KIB, back_to_back: 10_000, paced: 1_000, pause: Duration::from_micros(500) },
    Case { name: "64 KiB", size: 64 * KIB, back_to_back: 3_000, paced: 400, pause: Duration::from_millis(1) },
    Case { name: "1 MiB", size: 1024 * KIB, back_to_back: 500, paced: 100, pause: Duration::from_millis(10) },
];

fn main() {
    if env::args().nth(1).as_deref() == Some("engine") {
        return engine();
    }
    let tenth = if env::args().any(|a| a == "quick") { 10 } else { 1 };
    let pin = can_pin();
    if pin {
        pin_ourselves();
    }
    let sent = Arc::new(Mutex::new(Vec::new()));
    let origin = origin(Arc::clone(&sent));

    let home = child::home();
    let guardian = Program::start(pinned(pin, &child::monitor(home.path())));
    let engine = Program::start(pinned(pin, Command::new(env::current_exe().expect("our own path")).arg("engine")));
    let ways = [
        Way { name: "direct", through: None, credential: String::new() },
        Way { name: "engine", through: Some(&engine), credential: String::new() },
        Way { name: "ours", through: Some(&guardian), credential: child::credential(home.path()) },
    ];
    let idle = guardian.memory("VmRSS");

    println!(
        "\nrelay: {ROUNDS} alternating rounds, medians of latency; CPU of the proxy per request, scanning and recording apart\n"
    );
    println!("| answer | way | p50 | added p50 | CPU | of the engine | CPU behind it |");
    println!("|---|---|---|---|---|---|---|");
    for case in &CASES {
        report(case, &measure(case, &ways, origin, tenth));
    }
    println!("\n| events | p50 | p99 | of the engine |\n|---|---|---|---|");
    let mut base = Duration::ZERO;
    for way in &ways {
        let (p50, p99) = events(way, origin, &sent);
        if way.name == "engine" {
            base = p50;
        }
        println!("| {} | {} | {} | {} |", way.name, micros(p50), micros(p99), ratio(p50, base));
    }
    let peak = guardian.memory("VmHWM");
    println!(
        "\nours: ready in {}; resident {} MiB idle, {} MiB at its peak",
        micros(guardian.ready),
        idle / 1024,
        peak / 1024
    );
}

/// A way to the origin.
struct Way<'p> {
    name: &'static str,
    through: Option<&'p Program>,
    credential: String,
}

/// One way's figures: a median of latency a round, and CPU in all, since the kernel counts it in hundredths of a second.
#[derive(Default)]
struct Figures {
    p50: Vec<Duration>,
    requests: u32,
    cpu: Duration,
    behind: Duration,
}

fn measure(case: &Case, ways: &[Way<'_>; 3], origin: SocketAddr, tenth: usize) -> [Figures; 3] {
    let mut figures: [Figures; 3] = Default::default();
    for _ in 0..ROUNDS {
        for (way, figures) in ways.iter().zip(&mut figures) {
            let mut client = Client::new(way, origin);
            let target = format!("/bytes/{}", case.size);
            client.repeat(&target, case.back_to_back / 50, Duration::ZERO);
            settle(way);

            let before = cpu(way);
            let requests = case.back_to_back / tenth;
            client.repeat(&target, requests, Duration::ZERO);
            settle(way);
            let after = cpu(way);
            figures.requests += u32::try_from(requests).expect("a few thousand");
            figures.cpu += after.0.saturating_sub(before.0);
            figures.behind += after.1.saturating_sub(before.1);

            let mut latencies = client.repeat(&target, case.paced / tenth, case.pause);
            figures.p50.push(median(&mut latencies));
        }
    }
    figures
}

fn report(case: &Case, figures: &[Figures; 3]) {
    let p50 = |figures: &Figures| median(&mut figures.p50.clone());
    let each = |figures: &Figures| (figures.cpu / figures.requests, figures.behind / figures.requests);
    let (direct, engine) = (p50(&figures[0]), each(&figures[1]).0);
    for (name, figures) in ["direct", "engine", "ours"].into_iter().zip(figures) {
        let (p50, (cpu, behind)) = (p50(figures), each(figures));
        let added = micros(p50.saturating_sub(direct));
        let rest = match name {
            "direct" => "– | – | – | –".to_owned(),
            "engine" => format!("{added} | {} | 1.00 | –", micros(cpu)),
            _ => format!("{added} | {} | {} | {}", micros(cpu), ratio(cpu, engine), micros(behind)),
        };
        println!("| {} | {name} | {} | {rest} |", case.name, micros(p50));
    }
}

/// Waits until a proxy's threads rest: what it does behind the traffic belongs to the requests before.
fn settle(way: &Way<'_>) {
    let Some(program) = way.through else { return };
    for _ in 0..100 {
        let before = threads(program, |_| true);
        thread::sleep(Duration::from_millis(50));
        if threads(program, |_| true) == before {
            return;
        }
    }
}

/// CPU of forwarding, and of what is done behind it: scanning and recording, by the threads' names.
fn cpu(way: &Way<'_>) -> (Duration, Duration) {
    let behind = |name: &str| name.starts_with("guardian-") && name != "guardian-proxy";
    way.through.map_or_else(Default::default, |p| (threads(p, |name| !behind(name)), threads(p, behind)))
}

/// CPU time of a program's threads whose name `counts`.
fn threads(program: &Program, counts: impl Fn(&str) -> bool) -> Duration {
    let threads = fs::read_dir(format!("/proc/{}/task", program.pid())).expect("it runs");
    let ticks = |stat: &str| {
        let (name, rest) = stat.split_once('(')?.1.rsplit_once(')')?;
        let times = rest.split_whitespace().skip(11).take(2);
        Some(if counts(name) { times.flat_map(str::parse::<u64>).sum() } else { 0 })
    };
    let stats = threads.flatten().filter_map(|thread| fs::read_to_string(thread.path().join("stat")).ok());
    // Linux counts in hundredths of a second (`getconf CLK_TCK`).
    Duration::from_millis(stats.filter_map(|stat| ticks(&stat)).sum::<u64>() * 10)
}

/// p50 and p99 from an event's sending to its arrival.
fn events(way: &Way<'_>, origin: SocketAddr, sent: &Mutex<Vec<Instant>>) -> (Duration, Duration) {
    sent.lock().expect("no writer panicked").clear();
    let mut client = Client::new(way, origin);
    client.ask("/events");
    let mut arrived = Vec::new();
    let mut seen = Vec::new();
    let mut buffer = [0; 16 * KIB];
    while arrived.len() < EVENTS {
        let n = client.stream.read(&mut buffer).expect("the stream goes on");
        let now = Instant::now();
        assert!(n > 0, "the stream ended after {} events", arrived.len());
        seen.extend_from_slice(&buffer[..n]);
        let whole = seen.windows(4).filter(|w| w == b"!!\n\n").count();
        arrived.resize(whole, now);
    }
    let sent = sent.lock().expect("no writer panicked");
    let mut late: Vec<_> = arrived.iter().zip(sent.iter()).map(|(arrived, sent)| *arrived - *sent).collect();
    (median(&mut late), late[late.len() * 99 / 100])
}

fn micros(time: Duration) -> String {
    format!("{:.1} µs", time.as_secs_f64() * 1e6)
}

fn ratio(time: Duration, base: Duration) -> String {
    if base.is_zero() { "–".to_owned() } else { format!("{:.2}", time.as_secs_f64() / base.as_secs_f64()) }
}

// === client ===

/// One connection kept alive.
struct Client {
    stream: TcpStream,
    origin: SocketAddr,
    credential: String,
    buffer: Vec<u8>,
}

impl Client {
    fn new(way: &Way<'_>, origin: SocketAddr) -> Self {
        let stream = TcpStream::connect(way.through.map_or(origin, |p| p.listen)).expect("it listens");
        stream.set_nodelay(true).expect("a socket option");
        stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a socket option");
        let credential = match way.credential.as_str() {
            "" => String::new(),
            value => format!("Proxy-Authorization: {value}\r\n"),
        };
        Self { stream, origin, credential, buffer: vec![0; 256 * KIB] }
    }

    fn ask(&mut self, path: &str) {
        let Self { origin, credential, .. } = self;
        let request = format!("GET http://{origin}{path} HTTP/1.1\r\nHost: {origin}\r\n{credential}\r\n");
        self.stream.write_all(request.as_bytes()).expect("it listens");
    }

    /// One exchange, to its last byte.
    fn get(&mut self, path: &str) {
        self.ask(path);
        let mut filled = 0;
        let head = loop {
            let n = self.stream.read(&mut self.buffer[filled..]).expect("an answer");
            assert!(n > 0, "closed before an answer");
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
            let n = self.stream.read(&mut self.buffer).expect("the rest");
            assert!(n > 0, "cut {left} bytes before the end");
            left -= n;
        }
    }

    fn repeat(&mut self, path: &str, times: usize, pause: Duration) -> Vec<Duration> {
        let mut latencies = Vec::with_capacity(times);
        for _ in 0..times {
            let began = Instant::now();
            self.get(path);
            latencies.push(began.elapsed());
            if !pause.is_zero() {
                thread::sleep(pause);
            }
        }
        latencies
    }
}

// === origin ===

/// `/bytes/N` and `/events`, a thread a connection.
fn origin(sent: Arc<Mutex<Vec<Instant>>>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let sent = Arc::clone(&sent);
            thread::spawn(move || serve(stream, &sent));
        }
    });
    address
}

fn serve(mut stream: TcpStream, sent: &Mutex<Vec<Instant>>) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    let mut buffer = [0; 8 * KIB];
    let mut filled = 0;
    let mut ready: Option<(usize, Vec<u8>)> = None;
    loop {
        let n = stream.read(&mut buffer[filled..]).ok().filter(|n| *n > 0)?;
        filled += n;
        let Some(end) = memchr::memmem::find(&buffer[..filled], b"\r\n\r\n") else { continue };
        let head = std::str::from_utf8(&buffer[..end]).ok()?;
        let target = head.split(' ').nth(1)?;
        if target.ends_with("/events") {
            return send_events(&mut stream, sent);
        }
        let size: usize = target.rsplit('/').next()?.parse().ok()?;
        if ready.as_ref().is_none_or(|(made, _)| *made != size) {
            ready = Some((size, answer(size)));
        }
        stream.write_all(&ready.as_ref()?.1).ok()?;
        filled = 0;
    }
}

/// A head and `size` bytes of JSON such as a model provider sends.
fn answer(size: usize) -> Vec<u8> {
    const WORDS: &str = "the agent reads a file, thinks about it, and answers with what it found there; ";
    let text: String = WORDS.chars().cycle().take(size - r#"{"answer":""}"#.len()).collect();
    let body = format!("{{\"answer\":\"{text}\"}}");
    let head = format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n", body.len());
    [head.into_bytes(), body.into_bytes()].concat()
}

fn send_events(stream: &mut TcpStream, sent: &Mutex<Vec<Instant>>) -> Option<()> {
    let head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
    stream.write_all(head).ok()?;
    for number in 0..EVENTS {
        thread::sleep(EVENT_EVERY);
        let event = format!("data: {{\"delta\":\"event {number:05} of a stream\"}}!!\n\n");
        let chunk = format!("{:x}\r\n{event}\r\n", event.len());
        sent.lock().ok()?.push(Instant::now());
        stream.write_all(chunk.as_bytes()).ok()?;
    }
    stream.write_all(b"0\r\n\r\n").ok()
}

// === the engine alone ===

/// A certificate authority for a proxy that is never asked to intercept.
struct Nobody;

impl hudsucker::certificate_authority::CertificateAuthority for Nobody {
    async fn gen_server_config(
        &self,
        _: &hudsucker::hyper::http::uri::Authority,
    ) -> Arc<hudsucker::rustls::ServerConfig> {
        unreachable!("this measurement asks for plain HTTP alone")
    }
}

/// hudsucker as it is, with the handler that does nothing.
fn engine() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        println!("{}", listener.local_addr().expect("it is bound"));
        let mut connector = hyper_util::client::legacy::connect::HttpConnector::new();
        connector.set_nodelay(true);
        let proxy = hudsucker::Proxy::builder().with_listener(listener).with_ca(Nobody).with_http_connector(connector);
        proxy.build().expect("a whole configuration").start().await.expect("it serves");
    });
}

// === cores ===

/// The command, on the second core if `pin`.
fn pinned(pin: bool, command: &Command) -> Command {
    let program = command.get_program();
    let mut outer = Command::new(if pin { "taskset".as_ref() } else { program });
    if pin {
        outer.args(["-c", "1"]).arg(program);
    }
    outer.args(command.get_args()).env_clear().env("PATH", env::var_os("PATH").unwrap_or_default());
    outer.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    outer.stderr(Stdio::null());
    outer
}

fn pin_ourselves() {
    let pid = std::process::id().to_string();
    let done = Command::new("taskset").args(["-a", "-c", "-p", "0", &pid]).output().expect("taskset is there");
    assert!(done.status.success(), "taskset could not pin this process");
}

/// Two cores or more, and `taskset` at hand.
fn can_pin() -> bool {
    let two = thread::available_parallelism().is_ok_and(|n| n.get() > 1);
    two && Command::new("taskset").arg("--version").output().is_ok_and(|o| o.status.success())
}
