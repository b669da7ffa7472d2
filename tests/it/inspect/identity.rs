//! Generated exchanges: what arrives is what was sent, in both directions and both versions, and all of it is seen.

use super::rig::{Answer, Inspecting, Speaker, bounded, origin};
use bytes::Bytes;
use http_body_util::BodyExt;
use hudsucker::hyper::{HeaderMap, Method, Request, Response, body::Frame};
use proptest::{
    prelude::*,
    strategy::ValueTree,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use std::{
    convert::Infallible,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
};

/// Of each version, unless the variable `HTG_EXCHANGES` says otherwise.
const EXCHANGES: usize = 100;
/// Fields the versions write themselves.
const FRAMING: [&str; 4] = ["transfer-encoding", "content-length", "host", "trailer"];

type Fields = Vec<(String, String)>;

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
    (fields("x-h"), proptest::collection::vec(piece, 0..5), any::<bool>(), fields("x-t")).prop_map(
        |(fields, pieces, sized, trailers)| {
            let trailers = if sized || pieces.is_empty() { Vec::new() } else { trailers };
            Message { fields, pieces, sized, trailers }
        },
    )
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

/// What the origin got, to be compared where a failure is shown.
type Heard = (Method, String, Fields, Vec<u8>, Fields);

#[tokio::test]
async fn what_arrives_is_what_was_sent() {
    let methods = [Method::GET, Method::POST, Method::PUT, Method::DELETE, Method::PATCH, Method::HEAD];
    let exchanges = std::env::var("HTG_EXCHANGES").map_or(EXCHANGES, |number| number.parse().unwrap());
    let mut runner = TestRunner::new_with_rng(Config::default(), TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]));
    for http2 in [false, true] {
        let proxy = Inspecting::new();
        let heard: Arc<Mutex<Option<Heard>>> = Arc::default();
        let said: Arc<Mutex<Option<Message>>> = Arc::default();
        let (ears, mouth) = (Arc::clone(&heard), Arc::clone(&said));
        let answer = move |request: Request<hudsucker::hyper::body::Incoming>| {
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
        let alpn = if http2 { "h2" } else { "http/1.1" };
        let port = origin(proxy.world.server(&["localhost"], &[alpn], |_| {}), answer).await;
        let authority = format!("localhost:{port}");
        let tls = proxy.tls(&authority, "localhost", &[alpn]).await.unwrap();
        let mut speaker = Speaker::new(tls, http2).await;
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
            let uri = if http2 { format!("https://{authority}{path}") } else { path.clone() };
            let mut request = Request::builder().method(method.clone()).uri(uri);
            if !http2 {
                // As a client that takes trailers says so.
                request = request.header("host", &authority).header("te", "trailers");
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
            assert_eq!(sorted(&parts.headers), expected(&told.fields), "exchange {n}");
            assert!(body.to_bytes() == told.bytes(), "exchange {n}");
            assert_eq!(trailers, expected(&told.trailers), "exchange {n}");
            let (got_method, got_path, mut got_fields, got_body, got_trailers) = heard.lock().unwrap().take().unwrap();
            got_fields.retain(|(name, _)| name != "te");
            assert_eq!((got_method, got_path), (method, path));
            assert_eq!(got_fields, expected(&sent.fields), "exchange {n}");
            assert!(got_body == sent.bytes(), "exchange {n}");
            assert_eq!(got_trailers, expected(&sent.trailers), "exchange {n}");
            // Both directions were shown to the scanner, whole.
            let seen = proxy.rig.seen(2 * n + 2).await;
            let shown = |bytes: Vec<u8>| seen[2 * n..].iter().any(|m| m.body == bytes);
            assert!(shown(sent.bytes()) && shown(told.bytes()), "exchange {n}");
        }
        drop(speaker);
        let (meter, _) = proxy.rig.stop().await;
        assert_eq!(meter.coverage().scanned, meter.coverage().seen);
    }
}
