//! The real thing, and the model beside it: one step for both, and what has to be the same afterwards.

use super::super::{Home, Rig};
use super::disk::{Disk, Look, copy};
use super::monitor::{self, Bounds, Held, Ledger, Monitor, Tally, What};
use super::reader::{self, Archive, Question, Remembered, Ring, Signed};
use super::tamper::Tamper;
use crate::{
    control::Reloaded,
    flow::detect::{Detector, Limits},
    home::file::fault::{Fault, play},
    monitor::{offline_export, offline_recover, offline_rotate, offline_stop, recorder::Recorder, reload::Applied},
};
use attest::{Anchor, Baseline, Folder, digest::sha256};
use posture::{Checkpoint, Ended, EventBody, FindingRecord, Memory, Posture, Retention, Sha256Hex, VerdictResult};
use std::{
    collections::{BTreeSet, HashMap},
    rc::Rc,
    sync::{Arc, LazyLock},
    time::Duration,
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
    SetClock(i8),
    Tamper(Tamper),
    Save,
    /// The folder as it was saved, if no monitor is at work in it.
    PutBack,
    /// The first reader is told that a backup was restored.
    Trust,
}

/// What an act comes to.
#[expect(clippy::struct_excessive_bools, reason = "four facts that do not depend on each other")]
struct Expected {
    exports: usize,
    ended: Ended,
    enabled: bool,
    anew: bool,
    refused: bool,
    looks_for_old: bool,
    /// What the export covers, if something is written behind it.
    signs: Option<attest::Chain>,
    /// What a segment was told that began before the numbers were told again.
    told: Option<Tally>,
    /// And what ails it until then.
    ails: Option<Vec<&'static str>>,
}

struct Reader {
    question: Question,
    pinned: Option<keys::PublicKey>,
    memory: Option<Memory>,
}

pub(super) struct World {
    rig: Rig,
    recorder: Option<Recorder>,
    look: Look,
    archive: Archive,
    ledger: Ledger,
    monitor: Option<Monitor>,
    readers: [Reader; 2],
    saved: Option<tempfile::TempDir>,
    /// Postures that begin the log at this record.
    covering: HashMap<u64, u32>,
    flooded: u64,
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
            ledger: monitor::ledger(),
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

    // === acts ===

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

    // === what is to be expected ===

