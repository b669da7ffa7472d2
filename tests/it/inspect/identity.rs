//! Generated exchanges: what arrives is what was sent, in both directions, both versions and every way there is, and all of
//! it is seen.

use super::rig::{Answer, Inspecting, Speaker, bounded, listen, origin, serve};
use crate::proxy::rig::authenticated;
use bytes::Bytes;
use http_body_util::BodyExt;
use hudsucker::hyper::{
    HeaderMap, Method, Request, Response,
    body::{Frame, Incoming},
};
use proptest::{
    prelude::*,
    strategy::ValueTree,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use std::{
    convert::Infallible,
    io::Read,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
};
use tokio::net::TcpStream;

/// Of each way, unless the variable `HTG_EXCHANGES` says otherwise.
const EXCHANGES: usize = 100;
/// Fields the versions write themselves.
const FRAMING: [&str; 4] = ["transfer-encoding", "content-length", "host", "trailer"];

type Fields = Vec<(String, String)>;

/// How an exchange goes to its origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// To the proxy itself, in clear text.
    Plain,
    /// In a tunnel, in clear text, in either version.
    Tunnelled { http2: bool },
    /// Within TLS, in either version.
    Opened { http2: bool },
}

const WAYS: [Way; 5] = [
    Way::Plain,
    Way::Tunnelled { http2: false },
    Way::Tunnelled { http2: true },
    Way::Opened { http2: false },
    Way::Opened { http2: true },
];

#[derive(Debug, Clone)]
struct Message {
    fields: Fields,
    pieces: Vec<Vec<u8>>,
    sized: bool,
    trailers: Fields,
}

fn fields(prefix: &'static str) -> impl Strategy<Value = Fields> {
    proptest::collection::vec((0..4_u8, "[!-~]([ -~]{0,30}[!-~])?"), 0..6)
        .prop_map(move |fields| fields.into_iter().map(|(n, v)| (format!("{prefix}{n}"), v)).collect())
}

fn message() -> impl Strategy<Value = Message> {
    let piece = proptest::collection::vec(any::<u8>(), 1..40_000);
    // Two that are what they say, and two that are not: nobody on the way has to mind.
    let coding = proptest::option::of(proptest::sample::select(&["gzip", "deflate", "br", "zstd"][..]));
    (fields("x-h"), proptest::collection::vec(piece, 0..5), any::<bool>(), fields("x-t"), coding).prop_map(
        |(mut fields, mut pieces, sized, trailers, coding)| {
            if let Some(coding) = coding.filter(|_| !pieces.is_empty()) {
                fields.push(("content-encoding".to_owned(), coding.to_owned()));
                pieces = pieces.into_iter().map(|piece| coded(coding, piece)).collect();
            }
            let trailers = if sized || pieces.is_empty() { Vec::new() } else { trailers };
            Message { fields, pieces, sized, trailers }
        },
    )
}

fn coded(coding: &str, piece: Vec<u8>) -> Vec<u8> {
    let level = flate2::Compression::fast();
    let mut coded = Vec::new();
    let read = match coding {
        "gzip" => flate2::read::GzEncoder::new(&piece[..], level).read_to_end(&mut coded),
        "deflate" => flate2::read::ZlibEncoder::new(&piece[..], level).read_to_end(&mut coded),
        _ => return piece,
    };
    read.unwrap();
    coded
}

/// Frames as they stand, with a length told or not.
struct Frames {
    frames: std::vec::IntoIter<Frame<Bytes>>,
    length: Option<u64>,
}

impl hudsucker::hyper::body::Body for Frames {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.frames.next().map(Ok))
    }

    fn size_hint(&self) -> hudsucker::hyper::body::SizeHint {
        self.length.map(hudsucker::hyper::body::SizeHint::with_exact).unwrap_or_default()
    }
}

impl Message {
    fn bytes(&self) -> Vec<u8> {
        self.pieces.concat()
    }

    fn frames(&self) -> Frames {
        let mut frames: Vec<_> = self.pieces.iter().map(|p| Frame::data(Bytes::from(p.clone()))).collect();
        if !self.trailers.is_empty() {
            let mut trailers = HeaderMap::new();
            put(&mut trailers, &self.trailers);
            frames.push(Frame::trailers(trailers));
        }
        let length = self.sized.then(|| self.bytes().len() as u64);
        Frames { frames: frames.into_iter(), length }
    }

    fn head(&self, headers: &mut HeaderMap) {
        put(headers, &self.fields);
        if !self.trailers.is_empty() {
            let names: Vec<_> = self.trailers.iter().map(|(n, _)| n.as_str()).collect();
            headers.insert("trailer", names.join(", ").parse().unwrap());
        }
    }
}

fn put(headers: &mut HeaderMap, fields: &Fields) {
    for (name, value) in fields {
        headers.append(name.parse::<hudsucker::hyper::header::HeaderName>().unwrap(), value.parse().unwrap());
    }
}

/// Values by name, in the order within a name.
fn sorted(headers: &HeaderMap) -> Fields {
    let mut fields: Fields = headers
        .iter()
        .filter(|(name, _)| !FRAMING.contains(&name.as_str()))
        .map(|(n, v)| (n.to_string(), v.to_str().unwrap().to_owned()))
        .collect();
    fields.sort_by(|a, b| a.0.cmp(&b.0));
    fields
}

fn expected(fields: &Fields) -> Fields {
    let mut headers = HeaderMap::new();
    put(&mut headers, fields);
    sorted(&headers)
}

impl Way {
    fn is_http2(self) -> bool {
        matches!(self, Self::Tunnelled { http2: true } | Self::Opened { http2: true })
    }

