//! Hits → what `scan` tells of them, and the sums at the end.

use super::super::{NO, Trouble, YES, show, trouble};
use crate::flow::{
    detect::Hit,
    redact::{self, Surroundings},
};
use posture::{Direction, Encoding, Family, NamedCount, Placement, Severity, Word};
use serde::Serialize;
use std::{collections::BTreeMap, io};

/// Findings of one text that are kept until all of it was looked through; those beyond are shown without what is around.
const MAX_PENDING: usize = 4096;

/// What was found: nothing of the text is in it.
#[derive(Serialize)]
struct Found<'a> {
    id: &'a str,
    direction: Direction,
    threat_type: posture::ThreatType,
    pattern: posture::Family,
    rule: &'a str,
    severity: Severity,
    placement: Placement,
    encoding: &'a [Encoding],
    snippet: String,
}

#[derive(Serialize)]
struct Report {
    schema_version: &'static str,
    findings: Vec<serde_json::Value>,
    totals: Totals,
}

/// Sums of what was scanned and shown.
#[derive(Default, Serialize)]
struct Totals {
    texts: u64,
    findings: u64,
    severity: Vec<NamedCount>,
    family: Vec<NamedCount>,
    /// Texts longer than what is looked at of a message, or that could not be decoded whole.
    in_part: u64,
    /// Files that could not be read, and lines that are none.
    unread: u64,
}

/// How it is told.
pub(super) enum Form {
    /// To a person, each finding with the line it stands on.
    Human(Pending),
    /// One object a line.
    Lines,
    /// One object at the end.
    Report(Vec<serde_json::Value>),
}

/// What was found in a text that is not yet looked through, and the lines it stands on.
pub(super) struct Pending {
    surroundings: Surroundings,
    lines: Vec<(String, Option<String>)>,
}

impl Pending {
    pub(super) fn new(surroundings: Surroundings) -> Self {
        Self { surroundings, lines: Vec::new() }
    }

    fn add(&mut self, line: String, hit: &Hit<'_>) -> Result<(), Trouble> {
        let around = self.surroundings.around(hit);
        if self.lines.len() == MAX_PENDING {
            self.lines.drain(..).try_for_each(|(line, _)| show::line(line))?;
        }
        self.lines.push((line, around));
        Ok(())
    }

    /// Shows it: the text was looked through.
    fn end(&mut self) -> Result<(), Trouble> {
        let shown = self.lines.drain(..).try_for_each(|(line, around)| {
            show::line(line)?;
            match around.filter(|around| self.surroundings.shows(around)) {
                Some(around) => show::line(format_args!("    {}", show::paint(&show::plain(&around), "2"))),
                None => Ok(()),
            }
        });
        self.surroundings.forget();
        shown
    }
}

/// What was told and what not.
#[derive(Default)]
pub(super) struct Sums {
    pub(super) texts: u64,
    findings: u64,
    severity: BTreeMap<Severity, u64>,
    family: BTreeMap<Family, u64>,
    pub(super) in_part: u64,
    pub(super) unread: u64,
}

impl Sums {
    fn add(&mut self, family: Family, severity: Severity) {
        self.findings += 1;
        *self.severity.entry(severity).or_default() += 1;
        *self.family.entry(family).or_default() += 1;
    }

    fn totals(&self) -> Totals {
        let named = |name: Word, count: &u64| NamedCount { count: *count, name };
        Totals {
            texts: self.texts,
            findings: self.findings,
            // The gravest first.
            severity: self.severity.iter().rev().map(|(severity, count)| named((*severity).into(), count)).collect(),
            family: self.family.iter().map(|(family, count)| named((*family).into(), count)).collect(),
            in_part: self.in_part,
            unread: self.unread,
        }
    }

    /// In one line; nothing where there is nothing to sum up.
    fn line(&self) -> Option<String> {
        if self.findings == 0 && self.texts < 2 {
            return None;
        }
        let number = |n: u64, one: &str| if n == 1 { format!("1 {one}") } else { format!("{n} {one}s") };
        let mut line = format!("{} in {}", number(self.findings, "finding"), number(self.texts, "text"));
        if self.findings > 0 {
            let severity: Vec<_> = self.severity.iter().rev().map(|(name, count)| format!("{count} {name}")).collect();
            let family: Vec<_> = self.family.iter().map(|(name, count)| format!("{name} {count}")).collect();
            line = format!("{line}: {}; {}", severity.join(", "), family.join(", "));
        }
        for (count, what) in [(self.in_part, "looked at in part"), (self.unread, "not read")] {
            if count > 0 {
                line = format!("{line}; {count} {what}");
            }
        }
        Some(line)
    }
}

/// Everything that is told.
pub(super) struct Told {
    pub(super) form: Form,
    pub(super) sums: Sums,
}

impl Told {
    pub(super) fn is_for_a_person(&self) -> bool {
        matches!(self.form, Form::Human(_))
    }

    /// One finding.
    pub(super) fn hit(&mut self, id: &str, hit: &Hit<'_>) -> Result<(), Trouble> {
        let family = hit.rule.family();
        self.sums.add(family, hit.severity);
        let found = Found {
            id,
            direction: hit.direction,
            threat_type: family.threat_type(),
            pattern: family,
            rule: hit.rule.id().as_str(),
            severity: hit.severity,
            placement: hit.placement,
            encoding: hit.encoding,
            snippet: redact::snippet(hit),
        };
        match &mut self.form {
            Form::Lines => show::json(&found),
            Form::Report(kept) => {
                kept.push(serde_json::to_value(&found).map_err(io::Error::from)?);
                Ok(())
            }
            Form::Human(pending) => {
                let decoded: Vec<_> = found.encoding.iter().map(|e| e.as_str()).collect();
                let by = if decoded.is_empty() { String::new() } else { format!(" by way of {}", decoded.join(" > ")) };
                let severity = show::severity(found.severity);
                let Found { rule, placement, snippet, .. } = &found;
                pending.add(format!("{}: {severity} {rule} in {placement}{by}: {snippet}", show::plain(id)), hit)
            }
        }
    }

    /// A text was looked through. Answers at once what was kept for that.
    pub(super) fn text(&mut self) -> Result<(), Trouble> {
        self.sums.texts += 1;
        match &mut self.form {
            Form::Human(pending) => pending.end(),
            Form::Lines | Form::Report(_) => Ok(()),
        }
    }

    /// Whether [`Told::text`] will say anything.
    pub(super) fn waits(&self) -> bool {
        matches!(&self.form, Form::Human(pending) if !pending.lines.is_empty())
    }

    /// The sums; the code to exit with.
    pub(super) fn end(self, done: Result<(), Trouble>) -> Result<u8, Trouble> {
        let Self { form, sums } = self;
        let code = if sums.findings > 0 { NO } else { YES };
        let told = done.and_then(|()| match form {
            Form::Report(findings) => {
                let totals = sums.totals();
                show::json(&Report { schema_version: "clawsec-traffic-scan/v1", findings, totals })
            }
            Form::Human(_) => {
                sums.line().into_iter().for_each(show::note);
                Ok(())
            }
            Form::Lines => Ok(()),
        });
        let code = trouble::whoever_listens(told, code)?;
        Ok(if sums.unread > 0 { trouble::IO } else { code })
    }
}
