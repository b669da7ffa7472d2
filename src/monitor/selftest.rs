//! The rules' own examples, and a canary through the proxy at work → whether this monitor still sees.
//!
//! On a thread of its own: a proxy or a scanner that hangs is told, not waited for.

use super::{desk::Desk, in_force::InForce};
use crate::{
    clock,
    flow::{
        capture::{Canary, ProbeError, Prober},
        detect::{
            Detector,
            rule::{RuleSet, expand},
        },
    },
    process,
};
use posture::{SelfTest, SelfTestResult, Word};
use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    thread,
    time::Duration,
};
use tokio::runtime;
use tokio_util::sync::CancellationToken;

/// A canary is relayed within this time, and seen within it once more. A full queue is scanned faster.
const LIMIT: Duration = Duration::from_secs(10);
/// The rules whose first examples are the canary.
const RULES: [&str; 2] = ["ai_api_key.groq", "pipe_to_shell.pipe"];

/// What is tested, and who is told.
pub(super) struct Tests {
    pub(super) detector: InForce<Detector>,
    pub(super) prober: Prober,
    pub(super) desk: Desk,
    /// Time between two tests.
    pub(super) period: InForce<Duration>,
    /// When this is cancelled, what fails fails because of that.
    pub(super) shutdown: CancellationToken,
}

impl Tests {
    /// Starts the thread: a test at once, then one each period.
    pub(super) fn spawn(self) -> io::Result<()> {
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        thread::Builder::new().name("guardian-selftest".to_owned()).spawn(move || self.attend(&runtime)).map(drop)
    }

    fn attend(&self, runtime: &runtime::Runtime) {
        let mut detector = self.detector.now();
        let mut rules_hold = hold(&detector);
        // Not before: what the vectors took goes back.
        process::keep_memory_warm();
        loop {
            // The rules change with a reload alone.
            let now = self.detector.now();
            if !Arc::ptr_eq(&now, &detector) {
                rules_hold = hold(&now);
                detector = now;
            }
            let (canary, vectors_sha256) = (canary(detector.rules()), detector.vectors_sha256());
            let seen = async {
                let Some(canary) = &canary else { return Err(ProbeError::NotSeen) };
                self.prober.probe(canary, LIMIT).await
            };
            let Some(seen) = runtime.block_on(self.shutdown.run_until_cancelled(seen)) else { return };
            if let Err(why) = seen {
                tracing::warn!(reason = %why, "the self-test failed");
            }
            let passed = rules_hold && seen.is_ok();
            let result = if passed { SelfTestResult::Passed } else { SelfTestResult::Failed };
            let last_run_at = Some(clock::now());
            self.desk.self_tested(SelfTest { last_run_at, result, vectors_sha256: vectors_sha256.clone() });
            let pause = async { tokio::time::sleep(*self.period.now()).await };
            if runtime.block_on(self.shutdown.run_until_cancelled(pause)).is_none() {
                return;
            }
        }
    }
}

/// Whether the rules find what they must. Where that panics they do not, and the next test runs all the same.
fn hold(detector: &Detector) -> bool {
    catch_unwind(AssertUnwindSafe(|| detector.selftest().passed())).unwrap_or(false)
}

/// Something for a rule of each direction to find; `None` when these rules have no such examples.
pub(super) fn canary(rules: &RuleSet) -> Option<Canary> {
    let example = |id: &str| -> Option<(Word, String)> {
        let rule = rules.rules().iter().find(|rule| rule.id().as_str() == id)?;
        Some((rule.id().clone(), expand(rule.examples().first()?)))
    };
    let [outbound, inbound] = RULES.map(example);
    Some(Canary { outbound: outbound?, inbound: inbound? })
}

#[cfg(test)]
mod tests;
