//! A log that was damaged below what was signed, given up by a person, and begun anew.

use super::*;
use crate::{flow::store::tests::high, monitor::offline_recover};
use attest::{Limit, Record, chain::read_line};
use posture::FindingRecord;
use std::path::Path;

impl Rig {
    pub(super) fn put(&self, recorder: &mut Recorder, number: u64) {
        recorder.store.put_record(FindingRecord { timestamp: self.now, ..high(number) }, self.now, self.at);
    }

    /// A monitor with four findings signed, and one of them edited since.
    pub(super) fn damaged() -> Self {
        let mut rig = Self::new();
        let mut recorder = rig.begin();
        for n in 0..4 {
            rig.put(&mut recorder, n);
        }
        rig.export(&mut recorder);
        drop(recorder);
        rig.edit();
        rig.new_process();
        rig
    }

    pub(super) fn edit(&self) {
        let text = fs::read_to_string(self.log()).unwrap();
        let edited = text.replacen("\"severity\":\"high\"", "\"severity\":\"info\"", 1);
        assert_ne!(edited, text);
        overwrite(&self.log(), edited.as_bytes());
    }

    fn records(&self) -> Vec<Record> {
        let text = fs::read_to_string(self.log()).unwrap();
        text.lines().map(|line| read_line(line.as_bytes()).unwrap()).collect()
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.config.log_dir.join(name)
    }
}

pub(super) fn overwrite(path: &Path, bytes: &[u8]) {
    io::Write::write_all(&mut fs::File::create(path).unwrap(), bytes).unwrap();
}

#[test]
fn a_running_monitor_begins_its_log_anew_and_carries_the_quarantine_over() {
    let mut rig = Rig::damaged();
    let damaged = fs::read(rig.log()).unwrap();
    let mut recorder = rig.begin();
    for n in [10, 11, 11] {
        rig.put(&mut recorder, n);
    }
    rig.export(&mut recorder);
    assert_eq!(rig.result(false), VerdictResult::NotAuthentic);
    let next_seq = rig.posture().finding_log.next_seq;

    let (recovered, exported) = recorder.recover(rig.now, rig.at).unwrap();
    assert_eq!(recovered.first_seq, next_seq);
    let report = rig.verify(false);
    assert_eq!(
        (report.result, report.posture.as_ref().unwrap().sequence),
        (VerdictResult::Verified, exported.sequence)
    );
    assert!(report.limits.contains(&Limit::BegunAnew { first_seq: next_seq }));
    assert_eq!(
        (rig.posture().counts.findings, rig.posture().counts.folded),
        (6, 1),
        "none is lost, and the fold neither"
    );
    let names: Vec<_> = recovered.set_aside.iter().map(|file| file.name.as_str()).collect();
    assert_eq!(names, ["damaged-000000000001.jsonl", "quarantine-000000000007.jsonl"]);
    assert_eq!(fs::read(rig.file(names[0])).unwrap(), damaged);
    for file in &recovered.set_aside {
        let bytes = fs::read(rig.file(&file.name)).unwrap();
        assert_eq!((file.bytes, &file.sha256), (bytes.len() as u64, &attest::digest::sha256(&bytes)));
    }
    assert!(!rig.file("quarantine.jsonl").exists() && !rig.file("recovery.jsonl").exists());
    let records = rig.records();
    let finding = records.iter().find(|r| matches!(r, Record::Finding(f) if f.fingerprint == high(11).fingerprint));
    let fold = records.iter().find_map(|r| match r {
        Record::Event(e) => match e.event {
            EventBody::Fold { finding_seq, .. } => Some(finding_seq),
            _ => None,
        },
        Record::Finding(_) => None,
    });
    assert_eq!(fold, finding.map(Record::seq), "a fold still names its finding");
    let checkpoint = records.iter().rev().find_map(|r| match r {
        Record::Event(e) => match &e.event {
            EventBody::Checkpoint(checkpoint) => Some(&checkpoint.counts),
            _ => None,
        },
        Record::Finding(_) => None,
    });
    assert_eq!(checkpoint, Some(&rig.posture().counts), "the last checkpoint counts what was carried over");

    // And it goes on, over a restart, as if nothing had been.
    rig.put(&mut recorder, 12);
    rig.export(&mut recorder);
    drop(recorder);
    rig.new_process();
    let mut recorder = rig.begin();
    let posture = rig.export(&mut recorder);
    assert_eq!((posture.counts.findings, posture.finding_log.first_seq), (7, next_seq));
    assert_eq!((posture.degraded_reasons, rig.result(false)), (vec![], VerdictResult::Verified));
    assert!(recorder.recover(rig.now, rig.at).unwrap_err().contains("nothing to recover"));
}

