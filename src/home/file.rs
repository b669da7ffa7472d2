//! Bytes → a file with its final mode from birth, never through a link, and on the disk before the call returns.

use std::{
    fs::{File, OpenOptions, Permissions},
    io::{self, Read, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::Path,
};

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
/// `AlreadyExists` when anything has the name, a dangling link included; what the system says otherwise.
pub fn create(path: &Path, mode: u32, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).custom_flags(NOFOLLOW).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Puts `bytes` in the place of whatever has the name: a reader sees all of the old or all of the new.
///
/// # Errors
/// What the system says; the old file is then as it was.
pub fn replace(path: &Path, mode: u32, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    let mut fresh =
        tempfile::Builder::new().prefix(".new-").permissions(Permissions::from_mode(mode)).tempfile_in(folder)?;
    fresh.write_all(bytes)?;
    fresh.as_file().sync_all()?;
    fresh.persist(path).map_err(|e| e.error)?;
    sync_folder(folder)
}

/// Opens, or makes, a file of ours to read and write; `O_APPEND` when asked.
///
/// # Errors
/// What the system says; `ELOOP` (as `FilesystemLoop`) for a link.
pub fn open(path: &Path, mode: u32, append: bool) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).create(true).mode(mode).custom_flags(NOFOLLOW | NONBLOCK);
    if append {
        options.append(true)
    } else {
        options.write(true).truncate(false)
    };
    options.open(path)
}

/// Opens a file to read. A link is followed.
///
/// # Errors
/// `InvalidData` for anything but a regular file: a pipe or a device left in its place might never end. What the system
/// says otherwise.
pub fn open_to_read(path: &Path) -> io::Result<File> {
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

/// Makes the names in a folder as durable as the files.
///
/// # Errors
/// What the system says.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}
