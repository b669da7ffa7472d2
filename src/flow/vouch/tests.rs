use super::*;
use std::fs;

/// A posture with this number; nothing in it is signed.
pub(crate) fn posture(sequence: u64) -> Posture {
    let dir = tempfile::tempdir().unwrap();
    let mut vouch = open(&Home::of(&crate::home::tests::config(dir.path()))).0;
    vouch.not_below(sequence);
    vouch.posture(&settings(), statement(), sequence, digest::sha256([])).unwrap()
}

pub(crate) fn settings() -> Settings {
    let pattern_set = PatternSet { rules: 1, sha256: digest::sha256("rules"), version: "1.0.0".into() };
    let config = crate::home::tests::config(std::path::Path::new("/home"));
    Settings::of(&config, pattern_set)
}

pub(crate) fn statement() -> Statement {
    let genesis = attest::Chain::genesis();
    Statement {
        attested: Attested::default(),
        at: "2026-04-26T00:00:00.000Z".parse().unwrap(),
        counts: Counts::default(),
        coverage: Coverage::default(),
        degraded: BTreeSet::new(),
        ended: Ended::Running,
        finding_log: FindingLog { first_seq: 1, next_seq: genesis.next_seq() },
        head: genesis.head().clone(),
        install_id: InstallId::from_bytes(&[1; 16]),
        monitor_enabled: true,
        run_id: RunId::from_bytes(&[2; 16]),
        self_test: SelfTest {
            last_run_at: None,
            result: posture::SelfTestResult::NotRun,
            vectors_sha256: digest::sha256("vectors"),
        },
    }
}

fn open(home: &Home) -> (Vouch, Option<Last>) {
    // One key for every call: a seed in a test guards nothing.
    static PEM: std::sync::LazyLock<String> =
        std::sync::LazyLock::new(|| SigningKey::generate().unwrap().to_pem().to_string());
    fs::create_dir_all(home.export_dir()).unwrap();
    Vouch::open(home, SigningKey::from_pem(&PEM).unwrap()).unwrap()
}

fn home() -> (tempfile::TempDir, Home) {
    let dir = tempfile::tempdir().unwrap();
    let home = Home::of(&crate::home::tests::config(dir.path()));
    (dir, home)
}

fn current(home: &Home, name: &str) -> Vec<u8> {
    fs::read(home.export_dir().join("current").join(name)).unwrap()
}

#[test]
fn the_state_stays_byte_for_byte_while_the_posture_moves() {
    let (_dir, home) = home();
    let mut vouch = open(&home).0;
    let mut seen = Vec::new();
    for minute in 0..3 {
        let at = statement().at.plus(chrono::Duration::minutes(minute));
        vouch.publish(&settings(), Statement { at, ..statement() }).unwrap();
        seen.push(["state.json", "state.json.sig", "posture.json"].map(|name| current(&home, name)));
    }
    assert!(seen.iter().all(|[state, sig, _]| *state == seen[0][0] && *sig == seen[0][1]));
    assert!(seen[0][2] != seen[1][2] && seen[1][2] != seen[2][2]);
    let stopped = Statement { monitor_enabled: false, ended: Ended::OperatorStop, ..statement() };
    vouch.publish(&settings(), stopped).unwrap();
    assert_ne!(current(&home, "state.json"), seen[0][0]);
}

#[test]
fn generations_link_and_their_numbers_go_on_after_a_restart() {
    let (_dir, home) = home();
    let mut vouch = open(&home).0;
    assert_eq!(vouch.publish(&settings(), statement()).unwrap().posture.previous_sha256, None);
    let second = vouch.publish(&settings(), statement()).unwrap().posture;
    let (mut vouch, last) = open(&home);
    let last = last.unwrap();
    assert_eq!(last.posture, second);
    // A crash left a generation without its files: its number is not used again.
    fs::create_dir(home.export_dir().join("000000000007")).unwrap();
    assert_eq!(open(&home).0.next_sequence(), 8);
    vouch.not_below(12);
    let third = vouch.publish(&settings(), statement()).unwrap();
    assert_eq!((third.posture.sequence, third.posture.previous_sha256), (12, Some(last.posture_sha256)));
    assert_eq!(fs::read_link(home.export_dir().join("current")).unwrap().to_str(), Some("000000000012"));
}

#[test]
fn a_posture_is_valid_for_exactly_three_periods() {
    let posture = posture(1);
    assert_eq!(posture.valid_until.since(posture.generated_at), chrono::Duration::seconds(180));
}

#[test]
fn only_a_running_monitor_is_degraded() {
    let degraded = BTreeSet::from([DegradedReason::ScannerStalled, DegradedReason::LogWrite]);
    let (_dir, home) = home();
    let mut vouch = open(&home).0;
    let mut say = |ended| {
        let posture = vouch.publish(&settings(), Statement { degraded: degraded.clone(), ended, ..statement() });
        let posture = posture.unwrap().posture;
        let reasons: Vec<_> = posture.degraded_reasons.iter().map(|w| w.as_str().to_owned()).collect();
        (posture.monitor_status, reasons)
    };
    let reasons = vec!["log_write".to_owned(), "scanner_stalled".to_owned()];
    assert_eq!(say(Ended::Running), (MonitorStatus::Degraded, reasons));
    assert_eq!(say(Ended::Signal), (MonitorStatus::Stopped, vec![]));
}

