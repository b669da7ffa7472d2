//! Canary → the real listener → a sink of our own → what the scanners saw of it.
//!
//! **Known by its connection alone.** The client's own socket is registered before it connects, once, and the credential
//! of that connection is a nonce made for it: no content makes traffic a probe. And being one buys nothing: it reaches
//! the sink it was registered with and nothing else, never through another proxy, and the authority that vouches for
//! the sink is believed on that connection alone.
//!
//! Everything else is what clients meet: listener, CONNECT, certificates, forwarding, queue and scanners. Its bytes are
//! not payload: they are counted in books of their own, which nobody keeps.

use super::{
    ca::{Ca, CaError, Leaves},
    inspect::{Inspection, Inspector},
};
use crate::clock;
use bytes::Bytes;
use data_encoding::HEXLOWER;
use http_body_util::{BodyExt, Full, Limited};
use hudsucker::{
    hyper::{
        self, Method, Request, Response, StatusCode,
        body::Incoming,
        client::conn::http1::{self, SendRequest},
        header::{CONTENT_TYPE, HOST, PROXY_AUTHORIZATION},
        server::conn::http1 as server,
        service::service_fn,
    },
    hyper_util::rt::TokioIo,
    rustls::{
        RootCertStore, ServerConfig,
        pki_types::{IpAddr as PkiIpAddr, ServerName},
        sign::SingleCertAndKey,
    },
};
use posture::{Direction, Word};
use std::{
    collections::HashMap,
    convert::Infallible,
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpSocket, TcpStream},
    sync::Notify,
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, TlsConnector};
use zeroize::Zeroizing;

/// Something each rule has to find in its direction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Canary {
    /// A rule for what leaves, and a request body it finds something in.
    pub outbound: (Word, String),
    /// A rule for what comes in, and a response body it finds something in.
    pub inbound: (Word, String),
}

/// Why a canary did not come through, or was not seen. A closed word each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProbeError {
    /// The sink or the client's socket could not be made.
    #[error("no_sockets")]
    NoSockets,
    /// The sink's certificate could not be made.
    #[error("no_certificate")]
    NoCertificate,
    /// The listener did not take the connection, or ended it.
    #[error("not_connected")]
    NotConnected,
    /// The certificate offered in the sink's place was not that of the monitor's authority.
    #[error("not_secured")]
    NotSecured,
    /// The listener answered in the sink's place, or not what the sink said.
    #[error("not_relayed")]
    NotRelayed,
    /// It was relayed, and the scanners did not say in time that they saw both.
    #[error("not_seen")]
    NotSeen,
    /// It was not relayed in time.
    #[error("timed_out")]
    TimedOut,
}

/// What the scanners saw of one probe.
#[derive(Default)]
pub struct Sightings {
    seen: Mutex<Vec<(Direction, Word)>>,
    more: Notify,
}

impl Sightings {
    /// A rule found something.
    pub fn saw(&self, direction: Direction, rule: &Word) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if !seen.iter().any(|(way, id)| *way == direction && id == rule) {
            seen.push((direction, rule.clone()));
        }
        drop(seen);
        self.more.notify_one();
    }

    fn has(&self, canary: &Canary) -> bool {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let has = |direction, rule: &Word| seen.iter().any(|(way, id)| *way == direction && id == rule);
        has(Direction::Outbound, &canary.outbound.0) && has(Direction::Inbound, &canary.inbound.0)
    }

    async fn both(&self, canary: &Canary) {
        while !self.has(canary) {
            self.more.notified().await;
        }
    }
}

/// A probe on its way to the listener.
pub(super) struct Probe {
    /// What its connection has to authenticate with.
    pub(super) nonce: Zeroizing<String>,
    /// The only place it gets to.
    pub(super) sink: SocketAddr,
    pub(super) sightings: Arc<Sightings>,
    /// Opens its TLS, and believes the sink.
    pub(super) inspector: Option<Inspector>,
}

/// The probes on their way, by the address their connection comes from.
#[derive(Default)]
pub(super) struct Probes(Mutex<HashMap<SocketAddr, Probe>>);

impl Probes {
    /// The probe that comes from `address`, once.
    pub(super) fn take(&self, address: SocketAddr) -> Option<Probe> {
        self.open().remove(&address)
    }

