//! On the log: edited, cut, swapped, unreadable.

use super::{lines, put_lines, segment};
use crate::support::{Home, answer, expect, finding, put, records};
use attest::{Chain, digest};
use posture::{EventBody, Family, FindingLog};
use std::fs;
use std::os::unix::fs::symlink;

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