    fn expect(&mut self, act: &Act, disk: &Disk) -> Option<Expected> {
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

    fn expect_close(&mut self, disk: &Disk) -> Option<Expected> {
        let now = self.rig.now;
        let Self { monitor: Some(monitor), archive, ledger, .. } = self else { return None };
        let events = monitor.close_all();
        if !events.is_empty() {
            monitor.notice(archive, ledger, disk, now);
            monitor.events.extend(events);
        }
        Some(quiet())
    }

    fn expect_find(&mut self, value: u64, grave: bool, disk: &Disk) -> Option<Expected> {
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

    // === what came of it ===

    /// What is in some file stays in some file, until it is pruned.
    fn nothing_is_lost(before: &Disk, after: &Disk) -> Checked {
        let newest =
            after.exports.values().rev().find_map(|files| serde_json::from_slice::<Posture>(files[0].as_ref()?).ok());
        let first = newest.map_or(1, |posture| posture.finding_log.first_seq);
        let pruned: BTreeSet<_> = before
            .lines()
            .iter()
            .filter(|l| l.before().is_some_and(|b| b.next_seq() < first))
            .filter_map(|l| l.found())
            .collect();
        let lost: Vec<_> = before.findings.iter().filter(|n| !after.holds(**n) && !pruned.contains(n)).collect();
        same!("findings lost", lost, Vec::<&u64>::new());
        Ok(())
    }

    /// The process is no more. What it signed, it signed.
    fn died(&mut self, before: &Disk, after: &Disk) -> Checked {
        (self.recorder, self.monitor) = (None, None);
        self.rig.new_process();
        for lines in [after.lines(), after.pending.clone()] {
            for line in lines {
                let known = line.before().is_some_and(|b| self.ledger.contains_key(b.head()));
                let begins = matches!(line.event(), Some(EventBody::Recovery(_)));
                if (known || begins) && !self.ledger.contains_key(&line.sha256) {
                    // Of a recovery before what it stands on is entered, a later look makes more.
                    let entered = monitor::enter(&mut self.ledger, &self.archive, &line);
                    if !begins && !matches!(line.event(), Some(EventBody::Prune(_))) {
                        entered?;
                    }
                }
            }
            self.archive_new(before, after)?;
        }
        Ok(())
    }

    fn archive_new(&mut self, before: &Disk, after: &Disk) -> Checked<Vec<(Rc<Posture>, Sha256Hex)>> {
        let mut new = Vec::new();
        for (number, files) in &after.exports {
            let [Some(posture), Some(signature), Some(state), Some(state_signature)] = files else { continue };
            // A signature that is cut in half is none.
            let torn = signature.len() != 89 || state_signature.len() != 89;
            if torn || before.is_complete(*number) {
                continue;
            }
            let said: Posture = serde_json::from_slice(posture).map_err(|e| e.to_string())?;
            let (said, hash) = (Rc::new(said), sha256(posture));
            let key_id = said.key_id.clone();
            let signed =
                |signature: &Vec<u8>, posture| Signed { signature: signature.clone(), key_id: key_id.clone(), posture };
            self.archive.insert(hash.clone(), signed(signature, Some(Rc::clone(&said))));
            self.archive.insert(sha256(state), signed(state_signature, None));
            new.push((said, hash));
        }
        for (posture, _) in &new {
            *self.covering.entry(posture.finding_log.first_seq).or_default() += 1;
        }
        Ok(new)
    }

    fn compare(&mut self, expected: &Expected, before: &Disk, after: &Disk) -> Checked {
        let new = self.archive_new(before, after)?;
        let Self { monitor: Some(monitor), archive, ledger, rig, covering, .. } = self else { return Ok(()) };
        if !monitor.has_looked() {
            monitor.base = monitor.as_it_lies(before);
        }
        if expected.anew {
            monitor.begun_anew(after);
            let (signed, _) = new.first().or(monitor.signed.as_ref()).ok_or("nothing is signed")?;
            monitor.end = Held::by(signed).chain;
            monitor.base.clear();
        } else if monitor.is_quarantined {
            same!("the damaged log", hashes(&after.lines()), hashes(&before.lines()));
        }
        let there = monitor.as_it_lies(after);
        let gone = there.first().map_or(monitor.base.len(), |first| {
            monitor.base.iter().position(|line| line.sha256 == first.sha256).unwrap_or(0)
        });
        let kept = monitor.base.len() - gone;
        same!("what was in the log", hashes(there.get(..kept).unwrap_or(&there)), hashes(&monitor.base[gone..]));
        let added = &there[kept..];
        if !expected.anew && !monitor.is_quarantined {
            added.iter().for_each(|line| monitor.wrote(line));
        }
        let mut events = monitor.events.clone();
        if expected.looks_for_old && !monitor.is_quarantined {
            let first_seq = ledger.get(monitor.end.head()).map_or(1, |sums| sums.first_seq);
            let said = added.iter().position(|line| matches!(line.event(), Some(EventBody::Prune(_))));
            monitor.deleted(after, first_seq);
            if !monitor.is_deleting(first_seq) {
                events.extend(monitor.due(after, &added[said.unwrap_or(added.len())..], rig.now));
            }
        }
        same!("what was written", added.iter().filter_map(|line| What::of(line)).collect::<Vec<_>>(), events);
        for (left, line) in (1..=added.len()).rev().zip(added) {
            same!("the chain", line.before(), Some(monitor.end.clone()));
            match line.event() {
                // One that was carried over says what it said.
                Some(EventBody::Checkpoint(told)) if !expected.anew || left == 1 => {
                    check(monitor, ledger, told, expected.told)?;
                }
                _ => {}
            }
            monitor::enter(ledger, archive, line)?;
            monitor.end = line.behind().ok_or("not a record")?;
        }
        if monitor.has_looked() || expected.anew {
            monitor.leaves(after);
        }
        if expected.anew {
            monitor.begun_anew(after);
        }
        let first_seq = ledger.get(monitor.end.head()).map_or(1, |sums| sums.first_seq);
        monitor.deleted(after, first_seq);
        let covering = covering.get(&first_seq).copied().unwrap_or(0);
        let last = monitor.base[..gone].last().and_then(|line| line.before()).map_or(0, |last| last.next_seq());
        if gone > 0 && (covering < 3 || last >= first_seq) {
            return Err(format!("record {last} deleted, and {covering} exports begin the log at {first_seq}"));
        }
        self.compare_exports(expected, before, after, new)
    }

    fn compare_exports(
        &mut self,
        expected: &Expected,
        before: &Disk,
        after: &Disk,
        new: Vec<(Rc<Posture>, Sha256Hex)>,
    ) -> Checked {
        let Self { monitor: Some(monitor), ledger, rig, .. } = self else { return Ok(()) };
        same!("exports", new.len(), expected.exports);
        let mut last_number = before.exports.keys().copied().max().unwrap_or(0);
        for (posture, hash) in new {
            let number = posture.sequence;
            if number <= last_number {
                return Err(format!("posture number {number} after {last_number}"));
            }
            last_number = number;
            same!("the posture before", posture.previous_sha256, monitor.signed.as_ref().map(|(_, hash)| hash.clone()));
            let said = Held::by(&posture);
            let known = ledger.get(said.chain.head());
            let again = monitor.held.as_ref().filter(|held| held.chain.head() == said.chain.head());
            let again = again.filter(|_| known.is_none_or(|sums| (sums.findings, sums.folded) != said.counts));
            let (counts, first_seq) = if let Some(held) = again {
                (held.counts, held.first_seq)
            } else {
                let sums = ledger.get(said.chain.head()).ok_or("a head nobody knows")?;
                ((sums.findings, sums.folded), sums.first_seq)
            };
            same!("counts and first_seq", (said.counts, said.first_seq), (counts, first_seq));
            same!("tally", Tally::of_posture(&posture), monitor.tally);
            same!("ended", (posture.ended, posture.monitor_enabled), (expected.ended, expected.enabled));
            let anchor = after.anchor.as_ref().ok_or("no anchor")?;
            let ring = Ring::of(after, anchor).ok_or("the anchor is none of the keys")?;
            same!("the signer", posture.key_id, *ring.signer(number));
            monitor.held = Some(said);
            monitor.signed = Some((posture, hash));
            monitor.told = monitor.tally;
            monitor.keys = monitor::keys(after);
        }
        let Some((last, _)) = monitor.signed.as_ref().filter(|_| expected.exports > 0) else { return Ok(()) };
        if !monitor.is_quarantined {
            same!("what is signed", Held::by(last).chain, *expected.signs.as_ref().unwrap_or(&monitor.end));
        }
        if last.ended == Ended::Running {
            let words: Vec<_> = last.degraded_reasons.iter().map(posture::Word::as_str).collect();
            let mut ails = expected.ails.clone().unwrap_or_else(|| monitor.ails(after));
            ails.sort_unstable();
            same!("what ails it", words, ails);
            same!("the period", last.period_seconds, rig.config.export_every.as_secs());
        }
        Ok(())
    }

    // === readers ===

    fn ask_readers(&mut self) -> Checked {
        let disk = self.look.at(&self.rig);
        if disk.exports.is_empty() && disk.anchor.is_none() {
            return Ok(());
        }
        for number in 0..self.readers.len() {
            self.pin(number, &disk);
            let reader = &mut self.readers[number];
            let answer = reader::answer(&self.archive, &disk, &reader.question, self.rig.now);
            self.told.insert(answer.code.unwrap_or("verified"));
            if number > 0 && answer.code == Some("rolled_back") {
                // It takes its time to say so, and said it to the first.
                continue;
            }
            let options = attest::Options {
                accept_stopped: reader.question.accept_stopped,
                accept_restore: reader.question.accept_restore,
                baseline: reader.question.baseline.clone().map(Baseline::from_sha256),
                remembered: reader.memory.clone(),
                ..attest::Options::new(reader.pinned.clone().map_or(Anchor::Own, Anchor::Pinned), self.rig.now)
            };
            let report = attest::verify(&Folder::open(&self.rig.config.home), &options);
            let said = report
                .reason
                .as_ref()
                .map(|reason| serde_json::to_value(reason).unwrap()["code"].as_str().unwrap().to_owned());
            let why = report.reason.as_ref().map(ToString::to_string).unwrap_or_default();
            same!(format!("reader {number} is told ({why})"), said.as_deref(), answer.code);
            same!(format!("exit code of reader {number}"), report.exit_code(), reader::exit_code(answer.code));
            same!("verified", report.result == VerdictResult::Verified, answer.code.is_none());
            let remember = answer.remember.as_ref().map(|remember| &remember.posture);
            same!(
                format!("reader {number} remembers"),
                report.memory.as_ref().map(|memory| &memory.posture_sha256),
                remember
            );
            reader.question.accept_restore = false;
            // The second keeps no memory.
            if number == 0 && report.memory.is_some() {
                (reader.memory, reader.question.remembered) =
                    (report.memory, answer.remember.map(|r| Remembered { ..r }));
            }
        }
        Ok(())
    }

    /// The second reader pins the first key there is, and takes the first state for its baseline.
    fn pin(&mut self, number: usize, disk: &Disk) {
        let reader = &mut self.readers[number];
        if number == 0 || reader.pinned.is_some() {
            return;
        }
        reader.pinned = keys::file::read_public(&Home::of(&self.rig.config).public_key()).ok();
        reader.question.pinned.clone_from(&disk.anchor);
        let state = disk.exports.values().find_map(|files| files[2].as_ref());
        reader.question.baseline = state.map(sha256);
        if state.is_none() {
            reader.pinned = None;
            reader.question.pinned = None;
        }
    }
}

/// A checkpoint carries every number across.
fn check(monitor: &Monitor, ledger: &Ledger, checkpoint: &Checkpoint, before: Option<Tally>) -> Checked {
    let sums = ledger.get(monitor.end.head()).ok_or("a checkpoint behind nothing known")?;
    let standing = match &monitor.held {
        Some(held) if monitor.is_quarantined => held.counts,
        _ => (sums.findings, sums.folded),
    };
    same!("a checkpoint's counts", (checkpoint.counts.findings, checkpoint.counts.folded), standing);
    let tally = Tally::of_checkpoint(checkpoint);
    if tally != monitor.told && Some(tally) != before {
        same!("a checkpoint's tally", tally, monitor.tally);
    }
    Ok(())
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

fn hashes(lines: &[Rc<super::disk::Line>]) -> Vec<&Sha256Hex> {
    lines.iter().map(|line| &line.sha256).collect()
}

fn detector() -> Arc<Detector> {
    static ONE: LazyLock<Arc<Detector>> = LazyLock::new(|| Detector::new(Limits::default(), &[], None));
    Arc::clone(&ONE)
}
