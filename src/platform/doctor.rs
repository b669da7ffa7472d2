//! Hermes' own files → what leads its traffic past the guardian, each with what to do about it.
//!
//! Read-only, and read to tell an operator: nothing here has a say in what is a finding.

use super::{
    contract::{self, is_ca_variable},
    dotenv,
    yaml::Scalars,
};
use crate::{
    config::AudienceEntry,
    control::{KnownValues, Skipped},
    flow::redact,
};
use hudsucker::hyper::Uri;
use posture::Protocol;
use serde::Serialize;
use std::{ffi::OsStr, path::Path};

/// How a check went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// As it should be.
    Ok,
    /// It may be meant so; know what it means.
    Warning,
    /// Traffic goes past, or the monitor cannot vouch for it.
    Problem,
}

/// One question, and its answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What was looked at: a closed word.
    pub check: &'static str,
    /// How it went.
    pub outcome: Outcome,
    /// What was found.
    pub found: String,
    /// What to do; nothing when it went well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl Check {
    /// As it should be.
    pub fn ok(check: &'static str, found: impl Into<String>) -> Self {
        Self { check, outcome: Outcome::Ok, found: found.into(), hint: None }
    }

    /// Something to know.
    pub fn warning(check: &'static str, found: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { check, outcome: Outcome::Warning, found: found.into(), hint: Some(hint.into()) }
    }

    /// Something to mend.
    pub fn problem(check: &'static str, found: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { outcome: Outcome::Problem, ..Self::warning(check, found, hint) }
    }
}

/// Lines of the files Hermes lets override its environment. A line that says what the contract says is `ours`, told by
/// its name and value; lines about roots matter only where HTTPS is inspected.
pub fn dotenv_lines(hermes_home: &Path, inspects: bool, ours: &dyn Fn(&str, &str) -> bool) -> Vec<Check> {
    let files = dotenv::files(hermes_home);
    let lines = files.iter().flat_map(|path| dotenv::overrides_but(path, ours));
    let told: Vec<_> = lines
        .filter(|line| inspects || !is_ca_variable(OsStr::new(&line.name)))
        .map(|line| {
            let found =
                format!("{} line {} sets {}, which Hermes puts first", line.path.display(), line.line, line.name);
            Check::problem("dotenv", found, "remove the line, or put what `hermes-traffic-guardian env` prints there")
        })
        .collect();
    if told.is_empty() { vec![Check::ok("dotenv", "no line of Hermes' .env files leads past")] } else { told }
}

/// What Hermes' configuration says about programs that do not get its environment.
pub fn gaps(scalars: &Scalars) -> Vec<Check> {
    vec![execute_code(scalars), mcp(scalars), terminal(scalars)]
}

fn execute_code(scalars: &Scalars) -> Check {
    let listed: Vec<&str> = scalars
        .ending(&["terminal", "env_passthrough"])
        .chain(scalars.ending(&["terminal", "env_passthrough", "-"]))
        .flat_map(|value| value.split(|c: char| !c.is_ascii_alphanumeric() && c != '_'))
        .collect();
    let missing: Vec<_> = contract::SET.iter().map(|v| v.name).filter(|name| !listed.contains(name)).collect();
    if missing.is_empty() {
        return Check::ok("execute_code", "terminal.env_passthrough lets the proxy variables through");
    }
    Check::warning(
        "execute_code",
        format!("code that Hermes runs through execute_code goes past: it is not given {}", missing.join(", ")),
        "list them, and the CA variables where HTTPS is inspected, under terminal.env_passthrough in config.yaml",
    )
}

fn mcp(scalars: &Scalars) -> Check {
    let without =
        |name: &&str| !contract::SET.iter().all(|v| scalars.at(&["mcp_servers", name, "env", v.name]).is_some());
    let servers: Vec<_> = scalars.holding("mcp_servers", "command").collect();
    let past: Vec<_> = servers.iter().copied().filter(without).map(shown).collect();
    if past.is_empty() {
        let count = servers.len();
        return Check::ok(
            "mcp",
            format!("{count} stdio MCP servers in config.yaml, none of them without the variables"),
        );
    }
    Check::warning(
        "mcp",
        format!("stdio MCP servers that are not given the proxy variables go past: {}", past.join(", ")),
        "set the four variables under env: of each server in config.yaml",
    )
}

fn terminal(scalars: &Scalars) -> Check {
    match scalars.at(&["terminal", "backend"]) {
        None | Some("local") => Check::ok("terminal", "commands run on this machine and inherit the environment"),
        Some(backend) => Check::warning(
            "terminal",
            format!("commands run in a {} terminal, which does not inherit the environment", shown(backend)),
            "set the proxy there yourself, where it can reach this machine; otherwise it is not seen",
        ),
    }
}

