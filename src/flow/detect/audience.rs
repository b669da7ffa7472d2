//! Match → Judgement: a key on its way to its own vendor is the agent working; the same key elsewhere is a finding.

use super::{
    decode::{View, Voice},
    matcher::Match,
    rule::{RuleSet, Vendor},
};
use crate::flow::capture::Route;
use posture::{Family, Placement, Protocol, Severity};
use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    sync::{Arc, Mutex, PoisonError},
};

const HTTPS_PORT: u16 = 443;
/// Header fields an operator's own server may take a key in.
const USUAL_HEADERS: &[&str] = &["authorization", "x-api-key", "api-key", "x-goog-api-key"];
/// Members of a body in which a known secret goes to its own vendor.
const CLIENT_CREDENTIALS: &[&str] = &["client_secret", "refresh_token"];
/// Audiences of which the first credential is remembered.
const MAX_REMEMBERED: usize = 1024;

/// A server the operator trusts with the keys of some vendors: one `[[audience]]` of our own configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The scheme it is reached by.
    pub scheme: Protocol,
    /// Its host: lower case, no trailing dot, exact.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Whose keys it may see: names of the vendor table. `*` stands for any.
    pub vendors: Vec<String>,
}

/// What a match means where it was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judgement {
    /// A finding, this urgent.
    Finding(Severity),
    /// The agent working as it should: counted, no finding.
    Expected,
}

/// Who may see which key, and the first credential each of them saw.
pub struct Audience {
    rules: Arc<RuleSet>,
    entries: Vec<Entry>,
    /// By vendor and host: a keyed hash of the first credential. In memory only.
    first: Arc<Mutex<HashMap<(String, String), u64>>>,
    hasher: RandomState,
}

impl Audience {
    /// The vendor table of `rules` and the operator's own entries.
    pub fn new(rules: Arc<RuleSet>, entries: &[Entry]) -> Self {
        let entries = entries.iter().map(|e| Entry { host: normal(&e.host).to_owned(), ..e.clone() }).collect();
        Self { rules, entries, first: Arc::default(), hasher: RandomState::new() }
    }

    /// The same with these rules and entries; it remembers what this one does.
    #[must_use]
    pub fn succeeded_by(&self, rules: Arc<RuleSet>, entries: &[Entry]) -> Self {
        Self { first: Arc::clone(&self.first), hasher: self.hasher.clone(), ..Self::new(rules, entries) }
    }

