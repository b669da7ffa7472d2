use super::*;
use crate::flow::{
    capture::Route,
    detect::{Hit, Named, known::Kind, rule::RuleSet},
    redact::Redactor,
};
use posture::{Direction, Placement, Protocol, Severity};

fn at(day: &str) -> Timestamp {
    format!("{day}T12:00:00.000Z").parse().unwrap()
}

fn until(day: &str) -> NaiveDate {
    day.parse().unwrap()
}

/// A finding of `value`: by its rule, or as a canary.
fn finding(value: &str, host: &str, canary: bool) -> Finding {
    let rules = RuleSet::embedded();
    let route = Route {
        protocol: Protocol::Http,
        host: host.into(),
        port: 80,
        source: [127, 0, 0, 1].into(),
        names_agree: true,
        verified_tls: false,
    };
    let hit = Hit {
        rule: if canary { Named::Known(Kind::Canary) } else { Named::Rule(&rules.rules()[0]) },
        matched: value.as_bytes(),
        view: value.as_bytes(),
        span: None,
        severity: Severity::High,
        direction: Direction::Outbound,
        placement: Placement::Body,
        encoding: &[],
        route: &route,
        expected: false,
    };
    Redactor::new(&[7; 32]).finding(&hit, at("2027-01-01"))
}

fn of(covers: Covers) -> Suppressions {
    Suppressions::new(vec![Suppression { covers, reason: "a test".into(), until: until("2027-01-31") }])
}

#[test]
fn a_fingerprint_is_covered_wherever_it_goes_until_its_last_day_is_over() {
    let known = finding("one", "a.test", false);
    let mut suppressions = of(Covers::Fingerprint(known.fingerprint().clone()));
    assert!(suppressions.take(&known, at("2027-01-31")));
    assert!(suppressions.take(&finding("one", "b.test", false), at("2027-01-01")));
    assert!(!suppressions.take(&finding("two", "a.test", false), at("2027-01-01")), "another secret");
    assert!(!suppressions.take(&known, at("2027-02-01")), "it is over");
    assert_eq!((suppressions.findings(), suppressions.each().next().unwrap().1), (2, 2));
}

#[test]
fn a_rule_is_covered_at_its_host_alone() {
    let rule = RuleSet::embedded().rules()[0].id().clone();
    let here = at("2027-01-01");
    let mut suppressions = of(Covers::RuleAtHost { rule: rule.clone(), host: "a.test".into() });
    assert!(suppressions.take(&finding("one", "a.test", false), here));
    for host in ["b.test", "x.a.test", "a.test.evil.test", "sk-d704484fb8b02d950eb67d6bffe650bc.a.test", "::1"] {
        assert!(!suppressions.take(&finding("one", host, false), here), "{host}");
    }
    let mut loopback = of(Covers::RuleAtHost { rule, host: "[::1]".into() });
    assert!(loopback.take(&finding("one", "::1", false), here));
}

#[test]
fn a_canary_is_never_covered() {
    let canary = finding("one", "a.test", true);
    assert!(!of(Covers::Fingerprint(canary.fingerprint().clone())).take(&canary, at("2027-01-01")));
    let covers = Covers::RuleAtHost { rule: canary.rule().clone(), host: "a.test".into() };
    assert!(!of(covers).take(&canary, at("2027-01-01")));
}

#[test]
fn what_was_covered_stays_counted_when_the_suppressions_change() {
    let known = finding("one", "a.test", false);
    let mut suppressions = of(Covers::Fingerprint(known.fingerprint().clone()));
    assert!(suppressions.take(&known, at("2027-01-01")));
    let longer = Suppression { until: until("2028-01-01"), ..suppressions.each().next().unwrap().0.clone() };
    suppressions.replace(vec![longer]);
    assert!(suppressions.take(&known, at("2027-12-01")));
    assert_eq!(suppressions.each().next().unwrap().1, 2);
    suppressions.replace(Vec::new());
    assert!(!suppressions.take(&known, at("2027-12-01")));
    assert_eq!(suppressions.findings(), 2);
}
