//! The hostile day, measured: many clients of every kind at once, and one honest client while others attack.
//!
//! * `cargo bench --bench load [-- load SECONDS CLIENTS]`: 60 s and 1,000 clients by default; ten minutes are `load 600
//!   1000`. Every kind of client at once, one message in a hundred with something planted. It fails unless everything
//!   planted was found as planted and nothing else, every exchange worked, coverage adds up, `verify` said 0 at every
//!   export, and memory stayed flat.
//! * `cargo bench --bench load -- hostile [SECONDS]`: 5 s an attack by default, a minute in all. How long an honest client
//!   waits without and with each attack, and what the monitor takes. It fails where an honest exchange does.
//! * `cargo bench --bench load -- closes [TIMES]`: 20,000 by default, a minute or two; a million, `closes 1000000`, about an
//!   hour. So many connections of each kind are opened and closed, 32 at a time. It fails unless each is counted once, and
//!   neither memory nor descriptors are left.

#![expect(clippy::print_stdout, reason = "a benchmark's answer is its table")]

mod attack;
#[path = "../child.rs"]
#[expect(dead_code, reason = "shared with other benchmarks")]
mod child;
mod client;
mod closes;
mod origin;
mod plant;
mod report;
mod run;
#[path = "../world.rs"]
mod world;

use std::{env, time::Duration};

fn main() {
    let words: Vec<String> = env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    let number = |at: usize, default: u64| words.get(at).and_then(|word| word.parse().ok()).unwrap_or(default);
    // Two ends here for each of a client's.
    guardian::process::prepare(16_384);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("threads");
    runtime.block_on(async {
        match words.first().map(String::as_str) {
            Some("hostile") => attack::all(Duration::from_secs(number(1, 5))).await,
            Some("closes") => closes::all(number(1, 20_000)).await,
            _ => run::load(Duration::from_secs(number(1, 60)), usize::try_from(number(2, 1000)).expect("a few")).await,
        }
    });
}
