//! Folder → Report: every step in its order, and the first that fails decides.
//!
//! Strict signature over the bytes as they lie → schema version → canonical form → closed schema → digest → the state,
//! linked and signed → the chain over everything signed → recount → rotations → earlier generations → later ones → memory
//! → clock and expiry → degraded → baseline. Nothing of a document is believed before the steps above it passed. Which key
//! is to have signed, the rotations say that the pinned key vouches for.

mod authentic;
mod generations;
mod log;
mod options;
mod time;

pub use options::{Anchor, Baseline, Options};
pub use time::MAX_AHEAD_SECONDS;

use crate::{chain::FIRST_SEQ, folder::Folder, limit::Limit, memory::Seen, reason::Reason, report::Report};
use authentic::{Authentic, authenticate};
use generations::{check_newer, retained};
use keys::PublicKey;
use posture::{MonitorStatus, Sha256Hex};
use std::{ops::Deref, thread, time::Duration};
use time::check_time;

/// How often a folder that a monitor changed while it was read is read again.
const RETRIES: u32 = 3;
/// A monitor that has written a generation lets `current` lead to it within this time.
const PUBLISHED_WITHIN: Duration = Duration::from_millis(200);

/// A document that passed every step up to authenticity. Only this module makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified<T>(T);

impl<T> Deref for Verified<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

/// Verifies a folder, or a posture alone. Reads only. A link in the folder is followed wherever it leads: what is read
/// there is proved as any bytes are.
pub fn verify(folder: &Folder, options: &Options) -> Report {
    let anchor = match &options.anchor {
        Anchor::Pinned(key) => Ok(key.clone()),
        Anchor::Own => {
            folder.anchor().map_or(Err(Reason::Unpinned), |read| read.map_err(|source| Reason::Anchor { source }))
        }
        Anchor::Unpinned => Err(Reason::Unpinned),
    };
    let key_id = anchor.as_ref().ok().map(PublicKey::key_id);
    let mut report = Report::of(key_id);
    if let Err(reason) = run(folder, options, anchor, &mut report) {
        report.result = reason.result();
        report.reason = Some(reason);
        report.limits.clear();
    }
    report
}

fn run(
    folder: &Folder,
    options: &Options,
    anchor: Result<PublicKey, Reason>,
    report: &mut Report,
) -> Result<(), Reason> {
    let mut generation = folder.current()?;
    let anchor = anchor?;
    let mut retries = RETRIES;
    let authentic = loop {
        let authentic = authenticate(folder, &generation, &anchor, options.remembered.as_ref());
        let last = authentic.and_then(|read| match check_newer(folder, &read.posture, &read.ring) {
            Err(Reason::RolledBack { newer, .. }) if leads_to(folder, newer)? => Ok(read),
            judged => {
                judged?;
                read.ring.check_signed(read.posture.finding_log.next_seq)?;
                Ok(read)
            }
        });
        match last {
            Ok(documents) => break documents,
            Err(reason) if reason.is_racy() && retries > 0 => {
                let now = folder.current()?;
                if now.number() == generation.number() {
                    return Err(reason);
                }
                (generation, retries) = (now, retries - 1);
            }
            Err(reason) => return Err(reason),
        }
    };
    let continuity = recall(folder, options, &authentic, &anchor, report);
    let Authentic { posture, state, ring, log, .. } = authentic;
    let posture = report.posture.insert(Verified(posture));
    let continuity = continuity?;
    check_time(posture, options)?;
    if posture.monitor_status == MonitorStatus::Degraded || !posture.degraded_reasons.is_empty() {
        return Err(Reason::Degraded { reasons: posture.degraded_reasons.clone() });
    }
    if let Some(baseline) = &options.baseline {
        baseline.check(&state, posture.state_sha256.clone())?;
    }
    report.limits = vec![Limit::KeyHolder, Limit::UnsignedRecords];
    let is_remembered = options.remembered.is_some() && report.accepted.is_none();
    let more = [
        (!is_remembered, Limit::FolderRollback),
        (true, Limit::OtherTraffic),
        (matches!(options.anchor, Anchor::Own), Limit::OwnAnchor),
        (!generation.is_named(), Limit::NoCurrent),
        (posture.finding_log.first_seq != FIRST_SEQ && !log.begun_anew, Limit::PrunedRecords),
        (log.begun_anew, Limit::BegunAnew { first_seq: posture.finding_log.first_seq }),
        (posture.monitor_status == MonitorStatus::Stopped && options.max_age.is_none(), Limit::ExpiryNotTested),
        (!is_remembered && ring.is_walked_to(posture.sequence), Limit::OlderAnchor),
    ];
    report.limits.extend(more.into_iter().filter_map(|(holds, limit)| holds.then_some(limit)));
    report.limits.extend(continuity);
    Ok(())
}

/// Against what the reader remembers; fills in what is to be remembered from here on.
fn recall(
    folder: &Folder,
    options: &Options,
    authentic: &Authentic,
    anchor: &PublicKey,
    report: &mut Report,
) -> Result<Option<Limit>, Reason> {
    let Authentic { posture, posture_sha256, ring, log, .. } = authentic;
    let then_sha256 = options.remembered.as_ref().and_then(|then| posture_of(folder, then.sequence, authentic));
    let (then_sha256, then_head) = (then_sha256.as_ref(), log.then_head.as_ref());
    let seen = Seen { posture, posture_sha256, ring, then_sha256, then_head };
    let mut continuity = None;
    if let Some(then) = &options.remembered {
        match seen.follows(then) {
            Err(problem) if options.accept_restore => report.accepted = Some(problem),
            followed => followed?,
        }
        let before_seq = posture.finding_log.first_seq;
        continuity = then_head.is_none().then_some(Limit::Continuity { before_seq });
    }
    report.memory = Some(seen.memory(anchor.key_id()));
    Ok(continuity)
}

/// The hash of the posture numbered `sequence`: of its bytes if they are there, or else what the next one says it follows on.
fn posture_of(folder: &Folder, sequence: u64, authentic: &Authentic) -> Option<Sha256Hex> {
    let Authentic { posture, posture_sha256, ring, .. } = authentic;
    if posture.sequence == sequence {
        return Some(posture_sha256.clone());
    }
    let lies = retained(folder, sequence, ring).map(|(_, sha256)| sha256);
    let next = sequence.saturating_add(1);
    if posture.sequence == next {
        return lies.or_else(|| posture.previous_sha256.clone());
    }
    lies.or_else(|| retained(folder, next, ring)?.0.previous_sha256)
}

/// Whether `current` moves on to the generation `newer`, or past it: then what was read was the last word when it was read.
fn leads_to(folder: &Folder, newer: u64) -> Result<bool, Reason> {
    thread::sleep(PUBLISHED_WITHIN);
    Ok(folder.current()?.number().is_some_and(|now| now >= newer))
}
