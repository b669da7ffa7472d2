//! The settings, one row each: key, variable, flag, bounds, meaning. Everything that lists settings reads this.

use super::error::Reason;
use super::file::Raw;
use super::folder::{printable, within};
use super::value::{self, Shown};
use super::{Config, UpstreamProxy, rules, suppress};
use posture::CaMode;
use serde_json::json;
use std::path::{Path, PathBuf};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const HOUR: u64 = 3600;
const DAY: u64 = 24 * HOUR;

/// One setting.
pub struct Setting {
    /// Its key in `config.toml`, with its table.
    pub key: &'static str,
    /// Its environment variable.
    pub env: Option<&'static str>,
    /// Its flag.
    pub flag: Option<&'static str>,
    /// Whether `config.toml` may hold it.
    pub in_file: bool,
    /// Whether a change of it is a change of the attested configuration.
    pub security: bool,
    /// What it means, in a few words.
    pub meaning: &'static str,
    pub(super) set: fn(&mut Config, &Raw) -> Result<(), Reason>,
    show: fn(&Config) -> Shown,
}

impl Setting {
    /// Its value here for a person: credentials are masked, and so is what was pasted where none belongs.
    pub fn told(&self, config: &Config) -> Shown {
        self.shown(config).told()
    }

    /// Its value here, credentials masked.
    pub fn shown(&self, config: &Config) -> Shown {
        (self.show)(config)
    }

    const fn new(
        key: &'static str,
        meaning: &'static str,
        set: fn(&mut Config, &Raw) -> Result<(), Reason>,
        show: fn(&Config) -> Shown,
    ) -> Self {
        Self { key, env: None, flag: None, in_file: true, security: false, meaning, set, show }
    }

    const fn env(self, name: &'static str) -> Self {
        Self { env: Some(name), ..self }
    }

    const fn flag(self, name: &'static str) -> Self {
        Self { flag: Some(name), ..self }
    }

    const fn flag_only(self) -> Self {
        Self { in_file: false, ..self }
    }

    const fn security(self) -> Self {
        Self { security: true, ..self }
    }
}

/// Whether some setting stands in a table of this name.
pub(super) fn is_table(name: &str) -> bool {
    SETTINGS.iter().any(|s| s.key.strip_prefix(name).is_some_and(|rest| rest.starts_with('.')))
}

pub(super) fn of(key: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|s| s.key == key)
}

