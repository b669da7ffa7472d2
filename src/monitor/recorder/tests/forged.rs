//! What somebody writes who can write the log and every file beside it, and holds no key: nothing of it is signed as ours,
//! and nothing of it keeps us from signing.

use super::{recovery::overwrite, *};
use crate::{
    flow::{
        store::tests::high,
        vouch::{SuccessionError, VouchError},
    },
    monitor::identity,
};
use posture::FindingRecord;
use std::{
    os::unix::fs::{MetadataExt, PermissionsExt, symlink},
    path::Path,
    process::Command,
};

const GIB: u64 = 1 << 30;

/// What chains onto the log as it lies.
struct Forger {
    chain: Chain,
    text: Vec<u8>,
}

impl Forger {
    fn of(rig: &Rig) -> Self {
        let mut chain = Chain::genesis();
        for line in fs::read_to_string(rig.log()).unwrap().lines() {
            chain.follow(line.as_bytes()).unwrap();
        }
        Self { chain, text: Vec::new() }
    }

    fn adds(&mut self, framed: &attest::Framed) -> &mut Self {
        self.text.extend_from_slice(&framed.line);
        self.chain.advance(framed);
        self
    }

    fn event(&mut self, rig: &Rig, event: EventBody) -> &mut Self {
        let framed = self.chain.event(rig.now, event).unwrap();
        self.adds(&framed)
    }

    fn find(&mut self, rig: &Rig, number: u64, pattern: &str) -> &mut Self {
        let pattern: posture::Word = pattern.parse().unwrap();
        let made = |seq, prev_sha256| FindingRecord { seq, prev_sha256, pattern, timestamp: rig.now, ..high(number) };
        let framed = self.chain.finding(made).unwrap();
        self.adds(&framed)
    }

    fn append(&self, path: &Path) {
        let mut file = fs::File::options().append(true).create(true).open(path).unwrap();
        io::Write::write_all(&mut file, &self.text).unwrap();
    }
}

/// A rotation to this key, announced by nobody.
fn rotation_to(key: &keys::PublicKey) -> EventBody {
    let old_key_id = attest::digest::sha256("a key");
    EventBody::Rotate { new_key_id: attest::digest::key_id(key.key_id()), number: 1, old_key_id }
}

fn set_aside(rig: &Rig) -> usize {
    let names = fs::read_dir(&rig.config.log_dir).unwrap().map(|entry| entry.unwrap().file_name());
    names.filter(|name| name.to_str().unwrap().starts_with("damaged-")).count()
}

/// Something of each kind that is no file.
fn no_file(path: &Path, kind: usize) {
    let _ = fs::remove_file(path);
    match kind {
        0 => fs::create_dir(path).unwrap(),
        1 => assert!(Command::new("mkfifo").arg(path).status().unwrap().success()),
        _ => symlink("signing.pub.pem", path).unwrap(),
    }
}

fn sparse(path: &Path, len: u64) {
    fs::File::options().write(true).create(true).truncate(false).open(path).unwrap().set_len(len).unwrap();
}

// === in the unsigned tail ===

#[test]
fn a_rotation_forged_in_the_unsigned_tail_is_no_word_of_ours() {
    let mut rig = Rig::new();
    let mut recorder = rig.begin();
    rig.export(&mut recorder);
    let first = rig.anchor();
    recorder.rotate(rig.now, rig.at).unwrap();
    // Of the key in use and of the one before it; while the monitor is down, and under it.
    for (round, key) in [rig.anchor(), first.clone()].iter().enumerate() {
        drop(recorder);
        Forger::of(&rig).event(&rig, rotation_to(key)).find(&rig, 1, "canary").append(&rig.log());
        rig.new_process();
        recorder = rig.begin();
        assert_eq!((rig.export(&mut recorder).counts.findings, set_aside(&rig)), (0, 2 * round + 1));
        assert_eq!(rig.result(false), VerdictResult::Verified);
        Forger::of(&rig).event(&rig, rotation_to(key)).append(&rig.log());
        rig.pass(1);
        recorder.tick(rig.now, rig.at);
        rig.export(&mut recorder);
        assert_eq!((rig.pinned(&first).result, set_aside(&rig)), (VerdictResult::Verified, 2 * round + 2));
    }
}

