//! defaults < file < environment < flags → one checked Config.
//!
//! Every value knows its origin, and every complaint names the key and the place. A setting that nothing would use is
//! refused as an unknown one is: what is configured holds, or nothing starts.

mod error;
mod file;
mod reload;
mod rules;
mod settings;
mod suppress;
mod value;

pub use error::{ConfigError, Origin};
pub use settings::{SETTINGS, Setting};
pub use value::{Shown, UpstreamProxy};

pub use crate::flow::{capture::Timeouts, detect::audience::Entry as AudienceEntry};

use crate::flow::{
    capture::ca::Roots,
    detect::{
        Limits,
        rule::{RuleSet, is_plain},
    },
    suppress::Suppression,
};
use error::Reason;
use file::Raw;
use posture::{CaMode, Retention, Sha256Hex};
use sha2::{Digest, Sha256};
use std::{
    collections::BTreeMap,
    ffi::OsString,
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

/// The prefix of every environment variable that is ours alone (ClawSec's names).
pub const ENV_PREFIX: &str = "HERMES_TRAFFIC_GUARDIAN_";
/// The state folder.
pub const ENV_HOME: &str = "HERMES_TRAFFIC_GUARDIAN_HOME";
/// The configuration file, in place of `config.toml` in the state folder.
pub const ENV_CONFIG: &str = "HERMES_TRAFFIC_GUARDIAN_CONFIG";
/// Hermes' own folder, `~/.hermes` by default.
pub const ENV_HERMES_HOME: &str = "HERMES_HOME";

/// The settings a reader of the folder needs, which it takes from the folder's own `config.toml` alone.
const SEGMENT_BYTES: &str = "retention.segment_bytes";
const PLACES: [&str; 2] = ["log_dir", "attestation_output"];

/// Every setting, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The state folder, absolute.
    pub home: PathBuf,
    /// Hermes' own folder, absolute.
    pub hermes_home: PathBuf,
    /// Where the proxy listens; loopback unless `allow_remote`. Port 0 picks a free one.
    pub listen: SocketAddr,
    /// An operator asked, by flag, for an address other hosts can reach.
    pub allow_remote: bool,
    /// Time between exports: whole seconds, 1 s to 1 h.
    pub export_every: Duration,
    /// The folder of `findings*.jsonl`, within the home.
    pub log_dir: PathBuf,
    /// The folder of the exported generations, within the home.
    pub export_dir: PathBuf,
    /// The folder of the private keys; the only one that may lie elsewhere.
    pub keys_dir: PathBuf,
    /// Whether the service manager provides that folder: what is put there would be gone with the next start.
    pub keys_are_lent: bool,
    /// Rule files of the operator's own, absolute.
    pub rule_files: Vec<PathBuf>,
    /// The rules with those of these files; `None` when there are only the embedded ones.
    pub local_rules: Option<Arc<RuleSet>>,
    /// The bounds of scanning one message.
    pub scan: Limits,
    /// Bytes waiting for the scanners, of all messages together.
    pub scan_queue_bytes: usize,
    /// How long further sightings of a finding are folded into it.
    pub fold_window: Duration,
    /// Folds open at once; the oldest is closed for the next.
    pub fold_open_max: usize,
    /// The bounds of the log.
    pub retention: Retention,
    /// How long the proxy waits for what.
    pub timeouts: Timeouts,
    /// Client connections served at once.
    pub max_connections: usize,
    /// Requests under way at once, over all connections.
    pub max_exchanges: usize,
    /// Bytes of the head of a request, 8 KiB to 64 KiB.
    pub max_head_bytes: usize,
    /// Header fields of one head.
    pub max_head_fields: usize,
    /// Servers of the operator's own that a vendor's key may go to.
    pub audience: Vec<AudienceEntry>,
    /// Findings the operator has taken note of: counted and not written.
    pub suppress: Vec<Suppression>,
    /// The proxy that everything but loopback is sent through.
    pub proxy_url: Option<UpstreamProxy>,
    /// Roots trusted upstream beside the platform's: a PEM file.
    pub ca_bundle: Option<PathBuf>,
    /// Decrypt and scan HTTPS.
    pub inspect_https: bool,
    /// The authority that speaks for inspected hosts.
    pub ca: CaSettings,
    /// Hosts that are never inspected: lower case, no trailing dot, exact.
    pub pass_through: Vec<String>,
    /// Values that are looked for in what goes out.
    pub known_secrets: KnownSecrets,
}

