//! Step → what has to come of it, as the model has it.

use super::disk::Disk;
use super::ledger::{Tally, What};
use super::monitor::{Bounds, Monitor};
use super::world::{Act, World};
use posture::{Ended, Retention};
use std::{rc::Rc, time::Duration};

/// What an act comes to.
#[expect(clippy::struct_excessive_bools, reason = "four facts that do not depend on each other")]
pub(super) struct Expected {
    pub(super) exports: usize,
    pub(super) ended: Ended,
    pub(super) enabled: bool,
    pub(super) anew: bool,
    pub(super) refused: bool,
    pub(super) looks_for_old: bool,
    /// What the export covers, if something is written behind it.
    pub(super) signs: Option<attest::Chain>,
    /// What a segment was told that began before the numbers were told again.
    pub(super) told: Option<Tally>,
    /// And what ails it until then.
    pub(super) ails: Option<Vec<&'static str>>,
}

fn quiet() -> Expected {
    Expected {
        exports: 0,
        ended: Ended::Running,
        enabled: true,
        anew: false,
        refused: false,
        looks_for_old: false,
        signs: None,
        ails: None,
        told: None,
    }
}

impl World {
    pub(super) fn expect(&mut self, act: &Act, disk: &Disk) -> Option<Expected> {
        match (&self.monitor, act) {
            (None, _) => self.expect_alone(act, disk),
            (Some(_), _) => self.expect_of_monitor(act, disk),
        }
    }

    fn bounds(&self) -> Bounds {
        Bounds { retention: self.rig.config.retention, fold_open_max: self.rig.config.fold_open_max }
    }

    fn expect_alone(&mut self, act: &Act, disk: &Disk) -> Option<Expected> {
        if matches!(act, Act::Find { .. } | Act::Tick | Act::Reload(_)) {
            return None;
        }
        let times = (self.rig.now, self.rig.at);
        let mut monitor = Monitor::open(self.bounds(), &self.archive, &mut self.ledger, disk, times);
        let last = monitor.signed.as_ref().map(|(last, _)| Rc::clone(last));
        if let Act::Start = act {
            monitor.begin(&self.ledger);
            self.monitor = Some(monitor);
            return Some(quiet());
        }
        let Some(last) = last else {
            // Nothing was ever signed here, or nothing is left of it.
            let refused = !matches!(act, Act::Stop(_));
            monitor.base.clone_from(&disk.lines());
            (monitor.is_quarantined, monitor.events) = (false, vec![]);
            self.monitor = Some(monitor);
            return Some(Expected { refused, looks_for_old: false, ..quiet() });
        };
        monitor.report_damage();
        let ended = if monitor.unclean { Ended::Unclean } else { last.ended };
        let enabled = last.monitor_enabled && !matches!(act, Act::Stop(_));
        let mut expected = Expected { exports: 1, ended, enabled, ..quiet() };
        match act {
            Act::Rotate if monitor.is_quarantined => (expected.exports, expected.refused) = (0, true),
            Act::Rotate => {
                monitor.events.push(What::Rotate);
                expected.exports = 2;
            }
            Act::Recover if !monitor.is_lost() => (expected.exports, expected.refused) = (0, true),
            Act::Recover => {
                let gap = std::mem::take(&mut monitor.events);
                monitor.events = vec![What::Recovery];
                if monitor.is_quarantined {
                    let carried = monitor.carried(disk);
                    monitor.events.extend(carried.into_iter().chain(gap));
                }
                (expected.exports, expected.anew) = (2, true);
            }
            _ => {}
        }
        self.monitor = Some(monitor);
        Some(expected)
    }

