use super::*;
use proptest::prelude::*;

fn totals() -> impl Strategy<Value = Totals> {
    (0..1_u64 << 40, 0..1_u64 << 40, 0..1_u64 << 40).prop_map(|(bytes, connections, messages)| Totals {
        bytes,
        connections,
        messages,
    })
}

/// Coverage that adds up, as a meter gives it.
fn coverage() -> impl Strategy<Value = Coverage> {
    let reasons = proptest::sample::subsequence(UnscannedReason::ALL, 0..=UnscannedReason::ALL.len());
    (totals(), reasons, proptest::collection::vec(totals(), UnscannedReason::ALL.len())).prop_map(
        |(scanned, mut reasons, by_reason)| {
            reasons.sort_by_key(|r| r.as_str());
            let not_scanned: Vec<_> = reasons
                .iter()
                .zip(&by_reason)
                .map(|(r, t)| Unscanned {
                    bytes: t.bytes,
                    connections: t.connections,
                    messages: t.messages,
                    reason: (*r).into(),
                })
                .filter(|u| (u.bytes, u.connections, u.messages) != (0, 0, 0))
                .collect();
            let seen = not_scanned.iter().fold(scanned, |sum, u| {
                plus_totals(sum, Totals { bytes: u.bytes, connections: u.connections, messages: u.messages })
            });
            Coverage { not_scanned, scanned, seen }
        },
    )
}

fn sorted_without_zeros(coverage: &Coverage) -> bool {
    coverage.not_scanned.windows(2).all(|w| w[0].reason < w[1].reason)
        && coverage.not_scanned.iter().all(|u| (u.bytes, u.connections, u.messages) != (0, 0, 0))
}

proptest! {
    #[test]
    fn runs_added_up_still_add_up(first in coverage(), second in coverage(), third in coverage()) {
        let base = |coverage: Coverage| Base { coverage: settle(coverage), ..Base::default() };
        let two = Tally::new(base(first.clone())).coverage(&second);
        prop_assert!(two.adds_up());
        let three = Tally::new(base(two.clone())).coverage(&third);
        prop_assert!(three.adds_up());
        prop_assert!(sorted_without_zeros(&three));
        prop_assert_eq!(three.seen.bytes, first.seen.bytes + second.seen.bytes + third.seen.bytes);
        prop_assert_eq!(plus(&first, &second), plus(&second, &first));
    }

    #[test]
    fn what_a_dead_process_left_open_is_unscanned_and_nothing_else_moves(before in coverage()) {
        let after = settle(before.clone());
        prop_assert!(after.adds_up());
        prop_assert_eq!((after.seen, after.scanned), (before.seen, before.scanned));
        prop_assert_eq!(after.unscanned(UnscannedReason::InProgress), Totals::default());
        for reason in UnscannedReason::ALL.iter().filter(|r| **r != UnscannedReason::InProgress) {
            prop_assert!(after.unscanned(*reason).bytes >= before.unscanned(*reason).bytes);
        }
    }
}

#[test]
fn stated_counts_go_on_from_where_they_were() {
    let attested = Attested { expected: 3, self_tests: 1, ..Attested::default() };
    let tally = Tally::new(Base { attested, ..Base::default() });
    let here = Attested { expected: 2, token_seen: 1, not_recorded: 4, ..Attested::default() };
    let sum = Attested { expected: 5, self_tests: 1, token_seen: 1, not_recorded: 4, ..Attested::default() };
    assert_eq!(tally.attested(&here), sum);
}

#[test]
fn no_count_passes_what_json_holds_exactly() {
    assert_eq!(sum(MAX_INTEGER, 1), MAX_INTEGER);
    assert_eq!(sum(u64::MAX, u64::MAX), MAX_INTEGER);
}

#[test]
fn a_first_run_begins_at_one() {
    assert_eq!(Base::newest(None, None), Base { next_sequence: 1, ..Base::default() });
}

#[test]
fn what_was_signed_outweighs_a_checkpoint_that_was_not() {
    let checkpoint = |next_sequence| Checkpoint {
        attested: Attested { expected: 77, ..Attested::default() },
        counts: posture::Counts::default(),
        coverage: Coverage::default(),
        install_id: InstallId::from_bytes(&[9; 16]),
        next_sequence,
    };
    let posture = crate::flow::vouch::tests::posture(5);
    for (next, goes_on) in [(4, 6), (6, 6), (9, 9), (5 + NEAR, 5 + NEAR), (7 + NEAR, 6), (MAX_INTEGER, 6)] {
        let base = Base::newest(Some(&checkpoint(next)), Some(&posture));
        assert_eq!(base.attested, posture.attested, "{next}");
        assert_eq!((base.install_id.as_ref(), base.next_sequence), (Some(&posture.install_id), goes_on));
    }
    let alone = Base::newest(Some(&checkpoint(9)), None);
    assert_eq!((alone.attested.expected, alone.next_sequence), (77, 9), "nothing better is left");
    assert_eq!(Base::newest(Some(&checkpoint(MAX_INTEGER)), None).next_sequence, FAR);
}

#[test]
fn reasons_nobody_knows_in_a_checkpoint_nobody_signed_are_one_and_none_twice() {
    let reason = |n: u64| if n.is_multiple_of(2) { format!("x{n:063}") } else { "tunnel".to_owned() };
    let unscanned = |n| Unscanned { bytes: 3, connections: 0, messages: 1, reason: reason(n).parse().unwrap() };
    let not_scanned: Vec<_> = (0..400).map(unscanned).collect();
    let seen = Totals { bytes: 1_200, connections: 0, messages: 400 };
    let coverage = Coverage { not_scanned, scanned: Totals::default(), seen };
    assert!(coverage.adds_up());
    let checkpoint = Checkpoint {
        attested: Attested::default(),
        counts: posture::Counts::default(),
        coverage,
        install_id: InstallId::from_bytes(&[3; 16]),
        next_sequence: 1,
    };
    let coverage = Base::newest(Some(&checkpoint), None).coverage;
    assert!(coverage.adds_up() && sorted_without_zeros(&coverage));
    assert_eq!((coverage.not_scanned.len(), coverage.seen), (2, seen));
    assert_eq!(coverage.unscanned(UnscannedReason::ScannerError).bytes, 600);
}
