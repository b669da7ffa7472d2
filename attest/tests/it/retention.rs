//! Pruned logs: what must pass at every step, and what somebody might try under that cover.

use crate::{
    attacks::{lines, put_lines, segment},
    support::{Home, expect, put, settled},
};
use attest::{Chain, Folder, Limit, digest::sha256, verify};
use posture::{EventBody, Family, FindingLog, Prune};
use std::fs;

const SECOND: &str = "findings-000000000004.jsonl";

/// Records 1 to 3, records 4 to 7 with their seal, and a third segment with record 8.
fn three_segments() -> Home {
    let mut home = Home::new();
    home.event(EventBody::Seal { bytes: 1, first_seq: 4 });
    home.seal_segment();
    home.find(Family::Canary);
    home.export(settled);
    home
}

/// Of [`three_segments`], the first is pruned and gone.
fn pruned() -> Home {
    let mut home = three_segments();
    home.announce(home.prune());
    home.delete_oldest();
    home
}

#[test]
fn retention_again_and_again_verifies_at_every_step() {
    let mut home = three_segments();
    for round in 0..5 {
        let counts = home.counts.clone();
        let prune = home.prune();
        home.first_seq = prune.last_seq + 1;
        home.event(EventBody::Prune(Box::new(prune)));
        expect(&home.verify(), 0, "none");
        for _ in 0..3 {
            home.export(settled);
            expect(&home.verify(), 0, "none");
        }
        home.delete_oldest();
        let report = home.verify();
        expect(&report, 0, "none");
        assert!(report.limits.contains(&Limit::PrunedRecords));
        let posture = report.posture.unwrap();
        assert_eq!((posture.finding_log.first_seq, &posture.counts), (home.first_seq, &counts), "round {round}");
        // From the third round on, what is pruned holds the prune event before.
        home.find(Family::ReverseShell);
        home.seal_segment();
        home.find(Family::AiApiKey);
        home.export(settled);
        expect(&home.verify(), 0, "none");
    }
}

#[test]
fn two_segments_may_go_at_once_and_one_of_them_be_left() {
    let mut home = three_segments();
    let (first, ..) = home.sealed.pop_front().unwrap();
    home.announce(home.prune());
    expect(&home.verify(), 0, "none");
    fs::remove_file(home.at(&format!("findings-{first:012}.jsonl"))).unwrap();
    expect(&home.verify(), 0, "none");
    home.delete_oldest();
    expect(&home.verify(), 0, "none");
}

#[test]
fn a_prefix_dropped_without_a_prune_is_refused() {
    let mut home = three_segments();
    home.delete_oldest();
    expect(&home.verify(), 1, "log_line");
    // Nor is it enough to say so.
    let mut home = three_segments();
    home.delete_oldest();
    home.export(|p| {
        settled(p);
        p.finding_log.first_seq = 4;
    });
    expect(&home.verify(), 1, "log_prefix");
}

#[test]
fn a_prune_forged_in_the_unsigned_tail_helps_nobody() {
    let mut home = three_segments();
    let prune = home.prune();
    home.event(EventBody::Prune(Box::new(prune)));
    expect(&home.verify(), 0, "none");
    home.delete_oldest();
    expect(&home.verify(), 1, "log_line");
    // Nor in a log that was pruned before.
    let mut home = pruned();
    let prune = home.prune();
    home.event(EventBody::Prune(Box::new(prune)));
    home.delete_oldest();
    expect(&home.verify(), 1, "log_line");
}

#[test]
fn more_than_was_announced_may_not_go() {
    let mut home = pruned();
    home.delete_oldest();
    let report = home.verify();
    expect(&report, 1, "log_line");
    assert!(report.reason.unwrap().to_string().contains("where record 4 should be"));
    // Not even the first record of what is left.
    let home = pruned();
    let text = lines(&home.at(SECOND));
    put_lines(&home.at(SECOND), &text[1..]);
    expect(&home.verify(), 1, "log_line");
}

