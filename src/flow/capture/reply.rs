//! Refusal → Response: what the proxy says for itself, in closed words.
//!
//! A reply never holds a byte of the request, nor the `Display` of an error: both could echo what the client sent.

use hudsucker::{
    Body,
    hyper::{
        Response, StatusCode,
        header::{CONNECTION, CONTENT_TYPE, HeaderValue, PROXY_AUTHENTICATE},
    },
};

/// Why the proxy answers itself instead of relaying.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// More client connections than allowed.
    Busy,
    /// A request the proxy cannot read as one to relay.
    BadRequest(&'static str),
    /// The destination is this proxy.
    Loop,
    /// A request whose end not every reader sees in the same place. Nothing that follows it is read.
    Misframed(&'static str),
    /// A scheme or a mechanism the proxy does not relay.
    NotImplemented(&'static str),
    /// No credential, or a wrong one.
    Unauthenticated,
    /// The upstream was reached and did not give an answer.
    UpstreamFailed(&'static str),
    /// The upstream was not reached.
    Unreachable(&'static str),
    /// More requests under way than allowed.
    Overloaded,
}

impl Refusal {
    /// The word for each variant, in their order.
    pub(super) const WORDS: [&'static str; 9] = [
        "too_many_connections",
        "bad_request",
        "loop_detected",
        "misframed_request",
        "not_implemented",
        "proxy_authentication_required",
        "upstream_failed",
        "upstream_unreachable",
        "too_many_exchanges",
    ];

    pub(super) fn index(self) -> usize {
        match self {
            Self::Busy => 0,
            Self::BadRequest(_) => 1,
            Self::Loop => 2,
            Self::Misframed(_) => 3,
            Self::NotImplemented(_) => 4,
            Self::Unauthenticated => 5,
            Self::UpstreamFailed(_) => 6,
            Self::Unreachable(_) => 7,
            Self::Overloaded => 8,
        }
    }

    fn status(self) -> StatusCode {
        match self {
            Self::Busy | Self::Overloaded => StatusCode::SERVICE_UNAVAILABLE,
            Self::BadRequest(_) | Self::Misframed(_) => StatusCode::BAD_REQUEST,
            Self::Loop => StatusCode::LOOP_DETECTED,
            Self::NotImplemented(_) => StatusCode::NOT_IMPLEMENTED,
            Self::Unauthenticated => StatusCode::PROXY_AUTHENTICATION_REQUIRED,
            Self::UpstreamFailed(_) | Self::Unreachable(_) => StatusCode::BAD_GATEWAY,
        }
    }

    fn json(self) -> String {
        let word = Self::WORDS[self.index()];
        match self {
            Self::BadRequest(why)
            | Self::Misframed(why)
            | Self::NotImplemented(why)
            | Self::UpstreamFailed(why)
            | Self::Unreachable(why) => {
                format!("{{\"error\":\"{word}\",\"reason\":\"{why}\"}}\n")
            }
            Self::Busy | Self::Overloaded | Self::Loop | Self::Unauthenticated => format!("{{\"error\":\"{word}\"}}\n"),
        }
    }

    /// The reply.
    pub(super) fn response(self) -> Response<Body> {
        let mut response = Response::new(Body::from(self.json()));
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if matches!(self, Self::Misframed(_)) {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        if self == Self::Unauthenticated {
            let challenge = HeaderValue::from_static("Basic realm=\"hermes-traffic-guardian\"");
            headers.insert(PROXY_AUTHENTICATE, challenge);
        }
        response
    }

    /// The reply as bytes, for a connection that HTTP is not spoken on yet.
    pub(super) fn raw(self) -> String {
        let (status, json) = (self.status(), self.json());
        format!(
            "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{json}",
            json.len()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reply_is_json_of_closed_words() {
        let all = [
            Refusal::Busy,
            Refusal::BadRequest("origin_form"),
            Refusal::Loop,
            Refusal::Misframed("transfer_encoding"),
            Refusal::NotImplemented("scheme"),
            Refusal::Unauthenticated,
            Refusal::UpstreamFailed("closed"),
            Refusal::Unreachable("timed_out"),
            Refusal::Overloaded,
        ];
        for (at, refusal) in all.into_iter().enumerate() {
            assert_eq!(refusal.index(), at);
            let json: serde_json::Value = serde_json::from_str(&refusal.json()).unwrap();
            assert_eq!(json["error"], Refusal::WORDS[at]);
            assert!(refusal.status().as_u16() >= 400);
        }
    }
}
