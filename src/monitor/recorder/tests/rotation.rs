//! A signing key gives way under a monitor at work and without one, and a crash behind every step.

use super::*;
use crate::{
    flow::vouch::{SuccessionError, VouchError},
    monitor::{identity, offline_rotate},
};
use keys::{KeyError, PublicKey};
use std::{os::unix::fs::PermissionsExt, path::Path};

impl Rig {
    pub(super) fn anchor(&self) -> PublicKey {
        keys::file::read_public(&Home::of(&self.config).public_key()).unwrap()
    }

    pub(super) fn pinned(&self, key: &PublicKey) -> Report {
        let options =
            attest::Options { accept_stopped: true, ..attest::Options::new(Anchor::Pinned(key.clone()), self.now) };
        attest::verify(&Folder::open(&self.config.home), &options)
    }

    pub(super) fn private(&self) -> PathBuf {
        self.config.keys_dir.join("signing.key.pem")
    }

    pub(super) fn next(&self) -> PathBuf {
        self.config.keys_dir.join("signing.next.pem")
    }

    fn statements(&self) -> usize {
        fs::read_to_string(Home::of(&self.config).rotations()).unwrap_or_default().lines().count()
    }
}

fn put(path: &Path, bytes: &[u8]) {
    crate::home::file::replace(path, crate::home::file::PRIVATE, bytes).unwrap();
}

#[test]
fn a_key_rotated_twice_under_a_monitor_is_walked_to_from_the_first() {
    let mut rig = Rig::new();
    let mut recorder = rig.begin();
    rig.export(&mut recorder);
    let first = rig.anchor();
    for number in 1..=2 {
        let before = rig.anchor();
        let state = rig.current("state.json");
        let rotated = recorder.rotate(rig.now, rig.at).unwrap();
        assert_eq!((rotated.number, &rotated.unsigned), (number, &None));
        assert_eq!(rotated.old_key_id, attest::digest::key_id(before.key_id()));
        assert_eq!(rotated.new_key_id, attest::digest::key_id(rig.anchor().key_id()));
        assert_eq!((rig.posture().sequence, &rig.posture().key_id), (rotated.from_sequence, &rotated.new_key_id));
        assert_eq!(recorder.status(rig.now, rig.at).key_id, rotated.new_key_id);
        assert_ne!(rig.current("state.json"), state, "the state names the key");
        assert!(!rig.next().exists());
        for key in [&first, &before, &rig.anchor()] {
            assert_eq!(rig.pinned(key).result, VerdictResult::Verified);
        }
        assert_eq!(rig.result(false), VerdictResult::Verified);
        rig.pass(1);
    }
    rig.relay(9);
    rig.export(&mut recorder);
    recorder.end(Ended::OperatorStop, rig.now, rig.at).unwrap();
    let sequence = rig.posture().sequence;
    rig.new_process();
    let posture = rig.export(&mut rig.begin());
    assert_eq!((posture.sequence, posture.coverage.seen.bytes), (sequence + 1, 9), "what was counted goes on");
    assert_eq!(rig.pinned(&first).result, VerdictResult::Verified);
}

#[test]
fn without_a_monitor_the_key_rotates_all_the_same() {
    let mut rig = Rig::new();
    assert!(matches!(offline_rotate(&rig.config, rig.now), Err(MonitorError::NoHome { .. })));
    let mut recorder = rig.begin();
    rig.export(&mut recorder);
    recorder.end(Ended::OperatorStop, rig.now, rig.at).unwrap();
    drop(recorder);
    let (old, ended) = (rig.anchor(), rig.posture().ended);
    let rotated = offline_rotate(&rig.config, rig.now).unwrap();
    assert_eq!(rig.posture().ended, ended);
    assert_eq!(rig.posture().sequence, rotated.from_sequence);
    for key in [old, rig.anchor()] {
        assert_eq!(rig.pinned(&key).result, VerdictResult::Verified);
    }
    rig.next_run();
    assert_eq!(rig.result(false), VerdictResult::Verified);
    assert!(!rig.events().iter().any(|e| matches!(e, EventBody::Gap { .. })), "a rotation is no crash");
    let lock = Home::of(&rig.config).lock().unwrap();
    assert!(matches!(offline_rotate(&rig.config, rig.now), Err(MonitorError::Home(_))));
    drop(lock);
}

