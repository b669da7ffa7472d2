//! `doctor`: is Hermes really going through me?

mod hardened;

use super::place::{Json, Place};
use super::{Answer, NO, Trouble, YES, env, show, status, trouble::chain};
use crate::{
    clock,
    config::{Config, ConfigError},
    control::Status,
    flow::{capture::ca::CaFolder, detect::Detector},
    home::{self, Home, HomeError, Running},
    monitor,
    platform::{
        contract,
        doctor::{self, Check, Outcome},
        yaml::Scalars,
    },
    warned,
};
use posture::SelfTestResult;
use serde::Serialize;
use std::{
    fs,
    io::{self, Read},
    os::unix::fs::MetadataExt,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

/// A node that does not say its version within this time is asked no longer.
const NODE_WITHIN: Duration = Duration::from_secs(5);
/// No bundle is read further.
const MAX_BUNDLE: u64 = 32 << 20;

/// Check whether Hermes really goes through the monitor
///
/// Looks, and changes nothing. Exits with 0 when there is no problem; warnings are things to know.
#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    json: Json,
}

#[derive(Serialize)]
struct Report {
    schema_version: &'static str,
    outcome: Outcome,
    checks: Vec<Check>,
}

pub(super) fn run(args: &Args, place: &Place) -> Answer {
    let (config, unsound) = place.readable()?;
    let home = Home::of(&config);
    let mut checks = checks(&config, &home);
    checks.extend(unsound.map(|error| configuration(&error)));
    let outcome = checks.iter().map(|check| check.outcome).max().unwrap_or(Outcome::Ok);
    if args.json.json {
        show::json(&Report { schema_version: "clawsec-traffic-doctor/v1", outcome, checks })?;
    } else {
        checks.iter().try_for_each(say)?;
    }
    Ok(if outcome == Outcome::Problem { NO } else { YES })
}

fn say(check: &Check) -> Result<(), Trouble> {
    let word = match check.outcome {
        Outcome::Ok => "ok",
        Outcome::Warning => "warning",
        Outcome::Problem => "problem",
    };
    show::line(format_args!("{word:<8}  {:<12}  {}", check.check, show::plain(&check.found)))?;
    for line in check.hint.iter().flat_map(|hint| hint.lines()) {
        show::line(format_args!("{:<24}→ {}", "", show::plain(line)))?;
    }
    Ok(())
}

fn checks(config: &Config, home: &Home) -> Vec<Check> {
    let running = home.running();
    let inspects = running.as_ref().map_or(config.inspect_https, |running| running.inspection.is_some());
    let mut checks = Vec::new();
    let mut known = None;
    match status::of(home) {
        Ok(status) => {
            checks.extend(at_work(&status));
            let agent = fs::metadata(&config.hermes_home).ok().map(|folder| folder.uid());
            let (process, allowed) = (&status.hardening, status.limits.max_connections);
            checks.extend(hardened::checks(process, agent, allowed, config.max_connections));
            known = Some(status.known);
        }
        Err(_) if running.is_none() => checks.push(Check::problem(
            "monitor",
            "no monitor runs: nothing is looked at",
            "`start` it, or begin Hermes with `hermes-traffic-guardian run -- hermes`",
        )),
        Err(_) => checks.push(Check::problem("monitor", "it does not answer", "`stop` it and `start` it again")),
    }
    checks.extend(suppressions(config));
    checks.push(environment());
    checks.extend(dotenv(config, running.as_ref(), inspects));
    let scalars = Scalars::read(&config.hermes_home.join("config.yaml"));
    checks.extend(doctor::gaps(&scalars));
    checks.push(doctor::node(node().as_deref()));
    let detector = Detector::with_rules(config.rules(), config.scan, &config.audience, None);
    checks.extend(doctor::audiences(&scalars, &config.audience, &|host| detector.is_vendors(host)));
    checks.extend(doctor::known(&known.unwrap_or_else(|| monitor::survey(config))));
    checks.extend(inspects.then(|| bundle(home, running.as_ref())));
    checks.push(folder(home));
    checks.extend(keys(home));
    checks.extend(backup(config, home));
    checks.extend(disk(config, home));
    checks
}

/// A configuration that no monitor would start with.
fn configuration(error: &ConfigError) -> Check {
    let hint = error.hint().map_or_else(String::new, |hint| format!("\n{hint}"));
    let todo = format!("`config check` says when it is sound; until then the rest is told by the defaults{hint}");
    Check::problem("config", chain(error), todo)
}

/// Suppressions whose last day has passed.
fn suppressions(config: &Config) -> Vec<Check> {
    let over = config.suppress.iter().filter(|one| one.is_over(clock::now()));
    let told = over.map(|one| {
        let found = format!("{}: expired on {}, covers nothing any more", one.covers, one.until);
        Check::warning("suppress", found, "take it out of the configuration, or give it another day")
    });
    told.collect()
}

