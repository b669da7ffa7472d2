use super::*;
use crate::{
    flow::suppress::Suppression,
    monitor::{MonitorError, offline_export, offline_stop},
};
use attest::{Anchor, Folder, Report};
use posture::{MonitorStatus, Posture, State, VerdictResult};
use std::{fs, io, path::PathBuf, time::Duration};

mod faults;
mod forged;
mod model;
mod recovery;
mod retention;
mod rotation;

pub(crate) struct Rig {
    _dir: tempfile::TempDir,
    config: Config,
    pub(crate) now: Timestamp,
    pub(crate) at: Instant,
    meter: Meter,
    signs: Arc<Signs>,
}

impl Rig {
    pub(crate) fn new() -> Self {
        // In memory where that is to be had: a disk that takes its time shows nothing here.
        let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        let config = crate::home::tests::config(&dir.path().join("home"));
        let mut this = Self {
            _dir: dir,
            config,
            now: crate::clock::now(),
            at: Instant::now(),
            meter: Meter::default(),
            signs: Arc::new(Signs::new(1, Duration::from_secs(60), || 0)),
        };
        this.new_process();
        this
    }

    /// What a process counts for itself begins at zero.
    fn new_process(&mut self) {
        self.meter = Meter::default();
        self.signs = Arc::new(Signs::new(1, Duration::from_secs(60), || 0));
    }

    /// A run that makes one export.
    fn next_run(&mut self) {
        self.new_process();
        let mut recorder = self.begin();
        self.export(&mut recorder);
    }

    fn pass(&mut self, seconds: u64) {
        self.at += Duration::from_secs(seconds);
        self.now = self.now.plus(chrono::Duration::seconds(seconds.cast_signed()));
    }

    pub(in crate::monitor) fn begin(&self) -> Recorder {
        Recorder::begin(self.parts(), self.now, self.at)
    }

    pub(in crate::monitor) fn parts(&self) -> Parts {
        self.try_parts().unwrap()
    }

    /// An error is one that keeps a monitor from starting.
    fn try_parts(&self) -> Result<Parts, crate::flow::vouch::VouchError> {
        let home = Home::open(&self.config).unwrap();
        let keys = crate::monitor::identity::open(&home).map_err(|error| match error {
            MonitorError::Vouch(error) => error,
            other => panic!("{other:?}"),
        })?;
        let (vouch, last) = Vouch::open(&home, keys.signing_key)?;
        Ok(Parts {
            config: self.config.clone(),
            home,
            vouch,
            last,
            settings: Settings::of(&self.config, crate::flow::vouch::tests::settings().pattern_set),
            run_id: RunId::from_bytes(&[2; 16]),
            new_install_id: InstallId::from_bytes(&[1; 16]),
            listen: "127.0.0.1:8790".parse().unwrap(),
            vectors_sha256: attest::digest::sha256("vectors"),
            meter: self.meter.clone(),
            load: crate::flow::capture::Load::new(1, 1),
            signs: Arc::clone(&self.signs),
            redactor: Arc::new(Redactor::new(&[7; 32])),
        })
    }

    fn export(&self, recorder: &mut Recorder) -> Posture {
        recorder.export(self.now, self.at).unwrap();
        self.posture()
    }

    fn current(&self, name: &str) -> Vec<u8> {
        fs::read(self.config.export_dir.join("current").join(name)).unwrap()
    }

    pub(crate) fn posture(&self) -> Posture {
        attest::canonical::read(&self.current("posture.json")).unwrap()
    }

    fn state(&self) -> State {
        attest::canonical::read(&self.current("state.json")).unwrap()
    }

    fn verify(&self, accept_stopped: bool) -> Report {
        let options = attest::Options { accept_stopped, ..attest::Options::new(Anchor::Own, self.now) };
        attest::verify(&Folder::open(&self.config.home), &options)
    }

    fn result(&self, accept_stopped: bool) -> VerdictResult {
        self.verify(accept_stopped).result
    }

    fn log(&self) -> PathBuf {
        self.config.log_dir.join("findings.jsonl")
    }

