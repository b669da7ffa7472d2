//! `config.toml` → entries, each with its line.

use super::error::Origin;
use super::{ConfigError, Shown};
use crate::{
    flow::detect::rule::position,
    home::{self, Unsafe},
};
use std::{
    fs::{File as Handle, Metadata},
    io::{self, Read},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};
use toml::de::{DeTable, DeValue};

/// No configuration is longer.
const MAX_BYTES: u64 = 1 << 20;
/// No setting has a longer key: a table's name of half a file, before each key in it, would fill the memory.
pub(super) const MAX_KEY: usize = 64;

/// A configuration file, taken apart but not judged.
#[derive(Debug)]
pub(super) struct File {
    pub(super) path: PathBuf,
    text: String,
    pub(super) entries: Vec<Entry>,
}

/// One key and what stands behind it.
#[derive(Debug)]
pub(super) struct Entry {
    /// With its table's name: `scan.max_depth`; of what is longer than any setting's, the beginning.
    pub(super) key: String,
    /// From 1.
    pub(super) line: usize,
    /// Where its key begins.
    at: usize,
    pub(super) raw: Raw,
}

/// A value before its key says what it has to be.
#[derive(Debug)]
pub(super) enum Raw {
    Text(String),
    /// As written, without its underscores.
    Integer(i64),
    Bool(bool),
    List(Vec<Raw>),
    /// One table of an array of tables.
    Table(Vec<Entry>),
    /// A table with nothing in it.
    Empty,
    /// A kind of value that no key takes.
    Other,
}

/// What a file is read for.
#[derive(Clone, Copy)]
pub(super) enum For<'f> {
    /// To do as it says, in this state folder.
    Us(&'f Path),
    /// To see where a folder has what, that may be a copy and anyone's.
    Reader,
}

impl For<'_> {
    /// Whether others decide what it says.
    fn refuses(self, file: &Metadata) -> Option<Unsafe> {
        match self {
            Self::Us(home) => home::others_decide(file, home),
            Self::Reader => Some(Unsafe::Writable(file.mode())).filter(|_| file.mode() & 0o002 != 0),
        }
    }
}

/// The file, or nothing when there is none. A link that leads nowhere is there: somebody wanted what it should lead to.
pub(super) fn optional(path: &Path, what_for: For<'_>) -> Result<Option<File>, ConfigError> {
    match read(path, what_for) {
        Err(ConfigError::Unreadable { source, .. })
            if source.kind() == io::ErrorKind::NotFound && path.symlink_metadata().is_err() =>
        {
            Ok(None)
        }
        read => read.map(Some),
    }
}

/// The file that was asked for by name.
pub(super) fn required(path: &Path, what_for: For<'_>) -> Result<Option<File>, ConfigError> {
    read(path, what_for).map(Some)
}

fn read(path: &Path, what_for: For<'_>) -> Result<File, ConfigError> {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let text = read_text(&path, MAX_BYTES, what_for);
    let text = match text.map_err(|source| ConfigError::Unreadable { path: path.clone(), source })? {
        Ok(text) => text,
        Err(why) => return Err(ConfigError::Unsafe { path, why }),
    };
    let table = DeTable::parse(&text).map_err(|e| {
        let (line, column) = position(&text, e.span().unwrap_or_default().start);
        // The parser's words are its own: it repeats nothing.
        ConfigError::Syntax { line, column, message: e.message().to_owned(), path: path.clone() }
    })?;
    let mut entries = Vec::new();
    Lines::of(&text).flatten("", table.get_ref(), &mut entries);
    entries.sort_by_key(|e| e.line);
    drop(table);
    Ok(File { path, text, entries })
}

/// A text of at most `most` bytes, a whole number of KiB, unless others decide what it says.
pub(super) fn read_text(path: &Path, most: u64, what_for: For<'_>) -> io::Result<Result<String, Unsafe>> {
    // A pipe would be waited for before it could be seen to be one.
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    let file = Handle::open(path)?;
    if let Some(why) = what_for.refuses(&file.metadata()?) {
        return Ok(Err(why));
    }
    let mut bytes = Vec::new();
    file.take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("longer than {}", Shown::Bytes(most))));
    }
    let text = String::from_utf8(bytes).map_err(|e| {
        let before = &e.as_bytes()[..e.utf8_error().valid_up_to()];
        let line = memchr::memchr_iter(b'\n', before).count() + 1;
        io::Error::new(io::ErrorKind::InvalidData, format!("line {line} is not valid UTF-8"))
    })?;
    Ok(Ok(text))
}

/// Where the lines of a text end: whoever writes a file decides how many places in it are asked for.
struct Lines(Vec<usize>);

impl Lines {
    fn of(text: &str) -> Self {
        Self(memchr::memchr_iter(b'\n', text.as_bytes()).collect())
    }

    /// The line of a place, from 1.
    fn line(&self, at: usize) -> usize {
        self.0.partition_point(|end| *end < at) + 1
    }

    fn flatten(&self, table_name: &str, table: &DeTable<'_>, out: &mut Vec<Entry>) {
        for (name, value) in table {
            let key = key(table_name, name.get_ref());
            let entry = |key, at, raw| Entry { key, line: self.line(at), at, raw };
            let at = name.span().start;
            match value.get_ref() {
                DeValue::Table(inner) if inner.is_empty() => out.push(entry(key, at, Raw::Empty)),
                DeValue::Table(inner) => self.flatten(&key, inner, out),
                DeValue::Array(items) if !items.is_empty() && items.iter().all(|i| i.get_ref().is_table()) => {
                    let tables = items.iter();
                    out.extend(tables.map(|one| entry(key.clone(), one.span().start, self.raw(one.get_ref()))));
                }
                value => out.push(entry(key, at, self.raw(value))),
            }
        }
    }

    fn raw(&self, value: &DeValue<'_>) -> Raw {
        match value {
            DeValue::String(value) => Raw::Text(value.to_string()),
            DeValue::Boolean(value) => Raw::Bool(*value),
            DeValue::Integer(value) => {
                i64::from_str_radix(value.as_str(), value.radix()).map_or(Raw::Other, Raw::Integer)
            }
            DeValue::Array(items) => Raw::List(items.iter().map(|item| self.raw(item.get_ref())).collect()),
            DeValue::Table(table) => {
                let mut entries = Vec::new();
                self.flatten("", table, &mut entries);
                Raw::Table(entries)
            }
            DeValue::Datetime(value) => Raw::Text(value.to_string()),
            DeValue::Float(_) => Raw::Other,
        }
    }
}

/// A key with its table's name, or the beginning of one that no setting can have.
fn key(table: &str, name: &str) -> String {
    let dot = if table.is_empty() { "" } else { "." };
    [table, dot, name].iter().flat_map(|part| part.chars()).take(MAX_KEY + 1).collect()
}

impl File {
    /// Where an entry of this file stands.
    pub(super) fn place(&self, entry: &Entry) -> Origin {
        Origin::File { path: self.path.clone(), line: entry.line }
    }

    /// The column of an entry's key, from 1.
    pub(super) fn column(&self, entry: &Entry) -> usize {
        position(&self.text, entry.at).1
    }
}
