//! What a monitor says of its own process → which of the means of hardening hold, and what prints the others.

use crate::{
    platform::doctor::Check,
    process::{self, Hardening},
};

const UNITS: &str = "`units` prints a unit for systemd in which they hold";

/// `agent` is the user that Hermes' folder belongs to; of the connections `wanted` there may be as many as `allowed`.
pub(super) fn checks(process: &Hardening, agent: Option<u32>, allowed: u64, wanted: usize) -> Vec<Check> {
    let mut checks = vec![closed(process), user(process.uid, agent), confined(process)];
    if allowed < wanted as u64 {
        checks.push(Check::warning(
            "files",
            format!("its files allow {allowed} connections of the {wanted} configured"),
            format!("raise its hard limit of open files to {}", process::files_for(wanted)),
        ));
    }
    checks
}

fn closed(process: &Hardening) -> Check {
    if process.closed {
        return Check::ok("memory", "no debugger of its user reads its memory, and no core is written of it");
    }
    Check::problem(
        "memory",
        "a debugger of its user can read its memory, keys included",
        "this system does not let a process close itself: give the monitor a user of its own",
    )
}

fn user(monitor: u32, agent: Option<u32>) -> Check {
    match agent {
        _ if monitor == 0 => Check::warning(
            "user",
            "the monitor runs as root, which it needs for nothing",
            "give it a user of its own: `units system` prints how",
        ),
        Some(agent) if agent == monitor => Check::warning(
            "user",
            "the agent is of the same user: it can read the keys, change the log, and stop the monitor",
            "give the monitor a user of its own: `units system` prints how",
        ),
        _ => Check::ok("user", format!("it has a user of its own, number {monitor}")),
    }
}

fn confined(process: &Hardening) -> Check {
    let lacking: Vec<_> = [
        (process.no_new_privileges, "no new privileges"),
        (process.system_read_only, "a system it cannot write to"),
        (process.memory_max_bytes.is_some(), "a bound of memory"),
        (process.watchdog_seconds.is_some(), "a watchdog"),
    ]
    .into_iter()
    .filter_map(|(holds, what)| (!holds).then_some(what))
    .collect();
    if lacking.is_empty() {
        Check::ok("confinement", "no new privileges, a system it cannot write to, a bound of memory, a watchdog")
    } else {
        Check::warning("confinement", format!("it runs without {}", lacking.join(", ")), UNITS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::doctor::Outcome::{self, Ok, Problem, Warning};

    fn outcomes(checks: &[Check]) -> Vec<Outcome> {
        checks.iter().map(|check| check.outcome).collect()
    }

    #[test]
    fn a_monitor_of_the_printed_unit_has_nothing_to_be_told() {
        let process = Hardening {
            closed: true,
            memory_max_bytes: Some(1 << 30),
            no_new_privileges: true,
            open_files: 33_024,
            system_read_only: true,
            uid: 990,
            watchdog_seconds: Some(60),
        };
        for agent in [Some(1000), None] {
            assert_eq!(outcomes(&checks(&process, agent, 16_384, 16_384)), [Ok; 3]);
        }
    }

    #[test]
    fn each_that_does_not_hold_is_told() {
        let process = Hardening { uid: 1000, ..Hardening::default() };
        let told = checks(&process, Some(1000), 384, 16_384);
        assert_eq!(outcomes(&told), [Problem, Warning, Warning, Warning]);
        for what in ["no new privileges", "a system it cannot write to", "a bound of memory", "a watchdog"] {
            assert!(told[2].found.contains(what), "{}", told[2].found);
        }
        assert!(told[3].hint.as_ref().is_some_and(|hint| hint.contains("33024")));
        let root = Hardening { uid: 0, ..process };
        assert_eq!(checks(&root, Some(1000), 1, 1)[1].outcome, Warning, "root is no user of its own");
    }
}
