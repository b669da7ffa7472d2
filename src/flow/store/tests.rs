use super::*;
use attest::Record;
use posture::{Direction, Ended, Family, Fingerprint, Placement, Platform, Protocol, RunId, Severity, Word};
use std::os::unix::fs::{PermissionsExt, symlink};

mod folding;
mod mending;
mod room;

fn now() -> Timestamp {
    "2026-04-26T00:00:00.000Z".parse().unwrap()
}

fn bounds() -> Bounds {
    Bounds {
        retention: Retention { max_age_days: 30, max_bytes: 64 << 20, segment_bytes: 4 << 20 },
        fold_window: Duration::from_secs(600),
        fold_open_max: 4096,
    }
}

/// The `n`th finding of its kind: another value was matched.
fn finding(n: u64, severity: Severity, dest: &str) -> FindingRecord {
    let family = Family::AiApiKey;
    FindingRecord {
        dest: dest.to_owned(),
        direction: Direction::Outbound,
        encoding: vec![],
        fingerprint: Fingerprint::from_bytes(&n.to_be_bytes()),
        pattern: family.into(),
        placement: Placement::Body,
        platform: Platform::Hermes,
        prev_sha256: Chain::genesis().head().clone(),
        protocol: Protocol::Http,
        rule: "ai_api_key.openai".parse().unwrap(),
        schema_version: posture::FINDING_SCHEMA.into(),
        seq: 0,
        severity,
        snippet: "[REDACTED ai_api_key.openai]".into(),
        source: "127.0.0.1".into(),
        threat_type: family.threat_type(),
        timestamp: now(),
    }
}

pub(crate) fn high(n: u64) -> FindingRecord {
    finding(n, Severity::High, "api.example.com:443")
}

impl Store {
    /// A record no redaction made.
    pub(crate) fn put_record(&mut self, record: FindingRecord, now: Timestamp, at: Instant) {
        self.put(record, now, at);
    }
}

struct Home {
    dir: tempfile::TempDir,
    at: Instant,
}

impl Home {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), at: Instant::now() }
    }

    fn open(&self, signed: Option<Signed>) -> Store {
        Store::open(self.dir.path(), bounds(), signed, Stated::default(), now())
    }

    fn put(&self, store: &mut Store, record: FindingRecord) {
        store.put(record, now(), self.at);
    }

    fn tick(&self, store: &mut Store, seconds: u64) {
        store.tick(now(), self.at + Duration::from_secs(seconds));
    }

    fn log(&self) -> PathBuf {
        self.dir.path().join("findings.jsonl")
    }

    /// Every record of a file that is nothing but a chain.
    fn records(&self, name: &str) -> Vec<Record> {
        let mut chain = Chain::genesis();
        let bytes = fs::read(self.dir.path().join(name)).unwrap();
        let lines = bytes.split_inclusive(|b| *b == b'\n');
        lines.map(|line| chain.follow(line.strip_suffix(b"\n").unwrap()).unwrap()).collect()
    }

    fn events(&self, name: &str) -> Vec<EventBody> {
        let events = self.records(name).into_iter().filter_map(|r| match r {
            Record::Event(e) => Some(e.event),
            Record::Finding(_) => None,
        });
        events.collect()
    }

    fn damaged(&self) -> Vec<(String, Vec<u8>)> {
        let mut found: Vec<_> = fs::read_dir(self.dir.path())
            .unwrap()
            .map(|e| e.unwrap())
            .map(|e| (e.file_name().into_string().unwrap(), e.path()))
            .filter(|(name, _)| name.starts_with("damaged-"))
            .map(|(name, path)| (name, fs::read(path).unwrap()))
            .collect();
        found.sort();
        found
    }
}

/// As a posture would, once it is complete.
fn sign(store: &mut Store) -> Signed {
    store.sync().unwrap();
    let (log, chain, counts) = store.standing();
    let signed = Signed {
        first_seq: log.first_seq,
        chain: chain.clone(),
        counts: counts.clone(),
        at: Some(now()),
        unfinished: true,
    };
    store.signed(signed.clone());
    signed
}

fn trouble(store: &Store) -> Vec<DegradedReason> {
    store.trouble().collect()
}

