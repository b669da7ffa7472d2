//! A configuration → whether its values agree: what no single one shows.

use super::{
    Config, ConfigError, Loaded, UpstreamProxy,
    error::Reason,
    load::{KEYS_DIR, PLACES, SEGMENT_BYTES},
};
use crate::flow::capture::ca::Roots;
use posture::CaMode;
use std::{net::SocketAddr, path::PathBuf};

/// Folders of the state folder that no setting moves: authorities, canaries, and what a running monitor has alone.
const OWN_FOLDERS: [&str; 3] = ["ca", "canaries", "run"];
const LOG_DIR: &str = PLACES[0];
const EXPORT_DIR: &str = PLACES[1];

impl Loaded {
    /// What no single value shows.
    pub(super) fn check(&self, signed_places: &[PathBuf; 2]) -> Result<(), ConfigError> {
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
        self.check_folders()?;
        self.check_places(signed_places)
    }

    /// Whether what is secret stands apart from what others are shown, and from what comes and goes.
    fn check_folders(&self) -> Result<(), ConfigError> {
        let Config { home, log_dir, export_dir, keys_dir, .. } = &self.config;
        let refuse = |key: &'static str, reason: &str| Err(Reason::new(reason).of(key, self.origin_of(key)));
        if keys_dir == home {
            return refuse(KEYS_DIR, "must be a folder of its own: others may look in the state folder");
        }
        if keys_dir.starts_with(export_dir) || export_dir.starts_with(keys_dir) {
            let key = if self.origin.contains_key(KEYS_DIR) { KEYS_DIR } else { EXPORT_DIR };
            return refuse(key, "the private keys and the exports must lie apart: the exports are for others");
        }
        if log_dir.starts_with(export_dir) {
            return refuse(LOG_DIR, "must lie apart from the exports: their numbered folders come and go");
        }
        let secret = OWN_FOLDERS.map(|name| home.join(name));
        for (key, folder) in [(LOG_DIR, log_dir), (EXPORT_DIR, export_dir)] {
            if secret.iter().chain([keys_dir]).any(|secret| folder.starts_with(secret)) {
                return refuse(key, "is a folder of secrets, or within one");
            }
        }
        Ok(())
    }

    /// Whether the log and the exports are where a reader of the folder looks.
    pub(super) fn check_places(&self, signed_places: &[PathBuf; 2]) -> Result<(), ConfigError> {
        for (key, (now, signed)) in PLACES.into_iter().zip(self.places().iter().zip(signed_places)) {
            if now != signed {
                let reason = "a reader of the folder looks in its config.toml alone: it must say the same";
                return Err(Reason::new(reason).of(key, self.origin_of(key)));
            }
        }
        Ok(())
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
pub(super) fn segment_bounds(max_bytes: u64) -> (u64, u64) {
    (max_bytes / 4096, max_bytes / 4)
}
