//! `man`: generated from the one definition of the command line.

use super::{Answer, Trouble, YES, show};

/// Print the manual page
#[derive(clap::Args)]
pub(super) struct Args {
    /// The page of one verb, or of a verb of that one: `man keys rotate`
    #[arg(value_name = "VERB")]
    verbs: Vec<String>,
}

pub(super) fn run(args: &Args, mut command: clap::Command) -> Answer {
    command.build();
    let page = page(&command, &args.verbs)?.clone();
    let mut text = Vec::new();
    clap_mangen::Man::new(page).render(&mut text)?;
    show::raw(&text)?;
    Ok(YES)
}

/// The command these verbs lead to, one below the other.
fn page<'c>(command: &'c clap::Command, verbs: &[String]) -> Result<&'c clap::Command, Trouble> {
    let [verb, further @ ..] = verbs else { return Ok(command) };
    match command.find_subcommand(verb).filter(|found| !found.is_hide_set()) {
        Some(found) => page(found, further),
        None => Err(none_such(command)),
    }
}

fn none_such(command: &clap::Command) -> Trouble {
    let above = command.get_bin_name().unwrap_or_default();
    let (_, verbs) = above.split_once(' ').unwrap_or_default();
    if verbs.is_empty() {
        Trouble::usage("no such verb").hint("`--help` lists them")
    } else if command.has_subcommands() {
        Trouble::usage(format!("no such verb below `{verbs}`")).hint(format!("`{verbs} --help` lists them"))
    } else {
        Trouble::usage(format!("there are no verbs below `{verbs}`")).hint(format!("`man {verbs}` is all there is"))
    }
}
