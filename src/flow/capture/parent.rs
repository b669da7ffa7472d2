//! Destination → a tunnel to it through another proxy, or a request handed to that proxy whole.

use super::dial::DialError;
use data_encoding::BASE64;
use hudsucker::hyper::header::HeaderValue;
use std::{fmt, net::IpAddr};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use zeroize::Zeroizing;

/// No answer to a CONNECT is longer.
const MAX_HEAD: usize = 8 << 10;

/// A proxy upstream of ours. Not `Debug`: it may hold a credential.
#[derive(Clone)]
pub struct Parent {
    /// Its host: lower case, an IPv6 literal without brackets.
    pub(super) host: String,
    /// Its port.
    pub(super) port: u16,
    authorization: Option<HeaderValue>,
}

impl Parent {
    /// `credentials` are `user:password`.
    pub fn new(host: String, port: u16, credentials: Option<&str>) -> Self {
        let authorization = credentials.map(|credentials| {
            let value = Zeroizing::new(format!("Basic {}", BASE64.encode(credentials.as_bytes())));
            let mut value = HeaderValue::from_str(&value).expect("Base64 is a field's value");
            value.set_sensitive(true);
            value
        });
        Self { host, port, authorization }
    }

    /// What a request handed to it carries.
    pub(super) fn authorization(&self) -> Option<&HeaderValue> {
        self.authorization.as_ref()
    }

    /// A tunnel to `host` over a connection to this proxy (RFC 9110, section 9.3.6).
    pub(super) async fn tunnel(&self, mut stream: TcpStream, host: &str, port: u16) -> Result<TcpStream, DialError> {
        let to = Place(host, port);
        let mut head = Zeroizing::new(format!("CONNECT {to} HTTP/1.1\r\nHost: {to}\r\n").into_bytes());
        if let Some(value) = &self.authorization {
            head.extend_from_slice(b"Proxy-Authorization: ");
            head.extend_from_slice(value.as_bytes());
            head.extend_from_slice(b"\r\n");
        }
        head.extend_from_slice(b"\r\n");
        stream.write_all(&head).await?;
        // A byte at a time: what comes after the head is the destination's.
        let mut answer = Vec::with_capacity(256);
        while !answer.ends_with(b"\r\n\r\n") {
            if answer.len() >= MAX_HEAD {
                return Err(DialError::Parent);
            }
            answer.push(stream.read_u8().await?);
        }
        let agreed = matches!(answer[..], [b'H', b'T', b'T', b'P', b'/', b'1', b'.', _, b' ', b'2', ..]);
        if agreed { Ok(stream) } else { Err(DialError::Parent) }
    }
}

/// Whether a host is this machine by its name: such a destination never goes to another proxy.
pub(super) fn is_loopback(host: &str) -> bool {
    let address = host.parse::<IpAddr>().map(|a| a.to_canonical());
    address.is_ok_and(|a| a.is_loopback() || a.is_unspecified()) || host == "localhost" || host.ends_with(".localhost")
}

struct Place<'p>(&'p str, u16);

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.contains(':') { write!(f, "[{}]:{}", self.0, self.1) } else { write!(f, "{}:{}", self.0, self.1) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_is_known_by_each_of_its_names() {
        for host in ["127.0.0.1", "127.8.9.1", "::1", "::ffff:127.0.0.1", "0.0.0.0", "localhost", "a.localhost"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in ["10.0.0.1", "localhost.example", "notlocalhost", "2001:db8::1", "127.0.0.1.example"] {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
