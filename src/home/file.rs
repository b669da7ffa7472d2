//! Bytes → a file with its final mode from birth, never through a link, and on the disk before the call returns.
//!
//! What the log and the exports do to the disk, they do here, one step at a time (`Step`): tests let any of them fail,
//! or be the last before a crash.

#[cfg(test)]
pub(crate) mod fault;
#[cfg(not(test))]
mod fault {
    /// Outside tests every step is taken, and nobody writes down which.
    #[inline]
    #[expect(clippy::unnecessary_wraps, reason = "in tests a step may fail")]
    pub(super) fn step(_: super::Step<'_>) -> std::io::Result<()> {
        Ok(())
    }

    #[inline]
    pub(super) fn opened(_: &std::path::Path, _: &std::fs::File) {}
}

use fault::step;
use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

/// One thing done to the disk.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(not(test), expect(dead_code, reason = "only tests look at it"))]
pub(crate) enum Step<'s> {
    /// Makes a file, or opens one.
    Open,
    /// Appends to a file.
    Write(&'s File, &'s [u8]),
    /// Cuts a file.
    Cut(&'s File, u64),
    /// Brings a file to the disk.
    Sync(&'s File),
    /// Brings the names in a folder to the disk.
    SyncFolder(&'s Path),
    /// Gives a file another name.
    Rename(&'s Path, &'s Path),
    /// Removes a file.
    Remove(&'s Path),
    /// Removes a folder with all that is in it.
    RemoveFolder(&'s Path),
    /// Makes a link to a name beside it.
    Link(&'s str, &'s Path),
    /// Makes a folder.
    MakeFolder(&'s Path),
    /// Looks at what is in a folder.
    List,
}

/// Only we.
pub const PRIVATE: u32 = 0o600;
/// Everyone may read.
pub const PUBLIC: u32 = 0o644;

const NOFOLLOW: i32 = rustix::fs::OFlags::NOFOLLOW.bits().cast_signed();
// Means nothing to a file. A pipe in its place must not make us wait for its other end.
const NONBLOCK: i32 = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();

/// Makes a file that must not exist yet.
///
/// # Errors
/// `AlreadyExists` when anything has the name, a dangling link included; what the system says otherwise, and then no part
/// of it stays behind.
pub fn create(path: &Path, mode: u32, bytes: &[u8]) -> io::Result<()> {
    let mut file = create_empty(path, mode)?;
    let written = append(&mut file, bytes).and_then(|()| sync(&file));
    if written.is_err() {
        // What went wrong first is what is said.
        let _ = remove(path);
    }
    written
}

fn create_empty(path: &Path, mode: u32) -> io::Result<File> {
    step(Step::Open)?;
    let file = OpenOptions::new().write(true).create_new(true).mode(mode).custom_flags(NOFOLLOW).open(path)?;
    fault::opened(path, &file);
    Ok(file)
}

/// Puts `bytes` in the place of whatever has the name: a reader sees all of the old or all of the new.
///
/// # Errors
/// What the system says; the old file is then as it was.
pub fn replace(path: &Path, mode: u32, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    // An error names no draft: it is gone by then, or never was.
    let draft = |path: &Path| OpenOptions::new().write(true).create_new(true).mode(mode).open(path);
    let mut fresh = tempfile::Builder::new().prefix(".new-").make_in(folder, draft)?;
    fresh.as_file_mut().write_all(bytes)?;
    fresh.as_file().sync_all()?;
    fresh.persist(path).map_err(|e| e.error)?;
    sync_folder(folder)
}

/// Opens, or makes, a file of ours to read and write; `O_APPEND` when asked.
///
/// # Errors
/// What the system says; `ELOOP` (as `FilesystemLoop`) for a link, `TooManyLinks` for a file that has a second name:
/// it may be somebody else's; `InvalidInput` for what is no file, such as a pipe.
pub fn open(path: &Path, mode: u32, append: bool) -> io::Result<File> {
    let mut options = OpenOptions::new();
    step(Step::Open)?;
    options.read(true).create(true).mode(mode).custom_flags(NOFOLLOW | NONBLOCK);
    if append {
        options.append(true)
    } else {
        options.write(true).truncate(false)
    };
    let file = options.open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
    }
    if metadata.nlink() > 1 {
        return Err(io::Error::new(io::ErrorKind::TooManyLinks, "it has a second name (a hard link)"));
    }
    fault::opened(path, &file);
    Ok(file)
}

/// Opens a file of ours that is there, to read it.
///
/// # Errors
/// What the system says; `ELOOP` (as `FilesystemLoop`) for a link.
pub fn open_existing(path: &Path) -> io::Result<File> {
    step(Step::Open)?;
    OpenOptions::new().read(true).custom_flags(NOFOLLOW | NONBLOCK).open(path)
}

/// Opens a file to read. A link is followed.
///
/// # Errors
/// `InvalidData` for anything but a regular file: a pipe or a device left in its place might never end. What the system
/// says otherwise.
pub fn open_to_read(path: &Path) -> io::Result<File> {
    step(Step::Open)?;
    let file = OpenOptions::new().read(true).custom_flags(NONBLOCK).open(path)?;
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(io::Error::new(io::ErrorKind::InvalidData, "not a regular file"))
    }
}

/// All of a file of at most `max` bytes.
///
/// # Errors
/// `FileTooLarge` beyond that, or as [`open_to_read`].
pub fn read(path: &Path, max: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open_to_read(path)?.take(max + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > max { Err(io::ErrorKind::FileTooLarge.into()) } else { Ok(bytes) }
}

/// Where a file says anything from byte `at` on: its end when it does not. It may have holes, and be longer than the disk.
pub(crate) fn next_data(file: &File, at: u64) -> io::Result<u64> {
    match rustix::fs::seek(file, rustix::fs::SeekFrom::Data(at)) {
        Err(rustix::io::Errno::NXIO) => Ok(file.metadata()?.len()),
        found => Ok(found?),
    }
}

/// Makes the names in a folder as durable as the files.
///
/// # Errors
/// What the system says.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    step(Step::SyncFolder(folder))?;
    File::open(folder)?.sync_all()
}

// === one step each ===

/// Appends to a file that is open.
pub(crate) fn append(file: &mut File, bytes: &[u8]) -> io::Result<()> {
    step(Step::Write(file, bytes))?;
    file.write_all(bytes)
}

/// Cuts a file that is open.
pub(crate) fn cut(file: &File, len: u64) -> io::Result<()> {
    step(Step::Cut(file, len))?;
    file.set_len(len)
}

/// Brings a file to the disk.
pub(crate) fn sync(file: &File) -> io::Result<()> {
    step(Step::Sync(file))?;
    file.sync_all()
}

/// Brings what a file holds to the disk.
pub(crate) fn sync_data(file: &File) -> io::Result<()> {
    step(Step::Sync(file))?;
    file.sync_data()
}

/// Gives a file another name. Whatever had that name loses it.
pub(crate) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    step(Step::Rename(from, to))?;
    fs::rename(from, to)
}

/// Gives a file a name that nothing has. Its caller is the one writer of the folder.
pub(crate) fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    match to.symlink_metadata() {
        Err(e) if e.kind() == io::ErrorKind::NotFound => rename(from, to),
        Err(e) => Err(e),
        Ok(_) => Err(io::ErrorKind::AlreadyExists.into()),
    }
}

/// Removes a file; none there is fine.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    step(Step::Remove(path))?;
    match fs::remove_file(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

/// Removes a folder with all that is in it.
pub(crate) fn remove_folder(path: &Path) -> io::Result<()> {
    step(Step::RemoveFolder(path))?;
    fs::remove_dir_all(path)
}

/// Makes a link that leads to a name beside it.
pub(crate) fn link(target: &str, path: &Path) -> io::Result<()> {
    step(Step::Link(target, path))?;
    std::os::unix::fs::symlink(target, path)
}

/// Makes a folder that must not exist yet.
pub(crate) fn make_folder(path: &Path, mode: u32) -> io::Result<()> {
    step(Step::MakeFolder(path))?;
    DirBuilder::new().mode(mode).create(path)
}

/// Makes a folder of ours, and those above it, where they are missing.
pub(crate) fn make_folders(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    step(Step::MakeFolder(path))?;
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// The paths of all that is in a folder; of one that is not there, none.
pub(crate) fn list(folder: &Path) -> io::Result<Vec<PathBuf>> {
    step(Step::List)?;
    match fs::read_dir(folder) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        entries => entries?.map(|entry| Ok(entry?.path())).collect(),
    }
}

/// A file that gets its name when it is whole. There is one in a folder at most, left behind by a crash or being written.
pub(crate) struct Draft {
    path: PathBuf,
    pub(crate) file: File,
}

impl Draft {
    /// An empty one, ours alone.
    pub(crate) fn new(folder: &Path) -> io::Result<Self> {
        let path = folder.join(".new");
        remove(&path)?;
        let file = create_empty(&path, PRIVATE)?;
        Ok(Self { path, file })
    }

    /// Adds so many zeros, which take no room.
    pub(crate) fn hole(&mut self, bytes: u64) -> io::Result<()> {
        if bytes == 0 {
            return Ok(());
        }
        let end = self.file.seek(SeekFrom::End(0))? + bytes;
        cut(&self.file, end)?;
        self.file.seek(SeekFrom::Start(end)).map(drop)
    }

    /// Brings it to the disk and gives it its name, which nothing may have.
    pub(crate) fn persist_new(self, path: &Path) -> io::Result<()> {
        sync(&self.file)?;
        rename_new(&self.path, path)
    }

    /// As [`Draft::persist_new`]; what has the name loses it.
    pub(crate) fn persist(self, path: &Path) -> io::Result<()> {
        sync(&self.file)?;
        rename(&self.path, path)
    }
}

impl Write for Draft {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        append(&mut self.file, bytes).map(|()| bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