/// What a monitor at work says.
fn at_work(status: &Status) -> Vec<Check> {
    let reasons: Vec<_> = status.degraded_reasons.iter().map(posture::Word::as_str).collect();
    let mut checks = vec![if reasons.is_empty() {
        Check::ok("monitor", format!("it runs on {}, since {}", status.listen, status.since))
    } else {
        let why = status.export_failure.as_deref().map_or_else(String::new, |why| format!(": {why}"));
        Check::problem("monitor", format!("degraded: {}{why}", reasons.join(", ")), "see `status` and its log")
    }];
    if status.reload.as_ref().is_some_and(|reload| reload.error.is_some()) {
        let hint = "`config check` says why; what was in force before still is";
        checks.push(Check::problem("reload", "the configuration was read again and refused", hint));
    }
    checks.push(match status.self_test.result {
        SelfTestResult::Passed => Check::ok("self_test", "a canary came through and was seen both ways"),
        SelfTestResult::NotRun => Check::warning("self_test", "it has not run yet", "ask again in a moment"),
        SelfTestResult::Failed => Check::problem(
            "self_test",
            "a canary was not seen: the monitor does not see what passes",
            "its log says why; `stop` it and `start` it again",
        ),
    });
    checks.extend(arrived(status));
    let refused = status.refusals.iter().filter(|r| r.name.as_str() == "proxy_authentication_required");
    let refused: u64 = refused.map(|refusal| refusal.count).sum();
    if refused > 0 {
        let found = format!("{refused} requests came without the credential and were refused");
        let hint = "a client has an old proxy URL, or another user knocks: `env` prints the one that is good";
        checks.push(Check::warning("credential", found, hint));
    }
    checks.push(if status.https_inspection {
        Check::ok("https", "decrypted and scanned")
    } else {
        Check::warning(
            "https",
            "relayed unopened: of HTTPS only hosts and amounts are known",
            "`ca init`, then `start --inspect-https`; or `run --inspect-https`",
        )
    });
    for dest in &status.fallbacks {
        let found = format!("{dest}: a client there does not take our certificate and gets a tunnel");
        checks.push(Check::warning(
            "https",
            found,
            "point that client at the bundle, or list the host in pass_through",
        ));
    }
    if clock::now() < status.since {
        checks.push(Check::problem("clock", "it is behind the start of this run", "set the clock of this machine"));
    }
    checks
}

/// Who came through in this run.
fn arrived(status: &Status) -> Vec<Check> {
    if status.clients.is_empty() {
        return vec![Check::warning(
            "traffic",
            format!("nothing came through since {}", status.since),
            "begin Hermes with `hermes-traffic-guardian run -- hermes`, or place what `env` prints, and restart it",
        )];
    }
    let told = status.clients.iter().map(|came| {
        let (client, first, last) = (came.client.as_str(), came.first_at, came.last_at);
        Check::ok(
            "traffic",
            format!("{} requests from {client}, the first at {first}, the last at {last}", came.requests),
        )
    });
    told.collect()
}

/// What this shell would give a Hermes started from it.
fn environment() -> Check {
    let set: Vec<_> = contract::UNSET.into_iter().filter(|name| std::env::var_os(name).is_some()).collect();
    if set.is_empty() {
        return Check::ok("environment", "this shell has no NO_PROXY and no ALL_PROXY");
    }
    Check::warning(
        "environment",
        format!("this shell sets {}: clients started from it may go past", set.join(", ")),
        "`run` takes them away; for anything else unset them",
    )
}

fn dotenv(config: &Config, running: Option<&Running>, inspects: bool) -> Vec<Check> {
    let listen = running.map_or(config.listen, |running| running.listen);
    let url = env::url_for(config, listen).ok();
    let kept = CaFolder::of(&config.home).bundle();
    let bundle = running.and_then(|running| running.inspection.as_ref()).map_or(&kept, |inspection| &inspection.bundle);
    let ours = |name: &str, value: &str| {
        let proxy =
            contract::SET.iter().any(|v| v.name == name) && url.as_ref().is_some_and(|url| url.reveal() == value);
        let unset = contract::UNSET.contains(&name) && value.is_empty();
        proxy || unset || (contract::CA.iter().any(|v| v.name == name) && Path::new(value) == bundle)
    };
    doctor::dotenv_lines(&config.hermes_home, inspects, &ours)
}

