//! `status`: how the monitor is, on one screen.

use super::place::{Json, Place};
use super::{Answer, NO, Trouble, YES, run::ANSWER_WITHIN, show, stopped::Stopped, trouble};
use crate::{
    clock,
    config::Config,
    control::{self, ControlError, KnownValues, Status},
    home::Home,
    process::Hardening,
};
use posture::{Coverage, DegradedReason, NamedCount, Timestamp};
use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

/// Show how the monitor is
///
/// Exits with 0 if one runs. Without one, it says how the last run ended, when it was signed last, and what `verify`
/// makes of it.
#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    json: Json,
}

pub(super) fn run(args: &Args, place: &Place) -> Answer {
    // A monitor at work answers whatever its configuration has become since.
    let home = Home::of(&Config::defaults(place.home()?, PathBuf::new()));
    match of(&home) {
        Ok(status) if args.json.json => show::json(&status)?,
        Ok(status) => screen(&status)?,
        Err(ControlError::NoMonitor) => {
            let stopped = Stopped::of(&home, clock::now());
            let told = if args.json.json { show::json(&stopped) } else { stopped.screen() };
            return trouble::whoever_listens(told, NO);
        }
        Err(e) => return Err(e.into()),
    }
    Ok(YES)
}

/// How the monitor is; one that is still starting gets the time to.
pub(super) fn of(home: &Home) -> Result<Status, ControlError> {
    let deadline = Instant::now() + ANSWER_WITHIN;
    loop {
        match control::status(home, ANSWER_WITHIN) {
            Err(ControlError::Refused(_)) if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(20)),
            other => return other,
        }
    }
}

fn screen(status: &Status) -> Result<(), Trouble> {
    let reasons: Vec<_> = status.degraded_reasons.iter().map(posture::Word::as_str).collect();
    let why = if reasons.is_empty() { String::new() } else { format!(" ({})", reasons.join(", ")) };
    let https = if status.https_inspection { "decrypted and scanned" } else { "relayed unopened" };
    row("monitor", format_args!("{}{why}, pid {}, since {}", status.monitor_status, status.pid, status.since))?;
    row("listening", format_args!("{}, HTTPS {https}", status.listen))?;
    if let Some(not_after) = status.ca.not_after {
        row("authority", format_args!("{}, until {not_after}", status.ca.mode))?;
    }
    for dest in &status.fallbacks {
        row("unopened", format_args!("{}: a client there does not take our certificate", show::plain(dest)))?;
    }
    for came in &status.clients {
        let client = show::plain(came.client.as_str());
        row("client", format_args!("{client}: {} requests, the last at {}", came.requests, came.last_at))?;
    }
    row("key", &status.key_id)?;
    row("known", known(&status.known))?;
    match &status.export {
        Some(export) => row("last export", format_args!("number {} of {}", export.sequence, export.generated_at))?,
        None => row("last export", "none yet in this run")?,
    }
    row("next export", next_export(status, clock::now()))?;
    let self_test = &status.self_test;
    let at = self_test.last_run_at.map_or_else(String::new, |at| format!(" at {at}"));
    row("self-test", format_args!("{}{at}", self_test.result))?;
    row("findings", format_args!("{} and {} further sightings", status.counts.findings, status.counts.folded))?;
    row("", by_name(&status.counts.severity))?;
    row("", by_name(&status.counts.family))?;
    not_recorded(status.attested.not_recorded)?;
    noted(status)?;
    coverage(&status.coverage)?;
    bounds(status)?;
    let threads = status.scanners;
    if threads.restarted > 0 {
        row(
            "scanners",
            format_args!("{} begun anew, {} of them for one that hangs still", threads.restarted, threads.hanging),
        )?;
    }
    row("process", hardening(&status.hardening))?;
    if !status.refusals.is_empty() {
        row("refused", by_name(&status.refusals))?;
    }
    if status.informational_dropped > 0 {
        row("not passed", format_args!("{} informational responses", status.informational_dropped))?;
    }
    Ok(())
}

/// When the next export comes; that it is late, by how long and why, when it should have come.
fn next_export(status: &Status, now: Timestamp) -> String {
    // The first one of a run is due at once.
    let due = status.export.as_ref().map_or(status.since, |export| {
        let period = status.limits.period_seconds.try_into().unwrap_or(i64::MAX);
        export.generated_at.plus(chrono::Duration::try_seconds(period).unwrap_or_default())
    });
    let (late, at) = (u64::try_from(now.since(due).num_seconds()).unwrap_or(0), status.next_export_at);
    let hangs = status.degraded_reasons.iter().any(|reason| reason.as_str() == DegradedReason::WriterStalled.as_str());
    let why = match &status.export_failure {
        Some(why) => format!(": {}", show::plain(why)),
        None if hangs => ": what writes the log and the exports hangs".to_owned(),
        None => String::new(),
    };
    // A second is what one may take.
    let when = if late > 1 {
        let late = humantime::format_duration(Duration::from_secs(late));
        let again = if at > now { format!(", tried again by {at}") } else { String::new() };
        format!("overdue by {late}{again}")
    } else if why.is_empty() {
        format!("by {at}")
    } else {
        format!("tried again by {at}")
    };
    format!("{when}{why}")
}

