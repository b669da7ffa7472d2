//! One origin for everything: HTTP of both versions, with and without TLS, event streams, and a WebSocket for each who asks.

use crate::{plant::Planter, world::World};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, combinators::BoxBody};
use hudsucker::hyper::{
    Request, Response,
    body::{Body, Frame, Incoming},
    service::service_fn,
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use std::{
    convert::Infallible,
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, LazyLock},
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc,
};
use tokio_rustls::TlsAcceptor;

/// Events of one stream, and the time between two.
pub(crate) const EVENTS: usize = 5;
const EVENT_EVERY: Duration = Duration::from_millis(100);

type Answer = Response<BoxBody<Bytes, Infallible>>;

/// Where it listens.
#[derive(Clone, Copy)]
pub(crate) struct Origin {
    pub(crate) plain: SocketAddr,
    pub(crate) secure: SocketAddr,
    pub(crate) websocket: SocketAddr,
}

/// Starts it.
pub(crate) async fn start(world: &World, planter: Arc<Planter>) -> Origin {
    let mut config = (*world.server()).clone();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let tls = TlsAcceptor::from(Arc::new(config));
    let (one, two, three) = (Arc::clone(&planter), Arc::clone(&planter), planter);
    Origin {
        plain: listen(move |stream| serve(stream, Arc::clone(&one))).await,
        secure: listen(move |stream| {
            let (tls, planter) = (tls.clone(), Arc::clone(&two));
            async move {
                if let Ok(stream) = tls.accept(stream).await {
                    serve(stream, planter).await;
                }
            }
        })
        .await,
        websocket: listen(move |stream| websocket(stream, Arc::clone(&three))).await,
    }
}

/// A listener, each of whose connections is given to `serve`.
pub(crate) async fn listen<F>(serve: impl Fn(TcpStream) -> F + Send + 'static) -> SocketAddr
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    tokio::spawn(async move {
        loop {
            if let Ok((stream, _)) = listener.accept().await {
                let _ = stream.set_nodelay(true);
                tokio::spawn(serve(stream));
            }
        }
    });
    address
}

async fn serve<S>(stream: S, planter: Arc<Planter>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request| answer(request, Arc::clone(&planter)));
    let server = auto::Builder::new(TokioExecutor::new());
    // How a connection ends is its client's affair.
    let _ = server.serve_connection(TokioIo::new(stream), service).await;
}

async fn answer(request: Request<Incoming>, planter: Arc<Planter>) -> Result<Answer, Infallible> {
    match request.uri().path() {
        "/events" => return Ok(events(&planter)),
        "/bomb" => return Ok(bomb()),
        "/endless" => return Ok(endless()),
        _ => {}
    }
    // All of it is read before the answer, as an agent's server does.
    let mut body = request.into_body();
    while let Some(Ok(_)) = body.frame().await {}
    let text = format!("{{\"answer\":\"{}\"}}", planter.back());
    let body = Full::new(Bytes::from(text)).boxed();
    Ok(Response::builder().header("content-type", "application/json").body(body).expect("a whole head"))
}

/// An event stream is one message: at most one of its events has something planted.
fn events(planter: &Planter) -> Answer {
    let (sender, receiver) = mpsc::channel::<Bytes>(1);
    let last = planter.back();
    tokio::spawn(async move {
        for number in 0..EVENTS {
            tokio::time::sleep(EVENT_EVERY).await;
            let text = if number + 1 == EVENTS { &last } else { "thinking" };
            if sender.send(Bytes::from(format!("data: {{\"text\":\"{text}\"}}\n\n"))).await.is_err() {
                return;
            }
        }
    });
    let body = Events(receiver).boxed();
    Response::builder().header("content-type", "text/event-stream").body(body).expect("a whole head")
}

/// A hundred megabytes of nothing, packed a thousand times smaller.
fn bomb() -> Answer {
    static PACKED: LazyLock<Bytes> = LazyLock::new(|| {
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        let nothing = [b' '; 1 << 20];
        (0..100).for_each(|_| std::io::Write::write_all(&mut packed, &nothing).expect("memory"));
        packed.finish().expect("memory").into()
    });
    let body = Full::new(PACKED.clone()).boxed();
    Response::builder().header("content-encoding", "gzip").body(body).expect("a whole head")
}

/// An event that never ends, as fast as it is taken.
fn endless() -> Answer {
    let (sender, receiver) = mpsc::channel::<Bytes>(1);
    tokio::spawn(async move { while sender.send(Bytes::from_static(&[b'x'; 16 << 10])).await.is_ok() {} });
    let body = Events(receiver).boxed();
    Response::builder().header("content-type", "text/event-stream").body(body).expect("a whole head")
}

/// A body of what comes through a channel, as it comes.
pub(crate) struct Events(pub(crate) mpsc::Receiver<Bytes>);

impl Body for Events {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(cx).map(|event| event.map(|event| Ok(Frame::data(event))))
    }
}

/// Answers each text message with one of its own (RFC 6455; nobody here checks the key).
async fn websocket(mut stream: TcpStream, planter: Arc<Planter>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return,
        }
    }
    let switch = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                  Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
    if stream.write_all(switch.as_bytes()).await.is_err() {
        return;
    }
    while read_text(&mut stream).await.is_some() {
        if stream.write_all(&text_frame(&planter.back(), None)).await.is_err() {
            return;
        }
    }
}

/// One text message in one frame.
pub(crate) fn text_frame(text: &str, mask: Option<[u8; 4]>) -> Vec<u8> {
    let length = u8::try_from(text.len()).ok().filter(|length| *length < 126).expect("short texts alone");
    let mut frame = vec![0x81, length | if mask.is_some() { 0x80 } else { 0 }];
    frame.extend(mask.into_iter().flatten());
    let mask = mask.unwrap_or_default();
    frame.extend(text.bytes().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}

/// One text message, unmasked, or `None` at the end.
pub(crate) async fn read_text(stream: &mut (impl AsyncRead + Unpin)) -> Option<Vec<u8>> {
    let mut start = [0; 2];
    stream.read_exact(&mut start).await.ok()?;
    let mut mask = [0; 4];
    if start[1] & 0x80 != 0 {
        stream.read_exact(&mut mask).await.ok()?;
    }
    let mut text = vec![0; usize::from(start[1] & 0x7f)];
    stream.read_exact(&mut text).await.ok()?;
    text.iter_mut().zip(mask.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
    (start[0] == 0x81).then_some(text)
}
