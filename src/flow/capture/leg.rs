//! Socket → the way to an upstream: as it is, or secured and verified.

use super::dial::DialError;
use hudsucker::{
    hyper_util::client::legacy::connect::{Connected, Connection},
    rustls::{self, CertificateError, ClientConfig, pki_types::ServerName},
};
use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{sleep, timeout},
};
use tokio_rustls::{TlsConnector, client::TlsStream};

/// How every answer begins (RFC 9112, section 4).
const HTTP: &[u8] = b"HTTP/";
/// A server that has said less than that may go on: it is looked at again after pauses, each twice the one before.
const PAUSES: [Duration; 2] = [Duration::from_millis(20), Duration::from_secs(1)];

/// A connection to an upstream.
pub(super) enum Leg {
    Plain(TcpStream),
    /// To another proxy, which takes requests whole.
    Parent(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// How a connection is secured: against which roots, for which name, and with which protocols offered.
#[derive(Clone)]
pub(super) struct Secure {
    pub(super) config: Arc<ClientConfig>,
    pub(super) name: ServerName<'static>,
    /// For the handshake.
    pub(super) limit: Duration,
}

impl Secure {
    /// The handshake. Its certificate is verified, or there is no leg.
    pub(super) async fn over(&self, stream: TcpStream) -> Result<Leg, DialError> {
        let handshake = TlsConnector::from(Arc::clone(&self.config)).connect(self.name.clone(), stream);
        match timeout(self.limit, handshake).await {
            Ok(Ok(stream)) => Ok(Leg::Tls(Box::new(stream))),
            Ok(Err(error)) => Err(DialError::Tls(reason(&error))),
            Err(_) => Err(DialError::Tls("tls_timed_out")),
        }
    }

    /// The same, offering `alpn` alone.
    pub(super) fn offering(mut self, alpn: Option<&[u8]>) -> Self {
        Arc::make_mut(&mut self.config).alpn_protocols = alpn.map(<[u8]>::to_vec).into_iter().collect();
        self
    }
}

impl Leg {
    /// Returns once the upstream has spoken, or ended: whether it is an answer of HTTP, to nobody's question. What had to
    /// be read to know is in `heard`. May be dropped at any time without a loss.
    ///
    /// A server of HTTP/2 sends its settings at once (RFC 9113, section 3.4): no greeting, for its client speaks too.
    pub(super) async fn speaks(&mut self, heard: &mut Vec<u8>) -> bool {
        let begun = |said: &[u8]| !said.is_empty() && said.len() < HTTP.len() && HTTP.starts_with(said);
        // An error is met again by whoever reads next.
        match self {
            Self::Plain(stream) | Self::Parent(stream) => {
                let (mut peeked, [mut pause, longest]) = ([0; 9], PAUSES);
                loop {
                    let said = stream.peek(&mut peeked).await.map_or(&[][..], |len| &peeked[..len]);
                    if matches!(said, [0, _, _, 4, 0, 0, 0, 0, 0]) {
                        std::future::pending::<()>().await;
                    }
                    if !begun(said) {
                        return said.starts_with(HTTP);
                    }
                    // What was peeked at is there still: nothing tells when more has come.
                    sleep(pause).await;
                    pause = (2 * pause).min(longest);
                }
            }
            Self::Tls(stream) => {
                while matches!(stream.read_buf(heard).await, Ok(1..)) && begun(heard) {}
                heard.starts_with(HTTP)
            }
        }
    }

    /// The protocol both ends agreed on.
    pub(super) fn alpn(&self) -> Option<&[u8]> {
        match self {
            Self::Plain(_) | Self::Parent(_) => None,
            Self::Tls(stream) => stream.get_ref().1.alpn_protocol(),
        }
    }
}

/// Why there was no handshake, as a closed word: the error itself may name what the server sent.
fn reason(error: &io::Error) -> &'static str {
    let Some(error) = error.get_ref().and_then(|e| e.downcast_ref::<rustls::Error>()) else {
        return "tls_closed";
    };
    match error {
        rustls::Error::InvalidCertificate(why) => match why {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => "certificate_expired",
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => "certificate_not_yet_valid",
            CertificateError::UnknownIssuer => "certificate_not_trusted",
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                "certificate_for_another_name"
            }
            CertificateError::Revoked => "certificate_revoked",
            _ => "certificate_invalid",
        },
        rustls::Error::AlertReceived(_) => "tls_refused",
        _ => "tls_failed",
    }
}

impl Connection for Leg {
    fn connected(&self) -> Connected {
        Connected::new().proxy(matches!(self, Self::Parent(_)))
    }
}

impl AsyncRead for Leg {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Plain(stream) | Self::Parent(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Leg {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match &mut *self {
            Self::Plain(stream) | Self::Parent(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Plain(stream) | Self::Parent(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Plain(stream) | Self::Parent(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut *self {
            Self::Plain(stream) | Self::Parent(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(stream) | Self::Parent(stream) => stream.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
        }
    }
}
