//! A WebSocket: every byte relayed as it came, and what it says shown to the scanner.

use super::rig::{Origin, Rig, Wire};
use flate2::{Compress, Compression, FlushCompress};
use guardian::flow::capture::StartLine;
use posture::{Direction, Protocol, UnscannedReason};
use proptest::{
    prelude::*,
    strategy::ValueTree,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};

const TEXT: u8 = 0x81;
const BINARY: u8 = 0x82;
const CLOSE: u8 = 0x88;
const PING: u8 = 0x89;
const DEFLATED: u8 = 0x40;
const MASK: Option<[u8; 4]> = Some([7, 0, 0xff, 0x80]);

/// One frame, its first byte as given.
fn frame(first: u8, mask: Option<[u8; 4]>, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    let masked = if mask.is_some() { 0x80 } else { 0 };
    match payload.len() {
        short @ 0..126 => frame.push(masked | u8::try_from(short).unwrap()),
        middle @ 126..65_536 => {
            frame.push(masked | 0x7e);
            frame.extend(u16::try_from(middle).unwrap().to_be_bytes());
        }
        long => {
            frame.push(masked | 0x7f);
            frame.extend((long as u64).to_be_bytes());
        }
    }
    frame.extend(mask.into_iter().flatten());
    let mask = mask.unwrap_or_default();
    frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}

/// A sender's permessage-deflate.
struct Packer(Compress);

impl Packer {
    fn new() -> Self {
        Self(Compress::new(Compression::fast(), false))
    }

    fn pack(&mut self, message: &[u8]) -> Vec<u8> {
        let mut packed = Vec::with_capacity(message.len() + 1024);
        self.0.compress_vec(message, &mut packed, FlushCompress::Sync).unwrap();
        assert!(packed.ends_with(&[0, 0, 0xff, 0xff]) && packed.len() < packed.capacity());
        packed.truncate(packed.len() - 4);
        packed
    }
}

/// Both ends of an open WebSocket.
async fn open(rig: &Rig, origin: &Origin, extensions: &str) -> (Wire, Wire) {
    let head = format!(
        "GET http://{}/ HTTP/1.1\r\nHost: {}\r\nAUTH\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        origin.name, origin.name
    );
    let mut client = rig.send(&head).await;
    let mut upstream = origin.accept().await;
    upstream.head().await;
    let extensions = match extensions {
        "" => String::new(),
        some => format!("Sec-WebSocket-Extensions: {some}\r\n"),
    };
    let switch =
        format!("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n{extensions}\r\n");
    upstream.send(switch.as_bytes()).await;
    assert_eq!(client.head().await, switch);
    (client, upstream)
}

/// Sends in pieces, and expects the same bytes at the other end.
async fn pass(from: &mut Wire, to: &mut Wire, bytes: &[u8], piece: usize) {
    let sent = async {
        for piece in bytes.chunks(piece.max(1)) {
            from.send(piece).await;
            tokio::task::yield_now().await;
        }
    };
    let ((), arrived) = tokio::join!(sent, to.exactly(bytes.len()));
    assert!(arrived == bytes);
}

/// What was said one way.
fn said(seen: &[super::rig::Seen], direction: Direction) -> Vec<Vec<u8>> {
    let mine = |m: &&super::rig::Seen| matches!(m.head.start, StartLine::WebSocket) && m.head.direction == direction;
    seen.iter().filter(mine).map(|m| m.body.clone()).collect()
}

#[tokio::test]
async fn text_is_shown_both_ways_whatever_its_fragments() {
    let (rig, origin) = (Rig::new(), Origin::new().await);
    let (mut client, mut upstream) = open(&rig, &origin, "").await;
    let out = [
        frame(0x01, MASK, b"in "),
        frame(PING, MASK, b"are you there"),
        frame(0x00, MASK, b""),
        frame(0x00, Some([0; 4]), b"three "),
        frame(0x80, MASK, b"pieces"),
        frame(TEXT, MASK, &[b'x'; 126]),
        frame(TEXT, MASK, b""),
    ]
    .concat();
    pass(&mut client, &mut upstream, &out, 1).await;
    let back = [frame(TEXT, None, &vec![b'y'; 70_000]), frame(CLOSE, None, b"\x03\xe8bye")].concat();
    pass(&mut upstream, &mut client, &back, 40_000).await;
    drop((client, upstream));
    let (meter, seen) = rig.stop().await;
    let outbound: [&[u8]; 3] = [b"in three pieces", &[b'x'; 126], b""];
    assert_eq!(said(&seen, Direction::Outbound), outbound);
    assert_eq!(said(&seen, Direction::Inbound), [vec![b'y'; 70_000]]);
    for message in seen.iter().filter(|m| matches!(m.head.start, StartLine::WebSocket)) {
        assert!(message.head.route.protocol == Protocol::Ws && message.head.fields.is_empty());
        assert_eq!(format!("127.0.0.1:{}", message.head.route.port), origin.name);
    }
    let coverage = meter.coverage();
    assert_eq!((coverage.scanned.bytes, coverage.scanned.messages), (15 + 126 + 70_000, 2 + 4));
    let control = coverage.unscanned(UnscannedReason::WebsocketBinary);
    assert_eq!((control.bytes, control.messages, control.connections), (13 + 5, 0, 0));
    assert_eq!((coverage.scanned.connections, coverage.not_scanned.len()), (1, 1));
}

