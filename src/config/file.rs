//! `config.toml` → entries, each with its line.

use super::error::Origin;
use super::{ConfigError, Shown};
use crate::flow::detect::rule::position;
use std::{
    fs::File as Handle,
    io::{self, Read},
    os::unix::fs::PermissionsExt,
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

/// The file, or nothing when there is none.
pub(super) fn optional(path: &Path) -> Result<Option<File>, ConfigError> {
    match read(path) {
        Err(ConfigError::Unreadable { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(None),
        read => read.map(Some),
    }
}

/// The file that was asked for by name.
pub(super) fn required(path: &Path) -> Result<Option<File>, ConfigError> {
    read(path).map(Some)
}

fn read(path: &Path) -> Result<File, ConfigError> {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let text = read_text(&path, MAX_BYTES).map_err(|source| ConfigError::Unreadable { path: path.clone(), source })?;
    let Some(text) = text else { return Err(ConfigError::Writable { path }) };
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

/// A text of at most `most` bytes, a whole number of KiB; `None` when others may write to it.
pub(super) fn read_text(path: &Path, most: u64) -> io::Result<Option<String>> {
    // A pipe would be waited for before it could be seen to be one.
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    let file = Handle::open(path)?;
    if file.metadata()?.permissions().mode() & 0o002 != 0 {
        return Ok(None);
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
    Ok(Some(text))
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
