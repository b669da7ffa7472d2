//! Bytes → the other files that are read, whoever wrote them: Hermes' settings, a canary, who runs, certificates, a
//! reader's memory, a text to scan; what is said on the control socket, by whom it may be; and spans of time.

#![no_main]

use guardian::{
    cli,
    config::Config,
    control,
    flow::{
        capture::ca::{Roots, operator},
        detect::{
            Detector, Limits,
            known::{CanaryError, DigestKeys, MAX_VALUE, MIN_VALUE, Planted, kind_of, secret_of},
            offline,
        },
        redact,
    },
    home::Home,
    platform::{dotenv, yaml::Scalars},
};
use libfuzzer_sys::fuzz_target;
use posture::{Direction, Timestamp};
use std::{
    fs,
    net::IpAddr,
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    sync::{Arc, LazyLock},
};
use tempfile::TempDir;

static FOLDER: LazyLock<TempDir> = LazyLock::new(|| tempfile::tempdir().expect("a folder"));
static DETECTOR: LazyLock<Arc<Detector>> = LazyLock::new(|| Detector::new(Limits::default(), &[], None));

fuzz_target!(|input: &[u8]| {
    let [kind, bytes @ ..] = input else { return };
    match kind % 11 {
        0 => dotenv_file(bytes),
        1 => yaml_file(bytes),
        2 => canary(bytes),
        3 => who_runs(bytes),
        4 => certificates(bytes),
        5 => memory(bytes),
        6 => a_text(bytes),
        7 => a_name(bytes),
        8 => control::hostile::socket(bytes),
        9 => control::hostile::peer(bytes),
        _ => cli::hostile::times(bytes),
    }
});

/// A file of these bytes that is ours alone.
fn file(name: &str, bytes: &[u8]) -> PathBuf {
    let path = FOLDER.path().join(name);
    fs::write(&path, bytes).expect("a file");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("a mode");
    path
}

fn now() -> Timestamp {
    "2026-04-26T00:00:00.000Z".parse().expect("a time")
}

/// Variables are of the file; a secret is of its value; and what is told of a line is a name we know.
fn dotenv_file(bytes: &[u8]) {
    let (mut names, mut values) = (0, 0);
    dotenv::variables(bytes, &mut |name, value| {
        names += name.len();
        values += value.len();
        assert!(!name.is_empty());
        if let Some(kind) = kind_of(name)
            && let Ok(Some(secret)) = secret_of(kind, value)
        {
            assert!((MIN_VALUE..=MAX_VALUE).contains(&secret.len()) && secret.len() <= value.len());
        }
    });
    assert!(names + values <= bytes.len());
    let lines = bytes.split(|byte| *byte == b'\n').count();
    let path = file(".env", bytes);
    for over in dotenv::overrides(&path) {
        assert!(over.name.len() <= 64 && over.name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'));
        assert!(bytes.windows(over.name.len()).any(|part| part == over.name.as_bytes()) && over.line <= lines);
    }
    let text = std::str::from_utf8(bytes).is_ok();
    assert!(!text || dotenv::overrides_but(&path, &|_, _| true).is_empty(), "what is ours is told");
}

/// What is read of it stands in it.
fn yaml_file(bytes: &[u8]) {
    let scalars = Scalars::read(&file("config.yaml", bytes));
    let text = String::from_utf8_lossy(bytes);
    for value in scalars.ending(&[]) {
        assert!(!value.is_empty() && !value.contains('\n') && text.contains(value));
    }
    for name in scalars.holding("mcp_servers", "command") {
        assert!(text.contains(name));
    }
}

/// What is taken for a canary's file is written again as what it says, and is another key's.
fn canary(bytes: &[u8]) {
    let Ok(planted) = Planted::read(bytes) else { return };
    assert_eq!(Planted::read(&planted.to_bytes()).expect("its own file"), planted);
    assert!(planted.to_bytes().len() <= 4096);
    match planted.recognised(&DigestKeys::new(&[7; 32], &[8; 32])) {
        Err(CanaryError::OtherKey) => {}
        Err(CanaryError::Form | CanaryError::Random(_)) => panic!("it was read"),
        Ok(_) => panic!("nobody has that key"),
    }
}

/// Nobody is believed to run who does not hold the lock under the name in it.
fn who_runs(bytes: &[u8]) {
    let end = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    let (lock, monitor) = (&bytes[..end], bytes.get(end + 1..).unwrap_or_default());
    fs::create_dir_all(FOLDER.path().join("run")).expect("a folder");
    file("run/lock", lock);
    file("run/monitor.json", monitor);
    let home = Home::of(&Config::defaults(FOLDER.path().to_owned(), FOLDER.path().to_owned()));
    if let Some(running) = home.running() {
        assert!(String::from_utf8_lossy(lock).contains(&format!("{} {}", running.pid, running.nonce)));
        assert!(running.start_time.is_some(), "nobody holds the lock");
    }
}

/// A chain or a refusal that names the file alone.
fn certificates(bytes: &[u8]) {
    let path = file("certificates.pem", bytes);
    let key = file("key.pem", b"no key");
    for error in [Roots::check(&path).err(), operator(&path, &key, now()).err()].into_iter().flatten() {
        let said = error.to_string();
        assert!(said.len() < 300 && !said.contains(|c: char| c.is_control()), "{said}");
    }
    assert!(operator(&path, &key, now()).is_err(), "there is no key");
}

/// A memory is read in one spelling.
fn memory(bytes: &[u8]) {
    if let Ok(memory) = attest::memory::read(bytes) {
        assert_eq!(attest::memory::to_vec(&memory).expect("what was read can be written"), bytes);
    }
}

/// Scanned twice, a text is the same; and nothing is found that is not in it or packed in it.
fn a_text(bytes: &[u8]) {
    let [choice, text @ ..] = bytes else { return };
    let direction = if choice % 2 == 0 { Direction::Outbound } else { Direction::Inbound };
    let host = (choice % 4 < 2).then_some("api.example.test");
    let pass = || {
        let mut hits = Vec::new();
        let scanned = offline::scan(&DETECTOR, direction, text, host, &mut |hit| {
            hits.push((hit.rule.id().clone(), hit.severity, hit.expected, hit.matched.to_vec()));
        });
        (hits, scanned.bytes, scanned.unscanned)
    };
    let first = pass();
    assert!(first.1 <= text.len() as u64);
    assert!(first == pass(), "another answer for the same text");
}

/// Whatever a host or a text is, what is shown of it can be printed, is of it, and has its bound.
fn a_name(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let host = redact::host(&text);
    assert!(!host.contains(|c: char| c.is_control() || c.is_whitespace()), "{host:?}");
    let (lower, address) = (text.to_ascii_lowercase(), text.trim_matches(['[', ']']).parse::<IpAddr>().is_ok());
    let its_own = |label: &str| label == "[redacted]" || lower.contains(label);
    assert!(address || host.split('.').all(its_own), "{host:?} of {text:?}");
    // A name has 253 characters, and so 254 labels at most; of each no more is shown than that it is redacted.
    let destination = redact::destination(&text, 443);
    assert!(destination.ends_with(":443") && destination.len() <= 254 * "[redacted].".len() + 4, "{destination:?}");
    let shown = redact::text(&text);
    assert!(shown.len() <= 4 * text.len() + 200, "{} of {}", shown.len(), text.len());
}
