//! What hermes-attestation-guardian is asked to watch.
//!
//! It hashes files. Of a file it cannot read when it takes its baseline it remembers nothing, and then any change passes
//! unseen; of a file that changes with every export it would raise the alarm each time. So: the two documents that
//! change with security alone, and the trust anchor, each of which must be there and readable.

use crate::home::Home;
use serde::Serialize;
use std::{fs::File, io, path::PathBuf};

/// The policy file of hermes-attestation-guardian.
#[derive(Debug, Serialize)]
pub struct Policy {
    /// Files whose change is drift.
    pub watch_files: Vec<PathBuf>,
    /// Files whose change means that someone else speaks.
    pub trust_anchor_files: Vec<PathBuf>,
}

impl Policy {
    /// The policy for this state folder. Whether the files are there is [`Policy::unreadable`]'s question.
    pub fn of(home: &Home) -> Self {
        Self {
            watch_files: vec![home.export_dir().join("current").join("state.json"), home.root().join("verdict.json")],
            trust_anchor_files: vec![home.public_key()],
        }
    }

    /// The files of the policy that cannot be read, and why.
    pub fn unreadable(&self) -> Vec<(&PathBuf, io::Error)> {
        let all = self.watch_files.iter().chain(&self.trust_anchor_files);
        all.filter_map(|path| File::open(path).err().map(|e| (path, e))).collect()
    }
}
