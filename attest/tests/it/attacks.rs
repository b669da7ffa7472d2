//! Everything a person with write access might try. Exit codes as `verify` documents them.
//!
//! Which test holds which row; those without a file are here.
//!
//! | attack, or what is none | exit | test |
//! |---|---|---|
//! | nothing | 0 | `a_clean_folder_verifies_and_says_what_that_does_not_prove` |
//! | the log grew; its unsigned tail is torn | 0 | `records_above_the_signed_head_are_tolerated` |
//! | a record edited | 1 | `an_edited_record_is_refused` |
//! | edited and chained anew | 1 | `a_log_edited_and_chained_anew_is_refused` |
//! | a record taken from the middle | 1 | `a_record_taken_from_the_middle_is_missed` |
//! | the signed tail cut | 1 | `a_signed_tail_that_is_cut_is_missed` |
//! | the log emptied | 1 | `an_emptied_or_removed_log_is_missed` |
//! | the log of another installation | 1 | `the_log_of_another_installation_is_refused` |
//! | a prefix dropped | 1 | `retention::a_prefix_dropped_without_a_prune_is_refused` |
//! | a prune forged in the unsigned tail | 1 | `retention::a_prune_forged_in_the_unsigned_tail_helps_nobody` |
//! | retention, over and over, at every step | 0 | `retention::retention_again_and_again_verifies_at_every_step` |
//! | a log begun anew by a person | 0 | `recovery::a_log_begun_anew_verifies_and_says_from_where_on_it_is_provable` |
//! | a recovery nobody signed | 1 | `recovery::a_recovery_nobody_signed_excuses_nothing` |
//! | one flipped bit, one cut, anywhere | 1 | `one_flipped_bit_anywhere_never_verifies`, `a_file_cut_anywhere_never_verifies` |
//! | damage at random | ≠ 0 | `mutations::no_random_damage_to_what_is_signed_verifies` |
//! | any content, a gigabyte, no file at all | 1, 74 | `hostile::any_content_at_all_is_answered`, and the others there |
//! | `__proto__` appended | 1 | `an_appended_prototype_is_refused_even_where_the_digest_holds` |
//! | the state swapped | 1 | `a_swapped_state_is_refused` |
//! | a signature over another file | 1 | `a_state_whose_signature_is_anothers_is_refused` |
//! | a signature spelt otherwise, or malleable | 1 | `other_spellings_of_a_signature_are_refused`; `keys/tests` |
//! | a weak key, a wrong key, none | 1 | `a_weak_or_broken_anchor_is_refused`, `another_key_and_no_key_are_refused` |
//! | the key file swapped for a weak one | 1 | `rotation::a_key_file_swapped_for_a_weak_or_another_key_is_refused` |
//! | a rotation removed | 1 | `rotation::a_rotation_removed_is_missed_from_either_key` |
//! | a rotation without the old key | 1 | `rotation::both_keys_must_have_signed_a_statement` |
//! | two rotations from one key | 1 | `rotation::whoever_stole_the_old_key_cannot_lead_away_from_the_new_one` |
//! | the old key used on | 1 | `rotation::the_old_key_signs_nothing_from_its_rotation_on` |
//! | a rotation, at every step | 0 | `rotation::every_step_of_a_rotation_verifies_from_the_old_key` |
//! | `current` leads elsewhere | 1 | `current_must_be_a_relative_name_of_twelve_digits` |
//! | a generation half written | 1 | `a_missing_file_of_the_generation_is_missed`, `a_generation_half_written_is_no_last_word` |
//! | a counter going backwards | 1 | `a_counter_that_fell_below_a_retained_generation_is_refused` |
//! | a posture moved | 1 | `a_posture_moved_to_another_generation_is_refused` |
//! | the mode changed, and signed | 2 | `time::a_state_that_differs_from_the_baseline_is_drift_and_the_member_is_named` |
//! | expired; a machine that was suspended | 3 | `time::a_posture_is_current_until_the_end_of_its_validity` |
//! | a clock set back, a year ahead | 3 | `time::a_posture_from_the_future_is_refused`, `time::validity_is_exactly_three_periods` |
//! | `valid_until` edited | 1, 3 | `one_flipped_bit_anywhere_never_verifies`; signed, `time::validity_is_exactly_three_periods` |
//! | `current` rolled back | 3 | `current_set_back_behind_a_later_statement_is_seen` |
//! | the folder rolled back, with memory | 3 | `memory::a_folder_set_back_is_seen_and_a_backup_is_named_with_it` |
//! | the posture alone rolled back | 3 | `memory::a_posture_set_back_alone_is_seen_with_and_without_memory` |
//! | a fork: two exports of one number | 3 | `memory::two_postures_with_one_number_are_a_fork` |
//! | another installation, with memory | 3 | `memory::another_installation_is_not_taken_for_the_one_remembered` |
//! | killed, then `export` | 3 | `time::a_stopped_monitor_passes_only_if_asked_and_stopped_on_purpose` |
//! | the scanner dead | 3 | `time::a_monitor_that_says_it_is_not_whole_does_not_pass` |
//! | the log unreadable | 74 | `an_unreadable_log_is_unverifiable` |
//! | the next version of a document | 74 | `a_later_version_of_a_document_is_unverifiable_only_if_signed`, and of every other kind in its file |

