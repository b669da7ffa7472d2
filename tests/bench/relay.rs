//! What passing through costs: ours, the bare engine (hudsucker with a handler that does nothing), and no proxy at all.
//!
//! One client, keep-alive, HTTP/1.1, JSON answers: `h` for plain HTTP, `s` for inspected HTTPS. Each proxy is a process of
//! its own, pinned to one core where `taskset` is there, client and origin to another; "ours, scanner apart" has its
//! scanners there too, so that what is left of the added latency is forwarding's. Rounds alternate, so that a change of
//! the machine meets all alike, and a ratio is the median of its rounds' ratios.
//!
//! CPU is measured twice. Back to back is overload: a core relays a megabyte in a fraction of what scanning it takes, so
//! what waits for the scanner grows by the whole of what passed, into memory no one has used yet, to the bound of the
//! queue. Paced is what an agent does: the scanner keeps up, and memory is used again.
//! `cargo bench --bench relay [-- quick] [NAME…]`: with `quick` a tenth of the requests; of the rows and tables named
//! (a case, `new`, `events`, `open`, `memory`) only those.

#![expect(clippy::print_stdout, reason = "a benchmark's answer is its table")]

mod child;
mod cores;
mod engine;
mod open;
mod wire;
mod world;

use child::{Program, median};
use cores::{can_pin, cpu, pin_ourselves, pinned, scan_apart, settle};
use std::{
    env, fs,
    io::Write,
    net::TcpStream,
    path::Path,
    process::Command,
    thread,
    time::{Duration, Instant},
};
use wire::{Client, Origin, Way};
use world::World;

const KIB: usize = 1 << 10;
const ROUNDS: usize = 5;
const TUNNELS: usize = 9_000;
const OPENED: usize = 500;

/// One kind of answer: how many requests a round, back to back for CPU and then paced for latency.
struct Case {
    name: &'static str,
    secure: bool,
    size: usize,
    back_to_back: usize,
    paced: usize,
    pause: Duration,
}

const fn case(name: &'static str, secure: bool, size: usize) -> Case {
    let (back_to_back, paced, pause) = match size {
        KIB => (8_000, 1_000, 300),
        0x1_0000 => (2_000, 400, 1_000),
        _ => (300, 100, 5_000),
    };
    Case { name, secure, size, back_to_back, paced, pause: Duration::from_micros(pause) }
}

const CASES: [Case; 6] = [
    case("h1k", false, KIB),
    case("h64k", false, 64 * KIB),
    case("h1m", false, 1024 * KIB),
    case("s1k", true, KIB),
    case("s64k", true, 64 * KIB),
    case("s1m", true, 1024 * KIB),
];

