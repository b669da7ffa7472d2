//! Config → the state folder: its paths, its permissions, and the lock that makes us single.
//!
//! The folder is ours alone: no link, our owner, writable by nobody else, and the same holds for every folder above it.
//! Otherwise someone else could put another folder, with another key, in its place.

mod check;
pub mod file;
mod lock;
mod running;

pub use check::Unsafe;
pub use lock::Lock;
pub use running::{Inspecting, Running, process_start_time};

use crate::config::Config;
use posture::RunId;
use std::{
    io,
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::{Path, PathBuf},
};

const OWNER: u32 = 0o700;
/// The bits of a group that may read.
const READERS: u32 = 0o050;

/// Why the state folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum HomeError {
    /// Someone else could change what we keep there.
    #[error("the folder {} is not safe to use: {why}", path.display())]
    Unsafe {
        /// The folder.
        path: PathBuf,
        /// What is wrong with it.
        why: Unsafe,
    },
    /// Another process works on the folder.
    #[error("{} is in use by {}", path.display(), holder(*pid))]
    Held {
        /// The state folder.
        path: PathBuf,
        /// The holder, when it said who it is.
        pid: Option<u32>,
    },
    /// The system refused.
    #[error("could not {action} {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which path.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
}

impl HomeError {
    /// What a person can do about it.
    pub fn hint(&self) -> String {
        match self {
            Self::Unsafe { path, why } => why.hint(path),
            Self::Held { pid: Some(pid), .. } => {
                format!("`hermes-traffic-guardian status` shows process {pid}; `stop` ends it")
            }
            Self::Held { pid: None, .. } => "wait for the other command to finish, then try again".into(),
            Self::Io { path, .. } => format!("check that {} can be read and written by this user", path.display()),
        }
    }

    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { action, path: path.to_owned(), source }
    }
}

fn holder(pid: Option<u32>) -> String {
    pid.map_or_else(|| "another process".into(), |pid| format!("process {pid}"))
}

/// The paths of the state folder. Having one says nothing about what is there: [`Home::open`] does.
#[derive(Debug, Clone)]
pub struct Home {
    root: PathBuf,
    keys_dir: PathBuf,
    keys_are_lent: bool,
    log_dir: PathBuf,
    export_dir: PathBuf,
}

impl Home {
    /// The paths alone: nothing is read, made or checked.
    pub fn of(config: &Config) -> Self {
        Self {
            root: config.home.clone(),
            keys_dir: config.keys_dir.clone(),
            keys_are_lent: config.keys_are_lent,
            log_dir: config.log_dir.clone(),
            export_dir: config.export_dir.clone(),
        }
    }

    /// Checks the folder and makes what is missing, each folder 0700 from birth; the exports may be read by those
    /// who may read the home. The folder of the keys is left to
    /// [`keys::file`]: it may lie elsewhere and be another's, such as `$CREDENTIALS_DIRECTORY`.
    ///
    /// # Errors
    /// [`HomeError::Unsafe`] when it, or a folder above it, is not ours alone; [`HomeError::Io`] when it cannot be made.
    pub fn open(config: &Config) -> Result<Self, HomeError> {
        let home = Self::of(config);
        make_folder(&home.root, OWNER)?;
        check::is_ours_alone(&home.root)?;
        // Readers the operator let into the home are readers of the exports; nothing else there is for them.
        let readers = std::fs::metadata(&home.root).map_err(HomeError::io("look at", &home.root))?.mode() & READERS;
        for (folder, mode) in [(&home.log_dir, OWNER), (&home.export_dir, OWNER | readers), (&home.run_dir(), OWNER)] {
            make_folder(folder, mode)?;
            check::leaf(folder)?;
        }
        Ok(home)
    }

    /// Takes the lock that makes us the one writer of this folder, until the [`Lock`] is dropped.
    ///
    /// # Errors
    /// [`HomeError::Held`] names the process that has it.
    pub fn lock(&self) -> Result<Lock, HomeError> {
        Lock::take(self)
    }

    /// The monitor at work on this folder, if there is one: read and checked against the lock and the process table.
    pub fn running(&self) -> Option<Running> {
        Running::read(self)
    }

    /// The state folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Private keys.
    pub fn keys_dir(&self) -> &Path {
        &self.keys_dir
    }

    /// Whether the service manager provides the private keys: others in their place would be gone with the next start.
    pub fn keys_are_lent(&self) -> bool {
        self.keys_are_lent
    }

    /// The trust anchor, `signing.pub.pem`.
    pub fn public_key(&self) -> PathBuf {
        self.root.join("signing.pub.pem")
    }

    /// The statements by which one signing key gave way to another.
    pub fn rotations(&self) -> PathBuf {
        self.root.join(attest::folder::ROTATIONS)
    }

    /// Where the log is.
    pub fn log_dir(&self) -> &Path {
        &self.log_dir
    }

    /// Where the exports are.
    pub fn export_dir(&self) -> &Path {
        &self.export_dir
    }

    /// What only a running monitor has.
    pub fn run_dir(&self) -> PathBuf {
        self.root.join("run")
    }

    /// The monitor's socket.
    pub fn control_socket(&self) -> PathBuf {
        self.run_dir().join("control.sock")
    }

    /// Who the running monitor is.
    pub fn monitor_json(&self) -> PathBuf {
        self.run_dir().join("monitor.json")
    }

    /// What only one run has.
    pub fn folder_of_run(&self, run: &RunId) -> PathBuf {
        self.run_dir().join(run.as_str())
    }

    /// What is kept of planted canaries: a file each.
    pub fn canaries_dir(&self) -> PathBuf {
        self.root.join("canaries")
    }

    /// The operator's settings.
    pub fn config_file(&self) -> PathBuf {
        self.root.join("config.toml")
    }

    fn lock_file(&self) -> PathBuf {
        self.run_dir().join("lock")
    }
}

/// Checks that a folder below the state folder is ours and nobody else can write to it.
///
/// # Errors
/// [`HomeError::Unsafe`] says what is wrong with it.
pub fn ours(folder: &Path) -> Result<(), HomeError> {
    check::leaf(folder)
}

/// Checks that nobody else could put another folder in the place of this one.
///
/// # Errors
/// [`HomeError::Unsafe`] says what is wrong with it or a folder above it; [`HomeError::Io`] when it cannot be looked at.
pub fn safe(folder: &Path) -> Result<(), HomeError> {
    check::is_ours_alone(folder)
}

/// Whether somebody else decides what is in a file that tells us what to do in this state folder: it is another's, or one
/// they can write to.
pub fn others_decide(file: &std::fs::Metadata, root: &Path) -> Option<Unsafe> {
    let owner = std::fs::metadata(root).map_or_else(|_| check::us(), |folder| folder.uid());
    check::others_decide(file, owner)
}

fn make_folder(path: &Path, mode: u32) -> Result<(), HomeError> {
    match std::fs::DirBuilder::new().recursive(true).mode(mode).create(path) {
        // A link to a folder "exists" for the builder; the check that follows refuses it by name.
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other.map_err(HomeError::io("make the folder", path)),
    }
}

#[cfg(test)]
pub(crate) mod tests;