    /// Forgets the credentials seen: what comes next comes from somewhere else.
    pub fn forget(&self) {
        self.first.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Judges one match in its view, on its way.
    pub fn judge(&self, found: &Match<'_>, view: &View<'_>, route: &Route) -> Judgement {
        let rule = found.rule;
        if view.voice == Voice::System && names_a_file(rule.family()) {
            return Judgement::Expected;
        }
        let Some(vendor) = self.own_vendor(rule.vendors(), view, route, &in_place) else {
            return Judgement::Finding(found.severity);
        };
        if self.is_first(&vendor, &route.host, found.matched) {
            Judgement::Expected
        } else {
            Judgement::Finding(Severity::Low)
        }
    }

    /// Whether a known secret of these vendors, in this view, is the agent working: it stands in its own place on a proven
    /// way to one of them, as a key or as a client's credential; or, when no vendor is known, where the operator lets
    /// anyone's keys go.
    pub fn welcomes(&self, vendors: &[String], view: &View<'_>, route: &Route) -> bool {
        let placed = |vendor: &Vendor, view: &View<'_>| in_place(vendor, view) || is_client_credential(view);
        if vendors.is_empty() {
            let entry = self.entry(route);
            return entry.is_some_and(|e| e.vendors.iter().any(|n| n == "*")) && in_header(USUAL_HEADERS, view);
        }
        self.own_vendor(vendors, view, route, &placed).is_some()
    }

    /// Whether a host is one of a vendor's, or one the operator trusts with a vendor's keys.
    pub fn is_vendors(&self, host: &str) -> bool {
        let host = normal(host);
        self.entries.iter().any(|e| e.host == host)
            || self.rules.vendors().iter().any(|v| v.hosts.iter().any(|pattern| host_fits(pattern, host)))
    }

    /// The vendor whose key this is, when the key stands in its own place on a proven way to it.
    fn own_vendor(
        &self,
        vendors: &[String],
        view: &View<'_>,
        route: &Route,
        in_place: &dyn Fn(&Vendor, &View<'_>) -> bool,
    ) -> Option<String> {
        if vendors.is_empty() || !route.names_agree {
            return None;
        }
        let host = normal(&route.host);
        let known = self.rules.vendors().iter().filter(|v| vendors.contains(&v.name));
        let proven =
            matches!(route.protocol, Protocol::Https | Protocol::Wss) && route.verified_tls && route.port == HTTPS_PORT;
        if proven {
            let own = known.clone().find(|v| v.hosts.iter().any(|h| host_fits(h, host)) && in_place(v, view));
            if let Some(vendor) = own {
                return Some(vendor.name.clone());
            }
        }
        let entry = self.entry(route)?;
        let trusted = |v: &&Vendor| entry.vendors.iter().any(|n| n == "*" || *n == v.name);
        let placed = |v: &&Vendor| in_place(v, view) || in_header(USUAL_HEADERS, view);
        known.clone().find(|v| trusted(v) && placed(v)).map(|v| v.name.clone())
    }

    /// What the operator says of the server at the end of this way.
    fn entry(&self, route: &Route) -> Option<&Entry> {
        let host = normal(&route.host);
        let fits = |e: &&Entry| e.scheme == route.protocol && e.host == host && e.port == route.port;
        self.entries.iter().find(fits).filter(|_| route.names_agree)
    }

    /// Whether no other credential went to this vendor's host before: a second one may be an upload under someone
    /// else's account.
    fn is_first(&self, vendor: &str, host: &str, credential: &[u8]) -> bool {
        let hash = self.hasher.hash_one(credential);
        let mut first = self.first.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (vendor.to_owned(), normal(host).to_owned());
        if let Some(known) = first.get(&key) {
            return *known == hash;
        }
        if first.len() < MAX_REMEMBERED {
            first.insert(key, hash);
        }
        true
    }
}

/// Whether a family's matches are paths.
pub(super) const fn names_a_file(family: Family) -> bool {
    matches!(family, Family::SshKeyPath | Family::SensitiveUnixPath | Family::DotenvOrCloudCredentialPath)
}

impl Default for Audience {
    /// The embedded vendor table alone.
    fn default() -> Self {
        Self::new(RuleSet::embedded(), &[])
    }
}

/// Without the root's dot. Case is settled by [`Route`], whose hosts are in lower case.
fn normal(host: &str) -> &str {
    host.strip_suffix('.').unwrap_or(host)
}

/// Label by label: `*` stands for exactly one, or for the beginning of one.
fn host_fits(pattern: &str, host: &str) -> bool {
    let mut labels = host.split('.');
    let label_fits = |p: &str, l: &str| match p.strip_prefix('*') {
        Some(end) => l.strip_suffix(end).is_some_and(is_label),
        None => p.eq_ignore_ascii_case(l),
    };
    pattern.split('.').all(|p| labels.next().is_some_and(|l| label_fits(p, l))) && labels.next().is_none()
}

/// Whether a text can begin a label of a host's name (RFC 952).
fn is_label(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

fn in_place(vendor: &Vendor, view: &View<'_>) -> bool {
    let named =
        |names: &[String]| view.name.is_some_and(|n| names.iter().any(|h| n.eq_ignore_ascii_case(h.as_bytes())));
    match view.placement {
        Placement::Header => named(&vendor.headers),
        Placement::Query => named(&vendor.query),
        // A request line is seen whole as well: the key in it is the one its query was judged by.
        Placement::RequestLine | Placement::Path => vendor.path,
        Placement::Body | Placement::Websocket => named(&vendor.body),
        Placement::Trailer | Placement::Host => false,
    }
}

/// A client's secret or its token for new ones, in a form to where it gets them (RFC 6749, sections 2.3.1 and 6).
fn is_client_credential(view: &View<'_>) -> bool {
    let named = |name: &[u8]| CLIENT_CREDENTIALS.iter().any(|c| name.eq_ignore_ascii_case(c.as_bytes()));
    view.placement == Placement::Body && view.name.is_some_and(named)
}

fn in_header(names: &[&str], view: &View<'_>) -> bool {
    view.placement == Placement::Header
        && view.name.is_some_and(|n| names.iter().any(|h| n.eq_ignore_ascii_case(h.as_bytes())))
}

#[cfg(test)]
mod tests;
