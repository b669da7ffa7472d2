//! `run -- CMD…`: one command and its children behind the proxy, nothing else.

use super::place::{Json, Place};
use super::{Answer, NO, Trouble, YES, env, show, spawn, status};
use crate::{
    config::{Config, FlagValues},
    control::{self, ControlError, Lease, Status},
    home::{Home, Running},
    platform::{contract, dotenv},
};
use posture::UnscannedReason;
use serde::Serialize;
use std::{
    ffi::{OsStr, OsString},
    net::SocketAddr,
    os::unix::process::ExitStatusExt,
    process::ExitStatus,
    time::{Duration, Instant},
};
use tokio::{
    process::{Child, Command},
    signal::unix::{Signal, SignalKind, signal},
};

/// A monitor that is ending is gone within this, drain included, and another can begin.
const LEAN_WITHIN: Duration = Duration::from_secs(60);
/// Who has the lock of the state folder says who it is within this.
const NAMED_WITHIN: Duration = Duration::from_secs(10);
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// What passed last is scanned within this, or is told of by the next `status`.
const SETTLED_WITHIN: Duration = Duration::from_secs(2);
/// A monitor answers within this, or it does not.
pub(super) const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// Run a command behind the monitor
///
/// The command gets the proxy in its environment, and nothing else is changed. A monitor is started if none runs, and
/// ends with the last command that leans on it. The exit code is the command's own, or 128 and the signal's number.
#[derive(clap::Args)]
pub(super) struct Args {
    /// Shows what the command's environment would be and runs nothing
    #[arg(long)]
    dry_run: bool,
    /// Where a monitor started for this listens; port 0 picks a free one [default: 127.0.0.1:8790]
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<String>,
    /// Decrypts and scans HTTPS of this command; a monitor started for this makes an authority of a day's life for it
    #[arg(long)]
    inspect_https: bool,
    #[command(flatten)]
    json: Json,
    /// The command and its arguments
    #[arg(last = true, required_unless_present = "dry_run", value_name = "CMD")]
    command: Vec<OsString>,
}

#[derive(Serialize)]
struct DryRun {
    schema_version: &'static str,
    monitor_running: bool,
    set: Vec<Pair>,
    removed: Vec<String>,
}

#[derive(Serialize)]
struct Pair {
    name: &'static str,
    value: String,
}

pub(super) fn run(args: &Args, place: &Place) -> Answer {
    let flags = FlagValues { listen: args.listen.clone(), inspect_https: args.inspect_https, ..FlagValues::default() };
    let config = place.load(flags.clone())?.config;
    let home = Home::of(&config);
    if args.dry_run {
        return dry_run(&config, &home, args.json.json);
    }
    if args.json.json {
        return Err(Trouble::usage("--json goes with --dry-run: the command's own output is its own"));
    }
    warn_of_overrides(&config);
    let (running, _lease) = lean(place, &flags, &config, &home)?;
    let before = status::of(&home)?;
    if let Some(inspection) = &running.inspection {
        match inspection.not_after {
            Some(end) => show::note(format_args!("note: HTTPS is inspected; its connections fail from {end} on")),
            None => show::note("note: HTTPS is inspected"),
        }
    }
    let code = behind(&args.command, &config, &running)?;
    conclude(&home, &before);
    Ok(code)
}