/// Values that are looked for in what goes out: a `[known_secrets]` of the configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KnownSecrets {
    /// Those of Hermes' `.env` files, and of `variables`.
    pub enabled: bool,
    /// Variables of the monitor's own environment.
    pub variables: Vec<String>,
}

/// The authority that speaks for inspected hosts: a `[ca]` of the configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CaSettings {
    /// `ephemeral`, `generated` or `operator`; when nothing is said, `start` takes the generated one and a monitor that
    /// `run` starts an ephemeral one.
    pub mode: Option<CaMode>,
    /// An operator's certificate, PEM, absolute.
    pub certificate: Option<PathBuf>,
    /// The key of that certificate, PEM, 0600, absolute.
    pub key: Option<PathBuf>,
}

/// Where settings come from. The process' own are [`Sources::process`].
pub struct Sources<'s> {
    /// Reads one environment variable.
    pub env: &'s dyn Fn(&str) -> Option<OsString>,
    /// What the command line says.
    pub flags: FlagValues,
}

/// What the command line says. `None` and `false` are a flag not given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FlagValues {
    /// `--home`
    pub home: Option<PathBuf>,
    /// `--config`
    pub config: Option<PathBuf>,
    /// `--listen`
    pub listen: Option<String>,
    /// `--allow-remote`
    pub allow_remote: bool,
    /// `--export-every`
    pub export_every: Option<String>,
    /// `--inspect-https`
    pub inspect_https: bool,
}

impl Sources<'_> {
    /// The environment of this process and these flags.
    pub fn process(flags: FlagValues) -> Self {
        Self { env: &|name| std::env::var_os(name), flags }
    }
}

/// A checked configuration and where each of its values came from.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The values.
    pub config: Config,
    /// By key of [`SETTINGS`]; a key that is not here has its default.
    pub origin: BTreeMap<&'static str, Origin>,
    /// The configuration file that was read, if there was one.
    pub file: Option<PathBuf>,
}

