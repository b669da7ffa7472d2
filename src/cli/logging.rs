//! What the guardian itself has to say while it works, on stderr.
//!
//! One fixed filter admits our own targets alone. The HTTP engine's spans hold URLs and its events hold headers, so no
//! setting can bring them in: `RUST_LOG` chooses levels within our own targets.

use super::show;
use tracing::{Metadata, Subscriber};
use tracing_subscriber::{
    filter::{LevelFilter, Targets, filter_fn},
    fmt::{self, MakeWriter},
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
    // A second subscriber in one process can only be a test's: the first one stays.
    let _ = subscriber(levels, std::io::stderr).try_init();
}

fn subscriber<W>(levels: Targets, writer: W) -> impl Subscriber + Send + Sync
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let lines = fmt::layer().with_writer(writer).with_ansi(false).with_target(false);
    // For all layers at once: what it refuses is not even recorded as the span an event of ours stands in.
    tracing_subscriber::registry().with(filter_fn(move |meta| admitted(meta, &levels))).with(lines)
}

fn admitted(meta: &Metadata<'_>, levels: &Targets) -> bool {
    let root = meta.target().split("::").next().unwrap_or_default();
    OURS.contains(&root) && levels.would_enable(meta.target(), meta.level())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        io,
        sync::{Arc, Mutex},
    };

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(levels: &str, say: impl FnOnce()) -> String {
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber = subscriber(levels.parse().unwrap(), move || writer.clone());
        tracing::subscriber::with_default(subscriber, say);
        let bytes = lines.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn no_level_brings_in_the_engine() {
        let text = logged("trace,hudsucker=trace,hyper=trace,h2=trace,rustls=trace,guardianx=trace", || {
            let _span = tracing::error_span!(target: "hudsucker::proxy", "proxy", uri = "hunter22").entered();
            tracing::error!(target: "hyper::proto", "hunter22");
            tracing::error!(target: "h2", "hunter22");
            tracing::error!(target: "rustls::conn", "hunter22");
            tracing::error!(target: "guardianx", "hunter22");
            tracing::trace!(target: "guardian::flow", "ours, within their span");
            tracing::trace!(target: "attest", "ours too");
        });
        assert!(text.contains("ours, within") && text.contains("ours too"), "{text}");
        assert!(!text.contains("hunter22"), "{text}");
    }

    #[test]
    fn levels_hold_within_our_own_targets() {
        let text = logged("warn,guardian::home=debug", || {
            tracing::debug!(target: "guardian::home", "home");
            tracing::info!(target: "guardian::flow", "flow");
        });
        assert!(text.contains("home") && !text.contains("flow"), "{text}");
    }
}
