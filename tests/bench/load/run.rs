//! Many clients of every kind at once, for as long as asked: what was planted against what was found.

use crate::{
    child::{self, Program},
    client::{Client, Kind, Way},
    origin,
    plant::Planter,
    report::{asked, code, found, millis, percentile, slope},
    world::World,
};
use std::{
    io::Write,
    path::Path,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};
use tokio::task::JoinSet;

/// Between two exchanges of one client.
const PAUSE: Duration = Duration::from_secs(1);
const PERIOD: Duration = Duration::from_secs(5);
/// Before memory is looked at: caches, pools and the first of everything.
const WARM: usize = 15;
/// Kibibytes a minute that the second half of a run may still grow by, if it lasts so many seconds.
const FLAT: f64 = 256.0;
const LONG: usize = 240;

/// A monitor under measurement, its world, and the way through it.
pub(crate) struct Measured {
    pub(crate) home: tempfile::TempDir,
    pub(crate) monitor: Program,
    pub(crate) way: Arc<Way>,
    _world: World,
}

impl Measured {
    /// Starts all of it. `config` is added to what inspection needs.
    pub(crate) async fn start(config: &str) -> Self {
        let (world, planter) = (World::new(), Arc::new(Planter::default()));
        let origin = origin::start(&world, Arc::clone(&planter)).await;
        let home = child::home();
        let text = format!("{config}{}", world.config());
        std::fs::File::create(home.path().join("config.toml"))
            .and_then(|mut file| file.write_all(text.as_bytes()))
            .expect("a file");
        let mut command = child::guardian(home.path());
        let period = format!("{}s", PERIOD.as_secs());
        command.args(["start", "--json", "--listen", "127.0.0.1:0", "--export-every", &period]);
        let monitor = Program::start(command);
        let credential = child::credential(home.path());
        let way = Way { listen: monitor.listen, credential, origin, trust: world.client(), planter };
        Self { home, monitor, way: Arc::new(way), _world: world }
    }

    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }
}

/// What one kind of client went through.
#[derive(Default)]
struct Gone {
    times: Vec<Duration>,
    errors: Vec<&'static str>,
}

pub(crate) async fn load(lasts: Duration, clients: usize) {
    let measured = Measured::start("").await;
    let (began, ends) = (Instant::now(), Instant::now() + lasts);
    let mut running = JoinSet::new();
    for number in 0..clients {
        let (kind, way) = (Kind::ALL[number % Kind::ALL.len()], Arc::clone(&measured.way));
        // They come one after the other, within the first pause.
        let comes = PAUSE.mul_f64(f64::from(u32::try_from(number % 1000).expect("below 1000")) / 1000.0);
        running.spawn(async move {
            tokio::time::sleep(comes).await;
            (kind, client(kind, &way, ends).await)
        });
    }
    let home = measured.home().to_owned();
    let verifying = tokio::task::spawn_blocking(move || verify_each_export(&home, ends));
    let mut memory = Vec::new();
    while Instant::now() < ends {
        tokio::time::sleep(Duration::from_secs(1)).await;
        memory.push(measured.monitor.memory("VmRSS"));
    }
    let mut gone: Vec<(Kind, Gone)> = Kind::ALL.iter().map(|kind| (*kind, Gone::default())).collect();
    while let Some(ended) = running.join_next().await {
        let (kind, more) = ended.expect("no client panics");
        let of_kind = &mut gone.iter_mut().find(|(of, _)| *of == kind).expect("all kinds").1;
        of_kind.times.extend(more.times);
        of_kind.errors.extend(more.errors);
    }
    let verified = verifying.await.expect("no verification panics");
    let (status, peak) = (asked(measured.home(), &["status", "--json"]), measured.monitor.memory("VmHWM"));
    assert_eq!(code(measured.home(), &["stop", "--timeout", "60s"]), Some(0), "it ends as it should");

    println!(
        "\n{clients} clients for {:.0} s, one message in 100 with something planted\n",
        began.elapsed().as_secs_f64()
    );
    println!("| kind | exchanges | errors | p50 | p99 |\n|---|---|---|---|---|");
    let mut errors = Vec::new();
    for (kind, mut of_kind) in gone {
        let (p50, p99) = (percentile(&mut of_kind.times, 50), percentile(&mut of_kind.times, 99));
        let (count, wrong) = (of_kind.times.len(), of_kind.errors.len());
        println!("| {} | {count} | {wrong} | {} | {} |", kind.name(), millis(p50), millis(p99));
        errors.extend(of_kind.errors);
    }
    println!(
        "\nverify at {} exports: {} of them 0",
        verified.len(),
        verified.iter().filter(|c| **c == Some(0)).count()
    );
    let settled = memory.get(WARM..).unwrap_or_default();
    let (first, last) = (settled.first().copied().unwrap_or_default(), settled.last().copied().unwrap_or_default());
    println!("resident: {} MiB after {WARM} s, {} at the end, {} at its peak", first / 1024, last / 1024, peak / 1024);
    let second_half = settled.get(settled.len() / 2..).unwrap_or_default();
    println!("slope: {:.0} KiB a minute, in the second half {:.0}", slope(settled), slope(second_half));
    judge(&measured, &status, &errors, &verified, settled);
}