#[tokio::test]
async fn binary_messages_are_counted_and_not_shown() {
    let (rig, origin) = (Rig::new(), Origin::new().await);
    let (mut client, mut upstream) = open(&rig, &origin, "").await;
    let out = [frame(0x02, MASK, b"one "), frame(0x80, MASK, b"whole"), frame(BINARY, MASK, b"cut short")].concat();
    pass(&mut client, &mut upstream, &out[..out.len() - 3], 5).await;
    drop((client, upstream));
    let (meter, seen) = rig.stop().await;
    assert_eq!(seen.len(), 2, "the two heads");
    let binary = meter.coverage().unscanned(UnscannedReason::WebsocketBinary);
    assert_eq!((binary.bytes, binary.messages), (9 + 6, 2));
}

#[tokio::test]
async fn compressed_text_is_shown_inflated_and_counted_as_it_passed() {
    for anew in [false, true] {
        let (rig, origin) = (Rig::new(), Origin::new().await);
        let extension = if anew {
            "permessage-deflate; client_no_context_takeover; server_no_context_takeover"
        } else {
            "permessage-deflate"
        };
        let (mut client, mut upstream) = open(&rig, &origin, extension).await;
        let mut relayed = 0;
        let words = b"a sentence that comes again and again, a sentence that comes again".repeat(20);
        for outbound in [true, false] {
            let mut sender = Packer::new();
            for kind in [TEXT, BINARY, TEXT, TEXT] {
                let packed = sender.pack(&words);
                relayed += packed.len() as u64;
                let (one, other) = packed.split_at(packed.len() / 2);
                let mask = if outbound { MASK } else { None };
                let mut frames = frame((kind & 0x0f) | DEFLATED, mask, one);
                frames.extend(frame(0x80, mask, other));
                // One that is not, in between.
                frames.extend(frame(TEXT, mask, b"plain"));
                relayed += 5;
                let (from, to) = if outbound { (&mut client, &mut upstream) } else { (&mut upstream, &mut client) };
                pass(from, to, &frames, 9).await;
                if anew {
                    sender = Packer::new();
                }
            }
        }
        drop((client, upstream));
        let (meter, seen) = rig.stop().await;
        for direction in [Direction::Outbound, Direction::Inbound] {
            let said = said(&seen, direction);
            assert_eq!(said.iter().filter(|m| **m == words).count(), 3);
            assert_eq!(said.iter().filter(|m| *m == b"plain").count(), 4);
            assert_eq!(said.len(), 7);
        }
        let coverage = meter.coverage();
        assert_eq!(coverage.seen.bytes, relayed);
        assert_eq!(coverage.unscanned(UnscannedReason::WebsocketBinary).messages, 2);
        assert_eq!(coverage.not_scanned.len(), 1);
    }
}

#[tokio::test]
async fn what_breaks_the_rules_is_relayed_and_counted_from_there() {
    let long = |first: u8| [&[first, 0xff][..], &[0x80, 0, 0, 0, 0, 0, 0, 1], &[0; 4]].concat();
    let cases = [
        ("a reserved bit", "", frame(TEXT | 0x20, MASK, b"no")),
        ("compressed without agreement", "", frame(TEXT | DEFLATED, MASK, b"no")),
        ("a compressed control frame", "permessage-deflate", frame(PING | DEFLATED, MASK, b"no")),
        ("what does not inflate", "permessage-deflate", frame(TEXT | DEFLATED, MASK, &[0xff; 9])),
        ("a reserved kind", "", frame(0x83, MASK, b"no")),
        ("a reserved control frame", "", frame(0x8b, MASK, b"no")),
        ("a control frame in pieces", "", frame(0x09, MASK, b"no")),
        ("a control frame too long", "", frame(PING, MASK, &[b'n'; 126])),
        ("a continuation of nothing", "", frame(0x80, MASK, b"no")),
        ("a length beyond all", "", long(TEXT)),
        ("no frame", "", b"GET / HTTP/1.1\r\n\r\n".to_vec()),
    ];
    for (name, extension, broken) in cases {
        for piece in [1, 1000] {
            let (rig, origin) = (Rig::new(), Origin::new().await);
            let (mut client, mut upstream) = open(&rig, &origin, extension).await;
            let good = frame(TEXT, MASK, b"good");
            pass(&mut client, &mut upstream, &good, piece).await;
            pass(&mut client, &mut upstream, &broken, piece).await;
            pass(&mut client, &mut upstream, &good, piece).await;
            // The other way is still read.
            pass(&mut upstream, &mut client, &frame(TEXT, None, b"fine"), piece).await;
            drop((client, upstream));
            let (meter, seen) = rig.stop().await;
            let coverage = meter.coverage();
            let relayed = coverage.unscanned(UnscannedReason::WebsocketRelayed);
            assert_eq!(relayed.connections, 1, "{name}");
            assert_eq!(said(&seen, Direction::Outbound)[0], b"good", "{name}");
            assert_eq!(said(&seen, Direction::Inbound), [b"fine"], "{name}");
            if name == "what does not inflate" {
                assert!((10..30).contains(&relayed.bytes), "{name}: {relayed:?}");
            } else {
                assert_eq!(relayed.bytes, (broken.len() + good.len()) as u64, "{name}");
                assert_eq!(coverage.scanned.bytes, 8, "{name}");
            }
        }
    }
}

