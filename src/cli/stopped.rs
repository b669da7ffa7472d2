//! What `status` says without a monitor: the last word that was signed, whether it is one, and how long there was none since.

use super::{
    Trouble, show,
    status::{not_recorded, row},
};
use crate::{config, control, home::Home};
use attest::{Anchor, Folder, Options};
use posture::{Ended, EventBody, Posture, Timestamp, VerdictResult};
use serde::Serialize;
use std::time::Duration;

/// A state folder that no monitor runs on.
#[derive(Serialize)]
pub(super) struct Stopped {
    schema_version: &'static str,
    monitor_status: &'static str,
    home: String,
    /// What `verify` says of the folder, pinned to its own key.
    verification: VerdictResult,
    /// Why it does not pass.
    reason: Option<String>,
    /// The last posture, if it is authentic.
    last: Option<LastWord>,
}

#[derive(Serialize)]
struct LastWord {
    /// How the last run ended: unclean when it signed no end, or began after this was signed and said nothing.
    ended: Ended,
    findings: u64,
    generated_at: Timestamp,
    /// Whether its validity has not passed.
    is_valid: bool,
    /// Whether the operator wants a monitor.
    monitor_enabled: bool,
    /// Findings that are in no record.
    not_recorded: u64,
    sequence: u64,
    /// Since it was signed, by the clock of this machine.
    silent_seconds: u64,
    valid_until: Timestamp,
}

impl Stopped {
    /// Reads only.
    pub(super) fn of(home: &Home, now: Timestamp) -> Self {
        let folder = match config::places_in(home.root()) {
            Ok([log, export]) => Folder::with_places(home.root(), &log, &export),
            // Where a configuration that is broken had them, nobody can say.
            Err(_) => Folder::open(home.root()),
        };
        let report = attest::verify(&folder, &Options::new(Anchor::Own, now));
        Self {
            schema_version: control::STATUS_SCHEMA,
            monitor_status: "stopped",
            home: home.root().display().to_string(),
            verification: report.result,
            reason: report.reason.as_ref().map(ToString::to_string),
            last: report.posture.as_deref().map(|posture| LastWord::of(posture, &folder, now)),
        }
    }

    pub(super) fn screen(&self) -> Result<(), Trouble> {
        show::line(format_args!("stopped: no monitor runs on {}", self.home))?;
        let Some(last) = &self.last else {
            let why = self.reason.as_deref().unwrap_or_default();
            return row("last word", format_args!("none to believe: {}", show::plain(why)));
        };
        let LastWord { sequence, generated_at, valid_until, .. } = last;
        row("ended", how(last.ended))?;
        row("last export", format_args!("number {sequence} of {generated_at}"))?;
        let over = if last.is_valid { "valid until" } else { "expired at" };
        row("", format_args!("{over} {valid_until}"))?;
        row("silent for", humantime::format_duration(Duration::from_secs(last.silent_seconds)))?;
        row("findings", last.findings)?;
        not_recorded(last.not_recorded)?;
        row(
            "enabled",
            if last.monitor_enabled { "yes: it is meant to run, `start` begins it" } else { "no: it was stopped" },
        )?;
        row(
            "verify",
            format_args!("{}: {}", self.verification, show::plain(self.reason.as_deref().unwrap_or_default())),
        )
    }
}

impl LastWord {
    fn of(posture: &Posture, folder: &Folder, now: Timestamp) -> Self {
        let unclean = posture.ended == Ended::Running || began_since(folder, posture.finding_log.next_seq);
        Self {
            ended: if unclean { Ended::Unclean } else { posture.ended },
            findings: posture.counts.findings,
            generated_at: posture.generated_at,
            is_valid: now <= posture.valid_until,
            monitor_enabled: posture.monitor_enabled,
            not_recorded: posture.attested.not_recorded,
            sequence: posture.sequence,
            silent_seconds: now.since(posture.generated_at).num_seconds().try_into().unwrap_or(0),
            valid_until: posture.valid_until,
        }
    }
}

/// Whether a run began behind record `next_seq` − 1, which nobody signed yet.
fn began_since(folder: &Folder, next_seq: u64) -> bool {
    let Ok(mut log) = folder.log() else { return false };
    while let Ok(Some(line)) = log.next_line() {
        let start = line.bytes.starts_with(br#"{"event":{"start":"#).then(|| attest::chain::read_line(line.bytes));
        if let Some(Ok(attest::Record::Event(event))) = start
            && event.seq >= next_seq
            && matches!(event.event, EventBody::Start { .. })
        {
            return true;
        }
    }
    false
}

/// How a run ended, for a person.
pub(super) fn how(ended: Ended) -> &'static str {
    match ended {
        Ended::Running => "not at all",
        Ended::OperatorStop => "operator_stop: `stop` was asked for",
        Ended::RunFinished => "run_finished: with the last `run` that leaned on it",
        Ended::Signal => "signal: a signal asked for it",
        Ended::Unclean => "unclean: killed, crashed, or the machine went down",
    }
}
