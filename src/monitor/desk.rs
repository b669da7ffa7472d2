//! The recorder's thread: what is found and what is asked come in, in a bounded queue each; time passes by itself.

use super::{
    recorder::{Parts, Recorder},
    reload::Applied,
};
use crate::{
    clock,
    control::{Exported, Reloaded, Rotated, Status},
    flow::{redact::Finding, store::Recovered},
};
use posture::{Ca, DegradedReason, Ended, MonitorStatus, SelfTest, Sha256Hex};
use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};
use tokio::{
    runtime,
    sync::{mpsc, oneshot},
    time::{MissedTickBehavior, interval, sleep_until, timeout},
};

/// Findings that may wait for the recorder; more are counted as not recorded.
const FOUND: usize = 4096;
const COMMANDS: usize = 64;
/// Findings recorded before commands and time have their turn.
const BATCH: usize = 256;
/// A recorder that does not say how it is within this time hangs.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);

/// What a recorder is asked.
pub(super) enum Command {
    Status(oneshot::Sender<Status>),
    Export(oneshot::Sender<Result<Exported, String>>),
    Recover(oneshot::Sender<Result<(Recovered, Exported), String>>),
    Envelope(oneshot::Sender<Result<String, String>>),
    Rotate(oneshot::Sender<Result<Rotated, String>>),
    SelfTested(SelfTest),
    Renewed(Ca, Sha256Hex),
    Reloaded(Reloaded, Option<Box<Applied>>),
    End(Ended, oneshot::Sender<Result<Exported, String>>),
}

/// Where the recorder can be reached.
#[derive(Clone)]
pub(super) struct Desk {
    commands: mpsc::Sender<Command>,
    /// What it said last, for when it says no more.
    last: Arc<Mutex<Option<Status>>>,
}

/// The recorder's own ends of its queues.
pub(super) struct Inbox {
    found: mpsc::Receiver<Finding>,
    commands: mpsc::Receiver<Command>,
    last: Arc<Mutex<Option<Status>>>,
}

/// The queues, before there is a recorder: what comes in waits for it.
pub(super) fn open() -> (Desk, mpsc::Sender<Finding>, Inbox) {
    let (found_sender, found) = mpsc::channel(FOUND);
    let (command_sender, commands) = mpsc::channel(COMMANDS);
    let last = Arc::default();
    let desk = Desk { commands: command_sender, last: Arc::clone(&last) };
    (desk, found_sender, Inbox { found, commands, last })
}

/// Starts the recorder's thread. It ends with [`Command::End`].
pub(super) fn spawn(parts: Parts, inbox: Inbox) -> io::Result<JoinHandle<()>> {
    let runtime = runtime::Builder::new_current_thread().enable_time().build()?;
    thread::Builder::new().name("guardian-record".to_owned()).spawn(move || runtime.block_on(inbox.attend(parts)))
}

impl Inbox {
    async fn attend(mut self, parts: Parts) {
        let signs = Arc::clone(&parts.signs);
        let life = signs.recorder();
        let _alive = life.lived();
        let starting = life.working();
        let mut recorder = Recorder::begin(parts, clock::now(), Instant::now());
        let mut second = interval(Duration::from_secs(1));
        second.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut batch = Vec::with_capacity(BATCH);
        drop(starting);
        loop {
            tokio::select! {
                biased;
                Some(command) = self.commands.recv() => {
                    let _working = life.working();
                    match command {
                        Command::End(ended, reply) => {
                            while let Ok(finding) = self.found.try_recv() {
                                recorder.found(&finding, clock::now(), Instant::now());
                            }
                            let _ = reply.send(recorder.end(ended, clock::now(), Instant::now()));
                            return;
                        }
                        command => obey(&mut recorder, command),
                    }
                }
                _ = second.tick() => {
                    let _working = life.working();
                    recorder.tick(clock::now(), Instant::now());
                    let status = recorder.status(clock::now(), Instant::now());
                    *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(status);
                }
                () = sleep_until(recorder.due().into()) => {
                    let _working = life.working();
                    // What failed is scheduled again, and shows in the status.
                    let _ = recorder.export(clock::now(), Instant::now());
                }
                1.. = self.found.recv_many(&mut batch, BATCH) => {
                    let _working = life.working();
                    for finding in batch.drain(..) {
                        recorder.found(&finding, clock::now(), Instant::now());
                    }
                }
                else => return,
            }
        }
    }
}

fn obey(recorder: &mut Recorder, command: Command) {
    let (now, at) = (clock::now(), Instant::now());
    // Whoever asked may have stopped waiting.
    match command {
        Command::Status(reply) => drop(reply.send(recorder.status(now, at))),
        Command::Envelope(reply) => drop(reply.send(recorder.envelope(now, at))),
        Command::Export(reply) | Command::End(_, reply) => drop(reply.send(recorder.export(now, at))),
        Command::Recover(reply) => drop(reply.send(recorder.recover(now, at))),
        Command::Rotate(reply) => drop(reply.send(recorder.rotate(now, at))),
        Command::Renewed(ca, fingerprint) => recorder.renewed(ca, fingerprint, at),
        Command::Reloaded(told, applied) => recorder.reloaded(told, applied, now, at),
        Command::SelfTested(self_test) => recorder.self_tested(self_test, at),
    }
}