use crate::support::{Home, answer, expect, finding, key, put, records, settled, state};
use attest::{Anchor, Chain, Folder, canonical, chain::MAX_LINE_BYTES, digest, verify};
use keys::PublicKey;
use posture::{EventBody, Family, FindingLog, Posture, Sha256Hex, VerdictResult};
use proptest::prelude::*;
use std::{
    ffi::OsStr,
    fs,
    os::unix::{ffi::OsStrExt, fs::symlink},
    path::{Path, PathBuf},
    process::Command,
};

pub(crate) fn lines(path: &Path) -> Vec<String> {
    fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect()
}

pub(crate) fn put_lines(path: &Path, lines: &[String]) {
    put(path, lines.iter().flat_map(|l| [l, "\n"]).collect::<String>().as_bytes());
}

/// The sealed segment of [`Home::new`].
pub(crate) fn segment(home: &Home) -> PathBuf {
    home.at("findings-000000000001.jsonl")
}

// === What must pass ===

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
    expect(&report, 74, "no_export");
    assert!(serde_json::to_string(&report).unwrap().contains("me/export"));
}

// === The log ===

#[test]
fn an_edited_record_is_refused() {
    for (name, line, seq) in [("findings-000000000001.jsonl", 1, 2), ("findings.jsonl", 1, 5), ("findings.jsonl", 2, 6)]
    {
        let home = Home::new();
        let mut text = lines(&home.at(name));
        assert!(text[line].contains("api.example.com"));
        text[line] = text[line].replace("api.example.com", "api.example.org");
        put_lines(&home.at(name), &text);
        let report = home.verify();
        let last = seq == 6;
        expect(&report, 1, if last { "log_head" } else { "log_line" });
        let said = report.reason.unwrap().to_string();
        assert!(said.contains(&if last { "record 6".to_owned() } else { format!("record {}", seq + 1) }), "{said}");
        assert!(!said.contains("example"), "{said}");
    }
}

#[test]
fn a_log_edited_and_chained_anew_is_refused() {
    let home = Home::new();
    let (mut chain, mut first, mut second) = (Chain::genesis(), vec![], vec![]);
    let all = [records(&segment(&home)), records(&home.log())].concat();
    for record in all {
        let framed = match record {
            attest::Record::Finding(r) => chain.finding(|seq, prev_sha256| posture::FindingRecord {
                seq,
                prev_sha256,
                dest: "elsewhere.example.org:443".into(),
                ..*r
            }),
            attest::Record::Event(r) => chain.event(r.timestamp, r.event),
        }
        .unwrap();
        chain.advance(&framed);
        if framed.seq <= 3 { &mut first } else { &mut second }.extend(framed.line);
    }
    put(&segment(&home), &first);
    put(&home.log(), &second);
    expect(&home.verify(), 1, "log_head");
}

