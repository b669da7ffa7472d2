//! `completions SHELL`: generated from the one definition of the command line.

use super::{Answer, YES, show};
use clap_complete::Shell;

/// Print a completion script
#[derive(clap::Args)]
pub(super) struct Args {
    /// The shell it is for
    shell: Shell,
}

pub(super) fn run(args: &Args, mut command: clap::Command) -> Answer {
    let name = command.get_name().to_owned();
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, name, &mut script);
    show::raw(&script)?;
    Ok(YES)
}
