//! A client's TLS → the requests in it: one handshake with the origin, one with the client, the same protocol in both.
//!
//! The origin comes first: its certificate is verified before the client is promised anything, and what it agreed to
//! speak is what the client is offered. A client that cannot be served so gets an error, never a tunnel, but for the
//! narrow way of [`fallback`].

mod fallback;
pub(super) mod hello;

use super::{
    ca::{Ca, CaError, Leaves, Roots, provider},
    connect::{Client, Tunnel, Unwrapped, name},
    leg::{Leg, Secure},
    recognise::Begins,
    replay::Replay,
    reply::Refusal,
    upstream::Upstream,
};
use fallback::Fallback;
use hello::{Hello, Unread};
use hudsucker::{
    hyper::http::uri::Scheme,
    rustls::{
        self, ClientConfig, RootCertStore, ServerConfig,
        pki_types::ServerName,
        server::{ResolvesServerCertUsingSni, ServerSessionMemoryCache},
        sign::{CertifiedKey, SingleCertAndKey},
    },
};
use posture::UnscannedReason;
use std::{
    io,
    sync::{Arc, PoisonError, RwLock},
};
use tokio::{
    io::AsyncWriteExt,
    net::TcpStream,
    time::{Instant, timeout},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

const HTTP2: &[u8] = b"h2";
const HTTP1: &[u8] = b"http/1.1";
/// Sessions of clients that may be resumed, of all hosts together.
const SESSIONS: usize = 1024;

/// How HTTPS is inspected. Cheap to clone.
#[derive(Clone)]
pub struct Inspection {
    leaves: Arc<Leaves>,
    client: Arc<ClientConfig>,
    pass_through: Arc<RwLock<Vec<String>>>,
    providers: Arc<dyn Fn(&str) -> bool + Send + Sync>,
}

impl Inspection {
    /// `leaves` speak to clients for their hosts; `roots` vouch for upstream servers. Hosts of `pass_through` (exact, in
    /// lower case) are not inspected. `providers` knows the hosts of model vendors, which never fall back to a tunnel.
    ///
    /// # Errors
    /// There is no root that can be used.
    pub fn new(
        leaves: Arc<Leaves>,
        roots: &Roots,
        pass_through: Vec<String>,
        providers: Arc<dyn Fn(&str) -> bool + Send + Sync>,
    ) -> Result<Self, CaError> {
        let store = roots.store(&leaves.authority());
        if store.is_empty() {
            return Err(CaError::NoRoots);
        }
        let client = Arc::new(trusting(store)?);
        Ok(Self { leaves, client, pass_through: Arc::new(RwLock::new(pass_through)), providers })
    }

    /// From here on these hosts (exact, in lower case) are not inspected, and no others.
    pub fn pass_through(&self, hosts: Vec<String>) {
        *self.pass_through.write().unwrap_or_else(PoisonError::into_inner) = hosts;
    }

    fn passes_through(&self, host: &str) -> bool {
        self.pass_through.read().unwrap_or_else(PoisonError::into_inner).iter().any(|name| name == host)
    }

    /// The authority that signs now.
    pub(super) fn authority(&self) -> Arc<Ca> {
        self.leaves.authority()
    }
}

/// A client that believes these roots alone.
pub(super) fn trusting(store: RootCertStore) -> Result<ClientConfig, CaError> {
    let client = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions();
    Ok(client.map_err(|_| CaError::Made)?.with_root_certificates(store).with_no_client_auth())
}

/// Inspection at work.
#[derive(Clone)]
pub(super) struct Inspector {
    inspection: Inspection,
    /// For clients; each connection has its own certificate and protocol put in.
    server: Arc<ServerConfig>,
    fallback: Arc<Fallback>,
}

impl Inspector {
    pub(super) fn new(inspection: &Inspection) -> Self {
        let mut server = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect("the provider has suites for both versions")
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(ResolvesServerCertUsingSni::new()));
        server.session_storage = ServerSessionMemoryCache::new(SESSIONS);
        Self { inspection: inspection.clone(), server: Arc::new(server), fallback: Arc::default() }
    }

    /// The same inspection, but that it believes no upstream but those these roots vouch for, and opens everything.
    pub(super) fn believing(inspection: &Inspection, store: RootCertStore) -> Result<Self, CaError> {
        let (leaves, client) = (Arc::clone(&inspection.leaves), Arc::new(trusting(store)?));
        let providers = Arc::new(|_: &str| false);
        Ok(Self::new(&Inspection { leaves, client, pass_through: Arc::default(), providers }))
    }

    /// Why a connection is not to be opened, if it is not.
    fn closed(&self, host: &str, shape: u64) -> Option<UnscannedReason> {
        if self.inspection.passes_through(host) {
            return Some(UnscannedReason::PassThrough);
        }
        let may_fall_back = !(self.inspection.providers)(host);
        (may_fall_back && self.fallback.tunnels(host, shape, Instant::now())).then_some(UnscannedReason::TunnelFallback)
    }

    fn server(&self, certified: Arc<CertifiedKey>, alpn: Option<&[u8]>) -> Arc<ServerConfig> {
        let mut config = ServerConfig::clone(&self.server);
        config.cert_resolver = Arc::new(SingleCertAndKey::from(certified));
        config.alpn_protocols = alpn.map(<[u8]>::to_vec).into_iter().collect();
        Arc::new(config)
    }

    fn client(&self, alpn: &[Vec<u8>]) -> Arc<ClientConfig> {
        let mut config = ClientConfig::clone(&self.inspection.client);
        config.alpn_protocols = alpn.to_vec();
        Arc::new(config)
    }
}

