//! Request → the connection it goes out on → Response, in the version its client speaks.

use super::{
    authority::Authority,
    dial::{Dial, DialError},
    meter::Meter,
    patience::Exchanges,
    proxy::{ENGINE_FIELDS, MAX_HEAD},
    reply::Refusal,
    tap::READ_BUFFER,
    tasks::Tasks,
};
use hudsucker::{
    Body,
    hyper::{
        self, Request, Response, StatusCode, Version,
        body::Incoming,
        client::conn::http2::{self, SendRequest},
        rt::Executor,
    },
    hyper_util::{
        client::legacy::{Builder, Client, ResponseFuture},
        rt::{TokioIo, TokioTimer},
    },
};
use std::{
    error::Error,
    sync::{PoisonError, RwLock},
    time::Duration,
};
use tokio::sync::Mutex;
use tokio_util::task::TaskTracker;

/// Where requests go out.
pub(super) enum Upstream {
    /// Connections of HTTP/1.1, dialled where a request's URI says, and used again; what they say that goes no further is
    /// counted.
    Http1(Box<Pool>, Meter),
    /// One connection of HTTP/2, to one place.
    Http2(Box<Http2>),
    /// None: every request is refused so.
    Failed(Refusal),
}

/// Connections of HTTP/1.1 to any number of places. Who goes from place to place leaves one behind at each, which nobody
/// may ask for again: when there are too many, those not in use are let go.
pub(super) struct Pool {
    client: RwLock<Client<Dial, Body>>,
    builder: Builder,
    dial: Dial,
    open: TaskTracker,
    /// Connections that may be there without an exchange.
    most: usize,
    exchanges: Exchanges,
}

/// Runs what the engine does for connections, one task each, and counts them.
#[derive(Clone)]
struct Counting {
    tasks: Tasks,
    open: TaskTracker,
}

/// One connection of HTTP/2, made again when it has ended.
pub(super) struct Http2 {
    dial: Dial,
    to: Authority,
    tasks: Tasks,
    open: Mutex<Option<SendRequest<Body>>>,
}

impl Upstream {
    /// A client that changes nothing it was not asked to.
    ///
    /// It reads what clients read: a folded field, or a space before its colon, are an origin's old ways, not ours to
    /// judge. With more than `most` connections beyond the exchanges under way, those not in use end.
    pub(super) fn http1(
        dial: Dial,
        tasks: &Tasks,
        idle: Duration,
        max_fields: usize,
        (most, exchanges): (usize, &Exchanges),
        meter: &Meter,
    ) -> Self {
        let open = TaskTracker::new();
        let mut builder = Client::builder(Counting { tasks: tasks.clone(), open: open.clone() });
        if max_fields != ENGINE_FIELDS {
            builder.http1_max_headers(max_fields);
        }
        builder
            .http1_preserve_header_case(true)
            .http1_max_buf_size(READ_BUFFER)
            .http1_allow_obsolete_multiline_headers_in_responses(true)
            .http1_allow_spaces_after_header_name_in_responses(true)
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(idle);
        let client = RwLock::new(builder.build(dial.clone()));
        Self::Http1(Box::new(Pool { client, builder, dial, open, most, exchanges: exchanges.clone() }), meter.clone())
    }

    /// One connection of HTTP/2.
    ///
    /// Not the pooled client: that one keeps a connection for each authority it is asked for, and here all go to `to`,
    /// whatever their `:authority` says.
    pub(super) fn http2(dial: Dial, to: Authority, tasks: &Tasks) -> Self {
        Self::Http2(Box::new(Http2 { dial, to, tasks: tasks.clone(), open: Mutex::default() }))
    }

    /// Sends one request.
    pub(super) async fn request(&self, mut request: Request<Body>) -> Result<Response<Incoming>, Refusal> {
        match self {
            Self::Http1(pool, meter) => {
                *request.version_mut() = Version::HTTP_11;
                let meter = meter.clone();
                // Whoever expects a 100 has it from us.
                hyper::ext::on_informational(&mut request, move |response| {
                    if response.status() != StatusCode::CONTINUE {
                        meter.informational();
                    }
                });
                pool.request(request).await.map_err(|error| refusal(&error))
            }
            Self::Http2(connection) => {
                *request.version_mut() = Version::HTTP_2;
                connection.request(request).await
            }
            Self::Failed(why) => Err(*why),
        }
    }
}

impl Pool {
    fn request(&self, request: Request<Body>) -> ResponseFuture {
        // An exchange uses one connection at most: what is beyond them waits.
        if self.open.len().saturating_sub(self.exchanges.now()) > self.most {
            // What is in use goes on, and ends when it is done.
            *self.client.write().unwrap_or_else(PoisonError::into_inner) = self.builder.build(self.dial.clone());
        }
        self.client.read().unwrap_or_else(PoisonError::into_inner).request(request)
    }
}

impl<F> Executor<F> for Counting
where
    F: Future<Output: Send> + Send + 'static,
{
    fn execute(&self, work: F) {
        self.tasks.execute(self.open.track_future(work));
    }
}

impl Http2 {
    async fn request(&self, request: Request<Body>) -> Result<Response<Incoming>, Refusal> {
        let mut failed = match self.sender().await?.try_send_request(request).await {
            Ok(response) => return Ok(response),
            Err(failed) => failed,
        };
        // The server was leaving and has not seen it: as its client would, we knock again.
        let Some(unsent) = failed.take_message() else { return Err(refusal(failed.error())) };
        *self.open.lock().await = None;
        self.sender().await?.try_send_request(unsent).await.map_err(|failed| refusal(failed.error()))
    }

    async fn sender(&self) -> Result<SendRequest<Body>, Refusal> {
        let mut open = self.open.lock().await;
        if let Some(sender) = open.as_ref().filter(|sender| !sender.is_closed()) {
            return Ok(sender.clone());
        }
        let leg = self.dial.leg(&self.to).await?;
        let (sender, connection) = http2::Builder::new(self.tasks.clone())
            .max_header_list_size(u32::try_from(MAX_HEAD).expect("64 KiB"))
            .handshake(TokioIo::new(leg))
            .await
            .map_err(|error| refusal(&error))?;
        self.tasks.spawn(connection);
        *open = Some(sender.clone());
        Ok(sender)
    }
}

/// Why there is no response, as a closed word: an engine's error may echo what it read.
fn refusal(error: &(dyn Error + 'static)) -> Refusal {
    let mut source = Some(error);
    while let Some(cause) = source {
        if let Some(dial) = cause.downcast_ref::<DialError>() {
            return (*dial).into();
        }
        if let Some(error) = cause.downcast_ref::<hyper::Error>() {
            if error.is_user() {
                // Malformed, or its client went away.
                return Refusal::BadRequest("request_body");
            }
            return Refusal::UpstreamFailed(match () {
                () if error.is_parse_too_large() => "response_head_too_large",
                () if error.is_parse() => "malformed_response",
                () if error.is_incomplete_message() || error.is_closed() || error.is_canceled() => "closed",
                () => "connection_failed",
            });
        }
        source = cause.source();
    }
    Refusal::UpstreamFailed("unknown")
}