    fn open(&self) -> MutexGuard<'_, HashMap<SocketAddr, Probe>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Probes a proxy. It does not keep the proxy, nor its queue.
pub struct Prober {
    pub(super) listen: SocketAddr,
    pub(super) probes: Arc<Probes>,
    pub(super) inspection: Option<Inspection>,
}

/// Takes a probe back that never came.
struct Registered<'p>(&'p Probes, SocketAddr);

impl Drop for Registered<'_> {
    fn drop(&mut self) {
        self.0.take(self.1);
    }
}

impl Prober {
    /// Sends the canary through, in clear text, and within TLS where the proxy opens that; each within `limit`.
    ///
    /// # Errors
    /// It did not come through unchanged, or it was not seen.
    pub async fn probe(&self, canary: &Canary, limit: Duration) -> Result<(), ProbeError> {
        self.once(canary, None, limit).await?;
        match &self.inspection {
            Some(inspection) => self.once(canary, Some(inspection), limit).await,
            None => Ok(()),
        }
    }

    async fn once(&self, canary: &Canary, within: Option<&Inspection>, limit: Duration) -> Result<(), ProbeError> {
        let sink = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(|_| ProbeError::NoSockets)?;
        let to = sink.local_addr().map_err(|_| ProbeError::NoSockets)?;
        let (socket, listen) = self.socket().map_err(|_| ProbeError::NoSockets)?;
        let from = socket.local_addr().map_err(|_| ProbeError::NoSockets)?;
        let mut random = Zeroizing::new([0; 32]);
        getrandom::fill(&mut *random).map_err(|_| ProbeError::NoSockets)?;
        let nonce = Zeroizing::new(HEXLOWER.encode(&*random));
        let secured = within.map(Secured::new).transpose().map_err(|_| ProbeError::NoCertificate)?;
        let (acceptor, connector, inspector) = match secured {
            Some(Secured { acceptor, connector, inspector }) => (Some(acceptor), Some(connector), Some(inspector)),
            None => (None, None, None),
        };
        let sightings = Arc::<Sightings>::default();
        let probe = Probe { nonce: nonce.clone(), sink: to, sightings: Arc::clone(&sightings), inspector };
        self.probes.open().insert(from, probe);
        let _registered = Registered(&self.probes, from);
        let relayed = async {
            let stream = socket.connect(listen).await.map_err(|_| ProbeError::NotConnected)?;
            let asked = Asked { to, credential: credential(&nonce), canary };
            tokio::select! {
                never = answer(&sink, acceptor.as_ref(), canary) => match never {},
                told = asked.through(stream, connector.as_ref()) => told,
            }
        };
        timeout(limit, relayed).await.unwrap_or(Err(ProbeError::TimedOut))?;
        timeout(limit, sightings.both(canary)).await.map_err(|_| ProbeError::NotSeen)
    }

    /// A socket with an address of its own, and where to connect it to.
    fn socket(&self) -> io::Result<(TcpSocket, SocketAddr)> {
        let ip = match self.listen.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
            ip => ip,
        };
        let socket = if ip.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        socket.bind((ip, 0).into())?;
        Ok((socket, (ip, self.listen.port()).into()))
    }
}

fn credential(nonce: &str) -> Zeroizing<String> {
    Zeroizing::new(format!("Basic {}", *super::proxy::credential(nonce)))
}

/// A sink with a certificate that one connection alone believes, and a client that believes the monitor's authority alone.
struct Secured {
    acceptor: TlsAcceptor,
    connector: TlsConnector,
    inspector: Inspector,
}

impl Secured {
    fn new(inspection: &Inspection) -> Result<Self, CaError> {
        let sinks = Leaves::new(Ca::ephemeral(clock::now())?)?;
        let certified = sinks.certified(&Ipv4Addr::LOCALHOST.to_string())?;
        let server = ServerConfig::builder_with_provider(super::ca::provider())
            .with_safe_default_protocol_versions()
            .map_err(|_| CaError::Made)?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
        let client = super::inspect::trusting(only(&inspection.authority())?)?;
        Ok(Self {
            acceptor: TlsAcceptor::from(Arc::new(server)),
            connector: TlsConnector::from(Arc::new(client)),
            inspector: Inspector::believing(inspection, only(&sinks.authority())?)?,
        })
    }
}

