//! Config → an authority at work, its bundle where clients are pointed at, and what is said of both.

use crate::{
    clock,
    config::Config,
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
use posture::{CaMode, RunId};
use std::{
    fs, io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    sync::Arc,
};

/// Inspection for one run.
pub(super) struct Inspecting {
    pub(super) inspection: Inspection,
    authority: Arc<Ca>,
    bundle: PathBuf,
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
        detector: &Arc<Detector>,
    ) -> Result<Self, CaError> {
        let now = clock::now();
        let unsaid = if for_runs { CaMode::Ephemeral } else { CaMode::Generated };
        let kept = CaFolder::of(home.root());
        let ca = match (config.ca.mode.unwrap_or(unsaid), &config.ca.certificate, &config.ca.key) {
            (CaMode::Operator, Some(certificate), Some(key)) => ca::operator(certificate, key, now)?,
            (CaMode::Ephemeral, ..) => Ca::ephemeral(now)?,
            _ => kept.open(now)?.0,
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
        let detector = Arc::clone(detector);
        let vendors = Arc::new(move |host: &str| detector.is_vendors(host));
        let inspection = Inspection::new(leaves, &roots, config.pass_through.clone(), vendors)?;
        Ok(Self { inspection, authority, bundle, _folder: folder })
    }

    /// What other commands have to know.
    pub(super) fn told(&self) -> home::Inspecting {
        home::Inspecting { bundle: self.bundle.clone(), not_after: self.authority.not_after() }
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
