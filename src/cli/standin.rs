//! Until the monitor is here: its shape, and an honest "not in this build" behind each name.

#![expect(missing_docs, reason = "stands in for modules that have their own")]

#[derive(Debug, thiserror::Error)]
#[error("this build holds no monitor")]
pub struct NoMonitor;

pub mod monitor {
    use super::NoMonitor;
    use crate::{config::Config, control::Exported};
    use posture::{Ended, RunId};
    use std::net::SocketAddr;

    pub struct Options {
        pub until_last_lease: bool,
        pub inspect_https: bool,
    }

    pub struct Started {
        pub listen: SocketAddr,
        pub pid: u32,
        pub run_id: RunId,
    }

    pub fn run(_: Config, options: Options, _: impl FnOnce(&Started)) -> Result<Ended, NoMonitor> {
        let Options { until_last_lease: _, inspect_https: _ } = options;
        Err(NoMonitor)
    }

    pub fn export(_: &Config) -> Result<Exported, NoMonitor> {
        Err(NoMonitor)
    }

    pub fn disable(_: &Config) -> Result<Exported, NoMonitor> {
        Err(NoMonitor)
    }
}

impl From<NoMonitor> for super::Trouble {
    fn from(error: NoMonitor) -> Self {
        Self::from_error(&error)
    }
}