/// Every setting, in the order they are shown.
pub static SETTINGS: &[Setting] = &[
    Setting::new("mode", "`detect`; there is no other", mode, |_| Shown::Text("detect".to_owned()))
        .env("HERMES_TRAFFIC_GUARDIAN_MODE"),
    Setting::new("redact_snippets", "`true`; there is no other", redact_snippets, |_| Shown::Bool(true))
        .env("HERMES_TRAFFIC_GUARDIAN_REDACT_SNIPPETS"),
    Setting::new("listen", "address and port of the proxy; port 0 picks one", listen, |c| {
        Shown::Text(c.listen.to_string())
    })
    .flag("--listen"),
    Setting::new(
        "allow_remote",
        "listen where other hosts can reach",
        |c, raw| put(&mut c.allow_remote, value::boolean(raw)),
        |c| Shown::Bool(c.allow_remote),
    )
    .flag("--allow-remote")
    .flag_only()
    .security(),
    Setting::new(
        "export_every",
        "time between signed exports",
        |c, raw| put(&mut c.export_every, value::span(raw, 1, HOUR)),
        |c| Shown::Span(c.export_every),
    )
    .flag("--export-every")
    .security(),
    Setting::new(
        "max_connections",
        "client connections served at once, or half the files there may be, if fewer",
        |c, raw| put(&mut c.max_connections, value::count(raw, 1, 1 << 20)),
        |c| number(c.max_connections),
    ),
    Setting::new(
        "max_exchanges",
        "requests under way at once, over all connections",
        |c, raw| put(&mut c.max_exchanges, value::count(raw, 1, 1 << 20)),
        |c| number(c.max_exchanges),
    ),
    Setting::new(
        "max_head_bytes",
        "bytes of the head of a request",
        |c, raw| put(&mut c.max_head_bytes, value::size(raw, 8 * KIB, 64 * KIB)),
        |c| bytes(c.max_head_bytes),
    ),
    Setting::new(
        "max_head_fields",
        "header fields of a head; above 100 each head costs more",
        |c, raw| put(&mut c.max_head_fields, value::count(raw, 16, 1000)),
        |c| number(c.max_head_fields),
    ),
    Setting::new(
        "log_dir",
        "folder of the log, within the state folder",
        |c, raw| put(&mut c.log_dir, within(&c.home, value::text(raw)?)),
        |c| place(&c.home, &c.log_dir),
    )
    .env("HERMES_TRAFFIC_GUARDIAN_LOG_DIR")
    .security(),
    Setting::new(
        "attestation_output",
        "folder of the signed exports, within the state folder",
        attestation_output,
        |c| place(&c.home, &c.export_dir),
    )
    .env("HERMES_TRAFFIC_GUARDIAN_ATTESTATION_OUTPUT")
    .security(),
    Setting::new("keys.dir", "folder of the private keys", keys_dir, |c| place(&c.home, &c.keys_dir))
        .env("CREDENTIALS_DIRECTORY"),
    Setting::new("proxy_url", "proxy that everything but loopback is sent through", proxy_url, |c| {
        c.proxy_url.as_ref().map_or(Shown::Nothing, |p: &UpstreamProxy| Shown::Text(p.masked()))
    })
    .env("HERMES_TRAFFIC_GUARDIAN_PROXY_URL")
    .security(),
    Setting::new("ca_bundle", "roots trusted upstream beside the platform's", ca_bundle, |c| {
        c.ca_bundle.as_ref().map_or(Shown::Nothing, |p| place(&c.home, p))
    })
    .env("HERMES_TRAFFIC_GUARDIAN_CA_BUNDLE")
    .security(),
    Setting::new(
        "inspect_https",
        "decrypt and scan HTTPS; `ca init` comes first",
        |c, raw| put(&mut c.inspect_https, value::boolean(raw)),
        |c| Shown::Bool(c.inspect_https),
    )
    .flag("--inspect-https")
    .security(),
    Setting::new("ca.mode", "authority of inspected hosts: ephemeral, generated or operator", ca_mode, |c| {
        c.ca.mode.map_or(Shown::Nothing, |mode| Shown::Text(mode.to_string()))
    })
    .security(),
    Setting::new(
        "ca.cert",
        "an operator's authority: its certificate",
        |c, raw| put(&mut c.ca.certificate, value::text(raw).map(|path| Some(c.home.join(path)))),
        |c| c.ca.certificate.as_ref().map_or(Shown::Nothing, |p| place(&c.home, p)),
    ),
    Setting::new(
        "ca.key",
        "an operator's authority: the certificate's key, mode 0600",
        |c, raw| put(&mut c.ca.key, value::text(raw).map(|path| Some(c.home.join(path)))),
        |c| c.ca.key.as_ref().map_or(Shown::Nothing, |p| place(&c.home, p)),
    ),
    Setting::new(
        "pass_through",
        "hosts that are never inspected",
        |c, raw| put(&mut c.pass_through, value::hosts(raw)),
        |c| Shown::List(c.pass_through.iter().map(|host| json!(host)).collect()),
    )
    .security(),
    Setting::new(
        rules::KEY,
        "rule files of your own, relative to the state folder",
        |c, raw| rules::load(&c.home, raw).map(|(files, set)| (c.rule_files, c.local_rules) = (files, set)),
        |c| Shown::List(c.rule_files.iter().map(|p| place(&c.home, p).to_json()).collect()),
    ),
    Setting::new(
        "scan.max_scan_bytes",
        "bytes looked at of one message",
        |c, raw| put(&mut c.scan.max_scan_bytes, value::size(raw, 64 * KIB, 64 * MIB)),
        |c| bytes(c.scan.max_scan_bytes),
    )
    .env("HERMES_TRAFFIC_GUARDIAN_MAX_SCAN_BYTES")
    .security(),
    Setting::new(
        "scan.max_decoded_bytes",
        "bytes decoded of one message",
        |c, raw| put(&mut c.scan.max_decoded_bytes, value::size(raw, 64 * KIB, 256 * MIB)),
        |c| bytes(c.scan.max_decoded_bytes),
    )
    .security(),
    Setting::new(
        "scan.max_ratio",
        "decoded bytes per encoded byte",
        |c, raw| put(&mut c.scan.max_ratio, value::count(raw, 1, 10_000)),
        |c| number(c.scan.max_ratio),
    )
    .security(),
    Setting::new(
        "scan.max_depth",
        "nested decodings followed",
        |c, raw| put(&mut c.scan.max_depth, value::count(raw, 1, 16)),
        |c| number(c.scan.max_depth),
    )
    .security(),
    Setting::new(
        "scan.queue_bytes",
        "bytes waiting for the scanners or held by them, in all",
        |c, raw| put(&mut c.scan_queue_bytes, value::size(raw, MIB, 1024 * MIB)),
        |c| bytes(c.scan_queue_bytes),
    )
    .security(),
    Setting::new(
        "fold.window",
        "time in which equal findings are one",
        |c, raw| put(&mut c.fold_window, value::span(raw, 1, DAY)),
        |c| Shown::Span(c.fold_window),
    )
    .security(),
    Setting::new(
        "fold.open_max",
        "folds open at once",
        |c, raw| put(&mut c.fold_open_max, value::count(raw, 1, 1 << 20)),
        |c| number(c.fold_open_max),
    ),
    Setting::new(
        "retention.max_bytes",
        "bytes of the log; full of young records, it counts findings and does not record them",
        |c, raw| put(&mut c.retention.max_bytes, value::bytes(raw, MIB, 1024 * 1024 * MIB)),
        |c| Shown::Bytes(c.retention.max_bytes),
    )
    .security(),
    Setting::new(
        "retention.max_age_days",
        "days after which records are pruned, a segment at a time",
        |c, raw| put(&mut c.retention.max_age_days, value::number(raw, 1, 3650)),
        |c| Shown::Number(c.retention.max_age_days),
    )
    .security(),
    Setting::new(
        "retention.segment_bytes",
        "bytes of one segment of the log, at most a quarter of it",
        |c, raw| put(&mut c.retention.segment_bytes, value::bytes(raw, 64 * KIB, 256 * 1024 * MIB)),
        |c| Shown::Bytes(c.retention.segment_bytes),
    )
    .security(),
    Setting::new(
        "timeouts.dial",
        "connecting to an upstream server",
        |c, raw| put(&mut c.timeouts.dial, value::span(raw, 1, HOUR)),
        |c| Shown::Span(c.timeouts.dial),
    ),
    Setting::new(
        "timeouts.handshake",
        "a TLS handshake, or the beginning of anything in a tunnel",
        |c, raw| put(&mut c.timeouts.handshake, value::span(raw, 1, HOUR)),
        |c| Shown::Span(c.timeouts.handshake),
    ),
    Setting::new(
        "timeouts.head",
        "the head of a request",
        |c, raw| put(&mut c.timeouts.head, value::span(raw, 1, HOUR)),
        |c| Shown::Span(c.timeouts.head),
    ),
    Setting::new(
        "timeouts.keep_alive_idle",
        "the next request on a kept connection",
        |c, raw| put(&mut c.timeouts.keep_alive_idle, value::span(raw, 1, 7 * DAY)),
        |c| Shown::Span(c.timeouts.keep_alive_idle),
    ),
    Setting::new(
        "timeouts.tunnel_idle",
        "the next byte of a tunnel or stream",
        |c, raw| put(&mut c.timeouts.tunnel_idle, value::span(raw, 1, 7 * DAY)),
        |c| Shown::Span(c.timeouts.tunnel_idle),
    ),
    Setting::new(
        "timeouts.drain",
        "open connections, after a stop; the next byte of an answer, after its client finished sending",
        |c, raw| put(&mut c.timeouts.drain, value::span(raw, 1, HOUR)),
        |c| Shown::Span(c.timeouts.drain),
    ),
    Setting::new(
        "known_secrets.enabled",
        "look for the values of Hermes' .env files, and of `variables`, in what goes out",
        |c, raw| put(&mut c.known_secrets.enabled, value::boolean(raw)),
        |c| Shown::Bool(c.known_secrets.enabled),
    )
    .security(),
    Setting::new(
        "known_secrets.variables",
        "variables of the monitor's own environment whose values are looked for too",
        |c, raw| put(&mut c.known_secrets.variables, value::variables(raw)),
        |c| Shown::List(c.known_secrets.variables.iter().map(|name| json!(name)).collect()),
    ),
    Setting::new("audience", "[[audience]]: servers of your own a vendor's key may go to", audience, audiences)
        .security(),
    Setting::new("suppress", "[[suppress]]: findings you know of, each with a reason and an end", suppress, |c| {
        Shown::List(c.suppress.iter().map(suppress::shown).collect())
    })
    .security(),
];

