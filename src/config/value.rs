//! Raw → a checked value; and the form a value is shown and attested in.

use super::AudienceEntry;
use super::error::Reason;
use super::file::{Entry, Raw};
use crate::flow::redact;
use posture::Protocol;
use serde_json::{Value, json};
use std::{fmt, path::PathBuf, time::Duration};
use zeroize::Zeroizing;

/// An upstream proxy.
#[derive(Clone, PartialEq, Eq)]
pub struct UpstreamProxy {
    /// Its host.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// `user:password`, percent-decoded as the URL has it.
    pub credentials: Option<Zeroizing<String>>,
}

impl fmt::Debug for UpstreamProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.masked())
    }
}

impl UpstreamProxy {
    /// As a URL, its credentials masked.
    pub fn masked(&self) -> String {
        let credentials = if self.credentials.is_some() { "***@" } else { "" };
        format!("http://{credentials}{}:{}", bracketed(&self.host), self.port)
    }
}

/// A value as `config show` has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shown {
    /// Not set.
    Nothing,
    /// Yes or no.
    Bool(bool),
    /// A number of what its key says.
    Number(u64),
    /// Bytes.
    Bytes(u64),
    /// A span of time.
    Span(Duration),
    /// A path, relative to the home when it is within.
    Path(PathBuf),
    /// Text that holds no credential.
    Text(String),
    /// Several.
    List(Vec<Value>),
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("-"),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Bytes(value) if *value > 0 && value % (1 << 20) == 0 => write!(f, "{}MiB", value >> 20),
            Self::Bytes(value) if *value > 0 && value % 1024 == 0 => write!(f, "{}KiB", value >> 10),
            Self::Number(value) | Self::Bytes(value) => write!(f, "{value}"),
            Self::Span(value) => write!(f, "{}", humantime::format_duration(*value)),
            Self::Path(value) => write!(f, "{}", value.display()),
            Self::Text(value) => f.write_str(value),
            Self::List(values) if values.is_empty() => f.write_str("-"),
            Self::List(values) => write!(f, "{}", json!(values)),
        }
    }
}

impl Shown {
    /// The same for a person: what looks like a secret where none belongs is not repeated.
    #[must_use]
    pub(super) fn told(self) -> Self {
        fn told(value: Value) -> Value {
            match value {
                Value::String(text) => json!(word(&text)),
                Value::Array(items) => items.into_iter().map(told).collect(),
                Value::Object(members) => members.into_iter().map(|(name, value)| (name, member(value))).collect(),
                value => value,
            }
        }
        fn member(value: Value) -> Value {
            // A fingerprint says nothing, and looks as a secret does.
            let fingerprint = |text: &str| text.parse::<posture::Fingerprint>().is_ok();
            if value.as_str().is_some_and(fingerprint) { value } else { told(value) }
        }
        // In the lower case of a host or a name a key is told by its prefix alone.
        fn word(text: &str) -> String {
            let lower = !text.contains(|c: char| c.is_ascii_uppercase() || c.is_whitespace() || c == '/');
            let host = redact::host(text);
            if lower && host.contains("[redacted]") { host } else { redact::text(text) }
        }
        match self {
            Self::Text(text) => Self::Text(redact::text(&text)),
            Self::Path(path) => Self::Path(redact::text(&path.display().to_string()).into()),
            Self::List(values) => Self::List(values.into_iter().map(told).collect()),
            other => other,
        }
    }

    /// As JSON for people and programs: spans and sizes as the configuration writes them.
    pub fn to_json(&self) -> Value {
        match self {
            Self::Nothing => Value::Null,
            Self::Bool(value) => json!(value),
            Self::Number(value) | Self::Bytes(value) => json!(value),
            Self::List(values) => json!(values),
            Self::Span(_) | Self::Path(_) | Self::Text(_) => json!(self.to_string()),
        }
    }

    /// As JSON for `config_sha256`: spans in milliseconds, so that no change of spelling is a change of meaning.
    pub(super) fn to_attest(&self) -> Value {
        match self {
            Self::Span(value) => json!(u64::try_from(value.as_millis()).unwrap_or(posture::MAX_INTEGER)),
            other => other.to_json(),
        }
    }
}