#[test]
fn the_log_of_another_installation_is_refused() {
    let (home, mut other) = (Home::new(), Home::empty());
    other.event(EventBody::Start { run_id: posture::RunId::from_bytes(&[0x11; 16]) });
    for family in [Family::AiApiKey, Family::ReverseShell, Family::Canary, Family::AiApiKey, Family::PrivateKeyPem] {
        other.find(family);
    }
    assert_eq!(other.chain.next_seq(), home.chain.next_seq());
    fs::remove_file(segment(&home)).unwrap();
    fs::copy(other.log(), home.log()).unwrap();
    expect(&home.verify(), 1, "log_head");
}

#[test]
fn a_record_taken_from_the_middle_is_missed() {
    for name in ["findings-000000000001.jsonl", "findings.jsonl"] {
        let home = Home::new();
        let mut text = lines(&home.at(name));
        text.remove(1);
        put_lines(&home.at(name), &text);
        expect(&home.verify(), 1, "log_line");
    }
}

#[test]
fn a_signed_tail_that_is_cut_is_missed() {
    let home = Home::new();
    let text = fs::read(home.log()).unwrap();
    for keep in [0, 1, 400, text.len() - 1] {
        put(&home.log(), &text[..keep]);
        let report = home.verify();
        expect(&report, 1, "log_cut");
        assert!(report.reason.unwrap().to_string().contains("up to record 6"));
    }
}

#[test]
fn an_emptied_or_removed_log_is_missed() {
    let home = Home::new();
    put(&home.log(), b"");
    put(&segment(&home), b"");
    expect(&home.verify(), 1, "log_cut");
    fs::remove_file(segment(&home)).unwrap();
    expect(&home.verify(), 1, "log_cut");
    fs::remove_file(home.log()).unwrap();
    expect(&home.verify(), 1, "missing");
}

#[test]
fn a_segment_that_is_gone_renamed_or_doubled_is_missed() {
    let home = Home::new();
    let text = fs::read(segment(&home)).unwrap();
    fs::remove_file(segment(&home)).unwrap();
    expect(&home.verify(), 1, "log_line");
    put(&home.at("findings-1.jsonl"), &text);
    expect(&home.verify(), 1, "log_line");
    put(&segment(&home), &text);
    expect(&home.verify(), 0, "none");
    put(&home.at("findings-000000000002.jsonl"), &text);
    expect(&home.verify(), 1, "log_line");
}

#[test]
fn a_record_of_a_later_version_inside_the_signed_range_is_unverifiable_only_if_the_chain_holds() {
    let mut home = Home::new();
    let line = String::from_utf8(home.chain.finding(|s, p| finding(s, p, Family::Canary)).unwrap().line).unwrap();
    let newer = line.replace("finding/v1", "finding/v2").replacen("{\"dest\"", "{\"actor\":\"me\",\"dest\"", 1);
    home.append_raw(newer.as_bytes());
    home.chain = Chain::resume(home.chain.next_seq() + 1, digest::sha256(newer.trim_end()));
    home.export(|_| {});
    expect(&home.verify(), 74, "unknown_version");
    let edited = fs::read_to_string(home.log()).unwrap().replace("\"actor\":\"me\"", "\"actor\":\"ya\"");
    put(&home.log(), edited.as_bytes());
    expect(&home.verify(), 1, "log_head");
}

#[test]
fn a_record_altered_to_look_newer_is_not_merely_unverifiable() {
    let home = Home::new();
    let edited = fs::read_to_string(home.log()).unwrap().replacen("finding/v1", "finding/v2", 1);
    put(&home.log(), edited.as_bytes());
    assert_eq!(answer(&home.verify()).0, 1);
}

