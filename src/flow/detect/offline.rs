//! A text from a file → the hits its message would have: the engine of `scan`.
//!
//! A text whose first line is `METHOD target[ HTTP/x]` or a status line is a head, with or without headers and a body;
//! any other text is a body, recognised by its shape.

use super::{Detector, Hit, Scanned, Scanner, decode};
use crate::flow::capture::{Field, Head, Route, StartLine};
use bytes::Bytes;
use memchr::memchr;
use posture::{Direction, Protocol};
use std::{
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
};

/// Scans `text` as one message going in `direction`. Texts have nothing to do with each other: a second one with another
/// key for the same vendor is no second credential of one agent.
///
/// `host`, or else the text's own `Host` field, stands for the CONNECT authority and the SNI too; without either the
/// destination is unknown, and nothing is expected there. Verified TLS on port 443 is assumed, unless the request
/// target is an absolute URL of another scheme than `https` and `wss`, or one of the names has another port.
pub fn scan(
    detector: &Arc<Detector>,
    direction: Direction,
    text: &[u8],
    host: Option<&str>,
    on: &mut dyn FnMut(&Hit<'_>),
) -> Scanned {
    let Message { start, fields, body } = read(text).unwrap_or(Message {
        start: match direction {
            Direction::Outbound => StartLine::Request { method: Bytes::new(), target: Bytes::new() },
            Direction::Inbound => StartLine::Response { status: 200 },
        },
        fields: Vec::new(),
        body: text,
    });
    let mut head = Head { direction, route: Arc::new(nowhere()), start, fields };
    head.route = Arc::new(route(&head, host));
    detector.forget();
    let chunked = head.field("transfer-encoding").is_some_and(|v| v.to_ascii_lowercase().ends_with(b"chunked"));
    let plain = chunked.then(|| unchunked(body)).flatten();
    let mut scanner = Scanner::new(Arc::clone(detector), head, on);
    scanner.body(plain.as_deref().unwrap_or(body), on);
    scanner.end(on)
}

struct Message<'t> {
    start: StartLine,
    fields: Vec<Field>,
    body: &'t [u8],
}

/// `text` as a message with a head, when it begins like one.
fn read(text: &[u8]) -> Option<Message<'_>> {
    let (first, mut rest) = line(text);
    let start = start_line(first)?;
    let mut fields: Vec<Field> = Vec::new();
    while !rest.is_empty() {
        let (field, after) = line(rest);
        if field.is_empty() {
            rest = after;
            break;
        }
        if let (b' ' | b'\t', Some(last)) = (field[0], fields.last_mut()) {
            // A folded line (RFC 9112, section 5.2).
            last.value = [&last.value, field].concat().into();
        } else {
            // Not a head after all, or one without the empty line: what follows is a body.
            let Some(colon) = memchr(b':', field).filter(|&at| is_token(&field[..at])) else { break };
            let value = field[colon + 1..].trim_ascii();
            fields.push(Field { name: field[..colon].to_vec().into(), value: value.to_vec().into() });
        }
        rest = after;
    }
    Some(Message { start, fields, body: rest })
}

fn start_line(line: &[u8]) -> Option<StartLine> {
    let mut words = line.split(|&b| b == b' ');
    let (first, second) = (words.next()?, words.next()?);
    if first.starts_with(b"HTTP/") {
        let status = std::str::from_utf8(second).ok()?.parse().ok().filter(|s| (100..=599).contains(s))?;
        return Some(StartLine::Response { status });
    }
    let method = (3..=16).contains(&first.len()) && first.iter().all(|b| b.is_ascii_uppercase() || *b == b'-');
    let version = words.next();
    let rest = words.next();
    let is_target = second.starts_with(b"/")
        || decode::absolute(second).is_some()
        || (first == b"OPTIONS" && second == b"*")
        || (first == b"CONNECT" && memchr(b':', second).is_some());
    let is_end = rest.is_none() && version.is_none_or(|v| v.starts_with(b"HTTP/"));
    (method && is_target && is_end)
        .then(|| StartLine::Request { method: first.to_vec().into(), target: second.to_vec().into() })
}

fn is_token(name: &[u8]) -> bool {
    !name.is_empty() && name.iter().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(b))
}

fn line(text: &[u8]) -> (&[u8], &[u8]) {
    let (line, rest) = memchr(b'\n', text).map_or((text, &[][..]), |at| (&text[..at], &text[at + 1..]));
    (line.strip_suffix(b"\r").unwrap_or(line), rest)
}

