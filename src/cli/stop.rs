//! `stop`: an end to the monitor, and to the wish for one.

use super::place::{Json, Place};
use super::{Answer, Trouble, YES, show};
use crate::{
    clock,
    config::Config,
    control::{self, ControlError, Exported, Request},
    home::{Home, Running, process_start_time},
    monitor,
};
use posture::Ended;
use serde::Serialize;
use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

pub(super) const DAY: Duration = Duration::from_secs(86_400);
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// End the monitor
///
/// The last signed statement then says that an operator stopped it. Without a monitor, only that none is wanted.
#[derive(clap::Args)]
pub(super) struct Args {
    /// How long to wait for an answer, and then for an end: 1ms to 1day
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = patience)]
    timeout: Duration,
    #[command(flatten)]
    json: Json,
}

#[derive(Serialize)]
struct Report {
    schema_version: &'static str,
    was_running: bool,
    pid: Option<u32>,
    ended: Option<Ended>,
    export: Option<Exported>,
}

pub(super) fn run(args: &Args, place: &Place) -> Answer {
    // A monitor at work ends whatever its configuration has become since.
    let home = Home::of(&Config::defaults(place.home()?, PathBuf::new()));
    let running = home.running();
    let pid = running.as_ref().map(|r| r.pid);
    let report = match control::ask(&home, &Request::Stop, args.timeout) {
        Ok(response) => {
            wait_for_end(&home, running.as_ref(), args.timeout)?;
            report(pid, response.ended, response.export)
        }
        Err(error @ (ControlError::NoMonitor | ControlError::Silent | ControlError::Ending)) => match home.running() {
            Some(running) if !matches!(error, ControlError::Ending) => by_signal(place, &home, &running, args.timeout)?,
            // It ends by itself, or has by now.
            _ => {
                wait_for_end(&home, running.as_ref(), args.timeout)?;
                report(pid, None, last_word(place, &home, pid)?)
            }
        },
        Err(error @ ControlError::Refused(_)) => {
            // It could not sign its end, and ends all the same.
            let ends = wait_for_end(&home, running.as_ref(), args.timeout);
            ends.map_err(|trouble| trouble.after(format_args!("{error}")))?;
            return Err(behind_the_end(error.into(), pid));
        }
        Err(e) => return Err(e.into()),
    };
    if args.json.json {
        show::json(&report)?;
    } else {
        match report.pid {
            Some(pid) => show::line(format_args!("stopped: process {pid} has ended"))?,
            None => show::line(format_args!("no monitor runs on {}", home.root().display()))?,
        }
    }
    Ok(YES)
}

/// A wait that ends, and that a socket and a clock can be told of.
pub(super) fn patience(text: &str) -> Result<Duration, &'static str> {
    let time = humantime::parse_duration(text).map_err(|_| "expected a time such as 10s")?;
    let fits = (Duration::from_millis(1)..=DAY).contains(&time);
    fits.then_some(time).ok_or("expected 1ms to 1day")
}

fn report(pid: Option<u32>, ended: Option<Ended>, export: Option<Exported>) -> Report {
    Report { schema_version: "clawsec-traffic-stop/v1", was_running: pid.is_some(), pid, ended, export }
}

/// It does not answer. Its process is the one that holds the lock, by pid, start time and nonce: never found by name.
fn by_signal(place: &Place, home: &Home, running: &Running, timeout: Duration) -> Result<Report, Trouble> {
    show::note(format_args!("the monitor does not answer: asking process {} to end", running.pid));
    let pid = i32::try_from(running.pid).ok().and_then(rustix::process::Pid::from_raw);
    let still_it = || home.running().is_some_and(|now| now == *running);
    if let Some(pid) = pid.filter(|_| still_it()) {
        // Gone in this very moment is what was wanted.
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
    }
    wait_for_end(home, Some(running), timeout)?;
    let export = last_word(place, home, Some(running.pid))?;
    Ok(report(Some(running.pid), Some(Ended::Signal), export))
}

/// Says in an export that none is wanted, once there is no monitor. That needs a configuration that is sound.
fn last_word(place: &Place, home: &Home, ended: Option<u32>) -> Result<Option<Exported>, Trouble> {
    let config = place.config().map_err(|trouble| match ended {
        Some(_) => behind_the_end(trouble, ended),
        None => trouble.after(format_args!("no monitor runs on {}", home.root().display())),
    })?;
    monitor::offline_stop(&config, clock::now()).map_err(|error| behind_the_end(error.into(), ended))
}

/// Trouble there was although the process, if there was one, has ended.
fn behind_the_end(trouble: Trouble, ended: Option<u32>) -> Trouble {
    match ended {
        Some(pid) => trouble.after(format_args!("process {pid} has ended")),
        None => trouble,
    }
}

/// Until the process is gone and the lock is free.
fn wait_for_end(home: &Home, running: Option<&Running>, timeout: Duration) -> Result<(), Trouble> {
    let deadline = Instant::now() + timeout;
    let there =
        |running: &Running| running.start_time.is_some() && process_start_time(running.pid) == running.start_time;
    while home.running().is_some() || running.is_some_and(there) {
        if Instant::now() >= deadline {
            let trouble = Trouble::no("the monitor has not ended yet");
            return Err(trouble.hint("give it more time with --timeout, or end the process yourself"));
        }
        std::thread::sleep(LOOK_EVERY);
    }
    Ok(())
}
