//! A fresh home and an empty environment for the binary.

use assert_cmd::Command;
use std::fs;
use tempfile::TempDir;

pub(crate) const BIN: &str = env!("CARGO_BIN_EXE_hermes-traffic-guardian");

/// The program with a home of its own and nothing of our environment.
pub(crate) struct Place {
    pub(crate) folder: TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn with_config(text: &str) -> Self {
        let this = Self::new();
        fs::create_dir_all(this.home()).unwrap();
        this.file("config.toml", text, 0o600);
        this
    }

    pub(crate) fn home(&self) -> std::path::PathBuf {
        self.folder.path().join("hermes/security/traffic-guardian")
    }

    pub(crate) fn file(&self, name: &str, text: &str, mode: u32) {
        use std::{io::Write, os::unix::fs::OpenOptionsExt};
        let path = self.home().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(&path).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(BIN);
        command.env_clear().env("HOME", self.folder.path()).env("HERMES_HOME", self.folder.path().join("hermes"));
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Said {
        Said::of(self.command().args(args))
    }
}

pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Said {
    pub(crate) fn of(command: &mut Command) -> Self {
        let output = command.output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Self { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        assert_eq!(self.out.lines().count(), 1, "one line of JSON: {}", self.out);
        serde_json::from_str(&self.out).unwrap()
    }
}