#[test]
fn what_was_written_is_there_after_a_restart() {
    let home = Home::new();
    let mut store = home.open(None);
    for n in 0..3 {
        home.put(&mut store, high(n));
    }
    let standing = (store.standing().0, store.standing().1.clone(), store.standing().2.clone());
    assert_eq!((standing.0.first_seq, standing.0.next_seq, standing.2.findings), (1, 4, 3));
    drop(store);
    let again = home.open(None);
    let (log, chain, counts) = again.standing();
    assert_eq!((log, chain.clone(), counts.clone()), standing);
    assert_eq!(trouble(&again), []);
    assert_eq!(fs::metadata(home.log()).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn sightings_fold_until_the_window_closes() {
    let home = Home::new();
    let mut store = home.open(None);
    for _ in 0..5 {
        home.put(&mut store, high(0));
    }
    home.put(&mut store, finding(0, Severity::High, "other.example.com:443"));
    home.tick(&mut store, 599);
    assert_eq!(home.events("findings.jsonl"), []);
    home.tick(&mut store, 600);
    assert_eq!(home.events("findings.jsonl"), [EventBody::Fold { count: 4, finding_seq: 1 }]);
    assert_eq!((store.standing().2.findings, store.standing().2.folded), (2, 4));
    store.put(high(0), now(), home.at + Duration::from_secs(601));
    assert_eq!(store.standing().2.findings, 3, "a new window, a new finding");
}

#[test]
fn the_oldest_window_makes_room_and_the_end_closes_all() {
    let home = Home::new();
    let mut store =
        Store::open(home.dir.path(), Bounds { fold_open_max: 2, ..bounds() }, None, Stated::default(), now());
    for n in [0, 0, 1, 1, 1, 2, 2] {
        home.put(&mut store, high(n));
    }
    assert_eq!(home.events("findings.jsonl"), [EventBody::Fold { count: 1, finding_seq: 1 }]);
    store.close_windows(now(), home.at);
    let folds = &home.events("findings.jsonl")[1..];
    assert_eq!(folds, [EventBody::Fold { count: 2, finding_seq: 2 }, EventBody::Fold { count: 1, finding_seq: 3 }]);
}

#[test]
fn what_cannot_be_written_waits_and_is_written_later_in_order() {
    let home = Home::new();
    let mut store = home.open(None);
    home.put(&mut store, high(0));
    // A link in the log's place is refused, as root as for anyone else.
    fs::rename(home.log(), home.dir.path().join("away")).unwrap();
    symlink("away", home.log()).unwrap();
    for n in [1, 2, 2, 2] {
        home.put(&mut store, high(n));
    }
    assert_eq!((trouble(&store), store.waiting(), store.not_recorded()), (vec![DegradedReason::LogWrite], 2, 0));
    home.tick(&mut store, 1);
    assert_eq!(store.waiting(), 2);
    fs::remove_file(home.log()).unwrap();
    fs::rename(home.dir.path().join("away"), home.log()).unwrap();
    home.tick(&mut store, 9);
    assert_eq!((trouble(&store), store.waiting()), (vec![], 0));
    store.close_windows(now(), home.at);
    assert_eq!(store.standing().2.findings, 3);
    assert_eq!(home.events("findings.jsonl"), [EventBody::Fold { count: 2, finding_seq: 3 }]);
}

#[test]
fn a_pipe_in_the_logs_place_is_no_log() {
    let home = Home::new();
    let made = std::process::Command::new("mkfifo").env_clear().env("PATH", "/usr/bin:/bin").arg(home.log()).status();
    assert!(made.unwrap().success());
    let mut store = home.open(None);
    home.put(&mut store, high(0));
    assert_eq!((trouble(&store), store.waiting()), (vec![DegradedReason::LogWrite], 1));
    fs::remove_file(home.log()).unwrap();
    home.tick(&mut store, 1);
    assert_eq!((trouble(&store), home.records("findings.jsonl").len()), (vec![], 1));
}

#[test]
fn a_log_that_cannot_be_opened_yet_stands_where_it_was_signed() {
    let home = Home::new();
    let mut store = home.open(None);
    home.put(&mut store, high(0));
    let signed = sign(&mut store);
    drop(store);
    fs::rename(home.log(), home.dir.path().join("away")).unwrap();
    fs::create_dir(home.log()).unwrap();
    let mut store = home.open(Some(signed.clone()));
    assert_eq!(trouble(&store), [DegradedReason::LogWrite]);
    assert_eq!((store.standing().1, store.standing().2), (&signed.chain, &signed.counts));
    fs::remove_dir(home.log()).unwrap();
    fs::rename(home.dir.path().join("away"), home.log()).unwrap();
    home.put(&mut store, high(1));
    home.tick(&mut store, 9);
    assert_eq!((trouble(&store), store.standing().2.findings), (vec![], 2));
}

#[test]
fn what_lies_under_the_name_of_damage_and_is_no_file_keeps_no_log_closed() {
    let home = Home::new();
    let mut store = home.open(None);
    home.put(&mut store, high(0));
    drop(store);
    fs::create_dir(home.dir.path().join("damaged-000000000002.jsonl")).unwrap();
    let store = home.open(None);
    assert_eq!((trouble(&store), store.standing().2.findings), (vec![], 1));
}

#[test]
fn a_run_that_did_not_stop_is_unclean_once() {
    let home = Home::new();
    let run_id = RunId::from_bytes(&[1; 16]);
    let mut store = home.open(None);
    assert!(!store.was_unclean());
    store.event(EventBody::Start { run_id: run_id.clone() }, now(), home.at);
    drop(store);
    let mut store = home.open(None);
    assert!(store.was_unclean());
    store.report_gap(now(), home.at);
    store.event(EventBody::Start { run_id }, now(), home.at);
    store.event(EventBody::Stop { ended: Ended::Signal }, now(), home.at);
    drop(store);
    assert!(!home.open(None).was_unclean());
    assert!(matches!(home.events("findings.jsonl")[1], EventBody::Gap { unclean: true, .. }));
}

mod fs {
    pub(super) use std::fs::*;
    use std::{io::Write, path::Path};

    pub(super) fn write_for_test(path: &Path, bytes: &[u8]) {
        File::create(path).unwrap().write_all(bytes).unwrap();
    }

    pub(super) fn append_for_test(path: &Path, bytes: &[u8]) {
        OpenOptions::new().append(true).open(path).unwrap().write_all(bytes).unwrap();
    }
}

/// The segments of a log, oldest first.
pub(crate) fn segments(folder: &Path) -> Vec<PathBuf> {
    let mut segments = log::sealed(folder).unwrap();
    segments.push(folder.join(log::NEWEST));
    segments
}
