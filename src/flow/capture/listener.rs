//! Listener → connections: accepted, limited, counted, and drained when the proxy stops.

use super::{
    connect,
    dial::prepare,
    forward::{self, Via},
    meter::ConnectionTicket,
    newcomers::{Place, Room},
    patience::{Busy, Patience, Watched},
    proxy::{ENGINE_FIELDS, Proxy, Shared},
    reply::Refusal,
};
use hudsucker::{
    Body,
    hyper::{
        self, Method, Request, Response,
        body::Incoming,
        server::conn::{http1, http2},
        service::service_fn,
    },
    hyper_util::rt::TokioIo,
};
use std::{
    convert::Infallible,
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    task::AbortHandle,
    time::sleep,
};
use tokio_util::sync::CancellationToken;

/// Out of descriptors, accepting fails at once and for ever: waiting lets some come free without spinning.
const BACK_OFF: Duration = Duration::from_millis(100);

/// One client connection, shared by all that is carried on it. It is settled when the last of them lets go.
pub(super) struct Connection {
    pub(super) source: IpAddr,
    pub(super) ticket: ConnectionTicket,
    /// A probe takes nobody's.
    pub(super) place: Option<Place>,
}

impl Connection {
    /// The client has shown the credential.
    pub(super) fn known(&self) {
        if let Some(place) = &self.place {
            place.known();
        }
    }
}

pub(super) async fn serve(proxy: Proxy, shutdown: CancellationToken) {
    let Proxy { listener, shared, .. } = proxy;
    let room = &shared.load.room;
    let mut starved = false;
    loop {
        let accepted = tokio::select! {
            biased;
            () = shutdown.cancelled() => break,
            accepted = next(&listener, room) => accepted,
        };
        match accepted {
            Ok((stream, address)) => {
                starved = false;
                match shared.probes.take(address) {
                    Some(probe) => drop(begin(&Arc::new(shared.with(probe)), stream, address.ip(), None)),
                    None => admit(&shared, room, stream, address.ip()),
                }
            }
            Err(error) if is_the_clients(&error) => {}
            Err(_) => {
                if !std::mem::replace(&mut starved, true) {
                    tracing::warn!(reason = "accept_failed", "cannot take connections for now");
                }
                room.make_some(&shared.meter);
                sleep(BACK_OFF).await;
            }
        }
    }
    drop(listener);
    shared.stopping.cancel();
    shared.tasks.end_within(shared.timeouts.drain).await;
    shared.upstreams.end_within(Duration::ZERO).await;
}

async fn next(listener: &TcpListener, room: &Room) -> io::Result<(TcpStream, SocketAddr)> {
    room.ready().await;
    listener.accept().await
}

/// The connection failed before we had it: the next one need not wait.
fn is_the_clients(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

fn admit(shared: &Arc<Shared>, room: &Room, stream: TcpStream, source: IpAddr) {
    let Some(place) = room.take(&shared.meter) else {
        shared.meter.connection().refused();
        // Best effort, and at once: whoever is over the limit must not cost a task.
        let _ = rustix::net::send(&stream, Refusal::Busy.raw().as_bytes(), rustix::net::SendFlags::NOSIGNAL);
        return;
    };
    let number = place.number();
    if let Some(task) = begin(shared, stream, source, Some(place)) {
        room.served_by(number, task);
    }
}

/// The task that serves it, or `None` when it is gone already.
fn begin(shared: &Arc<Shared>, stream: TcpStream, source: IpAddr, place: Option<Place>) -> Option<AbortHandle> {
    let ticket = shared.meter.connection();
    prepare(&stream).ok()?;
    let connection = Arc::new(Connection { source, ticket, place });
    Some(shared.tasks.spawn(serve_http1(Arc::clone(shared), connection, None, stream)))
}

/// Serves HTTP/1 on a client's stream: the connection itself (`via` is `None`), or what a tunnel carries.
///
/// Not the engine's version-guessing server: while it guesses, it knows no time limit. No client of a proxy speaks
/// HTTP/2 to it without TLS.
pub(super) async fn serve_http1<S>(shared: Arc<Shared>, connection: Arc<Connection>, via: Option<Arc<Via>>, stream: S)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let patience = Patience::new(&shared.timeouts);
    let lasting = !via.as_ref().is_some_and(|via| via.has_failed());
    let (stopping, max_head_bytes, max_fields) = (shared.stopping.clone(), shared.max_head_bytes, shared.max_fields);
    let asked = Asked { shared, connection, via, patience: patience.clone() };
    let unread = asked.clone();
    let service = service_fn(move |request| asked.begin(request));
    let io = TokioIo::new(Watched { stream, patience: patience.clone() });
    let mut server = http1::Builder::new();
    server
        .preserve_header_case(true)
        .auto_date_header(false)
        .header_read_timeout(None)
        .keep_alive(lasting)
        .max_buf_size(max_head_bytes);
    if max_fields != ENGINE_FIELDS {
        server.max_headers(max_fields);
    }
    let mut serving = std::pin::pin!(server.serve_connection(io, service).with_upgrades());
    let mut told = false;
    loop {
        tokio::select! {
            ended = &mut serving => return unread.ended(ended),
            () = patience.exhausted() => return,
            () = stopping.cancelled(), if !told => {
                told = true;
                serving.as_mut().graceful_shutdown();
            }
        }
    }
}

