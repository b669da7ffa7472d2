//! A monitor with a user of its own, beside an agent and a stranger: what each of them cannot do.
//!
//! Only root can be three users. Where the tests are someone else's, these say so and are skipped.

use crate::place::{BIN, Said};
use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    os::unix::{
        fs::{PermissionsExt, chown},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Command, Stdio},
};
use tempfile::TempDir;

/// Users nobody else is. Without a name, as in many a container.
const MONITOR: u32 = 61_001;
const STRANGER: u32 = 61_002;

struct World {
    folder: TempDir,
}

impl World {
    /// `None` where there can be none.
    #[expect(clippy::print_stderr, reason = "a test that is skipped says so")]
    fn new() -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            eprintln!("skipped: only root can be another user");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let this = Self { folder };
        // The build's own folder may be out of their reach.
        if fs::hard_link(BIN, this.program()).is_err() {
            fs::copy(BIN, this.program()).unwrap();
        }
        for (name, owner) in [("guardian", MONITOR), ("stranger", STRANGER)] {
            let path = this.folder.path().join(name);
            fs::create_dir(&path).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
            chown(&path, Some(owner), Some(owner)).unwrap();
        }
        let run = this.as_user(MONITOR, &["config", "check"]);
        assert_eq!(run.code, 0, "{}", run.err);
        Some(this)
    }

    fn program(&self) -> PathBuf {
        self.folder.path().join("hermes-traffic-guardian")
    }

    fn home(&self) -> PathBuf {
        self.folder.path().join("guardian")
    }

    fn command(&self, user: u32, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", self.folder.path().join("stranger"));
        command.env("HERMES_TRAFFIC_GUARDIAN_HOME", self.home()).current_dir("/");
        command.uid(user).gid(user).stdin(Stdio::null());
        command
    }

    fn as_user(&self, user: u32, args: &[&str]) -> Said {
        self.said(self.command(user, &self.program()).args(args))
    }

    fn shell(&self, user: u32, script: &str) -> Said {
        self.said(self.command(user, Path::new("/bin/sh")).args(["-c", script]))
    }

    #[expect(clippy::unused_self, reason = "nobody says anything outside of a world")]
    fn said(&self, command: &mut Command) -> Said {
        let output = command.output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Said { code: output.status.code().unwrap_or(-1), out: text(output.stdout), err: text(output.stderr) }
    }

    /// Starts a monitor; where it listens, and its process.
    fn start(&self) -> (SocketAddr, i32) {
        let started = self.as_user(MONITOR, &["start", "--background", "--json", "--listen", "127.0.0.1:0"]);
        assert_eq!(started.code, 0, "{}", started.err);
        let ready = started.json();
        let pid = i32::try_from(ready["pid"].as_u64().unwrap()).unwrap();
        (ready["listen"].as_str().unwrap().parse().unwrap(), pid)
    }

    fn status(&self) -> serde_json::Value {
        self.as_user(MONITOR, &["status", "--json"]).json()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = self.as_user(MONITOR, &["stop", "--timeout", "20s"]);
    }
}

#[test]
fn a_stranger_reads_nothing_in_the_state_folder_and_puts_nothing_there() {
    let Some(world) = World::new() else { return };
    world.start();
    assert_eq!(world.as_user(MONITOR, &["export"]).code, 0);
    let home = world.home().display().to_string();
    let files = world.shell(MONITOR, &format!("find {home} -type f -o -type s -o -type l")).out;
    assert!(files.lines().count() > 8, "{files}");
    for path in files.lines().chain([home.as_str()]) {
        for attempt in [
            format!("cat '{path}'"),
            format!("ls '{path}/'"),
            format!("echo x >>'{path}'"),
            format!("rm -f '{path}'; test ! -e '{path}' && false"),
            format!("ln -s /etc/passwd '{path}.new'"),
            format!("ln /etc/hostname '{path}.new'"),
            format!("mv '{path}' '{path}.old'"),
            format!("chmod 666 '{path}'"),
        ] {
            let said = world.shell(STRANGER, &attempt);
            assert!(said.code != 0 && said.out.is_empty(), "{attempt}: {}{}", said.out, said.err);
        }
    }
    let after = world.shell(MONITOR, &format!("find {home} -type f -o -type s -o -type l")).out;
    for path in files.lines().filter(|path| !path.contains("/export/")) {
        assert!(after.lines().any(|line| line == path), "{path}");
    }
    assert_eq!(world.as_user(MONITOR, &["verify"]).code, 0);
}

#[test]
fn readers_of_the_group_read_the_exports_and_nothing_secret() {
    let Some(world) = World::new() else { return };
    fs::set_permissions(world.home(), fs::Permissions::from_mode(0o750)).unwrap();
    world.start();
    assert_eq!(world.as_user(MONITOR, &["export"]).code, 0);
    let home = world.home().display().to_string();
    // A reader is in the monitor's group, and of another user.
    let reader = |script: &str| {
        let mut command = world.command(STRANGER, Path::new("/bin/sh"));
        world.said(command.gid(MONITOR).args(["-c", script]))
    };
    for name in ["signing.pub.pem", "export/current/posture.json", "export/current/posture.json.sig"] {
        assert_eq!(reader(&format!("cat {home}/{name}")).code, 0, "{name}");
        assert_ne!(reader(&format!("echo x >>{home}/{name}")).code, 0, "{name}");
    }
    for name in ["keys/signing.key.pem", "keys/proxy.token", "findings.jsonl", "run/control.sock", "run/lock"] {
        assert_ne!(reader(&format!("cat {home}/{name}")).code, 0, "{name}");
    }
    assert_ne!(reader(&format!("touch {home}/new {home}/export/new")).code, 0);
}

