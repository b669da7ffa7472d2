//! Host and port → socket: the one way out, for requests and tunnels alike.

use super::{
    authority::{Authority, default_port},
    leg::{Leg, Secure},
    parent::{self, Parent},
    reply::Refusal,
};
use hudsucker::{
    hyper::{Uri, http::uri::Scheme},
    hyper_util::rt::TokioIo,
};
use std::{
    future::Future,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    net::{TcpStream, lookup_host},
    task::JoinSet,
    time::{sleep, timeout},
};

/// How long one address is tried alone before the next joins in (RFC 8305, section 5).
const STAGGER: Duration = Duration::from_millis(250);
/// A silent peer is asked for a sign of life after this long: tunnels and streams may idle for a day.
const KEEP_ALIVE: Duration = Duration::from_secs(60);

/// Dials upstream. Never dials the proxy's own listener.
#[derive(Clone)]
pub(super) struct Dial {
    /// Our own listener.
    own: SocketAddr,
    /// For name, connection and every address together.
    limit: Duration,
    /// A connection already made, for the first who asks.
    first: Arc<Mutex<Option<Leg>>>,
    /// How every further connection is secured, if the first one is.
    secure: Option<Secure>,
    /// What carries everything but loopback.
    parent: Option<Arc<Parent>>,
    /// For one tunnel's destination alone.
    tunnelled: bool,
    /// The only address it reaches, if it is a probe's.
    only: Option<SocketAddr>,
}

/// Why a destination was not reached. It holds no name and no address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum DialError {
    #[error("the destination is this proxy")]
    Loop,
    #[error("name not resolved")]
    NotResolved,
    #[error("connection refused")]
    Refused,
    #[error("no answer in time")]
    TimedOut,
    #[error("no route")]
    NoRoute,
    #[error("connection failed")]
    Failed,
    #[error("the upstream proxy refused")]
    Parent,
    #[error("no TLS: {0}")]
    Tls(&'static str),
}

impl From<DialError> for Refusal {
    fn from(error: DialError) -> Self {
        match error {
            DialError::Loop => Self::Loop,
            DialError::NotResolved => Self::Unreachable("name_not_resolved"),
            DialError::Refused => Self::Unreachable("connection_refused"),
            DialError::TimedOut => Self::Unreachable("timed_out"),
            DialError::NoRoute => Self::Unreachable("no_route"),
            DialError::Failed => Self::Unreachable("connection_failed"),
            DialError::Parent => Self::Unreachable("upstream_proxy_refused"),
            DialError::Tls(why) => Self::UpstreamFailed(why),
        }
    }
}

impl From<io::Error> for DialError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::ConnectionRefused => Self::Refused,
            io::ErrorKind::TimedOut => Self::TimedOut,
            io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => Self::NoRoute,
            _ => Self::Failed,
        }
    }
}

impl Dial {
    pub(super) fn new(own: SocketAddr, limit: Duration) -> Self {
        Self { own, limit, first: Arc::default(), secure: None, parent: None, tunnelled: false, only: None }
    }

    /// The same, but that everything but loopback goes through another proxy.
    pub(super) fn through(self, parent: Option<Parent>) -> Self {
        Self { parent: parent.map(Arc::new), ..self }
    }

    /// The same for a probe: it reaches this address and no other, through nobody.
    pub(super) fn to_nothing_but(&self, address: SocketAddr) -> Self {
        Self { only: Some(address), ..Self::new(self.own, self.limit) }
    }

    /// The proxy that carries what goes to `host`, if one does.
    pub(super) fn parent(&self, host: &str) -> Option<&Parent> {
        self.parent.as_deref().filter(|_| !parent::is_loopback(host))
    }

    /// The same, but that the first connection it is asked for is `leg`, and every further one is secured as that one.
    pub(super) fn starting_with(&self, leg: Leg, secure: Option<Secure>) -> Self {
        Self { first: Arc::new(Mutex::new(Some(leg))), secure, tunnelled: true, ..self.clone() }
    }

    /// The connection already made, or else a new one.
    pub(super) async fn leg(&self, to: &Authority) -> Result<Leg, DialError> {
        let first = self.first.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(leg) = first {
            return Ok(leg);
        }
        if !self.tunnelled
            && let Some(parent) = self.parent(&to.host)
        {
            // Requests are handed to it whole: not every proxy tunnels to a port of plain HTTP.
            return self.within(self.direct(&parent.host, parent.port)).await.map(Leg::Parent);
        }
        let stream = self.connect(&to.host, to.port).await?;
        match &self.secure {
            None => Ok(Leg::Plain(stream)),
            Some(secure) => secure.over(stream).await,
        }
    }

    /// A connected socket, without Nagle's delay: to `host` itself, or a tunnel to it through the parent.
    pub(super) async fn connect(&self, host: &str, port: u16) -> Result<TcpStream, DialError> {
        let Some(parent) = self.parent(host) else { return self.within(self.direct(host, port)).await };
        let tunnel = async { parent.tunnel(self.direct(&parent.host, parent.port).await?, host, port).await };
        self.within(tunnel).await
    }

