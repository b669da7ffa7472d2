//! `threats` over logs as the monitor writes them, and over others.

use crate::place::{BIN, Place};
use attest::chain::{Chain, Record};
use posture::{Direction, EventBody, Family, FindingRecord, Placement, Platform, Protocol, Severity, Timestamp};
use std::{
    fs,
    io::{BufRead, BufReader, Write},
};

struct Log {
    chain: Chain,
    bytes: Vec<u8>,
}

impl Log {
    fn new() -> Self {
        Self { chain: Chain::genesis(), bytes: Vec::new() }
    }

    fn finding(&mut self, severity: Severity, family: Family, day: u8) -> &mut Self {
        let framed = self.chain.finding(|seq, prev_sha256| FindingRecord {
            dest: "api.example.com:443".to_owned(),
            direction: family.direction(),
            encoding: Vec::new(),
            fingerprint: "0123456789abcdef".parse().unwrap(),
            pattern: family.into(),
            placement: Placement::Body,
            platform: Platform::Hermes,
            prev_sha256,
            protocol: Protocol::Http,
            rule: family.into(),
            schema_version: posture::FINDING_SCHEMA.to_owned(),
            seq,
            severity,
            snippet: format!("[REDACTED {family}]"),
            source: "127.0.0.1".to_owned(),
            threat_type: family.threat_type(),
            timestamp: time(day),
        });
        self.append(&framed.unwrap())
    }

    fn event(&mut self, event: EventBody) -> &mut Self {
        let framed = self.chain.event(time(1), event).unwrap();
        self.append(&framed)
    }

    fn append(&mut self, framed: &attest::Framed) -> &mut Self {
        self.bytes.extend_from_slice(&framed.line);
        self.chain.advance(framed);
        self
    }

    fn text(&self) -> &str {
        std::str::from_utf8(&self.bytes).unwrap()
    }
}

fn time(day: u8) -> Timestamp {
    format!("2026-04-{day:02}T00:00:00.000Z").parse().unwrap()
}

fn three() -> Log {
    let mut log = Log::new();
    log.finding(Severity::High, Family::AiApiKey, 1);
    log.finding(Severity::Low, Family::SshKeyPath, 2);
    let finding_seq = log.chain.next_seq() - 2;
    log.event(EventBody::Fold { count: 13, finding_seq });
    log.finding(Severity::Critical, Family::ReverseShell, 3);
    log
}

#[test]
fn every_finding_is_shown_with_what_followed_it() {
    let place = Place::new();
    place.file("findings.jsonl", three().text(), 0o600);
    let shown = place.run(&["threats", "--json"]).json();
    assert_eq!(shown["schema_version"], "clawsec-traffic-threats/v1");
    let findings = shown["findings"].as_array().unwrap();
    assert_eq!(findings.iter().map(|f| f["folded"].as_u64().unwrap()).collect::<Vec<_>>(), [13, 0, 0]);
    let table = place.run(&["threats"]);
    assert_eq!(table.code, 0);
    assert!(table.out.contains("+13") && table.out.contains("reverse_shell"), "{}", table.out);
}

#[test]
fn jsonl_gives_the_records_of_the_log_byte_for_byte() {
    let place = Place::new();
    let log = three();
    place.file("findings.jsonl", log.text(), 0o600);
    let records: String = log.text().lines().filter(|l| !l.contains("\"event\"")).flat_map(|l| [l, "\n"]).collect();
    assert_eq!(place.run(&["threats", "--format", "jsonl"]).out, records);
}