impl Config {
    /// Every default, for these two folders.
    pub fn defaults(home: PathBuf, hermes_home: PathBuf) -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8790)),
            allow_remote: false,
            export_every: Duration::from_secs(60),
            log_dir: home.clone(),
            export_dir: home.join("export"),
            keys_dir: home.join("keys"),
            keys_are_lent: false,
            rule_files: Vec::new(),
            local_rules: None,
            scan: Limits::default(),
            scan_queue_bytes: 64 << 20,
            fold_window: Duration::from_secs(600),
            fold_open_max: 4096,
            retention: Retention { max_age_days: 30, max_bytes: 64 << 20, segment_bytes: 4 << 20 },
            timeouts: Timeouts::default(),
            max_connections: 16_384,
            max_exchanges: 16_384,
            max_head_bytes: 64 << 10,
            max_head_fields: 100,
            audience: Vec::new(),
            suppress: Vec::new(),
            proxy_url: None,
            ca_bundle: None,
            inspect_https: false,
            ca: CaSettings::default(),
            pass_through: Vec::new(),
            known_secrets: KnownSecrets::default(),
            home,
            hermes_home,
        }
    }

    /// Reads all four sources and checks what they say together.
    ///
    /// # Errors
    /// The first key that is unknown, has a bad value, contradicts another or would not be used, with its place; a
    /// file that was named and cannot be read, or that others may write to.
    pub fn load(sources: &Sources<'_>) -> Result<Loaded, ConfigError> {
        let (home, hermes_home) = folders(sources)?;
        let standing = home.join("config.toml");
        let named = match &sources.flags.config {
            Some(path) => Some(path.clone()),
            None => environment(sources, ENV_CONFIG)?.map(|path| expand(path.into(), sources)).transpose()?,
        };
        let file = named.as_deref().map_or_else(|| file::optional(&standing), file::required)?;

        let mut loaded = Loaded::of(Self::defaults(home, hermes_home));
        if let Some(file) = &file {
            loaded.apply_file(file)?;
            loaded.file = Some(file.path.clone());
        }
        let signed_places = match &file {
            Some(file) if file.path == standing => loaded.places(),
            _ => places_in(&loaded.config.home)?,
        };
        for setting in SETTINGS {
            let Some(name) = setting.env else { continue };
            if let Some(text) = environment(sources, name)? {
                let text = text.into_string().map_err(|_| ConfigError::NotText { name })?;
                loaded.apply(setting, &Raw::Text(text), Origin::Environment(name))?;
            }
        }
        for (key, name, text) in sources.flags.settings() {
            let setting = settings::of(key).expect("every flag is of a setting");
            loaded.apply(setting, &Raw::Text(text), Origin::Flag(name))?;
        }
        loaded.config.keys_are_lent = matches!(loaded.origin_of("keys.dir"), Origin::Environment(_));
        loaded.derive();
        loaded.check(&signed_places)?;
        Ok(loaded)
    }

    /// The rules in force.
    pub fn rules(&self) -> Arc<RuleSet> {
        self.local_rules.clone().unwrap_or_else(RuleSet::embedded)
    }

    /// The posture's `config_sha256`: SHA-256 over the RFC 8785 form of the security-relevant values that differ from
    /// their defaults. No credential and no place of this machine is among them.
    pub fn security_sha256(&self) -> Sha256Hex {
        let defaults = Self::defaults(self.home.clone(), self.hermes_home.clone());
        let values: BTreeMap<_, _> = SETTINGS
            .iter()
            .filter(|s| s.security && s.shown(self) != s.shown(&defaults))
            .map(|s| (s.key, s.shown(self).to_attest()))
            .collect();
        let bytes = serde_jcs::to_vec(&values).expect("strings and integers below 2^53 have a canonical form");
        Sha256Hex::from_bytes(&Sha256::digest(bytes).into())
    }
}

impl FlagValues {
    /// Key, flag and value of each flag that was given.
    fn settings(&self) -> Vec<(&'static str, &'static str, String)> {
        let mut given = Vec::new();
        given.extend(self.allow_remote.then(|| ("allow_remote", "--allow-remote", "true".to_owned())));
        given.extend(self.inspect_https.then(|| ("inspect_https", "--inspect-https", "true".to_owned())));
        given.extend(self.listen.clone().map(|v| ("listen", "--listen", v)));
        given.extend(self.export_every.clone().map(|v| ("export_every", "--export-every", v)));
        given
    }
}

impl Loaded {
    /// Where the value of this key came from.
    pub fn origin_of(&self, key: &str) -> &Origin {
        self.origin.get(key).unwrap_or(&Origin::Default)
    }

    fn apply_file(&mut self, file: &file::File) -> Result<(), ConfigError> {
        // What others refer to comes first, wherever it stands.
        let (first, then): (Vec<_>, Vec<_>) = file.entries.iter().partition(|entry| entry.key == rules::KEY);
        for entry in first.into_iter().chain(then) {
            let place = file.place(entry);
            if matches!(entry.raw, Raw::Empty) && settings::is_table(&entry.key) {
                continue;
            }
            let Some(setting) = settings::of(&entry.key).filter(|s| s.in_file) else {
                return Err(ConfigError::unknown_key(&entry.key, place, entry.column));
            };
            self.apply(setting, &entry.raw, place)?;
        }
        Ok(())
    }

    fn apply(&mut self, setting: &'static Setting, raw: &Raw, place: Origin) -> Result<(), ConfigError> {
        (setting.set)(&mut self.config, raw).map_err(|reason| reason.of(setting.key, &place))?;
        self.origin.insert(setting.key, place);
        Ok(())
    }

    /// A default that follows from another value.
    fn derive(&mut self) {
        let Retention { max_bytes, segment_bytes, .. } = &mut self.config.retention;
        if !self.origin.contains_key(SEGMENT_BYTES) {
            let (least, most) = segment_bounds(*max_bytes);
            *segment_bytes = (*segment_bytes).clamp(least, most);
        }
    }

