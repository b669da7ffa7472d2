//! A configuration in force and one read anew → what can take its place while a monitor runs, and what is weaker then.

use super::{AudienceEntry, Config, SETTINGS};
use crate::flow::detect::rule::{Rule, RuleSet, Vendor};
use posture::Weakening;
use std::collections::BTreeSet;

impl Config {
    /// This configuration with everything of `read` that a running monitor can take on.
    #[must_use]
    pub fn reloaded_as(&self, read: &Self) -> Self {
        let Self { rule_files, local_rules, audience, suppress, pass_through, .. } = read.clone();
        let next = Self {
            rule_files,
            local_rules,
            audience,
            suppress,
            pass_through,
            known_secrets: read.known_secrets.clone(),
            retention: read.retention,
            export_every: read.export_every,
            fold_window: read.fold_window,
            fold_open_max: read.fold_open_max,
            ..self.clone()
        };
        // A message that may be longer than the queue would never be looked at whole.
        let fits = read.scan.max_scan_bytes <= self.scan_queue_bytes;
        if fits { Self { scan: read.scan, ..next } } else { next }
    }

    /// The keys whose values differ.
    pub fn differing(&self, other: &Self) -> Vec<&'static str> {
        let credentials = |config: &Self| config.proxy_url.as_ref().and_then(|proxy| proxy.credentials.clone());
        let differs = |key: &str| key == "proxy_url" && credentials(self) != credentials(other);
        let settings = SETTINGS.iter().filter(|s| s.shown(self) != s.shown(other) || differs(s.key));
        settings.map(|setting| setting.key).collect()
    }

    /// What of this configuration is weaker than it was in `before`.
    pub fn weaker_than(&self, before: &Self) -> BTreeSet<Weakening> {
        let scan = |config: &Self| {
            let scan = config.scan;
            [scan.max_scan_bytes, scan.max_decoded_bytes, scan.max_ratio, scan.max_depth]
        };
        let less = |now: &[usize], then: &[usize]| now.iter().zip(then).any(|(now, then)| now < then);
        let (kept, kept_before) = (self.retention, before.retention);
        let (rules, rules_before) = (self.rules(), before.rules());
        let (known, known_before) = (&self.known_secrets, &before.known_secrets);
        let fewer = known_before.variables.iter().any(|name| !known.variables.contains(name));
        let suppressed = |one: &&crate::flow::suppress::Suppression| {
            before.suppress.iter().any(|b| b.covers == one.covers && b.until >= one.until)
        };
        [
            (Weakening::Audience, self.audience.iter().any(|entry| !lets(&before.audience, entry))),
            (Weakening::Audience, rules.vendors().iter().any(|vendor| is_wider(vendor, rules_before.vendors()))),
            (Weakening::Audience, known.enabled && known_before.enabled && claims_more(&rules, &rules_before)),
            (Weakening::ExportPeriod, self.export_every > before.export_every),
            (Weakening::Fold, self.fold_window > before.fold_window || self.fold_open_max < before.fold_open_max),
            (Weakening::KnownSecrets, known_before.enabled && (!known.enabled || fewer)),
            (Weakening::PassThrough, self.pass_through.iter().any(|host| !before.pass_through.contains(host))),
            (
                Weakening::Retention,
                kept.max_bytes < kept_before.max_bytes || kept.max_age_days < kept_before.max_age_days,
            ),
            (Weakening::Rules, rules_before.rules().iter().any(|rule| !rules.rules().iter().any(|r| is_same(r, rule)))),
            (Weakening::ScanBounds, less(&scan(self), &scan(before))),
            (Weakening::Suppress, self.suppress.iter().any(|one| !suppressed(&one))),
        ]
        .into_iter()
        .filter_map(|(word, is)| is.then_some(word))
        .collect()
    }
}

/// Whether everything that `entry` lets through was let through before.
fn lets(before: &[AudienceEntry], entry: &AudienceEntry) -> bool {
    let same = |b: &&AudienceEntry| (b.scheme, &b.host, b.port) == (entry.scheme, &entry.host, entry.port);
    let had = |vendor: &String| before.iter().filter(same).any(|b| b.vendors.iter().any(|v| v == "*" || v == vendor));
    entry.vendors.iter().all(had)
}

/// Whether a vendor's keys may go where they could not before.
fn is_wider(vendor: &Vendor, before: &[Vendor]) -> bool {
    let more = |now: &[String], then: &[String]| now.iter().any(|one| !then.contains(one));
    before.iter().find(|b| b.name == vendor.name).is_some_and(|b| {
        more(&vendor.hosts, &b.hosts)
            || more(&vendor.headers, &b.headers)
            || more(&vendor.query, &b.query)
            || more(&vendor.body, &b.body)
            || (vendor.path && !b.path)
    })
}

/// Whether a known secret that was nobody's may be a vendor's now: by its variable's name, or by a shape there was no rule for.
fn claims_more(rules: &RuleSet, before: &RuleSet) -> bool {
    let named = |vendor: &Vendor, words: &String| {
        before.vendors().iter().any(|b| b.name == vendor.name && b.variables.contains(words))
    };
    let had = |rule: &Rule| before.rules().iter().any(|b| b.id() == rule.id());
    rules.vendors().iter().any(|vendor| vendor.variables.iter().any(|words| !named(vendor, words)))
        || rules.rules().iter().any(|rule| !rule.vendors().is_empty() && !had(rule))
}

fn is_same(a: &Rule, b: &Rule) -> bool {
    // What is built in does not change while it runs.
    a.id() == b.id() && (a.file().is_none() || a.says_the_same(b))
}

#[cfg(test)]
mod tests;
