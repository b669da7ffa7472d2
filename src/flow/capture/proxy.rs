//! Settings → a listening proxy: what all its connections share.

use super::{
    agent,
    dial::Dial,
    inspect::{Inspection, Inspector},
    meter::Meter,
    newcomers::Room,
    parent::Parent,
    patience::Exchanges,
    probe::{Probe, Prober, Probes},
    reply::Refusal,
    tap::Tap,
    tasks::Tasks,
    upstream::Upstream,
};
use crate::clock;
use data_encoding::BASE64;
use hudsucker::{
    Body,
    hyper::{HeaderMap, header::PROXY_AUTHORIZATION},
};
use std::{io, net::SocketAddr, sync::Arc, time::Duration};
use subtle::ConstantTimeEq;
use tokio::net::{TcpListener, TcpSocket};
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

/// What the proxy is told. Not `Debug`: it holds the token.
pub struct ProxySettings {
    /// The credential a client must give: `Proxy-Authorization: Basic base64(guardian:TOKEN)`.
    pub token: Zeroizing<String>,
    /// How long things may take.
    pub timeouts: Timeouts,
    /// Client connections at a time; one more is answered 503 and closed.
    pub max_connections: usize,
    /// Requests under way at once, over all connections; one more is answered 503.
    pub max_exchanges: usize,
    /// Header fields of one head; more are answered 431.
    pub max_fields: usize,
    /// Bytes of one head, 8 KiB to 64 KiB; more are answered 431.
    pub max_head_bytes: usize,
    /// How HTTPS is inspected; `None` relays it unopened.
    pub inspection: Option<Inspection>,
    /// The proxy that everything but loopback is sent through.
    pub parent: Option<Parent>,
}

/// How long things may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// Name resolution and connection to an upstream, together.
    pub dial: Duration,
    /// A TLS handshake, and the first bytes that tell what a tunnel carries.
    pub handshake: Duration,
    /// A request head, from its first byte to its last; for the first one, from the connection's start.
    pub head: Duration,
    /// The pause between two requests of a connection, and of an unused upstream connection.
    pub keep_alive_idle: Duration,
    /// A tunnel or an upgraded connection on which nothing moves.
    pub tunnel_idle: Duration,
    /// What was begun before a stop may take this long to finish; the next byte to a client that has finished sending, to
    /// be taken.
    pub drain: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            dial: Duration::from_secs(10),
            handshake: Duration::from_secs(10),
            head: Duration::from_secs(30),
            keep_alive_idle: Duration::from_secs(300),
            tunnel_idle: Duration::from_secs(86_400),
            drain: Duration::from_secs(5),
        }
    }
}

impl ProxySettings {
    /// The default limits, with this token.
    pub fn new(token: Zeroizing<String>) -> Self {
        Self {
            token,
            timeouts: Timeouts::default(),
            max_connections: 16_384,
            max_exchanges: 16_384,
            max_fields: ENGINE_FIELDS,
            max_head_bytes: MAX_HEAD,
            inspection: None,
            parent: None,
        }
    }
}

/// As many fields of a head as the engine parses without an allocation.
pub(super) const ENGINE_FIELDS: usize = 100;
/// The most bytes of one head.
pub(super) const MAX_HEAD: usize = 64 << 10;

/// Connections to upstreams, outside of tunnels, that are kept unused however few clients there may be. With more than
/// these, and than an eighth of the clients there may be, those not in use end.
const LEFT_BEHIND: usize = 16;

/// A proxy that listens.
pub struct Proxy {
    pub(super) listener: TcpListener,
    pub(super) shared: Arc<Shared>,
    inspection: Option<Inspection>,
}

/// What is under way, and what there may be of it. Cheap to clone; all clones are of one proxy.
#[derive(Clone)]
pub struct Load {
    pub(super) room: Room,
    pub(super) exchanges: Exchanges,
}

impl Load {
    /// Of a proxy that takes so many of each at once.
    pub fn new(max_connections: usize, max_exchanges: usize) -> Self {
        Self { room: Room::new(max_connections), exchanges: Exchanges::new(max_exchanges) }
    }

    /// Client connections there are, those of self-tests apart.
    pub fn connections(&self) -> usize {
        self.room.taken()
    }

    /// Requests under way.
    pub fn exchanges(&self) -> usize {
        self.exchanges.now()
    }
}

/// What all connections of a proxy share.
pub(super) struct Shared {
    /// As a client gives it.
    pub(super) credential: Zeroizing<String>,
    pub(super) timeouts: Timeouts,
    pub(super) load: Load,
    pub(super) max_fields: usize,
    pub(super) max_head_bytes: usize,
    pub(super) tap: Tap,
    pub(super) meter: Meter,
    pub(super) dial: Dial,
    pub(super) upstream: Upstream,
    pub(super) inspector: Option<Inspector>,
    /// Canaries of our own that are about to connect.
    pub(super) probes: Arc<Probes>,
    /// What is done for clients.
    pub(super) tasks: Tasks,
    /// The connections to upstreams, used and unused.
    pub(super) upstreams: Tasks,
    /// No new work.
    pub(super) stopping: CancellationToken,
}

