//! Connections that are opened and closed again, each kind so many times: nothing is left of them but their count.

use crate::{
    child::Program,
    client::{Outcome, Way},
    report::{asked, code},
    run::Measured,
};
use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    task::JoinSet,
    time::{sleep, timeout},
};

/// Open at once.
const AT_ONCE: u64 = 32;
/// Of each kind before anything is measured: caches, pools, and as many at once as there will be.
const WARM: u64 = 5_000;
/// The other side's end is waited for so long.
const LIMIT: Duration = Duration::from_secs(30);
/// What a monitor may have grown by, in KiB, however many there were.
const MOST_GROWTH: u64 = 4 << 10;

/// A kind: its name, and one connection of it.
struct Kind {
    name: &'static str,
    once: fn(Arc<Way>) -> Turn,
}

type Turn = std::pin::Pin<Box<dyn Future<Output = Outcome<()>> + Send>>;

macro_rules! kind {
    ($name:literal, $once:ident) => {
        Kind { name: $name, once: |way| Box::pin(async move { $once(&way).await }) }
    };
}

const KINDS: [Kind; 4] = [
    kind!("connected", connected),
    kind!("half a request", half),
    kind!("a tunnel", tunnel),
    kind!("a tunnel, its TLS taken off", opened),
];

/// `count` connections of each kind.
pub(crate) async fn all(count: u64) {
    let measured = Measured::start("").await;
    let warm = WARM.min(count);
    for kind in &KINDS {
        open_and_close(kind, &measured.way, warm).await;
    }
    let first = settled(&measured).await;
    println!("\nbefore, after {warm} of each kind: {first}\n");
    println!("| opened and closed | times | a second | resident | descriptors |\n|---|---|---|---|---|");
    for kind in &KINDS {
        let began = Instant::now();
        open_and_close(kind, &measured.way, count).await;
        let seconds = began.elapsed().as_secs_f64();
        let Standing { resident, descriptors } = settled(&measured).await;
        #[expect(clippy::cast_precision_loss, reason = "a rate to be shown")]
        let rate = count as f64 / seconds;
        println!("| {} | {count} | {rate:.0} | {resident} KiB | {} |", kind.name, shown(descriptors));
    }
    let last = settled(&measured).await;
    let opened = (count + warm) * KINDS.len() as u64;
    let coverage = &asked(measured.home(), &["status", "--json"])["coverage"];
    println!("\nafterwards: {last}; seen {}, not scanned {}", coverage["seen"], coverage["not_scanned"]);
    assert_eq!(coverage["seen"]["connections"], opened, "every one is counted, and once");
    let nothing = serde_json::json!([{"bytes": 0, "connections": opened, "messages": 0, "reason": "incomplete_head"}]);
    assert_eq!(coverage["not_scanned"], nothing, "as what it was");
    assert_eq!(last.descriptors, first.descriptors, "descriptors");
    assert!(last.resident <= first.resident + MOST_GROWTH, "memory");
    assert_eq!(code(measured.home(), &["stop", "--timeout", "60s"]), Some(0), "it ends as it should");
    assert_eq!(code(measured.home(), &["verify", "--accept-stopped"]), Some(0), "and what it said is true");
}

async fn open_and_close(kind: &Kind, way: &Arc<Way>, count: u64) {
    let left = Arc::new(AtomicU64::new(count));
    let mut workers = JoinSet::new();
    for _ in 0..AT_ONCE {
        let (left, way, once) = (Arc::clone(&left), Arc::clone(way), kind.once);
        workers.spawn(async move {
            while left.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1)).is_ok() {
                once(Arc::clone(&way)).await.unwrap_or_else(|why| panic!("{why}"));
            }
        });
    }
    while let Some(ended) = workers.join_next().await {
        ended.expect("every connection is taken");
    }
}

/// What a monitor holds when nothing is under way.
struct Standing {
    resident: u64,
    /// `None` where the kernel does not say: the process is closed to others of its user.
    descriptors: Option<usize>,
}

impl std::fmt::Display for Standing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} KiB resident, {} descriptors", self.resident, shown(self.descriptors))
    }
}

fn shown(descriptors: Option<usize>) -> String {
    descriptors.map_or_else(|| "unknown (not root)".to_owned(), |number| number.to_string())
}

/// Waits until the last connection is gone.
async fn settled(measured: &Measured) -> Standing {
    let limit = Instant::now() + Duration::from_secs(30);
    loop {
        let status = asked(measured.home(), &["status", "--json"]);
        // The one that asked is gone, too, a moment later.
        sleep(Duration::from_millis(200)).await;
        if status["in_flight"]["connections"] == 0 && status["in_flight"]["exchanges"] == 0 {
            return Standing {
                resident: measured.monitor.memory("VmRSS"),
                descriptors: descriptors(&measured.monitor),
            };
        }
        assert!(Instant::now() < limit, "connections are left: {status}");
    }
}

fn descriptors(monitor: &Program) -> Option<usize> {
    Some(fs::read_dir(format!("/proc/{}/fd", monitor.pid())).ok()?.count())
}

// === kinds ===

async fn connected(way: &Way) -> Outcome<()> {
    ended(way.stream().await?).await
}

async fn half(way: &Way) -> Outcome<()> {
    let mut stream = way.stream().await?;
    stream.write_all(b"POST http://127.0.0.1/ HTTP/1.1\r\nContent-Le").await.map_err(|_| "the connection is gone")?;
    ended(stream).await
}

async fn tunnel(way: &Way) -> Outcome<()> {
    ended(way.tunnel(way.origin.plain).await?).await
}

async fn opened(way: &Way) -> Outcome<()> {
    ended(way.tls(b"http/1.1").await?).await
}

/// Ends it, and waits until the other side has: or else there would be more at once than are counted here.
async fn ended(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> Outcome<()> {
    stream.shutdown().await.map_err(|_| "the connection is gone")?;
    let read = timeout(LIMIT, stream.read(&mut [0])).await.map_err(|_| "the other side stays")?;
    if matches!(read, Ok(1..)) { Err("an answer to nothing") } else { Ok(()) }
}