#[test]
fn a_sarif_log_is_one_document_with_each_rule_described_once() {
    let place = Place::new();
    let empty = place.run(&["threats", "--format", "sarif"]).json();
    assert_eq!(empty["runs"][0]["results"], serde_json::json!([]));
    place.file("findings.jsonl", three().finding(Severity::Info, Family::AiApiKey, 4).text(), 0o600);
    let said = place.run(&["threats", "--format", "sarif"]);
    let log = said.json();
    assert_eq!((said.code, log["version"].as_str(), said.err.as_str()), (0, Some("2.1.0"), ""));
    let results = log["runs"][0]["results"].as_array().unwrap();
    let of = |name: &str| results.iter().map(|r| r[name].clone()).collect::<Vec<_>>();
    assert_eq!(of("level"), ["error", "note", "error", "note"]);
    assert_eq!(of("ruleIndex"), [0, 1, 2, 0]);
    assert_eq!(of("occurrenceCount"), [14, 1, 1, 1]);
    let rules = log["runs"][0]["tool"]["driver"]["rules"].as_array().unwrap();
    assert_eq!(rules.len(), 3);
    assert!(
        results.iter().all(|r| rules[usize::try_from(r["ruleIndex"].as_u64().unwrap()).unwrap()]["id"] == r["ruleId"])
    );
    let newest = place.run(&["threats", "--format", "sarif", "--limit", "1"]).json();
    assert_eq!(newest["runs"][0]["results"].as_array().unwrap()[..], results[3..]);
    for args in [&["--format", "sarif", "--follow"][..], &["--format", "sarif", "--json"], &["--format", "xml"]] {
        assert_eq!(place.run(&[&["threats"], args].concat()).code, 64, "{args:?}");
    }
}

#[test]
fn an_ocsf_event_says_what_was_found_and_how_often() {
    let place = Place::new();
    place.file("findings.jsonl", three().text(), 0o600);
    let said = place.run(&["threats", "--format", "ocsf"]);
    let events: Vec<serde_json::Value> = said.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |pointer: &str| events.iter().map(|e| e.pointer(pointer).unwrap().clone()).collect::<Vec<_>>();
    assert_eq!(of("/class_uid"), [2004; 3]);
    assert_eq!(of("/count"), [14, 1, 1]);
    assert_eq!(of("/severity_id"), [4, 2, 5]);
    assert_eq!(of("/evidences/0/connection_info/direction_id"), [2, 2, 1]);
    let mut ids = of("/finding_info/uid");
    ids.dedup();
    assert_eq!(ids.len(), 3, "each has an identifier of its own");
    let forged = three().text().replacen("\"severity\":\"low\"", "\"severity\":\"dire\"", 1);
    fs::remove_file(place.home().join("findings.jsonl")).unwrap();
    place.file("findings.jsonl", &forged, 0o600);
    let said = place.run(&["threats", "--format", "ocsf"]);
    assert_eq!((said.code, said.out.lines().count()), (74, 2), "{}", said.err);
}

#[test]
fn filters_leave_out_what_they_say() {
    let place = Place::new();
    place.file("findings.jsonl", three().text(), 0o600);
    for (args, seen) in [
        (&["--severity", "high"][..], 2),
        (&["--family", "ssh_key_path"], 1),
        (&["--direction", "inbound"], 1),
        (&["--since", "2026-04-02T00:00:00.000Z"], 2),
        (&["--since", "1s"], 0),
        (&["--limit", "1"], 1),
    ] {
        let all = [&["threats", "--format", "jsonl"], args].concat();
        assert_eq!(place.run(&all).out.lines().count(), seen, "{args:?}");
    }
    assert!(place.run(&["threats", "--limit", "1"]).err.contains("2 older ones not shown"));
    let none = place.run(&["threats", "--limit", "0"]);
    assert!(none.err.contains("3 older ones not shown") && !none.err.contains("no findings"), "{}", none.err);
    let unknown = place.run(&["threats", "--family", "keys"]);
    assert_eq!(unknown.code, 64);
    assert!(unknown.err.contains("expected one of ai_api_key, "), "{}", unknown.err);
    for args in [["--since", "yesterday"], ["--severity", "bad"], ["--family", "x"]] {
        assert_eq!(place.run(&["threats", args[0], args[1]]).code, 64, "{args:?}");
    }
}

#[test]
fn no_log_is_no_finding_and_a_torn_end_is_still_being_written() {
    let place = Place::new();
    let said = place.run(&["threats"]);
    assert_eq!((said.code, said.out.as_str()), (0, ""));
    let log = three();
    place.file("findings.jsonl", &log.text()[..log.text().len() - 20], 0o600);
    let said = place.run(&["threats", "--format", "jsonl"]);
    assert_eq!((said.code, said.out.lines().count()), (0, 2));
}