    /// What no single value shows.
    fn check(&self, signed_places: &[PathBuf; 2]) -> Result<(), ConfigError> {
        let config = &self.config;
        let refuse = |key: &'static str, reason: &str| Err(Reason::new(reason).of(key, self.origin_of(key)));
        if !config.listen.ip().is_loopback() && !config.allow_remote {
            return refuse("listen", "other hosts can reach this address: say --allow-remote if they are meant to");
        }
        if config.scan.max_decoded_bytes < config.scan.max_scan_bytes {
            return refuse("scan.max_decoded_bytes", "must not be below scan.max_scan_bytes");
        }
        if config.scan_queue_bytes < config.scan.max_scan_bytes {
            return refuse("scan.queue_bytes", "must not be below scan.max_scan_bytes");
        }
        if config.proxy_url.as_ref().is_some_and(|proxy| is_listener(proxy, config.listen)) {
            return refuse("proxy_url", "is this proxy itself");
        }
        if config.ca_bundle.as_deref().is_some_and(|path| Roots::check(path).is_err()) {
            return refuse("ca_bundle", "is no file of certificates that can be read");
        }
        let own = config.ca.mode == Some(CaMode::Operator);
        for (key, path) in [("ca.cert", &config.ca.certificate), ("ca.key", &config.ca.key)] {
            if own && path.is_none() {
                return Err(Reason::new(format!("`operator` needs {key}")).of("ca.mode", self.origin_of("ca.mode")));
            }
            if !own && path.is_some() {
                return refuse(key, "is used with ca.mode = \"operator\" alone");
            }
        }
        if !config.known_secrets.enabled && !config.known_secrets.variables.is_empty() {
            return refuse("known_secrets.variables", "is used with known_secrets.enabled = true alone");
        }
        let (least, most) = segment_bounds(config.retention.max_bytes);
        if config.retention.segment_bytes > most {
            return refuse(SEGMENT_BYTES, "must not be above a quarter of retention.max_bytes");
        }
        if config.retention.segment_bytes < least {
            return refuse(
                SEGMENT_BYTES,
                "must not be below retention.max_bytes / 4096: so many segments are the most",
            );
        }
        for (key, (now, signed)) in PLACES.into_iter().zip(self.places().iter().zip(signed_places)) {
            if now != signed {
                return refuse(key, "a reader of the folder looks in its config.toml alone: it must say the same");
            }
        }
        Ok(())
    }

    fn of(config: Config) -> Self {
        Self { config, origin: BTreeMap::new(), file: None }
    }

    fn places(&self) -> [PathBuf; 2] {
        [self.config.log_dir.clone(), self.config.export_dir.clone()]
    }
}

/// Whether an upstream proxy is the very address we listen on.
fn is_listener(proxy: &UpstreamProxy, listen: SocketAddr) -> bool {
    let address = if proxy.host == "localhost" { Some(listen.ip()) } else { proxy.host.parse().ok() };
    let here = |ip: std::net::IpAddr| {
        let (ip, own) = (ip.to_canonical(), listen.ip().to_canonical());
        ip == own || ip.is_unspecified() || (own.is_unspecified() && ip.is_loopback())
    };
    proxy.port == listen.port() && address.is_some_and(here)
}

/// The bytes a segment of a log of so many bytes may have: pruned one at a time, a few must hold the log, and each is
/// kept account of.
fn segment_bounds(max_bytes: u64) -> (u64, u64) {
    (max_bytes / 4096, max_bytes / 4)
}

/// Refuses a variable with our prefix that means nothing to us: a misspelt setting must not pass for a default.
///
/// # Errors
/// Names the first such variable.
pub fn check_environment(names: impl IntoIterator<Item = OsString>) -> Result<(), ConfigError> {
    let known = |name: &str| {
        [ENV_HOME, ENV_CONFIG].contains(&name) || SETTINGS.iter().any(|s| s.env.is_some_and(|env| env == name))
    };
    let mut ours = names.into_iter().filter_map(|n| n.into_string().ok()).filter(|n| n.starts_with(ENV_PREFIX));
    let Some(unknown) = ours.find(|name| !known(name)) else { return Ok(()) };
    let rest = unknown.strip_prefix(ENV_PREFIX).map(str::to_owned);
    Err(ConfigError::UnknownVariable { rest: rest.filter(|rest| is_plain(&rest.to_ascii_lowercase())) })
}

