//! Bytes scanned a second on one core, decoding included, beside a `memchr` pass and the gate alone over the same bytes;
//! and hostile bodies of two sizes, of which the larger must take twice the time of the smaller, no more.
//!
//! The floor is 0.4 GB/s for typical traffic and 0.2 for dense; the goal 1.0 and 0.4.

mod bodies;

use bodies::{HOSTILE, REAL, REPEATED, SIZE, hostile, letter, real, repeated, session as requests};
use bytes::Bytes;
use divan::{Bencher, counter::BytesCount};
use guardian::flow::{
    capture::{Head, Route, StartLine},
    detect::{
        Detector, Limits, Scanner,
        decode::View,
        known::{DigestKeys, Kind, Values},
        matcher::Matcher,
        rule::RuleSet,
    },
};
use posture::{Direction, Protocol};
use std::{
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
};

const CHUNK: usize = 16 << 10;

fn main() {
    divan::main();
}

fn scan(bencher: Bencher, text: &[u8], direction: Direction) {
    scan_with(bencher, &Detector::new(Limits::default(), &[], None), text, direction);
}

fn scan_with(bencher: Bencher, detector: &Arc<Detector>, text: &[u8], direction: Direction) {
    let route = route();
    bencher.counter(BytesCount::of_slice(text)).bench_local(|| {
        // What was looked at before is not what is measured.
        detector.forget();
        look(detector, text, direction, &route)
    });
}

fn route() -> Arc<Route> {
    Arc::new(Route {
        protocol: Protocol::Https,
        host: "api.vendor.test".into(),
        port: 443,
        source: IpAddr::V4(Ipv4Addr::LOCALHOST),
        names_agree: true,
        verified_tls: true,
    })
}

fn look(detector: &Arc<Detector>, text: &[u8], direction: Direction, route: &Arc<Route>) -> usize {
    let start = match direction {
        Direction::Outbound => {
            StartLine::Request { method: Bytes::from_static(b"POST"), target: Bytes::from_static(b"/") }
        }
        Direction::Inbound => StartLine::Response { status: 200 },
    };
    let head = Head { direction, route: Arc::clone(route), start, fields: Vec::new() };
    let mut hits = 0;
    let mut scanner = Scanner::new(Arc::clone(detector), head, &mut |_| hits += 1);
    for chunk in text.chunks(CHUNK) {
        scanner.body(chunk, &mut |_| hits += 1);
    }
    scanner.end(&mut |_| hits += 1);
    hits
}

/// Twenty requests of one session, each with all that was said before: the first sight of everything and each repetition.
#[divan::bench(args = ["agent", "dense"])]
fn session(bencher: Bencher, body: &str) {
    let (detector, requests) = (Detector::new(Limits::default(), &[], None), requests(body));
    let all: usize = requests.iter().map(Vec::len).sum();
    let route = route();
    bencher.counter(BytesCount::new(all)).bench_local(|| {
        detector.forget();
        requests.iter().map(|request| look(&detector, request, Direction::Outbound, &route)).sum::<usize>()
    });
}

#[divan::bench(args = REAL)]
fn outbound(bencher: Bencher, body: &str) {
    scan(bencher, &real(body), Direction::Outbound);
}

#[divan::bench(args = REAL)]
fn inbound(bencher: Bencher, body: &str) {
    scan(bencher, &real(body), Direction::Inbound);
}

#[divan::bench(args = REPEATED)]
fn outbound_repeated(bencher: Bencher, body: &str) {
    scan(bencher, &repeated(body), Direction::Outbound);
}

/// The matcher alone over the same bytes as one text: what decoding adds is the difference.
#[divan::bench(args = REAL)]
fn matcher_alone(bencher: Bencher, body: &str) {
    let text = real(body);
    let matcher = Matcher::new(RuleSet::embedded());
    let view = View::plain(&text);
    bencher.counter(BytesCount::of_slice(&text)).bench_local(|| {
        let mut found = 0;
        matcher.find(Direction::Outbound, &view, &mut |_| found += 1);
        found
    });
}

/// As many values that are known, each of another length, of which the text holds none.
fn values(count: usize) -> Values {
    let keys = Arc::new(DigestKeys::new(&[7; 32], &[9; 32]));
    let value = |n: usize| -> String {
        let noise = |i: usize| letter(((i * 31 + n * 977 + 7) as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 58);
        (0..16 + n).map(noise).collect()
    };
    let digest = |n| keys.digest(Kind::EnvFile, value(n).as_bytes(), Arc::new([]));
    Values::new(&keys, (0..count).map(|n| digest(n).expect("long enough")).collect())
}

/// Known secrets: what 0, 10, 100 and 256 of them add to a scan of the same bytes.
#[divan::bench(args = [0, 10, 100, 256], consts = [0, 1, 2])]
fn outbound_known<const BODY: usize>(bencher: Bencher, count: usize) {
    let detector = Detector::new(Limits::default(), &[], None);
    detector.known().replace(values(count));
    scan_with(bencher, &detector, &repeated(["chat", "dense", "text"][BODY]), Direction::Outbound);
}

/// The search for known secrets alone over one text.
#[divan::bench(args = [10, 100, 256])]
fn known_alone(bencher: Bencher, count: usize) {
    let (text, values) = (repeated("text"), values(count));
    let view = View::plain(&text);
    bencher.counter(BytesCount::of_slice(&text)).bench_local(|| values.sightings(Direction::Outbound, &view).len());
}

/// The gate alone: the one look at every byte that no text is spared.
#[divan::bench(args = REAL)]
fn gate_alone(bencher: Bencher, body: &str) {
    let text = real(body);
    let matcher = Matcher::new(RuleSet::embedded());
    bencher
        .counter(BytesCount::of_slice(&text))
        .bench_local(|| matcher.keywords(Direction::Outbound, divan::black_box(&text)));
}

/// Commands come in; what costs most of all else goes out.
fn goes(kind: &str) -> Direction {
    if matches!(kind, "lines" | "gaps" | "braces" | "flood") { Direction::Inbound } else { Direction::Outbound }
}

#[divan::bench(args = HOSTILE)]
fn hostile_once(bencher: Bencher, kind: &str) {
    scan_with(bencher, &Detector::new(Limits::default(), &[], None), &hostile(kind, SIZE), goes(kind));
}

#[divan::bench(args = HOSTILE)]
fn hostile_twice_the_size(bencher: Bencher, kind: &str) {
    scan_with(bencher, &Detector::new(Limits::default(), &[], None), &hostile(kind, 2 * SIZE), goes(kind));
}

#[divan::bench(args = ["agent"])]
fn memchr_baseline(bencher: Bencher, body: &str) {
    let text = real(body);
    bencher.counter(BytesCount::of_slice(&text)).bench_local(|| memchr::memchr(0, divan::black_box(&text)));
}