#[test]
fn what_follows_on_the_signed_head_in_a_damaged_log_is_carried_over_too() {
    let rig = Rig::new();
    let mut recorder = rig.begin();
    for n in 0..3 {
        rig.put(&mut recorder, n);
    }
    rig.export(&mut recorder);
    for n in [3, 4, 4, 2] {
        rig.put(&mut recorder, n);
    }
    // In place, and no byte longer: nobody notices who does not read it again.
    let text = fs::read_to_string(rig.log()).unwrap();
    let file = fs::File::options().write(true).open(rig.log()).unwrap();
    io::Write::write_all(&mut &file, text.replacen("\"high\"", "\"info\"", 1).as_bytes()).unwrap();
    let (recovered, _) = recorder.recover(rig.now, rig.at).unwrap();
    assert_eq!(rig.result(false), VerdictResult::Verified);
    let posture = rig.posture();
    assert_eq!((posture.counts.findings, posture.counts.folded, recovered.carried), (5, 2, 4));
    let finding =
        rig.records().into_iter().find(|r| matches!(r, Record::Finding(f) if f.fingerprint == high(4).fingerprint));
    let finding_seq = finding.unwrap().seq();
    let folds: Vec<_> = rig
        .records()
        .into_iter()
        .filter_map(|r| match r {
            Record::Event(e) => match e.event {
                EventBody::Fold { finding_seq, .. } => Some(finding_seq),
                _ => None,
            },
            Record::Finding(_) => None,
        })
        .collect();
    assert_eq!(folds, [5, finding_seq], "one of a record that is set aside keeps its number");
}

#[test]
fn without_a_monitor_it_is_done_all_the_same_and_the_end_stays_as_it_was() {
    let rig = Rig::damaged();
    let (recovered, exported) = offline_recover(&rig.config, rig.now).unwrap();
    let posture = rig.posture();
    assert_eq!((posture.sequence, posture.ended), (exported.sequence, Ended::Unclean));
    assert_eq!((posture.finding_log.first_seq, posture.counts.findings), (recovered.first_seq, 4));
    assert_eq!(rig.result(true), VerdictResult::NotCurrent, "stopped, and authentic");
    assert!(matches!(offline_recover(&rig.config, rig.now), Err(MonitorError::Recover(_))));
    rig.export(&mut rig.begin());
    assert_eq!(rig.result(false), VerdictResult::Verified);
}

#[test]
fn a_log_that_is_whole_is_nothing_to_recover() {
    let rig = Rig::new();
    assert!(matches!(offline_recover(&rig.config, rig.now), Err(MonitorError::NoHome { .. })));
    let mut recorder = rig.begin();
    rig.export(&mut recorder);
    let before = fs::read(rig.log()).unwrap();
    recorder.recover(rig.now, rig.at).unwrap_err();
    drop(recorder);
    assert!(offline_recover(&rig.config, rig.now).is_err());
    assert_eq!(fs::read(rig.log()).unwrap(), before);
}

#[test]
fn a_log_that_is_gone_altogether_is_begun_anew_and_again() {
    let rig = Rig::damaged();
    fs::remove_file(rig.log()).unwrap();
    let mut recorder = rig.begin();
    rig.export(&mut recorder);
    let mut first_seq = 0;
    for round in 0..3 {
        let (recovered, _) = recorder.recover(rig.now, rig.at).unwrap();
        assert!(recovered.first_seq > first_seq);
        first_seq = recovered.first_seq;
        assert_eq!(rig.result(false), VerdictResult::Verified);
        assert_eq!(rig.posture().counts.findings, 4 + round, "what came meanwhile is carried over");
        overwrite(&rig.log(), b"");
        rig.put(&mut recorder, first_seq + 100);
        assert_eq!(rig.result(false), VerdictResult::NotAuthentic);
        overwrite(&rig.log(), b"no record\n");
        assert!(recorder.store.is_lost());
    }
}