#[test]
fn a_line_the_monitor_did_not_write_is_said_and_not_shown() {
    let place = Place::new();
    let forged = format!("{}{{\"snippet\":\"\u{1b}[2Jsk-hunter22\"}}\n", three().text());
    place.file("findings.jsonl", &forged, 0o600);
    let said = place.run(&["threats"]);
    assert_eq!(said.code, 74);
    assert!(!said.out.contains("hunter22") && !said.err.contains("hunter22"));
    assert!(said.err.contains("hint: `verify`"), "{}", said.err);
}

#[test]
fn a_record_cannot_write_to_the_terminal() {
    let mut log = Log::new();
    log.finding(Severity::High, Family::AiApiKey, 1);
    let Record::Finding(mut finding) = attest::chain::read_line(log.text().trim_end().as_bytes()).unwrap() else {
        panic!("a finding")
    };
    finding.dest = "\u{1b}]0;owned\u{7}\u{202e}\u{200b}".to_owned();
    let line = serde_json::to_string(&finding).unwrap() + "\n";
    let place = Place::new();
    place.file("findings.jsonl", &line, 0o600);
    let said = place.run(&["threats"]);
    assert!(said.out.contains("owned") && !said.out.contains(['\u{1b}', '\u{202e}', '\u{200b}']), "{:?}", said.out);
}

#[test]
fn segments_are_read_in_the_order_they_were_written() {
    let place = Place::new();
    let log = three();
    let lines: Vec<_> = log.text().lines().map(|l| format!("{l}\n")).collect();
    place.file("findings.jsonl", &lines[3], 0o600);
    place.file("findings-000000000001.jsonl", &lines[1..3].concat(), 0o600);
    place.file("findings-000000000000.jsonl", &lines[0], 0o600);
    let said = place.run(&["threats", "--format", "jsonl"]);
    assert_eq!(said.out, [lines[0].as_str(), &lines[1], &lines[3]].concat());
}

#[test]
fn follow_shows_what_is_appended_and_ends_with_its_reader() {
    let place = Place::new();
    let log = three();
    let (before, after) = log.text().split_at(log.text().find('\n').unwrap() + 1);
    place.file("findings.jsonl", before, 0o600);
    let mut command = std::process::Command::new(BIN);
    command.env_clear().env("HERMES_HOME", place.folder.path().join("hermes")).env("HOME", place.folder.path());
    command.args(["threats", "--follow", "--format", "jsonl"]).stdout(std::process::Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let direction = |line: String| {
        let record: FindingRecord = serde_json::from_str(&line).unwrap();
        record.direction
    };
    assert_eq!(direction(lines.next().unwrap().unwrap()), Direction::Outbound);
    let mut file = std::fs::OpenOptions::new().append(true).open(place.home().join("findings.jsonl")).unwrap();
    file.write_all(after.as_bytes()).unwrap();
    assert_eq!(direction(lines.next().unwrap().unwrap()), Direction::Outbound);
    assert_eq!(direction(lines.next().unwrap().unwrap()), Direction::Inbound);
    drop(lines);
    let mut next = three();
    next.chain = log.chain;
    next.bytes.clear();
    file.write_all(next.finding(Severity::High, Family::AiApiKey, 4).text().as_bytes()).unwrap();
    assert!(child.wait().unwrap().success(), "a reader that leaves is no error");
}

#[test]
fn a_log_longer_than_the_disk_makes_nobody_wait() {
    let place = Place::new();
    let log = three();
    place.file("findings.jsonl", log.text(), 0o600);
    let mut file = std::fs::File::options().append(true).open(place.home().join("findings.jsonl")).unwrap();
    file.set_len(4 << 40).unwrap();
    file.write_all(format!("\n{}", log.text()).as_bytes()).unwrap();
    let said = place.run(&["threats", "--json"]);
    assert_eq!(said.code, 74, "{}", said.err);
    let report: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(report["findings"].as_array().map(Vec::len), Some(6));
}

#[test]
fn a_pipe_in_the_place_of_the_log_makes_nobody_wait() {
    let place = Place::new();
    std::fs::create_dir_all(place.home()).unwrap();
    let path = place.home().join("findings.jsonl");
    assert!(std::process::Command::new("mkfifo").arg(path).status().unwrap().success());
    let said = place.run(&["threats"]);
    assert_eq!(said.code, 74, "{}", said.err);
    assert!(said.err.contains("not a regular file"), "{}", said.err);
}
