//! Known secrets and canaries, from the file they stand in to the log: found, counted, and nowhere written down.

use crate::{
    monitor::{Monitor, config, ended_well, files, origin, posture, token, verified},
    place::{BIN, Place, Said},
};
use guardian::monitor::Options;
use posture::VerdictResult;
use serde_json::Value;
use std::{fs, io::Write, path::Path};

/// Sixteen characters of no shape a rule knows.
fn secret(n: usize) -> String {
    let letters = b"ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnpqrstuvwxyz23456789";
    (0..16).map(|i| char::from(letters[(i * 37 + n * 19 + i * i * n) % letters.len()])).collect()
}

fn write(path: &Path, text: &str) {
    fs::File::create(path).unwrap().write_all(text.as_bytes()).unwrap();
}

/// No piece of eight characters of a value is in a file of the state folder.
fn nowhere(home: &Path, value: &str) {
    for file in files(home) {
        let bytes = fs::read(&file).unwrap();
        let shown = |piece: &[u8]| bytes.windows(piece.len()).any(|w| w == piece);
        assert!(!value.as_bytes().windows(8).any(shown), "{}", file.display());
    }
}

#[test]
fn what_the_env_file_holds_is_found_and_after_an_edit_what_it_holds_then() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = config(dir.path());
    config.known_secrets.enabled = true;
    let (one, two) = (secret(1), secret(2));
    write(&dir.path().join(".env"), &format!("DB_PASSWORD={one}\nSHORT_KEY=abc\n"));
    let monitor = Monitor::start(&config, Options::default());
    let known = monitor.status().known;
    assert_eq!((known.enabled, known.secrets, known.skipped, known.canaries), (true, 1, 1, 0));
    let (body_one, body_two) = (format!("{{\"note\":\"{one}\"}}"), format!("{{\"note\":\"{two}\"}}"));
    let (origin, token) = (origin(body_one.len()), token(&config));
    assert!(monitor.post(origin, &token, &body_two).ends_with("ok"));
    assert!(monitor.post(origin, &token, &body_one).ends_with("ok"));
    let status = monitor.status_when(|s| s.coverage.scanned.messages == 4 && s.counts.findings > 0);
    assert_eq!(status.counts.findings, 1);
    let family: Vec<_> = status.counts.family.iter().map(|c| (c.name.as_str(), c.count)).collect();
    assert_eq!(family, [("known_secret", 1)]);

    write(&dir.path().join(".env"), &format!("DB_PASSWORD={two}\nA_TOKEN={}\n", secret(3)));
    monitor.status_when(|s| s.known.secrets == 2);
    monitor.post(origin, &token, &body_two);
    monitor.status_when(|s| s.counts.findings == 2);
    monitor.post(origin, &token, &body_one);
    monitor.status_when(|s| s.coverage.scanned.messages == 8);
    monitor.post(origin, &token, &body_one.replace(&one, &secret(3)));
    monitor.status_when(|s| s.coverage.scanned.messages == 10 && s.counts.findings > 2);
    ended_well(monitor);
    let counts = posture(&config).counts;
    assert_eq!((counts.findings, counts.folded), (3, 0), "the old value is no secret any more");
    assert_eq!(verified(&config, true), VerdictResult::Verified);
    nowhere(&config.home, &one);
    nowhere(&config.home, &two);
}

