//! Text → a request that carries it, in each encoding a receiver undoes.

use bytes::Bytes;
use data_encoding::{BASE32, BASE64, BASE64URL_NOPAD, HEXLOWER};
use flate2::{Compression, write::DeflateEncoder, write::GzEncoder, write::ZlibEncoder};
use guardian::flow::{
    capture::{Field, Head, Route, StartLine},
    detect::{Detector, Hit, Limits, Scanner},
};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use posture::{Direction, Encoding, Protocol};
use serde_json::json;
use std::{
    fmt::Write as _,
    io::Write as _,
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
};

/// A message: its header fields, its target, its body.
pub(crate) struct Carried {
    pub(crate) fields: Vec<(&'static str, String)>,
    pub(crate) target: String,
    pub(crate) body: Vec<u8>,
}

impl Carried {
    pub(crate) fn body(body: impl Into<Vec<u8>>) -> Self {
        Self { fields: Vec::new(), target: "/".into(), body: body.into() }
    }

    fn typed(mut self, name: &'static str, value: &str) -> Self {
        self.fields.push((name, value.to_owned()));
        self
    }
}

/// A way to carry a text, and its name.
pub(crate) type Carrier = (&'static str, fn(&str) -> Carried);

/// Every way a text is carried.
pub(crate) const CARRIERS: &[Carrier] = &[
    ("plain", |t| Carried::body(format!("it is {t} they say"))),
    ("json", |t| Carried::body(json!({"note": t, "n": 1}).to_string())),
    ("json in json", |t| Carried::body(json!({"arguments": json!({"x": t}).to_string()}).to_string())),
    ("json rpc", |t| {
        let call = json!({"name": "write", "arguments": {"path": "a", "content": t}});
        Carried::body(json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": call}).to_string())
    }),
    ("chat", |t| {
        Carried::body(json!({"messages": [{"role": "user", "content": [{"type": "text", "text": t}]}]}).to_string())
    }),
    ("sse openai", |t| {
        events(t, |piece| {
            let call = json!({"index": 0, "function": {"arguments": piece}});
            json!({"choices": [{"index": 0, "delta": {"tool_calls": [call]}}]})
        })
    }),
    ("sse anthropic", |t| {
        events(t, |piece| {
            let delta = json!({"type": "input_json_delta", "partial_json": piece});
            json!({"type": "content_block_delta", "index": 1, "delta": delta})
        })
    }),
    ("sse responses", |t| {
        events(
            t,
            |piece| json!({"type": "response.function_call_arguments.delta", "item_id": "f", "output_index": 0, "delta": piece}),
        )
    }),
    ("url", |t| Carried::body(format!("see https://a.example/?q={}&z", percent(t)))),
    ("url twice", |t| Carried::body(format!("see https://a.example/?q={}&z", percent(&percent(t))))),
    ("query", |t| Carried { target: format!("/c?d={}&z=1", percent(t)), ..Carried::body("") }),
    ("form", |t| {
        Carried::body(format!("a=1&d={}", percent(t).replace("%20", "+")))
            .typed("content-type", "application/x-www-form-urlencoded")
    }),
    ("multipart", |t| {
        let head = "--b1\r\nContent-Disposition: form-data; name=\"f\"; filename=\"a.txt\"\r\n\r\n";
        Carried::body(format!("{head}{t}\r\n--b1--\r\n")).typed("content-type", "multipart/form-data; boundary=b1")
    }),
    ("base64", |t| Carried::body(json!({"data": BASE64.encode(t.as_bytes())}).to_string())),
    ("base64url", |t| Carried::body(format!("blob {} end", BASE64URL_NOPAD.encode(t.as_bytes())))),
    ("base32", |t| Carried::body(format!("echo {} | base32 -d", BASE32.encode(t.as_bytes())))),
    ("hex", |t| Carried::body(format!("dump {} end", HEXLOWER.encode(t.as_bytes())))),
    ("unicode escapes", |t| {
        let escaped = t.encode_utf16().fold(String::new(), |mut out, unit| {
            write!(out, "\\u{unit:04x}").unwrap();
            out
        });
        Carried::body(format!("{{\"x\":\"{escaped}\"}}"))
    }),
    ("html", |t| {
        let escaped = t.chars().fold(String::new(), |mut out, c| {
            write!(out, "&#{};", u32::from(c)).unwrap();
            out
        });
        Carried::body(format!("<p>{escaped}</p>"))
    }),
    ("gzip", |t| coded("gzip", gzip(&document(t)))),
    ("deflate", |t| coded("deflate", zlib(&document(t)))),
    ("raw deflate", |t| coded("deflate", deflate(&document(t)))),
    ("br", |t| coded("br", brotli(&document(t)))),
    ("zstd", |t| coded("zstd", zstd(&document(t)))),
    ("gzip in br", |t| coded("gzip, br", brotli(&gzip(&document(t))))),
    ("base64 of gzip", |t| Carried::body(json!({"z": BASE64.encode(&gzip(t.as_bytes()))}).to_string())),
];

/// Forms for programs, which say how long a text is.
pub(crate) const FORMS: &[Carrier] = &[
    ("protobuf", |t| Carried::body([field(1, b"assistant"), field(9, b"of tests"), field(4, t.as_bytes())].concat())),
    ("grpc", |t| {
        let message = field(1, &field(2, &field(6, t.as_bytes())));
        let length = u32::try_from(message.len()).unwrap().to_be_bytes();
        Carried::body([&[0], &length[..], &message].concat()).typed("content-type", "application/grpc")
    }),
    ("cbor", |t| {
        let item = |text: &str| measured([0x60, 0x78, 0x79], 24, text);
        Carried::body([&[0xa2][..], &item("name"), &item("of tests"), &item("note"), &item(t)].concat())
    }),
    ("messagepack", |t| {
        let item = |text: &str| measured([0xa0, 0xd9, 0xda], 32, text);
        Carried::body([&[0x93][..], &item("note"), &item(t), &[0xc0]].concat())
    }),
];

/// A field of Protocol Buffers.
fn field(number: u8, text: &[u8]) -> Vec<u8> {
    let len = text.len();
    let low = u8::try_from(len & 0x7f).unwrap();
    let length = if len < 0x80 { vec![low] } else { vec![low | 0x80, u8::try_from(len >> 7).unwrap()] };
    [&[number << 3 | 2], &length[..], text].concat()
}

/// A text behind its kind and length: in one byte, where it is shorter than `short`, in two or in three.
fn measured([tiny, one, two]: [u8; 3], short: usize, text: &str) -> Vec<u8> {
    let [high, low] = u16::try_from(text.len()).unwrap().to_be_bytes();
    let header = match text.len() {
        len if len < short => vec![tiny | low],
        0..=255 => vec![one, low],
        _ => vec![two, high, low],
    };
    [&header, text.as_bytes()].concat()
}

/// A way to write a text within another, and its name.
pub(crate) type Writing = (&'static str, fn(&str) -> String);

/// Ways to write a text, to be put one around the other.
pub(crate) const WRITTEN: &[Writing] = &[
    ("json", |t| json!({"k": t}).to_string()),
    ("url", percent),
    ("base64", |t| BASE64.encode(t.as_bytes())),
    ("base64url", |t| BASE64URL_NOPAD.encode(t.as_bytes())),
    ("hex", |t| HEXLOWER.encode(t.as_bytes())),
    ("html", |t| t.chars().fold(String::new(), |out, c| out + &format!("&#x{:x};", u32::from(c)))),
    ("escapes", |t| t.bytes().fold(String::new(), |out, b| out + &format!("\\x{b:02x}"))),
];

fn document(text: &str) -> Vec<u8> {
    json!({"note": text}).to_string().into_bytes()
}

fn coded(coding: &str, body: Vec<u8>) -> Carried {
    Carried::body(body).typed("content-encoding", coding)
}

fn percent(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

/// A tool call's arguments in six pieces: no piece holds all of a key.
fn events(text: &str, event: impl Fn(&str) -> serde_json::Value) -> Carried {
    let arguments: Vec<char> = json!({"command": text}).to_string().chars().collect();
    let body = arguments.chunks(arguments.len().div_ceil(6)).fold(String::new(), |mut out, piece| {
        write!(out, "data: {}\n\n", event(&piece.iter().collect::<String>())).unwrap();
        out
    });
    Carried::body(body + "data: [DONE]\n\n").typed("content-type", "text/event-stream")
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn zlib(text: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn deflate(text: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn zstd(text: &[u8]) -> Vec<u8> {
    ruzstd::encoding::compress_to_vec(text, ruzstd::encoding::CompressionLevel::Fastest)
}

/// Brotli (RFC 7932, section 9): a stored block of up to 64 KiB, then an empty last one.
fn brotli(text: &[u8]) -> Vec<u8> {
    let len = u32::try_from(text.len() - 1).unwrap();
    let bits = len << 4 | 1 << 20;
    let mut out = bits.to_le_bytes()[..3].to_vec();
    out.extend_from_slice(text);
    out.push(3);
    out
}

/// A hit, as far as it is compared. What was matched is here only because nothing here is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) rule: String,
    pub(crate) family: posture::Family,
    pub(crate) severity: posture::Severity,
    pub(crate) encoding: Vec<Encoding>,
    pub(crate) matched: Vec<u8>,
}

/// The detector that every test here shares.
pub(crate) fn detector() -> Arc<Detector> {
    Detector::new(Limits::default(), &[], None)
}

/// What is found in a message whose body comes in these pieces.
pub(crate) fn scan<'p>(
    detector: &Arc<Detector>,
    direction: Direction,
    carried: &Carried,
    pieces: impl IntoIterator<Item = &'p [u8]>,
    on: &mut dyn FnMut(&Hit<'_>),
) -> Vec<Said> {
    let bytes = |text: &str| Bytes::copy_from_slice(text.as_bytes());
    let route = Route {
        protocol: Protocol::Https,
        host: "collect.test".into(),
        port: 443,
        source: IpAddr::V4(Ipv4Addr::LOCALHOST),
        names_agree: true,
        verified_tls: true,
    };
    let head = Head {
        direction,
        route: Arc::new(route),
        start: match direction {
            Direction::Outbound => StartLine::Request { method: bytes("POST"), target: bytes(&carried.target) },
            Direction::Inbound => StartLine::Response { status: 200 },
        },
        fields: carried.fields.iter().map(|(n, v)| Field { name: bytes(n), value: bytes(v) }).collect(),
    };
    let mut found = Vec::new();
    let mut note = |hit: &Hit<'_>| {
        on(hit);
        found.push(Said {
            rule: hit.rule.id().to_string(),
            family: hit.rule.family(),
            severity: hit.severity,
            encoding: hit.encoding.to_vec(),
            matched: hit.matched.to_vec(),
        });
    };
    let mut scanner = Scanner::new(Arc::clone(detector), head, &mut note);
    for piece in pieces {
        scanner.body(piece, &mut note);
    }
    scanner.end(&mut note);
    found
}