    fn events(&self) -> Vec<EventBody> {
        let mut chain = Chain::genesis();
        let segments = crate::flow::store::tests::segments(&self.config.log_dir).into_iter();
        let text: String = segments.map(|path| fs::read_to_string(path).unwrap()).collect();
        let events = text.lines().filter_map(|line| match chain.follow(line.as_bytes()).unwrap() {
            attest::Record::Event(event) => Some(event.event),
            attest::Record::Finding(_) => None,
        });
        events.collect()
    }

    fn relay(&self, bytes: u64) {
        let message = self.meter.message();
        message.relayed(bytes);
        message.settle(bytes, None);
    }
}

#[test]
fn a_first_export_verifies() {
    let rig = Rig::new();
    let posture = rig.export(&mut rig.begin());
    assert_eq!((posture.sequence, posture.previous_sha256, posture.finding_log.next_seq), (1, None, 3));
    assert_eq!((posture.monitor_status, posture.ended), (MonitorStatus::Running, Ended::Running));
    assert_eq!(rig.result(false), VerdictResult::Verified);
    assert!(matches!(rig.events()[..], [EventBody::Start { .. }, EventBody::Checkpoint(_)]));
}

#[test]
fn the_state_stays_and_the_posture_moves_until_the_operator_stops() {
    let mut rig = Rig::new();
    let mut recorder = rig.begin();
    let mut seen = Vec::new();
    for _ in 0..3 {
        rig.relay(10);
        rig.export(&mut recorder);
        assert_eq!(rig.result(false), VerdictResult::Verified);
        seen.push((rig.current("state.json"), rig.current("posture.json")));
        rig.pass(60);
    }
    assert!(seen.windows(2).all(|w| w[0].0 == w[1].0 && w[0].1 != w[1].1));
    recorder.end(Ended::OperatorStop, rig.now, rig.at).unwrap();
    assert_ne!(rig.current("state.json"), seen[0].0);
    let posture = rig.posture();
    assert_eq!((posture.monitor_enabled, rig.state().monitor_enabled), (false, false));
    assert_eq!((posture.monitor_status, posture.ended), (MonitorStatus::Stopped, Ended::OperatorStop));
    assert_eq!((rig.result(false), rig.result(true)), (VerdictResult::NotCurrent, VerdictResult::Verified));
    assert!(matches!(rig.events()[..], [.., EventBody::Stop { ended: Ended::OperatorStop }, EventBody::Checkpoint(_)]));
}

#[test]
fn a_signal_ends_the_run_and_not_the_operators_intent() {
    for (ended, passes) in [(Ended::Signal, VerdictResult::NotCurrent), (Ended::RunFinished, VerdictResult::Verified)] {
        let rig = Rig::new();
        let mut recorder = rig.begin();
        rig.export(&mut recorder);
        let state = rig.current("state.json");
        recorder.end(ended, rig.now, rig.at).unwrap();
        let posture = rig.posture();
        assert_eq!((posture.monitor_enabled, posture.ended), (true, ended));
        assert_eq!(rig.current("state.json"), state);
        assert_eq!(rig.result(true), passes);
    }
}

#[test]
fn after_a_crash_an_export_tells_the_truth_and_the_state_stays() {
    let mut rig = Rig::new();
    let mut recorder = rig.begin();
    rig.relay(7);
    rig.export(&mut recorder);
    let state = rig.current("state.json");
    drop(recorder);
    for sequence in 2..4 {
        let exported = offline_export(&rig.config, rig.now).unwrap();
        let posture = rig.posture();
        assert_eq!((exported.sequence, posture.sequence), (sequence, sequence));
        assert_eq!((posture.ended, posture.monitor_status), (Ended::Unclean, MonitorStatus::Stopped));
        assert!(posture.monitor_enabled);
        assert_eq!(posture.coverage.scanned.bytes, 7);
        assert_eq!(rig.current("state.json"), state);
        assert_eq!(rig.result(true), VerdictResult::NotCurrent);
    }
    rig.next_run();
    assert!(rig.events().iter().any(|e| matches!(e, EventBody::Gap { unclean: true, damaged_bytes: 0, .. })));
    assert_eq!(rig.result(false), VerdictResult::Verified);
}

