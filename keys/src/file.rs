//! Bytes → a key file with its final mode, and back only if nobody else could reach it.

use crate::{KeyError, PublicKey};
use rustix::fs::OFlags;
use std::{
    fs::{File, Metadata, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::Path,
};
use tempfile::NamedTempFile;
use zeroize::Zeroizing;

/// No key file is larger, in bytes.
pub const MAX_BYTES: u64 = 16 * 1024;

/// Makes a file only its owner can read (0600). Nothing is overwritten and no link followed; it survives power loss.
///
/// # Errors
/// [`KeyError::Exists`], or [`KeyError::Io`]: then no part of it stays behind.
pub fn create_private(path: &Path, bytes: &[u8]) -> Result<(), KeyError> {
    create(path, 0o600, bytes)
}

/// Makes a file everybody can read (0644, less the umask), otherwise as [`create_private`].
///
/// # Errors
/// As [`create_private`].
pub fn create_public(path: &Path, bytes: &[u8]) -> Result<(), KeyError> {
    create(path, 0o644, bytes)
}

/// Puts a file everybody can read (0644, less the umask) in the place of whatever has the name: a reader sees all of the
/// old or all of the new.
///
/// # Errors
/// [`KeyError::Io`].
pub fn replace_public(path: &Path, bytes: &[u8]) -> Result<(), KeyError> {
    let draft = draft(path, 0o644, bytes)?;
    draft.persist(path).map_err(|e| KeyError::io("replace", path)(e.error))?;
    sync_parent(path)
}

fn create(path: &Path, mode: u32, bytes: &[u8]) -> Result<(), KeyError> {
    draft(path, mode, bytes)?.persist_noclobber(path).map_err(|e| match e.error.kind() {
        io::ErrorKind::AlreadyExists => KeyError::Exists { path: path.to_owned() },
        _ => KeyError::io("create", path)(e.error),
    })?;
    sync_parent(path)
}

// Under its name a key is whole or not there: half a one, left by a process that was killed, would be refused for good.
fn draft(path: &Path, mode: u32, bytes: &[u8]) -> Result<NamedTempFile, KeyError> {
    // An error names no draft: it is gone by then, or never was.
    let new = |draft: &Path| OpenOptions::new().write(true).create_new(true).mode(mode).open(draft);
    let draft = tempfile::Builder::new().prefix(".new-").make_in(parent(path), new);
    let mut draft = draft.map_err(KeyError::io("create", path))?;
    draft
        .as_file_mut()
        .write_all(bytes)
        .and_then(|()| draft.as_file().sync_all())
        .map_err(KeyError::io("write", path))?;
    Ok(draft)
}

/// Makes the names in the folder of `path` as durable as its files.
pub(crate) fn sync_parent(path: &Path) -> Result<(), KeyError> {
    File::open(parent(path)).and_then(|folder| folder.sync_all()).map_err(KeyError::io("write", path))
}

fn parent(path: &Path) -> &Path {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Reads a secret, if it is a regular file of ours that nobody else can reach, of at most [`MAX_BYTES`].
///
/// A file of root's may be readable by its group: systemd hands out credentials so.
///
/// # Errors
/// [`KeyError::Symlink`], [`KeyError::Kind`], [`KeyError::Owner`], [`KeyError::Mode`], [`KeyError::TooLarge`] or
/// [`KeyError::Io`].
pub fn read_private(path: &Path) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let (file, found) = open_regular(path, OFlags::NOFOLLOW)?;
    check_reach(path, &found, 0o440)?;
    bounded(path, file)
}

/// Reads a public key from SPKI PEM of at most [`MAX_BYTES`]. A symlink is followed: whose file it is does not matter.
///
/// # Errors
/// [`KeyError::In`] with what is wrong with the key, or as [`read_private`].
pub fn read_public(path: &Path) -> Result<PublicKey, KeyError> {
    let bytes = bounded(path, open_regular(path, OFlags::empty())?.0)?;
    let pem = std::str::from_utf8(&bytes).map_err(|_| KeyError::PublicKeyForm.within(path))?;
    PublicKey::from_pem(pem).map_err(|e| e.within(path))
}

/// Refuses what somebody else owns or can reach. What root owns may have the bits `root_may` besides.
pub(crate) fn check_reach(path: &Path, found: &Metadata, root_may: u32) -> Result<(), KeyError> {
    let (owner, user) = (found.uid(), rustix::process::geteuid().as_raw());
    if owner != user && owner != 0 {
        return Err(KeyError::Owner { path: path.to_owned(), owner, user });
    }
    let mode = found.mode() & 0o7777;
    let allowed = if owner == user { 0o700 } else { 0o700 | root_may };
    if mode & !allowed == 0 { Ok(()) } else { Err(KeyError::Mode { path: path.to_owned(), mode }) }
}

// NONBLOCK: opening a pipe somebody left there must not wait for a writer.
fn open_regular(path: &Path, extra: OFlags) -> Result<(File, Metadata), KeyError> {
    let opened = OpenOptions::new().read(true).custom_flags(flags(extra | OFlags::NONBLOCK)).open(path);
    let file = opened.map_err(|e| match rustix::io::Errno::from_io_error(&e) {
        Some(rustix::io::Errno::LOOP) => KeyError::Symlink { path: path.to_owned() },
        _ => KeyError::io("read", path)(e),
    })?;
    let found = file.metadata().map_err(KeyError::io("read", path))?;
    if !found.is_file() {
        return Err(KeyError::Kind { path: path.to_owned(), expected: "regular file" });
    }
    Ok((file, found))
}

fn bounded(path: &Path, file: File) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    // Room from the start: a buffer that grows leaves copies of a secret behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(MAX_BYTES).expect("16 KiB") + 1));
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(KeyError::io("read", path))?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(KeyError::TooLarge { path: path.to_owned(), limit: MAX_BYTES });
    }
    Ok(bytes)
}

fn flags(flags: OFlags) -> i32 {
    i32::try_from(flags.bits()).expect("open flags are a C int")
}
