//! `start`: the monitor, in the foreground or in a session of its own.

use super::place::{Json, Place};
use super::{Answer, Trouble, YES, show, spawn};
use crate::{
    config::{Config, FlagValues},
    home::Home,
    monitor::{self, Again, Options, Started},
};
use posture::{Ended, RunId};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

/// Run the monitor
///
/// In the foreground until it is stopped. The first start makes the state folder, a signing key and a proxy credential,
/// and changes nothing else.
#[derive(clap::Args)]
pub(super) struct Args {
    /// Runs it in a session of its own and returns when it is ready
    #[arg(long)]
    background: bool,
    #[command(flatten)]
    flags: Flags,
    #[command(flatten)]
    json: Json,
    /// We are the one in the background.
    #[arg(long, hide = true)]
    detached: bool,
    /// End when no `run` leans on this monitor any more.
    #[arg(long, hide = true)]
    until_last_lease: bool,
}

/// What a command line may say about a monitor.
#[derive(clap::Args)]
pub(super) struct Flags {
    /// Where the proxy listens; port 0 picks a free one [default: 127.0.0.1:8790]
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<String>,
    /// Allows an address other hosts can reach
    #[arg(long)]
    allow_remote: bool,
    /// Decrypts and scans HTTPS, for clients that trust the authority of `ca init`
    #[arg(long)]
    inspect_https: bool,
    /// Time between signed exports, 1s to 1h [default: 60s]
    #[arg(long, value_name = "TIME")]
    export_every: Option<String>,
}

impl Flags {
    pub(super) fn values(&self) -> FlagValues {
        FlagValues {
            listen: self.listen.clone(),
            allow_remote: self.allow_remote,
            export_every: self.export_every.clone(),
            inspect_https: self.inspect_https,
            ..FlagValues::default()
        }
    }
}

/// A monitor that takes connections.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Ready {
    schema_version: String,
    pub(super) listen: SocketAddr,
    pub(super) pid: u32,
    pub(super) run_id: RunId,
}

impl Ready {
    fn new(started: &Started) -> Self {
        let schema_version = "clawsec-traffic-ready/v1".to_owned();
        Self { schema_version, listen: started.listen, pid: started.pid, run_id: started.run_id.clone() }
    }

    fn show(&self, json: bool) -> Result<(), Trouble> {
        if json {
            return show::json(self);
        }
        show::line(format_args!("ready: listening on {}, pid {}", self.listen, self.pid))
    }
}

pub(super) fn run(args: &Args, place: &Place) -> Answer {
    if args.detached {
        // The one error, being a session's leader already, leaves us where we want to be.
        let _ = rustix::process::setsid();
    }
    let flags = args.flags.values();
    let config = place.load(flags.clone())?.config;
    if config.allow_remote && !config.listen.ip().is_loopback() {
        show::note(format_args!(
            "warning: other hosts can reach {}; only the credential keeps them out",
            config.listen
        ));
    }
    let first = !Home::of(&config).public_key().exists() && !config.keys_dir.join("signing.key.pem").exists();
    if args.background {
        let ready = spawn::monitor(place, &flags, &config, false)?;
        if first {
            introduce(&config);
        }
        ready.show(args.json.json)?;
        return Ok(YES);
    }
    let options = Options { until_last_lease: args.until_last_lease, inspect_https: config.inspect_https };
    let mut told = Ok(());
    let (place, again_flags) = (place.clone(), flags.clone());
    let again: Again = Box::new(move || place.try_load(again_flags.clone()).map(|loaded| loaded.config));
    let ended = monitor::run_with(config.clone(), options, Some(again), |started| {
        if first && !args.detached {
            introduce(&config);
        }
        told = Ready::new(started).show(args.json.json || args.detached);
        if args.detached {
            show::no_more();
        }
    })?;
    told?;
    if ended == Ended::Unclean {
        return Err(Trouble::io("the monitor could not end as it should; `status` and `verify` tell what holds"));
    }
    Ok(YES)
}

/// What a first start did, and what it did not.
fn introduce(config: &Config) {
    show::note(format_args!(
        "first start: made {} with a signing key and a proxy credential in it",
        config.home.display()
    ));
    show::note("not done, now or ever: no trust store, proxy setting, shell profile or file of Hermes was changed,");
    show::note("and nothing starts this monitor again by itself");
    show::note("next: `hermes-traffic-guardian run -- hermes`, or place what `hermes-traffic-guardian env` prints");
}
