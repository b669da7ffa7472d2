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

/// Moves a program's scanner threads to the first core: what they do is then no part of what its proxy waits for.
pub(crate) fn scan_apart(program: &Program) {
    for (thread, name) in names(program) {
        if name.contains("scan") {
            let done = Command::new("taskset").args(["-c", "-p", "0", &thread]).output().expect("taskset is there");
            assert!(done.status.success(), "taskset could not move a scanner");
        }
    }
}

/// Numbers and names of a program's threads.
fn names(program: &Program) -> Vec<(String, String)> {
    let threads = fs::read_dir(format!("/proc/{}/task", program.pid())).expect("it runs").flatten();
    let named = |thread: fs::DirEntry| {
        let name = fs::read_to_string(thread.path().join("comm")).ok()?;
        Some((thread.file_name().into_string().ok()?, name.trim().to_owned()))
    };
    threads.filter_map(named).collect()
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
    let used = |(thread, name): (String, String)| {
        let path = format!("/proc/{}/task/{thread}/schedstat", program.pid());
        let text = fs::read_to_string(path).ok().filter(|_| counts(&name))?;
        text.split_whitespace().next()?.parse::<u64>().ok()
    };
    Duration::from_nanos(names(program).into_iter().filter_map(used).sum())
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