/// Findings that are a number alone: the log had no room for them, or could not be written until the end.
pub(super) fn not_recorded(findings: u64) -> Result<(), Trouble> {
    if findings == 0 { Ok(()) } else { row("not recorded", format_args!("{findings} findings that are in no record")) }
}

/// How many values are looked for, and how many are not: `doctor` has their names.
pub(super) fn known(known: &KnownValues) -> String {
    let KnownValues { canaries, enabled, secrets, skipped, .. } = known;
    let mut told = Vec::new();
    told.extend(enabled.then(|| format!("{secrets} secrets")));
    told.extend((*canaries > 0).then(|| format!("{canaries} canaries")));
    told.extend((*skipped > 0).then(|| format!("{skipped} not looked for (`doctor` says which)")));
    told.join(", ")
}

/// What the operator changed while it ran, and what is kept out of the log on their word.
fn noted(status: &Status) -> Result<(), Trouble> {
    let suppressed = status.attested.suppressed;
    if suppressed > 0 || !status.suppressions.is_empty() {
        let over = status.suppressions.iter().filter(|one| one.expired).count();
        let all = status.suppressions.len();
        row("suppressed", format_args!("{suppressed} findings; {all} suppressions, {over} of them expired"))?;
    }
    for one in status.suppressions.iter().filter(|one| one.expired) {
        row("expired", format_args!("{}: until {}", show::plain(&one.covers), show::plain(&one.until)))?;
    }
    let Some(reload) = &status.reload else { return Ok(()) };
    let words: Vec<_> = reload.weakened.iter().map(posture::Word::as_str).collect();
    let weaker = if words.is_empty() { String::new() } else { format!("; weaker: {}", words.join(", ")) };
    match &reload.error {
        Some(why) => row("reload", format_args!("refused at {}: {}", reload.at, show::plain(why)))?,
        None if reload.changed => row("reload", format_args!("in force since {}{weaker}", reload.at))?,
        None => row("reload", format_args!("nothing changed at {}", reload.at))?,
    }
    let waits = reload.needs_restart.join(", ");
    if waits.is_empty() { Ok(()) } else { row("", format_args!("needs a restart: {}", show::plain(&waits))) }
}

fn coverage(coverage: &Coverage) -> Result<(), Trouble> {
    let totals =
        |t: &posture::Totals| format!("{} connections, {} messages, {} bytes", t.connections, t.messages, t.bytes);
    row("seen", totals(&coverage.seen))?;
    row("scanned", totals(&coverage.scanned))?;
    for unscanned in &coverage.not_scanned {
        let amount = posture::Totals {
            bytes: unscanned.bytes,
            connections: unscanned.connections,
            messages: unscanned.messages,
        };
        row("not scanned", format_args!("{}: {}", unscanned.reason, totals(&amount)))?;
    }
    Ok(())
}

/// What there is of everything bounded, and its bound.
fn bounds(status: &Status) -> Result<(), Trouble> {
    let (limits, now) = (&status.limits, &status.in_flight);
    let scan = &limits.scan;
    row("connections", format_args!("{} of {} at once", now.connections, limits.max_connections))?;
    row("exchanges", format_args!("{} of {} at once", now.exchanges, limits.max_exchanges))?;
    row("heads", format_args!("of {} bytes and {} fields at most", limits.max_head_bytes, limits.max_head_fields))?;
    row("scan queue", format_args!("{} of {} bytes", status.queue_used_bytes, scan.queue_bytes))?;
    let (scanned, decoded, depth) = (scan.max_scan_bytes, scan.max_decoded_bytes, scan.max_depth);
    row("a message", format_args!("{scanned} bytes looked at, {decoded} decoded, {depth} deep at most"))?;
    let (retention, folds) = (&limits.retention, limits.max_folds);
    row("log", format_args!("{} of {} bytes, {folds} folds open at most", status.log.bytes, retention.max_bytes))
}

/// What holds of its process, in a few words.
fn hardening(process: &Hardening) -> String {
    let memory =
        process.memory_max_bytes.map_or_else(|| "memory not bounded".into(), |b| format!("memory at most {b}"));
    let says = |holds: bool, what: &str| if holds { what.to_owned() } else { format!("not {what}") };
    [says(process.closed, "closed"), says(process.no_new_privileges, "confined"), memory].join(", ")
}

fn by_name(counts: &[NamedCount]) -> String {
    let each: Vec<_> = counts.iter().map(|c| format!("{} {}", c.count, show::plain(c.name.as_str()))).collect();
    each.join(", ")
}

pub(super) fn row(name: &str, value: impl std::fmt::Display) -> Result<(), Trouble> {
    let value = value.to_string();
    if value.is_empty() { Ok(()) } else { show::line(format_args!("{name:<12}  {value}")) }
}
