//! Config → an authority at work, its bundle where clients are pointed at, and what is said of both.

use super::{desk::Desk, in_force::InForce, schedule::ClockWatch};
use crate::{
    clock,
    config::{Authority, Config},
    flow::{
        capture::{
            Inspection,
            ca::{self, Ca, CaError, CaFolder, Leaves, Roots},
        },
        detect::Detector,
        vouch::Settings,
    },
    home::{self, Home, file},
};
use posture::{CaMode, RunId, Sha256Hex, Timestamp};
use std::{
    fs, io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{task::spawn_blocking, time::sleep};

/// Inspection for one run.
pub(super) struct Inspecting {
    pub(super) inspection: Inspection,
    authority: Arc<Ca>,
    bundle: PathBuf,
    renewal: Option<Renewal>,
    /// The folder of this run, removed with this.
    _folder: Option<RunFolder>,
}

impl Inspecting {
    /// Opens the authority the configuration asks for, and writes its bundle.
    ///
    /// # Errors
    /// There is no authority, or it cannot be used, or there are no roots to check upstream servers against.
    pub(super) fn open(
        config: &Config,
        home: &Home,
        for_runs: bool,
        run: &RunId,
        detector: &InForce<Detector>,
    ) -> Result<Self, CaError> {
        let now = clock::now();
        let kept = CaFolder::of(home.root());
        let ca = match config.ca.authority(for_runs) {
            Authority::Operator { certificate, key } => ca::operator(certificate, key, now)?,
            Authority::Ephemeral => Ca::ephemeral(now)?,
            Authority::Generated => kept.open(now)?.0,
        };
        let roots = Roots::load(config.ca_bundle.as_deref())?;
        remove_left_behind(home);
        let (bundle, folder) = if ca.mode() == CaMode::Ephemeral {
            let folder = RunFolder::make(home.folder_of_run(run))?;
            let path = folder.0.join("bundle.pem");
            let text = ca::bundle(&roots, &ca);
            file::create(&path, file::PRIVATE, text.as_bytes()).map_err(|e| trouble("write", &path, e))?;
            (path, Some(folder))
        } else {
            kept.write_bundle(&roots, &ca)?;
            (kept.bundle(), None)
        };
        let leaves = Arc::new(Leaves::new(ca)?);
        let authority = leaves.authority();
        let renewal = (authority.mode() == CaMode::Generated).then(|| Renewal {
            folder: kept,
            leaves: Arc::clone(&leaves),
            roots: roots.clone(),
        });
        let detector = detector.clone();
        let vendors = Arc::new(move |host: &str| detector.now().is_vendors(host));
        let inspection = Inspection::new(leaves, &roots, config.pass_through.clone(), vendors)?;
        Ok(Self { inspection, authority, bundle, renewal, _folder: folder })
    }

    /// What other commands have to know.
    pub(super) fn told(&self) -> home::Inspecting {
        let not_after = (self.authority.mode() != CaMode::Generated).then(|| self.authority.not_after());
        home::Inspecting { bundle: self.bundle.clone(), not_after }
    }

    /// What keeps a generated authority alive, once.
    pub(super) fn renewal(&mut self) -> Option<Renewal> {
        self.renewal.take()
    }

    /// What documents say.
    pub(super) fn stated(&self, settings: Settings) -> Settings {
        Settings {
            ca: self.authority.stated(),
            ca_fingerprint_sha256: Some(self.authority.fingerprint()),
            https_inspection: true,
            ..settings
        }
    }
}

/// A generated authority is renewed while it is at work: a monitor may run for longer than a certificate lives.
pub(super) struct Renewal {
    folder: CaFolder,
    leaves: Arc<Leaves>,
    roots: Roots,
}

impl Renewal {
    /// Looks once an hour and whenever the clock was set, for as long as it is polled.
    pub(super) async fn attend(self, desk: Desk) {
        let this = Arc::new(self);
        let mut looks = Looks::new(clock::now(), Instant::now());
        loop {
            sleep(Duration::from_secs(1)).await;
            if !looks.is_due(clock::now(), Instant::now()) {
                continue;
            }
            let look = Arc::clone(&this);
            let renewed = spawn_blocking(move || look.renew(clock::now())).await;
            match renewed {
                Ok(Ok(Some((ca, fingerprint)))) => desk.renewed(ca, fingerprint).await,
                Ok(Ok(None)) => {}
                Ok(Err(error)) => tracing::warn!("could not renew the certificate authority: {error}; trying again"),
                Err(_) => tracing::warn!("could not renew the certificate authority; trying again"),
            }
        }
    }

    /// What there is to say of a renewed authority.
    fn renew(&self, now: Timestamp) -> Result<Option<(posture::Ca, Sha256Hex)>, CaError> {
        if !self.leaves.authority().is_due(now) {
            return Ok(None);
        }
        let (ca, _) = self.folder.open(now)?;
        // Before anything is signed under it. Who read the older bundle trusts the same key by its older certificate.
        self.folder.write_bundle(&self.roots, &ca)?;
        let said = (ca.stated(), ca.fingerprint());
        self.leaves.renew(ca);
        Ok(Some(said))
    }
}

/// When to look whether the authority is to be renewed.
struct Looks {
    clock: ClockWatch,
    last: Instant,
}

impl Looks {
    /// So much time between them, unless the clock was set.
    const APART: Duration = Duration::from_secs(3600);

    fn new(now: Timestamp, at: Instant) -> Self {
        Self { clock: ClockWatch::new(now, at), last: at }
    }

    fn is_due(&mut self, now: Timestamp, at: Instant) -> bool {
        let was_set = self.clock.look(now, at).is_some();
        let is_due = was_set || at.saturating_duration_since(self.last) >= Self::APART;
        if is_due {
            self.last = at;
        }
        is_due
    }
}

/// What one run has to itself.
struct RunFolder(PathBuf);

impl RunFolder {
    fn make(path: PathBuf) -> Result<Self, CaError> {
        fs::DirBuilder::new().mode(0o700).create(&path).map_err(|e| trouble("make the folder", &path, e))?;
        Ok(Self(path))
    }
}

impl Drop for RunFolder {
    fn drop(&mut self) {
        // What stays is removed by the next run.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Runs that were killed leave their folder. We hold the lock: none of them is at work.
fn remove_left_behind(home: &Home) {
    let Ok(entries) = fs::read_dir(home.run_dir()) else { return };
    for entry in entries.flatten() {
        let is_run = entry.file_name().to_str().is_some_and(|name| name.parse::<RunId>().is_ok());
        if is_run && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

fn trouble(action: &'static str, path: &Path, source: io::Error) -> CaError {
    CaError::Io { action, path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_authority_is_looked_at_once_an_hour_and_when_the_clock_was_set() {
        let (mut now, mut at) = (clock::now(), Instant::now());
        let mut looks = Looks::new(now, at);
        let mut due_in = |seconds: u32, set: chrono::Duration| {
            at += Duration::from_secs(1) * seconds;
            now = now.plus(chrono::Duration::seconds(seconds.into()) + set);
            looks.is_due(now, at)
        };
        let (not_set, a_year) = (chrono::Duration::zero(), chrono::Duration::days(365));
        assert!(!due_in(1, not_set) && !due_in(3598, not_set) && due_in(1, not_set));
        for set in [a_year, -a_year] {
            assert!(due_in(1, set) && !due_in(1, not_set));
        }
        assert!(!due_in(3598, not_set) && due_in(1, not_set));
    }

    #[test]
    fn an_authority_at_work_is_renewed_when_it_is_due_and_signs_at_once() {
        let home = tempfile::tempdir().unwrap();
        let (extra, now) = (home.path().join("extra.pem"), clock::now());
        let text = rcgen::generate_simple_self_signed(vec!["a.root".to_owned()]).unwrap().cert.pem();
        file::create(&extra, file::PRIVATE, text.as_bytes()).unwrap();
        let roots = Roots::load(Some(&extra)).unwrap();
        let folder = CaFolder::of(home.path());
        let made = folder.init(&roots, now).unwrap();
        let (key, first) = (made.key_sha256(), made.fingerprint());
        let renewal = Renewal { folder, leaves: Arc::new(Leaves::new(made).unwrap()), roots };
        assert!(renewal.renew(now).unwrap().is_none());
        let later = now.plus(chrono::Duration::days(300));
        let (said, fingerprint) = renewal.renew(later).unwrap().unwrap();
        assert_eq!(said.key_sha256, Some(key));
        assert_ne!(fingerprint, first);
        assert_eq!(renewal.leaves.authority().fingerprint(), fingerprint);
        assert!(renewal.renew(later).unwrap().is_none(), "once");
        let bundle = fs::read_to_string(renewal.folder.bundle()).unwrap();
        assert!(bundle.contains(fs::read_to_string(renewal.folder.certificate()).unwrap().trim()));
    }
}