#[test]
fn counts_that_are_not_the_logs_are_refused() {
    let mut home = Home::new();
    home.export(|p| p.counts.findings += 1);
    expect(&home.verify(), 1, "counts");
    home.export(|p| p.counts.folded -= 1);
    expect(&home.verify(), 1, "counts");
    home.export(|p| p.counts.family.reverse());
    expect(&home.verify(), 1, "counts");
}

#[test]
fn a_posture_that_claims_another_log_is_refused() {
    let mut home = Home::new();
    home.export(|p| p.finding_log = FindingLog { first_seq: 4, next_seq: 7 });
    expect(&home.verify(), 1, "log_prefix");
    let mut home = Home::new();
    home.export(|p| p.finding_log.next_seq = 9);
    expect(&home.verify(), 1, "log_cut");
    for next in [0, 1] {
        let mut home = Home::empty();
        home.find(Family::Canary);
        home.export(|p| {
            p.finding_log.next_seq = next;
            p.counts = posture::Counts::default();
        });
        expect(&home.verify(), 1, "log_head");
    }
}

#[test]
fn an_unreadable_log_is_unverifiable() {
    let home = Home::new();
    fs::remove_file(home.log()).unwrap();
    fs::create_dir(home.log()).unwrap();
    expect(&home.verify(), 74, "kind");
    fs::remove_dir(home.log()).unwrap();
    symlink("findings.jsonl", home.log()).unwrap();
    expect(&home.verify(), 74, "unreadable");
}

#[test]
fn a_log_without_permission_is_unverifiable() {
    let home = Home::new();
    let closed = std::os::unix::fs::PermissionsExt::from_mode(0o0);
    fs::set_permissions(home.log(), closed).unwrap();
    if fs::File::open(home.log()).is_err() {
        // Root reads it all the same.
        expect(&home.verify(), 74, "unreadable");
    }
}

#[test]
fn a_line_without_end_is_refused_not_read() {
    let home = Home::new();
    put(&home.log(), &vec![b'a'; 3_000_000]);
    expect(&home.verify(), 1, "line_too_long");
}

// === The documents ===

#[test]
fn a_missing_file_of_the_generation_is_missed() {
    for name in ["posture.json", "posture.json.sig", "state.json", "state.json.sig"] {
        let home = Home::new();
        fs::remove_file(home.exported(name)).unwrap();
        let report = home.verify();
        expect(&report, 1, "missing");
        assert!(report.reason.unwrap().to_string().contains(name));
        fs::create_dir(home.exported(name)).unwrap();
        expect(&home.verify(), 74, "kind");
    }
}

#[test]
fn a_document_without_end_is_refused_not_read() {
    let home = Home::new();
    put(&home.exported("posture.json"), &vec![b' '; 2_000_000]);
    expect(&home.verify(), 1, "too_large");
}

#[test]
fn an_appended_prototype_is_refused_even_where_the_digest_holds() {
    for name in ["posture.json", "state.json"] {
        let home = Home::new();
        let text = fs::read_to_string(home.exported(name)).unwrap();
        let polluted = format!("{},\"__proto__\":{{\"mode\":\"block\"}}}}", &text[..text.len() - 1]);
        put(&home.exported(name), polluted.as_bytes());
        expect(&home.verify(), 1, if name == "posture.json" { "signature" } else { "state_link" });
    }
}

#[test]
fn a_signed_document_must_still_be_canonical_closed_and_bound() {
    let home = Home::new();
    let text = fs::read_to_string(home.exported("posture.json")).unwrap();
    let cases = [
        (format!("{text}\n"), "document"),
        (text.replacen("{\"attested\"", "{\"aa\":1,\"attested\"", 1), "document"),
        (text.replacen("\"expected\":3", "\"expected\":3,\"expected\":3", 1), "document"),
        (text.replacen("\"expected\":3", "\"expected\":4", 1), "digest"),
        ("no json".to_owned(), "document"),
        ("{}".to_owned(), "document"),
        (text.replacen("traffic-posture/v1", "traffic-state/v1", 1), "document"),
        (text.replacen("traffic-posture/v1", "traffic-posture/v2", 1), "unknown_version"),
    ];
    for (other, code) in cases {
        assert_ne!(other, text);
        home.forge(&home.key, "posture.json", other.as_bytes());
        expect(&home.verify(), if code == "unknown_version" { 74 } else { 1 }, code);
    }
}