#[test]
fn a_stop_without_a_monitor_takes_the_intent_back_and_leaves_the_end_as_it_was() {
    let rig = Rig::new();
    assert_eq!(offline_stop(&rig.config, rig.now).unwrap(), None);
    assert!(!rig.config.home.exists(), "nothing is made where nothing was");
    assert!(matches!(offline_export(&rig.config, rig.now), Err(MonitorError::NoHome { .. })));
    let mut recorder = rig.begin();
    recorder.end(Ended::Signal, rig.now, rig.at).unwrap();
    drop(recorder);
    assert!(offline_stop(&rig.config, rig.now).unwrap().is_some());
    assert_eq!((rig.posture().ended, rig.posture().monitor_enabled), (Ended::Signal, false));
    let state = rig.current("state.json");
    offline_export(&rig.config, rig.now).unwrap();
    assert_eq!(rig.current("state.json"), state);
    drop(rig.begin());
}

#[test]
fn without_a_monitor_the_lock_is_taken_all_the_same() {
    let rig = Rig::new();
    rig.export(&mut rig.begin());
    let lock = Home::of(&rig.config).lock().unwrap();
    assert!(matches!(offline_export(&rig.config, rig.now), Err(MonitorError::Home(_))));
    drop(lock);
    offline_export(&rig.config, rig.now).unwrap();
}

#[test]
fn what_was_counted_goes_on_after_a_stop_and_after_a_crash() {
    let mut rig = Rig::new();
    let mut last: Option<Posture> = None;
    for run in 1..=4_u64 {
        rig.new_process();
        let mut recorder = rig.begin();
        rig.signs.expected();
        rig.signs.token_seen(2);
        rig.relay(100);
        let open = rig.meter.message();
        open.relayed(5);
        let result = SelfTestResult::Passed;
        let vectors_sha256 = attest::digest::sha256("vectors");
        recorder.self_tested(SelfTest { last_run_at: Some(rig.now), result, vectors_sha256 }, rig.at);
        rig.pass(1);
        let posture = rig.export(&mut recorder);
        assert!(posture.coverage.adds_up());
        assert_eq!((posture.attested.expected, posture.attested.token_seen), (run, 2 * run));
        assert_eq!(posture.attested.self_tests, run);
        assert_eq!((posture.coverage.seen.bytes, posture.coverage.scanned.bytes), (105 * run, 100 * run));
        assert_eq!(posture.coverage.unscanned(posture::UnscannedReason::ScannerError).bytes, 5 * (run - 1));
        assert_eq!(rig.result(false), VerdictResult::Verified);
        if let Some(last) = last {
            assert_eq!(posture.install_id, last.install_id);
            assert!(posture.sequence > last.sequence);
        }
        if run % 2 == 0 {
            drop(open);
            recorder.end(Ended::Signal, rig.now, rig.at).unwrap();
        }
        last = Some(rig.posture());
    }
}

#[test]
fn exports_that_vanished_do_not_bring_numbers_or_counts_back() {
    let mut rig = Rig::new();
    let mut recorder = rig.begin();
    rig.relay(9);
    for _ in 0..3 {
        rig.export(&mut recorder);
    }
    recorder.end(Ended::Signal, rig.now, rig.at).unwrap();
    fs::remove_dir_all(&rig.config.export_dir).unwrap();
    rig.new_process();
    let posture = rig.export(&mut rig.begin());
    assert_eq!((posture.sequence, posture.coverage.seen.bytes), (4, 9), "the checkpoint remembers");
}

