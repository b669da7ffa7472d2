//! How a monitor is → what its supervisor is told, where there is one that listens (`sd_notify(3)`).
//!
//! Where there is none, nothing is said and nothing is amiss.

use sd_notify::NotifyState;
use std::time::Duration;

/// The monitor takes connections.
pub(super) fn ready() {
    say(&[NotifyState::Ready]);
}

/// It is on its way to its end.
pub(super) fn stopping() {
    say(&[NotifyState::Stopping]);
}

/// It lives, and works.
pub(super) fn alive() {
    say(&[NotifyState::Watchdog]);
}

/// How often [`alive`] has to be said, where someone waits for it: twice within the time that is waited.
pub(super) fn alive_every() -> Option<Duration> {
    sd_notify::watchdog_enabled().map(|within| within / 2)
}

fn say(state: &[NotifyState<'_>]) {
    // A supervisor that cannot be told draws its own conclusions.
    let _ = sd_notify::notify(state);
}
