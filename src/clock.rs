//! The one place that reads the clock.

use posture::Timestamp;

/// The wall clock, now.
#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the clock")]
pub fn now() -> Timestamp {
    Timestamp::new(chrono::Utc::now())
}
