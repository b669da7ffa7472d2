//! Lines → what they add up to, told by the hash of the last of them.

use super::disk::Line;
use super::reader::Archive;
use attest::Chain;
use posture::{Checkpoint, Ended, EventBody, Posture, Prune, Sha256Hex};
use std::collections::HashMap;

/// A record, but for what only the files' sizes bring about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum What {
    ClockStep { backwards: bool },
    ExportsMissing { last: Option<u64> },
    Fold(u64),
    Found(u64),
    Gap { unclean: bool },
    Overflow(u64),
    Prune { last_seq: u64 },
    Recovery,
    Reload,
    Rotate,
    Start,
    Stop(Ended),
}

impl What {
    /// `None` of a seal, a checkpoint, and a list of files.
    pub(super) fn of(line: &Line) -> Option<Self> {
        if let Some(number) = line.found() {
            return Some(Self::Found(number));
        }
        match line.event()? {
            EventBody::ClockStep { backwards, .. } => Some(Self::ClockStep { backwards: *backwards }),
            EventBody::ExportsMissing { last_sequence, .. } => Some(Self::ExportsMissing { last: *last_sequence }),
            EventBody::Fold { count, .. } => Some(Self::Fold(*count)),
            EventBody::Gap { unclean, .. } => Some(Self::Gap { unclean: *unclean }),
            EventBody::Overflow { count, .. } => Some(Self::Overflow(*count)),
            EventBody::Prune(prune) => Some(Self::Prune { last_seq: prune.last_seq }),
            EventBody::Recovery(_) => Some(Self::Recovery),
            EventBody::Reload(_) => Some(Self::Reload),
            EventBody::Rotate { .. } => Some(Self::Rotate),
            EventBody::Start { .. } => Some(Self::Start),
            EventBody::Stop { ended } => Some(Self::Stop(*ended)),
            EventBody::Checkpoint(_) | EventBody::Seal { .. } | EventBody::SetAside { .. } => None,
            EventBody::TunnelFallback { .. } => unreachable!("nothing is inspected here"),
        }
    }
}

/// What the records up to one add up to since genesis, and the first of them that is retained.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sums {
    pub(super) findings: u64,
    pub(super) folded: u64,
    pub(super) first_seq: u64,
}

/// By the hash of the last of these records.
pub(super) type Ledger = HashMap<Sha256Hex, Sums>;

/// A ledger that holds the beginning of a log.
pub(super) fn ledger() -> Ledger {
    let none = Sums { findings: 0, folded: 0, first_seq: 1 };
    HashMap::from([(Chain::genesis().head().clone(), none)])
}

/// Enters a line that follows on one that is known.
pub(super) fn enter(ledger: &mut Ledger, archive: &Archive, line: &Line) -> Result<(), String> {
    let before = line.before().ok_or("not a record")?;
    let signed = |seq: u64, head: &Sha256Hex| {
        let mut postures = archive.values().filter_map(|signed| signed.posture.as_deref());
        postures.find(|p| p.finding_log.next_seq == seq && p.finding_log_sha256 == *head).cloned()
    };
    let sums = match line.event() {
        Some(EventBody::Recovery(recovery)) => {
            let last = signed(before.next_seq(), before.head()).ok_or("a recovery stands where nothing was signed")?;
            if recovery.totals.counts != last.counts {
                return Err("a recovery goes on from other counts than were signed".into());
            }
            let (findings, folded) = (last.counts.findings, last.counts.folded);
            Sums { findings, folded, first_seq: before.next_seq() }
        }
        event => {
            let mut sums = *ledger.get(before.head()).ok_or("it follows on nothing known")?;
            match event {
                Some(EventBody::Fold { count, .. }) => sums.folded += count,
                Some(EventBody::Prune(prune)) => {
                    let gone = ledger.get(&prune.last_sha256).ok_or("a prune of records nobody knows")?;
                    if (prune.counts.findings, prune.counts.folded) != (gone.findings, gone.folded) {
                        return Err(format!("a prune says {:?}, and what goes adds up to {gone:?}", prune.counts));
                    }
                    sums.first_seq = prune.last_seq + 1;
                }
                None => sums.findings += 1,
                _ => {}
            }
            sums
        }
    };
    ledger.insert(line.sha256.clone(), sums);
    Ok(())
}

/// Enters a prune by its own word: nothing signed is left to hold it against.
pub(super) fn enter_by_its_word(ledger: &mut Ledger, line: &Line, prune: &Prune) {
    let Some(before) = line.before() else { return };
    let (Some(sums), Some(gone)) = (ledger.get(before.head()), ledger.get(&prune.last_sha256)) else { return };
    let sums = Sums {
        findings: prune.counts.findings + sums.findings - gone.findings,
        folded: prune.counts.folded + sums.folded - gone.folded,
        first_seq: prune.last_seq + 1,
    };
    ledger.entry(line.sha256.clone()).or_insert(sums);
}

/// What is stated and cannot be recounted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) expected: u64,
    pub(super) not_recorded: u64,
    pub(super) self_tests: u64,
    pub(super) bytes: u64,
}

impl Tally {
    pub(super) fn of_posture(posture: &Posture) -> Self {
        Self::new(&posture.attested, &posture.coverage)
    }

    pub(super) fn of_checkpoint(checkpoint: &Checkpoint) -> Self {
        Self::new(&checkpoint.attested, &checkpoint.coverage)
    }

    fn new(attested: &posture::Attested, coverage: &posture::Coverage) -> Self {
        let posture::Attested { expected, not_recorded, self_tests, .. } = *attested;
        Self { expected, not_recorded, self_tests, bytes: coverage.seen.bytes }
    }
}
