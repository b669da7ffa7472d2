//! The one owner of store, tally and vouch: what was found goes in, signed generations come out.
//!
//! Every method takes its time as an argument, so that a day passes in a test as fast as it is written.

mod status;

use super::{
    reload::Applied,
    schedule::{ClockWatch, Schedule},
    signs::Signs,
};
use crate::{
    config::Config,
    control::{Exported, Limits, Reloaded, Rotated},
    flow::{
        capture::{Fallback, Load, Meter},
        redact::{Finding, Redactor},
        store::{Bounds, RecoverError, Recovered, Signed, Store},
        suppress::Suppressions,
        tally::{Base, Tally},
        vouch::{Last, Settings, Statement, Vouch},
    },
    home::Home,
    warned::{self, Warned},
};
use attest::Chain;
use posture::{
    Attested, Checkpoint, DegradedReason, Ended, EventBody, InstallId, Reload, Rotation, RunId, SelfTest,
    SelfTestResult, Severity, Timestamp, VALID_PERIODS,
};
use status::limits;
use std::{
    collections::BTreeSet,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

/// How much longer than it takes for a posture to be out of date the next self-test may be on its way: new rules compile in it.
const SELF_TEST_GRACE: Duration = Duration::from_secs(300);

/// What a recorder is made of.
pub(super) struct Parts {
    pub(super) config: Config,
    pub(super) home: Home,
    pub(super) vouch: Vouch,
    pub(super) last: Option<Last>,
    pub(super) settings: Settings,
    pub(super) run_id: RunId,
    /// For an installation's first run.
    pub(super) new_install_id: InstallId,
    pub(super) listen: SocketAddr,
    pub(super) vectors_sha256: posture::Sha256Hex,
    pub(super) meter: Meter,
    pub(super) load: Load,
    pub(super) signs: Arc<Signs>,
    pub(super) redactor: Arc<Redactor>,
}

/// Records, counts and signs, for one run.
pub(super) struct Recorder {
    store: Store,
    tally: Tally,
    vouch: Vouch,
    settings: Settings,
    meter: Meter,
    signs: Arc<Signs>,
    redactor: Arc<Redactor>,
    schedule: Schedule,
    clock: ClockWatch,
    run_id: RunId,
    install_id: InstallId,
    since: Timestamp,
    self_test: SelfTest,
    self_tests: u64,
    /// When the last one was heard of.
    self_tested_at: Option<Instant>,
    /// Findings that were not recorded when the log last took lines again.
    lost_before: u64,
    /// Why the last try to export failed.
    export_failure: Option<String>,
    warned: Warned,
    /// What the last posture said.
    said: BTreeSet<DegradedReason>,
    last_export: Option<Exported>,
    /// Until when it holds, by the steady clock.
    valid_until: Option<Instant>,
    listen: SocketAddr,
    limits: Limits,
    load: Load,
    suppressions: Suppressions,
    reload: Option<Reloaded>,
}

/// What the last complete posture says of the log.
pub(super) fn signed(last: &Last) -> Signed {
    let posture = &last.posture;
    Signed {
        first_seq: posture.finding_log.first_seq,
        chain: Chain::resume(posture.finding_log.next_seq, posture.finding_log_sha256.clone()),
        counts: posture.counts.clone(),
        at: Some(posture.generated_at),
        unfinished: matches!(posture.ended, Ended::Running | Ended::Unclean),
    }
}

pub(super) fn rotated(statement: &Rotation, unsigned: Option<String>) -> Rotated {
    Rotated {
        from_sequence: statement.from_sequence,
        new_key_id: statement.new_key_id.clone(),
        number: statement.number,
        old_key_id: statement.old_key_id.clone(),
        unsigned,
    }
}

pub(super) fn bounds(config: &Config) -> Bounds {
    Bounds { retention: config.retention, fold_window: config.fold_window, fold_open_max: config.fold_open_max }
}

impl Recorder {
    /// Opens the log and begins the run in it. The first export is due at once.
    pub(super) fn begin(parts: Parts, now: Timestamp, at: Instant) -> Self {
        let Parts { config, home, mut vouch, last, settings, run_id, .. } = parts;
        let limits = limits(&config, &settings);
        let store = Store::open(home.log_dir(), bounds(&config), last.as_ref().map(signed), vouch.stated(), now);
        let base = Base::newest(store.last_checkpoint(), last.as_ref().map(|last| &last.posture));
        vouch.not_below(base.next_sequence);
        let mut this = Self {
            install_id: base.install_id.clone().unwrap_or(parts.new_install_id),
            tally: Tally::new(base),
            schedule: Schedule::new(config.export_every, at),
            clock: ClockWatch::new(now, at),
            self_test: SelfTest {
                last_run_at: None,
                result: SelfTestResult::NotRun,
                vectors_sha256: parts.vectors_sha256,
            },
            store,
            vouch,
            settings,
            meter: parts.meter,
            signs: parts.signs,
            redactor: parts.redactor,
            run_id: run_id.clone(),
            since: now,
            self_tests: 0,
            self_tested_at: None,
            lost_before: 0,
            export_failure: None,
            warned: Warned::default(),
            said: BTreeSet::new(),
            last_export: None,
            valid_until: None,
            listen: parts.listen,
            limits,
            load: parts.load,
            suppressions: Suppressions::new(config.suppress),
            reload: None,
        };
        this.store.totals(this.totals());
        this.store.report_gap(now, at);
        this.store.report_missing_exports(last.as_ref().map(|last| last.posture.sequence), now, at);
        this.store.event(EventBody::Start { run_id }, now, at);
        this.checkpoint(now, at);
        this
    }

    pub(super) fn found(&mut self, finding: &Finding, now: Timestamp, at: Instant) {
        if self.suppressions.take(finding, now) {
            return;
        }
        self.store.record(finding, now, at);
        if finding.severity() >= Severity::High {
            self.schedule.urgent(at);
        }
    }

    pub(super) fn self_tested(&mut self, self_test: SelfTest, at: Instant) {
        let changed = self_test.result != self.self_test.result;
        self.self_test = self_test;
        self.self_tests += 1;
        self.self_tested_at = Some(at);
        // One that goes as the last one did is told in time.
        if changed {
            self.schedule.urgent(at);
        }
    }

    /// A self-test that nobody hears of any more has not passed.
    fn look_for_self_test(&mut self, at: Instant) {
        let period = Duration::from_secs(self.settings.period_seconds.saturating_mul(VALID_PERIODS));
        let patience = period + SELF_TEST_GRACE;
        let overdue = self.self_tested_at.is_some_and(|heard| at.saturating_duration_since(heard) > patience);
        if overdue && self.self_test.result != SelfTestResult::Failed {
            tracing::warn!("the self-test is overdue, which counts as failed");
            self.self_test.result = SelfTestResult::Failed;
        }
    }

    /// The authority of inspected hosts has another certificate.
    pub(super) fn renewed(&mut self, ca: posture::Ca, fingerprint: posture::Sha256Hex, at: Instant) {
        (self.settings.ca, self.settings.ca_fingerprint_sha256) = (ca, Some(fingerprint));
        self.schedule.urgent(at);
    }

    /// The configuration was read again. What was put in force is attested from here on, and at once.
    pub(super) fn reloaded(&mut self, told: Reloaded, applied: Option<Box<Applied>>, now: Timestamp, at: Instant) {
        self.reload = Some(told);
        let Some(applied) = applied else { return };
        let Applied { config, detector, redactor, weakened } = *applied;
        let Settings { ca, ca_fingerprint_sha256, https_inspection, config_sha256, pattern_set, .. } =
            self.settings.clone();
        let next = Settings::of(&config, detector.pattern_set());
        self.settings = Settings { ca, ca_fingerprint_sha256, https_inspection, ..next };
        self.limits = limits(&config, &self.settings);
        self.redactor = redactor;
        self.schedule.set_period(config.export_every);
        let event = EventBody::Reload(Box::new(Reload {
            config_sha256: self.settings.config_sha256.clone(),
            pattern_set_sha256: self.settings.pattern_set.sha256.clone(),
            previous_config_sha256: config_sha256,
            previous_pattern_set_sha256: pattern_set.sha256,
            weakened: weakened.into_iter().map(Into::into).collect(),
        }));
        // First, so that what less room would refuse is told before.
        self.store.event(event, now, at);
        self.store.rebound(bounds(&config), now, at);
        self.suppressions.replace(config.suppress);
        self.schedule.at_once(at);
    }

    /// To be called about once a second.
    pub(super) fn tick(&mut self, now: Timestamp, at: Instant) {
        if let Some(step) = self.clock.look(now, at) {
            self.store.event(step, now, at);
            self.schedule.at_once(at);
        }
        for fallback in self.meter.untold_fallbacks() {
            let dest = self.redactor.destination(&fallback.host, fallback.port);
            self.store.event(EventBody::TunnelFallback { dest, seconds: Fallback::LASTS.as_secs() }, now, at);
        }
        self.store.totals(self.totals());
        if self.store.tick(now, at) {
            self.log_is_well(now, at);
        }
        self.look_for_self_test(at);
        // The watch is the proxy's: that the proxy hangs must not hide that a scanner does.
        self.signs.watch(at);
        let worth_saying = |mut degraded: BTreeSet<_>| {
            // An export cannot say that there is none.
            degraded.remove(&DegradedReason::ExportFailed);
            degraded
        };
        if self.last_export.is_some() && worth_saying(self.degraded()) != worth_saying(self.said.clone()) {
            self.schedule.urgent(at);
        }
    }

    /// How many were lost meanwhile nobody else knows, and the disk may be well for a moment only.
    fn log_is_well(&mut self, now: Timestamp, at: Instant) {
        let lost = self.store.not_recorded();
        if lost > std::mem::replace(&mut self.lost_before, lost) {
            self.checkpoint(now, at);
        }
        self.schedule.at_once(at);
    }

    /// When the next export is due.
    pub(super) fn due(&self) -> Instant {
        self.schedule.due()
    }

    /// Exports now.
    ///
    /// # Errors
    /// Why not, for a person. The next try is scheduled.
    pub(super) fn export(&mut self, now: Timestamp, at: Instant) -> Result<Exported, String> {
        self.publish(true, Ended::Running, now, at)
    }

    /// Gives up on a log that cannot be proved any more, and begins it anew.
    ///
    /// # Errors
    /// Why not, for a person: nothing is to be recovered, or files are in the way.
    pub(super) fn recover(&mut self, now: Timestamp, at: Instant) -> Result<(Recovered, Exported), String> {
        self.store.close_windows(now, at);
        // An edit in place that changed no length shows only when all of it is read.
        self.store.reopen(now).map_err(|e| format!("the log cannot be read: {}", warned::why(&e)))?;
        if !self.store.is_lost() {
            return Err(RecoverError::Nothing.to_string());
        }
        if self.store.waiting() > 0 {
            return Err("the log cannot be written now: look at the disk, then try again".to_owned());
        }
        // Whatever holds of the log is signed first, so that its sums go on.
        self.export(now, at)?;
        let totals = self.totals();
        let recovered = self.store.begin_anew(totals, now).map_err(|e| e.to_string())?;
        let exported = self.export(now, at);
        let moved = self.store.reopen(now);
        let exported = exported?;
        moved.map_err(|e| format!("the log anew is signed, and could not be put in place yet: {}", warned::why(&e)))?;
        Ok((recovered, exported))
    }

    /// Exports now; the posture in an envelope.
    ///
    /// # Errors
    /// Why there is none, for a person.
    pub(super) fn envelope(&mut self, now: Timestamp, at: Instant) -> Result<String, String> {
        self.export(now, at)?;
        self.vouch.envelope().map_err(|e| e.to_string())
    }

    /// Puts another signing key in the place of the one in use: announced in the log, signed by the old one, stated by
    /// both, and taken up.
    ///
    /// # Errors
    /// Why not, for a person: the old key signs on.
    pub(super) fn rotate(&mut self, now: Timestamp, at: Instant) -> Result<Rotated, String> {
        let event = self.vouch.stage_key().map_err(|e| e.to_string())?;
        let announced = self.store.place(event, now, at);
        let announced = announced.map_err(|e| format!("the log does not take it: {}", warned::why(&e)));
        let succeeded = announced.and_then(|log| {
            self.export(now, at)?;
            self.vouch.succeed(&log).map_err(|e| e.to_string())
        });
        let statement = succeeded.inspect_err(|_| self.vouch.discard_key())?;
        self.store.stated(self.vouch.stated());
        let unsigned = self.export(now, at).err();
        Ok(rotated(&statement, unsigned))
    }

    /// Ends the run: every window closed, the end in the log, and a last export.
    ///
    /// # Errors
    /// Why the last export was not made, for a person.
    pub(super) fn end(&mut self, ended: Ended, now: Timestamp, at: Instant) -> Result<Exported, String> {
        self.store.close_windows(now, at);
        self.store.event(EventBody::Stop { ended }, now, at);
        self.checkpoint(now, at);
        self.store.abandon();
        self.publish(ended != Ended::OperatorStop, ended, now, at)
    }

    fn totals(&self) -> Checkpoint {
        Checkpoint {
            attested: self.attested(),
            counts: self.store.standing().2.clone(),
            coverage: self.tally.coverage(&self.meter.coverage()),
            install_id: self.install_id.clone(),
            next_sequence: self.vouch.next_sequence(),
        }
    }

    fn checkpoint(&mut self, now: Timestamp, at: Instant) {
        self.store.event(EventBody::Checkpoint(Box::new(self.totals())), now, at);
    }

    fn attested(&self) -> Attested {
        let mut here = self.signs.attested();
        here.not_recorded += self.store.not_recorded();
        here.self_tests += self.self_tests;
        here.suppressed += self.suppressions.findings();
        self.tally.attested(&here)
    }

    fn degraded(&self) -> BTreeSet<DegradedReason> {
        let mut degraded: BTreeSet<_> = self.store.trouble().collect();
        degraded.extend(self.signs.scanner_stalled().then_some(DegradedReason::ScannerStalled));
        degraded.extend(self.signs.recorder_hung().then_some(DegradedReason::WriterStalled));
        degraded.extend(self.export_failure.as_ref().map(|_| DegradedReason::ExportFailed));
        let fell_back = !self.meter.fallbacks().is_empty();
        degraded.extend(fell_back.then_some(DegradedReason::TunnelFallback));
        let failed = self.self_test.result == SelfTestResult::Failed;
        degraded.extend(failed.then_some(DegradedReason::SelfTestFailed));
        degraded
    }

    fn statement(&self, monitor_enabled: bool, ended: Ended, now: Timestamp) -> Statement {
        let (finding_log, chain, counts) = self.store.standing();
        Statement {
            attested: self.attested(),
            at: now,
            counts: counts.clone(),
            coverage: self.tally.coverage(&self.meter.coverage()),
            degraded: self.degraded(),
            ended,
            finding_log,
            head: chain.head().clone(),
            install_id: self.install_id.clone(),
            monitor_enabled,
            run_id: self.run_id.clone(),
            self_test: self.self_test.clone(),
        }
    }

    fn publish(&mut self, enabled: bool, ended: Ended, now: Timestamp, at: Instant) -> Result<Exported, String> {
        let mut statement = self.statement(enabled, ended, now);
        // The export that is complete has not failed.
        statement.degraded.remove(&DegradedReason::ExportFailed);
        let degraded = statement.degraded.clone();
        let published = self
            .store
            .sync()
            .map_err(|e| format!("could not bring the log to the disk: {}", warned::why(&e)))
            .and_then(|()| self.vouch.publish(&self.settings, statement).map_err(|e| e.to_string()));
        match published {
            Ok(published) => {
                let was_silent = ended == Ended::Running && self.valid_until.is_some_and(|until| at > until);
                let silence = was_silent.then(|| self.store.silence(now));
                self.store.signed(signed(&published));
                if let Some(silence) = silence {
                    // Behind what was signed: to write it, the log may have to be read again, and held against that.
                    self.store.event(silence, now, at);
                }
                // A segment that ends before the next second must not give this number away again.
                self.store.totals(self.totals());
                if degraded.contains(&DegradedReason::WriterStalled) {
                    self.signs.told_that_the_recorder_hung();
                }
                self.said = degraded;
                self.export_failure = None;
                self.warned.over("exports are written");
                self.schedule.done(at);
                if was_silent {
                    self.schedule.urgent(at);
                }
                let validity = self.settings.period_seconds.saturating_mul(VALID_PERIODS);
                self.valid_until = at.checked_add(Duration::from_secs(validity));
                let exported =
                    Exported { generated_at: published.posture.generated_at, sequence: published.posture.sequence };
                self.last_export = Some(exported.clone());
                Ok(exported)
            }
            Err(why) => {
                self.warned.of(why.clone());
                self.export_failure = Some(why.clone());
                self.schedule.failed(at);
                Err(why)
            }
        }
    }
}

#[cfg(test)]
pub(super) mod tests;
