//! `man`: generated from the one definition of the command line.

use super::{Answer, Trouble, YES, show};

/// Print the manual page
#[derive(clap::Args)]
pub(super) struct Args {
    /// The page of one verb
    verb: Option<String>,
}

pub(super) fn run(args: Args, mut command: clap::Command) -> Answer {
    command.build();
    let page = match args.verb {
        None => command,
        Some(verb) => {
            let found = command.find_subcommand(&verb).filter(|c| !c.is_hide_set()).cloned();
            found.ok_or_else(|| Trouble::usage("no such verb").hint("`--help` lists them"))?
        }
    };
    let mut text = Vec::new();
    clap_mangen::Man::new(page).render(&mut text)?;
    show::raw(&text)?;
    Ok(YES)
}
