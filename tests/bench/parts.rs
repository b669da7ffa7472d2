//! What one step costs within the process: a finding appended, a posture exported; with and without a disk that must
//! hold what is written.

use super::millis;
use attest::Chain;
use guardian::{
    clock,
    config::Config,
    flow::{
        detect::{Detector, Limits, offline},
        redact::{Finding, Redactor},
        store::{Bounds, Stated, Store},
        vouch::{Settings, Statement, Vouch},
    },
    home::Home,
};
use keys::SigningKey;
use posture::{Attested, Checkpoint, Counts, Coverage, Direction, Ended, FindingLog, InstallId, RunId, SelfTest};
use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    time::{Duration, Instant},
};

const FINDINGS: usize = 20_000;
const EXPORTS: u32 = 200;
/// A file system in memory, where there is one: bringing a file to the disk costs nothing there.
const MEMORY: &str = "/dev/shm";

pub(crate) fn measure() {
    let findings = findings();
    let disk = super::child::home();
    let memory = Path::new(MEMORY).is_dir().then(|| tempfile::tempdir_in(MEMORY).expect("a folder in memory"));
    for (name, folder) in [("in memory", memory.as_ref()), ("on disk", Some(&disk))] {
        let Some(folder) = folder else { continue };
        let config = Config::defaults(folder.path().join("home"), folder.path().to_owned());
        let home = Home::open(&config).expect("a home");
        let (each, sync) = append(&config, &findings);
        println!("| a finding appended, {name}, without fsync | {:.1} µs | {FINDINGS} |", micros(each));
        println!("| fsync of {FINDINGS} findings, {name} | {} | 1 |", millis(sync));
        let (wall, cpu) = export(&config, &home);
        println!("| one export, {name}, its CPU | {:.3} ms | {EXPORTS} |", micros(cpu) / 1e3);
        println!("| one export, {name}, its files on the disk | {:.3} ms | {EXPORTS} |", micros(wall) / 1e3);
    }
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

/// Findings of different keys, as the detector and redaction make them.
fn findings() -> Vec<Finding> {
    let detector = Detector::new(Limits::default(), &[], None);
    let redactor = Redactor::new(&[7; 32]);
    let mut found = Vec::new();
    while found.len() < FINDINGS {
        let text = (0..50).map(|_| super::key()).collect::<Vec<_>>().join("\n");
        offline::scan(&detector, Direction::Outbound, text.as_bytes(), Some("api.example.com"), &mut |hit| {
            found.push(redactor.finding(hit, clock::now()));
        });
    }
    found.truncate(FINDINGS);
    found
}

/// The time of a finding, and of bringing all of them to the disk.
fn append(config: &Config, findings: &[Finding]) -> (Duration, Duration) {
    let retention = posture::Retention { max_bytes: 1 << 30, ..config.retention };
    let bounds = Bounds { retention, fold_window: config.fold_window, fold_open_max: config.fold_open_max };
    let mut store = Store::open(&config.log_dir, bounds, None, Stated::default(), clock::now());
    store.totals(Checkpoint {
        attested: Attested::default(),
        counts: Counts::default(),
        coverage: Coverage::default(),
        install_id: InstallId::from_bytes(&[1; 16]),
        next_sequence: 1,
    });
    let began = Instant::now();
    for finding in findings {
        store.record(finding, clock::now(), Instant::now());
    }
    let each = began.elapsed() / u32::try_from(findings.len()).expect("not so many");
    assert_eq!(store.not_recorded(), 0);
    let began = Instant::now();
    store.sync().expect("a disk");
    (each, began.elapsed())
}

/// The wall time of an export and the CPU time it took.
fn export(config: &Config, home: &Home) -> (Duration, Duration) {
    let key = SigningKey::generate().expect("the kernel's randomness");
    let mut vouch = Vouch::open(home, key).expect("no exports yet").0;
    let detector = Detector::new(Limits::default(), &[], None);
    let settings = Settings::of(config, detector.pattern_set());
    let chain = Chain::genesis();
    let statement = Statement {
        attested: Attested::default(),
        at: clock::now(),
        counts: Counts::default(),
        coverage: Coverage::default(),
        degraded: BTreeSet::new(),
        ended: Ended::Running,
        finding_log: FindingLog { first_seq: 1, next_seq: chain.next_seq() },
        head: chain.head().clone(),
        install_id: InstallId::from_bytes(&[1; 16]),
        monitor_enabled: true,
        run_id: RunId::from_bytes(&[2; 16]),
        self_test: SelfTest {
            last_run_at: None,
            result: posture::SelfTestResult::NotRun,
            vectors_sha256: detector.vectors_sha256().clone(),
        },
    };
    let (began, cpu) = (Instant::now(), on_cpu());
    for _ in 0..EXPORTS {
        vouch.publish(&settings, statement.clone()).expect("an export");
    }
    (began.elapsed() / EXPORTS, on_cpu().saturating_sub(cpu) / EXPORTS)
}

/// The time this thread ran on a CPU.
fn on_cpu() -> Duration {
    let stat = fs::read_to_string("/proc/thread-self/schedstat").expect("Linux says it");
    Duration::from_nanos(stat.split_whitespace().next().and_then(|n| n.parse().ok()).expect("nanoseconds"))
}
