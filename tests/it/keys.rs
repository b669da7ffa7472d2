//! The signing key by its verbs: rotated under a monitor at work, walked to, and remembered by a reader.

use crate::place::{Place, Said};
use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::Command,
};

/// The monitor of a place, stopped when the test ends.
struct Stopped<'a>(&'a Place);

impl Drop for Stopped<'_> {
    fn drop(&mut self) {
        let _ = self.0.command().args(["stop", "--timeout", "20s"]).output();
    }
}

/// A place with a monitor at work, and a reader's folder beside it.
struct Rotated {
    place: Place,
    reader: tempfile::TempDir,
}

impl Rotated {
    fn new() -> Self {
        let this =
            Self { place: Place::with_config("listen = \"127.0.0.1:0\"\n"), reader: tempfile::tempdir().unwrap() };
        let started = this.run(&["start", "--background"]);
        assert_eq!(started.code, 0, "{}", started.err);
        assert_eq!(this.run(&["export"]).code, 0);
        fs::copy(this.place.home().join("signing.pub.pem"), this.pin()).unwrap();
        this
    }

    fn run(&self, args: &[&str]) -> Said {
        self.place.run(args)
    }

    /// The first key, noted by the reader.
    fn pin(&self) -> PathBuf {
        self.reader.path().join("pinned.pem")
    }

    fn memory(&self) -> PathBuf {
        self.reader.path().join("memory.json")
    }

    /// The reader's verification of `folder`, pinned to the first key.
    fn verify(&self, folder: &Path, more: &[&str]) -> Said {
        let (folder, pin) = (folder.display().to_string(), self.pin().display().to_string());
        self.run(&[&["verify", &folder, "--public-key", &pin, "--json"], more].concat())
    }

    fn copy(&self, name: &str) -> PathBuf {
        let to = self.reader.path().join(name);
        let copied = Command::new("cp").args([Path::new("-a"), &self.place.home(), &to]).status().unwrap();
        assert!(copied.success());
        to
    }
}

impl Drop for Rotated {
    fn drop(&mut self) {
        drop(Stopped(&self.place));
    }
}

fn reason(said: &Said) -> (i32, String) {
    (said.code, said.json()["reason"]["code"].as_str().unwrap_or_default().to_owned())
}

#[test]
fn a_key_rotated_under_a_monitor_is_shown_and_walked_to() {
    let rotated = Rotated::new();
    let before = rotated.run(&["keys", "show", "--json"]).json();
    assert_eq!(before["rotations"], serde_json::json!([]));
    let said = rotated.run(&["keys", "rotate", "--json"]);
    assert_eq!(said.code, 0, "{}", said.err);
    let said = said.json();
    assert_eq!((&said["monitor_running"], &said["number"]), (&true.into(), &1.into()));
    assert_eq!(said["old_key_id"], before["key_id"]);
    let after = rotated.run(&["keys", "show", "--json"]).json();
    assert_eq!(after["key_id"], said["new_key_id"]);
    assert_eq!(after["rotations"][0]["from_sequence"], said["from_sequence"]);
    assert!(rotated.run(&["keys", "show"]).out.contains("rotation 1"));
    assert_eq!(rotated.run(&["status", "--json"]).json()["key_id"], said["new_key_id"]);

    let own = rotated.run(&["verify"]);
    assert_eq!(own.code, 0, "{}", own.out);
    let walked = rotated.verify(&rotated.place.home(), &[]);
    assert_eq!(walked.code, 0, "{}", walked.out);
    let walked = walked.json();
    assert_eq!((&walked["key_id"], &walked["posture"]["key_id"]), (&before["key_id"], &said["new_key_id"]));
    let limits: Vec<_> = walked["limits"].as_array().unwrap().iter().map(|l| l["name"].as_str().unwrap()).collect();
    assert!(limits.contains(&"older_anchor"), "{limits:?}");

    // The monitor ends, and the next key comes without one.
    assert_eq!(rotated.run(&["stop"]).code, 0);
    let again = rotated.run(&["keys", "rotate", "--json"]).json();
    assert_eq!((&again["monitor_running"], &again["number"]), (&false.into(), &2.into()));
    let walked = rotated.verify(&rotated.place.home(), &["--accept-stopped"]);
    assert_eq!((walked.code, &walked.json()["posture"]["ended"]), (0, &"operator_stop".into()));
    assert_eq!(rotated.run(&["start", "--background"]).code, 0);
    assert_eq!(rotated.run(&["verify"]).code, 0);

    let home = rotated.place.home();
    fs::remove_file(home.join("rotations.jsonl")).unwrap();
    assert_eq!(reason(&rotated.verify(&home, &[])), (1, "signature".into()));
    assert_eq!(reason(&rotated.run(&["verify", "--json"])), (1, "rotation_missing".into()));
}

