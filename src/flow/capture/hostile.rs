//! Bytes from the wire → what is read by hand here, held to what it promises: the way in for `tests/fuzz`.
//!
//! Nothing of it is in a monitor. Each function panics where a promise does not hold, whatever the bytes are.

use super::{
    authority::Authority,
    hop::{self, Keep},
    inspect::{hello, hello::Unread},
    listener::Connection,
    message::{Head, Part, Route, StartLine},
    meter::Meter,
    recognise::{Begins, recognise},
    tap::{Feed, Tap},
    websocket::Extensions,
};
use hudsucker::hyper::{
    HeaderMap,
    header::{self, HeaderName, HeaderValue},
    http::uri,
};
use posture::{Coverage, Direction, Protocol, UnscannedReason};
use std::{
    io,
    net::{IpAddr, Ipv4Addr},
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, Waker},
};
use tokio::io::{AsyncRead, ReadBuf};

/// What a server may have agreed to.
const AGREED: [&str; 5] = [
    "",
    "permessage-deflate",
    "permessage-deflate; client_no_context_takeover; server_no_context_takeover",
    "permessage-deflate; server_max_window_bits=10",
    "x-other",
];

// === WebSocket ===

/// A byte that says what was agreed to and who speaks, one for the length of pieces, and what passed → the same messages
/// and the same sums, whole or in pieces.
pub fn websocket(input: &[u8]) {
    let [kind, step, bytes @ ..] = input else { return };
    let mut headers = HeaderMap::new();
    let agreed = AGREED[usize::from(*kind) % AGREED.len()];
    headers.append(header::SEC_WEBSOCKET_EXTENSIONS, HeaderValue::from_static(agreed));
    let (extensions, from_client) = (Extensions::agreed(&headers), *kind < 128);
    let whole = passed(extensions, from_client, bytes, usize::MAX);
    let in_pieces = passed(extensions, from_client, bytes, usize::from(*step).max(1));
    for said in [&whole, &in_pieces] {
        assert!(said.coverage.adds_up());
        assert!(said.coverage.seen.bytes <= bytes.len() as u64);
        for reason in [UnscannedReason::InProgress, UnscannedReason::Dropped] {
            assert_eq!(said.coverage.unscanned(reason).messages, 0, "{reason}");
        }
    }
    assert_eq!(whole.lost, in_pieces.lost);
    // Of what does not inflate, as much counts and shows as came before the piece that broke it.
    if whole.lost && matches!(extensions, Extensions::Deflate { .. }) {
        assert_eq!(whole.messages.len(), in_pieces.messages.len());
        for (one, other) in whole.messages.iter().zip(&in_pieces.messages) {
            assert!(one.starts_with(other) || other.starts_with(one), "a message has two beginnings");
        }
        return;
    }
    let ([before @ .., last], [other_before @ .., other_last]) = (&whole.messages[..], &in_pieces.messages[..]) else {
        return assert!(whole.messages == in_pieces.messages, "there is a message or there is none");
    };
    assert!(before == other_before, "a message depends on its pieces");
    // Of one that has no end yet, the inflater may hold back some of what its last length stands for.
    let held = if matches!(extensions, Extensions::Deflate { .. }) { LONGEST_MATCH } else { 0 };
    assert!(last.starts_with(other_last) || other_last.starts_with(last), "a message has two beginnings");
    assert!(last.len().abs_diff(other_last.len()) <= held, "a message depends on its pieces");
    assert_eq!(whole.coverage, in_pieces.coverage);
}

/// Bytes that one length of DEFLATE stands for at most (RFC 1951, section 3.2.5).
const LONGEST_MATCH: usize = 258;

struct Said {
    messages: Vec<Vec<u8>>,
    coverage: Coverage,
    /// Some of it could not be followed.
    lost: bool,
}

fn passed(extensions: Extensions, from_client: bool, bytes: &[u8], step: usize) -> Said {
    let meter = Meter::default();
    let (tap, intakes) = Tap::new(1 << 30, 1, meter.clone());
    let connection = Arc::new(Connection { source: SOURCE, ticket: meter.connection(), place: None });
    let [mut out, mut back] = extensions.ways(&connection, &tap, [Direction::Outbound, Direction::Inbound].map(head));
    let way = if from_client { &mut out } else { &mut back };
    for piece in bytes.chunks(step) {
        way.passed(piece);
    }
    drop((out, back, tap, connection));
    let mut messages = Vec::new();
    let mut ticket = None;
    while let Some(fed) = intakes[0].recv() {
        match fed.feed {
            Feed::Begin(_, begun, _) => {
                messages.push(Vec::new());
                ticket = Some(begun);
            }
            Feed::Part(Part::Body(piece)) => messages.last_mut().expect("it began").extend_from_slice(&piece),
            Feed::Part(Part::End) => {
                ticket.take().expect("it began").settle(messages.last().expect("it began").len() as u64, None);
            }
            Feed::Part(Part::Trailers(_)) | Feed::Name(..) => panic!("a WebSocket message has neither"),
        }
    }
    let coverage = meter.coverage();
    let lost = coverage.unscanned(UnscannedReason::WebsocketRelayed).bytes > 0;
    Said { messages, coverage, lost }
}

