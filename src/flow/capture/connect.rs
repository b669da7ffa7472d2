//! CONNECT → tunnel: dialled before it is promised, then carried.

use super::{authority::Authority, listener::Connection, patience::Busy, proxy::Shared, relay::relay, reply::Refusal};
use hudsucker::{
    Body,
    hyper::{self, Request, Response, body::Incoming, upgrade::Upgraded},
    hyper_util::rt::TokioIo,
};
use posture::UnscannedReason;
use std::sync::Arc;
use tokio::net::TcpStream;

/// Answers a CONNECT: 200 only once the upstream was reached.
pub(super) async fn answer(
    shared: &Arc<Shared>,
    connection: Arc<Connection>,
    mut request: Request<Incoming>,
    _busy: Busy,
) -> Result<Response<Body>, Refusal> {
    shared.authenticate(request.headers())?;
    let named = request.uri().authority().and_then(|named| Authority::of(named, None));
    let authority = named.ok_or(Refusal::BadRequest("target"))?;
    let upstream = shared.dial.connect(&authority.host, authority.port).await?;
    let upgrade = hyper::upgrade::on(&mut request);
    let inner = Arc::clone(shared);
    shared.spawn(async move {
        if let Ok(client) = upgrade.await {
            carry(&inner, &connection, client, upstream).await;
        }
    });
    Ok(Response::new(Body::empty()))
}

/// Carries what a client and an upstream say to each other.
async fn carry(shared: &Shared, connection: &Connection, client: Upgraded, upstream: TcpStream) {
    let ticket = connection.ticket.opaque(UnscannedReason::Tunnel);
    relay(TokioIo::new(client), upstream, &ticket, shared.timeouts.tunnel_idle, &shared.stopping).await;
}