pub(super) fn text(raw: &Raw) -> Result<&str, Reason> {
    match raw {
        Raw::Text(text) if !text.is_empty() => Ok(text),
        _ => Err(Reason::new("expected text")),
    }
}

pub(super) fn boolean(raw: &Raw) -> Result<bool, Reason> {
    match raw {
        Raw::Bool(value) => Ok(*value),
        Raw::Text(text) if text == "true" => Ok(true),
        Raw::Text(text) if text == "false" => Ok(false),
        _ => Err(Reason::new("expected true or false")),
    }
}

/// A whole number of `low..=high`.
pub(super) fn number(raw: &Raw, low: u64, high: u64) -> Result<u64, Reason> {
    let value = match raw {
        Raw::Integer(value) => u64::try_from(*value).ok(),
        Raw::Text(text) => text.parse().ok(),
        _ => None,
    };
    value
        .filter(|v| (low..=high).contains(v))
        .ok_or_else(|| Reason::new(format!("expected a number from {low} to {high}")))
}

/// As [`number`], of what is counted in memory: a size in bytes is none.
pub(super) fn count(raw: &Raw, low: u64, high: u64) -> Result<usize, Reason> {
    number(raw, low, high).and_then(in_memory)
}

/// Bytes, `low..=high`: a number of bytes, or one followed by `KiB` or `MiB`.
pub(super) fn bytes(raw: &Raw, low: u64, high: u64) -> Result<u64, Reason> {
    let value = match raw {
        Raw::Integer(value) => u64::try_from(*value).ok(),
        Raw::Text(text) => {
            let (digits, unit) = match text.trim().split_at_checked(text.trim().len().saturating_sub(3)) {
                Some((digits, "KiB")) => (digits.trim_end(), 1 << 10),
                Some((digits, "MiB")) => (digits.trim_end(), 1 << 20),
                _ => (text.trim(), 1),
            };
            digits.parse::<u64>().ok().and_then(|n| n.checked_mul(unit))
        }
        _ => None,
    };
    let expected = || format!("expected a size from {} to {}, such as 512KiB", Shown::Bytes(low), Shown::Bytes(high));
    value.filter(|v| (low..=high).contains(v)).ok_or_else(|| Reason::new(expected()))
}

/// As [`bytes`], for what is held in memory.
pub(super) fn size(raw: &Raw, low: u64, high: u64) -> Result<usize, Reason> {
    bytes(raw, low, high).and_then(in_memory)
}

fn in_memory(n: u64) -> Result<usize, Reason> {
    usize::try_from(n).map_err(|_| Reason::new("more than this machine can address"))
}

/// A span of whole seconds, `low..=high` of them, such as `60s`, `5m` or `1h 30m`.
pub(super) fn span(raw: &Raw, low: u64, high: u64) -> Result<Duration, Reason> {
    let value = match raw {
        Raw::Text(text) => humantime::parse_duration(text).ok(),
        _ => None,
    };
    let whole = value.filter(|v| v.subsec_nanos() == 0 && (low..=high).contains(&v.as_secs()));
    whole.ok_or_else(|| {
        let shown = |seconds| Shown::Span(Duration::from_secs(seconds));
        Reason::new(format!(
            "expected a time in whole seconds from {} to {}, such as 90s or 5m",
            shown(low),
            shown(high)
        ))
    })
}

/// Several hosts, each exact.
pub(super) fn hosts(raw: &Raw) -> Result<Vec<String>, Reason> {
    let expected = || Reason::new("expected a list of host names or addresses, without ports or wildcards");
    let Raw::List(names) = raw else { return Err(expected()) };
    let mut hosts = names
        .iter()
        .map(|name| text(name).ok().and_then(normal_host).ok_or_else(expected))
        .collect::<Result<Vec<_>, _>>()?;
    hosts.sort();
    hosts.dedup();
    Ok(hosts)
}

/// Several environment variables, each by its name.
pub(super) fn variables(raw: &Raw) -> Result<Vec<String>, Reason> {
    const MAX: usize = 64;
    let expected = || Reason::new("expected a list of at most 64 names of environment variables");
    let Raw::List(names) = raw else { return Err(expected()) };
    let plain = |name: &&str| {
        name.len() <= MAX
            && !name.starts_with(|c: char| c.is_ascii_digit())
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
    };
    let name = |raw| text(raw).ok().filter(plain).map(str::to_owned).ok_or_else(expected);
    let mut names = names.iter().map(name).collect::<Result<Vec<_>, _>>()?;
    names.sort();
    names.dedup();
    if names.len() <= MAX { Ok(names) } else { Err(expected()) }
}

