//! A panic's message may hold what was scanned: of our own threads only its place is said.

use std::{panic, sync::Once, thread};

/// Installs the hook, once for the process. Panics of other threads are told as before.
pub(super) fn tell_place_only() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if thread::current().name().is_some_and(|name| name.starts_with("guardian-")) {
                let (file, line) = info.location().map_or(("?", 0), |at| (at.file(), at.line()));
                tracing::error!(file, line, "panicked");
            } else {
                before(info);
            }
        }));
    });
}
