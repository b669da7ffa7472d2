//! This process → closed to others of its user, with as many files as it may have, its memory and threads put to use.
//!
//! What it can do about itself, it does; what only its supervisor can ([`Hardening`] says which), `units` prints.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde::{Deserialize, Serialize};
use std::{fs, path::Path};

/// Files that are no connection's: logs, keys, exports, listeners, and room to spare.
const FILES_APART: u64 = 256;
/// Each connection has two ends.
const FILES_PER_CONNECTION: u64 = 2;
/// See [`keep_memory_warm`].
const KEPT: usize = 4 << 20;
/// A nice value: a third of the weight of what is not nice.
#[cfg(target_os = "linux")]
const GIVES_WAY: i32 = 5;

/// How far the process of a monitor is closed and bounded, as it finds itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hardening {
    /// No other process of its user can read its memory, and no core is written of it.
    pub closed: bool,
    /// The most bytes of memory it may take; `None` when only the machine bounds it.
    pub memory_max_bytes: Option<u64>,
    /// It can gain nothing by starting a program.
    pub no_new_privileges: bool,
    /// Files it may have open at once.
    pub open_files: u64,
    /// It cannot write to the system's own folders, whatever their permissions.
    pub system_read_only: bool,
    /// Whose process it is: a user's number.
    pub uid: u32,
    /// It is ended and begun anew when it says nothing for so many seconds; `None` when nobody listens.
    pub watchdog_seconds: Option<u64>,
}

/// Keeps this process' memory to itself: no debugger of the same user, no core (prctl(2), `PR_SET_DUMPABLE`). A program
/// it starts is not bound by it.
pub fn close() {
    // It is as closed as the system lets it be; `doctor` looks.
    #[cfg(target_os = "linux")]
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
}

/// For a process that stays: no core even where the system would write one all the same, and files for `connections`, if
/// it may. Programs it starts inherit both.
pub fn prepare(connections: usize) {
    close();
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    let limit = getrlimit(Resource::Nofile);
    let wanted = files_for(connections).min(limit.maximum.unwrap_or(u64::MAX));
    if limit.current.is_some_and(|current| current < wanted) {
        let _ = setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), ..limit });
    }
}

/// How many connections this process has files for, at most `wanted`, at least one.
pub fn connections(wanted: usize) -> usize {
    let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let room = files.saturating_sub(FILES_APART) / FILES_PER_CONNECTION;
    wanted.min(usize::try_from(room).unwrap_or(usize::MAX)).max(1)
}

/// Files that so many connections take, with everything beside them.
pub fn files_for(connections: usize) -> u64 {
    (connections as u64).saturating_mul(FILES_PER_CONNECTION).saturating_add(FILES_APART)
}

/// What the allocator keeps for the next message instead of giving it back to the system: [`KEPT`] and as much again.
///
/// A read buffer comes from a proxy's thread and goes with a scanner's, hundreds of times a second, and each of its pages
/// given back costs a fault when it is taken again. glibc learns how much to keep from the largest block it was given
/// back (`M_MMAP_THRESHOLD` in mallopt(3)): this is that block, never touched. Other allocators are not impressed.
pub fn keep_memory_warm() {
    drop(std::hint::black_box(Vec::<u8>::with_capacity(KEPT)));
}

/// Lets others go first: what this thread does can wait a moment, and what it waits for is waited for by none.
///
/// On Linux a thread has a priority of its own (setpriority(2), "C library/kernel differences").
pub fn give_way() {
    // As things are is well enough.
    #[cfg(target_os = "linux")]
    let _ = rustix::process::setpriority_process(Some(rustix::thread::gettid()), GIVES_WAY);
}

impl Hardening {
    /// As it is now.
    pub fn of_this_process() -> Self {
        Self {
            closed: is_closed(),
            memory_max_bytes: memory_max(Path::new("/proc/self/cgroup"), Path::new("/sys/fs/cgroup")),
            no_new_privileges: no_new_privileges(),
            open_files: getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX).min(posture::MAX_INTEGER),
            system_read_only: rustix::fs::statvfs("/usr")
                .is_ok_and(|stat| stat.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY)),
            uid: rustix::process::geteuid().as_raw(),
            watchdog_seconds: sd_notify::watchdog_enabled().map(|within| within.as_secs()),
        }
    }
}

#[cfg(target_os = "linux")]
fn is_closed() -> bool {
    let dumpable = rustix::process::dumpable_behavior();
    dumpable.is_ok_and(|dumpable| dumpable == rustix::process::DumpableBehavior::NotDumpable)
}

#[cfg(not(target_os = "linux"))]
fn is_closed() -> bool {
    false
}

#[cfg(target_os = "linux")]
fn no_new_privileges() -> bool {
    rustix::thread::no_new_privs().unwrap_or(false)
}

#[cfg(not(target_os = "linux"))]
fn no_new_privileges() -> bool {
    false
}

/// The least bound of our control group and those above it (cgroups(7), version 2).
fn memory_max(membership: &Path, root: &Path) -> Option<u64> {
    let text = fs::read_to_string(membership).ok()?;
    let group = text.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let group = Path::new(group);
    let folders = group.ancestors().map(|group| root.join(group).join("memory.max"));
    folders.filter_map(|path| fs::read_to_string(path).ok()?.trim().parse().ok()).min()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::home::file;

    #[test]
    fn connections_are_what_the_files_allow_and_never_more_than_asked_for() {
        let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        assert_eq!(connections(1), 1);
        assert!(files_for(connections(usize::MAX)) <= files.max(files_for(1)));
        assert_eq!(files_for(16_384), 33_024);
        assert_eq!(files_for(usize::MAX), u64::MAX);
    }

    #[test]
    fn memory_is_bounded_by_the_narrowest_group_above_us() {
        let dir = tempfile::tempdir().unwrap();
        let membership = dir.path().join("cgroup");
        file::create(&membership, file::PRIVATE, b"1:cpu:/other\n0::/system.slice/ours\n").unwrap();
        assert_eq!(memory_max(&membership, dir.path()), None, "no group says anything");
        for (group, max) in [("system.slice/ours", "max\n"), ("system.slice", "4096\n"), ("", "1048576\n")] {
            fs::create_dir_all(dir.path().join(group)).unwrap();
            file::create(&dir.path().join(group).join("memory.max"), file::PRIVATE, max.as_bytes()).unwrap();
        }
        assert_eq!(memory_max(&membership, dir.path()), Some(4096));
        assert_eq!(memory_max(&dir.path().join("none"), dir.path()), None);
    }
}
