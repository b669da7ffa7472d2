//! Finding → a Detection Finding (class 2004) of the Open Cybersecurity Schema Framework, one object a line.

use posture::{Direction, FindingRecord, Severity};
use serde_json::{Value, json};
use std::net::IpAddr;

/// The version of the schema (<https://schema.ocsf.io/1.8.0/classes/detection_finding>).
const VERSION: &str = "1.8.0";

/// The event of a finding that was seen `folded` times more.
pub(super) fn event(finding: &FindingRecord, folded: u64) -> Value {
    let time = finding.timestamp.to_utc().timestamp_millis();
    let (severity_id, severity) = match finding.severity {
        Severity::Info => (1, "Informational"),
        Severity::Low => (2, "Low"),
        Severity::Medium => (3, "Medium"),
        Severity::High => (4, "High"),
        Severity::Critical => (5, "Critical"),
    };
    let (direction_id, direction) = match finding.direction {
        Direction::Inbound => (1, "Inbound"),
        Direction::Outbound => (2, "Outbound"),
    };
    json!({
        "activity_id": 1,
        "activity_name": "Create",
        "category_name": "Findings",
        "category_uid": 2,
        "class_name": "Detection Finding",
        "class_uid": 2004,
        "count": folded.saturating_add(1),
        "evidences": [{
            "connection_info": {"direction": direction, "direction_id": direction_id},
            "dst_endpoint": endpoint(&finding.dest),
            "src_endpoint": endpoint(&finding.source),
        }],
        "finding_info": {
            "analytic": {"name": finding.rule, "type": "Rule", "type_id": 1, "uid": finding.rule},
            "created_time": time,
            "desc": finding.snippet,
            "title": finding.rule,
            "types": [finding.pattern.as_str(), finding.threat_type.as_str()],
            // What the line before it hashes to: no other record follows the same.
            "uid": finding.prev_sha256,
        },
        "message": finding.snippet,
        "metadata": {
            "log_name": "findings.jsonl",
            "log_version": finding.schema_version,
            "product": {
                "name": "Hermes Traffic Guardian",
                "vendor_name": "Hermes Traffic Guardian",
                "version": env!("CARGO_PKG_VERSION"),
            },
            "sequence": finding.seq,
            "version": VERSION,
        },
        "severity": severity,
        "severity_id": severity_id,
        "status": "New",
        "status_id": 1,
        "time": time,
        "type_name": "Detection Finding: Create",
        "type_uid": 200_401,
        "unmapped": {
            "encoding": finding.encoding,
            "fingerprint": finding.fingerprint,
            "placement": finding.placement,
            "protocol": finding.protocol,
        },
    })
}

/// `host:port` or an address; a name of which a part is redacted stays as it is.
fn endpoint(text: &str) -> Value {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if text.parse::<IpAddr>().is_err() => (host, port.parse::<u16>().ok()),
        _ => (text, None),
    };
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let mut endpoint = match bare.parse::<IpAddr>() {
        Ok(address) => json!({"ip": address}),
        Err(_) => json!({"hostname": host}),
    };
    if let Some(port) = port {
        endpoint["port"] = json!(port);
    }
    endpoint
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_a_name_or_an_address_with_its_port() {
        for (text, endpoint_of) in [
            ("api.example.com:443", json!({"hostname": "api.example.com", "port": 443})),
            ("127.0.0.1:80", json!({"ip": "127.0.0.1", "port": 80})),
            ("[::1]:8080", json!({"ip": "::1", "port": 8080})),
            ("::1", json!({"ip": "::1"})),
            ("10.0.0.1", json!({"ip": "10.0.0.1"})),
            ("[redacted]:443", json!({"hostname": "[redacted]", "port": 443})),
            ("[redacted].example.com:443", json!({"hostname": "[redacted].example.com", "port": 443})),
        ] {
            assert_eq!(endpoint(text), endpoint_of, "{text}");
        }
    }
}
