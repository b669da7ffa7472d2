//! A key gives way to another: what must pass at every step, and what its holder, or the old key's, might try.

use crate::support::{Home, expect, key, put, settled};
use attest::{Anchor, Limit, Options, Report, Rotations, canonical, digest, rotation::StatementError};
use keys::{PublicKey, SigningKey};
use posture::{EventBody, Family, PublicKeyHex, Rotation};
use proptest::prelude::*;
use std::fs;

/// From key 1 to key 2.
fn rotated() -> Home {
    let mut home = Home::new();
    home.rotate(key(2));
    home
}

fn pinned(home: &Home, seed: u8) -> Report {
    home.verify_with(pin(seed))
}

fn pin(seed: u8) -> impl Fn(&mut Options) {
    move |o| o.anchor = Anchor::Pinned(key(seed).public())
}

fn id(key: &SigningKey) -> posture::Sha256Hex {
    digest::key_id(key.public().key_id())
}

/// The statement with `change` made and signed anew by whoever is given.
fn restated(line: &[u8], old: &SigningKey, new: &SigningKey, change: impl FnOnce(&mut Rotation)) -> Vec<u8> {
    let mut statement: Rotation = canonical::read(line.trim_ascii_end()).unwrap();
    change(&mut statement);
    let mut value = serde_json::to_value(&statement).unwrap();
    let members = value.as_object_mut().unwrap();
    members.retain(|name, _| !name.ends_with("_signature"));
    let signed = canonical::to_vec(&value).unwrap();
    let sign = |key: &SigningKey| key.sign(&signed).to_base64_line().trim_end().to_owned();
    (statement.old_signature, statement.new_signature) = (sign(old), sign(new));
    [canonical::to_vec(&statement).unwrap(), b"\n".to_vec()].concat()
}

fn statement_error(home: &Home) -> (u64, StatementError) {
    Rotations::read(&home.rotations()).unwrap_err()
}

// === What must pass ===

#[test]
fn whoever_pinned_the_old_key_walks_to_the_new_one() {
    let home = rotated();
    let report = pinned(&home, 1);
    expect(&report, 0, "none");
    assert_eq!(report.posture.as_ref().unwrap().key_id, id(&key(2)));
    assert_eq!(report.key_id, Some(key(1).public().key_id()), "the pinned key is the one it was checked against");
    assert!(report.limits.contains(&Limit::OlderAnchor));
    let report = pinned(&home, 2);
    expect(&report, 0, "none");
    assert!(!report.limits.contains(&Limit::OlderAnchor));
}

#[test]
fn two_rotations_in_a_row_are_walked_from_any_of_the_three_keys() {
    let mut home = rotated();
    home.find(Family::Canary);
    home.rotate(key(3));
    for seed in 1..=3 {
        expect(&pinned(&home, seed), 0, "none");
    }
    expect(&pinned(&home, 4), 1, "rotation_anchor");
}

#[test]
fn every_step_of_a_rotation_verifies_from_the_old_key() {
    let mut home = Home::new();
    let line = home.announce_key(&key(2));
    expect(&pinned(&home, 1), 0, "none");
    home.state_rotation(&line);
    expect(&pinned(&home, 1), 0, "none");
    home.key = key(2);
    home.export(settled);
    expect(&pinned(&home, 1), 0, "none");
    home.put_anchor();
    expect(&home.verify_with(|o| o.anchor = Anchor::Own), 0, "none");
}

#[test]
fn a_rotation_given_up_before_its_statement_leaves_the_old_key_in_charge() {
    let mut home = Home::new();
    home.announce_key(&key(2));
    home.find(Family::Canary);
    home.export(settled);
    expect(&pinned(&home, 1), 0, "none");
    home.rotate(key(3));
    expect(&pinned(&home, 1), 0, "none");
    expect(&pinned(&home, 2), 1, "rotation_anchor");
}