#[test]
fn without_any_export_nothing_holds_the_log_to_what_was_signed_and_that_is_said_until_a_person_knows() {
    let mut rig = Rig::new();
    let mut recorder = rig.begin();
    recorder.store.put_record(crate::flow::store::tests::high(0), rig.now, rig.at);
    rig.export(&mut recorder);
    drop(recorder);
    // Somebody chains the log anew, with another finding, and takes every export away.
    let (mut chain, mut text) = (Chain::genesis(), Vec::new());
    for line in fs::read_to_string(rig.log()).unwrap().lines() {
        let framed = match attest::chain::read_line(line.as_bytes()).unwrap() {
            attest::Record::Finding(found) => chain.finding(|seq, prev_sha256| posture::FindingRecord {
                seq,
                prev_sha256,
                dest: "elsewhere.example.org:443".into(),
                ..*found
            }),
            attest::Record::Event(event) => chain.event(event.timestamp, event.event),
        };
        let framed = framed.unwrap();
        text.extend_from_slice(&framed.line);
        chain.advance(&framed);
    }
    io::Write::write_all(&mut fs::File::create(rig.log()).unwrap(), &text).unwrap();
    fs::remove_dir_all(&rig.config.export_dir).unwrap();

    for _ in 0..3 {
        rig.new_process();
        let posture = rig.export(&mut rig.begin());
        assert_eq!(posture.degraded_reasons, [DegradedReason::ExportsMissing.into()]);
        assert_eq!(rig.result(false), VerdictResult::Degraded);
    }
    assert!(rig.events().contains(&EventBody::ExportsMissing { last_sequence: None, next_sequence: Some(1) }));
    rig.new_process();
    let mut recorder = rig.begin();
    let (recovered, _) = recorder.recover(rig.now, rig.at).unwrap();
    let report = rig.verify(false);
    assert_eq!(report.result, VerdictResult::Verified);
    assert!(report.limits.contains(&attest::Limit::BegunAnew { first_seq: recovered.first_seq }));
    drop(recorder);
    rig.next_run();
    assert_eq!(rig.result(false), VerdictResult::Verified);
}

#[test]
fn exports_fewer_than_the_log_knows_of_are_said() {
    let mut rig = Rig::new();
    let mut recorder = rig.begin();
    for _ in 0..5 {
        rig.export(&mut recorder);
    }
    recorder.end(Ended::Signal, rig.now, rig.at).unwrap();
    for number in 4..=6 {
        fs::remove_dir_all(rig.config.export_dir.join(format!("{number:012}"))).unwrap();
    }
    rig.next_run();
    assert!(rig.events().contains(&EventBody::ExportsMissing { last_sequence: Some(3), next_sequence: Some(6) }));
    let again = rig.events().len();
    rig.next_run();
    let events = rig.events();
    assert!(!events[again..].iter().any(|e| matches!(e, EventBody::ExportsMissing { .. })), "once");
}

#[test]
fn a_first_run_that_broke_off_before_its_first_export_misses_none() {
    let mut rig = Rig::new();
    drop(rig.begin());
    rig.next_run();
    assert_eq!(rig.result(false), VerdictResult::Verified);
}

#[test]
fn a_killed_run_cannot_be_dressed_as_one_that_was_stopped() {
    let mut rig = Rig::new();
    let mut recorder = rig.begin();
    rig.export(&mut recorder);
    drop(recorder);
    let posture = rig.posture();
    let chain = Chain::resume(posture.finding_log.next_seq, posture.finding_log_sha256.clone());
    let stop = chain.event(rig.now, EventBody::Stop { ended: Ended::OperatorStop }).unwrap();
    let mut file = fs::File::options().append(true).open(rig.log()).unwrap();
    io::Write::write_all(&mut file, &stop.line).unwrap();
    offline_export(&rig.config, rig.now).unwrap();
    assert_eq!((rig.posture().ended, rig.result(true)), (Ended::Unclean, VerdictResult::NotCurrent));
    rig.new_process();
    rig.pass(77);
    rig.export(&mut rig.begin());
    let gaps: Vec<_> = rig.events().into_iter().filter(|e| matches!(e, EventBody::Gap { .. })).collect();
    assert!(matches!(gaps[..], [EventBody::Gap { unclean: true, seconds: Some(70..), .. }]), "{gaps:?}");
}

#[test]
fn a_run_killed_before_its_first_export_is_unclean_without_a_monitor_too() {
    let mut rig = Rig::new();
    let mut recorder = rig.begin();
    recorder.end(Ended::OperatorStop, rig.now, rig.at).unwrap();
    rig.new_process();
    drop(rig.begin());
    offline_export(&rig.config, rig.now).unwrap();
    assert_eq!((rig.posture().ended, rig.result(true)), (Ended::Unclean, VerdictResult::NotCurrent));
}