#[test]
fn a_rotation_that_was_given_up_takes_nothing_away_that_follows_it() {
    let mut rig = Rig::new();
    let mut recorder = rig.begin();
    rig.export(&mut recorder);
    let event = recorder.vouch.stage_key().unwrap();
    recorder.store.place(event, rig.now, rig.at).unwrap();
    recorder.vouch.discard_key();
    rig.put(&mut recorder, 1);
    drop(recorder);
    rig.new_process();
    let posture = rig.export(&mut rig.begin());
    assert_eq!((posture.counts.findings, set_aside(&rig), rig.result(false)), (1, 0, VerdictResult::Verified));
}

/// A log of two segments that nobody signed yet, and a prune of the first one behind it, which somebody wrote who took
/// the first record away.
fn pruned_by_a_stranger(rig: &mut Rig) -> Recorder {
    rig.config.retention = posture::Retention { max_age_days: 30, max_bytes: 1 << 20, segment_bytes: 16 << 10 };
    let mut recorder = rig.begin();
    for n in 0..40 {
        rig.put(&mut recorder, n);
    }
    let [first, newest] = &crate::flow::store::tests::segments(&rig.config.log_dir)[..] else { panic!("two") };
    let mut chain = Chain::genesis();
    for line in fs::read_to_string(first).unwrap().lines() {
        chain.follow(line.as_bytes()).unwrap();
    }
    let (last_seq, last_sha256) = (chain.next_seq() - 1, chain.head().clone());
    for line in fs::read_to_string(newest).unwrap().lines() {
        chain.follow(line.as_bytes()).unwrap();
    }
    let reason = posture::PruneReason::Age;
    let prune = posture::Prune { counts: posture::Counts::default(), last_seq, last_sha256, reason };
    Forger { chain, text: Vec::new() }.event(rig, EventBody::Prune(Box::new(prune))).append(newest);
    let text = fs::read_to_string(first).unwrap();
    overwrite(first, text.split_once('\n').unwrap().1.as_bytes());
    recorder
}

#[test]
fn a_prune_forged_before_anything_was_signed_is_no_word_of_a_monitor_that_knows_its_log() {
    let mut rig = Rig::new();
    let mut recorder = pruned_by_a_stranger(&mut rig);
    rig.put(&mut recorder, 99);
    recorder.tick(rig.now, rig.at);
    let aside = fs::read_to_string(rig.file("damaged-000000000001.jsonl")).unwrap();
    assert_eq!(aside.matches("\"severity\":\"high\"").count(), 40, "each is somewhere");
    let posture = rig.export(&mut recorder);
    assert_eq!((posture.finding_log.first_seq, posture.counts.findings), (1, 1));
    assert!(matches!(rig.events()[..], [EventBody::Gap { damaged_records: 43.., .. }, ..]), "{:?}", rig.events());
    assert_eq!(rig.result(false), VerdictResult::Verified);
}

#[test]
fn a_log_that_begins_later_with_nothing_signed_misses_its_exports() {
    let mut rig = Rig::new();
    drop(pruned_by_a_stranger(&mut rig));
    rig.new_process();
    let mut recorder = rig.begin();
    let posture = rig.export(&mut recorder);
    assert_eq!(posture.degraded_reasons, [DegradedReason::ExportsMissing.into()]);
    recorder.recover(rig.now, rig.at).unwrap();
    assert_eq!(rig.result(false), VerdictResult::Verified);
}

