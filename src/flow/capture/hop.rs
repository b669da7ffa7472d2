//! Header fields of one connection, kept off the next (RFC 9110, section 7.6.1).

use hudsucker::hyper::{
    HeaderMap,
    header::{self, HeaderName, HeaderValue},
};

/// Never for the next hop, named by Connection or not.
const HOP_BY_HOP: [HeaderName; 7] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::UPGRADE,
];
/// For the next hop, though Connection may name them: without them the message would be another one.
///
/// Transfer-Encoding stays because the body's codings do: the engine undoes and redoes only `chunked`.
const KEPT: [HeaderName; 4] = [header::CONTENT_LENGTH, header::HOST, header::TRAILER, header::TRANSFER_ENCODING];

/// What a request's transfer may be coded in before it is chunked (RFC 9112, section 7).
const CODINGS: [&str; 5] = ["gzip", "x-gzip", "deflate", "compress", "x-compress"];

/// What passes in spite of being hop-by-hop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keep {
    /// Nothing.
    Nothing,
    /// The agreement to speak WebSocket from here on.
    WebSocket,
}

/// Whether these fields ask for a WebSocket. Any other upgrade is not passed on: the exchange stays readable.
pub(super) fn upgrade(headers: &HeaderMap) -> Keep {
    let asked = lists(headers, &header::CONNECTION, "upgrade") && lists(headers, &header::UPGRADE, "websocket");
    if asked { Keep::WebSocket } else { Keep::Nothing }
}

/// Whether a request's body has one reading alone: `chunked` once and last, and nothing before it that one server knows and
/// another does not. Such a server takes no notice of the field, and the body for the next request.
pub(super) fn one_framing(headers: &HeaderMap) -> bool {
    if !headers.contains_key(header::TRANSFER_ENCODING) {
        return true;
    }
    let is = |token: &[u8], coding: &str| token.eq_ignore_ascii_case(coding.as_bytes());
    let codings: Vec<_> = tokens(headers, &header::TRANSFER_ENCODING).collect();
    codings.split_last().is_some_and(|(last, before)| {
        is(last, "chunked") && before.iter().all(|token| CODINGS.iter().any(|coding| is(token, coding)))
    })
}

/// Leaves what is meant for the other end, in its order.
pub(super) fn end_to_end(headers: &mut HeaderMap, keep: Keep) {
    let mut named: Vec<HeaderName> = tokens(headers, &header::CONNECTION)
        .filter_map(|token| HeaderName::from_bytes(token).ok())
        .filter(|name| !KEPT.contains(name))
        .collect();
    // Of two lengths, the one that counts (RFC 9112, section 6.3).
    if headers.contains_key(header::TRANSFER_ENCODING) && headers.contains_key(header::CONTENT_LENGTH) {
        named.push(header::CONTENT_LENGTH);
    }
    if named.is_empty() && !headers.keys().any(|name| HOP_BY_HOP.contains(name)) {
        return;
    }
    let trailers = lists(headers, &header::TE, "trailers");
    // Removing a field in place would move the last one into its place.
    let mut left = HeaderMap::with_capacity(headers.len());
    let mut name = None;
    for (next, value) in std::mem::take(headers) {
        // A further value of a name comes without it.
        name = next.or(name);
        let Some(name) = &name else { continue };
        if *name == header::TE && trailers {
            left.insert(header::TE, HeaderValue::from_static("trailers"));
        } else if *name == header::CONNECTION && keep == Keep::WebSocket {
            left.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
        } else if (*name == header::UPGRADE && keep == Keep::WebSocket)
            || !(HOP_BY_HOP.contains(name) || named.contains(name))
        {
            left.append(name, value);
        }
    }
    *headers = left;
}

fn tokens<'h>(headers: &'h HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'h [u8]> {
    headers.get_all(name).iter().flat_map(|v| v.as_bytes().split(|b| *b == b',')).map(<[u8]>::trim_ascii)
}

