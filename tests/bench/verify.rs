//! What a verification costs: the time for a log of so many records, and the most memory it took.
//!
//! `cargo bench -p attest --bench verify [-- RECORDS]`, 1,000,000 by default: a tenth first, then all of them, in segments
//! of 4 MiB. Every core reads, one follows the chain and counts; `taskset -c 0` before the binary shows what one takes
//! alone. Making the log takes longer than verifying it.

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on has failed")]
#![expect(clippy::print_stdout, reason = "a benchmark's answer is its table")]

#[path = "../../attest/tests/it/cases.rs"]
mod cases;
#[path = "../../attest/tests/it/support.rs"]
#[expect(dead_code, reason = "a benchmark needs the folder alone")]
mod support;

use attest::{Folder, verify};
use posture::Family;
use std::{
    env, fs,
    time::{Duration, Instant},
};
use support::Home;

const SEGMENT_BYTES: u64 = 4 << 20;
const ROUNDS: usize = 5;

fn main() {
    let records: u64 = env::args().skip(1).find_map(|a| a.parse().ok()).unwrap_or(1_000_000);
    println!("\n| records | MiB | verify, median of {ROUNDS} | a record | peak of this process before | and after |");
    println!("|---|---|---|---|---|---|");
    let mut home = Home::empty();
    for goal in [records / 10, records] {
        grow(&mut home, goal);
        home.export(|_| {});
        measure(&home, goal);
    }
}

fn grow(home: &mut Home, records: u64) {
    let families = [Family::AiApiKey, Family::ReverseShell, Family::PrivateKeyPem];
    while home.chain.next_seq() <= records {
        let at = usize::try_from(home.chain.next_seq()).unwrap() % families.len();
        home.find(families[at]);
        // A look now and then is enough: a segment may be a little longer.
        if home.chain.next_seq().is_multiple_of(512) && fs::metadata(home.log()).unwrap().len() > SEGMENT_BYTES {
            home.seal_segment();
            home.find(families[at]);
        }
    }
}

fn measure(home: &Home, records: u64) {
    let before = peak();
    let mut times: Vec<_> = (0..ROUNDS).map(|_| once(home)).collect();
    times.sort_unstable();
    let time = times[ROUNDS / 2];
    let names = fs::read_dir(home.path()).unwrap().map(|entry| entry.unwrap().metadata().unwrap());
    let mib = names.filter(fs::Metadata::is_file).map(|file| file.len()).sum::<u64>() >> 20;
    let each = time.as_nanos() / u128::from(records);
    println!("| {records} | {mib} | {} ms | {each} ns | {before} KiB | {} KiB |", time.as_millis(), peak());
}

fn once(home: &Home) -> Duration {
    let began = Instant::now();
    let report = verify(&Folder::open(home.path()), &home.options());
    let time = began.elapsed();
    assert_eq!(report.exit_code(), 0, "{:?}", report.reason);
    time
}

/// The most memory this process ever had resident, in KiB.
fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}
