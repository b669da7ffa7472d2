//! Readers of the folder, and whether each is told what it has to be.

use super::super::Home;
use super::disk::Disk;
use super::reader::{self, Question, Remembered};
use super::world::{Checked, World, same};
use attest::{Anchor, Baseline, Folder, digest::sha256};
use posture::{Memory, VerdictResult};

pub(super) struct Reader {
    pub(super) question: Question,
    pub(super) pinned: Option<keys::PublicKey>,
    pub(super) memory: Option<Memory>,
}

impl World {
    pub(super) fn ask_readers(&mut self) -> Checked {
        let disk = self.look.at(&self.rig);
        if disk.exports.is_empty() && disk.anchor.is_none() {
            return Ok(());
        }
        for number in 0..self.readers.len() {
            self.pin(number, &disk);
            let reader = &mut self.readers[number];
            let answer = reader::answer(&self.archive, &disk, &reader.question, self.rig.now);
            self.told.insert(answer.code.unwrap_or("verified"));
            if number > 0 && answer.code == Some("rolled_back") {
                // It takes its time to say so, and said it to the first.
                continue;
            }
            let options = attest::Options {
                accept_stopped: reader.question.accept_stopped,
                accept_restore: reader.question.accept_restore,
                baseline: reader.question.baseline.clone().map(Baseline::from_sha256),
                remembered: reader.memory.clone(),
                ..attest::Options::new(reader.pinned.clone().map_or(Anchor::Own, Anchor::Pinned), self.rig.now)
            };
            let report = attest::verify(&Folder::open(&self.rig.config.home), &options);
            let said = report
                .reason
                .as_ref()
                .map(|reason| serde_json::to_value(reason).unwrap()["code"].as_str().unwrap().to_owned());
            let why = report.reason.as_ref().map(ToString::to_string).unwrap_or_default();
            same!(format!("reader {number} is told ({why})"), said.as_deref(), answer.code);
            same!(format!("exit code of reader {number}"), report.exit_code(), reader::exit_code(answer.code));
            same!("verified", report.result == VerdictResult::Verified, answer.code.is_none());
            let remember = answer.remember.as_ref().map(|remember| &remember.posture);
            same!(
                format!("reader {number} remembers"),
                report.memory.as_ref().map(|memory| &memory.posture_sha256),
                remember
            );
            reader.question.accept_restore = false;
            // The second keeps no memory.
            if number == 0 && report.memory.is_some() {
                (reader.memory, reader.question.remembered) =
                    (report.memory, answer.remember.map(|r| Remembered { ..r }));
            }
        }
        Ok(())
    }

    /// The second reader pins the first key there is, and takes the first state for its baseline.
    fn pin(&mut self, number: usize, disk: &Disk) {
        let reader = &mut self.readers[number];
        if number == 0 || reader.pinned.is_some() {
            return;
        }
        reader.pinned = keys::file::read_public(&Home::of(&self.rig.config).public_key()).ok();
        reader.question.pinned.clone_from(&disk.anchor);
        let state = disk.exports.values().find_map(|files| files[2].as_ref());
        reader.question.baseline = state.map(sha256);
        if state.is_none() {
            reader.pinned = None;
            reader.question.pinned = None;
        }
    }
}
