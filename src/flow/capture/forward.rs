//! Request → upstream → Response, unchanged: the one way of every request, plain or decrypted.

use super::{
    authority::{Authority, default_port},
    hop::{self, Keep},
    listener::Connection,
    message::{Field, Head, Route, StartLine},
    parent::Parent,
    patience::Busy,
    proxy::Shared,
    relay::relay,
    reply::Refusal,
    tee::{fields, promised, relayed, unmeasured},
    upstream::Upstream,
    websocket::{Extensions, Websocket},
};
use bytes::Bytes;
use hudsucker::{
    Body,
    hyper::{
        self, Method, Request, Response, StatusCode, Uri, Version,
        body::{Body as _, Incoming},
        ext::ReasonPhrase,
        header::{CONTENT_LENGTH, PROXY_AUTHORIZATION},
        http::{
            response,
            uri::{self, Scheme},
        },
        upgrade::OnUpgrade,
    },
    hyper_util::rt::TokioIo,
};
use posture::{Direction, Protocol};
use std::sync::Arc;

/// What a tunnel carried and we read: where it goes, and how far that is proven.
pub(super) struct Via {
    pub(super) scheme: Scheme,
    pub(super) authority: Authority,
    /// As the CONNECT named it.
    pub(super) named: uri::Authority,
    /// The name in the TLS handshake, when there was one, is that of the CONNECT.
    pub(super) names_agree: bool,
    pub(super) verified_tls: bool,
    pub(super) upstream: Upstream,
}

impl Via {
    /// Nothing can be reached this way: the next connection may fare better.
    pub(super) fn has_failed(&self) -> bool {
        matches!(self.upstream, Upstream::Failed(_))
    }
}

/// Relays one request and its response.
pub(super) async fn answer(
    shared: &Arc<Shared>,
    connection: &Arc<Connection>,
    via: Option<&Via>,
    mut request: Request<Incoming>,
    busy: Busy,
) -> Result<Response<Body>, Refusal> {
    if via.is_none() {
        shared.authenticate(request.headers())?;
        connection.known();
    }
    shared.arrived(request.headers());
    if !hop::one_framing(request.headers()) {
        return Err(Refusal::Misframed("transfer_encoding"));
    }
    let http2 = request.version() == Version::HTTP_2;
    let target = target(request.uri());
    let route = Arc::new(match via {
        None => plain_route(connection, &request)?,
        Some(via) => inner_route(connection, via, &mut request)?,
    });
    connection.ticket.head_read();
    let from_client = hyper::upgrade::on(&mut request);
    let (mut parts, body) = request.into_parts();
    parts.extensions.remove::<OnUpgrade>();
    let keep = if parts.method == Method::GET { hop::upgrade(&parts.headers) } else { Keep::Nothing };
    hop::end_to_end(&mut parts.headers, keep);
    let asked = shared.tap.open(Head {
        direction: Direction::Outbound,
        route: Arc::clone(&route),
        start: StartLine::Request { method: Bytes::copy_from_slice(parts.method.as_str().as_bytes()), target },
        fields: fields(&parts.headers),
    });
    if via.is_none()
        && let Some(authorization) = shared.dial.parent(&route.host).and_then(Parent::authorization)
    {
        parts.headers.insert(PROXY_AUTHORIZATION, authorization.clone());
    }
    let body = if http2 && body.is_end_stream() { unmeasured() } else { relayed(body, asked, busy.clone()) };
    let request = Request::from_parts(parts, body);

    let upstream = via.map_or(&shared.upstream, |via| &via.upstream);
    let mut response = upstream.request(request).await?;
    let switched = response.status() == StatusCode::SWITCHING_PROTOCOLS;
    if switched && keep == Keep::Nothing {
        return Err(Refusal::UpstreamFailed("unasked_upgrade"));
    }
    let from_upstream = switched.then(|| hyper::upgrade::on(&mut response));
    let (mut parts, body) = response.into_parts();
    hop::end_to_end(&mut parts.headers, if switched { keep } else { Keep::Nothing });
    if let Some(from_upstream) = from_upstream {
        let ways = websocket(shared, connection, &route, Extensions::agreed(&parts.headers));
        relay_upgrade(shared, ways, from_client, from_upstream);
    }
    let mut said = fields(&parts.headers);
    said.extend(reason(&parts));
    let told = shared.tap.open(Head {
        direction: Direction::Inbound,
        route,
        start: StartLine::Response { status: parts.status.as_u16() },
        fields: said,
    });
    parts.version = if http2 { Version::HTTP_2 } else { Version::HTTP_11 };
    let body = match length_of_unmodified(&parts) {
        Some(length) if !http2 => promised(length),
        _ => relayed(body, told, busy),
    };
    Ok(Response::from_parts(parts, body))
}

/// A request target as its `Display` has it, at a fraction of the cost.
fn target(uri: &Uri) -> Bytes {
    let scheme = uri.scheme_str().map_or(["", ""], |scheme| [scheme, "://"]);
    let query = uri.query().map_or(["", ""], |query| ["?", query]);
    let authority = uri.authority().map_or("", uri::Authority::as_str);
    let [scheme, colon] = scheme;
    let [mark, query] = query;
    [scheme, colon, authority, uri.path(), mark, query].concat().into()
}