/// Serves HTTP/2 on what a tunnel carries.
///
/// Its bytes are not watched as those of HTTP/1 are: between two requests they are pings and settings, and no head.
pub(super) async fn serve_http2<S>(shared: Arc<Shared>, connection: Arc<Connection>, via: Arc<Via>, stream: S)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let patience = Patience::new(&shared.timeouts);
    let (stopping, tasks) = (shared.stopping.clone(), shared.tasks.clone());
    let max_head_bytes = u32::try_from(shared.max_head_bytes).expect("at most 64 KiB");
    let asked = Asked { shared, connection, via: Some(via), patience: patience.clone() };
    let service = service_fn(move |request| asked.begin(request));
    let mut server = http2::Builder::new(tasks);
    server.auto_date_header(false).max_header_list_size(max_head_bytes);
    let mut serving = std::pin::pin!(server.serve_connection(TokioIo::new(stream), service));
    let mut told = false;
    loop {
        tokio::select! {
            _ = &mut serving => return,
            () = patience.exhausted() => return,
            () = stopping.cancelled(), if !told => {
                told = true;
                serving.as_mut().graceful_shutdown();
            }
        }
    }
}

/// Where requests of one connection come from.
#[derive(Clone)]
struct Asked {
    shared: Arc<Shared>,
    connection: Arc<Connection>,
    via: Option<Arc<Via>>,
    patience: Patience,
}

impl Asked {
    /// How a connection ended is its two ends' affair; what it carried is counted. So is a head that could not be read, which
    /// the engine has refused: 400, 414 or 431.
    fn ended(&self, ended: hyper::Result<()>) {
        if ended.is_err_and(|error| error.is_parse()) {
            self.connection.ticket.refused();
            self.shared.meter.refused(Refusal::BadRequest("head"));
        }
    }

    /// Busy from the call on, not from the first poll: the engine may see the client's end between the two.
    fn begin(&self, request: Request<Incoming>) -> impl Future<Output = Result<Response<Body>, Infallible>> + use<> {
        let busy = self.patience.busy(&self.shared.load.exchanges);
        self.clone().answer(request, busy)
    }

    async fn answer(self, request: Request<Incoming>, busy: Busy) -> Result<Response<Body>, Infallible> {
        let Self { shared, connection, via, .. } = self;
        let answer = if shared.load.exchanges.too_many() {
            Err(Refusal::Overloaded)
        } else if request.method() == Method::CONNECT && via.is_none() {
            connect::answer(&shared, Arc::clone(&connection), request, busy).await
        } else {
            forward::answer(&shared, &connection, via.as_deref(), request, busy).await
        };
        if answer.is_err() {
            connection.ticket.refused();
        }
        Ok(answer.unwrap_or_else(|refusal| shared.refuse(refusal)))
    }
}
