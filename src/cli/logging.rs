//! What the guardian itself has to say while it works, on stderr.
//!
//! One fixed filter admits our own targets alone. The HTTP engine's spans hold URLs and its events hold headers, so no
//! setting can bring them in: `RUST_LOG` chooses levels within our own targets.

use super::show;
use tracing::Metadata;
use tracing_subscriber::{
    filter::{LevelFilter, Targets, filter_fn},
    fmt,
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

const OURS: [&str; 4] = ["guardian", "attest", "keys", "hermes_traffic_guardian"];

/// Starts it. `working` is a verb that stays: it tells of more than of trouble.
pub(super) fn start(working: bool) {
    let default = if working { LevelFilter::INFO } else { LevelFilter::WARN };
    let levels = match std::env::var("RUST_LOG") {
        Ok(text) if !text.is_empty() => text.parse().unwrap_or_else(|_| {
            show::note("warning: RUST_LOG is not understood and has no effect");
            Targets::new().with_default(default)
        }),
        _ => Targets::new().with_default(default),
    };
    let lines = fmt::layer().with_writer(std::io::stderr).with_ansi(false).with_target(false);
    let filter = filter_fn(move |meta| admitted(meta, &levels));
    // A second subscriber in one process can only be a test's: the first one stays.
    let _ = tracing_subscriber::registry().with(filter).with(lines).try_init();
}

fn admitted(meta: &Metadata<'_>, levels: &Targets) -> bool {
    is_ours(meta.target()) && levels.would_enable(meta.target(), meta.level())
}

fn is_ours(target: &str) -> bool {
    let root = target.split("::").next().unwrap_or(target);
    OURS.contains(&root)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing::Level;

    #[test]
    fn no_level_brings_in_the_engine() {
        let all: Targets = "trace,hudsucker=trace,hyper=trace,h2=trace,rustls=trace".parse().unwrap();
        assert!(all.would_enable("hudsucker", &Level::TRACE), "the levels alone would let it in");
        for target in ["hudsucker", "hudsucker::proxy", "hyper", "h2::proto", "rustls", "guardianx", ""] {
            assert!(!is_ours(target), "{target}");
        }
        for target in ["guardian", "guardian::flow::capture", "attest::verify", "keys"] {
            assert!(is_ours(target), "{target}");
        }
    }
}