fn main() {
    if env::args().nth(1).as_deref() == Some("engine") {
        return engine::run(Path::new(&env::args_os().nth(2).expect("a folder")));
    }
    let asked: Vec<String> = env::args().skip(1).filter(|a| !a.starts_with("--")).collect();
    let tenth = if asked.iter().any(|a| a == "quick") { 10 } else { 1 };
    let names: Vec<_> = asked.into_iter().filter(|a| a != "quick").collect();
    let wanted = |name: &str| names.is_empty() || names.iter().any(|n| n == name);
    let pin = can_pin();
    if pin {
        pin_ourselves();
    }
    let world = World::new();
    let origin = wire::origin(world.server(), world.client());
    let home = child::home();
    let start = || (monitor(pin, &world, home.path()), bare(pin, &world));
    let (ours, engine) = start();
    // Its first export and self-test belong to being idle.
    thread::sleep(Duration::from_secs(2));
    let idle = [engine.memory("VmRSS"), ours.memory("VmRSS")];
    let own = [engine.memory("RssAnon"), ours.memory("RssAnon")];
    let ready = ours.ready;
    let mut ways = ways(&engine, &ours, home.path());
    let other = child::home();
    let apart = pin.then(|| monitor(pin, &world, other.path()));
    if let Some(apart) = &apart {
        scan_apart(apart);
        ways.push(Way {
            name: "ours, scanner apart",
            through: Some(apart),
            credential: child::credential(other.path()),
        });
    }

    println!("\nrelay: medians of {ROUNDS} alternating rounds; CPU of the proxy per request, its scanner's apart");
    println!("load of the machine before: {}\n", load());
    println!("| answer | way | p50 | added p50 | CPU | of the engine | CPU paced | of the engine | scanner CPU |");
    println!("|---|---|---|---|---|---|---|---|---|");
    for case in CASES.iter().filter(|case| wanted(case.name)) {
        report(case.name, &ways, &alternate(&ways, |way| exchanges(case, way, &origin, tenth)));
    }
    if wanted("new") {
        report("new s1k", &ways, &alternate(&ways, |way| connections(way, &origin, 300 / tenth)));
    }
    if wanted("events") {
        println!("\n| events | way | p50 | p99 | p50 of the engine |\n|---|---|---|---|---|");
        for (name, secure) in [("http", false), ("https", true)] {
            events(name, secure, &ways, &origin);
        }
    }
    if wanted("open") {
        open_loop(&ways[2], &origin, home.path(), tenth);
    }
    let peak = [engine.memory("VmHWM"), ours.memory("VmHWM")];
    drop(ways);
    drop((ours, engine, apart));
    if wanted("memory") {
        println!("\n| resident, MiB | engine | ours |\n|---|---|---|");
        println!("| idle, nothing yet | {} | {} |", mib(idle[0]), mib(idle[1]));
        println!("| of which no part of a file | {} | {} |", mib(own[0]), mib(own[1]));
        println!("| peak of the above | {} | {} |", mib(peak[0]), mib(peak[1]));
        let both = |hold: &dyn Fn(&Way<'_>) -> u64| {
            let (ours, engine) = start();
            let ways = self::ways(&engine, &ours, home.path());
            ways[1..].iter().map(|way| mib(hold(way))).collect::<Vec<_>>().join(" | ")
        };
        println!("| with {OPENED} idle inspected connections | {} |", both(&|way| hold_opened(way, &origin, OPENED)));
        println!("| with {TUNNELS} idle opaque tunnels | {} |", both(&|way| hold_opaque(way, TUNNELS)));
    }
    println!("\nours: ready in {}; load now: {}", micros(ready), load());
}

/// A monitor that inspects with the authority of `world`.
fn monitor(pin: bool, world: &World, home: &Path) -> Program {
    let mut file = fs::File::create(home.join("config.toml")).expect("a folder of ours");
    file.write_all(world.config().as_bytes()).expect("room for a few lines");
    Program::start(pinned(pin, &child::monitor(home)))
}

fn bare(pin: bool, world: &World) -> Program {
    let mut command = Command::new(env::current_exe().expect("our own path"));
    Program::start(pinned(pin, command.arg("engine").arg(world.folder())))
}

fn ways<'p>(engine: &'p Program, ours: &'p Program, home: &Path) -> Vec<Way<'p>> {
    vec![
        Way { name: "direct", through: None, credential: String::new() },
        Way { name: "engine", through: Some(engine), credential: String::new() },
        Way { name: "ours", through: Some(ours), credential: child::credential(home) },
    ]
}

/// One way's figures, a value a round.
#[derive(Default)]
struct Figures {
    p50: Vec<Duration>,
    cpu: Vec<Duration>,
    paced: Vec<Duration>,
    scanner: Vec<Duration>,
}

/// What one round measured, of a request: p50, and the CPU of forwarding, of forwarding paced, and of scanning.
struct Round {
    p50: Duration,
    cpu: Duration,
    paced: Option<Duration>,
    scanner: Duration,
}