// === what a connection begins with ===

/// A byte that chooses what reads the rest, and one for the length of pieces.
pub fn wire(input: &[u8]) {
    let [kind, step, bytes @ ..] = input else { return };
    let text = String::from_utf8_lossy(bytes);
    let (first, rest) = text.split_once('\n').unwrap_or((&text, ""));
    match kind % 4 {
        0 => first_bytes(bytes, usize::from(*step).max(1)),
        1 => authority(first, rest),
        2 => fields(bytes),
        _ => agreed(first, rest),
    }
}

/// The first bytes of a connection → one answer, never taken back; of a `ClientHello`, the same however it comes.
fn first_bytes(bytes: &[u8], step: usize) {
    let mut said = Begins::Undecided;
    for end in 0..=bytes.len().min(64) {
        let now = recognise(&bytes[..end]);
        assert!(said == Begins::Undecided || now == said, "{said:?} became {now:?}");
        said = now;
    }
    let now = recognise(bytes);
    assert!(said == Begins::Undecided || now == said, "{said:?} became {now:?}");
    assert!(now != Begins::Undecided || bytes.len() <= 9 << 10, "it never says");
    assert_eq!(said_hello(bytes, usize::MAX), said_hello(bytes, step));
}

/// What was read of a `ClientHello`: its name, its protocols and its shape; or the alert; or that it ended.
type Told = Result<(Option<String>, Vec<Vec<u8>>, u64), Option<Vec<u8>>>;

fn said_hello(bytes: &[u8], step: usize) -> Told {
    let (mut client, mut first) = (Pieces { rest: bytes, step }, Vec::new());
    let read = match pin!(hello::read(&mut client, &mut first)).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(read) => read,
        Poll::Pending => panic!("what is there is read at once"),
    };
    assert_eq!(first, bytes[..first.len()], "what was read can be relayed");
    match read {
        Ok(hello) => {
            let name = hello.name.inspect(|name| {
                assert!(name.len() <= 255 && !name.contains(|c: char| c.is_ascii_uppercase() || c.is_control()));
            });
            Ok((name, hello.alpn, hello.shape))
        }
        Err(Unread::Malformed(alert)) => {
            assert!(alert.len() < 64, "an alert repeats nothing");
            Err(Some(alert))
        }
        Err(Unread::Ended) => Err(None),
    }
}

/// A client whose bytes come so many at once.
struct Pieces<'b> {
    rest: &'b [u8],
    step: usize,
}

impl AsyncRead for Pieces<'_> {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let (now, rest) = self.rest.split_at(self.rest.len().min(self.step).min(buf.remaining()));
        buf.put_slice(now);
        self.rest = rest;
        Poll::Ready(Ok(()))
    }
}

// === a request's head ===

/// An authority, as a client may write it → one spelling, which is its own, and agrees with itself.
fn authority(text: &str, host: &str) {
    let Ok(named) = text.parse::<uri::Authority>() else { return };
    let Some(place) = Authority::of(&named, Some(443)) else { return };
    let Authority { host: name, port } = &place;
    assert!(!name.is_empty() && *port != 0 && !name.contains(|c: char| c.is_ascii_uppercase()));
    let again = if name.contains(':') { format!("[{name}]:{port}") } else { format!("{name}:{port}") };
    if let Ok(again) = again.parse() {
        // `a..` is spelt `a.`, and that one `a`.
        let again = Authority::of(&again, None).map(|again| (again.host, again.port));
        assert!(again == Some((name.strip_suffix('.').unwrap_or(name).to_owned(), *port)) || name.ends_with('.'));
    }
    let agrees = |value: &str| {
        let mut headers = HeaderMap::new();
        headers.append(header::HOST, HeaderValue::from_str(value).ok()?);
        Some(place.agrees_with_host(&headers, 443))
    };
    assert_ne!(agrees(text), Some(false), "it disagrees with itself");
    // Whoever agrees is the same place, by the one reading there is of either.
    if agrees(host) == Some(true) {
        let other = host.parse::<uri::Authority>().ok().and_then(|other| Authority::of(&other, Some(443)));
        assert!(other.is_some_and(|other| other == place), "two places agree");
    }
}