#[test]
fn a_reader_who_remembers_sees_a_folder_set_back() {
    let rotated = Rotated::new();
    let memory = rotated.memory().display().to_string();
    let early = rotated.copy("early");
    let verify = |folder: &Path, more: &[&str]| rotated.verify(folder, &[&["--memory", &memory], more].concat());
    let first = verify(&rotated.place.home(), &[]);
    assert_eq!(first.code, 0, "{}", first.out);
    assert!(first.err.contains("remembered nothing yet"), "{}", first.err);
    let limits = |said: &Said| said.json()["limits"].to_string().contains("folder_rollback");
    assert!(limits(&first), "nothing was remembered yet");

    assert_eq!(rotated.run(&["keys", "rotate"]).code, 0);
    let second = verify(&rotated.place.home(), &[]);
    assert_eq!((second.code, limits(&second)), (0, false), "{}", second.out);
    let kept: posture::Memory = attest::memory::read(&fs::read(&memory).unwrap()).unwrap();
    assert_eq!(kept.newest_key_id.as_str(), second.json()["posture"]["key_id"].as_str().unwrap());

    let back = verify(&early, &["--max-age", "1h"]);
    assert_eq!(reason(&back).0, 3, "{}", back.out);
    assert!(back.json()["message"].as_str().unwrap().contains("backup"), "{}", back.out);
    assert_eq!(attest::memory::read(&fs::read(&memory).unwrap()).unwrap(), kept, "nothing is learnt from it");
    let accepted = verify(&early, &["--max-age", "1h", "--accept-restore"]);
    assert_eq!(accepted.code, 0, "{}", accepted.out);
    assert!(!accepted.json()["accepted"].is_null());
    assert!(attest::memory::read(&fs::read(&memory).unwrap()).unwrap().sequence < kept.sequence);
    assert_eq!(verify(&rotated.place.home(), &[]).code, 0);
}

#[test]
fn a_memory_that_is_none_or_lies_in_the_folder_is_refused() {
    let rotated = Rotated::new();
    let home = rotated.place.home();
    let within = home.join("memory.json").display().to_string();
    let said = rotated.verify(&home, &["--memory", &within]);
    assert_eq!(said.code, 64);
    assert!(said.err.contains("set back with it"), "{}", said.err);
    fs::File::create(rotated.memory()).unwrap().write_all(b"{}").unwrap();
    let memory = rotated.memory().display().to_string();
    let said = rotated.run(&["verify", "--memory", &memory, "--write-verdict"]);
    assert_eq!(said.code, 74, "{}", said.err);
    assert!(said.err.contains("not a memory"), "{}", said.err);
    assert!(fs::read_to_string(home.join("verdict.json")).unwrap().contains("unverifiable"));
    assert_eq!(fs::read_to_string(rotated.memory()).unwrap(), "{}", "left as it was");
    assert_eq!(rotated.run(&["verify", "--accept-restore"]).code, 64);
    fs::remove_file(rotated.memory()).unwrap();
    let said = rotated.run(&["verify", "--memory", &memory, "--write-verdict"]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(fs::read_to_string(home.join("verdict.json")).unwrap().contains("\"verified\""));
}

#[test]
fn keys_provided_by_the_service_manager_are_not_rotated() {
    let place = Place::with_config("listen = \"127.0.0.1:0\"\n");
    let lent = tempfile::tempdir().unwrap();
    let _stopped = Stopped(&place);
    let run = |args: &[&str]| {
        let mut command = place.command();
        Said::of(command.env("CREDENTIALS_DIRECTORY", lent.path().join("keys")).args(args))
    };
    assert_eq!(run(&["start", "--background"]).code, 0);
    assert_eq!(run(&["export"]).code, 0);
    // The monitor knows it, whoever asks.
    let said = place.run(&["keys", "rotate"]);
    assert_eq!(said.code, 1, "{}", said.err);
    assert!(said.err.contains("cannot be replaced there") && said.err.contains("keys.dir"), "{}", said.err);
    assert_eq!(run(&["stop"]).code, 0);
    let said = run(&["keys", "rotate"]);
    assert_eq!(said.code, 1, "{}", said.err);
    assert!(said.err.contains("cannot be replaced there"), "{}", said.err);
    assert!(!place.home().join("rotations.jsonl").exists());
}
