//! What a monitor makes of sightings without end: the same one over and over, and ever others.

use super::*;
use crate::{
    place::{BIN, Said},
    shapes::made::Draw,
};
use attest::Record;
use posture::{DegradedReason, EventBody, FindingRecord};

/// The `n`th of keys no vendor ever gave out.
fn key(n: usize) -> String {
    Draw(n as u64).fill("sk-{{alnum:20}}T3BlbkFJ{{alnum:20}}")
}

/// Every line of the log, sealed segments first.
fn log(config: &Config) -> (Vec<FindingRecord>, Vec<EventBody>) {
    let mut chain = attest::Chain::genesis();
    let mut segments = files(&config.log_dir);
    segments.retain(|f| f.file_name().is_some_and(|n| n.to_string_lossy().starts_with("findings")));
    segments.sort();
    let bytes = segments.iter().flat_map(|f| fs::read(f).unwrap()).collect::<Vec<_>>();
    let (mut findings, mut events) = (Vec::new(), Vec::new());
    for line in bytes.strip_suffix(b"\n").unwrap().split(|b| *b == b'\n') {
        match chain.follow(line).unwrap() {
            Record::Finding(finding) => findings.push(*finding),
            Record::Event(event) => events.push(event.event),
        }
    }
    (findings, events)
}

#[test]
fn a_key_seen_before_and_after_a_restart_is_found_again_and_known_again() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path());
    let body = format!("keep {} and {}", key(1), key(2));
    let origin = origin(body.len());
    for run in 1..=2 {
        let monitor = Monitor::start(&config, Options::default());
        for _ in 0..3 {
            monitor.post(origin, &token(&config), &body);
        }
        monitor.status_when(|s| s.counts.findings == 2 * run && s.coverage.scanned.messages == 6 * run);
        ended_well(monitor);
        let counts = posture(&config).counts;
        assert_eq!((counts.findings, counts.folded), (2 * run, 4 * run));
    }
    let (findings, _) = log(&config);
    let prints: Vec<_> = findings.iter().map(|f| &f.fingerprint).collect();
    assert_ne!(prints[0], prints[1], "another key");
    assert_eq!(prints[..2], prints[2..], "the same keys");
    assert_eq!(verified(&config, true), VerdictResult::Verified);
}

#[test]
fn a_flood_of_keys_overflows_into_numbers_that_are_signed() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = config(dir.path());
    config.retention.max_bytes = 128 << 10;
    config.retention.segment_bytes = 32 << 10;
    let flood = 1000;
    let again = 20;
    let keys = |most| (0..most).map(key).collect::<Vec<_>>().join("\n");
    let filler = " ".repeat(keys(flood).len() - keys(again).len());
    let origin = origin(keys(flood).len());
    let monitor = Monitor::start(&config, Options::default());
    for body in [keys(flood), keys(again) + &filler] {
        monitor.post(origin, &token(&config), &body);
    }
    let status = monitor.status_when(|s| s.coverage.scanned.messages == 4);
    assert_eq!(status.monitor_status, MonitorStatus::Degraded);
    assert_eq!(status.degraded_reasons, [DegradedReason::LogFull.into()]);
    ended_well(monitor);

    let last = posture(&config);
    let not_recorded = last.attested.not_recorded;
    assert!(last.counts.findings > 50 && not_recorded > 0, "{:?}", last.counts);
    assert_eq!(last.counts.findings + not_recorded, flood as u64, "every key is a line or a number");
    assert_eq!(last.counts.folded, again as u64, "and no fold, but where it was a line before");
    let mut verify = assert_cmd::Command::new(BIN);
    verify.env_clear().env("HOME", dir.path()).arg("--home").arg(&config.home);
    let said = Said::of(verify.args(["verify", "--accept-stopped"]));
    assert!(said.out.contains(&format!("; {not_recorded} more are in no record")), "{}", said.out);
    let (findings, events) = log(&config);
    let mut prints: Vec<_> = findings.iter().map(|f| f.fingerprint.to_string()).collect();
    prints.sort();
    prints.dedup();
    assert_eq!(prints.len() as u64, last.counts.findings, "no key is two lines");
    let overflow: Vec<_> = events
        .iter()
        .filter_map(
            |e| if let EventBody::Overflow { count, dest, rule } = e { Some((*count, dest, rule)) } else { None },
        )
        .collect();
    assert_eq!(overflow.len(), 1, "one rule, one destination, one window: {overflow:?}");
    assert_eq!(overflow[0].0, not_recorded);
    assert_eq!(overflow[0].1.as_deref(), Some(origin.to_string().as_str()));
    assert_eq!(overflow[0].2.as_str(), "ai_api_key.openai_legacy");
}
