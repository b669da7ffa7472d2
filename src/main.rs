//! Parse, run, exit.

use std::process::ExitCode;

fn main() -> ExitCode {
    guardian::cli::main(std::env::args_os())
}