#[test]
fn exports_are_missing_only_where_they_are() {
    let mut rig = Rig::new();
    let mut recorder = rig.begin();
    rig.export(&mut recorder);
    drop(recorder);
    let forged = EventBody::ExportsMissing { last_sequence: None, next_sequence: None };
    Forger::of(&rig).event(&rig, forged.clone()).append(&rig.log());
    for _ in 0..2 {
        rig.new_process();
        let mut recorder = rig.begin();
        assert_eq!(rig.export(&mut recorder).degraded_reasons, []);
        assert_eq!((rig.result(false), rig.events().contains(&forged)), (VerdictResult::Verified, false));
    }
}

#[test]
fn families_nobody_knows_fill_no_document() {
    let mut rig = Rig::new();
    let mut recorder = rig.begin();
    rig.export(&mut recorder);
    drop(recorder);
    let mut forger = Forger::of(&rig);
    forger.find(&rig, 1, "canary");
    for n in 0..2_000 {
        forger.find(&rig, n, &format!("x{n:063}"));
    }
    forger.append(&rig.log());
    rig.new_process();
    let mut recorder = rig.begin();
    let posture = rig.export(&mut recorder);
    assert_eq!((posture.counts.findings, posture.counts.family.len()), (1, 1));
    assert_eq!(rig.result(false), VerdictResult::Verified);
    // What is carried over into a log begun anew is judged alike.
    drop(recorder);
    let mut forger = Forger::of(&rig);
    forger.find(&rig, 2, "canary").find(&rig, 3, "unheard_of").find(&rig, 4, "canary");
    forger.event(&rig, rotation_to(&rig.anchor()));
    forger.event(&rig, EventBody::ExportsMissing { last_sequence: None, next_sequence: None });
    forger.append(&rig.log());
    let text = fs::read_to_string(rig.log()).unwrap();
    overwrite(&rig.log(), text.replacen("\"high\"", "\"info\"", 1).as_bytes());
    forger.append(&rig.file("quarantine.jsonl"));
    rig.new_process();
    let mut recorder = rig.begin();
    let (recovered, _) = recorder.recover(rig.now, rig.at).unwrap();
    let posture = rig.posture();
    assert_eq!((posture.counts.findings, posture.counts.family.len(), posture.degraded_reasons), (3, 1, vec![]));
    assert_eq!((recovered.carried >= 2, rig.result(false)), (true, VerdictResult::Verified));
}

#[test]
fn a_posture_its_reader_would_refuse_is_not_published_and_the_next_one_is() {
    let rig = Rig::new();
    let mut recorder = rig.begin();
    rig.export(&mut recorder);
    let mut statement = recorder.statement(true, Ended::Running, rig.now);
    let named = |n| posture::NamedCount { count: 1, name: format!("x{n:063}").parse().unwrap() };
    statement.counts.family = (0..20_000).map(named).collect();
    let refused = recorder.vouch.publish(&recorder.settings.clone(), statement).map(|_| ()).unwrap_err();
    assert!(refused.to_string().contains("larger than 1048576 bytes"), "{refused}");
    assert_eq!((rig.posture().sequence, rig.result(false)), (1, VerdictResult::Verified));
    assert_eq!((rig.export(&mut recorder).sequence, rig.result(false)), (2, VerdictResult::Verified));
}

// === in the place of files ===

#[test]
fn what_is_no_file_under_the_name_of_one_is_set_aside_and_recovery_goes_on() {
    for kind in 0..3 {
        for name in ["recovery.jsonl", "quarantine.jsonl"] {
            let mut rig = Rig::damaged();
            no_file(&rig.file(name), kind);
            let mut recorder = rig.begin();
            rig.put(&mut recorder, 9);
            assert_eq!(rig.export(&mut recorder).degraded_reasons, [DegradedReason::LogDamaged.into()]);
            let aside = rig.file("damaged-000000000007.jsonl").symlink_metadata().unwrap();
            assert!(!aside.is_file(), "{name}, kind {kind}");
            no_file(&rig.file("recovery.jsonl"), kind);
            recorder.recover(rig.now, rig.at).unwrap();
            assert_eq!((rig.posture().counts.findings, rig.result(false)), (5, VerdictResult::Verified));
            drop(recorder);
            rig.next_run();
            assert_eq!(rig.result(false), VerdictResult::Verified);
        }
    }
}

