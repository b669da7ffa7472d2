//! State folder → bytes. Read-only and bounded: a home, or a copy of one on another machine.

use crate::chain::{FIRST_SEQ, MAX_LINE_BYTES};
use keys::{KeyError, PublicKey};
use rustix::fs::OFlags;
use serde::{Serialize, Serializer};
use std::{
    collections::VecDeque,
    fmt,
    fs::{self, File, OpenOptions},
    io::{self, BufRead, BufReader, Read},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::Arc,
};

/// No document is larger, in bytes.
pub const MAX_DOCUMENT_BYTES: u64 = 1024 * 1024;
/// The trust anchor, in the home.
pub const PUBLIC_KEY: &str = "signing.pub.pem";
/// The statements by which one key gave way to another, in the home.
pub const ROTATIONS: &str = "rotations.jsonl";
/// The signed statement, in a generation.
pub const POSTURE: &str = "posture.json";
/// The signed summary, in a generation.
pub const STATE: &str = "state.json";
/// The link to the newest generation, beside the generations.
pub const CURRENT: &str = "current";
/// The newest segment of the log.
pub const NEWEST_SEGMENT: &str = "findings.jsonl";
const SIGNATURE: &str = ".sig";

/// A path, as a message and a report show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place(PathBuf);

impl From<&Path> for Place {
    fn from(path: &Path) -> Self {
        Self(path.to_owned())
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.display().fmt(f)
    }
}

/// As it is displayed: a path need not be UTF-8.
impl Serialize for Place {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Why something in the folder could not be read.
#[derive(Debug, thiserror::Error, Serialize)]
#[serde(tag = "code", rename_all = "snake_case")]
#[non_exhaustive]
pub enum FolderError {
    /// The folder is not there.
    #[error("{path}: no such file or folder")]
    NoFolder {
        /// The folder.
        path: Place,
    },
    /// Nothing was ever exported here.
    #[error("{path}: no export yet")]
    NoExport {
        /// Where exports should be.
        path: Place,
    },
    /// `current` is something other than a link to a generation beside it.
    #[error("{path}: not a relative link to a generation, a name of 12 digits")]
    Current {
        /// The link.
        path: Place,
    },
    /// A file that must be there is not.
    #[error("{path} is missing")]
    Missing {
        /// The file.
        path: Place,
    },
    /// Something other than a file.
    #[error("{path}: not a regular file")]
    Kind {
        /// The path.
        path: Place,
    },
    /// A document larger than [`MAX_DOCUMENT_BYTES`].
    #[error("{path}: larger than {MAX_DOCUMENT_BYTES} bytes")]
    TooLarge {
        /// The file.
        path: Place,
    },
    /// A line longer than [`MAX_LINE_BYTES`].
    #[error("{path} line {line}: longer than {MAX_LINE_BYTES} bytes")]
    LineTooLong {
        /// The segment.
        path: Place,
        /// Its line, from 1.
        line: u64,
    },
    /// The file system said no.
    #[error("could not read {path}: {source}")]
    Unreadable {
        /// The path.
        path: Place,
        /// Its answer.
        #[serde(skip)]
        source: io::Error,
    },
}

impl FolderError {
    fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| match source.kind() {
            io::ErrorKind::NotFound => Self::Missing { path: path.into() },
            _ => Self::Unreadable { path: path.into(), source },
        }
    }
}

/// A state folder, or a single posture.
#[derive(Debug, Clone)]
pub struct Folder {
    home: PathBuf,
    log: PathBuf,
    export: PathBuf,
    lone: bool,
}

impl Folder {
    /// A folder with the log in it and the exports in `export`; or, if `path` is a file, a posture alone.
    pub fn open(path: &Path) -> Self {
        Self { lone: path.is_file(), ..Self::with_places(path, path, &path.join("export")) }
    }

    /// A folder whose log and exports were configured to stand elsewhere in it.
    pub fn with_places(home: &Path, log: &Path, export: &Path) -> Self {
        Self { home: home.to_owned(), log: log.to_owned(), export: export.to_owned(), lone: false }
    }

    /// The folder's own public key; `None` for a posture alone.
    pub(crate) fn anchor(&self) -> Option<Result<PublicKey, KeyError>> {
        (!self.lone).then(|| keys::file::read_public(&self.home.join(PUBLIC_KEY)))
    }

    /// Where the rotations are, if there were any; `None` for a posture alone.
    pub(crate) fn rotations(&self) -> Option<PathBuf> {
        (!self.lone).then(|| self.home.join(ROTATIONS))
    }

