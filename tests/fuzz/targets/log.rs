//! Bytes → a log somebody left, as it is and chained anew line by line: opened, gone on with, recovered. Nothing of it is
//! lost, nothing is said twice, and what is left is one chain.

#![no_main]

use attest::{Chain, Record, canonical, chain};
use guardian::flow::store::{Bounds, Signed, Stated, Store};
use libfuzzer_sys::fuzz_target;
use posture::{Attested, Checkpoint, Counts, Coverage, Ended, EventBody, InstallId, Retention, Timestamp};
use serde_json::Value;
use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

const BOUNDS: Bounds = Bounds {
    retention: Retention { max_age_days: 30, max_bytes: 1 << 20, segment_bytes: 256 << 10 },
    fold_window: Duration::from_secs(600),
    fold_open_max: 16,
};

fuzz_target!(|input: &[u8]| {
    let [kind, bytes @ ..] = input else { return };
    let (chained, ends) = chained(bytes);
    let log = if kind & 1 == 0 { bytes } else { &chained[..] };
    // Nothing signed; or as far as some record; or a head that no log leads to.
    let signed = match kind >> 1 & 3 {
        0 => None,
        3 => Some(Chain::resume(3, posture::Sha256Hex::from_bytes(&[7; 32]))),
        n => ends.get(usize::from(n) - 1).cloned(),
    };
    life(
        log,
        signed.map(|chain| Signed {
            first_seq: 1,
            chain,
            counts: Counts::default(),
            at: Some(now()),
            unfinished: false,
        }),
    );
});

fn now() -> Timestamp {
    "2026-04-26T00:00:00.000Z".parse().expect("a time")
}

/// Each line as the one that follows on the one before, where it is a record; and where the chain stands behind each.
fn chained(bytes: &[u8]) -> (Vec<u8>, Vec<Chain>) {
    let (mut at, mut log, mut ends) = (Chain::genesis(), Vec::new(), Vec::new());
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        let anew = || -> Option<Vec<u8>> {
            let mut value: Value = serde_json::from_slice(line).ok()?;
            let members = value.as_object_mut()?;
            members.insert("seq".to_owned(), at.next_seq().into());
            members.insert("prev_sha256".to_owned(), at.head().to_string().into());
            canonical::to_vec(&value).ok()
        };
        let record = anew().filter(|line| chain::read_line(line).is_ok());
        let Some(record) = record else {
            log.extend_from_slice(line);
            continue;
        };
        if at.follow(&record).is_ok() {
            ends.push(at.clone());
        }
        log.extend_from_slice(&record);
        log.push(b'\n');
    }
    (log, ends)
}

/// Opens what is there, goes on, and ends as a monitor does, twice.
fn life(log: &[u8], signed: Option<Signed>) {
    let folder = tempfile::tempdir().expect("a folder");
    let (path, at) = (folder.path(), Instant::now());
    fs::write(path.join("findings.jsonl"), log).expect("a file");
    let mut store = Store::open(path, BOUNDS, signed.clone(), Stated::default(), now());
    assert_eq!(bytes_in(path), log.len() as u64, "some of it is gone, or doubled");
    store.totals(totals());
    let (lost, unclean) = (store.is_lost(), store.was_unclean());
    store.report_gap(now(), at);
    store.event(EventBody::Stop { ended: Ended::OperatorStop }, now(), at);
    store.close_windows(now(), at);
    store.sync().expect("a disk");
    assert_eq!((store.waiting(), store.not_recorded()), (0, 0));
    one_chain(path, if lost { "quarantine.jsonl" } else { "findings.jsonl" });
    drop(store);

    let mut store = Store::open(path, BOUNDS, signed.clone(), Stated::default(), now());
    assert_eq!(store.is_lost(), lost);
    let before = bytes_in(path);
    store.report_damage(now(), at);
    assert_eq!(bytes_in(path), before, "damage is said twice");
    assert!(unclean || lost || !store.was_unclean() || signed.is_some(), "it stopped");
    if !store.is_lost() {
        return;
    }
    store.totals(totals());
    let recovered = store.begin_anew(totals(), now());
    if signed.is_none() {
        assert!(recovered.is_err());
        return;
    }
    let recovered = recovered.expect("a disk");
    assert_eq!(Some(recovered.first_seq), signed.as_ref().map(|signed| signed.chain.next_seq()));
    one_chain(path, "recovery.jsonl");
    // A posture covers it.
    let (standing, chain, counts) = store.standing();
    let (chain, counts) = (chain.clone(), counts.clone());
    let covered = Signed { first_seq: standing.first_seq, chain, counts, at: Some(now()), unfinished: false };
    store.signed(covered);
    store.reopen(now()).expect("a disk");
    assert!(!store.is_lost(), "recovered, and lost all the same");
    one_chain(path, "findings.jsonl");
}

/// Of all files.
fn bytes_in(folder: &Path) -> u64 {
    fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("a file").metadata().expect("a file").len()).sum()
}

/// Every line follows the one before.
fn one_chain(folder: &Path, name: &str) {
    let bytes = fs::read(folder.join(name)).expect("a log");
    let mut at: Option<Chain> = None;
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        let line = line.strip_suffix(b"\n").expect("a whole line");
        let mut chain = at.take().or_else(|| Chain::before(line)).expect("a record");
        let _: Record = chain.follow(line).expect("it follows");
        at = Some(chain);
    }
}

fn totals() -> Checkpoint {
    Checkpoint {
        attested: Attested::default(),
        counts: Counts::default(),
        coverage: Coverage::default(),
        install_id: "5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a".parse::<InstallId>().expect("an identifier"),
        next_sequence: 2,
    }
}
