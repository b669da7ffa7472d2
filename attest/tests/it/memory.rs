//! A reader with memory: what only having seen a later state can tell.

use crate::support::{Home, expect, key, put, settled, time};
use attest::{Anchor, Limit, Options, Report, digest, memory};
use posture::{Ended, Family, InstallId, Memory, MonitorStatus};
use std::{fs, path::Path, process::Command};

fn remembering(home: &Home, then: &Memory) -> Report {
    home.verify_with(|o| o.remembered = Some(then.clone()))
}

/// What verifying leaves to be remembered.
fn learnt(report: &Report) -> Memory {
    report.memory.clone().unwrap()
}

/// The whole folder as it is now, to be put back later.
struct Backup(tempfile::TempDir);

impl Backup {
    fn of(home: &Home) -> Self {
        let dir = tempfile::tempdir().unwrap();
        copy(home.path(), dir.path());
        Self(dir)
    }

    fn restore(&self, home: &Home) {
        for entry in fs::read_dir(home.path()).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }.unwrap();
        }
        copy(self.0.path(), home.path());
    }
}

fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").args(["-a", &format!("{}/.", from.display())]).arg(to).status().unwrap();
    assert!(copied.success());
}

/// A folder in two histories that went apart after two exports: its own now, and the other one.
fn forked() -> (Home, Backup) {
    let mut home = Home::new();
    let before = Backup::of(&home);
    let (chain, counts, previous) = (home.chain.clone(), home.counts.clone(), home.previous.clone());
    home.find(Family::Canary);
    home.export(settled);
    let other = Backup::of(&home);
    before.restore(&home);
    (home.chain, home.counts, home.previous, home.sequence) = (chain, counts, previous, 2);
    home.find(Family::ReverseShell);
    home.export(settled);
    (home, other)
}

#[test]
fn what_is_remembered_is_the_last_authentic_posture() {
    let home = Home::new();
    let report = home.verify();
    let memory = learnt(&report);
    let posture = report.posture.as_ref().unwrap();
    assert_eq!((memory.sequence, memory.next_seq, &memory.log_head), (2, 7, &posture.finding_log_sha256));
    assert_eq!(memory.posture_sha256, digest::sha256(fs::read(home.exported("posture.json")).unwrap()));
    assert_eq!((&memory.anchor_key_id, &memory.newest_key_id), (&posture.key_id, &posture.key_id));
    assert_eq!(memory::read(&memory::to_vec(&memory).unwrap()), Ok(memory));
}

#[test]
fn a_folder_that_went_on_or_stands_still_follows() {
    let mut home = Home::new();
    let mut then = learnt(&home.verify());
    for _ in 0..3 {
        let report = remembering(&home, &then);
        expect(&report, 0, "none");
        assert!(!report.limits.contains(&Limit::FolderRollback), "a rollback would have been seen");
        then = learnt(&report);
        home.find(Family::Canary);
        home.export(settled);
    }
    home.seal_segment();
    home.find(Family::Canary);
    home.export(settled);
    expect(&remembering(&home, &then), 0, "none");
}

#[test]
fn without_a_memory_a_rollback_is_said_to_be_possible() {
    assert!(Home::new().verify().limits.contains(&Limit::FolderRollback));
}

#[test]
fn a_folder_set_back_is_seen_and_a_backup_is_named_with_it() {
    let mut home = Home::new();
    let backup = Backup::of(&home);
    home.find(Family::Canary);
    home.export(settled);
    let then = learnt(&home.verify());
    backup.restore(&home);
    let report = remembering(&home, &then);
    expect(&report, 3, "memory_rolled_back");
    assert!(report.memory.is_none(), "nothing new is remembered");
    assert!(report.posture.is_some());
    let said = report.reason.unwrap().to_string();
    assert!(said.contains("rolled back") && said.contains("backup"), "{said}");
    expect(&home.verify(), 0, "none");
}

#[test]
fn a_posture_set_back_alone_is_seen_with_and_without_memory() {
    let home = Home::new();
    let then = learnt(&home.verify());
    home.point("000000000001");
    expect(&home.verify(), 3, "rolled_back");
    expect(&remembering(&home, &then), 3, "rolled_back");
    fs::remove_dir_all(home.at("export/000000000002")).unwrap();
    expect(&home.verify(), 0, "none");
    expect(&remembering(&home, &then), 3, "memory_rolled_back");
}