    /// The newest generation. This is the one place where `current` is followed: everything else is read inside what
    /// it named then. Without a `current` (archives drop links) it is the highest complete generation.
    ///
    /// # Errors
    /// [`FolderError::Current`], [`FolderError::NoFolder`], [`FolderError::NoExport`] or [`FolderError::Unreadable`].
    pub fn current(&self) -> Result<Generation, FolderError> {
        if self.lone {
            return Ok(Generation { posture: self.home.clone(), state: None, number: None, named: true });
        }
        let path = self.export.join(CURRENT);
        match fs::read_link(&path) {
            Ok(target) => target
                .to_str()
                .and_then(|name| number(name).map(|n| self.generation(n, true)))
                .ok_or_else(|| FolderError::Current { path: path.as_path().into() }),
            Err(e) if e.kind() == io::ErrorKind::InvalidInput => {
                Err(FolderError::Current { path: path.as_path().into() })
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                let highest = self.generations()?.pop();
                highest.map(|n| self.generation(n, false)).ok_or_else(|| self.no_export())
            }
            Err(e) => Err(FolderError::io(&path)(e)),
        }
    }

    /// The numbers of all complete generations, ascending.
    ///
    /// # Errors
    /// [`FolderError::NoFolder`], [`FolderError::NoExport`] or [`FolderError::Unreadable`].
    pub fn generations(&self) -> Result<Vec<u64>, FolderError> {
        let names = names(&self.export).map_err(|e| match e {
            FolderError::Missing { .. } => self.no_export(),
            other => other,
        })?;
        let mut numbers: Vec<_> = names.iter().filter_map(|name| number(name)).collect();
        numbers.retain(|n| self.generation(*n, false).is_complete());
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// Why there is no export: what is not there is named.
    fn no_export(&self) -> FolderError {
        match fs::metadata(&self.home) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => FolderError::NoFolder { path: self.home.as_path().into() },
            _ => FolderError::NoExport { path: self.export.as_path().into() },
        }
    }

    pub(crate) fn generation(&self, number: u64, named: bool) -> Generation {
        let folder = self.export.join(format!("{number:012}"));
        Generation { posture: folder.join(POSTURE), state: Some(folder.join(STATE)), number: Some(number), named }
    }

    /// The log from its oldest retained line on.
    ///
    /// # Errors
    /// [`FolderError::Missing`] without any segment, [`FolderError::Kind`] or [`FolderError::Unreadable`].
    pub fn log(&self) -> Result<Log, FolderError> {
        self.log_retained_from(FIRST_SEQ)
    }

    /// As [`Folder::log`], of a log whose records below `first_seq` were pruned: segments that hold them may vanish
    /// while it is read, and are passed over then.
    pub(crate) fn log_retained_from(&self, first_seq: u64) -> Result<Log, FolderError> {
        // Opened before the list is read: a monitor that seals it in between only makes it stand in the list as well.
        let path = self.log.join(NEWEST_SEGMENT);
        let newest = open(&path);
        let mut names = names(&self.log)?;
        names.retain(|name| sealed_from(name).is_some());
        names.sort_unstable();
        let mut segments: VecDeque<_> = names.iter().map(|name| (self.log.join(name), None)).collect();
        match newest {
            // Between sealing one segment and beginning the next there is no newest.
            Err(FolderError::Missing { .. }) if !segments.is_empty() => {}
            opened => {
                let opened = opened?;
                let inode = |found: fs::Metadata| (found.dev(), found.ino());
                let here = inode(opened.metadata().map_err(FolderError::io(&path))?);
                if !segments.iter().any(|(path, _)| fs::metadata(path).is_ok_and(|found| inode(found) == here)) {
                    segments.push_back((path, Some(opened)));
                }
            }
        }
        let mut log = Log {
            segments,
            first_seq,
            reader: None,
            path: Path::new("").into(),
            line: 0,
            bytes: Vec::new(),
            gap: false,
        };
        log.next_segment()?;
        Ok(log)
    }
}

/// One export: a posture, a state, and their signatures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generation {
    posture: PathBuf,
    state: Option<PathBuf>,
    number: Option<u64>,
    named: bool,
}

impl Generation {
    /// Its number, the posture's `sequence`; `None` for a posture alone.
    pub fn number(&self) -> Option<u64> {
        self.number
    }

    /// Whether `current` named it, or it was only the highest one there.
    pub fn is_named(&self) -> bool {
        self.named
    }

    /// Where the posture is.
    pub fn posture(&self) -> &Path {
        &self.posture
    }

    /// Where the state is; `None` for a posture alone.
    pub fn state(&self) -> Option<&Path> {
        self.state.as_deref()
    }

    fn is_complete(&self) -> bool {
        let documents = [Some(&self.posture), self.state.as_ref()];
        documents.into_iter().flatten().all(|p| p.is_file() && signature_path(p).is_file())
    }
}