#[test]
fn what_is_retained_of_a_pruned_log_is_held_to_all_of_it() {
    let home = pruned();
    let text = lines(&home.at(SECOND));
    for line in 0..text.len() {
        let mut edited = text.clone();
        edited[line] = edited[line].replace("23:59:00.000Z", "23:58:00.000Z");
        put_lines(&home.at(SECOND), &edited);
        expect(&home.verify(), 1, "log_line");
    }
    // The first one's link into what was pruned is the prune event's to name.
    let home = pruned();
    let link = Chain::before(text[0].as_bytes()).unwrap().head().to_string();
    let edited = text[0].replace(&link, &"f".repeat(64));
    put_lines(&home.at(SECOND), &[&[edited], &text[1..]].concat());
    expect(&home.verify(), 1, "log_line");
}

#[test]
fn a_signed_prune_must_name_the_record_its_hash_and_the_true_sums() {
    type Change = fn(&mut Prune);
    let cases: [(Change, &str); 6] = [
        (|p| p.last_seq += 1, "log_prefix"),
        (|p| p.last_seq = u64::from(u32::MAX), "log_prefix"),
        (|p| p.last_sha256 = sha256("another record"), "log_prefix"),
        (|p| p.counts.findings += 1, "counts"),
        (|p| p.counts.folded += 1, "counts"),
        (|p| p.counts.family.clear(), "counts"),
    ];
    for (change, code) in cases {
        let mut home = three_segments();
        let mut prune = home.prune();
        change(&mut prune);
        home.event(EventBody::Prune(Box::new(prune)));
        home.first_seq = 4;
        home.export(settled);
        expect(&home.verify(), 1, code);
        home.delete_oldest();
        expect(&home.verify(), 1, code);
    }
}

#[test]
fn the_posture_must_begin_where_the_newest_prune_ends() {
    for first_seq in [1, 3, 5, 8, 9] {
        let mut home = three_segments();
        let prune = home.prune();
        home.event(EventBody::Prune(Box::new(prune)));
        home.export(|p| {
            settled(p);
            p.finding_log.first_seq = first_seq;
        });
        expect(&home.verify(), 1, "log_prefix");
    }
    let mut home = pruned();
    home.export(|p| {
        settled(p);
        p.finding_log = FindingLog { first_seq: 1, ..p.finding_log };
    });
    expect(&home.verify(), 1, "log_line");
}

#[test]
fn what_is_left_of_pruned_records_must_chain_into_the_rest() {
    let mut home = three_segments();
    home.announce(home.prune());
    let text = lines(&segment(&home));
    // The oldest may be gone; what is left is held to the chain.
    put_lines(&segment(&home), &text[1..]);
    expect(&home.verify(), 0, "none");
    put_lines(&segment(&home), &text[..2]);
    expect(&home.verify(), 1, "log_line");
    put_lines(&segment(&home), &[&text[1..2], &[text[2].replace("high", "info")]].concat());
    expect(&home.verify(), 1, "log_line");
    put(&segment(&home), b"no record\n");
    expect(&home.verify(), 1, "log_line");
    put(&segment(&home), b"");
    expect(&home.verify(), 0, "none");
}

#[test]
fn a_log_whose_first_record_grew_older_again_is_refused() {
    let mut home = pruned();
    home.first_seq = 1;
    home.export(settled);
    expect(&home.verify(), 1, "log_line");
    let mut home = three_segments();
    home.announce(home.prune());
    home.announce(Prune { last_seq: 1, ..home.prune() });
    expect(&home.verify(), 1, "log_prefix");
}

#[test]
fn segments_that_go_while_they_are_read_are_passed_over() {
    let mut home = Home::empty();
    for _ in 0..6 {
        for _ in 0..200 {
            home.find(Family::Canary);
        }
        home.seal_segment();
    }
    home.find(Family::Canary);
    let prune = {
        let (_, end, counts) = home.sealed[4].clone();
        let (last_seq, last_sha256) = (end.next_seq() - 1, end.head().clone());
        Prune { counts, last_seq, last_sha256, ..home.prune() }
    };
    home.announce(prune);
    let (folder, options) = (Folder::open(home.path()), home.options());
    let reader = std::thread::spawn(move || {
        let mut codes = vec![];
        while codes.len() < 30 {
            codes.push(verify(&folder, &options).exit_code());
        }
        codes
    });
    for _ in 0..5 {
        std::thread::sleep(std::time::Duration::from_millis(5));
        home.delete_oldest();
    }
    assert_eq!(reader.join().unwrap(), [0; 30]);
}
