//! Bytes → `config.toml`, or a file of rules it names: a checked configuration within its bounds, or an error that says
//! where and repeats nothing.

#![no_main]

use guardian::config::{Config, FlagValues, Sources};
use libfuzzer_sys::fuzz_target;
use std::{error::Error, fs, sync::LazyLock, time::Duration};
use tempfile::TempDir;

/// What stands for `\x01` in an input: a key that must be in no error.
const SECRET: &str = "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";

static HOME: LazyLock<TempDir> = LazyLock::new(|| tempfile::tempdir().expect("a folder"));

fuzz_target!(|input: &[u8]| {
    let [kind, text @ ..] = input else { return };
    let mut bytes = Vec::with_capacity(text.len());
    for byte in text {
        if *byte == 1 { bytes.extend_from_slice(SECRET.as_bytes()) } else { bytes.push(*byte) }
    }
    let rules = kind % 2 == 1;
    let (name, settings) = if rules { ("r.toml", &b"rules = [\"r.toml\"]\n"[..]) } else { ("config.toml", &bytes[..]) };
    fs::write(HOME.path().join("config.toml"), settings).expect("a file");
    fs::write(HOME.path().join(name), &bytes).expect("a file");
    let env = |name: &str| match name {
        "HERMES_TRAFFIC_GUARDIAN_HOME" => Some(HOME.path().into()),
        "HOME" => Some("/nonexistent".into()),
        _ => None,
    };
    let load = || Config::load(&Sources { env: &env, flags: FlagValues::default() });
    let loaded = match load() {
        Ok(loaded) => loaded,
        Err(error) => {
            let mut said = format!("{error} {}", error.hint().unwrap_or_default());
            let mut cause = error.source();
            while let Some(why) = cause {
                said = format!("{said} {why}");
                cause = why.source();
            }
            assert!(!said.contains(SECRET), "an error repeats a value");
            assert!(said.len() < 2000 && !said.contains(|c: char| c.is_control() && c != '\n'), "{said}");
            return;
        }
    };
    let config = &loaded.config;
    assert!(config.listen.ip().is_loopback() && !config.allow_remote);
    assert!((Duration::from_secs(1)..=Duration::from_secs(3600)).contains(&config.export_every));
    assert!(config.scan.max_decoded_bytes >= config.scan.max_scan_bytes);
    assert!(config.scan_queue_bytes >= config.scan.max_scan_bytes);
    assert!(config.log_dir.starts_with(HOME.path()) && config.export_dir.starts_with(HOME.path()));
    assert!(config.retention.segment_bytes <= config.retention.max_bytes / 4);
    assert!(config.suppress.len() <= 256 && (8 << 10..=64 << 10).contains(&config.max_head_bytes));
    assert!(load().expect("it was read before").config == *config, "another answer for the same file");
});
