//! `env`: the environment contract, for the operator to place.

use super::place::{Json, Place};
use super::{Answer, Trouble, YES, show, units};
use crate::{
    config::Config,
    flow::capture::ca::CaFolder,
    home::{self, Home},
    platform::contract::{CA, ProxyUrl, SET, UNSET},
};
use clap::ValueEnum;
use serde::Serialize;
use std::{fmt::Write, net::SocketAddr, path::PathBuf};

/// Print the environment that brings an agent through the proxy
///
/// It prints and, but for systemd's file, changes nothing: place the lines where the agent is started.
#[derive(clap::Args)]
pub(super) struct Args {
    /// How to write it
    ///
    /// `systemd` prints a drop-in for the agent's unit and writes the values to proxy.env in the state folder, mode 0600,
    /// so that the credential stands in no unit.
    #[arg(long, value_enum, default_value_t = Format::Sh)]
    format: Format,
    #[command(flatten)]
    json: Json,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Sh,
    Fish,
    Powershell,
    Dotenv,
    Systemd,
    Json,
}

#[derive(Serialize)]
struct Report<'a> {
    schema_version: &'static str,
    set: Vec<Pair<'a>>,
    unset: &'static [&'static str],
}

#[derive(Serialize)]
struct Pair<'a> {
    name: &'static str,
    value: &'a str,
}

pub(super) fn run(args: &Args, place: &Place) -> Answer {
    let config = place.config()?;
    let home = Home::of(&config);
    let url = proxy_url(&config, &home)?;
    let bundle = bundle(&config, &home)?;
    let mut set: Vec<_> = SET.iter().map(|v| Pair { name: v.name, value: url.reveal() }).collect();
    set.extend(bundle.iter().flat_map(|path| CA.iter().map(|v| Pair { name: v.name, value: path })));
    match args.format {
        _ if args.json.json => json(set)?,
        Format::Json => json(set)?,
        Format::Systemd => show::raw(systemd(&home, &set)?.as_bytes())?,
        format => show::raw(lines(format, &set)?.as_bytes())?,
    }
    Ok(YES)
}

/// What clients have to trust: the bundle of the monitor that runs, or of the one that would. `None` without inspection.
fn bundle(config: &Config, home: &Home) -> Result<Option<String>, Trouble> {
    let path = match home.running() {
        Some(running) => running.inspection.map(|inspection| inspection.bundle),
        None if config.inspect_https => Some(CaFolder::of(home.root()).bundle()),
        None => None,
    };
    let Some(path) = path else { return Ok(None) };
    if !path.is_file() {
        return Err(Trouble::no(format!("{} is not there yet", path.display()))
            .hint("`start` writes it: a missing bundle would keep Hermes from starting"));
    }
    path.to_str().map(|path| Some(path.to_owned())).ok_or_else(|| Trouble::io("the path of the bundle is not UTF-8"))
}

/// The URL of the monitor that runs, or of the one that would.
fn proxy_url(config: &Config, home: &Home) -> Result<ProxyUrl, Trouble> {
    let listen = home.running().map_or(config.listen, |running| running.listen);
    if listen.port() == 0 {
        return Err(Trouble::no("no monitor runs, and its port is not known before")
            .hint("`start` it first, or set a port with `listen`"));
    }
    url_for(config, listen)
}

/// The URL of the monitor that listens there, with the credential of this installation.
pub(super) fn url_for(config: &Config, listen: SocketAddr) -> Result<ProxyUrl, Trouble> {
    let path = config.keys_dir.join("proxy.token");
    let bytes = keys::file::read_private(&path).map_err(|e| {
        let trouble = Trouble::from_error(&e);
        if e.is_not_found() { trouble.hint("the first `start` makes the credential") } else { trouble }
    })?;
    let token = std::str::from_utf8(&bytes).map(str::trim_end).unwrap_or_default();
    // 32 bytes in base64url: anything else would not be what the proxy expects, nor safe to write into a URL.
    if token.len() != 43 || !token.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_') {
        return Err(Trouble::io(format!("{} does not hold a proxy credential", path.display())));
    }
    Ok(ProxyUrl::new(listen, token))
}

fn json(set: Vec<Pair<'_>>) -> Result<(), Trouble> {
    show::json(&Report { schema_version: "clawsec-traffic-env/v1", set, unset: &UNSET })
}

fn lines(format: Format, set: &[Pair<'_>]) -> Result<String, Trouble> {
    let mut text = String::new();
    for Pair { name, value } in set {
        if value.chars().any(char::is_control) {
            return Err(Trouble::io(format!("the value of {name} cannot be written in one line")));
        }
        let line = match format {
            Format::Fish => format!("set -gx {name} '{}'", value.replace('\\', "\\\\").replace('\'', "\\'")),
            Format::Powershell => format!("$env:{name} = '{}'", value.replace('\'', "''")),
            Format::Dotenv | Format::Systemd => format!("{name}={}", dotenv(value)),
            Format::Sh | Format::Json => format!("export {name}='{}'", value.replace('\'', "'\\''")),
        };
        text.push_str(&line);
        text.push('\n');
    }
    match format {
        Format::Sh => writeln!(text, "unset {}", UNSET.join(" ")),
        Format::Fish => writeln!(text, "set -e {}", UNSET.join(" ")),
        Format::Powershell => {
            let names: Vec<_> = UNSET.iter().map(|name| format!("Env:{name}")).collect();
            writeln!(text, "Remove-Item -ErrorAction SilentlyContinue -Path {}", names.join(", "))
        }
        // A dotenv file cannot unset. Empty means none to every client measured.
        Format::Dotenv => UNSET.iter().try_for_each(|name| writeln!(text, "{name}=")),
        Format::Systemd | Format::Json => Ok(()),
    }
    .expect("writing to a String cannot fail");
    Ok(text)
}

/// As it is where nothing in it means anything to whoever reads it, else in double quotes.
fn dotenv(value: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "/:@.[]_-+".contains(c);
    if value.chars().all(plain) {
        return value.to_owned();
    }
    let escaped: String =
        value.chars().flat_map(|c| "\\\"$`".contains(c).then_some('\\').into_iter().chain([c])).collect();
    format!("\"{escaped}\"")
}

/// Writes the values to a file of ours and returns the drop-in that points to it.
fn systemd(home: &Home, set: &[Pair<'_>]) -> Result<String, Trouble> {
    let path: PathBuf = home.root().join("proxy.env");
    // systemd reads `%` as a specifier; a path with blanks needs no quotes here.
    let shown = units::one_line(&path)?.replace('%', "%%");
    home::file::replace(&path, home::file::PRIVATE, lines(Format::Systemd, set)?.as_bytes())
        .map_err(|e| Trouble::file("write", &path, &e))?;
    show::note(format_args!("wrote {} (0600); run this again after a new credential or port", path.display()));
    Ok(format!(
        "# Drop-in for the agent's unit: systemctl edit UNIT\n[Service]\nEnvironmentFile={shown}\nUnsetEnvironment={}\n",
        UNSET.join(" ")
    ))
}
