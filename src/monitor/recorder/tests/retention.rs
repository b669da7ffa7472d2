//! A monitor over weeks: what goes, what stays provable, and a crash behind every step.

use super::*;
use crate::flow::store::tests::high;
use posture::{FindingRecord, Prune, PruneReason, Retention};
use std::{path::Path, process::Command};

const DAY: u64 = 86_400;

/// A monitor whose log holds a mebibyte in segments of 64 KiB.
fn small() -> Rig {
    let mut rig = Rig::new();
    rig.config.retention = Retention { max_age_days: 30, max_bytes: 1 << 20, segment_bytes: 64 << 10 };
    rig
}

impl Rig {
    /// Different findings, about half a kibibyte each.
    fn find(&self, recorder: &mut Recorder, numbers: std::ops::Range<u64>) {
        for n in numbers {
            recorder.store.put_record(FindingRecord { timestamp: self.now, ..high(n) }, self.now, self.at);
        }
    }

    /// The first records of the sealed segments.
    fn sealed(&self) -> Vec<u64> {
        let names = fs::read_dir(&self.config.log_dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
        let number = |name: String| name.strip_prefix("findings-")?.strip_suffix(".jsonl")?.parse().ok();
        let mut numbers: Vec<_> = names.filter_map(number).collect();
        numbers.sort_unstable();
        numbers
    }

    fn segment(&self, seq: u64) -> PathBuf {
        self.config.log_dir.join(format!("findings-{seq:012}.jsonl"))
    }

    fn lines(path: &Path) -> Vec<String> {
        fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect()
    }

    fn append(path: &Path, text: &str) {
        let mut file = fs::File::options().append(true).open(path).unwrap();
        io::Write::write_all(&mut file, text.as_bytes()).unwrap();
    }

    /// The state folder as it lies, and later put back.
    fn keep(&self) -> tempfile::TempDir {
        let kept = tempfile::tempdir().unwrap();
        copy(&self.config.home, &kept.path().join("home"));
        kept
    }

    fn put_back(&mut self, kept: &tempfile::TempDir) {
        fs::remove_dir_all(&self.config.home).unwrap();
        copy(&kept.path().join("home"), &self.config.home);
        self.new_process();
    }

    /// Exports, and verifies what was exported.
    fn prove(&self, recorder: &mut Recorder) -> Posture {
        recorder.tick(self.now, self.at);
        let posture = self.export(recorder);
        let report = self.verify(false);
        assert_eq!(report.result, VerdictResult::Verified, "{:?}", report.reason);
        posture
    }
}

fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").env_clear().env("PATH", "/usr/bin:/bin").arg("-a").arg(from).arg(to).status();
    assert!(copied.unwrap().success());
}

#[test]
fn records_go_by_age_over_and_over_and_the_counts_since_genesis_hold() {
    let mut rig = small();
    let mut recorder = rig.begin();
    let (mut found, mut firsts) = (0, vec![]);
    for round in 0..40 {
        rig.find(&mut recorder, found..found + 40);
        found += 40;
        let posture = rig.prove(&mut recorder);
        assert_eq!(posture.counts.findings, found);
        assert_eq!(posture.degraded_reasons, []);
        firsts.push(posture.finding_log.first_seq);
        rig.pass(3 * DAY);
        if round % 7 == 6 {
            recorder.end(Ended::Signal, rig.now, rig.at).unwrap();
            rig.new_process();
            recorder = rig.begin();
        }
    }
    firsts.dedup();
    assert!(firsts.len() > 4 && firsts.is_sorted(), "{firsts:?}");
    // What is older than its age and a segment's span went, but for the newest exports' sake.
    let oldest = attest::chain::read_line(Rig::lines(&rig.segment(rig.sealed()[0]))[0].as_bytes()).unwrap();
    assert!(rig.now.since(oldest.timestamp()) < chrono::Duration::days(30 + 4 + 3 * 4));
    assert!(recorder.store.bytes() < 1 << 19);
}

