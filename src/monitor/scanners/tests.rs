use super::*;
use crate::{
    flow::{
        capture::{Field, Head, Meter, Route, StartLine, Tap},
        detect::{Detector, Limits},
        redact::{Finding, Redactor},
    },
    monitor::{in_force::InForce, signs::Signs},
};
use bytes::Bytes;
use posture::{Direction, Protocol};
use std::time::Duration;
use tokio::sync::mpsc;

const PERIOD: Duration = Duration::from_secs(60);
const OWN_TOKEN: &str = "Zm9yIHRoaXMgdGVzdCBhbG9uZSwgbm90aGluZyBlbHNl";

fn head(fields: &[(&'static str, &'static str)], names_agree: bool) -> Head {
    let route = Route {
        protocol: Protocol::Http,
        host: "api.example.com".into(),
        port: 80,
        source: [127, 0, 0, 1].into(),
        names_agree,
        verified_tls: false,
    };
    let field = |(name, value): &(&'static str, &'static str)| Field {
        name: Bytes::from_static(name.as_bytes()),
        value: Bytes::from_static(value.as_bytes()),
    };
    Head {
        direction: Direction::Outbound,
        route: Arc::new(route),
        start: StartLine::Request { method: Bytes::from_static(b"POST"), target: Bytes::from_static(b"/") },
        fields: fields.iter().map(field).collect(),
    }
}

/// Waits for what other threads bring about, within a minute.
fn until(what: &str, holds: impl Fn() -> bool) {
    let at = Instant::now();
    while !holds() {
        assert!(at.elapsed() < Duration::from_secs(60), "never: {what}");
        thread::yield_now();
    }
}

/// Scanners that know `token` for our own, and hand what they find to `found`.
fn bench(token: Option<&str>, signs: &Arc<Signs>, found: mpsc::Sender<Finding>) -> Bench {
    Bench {
        detector: InForce::new(Detector::new(Limits::default(), &[], token)),
        redactor: InForce::new(Arc::new(Redactor::new(&[7; 32]))),
        signs: Arc::clone(signs),
        found,
    }
}

/// Scans these bodies, each a message of its own, with one finding at a time on its way to whoever takes them.
fn scanned(taken_by_someone: bool, bodies: &[String], names_agree: bool) -> (Vec<Finding>, posture::Attested, Meter) {
    let meter = Meter::default();
    let (tap, mut intakes) = Tap::new(1 << 20, 1, meter.clone());
    let signs = Arc::new(Signs::new(1, PERIOD, tap.gauge()));
    let (found, mut taken) = mpsc::channel(1);
    let collector = taken_by_someone
        .then(|| thread::spawn(move || std::iter::from_fn(|| taken.blocking_recv()).collect::<Vec<_>>()));
    let bench = bench(Some(OWN_TOKEN), &signs, found);
    let thread = Shard::new(0, intakes.remove(0), bench).spawn().unwrap();
    for body in bodies {
        let mut message = tap.open(head(&[("Content-Type", "text/plain")], names_agree));
        message.body(&Bytes::copy_from_slice(body.as_bytes()));
    }
    drop(tap);
    thread.join().unwrap();
    assert_eq!(signs.queue_used(), 0);
    signs.watch(std::time::Instant::now());
    assert!(signs.scanner_stalled(), "a thread that is gone is told");
    (collector.map(|t| t.join().unwrap()).unwrap_or_default(), signs.attested(), meter)
}

