//! The log's lines: typed, canonical, and bound to one another.

use crate::support::{finding, time};
use attest::{
    Chain, Record,
    chain::{LineError, MAX_LINE_BYTES, read_line},
    digest::sha256,
};
use posture::{
    Attested, Checkpoint, Counts, Coverage, Direction, Encoding, Ended, Event, EventBody, Family, FindingRecord,
    Fingerprint, InstallId, MAX_INTEGER, NamedCount, Placement, Platform, Protocol, Reload, RunId, Severity, Sha256Hex,
    Timestamp, Totals, Unscanned, UnscannedReason, Weakening,
};
use proptest::{prelude::*, sample::select};

fn number() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0), Just(MAX_INTEGER), 0..=MAX_INTEGER]
}

fn timestamp() -> impl Strategy<Value = Timestamp> {
    // Years 0000 to 9999, in milliseconds around 1970.
    (0_u64..8_000_000_000_000).prop_map(|ms| {
        time("1970-01-01T00:00:00.000Z").plus(chrono::TimeDelta::milliseconds(i64::try_from(ms).unwrap()))
    })
}

prop_compose! {
    fn a_finding()(
        dest in ".*", source in ".*", snippet in ".*", seq in number(), hash: [u8; 32], print: [u8; 8],
        family in select(Family::ALL), encoding in prop::collection::vec(select(Encoding::ALL), 0..5),
        placement in select(Placement::ALL), protocol in select(Protocol::ALL), severity in select(Severity::ALL),
        direction in select(Direction::ALL), timestamp in timestamp(),
    ) -> Record {
        Record::Finding(Box::new(FindingRecord {
            dest, source, snippet, seq, encoding, placement, protocol, severity, direction, timestamp,
            fingerprint: Fingerprint::from_bytes(&print),
            prev_sha256: Sha256Hex::from_bytes(&hash),
            ..finding(seq, sha256(""), family)
        }))
    }
}

prop_compose! {
    fn a_checkpoint()(n in prop::array::uniform8(number()), id: [u8; 16], family in select(Family::ALL)) -> EventBody {
        EventBody::Checkpoint(Box::new(Checkpoint {
            attested: Attested { audience_mismatch: n[0], token_seen: n[1], ..Attested::default() },
            counts: Counts {
                family: vec![NamedCount { count: n[2], name: family.into() }],
                findings: n[3],
                ..Counts::default()
            },
            coverage: Coverage {
                not_scanned: vec![Unscanned {
                    bytes: n[4], connections: n[5], messages: n[6], reason: UnscannedReason::Tunnel.into(),
                }],
                scanned: Totals::default(),
                seen: Totals::default(),
            },
            install_id: InstallId::from_bytes(&id),
            next_sequence: n[7],
        }))
    }
}

prop_compose! {
    fn a_file()(bytes in number(), name in ".*", hash: [u8; 32]) -> posture::SetAside {
        posture::SetAside { bytes, name, sha256: Sha256Hex::from_bytes(&hash) }
    }
}

// On the heap: the trees of all these at once are more than a test's stack.
fn an_event_body() -> BoxedStrategy<EventBody> {
    prop_oneof![
        a_checkpoint().boxed(),
        (any::<bool>(), number())
            .prop_map(|(backwards, milliseconds)| EventBody::ClockStep { backwards, milliseconds }),
        (a_checkpoint(), prop::collection::vec(a_file(), 0..3))
            .prop_map(|(totals, set_aside)| {
                let EventBody::Checkpoint(totals) = totals else { unreachable!() };
                EventBody::Recovery(Box::new(posture::Recovery { set_aside, totals: *totals }))
            })
            .boxed(),
        prop::collection::vec(a_file(), 0..3).prop_map(|files| EventBody::SetAside { files }),
        (prop::option::of(number()), prop::option::of(number()))
            .prop_map(|(last_sequence, next_sequence)| EventBody::ExportsMissing { last_sequence, next_sequence }),
        (number(), number()).prop_map(|(count, finding_seq)| EventBody::Fold { count, finding_seq }),
        (number(), number(), prop::option::of(number()), any::<bool>()).prop_map(
            |(damaged_bytes, damaged_records, seconds, unclean)| EventBody::Gap {
                damaged_bytes,
                damaged_records,
                seconds,
                unclean
            }
        ),
        (number(), prop::option::of(".*"), select(Family::ALL)).prop_map(|(count, dest, f)| EventBody::Overflow {
            count,
            dest,
            rule: f.into()
        }),
        (any::<[[u8; 32]; 4]>(), prop::sample::subsequence(Weakening::ALL, 0..=Weakening::ALL.len())).prop_map(
            |(hashes, weakened)| {
                let [config_sha256, pattern_set_sha256, previous_config_sha256, previous_pattern_set_sha256] =
                    hashes.map(|hash| Sha256Hex::from_bytes(&hash));
                EventBody::Reload(Box::new(Reload {
                    config_sha256,
                    pattern_set_sha256,
                    previous_config_sha256,
                    previous_pattern_set_sha256,
                    weakened: weakened.into_iter().map(Into::into).collect(),
                }))
            }
        ),
        any::<[u8; 16]>().prop_map(|id| EventBody::Start { run_id: RunId::from_bytes(&id) }),
        select(Ended::ALL).prop_map(|ended| EventBody::Stop { ended }),
    ]
    .boxed()
}

