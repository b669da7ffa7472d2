use super::*;
use crate::flow::capture::Route;
use posture::{Direction, Protocol};
use proptest::prelude::*;

fn head() -> Head {
    let route = Route {
        protocol: Protocol::Http,
        host: "origin".to_owned(),
        port: 80,
        source: [127, 0, 0, 1].into(),
        names_agree: true,
        verified_tls: false,
    };
    let fields = vec![Field { name: Bytes::from_static(b"host"), value: Bytes::from_static(b"origin") }];
    Head { direction: Direction::Outbound, route: Arc::new(route), start: StartLine::Response { status: 200 }, fields }
}

/// A scanner that looks at everything, on the spot.
fn scan(intake: &Intake) -> Vec<u8> {
    let (mut seen, mut ticket) = (Vec::new(), None);
    while let Some(fed) = intake.waiting() {
        match fed.feed {
            Feed::Begin(_, t, _) => ticket = Some(t),
            Feed::Part(Part::Body(piece)) => seen.extend_from_slice(&piece),
            Feed::Name(..) | Feed::Part(Part::Trailers(_)) => {}
            Feed::Part(Part::End) => ticket.take().unwrap().settle(seen.len() as u64, None),
        }
    }
    seen
}

#[test]
fn a_message_arrives_whole_and_gives_its_room_back() {
    let meter = Meter::default();
    let (tap, intakes) = Tap::new(1 << 20, 1, meter.clone());
    let mut message = tap.open(head());
    message.body(&Bytes::from_static(b"hello "));
    message.body(&Bytes::from(vec![b'x'; SHARE_FROM]));
    drop(message);
    assert!(tap.used() > READ_BUFFER);
    assert_eq!(scan(&intakes[0]).len(), 6 + SHARE_FROM);
    assert_eq!(tap.used(), 0);
    assert_eq!(meter.coverage().scanned.bytes, 6 + SHARE_FROM as u64);
    assert_eq!(meter.coverage().scanned.messages, 1);
}

#[test]
fn what_does_not_fit_is_dropped_and_what_was_scanned_before_stays_scanned() {
    let meter = Meter::default();
    let (tap, intakes) = Tap::new(4096, 1, meter.clone());
    let mut message = tap.open(head());
    message.body(&Bytes::from(vec![1; 1000]));
    message.body(&Bytes::from(vec![2; 4000]));
    message.body(&Bytes::from(vec![3; 10]));
    drop(message);
    assert_eq!(scan(&intakes[0]), vec![1; 1000]);
    let coverage = meter.coverage();
    assert!(coverage.adds_up());
    assert_eq!(coverage.scanned.bytes, 1000);
    assert_eq!(coverage.unscanned(UnscannedReason::Dropped).bytes, 4010);
    assert_eq!(coverage.unscanned(UnscannedReason::Dropped).messages, 1);
    assert_eq!(tap.used(), 0);
}

#[test]
fn a_message_whose_head_does_not_fit_is_dropped_without_a_scanner() {
    let meter = Meter::default();
    let (tap, intakes) = Tap::new(10, 1, meter.clone());
    let mut message = tap.open(head());
    message.body(&Bytes::from_static(b"four"));
    drop(message);
    assert!(intakes[0].waiting().is_none());
    assert_eq!(meter.coverage().unscanned(UnscannedReason::Dropped).bytes, 4);
    assert_eq!(tap.used(), 0);
}

#[test]
fn a_long_target_takes_its_room() {
    let meter = Meter::default();
    let (tap, intakes) = Tap::new(4096, 1, meter.clone());
    let start = |length| StartLine::Request { method: Bytes::new(), target: Bytes::from(vec![b'a'; length]) };
    let message = tap.open(Head { start: start(2000), ..head() });
    assert!(tap.used() > 2000);
    drop(message);
    scan(&intakes[0]);
    tap.name(Head { start: start(2000), ..head() });
    assert!(tap.used() > 2000);
    assert_eq!(meter.coverage().seen.messages, 1);
    drop(tap.open(Head { start: start(3000), ..head() }));
    tap.name(Head { start: start(3000), ..head() });
    assert_eq!(meter.coverage().unscanned(UnscannedReason::Dropped).messages, 2);
    scan(&intakes[0]);
    assert_eq!(tap.used(), 0);
}

#[test]
fn bytes_a_scanner_holds_leave_no_room() {
    let meter = Meter::default();
    let (tap, intakes) = Tap::new(4096, 1, meter.clone());
    let mut holding = intakes[0].holding();
    assert!(holding.set(4096));
    drop(tap.open(head()));
    assert_eq!(meter.coverage().unscanned(UnscannedReason::Dropped).messages, 1);
    assert!(!holding.set(4097), "more than fits");
    assert!(holding.set(4097), "no more than before");
    assert!(holding.set(10));
    assert_eq!(tap.used(), 10);
    drop(holding);
    assert_eq!(tap.used(), 0);
}

#[test]
fn a_scanner_that_died_leaves_nothing_unsettled() {
    let meter = Meter::default();
    let (tap, intakes) = Tap::new(4096, 1, meter.clone());
    let mut message = tap.open(head());
    drop(intakes);
    message.body(&Bytes::from_static(b"four"));
    drop(message);
    drop(tap.open(head()));
    let coverage = meter.coverage();
    assert!(coverage.adds_up());
    assert_eq!(coverage.unscanned(UnscannedReason::InProgress).messages, 0);
    assert_eq!(coverage.scanned.messages, 0);
    assert_eq!(tap.used(), 0);
}

proptest! {
    #[test]
    fn the_bound_is_never_passed_and_everything_is_given_back(
        pieces in proptest::collection::vec((0_usize..3, 0_usize..70_000, any::<bool>()), 0..60)
    ) {
        let meter = Meter::default();
        let (tap, intakes) = Tap::new(200_000, 2, meter.clone());
        let mut messages: Vec<_> = (0..3).map(|_| tap.open(head())).collect();
        for (at, length, reopen) in pieces {
            messages[at].body(&Bytes::from(vec![0; length]));
            if reopen { messages[at] = tap.open(head()); }
            prop_assert!(tap.used() <= 200_000);
            prop_assert!(meter.coverage().adds_up());
        }
        drop(messages);
        for intake in &intakes {
            // Several messages share an intake: only their tickets' drop is of interest here.
            while intake.waiting().is_some() {}
        }
        prop_assert_eq!(tap.used(), 0);
        prop_assert!(meter.coverage().adds_up());
        prop_assert_eq!(meter.coverage().unscanned(UnscannedReason::InProgress), posture::Totals::default());
    }
}