#[test]
fn a_rotation_verifies_after_its_event_is_pruned() {
    let mut home = Home::new();
    home.rotate(key(2));
    home.seal_segment();
    home.find(Family::Canary);
    home.export(settled);
    for _ in 0..2 {
        home.announce(home.prune());
        home.delete_oldest();
        for seed in 1..=2 {
            expect(&pinned(&home, seed), 0, "none");
        }
    }
    home.rotate(key(3));
    expect(&pinned(&home, 1), 0, "none");
}

#[test]
fn an_empty_file_of_rotations_is_none() {
    let home = Home::new();
    put(&home.at("rotations.jsonl"), b"");
    expect(&home.verify(), 0, "none");
}

// === What must not ===

#[test]
fn a_rotation_removed_is_missed_from_either_key() {
    let home = rotated();
    fs::remove_file(home.at("rotations.jsonl")).unwrap();
    expect(&pinned(&home, 1), 1, "signature");
    expect(&pinned(&home, 2), 1, "rotation_missing");
    // Of two, either one.
    let mut home = rotated();
    home.rotate(key(3));
    let text = String::from_utf8(home.rotations()).unwrap();
    let (first, second) = text.split_at(text.find('\n').unwrap() + 1);
    put(&home.at("rotations.jsonl"), first.as_bytes());
    expect(&pinned(&home, 1), 1, "signature");
    expect(&pinned(&home, 3), 1, "rotation_anchor");
    put(&home.at("rotations.jsonl"), second.as_bytes());
    for seed in 1..=3 {
        expect(&pinned(&home, seed), 1, "rotation_statement");
    }
}

#[test]
fn both_keys_must_have_signed_a_statement() {
    for (old, new, missing) in [(9, 2, "old"), (1, 9, "new")] {
        let home = rotated();
        let line = restated(&home.rotations(), &key(old), &key(new), |_| {});
        put(&home.at("rotations.jsonl"), &line);
        assert_eq!(statement_error(&home), (1, StatementError::Signature(missing)));
        for seed in 1..=2 {
            expect(&pinned(&home, seed), 1, "rotation_statement");
        }
    }
    for member in ["old_signature", "new_signature"] {
        let home = rotated();
        let mut statement: serde_json::Value = serde_json::from_slice(&home.rotations()).unwrap();
        statement[member] = "".into();
        put(&home.at("rotations.jsonl"), format!("{statement}\n").as_bytes());
        expect(&pinned(&home, 1), 1, "rotation_statement");
        statement.as_object_mut().unwrap().remove(member);
        put(&home.at("rotations.jsonl"), format!("{statement}\n").as_bytes());
        expect(&pinned(&home, 1), 1, "rotation_statement");
    }
}

#[test]
fn whoever_stole_the_old_key_cannot_lead_away_from_the_new_one() {
    // A second statement beside the true one, and one in its place.
    let mut home = rotated();
    let true_one = home.rotations();
    let thief = restated(&true_one, &key(1), &key(9), |s| {
        (s.new_key_id, s.new_public_key) = (id(&key(9)), PublicKeyHex::from_bytes(&key(9).public().to_bytes()));
    });
    put(&home.at("rotations.jsonl"), &[&true_one[..], &thief].concat());
    assert_eq!(statement_error(&home), (2, StatementError::SameOldKey));
    for seed in 1..=2 {
        expect(&pinned(&home, seed), 1, "rotation_statement");
    }
    put(&home.at("rotations.jsonl"), &thief);
    expect(&pinned(&home, 2), 1, "rotation_anchor");
    expect(&pinned(&home, 1), 1, "signature");
    home.key = key(9);
    home.export(settled);
    expect(&pinned(&home, 2), 1, "rotation_anchor");
    expect(&pinned(&home, 1), 1, "rotation_event");
}

#[test]
fn the_old_key_signs_nothing_from_its_rotation_on() {
    let mut home = rotated();
    home.key = key(1);
    home.export(settled);
    for seed in 1..=2 {
        let report = pinned(&home, seed);
        expect(&report, 1, "retired_key");
        assert!(report.reason.unwrap().to_string().contains(&key(1).public().key_id().to_string()));
    }
    // Not even the very first posture of the new one.
    let mut home = Home::new();
    let line = home.announce_key(&key(2));
    home.state_rotation(&line);
    home.export(settled);
    expect(&pinned(&home, 1), 1, "retired_key");
}

