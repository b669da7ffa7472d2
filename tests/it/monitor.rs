//! The whole monitor in this process: an agent, an origin, and what is left in the state folder.

mod fold;

use crate::GIVE_UP;
use attest::{Anchor, Folder};
use guardian::{
    clock,
    config::Config,
    control::{self, Request},
    home::{Home, HomeError},
    monitor::{self, MonitorError, Options, Started},
};
use posture::{Ended, MonitorStatus, Posture, UnscannedReason, VerdictResult};
use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    sync::mpsc,
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// A key no vendor ever gave out, in the shape of one.
fn planted() -> String {
    let half = |salt: usize| -> String {
        let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
        (0..74).map(|n| char::from(alphabet[(n * 37 + salt * 11 + n * n) % alphabet.len()])).collect()
    };
    format!("sk-proj-{}T3BlbkFJ{}", half(1), half(2))
}

pub(crate) struct Monitor {
    home: Home,
    started: Started,
    thread: JoinHandle<Result<Ended, MonitorError>>,
}

impl Monitor {
    pub(crate) fn start(config: &Config, options: Options) -> Self {
        let (ready, started) = mpsc::channel();
        let thread = thread::spawn({
            let config = config.clone();
            move || monitor::run(config, options, |started| ready.send(started.clone()).unwrap())
        });
        let Ok(started) = started.recv_timeout(GIVE_UP) else { panic!("{:?}", thread.join()) };
        Self { home: Home::of(config), started, thread }
    }

    pub(crate) fn status(&self) -> control::Status {
        control::status(&self.home, GIVE_UP).unwrap()
    }

    /// The status, once it is as it should be.
    pub(crate) fn status_when(&self, is: impl Fn(&control::Status) -> bool) -> control::Status {
        let deadline = Instant::now() + GIVE_UP;
        loop {
            let status = self.status();
            if is(&status) {
                return status;
            }
            assert!(Instant::now() < deadline, "{status:?}");
            thread::sleep(Duration::from_millis(10));
        }
    }

    fn ended(self) -> Ended {
        let deadline = Instant::now() + GIVE_UP;
        while !self.thread.is_finished() {
            assert!(Instant::now() < deadline, "the monitor does not end");
            thread::sleep(Duration::from_millis(5));
        }
        self.thread.join().unwrap().unwrap()
    }

    /// A request through the proxy, with this much of a credential.
    pub(crate) fn post(&self, origin: SocketAddr, token: &str, body: &str) -> String {
        let credential = data_encoding::BASE64.encode(format!("guardian:{token}").as_bytes());
        let mut stream = TcpStream::connect(self.started.listen).unwrap();
        stream.set_read_timeout(Some(GIVE_UP)).unwrap();
        let length = body.len();
        write!(
            stream,
            "POST http://{origin}/v1/chat HTTP/1.1\r\nHost: {origin}\r\nProxy-Authorization: Basic {credential}\r\n\
             Content-Type: text/plain\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }
}

pub(crate) fn config(dir: &Path) -> Config {
    let mut config = Config::defaults(dir.join("home"), dir.to_owned());
    config.listen.set_port(0);
    config.timeouts.drain = Duration::from_secs(1);
    config
}

/// An origin that answers `ok` to every request with a body of this many bytes.
pub(crate) fn origin(body: usize) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = Vec::new();
            let whole = |request: &[u8]| {
                let head = request.windows(4).position(|w| w == b"\r\n\r\n");
                head.is_some_and(|at| request.len() >= at + 4 + body)
            };
            while !whole(&request) {
                let mut piece = [0; 4096];
                let read = stream.read(&mut piece).unwrap();
                assert!(read > 0, "the request is cut");
                request.extend_from_slice(&piece[..read]);
            }
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok").unwrap();
        }
    });
    address
}

pub(crate) fn token(config: &Config) -> String {
    fs::read_to_string(config.keys_dir.join("proxy.token")).unwrap().trim_end().to_owned()
}

pub(crate) fn verified(config: &Config, accept_stopped: bool) -> VerdictResult {
    let now = clock::now();
    let options = attest::Options { accept_stopped, ..attest::Options::new(Anchor::Own, now) };
    attest::verify(&Folder::open(&config.home), &options).result
}

/// Stops it, as an operator does.
pub(crate) fn ended_well(monitor: Monitor) {
    control::ask(&monitor.home, &Request::Stop, GIVE_UP).unwrap();
    assert_eq!(monitor.ended(), Ended::OperatorStop);
}

pub(crate) fn posture(config: &Config) -> Posture {
    attest::canonical::read(&fs::read(config.export_dir.join("current/posture.json")).unwrap()).unwrap()
}

/// Every file below `folder`.
pub(crate) fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let kind = fs::symlink_metadata(&path).unwrap();
        if kind.is_dir() {
            found.extend(files(&path));
        } else if kind.is_file() {
            found.push(path);
        }
    }
    found
}

