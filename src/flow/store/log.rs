//! Lines → one append-only file that is still the one we opened.

use crate::home::file::{self, Draft};
use std::{
    fs::{self, File},
    io::{self, Read, Seek, SeekFrom, Write},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

/// The segment that is written to.
pub(super) const NEWEST: &str = "findings.jsonl";

/// The open file, and how much of it is whole lines of ours.
#[derive(Debug)]
pub(super) struct Log {
    path: PathBuf,
    file: File,
    len: u64,
    /// Names in its folder changed since it was synced.
    renamed: bool,
}

/// What became of the file's name since we opened it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// It leads to our file, as we left it.
    Ours,
    /// It leads nowhere; our file lives on only in our descriptor.
    Gone,
    /// It leads to another file, or someone else wrote to ours.
    Changed,
}

impl Log {
    /// Opens the file, or makes it and its folder.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let folder = folder_of(path)?;
        file::make_folders(folder)?;
        let file = file::open(path, file::PRIVATE, true)?;
        let found = file.metadata()?;
        if !found.is_file() {
            // A device in its place might never end.
            return Err(io::ErrorKind::InvalidData.into());
        }
        let len = found.len();
        if len == 0 {
            file::sync_folder(folder)?;
        }
        Ok(Self { path: path.to_owned(), file, len, renamed: false })
    }

    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Appends one line: all of it, or nothing.
    pub(super) fn append(&mut self, line: &[u8]) -> io::Result<()> {
        let written = file::append(&mut self.file, line);
        if written.is_ok() {
            self.len += line.len() as u64;
        } else {
            // Should this fail as well, `standing` finds the file longer than it should be, and the tail is set aside.
            let _ = file::cut(&self.file, self.len);
        }
        written
    }

    pub(super) fn sync(&mut self) -> io::Result<()> {
        file::sync_data(&self.file)?;
        if self.renamed {
            file::sync_folder(folder_of(&self.path)?)?;
            self.renamed = false;
        }
        Ok(())
    }

    pub(super) fn standing(&self) -> io::Result<Standing> {
        let named = match fs::symlink_metadata(&self.path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => None,
            other => Some(other?),
        };
        let ours = self.file.metadata()?;
        let Some(named) = named else {
            // Of what was cut before it was removed there is nothing whole to restore.
            return Ok(if ours.len() < self.len { Standing::Changed } else { Standing::Gone });
        };
        let same = (named.dev(), named.ino(), named.len()) == (ours.dev(), ours.ino(), self.len);
        Ok(if same { Standing::Ours } else { Standing::Changed })
    }

    /// Gives a file whose name is gone its name back, with all it held.
    pub(super) fn restore(&mut self) -> io::Result<()> {
        let folder = folder_of(&self.path)?;
        file::make_folders(folder)?;
        let mut fresh = Draft::new(folder)?;
        self.file.rewind()?;
        let copied = io::copy(&mut (&self.file).take(self.len), &mut fresh)?;
        if copied != self.len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        fresh.persist_new(&self.path)?;
        file::sync_folder(folder)?;
        *self = Self::open(&self.path)?;
        Ok(())
    }

    /// Gives the file the name of a sealed segment and begins the next with this line. After an error, open anew.
    pub(super) fn roll(&mut self, sealed: &Path, line: &[u8]) -> io::Result<()> {
        let folder = folder_of(&self.path)?;
        let mut fresh = Draft::new(folder)?;
        fresh.write_all(line)?;
        file::sync(&fresh.file)?;
        // Behind a segment that was sealed nothing is repaired: it is on the disk first.
        file::sync(&self.file)?;
        file::rename_new(&self.path, sealed)?;
        // Or a power cut might leave the next one in its place, and it without a name.
        file::sync_folder(folder)?;
        fresh.persist_new(&self.path)?;
        *self = Self { renamed: true, ..Self::open(&self.path)? };
        Ok(())
    }
}

/// Moves everything from byte `from` of the first of these segments on to `damaged-<seq>.jsonl`. What is left of that
/// one is the newest segment then.
pub(super) fn set_aside(segments: &[PathBuf], from: u64, seq: u64) -> io::Result<()> {
    let Some((damaged, later)) = segments.split_first() else { return Ok(()) };
    let folder = folder_of(damaged)?;
    let mut copy = Draft::new(folder)?;
    copy_rest(&open_private(damaged)?, from, &mut copy)?;
    for path in later {
        copy_rest(&open_private(path)?, 0, &mut copy)?;
    }
    copy.persist_new(&free_name(damaged_names(folder, "damaged", seq))?)?;
    file::sync_folder(folder)?;
    for path in later.iter().rev() {
        file::remove(path)?;
    }
    let cut = file::open(damaged, file::PRIVATE, true)?;
    file::cut(&cut, from)?;
    file::sync(&cut)?;
    match is_sealed(damaged) {
        true if from == 0 => file::remove(damaged)?,
        true => file::rename(damaged, &folder.join(NEWEST))?,
        false => {}
    }
    file::sync_folder(folder)
}

/// Copies a file from byte `from` on. Holes stay holes: a file may be longer than the disk.
fn copy_rest(mut file: &File, from: u64, copy: &mut Draft) -> io::Result<()> {
    let (len, mut at) = (file.metadata()?.len(), from);
    while at < len {
        let data = file::next_data(file, at)?;
        copy.hole(data - at)?;
        at = data;
        if data < len {
            at = rustix::fs::seek(file, rustix::fs::SeekFrom::Hole(data))?;
            file.seek(SeekFrom::Start(data))?;
            io::copy(&mut file.take(at - data), copy)?;
        }
    }
    Ok(())
}

/// The first of these names that nothing has.
pub(super) fn free_name(mut names: impl Iterator<Item = PathBuf>) -> io::Result<PathBuf> {
    names.find(|name| name.symlink_metadata().is_err()).ok_or_else(|| io::ErrorKind::AlreadyExists.into())
}

/// The sealed segments, oldest first.
pub(super) fn sealed(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = file::list(folder)?;
    paths.retain(|path| is_sealed(path));
    paths.sort_unstable();
    Ok(paths)
}

/// The name of the sealed segment that begins with record `seq`.
pub(super) fn sealed_name(folder: &Path, seq: u64) -> PathBuf {
    folder.join(format!("findings-{seq:012}.jsonl"))
}

fn is_sealed(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str());
    let digits = name.and_then(|n| n.strip_prefix("findings-")).and_then(|n| n.strip_suffix(".jsonl"));
    digits.is_some_and(|digits| digits.len() == 12 && digits.bytes().all(|b| b.is_ascii_digit()))
}

/// Opens a segment to read it. A link or a device in its place is refused: it might never end.
pub(super) fn open_private(path: &Path) -> io::Result<File> {
    let file = file::open_existing(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::ErrorKind::InvalidData.into()) }
}

/// The names that what is set aside at `seq` may have, in the order they are taken.
pub(super) fn damaged_names(folder: &Path, stem: &'static str, seq: u64) -> impl Iterator<Item = PathBuf> {
    let more = (2_u32..).map(move |n| format!("{stem}-{seq:012}-{n}.jsonl"));
    std::iter::once(format!("{stem}-{seq:012}.jsonl")).chain(more).map({
        let folder = folder.to_owned();
        move |name| folder.join(name)
    })
}

fn folder_of(path: &Path) -> io::Result<&Path> {
    path.parent().ok_or_else(|| io::ErrorKind::InvalidInput.into())
}
