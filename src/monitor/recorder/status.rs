//! A recorder → how its monitor is, for who asks.

use super::Recorder;
use crate::{
    config::Config,
    control::{Arrived, InFlight, Limits, LogStatus, STATUS_SCHEMA, Scanners, Status, Suppressed},
    flow::{capture, suppress::Suppression, vouch::Settings},
    process::Hardening,
};
use posture::{Ended, NamedCount, Timestamp};
use std::time::Instant;

impl Recorder {
    /// How the monitor is.
    pub(in crate::monitor) fn status(&self, now: Timestamp, at: Instant) -> Status {
        let statement = self.statement(true, Ended::Running, now);
        let wait = chrono::Duration::from_std(self.schedule.due().saturating_duration_since(at)).unwrap_or_default();
        let refusals = self.meter.refusals().into_iter();
        let refusals = refusals.filter_map(|(name, count)| Some(NamedCount { count, name: name.parse().ok()? }));
        let mut refusals: Vec<_> = refusals.collect();
        refusals.sort_by(|a, b| a.name.cmp(&b.name));
        let clients = self.meter.clients().into_iter().filter_map(|(client, came)| {
            let (client, capture::Arrived { requests, first_at, last_at }) = (client.parse().ok()?, came);
            Some(Arrived { client, first_at, last_at, requests })
        });
        Status {
            clients: clients.collect(),
            monitor_status: statement.status(),
            degraded_reasons: statement.degraded.iter().map(|reason| (*reason).into()).collect(),
            attested: statement.attested,
            ca: self.settings.ca.clone(),
            counts: statement.counts,
            coverage: statement.coverage,
            export: self.last_export.clone(),
            export_failure: self.export_failure.clone(),
            fallbacks: self.meter.fallbacks().iter().map(|f| self.redactor.destination(&f.host, f.port)).collect(),
            hardening: Hardening::of_this_process(),
            https_inspection: self.settings.https_inspection,
            informational_dropped: self.meter.informational_dropped(),
            key_id: self.vouch.key_id().clone(),
            in_flight: InFlight {
                connections: self.load.connections() as u64,
                exchanges: self.load.exchanges() as u64,
            },
            known: self.signs.known(),
            limits: self.limits,
            listen: self.listen,
            log: LogStatus {
                bytes: self.store.bytes(),
                next_seq: statement.finding_log.next_seq,
                waiting: self.store.waiting() as u64,
            },
            next_export_at: now.plus(wait),
            pid: std::process::id(),
            queue_used_bytes: self.signs.queue_used() as u64,
            refusals,
            reload: self.reload.clone(),
            run_id: self.run_id.clone(),
            schema_version: STATUS_SCHEMA.to_owned(),
            scanners: Scanners { hanging: self.signs.adrift(), restarted: self.signs.restarted() },
            self_test: self.self_test.clone(),
            since: self.since,
            suppressions: self.suppressions.each().map(|(one, findings)| suppressed(one, findings, now)).collect(),
        }
    }
}

pub(super) fn limits(config: &Config, settings: &Settings) -> Limits {
    Limits {
        max_connections: config.max_connections as u64,
        max_exchanges: config.max_exchanges as u64,
        max_folds: config.fold_open_max as u64,
        max_head_bytes: config.max_head_bytes as u64,
        max_head_fields: config.max_head_fields as u64,
        period_seconds: settings.period_seconds,
        retention: settings.retention,
        scan: settings.scan,
    }
}

fn suppressed(one: &Suppression, findings: u64, now: Timestamp) -> Suppressed {
    let (covers, until) = (one.covers.to_string(), one.until.to_string());
    Suppressed { covers, expired: one.is_over(now), findings, until }
}