#[test]
fn a_later_version_of_a_document_is_unverifiable_only_if_signed() {
    let home = Home::new();
    let newer = fs::read_to_string(home.exported("posture.json")).unwrap().replacen("posture/v1", "posture/v2", 1);
    home.forge(&key(9), "posture.json", newer.as_bytes());
    expect(&home.verify(), 1, "signature");
    home.forge(&home.key, "posture.json", newer.as_bytes());
    expect(&home.verify(), 74, "unknown_version");
}

#[test]
fn a_document_that_names_another_key_is_refused() {
    let home = Home::new();
    let mut posture: Posture = canonical::read(&fs::read(home.exported("posture.json")).unwrap()).unwrap();
    posture.key_id = digest::key_id(key(9).public().key_id());
    digest::bind(&mut posture).unwrap();
    home.forge(&home.key, "posture.json", &canonical::to_vec(&posture).unwrap());
    expect(&home.verify(), 1, "named_key");
}

#[test]
fn a_swapped_state_is_refused() {
    let mut home = Home::new();
    home.export_both(|_| {}, |s| s.https_inspection = true);
    for name in ["state.json", "state.json.sig"] {
        fs::copy(home.at("export/000000000001").join(name), home.exported(name)).unwrap();
    }
    expect(&home.verify(), 1, "state_link");
}

#[test]
fn a_state_whose_signature_is_anothers_is_refused() {
    let home = Home::new();
    fs::copy(home.exported("posture.json.sig"), home.exported("state.json.sig")).unwrap();
    expect(&home.verify(), 1, "signature");
}

#[test]
fn other_spellings_of_a_signature_are_refused() {
    let home = Home::new();
    let path = home.exported("posture.json.sig");
    let line = fs::read_to_string(&path).unwrap();
    for other in [line.trim_end().to_owned(), format!("{line}\n"), line.replace('\n', "\r\n"), line.replace("==", "")] {
        put(&path, other.as_bytes());
        expect(&home.verify(), 1, "signature_form");
    }
}

#[test]
fn another_key_and_no_key_are_refused() {
    let home = Home::new();
    expect(&home.verify_with(|o| o.anchor = Anchor::Pinned(key(9).public())), 1, "signature");
    let report = home.verify_with(|o| o.anchor = Anchor::Unpinned);
    expect(&report, 1, "unpinned");
    assert_eq!(report.key_id, None);
    put(&home.at("signing.pub.pem"), key(9).public().to_pem().as_bytes());
    expect(&home.verify_with(|o| o.anchor = Anchor::Own), 1, "signature");
}

#[test]
fn a_weak_or_broken_anchor_is_refused() {
    let home = Home::new();
    let own = |o: &mut attest::Options| o.anchor = Anchor::Own;
    // The neutral element: one fixed signature passes for any message under it in lenient verifiers.
    let weak = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAAQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n-----END PUBLIC KEY-----\n";
    assert!(matches!(PublicKey::from_pem(weak), Err(keys::KeyError::WeakKey)));
    for text in [weak, "", "-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----\n"] {
        put(&home.at("signing.pub.pem"), text.as_bytes());
        expect(&home.verify_with(own), 1, "anchor");
    }
    fs::remove_file(home.at("signing.pub.pem")).unwrap();
    expect(&home.verify_with(own), 74, "anchor");
    symlink("signing.pub.pem", home.at("signing.pub.pem")).unwrap();
    expect(&home.verify_with(own), 74, "anchor");
}

// === The generations ===