/// What a crash leaves behind.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
enum Step {
    Nothing,
    KeyStaged,
    EventLogged,
    EventSigned,
    Stated,
    TakenUp,
    SignedAnew,
    AnchorPut,
}
use Step::{AnchorPut, EventLogged, EventSigned, KeyStaged, Nothing, SignedAnew, Stated, TakenUp};

/// Rotates, up to a crash behind this step.
fn rotate_until(rig: &Rig, mut recorder: Recorder, step: Step) {
    let (old, old_pem) = (rig.anchor(), fs::read(rig.private()).unwrap());
    if step < KeyStaged {
        return;
    }
    let event = recorder.vouch.stage_key().unwrap();
    if step < EventLogged {
        return;
    }
    let log = recorder.store.place(event, rig.now, rig.at).unwrap();
    if step < EventSigned {
        return;
    }
    recorder.export(rig.now, rig.at).unwrap();
    if step < Stated {
        return;
    }
    let next_pem = fs::read(rig.next()).unwrap();
    recorder.vouch.succeed(&log).unwrap();
    if step < TakenUp {
        put(&rig.private(), &old_pem);
        put(&rig.next(), &next_pem);
    }
    if step < SignedAnew {
        return;
    }
    recorder.export(rig.now, rig.at).unwrap();
    if step < AnchorPut {
        put(&Home::of(&rig.config).public_key(), old.to_pem().as_bytes());
    }
}

#[test]
fn a_crash_behind_every_step_leaves_a_key_that_signs_and_an_anchor_that_leads_to_it() {
    for step in [Nothing, KeyStaged, EventLogged, EventSigned, Stated, TakenUp, SignedAnew, AnchorPut] {
        let mut rig = Rig::new();
        let mut recorder = rig.begin();
        rig.relay(7);
        rig.export(&mut recorder);
        let old = rig.anchor();
        rotate_until(&rig, recorder, step);
        assert_eq!(rig.result(false), VerdictResult::Verified, "as it lies: {step:?}");
        assert_eq!(rig.pinned(&old).result, VerdictResult::Verified, "as it lies: {step:?}");

        rig.new_process();
        let mut recorder = rig.begin();
        assert_eq!(rig.result(false), VerdictResult::Verified, "before the first export: {step:?}");
        let posture = rig.export(&mut recorder);
        let stated = step >= Stated;
        assert!(!rig.next().exists(), "{step:?}");
        assert_eq!((rig.statements(), rig.anchor() != old), (usize::from(stated), stated), "{step:?}");
        assert_eq!(posture.key_id, attest::digest::key_id(rig.anchor().key_id()));
        assert_eq!(posture.coverage.seen.bytes, 7, "the last generation is known, whoever signed it: {step:?}");
        for key in [&old, &rig.anchor()] {
            assert_eq!(rig.pinned(key).result, VerdictResult::Verified, "{step:?}: {:?}", rig.pinned(key).reason);
        }
        recorder.rotate(rig.now, rig.at).unwrap();
        assert_eq!(rig.statements(), usize::from(stated) + 1);
        assert_eq!(rig.pinned(&old).result, VerdictResult::Verified, "rotated again: {step:?}");
    }
}

