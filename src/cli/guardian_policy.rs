//! `guardian-policy`: what hermes-attestation-guardian should watch.

use super::place::{Json, Place};
use super::{Answer, Trouble, YES, show, units};
use crate::{home::Home, platform::guardian::Policy};
use serde::Serialize;
use std::path::PathBuf;

/// Print the policy file for hermes-attestation-guardian
///
/// Prints and installs nothing. Refuses until every file it names is there and readable: of a file it could not read when
/// it took its baseline, that guardian notices no change.
#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    json: Json,
}

#[derive(Serialize)]
struct Report {
    schema_version: &'static str,
    policy: Policy,
    cron: String,
}

pub(super) fn run(args: &Args, place: &Place) -> Answer {
    let home = Home::of(&place.config()?);
    // The policy is JSON: a path that is no text would not be found again.
    units::one_line(home.root())?;
    let policy = Policy::of(&home);
    let missing: Vec<_> =
        policy.unreadable().iter().map(|(path, why)| format!("\n  {}: {why}", path.display())).collect();
    if !missing.is_empty() {
        let message = format!("not everything the policy names can be read:{}", missing.concat());
        return Err(
            Trouble::no(message).hint("`start` makes the exports and the key, `verify --write-verdict` the verdict")
        );
    }
    let cron = cron(&home);
    if args.json.json {
        show::json(&Report { schema_version: "clawsec-traffic-guardian-policy/v1", policy, cron })?;
        return Ok(YES);
    }
    let text = serde_json::to_string_pretty(&policy).map_err(std::io::Error::from)?;
    show::line(text)?;
    show::note("a cron line to place yourself; GUARDIAN is the folder of hermes-attestation-guardian:");
    show::note(cron);
    Ok(YES)
}

/// The verdict goes first, so that one we did not write cannot stay; and their check runs whatever ours said.
fn cron(home: &Home) -> String {
    let quoted = |path: PathBuf| format!("'{}'", path.display().to_string().replace('\'', r"'\''"));
    let verdict = quoted(home.root().join("verdict.json"));
    let root = quoted(home.root().to_owned());
    format!(
        "rm -f {verdict}; hermes-traffic-guardian --home {root} verify --write-verdict; r=$?; \
         node GUARDIAN/scripts/generate_attestation.mjs --policy POLICY && \
         node GUARDIAN/scripts/verify_attestation.mjs --input ATTESTATION --baseline BASELINE \
         --baseline-expected-sha256 SHA256; g=$?; [ $r = 0 ] && [ $g = 0 ]"
    )
}
