//! Clients of each kind, all through the monitor: connected once, then one exchange after the other.

use crate::{
    origin::{EVENTS, Origin, read_text, text_frame},
    plant::Planter,
};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hudsucker::{
    hyper::{
        Request, Response,
        body::Incoming,
        client::conn::{http1, http2},
    },
    rustls::{ClientConfig, pki_types::ServerName},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::TlsConnector;

/// Whatever takes longer has failed.
const LIMIT: Duration = Duration::from_secs(30);

/// The kinds of clients there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Plain,
    Secure,
    Http2,
    Events,
    WebSocket,
}

impl Kind {
    pub(crate) const ALL: [Self; 5] = [Self::Plain, Self::Secure, Self::Http2, Self::Events, Self::WebSocket];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Plain => "HTTP/1.1",
            Self::Secure => "HTTP/1.1 in TLS",
            Self::Http2 => "HTTP/2 in TLS",
            Self::Events => "event stream",
            Self::WebSocket => "WebSocket",
        }
    }
}

/// What every client needs to know.
pub(crate) struct Way {
    pub(crate) listen: SocketAddr,
    /// The value of `Proxy-Authorization`.
    pub(crate) credential: String,
    pub(crate) origin: Origin,
    pub(crate) trust: Arc<ClientConfig>,
    pub(crate) planter: Arc<Planter>,
}

/// What went wrong, in a word.
pub(crate) type Outcome<T> = Result<T, &'static str>;

/// One client's connection.
pub(crate) enum Client {
    One(http1::SendRequest<Full<Bytes>>, bool),
    Two(http2::SendRequest<Full<Bytes>>),
    Events(http1::SendRequest<Full<Bytes>>),
    WebSocket(TcpStream),
}

impl Client {
    pub(crate) async fn connect(kind: Kind, way: &Way) -> Outcome<Self> {
        let connected = async {
            match kind {
                Kind::Plain => Ok(Self::One(speak(way.stream().await?).await?, false)),
                Kind::Events => Ok(Self::Events(speak(way.stream().await?).await?)),
                Kind::Secure => Ok(Self::One(speak(way.tls(b"http/1.1").await?).await?, true)),
                Kind::Http2 => {
                    let io = TokioIo::new(way.tls(b"h2").await?);
                    let shaken = http2::handshake(TokioExecutor::new(), io).await.map_err(|_| "HTTP/2 handshake")?;
                    tokio::spawn(shaken.1);
                    Ok(Self::Two(shaken.0))
                }
                Kind::WebSocket => way.websocket().await.map(Self::WebSocket),
            }
        };
        timeout(LIMIT, connected).await.unwrap_or(Err("connecting takes too long"))
    }

    /// One exchange, to its last byte.
    pub(crate) async fn exchange(&mut self, way: &Way) -> Outcome<()> {
        timeout(LIMIT, self.exchanged(way)).await.unwrap_or(Err("an exchange takes too long"))
    }