/// Where the signature over a document is.
pub(crate) fn signature_path(document: &Path) -> PathBuf {
    let mut path = document.as_os_str().to_owned();
    path.push(SIGNATURE);
    path.into()
}

/// The bytes of a document or a signature, at most [`MAX_DOCUMENT_BYTES`].
///
/// # Errors
/// [`FolderError`].
pub fn read(path: &Path) -> Result<Vec<u8>, FolderError> {
    let mut bytes = Vec::new();
    open(path)?.take(MAX_DOCUMENT_BYTES + 1).read_to_end(&mut bytes).map_err(FolderError::io(path))?;
    if bytes.len() as u64 > MAX_DOCUMENT_BYTES { Err(FolderError::TooLarge { path: path.into() }) } else { Ok(bytes) }
}

// NONBLOCK: opening a pipe somebody left there must not wait for a writer.
fn open(path: &Path) -> Result<File, FolderError> {
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).expect("open flags are a C int");
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(FolderError::io(path))?;
    if file.metadata().map_err(FolderError::io(path))?.is_file() {
        Ok(file)
    } else {
        Err(FolderError::Kind { path: path.into() })
    }
}

fn names(folder: &Path) -> Result<Vec<String>, FolderError> {
    let entries = fs::read_dir(folder).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    Ok(entries.map_err(FolderError::io(folder))?.into_iter().filter_map(|e| e.file_name().into_string().ok()).collect())
}

/// The first record of the sealed segment of this name.
fn sealed_from(name: &str) -> Option<u64> {
    name.strip_prefix("findings-").and_then(|n| n.strip_suffix(".jsonl")).and_then(number)
}

/// The number in a name of exactly 12 digits.
fn number(name: &str) -> Option<u64> {
    let digits = name.len() == 12 && name.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| name.parse().ok()).flatten()
}

/// The lines of the log, one at a time, segment by segment.
#[derive(Debug)]
pub struct Log {
    segments: VecDeque<(PathBuf, Option<File>)>,
    first_seq: u64,
    reader: Option<BufReader<File>>,
    path: Arc<Path>,
    line: u64,
    bytes: Vec<u8>,
    gap: bool,
}

/// One line and where it stands.
#[derive(Debug, Clone, Copy)]
pub struct Line<'a> {
    /// Without its LF.
    pub bytes: &'a [u8],
    /// False for a last line that was cut off before its LF.
    pub complete: bool,
    /// True for the first line behind a pruned segment that vanished while the log was read.
    pub after_gap: bool,
    /// The segment.
    pub path: &'a Arc<Path>,
    /// Its line in the segment, from 1.
    pub number: u64,
}

impl Log {
    /// The next line; `None` behind the last one.
    ///
    /// # Errors
    /// [`FolderError::LineTooLong`], or as [`Folder::log`] for a segment that cannot be opened.
    pub fn next_line(&mut self) -> Result<Option<Line<'_>>, FolderError> {
        loop {
            let Some(reader) = &mut self.reader else { return Ok(None) };
            self.bytes.clear();
            let limit = MAX_LINE_BYTES as u64 + 1;
            reader.take(limit).read_until(b'\n', &mut self.bytes).map_err(FolderError::io(&self.path))?;
            if !self.bytes.is_empty() {
                break;
            }
            self.next_segment()?;
        }
        self.line += 1;
        let complete = self.bytes.last() == Some(&b'\n');
        if !complete && self.bytes.len() > MAX_LINE_BYTES {
            return Err(FolderError::LineTooLong { path: (*self.path).into(), line: self.line });
        }
        let bytes = self.bytes.strip_suffix(b"\n").unwrap_or(&self.bytes);
        let after_gap = std::mem::take(&mut self.gap);
        Ok(Some(Line { bytes, complete, after_gap, path: &self.path, number: self.line }))
    }

    fn next_segment(&mut self) -> Result<(), FolderError> {
        self.reader = None;
        while let Some((path, file)) = self.segments.pop_front() {
            let file = match file.map_or_else(|| open(&path), Ok) {
                Err(FolderError::Missing { .. }) if self.is_pruned(&path) => {
                    self.gap = true;
                    continue;
                }
                opened => opened?,
            };
            self.reader = Some(BufReader::with_capacity(MAX_LINE_BYTES, file));
            (self.path, self.line) = (path.into(), 0);
            break;
        }
        Ok(())
    }

    fn is_pruned(&self, segment: &Path) -> bool {
        let name = segment.file_name().and_then(|name| name.to_str());
        name.and_then(sealed_from).is_some_and(|seq| seq < self.first_seq)
    }
}