#[test]
fn a_recovery_that_was_carried_out_before_is_not_carried_out_again() {
    let mut rig = Rig::damaged();
    let mut recorder = rig.begin();
    recorder.recover(rig.now, rig.at).unwrap();
    rig.put(&mut recorder, 9);
    recorder.rotate(rig.now, rig.at).unwrap();
    drop(recorder);
    // Somebody keeps the log that was begun anew, and leaves no posture that says where it begins.
    fs::copy(rig.log(), rig.file("recovery.jsonl")).unwrap();
    fs::remove_dir_all(&rig.config.export_dir).unwrap();
    rig.edit();
    rig.new_process();
    let mut recorder = rig.begin();
    assert_eq!(rig.export(&mut recorder).degraded_reasons, [DegradedReason::LogDamaged.into()]);
    assert!(rig.file("recovery.jsonl").exists(), "left where it was");
    recorder.recover(rig.now, rig.at).unwrap();
    assert_eq!(rig.result(false), VerdictResult::Verified);
}

#[test]
fn a_file_longer_than_the_disk_costs_no_more_than_what_is_in_it() {
    let mut rig = Rig::new();
    let mut recorder = rig.begin();
    rig.export(&mut recorder);
    let next_seq = rig.posture().finding_log.next_seq;
    // Behind the log itself, under a monitor at work.
    let len = fs::metadata(rig.log()).unwrap().len();
    sparse(&rig.log(), len + 4096 * GIB);
    rig.pass(1);
    recorder.tick(rig.now, rig.at);
    let aside = rig.file(&format!("damaged-{next_seq:012}.jsonl"));
    let found = fs::metadata(&aside).unwrap();
    assert_eq!(found.len(), 4096 * GIB);
    assert!(found.blocks() < 1024, "{} blocks", found.blocks());
    assert!(
        matches!(rig.events().last(), Some(EventBody::Gap { damaged_bytes, damaged_records: 1, .. }) if *damaged_bytes == 4096 * GIB)
    );
    // And beside it, as if a start had been cut short.
    let next_seq = rig.export(&mut recorder).finding_log.next_seq;
    drop(recorder);
    for n in ["", "-2", "-3"] {
        sparse(&rig.file(&format!("damaged-{next_seq:012}{n}.jsonl")), 4096 * GIB);
    }
    rig.next_run();
    let told =
        |event: &EventBody| matches!(event, EventBody::Gap { damaged_bytes, .. } if *damaged_bytes == 3 * 4096 * GIB);
    assert!(rig.events().iter().any(told));
    assert_eq!(rig.result(false), VerdictResult::Verified);
}

// === the rotations ===

#[test]
fn rotations_that_are_altered_under_a_monitor_are_put_back_with_its_next_word() {
    let rig = Rig::new();
    let mut recorder = rig.begin();
    rig.export(&mut recorder);
    let (first, path) = (rig.anchor(), Home::of(&rig.config).rotations());
    overwrite(&path, b"no statement\n");
    assert_eq!(rig.result(false), VerdictResult::NotAuthentic);
    rig.export(&mut recorder);
    assert!(!path.exists(), "there was no rotation");
    recorder.rotate(rig.now, rig.at).unwrap();
    let statements = fs::read(&path).unwrap();
    let spoils: [fn(&Path); 4] = [
        |path| fs::remove_file(path).unwrap(),
        |path| overwrite(path, b""),
        |path| overwrite(path, b"{}\n"),
        |path| no_file(path, 2),
    ];
    for spoil in spoils {
        spoil(&path);
        assert_eq!(rig.pinned(&first).result, VerdictResult::NotAuthentic);
        rig.export(&mut recorder);
        assert_eq!(fs::read(&path).unwrap(), statements);
        assert_eq!((rig.pinned(&first).result, rig.result(false)), (VerdictResult::Verified, VerdictResult::Verified));
    }
}

