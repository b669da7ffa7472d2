//! What is authentic and yet does not pass: too old, too new, stopped, degraded, drifted.

use crate::support::{Home, expect, time};
use attest::{Baseline, Limit, digest::sha256};
use posture::{DegradedReason, Ended, MonitorStatus, Posture};
use std::{fs, time::Duration};

fn at(home: &Home, now: &str) -> attest::Report {
    home.verify_with(|o| o.now = time(now))
}

#[test]
fn a_posture_is_current_until_the_end_of_its_validity() {
    let home = Home::new();
    expect(&at(&home, "2026-04-26T00:03:00.000Z"), 0, "none");
    let report = at(&home, "2026-04-26T00:03:00.001Z");
    expect(&report, 3, "expired");
    assert!(report.posture.is_some());
    assert_eq!(report.result, posture::VerdictResult::NotCurrent);
}

#[test]
fn max_age_replaces_the_expiry() {
    let home = Home::new();
    for (now, seconds, exit, code) in [
        ("2026-04-26T00:00:30.000Z", 30, 0, "none"),
        ("2026-04-26T00:00:30.001Z", 30, 3, "too_old"),
        ("2027-04-26T00:00:00.000Z", 365 * 86_400, 0, "none"),
        ("2026-04-25T23:59:00.000Z", 0, 0, "none"),
    ] {
        let report = home.verify_with(|o| {
            o.now = time(now);
            o.max_age = Some(Duration::from_secs(seconds));
        });
        expect(&report, exit, code);
    }
}

#[test]
fn a_posture_from_the_future_is_refused() {
    let home = Home::new();
    expect(&at(&home, "2026-04-25T23:58:00.000Z"), 0, "none");
    expect(&at(&home, "2026-04-25T23:57:59.999Z"), 3, "clock_ahead");
}

#[test]
fn validity_is_exactly_three_periods() {
    for change in [
        |p: &mut Posture| p.valid_until = time("2026-04-26T00:03:00.001Z"),
        |p: &mut Posture| p.valid_until = time("2026-04-25T00:00:00.000Z"),
        |p: &mut Posture| p.valid_until = time("9999-12-31T23:59:59.999Z"),
        |p: &mut Posture| p.period_seconds = 61,
        |p: &mut Posture| p.period_seconds = posture::MAX_INTEGER,
    ] {
        let mut home = Home::new();
        home.export(change);
        expect(&home.verify(), 3, "clock_span");
    }
}

#[test]
fn a_stopped_monitor_passes_only_if_asked_and_stopped_on_purpose() {
    for (ended, accepted) in [
        (Ended::OperatorStop, true),
        (Ended::RunFinished, true),
        (Ended::Signal, false),
        (Ended::Unclean, false),
        (Ended::Running, false),
    ] {
        let mut home = Home::new();
        home.export(|p| (p.monitor_status, p.ended) = (MonitorStatus::Stopped, ended));
        expect(&home.verify(), 3, "stopped");
        for now in ["2026-04-26T00:00:30.000Z", "2030-01-01T00:00:00.000Z"] {
            let report = home.verify_with(|o| (o.accept_stopped, o.now) = (true, time(now)));
            expect(&report, if accepted { 0 } else { 3 }, if accepted { "none" } else { "stopped" });
            assert_eq!(report.limits.contains(&Limit::ExpiryNotTested), accepted);
        }
        let bounded = home.verify_with(|o| {
            (o.accept_stopped, o.now) = (true, time("2030-01-01T00:00:00.000Z"));
            o.max_age = Some(Duration::from_secs(60));
        });
        expect(&bounded, 3, if accepted { "too_old" } else { "stopped" });
    }
}

#[test]
fn accepting_a_stop_does_not_accept_a_death() {
    let home = Home::new();
    let report = home.verify_with(|o| (o.accept_stopped, o.now) = (true, time("2026-04-27T00:00:00.000Z")));
    expect(&report, 3, "expired");
}

#[test]
fn a_monitor_that_says_it_is_not_whole_does_not_pass() {
    let mut home = Home::new();
    home.export(|p| {
        p.monitor_status = MonitorStatus::Degraded;
        p.degraded_reasons = vec![DegradedReason::ScannerStalled.into()];
    });
    let report = home.verify();
    expect(&report, 3, "degraded");
    assert_eq!(report.result, posture::VerdictResult::Degraded);
    assert!(report.reason.unwrap().to_string().contains("scanner_stalled"));
    home.export(|p| p.degraded_reasons = vec!["a_word_of_tomorrow".parse().unwrap()]);
    expect(&home.verify(), 3, "degraded");
    home.export(|p| p.monitor_status = MonitorStatus::Degraded);
    expect(&home.verify(), 3, "degraded");
}

#[test]
fn a_state_that_differs_from_the_baseline_is_drift_and_the_member_is_named() {
    let mut home = Home::new();
    let baseline = home.baseline();
    let hash = Baseline::from_sha256(sha256(fs::read(home.exported("state.json")).unwrap()));
    for known in [&baseline, &hash] {
        expect(&home.verify_with(|o| o.baseline = Some(known.clone())), 0, "none");
    }
    home.export(|_| {});
    expect(&home.verify_with(|o| o.baseline = Some(baseline.clone())), 0, "none");
    home.export_both(|_| {}, |s| (s.https_inspection, s.monitor_enabled) = (true, false));
    let report = home.verify_with(|o| o.baseline = Some(baseline));
    expect(&report, 2, "drifted");
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["reason"]["fields"], serde_json::json!(["https_inspection", "monitor_enabled"]));
    expect(&home.verify_with(|o| o.baseline = Some(hash)), 2, "drifted");
}

#[test]
fn a_baseline_that_is_no_state_is_refused() {
    let home = Home::new();
    for name in ["posture.json", "state.json.sig"] {
        assert!(Baseline::from_state(&fs::read(home.exported(name)).unwrap()).is_err());
    }
}
