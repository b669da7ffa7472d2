//! What can be wrong with a setting, and where it stands.

use crate::{flow::detect::rule::is_plain, home::Unsafe};
use std::{fmt, io, path::PathBuf};

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Nobody said anything.
    Default,
    /// A line of the configuration file.
    File {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
    /// An environment variable.
    Environment(&'static str),
    /// A flag of the command line.
    Flag(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line } => write!(f, "{} line {line}", path.display()),
            Self::Environment(name) | Self::Flag(name) => f.write_str(name),
        }
    }
}

/// A configuration that cannot be used. It says where and what kind of fault, and repeats neither values nor what nobody
/// here knows as a name: one of them may be a credential. What a person at a terminal may see besides is in
/// [`ConfigError::hint`], which goes into no file.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file that was named, or that is there, and cannot be read.
    #[error("could not read the configuration {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A file whose owner or mode lets others decide.
    #[error("the configuration {} is not safe to use: {why}", path.display())]
    Unsafe {
        /// The file.
        path: PathBuf,
        /// Who else does.
        why: Unsafe,
    },
    /// Not TOML.
    #[error("{} line {line}, column {column}: {message}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
        /// What the parser expected.
        message: String,
    },
    /// A key that means nothing here.
    #[error("{place}, column {column}: unknown key")]
    UnknownKey {
        /// The key, with its table's name, if it is of plain words.
        key: Option<String>,
        /// Where it stands.
        place: Origin,
        /// The column, from 1.
        column: usize,
        /// The key that was likely meant.
        meant: Option<&'static str>,
    },
    /// A value that its key does not take.
    #[error("{place}: {key}: {reason}")]
    Value {
        /// The key.
        key: &'static str,
        /// Where it stands.
        place: Origin,
        /// What is wrong with it.
        reason: String,
        /// What it is about, for who reads it at a terminal.
        about: Option<String>,
    },
    /// A variable with our prefix that is not ours.
    #[error("unknown environment variable {}{}", super::ENV_PREFIX, .rest.as_deref().unwrap_or("…"))]
    UnknownVariable {
        /// What follows the prefix in its name, if that is of plain words.
        rest: Option<String>,
    },
    /// A variable that is set and empty.
    #[error("{name} is set and empty: give it a value or unset it")]
    EmptyVariable {
        /// The variable.
        name: &'static str,
    },
    /// A variable that is not UTF-8.
    #[error("{name} is not valid UTF-8")]
    NotText {
        /// The variable.
        name: &'static str,
    },
    /// A folder that cannot be made absolute.
    #[error("{name} is not a usable path")]
    Folder {
        /// Its variable or flag.
        name: &'static str,
        /// Why not.
        source: io::Error,
    },
    /// No folder to derive the defaults from.
    #[error("no home folder is known: set HOME, HERMES_HOME or HERMES_TRAFFIC_GUARDIAN_HOME to an absolute path")]
    NoHome,
}

impl ConfigError {
    pub(super) fn unknown_key(key: &str, place: Origin, column: usize) -> Self {
        let known = || super::SETTINGS.iter().filter(|s| s.in_file).map(|s| s.key);
        let last = |key: &str| key.rsplit('.').next().unwrap_or(key).to_owned();
        let near = || known().find(|k| strsim::damerau_levenshtein(k, key) <= 2);
        let meant = known().find(|k| last(k) == last(key)).or_else(near);
        Self::UnknownKey { key: Some(key.to_owned()).filter(|key| is_plain(key)), place, column, meant }
    }

    /// What to do about it, where that is not the error itself.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::UnknownKey { key: Some(key), .. } if flag_of(key).is_some() => {
                flag_of(key).map(|flag| format!("`{key}` is said on the command line alone: {flag}"))
            }
            Self::UnknownKey { meant: Some(key), .. } => Some(format!("did you mean `{key}`?")),
            Self::UnknownKey { key: Some(key), .. } => {
                Some(format!("no setting is called `{key}`; `config show` lists every key and variable"))
            }
            Self::UnknownKey { .. } | Self::UnknownVariable { .. } => {
                Some("`config show` lists every key and variable".to_owned())
            }
            Self::Value { about, .. } => about.clone(),
            Self::Unsafe { path, why: Unsafe::Writable(_) } => Some(format!("chmod go-w {}", path.display())),
            Self::Unsafe { .. } => Some("it has to be this user's or root's: chown it, or run as its owner".to_owned()),
            _ => None,
        }
    }
}

/// The flag of a setting that no file may hold.
fn flag_of(key: &str) -> Option<&'static str> {
    super::SETTINGS.iter().find(|s| s.key == key && !s.in_file)?.flag
}

/// Why a value is not taken, before its key and place are known.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Reason {
    text: String,
    about: Option<String>,
}

impl Reason {
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), about: None }
    }

    /// The same, and what it is about, for who reads it at a terminal.
    pub(super) fn about(self, about: Option<String>) -> Self {
        Self { about, ..self }
    }

    pub(super) fn of(self, key: &'static str, place: &Origin) -> ConfigError {
        ConfigError::Value { key, place: place.clone(), reason: self.text, about: self.about }
    }
}