#[test]
fn a_quiet_log_ends_its_segments_and_forgets_as_well() {
    let mut rig = small();
    let mut recorder = rig.begin();
    rig.find(&mut recorder, 0..1);
    for _ in 0..60 {
        rig.prove(&mut recorder);
        rig.pass(DAY);
    }
    let posture = rig.prove(&mut recorder);
    assert!(posture.finding_log.first_seq > 3, "{:?}", posture.finding_log);
    assert_eq!(posture.counts.findings, 1);
    assert!(!rig.segment(1).exists());
}

#[test]
fn room_is_made_of_what_is_older_than_a_week_and_no_more_than_is_needed() {
    let mut rig = small();
    let mut recorder = rig.begin();
    let mut found = 0;
    for _ in 0..16 {
        rig.find(&mut recorder, found..found + 200);
        found += 200;
        for _ in 0..4 {
            assert_eq!(rig.prove(&mut recorder).counts.findings, found);
        }
        rig.pass(2 * DAY);
    }
    let posture = rig.prove(&mut recorder);
    assert_eq!((posture.attested.not_recorded, posture.degraded_reasons), (0, vec![]));
    assert!(posture.finding_log.first_seq > 300);
    assert!(recorder.store.bytes() > (1 << 20) / 2, "only what had to go went: {}", recorder.store.bytes());
}

#[test]
fn a_flood_flushes_nothing() {
    let mut rig = small();
    let mut recorder = rig.begin();
    for n in 0..50 {
        rig.find(&mut recorder, n * 100..(n + 1) * 100);
        recorder.tick(rig.now, rig.at);
        rig.export(&mut recorder);
    }
    rig.pass(DAY);
    recorder.tick(rig.now, rig.at);
    let posture = rig.export(&mut recorder);
    assert_eq!((posture.finding_log.first_seq, rig.sealed()[0]), (1, 1));
    assert_eq!(posture.counts.findings + posture.attested.not_recorded, 5000);
    assert_eq!(posture.degraded_reasons, [DegradedReason::LogFull.into()]);
    assert!(recorder.store.bytes() <= 1 << 20);
    // A week later there is room again.
    rig.pass(7 * DAY);
    for _ in 0..4 {
        recorder.tick(rig.now, rig.at);
        rig.export(&mut recorder);
    }
    rig.find(&mut recorder, 5000..5010);
    let after = rig.prove(&mut recorder);
    assert_eq!(after.counts.findings, posture.counts.findings + 10);
}

impl Rig {
    /// A clock that is ahead for some seconds, in which one finding is written.
    fn glitch(&mut self, recorder: &mut Recorder, ahead: chrono::Duration) {
        for step in [ahead, -ahead] {
            self.now = self.now.plus(step);
            self.find(recorder, 0..1);
            self.pass(10);
            recorder.tick(self.now, self.at);
            self.export(recorder);
        }
    }
}

#[test]
fn a_clock_that_was_ahead_for_a_while_makes_nothing_young_for_ever() {
    for restarts in [false, true] {
        let mut rig = small();
        let mut recorder = rig.begin();
        rig.glitch(&mut recorder, chrono::Duration::days(3 * 365));
        rig.find(&mut recorder, 1..3000);
        recorder.tick(rig.now, rig.at);
        assert_eq!(rig.export(&mut recorder).degraded_reasons, [DegradedReason::LogFull.into()]);
        let mut found = 3000;
        for days in [8, 24, 31] {
            rig.pass(days * DAY);
            let before = rig.posture();
            for _ in 0..4 {
                recorder.tick(rig.now, rig.at);
                rig.export(&mut recorder);
            }
            if restarts {
                drop(recorder);
                rig.new_process();
                recorder = rig.begin();
            }
            rig.find(&mut recorder, found..found + 10);
            found += 10;
            let after = rig.prove(&mut recorder);
            assert!(after.finding_log.first_seq > before.finding_log.first_seq, "in {days} days");
            assert_eq!(after.counts.findings, before.counts.findings + 10, "in {days} days");
        }
        assert!(!rig.segment(1).exists());
    }
}