/// Roots with nothing but this authority.
fn only(ca: &Ca) -> Result<RootCertStore, CaError> {
    let mut store = RootCertStore::empty();
    store.add(ca.certificate().clone()).map_err(|_| CaError::Made)?;
    Ok(store)
}

/// One request with the canary.
struct Asked<'c> {
    to: SocketAddr,
    credential: Zeroizing<String>,
    canary: &'c Canary,
}

impl Asked<'_> {
    async fn through(&self, stream: TcpStream, tls: Option<&TlsConnector>) -> Result<(), ProbeError> {
        let mut sender = speak(stream).await?;
        let Some(tls) = tls else {
            let request = Request::post(format!("http://{}/", self.to)).header(PROXY_AUTHORIZATION, &*self.credential);
            return self.exchange(&mut sender, request).await;
        };
        let request = Request::builder()
            .method(Method::CONNECT)
            .uri(self.to.to_string())
            .header(HOST, self.to.to_string())
            .header(PROXY_AUTHORIZATION, &*self.credential);
        let request = request.body(Full::default()).map_err(|_| ProbeError::NotRelayed)?;
        let response = sender.send_request(request).await.map_err(|_| ProbeError::NotConnected)?;
        if response.status() != StatusCode::OK {
            return Err(ProbeError::NotRelayed);
        }
        let tunnel = hyper::upgrade::on(response).await.map_err(|_| ProbeError::NotConnected)?;
        let name = ServerName::IpAddress(PkiIpAddr::from(self.to.ip()));
        let tunnel = tls.connect(name, TokioIo::new(tunnel)).await.map_err(|_| ProbeError::NotSecured)?;
        self.exchange(&mut speak(tunnel).await?, Request::post("/")).await
    }

    async fn exchange(
        &self,
        sender: &mut SendRequest<Full<Bytes>>,
        request: hyper::http::request::Builder,
    ) -> Result<(), ProbeError> {
        let request = request
            .header(HOST, self.to.to_string())
            .header(CONTENT_TYPE, "text/plain")
            .body(Full::from(self.canary.outbound.1.clone()))
            .map_err(|_| ProbeError::NotRelayed)?;
        let response = sender.send_request(request).await.map_err(|_| ProbeError::NotRelayed)?;
        let status = response.status();
        let told = read(response.into_body(), &self.canary.inbound.1).await;
        if status == StatusCode::OK && told { Ok(()) } else { Err(ProbeError::NotRelayed) }
    }
}

async fn speak<S>(stream: S) -> Result<SendRequest<Full<Bytes>>, ProbeError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|_| ProbeError::NotConnected)?;
    // It ends with its sender.
    tokio::spawn(connection.with_upgrades());
    Ok(sender)
}

/// Whether a body is this text.
async fn read(body: Incoming, text: &str) -> bool {
    let read = Limited::new(body, text.len()).collect().await;
    read.is_ok_and(|read| read.to_bytes() == text.as_bytes())
}

/// Answers with the canary whoever brings it, one connection after the other, for as long as it is polled.
async fn answer(sink: &TcpListener, tls: Option<&TlsAcceptor>, canary: &Canary) -> Infallible {
    let came = AtomicBool::new(false);
    let service = service_fn(|request: Request<Incoming>| async {
        let whole = read(request.into_body(), &canary.outbound.1).await;
        came.store(whole, Relaxed);
        let mut response =
            Response::new(Full::<Bytes>::from(if whole { canary.inbound.1.clone() } else { String::new() }));
        if !whole {
            *response.status_mut() = StatusCode::BAD_REQUEST;
        }
        response.headers_mut().insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static("text/plain"));
        Ok::<_, Infallible>(response)
    });
    loop {
        let Ok((stream, _)) = sink.accept().await else { continue };
        let mut http = server::Builder::new();
        http.keep_alive(false);
        // How it ends is told by what the client gets.
        match tls {
            None => drop(http.serve_connection(TokioIo::new(stream), &service).await),
            Some(tls) => {
                if let Ok(stream) = tls.accept(stream).await {
                    drop(http.serve_connection(TokioIo::new(stream), &service).await);
                }
            }
        }
        if came.load(Relaxed) {
            return std::future::pending().await;
        }
    }
}

#[cfg(test)]
mod tests;