/// What the node found first says of its version, if there is one.
fn node() -> Option<String> {
    let mut node = Command::new("node");
    node.arg("--version").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = match node.spawn() {
        Ok(child) => child,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return None,
        Err(_) => return Some(String::new()),
    };
    let deadline = Instant::now() + NODE_WITHIN;
    while child.try_wait().is_ok_and(|ended| ended.is_none()) && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(5));
    }
    let _ = child.kill();
    let _ = child.wait();
    let mut version = String::new();
    let _ = child.stdout.take().map(|out| out.take(64).read_to_string(&mut version));
    Some(version)
}

/// What clients have to trust where HTTPS is inspected.
fn bundle(home: &Home, running: Option<&Running>) -> Check {
    let kept = CaFolder::of(home.root()).bundle();
    let inspection = running.and_then(|running| running.inspection.as_ref());
    let path = inspection.map_or(&kept, |inspection| &inspection.bundle);
    let shown = path.display();
    let mut text = String::new();
    let read = fs::File::open(path).and_then(|file| file.take(MAX_BUNDLE).read_to_string(&mut text));
    let certificates = text.matches("-----BEGIN CERTIFICATE-----").count();
    match read {
        Err(e) => Check::problem(
            "bundle",
            format!("{shown} cannot be read ({}): Hermes refuses to start on a missing bundle", warned::why(&e)),
            "`ca init` makes it, a start with --inspect-https writes it anew",
        ),
        Ok(_) if certificates < 2 => Check::problem(
            "bundle",
            format!("{shown} holds {certificates} certificates: the platform's roots are missing"),
            "install the platform's roots (ca-certificates) or set ca_bundle, then start anew",
        ),
        Ok(_) => {
            let end = inspection.and_then(|inspection| inspection.not_after);
            let end = end.map_or_else(String::new, |end| format!("; inspected connections fail from {end} on"));
            Check::ok("bundle", format!("{shown} holds {certificates} certificates{end}"))
        }
    }
}

/// Whether someone else could change what the monitor keeps.
fn folder(home: &Home) -> Check {
    match home::safe(home.root()) {
        Ok(()) => Check::ok("permissions", format!("{} is ours alone", home.root().display())),
        Err(HomeError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            Check::ok("permissions", format!("{} is not there yet", home.root().display()))
        }
        Err(error) => Check::problem("permissions", error.to_string(), error.hint()),
    }
}

/// Whether someone else can read a key.
fn keys(home: &Home) -> Vec<Check> {
    let folder = home.keys_dir();
    if !folder.exists() {
        return vec![Check::ok("keys", "there are none yet: the first `start` makes them")];
    }
    let files = ["signing.key.pem", "fingerprint.key", "proxy.token"].map(|name| folder.join(name));
    let authority = CaFolder::of(home.root()).key();
    let authority = authority.exists().then_some(authority);
    let told: Vec<_> = files
        .into_iter()
        .chain(authority)
        .filter_map(|path| keys::file::read_private(&path).err())
        .map(|error| {
            Check::problem("keys", error.to_string(), "make the file yours alone: chmod 600; if others read it, rotate")
        })
        .collect();
    if told.is_empty() {
        vec![Check::ok("keys", format!("those in {} are ours alone", folder.display()))]
    } else {
        told
    }
}

/// Keys that leave the machine with Hermes' own backups.
fn backup(config: &Config, home: &Home) -> Vec<Check> {
    let mut within = Vec::new();
    let real = |path: &Path| path.canonicalize().ok();
    let Some(hermes) = real(&config.hermes_home) else { return within };
    if real(home.keys_dir()).is_some_and(|keys| keys.starts_with(&hermes)) {
        within.push(Check::warning(
            "backup",
            format!("`hermes backup` takes {} with it, private keys included", home.keys_dir().display()),
            "if backups leave this machine, set keys.dir to a folder outside of Hermes' home",
        ));
    }
    if real(&CaFolder::of(home.root()).key()).is_some_and(|key| key.starts_with(&hermes)) {
        within.push(Check::warning(
            "backup",
            "`hermes backup` takes the key of the certificate authority with it",
            "if backups leave this machine, bring an authority of your own: ca.mode = \"operator\", ca.cert and ca.key",
        ));
    }
    if within.is_empty() {
        within.push(Check::ok("backup", "no private key is within Hermes' home"));
    }
    within
}

/// Whether the log may grow as far as it is allowed to.
fn disk(config: &Config, home: &Home) -> Option<Check> {
    let place = home.root().ancestors().find(|path| path.exists())?;
    let stat = rustix::fs::statvfs(place).ok()?;
    let free = stat.f_bavail.saturating_mul(stat.f_frsize);
    let wanted = config.retention.max_bytes;
    Some(if free < wanted {
        let found = format!("{free} bytes are free, and the log may take {wanted}");
        Check::warning("disk", found, "make room, or lower retention.max_bytes")
    } else {
        Check::ok("disk", "there is room for the log")
    })
}
