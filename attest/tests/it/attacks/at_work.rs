//! While the monitor is at work.

use crate::support::{Home, answer, expect, finding, put, settled, state};
use attest::{Folder, canonical, digest, verify};
use posture::{EventBody, Family, Sha256Hex, VerdictResult};
use std::fs;

#[test]
fn a_folder_that_changes_while_it_is_read_verifies() {
    let mut home = Home::new();
    let (path, options) = (home.path().to_owned(), home.options());
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let done = &done;
        let reader = scope.spawn(move || {
            let mut answers = vec![];
            while !done.load(std::sync::atomic::Ordering::Relaxed) || answers.is_empty() {
                answers.push(answer(&verify(&Folder::open(&path), &options)));
            }
            answers
        });
        for n in 0..60 {
            home.find(Family::AiApiKey);
            home.event(EventBody::Fold { count: n, finding_seq: 2 });
            if n % 7 == 0 {
                home.seal_segment();
                home.find(Family::Canary);
            }
            home.export(settled);
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        let answers = reader.join().unwrap();
        assert!(answers.iter().all(|a| a.0 == 0), "{answers:?}");
    });
}

#[cfg(target_os = "linux")]
#[test]
fn a_log_that_does_not_fit_is_judged_only_if_no_newer_export_explains_it() {
    let mut home = Home::empty();
    let mut log = vec![];
    for _ in 0..10_000 {
        let framed = home.chain.finding(|s, p| finding(s, p, Family::Canary)).unwrap();
        home.chain.advance(&framed);
        log.extend(framed.line);
    }
    put(&home.log(), &log);
    let (severity, family) = (posture::Severity::High.into(), Family::Canary.into());
    (0..10_000).for_each(|_| home.counts.add_finding(&posture::Direction::Outbound.into(), &family, &severity));
    home.export(|p| p.finding_log_sha256 = digest::sha256("another log"));
    home.export(|_| {});
    home.point("000000000001");
    expect(&home.verify(), 1, "log_head");
    let (folder, options, log) = (Folder::open(home.path()), home.options(), home.log());
    let reader = std::thread::spawn(move || answer(&verify(&folder, &options)));
    // Once the log is open, `current` has been followed; a while later it turns out that the log does not fit.
    let is_open =
        || fs::read_dir("/proc/self/fd").unwrap().any(|fd| fs::read_link(fd.unwrap().path()).is_ok_and(|f| f == log));
    while !is_open() && !reader.is_finished() {
        std::thread::yield_now();
    }
    home.point("000000000002");
    assert_eq!(reader.join().unwrap(), (0, "none".to_owned()));
}

#[test]
fn the_verdict_is_the_same_for_the_same_answer() {
    let home = Home::new();
    let first = home.verify().verdict().unwrap();
    assert_eq!(first, home.verify().verdict().unwrap());
    let verdict: posture::Verdict = canonical::read(&first).unwrap();
    assert!(digest::check(&verdict));
    assert_eq!((verdict.result, verdict.key_id), (VerdictResult::Verified, Some(state(&home.key).key_id)));
    let failed = attest::report::verdict(VerdictResult::Unverifiable, None).unwrap();
    let verdict: posture::Verdict = canonical::read(&failed).unwrap();
    assert_eq!((verdict.result, verdict.key_id), (VerdictResult::Unverifiable, None::<Sha256Hex>));
}