#[test]
fn an_export_that_fails_is_said_tried_again_and_over_when_it_works() {
    let mut rig = Rig::new();
    let mut recorder = rig.begin();
    rig.export(&mut recorder);
    let away = rig.config.home.join("away");
    fs::rename(&rig.config.export_dir, &away).unwrap();
    fs::File::create(&rig.config.export_dir).unwrap();
    recorder.export(rig.now, rig.at).unwrap_err();
    let status = recorder.status(rig.now, rig.at);
    assert_eq!(status.monitor_status, MonitorStatus::Degraded);
    assert_eq!(status.degraded_reasons, [DegradedReason::ExportFailed.into()]);
    assert!(status.export_failure.is_some_and(|why| why.starts_with("could not write an export into /")));
    assert_eq!(recorder.due(), rig.at + Duration::from_secs(1));
    fs::remove_file(&rig.config.export_dir).unwrap();
    fs::rename(&away, &rig.config.export_dir).unwrap();
    rig.pass(1);
    let posture = rig.export(&mut recorder);
    assert_eq!((posture.sequence, posture.monitor_status), (3, MonitorStatus::Running));
    let status = recorder.status(rig.now, rig.at);
    assert_eq!((status.degraded_reasons, status.export_failure), (vec![], None));
    assert_eq!(rig.result(false), VerdictResult::Verified);
}

impl Rig {
    /// From here on neither log nor exports can be written.
    fn break_the_disk(&self) {
        let home = &self.config.home;
        fs::rename(home, home.with_extension("away")).unwrap();
        fs::File::create(home).unwrap();
    }

    fn mend_the_disk(&self) {
        let home = &self.config.home;
        fs::remove_file(home).unwrap();
        fs::rename(home.with_extension("away"), home).unwrap();
    }

    /// A second of a monitor: an export, if it is due, and findings.
    fn second(&mut self, recorder: &mut Recorder, findings: std::ops::Range<u64>) {
        self.pass(1);
        recorder.tick(self.now, self.at);
        if recorder.due() <= self.at {
            let _ = recorder.export(self.now, self.at);
        }
        for n in findings {
            recorder.store.put_record(crate::flow::store::tests::high(n), self.now, self.at);
        }
    }
}

#[test]
fn what_a_bad_disk_lost_is_signed_as_soon_as_it_is_well_for_a_moment() {
    let mut rig = Rig::new();
    let mut recorder = rig.begin();
    rig.export(&mut recorder);
    rig.break_the_disk();
    for n in 0..70 {
        rig.second(&mut recorder, n * 10..(n + 1) * 10);
    }
    let lost = recorder.store.not_recorded();
    assert!(lost > 400 && recorder.due() > rig.at + Duration::from_secs(20), "{lost}");
    rig.mend_the_disk();
    // A log that could not be opened is not walked every second.
    let mut seconds = 0;
    while recorder.store.trouble().next().is_some() {
        rig.second(&mut recorder, 0..0);
        seconds += 1;
        assert!(seconds < 70);
    }
    rig.break_the_disk();
    recorder.end(Ended::Signal, rig.now, rig.at).unwrap_err();
    drop(recorder);
    rig.mend_the_disk();
    assert_eq!(rig.posture().attested.not_recorded, lost);
    let told = rig.events().into_iter().rev().find_map(|event| match event {
        EventBody::Checkpoint(checkpoint) => Some(checkpoint.attested.not_recorded),
        _ => None,
    });
    assert_eq!(told, Some(lost));
    rig.new_process();
    assert_eq!(rig.export(&mut rig.begin()).attested.not_recorded, lost);
}

#[test]
fn a_clock_that_was_set_is_in_the_log_and_exported_at_once() {
    let mut rig = Rig::new();
    let mut recorder = rig.begin();
    rig.export(&mut recorder);
    let next = rig.at + rig.config.export_every;
    rig.pass(1);
    recorder.tick(rig.now, rig.at);
    assert_eq!(recorder.due(), next);
    rig.pass(1);
    rig.now = rig.now.plus(chrono::Duration::hours(-2));
    recorder.tick(rig.now, rig.at);
    assert_eq!(recorder.due(), rig.at);
    let posture = rig.export(&mut recorder);
    assert_eq!(posture.valid_until.since(posture.generated_at), chrono::Duration::seconds(180));
    assert_eq!(rig.events().last(), Some(&EventBody::ClockStep { backwards: true, milliseconds: 7_200_000 }));
    assert_eq!(rig.result(false), VerdictResult::Verified);
}

