//! The environment an agent needs to come through the proxy, and nothing that leads it past.
//!
//! Measured on Hermes 0.19: with these four set and no `NO_PROXY`, every request of a turn comes through, whether made by
//! the OpenAI SDK, httpx, requests, urllib, curl, git or wget. curl and git ignore the upper-case `HTTP_PROXY`, which a
//! CGI server could have set from a request's header; Python's clients choose by scheme.

use std::{ffi::OsStr, fmt, net::SocketAddr};
use zeroize::Zeroizing;

/// One variable of the contract.
pub struct Variable {
    /// Its name, in its case.
    pub name: &'static str,
    /// Who needs it.
    pub read_by: &'static str,
}

/// What is set: each to the proxy's URL.
pub const SET: [Variable; 4] = [
    Variable { name: "HTTPS_PROXY", read_by: "Python clients, node, wget: https requests" },
    Variable { name: "HTTP_PROXY", read_by: "Python clients, node: http requests" },
    Variable { name: "https_proxy", read_by: "curl, git, wget: https requests" },
    Variable { name: "http_proxy", read_by: "curl, git, wget: http requests, which ignore the upper case" },
];

/// What is set besides when HTTPS is inspected: each to the bundle's absolute path. Every one but `NODE_EXTRA_CA_CERTS`
/// replaces the client's own roots, so the bundle holds the platform's as well.
pub const CA: [Variable; 6] = [
    Variable { name: "SSL_CERT_FILE", read_by: "Python's ssl, httpx, OpenSSL" },
    Variable { name: "REQUESTS_CA_BUNDLE", read_by: "requests" },
    Variable { name: "CURL_CA_BUNDLE", read_by: "curl, requests" },
    Variable { name: "GIT_SSL_CAINFO", read_by: "git" },
    Variable { name: "NODE_EXTRA_CA_CERTS", read_by: "node, which adds it to its own" },
    Variable { name: "HERMES_CA_BUNDLE", read_by: "Hermes" },
];

/// What must not be set, in either case: each leads some client past the proxy or to another one. `run` takes every other
/// `*_PROXY` away as well.
pub const UNSET: [&str; 4] = ["NO_PROXY", "no_proxy", "ALL_PROXY", "all_proxy"];

/// The user name in the proxy's URL.
pub const USER: &str = "guardian";

/// The proxy's URL with its credential. It has no `Debug` that shows it.
pub struct ProxyUrl(Zeroizing<String>);

impl ProxyUrl {
    /// The URL of the proxy that listens at `listen` and takes `token`.
    ///
    /// An unspecified address, which is one to listen on and none to go to, becomes the loopback of its kind.
    pub fn new(listen: SocketAddr, token: &str) -> Self {
        Self(Zeroizing::new(format!("http://{USER}:{token}@{}", reachable(listen))))
    }

    /// The URL, secret and all: for an environment alone.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ProxyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ProxyUrl")
    }
}

/// The URL as it may be shown.
pub fn masked_url(listen: SocketAddr) -> String {
    format!("http://{USER}:***@{}", reachable(listen))
}

/// Whether a variable of this name decides about proxies: `*_PROXY` in any case.
pub fn is_proxy_variable(name: &OsStr) -> bool {
    let name = name.as_encoded_bytes();
    name.len() > 6 && name[name.len() - 6..].eq_ignore_ascii_case(b"_proxy")
}

/// Whether a variable of this name decides whom a client trusts.
pub fn is_ca_variable(name: &OsStr) -> bool {
    CA.iter().any(|variable| name == variable.name)
}

fn reachable(listen: SocketAddr) -> SocketAddr {
    use std::net::{Ipv4Addr, Ipv6Addr};
    match listen {
        SocketAddr::V4(a) if a.ip().is_unspecified() => (Ipv4Addr::LOCALHOST, a.port()).into(),
        SocketAddr::V6(a) if a.ip().is_unspecified() => (Ipv6Addr::LOCALHOST, a.port()).into(),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_a_proxy_variable_is_known() {
        for name in ["NO_PROXY", "no_proxy", "All_Proxy", "FTP_PROXY", "npm_config_https_proxy"] {
            assert!(is_proxy_variable(OsStr::new(name)), "{name}");
        }
        for name in ["PROXY", "_PROXY", "HTTP_PROXY_X", "HTTPPROXY", "HERMES_TRAFFIC_GUARDIAN_PROXY_URL"] {
            assert!(!is_proxy_variable(OsStr::new(name)), "{name}");
        }
        assert!(SET.iter().all(|v| is_proxy_variable(OsStr::new(v.name))));
        assert!(UNSET.iter().all(|name| is_proxy_variable(OsStr::new(name))));
    }

    #[test]
    fn an_address_to_listen_on_becomes_one_to_go_to() {
        assert_eq!(masked_url("0.0.0.0:1".parse().unwrap()), "http://guardian:***@127.0.0.1:1");
        assert_eq!(masked_url("[::]:1".parse().unwrap()), "http://guardian:***@[::1]:1");
        assert_eq!(ProxyUrl::new("127.0.0.1:2".parse().unwrap(), "t").reveal(), "http://guardian:t@127.0.0.1:2");
    }
}