#[test]
fn a_generation_of_another_key_or_with_a_flipped_byte_is_not_the_last() {
    let (_dir, home) = home();
    let mut vouch = open(&home).0;
    for _ in 0..2 {
        vouch.publish(&settings(), statement()).unwrap();
    }
    for name in ["posture.json", "posture.json.sig", "state.json", "state.json.sig"] {
        let path = home.export_dir().join("000000000002").join(name);
        let good = fs::read(&path).unwrap();
        let mut bad = good.clone();
        bad[9] ^= 1;
        overwrite(&path, &bad);
        assert_eq!(open(&home).1.unwrap().posture.sequence, 1, "{name}");
        overwrite(&path, &good);
    }
    assert_eq!(open(&home).1.unwrap().posture.sequence, 2);
    assert!(Vouch::open(&home, SigningKey::generate().unwrap()).unwrap().1.is_none());
}

#[test]
fn old_generations_go_and_sixteen_stay() {
    let (_dir, home) = home();
    let mut vouch = open(&home).0;
    for _ in 0..40 {
        vouch.publish(&settings(), statement()).unwrap();
    }
    assert_eq!(vouch.exports.numbers().unwrap().len(), 40, "all of them are young");
    let old = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
    for number in vouch.exports.numbers().unwrap() {
        let folder = fs::File::open(home.export_dir().join(format!("{number:012}"))).unwrap();
        folder.set_modified(old).unwrap();
    }
    vouch.publish(&settings(), statement()).unwrap();
    assert_eq!(vouch.exports.numbers().unwrap(), (26..=41).collect::<Vec<_>>());
}

#[test]
fn a_number_nobody_could_have_reached_uses_up_none() {
    let (_dir, home) = home();
    open(&home).0.publish(&settings(), statement()).unwrap();
    fs::create_dir(home.export_dir().join("000000000007")).unwrap();
    fs::create_dir(home.export_dir().join("999999999999")).unwrap();
    let (mut vouch, last) = open(&home);
    assert_eq!((vouch.next_sequence(), last.unwrap().posture.sequence), (8, 1));
    for _ in 0..300 {
        vouch.publish(&settings(), statement()).unwrap();
    }
    assert_eq!(fs::read_link(home.export_dir().join("current")).unwrap().to_str(), Some("000000000307"));
    assert_eq!(vouch.exports.numbers().unwrap().len(), 256 + 1, "it is in the way of no pruning");
}

#[test]
fn a_pipe_among_the_exports_makes_nobody_wait() {
    let (_dir, home) = home();
    open(&home).0.publish(&settings(), statement()).unwrap();
    let folder = home.export_dir().join("000000000002");
    fs::create_dir(&folder).unwrap();
    for name in ["posture.json", "posture.json.sig", "state.json", "state.json.sig"] {
        let made = std::process::Command::new("mkfifo").arg(folder.join(name)).status().unwrap();
        assert!(made.success());
    }
    let (vouch, last) = open(&home);
    assert_eq!((vouch.next_sequence(), last.unwrap().posture.sequence), (3, 1));
}

#[test]
fn nothing_is_exported_through_a_link() {
    let (dir, home) = home();
    let (mut vouch, _) = open(&home);
    vouch.publish(&settings(), statement()).unwrap();
    let elsewhere = dir.path().join("elsewhere");
    fs::rename(home.export_dir(), &elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, home.export_dir()).unwrap();
    let listed = || fs::read_dir(&elsewhere).unwrap().count();
    let before = listed();
    assert!(vouch.publish(&settings(), statement()).is_err());
    assert_eq!(listed(), before);
    fs::remove_file(home.export_dir()).unwrap();
    vouch.publish(&settings(), statement()).unwrap();
}

#[test]
fn a_failed_export_leaves_the_last_one_in_place_and_uses_up_its_number() {
    let (_dir, home) = home();
    let mut vouch = open(&home).0;
    vouch.publish(&settings(), statement()).unwrap();
    fs::create_dir(home.export_dir().join("000000000002")).unwrap();
    assert!(matches!(vouch.publish(&settings(), statement()), Err(VouchError::Io { .. })));
    assert_eq!(fs::read_link(home.export_dir().join("current")).unwrap().to_str(), Some("000000000001"));
    assert_eq!(vouch.publish(&settings(), statement()).unwrap().posture.sequence, 3);
    fs::remove_dir_all(home.export_dir()).unwrap();
    assert_eq!(vouch.publish(&settings(), statement()).unwrap().posture.sequence, 4, "a lost folder is made again");
}

#[test]
fn a_reader_who_resolves_once_never_sees_two_generations_mixed() {
    let (_dir, home) = home();
    let mut vouch = open(&home).0;
    vouch.publish(&settings(), statement()).unwrap();
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|threads| {
        let reader = threads.spawn(|| {
            let (mut read, mut highest) = (0, 0);
            while !done.load(std::sync::atomic::Ordering::Relaxed) || read == 0 {
                let folder = fs::canonicalize(home.export_dir().join("current")).unwrap();
                let file = |name: &str| fs::read(folder.join(name)).unwrap();
                let posture: Posture = attest::canonical::read(&file("posture.json")).unwrap();
                assert_eq!(posture.state_sha256, digest::sha256(file("state.json")));
                assert!(posture.sequence >= highest);
                (read, highest) = (read + 1, posture.sequence);
            }
        });
        for n in 0..150 {
            vouch.publish(&settings(), Statement { monitor_enabled: n % 2 == 0, ..statement() }).unwrap();
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        reader.join().unwrap();
    });
}

fn overwrite(path: &std::path::Path, bytes: &[u8]) {
    use std::io::Write;
    fs::File::create(path).unwrap().write_all(bytes).unwrap();
}
