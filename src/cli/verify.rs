//! `verify`: is the guardian's last word authentic, current, and what the log says?

use super::place::{Json, Place};
use super::{Answer, Trouble, memory::Kept, show, trouble};
use crate::{
    clock, config,
    home::{self, Home},
};
use attest::{Anchor, Baseline, Folder, Options, Reason, Report, folder::FolderError, report};
use clap::ValueHint;
use posture::{Sha256Hex, VerdictResult};
use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// How long a monitor at work gets to replace a posture that has just expired, or is of the run before.
const FRESH_WITHIN: Duration = Duration::from_secs(10);
/// No verdict is longer.
const MAX_VERDICT_BYTES: u64 = 64 << 10;
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Verify the signed statement and the log it vouches for
///
/// Exits with 0 verified, 1 not authentic, 2 drifted, 3 not current or degraded, 74 unverifiable.
#[derive(clap::Args)]
pub(super) struct Args {
    /// A state folder, or a copy of one [default: the configured one]
    #[arg(value_name = "DIR", value_hint = ValueHint::AnyPath)]
    dir: Option<PathBuf>,
    /// The public key to trust, obtained apart from the folder
    #[arg(long, value_name = "PEM")]
    public_key: Option<PathBuf>,
    /// What was verified before, kept on the reader's side: tells a folder that was set back or forked
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    memory: Option<PathBuf>,
    /// Takes what contradicts the memory: you restored a backup, and it is remembered anew
    #[arg(long, requires = "memory")]
    accept_restore: bool,
    /// The state there should be: a state.json kept apart, or its SHA-256
    #[arg(long, value_name = "FILE|SHA256")]
    baseline: Option<String>,
    /// How old the statement may be, in place of its own expiry
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    max_age: Option<Duration>,
    /// Lets a monitor pass that was stopped on purpose
    #[arg(long)]
    accept_stopped: bool,
    /// Writes the answer to verdict.json in the configured folder, on every path out
    #[arg(long, conflicts_with = "dir")]
    write_verdict: bool,
    #[command(flatten)]
    json: Json,
}

pub(super) fn run(args: &Args, place: &Place) -> Answer {
    let answer = verify(args, place);
    let written = if args.write_verdict { write_verdict(place, answer.as_ref().ok()) } else { Ok(()) };
    // What went wrong first is what is said first.
    let report = answer?;
    let code = trouble::whoever_listens(tell(&report, args.json.json), report.exit_code())?;
    written.map(|()| code)
}

fn verify(args: &Args, place: &Place) -> Result<Report, Trouble> {
    let pinned = match args.public_key.as_deref().map(keys::file::read_public).transpose() {
        Ok(pinned) => pinned.map(Anchor::Pinned),
        Err(source) => return Ok(Report::refused(Reason::Anchor { source })),
    };
    let baseline = args.baseline.as_deref().map(baseline).transpose()?;
    let verified = args.dir.clone().map_or_else(|| place.home(), Ok)?;
    let kept = args.memory.as_deref().map(|path| Kept::open(path, &verified)).transpose()?;
    let report = look(args, place, pinned, baseline.as_ref(), kept.as_ref())?;
    if let Some((kept, memory)) = kept.as_ref().zip(report.memory.as_ref()) {
        kept.keep(memory)?;
        if kept.memory.is_none() {
            let (path, sequence) = (kept.path().display(), memory.sequence);
            show::note(format_args!("{path} remembered nothing yet: it begins with posture number {sequence}"));
        }
    }
    Ok(report)
}