#[test]
fn a_clock_a_year_ahead_is_not_believed_and_set_back_it_is() {
    let mut rig = Rig::new();
    let mut recorder = rig.begin();
    rig.export(&mut recorder);
    let steps = |rig: &Rig| rig.events().iter().filter(|e| matches!(e, EventBody::ClockStep { .. })).count();
    for (days, result) in [(365, VerdictResult::NotCurrent), (-365, VerdictResult::Verified)] {
        rig.pass(1);
        let true_now = rig.now;
        rig.now = rig.now.plus(chrono::Duration::days(days));
        recorder.tick(rig.now, rig.at);
        assert_eq!(recorder.due(), rig.at, "told at once");
        rig.export(&mut recorder);
        let now = if days > 0 { true_now } else { rig.now };
        let report = attest::verify(&Folder::open(&rig.config.home), &attest::Options::new(Anchor::Own, now));
        assert_eq!(report.result, result);
        assert_eq!(matches!(report.reason, Some(attest::Reason::ClockAhead { .. })), days > 0);
    }
    assert_eq!(steps(&rig), 2);
    assert!(!rig.events().iter().any(|e| matches!(e, EventBody::Gap { .. })), "it never stood still");
}

#[test]
fn a_monitor_that_stood_still_past_its_last_word_says_for_how_long() {
    let mut rig = Rig::new();
    let mut recorder = rig.begin();
    rig.export(&mut recorder);
    rig.pass(180);
    rig.export(&mut recorder);
    let gaps = |rig: &Rig| rig.events().into_iter().filter(|e| matches!(e, EventBody::Gap { .. })).collect::<Vec<_>>();
    assert_eq!(gaps(&rig), [], "current all the time");
    rig.pass(181);
    assert_eq!(rig.result(false), VerdictResult::NotCurrent);
    rig.export(&mut recorder);
    assert_eq!(rig.result(false), VerdictResult::Verified);
    let silence = EventBody::Gap { damaged_bytes: 0, damaged_records: 0, seconds: Some(181), unclean: false };
    assert_eq!(gaps(&rig), std::slice::from_ref(&silence));
    assert_eq!(recorder.due(), rig.at + Duration::from_secs(1), "signed at once");
    rig.pass(1);
    assert_eq!(rig.export(&mut recorder).finding_log.next_seq, 4);
    recorder.end(Ended::Signal, rig.now, rig.at).unwrap();
    assert_eq!(gaps(&rig), [silence], "once");
}

#[test]
fn a_scanner_that_is_gone_is_signed_soon_and_fails_verification() {
    let mut rig = Rig::new();
    let mut recorder = rig.begin();
    rig.export(&mut recorder);
    rig.signs.scanner(0).over();
    rig.pass(2);
    recorder.tick(rig.now, rig.at);
    assert_eq!(recorder.due(), rig.at);
    let posture = rig.export(&mut recorder);
    assert_eq!(posture.degraded_reasons, [DegradedReason::ScannerStalled.into()]);
    assert_eq!(rig.result(false), VerdictResult::Degraded);
    let next = rig.at + rig.config.export_every;
    rig.pass(1);
    recorder.tick(rig.now, rig.at);
    assert_eq!(recorder.due(), next, "said once");
}

#[test]
fn a_scanner_that_hangs_is_never_under_a_green_posture_replaced_or_not() {
    let mut rig = Rig::new();
    let mut recorder = rig.begin();
    rig.export(&mut recorder);
    rig.signs.scanner(0).begins();
    recorder.tick(rig.now, rig.at);
    rig.pass(60);
    recorder.tick(rig.now, rig.at);
    let stalled = [DegradedReason::ScannerStalled.into()];
    assert_eq!(rig.export(&mut recorder).degraded_reasons, stalled);
    rig.signs.goes_adrift();
    rig.signs.replaced(0, rig.at);
    rig.pass(60);
    recorder.tick(rig.now, rig.at);
    assert_eq!(rig.export(&mut recorder).degraded_reasons, stalled, "its successor works, and it hangs still");
    let scanners = recorder.status(rig.now, rig.at).scanners;
    assert_eq!((scanners.restarted, scanners.hanging), (1, 1));
    rig.signs.comes_back();
    assert!(rig.export(&mut recorder).degraded_reasons.is_empty());
}