prop_compose! {
    fn an_event()(event in an_event_body(), seq in number(), hash: [u8; 32], timestamp in timestamp()) -> Record {
        Record::Event(Box::new(Event {
            event, seq, timestamp,
            platform: Platform::Hermes,
            prev_sha256: Sha256Hex::from_bytes(&hash),
            schema_version: posture::EVENT_SCHEMA.into(),
        }))
    }
}

fn a_record() -> impl Strategy<Value = Record> {
    prop_oneof![a_finding(), an_event()]
}

/// The line of any record, as if the chain stood just before it.
fn line(record: &Record) -> Vec<u8> {
    let chain = Chain::resume(record.seq(), record.prev_sha256().clone());
    let mut line = chain.frame(record).unwrap().line;
    assert_eq!(line.pop(), Some(b'\n'));
    line
}

proptest! {
    #[test]
    fn a_line_is_what_rfc_8785_makes_of_the_record(record in a_record()) {
        let line = line(&record);
        let value: serde_json::Value = serde_json::from_slice(&line).unwrap();
        prop_assert_eq!(&serde_jcs::to_vec(&value).unwrap(), &line);
        prop_assert_eq!(read_line(&line).unwrap(), record);
    }

    #[test]
    fn a_line_with_a_flipped_bit_is_refused_or_hashes_otherwise(record in a_record(), at: prop::sample::Index) {
        let good = line(&record);
        let (mut bad, bit) = (good.clone(), at.index(good.len() * 8));
        bad[bit / 8] ^= 1 << (bit % 8);
        if let Ok(other) = read_line(&bad) {
            prop_assert_ne!(other, record);
            prop_assert_ne!(sha256(&bad), sha256(&good));
        }
    }
}

#[test]
fn the_first_line_is_bound_to_the_name_of_the_log() {
    let chain = Chain::genesis();
    assert_eq!(chain.next_seq(), 1);
    assert_eq!(chain.head(), &sha256("clawsec-traffic-log/v1"));
}

#[test]
fn a_chain_follows_its_own_lines_and_stands_still_at_any_other() {
    let (mut writer, mut lines) = (Chain::genesis(), vec![]);
    for family in [Family::AiApiKey, Family::ReverseShell, Family::AiApiKey] {
        let framed = writer.finding(|seq, prev| finding(seq, prev, family)).unwrap();
        writer.advance(&framed);
        lines.push(framed.line);
    }
    let bare = |n: usize| lines[n].strip_suffix(b"\n").unwrap();
    let mut reader = Chain::genesis();
    reader.follow(bare(0)).unwrap();
    let here = reader.clone();
    assert_eq!(reader.follow(bare(0)), Err(LineError::Seq { expected: 2, found: 1 }));
    assert_eq!(reader.follow(bare(2)), Err(LineError::Seq { expected: 2, found: 3 }));
    assert_eq!(reader.follow(&lines[1]), Err(LineError::NotCanonical));
    assert_eq!(Chain::resume(2, sha256("elsewhere")).follow(bare(1)), Err(LineError::Prev));
    assert_eq!(reader, here);
    reader.follow(bare(1)).unwrap();
    reader.follow(bare(2)).unwrap();
    assert_eq!(reader, writer);
}