/// A body without its chunk framing (RFC 9112, section 7.1); `None` when it has none.
fn unchunked(mut body: &[u8]) -> Option<Vec<u8>> {
    let mut plain = Vec::new();
    loop {
        let (size, rest) = line(body);
        let size = size.split(|&b| b == b';').next().unwrap_or_default().trim_ascii();
        let len = usize::from_str_radix(std::str::from_utf8(size).ok()?, 16).ok()?;
        if len == 0 {
            return Some(plain);
        }
        plain.extend_from_slice(&rest[..len.min(rest.len())]);
        if rest.len() <= len {
            return Some(plain);
        }
        body = line(&rest[len..]).1;
        if body.is_empty() {
            return Some(plain);
        }
    }
}

fn nowhere() -> Route {
    Route {
        protocol: Protocol::Https,
        host: String::new(),
        port: 443,
        source: IpAddr::V4(Ipv4Addr::LOCALHOST),
        names_agree: false,
        verified_tls: false,
    }
}

fn route(head: &Head, host: Option<&str>) -> Route {
    let absolute = match &head.start {
        StartLine::Request { target, .. } => decode::absolute(target),
        _ => None,
    };
    let in_target = absolute.and_then(|(_, authority, _)| std::str::from_utf8(authority).ok());
    let scheme = absolute.map(|(scheme, ..)| scheme.to_ascii_lowercase());
    let protocol = match scheme.as_deref() {
        None | Some(b"https") => Protocol::Https,
        Some(b"wss") => Protocol::Wss,
        Some(b"ws") => Protocol::Ws,
        Some(_) => Protocol::Http,
    };
    let clear = matches!(protocol, Protocol::Http | Protocol::Ws);
    let usual = if clear { 80 } else { 443 };
    // What is asked for in another protocol goes where nobody can say.
    let is_web = protocol != Protocol::Http || scheme.is_none_or(|scheme| scheme == b"http");
    let fields = head.fields.iter().filter(|f| f.name.eq_ignore_ascii_case(b"host"));
    let in_fields: Vec<_> = fields.map(|f| std::str::from_utf8(&f.value).unwrap_or_default()).collect();
    let each = || [host, in_target].into_iter().flatten().chain(in_fields.iter().copied());
    let names: Vec<(String, u16)> = each().filter_map(|name| authority(name, usual)).collect();
    let Some((name, port)) = names.first().cloned() else { return Route { protocol, ..nowhere() } };
    // Whoever is named twice by a request goes by one of the fields, and nobody can say by which (RFC 9112, section 3.2).
    let names_agree = is_web
        && in_fields.len() <= 1
        && names.len() == each().count()
        && names.iter().all(|n| *n == (name.clone(), port));
    Route { protocol, host: name, port, names_agree, verified_tls: !clear && port == 443, ..nowhere() }
}