    fn expect_of_monitor(&mut self, act: &Act, disk: &Disk) -> Option<Expected> {
        let (now, at) = (self.rig.now, self.rig.at);
        let Self { monitor: Some(monitor), archive, ledger, rig, .. } = self else { return None };
        let mut expected = Expected { ended: Ended::Running, ..quiet() };
        match act {
            Act::Start | Act::Find { .. } => return None,
            Act::Tick => {
                let step = monitor.clock_step(now, at);
                if step.is_some() {
                    monitor.notice(archive, ledger, disk, now);
                    monitor.events.extend(step);
                }
                // The clock's word may have begun a segment before.
                expected.told = Some(std::mem::replace(&mut monitor.told, monitor.tally));
                let mut events = monitor.close_lasted(at);
                events.extend(monitor.overflow_lasted(at));
                monitor.notice(archive, ledger, disk, now);
                monitor.events.extend(events);
                monitor.report_damage();
                expected.looks_for_old = true;
            }
            Act::Export => {
                if let Some(gap) = monitor.exports(rig.config.export_every, at) {
                    // What is written then follows on what was just signed.
                    expected.ails = Some(monitor.ails(disk));
                    expected.signs = monitor.signs(ledger);
                    monitor.notice(archive, ledger, disk, now);
                    monitor.events.push(gap);
                }
                expected.exports = 1;
            }
            Act::Reload(n) => {
                let days = [30, 10][usize::from(n / 2 % 2)];
                rig.config.retention = Retention { max_age_days: days, ..rig.config.retention };
                rig.config.export_every = Duration::from_secs([60, 5][usize::from(n % 2)]);
                rig.config.fold_open_max = [4, 2][usize::from(n / 4 % 2)];
                monitor.notice(archive, ledger, disk, now);
                monitor.events.push(What::Reload);
                monitor.bounds = Bounds { retention: rig.config.retention, fold_open_max: rig.config.fold_open_max };
                monitor.refused = false;
                let folds = monitor.close_too_many();
                monitor.events.extend(folds);
            }
            Act::Rotate => {
                monitor.notice(archive, ledger, disk, now);
                if monitor.is_quarantined {
                    expected.refused = true;
                } else {
                    monitor.events.push(What::Rotate);
                    let gap = monitor.exports(rig.config.export_every, at);
                    monitor.events.extend(gap);
                    expected.exports = 2;
                }
            }
            Act::Recover => {
                monitor.read(archive, ledger, disk, now);
                if monitor.is_lost() {
                    monitor.events.push(What::Recovery);
                    if monitor.is_quarantined {
                        let carried = monitor.carried(disk);
                        monitor.events.extend(carried);
                    }
                    let gap = monitor.exports(rig.config.export_every, at);
                    monitor.events.extend(gap);
                    (expected.exports, expected.anew) = (2, true);
                } else {
                    expected.refused = true;
                }
            }
            Act::Stop(ended) => {
                let events = monitor.close_all();
                monitor.notice(archive, ledger, disk, now);
                monitor.events.extend(events);
                monitor.events.push(What::Stop(*ended));
                (expected.exports, expected.ended, expected.enabled) = (1, *ended, *ended != Ended::OperatorStop);
            }
        }
        Some(expected)
    }

    pub(super) fn expect_close(&mut self, disk: &Disk) -> Option<Expected> {
        let now = self.rig.now;
        let Self { monitor: Some(monitor), archive, ledger, .. } = self else { return None };
        let events = monitor.close_all();
        if !events.is_empty() {
            monitor.notice(archive, ledger, disk, now);
            monitor.events.extend(events);
        }
        Some(quiet())
    }

    pub(super) fn expect_find(&mut self, value: u64, grave: bool, disk: &Disk) -> Option<Expected> {
        let (now, at) = (self.rig.now, self.rig.at);
        let Self { monitor: Some(monitor), archive, ledger, .. } = self else { return None };
        let lasted = monitor.close_lasted(at);
        let is_new = !monitor.sighting(value);
        let refused = is_new && !monitor.admits(disk, grave, now);
        if refused {
            monitor.refuse(at);
        }
        if !lasted.is_empty() || is_new && !refused {
            monitor.notice(archive, ledger, disk, now);
            monitor.events.extend(lasted);
        }
        if is_new && !refused {
            monitor.found(value, at);
        }
        Some(quiet())
    }
}
