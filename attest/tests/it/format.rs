//! `FORMAT.md` against the code: its worked examples are made anew, byte for byte, and verified.

use crate::support::{Home, expect, key, put};
use attest::{Folder, verify};
use posture::{EventBody, Family, RunId, VerdictResult};
use std::{
    fs,
    path::{Path, PathBuf},
};

const FORMAT: &str = include_str!("../../FORMAT.md");
const SCRIPT: &str = include_str!("../../verify.sh");
const EXAMPLE: &str = "tests/vectors/example";
const FILES: [&str; 7] = [
    "signing.pub.pem",
    "findings.jsonl",
    "export/000000000001/state.json",
    "export/000000000001/state.json.sig",
    "export/000000000001/posture.json",
    "export/000000000001/posture.json.sig",
    "verdict.json",
];

fn example() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(EXAMPLE)
}

/// The example as today's code makes it.
fn made() -> Home {
    let mut home = Home::empty();
    home.event(EventBody::Start { run_id: RunId::from_bytes(&[0x5a; 16]) });
    home.find(Family::AiApiKey);
    home.event(EventBody::Fold { count: 3, finding_seq: 2 });
    home.export(|_| {});
    put(
        &home.at("verdict.json"),
        &attest::report::verdict(VerdictResult::Verified, Some(home.key.public().key_id())).unwrap(),
    );
    home
}

#[test]
fn the_example_is_what_the_code_makes() {
    let home = made();
    for name in FILES {
        let (made, kept) = (fs::read(home.at(name)).unwrap(), fs::read(example().join(name)).unwrap_or_default());
        assert_eq!(String::from_utf8(made).unwrap(), String::from_utf8(kept).unwrap(), "{name}");
    }
}

#[test]
fn the_example_verifies_as_it_lies() {
    // A checkout may drop links: the highest generation is read.
    expect(&verify(&Folder::open(&example()), &made().options()), 0, "none");
}

#[test]
fn the_text_shows_the_example() {
    for name in FILES {
        for line in fs::read_to_string(example().join(name)).unwrap().lines() {
            assert!(FORMAT.contains(&format!("{line}\n")), "{name}: {line}");
        }
    }
    assert!(FORMAT.contains(&key(1).public().key_id().to_string()));
}

#[test]
fn the_text_shows_the_script_and_it_stays_small() {
    assert!(FORMAT.contains(&format!("```sh\n{SCRIPT}```\n")));
    assert!(SCRIPT.lines().count() <= 40);
}

#[test]
fn every_row_of_the_attacks_names_a_test_there_is() {
    let sources = [
        include_str!("attacks.rs"),
        include_str!("hostile.rs"),
        include_str!("memory.rs"),
        include_str!("mutations.rs"),
        include_str!("recovery.rs"),
        include_str!("retention.rs"),
        include_str!("rotation.rs"),
        include_str!("time.rs"),
    ];
    let rows = sources[0].lines().filter(|l| l.starts_with("//! |")).filter_map(|l| l.rsplit('|').nth(1));
    let names = rows.flat_map(|cell| cell.split('`').skip(1).step_by(2)).filter(|name| name.contains('_'));
    let mut count = 0;
    for name in names {
        let function = format!("fn {}(", name.rsplit("::").next().unwrap());
        assert!(sources.iter().any(|source| source.contains(&function)), "{name}");
        count += 1;
    }
    assert!(count > 40, "{count}");
}
