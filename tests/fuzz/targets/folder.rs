//! Bytes → one file of a good folder, signed anew where that makes `verify` look deeper: an answer, never a panic, and
//! never "verified" for anything but what was there.

#![no_main]

use attest::{Anchor, Folder, Options, verify};
use keys::SigningKey;
use libfuzzer_sys::fuzz_target;
use std::{
    fs,
    path::{Path, PathBuf},
    sync::LazyLock,
};
use tempfile::TempDir;

const FILES: [&str; 6] = [
    "export/000000000001/posture.json",
    "export/000000000001/state.json",
    "export/000000000001/posture.json.sig",
    "export/000000000001/state.json.sig",
    "findings.jsonl",
    "signing.pub.pem",
];
/// The key of the example: the seed is 32 times the byte `01`.
const KEY: &str = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIAEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEB\n-----END PRIVATE KEY-----\n";

struct Example {
    home: TempDir,
    key: SigningKey,
    files: [Vec<u8>; 6],
}

static EXAMPLE: LazyLock<Example> = LazyLock::new(|| {
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../attest/tests/vectors/example");
    let home = tempfile::tempdir().expect("a folder");
    fs::create_dir_all(home.path().join("export/000000000001")).expect("a folder");
    let files = FILES.map(|name| fs::read(kept.join(name)).expect("the example"));
    for (name, bytes) in FILES.iter().zip(&files) {
        fs::write(home.path().join(name), bytes).expect("a file");
    }
    Example { home, key: SigningKey::from_pem(KEY).expect("a key"), files }
});

fuzz_target!(|input: &[u8]| {
    let Some((choice, bytes)) = input.split_first() else { return };
    let Example { home, key, files } = &*EXAMPLE;
    let which = usize::from(*choice) % FILES.len();
    let signed = which < 2 && *choice >= 128;
    let path = |which: usize| -> PathBuf { home.path().join(FILES[which]) };
    fs::write(path(which), bytes).expect("a file");
    if signed {
        fs::write(path(which + 2), key.sign(bytes).to_base64_line()).expect("a file");
    }
    let options = Options::new(Anchor::Own, "2026-04-26T00:00:30.000Z".parse().expect("a time"));
    let report = verify(&Folder::open(home.path()), &options);
    // Above the signed head the log may hold anything.
    let same = *bytes == files[which] || FILES[which] == "findings.jsonl" && bytes.starts_with(&files[which]);
    if !signed {
        assert_eq!(report.exit_code() == 0, same, "{:?}", report.reason);
    }
    serde_json::to_string(&report).expect("a report");
    for which in [which, (which + 2) % FILES.len()] {
        fs::write(path(which), &files[which]).expect("a file");
    }
});
