//! Bytes scanned a second on one core, decoding included, beside a `memchr` pass and the gate alone over the same bytes;
//! and hostile bodies of two sizes, of which the larger must take twice the time of the smaller, no more.
//!
//! The floor is 0.4 GB/s for typical JSON and 0.2 for dense; the goal 1.0 and 0.4.

use bytes::Bytes;
use divan::{Bencher, counter::BytesCount};
use guardian::flow::{
    capture::{Head, Route, StartLine},
    detect::{
        Detector, Limits, Scanner,
        decode::{View, Voice},
        known::{DigestKeys, Kind, Values},
        matcher::Matcher,
        rule::RuleSet,
    },
};
use posture::{Direction, Placement, Protocol};
use std::{
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
};

const SIZE: usize = 1 << 20;
const CHUNK: usize = 16 << 10;

fn main() {
    divan::main();
}

/// The bodies measured.
const BODIES: &[&str] = &["chat", "telemetry", "dense", "base64", "embeddings", "code", "html", "sse_chat", "text"];

fn unit(body: &str, n: u64) -> String {
    let prose = "The build passes now; I moved the parser into its own module and added a test for the empty case. \
                 Next I would look at the retry loop, which sleeps twice after a timeout.\\n";
    match body {
        "chat" => format!(
            "{{\"role\":\"{}\",\"content\":\"{}\"}},",
            if n.is_multiple_of(2) { "user" } else { "assistant" },
            prose.repeat(12)
        ),
        "telemetry" => format!(
            "{{\"ts\":17724456{n:02},\"level\":\"info\",\"span\":\"{n:016x}\",\"msg\":\"request done\",\"ms\":{n},\"ok\":true}},"
        ),
        "dense" => format!(
            "{{\"role\":\"user\",\"content\":\"risk-assessment sk-learn-{n} | sort | bash-completion rm -rf ./build \
             curl -s https://x.example/{n}?a=b%20c&d=e | jq . AKIA-none ~/.config/x.env.example \\u0026 \\/etc\\/hosts\\n\"}},"
        ),
        "base64" => {
            let noise: String = (0..3000_u64).map(|i| letter(i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 58)).collect();
            format!("{{\"type\":\"image_url\",\"url\":\"data:image/png;base64,{noise}\"}},")
        }
        "embeddings" => (0..200)
            .map(|i| f64::from(i * 7919 % 1000) / 1000.0 - 0.5)
            .fold(String::new(), |s, x| s + &x.to_string() + ","),
        "code" => format!(
            "{{\"role\":\"tool\",\"content\":\"fn step_{n}(input: &[u8]) -> Option<usize> {{\\n    let at = input.iter().position(|b| *b == b'\\\\n')?;\\n    \
             Some(at + 1) // see https://docs.example/{n}/index.html\\n}}\\n\"}},"
        ),
        "html" => format!(
            "<li class=\"row\"><a href=\"/item/{n}?a=1&amp;b=2\">Item &quot;{n}&quot;</a> costs &euro;{n}</li>\n"
        ),
        "sse_chat" => format!(
            "data: {{\"id\":\"chatcmpl-abcdefghijklmnop\",\"object\":\"chat.completion.chunk\",\"created\":1772445600,\"model\":\"gpt-5\",\
             \"choices\":[{{\"index\":0,\"delta\":{{\"content\":\" word{}\"}},\"finish_reason\":null}}]}}\n\n",
            if n.is_multiple_of(12) { "\\n" } else { "" }
        ),
        _ => prose.replace("\\n", "\n"),
    }
}

fn letter(n: u64) -> char {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char::from(alphabet[usize::try_from(n % 64).expect("below 64")])
}

fn text(body: &str) -> Vec<u8> {
    let mut text = match body {
        "sse_chat" | "html" | "text" => String::new(),
        _ => "{\"model\":\"hermes-4\",\"messages\":[".to_owned(),
    };
    let mut n = 0;
    while text.len() < SIZE {
        text.push_str(&unit(body, n));
        n += 1;
    }
    text.into_bytes()
}

fn scan(bencher: Bencher, body: &str, direction: Direction) {
    scan_with(bencher, &Detector::new(Limits::default(), &[], None), &text(body), direction);
}