#[test]
fn the_new_key_signs_nothing_before_its_rotation() {
    let mut home = Home::new();
    let line = home.announce_key(&key(2));
    let line = restated(&line, &key(1), &key(2), |s| s.from_sequence += 1);
    home.state_rotation(&line);
    home.key = key(2);
    home.export(settled);
    expect(&pinned(&home, 1), 1, "signature");
    home.export(settled);
    expect(&pinned(&home, 1), 0, "none");
}

#[test]
fn what_was_signed_before_the_pinned_key_is_not_the_last_word() {
    let home = rotated();
    home.point("000000000003");
    for n in 4..=home.sequence {
        fs::remove_dir_all(home.at(&format!("export/{n:012}"))).unwrap();
    }
    expect(&pinned(&home, 2), 1, "before_pinned");
    expect(&pinned(&home, 1), 0, "none");
}

#[test]
fn earlier_and_later_generations_are_judged_by_the_key_of_their_own_time() {
    let mut home = rotated();
    home.point("000000000003");
    expect(&pinned(&home, 1), 3, "rolled_back");
    // The old key's posture counts as an earlier one, for whoever pinned either.
    home.export(|p| {
        settled(p);
        p.attested.expected = 2;
    });
    for seed in 1..=2 {
        expect(&pinned(&home, seed), 1, "decreased");
    }
    // What the old key signs later counts for nothing.
    let mut home = rotated();
    home.key = key(1);
    home.export(|p| p.attested.expected = 1_000);
    home.key = key(2);
    home.export(settled);
    expect(&pinned(&home, 2), 0, "none");
}

#[test]
fn the_log_must_bear_a_statement_out() {
    type Change = fn(&mut Rotation);
    let cases: [(Change, &str); 6] = [
        (|s| s.log_seq -= 1, "rotation_event"),
        (|s| s.log_head = digest::sha256("another line"), "rotation_event"),
        (|s| s.log_seq = 1_000, "rotation_missing"),
        (|s| s.number = 2, "rotation_statement"),
        (|s| s.previous_sha256 = Some(digest::sha256("a line")), "rotation_statement"),
        (|s| s.from_sequence = 0, "rotation_statement"),
    ];
    for (change, code) in cases {
        let home = rotated();
        put(&home.at("rotations.jsonl"), &restated(&home.rotations(), &key(1), &key(2), change));
        for seed in 1..=2 {
            expect(&pinned(&home, seed), 1, code);
        }
    }
    // An event of other words.
    let mut home = Home::new();
    home.event(EventBody::Rotate { new_key_id: id(&key(3)), number: 1, old_key_id: id(&key(1)) });
    let log = home.chain.clone();
    home.export(settled);
    let line = Rotations::default().state(&key(1), &key(2), home.sequence + 1, &log).unwrap();
    home.state_rotation(&line);
    home.key = key(2);
    home.export(settled);
    expect(&pinned(&home, 1), 1, "rotation_event");
}

#[test]
fn a_statement_for_later_without_a_signed_event_is_refused() {
    let mut home = Home::new();
    home.export(settled);
    let log = attest::Chain::resume(500, digest::sha256("a line to come"));
    let line = Rotations::default().state(&key(1), &key(2), 900, &log).unwrap();
    home.state_rotation(&line);
    expect(&home.verify(), 1, "rotation_unsigned");
}