#[test]
fn rotations_lost_with_no_monitor_at_work_are_said_until_they_are_back_or_the_log_is_begun_anew() {
    for (is_online, is_put_back) in [(true, true), (true, false), (false, false)] {
        let mut rig = Rig::new();
        let mut recorder = rig.begin();
        rig.put(&mut recorder, 1);
        rig.export(&mut recorder);
        recorder.rotate(rig.now, rig.at).unwrap();
        drop(recorder);
        let (path, newest) = (Home::of(&rig.config).rotations(), rig.anchor());
        let statements = fs::read(&path).unwrap();
        fs::remove_file(&path).unwrap();
        rig.new_process();
        let mut recorder = rig.begin();
        rig.put(&mut recorder, 2);
        assert_eq!(rig.export(&mut recorder).degraded_reasons, [DegradedReason::RotationsMissing.into()]);
        let report = rig.verify(false);
        let (why, what_to_do) = (report.reason.as_ref().unwrap().to_string(), report.reason.as_ref().unwrap().hint());
        assert!(report.result == VerdictResult::NotAuthentic && why.contains("rotations.jsonl"), "{why}");
        assert!(what_to_do.unwrap().contains("`recover`"));
        if is_online && !is_put_back {
            recorder.recover(rig.now, rig.at).unwrap();
        }
        drop(recorder);
        match (is_online, is_put_back) {
            (_, true) => overwrite(&path, &statements),
            (false, _) => drop(crate::monitor::offline_recover(&rig.config, rig.now).unwrap()),
            _ => {}
        }
        rig.next_run();
        let report = rig.pinned(&newest);
        assert_eq!(report.result, VerdictResult::Verified, "{:?}", report.reason);
        let anew = report.limits.iter().any(|limit| matches!(limit, attest::Limit::BegunAnew { .. }));
        assert_eq!((anew, rig.posture().degraded_reasons), (!is_put_back, vec![]));
        // Another rotation goes on from there.
        rig.begin().rotate(rig.now, rig.at).unwrap();
        assert_eq!(rig.pinned(&newest).result, VerdictResult::Verified);
    }
}

#[test]
fn a_log_lost_with_its_exports_behind_a_rotation_is_held_to_what_both_keys_signed() {
    let mut rig = Rig::new();
    let mut recorder = rig.begin();
    rig.put(&mut recorder, 1);
    rig.export(&mut recorder);
    let first = rig.anchor();
    recorder.rotate(rig.now, rig.at).unwrap();
    let next_seq = rig.posture().finding_log.next_seq;
    drop(recorder);
    fs::remove_dir_all(&rig.config.export_dir).unwrap();
    fs::remove_file(rig.log()).unwrap();
    rig.new_process();
    let mut recorder = rig.begin();
    rig.put(&mut recorder, 2);
    assert_eq!(rig.export(&mut recorder).degraded_reasons, [DegradedReason::LogDamaged.into()]);
    assert_eq!(rig.result(false), VerdictResult::NotAuthentic);
    let (recovered, _) = recorder.recover(rig.now, rig.at).unwrap();
    assert_eq!(recovered.first_seq, next_seq);
    for key in [&first, &rig.anchor()] {
        assert_eq!(rig.pinned(key).result, VerdictResult::Verified, "{:?}", rig.pinned(key).reason);
    }
    assert_eq!((rig.posture().counts.findings, rig.posture().degraded_reasons), (1, vec![]), "what came since");
    drop(recorder);
    rig.next_run();
    assert_eq!(rig.result(false), VerdictResult::Verified);
}

