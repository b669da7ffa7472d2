//! `ca init|show|remove`: the authority of inspected hosts.

use super::place::{Json, Place};
use super::{Answer, Trouble, YES, show};
use crate::{
    clock,
    config::{Authority, Config},
    flow::capture::ca::{self, Ca, CaError, CaFolder, Roots},
    home::{self, Home},
};
use posture::CaMode;
use serde::Serialize;

/// Make, show or remove the certificate authority that HTTPS inspection needs
///
/// It speaks for the hosts of inspected connections, to clients whose environment points at its bundle. No trust store is
/// changed, now or ever.
#[derive(clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand)]
enum What {
    /// Make one of a year's life; it is renewed on the same key
    Init(Json),
    /// Its certificate, how long it lives, and where its files are; no secret is shown
    Show(Json),
    /// Remove its key and certificate
    Remove(Remove),
}

#[derive(clap::Args)]
struct Remove {
    /// Removes the bundle as well: Hermes does not start while its environment points at a missing one
    #[arg(long)]
    bundle: bool,
    #[command(flatten)]
    json: Json,
}

#[derive(Serialize)]
struct Report {
    schema_version: &'static str,
    mode: CaMode,
    fingerprint_sha256: String,
    key_sha256: String,
    not_before: String,
    not_after: String,
    certificate: String,
    bundle: Option<String>,
}

#[derive(Serialize)]
struct Removed {
    schema_version: &'static str,
    removed: Vec<String>,
}

pub(super) fn run(args: &Args, place: &Place) -> Answer {
    let config = place.config()?;
    match &args.what {
        What::Init(Json { json }) => init(&config, *json),
        What::Show(Json { json }) => show(&config, *json),
        What::Remove(remove) => self::remove(&config, remove),
    }
}

fn init(config: &Config, json: bool) -> Answer {
    if config.ca.mode == Some(CaMode::Operator) {
        return Err(Trouble::usage("ca.mode is `operator`: that authority is made elsewhere"));
    }
    let home = Home::open(config)?;
    let roots = Roots::load(config.ca_bundle.as_deref())?;
    let folder = CaFolder::of(home.root());
    let ca = folder.init(&roots, clock::now())?;
    report(&ca, &folder, json)?;
    if !json {
        show::note("not done, now or ever: no trust store was changed; only what is pointed at the bundle trusts it");
        show::note("next: `hermes-traffic-guardian start --inspect-https`, then place what `env` prints");
    }
    Ok(YES)
}

fn show(config: &Config, json: bool) -> Answer {
    report(&look(config)?, &CaFolder::of(&config.home), json)?;
    Ok(YES)
}

/// The authority that is configured, read as a start reads it. Of one that each start makes anew there is none to see:
/// then it is the one that `ca init` made.
pub(super) fn look(config: &Config) -> Result<Ca, CaError> {
    match config.ca.authority(false) {
        Authority::Operator { certificate, key } => ca::operator(certificate, key, clock::now()),
        Authority::Generated | Authority::Ephemeral => CaFolder::of(&config.home).look(),
    }
}

fn remove(config: &Config, args: &Remove) -> Answer {
    let home = Home::of(config);
    let folder = CaFolder::of(home.root());
    // Nothing is made where there is nothing to remove.
    if folder.is_there() {
        home::safe(home.root())?;
    }
    if home.running().is_some_and(|running| running.inspection.is_some_and(|i| i.bundle == folder.bundle())) {
        return Err(Trouble::no("a monitor inspects with this authority").hint("`stop` it first"));
    }
    let removed: Vec<_> = folder.remove(args.bundle)?.iter().map(|path| path.display().to_string()).collect();
    if args.json.json {
        show::json(&Removed { schema_version: "clawsec-traffic-ca-remove/v1", removed })?;
        return Ok(YES);
    }
    for path in removed {
        show::line(format_args!("removed {path}"))?;
    }
    if !args.bundle && folder.bundle().exists() {
        show::note(format_args!(
            "kept {}: Hermes does not start while its environment points at a missing bundle",
            folder.bundle().display()
        ));
    }
    Ok(YES)
}

fn report(ca: &Ca, folder: &CaFolder, json: bool) -> Result<(), Trouble> {
    let own = ca.mode() == CaMode::Generated;
    let bundle = Some(folder.bundle()).filter(|path| path.exists()).map(|path| path.display().to_string());
    let report = Report {
        schema_version: "clawsec-traffic-ca/v1",
        mode: ca.mode(),
        fingerprint_sha256: ca.fingerprint().to_string(),
        key_sha256: ca.key_sha256().to_string(),
        not_before: ca.not_before().to_string(),
        not_after: ca.not_after().to_string(),
        certificate: if own { folder.certificate().display().to_string() } else { "as configured".to_owned() },
        bundle,
    };
    if json {
        return show::json(&report);
    }
    show::line(format_args!("mode         {}", report.mode))?;
    show::line(format_args!("fingerprint  {}", report.fingerprint_sha256))?;
    show::line(format_args!("key          {}", report.key_sha256))?;
    show::line(format_args!("life         {} to {}", report.not_before, report.not_after))?;
    show::line(format_args!("certificate  {}", report.certificate))?;
    show::line(format_args!("bundle       {}", report.bundle.as_deref().unwrap_or("written by `start`")))
}

impl From<CaError> for Trouble {
    fn from(error: CaError) -> Self {
        let trouble = match error {
            CaError::Missing { .. } | CaError::Exists { .. } => Self::no(super::trouble::chain(&error)),
            _ => Self::from_error(&error),
        };
        trouble.hint(error.hint())
    }
}
