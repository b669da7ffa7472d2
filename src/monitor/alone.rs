//! The state folder's lock, as soon as whoever is on the way out has let go of it.

use crate::{
    control::{self, ControlError, GONE_WITHIN, LOOK_EVERY},
    home::{Home, HomeError, Lock},
};
use std::time::{Duration, Instant};

/// A monitor at work says so within this.
const ANSWER_WITHIN: Duration = Duration::from_millis(500);

/// Takes the lock. A monitor that is ending, or a verb that has it for a moment, is waited for; a monitor at work is not.
///
/// # Errors
/// [`HomeError::Held`] names the process that has it.
pub(super) fn lock(home: &Home) -> Result<Lock, HomeError> {
    let deadline = Instant::now() + GONE_WITHIN;
    loop {
        match home.lock() {
            Err(HomeError::Held { .. }) if Instant::now() < deadline && !is_at_work(home) => {
                std::thread::sleep(LOOK_EVERY);
            }
            taken => return taken,
        }
    }
}

/// Whether somebody answers for the state folder, if only that it does not now. One that hangs is not about to end either.
fn is_at_work(home: &Home) -> bool {
    !matches!(
        control::status(home, ANSWER_WITHIN),
        Err(ControlError::NoMonitor | ControlError::Ending | ControlError::Gone | ControlError::Io(_))
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_lets_go_in_a_moment_is_waited_for_and_who_does_not_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::open(&crate::home::tests::config(dir.path())).unwrap();
        let held = home.lock().unwrap();
        let pid = std::process::id();
        assert!(matches!(lock(&home), Err(HomeError::Held { pid: Some(by), .. }) if by == pid));
        let holder = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(200));
            drop(held);
        });
        lock(&home).unwrap();
        holder.join().unwrap();
    }
}
