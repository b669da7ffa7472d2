//! Programs under measurement: a process of their own each, with what the kernel says of it.

use std::{
    fs,
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// The binary under measurement.
pub(crate) const GUARDIAN: &str = env!("CARGO_BIN_EXE_hermes-traffic-guardian");

/// A process that listens, ended when this goes.
pub(crate) struct Program {
    child: Child,
    /// Where it listens.
    pub(crate) listen: SocketAddr,
    /// From before it was started to its ready line.
    pub(crate) ready: Duration,
}

impl Program {
    /// Starts it and waits for its first line, which names the address.
    pub(crate) fn start(mut command: Command) -> Self {
        let began = Instant::now();
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("the program starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("piped above")).read_line(&mut line).expect("its first line");
        let ready = began.elapsed();
        let listen = address(&line).unwrap_or_else(|| panic!("no address in its first line: {line:?}"));
        Self { child, listen, ready }
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// A line of `/proc/PID/status` in KiB: `VmRSS`, or `VmHWM` for its peak.
    pub(crate) fn memory(&self, line: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("it runs");
        let value = status.lines().find_map(|l| l.strip_prefix(line)?.strip_prefix(':')).expect("such a line");
        value.split_whitespace().next().and_then(|n| n.parse().ok()).expect("a number of KiB")
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The binary with its state in `home` and nothing of our environment.
pub(crate) fn guardian(home: &Path) -> Command {
    let mut command = Command::new(GUARDIAN);
    command.env_clear().env("HOME", home).env("HERMES_TRAFFIC_GUARDIAN_HOME", home);
    command
}

/// `start`, on a port the kernel picks, in silence.
pub(crate) fn monitor(home: &Path) -> Command {
    let mut command = guardian(home);
    command.args(["start", "--json", "--listen", "127.0.0.1:0", "--export-every", "1h"]).stderr(Stdio::null());
    command
}

/// The value of `Proxy-Authorization` the monitor of this home asks for.
pub(crate) fn credential(home: &Path) -> String {
    let token = fs::read_to_string(home.join("keys/proxy.token")).expect("its first start made it");
    format!("Basic {}", data_encoding::BASE64.encode(format!("guardian:{}", token.trim()).as_bytes()))
}

/// A new state folder.
pub(crate) fn home() -> tempfile::TempDir {
    tempfile::Builder::new().prefix("htg-bench-").tempdir().expect("a temporary folder")
}

/// The middle one.
pub(crate) fn median<T: Copy + PartialOrd>(values: &mut [T]) -> T {
    values.sort_by(|a, b| a.partial_cmp(b).expect("no NaN is measured"));
    values[values.len() / 2]
}

fn address(line: &str) -> Option<SocketAddr> {
    let said = |word: &str| word.parse().ok();
    line.split(['"', ' ', '\n']).find_map(said)
}
