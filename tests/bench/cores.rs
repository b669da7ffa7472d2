//! Which core a program runs on, and what its threads used of it.

use crate::child::Program;
use std::{
    env, fs,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

/// CPU of forwarding and of scanning, told apart by the threads' names.
pub(crate) fn cpu(program: &Program) -> (Duration, Duration) {
    let scans = |name: &str| name.contains("scan");
    (threads(program, |name| !scans(name)), threads(program, scans))
}

/// Waits until a program's threads rest: what it does behind the traffic belongs to the requests before.
pub(crate) fn settle(program: &Program) {
    for _ in 0..200 {
        let before = threads(program, |_| true);
        thread::sleep(Duration::from_millis(50));
        if threads(program, |_| true).saturating_sub(before) < Duration::from_millis(1) {
            return;
        }
    }
}

/// CPU time of a program's threads whose name `counts`, as the scheduler accounts it.
fn threads(program: &Program, counts: impl Fn(&str) -> bool) -> Duration {
    let threads = fs::read_dir(format!("/proc/{}/task", program.pid())).expect("it runs");
    let used = |thread: fs::DirEntry| {
        let read = |name| fs::read_to_string(thread.path().join(name)).ok();
        read("comm").filter(|name| counts(name.trim()))?;
        read("schedstat")?.split_whitespace().next()?.parse::<u64>().ok()
    };
    Duration::from_nanos(threads.flatten().filter_map(used).sum())
}

/// The command, on the second core if `pin`.
pub(crate) fn pinned(pin: bool, command: &Command) -> Command {
    let program = command.get_program();
    let mut outer = Command::new(if pin { "taskset".as_ref() } else { program });
    if pin {
        outer.args(["-c", "1"]).arg(program);
    }
    outer.args(command.get_args()).env_clear().env("PATH", env::var_os("PATH").unwrap_or_default());
    outer.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    outer.stderr(Stdio::null());
    outer
}

pub(crate) fn pin_ourselves() {
    let pid = std::process::id().to_string();
    let done = Command::new("taskset").args(["-a", "-c", "-p", "0", &pid]).output().expect("taskset is there");
    assert!(done.status.success(), "taskset could not pin this process");
}

/// Two cores or more, and `taskset` at hand.
pub(crate) fn can_pin() -> bool {
    let two = thread::available_parallelism().is_ok_and(|n| n.get() > 1);
    two && Command::new("taskset").arg("--version").output().is_ok_and(|o| o.status.success())
}