#[test]
fn two_postures_with_one_number_are_a_fork() {
    let (mut home, other) = forked();
    let then = learnt(&home.verify());
    let own = Backup::of(&home);
    other.restore(&home);
    expect(&home.verify(), 0, "none");
    expect(&remembering(&home, &then), 3, "memory_forked");
    // Later too, while the other posture is retained.
    home.sequence = 3;
    home.chain = attest::Chain::resume(8, last_hash(&home));
    home.counts = home.verify().posture.unwrap().counts.clone();
    home.previous = Some(digest::sha256(fs::read(home.exported("posture.json")).unwrap()));
    home.export(settled);
    expect(&home.verify(), 0, "none");
    expect(&remembering(&home, &then), 3, "memory_forked");
    // And without it by the one that follows on it.
    fs::remove_dir_all(home.at("export/000000000003")).unwrap();
    expect(&remembering(&home, &then), 3, "memory_forked");
    home.export(settled);
    expect(&remembering(&home, &then), 3, "memory_forked");
    // And then by the log.
    fs::remove_dir_all(home.at("export/000000000004")).unwrap();
    expect(&remembering(&home, &then), 3, "memory_log");
    own.restore(&home);
    expect(&remembering(&home, &then), 0, "none");
}

fn last_hash(home: &Home) -> posture::Sha256Hex {
    digest::sha256(fs::read_to_string(home.log()).unwrap().lines().last().unwrap())
}

/// Nothing was found in between: the logs of both are the same.
#[test]
fn a_fork_that_only_the_next_posture_tells_of_is_seen() {
    let mut home = Home::new();
    let before = Backup::of(&home);
    let previous = home.previous.clone();
    home.export(|p| p.self_test.last_run_at = Some(time("2026-04-26T00:00:01.000Z")));
    let then = learnt(&home.verify());
    let own = Backup::of(&home);
    let (own_previous, own_sequence) = (home.previous.clone(), home.sequence);
    before.restore(&home);
    (home.previous, home.sequence) = (previous, 2);
    home.export(settled);
    home.export(settled);
    fs::remove_dir_all(home.at("export/000000000003")).unwrap();
    expect(&home.verify(), 0, "none");
    expect(&remembering(&home, &then), 3, "memory_forked");
    // One that says nothing of what was before is no proof of a fork, and one that goes on is none.
    own.restore(&home);
    (home.previous, home.sequence) = (None, own_sequence);
    home.export(settled);
    fs::remove_dir_all(home.at("export/000000000003")).unwrap();
    expect(&remembering(&home, &then), 0, "none");
    own.restore(&home);
    (home.previous, home.sequence) = (own_previous, own_sequence);
    home.export(settled);
    fs::remove_dir_all(home.at("export/000000000003")).unwrap();
    expect(&remembering(&home, &then), 0, "none");
}

#[test]
fn a_log_that_grew_shorter_under_a_later_number_is_seen() {
    let mut home = Home::new();
    let backup = Backup::of(&home);
    let (chain, counts) = (home.chain.clone(), home.counts.clone());
    home.find(Family::Canary);
    home.export(settled);
    let then = learnt(&home.verify());
    backup.restore(&home);
    (home.chain, home.counts) = (chain, counts);
    home.export(settled);
    expect(&home.verify(), 0, "none");
    expect(&remembering(&home, &then), 3, "memory_log");
}

#[test]
fn a_remembered_head_that_was_pruned_leaves_continuity_unproven() {
    let mut home = Home::new();
    let early = {
        let mut home = Home::empty();
        home.event(posture::EventBody::Start { run_id: posture::RunId::from_bytes(&[0x5a; 16]) });
        home.export(settled);
        learnt(&home.verify())
    };
    let early = Memory { sequence: 1, posture_sha256: home.first_sha256(), ..early };
    expect(&remembering(&home, &early), 0, "none");
    home.seal_segment();
    home.find(Family::Canary);
    home.export(settled);
    let at_the_cut = {
        let (_, end, _) = home.sealed[0].clone();
        Memory { next_seq: end.next_seq(), log_head: end.head().clone(), ..early.clone() }
    };
    home.announce(home.prune());
    home.delete_oldest();
    let report = remembering(&home, &early);
    expect(&report, 0, "none");
    let gone = Limit::Continuity { before_seq: 4 };
    assert!(report.limits.contains(&gone), "{:?}", report.limits);
    assert_eq!(gone.text(), "history before seq 4 is pruned; continuity not proven");
    // The last record that went is named by the prune event: there it is proven.
    let report = remembering(&home, &at_the_cut);
    expect(&report, 0, "none");
    assert!(!report.limits.contains(&gone));
    let another = Memory { log_head: digest::sha256("another record"), ..at_the_cut };
    expect(&remembering(&home, &another), 3, "memory_log");
}

