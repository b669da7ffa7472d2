//! A log, or a disk, without room.

use super::*;

#[test]
fn a_full_log_keeps_room_for_what_is_grave_and_counts_the_rest() {
    let home = Home::new();
    let max_bytes = 64 << 10;
    let retention = Retention { max_bytes, ..bounds().retention };
    let mut store = Store::open(home.dir.path(), Bounds { retention, ..bounds() }, None, Stated::default(), now());
    let low = |n| finding(n, Severity::Low, "api.example.com:443");
    let mut n = 0;
    while store.not_recorded() == 0 {
        n += 1;
        home.put(&mut store, low(n));
    }
    assert!(store.bytes() >= max_bytes / 2 && store.bytes() < max_bytes / 2 + 1024, "{}", store.bytes());
    assert_eq!(trouble(&store), [DegradedReason::LogFull]);
    let before = store.standing().2.findings;
    home.put(&mut store, finding(n + 1, Severity::Low, "first.example.com:443"));
    home.put(&mut store, finding(n + 2, Severity::Low, "first.example.com:443"));
    home.put(&mut store, FindingRecord { direction: Direction::Inbound, ..high(n + 3) });
    home.put(&mut store, high(n + 4));
    assert_eq!(store.standing().2.findings, before + 2, "the first of its kind, and the grave one");
    assert_eq!(store.not_recorded(), 3);

    for more in 0..200 {
        home.put(&mut store, high(n + 10 + more));
    }
    let bound = max_bytes - max_bytes / 8;
    assert!(store.bytes() >= bound && store.bytes() < bound + 1024, "{}", store.bytes());
    let refused = store.not_recorded();
    home.tick(&mut store, 600);
    let rule: Word = "ai_api_key.openai".parse().unwrap();
    let counted: u64 = home
        .events("findings.jsonl")
        .into_iter()
        .map(|e| match e {
            EventBody::Overflow { count, rule: r, .. } if r == rule => count,
            other => panic!("{other:?}"),
        })
        .sum();
    assert_eq!(counted, refused);

    let run_id = RunId::from_bytes(&[1; 16]);
    for _ in 0..1000 {
        store.event(EventBody::Start { run_id: run_id.clone() }, now(), home.at);
    }
    assert!(store.bytes() <= max_bytes, "nothing passes the bound: {}", store.bytes());
    assert_eq!(store.standing().0.next_seq, home.records("findings.jsonl").len() as u64 + 1);
}

#[test]
fn overflow_counts_four_thousand_pairs_apart_and_the_others_by_rule() {
    let mut overflow = Overflow::default();
    let at = Instant::now();
    for n in 0..5000 {
        overflow.refused(&finding(n, Severity::Low, &format!("h{n}.example.com:443")), at);
    }
    overflow.refused(&finding(0, Severity::Low, "h0.example.com:443"), at);
    assert_eq!(overflow.close_lasted(at + Duration::from_secs(9), Duration::from_secs(10)), []);
    let events = overflow.close_lasted(at + Duration::from_secs(10), Duration::from_secs(10));
    assert_eq!(events.len(), 4097);
    let count = |e: &EventBody| if let EventBody::Overflow { count, .. } = e { *count } else { panic!("{e:?}") };
    assert_eq!(events.iter().map(count).sum::<u64>(), 5001);
    let by_rule: Vec<_> = events.iter().filter(|e| matches!(e, EventBody::Overflow { dest: None, .. })).collect();
    assert_eq!(by_rule.iter().map(|e| count(e)).collect::<Vec<_>>(), [904]);
}

/// Runs the test below in a process whose files may not pass 8 KiB or so: to the kernel, a disk that is full.
#[test]
fn a_disk_that_is_full_tears_no_line_and_loses_none_once_there_is_room() {
    let script = "trap '' XFSZ; ulimit -S -f 8; exec \"$0\" --exact --ignored flow::store::tests::room::on_a_full_disk";
    let mut child = std::process::Command::new("sh");
    child.args(["-c", script]).arg(std::env::current_exe().unwrap()).env_clear().env("PATH", "/usr/bin:/bin");
    let output = child.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

#[test]
#[ignore = "needs a process of its own: the test above starts it"]
fn on_a_full_disk() {
    let home = Home::new();
    let mut store = home.open(None);
    let mut n = 0;
    while trouble(&store).is_empty() {
        n += 1;
        home.put(&mut store, high(n));
        assert!(n < 1000, "the limit does not hold");
    }
    home.put(&mut store, high(n + 1));
    assert_eq!((trouble(&store), store.waiting(), store.not_recorded()), (vec![DegradedReason::LogWrite], 2, 0));
    assert_eq!(home.records("findings.jsonl").len() as u64, n - 1, "whole lines alone");
    home.tick(&mut store, 1);
    assert_eq!(store.waiting(), 2);

    let mut limit = rustix::process::getrlimit(rustix::process::Resource::Fsize);
    limit.current = limit.maximum;
    rustix::process::setrlimit(rustix::process::Resource::Fsize, limit).unwrap();
    home.tick(&mut store, 2);
    assert_eq!((trouble(&store), store.waiting()), (vec![], 0));
    assert_eq!(home.records("findings.jsonl").len() as u64, n + 1);
    assert_eq!((home.damaged(), home.events("findings.jsonl")), (vec![], vec![]));
}

#[test]
fn what_does_not_fit_while_the_log_cannot_be_written_is_counted() {
    let home = Home::new();
    symlink("nowhere", home.log()).unwrap();
    let mut store = home.open(None);
    for n in 0..1000 {
        home.put(&mut store, high(n));
        home.put(&mut store, high(n));
    }
    let waiting = store.waiting() as u64;
    assert_eq!(waiting, MAX_WAITING_FINDINGS as u64);
    store.close_windows(now(), home.at);
    store.abandon();
    assert_eq!(store.not_recorded(), 2000, "each sighting is a line, a fold or a number");
    assert!(!home.dir.path().join("nowhere").exists());
}

#[test]
fn a_log_too_full_for_its_own_stop_does_not_call_a_clean_end_unclean() {
    let home = Home::new();
    let retention = Retention { max_bytes: 4096, ..bounds().retention };
    let open =
        |signed| Store::open(home.dir.path(), Bounds { retention, ..bounds() }, signed, Stated::default(), now());
    let run_id = RunId::from_bytes(&[1; 16]);
    let mut store = open(None);
    for _ in 0..100 {
        store.event(EventBody::Start { run_id: run_id.clone() }, now(), home.at);
    }
    store.event(EventBody::Stop { ended: Ended::Signal }, now(), home.at);
    assert!(matches!(home.events("findings.jsonl").last(), Some(EventBody::Start { .. })));
    let signed = sign(&mut store);
    drop(store);
    assert!(open(None).was_unclean(), "the log alone cannot tell");
    assert!(open(Some(signed.clone())).was_unclean(), "the posture says the run goes on");
    let ended = Signed { unfinished: false, ..signed };
    assert!(!open(Some(ended.clone())).was_unclean());
    home.open(Some(ended.clone())).event(EventBody::Start { run_id }, now(), home.at);
    assert!(home.open(Some(ended)).was_unclean(), "a run began after the posture, and did not stop");
}
