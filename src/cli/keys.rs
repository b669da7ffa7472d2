//! `keys show`: whose word it is.

use super::place::{Json, Place};
use super::{Answer, Trouble, YES, show};
use crate::home::Home;
use serde::Serialize;

/// Show the signing key's identity
#[derive(clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand)]
enum What {
    /// The public key's identifier and where the files are; no secret is read
    Show(Json),
}

#[derive(Serialize)]
struct Report {
    schema_version: &'static str,
    key_id: String,
    public_key: String,
    public_key_pem: String,
    keys_dir: String,
}

pub(super) fn run(args: &Args, place: &Place) -> Answer {
    let What::Show(Json { json }) = args.what;
    let config = place.config()?;
    let path = Home::of(&config).public_key();
    let key = keys::file::read_public(&path).map_err(|e| {
        let trouble = Trouble::from_error(&e);
        if e.is_not_found() { trouble.hint("the first `start` makes the key") } else { trouble }
    })?;
    let report = Report {
        schema_version: "clawsec-traffic-keys/v1",
        key_id: key.key_id().to_string(),
        public_key: path.display().to_string(),
        public_key_pem: key.to_pem(),
        keys_dir: config.keys_dir.display().to_string(),
    };
    if json {
        show::json(&report)?;
    } else {
        show::line(format_args!("key id        {}", report.key_id))?;
        show::line(format_args!("public key    {}", report.public_key))?;
        show::line(format_args!("private keys  {}", report.keys_dir))?;
        show::line("")?;
        show::raw(report.public_key_pem.as_bytes())?;
    }
    Ok(YES)
}
