//! Authority → host and port in one spelling, so that names can be compared.

use hudsucker::hyper::{
    HeaderMap,
    header::HOST,
    http::uri::{self, Scheme},
};

/// A host and a port: lower case, no trailing dot, an IPv6 literal without brackets.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Authority {
    pub(super) host: String,
    pub(super) port: u16,
}

impl Authority {
    /// The authority as dialled; `default_port` stands in for none. `None` without a host, or with port 0.
    pub(super) fn of(authority: &uri::Authority, default_port: Option<u16>) -> Option<Self> {
        let host = authority.host();
        let host = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
        let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
        // `port_u16` is also `None` for a port that is no number: only a host alone may take the default.
        let port = match authority.port_u16() {
            None if authority.as_str().ends_with(authority.host()) => default_port?,
            // To Rust `+80` is a number, too.
            Some(_) if authority.port().is_some_and(|port| !port.as_str().bytes().all(|b| b.is_ascii_digit())) => {
                return None;
            }
            port => port?,
        };
        (!host.is_empty() && port != 0).then_some(Self { host, port })
    }

    /// True unless a Host field names another host or port, or is there twice.
    pub(super) fn agrees_with_host(&self, headers: &HeaderMap, default_port: u16) -> bool {
        let mut hosts = headers.get_all(HOST).iter();
        let Some(host) = hosts.next() else { return true };
        if hosts.next().is_some() {
            return false;
        }
        self.is_plainly(host.as_bytes(), default_port)
            || uri::Authority::try_from(host.as_bytes()).ok().and_then(|a| Self::of(&a, Some(default_port))).as_ref()
                == Some(self)
    }

    /// True of the usual spelling of this place. Any other takes a closer look.
    fn is_plainly(&self, host: &[u8], default_port: u16) -> bool {
        let Some((name, port)) = host.split_at_checked(self.host.len()) else { return false };
        let same = !self.host.contains(':') && name.eq_ignore_ascii_case(self.host.as_bytes());
        same && match port {
            [] => self.port == default_port,
            [b':', digits @ ..] if digits.iter().all(u8::is_ascii_digit) => {
                std::str::from_utf8(digits).is_ok_and(|digits| digits.parse() == Ok(self.port))
            }
            _ => false,
        }
    }
}

/// The port a scheme stands for.
pub(super) fn default_port(scheme: &Scheme) -> Option<u16> {
    match scheme.as_str() {
        "http" => Some(80),
        "https" => Some(443),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str, default: Option<u16>) -> Option<(String, u16)> {
        Authority::of(&text.parse().unwrap(), default).map(|a| (a.host, a.port))
    }

    #[test]
    fn one_spelling_for_one_place() {
        for same in ["Example.COM:80", "example.com.:80", "example.com", "EXAMPLE.com.", "user:pw@example.com"] {
            assert_eq!(of(same, Some(80)), Some(("example.com".to_owned(), 80)), "{same}");
        }
        assert_eq!(of("[2001:DB8::1]:8080", None), Some(("2001:db8::1".to_owned(), 8080)));
        assert_eq!(of("[::1]", Some(443)), Some(("::1".to_owned(), 443)));
    }

    #[test]
    fn what_names_no_place_is_refused() {
        for bad in ["example.com:0", ".:80", "example.com:", "example.com:99999", "example.com:+80"] {
            assert_eq!(of(bad, Some(80)), None, "{bad}");
        }
        assert_eq!(of("example.com", None), None);
    }

    #[test]
    fn host_is_compared_after_normalising() {
        let here = Authority { host: "example.com".to_owned(), port: 80 };
        let with = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(HOST, value.parse().unwrap());
            }
            here.agrees_with_host(&headers, 80)
        };
        assert!(with(&[]));
        assert!(with(&["Example.com"]));
        assert!(with(&["example.com.:80"]));
        assert!(with(&["example.com:80"]));
        assert!(with(&["example.com:080"]));
        assert!(!with(&["example.com:+80"]));
        assert!(!with(&["example.com:"]));
        assert!(!with(&["example.comx"]));
        assert!(!with(&["example.com.evil.example"]));
        assert!(!with(&["example.com:80@evil.example"]));
        assert!(!with(&["example.com:81"]));
        assert!(!with(&["example.org"]));
        assert!(!with(&["example.com", "example.com"]));
        assert!(!with(&["not a host"]));
    }
}
