//! A monitor in a session of its own: started, waited for, left alone.

use super::Trouble;
use super::place::Place;
use super::start::Ready;
use crate::config::{Config, ENV_HERMES_HOME, ENV_PREFIX, FlagValues};
use std::{
    ffi::OsStr,
    io::{BufRead, BufReader, Read},
    process::{Child, Command, Stdio},
    sync::mpsc,
    time::Duration,
};

/// A monitor is ready within milliseconds; a disk may take its time.
const READY_WITHIN: Duration = Duration::from_secs(30);
/// Of what a monitor that does not start has to say.
const COMPLAINT_BYTES: u64 = 16 * 1024;

/// Starts a monitor that outlives this process and waits until it is ready.
///
/// No secret is in its arguments, and of the operator's environment it gets only what it reads: a monitor that lives for
/// months should not hold the keys of the shell it was started from, but for those it is asked to know.
///
/// # Errors
/// What the monitor says is wrong, with its exit code.
pub(super) fn monitor(
    place: &Place,
    flags: &FlagValues,
    config: &Config,
    until_last_lease: bool,
) -> Result<Ready, Trouble> {
    let program = std::env::current_exe().map_err(|e| Trouble::io(format!("could not find this program: {e}")))?;
    let mut command = Command::new(program);
    command.arg("--home").arg(&config.home);
    if let Some(path) = &place.config {
        command.arg("--config").arg(path);
    }
    command.args(["start", "--detached"]);
    if until_last_lease {
        command.arg("--until-last-lease");
    }
    if flags.allow_remote {
        command.arg("--allow-remote");
    }
    if flags.inspect_https {
        command.arg("--inspect-https");
    }
    for (flag, value) in [("--listen", &flags.listen), ("--export-every", &flags.export_every)] {
        if let Some(value) = value {
            command.arg(flag).arg(value);
        }
    }
    let is_known = |name: &OsStr| config.known_secrets.variables.iter().any(|known| name == known.as_str());
    command.env_clear().envs(std::env::vars_os().filter(|(name, _)| is_read(name) || is_known(name)));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().map_err(|e| Trouble::io(format!("could not start a monitor: {e}")))?;
    wait_until_ready(child)
}

/// What a monitor reads, and what the libraries below it do.
fn is_read(name: &OsStr) -> bool {
    const NAMES: [&str; 10] = [
        ENV_HERMES_HOME,
        "HOME",
        "CREDENTIALS_DIRECTORY",
        "RUST_LOG",
        "SSL_CERT_FILE",
        "SSL_CERT_DIR",
        "TMPDIR",
        "LANG",
        "TZ",
        "PATH",
    ];
    name.to_str().is_some_and(|name| name.starts_with(ENV_PREFIX) || NAMES.contains(&name))
}

fn wait_until_ready(mut child: Child) -> Result<Ready, Trouble> {
    let stdout = child.stdout.take().expect("piped above");
    let (send, receive) = mpsc::channel();
    std::thread::spawn(move || {
        let mut line = String::new();
        let read = BufReader::new(stdout.take(COMPLAINT_BYTES)).read_line(&mut line);
        // Nobody waits any more: the monitor is then being ended.
        let _ = send.send(read.map(|_| line));
    });
    match receive.recv_timeout(READY_WITHIN) {
        Ok(Ok(line)) if !line.is_empty() => match serde_json::from_str(&line) {
            Ok(ready) => Ok(ready),
            Err(_) => Err(give_up(child, "the monitor said something else than that it is ready")),
        },
        Ok(_) => Err(complaint(child)),
        Err(_) => Err(give_up(child, "the monitor was not ready within 30 s")),
    }
}

/// It ended before it was ready: says what it said.
fn complaint(mut child: Child) -> Trouble {
    let mut text = Vec::new();
    if let Some(stderr) = child.stderr.take() {
        // What could be read is shown.
        let _ = stderr.take(COMPLAINT_BYTES).read_to_end(&mut text);
    }
    let code = child.wait().ok().and_then(|status| status.code()).and_then(|code| u8::try_from(code).ok());
    // It has our own form, and goes on as if we had said it.
    let text = String::from_utf8_lossy(&text);
    let said = text.split_once("error: ").map_or(text.trim(), |(_, said)| said.trim());
    let message = if said.is_empty() { "the monitor ended before it was ready" } else { said };
    Trouble::Said { exit: code.unwrap_or(super::trouble::IO), message: message.to_owned(), hint: None }
}

fn give_up(mut child: Child, why: &str) -> Trouble {
    // It may have ended in this very moment.
    let _ = child.kill();
    let _ = child.wait();
    Trouble::io(why)
}