    async fn exchanged(&mut self, way: &Way) -> Outcome<()> {
        let post = |uri: String| Request::post(uri).header("content-type", "text/plain");
        let said = || Full::new(Bytes::from(way.planter.out()));
        match self {
            Self::One(sender, secure) => {
                let to = if *secure { way.origin.secure } else { way.origin.plain };
                let request = post(if *secure { "/".to_owned() } else { format!("http://{to}/") });
                let request = if *secure { request } else { request.header("proxy-authorization", &way.credential) };
                let request = request.header("host", to.to_string()).body(said()).expect("a whole head");
                sender.ready().await.map_err(|_| "the connection is gone")?;
                answered(sender.send_request(request).await.map_err(|_| "no answer")?).await
            }
            Self::Two(sender) => {
                let request = post(format!("https://{}/", way.origin.secure)).body(said()).expect("a whole head");
                sender.ready().await.map_err(|_| "the connection is gone")?;
                answered(sender.send_request(request).await.map_err(|_| "no answer")?).await
            }
            Self::Events(sender) => {
                let to = way.origin.plain;
                let request = Request::get(format!("http://{to}/events"))
                    .header("host", to.to_string())
                    .header("proxy-authorization", &way.credential)
                    .body(Full::default())
                    .expect("a whole head");
                sender.ready().await.map_err(|_| "the connection is gone")?;
                let mut response = sender.send_request(request).await.map_err(|_| "no answer")?;
                let mut events = Vec::new();
                while let Some(frame) = response.frame().await {
                    events.extend(frame.map_err(|_| "a stream broke off")?.into_data().unwrap_or_default());
                }
                let whole = memchr::memmem::find_iter(&events, b"\n\n").count() == EVENTS;
                whole.then_some(()).ok_or("events are missing")
            }
            Self::WebSocket(stream) => {
                let frame = text_frame(&way.planter.out(), Some([7, 0, 0xff, 0x80]));
                stream.write_all(&frame).await.map_err(|_| "the connection is gone")?;
                read_text(stream).await.map(drop).ok_or("no message back")
            }
        }
    }
}

async fn speak(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
) -> Outcome<http1::SendRequest<Full<Bytes>>> {
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|_| "handshake")?;
    tokio::spawn(connection);
    Ok(sender)
}

async fn answered(response: Response<Incoming>) -> Outcome<()> {
    if response.status() != 200 {
        return Err("another status than 200");
    }
    let body = response.into_body().collect().await.map_err(|_| "an answer broke off")?.to_bytes();
    body.ends_with(b"\"}").then_some(()).ok_or("an answer is cut")
}

impl Way {
    pub(crate) async fn stream(&self) -> Outcome<TcpStream> {
        let stream = TcpStream::connect(self.listen).await.map_err(|_| "the proxy cannot be reached")?;
        stream.set_nodelay(true).map_err(|_| "a socket option")?;
        Ok(stream)
    }

    /// A tunnel to `to`.
    pub(crate) async fn tunnel(&self, to: SocketAddr) -> Outcome<TcpStream> {
        let credential = &self.credential;
        let head = format!("CONNECT {to} HTTP/1.1\r\nHost: {to}\r\nProxy-Authorization: {credential}\r\n\r\n");
        let (stream, answer) = said(self.stream().await?, &head).await?;
        answer.starts_with("HTTP/1.1 200").then_some(stream).ok_or("a tunnel is refused")
    }

    pub(crate) async fn tls(&self, protocol: &[u8]) -> Outcome<tokio_rustls::client::TlsStream<TcpStream>> {
        let stream = self.tunnel(self.origin.secure).await?;
        let mut config = (*self.trust).clone();
        config.alpn_protocols = vec![protocol.to_vec()];
        let name = ServerName::from(self.origin.secure.ip());
        TlsConnector::from(Arc::new(config)).connect(name, stream).await.map_err(|_| "TLS handshake")
    }

    async fn websocket(&self) -> Outcome<TcpStream> {
        let (to, credential) = (self.origin.websocket, &self.credential);
        let head = format!(
            "GET http://{to}/ HTTP/1.1\r\nHost: {to}\r\nProxy-Authorization: {credential}\r\nUpgrade: websocket\r\n\
             Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        let (stream, answer) = said(self.stream().await?, &head).await?;
        answer.starts_with("HTTP/1.1 101").then_some(stream).ok_or("no WebSocket")
    }
}

/// Says this, and reads the head of the answer.
async fn said(mut stream: TcpStream, head: &str) -> Outcome<(TcpStream, String)> {
    stream.write_all(head.as_bytes()).await.map_err(|_| "the connection is gone")?;
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        answer.push(stream.read_u8().await.map_err(|_| "no answer")?);
    }
    Ok((stream, String::from_utf8_lossy(&answer).into_owned()))
}
