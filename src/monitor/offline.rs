//! What `export` and `stop` do without a monitor: take the lock, and sign the last state again, with the truth about
//! the last run.

use super::{
    MonitorError,
    recorder::{bounds, signed},
};
use crate::{
    clock,
    config::Config,
    control::Exported,
    flow::{
        store::Store,
        tally::{Base, Tally},
        vouch::{Settings, Statement, Vouch},
    },
    home::Home,
};
use keys::KeyFolder;
use posture::{Attested, Checkpoint, Coverage, Ended};
use std::{collections::BTreeSet, time::Instant};

/// Exports without a monitor: the state as it was signed last, and a posture that says how the last run ended.
///
/// # Errors
/// [`MonitorError::NothingYet`] when nothing was ever signed here; a [`crate::home::HomeError::Held`] when a monitor
/// runs after all.
pub fn offline_export(config: &Config) -> Result<Exported, MonitorError> {
    sign_again(config, |enabled| enabled)?.ok_or(MonitorError::NothingYet)
}

/// Stops without a monitor: the operator no longer wants one, and the last state says so from here on. `None` when
/// nothing was ever signed here: there is nothing to take back.
///
/// # Errors
/// As [`offline_export`], but for `NothingYet`.
pub fn offline_stop(config: &Config) -> Result<Option<Exported>, MonitorError> {
    sign_again(config, |_| false)
}

fn sign_again(config: &Config, enabled: impl FnOnce(bool) -> bool) -> Result<Option<Exported>, MonitorError> {
    if !Home::of(config).public_key().exists() {
        return Ok(None);
    }
    let home = Home::open(config)?;
    let _lock = home.lock()?;
    let (keys, _) = KeyFolder::open_or_create(home.keys_dir(), &home.public_key())?;
    let (mut vouch, last) = Vouch::open(&home, keys.signing_key)?;
    let Some(last) = last else { return Ok(None) };

    let (now, at) = (clock::now(), Instant::now());
    let mut store = Store::open(home.log_dir(), bounds(config), Some(signed(&last)), now);
    let base = Base::newest(store.last_checkpoint(), Some(&last.posture));
    vouch.not_below(base.next_sequence);
    let tally = Tally::new(base);
    store.totals(Checkpoint {
        attested: tally.attested(&Attested::default()),
        counts: store.standing().2.clone(),
        coverage: tally.coverage(&Coverage::default()),
        install_id: last.posture.install_id.clone(),
        next_sequence: vouch.next_sequence(),
    });
    store.report_damage(now, at);
    store.sync().map_err(|source| MonitorError::Io { action: "bring the log to the disk", source })?;
    let (finding_log, chain, counts) = store.standing();
    let posture = &last.posture;
    let statement = Statement {
        attested: tally.attested(&Attested::default()),
        at: now,
        counts: counts.clone(),
        coverage: tally.coverage(&Coverage::default()),
        degraded: BTreeSet::new(),
        ended: if posture.ended == Ended::Running { Ended::Unclean } else { posture.ended },
        finding_log,
        head: chain.head().clone(),
        install_id: posture.install_id.clone(),
        monitor_enabled: enabled(posture.monitor_enabled),
        run_id: posture.run_id.clone(),
        self_test: posture.self_test.clone(),
    };
    let published = vouch.publish(&Settings::as_signed(&last), statement)?;
    Ok(Some(Exported { generated_at: published.posture.generated_at, sequence: published.posture.sequence }))
}
