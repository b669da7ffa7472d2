//! Logs longer than one core reads at once: the answer is that of a log read line by line.

use crate::{
    attacks::{lines, put_lines},
    support::{Home, expect, settled},
};
use attest::{Reason, chain::LineError, folder::FolderError};
use posture::Family;

const RECORDS: u64 = 6_000;

/// A segment of some batches, and another of some.
fn long() -> Home {
    let mut home = Home::empty();
    for seq in 1..=RECORDS {
        home.find(Family::AiApiKey);
        if seq == RECORDS / 2 {
            home.seal_segment();
        }
    }
    home.export(settled);
    home
}

#[test]
fn every_line_is_read_and_counted_once() {
    let report = long().verify();
    expect(&report, 0, "none");
    assert_eq!(report.posture.unwrap().counts.findings, RECORDS);
}

#[test]
fn the_first_line_that_is_wrong_is_named_wherever_it_stands() {
    let home = long();
    let whole = lines(&home.log());
    for at in [0, 1, 530, 1_400, 2_100, 2_998] {
        let mut damaged = whole.clone();
        damaged[at] = damaged[at].replace("\"high\"", "\"info\"");
        // Of several the first, though another one may be read before it.
        damaged[2_999] = "{".into();
        put_lines(&home.log(), &damaged);
        let (number, found) = (u64::try_from(at).unwrap(), home.verify().reason.unwrap());
        // A changed line is still a record: what is bound to it no longer is.
        let (line, seq, problem) = (number + 2, RECORDS / 2 + number + 2, LineError::Prev);
        let problem = if at == 2_998 { LineError::Malformed } else { problem };
        assert!(
            matches!(found, Reason::LogLine { line: l, seq: s, problem: p, .. } if (l, s, p) == (line, seq, problem)),
            "{at}: {found:?}"
        );
    }
}

#[test]
fn what_stands_above_the_signed_head_is_not_looked_at_though_it_was_read() {
    let home = long();
    let whole = lines(&home.log());
    for above in ["{".to_owned(), "x".repeat(attest::chain::MAX_LINE_BYTES + 2)] {
        for ahead in [1, 700] {
            let mut longer = whole.clone();
            longer.extend(std::iter::repeat_n(above.clone(), ahead));
            put_lines(&home.log(), &longer);
            expect(&home.verify(), 0, "none");
        }
    }
    let mut longer = whole;
    longer.insert(2_999, "x".repeat(attest::chain::MAX_LINE_BYTES + 2));
    put_lines(&home.log(), &longer);
    let reason = home.verify().reason.unwrap();
    assert!(matches!(reason, Reason::Folder(FolderError::LineTooLong { line: 3_000, .. })), "{reason:?}");
}