#[test]
fn what_was_stamped_in_the_future_stays_as_long_as_what_was_written_beside_it() {
    let mut rig = small();
    let mut recorder = rig.begin();
    rig.glitch(&mut recorder, chrono::Duration::days(100));
    let ahead = *rig.sealed().last().unwrap();
    assert!(Rig::lines(&rig.segment(ahead)).len() > 2, "it ended when the clock was right again");
    for (days, is_there) in [(29, true), (1, false)] {
        rig.pass(days * DAY);
        for _ in 0..4 {
            rig.prove(&mut recorder);
        }
        assert_eq!(rig.segment(ahead).exists(), is_there, "{days} days later");
    }
}

#[test]
fn a_clock_that_was_behind_for_a_while_makes_nothing_old() {
    let mut rig = small();
    let mut recorder = rig.begin();
    rig.find(&mut recorder, 0..100);
    rig.prove(&mut recorder);
    let behind = chrono::Duration::days(50 * 365);
    for (step, numbers) in [(-behind, 100..500), (behind, 500..700)] {
        rig.now = rig.now.plus(step);
        rig.find(&mut recorder, numbers);
        recorder.tick(rig.now, rig.at);
        rig.export(&mut recorder);
    }
    for _ in 0..4 {
        rig.prove(&mut recorder);
    }
    assert_eq!((rig.posture().finding_log.first_seq, rig.sealed()[0]), (1, 1));
}

#[test]
fn a_crash_behind_every_step_from_one_segment_to_the_next_verifies() {
    let mut rig = small();
    let mut recorder = rig.begin();
    let mut found = 0;
    while rig.sealed().is_empty() {
        rig.export(&mut recorder);
        rig.find(&mut recorder, found..found + 1);
        found += 1;
    }
    drop(recorder);
    // From the last line before its end to the first of the next one.
    let (sealed, newest) = (Rig::lines(&rig.segment(1)), Rig::lines(&rig.log()));
    let seal = sealed.last().unwrap();
    assert!(seal.contains("{\"seal\":") && newest[0].contains("{\"checkpoint\":"));
    let unsealed = sealed[..sealed.len() - 1].join("\n") + "\n";
    let steps: [&dyn Fn(&Rig); 7] = [
        &|rig| {
            fs::remove_file(rig.segment(1)).unwrap();
            fs::File::create(rig.log()).unwrap();
            Rig::append(&rig.log(), &unsealed);
        },
        &|rig| Rig::append(&rig.log(), &seal[..seal.len() / 2]),
        &|rig| Rig::append(&rig.log(), &format!("{}\n", &seal[seal.len() / 2..])),
        &|rig| Rig::append(&rig.config.log_dir.join(".new-1"), ""),
        &|rig| fs::rename(rig.log(), rig.segment(1)).unwrap(),
        &|rig| Rig::append(&rig.log(), ""),
        &|rig| Rig::append(&rig.log(), &format!("{}\n", newest[0])),
    ];
    for (n, step) in steps.iter().enumerate() {
        if [3, 5].contains(&n) {
            fs::File::create(rig.config.log_dir.join(if n == 3 { ".new-1" } else { "findings.jsonl" })).unwrap();
        }
        step(&rig);
        assert_eq!(rig.result(false), VerdictResult::Verified, "step {n}");
        let kept = rig.keep();
        rig.new_process();
        let mut recorder = rig.begin();
        rig.find(&mut recorder, found + 1..found + 300);
        let posture = rig.prove(&mut recorder);
        assert!(posture.counts.findings >= found + 298, "step {n}: {}", posture.counts.findings);
        for seq in rig.sealed() {
            let lines = Rig::lines(&rig.segment(seq));
            assert!(lines.last().unwrap().contains("{\"seal\":"), "step {n}");
            assert!(seq == 1 || lines[0].contains("{\"checkpoint\":"), "step {n}");
        }
        assert!(rig.sealed().len() > 1 && Rig::lines(&rig.log())[0].contains("{\"checkpoint\":"), "step {n}");
        drop(recorder);
        rig.put_back(&kept);
    }
}

