//! `run/monitor.json`: who the running monitor is, believed only as far as the lock and the process table agree.

use super::{Home, Lock, file, lock::Stamp};
use posture::{RunId, Timestamp};
use serde::{Deserialize, Serialize};
use std::{fs, io, net::SocketAddr, path::PathBuf};

/// No `run/monitor.json` is longer.
const MAX_BYTES: u64 = 4096;

/// The monitor at work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Running {
    /// How HTTPS is inspected; null when it is not.
    #[serde(default)]
    pub inspection: Option<Inspecting>,
    /// Where its proxy listens.
    pub listen: SocketAddr,
    /// The nonce of the lock it holds.
    pub nonce: String,
    /// Its process.
    pub pid: u32,
    /// This run.
    pub run_id: RunId,
    /// When its process began, in the system's own ticks; null where the system does not say.
    pub start_time: Option<u64>,
    /// When it began.
    pub started_at: Timestamp,
}

/// How a running monitor inspects HTTPS.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Inspecting {
    /// What clients have to trust: the platform's roots and the monitor's authority, PEM.
    pub bundle: PathBuf,
    /// When the authority's certificate ends; null when it is renewed before.
    pub not_after: Option<Timestamp>,
}

impl Running {
    /// This process, holding `lock`.
    pub fn new(lock: &Lock, listen: SocketAddr, run_id: RunId, now: Timestamp) -> Self {
        let pid = std::process::id();
        let start_time = process_start_time(pid);
        Self { inspection: None, listen, nonce: lock.nonce().to_owned(), pid, run_id, start_time, started_at: now }
    }

    /// Writes the file.
    ///
    /// # Errors
    /// What the system says.
    pub fn write(&self, home: &Home) -> io::Result<()> {
        file::replace(&home.monitor_json(), file::PRIVATE, &serde_json::to_vec(self)?)
    }

    /// Removes the file; none there is fine.
    pub fn remove(home: &Home) {
        let _ = fs::remove_file(home.monitor_json());
    }

    /// A file left behind by a process that is gone, or that now is another, reads as `None`.
    pub(super) fn read(home: &Home) -> Option<Self> {
        let this: Self = serde_json::from_slice(&file::read(&home.monitor_json(), MAX_BYTES).ok()?).ok()?;
        let mut lock = file::open_to_read(&home.lock_file()).ok()?;
        let stamp = Stamp::read(&mut lock)?;
        let alive = match this.start_time {
            Some(began) => process_start_time(this.pid) == Some(began),
            // Trying the lock could be in the way of someone who takes it: only where nothing else tells.
            None => matches!(lock.try_lock_shared(), Err(fs::TryLockError::WouldBlock)),
        };
        (alive && stamp.pid == this.pid && stamp.nonce == this.nonce).then_some(this)
    }
}

/// When a process began, in clock ticks since boot (`proc_pid_stat(5)`, field 22); `None` when there is no such process,
/// or no `/proc`.
pub fn process_start_time(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field, a name in brackets, may hold blanks and brackets itself.
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
    // One whose parent has not looked yet has ended all the same.
    fields.next().filter(|state| !["Z", "X"].contains(state))?;
    fields.nth(18)?.parse().ok()
}
