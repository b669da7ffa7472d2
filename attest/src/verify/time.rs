//! A posture and a clock → whether it is still valid.

use super::Options;
use crate::reason::Reason;
use chrono::TimeDelta;
use posture::{Ended, MonitorStatus, Posture, VALID_PERIODS};

/// A posture may be this many seconds ahead of the verifier's clock.
pub const MAX_AHEAD_SECONDS: i64 = 120;

pub(super) fn check_time(posture: &Posture, options: &Options) -> Result<(), Reason> {
    let (generated_at, valid_until, now) = (posture.generated_at, posture.valid_until, options.now);
    if generated_at.since(now) > TimeDelta::seconds(MAX_AHEAD_SECONDS) {
        return Err(Reason::ClockAhead { generated_at, now });
    }
    let span = posture.period_seconds.checked_mul(VALID_PERIODS).and_then(|s| i64::try_from(s).ok());
    if span.and_then(TimeDelta::try_seconds) != Some(valid_until.since(generated_at)) {
        return Err(Reason::ClockSpan { generated_at, valid_until });
    }
    let stopped = posture.monitor_status == MonitorStatus::Stopped;
    let on_purpose = matches!(posture.ended, Ended::OperatorStop | Ended::RunFinished);
    if stopped && !(options.accept_stopped && on_purpose) {
        return Err(Reason::Stopped { ended: posture.ended, at: generated_at, sequence: posture.sequence });
    }
    let Some(max_age) = options.max_age else {
        return if now > valid_until && !stopped { Err(Reason::Expired { valid_until, now }) } else { Ok(()) };
    };
    let age = now.since(generated_at).to_std().unwrap_or_default();
    if age > max_age {
        let (age_seconds, max_age_seconds) = (age.as_secs(), max_age.as_secs());
        return Err(Reason::TooOld { generated_at, age_seconds, max_age_seconds });
    }
    Ok(())
}