#[test]
fn a_crash_behind_every_step_of_a_prune_verifies_and_it_is_done_all_the_same() {
    let mut rig = small();
    let mut recorder = rig.begin();
    rig.find(&mut recorder, 0..400);
    rig.prove(&mut recorder);
    rig.pass(31 * DAY);
    rig.find(&mut recorder, 400..401);
    rig.export(&mut recorder);
    let going = rig.sealed();
    assert!(going.len() > 2);
    let mut states = vec![rig.keep()];
    recorder.tick(rig.now, rig.at);
    let (text, announced) = (fs::read(rig.log()).unwrap(), rig.keep());
    let lines = Rig::lines(&rig.log());
    let at = lines.iter().position(|line| line.contains("{\"prune\":")).unwrap();
    let prune_ends: usize = lines[..=at].iter().map(|line| line.len() + 1).sum();
    for cut in [prune_ends - lines[at].len() / 2, prune_ends, text.len()] {
        fs::File::options().write(true).open(rig.log()).unwrap().set_len(cut as u64).unwrap();
        states.push(rig.keep());
        rig.put_back(&announced);
    }
    drop(recorder);
    let mut recorder = rig.begin();
    for _ in 0..2 {
        rig.export(&mut recorder);
        states.push(rig.keep());
    }
    assert_eq!(rig.sealed()[..going.len()], going[..], "not before two more");
    for seq in &going {
        fs::remove_file(rig.segment(*seq)).unwrap();
        states.push(rig.keep());
    }
    drop(recorder);
    for (n, state) in states.iter().enumerate() {
        rig.put_back(state);
        let report = rig.verify(false);
        assert_eq!(report.result, VerdictResult::Verified, "state {n}: {:?}", report.reason);
        let mut recorder = rig.begin();
        for _ in 0..4 {
            assert_eq!(rig.prove(&mut recorder).counts.findings, 401, "state {n}");
        }
        let first_seq = rig.posture().finding_log.first_seq;
        assert!(rig.sealed().iter().all(|seq| *seq >= first_seq && !going.contains(seq)), "state {n}");
        // And once more from there.
        drop(recorder);
        rig.new_process();
        assert_eq!(rig.prove(&mut rig.begin()).counts.findings, 401, "state {n}");
    }
}

#[test]
fn a_prune_somebody_else_announced_is_not_carried_out() {
    let mut rig = small();
    let mut recorder = rig.begin();
    rig.find(&mut recorder, 0..400);
    let posture = rig.prove(&mut recorder);
    drop(recorder);
    let kept = rig.keep();
    let (first, second) = (rig.sealed()[0], rig.sealed()[1]);
    let next = Rig::lines(&rig.segment(second));
    let end = Chain::before(next[0].as_bytes()).unwrap();
    let mut counts = posture::Counts::default();
    for line in Rig::lines(&rig.segment(first)) {
        attest::chain::read_line(line.as_bytes()).unwrap().count(&mut counts);
    }
    // True in every member, but for the age of what is to go; then with sums that would hide a finding as well.
    let lie = |counts: &posture::Counts| posture::Counts { findings: counts.findings - 1, ..counts.clone() };
    for (days, counts) in [(0, counts.clone()), (29, counts.clone()), (31, lie(&counts))] {
        rig.put_back(&kept);
        let chain = Chain::resume(posture.finding_log.next_seq, posture.finding_log_sha256.clone());
        let (last_seq, last_sha256) = (end.next_seq() - 1, end.head().clone());
        let prune = Prune { counts, last_seq, last_sha256, reason: PruneReason::Age };
        let forged = chain.event(rig.now, EventBody::Prune(Box::new(prune))).unwrap();
        Rig::append(&rig.log(), std::str::from_utf8(&forged.line).unwrap());
        let now = rig.now;
        rig.pass(days * DAY);
        let mut recorder = rig.begin();
        let exported = rig.export(&mut recorder);
        assert_eq!(rig.result(false), VerdictResult::Verified);
        assert_eq!((exported.finding_log.first_seq, exported.counts.findings), (1, 400), "{days} days");
        assert!(rig.segment(first).exists());
        let gap = Rig::lines(&rig.log()).iter().any(|line| line.contains("\"damaged_records\":1"));
        assert!(gap, "set aside, and said so");
        rig.now = now;
    }
}

