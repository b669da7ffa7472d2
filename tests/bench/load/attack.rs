//! One honest client, and beside it nobody, then each attack in turn: how long it waits, and what the monitor takes.

use crate::{
    client::{Client, Kind, Outcome, Way},
    report::{asked, code, millis, percentile},
    run::Measured,
};
use bytes::Bytes;
use http_body_util::Full;
use hudsucker::hyper::{Request, client::conn::http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::{
    fs,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
    time::sleep,
};

/// Connections there may be: every attack that holds some holds more.
const ROOM: usize = 256;
/// Between two exchanges of the honest client.
const PAUSE: Duration = Duration::from_millis(10);
/// Whatever is done to it, it takes no more, in MiB.
const MOST_MEMORY: u64 = 512;
/// Clock ticks a second of proc(5).
const TICKS: u64 = 100;

/// An attack: its name, how many do it at once, and what each does over and over.
struct Attack {
    name: &'static str,
    at_once: usize,
    once: fn(Arc<Way>) -> Turn,
}

type Turn = std::pin::Pin<Box<dyn Future<Output = Outcome<()>> + Send>>;

macro_rules! attack {
    ($name:literal, $at_once:literal, $once:ident) => {
        Attack { name: $name, at_once: $at_once, once: |way| Box::pin(async move { $once(&way).await }) }
    };
}

const ATTACKS: [Attack; 10] = [
    attack!("silent connections", 1000, silent),
    attack!("heads a byte at a time", 1000, slow_head),
    attack!("resets", 16, reset),
    attack!("floods of headers", 16, header_flood),
    attack!("requests without the credential", 16, unauthenticated),
    attack!("bombs", 4, bomb),
    attack!("a chunk without end", 4, endless_chunk),
    attack!("an event without end", 4, endless_event),
    attack!("HTTP/2 resets", 4, rapid_reset),
    attack!("HTTP/2 windows that stay shut", 4, shut_window),
];

pub(crate) async fn all(lasts: Duration) {
    let measured = Measured::start(&format!("max_connections = {ROOM}\n")).await;
    // The first of everything costs more.
    honest(&measured.way, Instant::now() + Duration::from_secs(1)).await;
    println!("\n| beside | exchanges | p50 | p99 | its CPU | resident |\n|---|---|---|---|---|---|");
    row("nobody", &measured, lasts).await;
    for attack in &ATTACKS {
        let mut attackers = JoinSet::new();
        for _ in 0..attack.at_once {
            let (way, once) = (Arc::clone(&measured.way), attack.once);
            attackers.spawn(async move {
                loop {
                    // That it is cut off is the point.
                    if once(Arc::clone(&way)).await.is_err() {
                        sleep(Duration::from_millis(1)).await;
                    }
                }
            });
        }
        sleep(Duration::from_millis(200)).await;
        row(attack.name, &measured, lasts).await;
        attackers.shutdown().await;
        sleep(Duration::from_millis(500)).await;
    }
    row("nobody, afterwards", &measured, lasts).await;
    let peak = measured.monitor.memory("VmHWM") / 1024;
    let status = asked(measured.home(), &["status", "--json"]);
    println!("\nresident at its peak: {peak} MiB; refused: {}", status["refusals"]);
    assert!(peak < MOST_MEMORY, "{peak} MiB");
    assert_eq!(code(measured.home(), &["stop", "--timeout", "60s"]), Some(0), "it ends as it should");
    assert_eq!(code(measured.home(), &["verify", "--accept-stopped"]), Some(0), "{status}");
}

async fn row(name: &str, measured: &Measured, lasts: Duration) {
    let before = cpu(measured.monitor.pid());
    let began = Instant::now();
    let mut times = honest(&measured.way, began + lasts).await;
    let spent = (cpu(measured.monitor.pid()) - before) * 1000 / TICKS;
    let percent = u128::from(spent) * 100 / began.elapsed().as_millis().max(1);
    let (p50, p99) = (percentile(&mut times, 50), percentile(&mut times, 99));
    let resident = measured.monitor.memory("VmRSS") / 1024;
    println!("| {name} | {} | {} | {} | {percent} % | {resident} MiB |", times.len(), millis(p50), millis(p99));
}

/// Exchanges over a kept connection and over new ones by turns. None may fail.
async fn honest(way: &Way, ends: Instant) -> Vec<Duration> {
    let mut kept = Client::connect(Kind::Plain, way).await.expect("it is let in");
    let mut times = Vec::new();
    while Instant::now() < ends {
        let began = Instant::now();
        if times.len() % 2 == 0 {
            kept.exchange(way).await.expect("an exchange of an honest client");
        } else {
            let mut new = Client::connect(Kind::Plain, way).await.expect("it is let in");
            new.exchange(way).await.expect("an exchange of an honest client");
        }
        times.push(began.elapsed());
        sleep(PAUSE).await;
    }
    times
}

/// Clock ticks this process has used.
fn cpu(pid: u32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("it runs");
    let fields: Vec<_> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    [11, 12].iter().filter_map(|at| fields.get(*at)?.parse::<u64>().ok()).sum()
}

// === attacks ===

/// Until the other side has enough.
async fn held(mut stream: TcpStream) -> Outcome<()> {
    let _ = stream.read(&mut [0; 64]).await;
    Ok(())
}

async fn silent(way: &Way) -> Outcome<()> {
    held(way.stream().await?).await
}

async fn slow_head(way: &Way) -> Outcome<()> {
    let mut stream = way.stream().await?;
    for byte in b"GET http://127.0.0.1/ HTTP/1.1\r\nX-Slow: ".iter().chain(std::iter::repeat(&b'a')) {
        stream.write_all(&[*byte]).await.map_err(|_| "cut")?;
        sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}

async fn reset(way: &Way) -> Outcome<()> {
    let mut stream = way.stream().await?;
    stream.write_all(b"POST http://127.0.0.1/ HTTP/1.1\r\nContent-Le").await.map_err(|_| "cut")?;
    stream.set_zero_linger().map_err(|_| "a socket option")
}

async fn header_flood(way: &Way) -> Outcome<()> {
    let mut stream = way.stream().await?;
    stream.write_all(b"GET http://127.0.0.1/ HTTP/1.1\r\n").await.map_err(|_| "cut")?;
    let field = format!("X-Flood: {}\r\n", "a".repeat(4000));
    loop {
        stream.write_all(field.as_bytes()).await.map_err(|_| "cut")?;
    }
}

async fn unauthenticated(way: &Way) -> Outcome<()> {
    let mut stream = way.stream().await?;
    for _ in 0..100 {
        stream.write_all(b"GET http://127.0.0.1/ HTTP/1.1\r\nHost: x\r\n\r\n").await.map_err(|_| "cut")?;
        stream.read(&mut [0; 1024]).await.map_err(|_| "cut")?;
    }
    Ok(())
}

async fn bomb(way: &Way) -> Outcome<()> {
    read_all(way, "/bomb").await
}

async fn endless_event(way: &Way) -> Outcome<()> {
    read_all(way, "/endless").await
}

async fn read_all(way: &Way, path: &str) -> Outcome<()> {
    let (mut stream, to) = (way.stream().await?, way.origin.plain);
    let head = format!(
        "GET http://{to}{path} HTTP/1.1\r\nHost: {to}\r\nConnection: close\r\nProxy-Authorization: {}\r\n\r\n",
        way.credential
    );
    stream.write_all(head.as_bytes()).await.map_err(|_| "cut")?;
    let mut buffer = vec![0; 64 << 10];
    while stream.read(&mut buffer).await.map_err(|_| "cut")? > 0 {}
    Ok(())
}

async fn endless_chunk(way: &Way) -> Outcome<()> {
    let (mut stream, to) = (way.stream().await?, way.origin.plain);
    let head = format!(
        "POST http://{to}/ HTTP/1.1\r\nHost: {to}\r\nTransfer-Encoding: chunked\r\nProxy-Authorization: {}\r\n\r\n\
         7fffffffffff\r\n",
        way.credential
    );
    stream.write_all(head.as_bytes()).await.map_err(|_| "cut")?;
    loop {
        stream.write_all(&[b'x'; 16 << 10]).await.map_err(|_| "cut")?;
    }
}

/// A frame of HTTP/2 (RFC 9113, section 4.1).
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a short one").to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// Requests cancelled as soon as they are made (CVE-2023-44487).
async fn rapid_reset(way: &Way) -> Outcome<()> {
    let to = way.origin.plain;
    let mut stream = way.tunnel(to).await?;
    let begin = [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &frame(4, 0, 0, &[])[..]].concat();
    stream.write_all(&begin).await.map_err(|_| "cut")?;
    let name = to.to_string();
    let head = [&[0x82, 0x86, 0x84, 0x41, u8::try_from(name.len()).expect("short")], name.as_bytes()].concat();
    for number in (1..u32::MAX / 2).step_by(2) {
        let pair = [frame(1, 5, number, &head), frame(3, 0, number, &8_u32.to_be_bytes())].concat();
        stream.write_all(&pair).await.map_err(|_| "cut")?;
    }
    Ok(())
}

/// Answers without end that nobody reads.
async fn shut_window(way: &Way) -> Outcome<()> {
    let stream = way.tunnel(way.origin.plain).await?;
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder.initial_stream_window_size(1).initial_connection_window_size(1 << 16);
    let (mut sender, connection) =
        builder.handshake::<_, Full<Bytes>>(TokioIo::new(stream)).await.map_err(|_| "HTTP/2 handshake")?;
    tokio::spawn(connection);
    let mut unread = Vec::new();
    for _ in 0..100 {
        let request = Request::get(format!("http://{}/endless", way.origin.plain));
        let request = request.body(Full::default()).expect("a whole head");
        unread.push(sender.send_request(request).await.map_err(|_| "cut")?);
    }
    sleep(Duration::from_secs(60)).await;
    Ok(())
}
