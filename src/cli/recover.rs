//! `recover`: an end to a log that cannot be proved any more, and the beginning of one that can.

use super::place::{Json, Place};
use super::{Answer, Trouble, YES, show};
use crate::{
    clock,
    control::{self, ControlError, Exported, Request},
    flow::store::Recovered,
    home::Home,
    monitor,
};
use serde::Serialize;
use std::{path::Path, time::Duration};

/// A log of gigabytes is read and hashed.
const ANSWER_WITHIN: Duration = Duration::from_secs(300);

/// Begin the log anew after signed records were damaged or lost
///
/// What there is of it is set aside, not deleted: a recovery event names each file, its size and its SHA-256. `verify`
/// passes again, and says that what was recorded before is not provable.
#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    json: Json,
}

#[derive(Serialize)]
struct Report {
    schema_version: &'static str,
    monitor_running: bool,
    folder: String,
    #[serde(rename = "recovered")]
    what: Recovered,
    export: Exported,
}

pub(super) fn run(args: &Args, place: &Place) -> Answer {
    let config = place.config()?;
    let home = Home::of(&config);
    let (what, export, monitor_running) = match control::ask(&home, &Request::Recover, ANSWER_WITHIN) {
        Ok(response) => {
            let recovered = response.recovered.zip(response.export);
            let (what, export) = recovered.ok_or(ControlError::Malformed)?;
            (what, export, true)
        }
        Err(ControlError::NoMonitor) => {
            let (what, export) = monitor::offline_recover(&config, clock::now())?;
            (what, export, false)
        }
        Err(e) => return Err(e.into()),
    };
    let schema_version = "clawsec-traffic-recovered/v1";
    let folder = home.log_dir().display().to_string();
    tell(&Report { schema_version, monitor_running, folder, what, export }, home.log_dir(), args.json.json)?;
    Ok(YES)
}

fn tell(report: &Report, folder: &Path, json: bool) -> Result<(), Trouble> {
    if json {
        return show::json(report);
    }
    let Recovered { carried, first_seq, set_aside } = &report.what;
    show::line(format_args!("the log goes on with record {first_seq}; what was before it is not provable"))?;
    for file in set_aside {
        let path = show::plain(&folder.join(&file.name).display().to_string());
        show::line(format_args!("  set aside  {} bytes, SHA-256 {}: {path}", file.bytes, file.sha256))?;
    }
    if *carried > 0 {
        show::line(format_args!("  carried    {carried} records that were not signed yet"))?;
    }
    let Exported { sequence, generated_at } = report.export;
    show::line(format_args!("exported number {sequence} of {generated_at}"))
}
