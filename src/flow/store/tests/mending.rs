//! What somebody, or a crash, did to the log.

use super::*;

#[test]
fn a_log_cut_at_any_byte_of_its_last_two_lines_is_repaired_and_says_so() {
    let home = Home::new();
    let mut store = home.open(None);
    for n in 0..4 {
        home.put(&mut store, high(n));
    }
    drop(store);
    let whole = fs::read(home.log()).unwrap();
    let ends: Vec<usize> = memchr::memchr_iter(b'\n', &whole).map(|at| at + 1).collect();
    for cut in ends[1]..whole.len() {
        let home = Home::new();
        fs::write_for_test(&home.log(), &whole[..cut]);
        let mut store = home.open(None);
        let kept = ends.iter().filter(|end| **end <= cut).count();
        assert_eq!(store.standing().0.next_seq, kept as u64 + 1, "cut at {cut}");
        store.report_gap(now(), home.at);
        home.put(&mut store, high(9));
        let torn = &whole[ends[kept - 1]..cut];
        let gaps: Vec<_> = home.events("findings.jsonl");
        if torn.is_empty() {
            assert_eq!((gaps, home.damaged()), (vec![], vec![]));
        } else {
            let gap =
                EventBody::Gap { damaged_bytes: torn.len() as u64, damaged_records: 1, seconds: None, unclean: false };
            assert_eq!(gaps, [gap]);
            assert_eq!(home.damaged(), [(format!("damaged-{:012}.jsonl", kept + 1), torn.to_vec())]);
        }
        assert_eq!(store.standing().2.findings, kept as u64 + 1);
    }
}

#[test]
fn a_crash_between_setting_aside_and_saying_so_is_still_said() {
    let home = Home::new();
    let mut store = home.open(None);
    home.put(&mut store, high(0));
    drop(store);
    fs::append_for_test(&home.log(), b"torn");
    drop(home.open(None));
    let mut store = home.open(None);
    store.report_gap(now(), home.at);
    store.report_gap(now(), home.at);
    let gap = EventBody::Gap { damaged_bytes: 4, damaged_records: 1, seconds: None, unclean: false };
    assert_eq!(home.events("findings.jsonl"), [gap]);
}

#[test]
fn what_follows_an_edited_record_above_the_signed_head_goes_aside() {
    let home = Home::new();
    let mut store = home.open(None);
    home.put(&mut store, high(0));
    let signed = sign(&mut store);
    home.put(&mut store, high(1));
    home.put(&mut store, high(2));
    drop(store);
    let text = fs::read_to_string(home.log()).unwrap();
    let second = text.lines().nth(1).unwrap();
    fs::write_for_test(&home.log(), text.replace(second, &second.replace("\"high\"", "\"info\"")).as_bytes());
    let mut store = home.open(Some(signed));
    store.tick(now(), home.at);
    assert_eq!(trouble(&store), []);
    assert!(matches!(home.events("findings.jsonl")[..], [EventBody::Gap { damaged_records: 1, .. }]));
    assert_eq!(store.standing().2.findings, 2);
}

#[test]
fn damage_at_or_below_the_signed_head_leaves_the_log_alone() {
    for ruin in [
        (|text: &str| text.replacen("\"high\"", "\"info\"", 1)) as fn(&str) -> String,
        |text| text.lines().next().unwrap().to_owned() + "\n",
        |text| text.lines().skip(1).map(|l| l.to_owned() + "\n").collect(),
        |_| String::new(),
    ] {
        let home = Home::new();
        let mut store = home.open(None);
        home.put(&mut store, high(0));
        home.put(&mut store, high(1));
        let signed = sign(&mut store);
        drop(store);
        let ruined = ruin(&fs::read_to_string(home.log()).unwrap());
        fs::write_for_test(&home.log(), ruined.as_bytes());

        let mut store = home.open(Some(signed.clone()));
        assert!(store.was_unclean());
        store.report_gap(now(), home.at);
        home.put(&mut store, high(2));
        home.put(&mut store, high(3));
        assert_eq!(trouble(&store), [DegradedReason::LogDamaged]);
        assert_eq!(fs::read_to_string(home.log()).unwrap(), ruined);
        assert_eq!(home.records("quarantine.jsonl").len(), 3);
        let (log, chain, counts) = store.standing();
        assert_eq!((log.next_seq, chain, counts), (3, &signed.chain, &signed.counts));
        drop(store);
        let mut store = home.open(Some(signed));
        home.put(&mut store, high(4));
        assert_eq!(home.records("quarantine.jsonl").len(), 4, "the quarantine goes on where it was");
    }
}

