//! A running monitor → its end: every stage in the order of the data, a last export, and the folder let go.

use super::{Options, Signals, desk::Desk, inspecting::Inspecting, supervisor, watch::Threads};
use crate::{
    control::{
        Request, Response,
        server::{self, Asked, Ears, Leases, Server},
    },
    home::{Home, Lock, Running},
};
use posture::Ended;
use std::{convert::Infallible, sync::PoisonError, thread::JoinHandle, time::Duration};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// A monitor started for runs ends when none has leaned on it after this time.
const FIRST_LEASE_WITHIN: Duration = Duration::from_secs(30);
/// What is left in the queue when the proxy is gone is scanned within this time.
const SCAN_WITHIN: Duration = Duration::from_secs(10);
/// The last export is made within this time.
const END_WITHIN: Duration = Duration::from_secs(30);

/// All that has to end before the monitor has.
pub(super) struct RunningMonitor {
    pub(super) home: Home,
    pub(super) lock: Lock,
    /// What `run/monitor.json` says.
    pub(super) running: Running,
    /// Its bundle goes with it, if it is this run's alone.
    pub(super) inspecting: Option<Inspecting>,
    pub(super) desk: Desk,
    pub(super) serving: tokio::task::JoinHandle<()>,
    pub(super) shutdown: CancellationToken,
    pub(super) scanners: Threads,
    pub(super) recorder: JoinHandle<()>,
    pub(super) drain: Duration,
}

impl RunningMonitor {
    pub(super) async fn until_the_end(mut self, mut signals: Signals, control: Server, options: Options) -> Ended {
        let (asked, requests) = mpsc::channel(16);
        let (leases, held) = watch::channel(Leases::default());
        let answering = TaskTracker::new();
        let ears = Ears { asked, leases, answering: answering.clone() };
        let listening = tokio::spawn(control.serve(self.home.clone(), ears, self.shutdown.clone()));
        let (stop, stopped) = oneshot::channel();
        tokio::spawn(answer(requests, self.desk.clone(), stop));

        let (ended, reply) = tokio::select! {
            biased;
            Ok(reply) = stopped => (Ended::OperatorStop, Some(reply)),
            () = signals.end() => (Ended::Signal, None),
            () = last_lease(held), if options.until_last_lease => (Ended::RunFinished, None),
            never = keep(&self.home, &mut self.lock, &self.running) => match never {},
            _ = &mut self.serving => {
                tracing::error!("the proxy ended by itself");
                (Ended::Unclean, None)
            }
        };
        let response = self.end(ended).await;
        listening.abort();
        let ended = response.ended.unwrap_or(Ended::Unclean);
        if let Some(reply) = reply {
            let _ = reply.send(response);
        }
        answering.close();
        let _ = timeout(Duration::from_secs(1), answering.wait()).await;
        ended
    }

    /// Ends every stage in the order of the data, and lets go of the state folder.
    async fn end(self, ended: Ended) -> Response {
        supervisor::stopping();
        self.shutdown.cancel();
        let mut serving = self.serving;
        if !serving.is_finished() && timeout(self.drain + Duration::from_secs(5), &mut serving).await.is_err() {
            tracing::warn!("the proxy did not end in time");
            serving.abort();
        }
        let scanners = std::mem::take(&mut *self.scanners.lock().unwrap_or_else(PoisonError::into_inner));
        if timeout(SCAN_WITHIN, over(&scanners)).await.is_err() {
            tracing::warn!("what was left to scan could not be scanned in time");
        }
        let exported = timeout(END_WITHIN, self.desk.end(ended)).await;
        let exported = exported.unwrap_or_else(|_| Err("the recorder did not end in time".to_owned()));
        let _ = timeout(Duration::from_secs(1), over(std::slice::from_ref(&self.recorder))).await;
        Running::remove(&self.home);
        server::unlink(&self.home);
        drop(self.inspecting);
        drop(self.lock);
        match exported {
            Ok(export) => Response { ended: Some(ended), export: Some(export), ..Response::done() },
            Err(why) => Response::failed(why),
        }
    }
}

/// Sees to it that other commands find this monitor, also after somebody tidied `run/` away.
async fn keep(home: &Home, lock: &mut Lock, running: &Running) -> Infallible {
    loop {
        sleep(Duration::from_secs(1)).await;
        let kept = lock.keep(home).is_ok();
        if kept && home.running().as_ref() != Some(running) && running.write(home).is_ok() {
            tracing::warn!("run/ was gone or could not be read, and is made again");
        }
    }
}

/// Answers what is asked, one after the other, until the operator asks for the end.
async fn answer(mut requests: mpsc::Receiver<Asked>, desk: Desk, stop: oneshot::Sender<oneshot::Sender<Response>>) {
    while let Some(Asked { request, reply }) = requests.recv().await {
        let response = match request {
            Request::Stop => {
                let _ = stop.send(reply);
                return;
            }
            Request::Status => match desk.status().await {
                Some(status) => Response { status: Some(Box::new(status)), ..Response::done() },
                None => Response::failed("the monitor is still starting"),
            },
            Request::Envelope => match desk.envelope().await {
                Ok(envelope) => Response { envelope: Some(envelope), ..Response::done() },
                Err(why) => Response::failed(why),
            },
            Request::Rotate => match desk.rotate().await {
                Ok(rotated) => Response { rotated: Some(Box::new(rotated)), ..Response::done() },
                Err(why) => Response::failed(why),
            },
            Request::Export => match desk.export().await {
                Ok(export) => Response { export: Some(export), ..Response::done() },
                Err(why) => Response::failed(why),
            },
            Request::Recover => match desk.recover().await {
                Ok((recovered, export)) => {
                    Response { recovered: Some(recovered), export: Some(export), ..Response::done() }
                }
                Err(why) => Response::failed(why),
            },
            // The server keeps these itself.
            Request::Lease => Response::done(),
        };
        let _ = reply.send(response);
    }
}

/// Returns when the last lease was let go, or none was ever taken.
async fn last_lease(mut leases: watch::Receiver<Leases>) {
    let first = timeout(FIRST_LEASE_WITHIN, async { leases.wait_for(|leases| leases.ever).await.is_ok() }).await;
    if first == Ok(true) {
        let _ = leases.wait_for(|leases| leases.held == 0).await;
    }
}

async fn over(threads: &[JoinHandle<()>]) {
    while !threads.iter().all(JoinHandle::is_finished) {
        sleep(Duration::from_millis(5)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_lease_let_go_before_anyone_looked_was_the_last_one() {
        let (leases, watched) = watch::channel(Leases::default());
        leases.send_replace(Leases { held: 1, ever: true });
        leases.send_replace(Leases { held: 0, ever: true });
        let begun = tokio::time::Instant::now();
        last_lease(watched).await;
        assert_eq!(begun.elapsed(), Duration::ZERO, "no wait for a first lease that has been");
    }

    #[tokio::test(start_paused = true)]
    async fn a_monitor_nobody_leans_on_ends_after_a_while() {
        let (_leases, watched) = watch::channel(Leases::default());
        let begun = tokio::time::Instant::now();
        last_lease(watched).await;
        assert_eq!(begun.elapsed(), FIRST_LEASE_WITHIN);
    }
}