#[test]
fn a_rotation_cut_at_any_step_on_the_disk_leaves_a_key_that_signs() {
    use crate::home::file::fault::{Fault, play};
    let past = || {
        let rig = Rig::new();
        let mut recorder = rig.begin();
        rig.export(&mut recorder);
        (rig, recorder)
    };
    let (rig, mut recorder) = past();
    let (_, steps, _) = play(Fault::None, || recorder.rotate(rig.now, rig.at).unwrap());
    assert!(steps > 30, "{steps}");
    for step in 0..steps {
        for fault in [Fault::Fail(step), Fault::Crash(step)] {
            let (mut rig, mut recorder) = past();
            let old = rig.anchor();
            let _ = play(fault, || recorder.rotate(rig.now, rig.at));
            drop(recorder);
            rig.new_process();
            let mut recorder = rig.begin();
            rig.export(&mut recorder);
            for key in [&old, &rig.anchor()] {
                assert_eq!(rig.pinned(key).result, VerdictResult::Verified, "{fault:?}: {:?}", rig.pinned(key).reason);
            }
        }
    }
}

#[test]
fn an_export_without_a_monitor_finishes_a_rotation_too() {
    let rig = Rig::new();
    let mut recorder = rig.begin();
    rig.export(&mut recorder);
    let old = rig.anchor();
    let event = recorder.vouch.stage_key().unwrap();
    let log = recorder.store.place(event, rig.now, rig.at).unwrap();
    rig.export(&mut recorder);
    recorder.vouch.succeed(&log).unwrap();
    drop(recorder);
    assert_eq!(rig.anchor(), old);
    offline_export(&rig.config, rig.now).unwrap();
    assert_ne!(rig.anchor(), old);
    assert_eq!(rig.pinned(&old).result, VerdictResult::NotCurrent, "it died, and is authentic");
}

#[test]
fn a_log_that_takes_nothing_keeps_the_key() {
    let rig = Rig::new();
    let mut recorder = rig.begin();
    rig.export(&mut recorder);
    let old = rig.anchor();
    fs::File::options().write(true).open(rig.log()).unwrap().set_len(10).unwrap();
    let why = recorder.rotate(rig.now, rig.at).unwrap_err();
    assert!(why.contains("the log does not take it"), "{why}");
    assert!(!rig.next().exists());
    assert_eq!((rig.anchor(), rig.statements()), (old, 0));
    recorder.export(rig.now, rig.at).unwrap();
}

#[test]
fn an_export_that_fails_keeps_the_key_and_a_first_export_that_fails_is_told() {
    let mut rig = Rig::new();
    let mut recorder = rig.begin();
    rig.export(&mut recorder);
    let old = rig.anchor();
    let away = rig.config.home.join("away");
    fs::rename(&rig.config.export_dir, &away).unwrap();
    fs::File::create(&rig.config.export_dir).unwrap();
    recorder.rotate(rig.now, rig.at).unwrap_err();
    assert!(!rig.next().exists());
    fs::remove_file(&rig.config.export_dir).unwrap();
    fs::rename(&away, &rig.config.export_dir).unwrap();
    assert_eq!((rig.anchor(), rig.statements()), (old.clone(), 0));
    rig.pass(1);
    rig.export(&mut recorder);
    assert_eq!(rig.result(false), VerdictResult::Verified, "the event it left names a key nobody uses");

    // Once the statement stands, the new key signs, as soon as an export works.
    let event = recorder.vouch.stage_key().unwrap();
    let log = recorder.store.place(event, rig.now, rig.at).unwrap();
    rig.export(&mut recorder);
    recorder.vouch.succeed(&log).unwrap();
    assert_eq!((rig.anchor(), rig.result(false)), (old.clone(), VerdictResult::Verified));
    rig.export(&mut recorder);
    assert_ne!(rig.anchor(), old);
    assert_eq!(rig.pinned(&old).result, VerdictResult::Verified);
}