fn lists(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    tokens(headers, name).any(|t| t.eq_ignore_ascii_case(token.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(fields: &[(&str, &str)]) -> HeaderMap {
        fields.iter().map(|(n, v)| (n.parse::<HeaderName>().unwrap(), v.parse::<HeaderValue>().unwrap())).collect()
    }

    fn left(fields: &[(&str, &str)], keep: Keep) -> Vec<(String, String)> {
        let mut headers = headers(fields);
        end_to_end(&mut headers, keep);
        headers.iter().map(|(n, v)| (n.to_string(), v.to_str().unwrap().to_owned())).collect()
    }

    #[test]
    fn what_connection_names_goes_and_order_stays() {
        let left = left(
            &[
                ("a", "1"),
                ("connection", "keep-alive, X-Hop"),
                ("x-hop", "secret"),
                ("host", "h"),
                ("keep-alive", "timeout=5"),
                ("proxy-connection", "keep-alive"),
                ("proxy-authorization", "Basic x"),
                ("proxy-authenticate", "Basic"),
                ("te", "gzip"),
                ("upgrade", "h2c"),
                ("z", "2"),
                ("b", "3"),
            ],
            Keep::Nothing,
        );
        let names: Vec<_> = left.iter().map(|(n, _)| n.as_str()).collect();
        assert_eq!(names, ["a", "host", "z", "b"]);
    }

    #[test]
    fn connection_cannot_take_away_what_makes_the_message() {
        let fields =
            [("connection", "host, content-length, transfer-encoding, trailer"), ("host", "h"), ("trailer", "t")];
        assert_eq!(left(&fields, Keep::Nothing).len(), 2);
    }

    #[test]
    fn trailers_are_still_asked_for() {
        let te = left(&[("te", "gzip, Trailers;q=1, trailers"), ("connection", "TE")], Keep::Nothing);
        assert_eq!(te, [("te".to_owned(), "trailers".to_owned())]);
    }

    #[test]
    fn only_a_websocket_is_an_upgrade() {
        assert_eq!(
            upgrade(&headers(&[("connection", "keep-alive, Upgrade"), ("upgrade", "WebSocket")])),
            Keep::WebSocket
        );
        assert_eq!(upgrade(&headers(&[("connection", "Upgrade, HTTP2-Settings"), ("upgrade", "h2c")])), Keep::Nothing);
        assert_eq!(upgrade(&headers(&[("upgrade", "websocket")])), Keep::Nothing);
        let kept = left(&[("connection", "Upgrade"), ("upgrade", "websocket")], Keep::WebSocket);
        assert_eq!(kept.len(), 2);
    }

    #[test]
    fn a_body_is_framed_in_one_way_or_not_at_all() {
        let framed = |values: &[&str]| {
            one_framing(&headers(&values.iter().map(|value| ("transfer-encoding", *value)).collect::<Vec<_>>()))
        };
        assert!(framed(&[]));
        for one in
            [&["chunked"][..], &["Chunked"], &["gzip, chunked"], &["x-gzip,\tDeflate , chunked"], &["gzip", "chunked"]]
        {
            assert!(framed(one), "{one:?}");
        }
        for other in [
            &["chunked, chunked"][..],
            &["chunked", "chunked"],
            &["identity, chunked"],
            &["cow", "chunked"],
            &["xchunked"],
            &["chunked, gzip"],
            &["gzip"],
            &["identity"],
            &[""],
            &["chunked,"],
            &[", chunked"],
            &["gzip;q=1, chunked"],
            &["\"chunked\""],
        ] {
            assert!(!framed(other), "{other:?}");
        }
    }

    #[test]
    fn without_hop_by_hop_fields_nothing_changes() {
        let fields = [("b", "1"), ("a", "2"), ("b", "3")];
        assert_eq!(left(&fields, Keep::Nothing).len(), 3);
    }
}
