//! Why a verb could not answer: a message, perhaps a hint, and the code to exit with.

use crate::{
    config::ConfigError,
    control::ControlError,
    flow::{capture::ca::CaError, store::RecoverError},
    home::HomeError,
    monitor::MonitorError,
};
use std::{error::Error, fmt::Display, io};

/// A command line, a variable or a file that makes no sense (`EX_USAGE` of sysexits.h).
pub(super) const USAGE: u8 = 64;
/// Something that could not be read or written (`EX_IOERR` of sysexits.h).
pub(super) const IO: u8 = 74;

/// Why a verb could not answer.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The reader of our output has gone. That is no error of ours.
    Closed,
    /// Something to say.
    Said {
        /// The code to exit with.
        exit: u8,
        /// What happened.
        message: String,
        /// What to do about it.
        hint: Option<String>,
    },
}

impl Trouble {
    /// The operator asked for what cannot be.
    pub(super) fn usage(message: impl Into<String>) -> Self {
        Self::Said { exit: USAGE, message: message.into(), hint: None }
    }

    /// The answer is no, and for this reason.
    pub(super) fn no(message: impl Into<String>) -> Self {
        Self::Said { exit: super::NO, message: message.into(), hint: None }
    }

    /// The machine would not.
    pub(super) fn io(message: impl Into<String>) -> Self {
        Self::Said { exit: IO, message: message.into(), hint: None }
    }

    /// The machine would not, says an error and its causes. For errors of our own crates, whose texts repeat no input.
    pub(super) fn from_error(error: &dyn Error) -> Self {
        Self::io(chain(error))
    }

    /// The same with something to do about it.
    pub(super) fn hint(self, text: impl Into<String>) -> Self {
        match self {
            Self::Closed => Self::Closed,
            Self::Said { exit, message, .. } => Self::Said { exit, message, hint: Some(text.into()) },
        }
    }

    /// The same, behind what was done before.
    pub(super) fn after(self, done: impl Display) -> Self {
        match self {
            Self::Closed => Self::Closed,
            Self::Said { exit, message, hint } => Self::Said { exit, message: format!("{done}, but {message}"), hint },
        }
    }

    pub(super) fn exit(&self) -> u8 {
        match self {
            Self::Closed => super::YES,
            Self::Said { exit, .. } => *exit,
        }
    }

    /// Trouble with a file the operator named, or one of ours.
    pub(super) fn file(action: &str, path: &std::path::Path, source: &io::Error) -> Self {
        Self::io(format!("could not {action} {}: {source}", path.display()))
    }
}

/// The code of an answer once it was told. What is so does not depend on who still listens: `verify | head -0` is no yes.
pub(super) fn whoever_listens(told: Result<(), Trouble>, code: u8) -> super::Answer {
    match told {
        Ok(()) | Err(Trouble::Closed) => Ok(code),
        Err(trouble) => Err(trouble),
    }
}

/// An error and its causes, one after the other.
pub(super) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        // Some errors tell of their cause themselves.
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        next = cause.source();
    }
    text
}

/// Of writing to stdout: everything else that reads or writes names its file.
impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::Closed,
            _ => Self::io(format!("could not write to stdout: {error}")),
        }
    }
}

impl From<ConfigError> for Trouble {
    fn from(error: ConfigError) -> Self {
        let trouble = match error {
            ConfigError::Unreadable { .. } => Self::io(chain(&error)),
            _ => Self::usage(chain(&error)),
        };
        match error.hint() {
            Some(hint) => trouble.hint(hint),
            None => trouble,
        }
    }
}

impl From<HomeError> for Trouble {
    fn from(error: HomeError) -> Self {
        let trouble = match error {
            HomeError::Held { .. } => Self::no(chain(&error)),
            HomeError::Unsafe { .. } | HomeError::Io { .. } => Self::io(chain(&error)),
        };
        trouble.hint(error.hint())
    }
}

impl From<ControlError> for Trouble {
    fn from(error: ControlError) -> Self {
        let trouble = match error {
            ControlError::NoMonitor | ControlError::Ending | ControlError::Refused(_) => Self::no(chain(&error)),
            ControlError::Silent | ControlError::Gone | ControlError::Malformed | ControlError::Io(_) => {
                Self::io(chain(&error))
            }
        };
        trouble.hint(error.hint())
    }
}

impl From<MonitorError> for Trouble {
    fn from(error: MonitorError) -> Self {
        let hint = error.hint();
        match error {
            MonitorError::Home(error) => error.into(),
            MonitorError::NothingYet { .. }
            | MonitorError::NoHome { .. }
            | MonitorError::NotRotated(_)
            | MonitorError::Recover(RecoverError::Nothing)
            | MonitorError::Ca(CaError::Missing { .. }) => Self::no(chain(&error)).hint(hint),
            _ => Self::io(chain(&error)).hint(hint),
        }
    }
}
