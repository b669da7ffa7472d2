//! What the targets of the scanner share: a message made of bytes, scanned whole and in pieces.

use bytes::Bytes;
use guardian::flow::{
    capture::{Field, Head, Route, StartLine},
    detect::{Detector, Hit, Limits, Scanned, Scanner},
};
use posture::{Direction, Protocol};
use std::{
    net::{IpAddr, Ipv4Addr},
    sync::{Arc, LazyLock},
};

/// Small bounds, so that small inputs reach them.
const LIMITS: Limits = Limits { max_scan_bytes: 64 << 10, max_decoded_bytes: 1 << 20, max_ratio: 100, max_depth: 5 };
/// What a scanner may hold beside the bounded body: a decoder's window, an event's pieces, what was said.
const BESIDE: usize = 2 << 20;

static DETECTOR: LazyLock<Arc<Detector>> = LazyLock::new(|| Detector::new(LIMITS, &[], Some("a-token-that-is-ours")));

/// One pass: each hit as text, and what was scanned.
fn pass(direction: Direction, fields: &[(&str, &str)], body: &[u8], step: usize) -> (Vec<String>, Scanned) {
    let bytes = |text: &str| Bytes::copy_from_slice(text.as_bytes());
    let route = Route {
        protocol: Protocol::Https,
        host: "fuzz.test".into(),
        port: 443,
        source: IpAddr::V4(Ipv4Addr::LOCALHOST),
        names_agree: true,
        verified_tls: true,
    };
    let head = Head {
        direction,
        route: Arc::new(route),
        start: match direction {
            Direction::Outbound => StartLine::Request { method: bytes("POST"), target: bytes("/") },
            Direction::Inbound => StartLine::Response { status: 200 },
        },
        fields: fields.iter().map(|(name, value)| Field { name: bytes(name), value: bytes(value) }).collect(),
    };
    let mut hits = Vec::new();
    let mut on = |hit: &Hit<'_>| {
        assert!(hit.matched.len() <= LIMITS.max_scan_bytes);
        hits.push(format!("{} {:?} {:?} {:?}", hit.rule.id(), hit.severity, hit.encoding, hit.matched));
    };
    let mut scanner = Scanner::new(Arc::clone(&DETECTOR), head, &mut on);
    for piece in body.chunks(step.max(1)) {
        scanner.body(piece, &mut on);
        assert!(scanner.held() <= LIMITS.max_scan_bytes + BESIDE, "{} held", scanner.held());
    }
    let scanned = scanner.end(&mut on);
    (hits, scanned)
}

/// Scans `body` whole and in pieces of `step`: both say the same, and no more was looked at than there is.
pub fn check(fields: &[(&str, &str)], body: &[u8], step: usize) {
    for direction in [Direction::Outbound, Direction::Inbound] {
        let whole = pass(direction, fields, body, usize::MAX);
        let in_pieces = pass(direction, fields, body, step);
        assert_eq!(in_pieces.0, whole.0);
        assert_eq!(in_pieces.1, whole.1);
        assert!(whole.1.bytes <= body.len() as u64);
    }
}