/// A Sec-WebSocket-Extensions of one value, or of two → what is not read is never taken for what is.
fn agreed(first: &str, second: &str) {
    let agreed = |values: &[&str]| {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::SEC_WEBSOCKET_EXTENSIONS, HeaderValue::from_str(value).ok()?);
        }
        Some(Extensions::agreed(&headers))
    };
    let (Some(one), Some(two)) = (agreed(&[first]), agreed(&[first, second])) else { return };
    let deflate =
        |text: &str| text.trim().get(..18).is_some_and(|name| name.eq_ignore_ascii_case("permessage-deflate"));
    let empty = |text: &str| text.split(',').all(|extension| extension.trim().is_empty());
    match one {
        Extensions::None => assert!(empty(first)),
        Extensions::Deflate { .. } => assert!(first.split(',').filter(|part| deflate(part)).count() == 1),
        Extensions::Unknown => assert_eq!(two, Extensions::Unknown, "another value makes it known"),
    }
    assert_eq!(agreed(&[&format!("{first},{second}")]), Some(two), "a list in one value and in two");
}

/// The lines of a head → what goes on: nothing that is the connection's own, and everything else in its order.
fn fields(lines: &[u8]) {
    let mut headers = HeaderMap::new();
    for line in lines.split(|byte| *byte == b'\n').take(100) {
        let at = line.iter().position(|byte| *byte == b':').unwrap_or(line.len());
        let name = HeaderName::from_bytes(&line[..at]);
        let value = HeaderValue::from_bytes(line.get(at + 1..).unwrap_or_default());
        if let (Ok(name), Ok(value)) = (name, value) {
            headers.append(name, value);
        }
    }
    let lists = |name: &HeaderName, token: &str| {
        let mut values = headers.get_all(name).iter().flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
        values.any(|value| value.trim_ascii().eq_ignore_ascii_case(token.as_bytes()))
    };
    if headers.contains_key(header::TRANSFER_ENCODING) && hop::one_framing(&headers) {
        let last = headers.get_all(header::TRANSFER_ENCODING).iter().next_back();
        let last = last.map(|value| value.as_bytes().trim_ascii_end().to_ascii_lowercase());
        assert!(last.is_some_and(|value| value.ends_with(b"chunked")));
        assert!(!lists(&header::TRANSFER_ENCODING, "identity") && !lists(&header::TRANSFER_ENCODING, ""));
    }
    for keep in [Keep::Nothing, hop::upgrade(&headers)] {
        let mut left = headers.clone();
        hop::end_to_end(&mut left, keep);
        for name in [header::PROXY_AUTHORIZATION, header::PROXY_AUTHENTICATE] {
            assert!(!left.contains_key(name), "a credential of this hop goes on");
        }
        let framings = [header::CONTENT_LENGTH, header::TRANSFER_ENCODING];
        assert!(!framings.iter().all(|name| left.contains_key(name)), "two framings go on");
        assert!(
            keep == Keep::WebSocket || !left.contains_key(header::CONNECTION) && !left.contains_key(header::UPGRADE)
        );
        assert_eq!(left.get(header::HOST), headers.get(header::HOST));
        // What is left is there as it was.
        for (name, value) in &left {
            let written_here = *name == header::TE || *name == header::CONNECTION;
            assert!(written_here || headers.get_all(name).iter().any(|was| was == value));
        }
        let mut again = left.clone();
        hop::end_to_end(&mut again, keep);
        assert_eq!(again, left);
    }
}

const SOURCE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

fn head(direction: Direction) -> Head {
    let route = Route {
        protocol: Protocol::Wss,
        host: "fuzz.test".to_owned(),
        port: 443,
        source: SOURCE,
        names_agree: true,
        verified_tls: true,
    };
    Head { direction, route: Arc::new(route), start: StartLine::WebSocket, fields: Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, path::Path};

    /// What the fuzzer begins with.
    fn seeds(target: &str, check: fn(&[u8])) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(target);
        let mut checked = 0;
        for seed in fs::read_dir(folder).unwrap() {
            check(&fs::read(seed.unwrap().path()).unwrap());
            checked += 1;
        }
        assert!(checked >= 4, "{checked}");
    }

    #[test]
    fn the_seeds_of_the_fuzzer_hold() {
        seeds("websocket", websocket);
        seeds("wire", wire);
    }
}