impl Proxy {
    /// Listens on `address`. Call it inside a tokio runtime.
    ///
    /// # Errors
    /// The address is taken, not ours to bind, or the process is out of descriptors.
    pub fn bind(address: SocketAddr, settings: &ProxySettings, tap: Tap, meter: Meter) -> io::Result<Self> {
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        let listener = socket.listen(4096)?;
        let dial = Dial::new(listener.local_addr()?, settings.timeouts.dial).through(settings.parent.clone());
        let (upstreams, idle) = (Tasks::default(), settings.timeouts.keep_alive_idle);
        let most = (settings.max_connections / 8).max(LEFT_BEHIND);
        let load = Load::new(settings.max_connections, settings.max_exchanges);
        let kept = (most, &load.exchanges);
        let shared = Shared {
            credential: credential(&settings.token),
            timeouts: settings.timeouts,
            max_fields: settings.max_fields,
            max_head_bytes: settings.max_head_bytes.clamp(8 << 10, MAX_HEAD),
            tap,
            upstream: Upstream::http1(dial.clone(), &upstreams, idle, settings.max_fields, kept, &meter),
            load,
            meter,
            dial,
            inspector: settings.inspection.as_ref().map(Inspector::new),
            probes: Arc::default(),
            tasks: Tasks::default(),
            upstreams,
            stopping: CancellationToken::new(),
        };
        Ok(Self { listener, shared: Arc::new(shared), inspection: settings.inspection.clone() })
    }

    /// The address it listens on.
    ///
    /// # Errors
    /// The socket is gone.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// What is under way, to be asked at any time.
    pub fn load(&self) -> Load {
        self.shared.load.clone()
    }

    /// What sends canaries through it.
    ///
    /// # Errors
    /// The socket is gone.
    pub fn prober(&self) -> io::Result<Prober> {
        let (probes, inspection) = (Arc::clone(&self.shared.probes), self.inspection.clone());
        Ok(Prober { listen: self.local_addr()?, probes, inspection })
    }

    /// Serves until `shutdown`, then stops accepting, lets what was begun finish within the drain limit, and cuts the
    /// rest. When it returns, every connection is settled and every message handed over.
    pub async fn serve(self, shutdown: CancellationToken) {
        super::listener::serve(self, shutdown).await;
    }
}

impl Shared {
    /// What the connection of a probe shares with all others: everything but the books, the credential and the ways out.
    pub(super) fn with(&self, probe: Probe) -> Self {
        let (meter, dial) = (Meter::default(), self.dial.to_nothing_but(probe.sink));
        let idle = self.timeouts.keep_alive_idle;
        // A probe takes nobody's place.
        let load = Load::new(1, usize::MAX);
        let kept = (LEFT_BEHIND, &load.exchanges);
        Self {
            credential: credential(&probe.nonce),
            timeouts: self.timeouts,
            max_fields: self.max_fields,
            max_head_bytes: self.max_head_bytes,
            tap: self.tap.watched(probe.sightings, meter.clone()),
            upstream: Upstream::http1(dial.clone(), &self.upstreams, idle, self.max_fields, kept, &meter),
            load,
            meter,
            dial,
            inspector: probe.inspector,
            probes: Arc::default(),
            tasks: self.tasks.clone(),
            upstreams: self.upstreams.clone(),
            stopping: self.stopping.clone(),
        }
    }

    /// Refuses a request without the proxy's credential, in time that does not depend on where it differs.
    pub(super) fn authenticate(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let given = headers.get(PROXY_AUTHORIZATION).map_or(&[][..], |value| value.as_bytes());
        let given = match given.split_at_checked(6) {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case(b"basic ") => rest.trim_ascii(),
            _ => return Err(Refusal::Unauthenticated),
        };
        // As encoded: there is one encoding of it alone.
        if given.ct_eq(self.credential.as_bytes()).into() { Ok(()) } else { Err(Refusal::Unauthenticated) }
    }

    /// Counts a request by the kind of its client.
    pub(super) fn arrived(&self, headers: &HeaderMap) {
        self.meter.arrived(agent::kind(headers), clock::now());
    }

    /// Counts a refusal and says it.
    pub(super) fn refuse(&self, why: Refusal) -> hudsucker::hyper::Response<Body> {
        self.meter.refused(why);
        why.response()
    }
}

/// What a client that knows `token` says (RFC 7617).
pub(super) fn credential(token: &str) -> Zeroizing<String> {
    let pair = Zeroizing::new(format!("guardian:{token}"));
    Zeroizing::new(BASE64.encode(pair.as_bytes()))
}
