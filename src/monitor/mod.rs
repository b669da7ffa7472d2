//! Wiring only: the stages joined by bounded queues, started together and drained in their order.
//!
//! ```text
//! proxy (tokio) → tap, bounded in bytes → scanner threads → desk, bounded in findings → recorder thread → files
//!                                                             ↑ control socket
//! ```
//!
//! Nothing downstream can make anything upstream wait, and no panic, full disk or hanging scanner ends the proxy.

mod alone;
mod desk;
mod ending;
mod identity;
mod in_force;
mod inspecting;
mod knowing;
mod offline;
mod panics;
mod recorder;
mod reload;
mod scanners;
mod schedule;
mod selftest;
mod signs;
mod supervisor;
mod watch;

pub use knowing::{canary_files, read_canary, survey};
pub use offline::{offline_envelope, offline_export, offline_recover, offline_rotate, offline_stop};
pub use reload::Again;

use crate::{
    clock,
    config::Config,
    control::server::Server,
    flow::{
        capture::{Meter, Parent, Proxy, ProxySettings, Tap, ca::CaError},
        detect::Detector,
        redact::Redactor,
        store::RecoverError,
        vouch::{Settings, SuccessionError, Vouch, VouchError},
    },
    home::{Home, HomeError, Running},
    process, warned,
};
use desk::Inbox;
use ending::RunningMonitor;
use in_force::InForce;
use inspecting::Inspecting;
use keys::KeyError;
use knowing::{Knowing, Knowledge};
use posture::{Ended, InstallId, RunId};
use recorder::Parts;
use reload::Reloader;
use scanners::{Bench, Shard};
use selftest::Tests;
use signs::Signs;
use std::{
    io,
    net::SocketAddr,
    path::PathBuf,
    sync::Arc,
    thread::{self, JoinHandle},
    time::Duration,
};
use tokio::{
    runtime,
    signal::unix::{Signal, SignalKind, signal},
};
use tokio_util::sync::CancellationToken;
use watch::Watch;
use zeroize::Zeroizing;

/// Threads of the proxy, at most: on one core they would only wake each other.
const MAX_WORKERS: usize = 2;
/// Threads that scan, at most.
const MAX_SCANNERS: usize = 4;

/// How to run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Options {
    /// End when no [`crate::control::Lease`] is left.
    pub until_last_lease: bool,
    /// Decrypt and scan HTTPS, whatever the configuration says.
    pub inspect_https: bool,
}

/// A monitor that is ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Started {
    /// Where its proxy listens.
    pub listen: SocketAddr,
    /// This process.
    pub pid: u32,
    /// This run.
    pub run_id: RunId,
}