fn look(
    args: &Args,
    place: &Place,
    pinned: Option<Anchor>,
    baseline: Option<&Baseline>,
    kept: Option<&Kept>,
) -> Result<Report, Trouble> {
    let options = |anchor| Options {
        max_age: args.max_age,
        accept_stopped: args.accept_stopped,
        baseline: baseline.cloned(),
        remembered: kept.and_then(|kept| kept.memory.clone()),
        accept_restore: args.accept_restore,
        ..Options::new(anchor, clock::now())
    };
    if let Some(dir) = &args.dir {
        let folder = if dir.is_dir() {
            let [log, export] = config::places_in(dir)?;
            Folder::with_places(dir, &log, &export)
        } else {
            Folder::open(dir)
        };
        return Ok(attest::verify(&folder, &options(pinned.unwrap_or(Anchor::Unpinned))));
    }
    let home = Home::of(&place.places()?);
    let folder = Folder::with_places(home.root(), home.log_dir(), home.export_dir());
    let anchor = pinned.unwrap_or(Anchor::Own);
    let deadline = Instant::now() + FRESH_WITHIN;
    loop {
        let report = attest::verify(&folder, &options(anchor.clone()));
        // The last run's word stands until this run has made its first.
        let stale = matches!(
            report.reason,
            Some(Reason::Expired { .. } | Reason::Stopped { .. } | Reason::Folder(FolderError::NoExport { .. }))
        );
        if !stale || home.running().is_none() || Instant::now() >= deadline {
            return Ok(report);
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

/// A `state.json`, or the SHA-256 of one.
fn baseline(text: &str) -> Result<Baseline, Trouble> {
    if let Ok(sha256) = text.parse::<Sha256Hex>() {
        return Ok(Baseline::from_sha256(sha256));
    }
    let path = Path::new(text);
    let bytes = attest::folder::read(path).map_err(|e| Trouble::from_error(&e))?;
    let not_one = |_| Trouble::usage(format!("{} is not a state.json of this version", path.display()));
    Baseline::from_state(&bytes).map_err(not_one)
}

/// Writes the answer where hermes-attestation-guardian watches; without one, that nothing is proved.
fn write_verdict(place: &Place, report: Option<&Report>) -> Result<(), Trouble> {
    let path = place.home()?.join("verdict.json");
    let verdict = report.map_or_else(|| report::verdict(VerdictResult::Unverifiable, None), Report::verdict);
    let verdict = verdict.map_err(|e| Trouble::from_error(&e))?;
    // Whatever else is there, or keeps us from reading it, is replaced: the guardian must not find an older answer.
    if home::file::read(&path, MAX_VERDICT_BYTES).is_ok_and(|there| there == verdict) {
        return Ok(());
    }
    home::file::replace(&path, home::file::PUBLIC, &verdict).map_err(|e| Trouble::file("write", &path, &e))
}

fn tell(report: &Report, json: bool) -> Result<(), Trouble> {
    if json {
        return show::json(report);
    }
    let result = report.result;
    if let Some(reason) = &report.reason {
        // Whoever made the folder gave its files their names.
        let (hint, reason) = (reason.hint(), show::plain(&reason.to_string()));
        show::line(format_args!("{}: {reason}", show::paint(result.as_str(), "31")))?;
        if let Some(hint) = hint {
            show::note(format_args!("hint: {hint}"));
        }
    } else if let Some(posture) = &report.posture {
        let log = posture.finding_log;
        let (sequence, at) = (posture.sequence, posture.generated_at);
        show::line(format_args!("{}: posture number {sequence} of {at}", show::paint(result.as_str(), "32")))?;
        show::line(format_args!("  key       {}", posture.key_id))?;
        show::line(format_args!("  monitor   {}, valid until {}", posture.monitor_status, posture.valid_until))?;
        show::line(format_args!("  log       records {} to {}", log.first_seq, log.next_seq.saturating_sub(1)))?;
        let (folded, lost) = (posture.counts.folded, posture.attested.not_recorded);
        let lost = if lost > 0 { format!("; {lost} more are in no record") } else { String::new() };
        show::line(format_args!("  findings  {} and {folded} further sightings{lost}", posture.counts.findings))?;
    }
    if let Some(accepted) = &report.accepted {
        show::note(format_args!("accepted: {accepted}"));
    }
    if !report.limits.is_empty() {
        show::line("not proved:")?;
    }
    report.limits.iter().try_for_each(|limit| show::line(format_args!("  - {}", limit.text())))
}
