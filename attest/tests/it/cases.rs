//! With `HTG_CASES` naming a folder, every folder a test verifies is kept there with what was asked and answered, so that
//! a verifier which shares no code with ours can be held to the same answers: see `tests/cmd/independent.sh`.

use crate::support::answer;
use attest::{Anchor, Options, Report};
use serde_json::json;
use std::{
    env,
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicU64, Ordering},
    thread,
};

/// Of the folders damaged at random, of which there are many, one in so many is kept.
const RANDOM: u64 = 4;

static NUMBER: AtomicU64 = AtomicU64::new(1);

/// Keeps the state folder `home`.
pub(crate) fn keep(home: &Path, options: &Options, report: &Report) {
    let Some(cases) = env::var_os("HTG_CASES").map(PathBuf::from) else { return };
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let test = thread::current().name().unwrap_or("test").replace("::", ".");
    if test.contains("never_verifies") && !number.is_multiple_of(RANDOM) {
        return;
    }
    let case = cases.join(format!("{number:06}-{test}"));
    fs::create_dir_all(&case).unwrap();
    assert!(Command::new("cp").arg("-a").arg(home).arg(case.join("home")).status().unwrap().success());
    let (exit, code) = answer(report);
    let asked = json!({
        "path": "home",
        "anchor": match &options.anchor {
            Anchor::Own => "own".into(),
            Anchor::Pinned(key) => key.to_pem(),
            Anchor::Unpinned => "none".into(),
        },
        "now": options.now,
        "max_age_ms": options.max_age.map(|age| u64::try_from(age.as_millis()).unwrap()),
        "accept_stopped": options.accept_stopped,
        "baseline": options.baseline.as_ref().map(attest::Baseline::sha256),
        "memory": options.remembered,
        "accept_restore": options.accept_restore,
        "exit": exit,
        "code": code,
    });
    serde_json::to_writer(File::create(case.join("case.json")).unwrap(), &asked).unwrap();
}
