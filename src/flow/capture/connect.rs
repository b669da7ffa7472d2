//! CONNECT → what it carries: HTTP is read, anything else is a tunnel, counted under its reason.
//!
//! The upstream is dialled before the tunnel is promised. Then whoever speaks first decides, and **no timer ever
//! makes a tunnel**: a client that begins and does not go on is closed, a silent pair waits until it is idle too long.

use super::{
    authority::Authority,
    forward::Via,
    listener::{Connection, serve_http1},
    message::{Head, Route, StartLine},
    patience::Busy,
    proxy::{Shared, upstream},
    recognise::{Begins, recognise},
    relay::relay,
    reply::Refusal,
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
use std::{io::Cursor, pin::Pin, sync::Arc};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
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
    let named = request.uri().authority().cloned().ok_or(Refusal::BadRequest("target"))?;
    let authority = Authority::of(&named, None).ok_or(Refusal::BadRequest("target"))?;
    shared.tap.name(name(&connection, &named, &authority));
    let upstream = shared.dial.connect(&authority.host, authority.port).await?;
    let upgrade = hyper::upgrade::on(&mut request);
    let tunnel = Tunnel { shared: Arc::clone(shared), connection, named, authority, upstream };
    shared.tasks.spawn(async move {
        if let Ok(client) = upgrade.await {
            tunnel.carry(TokioIo::new(client)).await;
        }
    });
    Ok(Response::new(Body::empty()))
}

/// What asking for a tunnel says: its target, which a name server is told, reached or not.
fn name(connection: &Connection, named: &uri::Authority, authority: &Authority) -> Head {
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
        start: StartLine::Request {
            method: Bytes::from_static(b"CONNECT"),
            target: Bytes::copy_from_slice(named.as_str().as_bytes()),
        },
        fields: Vec::new(),
    }
}

/// A tunnel promised to a client, and the upstream reached for it.
struct Tunnel {
    shared: Arc<Shared>,
    connection: Arc<Connection>,
    named: uri::Authority,
    authority: Authority,
    upstream: TcpStream,
}

type Client = TokioIo<Upgraded>;

impl Tunnel {
    /// Carries what a client and an upstream say to each other: the place where inspection sits.
    async fn carry(self, mut client: Client) {
        let mut first = Vec::with_capacity(256);
        match self.first_words(&mut client, &mut first).await {
            Err(reason @ UnscannedReason::IncompleteHead) => self.connection.ticket.settle(Some(reason)),
            Err(reason) => self.relay(client, &first, reason).await,
            Ok(Begins::Http1) => self.serve(client, first).await,
            Ok(Begins::Tls) => self.relay(client, &first, UnscannedReason::Tunnel).await,
            Ok(_) => self.relay(client, &first, UnscannedReason::UnknownProtocol).await,
        }
    }

    /// Waits for whoever speaks first, and if it is the client, until it can be told what it says.
    async fn first_words(&self, client: &mut Client, first: &mut Vec<u8>) -> Result<Begins, UnscannedReason> {
        let timeouts = &self.shared.timeouts;
        let mut deadline = Instant::now() + timeouts.tunnel_idle;
        let mut peeked = [0];
        loop {
            let silent = first.is_empty();
            let read = tokio::select! {
                biased;
                read = client.read_buf(first) => read,
                _ = self.upstream.peek(&mut peeked), if silent => return Err(UnscannedReason::ServerFirst),
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
    async fn relay(mut self, client: Client, first: &[u8], reason: UnscannedReason) {
        let ticket = self.connection.ticket.opaque(reason);
        if self.upstream.write_all(first).await.is_ok() {
            ticket.relayed(first.len() as u64);
            relay(client, self.upstream, &ticket, self.shared.timeouts.tunnel_idle, &self.shared.stopping).await;
        }
    }

    /// Reads the requests, and relays them the way of every request, over the connection already made.
    ///
    /// Boxed, because a request inside is served by what serves the CONNECT.
    fn serve(self, client: Client, first: Vec<u8>) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let Self { shared, connection, named, authority, upstream: stream } = self;
        let dial = shared.dial.starting_with(stream);
        let upstream = upstream(dial, &shared.upstreams, shared.timeouts.keep_alive_idle);
        let via = Via { scheme: Scheme::HTTP, authority, named, verified_tls: false, upstream };
        let (reader, writer) = tokio::io::split(client);
        let client = tokio::io::join(Cursor::new(first).chain(reader), writer);
        Box::pin(serve_http1(shared, connection, Some(Arc::new(via)), client))
    }
}
