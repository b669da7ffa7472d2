//! `units`: a unit for systemd in which a monitor is closed and bounded, for the operator to place.

use super::place::Place;
use super::{Answer, Trouble, YES, show};
use crate::{
    config::{Config, FlagValues},
    process,
};
use clap::ValueEnum;
use std::path::{Path, PathBuf};

/// The folder and the user of a monitor that has both for itself.
const NAME: &str = "hermes-traffic-guardian";
const HOME: &str = "/var/lib/hermes-traffic-guardian";
/// Memory beside what the configuration bounds: the program, the rules, the documents, certificates.
const MEMORY_APART: u64 = 256 << 20;
/// A connection beside the head it has sent so far. Anyone may send as long a head as is read, with no credential: a system
/// that ended the monitor over them would be ended by strangers.
const MEMORY_PER_CONNECTION: u64 = 24 << 10;

/// Print a hardened unit for systemd
///
/// It prints, and installs nothing. `system` gives the monitor a user and a folder of its own, out of the agent's reach:
/// choose it for servers. `user` runs it as you, beside an agent that can do what you can.
#[derive(clap::Args)]
pub(super) struct Args {
    /// Whose systemd will run it
    #[arg(value_enum)]
    whose: Whose,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Whose {
    System,
    User,
}

pub(super) fn run(args: &Args, place: &Place) -> Answer {
    let own = Place { home: Some(place.home.clone().unwrap_or_else(|| PathBuf::from(HOME))), ..place.clone() };
    let place = if args.whose == Whose::System { &own } else { place };
    let config = place.load(FlagValues::default())?.config;
    let program = std::env::current_exe().map_err(|e| Trouble::io(format!("could not find this program: {e}")))?;
    let unit = match args.whose {
        Whose::System => system(&program, &config)?,
        Whose::User => user(&program, &config)?,
    };
    show::raw(unit.as_bytes())?;
    Ok(YES)
}

fn system(program: &Path, config: &Config) -> Result<String, Trouble> {
    let (program, home) = (word(program)?, word(&config.home)?);
    // Its folder is made for it where systemd keeps such folders; elsewhere it must be there.
    let folder = if config.home == Path::new(HOME) {
        format!("StateDirectory={NAME}\nStateDirectoryMode=0750\n")
    } else {
        String::new()
    };
    let service = service(&program, &home, config);
    Ok(format!(
        "\
# A monitor with a user of its own, out of the reach of the agent's. Nothing was installed. As root:
#   useradd --system --user-group --home-dir {home} --shell /usr/sbin/nologin {NAME}
#   {program} units system > /etc/systemd/system/{NAME}.service
#   systemctl daemon-reload && systemctl start {NAME}
# Who may read its exports joins the group {NAME}. Its verbs are for its user: runuser -u {NAME} -- {program} --home {home} status
[Unit]
Description=Hermes Traffic Guardian

[Service]
{service}User={NAME}
Group={NAME}
UMask=0027
{folder}ReadWritePaths={home}
ProtectSystem=strict
ProtectHome=true
PrivateTmp=true
PrivateDevices=true
ProtectProc=invisible
ProtectClock=true
ProtectHostname=true
ProtectControlGroups=true
ProtectKernelLogs=true
ProtectKernelModules=true
ProtectKernelTunables=true
CapabilityBoundingSet=
AmbientCapabilities=
KeyringMode=private
RemoveIPC=true
RestrictNamespaces=true

[Install]
WantedBy=multi-user.target
"
    ))
}

fn user(program: &Path, config: &Config) -> Result<String, Trouble> {
    let (program, home) = (word(program)?, word(&config.home)?);
    let service = service(&program, &home, config);
    Ok(format!(
        "\
# A monitor of your own user: the agent can do what you can. Nothing was installed. As you:
#   {program} units user > ~/.config/systemd/user/{NAME}.service
#   systemctl --user daemon-reload && systemctl --user start {NAME}
# A user's systemd hides and protects folders only behind a user namespace, in which the owners of the folders above the
# state folder could not be told: those lines are in the system's unit alone.
[Unit]
Description=Hermes Traffic Guardian

[Service]
{service}UMask=0077

[Install]
WantedBy=default.target
"
    ))
}

/// What both have in common.
fn service(program: &str, home: &str, config: &Config) -> String {
    let (files, memory) = (process::files_for(config.max_connections), memory_max(config));
    format!(
        "\
Type=notify
ExecStart={program} --home {home} start
ExecReload=/bin/kill -HUP $MAINPID
Restart=on-failure
RestartSec=2s
TimeoutStopSec=60s
WatchdogSec=60s
LimitNOFILE={files}
LimitCORE=0
MemoryMax={memory}
MemorySwapMax=0
TasksMax=64
OOMPolicy=stop
NoNewPrivileges=true
LockPersonality=true
MemoryDenyWriteExecute=true
RestrictRealtime=true
RestrictSUIDSGID=true
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged
SystemCallErrorNumber=EPERM
"
    )
}

/// What a monitor of this configuration can take with a connection, a head and a queue for everything there may be, and
/// some room. Bodies that thousands of clients send and no server takes are not in it.
fn memory_max(config: &Config) -> u64 {
    let each = MEMORY_PER_CONNECTION + config.max_head_bytes as u64;
    let connections = (config.max_connections as u64).saturating_mul(each);
    let queue = (config.scan_queue_bytes as u64).saturating_mul(2);
    MEMORY_APART.saturating_add(connections).saturating_add(queue)
}

/// A path as text, for who reads it back from there.
pub(super) fn one_line(path: &Path) -> Result<&str, Trouble> {
    let text = path.to_str().filter(|text| !text.chars().any(char::is_control));
    text.ok_or_else(|| Trouble::io(format!("{} cannot be written in one line of text", path.display())))
}

/// A path as a word of a unit (systemd.syntax(7)): quoted where it has to be, `%` being a specifier and `$` a variable.
fn word(path: &Path) -> Result<String, Trouble> {
    let escaped = one_line(path)?.replace('%', "%%").replace('$', "$$");
    let plain = escaped.chars().all(|c| c.is_alphanumeric() || "/._-+@:%$".contains(c));
    Ok(if plain { escaped } else { format!("\"{}\"", escaped.replace('\\', "\\\\").replace('"', "\\\"")) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_memory_for_the_longest_head_of_every_connection() {
        // What a connection with a head of 62,000 bytes was seen to take, less that head.
        let seen = 18 << 10;
        let mut config = Config::defaults("/h".into(), "/u".into());
        for head in [64 << 10, 8 << 10] {
            config.max_head_bytes = head;
            let strangers = config.max_connections as u64 * (seen + head as u64);
            assert!(memory_max(&config) > MEMORY_APART + strangers);
        }
    }

    #[test]
    fn a_path_is_one_word_whatever_is_in_it() {
        for (path, expected) in [
            ("/usr/bin/guardian", "/usr/bin/guardian"),
            ("/opt/100%/$x", "/opt/100%%/$$x"),
            ("/home/a b/\"c\"\\", "\"/home/a b/\\\"c\\\"\\\\\""),
        ] {
            assert_eq!(word(Path::new(path)).ok().as_deref(), Some(expected));
        }
        assert!(word(Path::new("/a\nExecStart=/bin/sh")).is_err());
    }
}