#[test]
fn a_recorder_that_hung_says_so_in_its_next_export_once() {
    let mut rig = Rig::new();
    let mut recorder = rig.begin();
    rig.export(&mut recorder);
    rig.signs.recorder().begins();
    rig.signs.watch(rig.at);
    rig.pass(30);
    rig.signs.watch(rig.at);
    assert!(rig.signs.recorder_stalled());
    rig.signs.recorder().done();
    recorder.tick(rig.now, rig.at);
    assert_eq!(recorder.due(), rig.at, "told at once");
    assert_eq!(rig.export(&mut recorder).degraded_reasons, [DegradedReason::WriterStalled.into()]);
    assert_eq!(rig.result(false), VerdictResult::Degraded);
    assert!(rig.export(&mut recorder).degraded_reasons.is_empty());
}

#[test]
fn a_self_test_that_failed_is_degraded() {
    let rig = Rig::new();
    let mut recorder = rig.begin();
    let vectors_sha256 = attest::digest::sha256("vectors");
    let failed = SelfTest { last_run_at: Some(rig.now), result: SelfTestResult::Failed, vectors_sha256 };
    recorder.self_tested(failed, rig.at);
    rig.export(&mut recorder);
    assert_eq!(rig.result(false), VerdictResult::Degraded);
}

#[test]
fn a_self_test_that_nobody_hears_of_any_more_has_failed() {
    let mut rig = Rig::new();
    let mut recorder = rig.begin();
    let passed = |rig: &Rig| SelfTest {
        last_run_at: Some(rig.now),
        result: SelfTestResult::Passed,
        vectors_sha256: attest::digest::sha256("vectors"),
    };
    let result = |rig: &Rig, recorder: &mut Recorder| {
        recorder.tick(rig.now, rig.at);
        rig.export(recorder).self_test.result
    };
    let patience = SELF_TEST_GRACE.as_secs() + 3 * 60;
    for _ in 0..3 {
        recorder.self_tested(passed(&rig), rig.at);
        rig.pass(patience);
        assert_eq!(result(&rig, &mut recorder), SelfTestResult::Passed);
    }
    rig.pass(1);
    assert_eq!(result(&rig, &mut recorder), SelfTestResult::Failed);
    assert_eq!(rig.result(false), VerdictResult::Degraded);
    recorder.self_tested(passed(&rig), rig.at);
    assert_eq!(result(&rig, &mut recorder), SelfTestResult::Passed);
}

#[test]
fn a_torn_end_above_the_signed_head_heals_and_one_at_it_does_not() {
    let mut rig = Rig::new();
    let mut recorder = rig.begin();
    rig.export(&mut recorder);
    let whole = fs::read(rig.log()).unwrap();
    drop(recorder);
    fs::File::options()
        .append(true)
        .open(rig.log())
        .and_then(|mut f| io::Write::write_all(&mut f, b"{\"dest"))
        .unwrap();
    assert_eq!(rig.result(false), VerdictResult::Verified);
    rig.new_process();
    let mut recorder = rig.begin();
    rig.export(&mut recorder);
    assert_eq!(rig.result(false), VerdictResult::Verified);
    let gap = rig.events().into_iter().find(|e| matches!(e, EventBody::Gap { .. }));
    assert!(matches!(gap, Some(EventBody::Gap { damaged_bytes: 6, damaged_records: 1, unclean: true, .. })), "{gap:?}");
    drop(recorder);

    fs::File::options().write(true).open(rig.log()).unwrap().set_len(whole.len() as u64 - 1).unwrap();
    rig.new_process();
    let mut recorder = rig.begin();
    let posture = rig.export(&mut recorder);
    assert_eq!(posture.degraded_reasons, [DegradedReason::LogDamaged.into()]);
    assert_eq!(rig.result(false), VerdictResult::NotAuthentic);
    assert_eq!(fs::read(rig.log()).unwrap(), whole[..whole.len() - 1], "left as it was");
}