#[test]
fn what_goes_through_is_found_recorded_signed_and_nowhere_written_down() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path());
    let monitor = Monitor::start(&config, Options::default());
    let secret = planted();
    let body = format!("please keep {secret} for me");
    let origin = origin(body.len());
    let token = token(&config);

    for _ in 0..3 {
        let answer = monitor.post(origin, &token, &body);
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("\r\n\r\nok"), "{answer}");
    }
    assert!(monitor.post(origin, "wrong", &body).starts_with("HTTP/1.1 407"));
    let status = monitor.status_when(|s| s.counts.findings == 1 && s.coverage.scanned.messages == 6);
    assert_eq!((status.monitor_status, status.pid), (MonitorStatus::Running, std::process::id()));
    assert!(status.coverage.adds_up());
    assert_eq!(status.coverage.scanned.bytes, 3 * (body.len() as u64 + 2));
    let refused: Vec<_> = status.refusals.iter().map(|r| (r.name.as_str(), r.count)).collect();
    assert_eq!(refused, [("proxy_authentication_required", 1)]);

    let exported = control::ask(&monitor.home, &Request::Export, GIVE_UP).unwrap().export.unwrap();
    assert_eq!(posture(&config).sequence, exported.sequence);
    assert_eq!(verified(&config, false), VerdictResult::Verified);
    let response = control::ask(&monitor.home, &Request::Stop, GIVE_UP).unwrap();
    assert_eq!(response.ended, Some(Ended::OperatorStop));
    let lock = monitor.home.lock().expect("a stop that is answered has let go of the folder");
    assert_eq!(monitor.ended(), Ended::OperatorStop);
    drop(lock);

    let last = posture(&config);
    assert_eq!((last.counts.findings, last.counts.folded, last.monitor_enabled), (1, 2, false));
    assert_eq!(last.coverage.unscanned(UnscannedReason::InProgress).messages, 0);
    assert_eq!(
        (verified(&config, false), verified(&config, true)),
        (VerdictResult::NotCurrent, VerdictResult::Verified)
    );
    for file in files(&config.home) {
        let bytes = fs::read(&file).unwrap();
        assert!(!bytes.windows(16).any(|w| w == &secret.as_bytes()[8..24]), "{}", file.display());
    }
    assert!(!config.home.join("run/control.sock").exists() && !config.home.join("run/monitor.json").exists());
}

#[test]
fn a_second_monitor_is_told_who_has_the_folder() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path());
    let monitor = Monitor::start(&config, Options::default());
    match monitor::run(config.clone(), Options::default(), |_| panic!("two monitors")) {
        Err(MonitorError::Home(HomeError::Held { pid, .. })) => assert_eq!(pid, Some(std::process::id())),
        other => panic!("{other:?}"),
    }
    assert_eq!(monitor.home.running().unwrap().listen, monitor.started.listen);
    ended_well(monitor);
}

#[test]
fn a_monitor_for_runs_ends_with_the_last_of_them() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path());
    let monitor = Monitor::start(&config, Options { until_last_lease: true, ..Options::default() });
    let first = control::lease(&monitor.home, GIVE_UP).unwrap();
    let second = control::lease(&monitor.home, GIVE_UP).unwrap();
    drop(first);
    assert_eq!(monitor.status().monitor_status, MonitorStatus::Running);
    drop(second);
    assert_eq!(monitor.ended(), Ended::RunFinished);
    assert!(posture(&config).monitor_enabled);
    assert_eq!(verified(&config, true), VerdictResult::Verified);
}

#[test]
fn a_lost_state_folder_stops_no_traffic_and_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path());
    let monitor = Monitor::start(&config, Options::default());
    let secret = planted();
    let origin = origin(secret.len());
    let token = token(&config);
    monitor.post(origin, &token, &secret);
    monitor.status_when(|s| s.counts.findings == 1);
    let anchor = fs::read(config.home.join("signing.pub.pem")).unwrap();
    fs::remove_file(config.log_dir.join("findings.jsonl")).unwrap();
    fs::remove_dir_all(&config.export_dir).unwrap();
    assert!(monitor.post(origin, &token, &secret.replace('A', "B")).ends_with("ok"));
    monitor.status_when(|s| s.counts.findings == 2);
    control::ask(&monitor.home, &Request::Export, GIVE_UP).unwrap();
    assert_eq!(fs::read(config.home.join("signing.pub.pem")).unwrap(), anchor);
    assert_eq!(verified(&config, false), VerdictResult::Verified);
    control::ask(&monitor.home, &Request::Stop, GIVE_UP).unwrap();
    monitor.ended();
}

#[test]
fn a_port_that_is_taken_is_an_error_and_leaves_no_lock() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = config(dir.path());
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    config.listen = taken.local_addr().unwrap();
    let error = monitor::run(config.clone(), Options::default(), |_| panic!("ready")).unwrap_err();
    assert_eq!(error.to_string(), format!("could not listen on {}", config.listen));
    assert!(error.hint().contains("--listen"));
    assert!(Home::of(&config).lock().is_ok());
}

#[test]
fn a_monitor_proves_at_start_and_each_period_that_it_sees_and_counts_nothing_but_that() {
    for inspect_https in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let mut config = config(dir.path());
        config.export_every = Duration::from_secs(1);
        config.ca.mode = Some(posture::CaMode::Ephemeral);
        let monitor = Monitor::start(&config, Options { inspect_https, ..Options::default() });
        let status = monitor.status_when(|status| status.attested.self_tests >= 2);
        assert_eq!(status.self_test.result, posture::SelfTestResult::Passed);
        assert!(status.self_test.last_run_at.is_some());
        assert_eq!(status.monitor_status, MonitorStatus::Running);
        assert_eq!((&status.coverage, status.refusals.len()), (&posture::Coverage::default(), 0));
        assert_eq!((status.counts.findings, status.attested.expected), (0, 0));
        ended_well(monitor);
        assert_eq!(verified(&config, true), VerdictResult::Verified, "stopping is no failed test");
    }
}
