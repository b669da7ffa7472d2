//! Every step the log and the exports take on the disk, failing once, and being the last before a crash; and a power cut
//! behind each of them.

use super::*;
use crate::{
    flow::store::tests::high,
    home::file::fault::{Fault, Taken, play},
};
use posture::{FindingRecord, Retention};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    os::unix::fs::MetadataExt,
    path::Path,
};

const DAY: u64 = 86_400;

/// What a story came to.
#[derive(Default)]
struct Told {
    /// Findings that are in the log: the monitor may be killed, and they are there.
    acknowledged: BTreeSet<u64>,
    /// Of these, the ones a posture covers: the power may go, and they are there.
    signed: BTreeSet<u64>,
    /// Where the log was begun anew, what was before is in no log any more.
    recovered: bool,
}

impl Told {
    fn find(&mut self, rig: &Rig, recorder: &mut Recorder, number: u64) {
        let before = recorder.store.standing().2.findings;
        recorder.store.put_record(FindingRecord { timestamp: rig.now, ..high(number) }, rig.now, rig.at);
        if recorder.store.standing().2.findings > before && recorder.store.waiting() == 0 {
            self.acknowledged.insert(number);
        }
    }

    fn export(&mut self, rig: &Rig, recorder: &mut Recorder) {
        if recorder.export(rig.now, rig.at).is_ok() {
            self.signed.clone_from(&self.acknowledged);
        }
    }
}

/// A monitor with a past: two segments, three exports, stopped.
fn with_a_past() -> Rig {
    let mut rig = Rig::new();
    rig.config.retention = Retention { max_age_days: 30, max_bytes: 1 << 20, segment_bytes: 16 << 10 };
    let mut recorder = rig.begin();
    for n in 0..40 {
        recorder.store.put_record(FindingRecord { timestamp: rig.now, ..high(n) }, rig.now, rig.at);
    }
    rig.export(&mut recorder);
    recorder.end(Ended::Signal, rig.now, rig.at).unwrap();
    rig.pass(31 * DAY);
    rig.new_process();
    rig
}

/// `None` when it refuses to start.
fn begin(rig: &Rig) -> Option<Recorder> {
    let parts = rig.try_parts().ok()?;
    Some(Recorder::begin(parts, rig.now, rig.at))
}

/// A run in which everything happens once: a start, findings, the end of a segment, what is old pruned and deleted.
fn a_run(rig: &mut Rig) -> Told {
    let mut told = Told::default();
    let Some(mut recorder) = begin(rig) else { return told };
    told.export(rig, &mut recorder);
    for n in 100..130 {
        told.find(rig, &mut recorder, n);
    }
    for n in 130..134 {
        rig.pass(1);
        recorder.tick(rig.now, rig.at);
        told.find(rig, &mut recorder, n);
        told.export(rig, &mut recorder);
    }
    told.find(rig, &mut recorder, 134);
    told
}

/// A run over a log that somebody edited, and a person who gives up on it.
fn a_recovery(rig: &mut Rig) -> Told {
    let mut told = Told::default();
    let Some(mut recorder) = begin(rig) else { return told };
    for n in 200..203 {
        told.find(rig, &mut recorder, n);
    }
    told.recovered = recorder.recover(rig.now, rig.at).is_ok();
    told.find(rig, &mut recorder, 203);
    told.export(rig, &mut recorder);
    told
}

fn edited() -> Rig {
    let rig = with_a_past();
    let path = rig.log();
    let text = fs::read_to_string(&path).unwrap();
    let edited = text.replacen("\"hermes\"", "\"Hermes\"", 1);
    io::Write::write_all(&mut fs::File::create(&path).unwrap(), edited.as_bytes()).unwrap();
    rig
}

/// The numbers of the findings in the segments, or in any file beside the exports.
fn found(rig: &Rig, everywhere: bool) -> BTreeSet<u64> {
    let stems: &[&str] = if everywhere { &["findings", "damaged", "quarantine"] } else { &["findings"] };
    let is_log = |name: &str| stems.iter().any(|stem| name.starts_with(stem));
    let mut numbers = BTreeSet::new();
    for entry in fs::read_dir(&rig.config.log_dir).unwrap() {
        let path = entry.unwrap().path();
        if !path.file_name().unwrap().to_str().is_some_and(is_log) {
            continue;
        }
        let bytes = fs::read(&path).unwrap();
        for line in bytes.split(|b| *b == b'\n') {
            if let Ok(attest::Record::Finding(finding)) = attest::chain::read_line(line) {
                let digits = finding.fingerprint.as_str();
                numbers.insert(u64::from_str_radix(digits, 16).unwrap());
            }
        }
    }
    numbers
}