/// A monitor that stays at least as long as the lease: the one that runs, or a new one.
fn lean(place: &Place, flags: &FlagValues, config: &Config, home: &Home) -> Result<(Running, Lease), Trouble> {
    let (deadline, named_by) = (Instant::now() + LEAN_WITHIN, Instant::now() + NAMED_WITHIN);
    loop {
        let trouble = match home.running() {
            Some(running) if elsewhere(flags, config, running.listen) => {
                return Err(Trouble::no(format!("a monitor runs already, on {}", running.listen))
                    .hint("leave out --listen to use it, or `stop` it first"));
            }
            Some(running) if running.inspection.is_some() != config.inspect_https => {
                return Err(otherwise(&running, config));
            }
            Some(running) => match control::lease(home, ANSWER_WITHIN) {
                Ok(lease) => return Ok((running, lease)),
                // It is just ending, or has just begun.
                Err(e) => e.into(),
            },
            None => match spawn::monitor(place, flags, config, true) {
                Ok(_) => continue,
                // Another `run` was quicker, and its monitor may have no more than the lock yet; or one is just ending.
                Err(trouble) if home.running().is_some() => trouble,
                Err(trouble) if trouble.exit() == NO && Instant::now() < named_by => trouble,
                Err(trouble) => return Err(trouble),
            },
        };
        if Instant::now() >= deadline {
            return Err(trouble);
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

/// A monitor runs that does with HTTPS what is not asked for.
fn otherwise(running: &Running, config: &Config) -> Trouble {
    let says = |inspects: bool| if inspects { "inspects HTTPS" } else { "does not inspect HTTPS" };
    let asked =
        if config.inspect_https { "one that inspects it is asked for" } else { "one that does not is asked for" };
    Trouble::no(format!("the monitor on {} {}, and {asked}", running.listen, says(running.inspection.is_some())))
        .hint("ask for the same with or without --inspect-https, or `stop` the monitor first")
}

/// Whether the command line asks for another address than the monitor has.
fn elsewhere(flags: &FlagValues, config: &Config, listen: SocketAddr) -> bool {
    flags.listen.is_some() && config.listen != listen && config.listen.port() != 0
}

/// Runs the command behind a running monitor and returns the code it ended with.
fn behind(command: &[OsString], config: &Config, running: &Running) -> Answer {
    let url = env::url_for(config, running.listen)?;
    let removed = inherited();
    if !removed.is_empty() {
        show::note(format_args!("note: taken out of the command's environment: {}", names(&removed)));
    }
    let [program, arguments @ ..] = command else { return Err(Trouble::usage("no command")) };
    let mut child = Command::new(program);
    child.args(arguments);
    for name in &removed {
        child.env_remove(name);
    }
    for variable in &contract::SET {
        child.env(variable.name, url.reveal());
    }
    if let Some(inspection) = &running.inspection {
        for variable in &contract::CA {
            child.env(variable.name, &inspection.bundle);
        }
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|e| Trouble::io(format!("could not prepare to run a command: {e}")))?;
    let status = runtime.block_on(async {
        // Before the command begins, so that no signal falls between.
        let signals = Signals::new().map_err(|e| Trouble::io(format!("could not attend to signals: {e}")))?;
        let child = child.spawn().map_err(|e| could_not_run(program, &e))?;
        signals.attend(child).await.map_err(|e| Trouble::io(format!("could not wait for the command: {e}")))
    })?;
    Ok(code_of(status))
}

/// Ctrl-C and its like reach the command by themselves, which decides; what is sent to us alone is passed on.
struct Signals {
    from_terminal: [Signal; 2],
    terminate: Signal,
    hang_up: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            from_terminal: [signal(SignalKind::interrupt())?, signal(SignalKind::quit())?],
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    async fn attend(mut self, mut child: Child) -> std::io::Result<ExitStatus> {
        let [interrupt, quit] = &mut self.from_terminal;
        loop {
            let passed_on = tokio::select! {
                status = child.wait() => return status,
                _ = interrupt.recv() => continue,
                _ = quit.recv() => continue,
                _ = self.terminate.recv() => rustix::process::Signal::TERM,
                _ = self.hang_up.recv() => rustix::process::Signal::HUP,
            };
            let pid = child.id().and_then(|pid| i32::try_from(pid).ok()).and_then(rustix::process::Pid::from_raw);
            if let Some(pid) = pid {
                // It may have ended in this very moment; then there is nobody to tell.
                let _ = rustix::process::kill_process(pid, passed_on);
            }
        }
    }
}

fn could_not_run(program: &OsString, error: &std::io::Error) -> Trouble {
    // As shells have it: 127 not found, 126 found and not to be run.
    let exit = if error.kind() == std::io::ErrorKind::NotFound { 127 } else { 126 };
    Trouble::Said { exit, message: format!("could not run {}: {error}", program.display()), hint: None }
}

fn code_of(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(1);
    u8::try_from(code).unwrap_or(1)
}

/// The names of every proxy variable we were given, sorted.
fn inherited() -> Vec<OsString> {
    let mut names: Vec<_> =
        std::env::vars_os().map(|(name, _)| name).filter(|n| contract::is_proxy_variable(n)).collect();
    names.sort();
    names
}

fn names(names: &[OsString]) -> String {
    names.iter().map(|name| name.to_string_lossy()).collect::<Vec<_>>().join(", ")
}

/// Lines about roots matter where we have roots to give.
fn warn_of_overrides(config: &Config) {
    let matters = |found: &dotenv::Override| config.inspect_https || !contract::is_ca_variable(OsStr::new(&found.name));
    for found in dotenv::files(&config.hermes_home).iter().flat_map(|path| dotenv::overrides(path)).filter(matters) {
        let at = format!("{} line {}", found.path.display(), found.line);
        show::note(format_args!("warning: {at} sets {}, which Hermes puts before this environment", found.name));
    }
}

fn dry_run(config: &Config, home: &Home, json: bool) -> Answer {
    let running = home.running();
    let listen = running.as_ref().map_or(config.listen, |running| running.listen);
    let url = contract::masked_url(listen);
    let mut set: Vec<_> = contract::SET.iter().map(|v| (v.name, url.clone())).collect();
    let inspects = running.as_ref().map_or(config.inspect_https, |running| running.inspection.is_some());
    if inspects {
        let bundle = running.as_ref().and_then(|running| running.inspection.as_ref());
        let bundle = bundle.map_or_else(|| "the bundle of that run".to_owned(), |i| i.bundle.display().to_string());
        set.extend(contract::CA.iter().map(|v| (v.name, bundle.clone())));
    }
    let removed: Vec<_> = inherited().iter().map(|name| name.to_string_lossy().into_owned()).collect();
    if json {
        let set = set.iter().map(|(name, value)| Pair { name, value: value.clone() }).collect();
        let monitor_running = running.is_some();
        show::json(&DryRun { schema_version: "clawsec-traffic-dry-run/v1", monitor_running, set, removed })?;
        return Ok(YES);
    }
    for (name, value) in &set {
        show::line(format_args!("set     {name}={value}"))?;
    }
    for name in removed {
        show::line(format_args!("remove  {name}"))?;
    }
    show::note(if running.is_some() {
        "a monitor runs and would be used"
    } else {
        "no monitor runs: one would be started"
    });
    warn_of_overrides(config);
    Ok(YES)
}

/// How the monitor is once it has looked at everything that passed, or after a while.
fn settled(home: &Home) -> Result<Status, ControlError> {
    let deadline = Instant::now() + SETTLED_WITHIN;
    loop {
        let status = status::of(home)?;
        let in_progress = status.coverage.unscanned(UnscannedReason::InProgress).messages;
        if (in_progress == 0 && status.queue_used_bytes == 0) || Instant::now() >= deadline {
            return Ok(status);
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

/// One line of what was seen meanwhile: of this command, unless others ran beside it.
fn conclude(home: &Home, before: &Status) {
    let Ok(after) = settled(home) else {
        show::note("warning: the monitor did not answer at the end; `status` and `verify` tell what holds");
        return;
    };
    let (seen, was) = (&after.coverage.seen, &before.coverage.seen);
    show::note(format_args!(
        "seen: {} connections, {} messages, {} bytes; {} new findings",
        seen.connections.saturating_sub(was.connections),
        seen.messages.saturating_sub(was.messages),
        seen.bytes.saturating_sub(was.bytes),
        after.counts.findings.saturating_sub(before.counts.findings),
    ));
}
