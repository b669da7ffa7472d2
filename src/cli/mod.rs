//! One file a verb: arguments in, a report out; `show` alone writes to stdout and stderr.
//!
//! Answers go to stdout, everything else to stderr. Exit: 0 yes, 1 no, 64 usage, 74 input or output trouble; `verify`
//! has its own table and `run` gives its child's.

mod ca;
mod canary;
mod completions;
mod config;
mod doctor;
mod env;
mod export;
mod guardian_policy;
#[cfg(any(test, fuzzing))]
pub mod hostile;
mod keys;
mod logging;
mod man;
mod memory;
mod patterns;
mod place;
mod progress;
mod recover;
mod run;
mod scan;
mod schema;
mod show;
mod spawn;
mod start;
mod status;
mod stop;
mod stopped;
mod threats;
mod trouble;
mod units;
mod verify;
mod word;

use crate::process;
use clap::{CommandFactory, Parser, Subcommand};
use place::Place;
use std::{ffi::OsString, process::ExitCode};
use trouble::{Trouble, USAGE};

/// What a verb answers: the code to exit with, or why it could not.
type Answer = Result<u8, Trouble>;

/// Yes.
const YES: u8 = 0;
/// No.
const NO: u8 = 1;

/// Watches what the Hermes agent sends and receives, and vouches for what it saw.
///
/// A forward proxy an operator chooses to run in front of Hermes. It passes traffic on unchanged, looks for secrets
/// leaving and commands coming in, writes redacted findings to a local log, and exports signed statements of its own
/// condition. It never blocks, and changes no trust store, no proxy setting and no profile.
#[derive(Parser)]
#[command(
    name = "hermes-traffic-guardian",
    version,
    max_term_width = 100,
    subcommand_required = true,
    arg_required_else_help = false
)]
struct Line {
    #[command(flatten)]
    place: Place,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    Start(start::Args),
    Stop(stop::Args),
    Status(status::Args),
    Run(run::Args),
    Env(env::Args),
    Units(units::Args),
    Threats(threats::Args),
    Scan(scan::Args),
    Export(export::Args),
    Recover(recover::Args),
    Verify(verify::Args),
    Keys(keys::Args),
    Patterns(patterns::Args),
    Ca(ca::Args),
    Canary(canary::Args),
    Config(config::Args),
    Doctor(doctor::Args),
    Schema(schema::Args),
    GuardianPolicy(guardian_policy::Args),
    Completions(completions::Args),
    Man(man::Args),
}

/// Runs one command line and says with what to exit.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    show::quiet_panics();
    process::close();
    let line = match Line::try_parse_from(args) {
        Ok(line) => line,
        Err(e) if e.use_stderr() => {
            show::usage(&e);
            return ExitCode::from(USAGE);
        }
        Err(e) => return show::help(&e).map_or_else(|t| conclude(&t), |()| ExitCode::SUCCESS),
    };
    logging::start(matches!(line.verb, Verb::Start(_)));
    dispatch(line).map_or_else(|t| conclude(&t), ExitCode::from)
}

fn dispatch(Line { place, verb }: Line) -> Answer {
    match verb {
        Verb::Start(args) => start::run(&args, &place),
        Verb::Stop(args) => stop::run(&args, &place),
        Verb::Status(args) => status::run(&args, &place),
        Verb::Run(args) => run::run(&args, &place),
        Verb::Env(args) => env::run(&args, &place),
        Verb::Units(args) => units::run(&args, &place),
        Verb::Threats(args) => threats::run(&args, &place),
        Verb::Export(args) => export::run(&args, &place),
        Verb::Recover(args) => recover::run(&args, &place),
        Verb::Scan(args) => scan::run(&args, &place),
        Verb::Verify(args) => verify::run(&args, &place),
        Verb::Keys(args) => keys::run(&args, &place),
        Verb::GuardianPolicy(args) => guardian_policy::run(&args, &place),
        Verb::Patterns(args) => patterns::run(&args, &place),
        Verb::Ca(args) => ca::run(&args, &place),
        Verb::Canary(args) => canary::run(&args, &place),
        Verb::Config(args) => config::run(&args, &place),
        Verb::Doctor(args) => doctor::run(&args, &place),
        Verb::Schema(args) => schema::run(&args),
        Verb::Completions(args) => completions::run(&args, Line::command()),
        Verb::Man(args) => man::run(&args, Line::command()),
    }
}

fn conclude(trouble: &Trouble) -> ExitCode {
    show::trouble(trouble);
    ExitCode::from(trouble.exit())
}