#[test]
fn a_log_that_was_deleted_comes_back_whole() {
    let home = Home::new();
    let mut store = home.open(None);
    home.put(&mut store, high(0));
    fs::remove_file(home.log()).unwrap();
    home.put(&mut store, high(1));
    assert_eq!((home.records("findings.jsonl").len(), trouble(&store)), (2, vec![]));
    let folder = home.dir.path().to_owned();
    fs::remove_dir_all(&folder).unwrap();
    home.tick(&mut store, 1);
    assert_eq!(home.records("findings.jsonl").len(), 2);
    assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
    fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn a_log_that_was_cut_and_then_deleted_keeps_nothing_waiting() {
    for is_signed in [false, true] {
        let home = Home::new();
        let mut store = home.open(None);
        home.put(&mut store, high(0));
        if is_signed {
            sign(&mut store);
        }
        fs::File::options().write(true).open(home.log()).unwrap().set_len(9).unwrap();
        fs::remove_file(home.log()).unwrap();
        home.put(&mut store, high(1));
        let damaged = is_signed.then_some(DegradedReason::LogDamaged);
        assert_eq!((trouble(&store), store.waiting()), (damaged.into_iter().collect(), 0));
        let name = if is_signed { "quarantine.jsonl" } else { "findings.jsonl" };
        assert!(matches!(home.records(name)[..], [Record::Finding(_)]), "{is_signed}");
    }
}

#[test]
fn a_stranger_who_cuts_the_log_while_we_write_is_noticed() {
    let home = Home::new();
    let mut store = home.open(None);
    home.put(&mut store, high(0));
    let signed = sign(&mut store);
    home.put(&mut store, high(1));
    let file = fs::OpenOptions::new().write(true).open(home.log()).unwrap();
    let (len, line) = (file.metadata().unwrap().len(), fs::read_to_string(home.log()).unwrap().find('\n').unwrap() + 1);
    file.set_len(len - 7).unwrap();
    home.tick(&mut store, 1);
    let gaps = home.events("findings.jsonl");
    // What is torn, and what is gone of it.
    let all = len - line as u64;
    let gap = EventBody::Gap { damaged_bytes: all, damaged_records: 1, seconds: Some(0), unclean: false };
    assert_eq!(gaps, [gap]);
    assert_eq!(store.standing().2.findings, 1);

    file.set_len(0).unwrap();
    home.put(&mut store, high(2));
    assert_eq!(trouble(&store), [DegradedReason::LogDamaged]);
    assert_eq!(store.standing().1, &signed.chain);
    assert_eq!(home.records("quarantine.jsonl").len(), 1);
}

#[test]
fn records_a_stranger_puts_in_the_place_of_ours_hide_no_loss() {
    // In the place of the last one, and behind that another.
    for number in [1, 2] {
        let home = Home::new();
        let mut store = home.open(None);
        home.put(&mut store, high(0));
        let (kept, mut chain) = (fs::read(home.log()).unwrap(), store.standing().1.clone());
        home.put(&mut store, high(1));
        fs::write_for_test(&home.log(), &kept);
        for n in 0..number {
            let dest = "elsewhere.example.com:443".to_owned();
            let framed = chain.finding(|seq, prev_sha256| FindingRecord { seq, prev_sha256, dest, ..high(7 + n) });
            let framed = framed.unwrap();
            chain.advance(&framed);
            fs::append_for_test(&home.log(), &framed.line);
        }
        home.tick(&mut store, 1);
        let gap = EventBody::Gap { damaged_bytes: 0, damaged_records: 1, seconds: None, unclean: false };
        assert_eq!(home.events("findings.jsonl"), [gap], "{number}");
        // Once, and not of what only came behind ours.
        let chain = store.standing().1.clone();
        let framed = chain.finding(|seq, prev_sha256| FindingRecord { seq, prev_sha256, ..high(9) }).unwrap();
        fs::append_for_test(&home.log(), &framed.line);
        home.tick(&mut store, 2);
        home.put(&mut store, high(1));
        assert_eq!(home.events("findings.jsonl").len(), 1, "{number}");
    }
}