/// Everything a reader who comes now, and a monitor that starts now, has to find.
fn holds(rig: &mut Rig, must_be_there: &BTreeSet<u64>, recovering: bool, what: &str) {
    if rig.config.export_dir.join("current").exists() && !recovering {
        let report = rig.verify(true);
        let sound = [VerdictResult::Verified, VerdictResult::NotCurrent, VerdictResult::Degraded];
        assert!(sound.contains(&report.result), "{what}, before a start: {:?}", report.reason);
    }
    rig.new_process();
    let mut recorder = rig.begin();
    rig.export(&mut recorder);
    if recorder.store.is_lost() {
        assert!(recovering, "{what}: the log is lost");
        recorder.recover(rig.now, rig.at).unwrap();
    }
    let report = rig.verify(false);
    assert_eq!(report.result, VerdictResult::Verified, "{what}: {:?}", report.reason);
    let there = found(rig, false);
    let lost: Vec<_> = must_be_there.difference(&there).collect();
    assert!(lost.is_empty(), "{what}: {lost:?} lost");
    // What was given up on is somewhere still.
    let all = found(rig, true);
    assert!(!recovering || (20..40).all(|n| all.contains(&n)), "{what}: what was before the recovery is gone");
    // And a day like any other follows.
    rig.pass(1);
    recorder.tick(rig.now, rig.at);
    rig.export(&mut recorder);
    assert_eq!(rig.result(false), VerdictResult::Verified, "{what}, later");
}

/// Tells a story with a fault at every one of its steps.
fn at_every_step(past: fn() -> Rig, story: fn(&mut Rig) -> Told, recovering: bool) {
    let mut rig = past();
    let (_, steps, _) = play(Fault::None, || story(&mut rig));
    assert!(steps > 60, "{steps}");
    for step in 0..steps {
        for fault in [Fault::Fail(step), Fault::Crash(step)] {
            let mut rig = past();
            let (told, ..) = play(fault, || story(&mut rig));
            holds(&mut rig, &told.acknowledged, recovering, &format!("{fault:?} of {steps}"));
        }
    }
}

#[test]
fn a_step_that_fails_and_a_crash_at_it_lose_nothing_that_was_acknowledged() {
    at_every_step(with_a_past, a_run, false);
}

#[test]
fn a_recovery_cut_at_any_step_is_done_or_asked_for_again() {
    at_every_step(edited, a_recovery, true);
}

// === a power cut ===

#[derive(Debug, Clone, PartialEq, Eq)]
enum Named {
    File(u64),
    Folder,
    Link(String),
}

type Names = BTreeMap<PathBuf, Named>;
/// By inode.
type Data = HashMap<u64, Vec<u8>>;

/// A disk as it is, and as it would be found after a power cut.
struct Disk {
    data: Data,
    synced: Data,
    names: Names,
    synced_names: Names,
    last_name: Option<PathBuf>,
}

impl Disk {
    /// All of what lies in `root` is on it.
    fn of(root: &Path) -> Self {
        let mut this = Self {
            data: HashMap::new(),
            synced: HashMap::new(),
            names: BTreeMap::new(),
            synced_names: BTreeMap::new(),
            last_name: None,
        };
        this.add(root);
        (this.synced, this.synced_names) = (this.data.clone(), this.names.clone());
        this
    }

    fn add(&mut self, path: &Path) {
        let found = fs::symlink_metadata(path).unwrap();
        let named = if found.is_symlink() {
            Named::Link(fs::read_link(path).unwrap().to_str().unwrap().to_owned())
        } else if found.is_dir() {
            Named::Folder
        } else {
            self.data.insert(found.ino(), fs::read(path).unwrap());
            Named::File(found.ino())
        };
        self.names.insert(path.to_owned(), named);
        if found.is_dir() {
            for entry in fs::read_dir(path).unwrap() {
                self.add(&entry.unwrap().path());
            }
        }
    }

    fn take(&mut self, step: &Taken) {
        match step {
            Taken::Look => {}
            Taken::Opened(path, ino) => {
                if self.names.get(path) != Some(&Named::File(*ino)) {
                    // The number may be another's that is gone.
                    self.data.insert(*ino, Vec::new());
                    self.synced.insert(*ino, Vec::new());
                    self.name(path, Some(Named::File(*ino)));
                }
            }
            Taken::Write(ino, bytes) => self.data.entry(*ino).or_default().extend_from_slice(bytes),
            Taken::Cut(ino, len) => self.data.entry(*ino).or_default().truncate(usize::try_from(*len).unwrap()),
            Taken::Sync(ino) => {
                self.synced.insert(*ino, self.data[ino].clone());
            }
            Taken::SyncFolder(folder) => {
                let here = |path: &Path| path.parent() == Some(folder);
                self.synced_names.retain(|path, _| !here(path));
                let names = self.names.iter().filter(|(path, _)| here(path));
                self.synced_names.extend(names.map(|(path, named)| (path.clone(), named.clone())));
            }
            Taken::Rename(from, to) => {
                let named = self.names.remove(from);
                self.name(to, named);
            }
            Taken::Remove(path) => self.name(path, None),
            Taken::RemoveFolder(path) => self.names.retain(|other, _| !other.starts_with(path)),
            Taken::Link(target, path) => self.name(path, Some(Named::Link(target.clone()))),
            Taken::MakeFolder(path) => self.name(path, Some(Named::Folder)),
        }
    }

