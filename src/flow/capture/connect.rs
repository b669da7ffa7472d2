//! CONNECT → what it carries: HTTP is read, TLS taken off where that is asked for, anything else is a tunnel, counted
//! under its reason.
//!
//! The upstream is dialled before the tunnel is promised. Then whoever speaks first decides, and **no timer ever
//! makes a tunnel**: a client that begins and does not go on is closed, a silent pair waits until it is idle too long.
//! So is who answers in HTTP before anything was asked: nothing of it passes.

use super::{
    authority::Authority,
    forward::Via,
    leg::{Leg, Secure},
    listener::{Connection, serve_http1, serve_http2},
    message::{Field, Head, Route, StartLine},
    patience::Busy,
    proxy::Shared,
    recognise::{Begins, recognise},
    relay::relay,
    replay::Replay,
    reply::Refusal,
    upstream::Upstream,
};
use bytes::Bytes;
use hudsucker::{
    Body,
    hyper::{
        self, Request, Response,
        body::Incoming,
        http::uri::{self, Scheme},
        upgrade::Upgraded,
    },
    hyper_util::rt::TokioIo,
};
use posture::{Direction, Protocol, UnscannedReason};
use std::{pin::Pin, sync::Arc};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, sleep_until},
};

/// Answers a CONNECT: 200 only once the upstream was reached.
pub(super) async fn answer(
    shared: &Arc<Shared>,
    connection: Arc<Connection>,
    mut request: Request<Incoming>,
    _busy: Busy,
) -> Result<Response<Body>, Refusal> {
    shared.authenticate(request.headers())?;
    connection.known();
    shared.arrived(request.headers());
    let named = request.uri().authority().cloned().ok_or(Refusal::BadRequest("target"))?;
    let authority = Authority::of(&named, None).ok_or(Refusal::BadRequest("target"))?;
    shared.tap.name(name(&connection, &authority, named.as_str().as_bytes(), Vec::new()));
    // Of a tunnel that there is, the head that counts is the one inside.
    let reached = shared.dial.connect(&authority.host, authority.port).await;
    let upstream = reached.inspect_err(|_| connection.ticket.head_read())?;
    let upgrade = hyper::upgrade::on(&mut request);
    let tunnel = Tunnel { shared: Arc::clone(shared), connection, named, authority };
    shared.tasks.spawn(async move {
        if let Ok(client) = upgrade.await {
            tunnel.carry(TokioIo::new(client), upstream).await;
        }
    });
    Ok(Response::new(Body::empty()))
}

/// What asking for a tunnel to `authority` says: its target, which a name server is told, reached or not; and what else is
/// told to whoever is there before any message.
pub(super) fn name(connection: &Connection, authority: &Authority, target: &[u8], fields: Vec<Field>) -> Head {
    let route = Route {
        protocol: Protocol::Http,
        host: authority.host.clone(),
        port: authority.port,
        source: connection.source,
        names_agree: true,
        verified_tls: false,
    };
    Head {
        direction: Direction::Outbound,
        route: Arc::new(route),
        start: StartLine::Request { method: Bytes::from_static(b"CONNECT"), target: Bytes::copy_from_slice(target) },
        fields,
    }
}

/// A tunnel promised to a client.
pub(super) struct Tunnel {
    pub(super) shared: Arc<Shared>,
    pub(super) connection: Arc<Connection>,
    named: uri::Authority,
    pub(super) authority: Authority,
}

/// The stream a CONNECT became.
pub(super) type Client = TokioIo<Upgraded>;

/// How a tunnel's own TLS was taken off, if it had one.
pub(super) struct Unwrapped {
    /// How every connection to the upstream is secured.
    pub(super) secure: Secure,
    /// The client named the same host in its handshake, or none.
    pub(super) names_agree: bool,
}

impl Tunnel {
    /// Carries what a client and an upstream say to each other.
    ///
    /// What follows the first words is boxed: thousands of tunnels wait in there, each in no more room than it takes.
    async fn carry(self, mut client: Client, upstream: TcpStream) {
        let (mut first, mut leg) = (Vec::with_capacity(256), Leg::Plain(upstream));
        let begins = self.first_words(&mut client, &mut leg, &mut first, &mut Vec::new()).await;
        match (begins, leg, self.shared.inspector.clone()) {
            (Ok(Begins::Tls), Leg::Plain(upstream), Some(inspector)) => {
                Box::pin(self.inspect(&inspector, client, upstream, first)).await;
            }
            (begins, leg, _) => Box::pin(self.go_on(begins, client, first, leg, Vec::new(), None)).await,
        }
    }