fn alternate(ways: &[Way<'_>], mut round: impl FnMut(&Way<'_>) -> Round) -> Vec<Figures> {
    let mut figures: Vec<Figures> = ways.iter().map(|_| Figures::default()).collect();
    for _ in 0..ROUNDS {
        for (way, figures) in ways.iter().zip(&mut figures) {
            let Round { p50, cpu, paced, scanner } = round(way);
            figures.p50.push(p50);
            figures.cpu.push(cpu);
            figures.paced.extend(paced);
            figures.scanner.push(scanner);
        }
    }
    figures
}

/// One connection: back to back for CPU, then paced for latency.
fn exchanges(case: &Case, way: &Way<'_>, origin: &Origin, tenth: usize) -> Round {
    let mut client = Client::new(way, origin, case.secure);
    let target = format!("/bytes/{}", case.size);
    client.repeat(&target, case.back_to_back / 50, Duration::ZERO);
    let requests = case.back_to_back / tenth;
    let (cpu, _) = per(way, requests, || drop(client.repeat(&target, requests, Duration::ZERO)));
    let (mut took, requests) = (Vec::new(), case.paced / tenth);
    let (paced, scanner) = per(way, requests, || took = client.repeat(&target, requests, case.pause));
    Round { p50: median(&mut took), cpu, paced: Some(paced), scanner }
}

/// New connections, one exchange each: a CONNECT and both handshakes, none of the client's resumed.
fn connections(way: &Way<'_>, origin: &Origin, times: usize) -> Round {
    let mut took = Vec::with_capacity(times);
    let (cpu, scanner) = per(way, times, || {
        for _ in 0..times {
            let began = Instant::now();
            Client::new(way, origin, true).get("/bytes/1024");
            took.push(began.elapsed());
        }
    });
    Round { p50: median(&mut took), cpu, paced: None, scanner }
}

/// CPU of a proxy for each of `times` things done.
fn per(way: &Way<'_>, times: usize, work: impl FnOnce()) -> (Duration, Duration) {
    let Some(program) = way.through else {
        work();
        return Default::default();
    };
    settle(program);
    let before = cpu(program);
    work();
    settle(program);
    let after = cpu(program);
    let each = u32::try_from(times).expect("a few thousand");
    ((after.0.saturating_sub(before.0)) / each, (after.1.saturating_sub(before.1)) / each)
}

