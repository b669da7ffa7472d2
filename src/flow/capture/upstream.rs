//! Request → the connection it goes out on → Response, in the version its client speaks.

use super::{
    authority::Authority,
    dial::{Dial, DialError},
    meter::Meter,
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
    },
    hyper_util::{
        client::legacy::Client,
        rt::{TokioIo, TokioTimer},
    },
};
use std::{error::Error, time::Duration};
use tokio::sync::Mutex;

/// Where requests go out.
pub(super) enum Upstream {
    /// Connections of HTTP/1.1, dialled where a request's URI says, and used again; what they say that goes no further is
    /// counted.
    Http1(Box<Client<Dial, Body>>, Meter),
    /// One connection of HTTP/2, to one place.
    Http2(Box<Http2>),
    /// None: every request is refused so.
    Failed(Refusal),
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
    /// judge.
    pub(super) fn http1(dial: Dial, tasks: &Tasks, idle: Duration, max_fields: usize, meter: &Meter) -> Self {
        let mut client = Client::builder(tasks.clone());
        if max_fields != ENGINE_FIELDS {
            client.http1_max_headers(max_fields);
        }
        let client = client
            .http1_preserve_header_case(true)
            .http1_max_buf_size(READ_BUFFER)
            .http1_allow_obsolete_multiline_headers_in_responses(true)
            .http1_allow_spaces_after_header_name_in_responses(true)
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(idle)
            .build(dial);
        Self::Http1(Box::new(client), meter.clone())
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
            Self::Http1(client, meter) => {
                *request.version_mut() = Version::HTTP_11;
                let meter = meter.clone();
                // Whoever expects a 100 has it from us.
                hyper::ext::on_informational(&mut request, move |response| {
                    if response.status() != StatusCode::CONTINUE {
                        meter.informational();
                    }
                });
                client.request(request).await.map_err(|error| refusal(&error))
            }
            Self::Http2(connection) => {
                *request.version_mut() = Version::HTTP_2;
                connection.request(request).await
            }
            Self::Failed(why) => Err(*why),
        }
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
