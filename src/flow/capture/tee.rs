//! Body → the same body, and a copy of it to the tap.
//!
//! Length, end and trailers are the inner body's own, so that the engine frames it as it came.

use super::{message::Field, patience::Busy, tap::TapMessage};
use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use hudsucker::{
    Body, Error,
    hyper::{
        HeaderMap,
        body::{Body as HttpBody, Frame, Incoming, SizeHint},
    },
};
use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

/// A body on its way through.
struct Tee {
    body: Incoming,
    // None once the body has ended: the message ends then, not when the connection lets go of it.
    message: Option<TapMessage>,
    _busy: Busy,
}

/// `body`, relayed as it comes and shown to `message`. `busy` lasts as long as the body does.
pub(super) fn relayed(body: Incoming, message: TapMessage, busy: Busy) -> Body {
    if body.is_end_stream() {
        return Body::from(body);
    }
    Body::from(BoxBody::new(Tee { body, message: Some(message), _busy: busy }))
}

/// The body of a 304: none, and yet its Content-Length stands (RFC 9110, section 8.6). Given an empty body, the engine
/// would take the field away.
pub(super) fn promised(length: u64) -> Body {
    Body::from(BoxBody::new(Promised(length)))
}

struct Promised(u64);

/// No body and no word about its length: told that a request of HTTP/2 has none, the engine would add a Content-Length.
pub(super) fn unmeasured() -> Body {
    Body::from(BoxBody::new(Unmeasured))
}

struct Unmeasured;

impl HttpBody for Unmeasured {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        Poll::Ready(None)
    }

    fn is_end_stream(&self) -> bool {
        true
    }
}

impl HttpBody for Promised {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        Poll::Ready(None)
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0)
    }
}

impl HttpBody for Tee {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        match (&frame, &mut self.message) {
            (Some(Ok(frame)), Some(message)) => {
                if let Some(piece) = frame.data_ref() {
                    message.body(piece);
                } else if let Some(trailers) = frame.trailers_ref() {
                    message.trailers(fields(trailers));
                }
            }
            _ => self.message = None,
        }
        Poll::Ready(frame.map(|frame| frame.map_err(Error::from)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Header or trailer fields in their order, copied together: a value is a slice of the engine's read buffer.
pub(super) fn fields(headers: &HeaderMap) -> Vec<Field> {
    let length = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    let mut copy = Vec::with_capacity(length);
    for (name, value) in headers {
        copy.extend_from_slice(name.as_str().as_bytes());
        copy.extend_from_slice(value.as_bytes());
    }
    let mut copy = Bytes::from(copy);
    let mut take = |length| copy.split_to(length);
    headers.iter().map(|(name, value)| Field { name: take(name.as_str().len()), value: take(value.len()) }).collect()
}