fn key(n: usize) -> String {
    let letter = |i: usize| char::from(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"[(i * 7 + n * 5 + i * i * 3) % 32]);
    let body: String = (0..16).map(letter).collect();
    format!("the key AKIA{body} is mine")
}

#[test]
fn findings_nobody_takes_are_counted_and_the_messages_all_the_same() {
    let bodies: Vec<_> = (0..5).map(key).collect();
    let (found, attested, meter) = scanned(false, &bodies, true);
    assert_eq!((found.len(), attested.not_recorded), (0, 5));
    let coverage = meter.coverage();
    assert!(coverage.adds_up());
    assert_eq!((coverage.scanned.messages, coverage.not_scanned), (5, vec![]));
}

#[test]
fn a_flood_waits_for_whoever_takes_it_and_loses_nothing() {
    let bodies: Vec<_> = (0..40).map(key).collect();
    let (found, attested, _) = scanned(true, &bodies, true);
    assert_eq!((found.len(), attested.not_recorded), (40, 0));
}

#[test]
fn what_unpacks_to_more_than_fits_is_judged_at_once_and_counts_as_dropped() {
    let meter = Meter::default();
    let (tap, mut intakes) = Tap::new(64 << 10, 1, meter.clone());
    let (found, mut taken) = mpsc::channel(9);
    let bench = bench(None, &Arc::new(Signs::new(1, PERIOD, tap.gauge())), found);
    let thread = Shard::new(0, intakes.remove(0), bench).spawn().unwrap();
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    std::io::Write::write_all(&mut packed, [key(1), "x ".repeat(1 << 20)].concat().as_bytes()).unwrap();
    let packed = Bytes::from(packed.finish().unwrap());
    let mut message = tap.open(head(&[("Content-Encoding", "gzip")], true));
    message.body(&packed);
    // It is judged before it ends.
    assert!(taken.blocking_recv().is_some());
    until("what was held is let go", || tap.used() <= 1024);
    message.body(&packed);
    drop((message, tap));
    thread.join().unwrap();
    let coverage = meter.coverage();
    assert!(coverage.adds_up());
    assert_eq!(coverage.unscanned(posture::UnscannedReason::Dropped).messages, 1);
    assert!(coverage.unscanned(posture::UnscannedReason::Dropped).bytes >= packed.len() as u64);
}

#[test]
fn messages_that_stall_leave_room_for_those_that_begin() {
    let meter = Meter::default();
    let (tap, mut intakes) = Tap::new(256 << 10, 1, meter.clone());
    let (found, mut taken) = mpsc::channel(128);
    let signs = Arc::new(Signs::new(1, PERIOD, tap.gauge()));
    let bench = bench(None, &signs, found);
    let shard = Shard::new(0, intakes.remove(0), bench);
    let thread = shard.spawn().unwrap();
    let begin = |n: u64| {
        let mut message = tap.open(head(&[("Content-Type", "text/plain")], true));
        message.body(&Bytes::from([key(usize::try_from(n).unwrap()), " x".repeat(2 << 10)].concat()));
        until("it is held, or one gave way", || {
            // Each has begun and gone on, and those that are open no more gave way.
            let open = shard.desk().open.len() as u64;
            signs.scanner(0).pieces() == 3 * (n + 1) - open && !signs.scanner(0).is_busy()
        });
        message
    };
    let stalled: Vec<_> = (0..99).map(begin).collect();
    assert!(shard.desk().held <= 224 << 10);
    drop((stalled, tap));
    thread.join().unwrap();
    let coverage = meter.coverage();
    assert!(coverage.adds_up());
    let dropped = coverage.unscanned(UnscannedReason::Dropped).messages;
    assert!((40..60).contains(&dropped), "{dropped}");
    let all = std::iter::from_fn(|| taken.try_recv().ok()).count();
    assert_eq!(all, 99, "what came of each was looked at");
}

#[test]
fn our_own_token_is_counted_and_no_finding() {
    let (found, attested, _) = scanned(true, &[format!("say {OWN_TOKEN} again"), "nothing".into()], true);
    assert_eq!((found.len(), attested.token_seen), (0, 1));
}

#[test]
fn a_message_whose_names_do_not_agree_is_counted() {
    assert_eq!(scanned(true, &["nothing".into()], true).1.audience_mismatch, 0);
    assert_eq!(scanned(true, &["nothing".into(), "more".into()], false).1.audience_mismatch, 2);
}

#[test]
fn a_thread_that_hangs_is_replaced_and_costs_the_one_message_it_hangs_at() {
    let meter = Meter::default();
    let (tap, mut intakes) = Tap::new(1 << 20, 1, meter.clone());
    let signs = Arc::new(Signs::new(1, PERIOD, tap.gauge()));
    // One finding fits, and nobody takes it: the next one is waited for without end.
    let (found, mut taken) = mpsc::channel(1);
    let bench = bench(None, &signs, found);
    let shard = Shard::new(0, intakes.remove(0), bench);
    let thread = shard.spawn().unwrap();
    let send = |text: &str| {
        let mut message = tap.open(head(&[("Content-Type", "text/plain")], true));
        message.body(&Bytes::copy_from_slice(text.as_bytes()));
        message
    };
    let mut under_way = send("begun before");
    let scanned = || meter.coverage().scanned.messages;
    drop(send(&key(1)));
    until("the first key is dealt with", || scanned() == 1 && !signs.scanner(0).is_busy());
    let before = signs.scanner(0).pieces();
    drop(send(&key(2)));
    // Its head and its body go by; with its end it is judged.
    until("the second key waits", || signs.scanner(0).pieces() == before + 3 && signs.scanner(0).is_busy());
    let at = Instant::now();
    assert!(signs.watch(at).is_empty());
    let noticed = at + PERIOD;
    assert_eq!((signs.watch(noticed), signs.scanner_stalled()), (vec![0], true));
    let successor = shard.replace(noticed).unwrap().unwrap();
    // What had begun elsewhere goes on, and what begins is looked at.
    under_way.body(&Bytes::from_static(b", ended after"));
    drop((under_way, send("nothing")));
    until("its successor is done", || scanned() == 3 && !signs.scanner(0).is_busy());
    assert!(!thread.is_finished());
    signs.watch(noticed);
    assert!(signs.scanner_stalled(), "the message it holds is not looked at, and it is not gone");
    assert_eq!((signs.adrift(), signs.restarted()), (1, 1));
    assert!(shard.replace(noticed).unwrap().is_none(), "its successor does not hang");
    // It comes back, and has no say any more.
    assert!(taken.blocking_recv().is_some() && taken.blocking_recv().is_some());
    thread.join().unwrap();
    assert!(!signs.scanner_stalled());
    drop((tap, shard));
    successor.join().unwrap();
    let coverage = meter.coverage();
    assert!(coverage.adds_up());
    assert_eq!(coverage.scanned.messages, 3);
    assert_eq!(coverage.unscanned(UnscannedReason::ScannerError).messages, 1);
    assert_eq!(coverage.not_scanned.len(), 1);
}

#[test]
fn a_thread_that_is_gone_is_replaced_and_nothing_is_lost() {
    let meter = Meter::default();
    let (tap, mut intakes) = Tap::new(1 << 20, 1, meter.clone());
    let signs = Arc::new(Signs::new(1, PERIOD, tap.gauge()));
    let (found, _taken) = mpsc::channel(9);
    let bench = bench(None, &signs, found);
    let shard = Shard::new(0, intakes.remove(0), bench);
    drop(tap.open(head(&[], true)));
    drop(Over { shard: &shard, turn: 0 });
    assert_eq!(signs.watch(Instant::now()), [0]);
    let successor = shard.replace(Instant::now()).unwrap().unwrap();
    drop(tap);
    successor.join().unwrap();
    assert_eq!((meter.coverage().scanned.messages, signs.adrift()), (1, 0));
}
