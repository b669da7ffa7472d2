//! `keys show` and `keys rotate`: whose word it is, and another's from now on.

use super::place::{Json, Place};
use super::{Answer, Trouble, YES, run::ANSWER_WITHIN, show};
use crate::{
    clock,
    control::{self, ControlError, Request, Rotated},
    flow::vouch::{VouchError, read_rotations},
    home::Home,
    monitor::{self, MonitorError},
};
use posture::{Rotation, Sha256Hex};
use serde::Serialize;

/// The signing key: show it, or put another in its place
#[derive(clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand)]
enum What {
    /// The public key's identifier, those before it, and where the files are; no secret is read
    Show(Json),
    /// Puts a new signing key in the place of the one in use, stated by both
    ///
    /// Whoever pinned the old public key verifies as before. The old private key is gone then; hermes-attestation-guardian
    /// needs a new baseline, because the state names the key.
    Rotate(Json),
}

#[derive(Serialize)]
struct Report {
    schema_version: &'static str,
    key_id: String,
    public_key: String,
    public_key_pem: String,
    keys_dir: String,
    rotations: Vec<Step>,
}

/// One rotation, as `keys show` has it.
#[derive(Serialize)]
struct Step {
    number: u64,
    from_sequence: u64,
    old_key_id: Sha256Hex,
    new_key_id: Sha256Hex,
}

#[derive(Serialize)]
struct RotateReport {
    schema_version: &'static str,
    monitor_running: bool,
    #[serde(flatten)]
    rotated: Rotated,
    public_key: String,
}

pub(super) fn run(args: &Args, place: &Place) -> Answer {
    match args.what {
        What::Show(Json { json }) => shown(place, json),
        What::Rotate(Json { json }) => rotate(place, json),
    }
}

fn shown(place: &Place, json: bool) -> Answer {
    let config = place.places()?;
    let home = Home::of(&config);
    let path = home.public_key();
    let key = keys::file::read_public(&path).map_err(|e| {
        let trouble = Trouble::from_error(&e);
        if e.is_not_found() { trouble.hint("the first `start` makes the key") } else { trouble }
    })?;
    let (_, rotations) = read_rotations(&home.rotations()).map_err(|e| MonitorError::from(VouchError::from(e)))?;
    let step = |s: &Rotation| Step {
        number: s.number,
        from_sequence: s.from_sequence,
        old_key_id: s.old_key_id.clone(),
        new_key_id: s.new_key_id.clone(),
    };
    let report = Report {
        schema_version: "clawsec-traffic-keys/v1",
        key_id: key.key_id().to_string(),
        public_key: path.display().to_string(),
        public_key_pem: key.to_pem(),
        keys_dir: config.keys_dir.display().to_string(),
        rotations: rotations.statements().iter().map(step).collect(),
    };
    if json {
        show::json(&report)?;
        return Ok(YES);
    }
    show::line(format_args!("key id        {}", report.key_id))?;
    show::line(format_args!("public key    {}", report.public_key))?;
    show::line(format_args!("private keys  {}", report.keys_dir))?;
    for step in &report.rotations {
        let Step { number, from_sequence, old_key_id, new_key_id } = step;
        show::line(format_args!("rotation {number:<4} {old_key_id} to"))?;
        show::line(format_args!("              {new_key_id} from posture number {from_sequence} on"))?;
    }
    show::line("")?;
    show::raw(report.public_key_pem.as_bytes())?;
    Ok(YES)
}

fn rotate(place: &Place, json: bool) -> Answer {
    let config = place.config()?;
    let home = Home::of(&config);
    let (rotated, monitor_running) = match control::ask(&home, &Request::Rotate, ANSWER_WITHIN) {
        Ok(response) => (*response.rotated.ok_or(ControlError::Malformed)?, true),
        Err(ControlError::NoMonitor) => (monitor::offline_rotate(&config, clock::now())?, false),
        Err(e) => return Err(e.into()),
    };
    let done = format!("the signing key is {} now", rotated.new_key_id);
    let public_key = home.public_key().display().to_string();
    let schema_version = "clawsec-traffic-key-rotation/v1";
    let report = RotateReport { schema_version, monitor_running, rotated, public_key };
    let shown = if json { show::json(&report) } else { told(&report) };
    shown.map_err(|trouble| trouble.after(done))?;
    Ok(YES)
}

fn told(RotateReport { rotated, public_key, .. }: &RotateReport) -> Result<(), Trouble> {
    let Rotated { from_sequence, new_key_id, number, old_key_id, unsigned } = rotated;
    show::line(format_args!("rotation {number}: the new key signs from posture number {from_sequence} on"))?;
    show::line(format_args!("  old key     {old_key_id}"))?;
    show::line(format_args!("  new key     {new_key_id}"))?;
    show::line(format_args!("  public key  {public_key}"))?;
    if let Some(why) = unsigned.as_deref().map(show::plain) {
        show::note(format_args!("the new key has signed no export yet: {why}; the next one will be its first"));
    }
    show::note("keep a copy of the new public key elsewhere; a reader who pinned the old one verifies as before");
    show::note("hermes-attestation-guardian needs a new baseline: the state names the key");
    Ok(())
}
