//! What is no attack, and must pass.

use crate::support::{Home, expect, finding, put, settled};
use attest::chain::MAX_LINE_BYTES;
use attest::{Anchor, Folder, verify};
use posture::{Family, VerdictResult};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::process::Command;

#[test]
fn a_clean_folder_verifies_and_says_what_that_does_not_prove() {
    let home = Home::new();
    let report = home.verify();
    expect(&report, 0, "none");
    assert_eq!(report.result, VerdictResult::Verified);
    assert_eq!(report.posture.as_ref().unwrap().sequence, 2);
    assert_eq!(report.key_id, Some(home.key.public().key_id()));
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["schema_version"], "clawsec-traffic-verification/v1");
    let names: Vec<_> = json["limits"].as_array().unwrap().iter().map(|l| l["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["key_holder", "unsigned_records", "folder_rollback", "other_traffic"]);
}

#[test]
fn the_homes_own_anchor_is_said_to_be_its_own() {
    let report = Home::new().verify_with(|o| o.anchor = Anchor::Own);
    expect(&report, 0, "none");
    assert!(report.limits.contains(&attest::Limit::OwnAnchor));
}

#[test]
fn an_empty_log_verifies() {
    let mut home = Home::empty();
    home.export(|_| {});
    expect(&home.verify(), 0, "none");
    fs::remove_file(home.log()).unwrap();
    expect(&home.verify(), 0, "none");
}

#[test]
fn records_above_the_signed_head_are_tolerated() {
    let mut home = Home::new();
    home.find(Family::Canary);
    expect(&home.verify(), 0, "none");
    home.append_raw(b"{\"dest\":\"torn");
    expect(&home.verify(), 0, "none");
    home.append_raw(&vec![0; 100_000]);
    expect(&home.verify(), 0, "none");
    home.append_raw(b"\nno record at all\n");
    expect(&home.verify(), 0, "none");
}

#[test]
fn a_copy_elsewhere_verifies_with_nothing_but_the_pinned_key() {
    let home = Home::new();
    let copy = tempfile::tempdir().unwrap();
    assert!(Command::new("cp").arg("-a").arg(home.path()).arg(copy.path()).status().unwrap().success());
    let copied = copy.path().join(home.path().file_name().unwrap());
    fs::remove_file(copied.join("signing.pub.pem")).unwrap();
    expect(&verify(&Folder::open(&copied), &home.options()), 0, "none");
}

#[test]
fn log_and_exports_may_stand_elsewhere() {
    let home = Home::new();
    fs::create_dir(home.at("logs")).unwrap();
    for name in ["findings.jsonl", "findings-000000000001.jsonl"] {
        fs::rename(home.at(name), home.at("logs").join(name)).unwrap();
    }
    fs::rename(home.at("export"), home.at("proof")).unwrap();
    let folder = Folder::with_places(home.path(), &home.at("logs"), &home.at("proof"));
    expect(&verify(&folder, &home.options()), 0, "none");
    expect(&home.verify(), 74, "no_export");
}

#[test]
fn without_current_the_highest_complete_generation_is_read_and_said_so() {
    let home = Home::new();
    fs::remove_file(home.at("export/current")).unwrap();
    fs::create_dir(home.at("export/000000000009")).unwrap();
    put(&home.at("export/000000000009/posture.json"), b"half written");
    let report = home.verify();
    expect(&report, 0, "none");
    assert!(report.limits.contains(&attest::Limit::NoCurrent));
}

#[test]
fn the_longest_line_is_read() {
    let mut home = Home::empty();
    let rest = home.chain.finding(|s, p| finding(s, p, Family::Canary)).unwrap().line.len() - 1;
    let dest = |chars: usize| "x".repeat(chars + "api.example.com:443".len());
    let longest =
        |seq, prev| posture::FindingRecord { dest: dest(MAX_LINE_BYTES - rest), ..finding(seq, prev, Family::Canary) };
    let framed = home.chain.finding(longest).unwrap();
    assert_eq!(framed.line.len(), MAX_LINE_BYTES + 1);
    home.append(&framed);
    home.export(|_| {});
    expect(&home.verify(), 0, "none");
}

#[test]
fn a_monitor_between_two_segments_has_no_newest_one() {
    let mut home = Home::new();
    home.seal_segment();
    fs::remove_file(home.log()).unwrap();
    expect(&home.verify(), 0, "none");
    put(&home.log(), b"");
    home.find(Family::Canary);
    // Sealed after it was opened, before the list was read: one file under two names.
    fs::hard_link(home.log(), home.at("findings-000000000007.jsonl")).unwrap();
    home.export(settled);
    expect(&home.verify(), 0, "none");
    let mut log = Folder::open(home.path()).log().unwrap();
    let mut count = 0;
    while let Some(line) = log.next_line().unwrap() {
        count += u64::from(line.complete);
    }
    assert_eq!(count, home.chain.next_seq() - 1);
}

#[test]
fn a_path_that_is_no_text_is_reported_all_the_same() {
    let home = Home::new();
    let odd = home.path().join(OsStr::from_bytes(b"h\xffme"));
    let report = verify(&Folder::open(&odd), &home.options());
    expect(&report, 74, "no_folder");
    assert!(serde_json::to_string(&report).unwrap().contains("me\""));
}