#[test]
fn another_installation_is_not_taken_for_the_one_remembered() {
    let mut home = Home::new();
    let then = learnt(&home.verify());
    home.export(|p| {
        settled(p);
        p.install_id = InstallId::from_bytes(&[7; 16]);
    });
    expect(&home.verify(), 0, "none");
    expect(&remembering(&home, &then), 3, "memory_install");
}

#[test]
fn the_newest_key_seen_is_pinned() {
    let mut home = Home::new();
    let before = learnt(&home.verify());
    let backup = Backup::of(&home);
    let (chain, counts, previous) = (home.chain.clone(), home.counts.clone(), home.previous.clone());
    home.rotate(key(2));
    let pin = |o: &mut Options, seed: u8, then: &Memory| {
        (o.anchor, o.remembered) = (Anchor::Pinned(key(seed).public()), Some(then.clone()));
    };
    let report = home.verify_with(|o| pin(o, 1, &before));
    expect(&report, 0, "none");
    assert!(!report.limits.contains(&Limit::OlderAnchor));
    let then = learnt(&report);
    assert_eq!(then.newest_key_id, digest::key_id(key(2).public().key_id()));
    // The reader pins the new key: what is remembered goes on.
    expect(&home.verify_with(|o| pin(o, 2, &then)), 0, "none");
    // The old key's thief leads elsewhere, from an old copy on, with as many postures.
    backup.restore(&home);
    (home.key, home.chain, home.counts, home.previous, home.sequence) = (key(1), chain, counts, previous, 2);
    home.rotate(key(9));
    home.export(settled);
    expect(&home.verify_with(|o| o.anchor = Anchor::Pinned(key(1).public())), 0, "none");
    expect(&home.verify_with(|o| pin(o, 1, &then)), 3, "memory_key");
}

#[test]
fn only_what_is_authentic_is_remembered_and_all_of_that() {
    let mut home = Home::new();
    let then = learnt(&home.verify());
    let late = home.verify_with(|o| (o.remembered, o.now) = (Some(then.clone()), time("2027-01-01T00:00:00.000Z")));
    expect(&late, 3, "expired");
    assert_eq!(learnt(&late), then);
    home.export(|p| {
        settled(p);
        (p.monitor_status, p.ended) = (MonitorStatus::Stopped, Ended::Signal);
    });
    let stopped = remembering(&home, &then);
    expect(&stopped, 3, "stopped");
    assert_eq!(learnt(&stopped).sequence, 3);
    put(&home.log(), b"");
    let cut = remembering(&home, &then);
    expect(&cut, 1, "log_cut");
    assert!(cut.memory.is_none());
    assert!(home.verify_with(|o| o.anchor = Anchor::Unpinned).memory.is_none());
}

#[test]
fn a_restored_backup_is_taken_only_if_a_person_says_so_and_is_remembered_anew() {
    let mut home = Home::new();
    let backup = Backup::of(&home);
    home.export(settled);
    let then = learnt(&home.verify());
    backup.restore(&home);
    let accept = |o: &mut Options| (o.remembered, o.accept_restore) = (Some(then.clone()), true);
    let report = home.verify_with(accept);
    expect(&report, 0, "none");
    assert!(matches!(report.accepted, Some(memory::MemoryError::MemoryRolledBack { sequence: 2, remembered: 3 })));
    assert!(report.limits.contains(&Limit::FolderRollback));
    assert_eq!(learnt(&report).sequence, 2);
    expect(&remembering(&home, &learnt(&report)), 0, "none");
    // It accepts a restore and nothing else.
    put(&home.log(), b"");
    expect(&home.verify_with(accept), 1, "log_cut");
    // With nothing to accept, nothing is said to be.
    let home = Home::new();
    let then = learnt(&home.verify());
    let report = home.verify_with(|o| (o.remembered, o.accept_restore) = (Some(then), true));
    assert!(report.accepted.is_none() && !report.limits.contains(&Limit::FolderRollback));
}

#[test]
fn a_memory_is_refused_in_any_other_form() {
    let bytes = memory::to_vec(&learnt(&Home::new().verify())).unwrap();
    let text = String::from_utf8(bytes).unwrap();
    for other in [
        String::new(),
        "{}".into(),
        format!("{text}\n"),
        text.replacen("{\"", "{\"aa\":1,\"", 1),
        text.replacen("\"sequence\":2", "\"sequence\":2.5", 1),
        text.replacen("memory/v1", "posture/v1", 1),
    ] {
        assert!(matches!(memory::read(other.as_bytes()), Err(memory::UnreadMemory::Form(_))), "{other}");
    }
    let later = text.replacen("memory/v1", "memory/v2", 1);
    assert_eq!(memory::read(later.as_bytes()), Err(memory::UnreadMemory::UnknownVersion));
}
