//! What a monitor does about itself, and the units that do the rest.

use crate::place::{BIN, Place};
use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    os::unix::{
        fs::{MetadataExt, PermissionsExt},
        net::UnixDatagram,
    },
    process::{Command, Stdio},
    time::Duration,
};

/// A monitor with a port of its own choice, ended with the test.
struct Started(Place);

impl Started {
    fn with(config: &str) -> Self {
        let this = Self(Place::with_config(&format!("listen = \"127.0.0.1:0\"\n{config}")));
        let said = this.0.run(&["start", "--background"]);
        assert_eq!(said.code, 0, "{}", said.err);
        this
    }

    fn status(&self) -> serde_json::Value {
        self.0.run(&["status", "--json"]).json()
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.0.command().args(["stop", "--timeout", "20s"]).output();
    }
}

#[test]
fn a_monitors_memory_is_closed_and_it_writes_no_core() {
    let place = Started::with("");
    let status = place.status();
    assert_eq!(status["hardening"]["closed"], true);
    let process = format!("/proc/{}", status["pid"]);
    let limits = fs::read_to_string(format!("{process}/limits")).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["0", "0"], "{core}");
    // What is not dumpable is root's in proc(5), whoever runs it.
    assert_eq!(fs::metadata(format!("{process}/environ")).unwrap().uid(), 0);
}

#[test]
fn a_monitor_has_files_for_the_connections_it_says_and_no_more_than_configured() {
    let place = Started::with("max_connections = 300\n");
    let status = place.status();
    assert_eq!(status["limits"]["max_connections"], 300);
    drop(place);
    let place = Place::with_config("listen = \"127.0.0.1:0\"\nmax_connections = 16384\n");
    let mut command = Command::new("/bin/sh");
    command.env_clear().env("HERMES_HOME", place.folder.path().join("hermes")).env("HOME", place.folder.path());
    let script = "ulimit -S -n 64; ulimit -H -n 1024; exec \"$0\" start --background --json";
    let started = command.args(["-c", script, BIN]).stdin(Stdio::null()).output().unwrap();
    assert!(started.status.success(), "{}", String::from_utf8_lossy(&started.stderr));
    let place = Started(place);
    let status = place.status();
    assert_eq!(status["limits"]["max_connections"], (1024 - 256) / 2);
    assert_eq!(status["hardening"]["open_files"], 1024, "the soft limit was raised");
    let doctor = place.0.run(&["doctor"]);
    assert!(doctor.out.contains("its files allow 384 connections of the 16384 configured"), "{}", doctor.out);
}

/// Only root may change the limits of a process that is closed to its own user.
#[test]
fn out_of_descriptors_it_waits_makes_room_and_serves_again() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("not root: nothing to show");
        return;
    }
    let place = Started::with("");
    let status = place.status();
    let (pid, listen) = (status["pid"].to_string(), status["listen"].as_str().unwrap().to_owned());
    let process = std::path::PathBuf::from(format!("/proc/{pid}"));
    let files = || fs::read_dir(process.join("fd")).unwrap().count();
    // Clock ticks of processor time, user's and system's (proc(5)): a hundred a second.
    let ticks = || {
        let stat = fs::read_to_string(process.join("stat")).unwrap();
        let fields: Vec<u64> = stat.rsplit(')').next().unwrap().split(' ').map(|f| f.parse().unwrap_or(0)).collect();
        fields[12] + fields[13]
    };
    let limit = |soft: &str| {
        let set = Command::new("prlimit").args(["--pid", &pid, &format!("--nofile={soft}:")]).status().unwrap();
        assert!(set.success());
    };
    let before = status["hardening"]["open_files"].to_string();
    limit(&(files() + 4).to_string());
    let strangers: Vec<_> = (0..40).map(|_| TcpStream::connect(&listen).unwrap()).collect();
    // It may still be at work on its start, for a while.
    let spent = |_| {
        let begun = ticks();
        std::thread::sleep(Duration::from_secs(2));
        ticks() - begun
    };
    let rests = (0..15).map(spent).any(|spent| spent < 60);
    assert!(rests, "in no two seconds of thirty, in which nothing could be done, does it rest: it spins");
    // Strangers make room, oldest first: one who comes behind them all is answered.
    let mut late = TcpStream::connect(&listen).unwrap();
    late.set_read_timeout(Some(crate::GIVE_UP)).unwrap();
    late.write_all(b"GET http://x.invalid/ HTTP/1.1\r\n\r\n").unwrap();
    let mut answer = [0; 12];
    late.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 407");
    drop((strangers, late));
    limit(&before);
    let behind = place.0.run(&["run", "--", "/bin/sh", "-c", "exit 3"]);
    assert_eq!(behind.code, 3, "{}", behind.err);
    let seen = &place.status()["coverage"]["seen"]["connections"];
    assert!(seen.as_u64().unwrap() >= 41, "each of them is counted: {seen}");
}