/// A host and a port out of `user@host:port`, as a route spells them; `None` when it is no such thing.
fn authority(text: &str, usual: u16) -> Option<(String, u16)> {
    let text = text.rsplit('@').next()?.trim();
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, after) = rest.split_once(']')?;
            (host, after.strip_prefix(':'))
        }
        None => text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
    };
    let port = port.filter(|p| !p.is_empty()).map_or(Some(usual), |p| p.parse().ok())?;
    let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    (!host.is_empty()).then_some((host, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route_of(text: &str, host: Option<&str>) -> Route {
        let Message { start, fields, .. } = read(text.as_bytes()).unwrap();
        let head = Head { direction: Direction::Outbound, route: Arc::new(nowhere()), start, fields };
        route(&head, host)
    }

    #[test]
    fn heads_are_told_from_bodies() {
        for head in [
            "GET / HTTP/1.1",
            "GET /a?b=c",
            "POST /x HTTP/1.1\r\nHost: a.test\r\n\r\n{}",
            "HTTP/1.1 200 OK",
            "HTTP/2 204",
            "PROPFIND http://a.test/ HTTP/1.1",
            "CONNECT a.test:443 HTTP/1.1",
        ] {
            assert!(read(head.as_bytes()).is_some(), "{head}");
        }
        for body in
            ["", "GET", "GET it done", "Get / HTTP/1.1", "GET / and more words", "HTTP/1.1 abc", "{}", "SELECT /x y"]
        {
            assert!(read(body.as_bytes()).is_none(), "{body}");
        }
    }

    #[test]
    fn a_head_is_split_from_its_body() {
        let message = read(b"POST /x HTTP/1.1\r\nA: b\r\n c\r\nHost:h\r\n\r\nbody\r\n\r\nmore").unwrap();
        let fields: Vec<_> = message.fields.iter().map(|f| (&f.name[..], &f.value[..])).collect();
        assert_eq!(fields, [(&b"A"[..], &b"b c"[..]), (b"Host", b"h")]);
        assert_eq!(message.body, b"body\r\n\r\nmore");
    }

    #[test]
    fn the_route_is_as_sure_as_the_names_are() {
        let sure = route_of("GET / HTTP/1.1\nHost: API.Example.test.", None);
        assert_eq!(
            (sure.host.as_str(), sure.port, sure.names_agree, sure.verified_tls),
            ("api.example.test", 443, true, true)
        );
        let given = route_of("GET / HTTP/1.1", Some("a.test"));
        assert!(given.names_agree && given.verified_tls);
        for (text, host) in [
            ("GET / HTTP/1.1", None),
            ("GET / HTTP/1.1\nHost: a.test", Some("b.test")),
            ("GET https://b.test/ HTTP/1.1\nHost: a.test", None),
            ("GET / HTTP/1.1\nHost: a.test\nHost: b.test", None),
            ("GET / HTTP/1.1\nHost: b.test\nX: y\nhOST: a.test", None),
            ("GET / HTTP/1.1\nHost: a.test\nHost: a.test", None),
            ("GET / HTTP/1.1\nHost: a.test:x", Some("a.test")),
        ] {
            assert!(!route_of(text, host).names_agree, "{text}");
        }
        for text in [
            "GET http://a.test/ HTTP/1.1",
            "GET / HTTP/1.1\nHost: a.test:8443",
            "GET http://a.test:443/",
            "GET ws://a.test/",
            "GET WS://a.test:443/",
        ] {
            let route = route_of(text, None);
            assert!(!route.verified_tls && route.names_agree, "{text}");
        }
        for text in ["GET HTTPS://a.test/", "GET wss://a.test/"] {
            let route = route_of(text, None);
            assert!(route.verified_tls && route.names_agree, "{text}");
        }
        for text in ["GET ftp://a.test/x", "GET ftp://a.test:443/x", "GET gopher://a.test/"] {
            let route = route_of(text, None);
            assert!(!route.verified_tls && !route.names_agree, "{text}");
        }
    }

    #[test]
    fn a_url_in_a_path_or_a_query_names_no_host() {
        for target in ["/http://b.test/c", "/v1/x?u=https://b.test", "/?http://b.test:80/", "/http://"] {
            let route = route_of(&format!("GET {target} HTTP/1.1\nHost: a.test"), None);
            assert_eq!(
                (route.host.as_str(), route.names_agree, route.verified_tls),
                ("a.test", true, true),
                "{target}"
            );
        }
    }

    #[test]
    fn keys_of_several_agents_on_their_way_to_their_vendor_are_all_expected() {
        let detector = Detector::new(crate::flow::detect::Limits::default(), &[], None);
        let mut said = Vec::new();
        for template in ["gsk_{{alnum:52}}", "{{alnum:1}} gsk_{{alnum:52}}"] {
            let made = crate::flow::detect::rule::expand(template);
            let key = made.rsplit(' ').next().unwrap();
            let text = format!("POST /v1/x HTTP/1.1\nHost: api.groq.com\nAuthorization: Bearer {key}\n\n{{}}");
            scan(&detector, Direction::Outbound, text.as_bytes(), None, &mut |hit| said.push(hit.expected));
        }
        assert_eq!(said, [true, true]);
    }

    #[test]
    fn a_key_on_its_way_to_its_vendor_in_clear_text_or_by_another_protocol_is_a_finding() {
        let detector = Detector::new(crate::flow::detect::Limits::default(), &[], None);
        let key = crate::flow::detect::rule::expand("gsk_{{alnum:52}}");
        let expected = |scheme: &str| {
            let head = format!("GET {scheme}://api.groq.com/v1/x HTTP/1.1\nHost: api.groq.com\n");
            let text = format!("{head}Authorization: Bearer {key}\n\n");
            let mut said = Vec::new();
            scan(&detector, Direction::Outbound, text.as_bytes(), None, &mut |hit| said.push(hit.expected));
            said
        };
        assert_eq!(["https", "wss", "HTTPS"].map(expected), [[true], [true], [true]].map(Vec::from));
        for scheme in ["http", "ws", "ftp", "Ws", "sftp"] {
            assert_eq!(expected(scheme), [false], "{scheme}");
        }
    }

    #[test]
    fn chunk_framing_is_taken_off() {
        assert_eq!(unchunked(b"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n").unwrap(), b"abcde");
        assert_eq!(unchunked(b"5\r\nabc").unwrap(), b"abc");
        assert_eq!(unchunked(b"{\"a\":1}"), None);
        assert_eq!(unchunked(b"ffffffffffffffff\r\nx").unwrap(), b"x");
    }
}