/// One client, until the end.
async fn client(kind: Kind, way: &Way, ends: Instant) -> Gone {
    let (mut gone, mut connected) = (Gone::default(), None);
    while Instant::now() < ends {
        let Some(client) = &mut connected else {
            match Client::connect(kind, way).await {
                Ok(client) => connected = Some(client),
                Err(why) => {
                    gone.errors.push(why);
                    tokio::time::sleep(PAUSE).await;
                }
            }
            continue;
        };
        let began = Instant::now();
        match client.exchange(way).await {
            Ok(()) => gone.times.push(began.elapsed()),
            Err(why) => {
                gone.errors.push(why);
                connected = None;
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
    gone
}

/// The answer of `verify` after each new export.
fn verify_each_export(home: &Path, ends: Instant) -> Vec<Option<i32>> {
    let (mut codes, mut last) = (Vec::new(), None);
    while Instant::now() < ends {
        let current = std::fs::read_link(home.join("export/current")).ok();
        if current.is_some() && current != last {
            codes.push(code(home, &["verify"]));
            last = current;
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    codes
}

/// Everything that must hold.
fn judge(measured: &Measured, status: &serde_json::Value, errors: &[&str], verified: &[Option<i32>], memory: &[u64]) {
    let planter = &measured.way.planter;
    let (keys, commands) = (planter.keys.load(Relaxed), planter.commands.load(Relaxed));
    let found = found(measured.home());
    let (found_keys, found_commands) = (found.keys.len() as u64, found.commands.len() as u64);
    println!("planted and found: {found_keys} of {keys} keys, {found_commands} of {commands} commands");
    println!("found beside that: {} again, {:?}", found.keys_again + found.commands_again, found.others);
    assert!(errors.is_empty(), "errors: {errors:?}");
    assert!(!verified.is_empty() && verified.iter().all(|code| *code == Some(0)), "verify: {verified:?}");
    assert_eq!((found_keys, found_commands), (keys, commands), "everything planted is found");
    assert_eq!((found.keys_again, found.commands_again), (0, 0), "and once");
    assert!(found.others.is_empty(), "and nothing else");
    let posture: serde_json::Value =
        serde_json::from_slice(&std::fs::read(measured.home().join("export/current/posture.json")).expect("the last"))
            .expect("JSON");
    let coverage = &posture["coverage"];
    for what in ["connections", "messages", "bytes"] {
        let of = |value: &serde_json::Value| value[what].as_u64().unwrap_or_default();
        let not: u64 = coverage["not_scanned"].as_array().into_iter().flatten().map(of).sum();
        let (seen, scanned) = (of(&coverage["seen"]), of(&coverage["scanned"]));
        println!("coverage: {seen} {what} seen, {scanned} scanned, {not} not");
        assert_eq!(seen, scanned + not, "{what}");
    }
    assert_eq!(coverage["not_scanned"].as_array().map(Vec::len), Some(0), "nothing was passed over: {coverage}");
    assert_eq!(code(measured.home(), &["verify", "--accept-stopped"]), Some(0), "the last word");
    assert_eq!(status["monitor_status"], "running", "{status}");
    if let (Some(first), Some(last)) = (memory.first(), memory.last()) {
        assert!(*last <= first + first / 4 + 16 * 1024, "memory grew from {first} to {last} KiB");
    }
    // By then whatever fills up has: the heap is spread over its gaps, and as many windows are open as ever are.
    if let Some(half) = memory.get(memory.len() / 2..).filter(|half| half.len() >= LONG) {
        assert!(slope(half) < FLAT, "memory still grows by {:.0} KiB a minute", slope(half));
    }
}
