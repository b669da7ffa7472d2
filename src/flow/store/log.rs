//! Lines → one append-only file that is still the one we opened.

use crate::home::file;
use std::{
    fs::{self, File},
    io::{self, BufReader, Read, Seek, SeekFrom, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::{Path, PathBuf},
};

/// The open file, and how much of it is whole lines of ours.
#[derive(Debug)]
pub(super) struct Log {
    path: PathBuf,
    file: File,
    len: u64,
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
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
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
        Ok(Self { path: path.to_owned(), file, len })
    }

    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// The file from its beginning.
    pub(super) fn reader(&mut self) -> io::Result<impl io::BufRead> {
        self.file.rewind()?;
        Ok(BufReader::with_capacity(64 << 10, &self.file))
    }

    /// Appends one line: all of it, or nothing.
    pub(super) fn append(&mut self, line: &[u8]) -> io::Result<()> {
        let written = self.file.write_all(line);
        if written.is_ok() {
            self.len += line.len() as u64;
        } else {
            // Should this fail as well, `standing` finds the file longer than it should be, and the tail is set aside.
            let _ = self.file.set_len(self.len);
        }
        written
    }

    pub(super) fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    pub(super) fn standing(&self) -> io::Result<Standing> {
        let named = match fs::symlink_metadata(&self.path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Standing::Gone),
            other => other?,
        };
        let ours = self.file.metadata()?;
        let same = (named.dev(), named.ino(), named.len()) == (ours.dev(), ours.ino(), self.len);
        Ok(if same { Standing::Ours } else { Standing::Changed })
    }

    /// Gives a file whose name is gone its name back, with all it held.
    pub(super) fn restore(&mut self) -> io::Result<()> {
        let folder = folder_of(&self.path)?;
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let mut fresh = tempfile::Builder::new().prefix(".new-").tempfile_in(folder)?;
        self.file.rewind()?;
        let copied = io::copy(&mut (&self.file).take(self.len), fresh.as_file_mut())?;
        if copied != self.len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        fresh.as_file().sync_all()?;
        fresh.persist_noclobber(&self.path).map_err(|e| e.error)?;
        file::sync_folder(folder)?;
        *self = Self::open(&self.path)?;
        Ok(())
    }

    /// Moves everything from byte `from` on to `damaged-<seq>.jsonl`.
    pub(super) fn set_aside(&mut self, from: u64, seq: u64) -> io::Result<()> {
        let folder = folder_of(&self.path)?;
        let mut copy = tempfile::Builder::new().prefix(".new-").tempfile_in(folder)?;
        self.file.seek(SeekFrom::Start(from))?;
        io::copy(&mut &self.file, copy.as_file_mut())?;
        copy.as_file().sync_all()?;
        for name in damaged_names(folder, seq) {
            match copy.persist_noclobber(&name) {
                Ok(_) => break,
                Err(e) if e.error.kind() == io::ErrorKind::AlreadyExists => copy = e.file,
                Err(e) => return Err(e.error),
            }
        }
        file::sync_folder(folder)?;
        self.file.set_len(from)?;
        self.file.sync_all()?;
        self.len = from;
        Ok(())
    }
}

/// The names damage at `seq` may have, in the order they are taken.
pub(super) fn damaged_names(folder: &Path, seq: u64) -> impl Iterator<Item = PathBuf> {
    let more = (2_u32..).map(move |n| format!("damaged-{seq:012}-{n}.jsonl"));
    std::iter::once(format!("damaged-{seq:012}.jsonl")).chain(more).map({
        let folder = folder.to_owned();
        move |name| folder.join(name)
    })
}

fn folder_of(path: &Path) -> io::Result<&Path> {
    path.parent().ok_or_else(|| io::ErrorKind::InvalidInput.into())
}
