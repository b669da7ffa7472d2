//! What `export`, `recover`, `keys rotate` and `stop` do without a monitor: take the lock, and sign the last state again,
//! with the truth about the last run.

use super::{
    MonitorError, alone, identity,
    recorder::{bounds, rotated, signed},
};
use crate::{
    config::Config,
    control::{Exported, Rotated},
    flow::{
        store::{RecoverError, Recovered, Store},
        tally::{Base, Tally},
        vouch::{Last, Settings, Statement, Vouch},
    },
    home::{Home, Lock},
    warned,
};
use posture::{Attested, Checkpoint, Coverage, Ended, EventBody, Rotation, Timestamp};
use std::{collections::BTreeSet, time::Instant};

/// Exports without a monitor: the state as it was signed last, and a posture that says how the last run ended.
///
/// # Errors
/// [`MonitorError::NothingYet`] when nothing was ever signed here, [`MonitorError::NoHome`] when there is no such folder;
/// a [`crate::home::HomeError::Held`] when a monitor runs after all.
pub fn offline_export(config: &Config, now: Timestamp) -> Result<Exported, MonitorError> {
    sign_again(config, now, |enabled| enabled)?.ok_or_else(|| nothing(config))
}

/// As [`offline_export`]; the posture as an in-toto statement in a DSSE envelope.
///
/// # Errors
/// As [`offline_export`].
pub fn offline_envelope(config: &Config, now: Timestamp) -> Result<String, MonitorError> {
    let mut this = Offline::open(config, now)?.ok_or_else(|| nothing(config))?;
    this.sign(|enabled| enabled)?;
    Ok(this.vouch.envelope()?)
}

/// Stops without a monitor: the operator no longer wants one, and the last state says so from here on. `None` when
/// nothing was ever signed here: there is nothing to take back.
///
/// # Errors
/// As [`offline_export`], but for `NothingYet` and `NoHome`.
pub fn offline_stop(config: &Config, now: Timestamp) -> Result<Option<Exported>, MonitorError> {
    sign_again(config, now, |_| false)
}

/// Gives up, without a monitor, on a log that cannot be proved any more, and begins it anew.
///
/// # Errors
/// [`MonitorError::Recover`] when there is nothing to recover or files are in the way; otherwise as [`offline_export`].
pub fn offline_recover(config: &Config, now: Timestamp) -> Result<(Recovered, Exported), MonitorError> {
    let mut this = Offline::open(config, now)?.ok_or_else(|| nothing(config))?;
    if !this.store.is_lost() {
        return Err(RecoverError::Nothing.into());
    }
    this.sign(|enabled| enabled)?;
    let totals = this.totals();
    let recovered = this.store.begin_anew(totals, this.now)?;
    let exported = this.sign(|enabled| enabled);
    let moved = this.store.reopen(this.now);
    let exported = exported?;
    moved.map_err(|source| MonitorError::Io { action: "put the log anew in its place", source })?;
    Ok((recovered, exported))
}

/// Puts another signing key in the place of the one in use, without a monitor.
///
/// # Errors
/// As [`offline_export`], or [`MonitorError::NotRotated`]: the old key signs on.
pub fn offline_rotate(config: &Config, now: Timestamp) -> Result<Rotated, MonitorError> {
    let mut this = Offline::open(config, now)?.ok_or_else(|| nothing(config))?;
    let event = this.vouch.stage_key().map_err(|e| MonitorError::NotRotated(e.to_string()))?;
    let statement = this.succeed(event).inspect_err(|_| this.vouch.discard_key())?;
    let unsigned = this.sign(|enabled| enabled).err().map(|e| e.to_string());
    Ok(rotated(&statement, unsigned))
}

/// Why there is no last word.
fn nothing(config: &Config) -> MonitorError {
    let home = config.home.clone();
    if home.exists() { MonitorError::NothingYet { home } } else { MonitorError::NoHome { home } }
}

fn sign_again(
    config: &Config,
    now: Timestamp,
    enabled: impl FnOnce(bool) -> bool,
) -> Result<Option<Exported>, MonitorError> {
    Offline::open(config, now)?.map(|mut this| this.sign(enabled)).transpose()
}

/// The state folder of a monitor that does not run, and its last word.
struct Offline {
    vouch: Vouch,
    last: Last,
    store: Store,
    tally: Tally,
    now: Timestamp,
    _lock: Lock,
}

impl Offline {
    /// `None` when nothing was ever signed here.
    fn open(config: &Config, now: Timestamp) -> Result<Option<Self>, MonitorError> {
        // Nothing is made in a folder that is not ours yet.
        if !config.export_dir.exists() || !Home::of(config).public_key().exists() {
            return Ok(None);
        }
        let home = Home::open(config)?;
        let lock = alone::lock(&home)?;
        let keys = identity::open(&home)?;
        let (mut vouch, last) = Vouch::open(&home, keys.signing_key)?;
        let Some(last) = last else { return Ok(None) };
        let store = Store::open(home.log_dir(), bounds(config), Some(signed(&last)), vouch.stated(), now);
        let base = Base::newest(store.last_checkpoint(), Some(&last.posture));
        vouch.not_below(base.next_sequence);
        let mut this = Self { vouch, last, store, tally: Tally::new(base), now, _lock: lock };
        let totals = this.totals();
        this.store.totals(totals);
        this.store.report_damage(now, Instant::now());
        Ok(Some(this))
    }

    fn totals(&self) -> Checkpoint {
        Checkpoint {
            attested: self.tally.attested(&Attested::default()),
            counts: self.store.standing().2.clone(),
            coverage: self.tally.coverage(&Coverage::default()),
            install_id: self.last.posture.install_id.clone(),
            next_sequence: self.vouch.next_sequence(),
        }
    }

    /// The change of the key in the log, in a posture, and stated by both keys.
    fn succeed(&mut self, event: EventBody) -> Result<Rotation, MonitorError> {
        let placed = self.store.place(event, self.now, Instant::now());
        let log =
            placed.map_err(|e| MonitorError::NotRotated(format!("the log does not take it: {}", warned::why(&e))))?;
        self.sign(|enabled| enabled)?;
        self.vouch.succeed(&log).map_err(|e| MonitorError::NotRotated(e.to_string()))
    }

    fn sign(&mut self, enabled: impl FnOnce(bool) -> bool) -> Result<Exported, MonitorError> {
        self.store.sync().map_err(|source| MonitorError::Io { action: "bring the log to the disk", source })?;
        let (finding_log, chain, counts) = self.store.standing();
        let posture = &self.last.posture;
        let statement = Statement {
            attested: self.tally.attested(&Attested::default()),
            at: self.now,
            counts: counts.clone(),
            coverage: self.tally.coverage(&Coverage::default()),
            degraded: BTreeSet::new(),
            // A run that began behind the last posture had no word of its own yet.
            ended: if self.store.was_unclean() { Ended::Unclean } else { posture.ended },
            finding_log,
            head: chain.head().clone(),
            install_id: posture.install_id.clone(),
            monitor_enabled: enabled(posture.monitor_enabled),
            run_id: posture.run_id.clone(),
            self_test: posture.self_test.clone(),
        };
        self.last = self.vouch.publish(&Settings::as_signed(&self.last), statement)?;
        self.store.signed(signed(&self.last));
        let posture = &self.last.posture;
        Ok(Exported { generated_at: posture.generated_at, sequence: posture.sequence })
    }
}
