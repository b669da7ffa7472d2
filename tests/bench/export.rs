//! What vouching costs: time to ready, one export, `verify` of a long log, and resident memory; within the process, a
//! finding appended and an export, its CPU and its disk apart. `--bench verify` has a million records.
//!
//! `cargo bench --bench export [-- FINDINGS]`, 100,000 by default: every one is a different generated key in a body sent
//! through the monitor, so the log is what traffic makes of it.
//!
//! Where it goes, as measured (`perf`, `strace -r`, `heaptrack`; the first thread's CPU until ready, medians of 12): of
//! 48 ms, 38 compiled every rule. Compiled when traffic wants them, 10 ms are left: loading, keys with their fsyncs, reading
//! the rules' text. Of 24 MB an idle monitor had to itself, 17 were automata the self-test's vectors had filled and 6
//! compiled rules. Of the 11 that are left 1 is in use; 7 were free again after the vectors, and stay with glibc, as
//! a few things made meanwhile lie above them. Another 13 MB are pages of the program's own file.

#![expect(clippy::print_stdout, reason = "a benchmark's answer is its table")]

mod child;
mod parts;

use child::{Program, median};
use std::{
    env, fs,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::Stdio,
    thread,
    time::{Duration, Instant},
};

const KEYS_A_REQUEST: usize = 50;
const ROUNDS: usize = 15;
/// Room for what is measured: a record takes some 700 bytes.
const ROOM: &str = "[retention]\nmax_bytes = 1073741824\n";
/// For everything that was sent to be in the log.
const LOGGED_WITHIN: Duration = Duration::from_secs(300);

fn main() {
    let findings: usize = env::args().skip(1).find_map(|a| a.parse().ok()).unwrap_or(100_000);

    println!("\n| what | median | of |\n|---|---|---|");
    parts::measure();
    let mut ready: Vec<_> = (0..ROUNDS).map(|_| start(child::home().path()).ready).collect();
    println!("| ready, first start, key made | {} | {ROUNDS} |", millis(median(&mut ready)));

    let home = child::home();
    fs::File::create(home.path().join("config.toml")).and_then(|mut f| f.write_all(ROOM.as_bytes())).expect("a file");
    let monitor = start(home.path());
    thread::sleep(Duration::from_secs(1));
    let idle = monitor.memory("VmRSS");
    time("one export, a short log", home.path(), &["export"]);
    time("verify, a short log", home.path(), &["verify"]);

    let began = Instant::now();
    let (mut logged, mut requests, mut lost) = (0, 0, 0);
    while logged < findings {
        requests += plant(&monitor, home.path(), findings - logged);
        (logged, lost) = settled(home.path());
        assert!(began.elapsed() < LOGGED_WITHIN, "{logged} of {findings} findings logged");
    }
    println!("| {logged} findings of {requests} requests, logged | {} | 1 |", millis(began.elapsed()));
    println!("| sightings the log did not take meanwhile | {lost} | 1 |");

    time("one export, a long log", home.path(), &["export"]);
    time("verify, a long log", home.path(), &["verify"]);
    let (rss, peak) = (monitor.memory("VmRSS"), monitor.memory("VmHWM"));
    drop(monitor);
    let mut again: Vec<_> = (0..ROUNDS).map(|_| start(home.path()).ready).collect();
    println!("| ready, a long log to recount | {} | {ROUNDS} |", millis(median(&mut again)));
    println!("\nresident: {} MiB idle, {} MiB after, {} MiB at its peak", idle / 1024, rss / 1024, peak / 1024);
}

fn start(home: &Path) -> Program {
    Program::start(child::monitor(home))
}

/// The median of a verb's wall time, the start of its process included.
fn time(what: &str, home: &Path, verb: &[&str]) {
    let mut times: Vec<_> = (0..ROUNDS)
        .map(|_| {
            let began = Instant::now();
            let status = child::guardian(home).args(verb).stdout(Stdio::null()).status().expect("it runs");
            assert!(status.success(), "{verb:?}: {status}");
            began.elapsed()
        })
        .collect();
    println!("| {what} | {} | {ROUNDS} |", millis(median(&mut times)));
}

fn millis(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1e3)
}

/// Sends `findings` different keys to an origin of ours; says in how many requests.
fn plant(monitor: &Program, home: &Path, findings: usize) -> usize {
    let origin = sink();
    let credential = child::credential(home);
    let mut stream = TcpStream::connect(monitor.listen).expect("it listens");
    stream.set_nodelay(true).expect("a socket option");
    let mut answers = BufReader::new(stream.try_clone().expect("a second handle"));
    let requests = findings.div_ceil(KEYS_A_REQUEST);
    for number in 0..requests {
        let keys = KEYS_A_REQUEST.min(findings - number * KEYS_A_REQUEST);
        let body = (0..keys).map(|_| key()).collect::<Vec<_>>().join("\n");
        let head = format!(
            "POST http://{origin}/ HTTP/1.1\r\nHost: {origin}\r\nProxy-Authorization: {credential}\r\n\
             Content-Type: text/plain\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all((head + &body).as_bytes()).expect("it listens");
        let mut line = String::new();
        answers.read_line(&mut line).expect("an answer");
        assert!(line.starts_with("HTTP/1.1 200"), "{line}");
        while line != "\r\n" {
            line.clear();
            answers.read_line(&mut line).expect("the rest of the head");
        }
    }
    requests
}

/// A key of a vendor's shape that nobody issued.
fn key() -> String {
    const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let mut bytes = [0; 40];
    getrandom::fill(&mut bytes).expect("the kernel's randomness");
    let text: String = bytes.iter().map(|b| char::from(ALPHABET[usize::from(*b) % ALPHABET.len()])).collect();
    format!("sk-{}T3BlbkFJ{}", &text[..20], &text[20..])
}

/// Reads requests and answers without a body.
fn sink() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || swallow(stream));
        }
    });
    address
}

fn swallow(mut stream: TcpStream) -> Option<()> {
    let mut requests = BufReader::new(stream.try_clone().ok()?);
    loop {
        let (mut line, mut length) = (String::new(), 0);
        while line != "\r\n" {
            line.clear();
            requests.read_line(&mut line).ok().filter(|n| *n > 0)?;
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().ok()?;
            }
        }
        let mut body = vec![0; length];
        requests.read_exact(&mut body).ok()?;
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").ok()?;
    }
}

/// How many findings are in the log, and how many are only counted, once neither grows.
fn settled(home: &Path) -> (usize, usize) {
    let mut before = None;
    loop {
        child::guardian(home).arg("export").stdout(Stdio::null()).status().expect("it runs");
        let posture = fs::read(home.join("export/current/posture.json")).expect("an export");
        let posture: posture::Posture = serde_json::from_slice(&posture).expect("a posture");
        let count = |n: u64| usize::try_from(n).expect("as many as were sent");
        let now = (count(posture.counts.findings), count(posture.attested.not_recorded));
        if before == Some(now) {
            return now;
        }
        before = Some(now);
        thread::sleep(Duration::from_millis(200));
    }
}
