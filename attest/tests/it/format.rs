//! `FORMAT.md` against the code: its worked examples are made anew, byte for byte, and verified.

use crate::support::{Home, expect, key, put};
use attest::{Anchor, Folder, digest::sha256, memory, verify};
use data_encoding::HEXLOWER;
use keys::{PublicKey, Signature};
use posture::{EventBody, Family, RunId, VerdictResult};
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
};

const FORMAT: &str = include_str!("../../FORMAT.md");
const SCRIPT: &str = include_str!("../../verify.sh");
const EXAMPLE: &str = "tests/vectors/example";
/// The same folder later, with another key.
const ROTATED: &str = "tests/vectors/rotated";
const ROTATED_FILES: [&str; 7] = [
    "signing.pub.pem",
    "findings.jsonl",
    "rotations.jsonl",
    "export/000000000003/state.json",
    "export/000000000003/state.json.sig",
    "export/000000000003/posture.json",
    "export/000000000003/posture.json.sig",
];
const FILES: [&str; 8] = [
    "memory.json",
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

fn rotated_example() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(ROTATED)
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
    let remembered = home.verify().memory.unwrap();
    put(&home.at("memory.json"), &memory::to_vec(&remembered).unwrap());
    home
}

/// And what becomes of it when its key gives way to key 2.
fn made_later() -> Home {
    let mut home = made();
    home.rotate(key(2));
    home.put_anchor();
    home
}

#[test]
fn the_examples_are_what_the_code_makes() {
    let made = [(made(), example(), &FILES[..]), (made_later(), rotated_example(), &ROTATED_FILES)];
    for (home, kept, files) in made {
        for name in files {
            let made = fs::read(home.at(name)).unwrap();
            if std::env::var_os("HTG_RENEW").is_some() {
                fs::create_dir_all(kept.join(name).parent().unwrap()).unwrap();
                put(&kept.join(name), &made);
            }
            let kept = fs::read(kept.join(name)).unwrap_or_default();
            let text = |bytes| String::from_utf8(bytes).unwrap();
            assert_eq!(text(made), text(kept), "{name}: with HTG_RENEW=1 this test writes it anew");
        }
    }
}

#[test]
fn the_example_verifies_as_it_lies() {
    // A checkout may drop links: the highest generation is read.
    let options = made().options();
    expect(&verify(&Folder::open(&example()), &options), 0, "none");
    expect(&verify(&Folder::open(&rotated_example()), &options), 0, "none");
    let newer = attest::Options { anchor: Anchor::Pinned(key(2).public()), ..options };
    expect(&verify(&Folder::open(&rotated_example()), &newer), 0, "none");
    expect(&verify(&Folder::open(&example()), &newer), 1, "signature");
}

#[test]
fn the_text_shows_the_example() {
    for name in FILES {
        for line in fs::read_to_string(example().join(name)).unwrap().lines() {
            assert!(FORMAT.contains(&format!("{line}\n")), "{name}: {line}");
        }
    }
    assert!(FORMAT.contains(&key(1).public().key_id().to_string()));
    for name in ["findings.jsonl", "rotations.jsonl"] {
        let text = fs::read_to_string(rotated_example().join(name)).unwrap();
        assert!(FORMAT.contains(&format!("\n{}\n", text.lines().last().unwrap())), "{name}");
    }
}

/// The lines of each example in the text, in their order.
fn shown() -> Vec<Vec<&'static str>> {
    let blocks = FORMAT.split("\n```text\n").skip(1);
    blocks.map(|block| block.split("\n```").next().unwrap().lines().collect()).collect()
}

/// Nothing but the text is read: what it shows holds together by its own rules.
#[test]
fn the_text_proves_what_it_shows() {
    let shown = shown();
    let is_hash = |line: &str| line.len() == 64 && line.bytes().all(|b| b.is_ascii_hexdigit());
    let mut hashed = 0;
    for block in shown.iter().filter(|block| block.len() == 2 && is_hash(block[1]) && !is_hash(block[0])) {
        assert_eq!(sha256(block[0]).to_string(), block[1]);
        hashed += 1;
    }
    assert_eq!(hashed, 6, "a key, four records and a statement");

    let key =
        |hex: &str| PublicKey::from_bytes(HEXLOWER.decode(hex.as_bytes()).unwrap()[..].try_into().unwrap()).unwrap();
    let first = shown.iter().find(|block| block.len() == 1 && is_hash(block[0])).unwrap()[0];
    let json = |line: &str| serde_json::from_str::<Value>(line).ok().filter(Value::is_object);
    let documents = shown.windows(2).filter(|pair| json(pair[0][0]).is_some() && pair[1][0].ends_with("=="));
    let mut signed = 0;
    for pair in documents {
        let signature = Signature::from_base64_line(format!("{}\n", pair[1][0]).as_bytes()).unwrap();
        key(first).verify(pair[0][0].as_bytes(), &signature).unwrap();
        signed += 1;
    }
    assert_eq!(signed, 2, "a state and a posture");

    let with = |member: &str| {
        let lines = shown.iter().filter(|block| json(block[0]).is_some_and(|value| value.get(member).is_some()));
        lines.map(|block| block[0]).collect::<Vec<_>>()
    };
    let (statement, signed) = (with("old_signature"), with("log_head"));
    let unsigned = signed.iter().find(|line| !line.contains("signature")).unwrap();
    let statement = json(statement[0]).unwrap();
    let said = |member: &str| statement[member].as_str().unwrap().to_owned();
    for of in ["old", "new"] {
        let signature =
            Signature::from_base64_line(format!("{}\n", said(&format!("{of}_signature"))).as_bytes()).unwrap();
        key(&said(&format!("{of}_public_key"))).verify(unsigned.as_bytes(), &signature).unwrap();
    }
    assert_eq!(said("old_public_key"), first);
    let event = shown.iter().find(|block| block[0].starts_with("{\"event\":{\"rotate\"")).unwrap();
    assert_eq!(said("log_head"), event[1]);

    let (memory, posture) = (json(with("anchor_key_id")[0]).unwrap(), with("generated_at")[0]);
    assert_eq!(memory["posture_sha256"], sha256(posture).to_string());
    assert_eq!(memory["log_head"], json(posture).unwrap()["finding_log_sha256"]);
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
        include_str!("attacks/anywhere.rs"),
        include_str!("attacks/at_work.rs"),
        include_str!("attacks/documents.rs"),
        include_str!("attacks/generations.rs"),
        include_str!("attacks/log.rs"),
        include_str!("attacks/nothing.rs"),
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