#[tokio::test]
async fn nothing_is_read_after_a_close_nor_with_a_message_begun_twice() {
    for broken in [frame(CLOSE, MASK, b""), frame(0x01, MASK, b"")] {
        let (rig, origin) = (Rig::new(), Origin::new().await);
        let (mut client, mut upstream) = open(&rig, &origin, "").await;
        pass(&mut client, &mut upstream, &broken, 100).await;
        pass(&mut client, &mut upstream, &frame(TEXT, MASK, b"late"), 100).await;
        drop((client, upstream));
        let (meter, _) = rig.stop().await;
        assert_eq!(meter.coverage().unscanned(UnscannedReason::WebsocketRelayed).bytes, 10);
        assert_eq!(meter.coverage().scanned.bytes, 0);
    }
}

#[tokio::test]
async fn an_extension_nobody_reads_makes_it_relayed_from_the_beginning() {
    let (rig, origin) = (Rig::new(), Origin::new().await);
    let (mut client, mut upstream) = open(&rig, &origin, "x-scrambled").await;
    let text = frame(TEXT, MASK, b"unread");
    pass(&mut client, &mut upstream, &text, 100).await;
    drop((client, upstream));
    let (meter, seen) = rig.stop().await;
    assert_eq!(seen.len(), 2);
    let relayed = meter.coverage().unscanned(UnscannedReason::WebsocketRelayed);
    assert_eq!((relayed.bytes, relayed.connections), (text.len() as u64, 1));
}

/// A message: whether it is text, whether it is compressed, its fragments, and a Ping among them.
type Spoken = (bool, bool, Vec<Vec<u8>>, Option<Vec<u8>>);

#[tokio::test]
async fn generated_sessions_are_relayed_unchanged_and_every_payload_byte_is_in_one_bucket() {
    let fragment = proptest::collection::vec("[a-f]{0,200}".prop_map(String::into_bytes), 1..4);
    let ping = proptest::option::of(proptest::collection::vec(any::<u8>(), 0..125));
    let spoken = (any::<bool>(), any::<bool>(), fragment, ping);
    let session = (proptest::collection::vec(spoken, 0..12), any::<[u8; 4]>(), 1_usize..3000);
    let mut runner = TestRunner::new_with_rng(Config::default(), TestRng::from_seed(RngAlgorithm::ChaCha, &[9; 32]));
    for _ in 0..40 {
        let (rig, origin) = (Rig::new(), Origin::new().await);
        let (mut client, mut upstream) = open(&rig, &origin, "permessage-deflate").await;
        let (messages, mask, piece): (Vec<Spoken>, _, _) = session.new_tree(&mut runner).unwrap().current();
        let (mut texts, mut binary, mut total, mut sender) = (Vec::new(), 0, 0, Packer::new());
        let mut frames = Vec::new();
        for (text, deflated, fragments, ping) in &messages {
            let whole = fragments.concat();
            let payload = if *deflated { sender.pack(&whole) } else { whole.clone() };
            let size = payload.len().div_ceil(fragments.len()).max(1);
            let pieces: Vec<_> = if payload.is_empty() { vec![&[][..]] } else { payload.chunks(size).collect() };
            for (at, part) in pieces.iter().enumerate() {
                let kind = match (at, text) {
                    (0, true) => TEXT,
                    (0, false) => BINARY,
                    _ => 0x80,
                };
                let end = if at + 1 == pieces.len() { 0x80 } else { 0 };
                let packed = if at == 0 && *deflated { DEFLATED } else { 0 };
                frames.extend(frame((kind & 0x0f) | end | packed, Some(mask), part));
                if let (0, Some(ping)) = (at, ping) {
                    frames.extend(frame(PING, Some(mask), ping));
                    binary += ping.len() as u64;
                    total += ping.len() as u64;
                }
            }
            total += payload.len() as u64;
            if *text { texts.push(whole) } else { binary += payload.len() as u64 }
        }
        pass(&mut client, &mut upstream, &frames, piece).await;
        drop((client, upstream));
        let (meter, seen) = rig.stop().await;
        assert_eq!(said(&seen, Direction::Outbound), texts);
        let coverage = meter.coverage();
        assert_eq!(coverage.seen.bytes, total);
        assert_eq!(coverage.unscanned(UnscannedReason::WebsocketBinary).bytes, binary);
        assert_eq!(coverage.scanned.bytes, total - binary);
        assert_eq!(coverage.unscanned(UnscannedReason::WebsocketRelayed).bytes, 0);
    }
}