#[test]
fn many_segments_are_named_in_more_than_one_event() {
    let mut rig = Rig::damaged();
    // Names alone: what they hold is no log.
    for n in 0..600_u64 {
        overwrite(&rig.file(&format!("findings-{:012}.jsonl", 1000 + n)), n.to_string().as_bytes());
    }
    let mut recorder = rig.begin();
    let (recovered, _) = recorder.recover(rig.now, rig.at).unwrap();
    assert_eq!(recovered.set_aside.len(), 602);
    assert_eq!(rig.result(false), VerdictResult::Verified);
    let mut named = 0;
    for event in rig.records() {
        let Record::Event(event) = event else { continue };
        named += match event.event {
            EventBody::Recovery(recovery) => recovery.set_aside.len(),
            EventBody::SetAside { files } => files.len(),
            _ => 0,
        };
    }
    assert_eq!(named, 602);
    assert!(recovered.set_aside.iter().all(|file| rig.file(&file.name).exists()));
    drop(recorder);
    rig.next_run();
    assert_eq!(rig.result(false), VerdictResult::Verified);
}

#[test]
fn a_recovery_somebody_else_prepared_is_not_carried_out() {
    for (number, whole) in [(0, true), (1, false)] {
        let mut rig = Rig::damaged();
        if whole {
            let text = fs::read_to_string(rig.log()).unwrap();
            overwrite(&rig.log(), text.replacen("\"info\"", "\"high\"", 1).as_bytes());
        }
        let last = rig.posture();
        let mut chain = Chain::resume(last.finding_log.next_seq, last.finding_log_sha256.clone());
        let totals = Checkpoint {
            attested: last.attested.clone(),
            counts: posture::Counts::default(),
            coverage: last.coverage.clone(),
            install_id: last.install_id.clone(),
            next_sequence: last.sequence + 1,
        };
        let forged = posture::Recovery { set_aside: vec![], totals };
        let forged = chain.event(rig.now, EventBody::Recovery(Box::new(forged))).unwrap();
        chain.advance(&forged);
        overwrite(&rig.file("recovery.jsonl"), &forged.line);
        let before = fs::read(rig.log()).unwrap();
        rig.new_process();
        let posture = rig.export(&mut rig.begin());
        assert_eq!(posture.counts.findings, 4, "case {number}");
        assert!(fs::read(rig.log()).unwrap().starts_with(&before), "left where it was");
        let result = if whole { VerdictResult::Verified } else { VerdictResult::NotAuthentic };
        assert_eq!(rig.result(false), result);
        // In the place of the log, or at its end, it is nobody's word either.
        let mut forged_log = before.clone();
        forged_log.extend_from_slice(&forged.line);
        for bytes in [forged.line.clone(), forged_log] {
            rig.new_process();
            overwrite(&rig.log(), &bytes);
            assert_eq!(rig.export(&mut rig.begin()).counts.findings, 4);
        }
    }
}

#[test]
fn a_log_cut_before_a_late_export_is_held_against_that_export() {
    let mut rig = Rig::new();
    let mut recorder = rig.begin();
    rig.export(&mut recorder);
    rig.put(&mut recorder, 0);
    // Signed all the same: that it is gone shows when the next line is written.
    let file = fs::File::options().write(true).open(rig.log()).unwrap();
    file.set_len(file.metadata().unwrap().len() - 9).unwrap();
    rig.pass(181);
    rig.export(&mut recorder);
    assert_eq!(rig.export(&mut recorder).degraded_reasons, [DegradedReason::LogDamaged.into()]);
    assert_eq!(rig.result(false), VerdictResult::NotAuthentic);
}

#[test]
fn a_recovery_whose_export_is_taken_away_is_asked_for_again_and_carries_over_what_it_carried() {
    let mut rig = Rig::damaged();
    let mut recorder = rig.begin();
    rig.put(&mut recorder, 10);
    recorder.recover(rig.now, rig.at).unwrap();
    drop(recorder);
    let number = rig.posture().sequence;
    fs::remove_dir_all(rig.config.export_dir.join(format!("{number:012}"))).unwrap();
    rig.new_process();
    let mut recorder = rig.begin();
    rig.put(&mut recorder, 11);
    recorder.recover(rig.now, rig.at).unwrap();
    assert_eq!(rig.result(false), VerdictResult::Verified);
    assert_eq!(rig.posture().counts.findings, 6);
    let found =
        |n| rig.records().iter().any(|r| matches!(r, Record::Finding(f) if f.fingerprint == high(n).fingerprint));
    assert!(found(10) && found(11));
}
