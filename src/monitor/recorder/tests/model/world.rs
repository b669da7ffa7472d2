//! The real thing, and the model beside it: one step for both, and what has to be the same afterwards.

use super::super::Rig;
use super::disk::{Disk, Look, copy};
use super::expect::Expected;
use super::ledger::{self, Ledger, Tally};
use super::monitor::Monitor;
use super::reader::{Archive, Question};
use super::readers::Reader;
use super::tamper::Tamper;
use crate::{
    control::Reloaded,
    flow::detect::{Detector, Limits},
    home::file::fault::{Fault, play},
    monitor::{offline_export, offline_recover, offline_rotate, offline_stop, recorder::Recorder, reload::Applied},
};
use attest::digest::sha256;
use posture::{Ended, FindingRecord, Retention};
use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, LazyLock},
};

pub(super) type Checked<T = ()> = Result<T, String>;

/// What a monitor does, or the operator without one.
#[derive(Debug, Clone)]
pub(super) enum Act {
    Start,
    Find { value: u8, grave: bool },
    Tick,
    Export,
    Reload(u8),
    Rotate,
    Recover,
    Stop(Ended),
}

/// One thing that happens.
#[derive(Debug, Clone)]
pub(super) enum Step {
    Do(Act),
    /// The process dies before the so-manieth thing it does to the disk, or behind all of them.
    Die(u8, Act),
    Flood(u8),
    Relay(u16),
    SelfTest,
    Pass(u32),
    SetClock(i16),
    Tamper(Tamper),
    Save,
    /// The folder as it was saved, if no monitor is at work in it.
    PutBack,
    /// The first reader is told that a backup was restored.
    Trust,
}

pub(super) struct World {
    pub(super) rig: Rig,
    pub(super) recorder: Option<Recorder>,
    pub(super) look: Look,
    pub(super) archive: Archive,
    pub(super) ledger: Ledger,
    pub(super) monitor: Option<Monitor>,
    pub(super) readers: [Reader; 2],
    pub(super) saved: Option<tempfile::TempDir>,
    /// Postures that begin the log at this record.
    pub(super) covering: HashMap<u64, u32>,
    pub(super) flooded: u64,
    /// What readers were told.
    pub(super) told: BTreeSet<&'static str>,
}

macro_rules! same {
    ($what:expr, $is:expr, $should:expr) => {{
        match (&$is, &$should) {
            (is, should) if is != should => return Err(format!("{}: is {is:?}, should be {should:?}", $what)),
            _ => {}
        }
    }};
}
pub(super) use same;

impl World {
    pub(super) fn new() -> Self {
        let mut rig = Rig::new();
        rig.config.retention = Retention { max_age_days: 30, max_bytes: 256 << 10, segment_bytes: 16 << 10 };
        rig.config.fold_open_max = 4;
        let reader = |accept_stopped| Reader {
            question: Question { accept_stopped, ..Question::default() },
            pinned: None,
            memory: None,
        };
        Self {
            rig,
            recorder: None,
            look: Look::default(),
            archive: Archive::new(),
            ledger: ledger::ledger(),
            monitor: None,
            readers: [reader(false), reader(true)],
            saved: None,
            covering: HashMap::new(),
            flooded: 1000,
            told: BTreeSet::new(),
        }
    }

