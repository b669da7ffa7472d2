//! The folder of the log → its records, oldest first, and those that are appended.

use super::Trouble;
use crate::home::file;
use attest::chain::{MAX_LINE_BYTES, Record, read_line};
use std::{
    fs::File,
    io::{BufRead, BufReader, Read, Seek, SeekFrom},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

/// Every line of every segment of the log in `folder`, oldest first; answers the last file read.
pub(super) fn each_record(
    folder: &Path,
    mut on: impl FnMut(Option<Record>) -> Result<(), Trouble>,
) -> Result<Option<Tail>, Trouble> {
    let mut tail = None;
    for path in segments(folder)? {
        // A sealed segment that was pruned since it was listed.
        let mut reader = match Tail::open(&path) {
            Err(_) if !path.exists() => continue,
            opened => opened?,
        };
        reader.read(&mut on)?;
        tail = Some(reader);
    }
    Ok(tail)
}

/// The log's files, oldest first: sealed segments by the number in their name, then the newest.
fn segments(folder: &Path) -> Result<Vec<PathBuf>, Trouble> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(Trouble::file("read", folder, &e)),
    };
    let name_of = |path: &PathBuf| path.file_name().and_then(|n| n.to_str()).map(str::to_owned);
    let is_segment = |name: &str| name.strip_prefix("findings-").and_then(|rest| rest.strip_suffix(".jsonl")).is_some();
    let mut sealed: Vec<_> =
        entries.flatten().map(|e| e.path()).filter(|p| name_of(p).is_some_and(|n| is_segment(&n))).collect();
    sealed.sort();
    let newest = folder.join("findings.jsonl");
    sealed.extend(newest.exists().then_some(newest));
    Ok(sealed)
}

/// A file of the log, read as far as it goes, and further when it grows.
pub(super) struct Tail {
    pub(super) path: PathBuf,
    reader: BufReader<File>,
    inode: u64,
    read: u64,
}

impl Tail {
    pub(super) fn open(path: &Path) -> Result<Self, Trouble> {
        let trouble = |e| Trouble::file("read", path, &e);
        let file = file::open_to_read(path).map_err(trouble)?;
        let inode = file.metadata().map_err(trouble)?.ino();
        Ok(Self { path: path.to_owned(), reader: BufReader::new(file), inode, read: 0 })
    }

    /// Every whole line from here on; `None` is a line that is no record. An end without a line end is being written.
    pub(super) fn read(&mut self, mut on: impl FnMut(Option<Record>) -> Result<(), Trouble>) -> Result<(), Trouble> {
        let limit = MAX_LINE_BYTES as u64 + 1;
        let mut line = Vec::new();
        loop {
            line.clear();
            let trouble = |e| Trouble::file("read", &self.path, &e);
            (&mut self.reader).take(limit).read_until(b'\n', &mut line).map_err(trouble)?;
            let whole = line.ends_with(b"\n") || line.len() as u64 == limit;
            if !whole {
                self.reader.seek(SeekFrom::Start(self.read)).map_err(trouble)?;
                return Ok(());
            }
            self.read += line.len() as u64;
            if !line.ends_with(b"\n") {
                // No line is as long. A file may be longer than the disk, and nobody reads what is not there.
                self.read = file::next_data(self.reader.get_ref(), self.read).map_err(trouble)?;
                self.reader.seek(SeekFrom::Start(self.read)).map_err(trouble)?;
            }
            on(read_line(line.strip_suffix(b"\n").unwrap_or(&line)).ok())?;
        }
    }

    pub(super) fn is_still(&self) -> bool {
        std::fs::metadata(&self.path).is_ok_and(|found| found.ino() == self.inode)
    }
}