    fn name(&mut self, path: &Path, named: Option<Named>) {
        match named {
            Some(named) => drop(self.names.insert(path.to_owned(), named)),
            None => drop(self.names.remove(path)),
        }
        self.last_name = Some(path.to_owned());
    }

    /// What may be found: names and bytes as they were synced; names that got ahead of the bytes; of the names in a
    /// folder only the last one that changed.
    fn found(&self) -> [(Names, &Data); 4] {
        let mut out_of_order = self.synced_names.clone();
        if let Some(path) = &self.last_name {
            match self.names.get(path) {
                Some(named) => drop(out_of_order.insert(path.clone(), named.clone())),
                None => drop(out_of_order.remove(path)),
            }
        }
        [
            (self.synced_names.clone(), &self.synced),
            (self.synced_names.clone(), &self.data),
            (self.names.clone(), &self.synced),
            (out_of_order, &self.synced),
        ]
    }
}

fn lay_out(root: &Path, names: &Names, data: &Data) {
    use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, symlink};
    fs::remove_dir_all(root).unwrap();
    for (path, named) in names {
        if path != root && !path.parent().unwrap().is_dir() {
            continue;
        }
        match named {
            Named::Folder => fs::DirBuilder::new().mode(0o700).create(path).unwrap(),
            Named::Link(target) => symlink(target, path).unwrap(),
            Named::File(ino) => {
                let mode = if path.ends_with("signing.pub.pem") { 0o644 } else { 0o600 };
                let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(path).unwrap();
                io::Write::write_all(&mut file, &data[ino]).unwrap();
            }
        }
    }
}

#[test]
fn a_power_cut_behind_any_step_leaves_a_posture_and_all_it_covers() {
    let mut rig = with_a_past();
    // Not one that `with_a_past` made: what is written in it has no past of its own in the model.
    let mut disk = Disk::of(&rig.config.home);
    let (_, steps, taken) = play(Fault::None, || a_run(&mut rig));
    assert!(taken.len() > 60 && steps >= 60);
    let (now, at) = (rig.now, rig.at);
    let mut laid = BTreeSet::new();
    for (number, step) in taken.iter().enumerate() {
        disk.take(step);
        if matches!(step, Taken::Look | Taken::Opened(..)) {
            continue;
        }
        for (case, (names, data)) in disk.found().into_iter().enumerate() {
            if !laid.insert(fingerprint(&names, data)) {
                continue;
            }
            lay_out(&rig.config.home, &names, data);
            (rig.now, rig.at) = (now, at);
            let signed = signed_findings(&rig);
            holds(&mut rig, &signed, false, &format!("step {number}, {step:?}, case {case}"));
        }
    }
    assert!(laid.len() > 60, "{}", laid.len());
}

/// Disks that are the same need only one look.
fn fingerprint(names: &Names, data: &Data) -> posture::Sha256Hex {
    let mut text = Vec::new();
    for (path, named) in names {
        text.extend_from_slice(format!("{} {named:?} ", path.display()).as_bytes());
        if let Named::File(ino) = named {
            text.extend_from_slice(&data[ino]);
        }
    }
    attest::digest::sha256(text)
}

/// The findings below the head that `current` signs, and not pruned.
fn signed_findings(rig: &Rig) -> BTreeSet<u64> {
    let posture = rig.posture();
    let mut folder = attest::Folder::open(&rig.config.home).log().unwrap();
    let mut numbers = BTreeSet::new();
    while let Some(line) = folder.next_line().unwrap() {
        let Ok(attest::Record::Finding(finding)) = attest::chain::read_line(line.bytes) else { continue };
        if finding.seq >= posture.finding_log.first_seq && finding.seq < posture.finding_log.next_seq {
            numbers.insert(u64::from_str_radix(finding.fingerprint.as_str(), 16).unwrap());
        }
    }
    let pruned = posture.counts.findings - numbers.len() as u64;
    assert!(pruned <= 40, "{pruned} of the signed findings are not there");
    numbers
}
