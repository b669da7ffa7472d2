//! Folder → whether someone else could change what is in it (the rule of OpenSSH's `StrictModes`).

use super::HomeError;
use std::{
    fmt,
    fs::{self, Metadata},
    os::unix::fs::MetadataExt,
    path::Path,
};

const WRITABLE_BY_OTHERS: u32 = 0o022;
const STICKY: u32 = 0o1000;

/// What is wrong with a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unsafe {
    /// It is a symbolic link.
    Link,
    /// It is something else.
    NotAFolder,
    /// It belongs to this user, neither us nor (for a folder above ours) root.
    Owner(u32),
    /// Its mode lets a group or everyone write.
    Writable(u32),
}

impl fmt::Display for Unsafe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Link => f.write_str("it is a symbolic link"),
            Self::NotAFolder => f.write_str("it is not a folder"),
            Self::Owner(uid) => write!(f, "it belongs to user {uid}"),
            Self::Writable(mode) => write!(f, "others can write to it (mode {:04o})", mode & 0o7777),
        }
    }
}

impl Unsafe {
    pub(super) fn hint(self, path: &Path) -> String {
        let path = path.display();
        match self {
            Self::Link | Self::NotAFolder => format!("move {path} away, or choose another state folder"),
            Self::Owner(_) => "run as the folder's owner, or choose another state folder".into(),
            Self::Writable(_) => format!("chmod go-w {path}"),
        }
    }
}

/// Checks `folder` itself and, through every link, each folder above it.
pub(super) fn is_ours_alone(folder: &Path) -> Result<(), HomeError> {
    leaf(folder)?;
    let real = folder.canonicalize().map_err(HomeError::io("resolve", folder))?;
    for above in real.ancestors().skip(1) {
        let meta = fs::symlink_metadata(above).map_err(HomeError::io("look at", above))?;
        if let Some(why) = above_is_unsafe(&meta) {
            return Err(HomeError::Unsafe { path: above.to_owned(), why });
        }
    }
    Ok(())
}

/// Checks one of our own folders.
pub(super) fn leaf(folder: &Path) -> Result<(), HomeError> {
    let meta = fs::symlink_metadata(folder).map_err(HomeError::io("look at", folder))?;
    let why = if meta.is_symlink() {
        Unsafe::Link
    } else if !meta.is_dir() {
        Unsafe::NotAFolder
    } else if meta.uid() != us() {
        Unsafe::Owner(meta.uid())
    } else if meta.mode() & WRITABLE_BY_OTHERS != 0 {
        Unsafe::Writable(meta.mode())
    } else {
        return Ok(());
    };
    Err(HomeError::Unsafe { path: folder.to_owned(), why })
}

fn above_is_unsafe(meta: &Metadata) -> Option<Unsafe> {
    if meta.uid() != 0 && meta.uid() != us() {
        return Some(Unsafe::Owner(meta.uid()));
    }
    // In a sticky folder, such as /tmp, nobody but the owner of an entry may rename or remove it.
    let open = meta.mode() & WRITABLE_BY_OTHERS != 0 && meta.mode() & STICKY == 0;
    open.then(|| Unsafe::Writable(meta.mode()))
}

pub(super) fn us() -> u32 {
    rustix::process::geteuid().as_raw()
}