#[test]
fn a_record_for_another_place_is_not_framed() {
    let chain = Chain::genesis();
    let wrong_seq = chain.finding(|_, prev| finding(2, prev, Family::Canary));
    assert_eq!(wrong_seq, Err(LineError::Seq { expected: 1, found: 2 }));
    assert_eq!(chain.finding(|seq, _| finding(seq, sha256(""), Family::Canary)), Err(LineError::Prev));
}

#[test]
fn a_record_that_could_not_be_read_back_is_not_framed() {
    let chain = Chain::genesis();
    let with = |change: fn(&mut FindingRecord)| {
        chain.finding(|seq, prev| {
            let mut record = finding(seq, prev, Family::Canary);
            change(&mut record);
            record
        })
    };
    assert_eq!(with(|r| r.dest = "x".repeat(MAX_LINE_BYTES)), Err(LineError::TooLong));
    let rest = with(|r| r.dest.clear()).unwrap().line.len() - 1;
    let longest = |dest: usize| {
        chain.finding(|seq, prev| FindingRecord { dest: "x".repeat(dest), ..finding(seq, prev, Family::Canary) })
    };
    assert_eq!(longest(MAX_LINE_BYTES - rest).unwrap().line.len(), MAX_LINE_BYTES + 1);
    assert_eq!(longest(MAX_LINE_BYTES - rest + 1), Err(LineError::TooLong));
    assert_eq!(with(|r| r.schema_version = "clawsec-traffic-finding/v2".into()), Err(LineError::UnknownVersion));
    assert_eq!(with(|r| r.schema_version = String::new()), Err(LineError::Malformed));
    let now = time("2026-04-26T00:00:00.000Z");
    let fold = |count| chain.event(now, EventBody::Fold { count, finding_seq: 1 });
    assert!(fold(MAX_INTEGER).is_ok());
    assert_eq!(fold(MAX_INTEGER + 1), Err(LineError::Malformed));
}

#[test]
fn other_spellings_of_a_line_are_refused() {
    let record = Record::Finding(Box::new(finding(1, sha256(""), Family::AiApiKey)));
    let good = String::from_utf8(line(&record)).unwrap();
    for (from, to, expected) in [
        ("\"dest\":", "\"dest\": ", LineError::NotCanonical),
        ("hermes", "herm\\u0065s", LineError::NotCanonical),
        ("\"seq\":1", "\"seq\":1.0", LineError::Malformed),
        ("\"seq\":1", "\"seq\":01", LineError::Malformed),
        ("\"seq\":1", "\"seq\":9007199254740992", LineError::Malformed),
        ("\"seq\":1", "\"seq\":1,\"seq\":1", LineError::Malformed),
        ("\"seq\":1", "\"seq\":1,\"path\":\"/v1\"", LineError::Malformed),
        ("\"seq\":1,", "", LineError::Malformed),
        ("{\"dest\"", "{\"__proto__\":{},\"dest\"", LineError::Malformed),
        ("outbound", "sideways", LineError::Malformed),
        ("finding/v1", "finding/v2", LineError::UnknownVersion),
        ("finding/v1", "event/v1", LineError::Malformed),
        ("clawsec-traffic-finding/v1", "other/v1", LineError::Malformed),
    ] {
        let bad = good.replacen(from, to, 1);
        assert_ne!(bad, good);
        assert_eq!(read_line(bad.as_bytes()), Err(expected), "{bad}");
    }
    for bad in ["", "{}", "[]", "null", "{\"event\":{}}", &"[".repeat(60_000), &" ".repeat(MAX_LINE_BYTES + 1)] {
        assert!(read_line(bad.as_bytes()).is_err());
    }
}

#[test]
fn members_in_another_order_are_refused() {
    let record = Record::Finding(Box::new(finding(1, sha256(""), Family::AiApiKey)));
    let good = String::from_utf8(line(&record)).unwrap();
    let moved =
        good.replacen("\"seq\":1,", "", 1).replacen("\"severity\":\"high\"", "\"severity\":\"high\",\"seq\":1", 1);
    assert_eq!(read_line(moved.as_bytes()), Err(LineError::NotCanonical));
}
