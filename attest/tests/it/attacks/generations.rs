//! On the generations: which is the last word, and what it has to go on from.

use crate::support::{Home, expect, key, put};
use attest::{Anchor, Folder, verify};
use posture::Posture;
use std::fs;
use std::path::Path;

#[test]
fn current_must_be_a_relative_name_of_twelve_digits() {
    let home = Home::new();
    let absolute = home.at("export/000000000002");
    for target in [absolute.to_str().unwrap(), "../export/000000000002", "./000000000002", "2", "000000000002/", "x"] {
        home.point(target);
        expect(&home.verify(), 1, "current");
    }
    fs::remove_file(home.at("export/current")).unwrap();
    fs::create_dir(home.at("export/current")).unwrap();
    expect(&home.verify(), 1, "current");
    fs::remove_dir(home.at("export/current")).unwrap();
    home.point("000000000077");
    expect(&home.verify(), 1, "missing");
}

#[test]
fn current_set_back_behind_a_later_statement_is_seen() {
    let mut home = Home::new();
    home.point("000000000001");
    expect(&home.verify(), 3, "rolled_back");
    home.point("000000000002");
    // What was cut short, or signed by somebody else, is no later statement.
    fs::create_dir(home.at("export/000000000009")).unwrap();
    expect(&home.verify(), 0, "none");
    home.key = key(9);
    home.export(|_| {});
    home.key = key(1);
    home.point("000000000002");
    expect(&home.verify(), 0, "none");
}

#[test]
fn a_generation_half_written_is_no_last_word() {
    let home = Home::new();
    let half = home.at("export/000000000003");
    fs::create_dir(&half).unwrap();
    for name in ["state.json", "state.json.sig", "posture.json"] {
        fs::copy(home.exported(name), half.join(name)).unwrap();
        expect(&home.verify(), 0, "none");
        home.point("000000000003");
        expect(&home.verify(), 1, "missing");
        home.point("000000000002");
    }
}

#[test]
fn a_posture_moved_to_another_generation_is_refused() {
    let home = Home::new();
    fs::rename(home.at("export/000000000001"), home.at("export/000000000003")).unwrap();
    home.point("000000000003");
    expect(&home.verify(), 1, "generation");
}

#[test]
fn a_counter_that_fell_below_a_retained_generation_is_refused() {
    let falls: [fn(&mut Posture); 4] = [
        |p| p.attested.expected = 2,
        |p| p.coverage.seen.bytes = 1,
        |p| p.coverage.scanned.messages = 3,
        |p| p.coverage.not_scanned.clear(),
    ];
    for fall in falls {
        let mut home = Home::new();
        home.export(fall);
        expect(&home.verify(), 1, "decreased");
    }
}

#[test]
fn a_generation_somebody_else_signed_does_not_count() {
    let mut home = Home::new();
    home.export(|p| p.attested.expected = 100);
    let own = std::mem::replace(&mut home.key, key(9));
    home.export(|p| p.attested.expected = 1_000);
    home.key = own;
    home.export(|p| p.attested.expected = 100);
    expect(&home.verify(), 0, "none");
}

#[test]
fn no_export_is_unverifiable() {
    let home = Home::empty();
    let report = home.verify();
    expect(&report, 74, "no_export");
    assert_eq!(report.key_id, Some(home.key.public().key_id()));
    let report = verify(&Folder::open(Path::new("/no/such/folder")), &home.options());
    expect(&report, 74, "no_folder");
    assert_eq!(report.reason.unwrap().to_string(), "/no/such/folder: no such file or folder");
}

#[test]
fn a_lone_posture_is_partial_and_never_passes() {
    let home = Home::new();
    let lone = Folder::open(&home.exported("posture.json"));
    expect(&verify(&lone, &home.options()), 74, "partial");
    expect(&verify(&lone, &attest::Options { anchor: Anchor::Own, ..home.options() }), 1, "unpinned");
    put(&home.exported("posture.json"), b"{}");
    expect(&verify(&lone, &home.options()), 1, "signature");
}