impl Tunnel {
    /// Opens a client's TLS, whose first bytes are `first`, and reads what is in it.
    pub(super) async fn inspect(
        self,
        inspector: &Inspector,
        mut client: Client,
        upstream: TcpStream,
        mut first: Vec<u8>,
    ) {
        let limit = self.shared.timeouts.handshake;
        let hello = match timeout(limit, hello::read(&mut client, &mut first)).await {
            Ok(Ok(hello)) => hello,
            Ok(Err(Unread::Malformed(alert))) => {
                self.connection.ticket.settle(Some(UnscannedReason::InterceptionFailed));
                // It would not have been a handshake anywhere else.
                let _ = client.write_all(&alert).await;
                return;
            }
            Ok(Err(Unread::Ended)) | Err(_) => {
                return self.connection.ticket.settle(Some(UnscannedReason::IncompleteHead));
            }
        };
        let names_agree = hello.name.as_ref().is_none_or(|name| *name == self.authority.host);
        if names_agree && let Some(reason) = inspector.closed(&self.authority.host, hello.shape) {
            return self.relay(client, Leg::Plain(upstream), &first, &[], reason).await;
        }
        if let Some(fields) = hello.says_more(names_agree) {
            let target = hello.name.as_deref().unwrap_or(&self.authority.host);
            self.shared.tap.name(name(&self.connection, &self.authority, target.as_bytes(), fields));
        }
        let host = hello.name.clone().unwrap_or_else(|| self.authority.host.clone());
        let Ok(server) = ServerName::try_from(host.clone()) else {
            return self.connection.ticket.settle(Some(UnscannedReason::InterceptionFailed));
        };
        let secure = Secure { config: inspector.client(&hello.alpn), name: server, limit };
        let reached = secure.over(upstream).await;
        let alpn = match &reached {
            Ok(leg) => leg.alpn().map(<[u8]>::to_vec),
            // There is only an error to tell.
            Err(_) => [HTTP1, HTTP2].into_iter().find(|p| hello.alpn.iter().any(|a| a == p)).map(<[u8]>::to_vec),
        };
        let accepted = inspector.accept(&host, alpn.as_deref(), Replay::new(first, client), limit).await;
        let client = match accepted {
            Ok(client) => client,
            Err(error) => return self.rejected(inspector, &hello, names_agree, &error),
        };
        let http2 = alpn.as_deref() == Some(HTTP2);
        match reached {
            Ok(leg) => {
                inspector.fallback.intercepted(&self.authority.host);
                let secure = secure.offering(alpn.as_deref());
                self.read(client, leg, http2, Unwrapped { secure, names_agree }).await;
            }
            Err(why) => {
                self.connection.ticket.settle(Some(UnscannedReason::InterceptionFailed));
                let begins = if http2 { Begins::Http2 } else { Begins::Http1 };
                let upstream = Upstream::Failed(Refusal::from(why));
                self.serve_via(begins, client, Scheme::HTTPS, upstream, (false, names_agree)).await;
            }
        }
    }

    /// Reads what a client says within its TLS. Not all of it need be HTTP.
    async fn read(self, mut client: TlsStream<Replay<Client>>, mut leg: Leg, http2: bool, unwrapped: Unwrapped) {
        if http2 {
            return self.serve(Begins::Http2, client, Vec::new(), leg, Some(unwrapped)).await;
        }
        let (mut first, mut heard) = (Vec::with_capacity(256), Vec::new());
        let begins = self.first_words(&mut client, &mut leg, &mut first, &mut heard).await;
        self.go_on(begins, client, first, leg, heard, Some(unwrapped)).await;
    }

    /// A client did not take our certificate, or did not finish.
    fn rejected(&self, inspector: &Inspector, hello: &Hello, names_agree: bool, error: &io::Error) {
        self.connection.ticket.settle(Some(UnscannedReason::InterceptionFailed));
        let host = &self.authority.host;
        if !names_agree || !is_rejection(error) || (inspector.inspection.providers)(host) {
            return;
        }
        if inspector.fallback.rejected(host, hello.shape, Instant::now()) {
            self.shared.meter.fell_back(host, self.authority.port, Instant::now() + fallback::LASTS);
        }
    }
}

impl Inspector {
    async fn accept(
        &self,
        host: &str,
        alpn: Option<&[u8]>,
        client: Replay<Client>,
        limit: std::time::Duration,
    ) -> io::Result<TlsStream<Replay<Client>>> {
        let certified = self.inspection.leaves.certified(host).map_err(|_| io::ErrorKind::InvalidInput)?;
        let handshake = TlsAcceptor::from(self.server(certified, alpn)).accept(client);
        timeout(limit, handshake).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }
}

/// Whether a client said that it does not want our certificate. One that went away without a word said nothing.
fn is_rejection(error: &io::Error) -> bool {
    use rustls::AlertDescription as Alert;
    let Some(rustls::Error::AlertReceived(alert)) = error.get_ref().and_then(|e| e.downcast_ref()) else {
        return false;
    };
    matches!(
        alert,
        Alert::BadCertificate
            | Alert::UnsupportedCertificate
            | Alert::CertificateRevoked
            | Alert::CertificateExpired
            | Alert::CertificateUnknown
            | Alert::UnknownCA
    )
}