#[test]
fn a_weak_key_a_wrong_identifier_and_a_key_taken_up_again_are_refused() {
    type Change = fn(&mut Rotation);
    let weak: Change = |s| s.new_public_key = PublicKeyHex::from_bytes(&std::array::from_fn(|at| u8::from(at == 0)));
    let second_spelling: Change = |s| s.old_public_key = PublicKeyHex::from_bytes(&[0xff; 32]);
    let cases: [(Change, StatementError); 5] = [
        (weak, StatementError::Key("new")),
        (second_spelling, StatementError::Key("old")),
        (|s| s.old_key_id = s.new_key_id.clone(), StatementError::KeyId("old")),
        (|s| s.new_key_id = s.old_key_id.clone(), StatementError::KeyId("new")),
        (|s| s.number = 0, StatementError::Number { expected: 1, found: 0 }),
    ];
    for (change, problem) in cases {
        let home = rotated();
        put(&home.at("rotations.jsonl"), &restated(&home.rotations(), &key(1), &key(2), change));
        assert_eq!(statement_error(&home), (1, problem));
        expect(&pinned(&home, 1), 1, "rotation_statement");
    }
    let home = rotated();
    let rotations = Rotations::read(&home.rotations()).unwrap();
    let back = rotations.state(&key(2), &key(1), 100, &attest::Chain::resume(100, digest::sha256("")));
    assert_eq!(back.unwrap_err(), StatementError::KeyAgain);
    let earlier = rotations.state(&key(2), &key(3), 1, &home.chain);
    assert_eq!(earlier.unwrap_err(), StatementError::Order);
    let another = rotations.state(&key(5), &key(3), 100, &home.chain);
    assert_eq!(another.unwrap_err(), StatementError::OldKey);
}

#[test]
fn a_key_file_swapped_for_a_weak_or_another_key_is_refused() {
    let home = rotated();
    let own = |o: &mut Options| o.anchor = Anchor::Own;
    home.put_anchor();
    expect(&home.verify_with(own), 0, "none");
    put(&home.at("signing.pub.pem"), key(9).public().to_pem().as_bytes());
    expect(&home.verify_with(own), 1, "rotation_anchor");
    let weak = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAAQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n-----END PUBLIC KEY-----\n";
    assert!(PublicKey::from_pem(weak).is_err());
    put(&home.at("signing.pub.pem"), weak.as_bytes());
    expect(&home.verify_with(own), 1, "anchor");
}

#[test]
fn what_is_no_statement_is_refused_by_its_line() {
    let home = rotated();
    let line = String::from_utf8(home.rotations()).unwrap();
    let blank = line.replacen(':', ": ", 1);
    let member = line.replacen("{\"from", "{\"aa\":1,\"from", 1);
    for other in ["{}\n", "\n", "no json\n", &blank, &member, &line[..line.len() - 1], &line[..40], "\u{0}\n"] {
        put(&home.at("rotations.jsonl"), other.as_bytes());
        let report = pinned(&home, 1);
        expect(&report, 1, "rotation_statement");
        assert!(report.reason.unwrap().to_string().contains("rotations.jsonl line 1"));
    }
    put(&home.at("rotations.jsonl"), &vec![b'{'; 2_000_000]);
    expect(&pinned(&home, 1), 1, "too_large");
    fs::remove_file(home.at("rotations.jsonl")).unwrap();
    fs::create_dir(home.at("rotations.jsonl")).unwrap();
    expect(&pinned(&home, 1), 74, "kind");
}

#[test]
fn a_statement_of_a_later_version_is_unverifiable_only_if_signed() {
    let home = rotated();
    let line = home.rotations();
    let later =
        |old: u8| restated(&line, &key(old), &key(2), |s| s.schema_version = "clawsec-traffic-rotation/v2".into());
    put(&home.at("rotations.jsonl"), &later(1));
    expect(&pinned(&home, 1), 74, "unknown_version");
    put(&home.at("rotations.jsonl"), &later(9));
    expect(&pinned(&home, 1), 1, "rotation_statement");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn one_flipped_bit_of_a_rotation_never_verifies(at: prop::sample::Index, seed in 1..=2_u8) {
        let home = rotated();
        let mut bytes = home.rotations();
        let bit = at.index(bytes.len() * 8);
        bytes[bit / 8] ^= 1 << (bit % 8);
        put(&home.at("rotations.jsonl"), &bytes);
        let report = pinned(&home, seed);
        prop_assert_eq!(report.exit_code(), 1, "bit {}: {:?}", bit, report.reason);
    }
}
