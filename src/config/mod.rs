//! defaults < file < environment < flags → one checked Config.
//!
//! Every value knows its origin, and every complaint names the key and the place. A setting that nothing would use is
//! refused as an unknown one is: what is configured holds, or nothing starts.

mod check;
mod error;
mod file;
mod folder;
mod load;
mod reload;
mod rules;
mod settings;
mod suppress;
mod value;

pub use error::{ConfigError, Origin};
pub use folder::home;
pub use load::{FlagValues, Loaded, Sources, check_environment, places_in};
pub use settings::{SETTINGS, Setting};
pub use value::{Shown, UpstreamProxy};

pub use crate::flow::{capture::Timeouts, detect::audience::Entry as AudienceEntry};

use crate::flow::{
    detect::{Limits, rule::RuleSet},
    suppress::Suppression,
};
use posture::{CaMode, Retention, Sha256Hex};
use sha2::{Digest, Sha256};
use std::{
    collections::BTreeMap,
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

/// The authority that a monitor takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Authority<'c> {
    /// One of its own, for as long as it runs.
    Ephemeral,
    /// The one that `ca init` made.
    Generated,
    /// The operator's.
    Operator {
        /// Its certificate.
        certificate: &'c Path,
        /// Its key.
        key: &'c Path,
    },
}

impl CaSettings {
    /// The authority that a monitor takes, of `start` or of `run`.
    pub fn authority(&self, for_runs: bool) -> Authority<'_> {
        match (self.mode, &self.certificate, &self.key) {
            (Some(CaMode::Operator), Some(certificate), Some(key)) => Authority::Operator { certificate, key },
            (Some(CaMode::Ephemeral), ..) => Authority::Ephemeral,
            (None, ..) if for_runs => Authority::Ephemeral,
            // A configuration whose operator's authority lacks a file is none.
            _ => Authority::Generated,
        }
    }
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

#[cfg(test)]
mod tests;
