//! SIGHUP → the configuration, read anew and whole: what can change at run time does, what cannot is named.
//!
//! One that is not sound changes nothing. What is in force is what is attested: a setting that needs a restart keeps its
//! old value, in the signed documents too.

use super::{desk::Desk, in_force::InForce, knowing::Knowledge};
use crate::{
    clock,
    config::{Config, ConfigError},
    control::Reloaded,
    flow::{capture::Inspection, detect::Detector, redact::Redactor},
    process,
};
use posture::{Timestamp, Weakening};
use std::{
    collections::BTreeSet,
    error::Error,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Duration,
};
use tokio::{signal::unix::Signal, task::spawn_blocking};

/// Reads the configuration as the start did: the same folder, environment and flags.
pub type Again = Box<dyn FnMut() -> Result<Config, ConfigError> + Send>;

/// What is in force, and where else it is looked up.
pub(super) struct Reloader {
    pub(super) again: Again,
    pub(super) config: Config,
    pub(super) detector: InForce<Detector>,
    pub(super) redactor: InForce<Redactor>,
    pub(super) period: InForce<Duration>,
    pub(super) inspection: Option<Inspection>,
    pub(super) knowledge: Knowledge,
    pub(super) desk: Desk,
}

/// What there is to tell of a reload, and what came of it if anything changed.
type Outcome = (Reloaded, Option<Box<Applied>>);

/// What the recorder has to know of a configuration that took the place of another.
pub(super) struct Applied {
    pub(super) config: Config,
    pub(super) detector: Arc<Detector>,
    pub(super) redactor: Arc<Redactor>,
    pub(super) weakened: BTreeSet<Weakening>,
}

impl Reloader {
    /// Reloads with each signal, for as long as it is polled.
    pub(super) async fn attend(self, mut hangup: Signal) {
        let mut this = self;
        while hangup.recv().await.is_some() {
            let done = spawn_blocking(move || {
                let outcome = survived(|| this.reload());
                (this, outcome)
            });
            let Ok((next, (told, applied))) = done.await else {
                return tracing::error!("a reload was given up; there will be no other");
            };
            this = next;
            this.desk.reloaded(told, applied).await;
        }
    }

    /// Reads, checks and applies; what there is to tell, and the recorder's share if anything changed.
    fn reload(&mut self) -> Outcome {
        let at = clock::now();
        let read = match (self.again)() {
            Ok(read) => read,
            Err(error) => {
                let why = error.source().map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"));
                tracing::error!("the configuration is not sound, and the one before stays in force: {why}");
                return (Reloaded { error: Some(why), ..nothing(at) }, None);
            }
        };
        let read = Config { max_connections: process::connections(read.max_connections), ..read };
        let next = self.config.reloaded_as(&read);
        let needs_restart: Vec<_> = read.differing(&next).into_iter().map(str::to_owned).collect();
        if !needs_restart.is_empty() {
            tracing::warn!("needs a restart: {}", needs_restart.join(", "));
        }
        if next == self.config {
            tracing::info!("the configuration was read again: nothing changed");
            return (Reloaded { needs_restart, ..nothing(at) }, None);
        }
        let weakened = next.weaker_than(&self.config);
        let words = weakened.iter().map(|word| (*word).into()).collect();
        let applied = self.apply(next, weakened);
        tracing::info!("the configuration was read again and is in force");
        (Reloaded { changed: true, needs_restart, weakened: words, ..nothing(at) }, Some(Box::new(applied)))
    }

    fn apply(&mut self, config: Config, weakened: BTreeSet<Weakening>) -> Applied {
        let detector = self.detector.now().succeeded_by(config.rules(), config.scan, &config.audience);
        let redactor = Arc::new(self.redactor.now().with_rules(config.rules()));
        // A destination is checked by the new rules before anything is found by them.
        self.redactor.replace(Arc::clone(&redactor));
        self.detector.replace(Arc::clone(&detector));
        self.knowledge.reloaded(&config, &detector);
        self.period.replace(Arc::new(config.export_every));
        if let Some(inspection) = &self.inspection {
            inspection.pass_through(config.pass_through.clone());
        }
        self.config = config.clone();
        Applied { config, detector, redactor, weakened }
    }
}

/// A reload that panics over what a person wrote is one that was refused: the next one reads another text.
fn survived(reload: impl FnOnce() -> Outcome) -> Outcome {
    catch_unwind(AssertUnwindSafe(reload)).unwrap_or_else(|_| {
        tracing::error!("the configuration could not be read, and the one before stays in force");
        (Reloaded { error: Some("an internal error".to_owned()), ..nothing(clock::now()) }, None)
    })
}

/// A reload that changed nothing.
const fn nothing(at: Timestamp) -> Reloaded {
    Reloaded { at, changed: false, error: None, needs_restart: Vec::new(), weakened: Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::survived;

    #[test]
    fn a_reload_that_panics_is_refused() {
        let (told, applied) = survived(|| panic!("of a rule"));
        assert!(!told.changed && applied.is_none());
        assert_eq!(told.error.as_deref(), Some("an internal error"));
    }
}
