use super::*;
use posture::{Direction, Ended, Family, Fingerprint, Placement, Protocol, RunId, Severity, Word};
use std::os::unix::fs::{PermissionsExt, symlink};

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

fn high(n: u64) -> FindingRecord {
    finding(n, Severity::High, "api.example.com:443")
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
        Store::open(self.dir.path(), bounds(), signed, now())
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
    let signed =
        Signed { first_seq: log.first_seq, chain: chain.clone(), counts: counts.clone(), at: now(), unfinished: true };
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
fn a_log_cut_at_any_byte_of_its_last_two_lines_is_repaired_and_says_so() {
    let home = Home::new();
    let mut store = home.open(None);
    for n in 0..4 {
        home.put(&mut store, high(n));
    }
    drop(store);
    let whole = fs::read(home.log()).unwrap();
    let ends: Vec<usize> = memchr::memchr_iter(b'\n', &whole).map(|at| at + 1).collect();
    for cut in ends[1]..whole.len() {
        let home = Home::new();
        fs::write_for_test(&home.log(), &whole[..cut]);
        let mut store = home.open(None);
        let kept = ends.iter().filter(|end| **end <= cut).count();
        assert_eq!(store.standing().0.next_seq, kept as u64 + 1, "cut at {cut}");
        store.report_gap(now(), home.at);
        home.put(&mut store, high(9));
        let torn = &whole[ends[kept - 1]..cut];
        let gaps: Vec<_> = home.events("findings.jsonl");
        if torn.is_empty() {
            assert_eq!((gaps, home.damaged()), (vec![], vec![]));
        } else {
            let gap =
                EventBody::Gap { damaged_bytes: torn.len() as u64, damaged_records: 1, seconds: None, unclean: false };
            assert_eq!(gaps, [gap]);
            assert_eq!(home.damaged(), [(format!("damaged-{:012}.jsonl", kept + 1), torn.to_vec())]);
        }
        assert_eq!(store.standing().2.findings, kept as u64 + 1);
    }
}

#[test]
fn a_crash_between_setting_aside_and_saying_so_is_still_said() {
    let home = Home::new();
    let mut store = home.open(None);
    home.put(&mut store, high(0));
    drop(store);
    fs::append_for_test(&home.log(), b"torn");
    drop(home.open(None));
    let mut store = home.open(None);
    store.report_gap(now(), home.at);
    store.report_gap(now(), home.at);
    let gap = EventBody::Gap { damaged_bytes: 4, damaged_records: 1, seconds: None, unclean: false };
    assert_eq!(home.events("findings.jsonl"), [gap]);
}

#[test]
fn what_follows_an_edited_record_above_the_signed_head_goes_aside() {
    let home = Home::new();
    let mut store = home.open(None);
    home.put(&mut store, high(0));
    let signed = sign(&mut store);
    home.put(&mut store, high(1));
    home.put(&mut store, high(2));
    drop(store);
    let text = fs::read_to_string(home.log()).unwrap();
    let second = text.lines().nth(1).unwrap();
    fs::write_for_test(&home.log(), text.replace(second, &second.replace("\"high\"", "\"info\"")).as_bytes());
    let mut store = home.open(Some(signed));
    store.tick(now(), home.at);
    assert_eq!(trouble(&store), []);
    assert!(matches!(home.events("findings.jsonl")[..], [EventBody::Gap { damaged_records: 1, .. }]));
    assert_eq!(store.standing().2.findings, 2);
}

#[test]
fn damage_at_or_below_the_signed_head_leaves_the_log_alone() {
    for ruin in [
        (|text: &str| text.replacen("\"high\"", "\"info\"", 1)) as fn(&str) -> String,
        |text| text.lines().next().unwrap().to_owned() + "\n",
        |text| text.lines().skip(1).map(|l| l.to_owned() + "\n").collect(),
        |_| String::new(),
    ] {
        let home = Home::new();
        let mut store = home.open(None);
        home.put(&mut store, high(0));
        home.put(&mut store, high(1));
        let signed = sign(&mut store);
        drop(store);
        let ruined = ruin(&fs::read_to_string(home.log()).unwrap());
        fs::write_for_test(&home.log(), ruined.as_bytes());

        let mut store = home.open(Some(signed.clone()));
        assert!(store.was_unclean());
        store.report_gap(now(), home.at);
        home.put(&mut store, high(2));
        home.put(&mut store, high(3));
        assert_eq!(trouble(&store), [DegradedReason::LogDamaged]);
        assert_eq!(fs::read_to_string(home.log()).unwrap(), ruined);
        assert_eq!(home.records("quarantine.jsonl").len(), 3);
        let (log, chain, counts) = store.standing();
        assert_eq!((log.next_seq, chain, counts), (3, &signed.chain, &signed.counts));
        drop(store);
        let mut store = home.open(Some(signed));
        home.put(&mut store, high(4));
        assert_eq!(home.records("quarantine.jsonl").len(), 4, "the quarantine goes on where it was");
    }
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
    let mut store = Store::open(home.dir.path(), Bounds { fold_open_max: 2, ..bounds() }, None, now());
    for n in [0, 0, 1, 1, 1, 2, 2] {
        home.put(&mut store, high(n));
    }
    assert_eq!(home.events("findings.jsonl"), [EventBody::Fold { count: 1, finding_seq: 1 }]);
    store.close_windows(now(), home.at);
    let folds = &home.events("findings.jsonl")[1..];
    assert_eq!(folds, [EventBody::Fold { count: 2, finding_seq: 2 }, EventBody::Fold { count: 1, finding_seq: 3 }]);
}

#[test]
fn a_full_log_keeps_room_for_what_is_grave_and_counts_the_rest() {
    let home = Home::new();
    let max_bytes = 64 << 10;
    let retention = Retention { max_bytes, ..bounds().retention };
    let mut store = Store::open(home.dir.path(), Bounds { retention, ..bounds() }, None, now());
    let low = |n| finding(n, Severity::Low, "api.example.com:443");
    let mut n = 0;
    while store.not_recorded() == 0 {
        n += 1;
        home.put(&mut store, low(n));
    }
    assert!(store.bytes() >= max_bytes / 2 && store.bytes() < max_bytes / 2 + 1024, "{}", store.bytes());
    assert_eq!(trouble(&store), [DegradedReason::LogFull]);
    let before = store.standing().2.findings;
    home.put(&mut store, finding(n + 1, Severity::Low, "first.example.com:443"));
    home.put(&mut store, finding(n + 2, Severity::Low, "first.example.com:443"));
    home.put(&mut store, FindingRecord { direction: Direction::Inbound, ..high(n + 3) });
    home.put(&mut store, high(n + 4));
    assert_eq!(store.standing().2.findings, before + 2, "the first of its kind, and the grave one");
    assert_eq!(store.not_recorded(), 3);

    for more in 0..200 {
        home.put(&mut store, high(n + 10 + more));
    }
    let bound = max_bytes - max_bytes / 8;
    assert!(store.bytes() >= bound && store.bytes() < bound + 1024, "{}", store.bytes());
    let refused = store.not_recorded();
    home.tick(&mut store, 600);
    let rule: Word = "ai_api_key.openai".parse().unwrap();
    let counted: u64 = home
        .events("findings.jsonl")
        .into_iter()
        .map(|e| match e {
            EventBody::Overflow { count, rule: r, .. } if r == rule => count,
            other => panic!("{other:?}"),
        })
        .sum();
    assert_eq!(counted, refused);

    let run_id = RunId::from_bytes(&[1; 16]);
    for _ in 0..1000 {
        store.event(EventBody::Start { run_id: run_id.clone() }, now(), home.at);
    }
    assert!(store.bytes() <= max_bytes, "nothing passes the bound: {}", store.bytes());
    assert_eq!(store.standing().0.next_seq, home.records("findings.jsonl").len() as u64 + 1);
}

#[test]
fn overflow_counts_four_thousand_pairs_apart_and_the_others_by_rule() {
    let mut overflow = Overflow::default();
    let at = Instant::now();
    for n in 0..5000 {
        overflow.refused(&finding(n, Severity::Low, &format!("h{n}.example.com:443")), at);
    }
    overflow.refused(&finding(0, Severity::Low, "h0.example.com:443"), at);
    assert_eq!(overflow.close_lasted(at + Duration::from_secs(9), Duration::from_secs(10)), []);
    let events = overflow.close_lasted(at + Duration::from_secs(10), Duration::from_secs(10));
    assert_eq!(events.len(), 4097);
    let count = |e: &EventBody| if let EventBody::Overflow { count, .. } = e { *count } else { panic!("{e:?}") };
    assert_eq!(events.iter().map(count).sum::<u64>(), 5001);
    let by_rule: Vec<_> = events.iter().filter(|e| matches!(e, EventBody::Overflow { dest: None, .. })).collect();
    assert_eq!(by_rule.iter().map(|e| count(e)).collect::<Vec<_>>(), [904]);
}

#[test]
fn a_log_that_was_deleted_comes_back_whole() {
    let home = Home::new();
    let mut store = home.open(None);
    home.put(&mut store, high(0));
    fs::remove_file(home.log()).unwrap();
    home.put(&mut store, high(1));
    assert_eq!((home.records("findings.jsonl").len(), trouble(&store)), (2, vec![]));
    let folder = home.dir.path().to_owned();
    fs::remove_dir_all(&folder).unwrap();
    home.tick(&mut store, 1);
    assert_eq!(home.records("findings.jsonl").len(), 2);
    assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
    fs::remove_dir_all(&folder).unwrap();
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

/// Runs the test below in a process whose files may not pass 8 KiB or so: to the kernel, a disk that is full.
#[test]
fn a_disk_that_is_full_tears_no_line_and_loses_none_once_there_is_room() {
    let script = "trap '' XFSZ; ulimit -S -f 8; exec \"$0\" --exact --ignored flow::store::tests::on_a_full_disk";
    let mut child = std::process::Command::new("sh");
    child.args(["-c", script]).arg(std::env::current_exe().unwrap()).env_clear().env("PATH", "/usr/bin:/bin");
    let output = child.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

#[test]
#[ignore = "needs a process of its own: the test above starts it"]
fn on_a_full_disk() {
    let home = Home::new();
    let mut store = home.open(None);
    let mut n = 0;
    while trouble(&store).is_empty() {
        n += 1;
        home.put(&mut store, high(n));
        assert!(n < 1000, "the limit does not hold");
    }
    home.put(&mut store, high(n + 1));
    assert_eq!((trouble(&store), store.waiting(), store.not_recorded()), (vec![DegradedReason::LogWrite], 2, 0));
    assert_eq!(home.records("findings.jsonl").len() as u64, n - 1, "whole lines alone");
    home.tick(&mut store, 1);
    assert_eq!(store.waiting(), 2);

    let mut limit = rustix::process::getrlimit(rustix::process::Resource::Fsize);
    limit.current = limit.maximum;
    rustix::process::setrlimit(rustix::process::Resource::Fsize, limit).unwrap();
    home.tick(&mut store, 2);
    assert_eq!((trouble(&store), store.waiting()), (vec![], 0));
    assert_eq!(home.records("findings.jsonl").len() as u64, n + 1);
    assert_eq!((home.damaged(), home.events("findings.jsonl")), (vec![], vec![]));
}

#[test]
fn what_does_not_fit_while_the_log_cannot_be_written_is_counted() {
    let home = Home::new();
    symlink("nowhere", home.log()).unwrap();
    let mut store = home.open(None);
    for n in 0..1000 {
        home.put(&mut store, high(n));
        home.put(&mut store, high(n));
    }
    let waiting = store.waiting() as u64;
    assert_eq!(waiting, MAX_WAITING_FINDINGS as u64);
    store.close_windows(now(), home.at);
    store.abandon();
    assert_eq!(store.not_recorded(), 2000, "each sighting is a line, a fold or a number");
    assert!(!home.dir.path().join("nowhere").exists());
}

#[test]
fn a_stranger_who_cuts_the_log_while_we_write_is_noticed() {
    let home = Home::new();
    let mut store = home.open(None);
    home.put(&mut store, high(0));
    let signed = sign(&mut store);
    home.put(&mut store, high(1));
    let file = fs::OpenOptions::new().write(true).open(home.log()).unwrap();
    file.set_len(file.metadata().unwrap().len() - 7).unwrap();
    home.tick(&mut store, 1);
    let gaps = home.events("findings.jsonl");
    assert!(matches!(gaps[..], [EventBody::Gap { damaged_records: 2, unclean: false, .. }]), "{gaps:?}");
    assert_eq!(store.standing().2.findings, 1);

    file.set_len(0).unwrap();
    home.put(&mut store, high(2));
    assert_eq!(trouble(&store), [DegradedReason::LogDamaged]);
    assert_eq!(store.standing().1, &signed.chain);
    assert_eq!(home.records("quarantine.jsonl").len(), 1);
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

#[test]
fn a_log_too_full_for_its_own_stop_does_not_call_a_clean_end_unclean() {
    let home = Home::new();
    let retention = Retention { max_bytes: 4096, ..bounds().retention };
    let open = |signed| Store::open(home.dir.path(), Bounds { retention, ..bounds() }, signed, now());
    let run_id = RunId::from_bytes(&[1; 16]);
    let mut store = open(None);
    for _ in 0..100 {
        store.event(EventBody::Start { run_id: run_id.clone() }, now(), home.at);
    }
    store.event(EventBody::Stop { ended: Ended::Signal }, now(), home.at);
    assert!(matches!(home.events("findings.jsonl").last(), Some(EventBody::Start { .. })));
    let signed = sign(&mut store);
    drop(store);
    assert!(open(None).was_unclean(), "the log alone cannot tell");
    assert!(open(Some(signed.clone())).was_unclean(), "the posture says the run goes on");
    let ended = Signed { unfinished: false, ..signed };
    assert!(!open(Some(ended.clone())).was_unclean());
    home.open(Some(ended.clone())).event(EventBody::Start { run_id }, now(), home.at);
    assert!(home.open(Some(ended)).was_unclean(), "a run began after the posture, and did not stop");
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