#[test]
fn a_canary_is_printed_once_found_without_a_restart_and_looked_for_no_longer_once_removed() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path());
    let verb = |args: &[&str]| {
        let mut command = assert_cmd::Command::new(BIN);
        command.env_clear().env("HOME", dir.path()).env("HERMES_HOME", dir.path());
        Said::of(command.arg("--home").arg(&config.home).args(args))
    };
    let early = verb(&["canary", "new"]);
    assert_eq!((early.code, early.out.as_str()), (74, ""), "{}", early.err);
    assert!(early.err.contains("the first `start` makes the key"), "{}", early.err);
    let none = verb(&["canary", "list"]);
    assert_eq!((none.code, none.out.as_str()), (0, ""), "{}", none.err);

    let monitor = Monitor::start(&config, Options::default());
    let made = verb(&["canary", "new"]);
    assert_eq!(made.code, 0, "{}", made.err);
    let canary = made.out.trim_end().to_owned();
    assert_eq!((canary.len(), made.out.lines().count()), (38, 1));
    assert!(!made.err.contains(&canary[..8]));
    let other = verb(&["canary", "new", "--json"]).json();
    monitor.status_when(|s| s.known.canaries == 2);
    let body = format!("{{\"text\":\"cat notes: {canary}\"}}");
    let (origin, token) = (origin(body.len()), token(&config));
    monitor.post(origin, &token, &body);
    let status = monitor.status_when(|s| s.counts.findings == 1);
    assert_eq!(status.counts.severity.iter().map(|c| c.name.as_str()).collect::<Vec<_>>(), ["critical"]);

    let list = verb(&["canary", "list", "--json"]).json();
    let rows = list["canaries"].as_array().unwrap();
    let seen = |row: &Value| (row["seen"].as_u64().unwrap(), row["recognised"].as_bool().unwrap());
    assert_eq!(rows.iter().map(seen).collect::<Vec<_>>(), [(1, true), (0, true)]);
    assert_eq!(rows[1]["id"], other["id"]);
    let id = rows[0]["id"].as_str().unwrap();
    let broken = config.home.join("canaries/0123456789abcdef.json");
    write(&broken, "{");
    let with_broken = verb(&["canary", "list", "--json"]).json();
    let rows = with_broken["canaries"].as_array().unwrap();
    assert_eq!(rows.len(), list["canaries"].as_array().unwrap().len() + 1, "one that cannot be read hides no other");
    let row = rows.iter().find(|row| row["id"] == "0123456789abcdef").unwrap();
    assert_eq!((&row["made_at"], &row["recognised"]), (&Value::Null, &Value::Bool(false)));
    let shown = verb(&["canary", "list"]);
    assert!(shown.code == 0 && shown.out.contains("its file cannot be read"), "{}{}", shown.out, shown.err);
    monitor.status_when(|s| s.known.canaries == 2 && s.known.skipped == 1);
    assert_eq!(verb(&["canary", "remove", "0123456789abcdef"]).code, 0);
    let shown = verb(&["canary", "list"]);
    assert!(shown.out.contains(id) && !shown.out.contains(&canary[..8]), "{}", shown.out);
    assert_eq!(verb(&["canary", "remove", id]).code, 0);
    assert_eq!(verb(&["canary", "remove", id]).code, 1);
    assert_eq!(verb(&["canary", "remove", "../../x"]).code, 1);
    monitor.status_when(|s| s.known.canaries == 1);
    monitor.post(origin, &token, &body);
    monitor.status_when(|s| s.coverage.scanned.messages == 4);
    monitor.post(origin, &token, &body.replace(&canary, other["canary"].as_str().unwrap()));
    monitor.status_when(|s| s.coverage.scanned.messages == 6 && s.counts.findings == 2);
    ended_well(monitor);
    assert_eq!(posture(&config).counts.folded, 0, "one that was removed is not looked for");
    nowhere(&config.home, &canary);
    nowhere(&config.home, other["canary"].as_str().unwrap());
}

#[test]
fn a_variable_the_operator_names_reaches_a_monitor_in_the_background_and_no_other_does() {
    let config = "listen = \"127.0.0.1:0\"\n[known_secrets]\nenabled = true\nvariables = [\"MINE\", \"NOT_SET\"]\n";
    let place = Place::with_config(config);
    let (mine, other) = (secret(4), secret(5));
    let started = Said::of(place.command().args(["start", "--background"]).env("MINE", &mine).env("OTHER_KEY", &other));
    assert_eq!(started.code, 0, "{}", started.err);
    let status = place.run(&["status", "--json"]).json();
    let environment = fs::read(format!("/proc/{}/environ", status["pid"])).unwrap_or_default();
    let doctor = place.run(&["doctor"]);
    let screen = place.run(&["status"]);
    let stopped = place.run(&["stop", "--timeout", "20s"]);
    assert_eq!(stopped.code, 0, "{}", stopped.err);
    assert_eq!((status["known"]["secrets"].as_u64(), status["known"]["skipped"].as_u64()), (Some(1), Some(1)));
    assert!(!environment.windows(8).any(|w| w == &other.as_bytes()[..8]));
    assert!(doctor.out.contains("NOT_SET is not looked for"), "{}", doctor.out);
    assert!(screen.out.contains("1 secrets, 1 not looked for"), "{}", screen.out);
    for said in [&doctor.out, &screen.out, &status.to_string()] {
        assert!(!said.contains(&mine[..8]));
    }
    nowhere(&place.home(), &mine);
}