fn put<T>(place: &mut T, value: Result<T, Reason>) -> Result<(), Reason> {
    value.map(|value| *place = value)
}

fn number(value: usize) -> Shown {
    Shown::Number(value as u64)
}

fn bytes(value: usize) -> Shown {
    Shown::Bytes(value as u64)
}

fn place(home: &Path, path: &Path) -> Shown {
    match path.strip_prefix(home) {
        Ok(rest) if rest.as_os_str().is_empty() => Shown::Path(PathBuf::from(".")),
        Ok(rest) => Shown::Path(rest.to_owned()),
        Err(_) => Shown::Path(path.to_owned()),
    }
}

fn mode(_: &mut Config, raw: &Raw) -> Result<(), Reason> {
    match value::text(raw)? {
        "detect" => Ok(()),
        "block" => Err(Reason::new(
            "`block` does not exist: the guardian detects and logs, and passes everything on unchanged",
        )),
        _ => Err(Reason::new("expected detect")),
    }
}

fn redact_snippets(_: &mut Config, raw: &Raw) -> Result<(), Reason> {
    if value::boolean(raw)? {
        return Ok(());
    }
    Err(Reason::new(
        "`false` does not exist: a log that holds the secrets it found would be one more place to steal them from",
    ))
}

fn listen(config: &mut Config, raw: &Raw) -> Result<(), Reason> {
    let expected = || Reason::new("expected an address and a port, such as 127.0.0.1:8790 or [::1]:8790");
    put(&mut config.listen, value::text(raw)?.parse().map_err(|_| expected()))
}

