//! `[[suppress]]` → one suppression, checked: never of a canary, never of more than one rule at one host.

use super::error::Reason;
use super::file::{Entry, Raw};
use super::value::{self, bracketed, normal_host};
use crate::flow::{
    detect::{known::Kind, rule::RuleSet},
    suppress::{Covers, Suppression},
};
use chrono::NaiveDate;
use posture::{Fingerprint, Word};
use serde_json::{Value, json};
use std::sync::Arc;

/// No configuration needs more; each is looked at for each finding.
pub(super) const MAX: usize = 256;
const KEYS: [&str; 5] = ["fingerprint", "rule", "host", "reason", "until"];
const MAX_REASON: usize = 200;

/// Reads one; `rules` are those it may name.
pub(super) fn one(raw: &Raw, rules: impl Fn() -> Arc<RuleSet>) -> Result<Suppression, Reason> {
    let Raw::Table(entries) = raw else { return Err(Reason::new("expected tables: [[suppress]]")) };
    if let Some(entry) = entries.iter().find(|e| !KEYS.contains(&e.key.as_str())) {
        return Err(wrong(entry, "takes fingerprint, or rule and host; reason; and until alone"));
    }
    let of = |key: &str| entries.iter().find(|e| e.key == key);
    let needed = |key: &str| of(key).ok_or_else(|| Reason::new(format!("lacks `{key}`")));
    let covers = match (of("fingerprint"), of("rule"), of("host")) {
        (Some(entry), None, None) => Covers::Fingerprint(fingerprint(entry)?),
        (None, Some(entry), Some(host)) => Covers::RuleAtHost { rule: rule(entry, &rules())?, host: at(host)? },
        _ => return Err(Reason::new("takes either `fingerprint`, or `rule` and `host`: no more is covered at once")),
    };
    let (reason, until) = (needed("reason")?, needed("until")?);
    Ok(Suppression { covers, reason: why(reason)?, until: last_day(until)? })
}

/// As it is shown and attested: as written, not whether its day has passed.
pub(super) fn shown(one: &Suppression) -> Value {
    let (reason, until) = (&one.reason, one.until.to_string());
    match &one.covers {
        Covers::Fingerprint(fingerprint) => json!({"fingerprint": fingerprint, "reason": reason, "until": until}),
        Covers::RuleAtHost { rule, host } => json!({"rule": rule, "host": host, "reason": reason, "until": until}),
    }
}

fn wrong(entry: &Entry, what: &str) -> Reason {
    let key = KEYS.into_iter().find(|key| *key == entry.key).map_or_else(String::new, |key| format!(" {key}:"));
    Reason::new(format!("line {}:{key} {what}", entry.line))
}

fn fingerprint(entry: &Entry) -> Result<Fingerprint, Reason> {
    let read = value::text(&entry.raw).ok().and_then(|text| text.parse().ok());
    read.ok_or_else(|| wrong(entry, "expected 16 digits, as a finding has them"))
}

fn rule(entry: &Entry, rules: &RuleSet) -> Result<Word, Reason> {
    let id: Word = value::text(&entry.raw)
        .ok()
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| wrong(entry, "expected a rule's identifier, such as ai_api_key.openai"))?;
    if id == *Kind::Canary.id() {
        return Err(wrong(entry, "a canary is never suppressed: nothing legitimate sends it"));
    }
    let known = [Kind::EnvFile, Kind::EnvVariable].into_iter().any(|kind| id == *kind.id());
    if !known && !rules.rules().iter().any(|rule| *rule.id() == id) {
        return Err(wrong(entry, "no rule is called so; `patterns list` names them"));
    }
    Ok(id)
}

fn at(entry: &Entry) -> Result<String, Reason> {
    let host = value::text(&entry.raw).ok().and_then(normal_host);
    let host = host.ok_or_else(|| wrong(entry, "expected one host name or address, without port or wildcard"))?;
    Ok(bracketed(&host))
}

fn why(entry: &Entry) -> Result<String, Reason> {
    let text = value::text(&entry.raw).ok().map(str::trim);
    let fits = text.filter(|t| !t.is_empty() && t.len() <= MAX_REASON && !t.contains(char::is_control));
    fits.map(str::to_owned).ok_or_else(|| wrong(entry, "expected why, on one line of at most 200 bytes"))
}

fn last_day(entry: &Entry) -> Result<NaiveDate, Reason> {
    let text = value::text(&entry.raw).ok();
    let day = text.and_then(|text| Some((text, NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?)));
    // chrono reads more spellings than it writes, and years that no calendar has.
    let spelt = day.filter(|(text, day)| text.len() == "2027-01-31".len() && day.to_string() == *text);
    let spelt = spelt.map(|(_, day)| day);
    spelt.ok_or_else(|| wrong(entry, "expected the last day on which it holds, such as 2027-01-31"))
}
