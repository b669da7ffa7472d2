//! Numbers → a table: percentiles, slopes, and what `status` and the log say.

use crate::child;
use std::{collections::BTreeSet, fs, path::Path, process::Stdio, time::Duration};

/// The value that so many of a hundred are not above.
pub(crate) fn percentile(times: &mut [Duration], percent: usize) -> Duration {
    times.sort_unstable();
    times.get((times.len() * percent / 100).min(times.len().saturating_sub(1))).copied().unwrap_or_default()
}

pub(crate) fn millis(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1e3)
}

/// Kibibytes a minute, by least squares over samples a second apart.
pub(crate) fn slope(samples: &[u64]) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "kibibytes and seconds of one run")]
    let points: Vec<_> = samples.iter().enumerate().map(|(x, y)| (x as f64, *y as f64)).collect();
    #[expect(clippy::cast_precision_loss, reason = "the samples of one run")]
    let count = points.len() as f64;
    let (mx, my) = (points.iter().map(|p| p.0).sum::<f64>() / count, points.iter().map(|p| p.1).sum::<f64>() / count);
    let above: f64 = points.iter().map(|(x, y)| (x - mx) * (y - my)).sum();
    let below: f64 = points.iter().map(|(x, _)| (x - mx).powi(2)).sum();
    60.0 * above / below.max(1.0)
}

/// The answer of a verb in JSON.
pub(crate) fn asked(home: &Path, verb: &[&str]) -> serde_json::Value {
    let output = child::guardian(home).args(verb).stderr(Stdio::null()).output().expect("it runs");
    serde_json::from_slice(&output.stdout).unwrap_or_default()
}

/// The code of a verb.
pub(crate) fn code(home: &Path, verb: &[&str]) -> Option<i32> {
    let status = child::guardian(home).args(verb).stdout(Stdio::null()).status();
    status.expect("it runs").code()
}

/// What the log holds.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    /// Findings of a key on its way out, each a key of its own, and those that are not.
    pub(crate) keys: BTreeSet<String>,
    pub(crate) keys_again: u64,
    /// Findings of a command on its way in.
    pub(crate) commands: BTreeSet<String>,
    pub(crate) commands_again: u64,
    /// Anything else.
    pub(crate) others: Vec<String>,
}

/// Reads the log of a monitor that has ended.
pub(crate) fn found(home: &Path) -> Found {
    let mut found = Found::default();
    let files = fs::read_dir(home).expect("its home").flatten().map(|entry| entry.path());
    for path in files.filter(|path| path.extension().is_some_and(|e| e == "jsonl")) {
        for line in fs::read_to_string(path).expect("its log").lines() {
            let record: serde_json::Value = serde_json::from_str(line).expect("a record a line");
            let Some(rule) = record["rule"].as_str().filter(|_| record["direction"].is_string()) else { continue };
            let fingerprint = record["fingerprint"].as_str().unwrap_or_default().to_owned();
            match (rule, record["direction"].as_str()) {
                ("ai_api_key.openai_legacy", Some("outbound")) => {
                    found.keys_again += u64::from(!found.keys.insert(fingerprint));
                }
                ("pipe_to_shell.pipe", Some("inbound")) => {
                    found.commands_again += u64::from(!found.commands.insert(fingerprint));
                }
                _ => found.others.push(rule.to_owned()),
            }
        }
    }
    found
}
