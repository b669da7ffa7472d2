//! Sightings that fold, and those that must not.

use super::*;

/// What makes this sighting another one than `high(0)`, and what does not.
fn others() -> (Vec<FindingRecord>, Vec<FindingRecord>) {
    let apart = vec![
        FindingRecord { rule: "ai_api_key.anthropic".parse().unwrap(), ..high(0) },
        FindingRecord { direction: Direction::Inbound, ..high(0) },
        high(1),
        finding(0, Severity::High, "api.example.com:8443"),
    ];
    let alike = vec![
        FindingRecord { encoding: vec![posture::Encoding::Base64], ..high(0) },
        FindingRecord { placement: Placement::Header, ..high(0) },
        FindingRecord { protocol: Protocol::Https, ..high(0) },
        FindingRecord { severity: Severity::Critical, ..high(0) },
        FindingRecord { source: "127.0.0.2".into(), ..high(0) },
    ];
    (apart, alike)
}

#[test]
fn rule_value_destination_and_direction_make_a_sighting_the_same_and_nothing_else() {
    let home = Home::new();
    let mut store = home.open(None);
    let (apart, alike) = others();
    let lines = 1 + apart.len() as u64;
    for record in [high(0)].iter().chain(&apart).chain(&alike).chain(&apart) {
        home.put(&mut store, record.clone());
    }
    store.close_windows(now(), home.at);
    let counts = store.standing().2;
    assert_eq!((counts.findings, counts.folded), (lines, (alike.len() + apart.len()) as u64));
    let of_first = EventBody::Fold { count: alike.len() as u64, finding_seq: 1 };
    let of_others = (2..=lines).map(|finding_seq| EventBody::Fold { count: 1, finding_seq });
    assert_eq!(home.events("findings.jsonl"), [of_first].into_iter().chain(of_others).collect::<Vec<_>>());
}

#[test]
fn the_first_sighting_of_a_run_is_a_finding_however_the_last_one_ended() {
    for ended_well in [true, false] {
        let home = Home::new();
        let mut store = home.open(None);
        home.put(&mut store, high(0));
        home.put(&mut store, high(0));
        if ended_well {
            store.close_windows(now(), home.at);
        }
        drop(store);

        let mut store = home.open(None);
        home.put(&mut store, high(0));
        home.put(&mut store, high(0));
        store.close_windows(now(), home.at);
        let folded = if ended_well { 2 } else { 1 };
        assert_eq!((store.standing().2.findings, store.standing().2.folded), (2, folded), "well: {ended_well}");
        let fingerprints: Vec<_> = home
            .records("findings.jsonl")
            .into_iter()
            .filter_map(|r| if let Record::Finding(f) = r { Some(f.fingerprint) } else { None })
            .collect();
        assert_eq!(fingerprints, [high(0).fingerprint, high(0).fingerprint]);
    }
}

#[test]
fn a_flood_of_different_values_is_lines_and_numbers_and_never_a_fold() {
    let home = Home::new();
    let retention = Retention { max_bytes: 64 << 10, ..bounds().retention };
    let small = Bounds { retention, fold_open_max: 8, ..bounds() };
    let mut store = Store::open(home.dir.path(), small, None, Stated::default(), now());
    let flood = 10_000;
    for n in 0..flood {
        home.put(&mut store, high(n));
    }
    store.close_windows(now(), home.at);
    let counts = store.standing().2;
    assert!(counts.findings > 50 && store.not_recorded() > 0, "{counts:?}");
    assert_eq!((counts.findings + store.not_recorded(), counts.folded), (flood, 0));
    let overflow = EventBody::Overflow {
        count: store.not_recorded(),
        dest: Some("api.example.com:443".into()),
        rule: "ai_api_key.openai".parse().unwrap(),
    };
    assert_eq!(home.events("findings.jsonl"), [overflow]);
}

#[test]
fn what_a_window_folded_is_counted_when_the_log_changes_under_it() {
    // Cut down to what was signed, and below it.
    for signed_lines_left in [2, 1] {
        let home = Home::new();
        let mut store = home.open(None);
        for n in [0, 0, 0, 1, 1] {
            home.put(&mut store, high(n));
        }
        sign(&mut store);
        home.put(&mut store, high(2));
        home.put(&mut store, high(2));
        let log = fs::read(home.log()).unwrap();
        let left: usize = log.split_inclusive(|b| *b == b'\n').take(signed_lines_left).map(<[u8]>::len).sum();
        fs::OpenOptions::new().write(true).open(home.log()).unwrap().set_len(left as u64).unwrap();
        home.tick(&mut store, 1);
        store.close_windows(now(), home.at);
        assert_eq!((store.standing().2.folded, store.not_recorded()), (0, 2 + 1 + 1));
    }
}
