//! The exclusive lock on the state folder: one writer, and a name for it.

use super::{Home, HomeError, file};
use std::{
    fs::{File, Metadata, TryLockError},
    io::{Read, Seek, Write},
    os::unix::fs::MetadataExt,
    path::Path,
};

/// Held by the one process that may write in the state folder; free again when dropped, or when the process dies.
///
/// It is on the lock file, which has room for a name, and on the state folder itself, which nobody tidies away.
#[derive(Debug)]
pub struct Lock {
    file: File,
    nonce: String,
    // `None` on a file system that locks no folders.
    folder: Option<File>,
}

impl Lock {
    pub(super) fn take(home: &Home) -> Result<Self, HomeError> {
        let path = home.lock_file();
        let mut file = file::open(&path, file::PRIVATE, false).map_err(HomeError::io("open", &path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let pid = Stamp::read(&mut file).map(|stamp| stamp.pid);
                return Err(HomeError::Held { path: home.root().to_owned(), pid });
            }
            Err(TryLockError::Error(e)) => return Err(HomeError::io("lock", &path)(e)),
        }
        let root = home.root();
        let folder = File::open(root).map_err(HomeError::io("open", root))?;
        let folder = match folder.try_lock() {
            Ok(()) => Some(folder),
            // The holder's lock file was removed: ours is a new one.
            Err(TryLockError::WouldBlock) => return Err(HomeError::Held { path: root.to_owned(), pid: None }),
            Err(TryLockError::Error(_)) => None,
        };
        let stamp =
            Stamp { pid: std::process::id(), nonce: nonce().map_err(HomeError::io("make a nonce for", &path))? };
        stamp.write(&mut file).map_err(HomeError::io("write", &path))?;
        Ok(Self { file, nonce: stamp.nonce, folder })
    }

    /// Takes the lock again where its file, or the state folder, was removed under the holder.
    ///
    /// # Errors
    /// [`HomeError::Held`] when somebody was faster; what the system says otherwise.
    pub fn keep(&mut self, home: &Home) -> Result<(), HomeError> {
        let (path, root) = (home.lock_file(), home.root());
        if is_at(&self.file, &path) && self.folder.as_ref().is_none_or(|folder| is_at(folder, root)) {
            return Ok(());
        }
        super::make_folder(root, 0o700)?;
        super::make_folder(&home.run_dir(), 0o700)?;
        let held = |_| HomeError::Held { path: root.to_owned(), pid: None };
        let folder = File::open(root).map_err(HomeError::io("open", root))?;
        if self.folder.as_ref().is_some_and(|ours| !is_at(ours, root)) {
            folder.try_lock().map_err(held)?;
            self.folder = Some(folder);
        }
        if !is_at(&self.file, &path) {
            let mut file = file::open(&path, file::PRIVATE, false).map_err(HomeError::io("open", &path))?;
            file.try_lock().map_err(held)?;
            let stamp = Stamp { pid: std::process::id(), nonce: self.nonce.clone() };
            stamp.write(&mut file).map_err(HomeError::io("write", &path))?;
            self.file = file;
        }
        Ok(())
    }

    /// A number of this holding alone: what carries it was written by the holder.
    pub fn nonce(&self) -> &str {
        &self.nonce
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Without a holder there is no name to give. Closing the file releases the lock whatever happens here.
        let _ = self.file.set_len(0);
    }
}

/// What the holder writes into the lock file: `PID NONCE`.
pub(super) struct Stamp {
    pub(super) pid: u32,
    pub(super) nonce: String,
}

impl Stamp {
    const MAX_BYTES: u64 = 64;

    pub(super) fn read(file: &mut File) -> Option<Self> {
        let mut text = String::new();
        file.take(Self::MAX_BYTES).read_to_string(&mut text).ok()?;
        let (pid, nonce) = text.trim_end().split_once(' ')?;
        Some(Self { pid: pid.parse().ok()?, nonce: nonce.to_owned() })
    }

    fn write(&self, file: &mut File) -> std::io::Result<()> {
        file.set_len(0)?;
        file.rewind()?;
        writeln!(file, "{} {}", self.pid, self.nonce)
    }
}

/// Whether a path leads to what is open.
fn is_at(open: &File, path: &Path) -> bool {
    let same = |open: Metadata, named: Metadata| (open.dev(), open.ino()) == (named.dev(), named.ino());
    open.metadata().is_ok_and(|open| path.symlink_metadata().is_ok_and(|named| same(open, named)))
}

fn nonce() -> std::io::Result<String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)?;
    Ok(data_encoding::HEXLOWER.encode(&bytes))
}
