//! Folder → whether someone else could change what is in it (the rule of OpenSSH's `StrictModes`).

use super::HomeError;
use std::{
    fmt,
    fs::{self, Metadata},
    os::unix::fs::MetadataExt,
    path::Path,
};

const BY_GROUP: u32 = 0o020;
const BY_EVERYONE: u32 = 0o002;
const WRITABLE_BY_OTHERS: u32 = BY_GROUP | BY_EVERYONE;
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

/// Whether somebody else decides what is in a file by which we are told what to do, in a state folder of this owner.
///
/// A group of our own may write to it: with a umask of 002 it may to every file. In a folder that is not ours nothing is
/// run; whoever looks at it looks at what its owner says.
pub(super) fn others_decide(file: &Metadata, folder: u32) -> Option<Unsafe> {
    let group = rustix::process::getegid().as_raw();
    decide(Who { user: file.uid(), group: file.gid() }, file.mode(), Who { user: us(), group }, folder)
}

/// A user and a group of theirs.
#[derive(Clone, Copy)]
struct Who {
    user: u32,
    group: u32,
}

fn decide(file: Who, mode: u32, us: Who, folder: u32) -> Option<Unsafe> {
    if mode & BY_EVERYONE != 0 {
        return Some(Unsafe::Writable(mode));
    }
    if ![0, us.user, folder].contains(&file.user) {
        return Some(Unsafe::Owner(file.user));
    }
    let of_ours = [0, us.user].contains(&file.user);
    let by_others = mode & BY_GROUP != 0 && ![0, us.group].contains(&file.group);
    (of_ours && by_others).then_some(Unsafe::Writable(mode))
}

pub(super) fn us() -> u32 {
    rustix::process::geteuid().as_raw()
}

#[cfg(test)]
mod tests {
    use super::{Unsafe, Who, decide};

    #[test]
    fn a_file_is_ours_when_nobody_else_says_what_is_in_it() {
        let us = Who { user: 1000, group: 1000 };
        let (owner, writable) = (Some(Unsafe::Owner(1001)), |mode| Some(Unsafe::Writable(mode)));
        for (user, group, mode, folder, want) in [
            (1000, 1000, 0o100_600, 1000, None),
            (1000, 1000, 0o100_664, 1000, None),
            (1000, 100, 0o100_644, 1000, None),
            (1000, 100, 0o100_664, 1000, writable(0o100_664)),
            (1000, 0, 0o100_664, 1000, None),
            (1000, 1000, 0o100_602, 1000, writable(0o100_602)),
            (0, 0, 0o100_664, 1000, None),
            (0, 1000, 0o100_660, 1000, None),
            (0, 100, 0o100_660, 1000, writable(0o100_660)),
            (1001, 1000, 0o100_600, 1000, owner),
            (1001, 1001, 0o100_664, 1001, None),
            (1001, 1001, 0o100_666, 1001, writable(0o100_666)),
        ] {
            assert_eq!(decide(Who { user, group }, mode, us, folder), want, "{user}:{group} {mode:o} in {folder}'s");
        }
    }
}