/// The state folder, whatever else is wrong.
///
/// # Errors
/// When it cannot be told from these sources.
pub fn home(sources: &Sources<'_>) -> Result<PathBuf, ConfigError> {
    Ok(folders(sources)?.0)
}

/// Where the log and the exports of this state folder, or of a copy of one, are: what its own `config.toml` says, and
/// nothing else of it.
///
/// # Errors
/// A `config.toml` that cannot be read, or that names a place outside the folder.
pub fn places_in(home: &Path) -> Result<[PathBuf; 2], ConfigError> {
    let mut loaded = Loaded::of(Config::defaults(home.to_owned(), PathBuf::new()));
    if let Some(mut file) = file::optional(&home.join("config.toml"))? {
        file.entries.retain(|entry| PLACES.contains(&entry.key.as_str()));
        loaded.apply_file(&file)?;
    }
    Ok(loaded.places())
}

/// The state folder and Hermes' own, absolute.
fn folders(sources: &Sources<'_>) -> Result<(PathBuf, PathBuf), ConfigError> {
    let absolute = |path: PathBuf, name: &'static str| {
        let path = if printable(&path) {
            std::path::absolute(path)
        } else {
            Err(io::Error::new(io::ErrorKind::InvalidInput, "it holds control characters"))
        };
        path.map_err(|source| ConfigError::Folder { name, source })
    };
    let hermes_home = match environment(sources, ENV_HERMES_HOME)? {
        Some(path) => absolute(expand(path.into(), sources)?, ENV_HERMES_HOME)?,
        None => user_home(sources)?.join(".hermes"),
    };
    let home = match (&sources.flags.home, environment(sources, ENV_HOME)?) {
        (Some(path), _) => absolute(path.clone(), "--home")?,
        (None, Some(path)) => absolute(expand(path.into(), sources)?, ENV_HOME)?,
        (None, None) => hermes_home.join("security").join("traffic-guardian"),
    };
    Ok((home, hermes_home))
}

/// `~/…` as a shell would have it: service managers set variables without one.
fn expand(path: PathBuf, sources: &Sources<'_>) -> Result<PathBuf, ConfigError> {
    match path.strip_prefix("~") {
        Ok(rest) => Ok(user_home(sources)?.join(rest)),
        Err(_) => Ok(path),
    }
}

fn user_home(sources: &Sources<'_>) -> Result<PathBuf, ConfigError> {
    let home = (sources.env)("HOME").map(PathBuf::from).or_else(std::env::home_dir);
    home.filter(|path| path.is_absolute()).ok_or(ConfigError::NoHome)
}

/// A variable that is set. Set and empty is neither a value nor an absence.
fn environment(sources: &Sources<'_>, name: &'static str) -> Result<Option<OsString>, ConfigError> {
    match (sources.env)(name) {
        Some(value) if value.is_empty() => Err(ConfigError::EmptyVariable { name }),
        value => Ok(value),
    }
}

/// Paths stand in messages, units, policies and cron lines: one with a line end or an escape would be more than a path.
fn printable(path: &Path) -> bool {
    !path.to_string_lossy().contains(char::is_control)
}

/// A folder within the home: relative to it, or absolute and below it.
fn within(home: &Path, text: &str) -> Result<PathBuf, Reason> {
    use std::path::Component;
    let path = home.join(text);
    if !printable(&path) {
        return Err(Reason::new("holds control characters"));
    }
    if path.components().any(|c| c == Component::ParentDir) || !path.starts_with(home) {
        return Err(Reason::new("must lie within the state folder: all state is below it"));
    }
    // Without the `.` of "./logs", so that equal places are equal paths.
    Ok(path.components().collect())
}

#[cfg(test)]
mod tests;