    /// Reads what can be read, and relays the rest unseen.
    ///
    /// `first` is what the client said so far, `heard` what was read of the upstream's own words.
    pub(super) async fn go_on<S>(
        self,
        begins: Result<Begins, UnscannedReason>,
        client: S,
        first: Vec<u8>,
        leg: Leg,
        heard: Vec<u8>,
        unwrapped: Option<Unwrapped>,
    ) where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        match begins {
            Err(reason @ UnscannedReason::IncompleteHead) => self.connection.ticket.settle(Some(reason)),
            Err(reason) => self.relay(client, leg, &first, &heard, reason).await,
            Ok(begins @ (Begins::Http1 | Begins::Http2)) => self.serve(begins, client, first, leg, unwrapped).await,
            // TLS within TLS is not taken off again.
            Ok(Begins::Tls) => self.relay(client, leg, &first, &heard, UnscannedReason::Tunnel).await,
            Ok(_) => self.relay(client, leg, &first, &heard, UnscannedReason::UnknownProtocol).await,
        }
    }

    /// Waits for whoever speaks first, and if it is the client, until it can be told what it says.
    pub(super) async fn first_words(
        &self,
        client: &mut (impl AsyncRead + Unpin),
        leg: &mut Leg,
        first: &mut Vec<u8>,
        heard: &mut Vec<u8>,
    ) -> Result<Begins, UnscannedReason> {
        let timeouts = &self.shared.timeouts;
        let mut deadline = Instant::now() + timeouts.tunnel_idle;
        loop {
            let silent = first.is_empty();
            let read = tokio::select! {
                biased;
                read = client.read_buf(first) => read,
                answers = leg.speaks(heard), if silent => return Err(if answers {
                    // Or a server could have its own answers, and what it is told, pass unread.
                    UnscannedReason::IncompleteHead
                } else {
                    UnscannedReason::ServerFirst
                }),
                () = sleep_until(deadline) => return Err(UnscannedReason::IncompleteHead),
                () = self.shared.stopping.cancelled(), if silent => return Err(UnscannedReason::IncompleteHead),
            };
            if !matches!(read, Ok(1..)) {
                return Err(UnscannedReason::IncompleteHead);
            }
            if silent {
                deadline = Instant::now() + timeouts.handshake;
            }
            match recognise(first) {
                Begins::Undecided => {}
                begins => return Ok(begins),
            }
        }
    }

    /// Relays unseen.
    pub(super) async fn relay<S>(self, mut client: S, mut leg: Leg, first: &[u8], heard: &[u8], reason: UnscannedReason)
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let ticket = self.connection.ticket.opaque(reason);
        if leg.write_all(first).await.is_ok() && client.write_all(heard).await.is_ok() {
            ticket.relayed((first.len() + heard.len()) as u64);
            let count = |bytes: &[u8]| ticket.relayed(bytes.len() as u64);
            relay(client, leg, count, count, self.shared.timeouts.tunnel_idle, &self.shared.stopping).await;
        }
    }

    /// Reads the requests, and relays them the way of every request, over the connection already made.
    ///
    /// Boxed, because a request inside is served by what serves the CONNECT.
    pub(super) fn serve<S>(
        self,
        begins: Begins,
        client: S,
        first: Vec<u8>,
        leg: Leg,
        unwrapped: Option<Unwrapped>,
    ) -> Pin<Box<dyn Future<Output = ()> + Send>>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let shared = &self.shared;
        let (scheme, verified_tls, names_agree) = match &unwrapped {
            None => (Scheme::HTTP, false, true),
            Some(unwrapped) => (Scheme::HTTPS, true, unwrapped.names_agree),
        };
        let secure = unwrapped.map(|unwrapped| unwrapped.secure);
        let dial = shared.dial.starting_with(leg, secure);
        let idle = shared.timeouts.keep_alive_idle;
        // All of it goes to one place.
        let kept = (usize::MAX, &shared.load.exchanges);
        let upstream = match begins {
            Begins::Http2 => Upstream::http2(dial, self.authority.clone(), &shared.upstreams),
            _ => Upstream::http1(dial, &shared.upstreams, idle, shared.max_fields, kept, &shared.meter),
        };
        self.serve_via(begins, Replay::new(first, client), scheme, upstream, (verified_tls, names_agree))
    }

    /// Serves a client whose requests go to `upstream`.
    pub(super) fn serve_via<S>(
        self,
        begins: Begins,
        client: S,
        scheme: Scheme,
        upstream: Upstream,
        (verified_tls, names_agree): (bool, bool),
    ) -> Pin<Box<dyn Future<Output = ()> + Send>>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let Self { shared, connection, named, authority } = self;
        let via = Arc::new(Via { scheme, authority, named, names_agree, verified_tls, upstream });
        match begins {
            Begins::Http2 => Box::pin(serve_http2(shared, connection, via, client)),
            _ => Box::pin(serve_http1(shared, connection, Some(via), client)),
        }
    }
}
