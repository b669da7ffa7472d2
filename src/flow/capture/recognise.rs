//! First bytes → what a tunnel carries.

/// What a client's first bytes begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Begins {
    /// Not decided yet: more bytes may make any of the others of it.
    Undecided,
    /// A TLS handshake.
    Tls,
    /// A request of HTTP/1.0 or 1.1, by any method.
    Http1,
    /// The preface of HTTP/2 without TLS (RFC 9113, section 3.4).
    Http2,
    /// Something else.
    Unknown,
}

const HTTP2: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Longer than any registered method.
const MAX_METHOD: usize = 32;
/// A server may skip empty lines before a request (RFC 9112, section 2.2): so must whoever looks for one.
const MAX_EMPTY: usize = 16;
/// Longer request lines are none we would serve, but a request all the same.
const MAX_LINE: usize = 8 << 10;

/// What `bytes`, everything the client has sent so far, begin. Never takes back what it said of fewer bytes.
pub(super) fn recognise(bytes: &[u8]) -> Begins {
    if bytes.first() == Some(&0x16) {
        return match bytes {
            [_] | [_, 3] | [_, 3, _] | [_, 3, _, _] | [_, 3, _, _, _] => Begins::Undecided,
            [_, 3, _, _, _, 1, ..] => Begins::Tls,
            _ => Begins::Unknown,
        };
    }
    if HTTP2.starts_with(bytes) {
        return if bytes.len() == HTTP2.len() { Begins::Http2 } else { Begins::Undecided };
    }
    if bytes.starts_with(HTTP2) { Begins::Http2 } else { request_line(bytes) }
}

fn request_line(bytes: &[u8]) -> Begins {
    let Some(start) = bytes.iter().position(|b| !matches!(b, b'\r' | b'\n')) else {
        return if bytes.len() <= MAX_EMPTY { Begins::Undecided } else { Begins::Unknown };
    };
    if start > MAX_EMPTY {
        return Begins::Unknown;
    }
    let line = &bytes[start..];
    let method = match line.iter().position(|b| !is_token(*b)) {
        None if line.len() <= MAX_METHOD => return Begins::Undecided,
        Some(end @ 1..=MAX_METHOD) if line[end] == b' ' => end,
        _ => return Begins::Unknown,
    };
    match line.iter().position(|b| *b == b'\n') {
        Some(end) if names_http1(line[..end].trim_ascii_end()) => Begins::Http1,
        None if line.len() <= MAX_LINE => Begins::Undecided,
        None if line[method..].starts_with(b" /") => Begins::Http1,
        _ => Begins::Unknown,
    }
}

fn names_http1(line: &[u8]) -> bool {
    line.split_last().is_some_and(|(minor, rest)| minor.is_ascii_digit() && rest.ends_with(b" HTTP/1."))
}

/// RFC 9110, section 5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_beginning_is_what_it_is() {
        let cases: [(&[u8], Begins); 27] = [
            (b"", Begins::Undecided),
            (b"\x16", Begins::Undecided),
            (b"\x16\x03\x01\x02\x00", Begins::Undecided),
            (b"\x16\x03\x01\x02\x00\x01", Begins::Tls),
            (b"\x16\x03\x03\x02\x00\x01\x00", Begins::Tls),
            (b"\x16\x02", Begins::Unknown),
            (b"\x16\x03\x01\x02\x00\x02", Begins::Unknown),
            (b"\x80\x2e\x01\x03\x01", Begins::Unknown),
            (b"G", Begins::Undecided),
            (b"GET ", Begins::Undecided),
            (b"GET / HTTP/1.1\r", Begins::Undecided),
            (b"GET / HTTP/1.1\r\n", Begins::Http1),
            (b"GET / HTTP/1.0\n", Begins::Http1),
            (b"\r\n\nPOST /a b HTTP/1.1\r\n", Begins::Http1),
            (b"m-search * HTTP/1.1\r\n", Begins::Http1),
            (b"X.y_z http://h/ HTTP/1.1\r\n", Begins::Http1),
            (b"GET /\r\n", Begins::Unknown),
            (b"GET / HTTP/2.0\r\n", Begins::Unknown),
            (b"EHLO example.com\r\n", Begins::Unknown),
            (b"PING\r\n", Begins::Unknown),
            (b"SSH-2.0-x\r\n", Begins::Unknown),
            (b" GET / HTTP/1.1\r\n", Begins::Unknown),
            (b"\0", Begins::Unknown),
            (b"PRI * HTTP/2.0\r\n\r\nSM\r\n", Begins::Undecided),
            (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0", Begins::Http2),
            (b"PRI * HTTP/2.0\r\nX", Begins::Unknown),
            (b"PRINT / HTTP/1.1\r\n", Begins::Http1),
        ];
        for (bytes, begins) in cases {
            assert_eq!(recognise(bytes), begins, "{}", bytes.escape_ascii());
        }
        assert_eq!(recognise(&[b'A'; MAX_METHOD + 1]), Begins::Unknown);
        assert_eq!(recognise(&[b'\n'; MAX_EMPTY + 1]), Begins::Unknown);
        let endless = [b"GET /", &[b'a'; MAX_LINE][..]].concat();
        assert_eq!(recognise(&endless), Begins::Http1);
    }

    proptest! {
        #[test]
        fn the_verdict_does_not_depend_on_how_the_bytes_come(
            text in "(\r?\n){0,3}[A-Z!]{0,40} ?[ -~]{0,20}( HTTP/[12].[01])?\r?\n?.{0,10}",
            noise in proptest::collection::vec(any::<u8>(), 0..12),
            preface in 0..=HTTP2.len(),
        ) {
            for bytes in [text.as_bytes(), &noise, &[&[0x16, 3, 1], &noise[..]].concat(), &[&HTTP2[..preface], &noise].concat()] {
                let mut said = Begins::Undecided;
                for end in 0..=bytes.len() {
                    let now = recognise(&bytes[..end]);
                    prop_assert!(said == Begins::Undecided || now == said, "{said:?} became {now:?} at {end}");
                    said = now;
                }
            }
        }
    }
}