/// `http://[user:password@]host:port`.
pub(super) fn upstream(raw: &Raw) -> Result<UpstreamProxy, Reason> {
    let expected = || Reason::new("expected a URL such as http://proxy.example:3128");
    let rest = text(raw)?.strip_prefix("http://").ok_or_else(expected)?;
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    let (credentials, place) = rest.rsplit_once('@').map_or((None, rest), |(c, p)| (Some(c), p));
    let (host, port) = host_and_port(place).ok_or_else(expected)?;
    let decoded =
        |text: &str| percent_encoding::percent_decode_str(text).decode_utf8().map(|t| Zeroizing::new(t.into_owned()));
    let credentials = credentials.map(decoded).transpose().map_err(|_| expected())?;
    Ok(UpstreamProxy { host, port, credentials })
}

/// One `[[audience]]`.
pub(super) fn audience(raw: &Raw, vendor_known: impl Fn(&str) -> bool) -> Result<AudienceEntry, Reason> {
    let Raw::Table(entries) = raw else { return Err(Reason::new("expected tables: [[audience]]")) };
    let known = ["scheme", "host", "port", "vendors"];
    if let Some(entry) = entries.iter().find(|e| !known.contains(&e.key.as_str())) {
        return Err(Reason::new(format!("line {}: takes scheme, host, port and vendors alone", entry.line)));
    }
    let one = |key: &str| {
        let found = entries.iter().find(|e| e.key == key);
        found.ok_or_else(|| Reason::new(format!("lacks `{key}`")))
    };
    let (scheme, host, port, vendors) = (one("scheme")?, one("host")?, one("port")?, one("vendors")?);
    let wrong = |entry: &Entry, what: &str| Reason::new(format!("line {}: {}: {what}", entry.line, entry.key));
    let scheme = match text(&scheme.raw) {
        Ok("http") => Protocol::Http,
        Ok("https") => Protocol::Https,
        _ => return Err(wrong(scheme, "expected http or https")),
    };
    let name = text(&host.raw).ok().and_then(normal_host);
    let host = name.ok_or_else(|| wrong(host, "expected one host name or address, without port or wildcard"))?;
    let port = number(&port.raw, 1, u64::from(u16::MAX)).map_err(|_| wrong(port, "expected a port from 1 to 65535"))?;
    let Raw::List(names) = &vendors.raw else { return Err(wrong(vendors, "expected a list of vendor names")) };
    if names.is_empty() {
        return Err(wrong(vendors, "expected at least one vendor name"));
    }
    let vendors = names
        .iter()
        .map(|name| match text(name) {
            Ok(name) if vendor_known(name) => Ok(name.to_owned()),
            _ => Err(wrong(vendors, "not a vendor the rules know; `patterns list` names them")),
        })
        .collect::<Result<_, _>>()?;
    Ok(AudienceEntry { scheme, host, port: u16::try_from(port).expect("bounded above by u16::MAX"), vendors })
}

/// An IPv6 literal in brackets, anything else as it is.
pub(super) fn bracketed(host: &str) -> String {
    if host.contains(':') { format!("[{host}]") } else { host.to_owned() }
}

fn host_and_port(text: &str) -> Option<(String, u16)> {
    let (host, port) = text.rsplit_once(':')?;
    let bare = match host.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']').filter(|h| h.parse::<std::net::Ipv6Addr>().is_ok())?,
        None => host,
    };
    Some((normal_host(bare)?, port.parse().ok().filter(|p| *p != 0)?))
}

/// Lower case, without a trailing dot; nothing that is not a name or an address.
pub(super) fn normal_host(text: &str) -> Option<String> {
    if let Some(address) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return address.parse::<std::net::Ipv6Addr>().ok().map(|address| address.to_string());
    }
    if let Ok(address) = text.parse::<std::net::IpAddr>() {
        return Some(address.to_string());
    }
    let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
    let label = |l: &str| {
        !l.is_empty() && l.len() <= 63 && l.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    (name.len() <= 253 && name.split('.').all(label)).then_some(name)
}