/// The values that are looked for, and those that are not and why, by the names of their variables.
pub fn known(known: &KnownValues) -> Vec<Check> {
    const CHECK: &str = "known";
    let mut told = vec![if known.enabled {
        Check::ok(CHECK, format!("{} secrets of Hermes' are looked for in what goes out", known.secrets))
    } else {
        Check::ok(CHECK, "Hermes' own secrets are looked for by their shape alone: known_secrets.enabled is off")
    }];
    for Skipped { name, why } in &known.skips {
        let (why, hint) = why_skipped(why.as_str());
        told.push(Check::warning(CHECK, format!("{name} is not looked for: {why}"), hint));
    }
    let more = known.skipped.saturating_sub(known.skips.len() as u64);
    if more > 0 {
        told.push(Check::warning(CHECK, format!("{more} more are not looked for"), "mend those named first"));
    }
    told
}

fn why_skipped(why: &str) -> (&'static str, &'static str) {
    match why {
        "short" => ("it is short", "a longer secret can be told from a word: 16 characters or more"),
        "long" => ("it is longer than 4 KiB", "it is found by its shape alone, if it has one"),
        "plain" => ("it repeats, counts up, or is a number", "a random secret can be told from any other text"),
        "placeholder" => ("it says that something else belongs there", "put the secret there, or remove the line"),
        "path" => ("it is the path of a file", "what the file holds is found by its shape alone"),
        "address" => ("it is an address without a password", "nothing, if there is no secret in it"),
        "reference" => ("it refers to another variable", "write the value out if it is to be looked for"),
        "one_too_many" => ("there are more than are looked for at once", "remove what is not needed"),
        "unset" => ("the monitor's environment does not have it", "start the monitor where it is set"),
        "unreadable" => ("it cannot be read", "make it readable for the monitor's user, and at most 1 MiB"),
        "other_key" => ("it was planted under another fingerprint key", "`canary remove` it and plant another"),
        _ => ("of a reason this version does not know", "use the version of the monitor that runs"),
    }
}

/// The node programs find first, by what it says of its version.
pub fn node(version: Option<&str>) -> Check {
    let major = version.and_then(|v| v.trim().strip_prefix('v')?.split('.').next()?.parse::<u32>().ok());
    match (version, major) {
        (None, _) => Check::ok("node", "there is none on the PATH"),
        (Some(_), Some(24..)) => Check::warning(
            "node",
            "fetch of this node heeds proxy variables only if told to",
            "set NODE_USE_ENV_PROXY=1 for its programs",
        ),
        (Some(_), _) => Check::warning(
            "node",
            "fetch of node before 24 ignores proxy variables",
            "use node 24 or later with NODE_USE_ENV_PROXY=1, or know that its requests are not seen",
        ),
    }
}

/// Model servers of Hermes' configuration that are no vendor's, and the entry each needs in ours.
///
/// `known` tells a host whose keys may go there anyway.
pub fn audiences(scalars: &Scalars, entries: &[AudienceEntry], known: &dyn Fn(&str) -> bool) -> Vec<Check> {
    let mut told = Vec::new();
    for (scheme, host, port) in scalars.ending(&["base_url"]).filter_map(server) {
        let entry = entries.iter().any(|e| e.scheme == scheme && e.host == host && e.port == port);
        if entry || known(&host) {
            continue;
        }
        let found = format!(
            "the model server {} is no vendor's: a key sent there is a finding",
            redact::destination(&host, port)
        );
        let entry = format!(
            "if it is yours, add to config.toml, with the vendors whose keys it may see:\n\
             [[audience]]\nscheme = \"{scheme}\"\nhost = \"{}\"\nport = {port}\nvendors = [\"openai\"]",
            shown(&host)
        );
        let check = Check::warning("audience", found, entry);
        if !told.contains(&check) {
            told.push(check);
        }
    }
    if told.is_empty() {
        told.push(Check::ok("audience", "every model server of config.yaml is a vendor's, or has its entry"));
    }
    told
}

/// What an address names, and nothing else of it: it may hold a credential.
fn server(url: &str) -> Option<(Protocol, String, u16)> {
    let uri: Uri = url.parse().ok()?;
    let (scheme, default) = match uri.scheme_str()? {
        "https" => (Protocol::Https, 443),
        "http" => (Protocol::Http, 80),
        _ => return None,
    };
    let host = uri.host()?.trim_start_matches('[').trim_end_matches(']').trim_end_matches('.').to_ascii_lowercase();
    let plain = !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.:_".contains(&b));
    plain.then(|| (scheme, host, uri.port_u16().unwrap_or(default)))
}

/// A name from a file, as far as it may be shown.
fn shown(name: &str) -> String {
    let plain = name.len() <= 64 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.:".contains(&b));
    if plain { name.to_owned() } else { "(a name not shown)".to_owned() }
}

#[cfg(test)]
mod tests;