fn report(case: &str, ways: &[Way<'_>], figures: &[Figures]) {
    let middle = |values: &[Duration]| median(&mut values.to_vec());
    let of = |values: &[Duration], base: &[Duration]| match values {
        [] => "– | –".to_owned(),
        _ => format!("{} | {:.2}", micros(middle(values)), median(&mut ratios(values, base))),
    };
    let [direct, engine, ..] = figures else { return };
    println!("| {case} | direct | {} | – | – | – | – | – | – |", micros(middle(&direct.p50)));
    for (way, figures) in ways.iter().zip(figures).skip(1) {
        let p50 = middle(&figures.p50);
        let added = p50.saturating_sub(middle(&direct.p50));
        let (cpu, paced) = (of(&figures.cpu, &engine.cpu), of(&figures.paced, &engine.paced));
        let (p50, added, scanner) = (micros(p50), micros(added), micros(middle(&figures.scanner)));
        println!("| {case} | {} | {p50} | {added} | {cpu} | {paced} | {scanner} |", way.name);
    }
}

fn events(name: &str, secure: bool, ways: &[Way<'_>], origin: &Origin) {
    let mut figures: Vec<(Vec<Duration>, Vec<Duration>)> = vec![Default::default(); ways.len()];
    for _ in 0..ROUNDS {
        for (way, (p50, p99)) in ways.iter().zip(&mut figures) {
            let mut late = Client::new(way, origin, secure).events(&origin.sent);
            p50.push(median(&mut late));
            p99.push(late[late.len() * 99 / 100]);
        }
    }
    let engine = figures[1].0.clone();
    for (way, (p50, p99)) in ways.iter().zip(&mut figures) {
        let ratio = median(&mut ratios(p50, &engine));
        println!("| {name} | {} | {} | {} | {ratio:.2} |", way.name, micros(median(p50)), micros(median(p99)));
    }
}

fn ratios(values: &[Duration], base: &[Duration]) -> Vec<f64> {
    values.iter().zip(base).map(|(value, base)| value.as_secs_f64() / base.as_secs_f64()).collect()
}

/// KiB resident while so many inspected connections, each used once, are idle.
fn hold_opened(way: &Way<'_>, origin: &Origin, number: usize) -> u64 {
    let program = way.through.expect("a proxy");
    let open = |_| {
        let mut client = Client::new(way, origin, true);
        client.get("/bytes/1024");
        client
    };
    let _held: Vec<_> = (0..number).map(open).collect();
    settle(program);
    program.memory("VmRSS")
}

/// KiB resident while so many tunnels, in which a client said a word that is no HTTP, are idle.
fn hold_opaque(way: &Way<'_>, number: usize) -> u64 {
    let program = way.through.expect("a proxy");
    let (to, arrived) = wire::silent();
    let credential =
        if way.credential.is_empty() { String::new() } else { format!("Proxy-Authorization: {}\r\n", way.credential) };
    let open = |_| {
        let stream = TcpStream::connect(program.listen).expect("it listens");
        let mut stream = wire::tunnel(stream, to, &credential);
        stream.write_all(b"SSH-2.0-a-client\r\n").expect("it listens");
        stream
    };
    let _held: Vec<_> = (0..number).map(open).collect();
    let all_there = || arrived.lock().expect("no panic").len() >= number;
    for _ in 0..200 {
        if all_there() {
            break;
        }
        thread::sleep(Duration::from_millis(50));
    }
    assert!(all_there(), "not every tunnel reached its end");
    settle(program);
    let resident = program.memory("VmRSS");
    // The listener's thread goes on: without this its ends would stay open, and count against our own limit.
    arrived.lock().expect("no panic").clear();
    resident
}

/// At half the rate the scanner can keep up with nothing is dropped; beyond it, all that is dropped is counted.
fn open_loop(way: &Way<'_>, origin: &Origin, home: &Path, tenth: usize) {
    let (size, program) = (64 * KIB, way.through.expect("a proxy"));
    let target = format!("/bytes/{size}");
    let mut client = Client::new(way, origin, false);
    let (_, scan) = per(way, 500, || drop(client.repeat(&target, 500, Duration::ZERO)));
    drop(client);
    let seconds = if tenth == 1 { 30 } else { 5 };
    println!("\nopen loop: answers of {} KiB, for each of which the scanner takes {}", size / KIB, micros(scan));
    println!(
        "\n| due | requests/s | MB/s | p50 | p99 | dropped of messages | adds up |\n|---|---|---|---|---|---|---|"
    );
    let half = scan * 2;
    let paced = u32::try_from(Duration::from_secs(seconds).as_nanos() / half.as_nanos()).expect("some thousands");
    for (name, number, interval) in [("half the scan rate", paced, half), ("all at once", 8_000, Duration::ZERO)] {
        let load = open::load(way, origin, home, &target, number, interval);
        let [p50, p99] = [50, 99].map(|part| micros(load.took[load.took.len() * part / 100]));
        let (rate, adds_up) = (load.came, if load.adds_up { "yes" } else { "NO" });
        let mb = rate * f64::from(u32::try_from(size).expect("small")) / 1e6;
        println!("| {name} | {rate:.0} | {mb:.0} | {p50} | {p99} | {} of {} | {adds_up} |", load.dropped, 2 * number);
    }
    settle(program);
}

fn load() -> String {
    fs::read_to_string("/proc/loadavg").unwrap_or_default().split(' ').next().unwrap_or_default().to_owned()
}

fn micros(time: Duration) -> String {
    format!("{:.1} µs", time.as_secs_f64() * 1e6)
}

fn mib(kib: u64) -> String {
    format!("{}.{}", kib / 1024, kib % 1024 * 10 / 1024)
}
