//! Findings → one SARIF 2.1.0 log, written as they are read.
//!
//! The results come first and the tool last: which rules it has to describe is known then, and no finding is kept.

use posture::{FindingRecord, Severity, Word};
use serde_json::{Value, json};
use std::{
    collections::HashMap,
    io::{self, Write},
};

/// The schema (<https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html>).
const SCHEMA: &str = "https://json.schemastore.org/sarif-2.1.0.json";

/// A log that is being written.
pub(super) struct Sarif<W> {
    out: W,
    results: u64,
    index: HashMap<Word, usize>,
    rules: Vec<Value>,
}

impl<W: Write> Sarif<W> {
    pub(super) fn begin(mut out: W) -> io::Result<Self> {
        write!(out, r#"{{"$schema":"{SCHEMA}","version":"2.1.0","runs":[{{"results":["#)?;
        Ok(Self { out, results: 0, index: HashMap::new(), rules: Vec::new() })
    }

    /// One more; it was seen `folded` times again.
    pub(super) fn result(&mut self, finding: &FindingRecord, folded: u64) -> io::Result<()> {
        if self.results > 0 {
            self.out.write_all(b",")?;
        }
        self.results += 1;
        let index = self.rule(finding);
        Ok(serde_json::to_writer(&mut self.out, &result(finding, index, folded))?)
    }

    pub(super) fn end(mut self) -> io::Result<()> {
        let driver = json!({
            "name": "hermes-traffic-guardian",
            "rules": self.rules,
            "semanticVersion": env!("CARGO_PKG_VERSION"),
        });
        write!(self.out, r#"],"tool":{{"driver":{driver}}}}}]}}"#)?;
        self.out.write_all(b"\n")?;
        self.out.flush()
    }

    fn rule(&mut self, finding: &FindingRecord) -> usize {
        if let Some(index) = self.index.get(&finding.rule) {
            return *index;
        }
        self.rules.push(json!({
            "id": finding.rule,
            "properties": {"tags": ["security", finding.pattern.as_str()]},
            "shortDescription": {"text": finding.snippet},
        }));
        self.index.insert(finding.rule.clone(), self.rules.len() - 1);
        self.rules.len() - 1
    }
}

fn result(finding: &FindingRecord, rule_index: usize, folded: u64) -> Value {
    let level = match finding.severity {
        Severity::Critical | Severity::High => "error",
        Severity::Medium => "warning",
        Severity::Low | Severity::Info => "note",
    };
    let FindingRecord { direction, placement, dest, snippet, .. } = finding;
    json!({
        "level": level,
        "locations": [{"logicalLocations": [{"fullyQualifiedName": dest, "kind": "resource"}]}],
        "message": {"text": format!("{snippet}: {direction}, {dest}, in {placement}")},
        "occurrenceCount": folded.saturating_add(1),
        "partialFingerprints": {"matched/v1": finding.fingerprint},
        "properties": {
            "direction": direction,
            "encoding": finding.encoding,
            "pattern": finding.pattern,
            "placement": placement,
            "protocol": finding.protocol,
            "seq": finding.seq,
            "severity": finding.severity,
            "source": finding.source,
            "threat_type": finding.threat_type,
            "timestamp": finding.timestamp,
        },
        "ruleId": finding.rule,
        "ruleIndex": rule_index,
    })
}