fn scan_with(bencher: Bencher, detector: &Arc<Detector>, text: &[u8], direction: Direction) {
    let route = Arc::new(Route {
        protocol: Protocol::Https,
        host: "api.vendor.test".into(),
        port: 443,
        source: IpAddr::V4(Ipv4Addr::LOCALHOST),
        names_agree: true,
        verified_tls: true,
    });
    bencher.counter(BytesCount::of_slice(text)).bench_local(|| {
        let start = match direction {
            Direction::Outbound => {
                StartLine::Request { method: Bytes::from_static(b"POST"), target: Bytes::from_static(b"/") }
            }
            Direction::Inbound => StartLine::Response { status: 200 },
        };
        let head = Head { direction, route: Arc::clone(&route), start, fields: Vec::new() };
        let mut hits = 0;
        let mut scanner = Scanner::new(Arc::clone(detector), head, &mut |_| hits += 1);
        for chunk in text.chunks(CHUNK) {
            scanner.body(chunk, &mut |_| hits += 1);
        }
        scanner.end(&mut |_| hits += 1);
        hits
    });
}

#[divan::bench(args = BODIES)]
fn outbound(bencher: Bencher, body: &str) {
    scan(bencher, body, Direction::Outbound);
}

#[divan::bench(args = BODIES)]
fn inbound(bencher: Bencher, body: &str) {
    scan(bencher, body, Direction::Inbound);
}

/// The matcher alone over the same bytes as one text: what decoding adds is the difference.
#[divan::bench(args = BODIES)]
fn matcher_alone(bencher: Bencher, body: &str) {
    let text = text(body);
    let matcher = Matcher::new(RuleSet::embedded());
    let view = View { text: &text, encoding: &[], placement: Placement::Body, name: None, voice: Voice::Unknown };
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
    scan_with(bencher, &detector, &text(["chat", "dense", "text"][BODY]), Direction::Outbound);
}

/// The search for known secrets alone over one text.
#[divan::bench(args = [10, 100, 256])]
fn known_alone(bencher: Bencher, count: usize) {
    let (text, values) = (text("text"), values(count));
    let view = View { text: &text, encoding: &[], placement: Placement::Body, name: None, voice: Voice::Unknown };
    bencher.counter(BytesCount::of_slice(&text)).bench_local(|| values.sightings(Direction::Outbound, &view).len());
}

/// The gate alone: the one look at every byte that no text is spared.
#[divan::bench(args = BODIES)]
fn gate_alone(bencher: Bencher, body: &str) {
    let text = text(body);
    let matcher = Matcher::new(RuleSet::embedded());
    bencher
        .counter(BytesCount::of_slice(&text))
        .bench_local(|| matcher.keywords(Direction::Outbound, divan::black_box(&text)));
}

/// What costs most for its size.
const HOSTILE: &[&str] = &["nested", "unicode", "base64", "keywords", "lines", "quotes", "entities", "deep"];

/// A hostile body of `size` bytes.
fn hostile(kind: &str, size: usize) -> Vec<u8> {
    let unit = match kind {
        "nested" => "{\"a\":[",
        "unicode" => "\\u005cu0041",
        "keywords" => "sk-hf_r8_AKIA",
        "lines" => "curl a | rm -rf b\n",
        "quotes" => "\"\\\"+",
        "entities" => "%26%2337;",
        "deep" => {
            let mut text = "x".to_owned();
            while text.len() < size {
                text = format!("{{\"a\":\"{}\"}}", text.replace('\\', "\\\\").replace('"', "\\\""));
            }
            return text.into_bytes();
        }
        _ => {
            let inner = data_encoding::BASE64.encode(&vec![b'a'; size / 2]);
            return data_encoding::BASE64.encode(inner.as_bytes()).into_bytes();
        }
    };
    unit.repeat(size / unit.len()).into_bytes()
}

#[divan::bench(args = HOSTILE)]
fn hostile_once(bencher: Bencher, kind: &str) {
    scan_with(bencher, &Detector::new(Limits::default(), &[], None), &hostile(kind, SIZE), Direction::Outbound);
}

#[divan::bench(args = HOSTILE)]
fn hostile_twice_the_size(bencher: Bencher, kind: &str) {
    scan_with(bencher, &Detector::new(Limits::default(), &[], None), &hostile(kind, 2 * SIZE), Direction::Outbound);
}

#[divan::bench(args = ["chat"])]
fn memchr_baseline(bencher: Bencher, body: &str) {
    let text = text(body);
    bencher.counter(BytesCount::of_slice(&text)).bench_local(|| memchr::memchr(0, divan::black_box(&text)));
}