#[test]
fn current_must_be_a_relative_name_of_twelve_digits() {
    let home = Home::new();
    let absolute = home.at("export/000000000002");
    for target in [absolute.to_str().unwrap(), "../export/000000000002", "./000000000002", "2", "000000000002/", "x"] {
        home.point(target);
        expect(&home.verify(), 1, "current");
    }
    fs::remove_file(home.at("export/current")).unwrap();
    fs::create_dir(home.at("export/current")).unwrap();
    expect(&home.verify(), 1, "current");
    fs::remove_dir(home.at("export/current")).unwrap();
    home.point("000000000077");
    expect(&home.verify(), 1, "missing");
}

#[test]
fn current_set_back_behind_a_later_statement_is_seen() {
    let mut home = Home::new();
    home.point("000000000001");
    expect(&home.verify(), 3, "rolled_back");
    home.point("000000000002");
    // What was cut short, or signed by somebody else, is no later statement.
    fs::create_dir(home.at("export/000000000009")).unwrap();
    expect(&home.verify(), 0, "none");
    home.key = key(9);
    home.export(|_| {});
    home.key = key(1);
    home.point("000000000002");
    expect(&home.verify(), 0, "none");
}

#[test]
fn a_generation_half_written_is_no_last_word() {
    let home = Home::new();
    let half = home.at("export/000000000003");
    fs::create_dir(&half).unwrap();
    for name in ["state.json", "state.json.sig", "posture.json"] {
        fs::copy(home.exported(name), half.join(name)).unwrap();
        expect(&home.verify(), 0, "none");
        home.point("000000000003");
        expect(&home.verify(), 1, "missing");
        home.point("000000000002");
    }
}

#[test]
fn a_posture_moved_to_another_generation_is_refused() {
    let home = Home::new();
    fs::rename(home.at("export/000000000001"), home.at("export/000000000003")).unwrap();
    home.point("000000000003");
    expect(&home.verify(), 1, "generation");
}

#[test]
fn a_counter_that_fell_below_a_retained_generation_is_refused() {
    let falls: [fn(&mut Posture); 4] = [
        |p| p.attested.expected = 2,
        |p| p.coverage.seen.bytes = 1,
        |p| p.coverage.scanned.messages = 3,
        |p| p.coverage.not_scanned.clear(),
    ];
    for fall in falls {
        let mut home = Home::new();
        home.export(fall);
        expect(&home.verify(), 1, "decreased");
    }
}

#[test]
fn a_generation_somebody_else_signed_does_not_count() {
    let mut home = Home::new();
    home.export(|p| p.attested.expected = 100);
    let own = std::mem::replace(&mut home.key, key(9));
    home.export(|p| p.attested.expected = 1_000);
    home.key = own;
    home.export(|p| p.attested.expected = 100);
    expect(&home.verify(), 0, "none");
}

#[test]
fn no_export_is_unverifiable() {
    let home = Home::empty();
    let report = home.verify();
    expect(&report, 74, "no_export");
    assert_eq!(report.key_id, Some(home.key.public().key_id()));
    expect(&verify(&Folder::open(Path::new("/no/such/folder")), &home.options()), 74, "no_export");
}

#[test]
fn a_lone_posture_is_partial_and_never_passes() {
    let home = Home::new();
    let lone = Folder::open(&home.exported("posture.json"));
    expect(&verify(&lone, &home.options()), 74, "partial");
    expect(&verify(&lone, &attest::Options { anchor: Anchor::Own, ..home.options() }), 1, "unpinned");
    put(&home.exported("posture.json"), b"{}");
    expect(&verify(&lone, &home.options()), 1, "signature");
}