#[test]
fn keys_that_another_provides_are_not_replaced_and_what_to_do_is_said() {
    let mut rig = Rig::new();
    drop(rig.begin());
    rig.config.keys_are_lent = true;
    let mut recorder = rig.begin();
    rig.export(&mut recorder);
    for why in [recorder.rotate(rig.now, rig.at).unwrap_err(), offline(&rig)] {
        assert!(why.contains("cannot be replaced there") && why.contains("keys.dir"), "{why}");
    }
    assert!(!rig.next().exists());
    assert_eq!(rig.statements(), 0);
    // What it says to do works: a copy is rotated, and handed back.
    let lent = rig.config.keys_dir.clone();
    let copy = rig.config.home.with_file_name("copy");
    let copied = std::process::Command::new("cp").args([Path::new("-a"), &lent, &copy]).status().unwrap();
    assert!(copied.success());
    drop(recorder);
    let mut config = rig.config.clone();
    (config.keys_dir, config.keys_are_lent) = (copy.clone(), false);
    let old = rig.anchor();
    offline_rotate(&config, rig.now).unwrap();
    let stale = identity::open(&Home::of(&rig.config)).map(|_| ());
    assert!(matches!(stale, Err(MonitorError::Keys(KeyError::Mismatch { .. }))), "{stale:?}");
    put(&rig.private(), &fs::read(copy.join("signing.key.pem")).unwrap());
    rig.next_run();
    assert_eq!(rig.pinned(&old).result, VerdictResult::Verified);
}

fn offline(rig: &Rig) -> String {
    match offline_rotate(&rig.config, rig.now) {
        Err(MonitorError::NotRotated(why)) => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_folder_of_keys_that_cannot_be_written_is_said_to_be_one() {
    let rig = Rig::new();
    let mut recorder = rig.begin();
    rig.export(&mut recorder);
    fs::set_permissions(&rig.config.keys_dir, fs::Permissions::from_mode(0o500)).unwrap();
    // Root writes there all the same.
    if fs::File::create(rig.config.keys_dir.join("probe")).is_err() {
        assert!(recorder.rotate(rig.now, rig.at).unwrap_err().contains("cannot be replaced there"));
    }
    fs::set_permissions(&rig.config.keys_dir, fs::Permissions::from_mode(0o700)).unwrap();
}

#[test]
fn keys_may_lie_elsewhere() {
    let mut rig = Rig::new();
    rig.config.keys_dir = rig.config.home.with_file_name("elsewhere");
    let mut recorder = rig.begin();
    rig.export(&mut recorder);
    let old = rig.anchor();
    recorder.rotate(rig.now, rig.at).unwrap();
    assert!(!rig.config.home.join("keys").exists());
    assert_eq!(rig.pinned(&old).result, VerdictResult::Verified);
}

#[test]
fn a_key_that_gave_way_does_not_sign_again() {
    let rig = Rig::new();
    let mut recorder = rig.begin();
    rig.export(&mut recorder);
    let (old, old_pem) = (rig.anchor(), fs::read(rig.private()).unwrap());
    recorder.rotate(rig.now, rig.at).unwrap();
    drop(recorder);
    let home = Home::of(&rig.config);
    put(&rig.private(), &old_pem);
    assert!(matches!(identity::open(&home), Err(MonitorError::Keys(KeyError::Mismatch { .. }))));
    // With the anchor set back as well, the statement still says so.
    put(&home.public_key(), old.to_pem().as_bytes());
    let keys = identity::open(&home).unwrap();
    let refused = Vouch::open(&home, keys.signing_key).map(|_| ());
    assert!(matches!(refused, Err(VouchError::Succession(SuccessionError::NotTheNewest { .. }))), "{refused:?}");
}

#[test]
fn rotations_that_are_damaged_are_named_before_anything_is_signed() {
    let rig = Rig::new();
    let mut recorder = rig.begin();
    rig.export(&mut recorder);
    recorder.rotate(rig.now, rig.at).unwrap();
    drop(recorder);
    let home = Home::of(&rig.config);
    let text = fs::read_to_string(home.rotations()).unwrap();
    put(&home.rotations(), text.replacen("\"number\":1", "\"number\":2", 1).as_bytes());
    let Err(MonitorError::Vouch(VouchError::Succession(error))) = identity::open(&home).map(|_| ()) else { panic!() };
    assert!(error.to_string().contains("rotations.jsonl line 1"), "{error}");
}
