//! Every claim of SECURITY.md names tests, and there are such tests.

use std::{collections::BTreeSet, fs, path::Path};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// The names of all test functions below a folder.
fn tests_below(folder: &Path, names: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() && path.file_name().is_some_and(|name| name != "target") {
            tests_below(&path, names);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            let mut marked = false;
            for line in text.lines().map(str::trim_start) {
                marked |= ["#[test]", "#[tokio::test", "#[rstest"].iter().any(|mark| line.starts_with(mark));
                if let Some((_, name)) = line.split_once("fn ").filter(|_| marked && !line.starts_with("//")) {
                    names.insert(name.split(['(', '<']).next().unwrap().to_owned());
                    marked = false;
                }
            }
        }
    }
}

#[test]
fn every_claim_of_the_threat_model_is_held_by_tests_there_are() {
    let root = Path::new(ROOT);
    let mut names = BTreeSet::new();
    for folder in ["src", "attest", "keys", "posture", "tests/it"] {
        tests_below(&root.join(folder), &mut names);
    }
    assert!(names.contains("every_claim_of_the_threat_model_is_held_by_tests_there_are") && names.len() > 300);
    let text = fs::read_to_string(root.join("SECURITY.md")).unwrap();
    let rows = text.lines().filter(|line| line.starts_with("| ") && !line.ends_with("| held by |"));
    let mut claims = 0;
    for row in rows {
        let (_, held_by) = row.trim_end_matches('|').trim_end().rsplit_once('|').unwrap();
        let held_by: Vec<_> = held_by.split('`').skip(1).step_by(2).collect();
        assert!(!held_by.is_empty(), "nothing holds: {row}");
        for test in held_by {
            let there_is = if test.contains('/') { root.join(test).is_file() } else { names.contains(test) };
            assert!(there_is, "no test {test} for: {row}");
        }
        claims += 1;
    }
    assert!(claims > 30, "{claims} claims");
}