    async fn within<T>(&self, dialling: impl Future<Output = Result<T, DialError>>) -> Result<T, DialError> {
        timeout(self.limit, dialling).await.unwrap_or(Err(DialError::TimedOut))
    }

    async fn direct(&self, host: &str, port: u16) -> Result<TcpStream, DialError> {
        let addresses: Vec<_> = lookup_host((host, port)).await.map_err(|_| DialError::NotResolved)?.collect();
        if addresses.iter().any(|a| self.is_own(a)) {
            return Err(DialError::Loop);
        }
        if self.only.is_some_and(|only| addresses.iter().any(|address| *address != only)) {
            return Err(DialError::NoRoute);
        }
        let stream = first_to_answer(addresses).await?;
        // Bound to every address, the listener is met on any of them.
        let (peer, local) = (stream.peer_addr()?, stream.local_addr()?);
        if self.own.ip().is_unspecified() && peer.port() == self.own.port() && peer.ip() == local.ip() {
            return Err(DialError::Loop);
        }
        prepare(&stream)?;
        Ok(stream)
    }

    fn is_own(&self, address: &SocketAddr) -> bool {
        let (own, ip) = (self.own.ip().to_canonical(), address.ip().to_canonical());
        let same = own == ip || ip.is_unspecified() || (own.is_unspecified() && ip.is_loopback());
        address.port() == self.own.port() && same
    }
}

/// The first of the addresses that takes the connection; each gets a head start on the next.
async fn first_to_answer(addresses: Vec<SocketAddr>) -> Result<TcpStream, DialError> {
    if let [only] = addresses[..] {
        return Ok(TcpStream::connect(only).await?);
    }
    let mut waiting = addresses.into_iter();
    let mut attempts = JoinSet::new();
    let mut failed = DialError::NotResolved;
    loop {
        if let Some(address) = waiting.next() {
            attempts.spawn(TcpStream::connect(address));
        }
        tokio::select! {
            attempt = attempts.join_next() => match attempt {
                None => return Err(failed),
                Some(Ok(Ok(stream))) => return Ok(stream),
                Some(Ok(Err(error))) => failed = error.into(),
                Some(Err(_)) => failed = DialError::Failed,
            },
            () = sleep(STAGGER), if waiting.len() > 0 => {}
        }
    }
}

/// What every socket gets, on either side: small writes leave at once, and a vanished peer is noticed.
pub(super) fn prepare(stream: &TcpStream) -> io::Result<()> {
    use rustix::net::sockopt;
    stream.set_nodelay(true)?;
    sockopt::set_socket_keepalive(stream, true)?;
    sockopt::set_tcp_keepidle(stream, KEEP_ALIVE)?;
    sockopt::set_tcp_keepintvl(stream, KEEP_ALIVE)?;
    Ok(())
}

impl tower_service::Service<Uri> for Dial {
    type Response = TokioIo<Leg>;
    type Error = DialError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, DialError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), DialError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let dial = self.clone();
        Box::pin(async move {
            // In the one spelling, as a tunnel is dialled: however it is written, loopback goes through nobody.
            let default = default_port(uri.scheme().unwrap_or(&Scheme::HTTP));
            let to = uri.authority().and_then(|named| Authority::of(named, default)).ok_or(DialError::Failed)?;
            dial.leg(&to).await.map(TokioIo::new)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    fn dial(own: &str) -> Dial {
        Dial::new(own.parse().unwrap(), Duration::from_secs(10))
    }

    #[tokio::test]
    async fn our_own_listener_is_never_dialled() {
        for own in ["127.0.0.1:0", "0.0.0.0:0"] {
            let listener = TcpListener::bind(own).await.unwrap();
            let own = listener.local_addr().unwrap();
            let dial = Dial::new(own, Duration::from_secs(10));
            for host in ["127.0.0.1", "localhost", "0.0.0.0", "::ffff:127.0.0.1"] {
                assert_eq!(dial.connect(host, own.port()).await.err(), Some(DialError::Loop), "{host}");
            }
        }
    }

    #[tokio::test]
    async fn another_port_of_this_machine_is_no_loop() {
        let origin = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = dial("127.0.0.1:1").connect("127.0.0.1", origin.local_addr().unwrap().port()).await.unwrap();
        assert!(stream.nodelay().unwrap());
    }

    #[tokio::test]
    async fn a_dead_port_is_refused_and_a_bad_name_not_resolved() {
        let dead = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
        assert_eq!(dial("127.0.0.1:1").connect("127.0.0.1", dead).await.err(), Some(DialError::Refused));
        assert_eq!(dial("127.0.0.1:1").connect("a b.invalid", 1).await.err(), Some(DialError::NotResolved));
    }

    #[tokio::test]
    async fn the_next_address_is_tried_when_the_first_refuses() {
        let origin = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let alive = origin.local_addr().unwrap();
        let dead = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let stream = first_to_answer(vec![dead, alive]).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), alive);
        assert_eq!(first_to_answer(vec![dead, dead]).await.err(), Some(DialError::Refused));
        assert_eq!(first_to_answer(vec![]).await.err(), Some(DialError::NotResolved));
    }
}