// === Anything at all ===

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]
    #[test]
    fn one_flipped_bit_anywhere_never_verifies(file in 0..7_usize, at: prop::sample::Index) {
        let home = Home::new();
        let paths = [
            home.exported("posture.json"), home.exported("posture.json.sig"), home.exported("state.json"),
            home.exported("state.json.sig"), segment(&home), home.log(), home.at("signing.pub.pem"),
        ];
        let mut bytes = fs::read(&paths[file]).unwrap();
        let bit = at.index(bytes.len() * 8);
        bytes[bit / 8] ^= 1 << (bit % 8);
        put(&paths[file], &bytes);
        let report = home.verify_with(|o| o.anchor = Anchor::Own);
        prop_assert_eq!(report.exit_code(), 1, "{} bit {}: {:?}", paths[file].display(), bit, report.reason);
    }

    #[test]
    fn a_file_cut_anywhere_never_verifies(file in 0..6_usize, at: prop::sample::Index) {
        let home = Home::new();
        let paths = [
            home.exported("posture.json"), home.exported("posture.json.sig"), home.exported("state.json"),
            home.exported("state.json.sig"), segment(&home), home.log(),
        ];
        let bytes = fs::read(&paths[file]).unwrap();
        put(&paths[file], &bytes[..at.index(bytes.len())]);
        let report = home.verify();
        prop_assert_eq!(report.exit_code(), 1, "{}: {:?}", paths[file].display(), report.reason);
    }
}

// === The monitor at work ===

#[test]
fn a_folder_that_changes_while_it_is_read_verifies() {
    let mut home = Home::new();
    let (path, options) = (home.path().to_owned(), home.options());
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let done = &done;
        let reader = scope.spawn(move || {
            let mut answers = vec![];
            while !done.load(std::sync::atomic::Ordering::Relaxed) || answers.is_empty() {
                answers.push(answer(&verify(&Folder::open(&path), &options)));
            }
            answers
        });
        for n in 0..60 {
            home.find(Family::AiApiKey);
            home.event(EventBody::Fold { count: n, finding_seq: 2 });
            if n % 7 == 0 {
                home.seal_segment();
                home.find(Family::Canary);
            }
            home.export(settled);
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        let answers = reader.join().unwrap();
        assert!(answers.iter().all(|a| a.0 == 0), "{answers:?}");
    });
}

#[cfg(target_os = "linux")]
#[test]
fn a_log_that_does_not_fit_is_judged_only_if_no_newer_export_explains_it() {
    let mut home = Home::empty();
    let mut log = vec![];
    for _ in 0..10_000 {
        let framed = home.chain.finding(|s, p| finding(s, p, Family::Canary)).unwrap();
        home.chain.advance(&framed);
        log.extend(framed.line);
    }
    put(&home.log(), &log);
    let (severity, family) = (posture::Severity::High.into(), Family::Canary.into());
    (0..10_000).for_each(|_| home.counts.add_finding(&posture::Direction::Outbound.into(), &family, &severity));
    home.export(|p| p.finding_log_sha256 = digest::sha256("another log"));
    home.export(|_| {});
    home.point("000000000001");
    expect(&home.verify(), 1, "log_head");
    let (folder, options, log) = (Folder::open(home.path()), home.options(), home.log());
    let reader = std::thread::spawn(move || answer(&verify(&folder, &options)));
    // Once the log is open, `current` has been followed; a while later it turns out that the log does not fit.
    let is_open =
        || fs::read_dir("/proc/self/fd").unwrap().any(|fd| fs::read_link(fd.unwrap().path()).is_ok_and(|f| f == log));
    while !is_open() && !reader.is_finished() {
        std::thread::yield_now();
    }
    home.point("000000000002");
    assert_eq!(reader.join().unwrap(), (0, "none".to_owned()));
}

#[test]
fn the_verdict_is_the_same_for_the_same_answer() {
    let home = Home::new();
    let first = home.verify().verdict().unwrap();
    assert_eq!(first, home.verify().verdict().unwrap());
    let verdict: posture::Verdict = canonical::read(&first).unwrap();
    assert!(digest::check(&verdict));
    assert_eq!((verdict.result, verdict.key_id), (VerdictResult::Verified, Some(state(&home.key).key_id)));
    let failed = attest::report::verdict(VerdictResult::Unverifiable, None).unwrap();
    let verdict: posture::Verdict = canonical::read(&failed).unwrap();
    assert_eq!((verdict.result, verdict.key_id), (VerdictResult::Unverifiable, None::<Sha256Hex>));
}