    fn target(self, authority: &str, path: &str) -> String {
        match self {
            Self::Plain | Self::Tunnelled { http2: true } => format!("http://{authority}{path}"),
            Self::Opened { http2: true } => format!("https://{authority}{path}"),
            Self::Tunnelled { http2: false } | Self::Opened { http2: false } => path.to_owned(),
        }
    }

    /// An origin that answers so, its name, and a client's connection to it.
    async fn to<F>(
        self,
        proxy: &Inspecting,
        answer: impl Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
    ) -> (String, Speaker<Frames>)
    where
        F: Future<Output = Answer> + Send + 'static,
    {
        if let Self::Opened { http2 } = self {
            let alpn = if http2 { "h2" } else { "http/1.1" };
            let port = origin(proxy.world.server(&["localhost"], &[alpn], |_| {}), answer).await;
            let authority = format!("localhost:{port}");
            let tls = proxy.tls(&authority, "localhost", &[alpn]).await.unwrap();
            return (authority, Speaker::new(tls, http2).await);
        }
        let authority = format!("127.0.0.1:{}", listen(move |stream| serve(stream, answer.clone())).await);
        let stream = match self {
            Self::Plain => TcpStream::connect(proxy.rig.address).await.unwrap(),
            _ => proxy.tunnel(&authority).await,
        };
        (authority, Speaker::new(stream, self.is_http2()).await)
    }
}

/// What the origin got, to be compared where a failure is shown.
type Heard = (Method, String, Fields, Vec<u8>, Fields);

#[tokio::test]
async fn what_arrives_is_what_was_sent() {
    let methods = [Method::GET, Method::POST, Method::PUT, Method::DELETE, Method::PATCH, Method::HEAD];
    let exchanges = std::env::var("HTG_EXCHANGES").map_or(EXCHANGES, |number| number.parse().unwrap());
    let mut runner = TestRunner::new_with_rng(Config::default(), TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]));
    for way in WAYS {
        let proxy = Inspecting::new();
        let heard: Arc<Mutex<Option<Heard>>> = Arc::default();
        let said: Arc<Mutex<Option<Message>>> = Arc::default();
        let (ears, mouth) = (Arc::clone(&heard), Arc::clone(&said));
        let answer = move |request: Request<Incoming>| {
            let (ears, mouth) = (Arc::clone(&ears), Arc::clone(&mouth));
            async move {
                let (parts, body) = request.into_parts();
                let body = body.collect().await.unwrap();
                let trailers = body.trailers().map(sorted).unwrap_or_default();
                let path = parts.uri.path_and_query().unwrap().to_string();
                *ears.lock().unwrap() =
                    Some((parts.method, path, sorted(&parts.headers), body.to_bytes().to_vec(), trailers));
                let message = mouth.lock().unwrap().clone().unwrap();
                let mut response: Answer = Response::new(message.frames().boxed());
                message.head(response.headers_mut());
                response
            }
        };
        let (authority, mut speaker) = way.to(&proxy, answer).await;
        for n in 0..exchanges {
            let method = methods[n % methods.len()].clone();
            let (mut sent, mut told) = (
                message().new_tree(&mut runner).unwrap().current(),
                message().new_tree(&mut runner).unwrap().current(),
            );
            let bodiless = method == Method::GET || method == Method::HEAD;
            if bodiless {
                (sent.pieces, sent.trailers) = (Vec::new(), Vec::new());
            }
            if method == Method::HEAD {
                (told.pieces, told.trailers) = (Vec::new(), Vec::new());
            }
            *said.lock().unwrap() = Some(told.clone());
            let path = format!("/{n}?a=%20b&c");
            let mut request = Request::builder().method(method.clone()).uri(way.target(&authority, &path));
            if !way.is_http2() {
                // As a client that takes trailers says so.
                request = request.header("host", &authority).header("te", "trailers");
            }
            if way == Way::Plain {
                let credential = authenticated("AUTH");
                request = request.header("proxy-authorization", credential.split_once(": ").unwrap().1);
            }
            let mut frames = sent.frames();
            if bodiless {
                frames.length = Some(0);
            }
            let mut request = request.body(frames).unwrap();
            sent.head(request.headers_mut());
            let response = speaker.ask(request).await;
            let (parts, body) = response.into_parts();
            let body = bounded(body.collect()).await.unwrap();
            let trailers = body.trailers().map(sorted).unwrap_or_default();
            assert_eq!(sorted(&parts.headers), expected(&told.fields), "{way:?}, exchange {n}");
            assert!(body.to_bytes() == told.bytes(), "{way:?}, exchange {n}");
            assert_eq!(trailers, expected(&told.trailers), "{way:?}, exchange {n}");
            let (got_method, got_path, mut got_fields, got_body, got_trailers) = heard.lock().unwrap().take().unwrap();
            got_fields.retain(|(name, _)| name != "te");
            assert_eq!((got_method, got_path), (method, path), "{way:?}, exchange {n}");
            assert_eq!(got_fields, expected(&sent.fields), "{way:?}, exchange {n}");
            assert!(got_body == sent.bytes(), "{way:?}, exchange {n}");
            assert_eq!(got_trailers, expected(&sent.trailers), "{way:?}, exchange {n}");
            // Both directions were shown to the scanner, whole.
            let seen = proxy.rig.seen(2 * n + 2).await;
            let shown = |bytes: Vec<u8>| seen[2 * n..].iter().any(|m| m.body == bytes);
            assert!(shown(sent.bytes()) && shown(told.bytes()), "{way:?}, exchange {n}");
        }
        drop(speaker);
        let (meter, _) = proxy.rig.stop().await;
        assert_eq!(meter.coverage().scanned, meter.coverage().seen);
    }
}