/// A finding of this value.
fn found(recorder: &mut Recorder, rig: &Rig, value: &str) -> Finding {
    use crate::flow::{
        capture::Route,
        detect::{Hit, Named, rule::RuleSet},
    };
    let rules = RuleSet::embedded();
    let route = Route {
        protocol: posture::Protocol::Http,
        host: "a.test".into(),
        port: 80,
        source: [127, 0, 0, 1].into(),
        names_agree: true,
        verified_tls: false,
    };
    let hit = Hit {
        rule: Named::Rule(&rules.rules()[0]),
        matched: value.as_bytes(),
        view: value.as_bytes(),
        span: None,
        severity: Severity::High,
        direction: posture::Direction::Outbound,
        placement: posture::Placement::Body,
        encoding: &[],
        route: &route,
        expected: false,
    };
    let finding = recorder.redactor.finding(&hit, rig.now);
    recorder.found(&finding, rig.now, rig.at);
    finding
}

fn suppression(of: &Finding) -> Suppression {
    let covers = crate::flow::suppress::Covers::Fingerprint(of.fingerprint().clone());
    Suppression { covers, reason: "a test".into(), until: "2999-01-01".parse().unwrap() }
}

#[test]
fn a_suppressed_finding_is_counted_and_attested_and_not_written() {
    let mut rig = Rig::new();
    let elsewhere = Rig::new();
    let known = found(&mut elsewhere.begin(), &elsewhere, "known");
    rig.config.suppress = vec![suppression(&known)];
    let mut recorder = rig.begin();
    let before = rig.export(&mut recorder);
    found(&mut recorder, &rig, "known");
    found(&mut recorder, &rig, "known");
    found(&mut recorder, &rig, "another");
    let posture = rig.export(&mut recorder);
    assert_eq!((posture.counts.findings, posture.counts.folded), (before.counts.findings + 1, 0));
    assert_eq!(posture.attested.suppressed, 2);
    assert_eq!(rig.result(false), VerdictResult::Verified);
    let status = recorder.status(rig.now, rig.at);
    assert_eq!((status.suppressions[0].findings, status.suppressions[0].expired), (2, false));
    drop(recorder);
    rig.new_process();
    assert_eq!(rig.export(&mut rig.begin()).attested.suppressed, 2, "since genesis");
}

#[test]
fn a_reload_is_in_the_log_with_both_hashes_and_attested_at_once() {
    use crate::flow::detect::{Detector, Limits};
    let mut rig = Rig::new();
    let mut recorder = rig.begin();
    let before = rig.export(&mut recorder);
    assert!(recorder.due() > rig.at);
    let known = found(&mut recorder, &rig, "known");
    let config = Config {
        suppress: vec![suppression(&known)],
        export_every: Duration::from_secs(5),
        fold_open_max: 1,
        ..rig.config.clone()
    };
    let told = Reloaded { at: rig.now, changed: true, error: None, needs_restart: Vec::new(), weakened: Vec::new() };
    let detector = Detector::new(Limits::default(), &[], None);
    let weakened = config.weaker_than(&rig.config);
    let applied =
        Applied { config, detector: Arc::clone(&detector), redactor: Arc::clone(&recorder.redactor), weakened };
    recorder.reloaded(told.clone(), Some(Box::new(applied)), rig.now, rig.at);
    assert!(recorder.due() <= rig.at, "exported at once");
    let posture = rig.export(&mut recorder);
    assert_eq!(posture.period_seconds, 5);
    assert_ne!(posture.config_sha256, before.config_sha256);
    assert_eq!(posture.pattern_set, detector.pattern_set());
    assert_eq!(rig.result(false), VerdictResult::Verified);
    let events = rig.events();
    let Some(EventBody::Reload(event)) = events.iter().find(|e| matches!(e, EventBody::Reload(_))) else {
        panic!("a reload event")
    };
    assert_eq!((&event.previous_config_sha256, &event.config_sha256), (&before.config_sha256, &posture.config_sha256));
    assert_eq!(event.previous_pattern_set_sha256, before.pattern_set.sha256);
    let words: Vec<_> = event.weakened.iter().map(posture::Word::as_str).collect();
    assert_eq!(words, ["fold", "suppress"]);
    found(&mut recorder, &rig, "known");
    rig.pass(5);
    assert_eq!(rig.export(&mut recorder).attested.suppressed, 1);

    let refused = Reloaded { changed: false, error: Some("why".into()), ..told };
    recorder.reloaded(refused.clone(), None, rig.now, rig.at);
    assert_eq!(recorder.status(rig.now, rig.at).reload, Some(refused));
    assert_eq!(rig.export(&mut recorder).config_sha256, posture.config_sha256, "the one before stays");
}
