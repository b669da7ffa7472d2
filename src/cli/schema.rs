//! `schema`: what each document may hold, for programs that read them.

use super::{Answer, YES, show};
use clap::builder::PossibleValuesParser;
use posture::schema::{ALL, Schema};

/// Print the JSON Schema of a document
///
/// JSON Schema 2020-12. It says what one document may hold; signatures and the links between documents are for `verify`.
#[derive(clap::Args)]
pub(super) struct Args {
    /// The document
    #[arg(value_name = "NAME", value_parser = PossibleValuesParser::new(ALL.map(|s: Schema| s.name)))]
    name: String,
}

pub(super) fn run(args: &Args) -> Answer {
    let schema = ALL.into_iter().find(|s| s.name == args.name).expect("the parser takes these names alone");
    show::raw(schema.text.as_bytes())?;
    Ok(YES)
}
