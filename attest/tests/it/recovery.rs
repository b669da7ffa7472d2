//! Logs begun anew: what must pass, and what somebody might hide behind a recovery that never was.

use crate::{
    attacks::{lines, put_lines},
    support::{Home, expect, settled},
};
use attest::{Chain, Limit, digest::sha256};
use posture::{Counts, EventBody, Family, FindingLog};
use std::fs;

/// Six records, all of them given up; then the recovery, record 7, a finding, and an export of both.
fn recovered() -> Home {
    let mut home = Home::new();
    home.recover();
    home.find(Family::Canary);
    home.export(settled);
    home
}

#[test]
fn a_log_begun_anew_verifies_and_says_from_where_on_it_is_provable() {
    let mut home = Home::new();
    home.recover();
    for _ in 0..3 {
        let report = home.verify();
        expect(&report, 0, "none");
        assert!(report.limits.contains(&Limit::BegunAnew { first_seq: 7 }), "{:?}", report.limits);
        assert!(!report.limits.contains(&Limit::PrunedRecords));
        let json = serde_json::to_value(&report).unwrap();
        let said = json["limits"].as_array().unwrap().iter().find(|l| l["name"] == "begun_anew").unwrap();
        assert!(said["text"].as_str().unwrap().contains("before number 7 "), "{said}");
        home.find(Family::Canary);
        home.export(settled);
    }
}

#[test]
fn a_second_recovery_and_a_prune_behind_it_verify() {
    let mut home = recovered();
    home.recover();
    expect(&home.verify(), 0, "none");
    home.seal_segment();
    home.find(Family::ReverseShell);
    home.announce(home.prune());
    expect(&home.verify(), 0, "none");
    home.delete_oldest();
    home.export(settled);
    let report = home.verify();
    expect(&report, 0, "none");
    assert!(report.limits.contains(&Limit::PrunedRecords), "the recovery itself is pruned");
}

#[test]
fn a_recovery_nobody_signed_excuses_nothing() {
    let mut home = Home::new();
    home.begin_anew(home.counts.clone());
    expect(&home.verify(), 1, "log_line");
    // Behind a log that is whole it is a record like any other.
    let mut home = Home::new();
    let whole = fs::read(home.log()).unwrap();
    let sealed = fs::read(home.at("findings-000000000001.jsonl")).unwrap();
    home.begin_anew(home.counts.clone());
    let recovery = fs::read(home.log()).unwrap();
    crate::support::put(&home.log(), &[whole, recovery].concat());
    crate::support::put(&home.at("findings-000000000001.jsonl"), &sealed);
    expect(&home.verify(), 0, "none");
}

#[test]
fn a_signed_log_that_begins_elsewhere_than_its_recovery_is_refused() {
    for first_seq in [1, 6, 8] {
        let mut home = recovered();
        let next_seq = home.chain.next_seq();
        home.export(|p| {
            settled(p);
            p.finding_log = FindingLog { first_seq, next_seq };
        });
        let code = if first_seq == 8 { "log_prefix" } else { "log_line" };
        expect(&home.verify(), 1, code);
    }
}

#[test]
fn a_recovery_that_is_gone_or_edited_is_missed() {
    let home = recovered();
    let text = lines(&home.log());
    put_lines(&home.log(), &text[1..]);
    expect(&home.verify(), 1, "log_line");
    put_lines(&home.log(), &[vec![text[0].replacen("\"bytes\":9", "\"bytes\":8", 1)], text[1..].to_vec()].concat());
    expect(&home.verify(), 1, "log_line");
    put_lines(&home.log(), &text);
    expect(&home.verify(), 0, "none");
}

#[test]
fn a_recovery_of_a_log_that_begins_with_it_is_none() {
    let mut home = Home::empty();
    home.begin_anew(Counts::default());
    home.export(settled);
    expect(&home.verify(), 1, "log_prefix");
}

#[test]
fn counts_a_recovery_does_not_carry_are_refused() {
    let mut home = Home::new();
    let fewer = Counts { folded: home.counts.folded - 1, ..home.counts.clone() };
    home.begin_anew(fewer);
    home.export(settled);
    expect(&home.verify(), 1, "counts");
}

#[test]
fn segments_that_come_back_do_not_go_before_a_recovery_they_do_not_chain_into() {
    let home = recovered();
    let mut stranger = Chain::genesis();
    let mut text = Vec::new();
    for _ in 0..6 {
        let framed =
            stranger.event(crate::support::time(crate::support::NOW), EventBody::Fold { count: 1, finding_seq: 1 });
        let framed = framed.unwrap();
        text.extend_from_slice(&framed.line);
        stranger.advance(&framed);
    }
    assert_ne!(stranger.head(), &sha256(""));
    crate::support::put(&home.at("findings-000000000001.jsonl"), &text);
    expect(&home.verify(), 1, "log_line");
}
