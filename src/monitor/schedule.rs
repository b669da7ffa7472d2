//! Times → when to export, and whether the wall clock jumped. Pure: every time is an argument.

use posture::{EventBody, Timestamp};
use std::time::{Duration, Instant};

/// Exports for grave findings are this far apart at least.
const SPACING: Duration = Duration::from_secs(1);
/// A wall clock that moved this much more, or less, than the steady one was set; what is less is slewing.
const STEP: i64 = 1000;

/// When the next export is due.
#[derive(Debug)]
pub(super) struct Schedule {
    period: Duration,
    last: Instant,
    due: Instant,
    spacing: Duration,
    urgent: bool,
    failures: u32,
}

impl Schedule {
    /// The first export is due at once.
    pub(super) fn new(period: Duration, at: Instant) -> Self {
        Self { period, last: at, due: at, spacing: SPACING, urgent: false, failures: 0 }
    }

    /// Something grave: due a second after the last export at the earliest. The more often this is said, the longer the
    /// pauses, up to the period; after a quiet time they are short again.
    pub(super) fn urgent(&mut self, at: Instant) {
        if self.urgent {
            return;
        }
        if at.saturating_duration_since(self.last) >= 2 * self.spacing {
            self.spacing = SPACING;
        }
        self.urgent = true;
        if self.failures == 0 {
            self.due = self.due.min((self.last + self.spacing).max(at));
        }
    }

    /// From here on exports are so far apart.
    pub(super) fn set_period(&mut self, period: Duration) {
        self.period = period;
        self.due = self.due.min(self.last + period);
    }

    /// Due now, whatever was before.
    pub(super) fn at_once(&mut self, at: Instant) {
        self.due = self.due.min(at);
    }

    pub(super) fn due(&self) -> Instant {
        self.due
    }

    pub(super) fn done(&mut self, at: Instant) {
        if self.urgent {
            self.spacing = (2 * self.spacing).min(self.period.max(SPACING));
        }
        self.urgent = false;
        self.failures = 0;
        self.last = at;
        self.due = at + self.period;
    }

    /// Due again soon, then less and less soon.
    pub(super) fn failed(&mut self, at: Instant) {
        let pause = SPACING * 2_u32.saturating_pow(self.failures.min(12));
        self.failures += 1;
        self.due = at + pause.min(self.period.max(SPACING));
    }
}

/// The wall clock against the steady one.
#[derive(Debug)]
pub(super) struct ClockWatch {
    wall: Timestamp,
    steady: Instant,
}

impl ClockWatch {
    pub(super) fn new(now: Timestamp, at: Instant) -> Self {
        Self { wall: now, steady: at }
    }

    /// What the wall clock did since the last look, when it did more than pass. The steady clock stands still while the
    /// machine sleeps, so that waking up is a step too.
    pub(super) fn look(&mut self, now: Timestamp, at: Instant) -> Option<EventBody> {
        let steady = i64::try_from(at.saturating_duration_since(self.steady).as_millis()).unwrap_or(i64::MAX);
        let step = now.since(self.wall).num_milliseconds().saturating_sub(steady);
        *self = Self::new(now, at);
        let milliseconds = step.unsigned_abs().min(posture::MAX_INTEGER);
        (step.abs() >= STEP).then_some(EventBody::ClockStep { backwards: step < 0, milliseconds })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn s(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    #[test]
    fn exports_are_a_period_apart() {
        let at = Instant::now();
        let mut schedule = Schedule::new(MINUTE, at);
        assert_eq!(schedule.due(), at);
        schedule.done(at);
        assert_eq!(schedule.due(), at + MINUTE);
    }

    #[test]
    fn a_grave_finding_is_exported_at_once_and_those_within_a_second_together() {
        let at = Instant::now();
        let mut schedule = Schedule::new(MINUTE, at);
        schedule.done(at);
        schedule.urgent(at + s(0.2));
        schedule.urgent(at + s(0.3));
        assert_eq!(schedule.due(), at + s(1.0));
        schedule.done(at + s(1.0));
        schedule.urgent(at + s(30.0));
        assert_eq!(schedule.due(), at + s(30.0));
    }

    #[test]
    fn a_flood_backs_off_to_the_period_and_quiet_brings_the_second_back() {
        let start = Instant::now();
        let mut schedule = Schedule::new(MINUTE, start);
        schedule.done(start);
        let mut at = start;
        let mut pauses = Vec::new();
        for _ in 0..9 {
            schedule.urgent(at + s(0.1));
            pauses.push(schedule.due().duration_since(at).as_secs());
            at = schedule.due();
            schedule.done(at);
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
        schedule.done(at + 3 * MINUTE);
        schedule.urgent(at + 3 * MINUTE + s(0.1));
        assert_eq!(schedule.due(), at + 4 * MINUTE, "the period is reached first");
        let quiet = at + 10 * MINUTE;
        schedule.done(at + 4 * MINUTE);
        schedule.urgent(quiet);
        assert_eq!(schedule.due().max(quiet), quiet);
    }

    #[test]
    fn a_failure_is_tried_again_less_and_less_soon_whatever_is_urgent() {
        let mut at = Instant::now();
        let mut schedule = Schedule::new(s(10.0), at);
        let mut pauses = Vec::new();
        for _ in 0..6 {
            schedule.failed(at);
            schedule.urgent(at);
            pauses.push(schedule.due().duration_since(at).as_secs());
            at = schedule.due();
        }
        assert_eq!(pauses, [1, 2, 4, 8, 10, 10]);
        schedule.done(at);
        assert_eq!(schedule.due(), at + s(10.0));
    }

    #[test]
    fn a_clock_that_only_passes_or_slews_is_no_step() {
        let (now, at) = (crate::clock::now(), Instant::now());
        let mut watch = ClockWatch::new(now, at);
        let ms = chrono::Duration::milliseconds;
        assert_eq!(watch.look(now.plus(ms(5_000)), at + s(5.0)), None);
        assert_eq!(watch.look(now.plus(ms(6_999)), at + s(6.0)), None);
        assert_eq!(watch.look(now.plus(ms(8_500)), at + s(7.0)), None, "each look begins anew");
    }

    #[test]
    fn a_clock_that_was_set_and_a_machine_that_slept_are_steps() {
        let (now, at) = (crate::clock::now(), Instant::now());
        let ms = chrono::Duration::milliseconds;
        for (wall, backwards, milliseconds) in [(2_000, false, 1_000), (-3_600_000, true, 3_601_000)] {
            let mut watch = ClockWatch::new(now, at);
            let step = watch.look(now.plus(ms(wall)), at + s(1.0));
            assert_eq!(step, Some(EventBody::ClockStep { backwards, milliseconds }));
            assert_eq!(watch.look(now.plus(ms(wall + 1_000)), at + s(2.0)), None);
        }
    }
}