/// Why a monitor did not run.
#[derive(Debug, thiserror::Error)]
pub enum MonitorError {
    /// The state folder.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// The keys.
    #[error(transparent)]
    Keys(#[from] KeyError),
    /// The exports.
    #[error(transparent)]
    Vouch(#[from] VouchError),
    /// The address.
    #[error("could not listen on {address}")]
    Listen {
        /// As configured.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// The authority of inspected hosts.
    #[error("HTTPS cannot be inspected: {0}")]
    Ca(#[from] CaError),
    /// The log.
    #[error(transparent)]
    Recover(#[from] RecoverError),
    /// Nothing was ever signed in this state folder.
    #[error("there is no export in {} yet", home.display())]
    NothingYet {
        /// The state folder.
        home: PathBuf,
    },
    /// There is no state folder of this name.
    #[error("there is no folder {}", home.display())]
    NoHome {
        /// As configured.
        home: PathBuf,
    },
    /// Another key could not be put in the place of the signing key.
    #[error("the signing key stays as it was: {0}")]
    NotRotated(String),
    /// The system refused.
    #[error("could not {action}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// Why it failed.
        source: io::Error,
    },
}

impl MonitorError {
    /// What a person can do about it.
    pub fn hint(&self) -> String {
        match self {
            Self::Home(error) => error.hint(),
            Self::Keys(_) => "look at the folder of the keys: `hermes-traffic-guardian config show` names it".into(),
            Self::Vouch(VouchError::Succession(SuccessionError::Next { .. })) => {
                "put signing.next.pem back from a backup of the folder of the keys: `hermes-traffic-guardian config show` names it".into()
            }
            Self::Vouch(VouchError::Succession(_)) => {
                "`hermes-traffic-guardian keys show` names the keys; what is lost of them comes from a backup".into()
            }
            Self::Vouch(_) => "check that the folder of the exports can be read and written by this user".into(),
            Self::Listen { address, source } if source.kind() == io::ErrorKind::AddrInUse => {
                format!(
                    "something else listens there: choose another with --listen, or find it by port {}",
                    address.port()
                )
            }
            Self::Listen { .. } => "choose another address with --listen".into(),
            Self::Ca(error) => error.hint(),
            Self::Recover(RecoverError::Nothing) => "`hermes-traffic-guardian verify` tells what it proves".into(),
            Self::Recover(RecoverError::Io(_)) => "check the folder of the log and the disk, then try again".into(),
            Self::NotRotated(_) => "`hermes-traffic-guardian status` shows how the monitor and its log are".into(),
            Self::NoHome { .. } => "look at its name; the first `hermes-traffic-guardian start` makes it".into(),
            Self::NothingYet { .. } => {
                "`hermes-traffic-guardian start` makes one; where exports are lost, it goes on from the log, and says what is missing".into()
            }
            Self::Io { .. } => "check the limits of this user and the disk".into(),
        }
    }

    fn io(action: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { action, source }
    }
}

/// Runs a monitor until it is stopped, and returns how it ended; [`Ended::Unclean`] when its end could not be signed.
///
/// `on_ready` is called once the proxy listens, before the first export and the self-test.
///
/// # Errors
/// Whatever keeps it from starting; nothing then runs. Once it runs, trouble is degraded, never an end.
pub fn run(config: Config, options: Options, on_ready: impl FnOnce(&Started)) -> Result<Ended, MonitorError> {
    run_with(config, options, None, on_ready)
}

/// As [`run`], with a way to read the configuration again, which SIGHUP asks for. Without one, SIGHUP means nothing.
///
/// # Errors
/// As [`run`].
pub fn run_with(
    config: Config,
    options: Options,
    again: Option<Again>,
    on_ready: impl FnOnce(&Started),
) -> Result<Ended, MonitorError> {
    panics::tell_place_only();
    let config = prepared(config);
    let home = Home::open(&config)?;
    let lock = alone::lock(&home)?;
    let keys = identity::open(&home)?;
    let (vouch, last) = Vouch::open(&home, keys.signing_key)?;
    let run_id = RunId::from_bytes(&random()?);
    let new_install_id = InstallId::from_bytes(&random()?);
    let own_token = Some(keys.proxy_token.expose());
    let detector = Detector::with_rules(config.rules(), config.scan, &config.audience, own_token);
    let redactor = Redactor::new(keys.fingerprint_key.expose()).with_rules(config.rules()).knowing(detector.known());
    let redactor = Arc::new(redactor);
    let mut knowing = Knowing::open(&config, &home, keys.fingerprint_key.expose(), &detector)
        .map_err(MonitorError::io("get random bytes"))?;
    let known = knowing.look(clock::now());
    let seeing = InForce::new(Arc::clone(&detector));
    let mut inspecting = if config.inspect_https || options.inspect_https {
        Some(Inspecting::open(&config, &home, options.until_last_lease, &run_id, &seeing)?)
    } else {
        None
    };

    let runtime = proxy_threads().map_err(MonitorError::io("start the proxy's threads"))?;
    let _inside = runtime.enter();
    // A terminal that goes away is no reason to end, whether there is anything to reload or not.
    let hangup = signal(SignalKind::hangup()).map_err(MonitorError::io("listen to signals"))?;
    let signals = Signals::listen().map_err(MonitorError::io("listen to signals"))?;

    let meter = Meter::default();
    let scanners = threads(MAX_SCANNERS);
    let (tap, intakes) = Tap::new(config.scan_queue_bytes, scanners, meter.clone());
    let signs = Arc::new(Signs::new(scanners, config.export_every, tap.gauge()));
    if let Some(known) = known {
        signs.knows(known);
    }
    let token = Zeroizing::new(keys.proxy_token.expose().to_owned());
    let proxy = Proxy::bind(config.listen, &proxy_settings(&config, token, inspecting.as_ref()), tap, meter.clone())
        .map_err(|source| MonitorError::Listen { address: config.listen, source })?;
    let listen = proxy.local_addr().map_err(MonitorError::io("find the proxy's address"))?;
    let load = proxy.load();
    let prober = proxy.prober().map_err(MonitorError::io("find the proxy's address"))?;
    let control = Server::bind(&home).map_err(HomeError::io("make", &home.control_socket()))?;
    let inspection = inspecting.as_ref().map(Inspecting::told);
    let running = Running { inspection, ..Running::new(&lock, listen, run_id.clone(), clock::now()) };
    running.write(&home).map_err(HomeError::io("make", &home.monitor_json()))?;

    let (desk, found, inbox) = desk::open();
    let shutdown = CancellationToken::new();
    let redacting = InForce::new(Arc::clone(&redactor));
    let bench = Bench { detector: seeing.clone(), redactor: redacting.clone(), signs: Arc::clone(&signs), found };
    let shards = intakes.into_iter().enumerate().map(|(number, intake)| Shard::new(number, intake, bench.clone()));
    let watch = Watch::start(shards.collect(), Arc::clone(&signs), shutdown.clone());
    let watch = watch.map_err(MonitorError::io("start a scanner"))?;
    let scanners = Arc::clone(&watch.threads);
    drop(bench);
    let serving = runtime.spawn(proxy.serve(shutdown.clone()));
    runtime.spawn(watch.attend());
    supervisor::ready();
    on_ready(&Started { listen, pid: std::process::id(), run_id: run_id.clone() });

    let knowledge = Knowledge::new(knowing, Arc::clone(&signs));
    runtime.spawn(knowledge.clone().attend());
    let parts = Parts {
        settings: inspecting.iter().fold(Settings::of(&config, detector.pattern_set()), |s, i| i.stated(s)),
        vectors_sha256: detector.vectors_sha256().clone(),
        home: home.clone(),
        vouch,
        last,
        run_id,
        new_install_id,
        listen,
        meter,
        load,
        signs,
        redactor,
        config: config.clone(),
    };
    let (drain, period) = (config.timeouts.drain, InForce::new(Arc::new(config.export_every)));
    let recorder = start_recorder(parts, inbox)?;
    let tests = Tests {
        detector: seeing.clone(),
        prober,
        desk: desk.clone(),
        period: period.clone(),
        shutdown: shutdown.clone(),
    };
    // Without a thread for it, the posture keeps saying that it has not run.
    if let Err(error) = tests.spawn() {
        tracing::warn!(error = warned::why(&error), "could not start the self-test");
    }
    if let Some(renewal) = inspecting.as_mut().and_then(Inspecting::renewal) {
        runtime.spawn(renewal.attend(desk.clone()));
    }
    if let Some(again) = again {
        let inspection = inspecting.as_ref().map(|inspecting| inspecting.inspection.clone());
        let (detector, redactor, desk) = (seeing, redacting, desk.clone());
        let reloader = Reloader { again, config, detector, redactor, period, inspection, knowledge, desk };
        runtime.spawn(reloader.attend(hangup));
    }

    let monitor =
        RunningMonitor { home, lock, running, inspecting, desk, serving, shutdown, scanners, recorder, drain };
    let ended = runtime.block_on(monitor.until_the_end(signals, control, options));
    runtime.shutdown_timeout(Duration::from_secs(1));
    Ok(ended)
}

/// Prepares this process, and says how many connections it can serve.
fn prepared(config: Config) -> Config {
    process::prepare(config.max_connections);
    let max_connections = process::connections(config.max_connections);
    if max_connections < config.max_connections {
        tracing::warn!(max_connections, "the limit of open files allows fewer connections than configured");
    }
    Config { max_connections, ..config }
}

fn proxy_threads() -> io::Result<runtime::Runtime> {
    runtime::Builder::new_multi_thread()
        .worker_threads(threads(MAX_WORKERS))
        .thread_name("guardian-proxy")
        .enable_all()
        .build()
}

/// As many as there are cores, and no more than `most`.
fn threads(most: usize) -> usize {
    thread::available_parallelism().map_or(1, usize::from).min(most)
}

fn proxy_settings(config: &Config, token: Zeroizing<String>, inspecting: Option<&Inspecting>) -> ProxySettings {
    let inspection = inspecting.map(|inspecting| inspecting.inspection.clone());
    let parent = config
        .proxy_url
        .as_ref()
        .map(|proxy| Parent::new(proxy.host.clone(), proxy.port, proxy.credentials.as_ref().map(|c| c.as_str())));
    ProxySettings {
        timeouts: config.timeouts,
        max_connections: config.max_connections,
        max_exchanges: config.max_exchanges,
        max_fields: config.max_head_fields,
        max_head_bytes: config.max_head_bytes,
        inspection,
        parent,
        token,
    }
}

fn start_recorder(parts: Parts, inbox: Inbox) -> Result<JoinHandle<()>, MonitorError> {
    desk::spawn(parts, inbox).map_err(MonitorError::io("start the recorder"))
}

/// The signals that mean something here.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    /// Ending for a file that became too long would be worse than the write that fails instead (setrlimit(2)).
    _file_size: Option<Signal>,
}

impl Signals {
    fn listen() -> io::Result<Self> {
        // SIGXFSZ has this number on Linux and macOS.
        let file_size = signal(SignalKind::from_raw(25)).ok();
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            _file_size: file_size,
        })
    }

    async fn end(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

fn random() -> Result<[u8; 16], MonitorError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|e| MonitorError::io("get random bytes")(e.into()))?;
    Ok(bytes)
}
