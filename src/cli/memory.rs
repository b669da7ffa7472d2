//! `verify --memory FILE`: the reader's own file, held under a lock, replaced as a whole.

use super::Trouble;
use crate::home::file;
use attest::memory;
use posture::Memory;
use std::{
    ffi::OsString,
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

/// No memory is longer.
const MAX_BYTES: u64 = 64 << 10;
/// Another verification with the same memory is over within this time.
const LOCKED_WITHIN: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// A memory that nobody else advances meanwhile.
pub(super) struct Kept {
    path: PathBuf,
    /// Released when it is closed.
    _lock: File,
    /// What it holds; nothing before the first verification.
    pub(super) memory: Option<Memory>,
}

impl Kept {
    /// Takes the lock beside the file, and reads it.
    ///
    /// A memory within `verified` would be set back together with it, and is refused.
    pub(super) fn open(path: &Path, verified: &Path) -> Result<Self, Trouble> {
        let path = resolved(path)?;
        if fs::canonicalize(verified).is_ok_and(|folder| path.starts_with(folder)) {
            let why = format!("{} lies in the folder that is verified, and would be set back with it", path.display());
            return Err(Trouble::usage(why).hint("keep the memory on the reader's side"));
        }
        let lock = lock(&path)?;
        let memory = match file::read(&path, MAX_BYTES) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => None,
            Err(e) => return Err(Trouble::file("read", &path, &e)),
            Ok(bytes) => Some(memory::read(&bytes).map_err(|problem| {
                let trouble = Trouble::io(format!("{}: {problem}", path.display()));
                trouble.hint("restore it; or, to begin to remember anew, move it away")
            })?),
        };
        Ok(Self { path, _lock: lock, memory })
    }

    /// Replaces what is remembered.
    pub(super) fn keep(&self, memory: &Memory) -> Result<(), Trouble> {
        if self.memory.as_ref() == Some(memory) {
            return Ok(());
        }
        let bytes = memory::to_vec(memory).map_err(|e| Trouble::from_error(&e))?;
        file::replace(&self.path, file::PRIVATE, &bytes).map_err(|e| Trouble::file("write", &self.path, &e))
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

/// Through every link: what is replaced is the file, not a link to it.
fn resolved(path: &Path) -> Result<PathBuf, Trouble> {
    if let Ok(path) = fs::canonicalize(path) {
        return Ok(path);
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = path.file_name().ok_or_else(|| Trouble::usage(format!("{} is not a file's name", path.display())))?;
    let folder = fs::canonicalize(folder).map_err(|e| Trouble::file("read", folder, &e))?;
    Ok(folder.join(name))
}

fn lock(path: &Path) -> Result<File, Trouble> {
    let mut name = OsString::from(path);
    name.push(".lock");
    let path = PathBuf::from(name);
    let lock = file::open(&path, file::PRIVATE, false).map_err(|e| Trouble::file("open", &path, &e))?;
    let deadline = Instant::now() + LOCKED_WITHIN;
    loop {
        match lock.try_lock() {
            Ok(()) => return Ok(lock),
            Err(TryLockError::Error(e)) => return Err(Trouble::file("lock", &path, &e)),
            Err(TryLockError::WouldBlock) if Instant::now() >= deadline => {
                return Err(Trouble::io(format!("{} is held by another verification", path.display())));
            }
            Err(TryLockError::WouldBlock) => thread::sleep(LOOK_EVERY),
        }
    }
}