fn attestation_output(config: &mut Config, raw: &Raw) -> Result<(), Reason> {
    let folder = within(&config.home, value::text(raw)?)?;
    if folder == config.home {
        return Err(Reason::new("must be a folder of its own: its numbered folders come and go"));
    }
    config.export_dir = folder;
    Ok(())
}

fn keys_dir(config: &mut Config, raw: &Raw) -> Result<(), Reason> {
    let folder = config.home.join(value::text(raw)?);
    if !printable(&folder) {
        return Err(Reason::new("holds control characters"));
    }
    if folder.components().any(|c| c == std::path::Component::ParentDir) {
        return Err(Reason::new("must not hold `..`"));
    }
    config.keys_dir = folder;
    Ok(())
}

fn proxy_url(config: &mut Config, raw: &Raw) -> Result<(), Reason> {
    config.proxy_url = Some(value::upstream(raw)?);
    Ok(())
}

fn ca_bundle(config: &mut Config, raw: &Raw) -> Result<(), Reason> {
    config.ca_bundle = Some(config.home.join(value::text(raw)?));
    Ok(())
}

fn ca_mode(config: &mut Config, raw: &Raw) -> Result<(), Reason> {
    let mode = value::text(raw)?.parse().ok().filter(|mode| *mode != CaMode::Off);
    config.ca.mode = Some(mode.ok_or_else(|| Reason::new("expected ephemeral, generated or operator"))?);
    Ok(())
}

fn audience(config: &mut Config, raw: &Raw) -> Result<(), Reason> {
    let rules = config.rules();
    let known = |name: &str| name == "*" || rules.vendors().iter().any(|vendor| vendor.name == name);
    config.audience.push(value::audience(raw, known)?);
    Ok(())
}

fn suppress(config: &mut Config, raw: &Raw) -> Result<(), Reason> {
    if config.suppress.len() == suppress::MAX {
        return Err(Reason::new(format!("more than {}", suppress::MAX)));
    }
    let one = suppress::one(raw, || config.rules())?;
    if config.suppress.iter().any(|other| other.covers == one.covers) {
        return Err(Reason::new("covers what another one does"));
    }
    config.suppress.push(one);
    Ok(())
}

fn audiences(config: &Config) -> Shown {
    let shown = config
        .audience
        .iter()
        .map(|a| json!({"scheme": a.scheme, "host": a.host, "port": a.port, "vendors": a.vendors}));
    Shown::List(shown.collect())
}
