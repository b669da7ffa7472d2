//! Flags and environment → the folders, absolute; and paths that stay within one.

use super::{ConfigError, ENV_HERMES_HOME, ENV_HOME, Sources, error::Reason, load::environment};
use std::{
    io,
    path::{Component, Path, PathBuf},
};

/// The state folder, whatever else is wrong.
///
/// # Errors
/// When it cannot be told from these sources.
pub fn home(sources: &Sources<'_>) -> Result<PathBuf, ConfigError> {
    Ok(folders(sources)?.0)
}

/// The state folder and Hermes' own, absolute.
pub(super) fn folders(sources: &Sources<'_>) -> Result<(PathBuf, PathBuf), ConfigError> {
    let absolute = |path: PathBuf, name: &'static str| {
        let path = if printable(&path) {
            std::path::absolute(path)
        } else {
            Err(io::Error::new(io::ErrorKind::InvalidInput, "it holds control characters"))
        };
        path.map_err(|source| ConfigError::Folder { name, source })
    };
    let hermes_home = match environment(sources, ENV_HERMES_HOME)? {
        Some(path) => absolute(expand(path.into(), sources)?, ENV_HERMES_HOME)?,
        None => user_home(sources)?.join(".hermes"),
    };
    let home = match (&sources.flags.home, environment(sources, ENV_HOME)?) {
        (Some(path), _) => absolute(path.clone(), "--home")?,
        (None, Some(path)) => absolute(expand(path.into(), sources)?, ENV_HOME)?,
        (None, None) => hermes_home.join("security").join("traffic-guardian"),
    };
    Ok((home, hermes_home))
}

/// `~/…` as a shell would have it: service managers set variables without one.
pub(super) fn expand(path: PathBuf, sources: &Sources<'_>) -> Result<PathBuf, ConfigError> {
    match path.strip_prefix("~") {
        Ok(rest) => Ok(user_home(sources)?.join(rest)),
        Err(_) => Ok(path),
    }
}

fn user_home(sources: &Sources<'_>) -> Result<PathBuf, ConfigError> {
    let home = (sources.env)("HOME").map(PathBuf::from).or_else(std::env::home_dir);
    home.filter(|path| path.is_absolute()).ok_or(ConfigError::NoHome)
}

/// Paths stand in messages, units, policies and cron lines: one with a line end or an escape would be more than a path.
pub(super) fn printable(path: &Path) -> bool {
    !path.to_string_lossy().contains(char::is_control)
}

/// A folder within the home: relative to it, or absolute and below it.
pub(super) fn within(home: &Path, text: &str) -> Result<PathBuf, Reason> {
    let path = home.join(text);
    if !printable(&path) {
        return Err(Reason::new("holds control characters"));
    }
    if path.components().any(|c| c == Component::ParentDir) || !path.starts_with(home) {
        return Err(Reason::new("must lie within the state folder: all state is below it"));
    }
    // Without the `.` of "./logs", so that equal places are equal paths.
    Ok(path.components().collect())
}
