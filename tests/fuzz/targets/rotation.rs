//! Bytes → `rotations.jsonl`, as they are and signed anew by both keys: a ring of keys or a refusal, never a panic.

#![no_main]

use attest::{Rotations, canonical};
use keys::SigningKey;
use libfuzzer_sys::fuzz_target;
use posture::Rotation;
use serde_json::Value;
use std::sync::LazyLock;

/// The keys whose seeds are 32 times the bytes `01` and `02`.
static KEYS: LazyLock<[SigningKey; 2]> = LazyLock::new(|| {
    let texts = [
        "MC4CAQAwBQYDK2VwBCIEIAEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEB",
        "MC4CAQAwBQYDK2VwBCIEIAICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgIC",
    ];
    texts.map(|digits| {
        let pem = format!("-----BEGIN PRIVATE KEY-----\n{digits}\n-----END PRIVATE KEY-----\n");
        SigningKey::from_pem(&pem).expect("a key")
    })
});

/// The first line, with the signatures it lacks.
fn signed(line: &[u8]) -> Option<Vec<u8>> {
    let mut value: Value = canonical::read(line).ok()?;
    let members = value.as_object_mut()?;
    members.retain(|name, _| name != "old_signature" && name != "new_signature");
    let bytes = canonical::to_vec(&value).ok()?;
    for (name, key) in ["old_signature", "new_signature"].into_iter().zip(&*KEYS) {
        value[name] = key.sign(&bytes).to_base64_line().trim_end().into();
    }
    let mut line = canonical::to_vec(&value).ok()?;
    line.push(b'\n');
    Some(line)
}

fn look(bytes: &[u8]) {
    let Ok(rotations) = Rotations::read(bytes) else { return };
    if bytes.is_empty() {
        return;
    }
    let lines: Vec<_> = bytes.split_inclusive(|b| *b == b'\n').collect();
    assert_eq!(rotations.statements().len(), lines.len());
    for (statement, line) in rotations.statements().iter().zip(lines) {
        let read: Rotation = canonical::read(line.trim_ascii_end()).expect("what was taken is canonical");
        assert_eq!(read, *statement);
    }
    for key in &*KEYS {
        if let Some(ring) = rotations.keyring(&key.public()) {
            assert_ne!(ring.signer(0), ring.signer(u64::MAX), "the last key is not the first");
        }
    }
}

fuzz_target!(|bytes: &[u8]| {
    look(bytes);
    if let Some(line) = bytes.split(|b| *b == b'\n').next().and_then(signed) {
        look(&line);
        look(&[&line[..], &line[..]].concat());
    }
});
