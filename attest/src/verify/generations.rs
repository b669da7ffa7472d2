//! A posture → whether the generations beside it agree: none later, and no number higher in an earlier one.

use super::authentic::document;
use crate::{
    digest::sha256,
    folder::{self, Folder},
    keyring::Keyring,
    reason::Reason,
};
use posture::{Posture, Sha256Hex, UnscannedReason};
use std::collections::BTreeMap;

/// So many retained generations below the one verified, and above it, are compared with it.
const EARLIER: usize = 128;

/// Beside a later authentic statement an earlier one is no last word, whatever `current` says.
pub(super) fn check_newer(folder: &Folder, posture: &Posture, ring: &Keyring) -> Result<(), Reason> {
    let above = folder.generations()?.into_iter().rev().take_while(|n| *n > posture.sequence).take(EARLIER);
    for number in above {
        if retained(folder, number, ring).is_some_and(|(newer, _)| newer.sequence == number) {
            return Err(Reason::RolledBack { sequence: posture.sequence, newer: number });
        }
    }
    Ok(())
}

/// Numbers that never decrease, against every earlier generation that is still there and authentic.
pub(super) fn check_earlier(folder: &Folder, posture: &Posture, ring: &Keyring) -> Result<(), Reason> {
    let now = counters(posture);
    let below = folder.generations()?.into_iter().rev().filter(|n| *n < posture.sequence).take(EARLIER);
    for number in below {
        let Some((then, _)) = retained(folder, number, ring) else { continue };
        let fallen = counters(&then).into_iter().find(|(name, value)| now.get(name).is_none_or(|n| n < value));
        if let Some((counter, _)) = fallen {
            return Err(Reason::Decreased { counter, sequence: posture.sequence, earlier: number });
        }
    }
    Ok(())
}

/// The posture in another generation and its hash, if it is there and signed by the key of its own time.
pub(super) fn retained(folder: &Folder, number: u64, ring: &Keyring) -> Option<(Posture, Sha256Hex)> {
    let generation = folder.generation(number, false);
    let bytes = folder::read(generation.posture()).ok()?;
    let posture = document(generation.posture(), &bytes, ring.signer(number)).ok()?;
    Some((posture, sha256(bytes)))
}

fn counters(posture: &Posture) -> BTreeMap<String, u64> {
    let mut all = BTreeMap::from([
        ("counts.findings".to_owned(), posture.counts.findings),
        ("counts.folded".to_owned(), posture.counts.folded),
        ("finding_log.first_seq".to_owned(), posture.finding_log.first_seq),
        ("finding_log.next_seq".to_owned(), posture.finding_log.next_seq),
    ]);
    let mut add = |section: String, value: Result<serde_json::Value, _>| {
        let members = value.ok().and_then(|v: serde_json::Value| v.as_object().cloned()).unwrap_or_default();
        all.extend(
            members.into_iter().filter_map(|(name, value)| Some((format!("{section}.{name}"), value.as_u64()?))),
        );
    };
    add("attested".into(), serde_json::to_value(&posture.attested));
    add("coverage.seen".into(), serde_json::to_value(posture.coverage.seen));
    add("coverage.scanned".into(), serde_json::to_value(posture.coverage.scanned));
    // What is in progress ends, and is then counted elsewhere.
    let settled = |reason: &str| reason != UnscannedReason::InProgress.as_str();
    for unscanned in posture.coverage.not_scanned.iter().filter(|u| settled(u.reason.as_str())) {
        add(format!("coverage.not_scanned.{}", unscanned.reason), serde_json::to_value(unscanned));
    }
    all
}