#[test]
fn a_stranger_gets_nothing_through_the_proxy_without_the_credential() {
    let Some(world) = World::new() else { return };
    let (listen, _) = world.start();
    for request in ["GET http://127.0.0.1:9/ HTTP/1.1\r\nHost: x\r\n\r\n", "CONNECT 127.0.0.1:9 HTTP/1.1\r\n\r\n"] {
        let mut stream = TcpStream::connect(listen).unwrap();
        stream.set_read_timeout(Some(crate::GIVE_UP)).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"HTTP/1.1 407");
    }
}

#[test]
fn a_stranger_neither_stops_it_nor_asks_it_nor_takes_its_place() {
    let Some(world) = World::new() else { return };
    let (listen, pid) = world.start();
    for verb in [&["status"][..], &["stop"], &["export"], &["start"], &["keys", "show"], &["verify"]] {
        let said = world.as_user(STRANGER, verb);
        assert!(said.code != 0 && said.out.is_empty(), "{verb:?}: {}{}", said.out, said.err);
    }
    assert_ne!(world.shell(STRANGER, &format!("kill -KILL {pid}")).code, 0);
    assert_ne!(world.shell(STRANGER, &format!("kill -STOP {pid}")).code, 0);
    assert_ne!(world.shell(STRANGER, &format!("cat /proc/{pid}/environ /proc/{pid}/mem")).code, 0);
    let bind = format!(
        "import socket\ns = socket.socket()\n\
         for o in (socket.SO_REUSEADDR, socket.SO_REUSEPORT): s.setsockopt(socket.SOL_SOCKET, o, 1)\n\
         s.bind(('127.0.0.1', {}))\ns.listen()\n",
        listen.port()
    );
    let taken = world.said(world.command(STRANGER, Path::new("python3")).args(["-c", &bind]));
    assert!(taken.code != 0 && taken.err.contains("Address already in use"), "{}", taken.err);
    assert_eq!(world.status()["pid"], pid);
}

#[test]
fn not_even_its_own_user_reads_the_memory_of_a_monitor() {
    let Some(world) = World::new() else { return };
    let (_, pid) = world.start();
    for name in ["environ", "mem", "maps", "auxv"] {
        let said = world.shell(MONITOR, &format!("cat /proc/{pid}/{name}"));
        assert!(said.code != 0 && said.out.is_empty(), "{name}: {}", said.err);
    }
    // The test of the test: of a process that is not closed, they are there to read.
    assert_eq!(world.shell(MONITOR, "cat /proc/$$/maps >/dev/null; cat /proc/$$/environ").code, 0);
}

/// Whatever lies in the place of a file of ours, no byte is written anywhere else: root's and the operator's files are
/// safe from a monitor that a hijacked agent of the same user set traps for.
#[test]
fn a_link_in_the_place_of_any_file_of_ours_leads_no_byte_out_of_the_folder() {
    // Everything that makes a file.
    const VERBS: [&[&str]; 7] = [
        &["ca", "init"],
        &["canary", "new"],
        &["keys", "rotate"],
        &["export"],
        &["verify", "--write-verdict"],
        &["env", "--format", "systemd"],
        &["stop"],
    ];
    let Some(world) = World::new() else { return };
    world.start();
    for verb in VERBS {
        assert_eq!(world.as_user(MONITOR, verb).code, 0, "{verb:?}");
    }
    let (home, kept) = (world.home().display().to_string(), format!("{}/stranger", world.folder.path().display()));
    assert_eq!(Command::new("cp").args(["-a", &home, &kept]).status().unwrap().code(), Some(0));
    let victim = world.folder.path().join("victim");
    // Where it leads: to a file, or to a folder.
    let files = [
        "findings.jsonl",
        "findings-000000000001.jsonl",
        "quarantine.jsonl",
        "recovery.jsonl",
        "damaged-000000000001.jsonl",
        "signing.pub.pem",
        "rotations.jsonl",
        "keys/signing.key.pem",
        "keys/signing.next.pem",
        "keys/fingerprint.key",
        "keys/proxy.token",
        "ca/ca.pem",
        "ca/ca.key.pem",
        "ca/bundle.pem",
        "run/lock",
        "run/monitor.json",
        "run/control.sock",
        "export/.current.new",
        "verdict.json",
        "proxy.env",
    ];
    let folders = ["keys", "ca", "canaries", "run", "export", "export/current", "export/000000000099"];
    let traps = [("-s", false), ("-P", false), ("-s", true)]; // a hard link leads to a file
    for (link, is_folder, name) in traps.into_iter().flat_map(|(link, is_folder)| {
        let names: &[&str] = if is_folder { &folders } else { &files };
        names.iter().map(move |name| (link, is_folder, name))
    }) {
        let lead = format!(
            "rm -rf {victim} {home}/* && cp -a {kept}/guardian/. {home} && rm -rf {home}/{name} &&
             if {is_folder}; then mkdir {victim}; else echo untouched >{victim}; fi &&
             chown -R {MONITOR}:{MONITOR} {victim} && ln {link} {victim} {home}/{name}",
            victim = victim.display()
        );
        let set = world.said(Command::new("/bin/sh").args(["-c", &lead]));
        assert_eq!(set.code, 0, "{name}: {}", set.err);
        let started = world.as_user(MONITOR, &["start", "--background", "--listen", "127.0.0.1:0"]);
        for verb in VERBS {
            world.as_user(MONITOR, verb);
        }
        if is_folder {
            assert_eq!(fs::read_dir(&victim).unwrap().count(), 0, "{name}: {}", started.err);
        } else {
            assert_eq!(fs::read_to_string(&victim).unwrap(), "untouched\n", "{link} {name}: {}", started.err);
        }
    }
}