#[test]
fn a_beginning_that_vanished_is_not_taken_for_a_pruned_one() {
    let mut rig = small();
    let mut recorder = rig.begin();
    rig.find(&mut recorder, 0..400);
    rig.prove(&mut recorder);
    drop(recorder);
    let sealed = rig.sealed();
    fs::remove_file(rig.segment(1)).unwrap();
    assert_eq!(rig.result(false), VerdictResult::NotAuthentic);
    rig.new_process();
    let mut recorder = rig.begin();
    rig.pass(60 * DAY);
    recorder.tick(rig.now, rig.at);
    let posture = rig.export(&mut recorder);
    assert_eq!(posture.degraded_reasons, [DegradedReason::LogDamaged.into()]);
    assert_eq!(rig.result(false), VerdictResult::NotAuthentic);
    assert_eq!(rig.sealed(), sealed[1..], "nothing is pruned of a log that does not hold");
}

#[test]
fn a_sealed_segment_damaged_above_the_signed_head_is_cut_and_goes_on() {
    for whole_segment in [false, true] {
        let mut rig = small();
        let mut recorder = rig.begin();
        rig.export(&mut recorder);
        rig.find(&mut recorder, 0..400);
        drop(recorder);
        let sealed = rig.sealed();
        let path = rig.segment(sealed[1]);
        let text = fs::read_to_string(&path).unwrap();
        let line = Rig::lines(&path)[if whole_segment { 0 } else { 20 }].clone();
        fs::remove_file(&path).unwrap();
        fs::File::create(&path).unwrap();
        Rig::append(&path, &text.replacen(&line, &line.replace("hermes", "Hermes"), 1));
        rig.new_process();
        let mut recorder = rig.begin();
        let posture = rig.prove(&mut recorder);
        assert_eq!(rig.sealed(), sealed[..1]);
        let kept: u64 = Rig::lines(&rig.segment(1)).iter().filter(|l| l.starts_with("{\"dest\"")).count() as u64;
        assert_eq!(posture.counts.findings, kept + if whole_segment { 0 } else { 19 });
        assert!(Rig::lines(&rig.log())[0].contains("{\"checkpoint\":"));
    }
}

#[test]
fn pruned_exports_that_vanished_leave_a_log_that_goes_on() {
    let mut rig = small();
    let mut recorder = rig.begin();
    rig.find(&mut recorder, 0..400);
    rig.pass(31 * DAY);
    for _ in 0..5 {
        rig.prove(&mut recorder);
    }
    assert!(!rig.segment(1).exists());
    drop(recorder);
    fs::remove_dir_all(&rig.config.export_dir).unwrap();
    rig.new_process();
    let mut recorder = rig.begin();
    let posture = rig.export(&mut recorder);
    assert_eq!(posture.counts.findings, 400);
    assert!(posture.finding_log.first_seq > 100, "{:?}", posture.finding_log);
    assert_eq!(posture.degraded_reasons, [DegradedReason::ExportsMissing.into()]);
    recorder.recover(rig.now, rig.at).unwrap();
    assert_eq!(rig.prove(&mut recorder).counts.findings, 400);
}
