//! On what is signed, its signature, and the key.

use crate::support::{Home, expect, key, put};
use attest::{Anchor, canonical, digest};
use keys::PublicKey;
use posture::Posture;
use std::fs;
use std::os::unix::fs::symlink;

#[test]
fn a_missing_file_of_the_generation_is_missed() {
    for name in ["posture.json", "posture.json.sig", "state.json", "state.json.sig"] {
        let home = Home::new();
        fs::remove_file(home.exported(name)).unwrap();
        let report = home.verify();
        expect(&report, 1, "missing");
        assert!(report.reason.unwrap().to_string().contains(name));
        fs::create_dir(home.exported(name)).unwrap();
        expect(&home.verify(), 74, "kind");
    }
}

#[test]
fn a_document_without_end_is_refused_not_read() {
    let home = Home::new();
    put(&home.exported("posture.json"), &vec![b' '; 2_000_000]);
    expect(&home.verify(), 1, "too_large");
}

#[test]
fn an_appended_prototype_is_refused_even_where_the_digest_holds() {
    for name in ["posture.json", "state.json"] {
        let home = Home::new();
        let text = fs::read_to_string(home.exported(name)).unwrap();
        let polluted = format!("{},\"__proto__\":{{\"mode\":\"block\"}}}}", &text[..text.len() - 1]);
        put(&home.exported(name), polluted.as_bytes());
        expect(&home.verify(), 1, if name == "posture.json" { "signature" } else { "state_link" });
    }
}

#[test]
fn a_signed_document_must_still_be_canonical_closed_and_bound() {
    let home = Home::new();
    let text = fs::read_to_string(home.exported("posture.json")).unwrap();
    let cases = [
        (format!("{text}\n"), "document"),
        (text.replacen("{\"attested\"", "{\"aa\":1,\"attested\"", 1), "document"),
        (text.replacen("\"expected\":3", "\"expected\":3,\"expected\":3", 1), "document"),
        (text.replacen("\"expected\":3", "\"expected\":4", 1), "digest"),
        ("no json".to_owned(), "document"),
        ("{}".to_owned(), "document"),
        (text.replacen("traffic-posture/v1", "traffic-state/v1", 1), "document"),
        (text.replacen("traffic-posture/v1", "traffic-posture/v2", 1), "unknown_version"),
    ];
    for (other, code) in cases {
        assert_ne!(other, text);
        home.forge(&home.key, "posture.json", other.as_bytes());
        expect(&home.verify(), if code == "unknown_version" { 74 } else { 1 }, code);
    }
}

#[test]
fn a_later_version_of_a_document_is_unverifiable_only_if_signed() {
    let home = Home::new();
    let newer = fs::read_to_string(home.exported("posture.json")).unwrap().replacen("posture/v1", "posture/v2", 1);
    home.forge(&key(9), "posture.json", newer.as_bytes());
    expect(&home.verify(), 1, "signature");
    home.forge(&home.key, "posture.json", newer.as_bytes());
    expect(&home.verify(), 74, "unknown_version");
}

#[test]
fn a_document_that_names_another_key_is_refused() {
    let home = Home::new();
    let mut posture: Posture = canonical::read(&fs::read(home.exported("posture.json")).unwrap()).unwrap();
    posture.key_id = digest::key_id(key(9).public().key_id());
    digest::bind(&mut posture).unwrap();
    home.forge(&home.key, "posture.json", &canonical::to_vec(&posture).unwrap());
    expect(&home.verify(), 1, "named_key");
}

#[test]
fn a_swapped_state_is_refused() {
    let mut home = Home::new();
    home.export_both(|_| {}, |s| s.https_inspection = true);
    for name in ["state.json", "state.json.sig"] {
        fs::copy(home.at("export/000000000001").join(name), home.exported(name)).unwrap();
    }
    expect(&home.verify(), 1, "state_link");
}

#[test]
fn a_state_whose_signature_is_anothers_is_refused() {
    let home = Home::new();
    fs::copy(home.exported("posture.json.sig"), home.exported("state.json.sig")).unwrap();
    expect(&home.verify(), 1, "signature");
}

#[test]
fn other_spellings_of_a_signature_are_refused() {
    let home = Home::new();
    let path = home.exported("posture.json.sig");
    let line = fs::read_to_string(&path).unwrap();
    for other in [line.trim_end().to_owned(), format!("{line}\n"), line.replace('\n', "\r\n"), line.replace("==", "")] {
        put(&path, other.as_bytes());
        expect(&home.verify(), 1, "signature_form");
    }
}

#[test]
fn another_key_and_no_key_are_refused() {
    let home = Home::new();
    expect(&home.verify_with(|o| o.anchor = Anchor::Pinned(key(9).public())), 1, "signature");
    let report = home.verify_with(|o| o.anchor = Anchor::Unpinned);
    expect(&report, 1, "unpinned");
    assert_eq!(report.key_id, None);
    put(&home.at("signing.pub.pem"), key(9).public().to_pem().as_bytes());
    expect(&home.verify_with(|o| o.anchor = Anchor::Own), 1, "signature");
}

#[test]
fn a_weak_or_broken_anchor_is_refused() {
    let home = Home::new();
    let own = |o: &mut attest::Options| o.anchor = Anchor::Own;
    // The neutral element: one fixed signature passes for any message under it in lenient verifiers.
    let weak = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAAQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n-----END PUBLIC KEY-----\n";
    assert!(matches!(PublicKey::from_pem(weak), Err(keys::KeyError::WeakKey)));
    for text in [weak, "", "-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----\n"] {
        put(&home.at("signing.pub.pem"), text.as_bytes());
        expect(&home.verify_with(own), 1, "anchor");
    }
    fs::remove_file(home.at("signing.pub.pem")).unwrap();
    expect(&home.verify_with(own), 74, "anchor");
    symlink("signing.pub.pem", home.at("signing.pub.pem")).unwrap();
    expect(&home.verify_with(own), 74, "anchor");
}
