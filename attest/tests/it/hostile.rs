//! Hostile files in every place `verify` reads: an answer in bounded memory, never a panic, never "verified".

use crate::support::{Home, answer, expect, key, put, settled};
use attest::{Anchor, digest, digest::sha256};
use posture::{EventBody, Posture, State};
use std::{
    fs::{self, File},
    os::unix::fs::symlink,
    path::PathBuf,
    process::Command,
};

/// Everything `verify` reads of this folder. Its own anchor comes last.
fn places(home: &Home) -> Vec<PathBuf> {
    let documents =
        ["posture.json", "posture.json.sig", "state.json", "state.json.sig"].map(|name| home.exported(name));
    let others = ["findings-000000000001.jsonl", "findings.jsonl", "rotations.jsonl", "signing.pub.pem"];
    documents.into_iter().chain(others.map(|name| home.at(name))).collect()
}

fn rotated() -> Home {
    let mut home = Home::new();
    home.rotate(key(2));
    home.event(EventBody::Fold { count: 1, finding_seq: 2 });
    home.export(settled);
    home
}

fn nested(depth: usize) -> Vec<u8> {
    [b"[".repeat(depth), b"]".repeat(depth)].concat()
}

/// Does this to each place in turn, and looks at the answer.
fn each_place(damage: impl Fn(&PathBuf)) {
    let home = rotated();
    for path in places(&home) {
        let good = fs::read(&path).unwrap();
        fs::remove_file(&path).unwrap();
        damage(&path);
        let (exit, code) = answer(&home.verify_with(|o| o.anchor = Anchor::Own));
        assert!([1, 74].contains(&exit), "{}: {exit} {code}", path.display());
        fs::remove_file(&path).or_else(|_| fs::remove_dir(&path)).unwrap();
        put(&path, &good);
        expect(&home.verify_with(|o| o.anchor = Anchor::Own), 0, "none");
    }
}

#[test]
fn any_content_at_all_is_answered() {
    let members = |n: usize| format!("{{{}\"z\":1}}", "\"a\":1,".repeat(n)).into_bytes();
    let contents: [Vec<u8>; 14] = [
        b"\n".to_vec(),
        b"{}".to_vec(),
        b"{}\n".to_vec(),
        b"null\n".to_vec(),
        b"\"\\ud800\"\n".to_vec(),
        b"\xef\xbb\xbf{}\n".to_vec(),
        b"\xff\xfe{\x00}\x00".to_vec(),
        (0..=255).cycle().take(70_000).collect(),
        vec![0; 500_000],
        b"\n".repeat(500_000),
        b"{\"event\":\n".repeat(20_000),
        nested(30_000),
        nested(500_000),
        members(100_000),
    ];
    for content in contents {
        each_place(|path| put(path, &content));
    }
    let home = rotated();
    for path in places(&home) {
        let good = fs::read(&path).unwrap();
        // Without content there are no rotations: then the key that signs is not the one that is pinned.
        put(&path, b"");
        assert_eq!(answer(&home.verify_with(|o| o.anchor = Anchor::Own)).0, 1, "{}", path.display());
        put(&path, &good);
    }
}

#[test]
fn a_gigabyte_is_not_read() {
    each_place(|path| File::create(path).unwrap().set_len(1 << 30).unwrap());
    // Nor behind what is signed.
    let home = rotated();
    let length = fs::metadata(home.log()).unwrap().len();
    File::options().write(true).open(home.log()).unwrap().set_len(length + (1 << 30)).unwrap();
    expect(&home.verify(), 0, "none");
}

#[test]
fn what_is_no_file_is_not_waited_for() {
    each_place(|path| fs::create_dir(path).unwrap());
    each_place(|path| symlink(path.file_name().unwrap(), path).unwrap());
    each_place(|path| symlink("/dev/zero", path).unwrap());
    each_place(|path| assert!(Command::new("mkfifo").arg(path).status().unwrap().success()));
}

#[test]
fn a_signed_document_may_be_hostile_too() {
    let home = Home::new();
    let deep = |depth: usize| [b"{\"attested\":".repeat(depth), b"1".to_vec(), b"}".repeat(depth)].concat();
    let text = fs::read_to_string(home.exported("posture.json")).unwrap();
    let numbers = ["1e999", "-0", "1E400", "00", "9007199254740993", "18446744073709551616", "1.0", "NaN", "\"3\""];
    let edited = numbers.map(|n| text.replacen("\"expected\":3", &format!("\"expected\":{n}"), 1).into_bytes());
    let hostile = [nested(100_000), deep(50_000), deep(127), deep(129), b"\xff".to_vec(), vec![]];
    for bytes in hostile.into_iter().chain(edited) {
        home.forge(&home.key, "posture.json", &bytes);
        expect(&home.verify(), 1, "document");
    }
}

#[test]
fn a_later_version_of_a_state_and_of_an_event_is_unverifiable_only_if_signed() {
    let home = Home::new();
    let newer = fs::read_to_string(home.exported("state.json")).unwrap().replacen("state/v1", "state/v2", 1);
    let mut posture: Posture = serde_json::from_slice(&fs::read(home.exported("posture.json")).unwrap()).unwrap();
    posture.state_sha256 = sha256(&newer);
    digest::bind(&mut posture).unwrap();
    home.forge(&home.key, "posture.json", &attest::canonical::to_vec(&posture).unwrap());
    home.forge(&home.key, "state.json", newer.as_bytes());
    expect(&home.verify(), 74, "unknown_version");
    home.forge(&key(9), "state.json", newer.as_bytes());
    expect(&home.verify(), 1, "signature");
    assert!(attest::canonical::read::<State>(newer.replacen('{', "{\"actor\":1,", 1).as_bytes()).is_err());

    let mut home = Home::new();
    let line = home.chain.event(posture.generated_at, EventBody::Fold { count: 1, finding_seq: 2 }).unwrap().line;
    let line = String::from_utf8(line).unwrap().replace("event/v1", "event/v2").replacen("\"fold\"", "\"thaw\"", 1);
    home.append_raw(line.as_bytes());
    home.chain = attest::Chain::resume(home.chain.next_seq() + 1, sha256(line.trim_end()));
    home.export(settled);
    expect(&home.verify(), 74, "unknown_version");
    let unknown_event = line.replace("event/v2", "event/v1");
    put(&home.log(), fs::read_to_string(home.log()).unwrap().replace(&line, &unknown_event).as_bytes());
    expect(&home.verify(), 1, "log_line");
}