#[test]
fn a_program_run_behind_it_may_still_write_a_core() {
    let place = Started::with("");
    let limit = |said: &str| said.trim().to_owned();
    let own = Command::new("/bin/sh").args(["-c", "ulimit -c; ulimit -n"]).output().unwrap();
    let behind = place.0.run(&["run", "--", "/bin/sh", "-c", "ulimit -c; ulimit -n"]);
    assert_eq!(limit(&behind.out), limit(&String::from_utf8(own.stdout).unwrap()));
}

#[test]
fn a_supervisor_is_told_of_readiness_life_and_the_end() {
    let place = Place::with_config("listen = \"127.0.0.1:0\"\n");
    let path = place.folder.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(crate::GIVE_UP)).unwrap();
    let mut command = Command::new(BIN);
    command.env_clear().env("HERMES_HOME", place.folder.path().join("hermes")).env("HOME", place.folder.path());
    command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "1000000").arg("start");
    let mut monitor = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let told = |what: &str| {
        let mut bytes = [0; 256];
        loop {
            let length = match socket.recv(&mut bytes) {
                // A child of another test ended: a wait with a bound is not begun anew by itself (signal(7)).
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
                length => length.unwrap(),
            };
            let text = std::str::from_utf8(&bytes[..length]).unwrap();
            if text.lines().any(|line| line == what) {
                return;
            }
        }
    };
    told("READY=1");
    told("WATCHDOG=1");
    told("WATCHDOG=1");
    let pid = rustix::process::Pid::from_child(&monitor);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    told("STOPPING=1");
    assert!(monitor.wait().unwrap().success());
}

#[test]
fn units_are_printed_and_nothing_is_made() {
    let place = Place::new();
    for (whose, lines) in [
        ("system", &["User=hermes-traffic-guardian", "ProtectSystem=strict", "StateDirectoryMode=0750"][..]),
        ("user", &["Type=notify", "WatchdogSec=60s"][..]),
    ] {
        let said = place.run(&["units", whose]);
        assert_eq!(said.code, 0, "{}", said.err);
        for line in lines.iter().chain(&["NoNewPrivileges=true", "LimitCORE=0", "LimitNOFILE=33024"]) {
            assert!(said.out.lines().any(|l| l == *line), "{line} in {}", said.out);
        }
        assert!(said.out.contains("MemoryMax=") && said.out.contains("ExecReload="));
    }
    assert!(!place.home().exists());
}

#[test]
fn the_systems_unit_writes_to_the_folder_it_is_given_and_nowhere_else() {
    let place = Place::new();
    let home = place.folder.path().join("state folder");
    let said = place.run(&["units", "system", "--home", home.to_str().unwrap()]);
    let writes: Vec<_> = said.out.lines().filter(|line| line.starts_with("ReadWritePaths=")).collect();
    assert_eq!(writes, [format!("ReadWritePaths=\"{}\"", home.display())]);
    assert!(!said.out.contains("StateDirectory="));
}

#[test]
fn systemd_understands_every_line_of_the_units() {
    if Command::new("systemd-analyze").arg("--version").output().is_err() {
        eprintln!("skipped: no systemd-analyze here");
        return;
    }
    let place = Place::new();
    for whose in ["system", "user"] {
        let name = format!("{whose}.service");
        place.file(&name, &place.run(&["units", whose]).out, 0o644);
        let path = place.home().join(name);
        let verified = Command::new("systemd-analyze").arg("verify").arg(&path).output().unwrap();
        let said = String::from_utf8_lossy(&verified.stderr);
        // Of other units of this machine it may complain, too.
        let ours: Vec<_> = said.lines().filter(|line| line.contains(path.to_str().unwrap())).collect();
        assert!(verified.status.success() && ours.is_empty(), "{said}");
    }
}

#[test]
fn readers_of_the_homes_group_may_read_exports_and_no_key() {
    let place = Place::with_config("listen = \"127.0.0.1:0\"\n");
    fs::set_permissions(place.home(), fs::Permissions::from_mode(0o750)).unwrap();
    assert_eq!(place.run(&["start", "--background"]).code, 0);
    let place = Started(place);
    place.0.run(&["export"]);
    let mode = |name: &str| fs::metadata(place.0.home().join(name)).unwrap().mode() & 0o7777;
    assert_eq!([mode("export"), mode("export/current/."), mode("export/current/posture.json")], [0o750, 0o750, 0o640]);
    assert_eq!(mode("signing.pub.pem"), 0o644);
    assert_eq!([mode("keys"), mode("run"), mode("findings.jsonl")], [0o700, 0o700, 0o600]);
}