#[test]
fn exports_lost_behind_a_rotation_leave_a_log_that_is_as_long_as_both_keys_signed() {
    // All of them, and those of the new key alone; with the whole log, and with one that is cut below the rotation.
    for (left, cut) in [(0, false), (1, false), (1, true)] {
        let mut rig = Rig::new();
        let mut recorder = rig.begin();
        rig.put(&mut recorder, 1);
        rig.export(&mut recorder);
        let (first, signed) = (rig.anchor(), fs::read(rig.log()).unwrap());
        recorder.rotate(rig.now, rig.at).unwrap();
        drop(recorder);
        for number in left + 1..=rig.posture().sequence {
            fs::remove_dir_all(rig.config.export_dir.join(format!("{number:012}"))).unwrap();
        }
        if cut {
            overwrite(&rig.log(), &signed);
        }
        rig.new_process();
        let mut recorder = rig.begin();
        let said: Vec<_> = rig.export(&mut recorder).degraded_reasons;
        let expected: Vec<posture::Word> = match (left, cut) {
            (0, _) => vec![DegradedReason::ExportsMissing.into()],
            (_, false) => vec![],
            (_, true) => vec![DegradedReason::LogDamaged.into()],
        };
        assert_eq!(said, expected, "{left} left, cut: {cut}");
        if !said.is_empty() {
            recorder.recover(rig.now, rig.at).unwrap();
        }
        assert_eq!(rig.pinned(&first).result, VerdictResult::Verified, "{left} left, cut: {cut}");
        assert_eq!(rig.posture().counts.findings, 1);
    }
}

#[test]
fn a_next_key_that_is_none_stops_nobody_unless_it_is_needed() {
    let mut rig = Rig::new();
    let mut recorder = rig.begin();
    rig.export(&mut recorder);
    recorder.rotate(rig.now, rig.at).unwrap();
    drop(recorder);
    for kind in 0..5 {
        match kind {
            3 => overwrite(&rig.next(), b"no key"),
            4 => {
                overwrite(&rig.next(), &fs::read(rig.private()).unwrap());
                fs::set_permissions(rig.next(), fs::Permissions::from_mode(0o644)).unwrap();
            }
            _ => no_file(&rig.next(), kind),
        }
        rig.new_process();
        let mut recorder = rig.begin();
        rig.export(&mut recorder);
        assert_eq!(rig.result(false), VerdictResult::Verified, "kind {kind}");
        if kind == 0 {
            let why = recorder.rotate(rig.now, rig.at).unwrap_err();
            assert!(why.contains("signing.next.pem"), "{why}");
            fs::remove_dir(rig.next()).unwrap();
        }
        assert!(rig.next().symlink_metadata().is_err(), "kind {kind}");
    }
    // The statement stands, and the key it leads to waits still.
    let old = fs::read(rig.private()).unwrap();
    let mut recorder = rig.begin();
    recorder.rotate(rig.now, rig.at).unwrap();
    drop(recorder);
    overwrite(&rig.private(), &old);
    overwrite(&rig.next(), b"no key");
    let refused = identity::open(&Home::of(&rig.config)).map(|_| ()).unwrap_err();
    assert!(matches!(&refused, MonitorError::Vouch(VouchError::Succession(SuccessionError::Next { .. }))), "{refused}");
    assert!(refused.to_string().contains("signing.next.pem") && refused.hint().contains("signing.next.pem"));
}

#[test]
fn keys_that_cannot_be_read_are_named_and_what_waits_stays() {
    let rig = Rig::new();
    let mut recorder = rig.begin();
    rig.export(&mut recorder);
    drop(recorder);
    overwrite(&rig.private(), b"no key");
    overwrite(&rig.next(), b"none either");
    let refused = identity::open(&Home::of(&rig.config)).map(|_| ()).unwrap_err();
    assert!(refused.to_string().contains("signing.key.pem"), "{refused}");
    assert!(rig.next().exists());
}