    pub(super) fn take(&mut self, step: &Step) -> Checked {
        match step {
            Step::Do(act) => self.act(act, None)?,
            Step::Die(at, act) => self.act(act, Some(*at))?,
            Step::Flood(more) => {
                for _ in 0..*more {
                    self.flooded += 1;
                    self.find(self.flooded, true, None)?;
                }
            }
            Step::Relay(bytes) => {
                self.counted(|rig| rig.relay(u64::from(*bytes)), |tally| tally.bytes += u64::from(*bytes));
            }
            Step::SelfTest => {
                let vectors_sha256 = sha256("vectors");
                let result = posture::SelfTestResult::Passed;
                if let Some(recorder) = &mut self.recorder {
                    recorder.self_tested(
                        posture::SelfTest { last_run_at: Some(self.rig.now), result, vectors_sha256 },
                        self.rig.at,
                    );
                }
                self.counted(
                    |rig| rig.signs.expected(),
                    |tally| (tally.self_tests, tally.expected) = (tally.self_tests + 1, tally.expected + 1),
                );
            }
            Step::Pass(seconds) => self.rig.pass(u64::from(*seconds)),
            Step::SetClock(hours) => self.rig.now = self.rig.now.plus(chrono::Duration::hours(i64::from(*hours))),
            Step::Tamper(tamper) => {
                let disk = self.look.at(&self.rig);
                if self.rig.config.home.exists() {
                    tamper.with(&self.rig, &disk);
                    let disk = self.look.at(&self.rig);
                    if let Some(monitor) = &mut self.monitor {
                        monitor.edited(&disk);
                    }
                }
            }
            Step::Save => {
                let kept =
                    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).map_err(|e| e.to_string())?;
                if self.rig.config.home.exists() {
                    copy(&self.rig.config.home, &kept.path().join("home"));
                    self.saved = Some(kept);
                }
            }
            Step::PutBack => {
                if let (None, Some(kept)) = (&self.recorder, &self.saved) {
                    std::fs::remove_dir_all(&self.rig.config.home).map_err(|e| e.to_string())?;
                    copy(&kept.path().join("home"), &self.rig.config.home);
                }
            }
            Step::Trust => self.readers[0].question.accept_restore = true,
        }
        self.ask_readers()
    }

    /// Something a process counts for itself.
    fn counted(&mut self, count: impl FnOnce(&Rig), tally: impl FnOnce(&mut Tally)) {
        if let Some(monitor) = &mut self.monitor {
            count(&self.rig);
            tally(&mut monitor.tally);
        }
    }

    fn act(&mut self, act: &Act, dies: Option<u8>) -> Checked {
        match act {
            Act::Find { value, grave } => self.find(u64::from(*value), *grave, dies),
            Act::Recover if self.recorder.is_some() && dies.is_none() => {
                // So that what its windows come to is seen by itself.
                self.both(dies, Self::expect_close, |this| {
                    let (now, at) = (this.rig.now, this.rig.at);
                    if let Some(recorder) = &mut this.recorder {
                        recorder.store.close_windows(now, at);
                    }
                    Ok(())
                })?;
                self.both(dies, |this, disk| this.expect(act, disk), |this| this.perform(act))
            }
            _ => self.both(dies, |this, disk| this.expect(act, disk), |this| this.perform(act)),
        }
    }

    fn find(&mut self, value: u64, grave: bool, dies: Option<u8>) -> Checked {
        self.both(
            dies,
            |this, disk| this.expect_find(value, grave, disk),
            |this| {
                let (now, at) = (this.rig.now, this.rig.at);
                let record = FindingRecord { timestamp: now, ..super::finding(value, grave) };
                if let Some(recorder) = &mut this.recorder {
                    recorder.store.put_record(record, now, at);
                }
                Ok(())
            },
        )
    }

    /// The model says what has to come of it, the real thing does it, and both are compared.
    fn both(
        &mut self,
        dies: Option<u8>,
        expect: impl FnOnce(&mut Self, &Disk) -> Option<Expected>,
        perform: impl FnOnce(&mut Self) -> Checked,
    ) -> Checked {
        let before = self.look.at(&self.rig);
        if let Some(monitor) = &mut self.monitor {
            monitor.rest();
        }
        let Some(expected) = expect(self, &before) else { return Ok(()) };
        let fault = dies.map_or(Fault::None, |at| Fault::Crash(usize::from(at)));
        let (done, ..) = play(fault, || perform(self));
        let after = self.look.at(&self.rig);
        Self::nothing_is_lost(&before, &after)?;
        if dies.is_some() {
            return self.died(&before, &after);
        }
        same!(format!("refused ({done:?})"), done.is_err(), expected.refused);
        let compared = self.compare(&expected, &before, &after);
        if self.recorder.is_none() {
            self.monitor = None;
        }
        compared
    }

    fn perform(&mut self, act: &Act) -> Checked {
        let (now, at) = (self.rig.now, self.rig.at);
        let text = |error: crate::monitor::MonitorError| error.to_string();
        let Some(recorder) = &mut self.recorder else {
            return match act {
                Act::Start => {
                    self.rig.new_process();
                    let parts = self.rig.try_parts().map_err(|e| e.to_string())?;
                    self.recorder = Some(Recorder::begin(parts, now, at));
                    Ok(())
                }
                Act::Export => offline_export(&self.rig.config, now).map(drop).map_err(text),
                Act::Rotate => offline_rotate(&self.rig.config, now).map(drop).map_err(text),
                Act::Recover => offline_recover(&self.rig.config, now).map(drop).map_err(text),
                Act::Stop(_) => offline_stop(&self.rig.config, now).map(drop).map_err(text),
                Act::Find { .. } | Act::Tick | Act::Reload(_) => Ok(()),
            };
        };
        match act {
            Act::Tick => {
                recorder.tick(now, at);
                Ok(())
            }
            Act::Export => recorder.export(now, at).map(drop),
            Act::Rotate => recorder.rotate(now, at).map(drop),
            Act::Recover => recorder.recover(now, at).map(drop),
            Act::Stop(ended) => {
                let done = recorder.end(*ended, now, at).map(drop);
                self.recorder = None;
                done
            }
            Act::Reload(_) => {
                let config = self.rig.config.clone();
                let told = Reloaded { at: now, changed: true, error: None, needs_restart: vec![], weakened: vec![] };
                let redactor = Arc::clone(&recorder.redactor);
                let applied = Applied { config, detector: detector(), redactor, weakened: BTreeSet::new() };
                recorder.reloaded(told, Some(Box::new(applied)), now, at);
                Ok(())
            }
            Act::Start | Act::Find { .. } => Ok(()),
        }
    }
}

fn detector() -> Arc<Detector> {
    static ONE: LazyLock<Arc<Detector>> = LazyLock::new(|| Detector::new(Limits::default(), &[], None));
    Arc::clone(&ONE)
}
