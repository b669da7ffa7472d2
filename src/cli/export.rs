//! `export`: one signed export, now.

use super::place::{Json, Place};
use super::{Answer, Trouble, YES, run::ANSWER_WITHIN, show, stopped::how};
use crate::{
    clock,
    config::Config,
    control::{self, ControlError, Exported, Request},
    home::Home,
    monitor,
};
use serde::Serialize;
use std::path::Path;

/// Export once, now
///
/// Without a monitor the last state is signed again, and says how the last run ended.
#[derive(clap::Args)]
pub(super) struct Args {
    /// Prints the posture that was exported, in this format
    #[arg(long, conflicts_with = "json")]
    format: Option<Format>,
    #[command(flatten)]
    json: Json,
}

const SIGNED_AGAIN: &str = "no monitor runs: the last state was signed again";

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Format {
    /// An in-toto Statement v1 in a DSSE envelope
    Dsse,
}

#[derive(Serialize)]
struct Report {
    schema_version: &'static str,
    monitor_running: bool,
    sequence: u64,
    generated_at: posture::Timestamp,
    folder: String,
}

pub(super) fn run(args: &Args, place: &Place) -> Answer {
    let config = place.config()?;
    let home = Home::of(&config);
    if let Some(Format::Dsse) = args.format {
        return envelope(&config, &home);
    }
    let (exported, monitor_running) = match control::ask(&home, &Request::Export, ANSWER_WITHIN) {
        Ok(response) => (response.export.ok_or(ControlError::Malformed)?, true),
        Err(ControlError::NoMonitor) => (monitor::offline_export(&config, clock::now())?, false),
        Err(e) => return Err(e.into()),
    };
    tell(&home, &exported, monitor_running, args.json.json)?;
    Ok(YES)
}

fn envelope(config: &Config, home: &Home) -> Answer {
    let envelope = match control::ask(home, &Request::Envelope, ANSWER_WITHIN) {
        Ok(response) => response.envelope.ok_or(ControlError::Malformed)?,
        Err(ControlError::NoMonitor) => {
            let envelope = monitor::offline_envelope(config, clock::now())?;
            show::note(SIGNED_AGAIN);
            envelope
        }
        Err(e) => return Err(e.into()),
    };
    show::raw(envelope.as_bytes())?;
    Ok(YES)
}

/// How the last run ended, as the posture says that was just signed.
fn how_it_ended(folder: &Path) -> String {
    let posture = attest::folder::read(&folder.join(attest::folder::POSTURE)).ok();
    let posture = posture.and_then(|bytes| attest::canonical::read::<posture::Posture>(&bytes).ok());
    posture.map_or_else(String::new, |posture| format!("; the last run ended {}", how(posture.ended)))
}

fn tell(home: &Home, exported: &Exported, monitor_running: bool, json: bool) -> Result<(), Trouble> {
    let Exported { sequence, generated_at } = *exported;
    let folder = home.export_dir().join(format!("{sequence:012}")).display().to_string();
    if json {
        let schema_version = "clawsec-traffic-export/v1";
        return show::json(&Report { schema_version, monitor_running, sequence, generated_at, folder });
    }
    if !monitor_running {
        show::note(format_args!("{SIGNED_AGAIN}{}", how_it_ended(Path::new(&folder))));
    }
    show::line(format_args!("exported number {sequence} of {generated_at}: {folder}"))
}