impl Desk {
    /// How the monitor is; from a recorder that does not answer, what it said last and that it hangs.
    pub(super) async fn status(&self) -> Option<Status> {
        let (reply, status) = oneshot::channel();
        if let Ok(Some(status)) = timeout(ANSWER_WITHIN, self.ask(Command::Status(reply), status)).await {
            return Some(status);
        }
        let mut status = self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()?;
        status.monitor_status = MonitorStatus::Degraded;
        let stalled = DegradedReason::WriterStalled.into();
        if let Err(at) = status.degraded_reasons.binary_search(&stalled) {
            status.degraded_reasons.insert(at, stalled);
        }
        Some(status)
    }

    /// An export, now.
    pub(super) async fn export(&self) -> Result<Exported, String> {
        let (reply, exported) = oneshot::channel();
        self.ask(Command::Export(reply), exported).await.unwrap_or_else(|| Err(DEAD.to_owned()))
    }

    /// The log anew.
    pub(super) async fn recover(&self) -> Result<(Recovered, Exported), String> {
        let (reply, recovered) = oneshot::channel();
        self.ask(Command::Recover(reply), recovered).await.unwrap_or_else(|| Err(DEAD.to_owned()))
    }

    /// An export, now, and its posture in an envelope.
    pub(super) async fn envelope(&self) -> Result<String, String> {
        let (reply, envelope) = oneshot::channel();
        self.ask(Command::Envelope(reply), envelope).await.unwrap_or_else(|| Err(DEAD.to_owned()))
    }

    /// Another signing key.
    pub(super) async fn rotate(&self) -> Result<Rotated, String> {
        let (reply, rotated) = oneshot::channel();
        self.ask(Command::Rotate(reply), rotated).await.unwrap_or_else(|| Err(DEAD.to_owned()))
    }

    /// The end of the run.
    pub(super) async fn end(&self, ended: Ended) -> Result<Exported, String> {
        let (reply, exported) = oneshot::channel();
        self.ask(Command::End(ended, reply), exported).await.unwrap_or_else(|| Err(DEAD.to_owned()))
    }

    /// Tells of an authority renewed.
    pub(super) async fn renewed(&self, ca: Ca, fingerprint: Sha256Hex) {
        // A recorder that is gone has no use for it.
        let _ = self.commands.send(Command::Renewed(ca, fingerprint)).await;
    }

    /// Tells of a reload, and what it put in force.
    pub(super) async fn reloaded(&self, told: Reloaded, applied: Option<Box<Applied>>) {
        // A recorder that is gone has no use for it.
        let _ = self.commands.send(Command::Reloaded(told, applied)).await;
    }

    /// Tells a self-test's result.
    pub(super) fn self_tested(&self, self_test: SelfTest) {
        // A recorder that is gone has no use for it.
        let _ = self.commands.blocking_send(Command::SelfTested(self_test));
    }

    async fn ask<T>(&self, command: Command, answer: oneshot::Receiver<T>) -> Option<T> {
        self.commands.send(command).await.ok()?;
        answer.await.ok()
    }
}

const DEAD: &str = "the recorder does not answer";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::monitor::recorder::tests::Rig;

    fn block_on<T>(work: impl Future<Output = T>) -> T {
        runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap().block_on(work)
    }

    fn reasons(status: &Status) -> Vec<&str> {
        status.degraded_reasons.iter().map(posture::Word::as_str).collect()
    }

    #[test]
    fn a_recorder_that_hangs_or_died_is_told_from_what_it_said_last() {
        let rig = Rig::new();
        let recorder = rig.begin();
        let (desk, _found, inbox) = open();
        assert_eq!(block_on(desk.status()), None, "it never said anything");
        *inbox.last.lock().unwrap() = Some(recorder.status(rig.now, rig.at));
        let hangs = block_on(desk.status()).unwrap();
        assert_eq!((hangs.monitor_status, reasons(&hangs)), (MonitorStatus::Degraded, vec!["writer_stalled"]));
        drop(inbox);
        let died = block_on(desk.status()).unwrap();
        assert_eq!(reasons(&died), ["writer_stalled"]);
        assert!(block_on(desk.export()).is_err() && block_on(desk.end(Ended::Signal)).is_err());
    }

    #[test]
    fn a_recorder_answers_and_ends() {
        let rig = Rig::new();
        let (desk, found, inbox) = open();
        let thread = spawn(rig.parts(), inbox).unwrap();
        let runtime = runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let status = runtime.block_on(desk.status()).unwrap();
        assert_eq!((status.monitor_status, reasons(&status)), (MonitorStatus::Running, vec![]));
        runtime.block_on(desk.export()).unwrap();
        let last = runtime.block_on(desk.end(Ended::Signal)).unwrap();
        assert_eq!(rig.posture().sequence, last.sequence);
        thread.join().unwrap();
        assert!(found.is_closed());
    }
}
