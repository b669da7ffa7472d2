//! Finding → one the operator has taken note of, or not: counted then, and not written.
//!
//! A suppression names one fingerprint, or one rule at one host, and ends by itself. None covers a canary.

use super::redact::{self, Finding};
use chrono::NaiveDate;
use posture::{Family, Fingerprint, Timestamp, Word};
use std::fmt;

/// One `[[suppress]]` of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suppression {
    /// What it covers.
    pub covers: Covers,
    /// Why: for whoever reads the configuration.
    pub reason: String,
    /// The last day, in UTC, on which it holds.
    pub until: NaiveDate,
}

/// What a suppression covers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Covers {
    /// One secret, command or path, wherever it goes.
    Fingerprint(Fingerprint),
    /// What one rule finds on its way to or from one host.
    RuleAtHost {
        /// The rule's identifier, exact.
        rule: Word,
        /// As a finding's `dest` spells it: lower case, exact, an IPv6 address in brackets.
        host: String,
    },
}

impl fmt::Display for Covers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fingerprint(fingerprint) => write!(f, "fingerprint {fingerprint}"),
            Self::RuleAtHost { rule, host } => write!(f, "{rule} at {}", redact::host(host)),
        }
    }
}

impl Suppression {
    /// Whether its last day has passed.
    pub fn is_over(&self, now: Timestamp) -> bool {
        now.to_utc().date_naive() > self.until
    }

    /// Whether it is about this finding, its end aside.
    pub fn covers(&self, finding: &Finding) -> bool {
        let about = match &self.covers {
            Covers::Fingerprint(fingerprint) => fingerprint == finding.fingerprint(),
            Covers::RuleAtHost { rule, host } => {
                rule == finding.rule() && finding.dest().rsplit_once(':').is_some_and(|(dest, _)| dest == host)
            }
        };
        about && finding.family() != Family::Canary
    }
}

/// Every suppression in force, and what each has covered in this run.
#[derive(Debug, Default)]
pub struct Suppressions {
    each: Vec<(Suppression, u64)>,
    findings: u64,
}

impl Suppressions {
    /// These, with nothing covered yet.
    pub fn new(each: Vec<Suppression>) -> Self {
        Self { each: each.into_iter().map(|one| (one, 0)).collect(), findings: 0 }
    }

    /// From here on these. What was covered stays counted.
    pub fn replace(&mut self, each: Vec<Suppression>) {
        let before = std::mem::take(&mut self.each);
        let had = |one: &Suppression| before.iter().find(|(b, _)| b.covers == one.covers).map_or(0, |(_, n)| *n);
        self.each = each.into_iter().map(|one| (one.clone(), had(&one))).collect();
    }

    /// Whether one covers this finding now; it is counted then.
    pub fn take(&mut self, finding: &Finding, now: Timestamp) -> bool {
        let found = self.each.iter_mut().find(|(one, _)| !one.is_over(now) && one.covers(finding));
        let covered = found.map(|(_, findings)| *findings += 1).is_some();
        self.findings += u64::from(covered);
        covered
    }

    /// Findings covered in this run.
    pub fn findings(&self) -> u64 {
        self.findings
    }

    /// Each, and how many findings it has covered in this run.
    pub fn each(&self) -> impl Iterator<Item = (&Suppression, u64)> {
        self.each.iter().map(|(one, findings)| (one, *findings))
    }
}

#[cfg(test)]
mod tests;
