//! The log → whether it is what a posture signed: its chain, its sums, what it says of the keys.

use crate::{
    ahead::{self, At, Read},
    chain::{Chain, Entry, FIRST_SEQ, LineError, Record},
    folder::{Folder, Place},
    keyring::{Keyring, Witness},
    prefix::Prefix,
    reason::Reason,
};
use posture::{Counts, Posture, Sha256Hex};

/// What following the log taught.
pub(super) struct Learnt {
    /// The first record retained is the one a person began the log anew with.
    pub(super) begun_anew: bool,
    /// The head of the chain at the record the reader remembers; `None` when it is gone, or none was asked about.
    pub(super) then_head: Option<Sha256Hex>,
}

/// Follows the chain up to the signed head. What stands above it is nobody's word yet, and is not looked at.
pub(super) fn check_log(
    folder: &Folder,
    posture: &Posture,
    ring: &Keyring,
    then: Option<u64>,
) -> Result<Learnt, Reason> {
    let next = posture.finding_log.next_seq;
    let last = next.saturating_sub(1);
    let mut walk = Walk::new(posture.finding_log.first_seq, Witness::new(ring), then);
    if next > FIRST_SEQ {
        let log = folder.log_retained_from(walk.first_seq)?;
        if walk.chain.next_seq() < next {
            ahead::for_each(log, |Read { at, entry }| {
                walk.step(entry, &at).map_err(|problem| Reason::LogLine {
                    path: (*at.path).into(),
                    line: at.number,
                    seq: walk.chain.next_seq(),
                    problem,
                })?;
                Ok::<_, Reason>(walk.chain.next_seq() < next)
            })?;
        }
        if walk.chain.next_seq() < next {
            return Err(Reason::LogCut { missing: walk.chain.next_seq(), last });
        }
    }
    if walk.chain != Chain::resume(next, posture.finding_log_sha256.clone()) {
        return Err(Reason::LogHead { last });
    }
    if let Some(path) = walk.unknown {
        return Err(Reason::UnknownVersion { path });
    }
    walk.look();
    let learnt = Learnt { begun_anew: walk.prefix.is_recovery(), then_head: walk.then_head.take() };
    let rotations = walk.witness.settle(walk.first_seq, next);
    if walk.counts()? != posture.counts {
        return Err(Reason::Counts { last });
    }
    rotations?;
    Ok(learnt)
}

/// What following the chain up to the signed head learns.
struct Walk<'k> {
    /// The first record retained, as the posture has it.
    first_seq: u64,
    chain: Chain,
    /// Whether `chain` is that of a line in the log, or where it should begin.
    begun: bool,
    /// The hash of the record before `first_seq`.
    before_first: Option<Sha256Hex>,
    /// What the retained records add up to.
    retained: Counts,
    /// Why the log begins where it does.
    prefix: Prefix,
    /// Where the first record of a version not known here stands.
    unknown: Option<Place>,
    /// What it says of the keys.
    witness: Witness<'k>,
    /// The record before which the head is asked for, and that head.
    then: Option<u64>,
    then_head: Option<Sha256Hex>,
}

impl<'k> Walk<'k> {
    fn new(first_seq: u64, witness: Witness<'k>, then: Option<u64>) -> Self {
        let genesis = Chain::genesis();
        let begun = first_seq <= genesis.next_seq();
        let chain = if begun { genesis } else { Chain::resume(first_seq, genesis.head().clone()) };
        Self {
            first_seq,
            chain,
            begun,
            before_first: None,
            retained: Counts::default(),
            prefix: Prefix::Whole,
            unknown: None,
            witness,
            then,
            then_head: None,
        }
    }

    fn step(&mut self, entry: Entry, at: &At) -> Result<(), LineError> {
        if !self.begun || at.after_gap {
            self.begin(&entry)?;
        }
        self.look();
        let seq = self.chain.next_seq();
        if seq == self.first_seq {
            self.before_first = Some(self.chain.head().clone());
        }
        let Some(record) = self.chain.take(entry)? else {
            self.unknown.get_or_insert_with(|| (*at.path).into());
            return Ok(());
        };
        if seq >= self.first_seq {
            record.count(&mut self.retained);
        }
        self.witness.see(&record, self.chain.head());
        if let Record::Event(event) = record {
            self.prefix.see(*event);
        }
        Ok(())
    }

    fn look(&mut self) {
        if self.then == Some(self.chain.next_seq()) {
            self.then_head = Some(self.chain.head().clone());
        }
    }

    /// Some of the pruned records may still be there. Nothing is left to hold their own beginning against, so they need
    /// only chain into what is retained.
    fn begin(&mut self, entry: &Entry) -> Result<(), LineError> {
        let chain = entry.before().ok_or(LineError::Malformed)?;
        if chain.next_seq() > self.first_seq {
            return Err(LineError::Seq { expected: self.first_seq, found: chain.next_seq() });
        }
        (self.chain, self.begun) = (chain, true);
        Ok(())
    }

    /// What all records since genesis add up to: those retained, and those the newest event on the prefix speaks for.
    fn counts(self) -> Result<Counts, Reason> {
        let Self { first_seq, before_first, retained, prefix, .. } = self;
        let mut counts = prefix.counts(first_seq, before_first.as_ref()).ok_or(Reason::LogPrefix { first_seq })?;
        counts.add(&retained);
        Ok(counts)
    }
}