/// Where a request to the proxy itself goes: its target must say (RFC 9112, section 3.2.2).
fn plain_route(connection: &Connection, request: &Request<Incoming>) -> Result<Route, Refusal> {
    let uri = request.uri();
    let (Some(scheme), Some(named)) = (uri.scheme(), uri.authority()) else {
        return Err(Refusal::BadRequest("not_absolute_form"));
    };
    if *scheme == Scheme::HTTPS {
        return Err(Refusal::NotImplemented("https_needs_connect"));
    }
    if *scheme != Scheme::HTTP {
        return Err(Refusal::NotImplemented("scheme"));
    }
    let authority = Authority::of(named, default_port(scheme)).ok_or(Refusal::BadRequest("target"))?;
    Ok(Route {
        protocol: Protocol::Http,
        source: connection.source,
        names_agree: authority.agrees_with_host(request.headers(), 80),
        verified_tls: false,
        host: authority.host,
        port: authority.port,
    })
}

/// Where a request inside a tunnel goes: where the tunnel goes, whatever the request names.
fn inner_route(connection: &Connection, via: &Via, request: &mut Request<Incoming>) -> Result<Route, Refusal> {
    if request.method() == Method::CONNECT {
        return Err(Refusal::BadRequest("nested_connect"));
    }
    let default = default_port(&via.scheme).unwrap_or_default();
    let target = request.uri().authority().map(|named| Authority::of(named, Some(default)));
    let names_agree = via.names_agree
        && target.is_none_or(|target| target.as_ref() == Some(&via.authority))
        && via.authority.agrees_with_host(request.headers(), default);
    let mut parts = std::mem::take(request.uri_mut()).into_parts();
    parts.scheme = Some(via.scheme.clone());
    // HTTP/1 sends Host as it came, and the URI says where to dial. HTTP/2 sends the authority, which stays as it came.
    if parts.authority.is_none() || request.version() != Version::HTTP_2 {
        parts.authority = Some(via.named.clone());
    }
    *request.uri_mut() = Uri::from_parts(parts).map_err(|_| Refusal::BadRequest("target"))?;
    Ok(Route {
        protocol: if via.scheme == Scheme::HTTPS { Protocol::Https } else { Protocol::Http },
        host: via.authority.host.clone(),
        port: via.authority.port,
        source: connection.source,
        names_agree,
        verified_tls: via.verified_tls,
    })
}

/// The reason phrase as a field, when it is the origin's own: it may say as much as one.
fn reason(head: &response::Parts) -> Option<Field> {
    let phrase = head.extensions.get::<ReasonPhrase>()?;
    Some(Field { name: Bytes::from_static(b":reason"), value: Bytes::copy_from_slice(phrase.as_bytes()) })
}

fn length_of_unmodified(head: &response::Parts) -> Option<u64> {
    let length = head.headers.get(CONTENT_LENGTH).filter(|_| head.status == StatusCode::NOT_MODIFIED)?;
    length.to_str().ok()?.parse().ok()
}

/// The two ways of an upgraded connection, from the client and to it, as the scanners are shown them.
fn websocket(shared: &Shared, connection: &Arc<Connection>, route: &Route, extensions: Extensions) -> [Websocket; 2] {
    let secured = route.protocol == Protocol::Https;
    let protocol = if secured { Protocol::Wss } else { Protocol::Ws };
    let route = Arc::new(Route { protocol, ..route.clone() });
    let heads = [Direction::Outbound, Direction::Inbound].map(|direction| Head {
        direction,
        route: Arc::clone(&route),
        start: StartLine::WebSocket,
        fields: Vec::new(),
    });
    extensions.ways(connection, &shared.tap, heads)
}

/// Ties both sides of an upgraded connection together.
fn relay_upgrade(shared: &Arc<Shared>, ways: [Websocket; 2], client: OnUpgrade, upstream: OnUpgrade) {
    let inner = Arc::clone(shared);
    shared.tasks.spawn(async move {
        if let (Ok(client), Ok(upstream)) = tokio::join!(client, upstream) {
            let (client, upstream) = (TokioIo::new(client), TokioIo::new(upstream));
            let [mut up, mut down] = ways;
            let (up, down) = (|bytes: &[u8]| up.passed(bytes), |bytes: &[u8]| down.passed(bytes));
            relay(client, upstream, up, down, inner.timeouts.tunnel_idle, &inner.stopping).await;
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_told_as_it_came() {
        for text in [
            "http://origin:8080/a%2Fb?q=%20x&y",
            "http://origin",
            "http://origin?q",
            "https://user@Origin/",
            "/",
            "/a?",
            "*",
            "origin:443",
        ] {
            let uri: Uri = text.parse().unwrap();
            assert_eq!(target(&uri), uri.to_string(), "{text}");
        }
    }
}
