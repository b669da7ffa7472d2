//! The flags every verb takes, and the configuration they lead to.

use super::{show, trouble::Trouble};
use crate::config::{self, Config, ConfigError, FlagValues, Loaded, Sources};
use std::path::PathBuf;

/// Where the guardian's things are.
#[derive(clap::Args, Clone)]
pub(super) struct Place {
    /// The state folder [default: $HERMES_HOME/security/traffic-guardian]
    #[arg(long, global = true, value_name = "DIR", help_heading = "Everywhere")]
    pub(super) home: Option<PathBuf>,
    /// The configuration file [default: config.toml in the state folder]
    #[arg(long, global = true, value_name = "FILE", help_heading = "Everywhere")]
    pub(super) config: Option<PathBuf>,
}

/// Says it in JSON.
#[derive(clap::Args, Clone, Copy)]
pub(super) struct Json {
    /// Answers in JSON
    #[arg(long)]
    pub(super) json: bool,
}

impl Place {
    /// The configuration, with no other flags.
    pub(super) fn config(&self) -> Result<Config, Trouble> {
        self.load(FlagValues::default()).map(|loaded| loaded.config)
    }

    /// Where things are, for verbs that only look: whatever else is unsound of the configuration is said, and no more.
    pub(super) fn places(&self) -> Result<Config, Trouble> {
        let error = match self.try_load(FlagValues::default()) {
            Ok(loaded) => return Ok(loaded.config),
            Err(error) => error,
        };
        let Ok(config) = Config::places(&self.sources(FlagValues::default())) else { return Err(error.into()) };
        show::unsound(&error.into());
        Ok(config)
    }

    /// As much of the configuration as can be read, and what is unsound of it.
    pub(super) fn readable(&self) -> Result<(Config, Option<ConfigError>), Trouble> {
        match self.try_load(FlagValues::default()) {
            Ok(loaded) => Ok((loaded.config, None)),
            Err(error) => {
                let sources = self.sources(FlagValues::default());
                match Config::places(&sources).or_else(|_| Config::bare(&sources)) {
                    Ok(config) => Ok((config, Some(error))),
                    Err(_) => Err(error.into()),
                }
            }
        }
    }

    /// The configuration, or the defaults where there is no place for one: for verbs that need no state folder.
    pub(super) fn config_if_any(&self) -> Result<Config, Trouble> {
        match self.try_load(FlagValues::default()) {
            Ok(loaded) => Ok(loaded.config),
            Err(ConfigError::NoHome) => Ok(Config::defaults(PathBuf::new(), PathBuf::new())),
            Err(e) => Err(e.into()),
        }
    }

    /// The configuration with these flags, each value with its origin.
    pub(super) fn load(&self, flags: FlagValues) -> Result<Loaded, Trouble> {
        Ok(self.try_load(flags)?)
    }

    /// The same, for who can do without one.
    pub(super) fn try_load(&self, flags: FlagValues) -> Result<Loaded, ConfigError> {
        config::check_environment(std::env::vars_os().map(|(name, _)| name))?;
        Config::load(&self.sources(flags))
    }

    /// The environment, these flags, and those that every verb takes.
    fn sources(&self, flags: FlagValues) -> Sources<'_> {
        Sources::process(FlagValues { home: self.home.clone(), config: self.config.clone(), ..flags })
    }

    /// The state folder alone, whatever is wrong with the rest.
    pub(super) fn home(&self) -> Result<PathBuf, Trouble> {
        Ok(config::home(&self.sources(FlagValues::default()))?)
    }
}
