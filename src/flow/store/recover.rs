//! A log that cannot be proved any more → one that goes on where the signed head was, with all of the old one set aside.
//!
//! A person asks for it, so nobody else's word may bring it about: what is moved is moved only once a posture is signed
//! that covers the log anew.
//!
//! | step | after a crash behind it |
//! |---|---|
//! | the log anew is written beside the old one, as `recovery.jsonl` | nobody signed it: it is as before, and asked for again |
//! | a posture is exported that covers it | the start moves the files |
//! | every segment, and the quarantine, gets its other name | the start moves the others |
//! | `recovery.jsonl` becomes the newest segment | nothing is left to do |

use super::{
    Store,
    log::{self, damaged_names, free_name},
    mend::{Found, is_known, reader},
    walk,
};
use crate::{
    home::file::{self, Draft},
    warned,
};
use attest::{Chain, Record};
use posture::{Checkpoint, Counts, EventBody, FindingRecord, Recovery, SetAside, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::{
    collections::HashSet,
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

pub(super) const PENDING: &str = "recovery.jsonl";
pub(super) const QUARANTINE: &str = "quarantine.jsonl";

/// Why the log cannot be begun anew.
#[derive(Debug, thiserror::Error)]
pub enum RecoverError {
    /// The log holds.
    #[error("there is nothing to recover: the log is what was signed")]
    Nothing,
    /// The old files or the new one could not be read or written.
    #[error("could not begin the log anew: {}", warned::why(.0))]
    Io(#[from] io::Error),
}

/// What became of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recovered {
    /// Records carried over: those behind the signed head, and those of the quarantine.
    pub carried: u64,
    /// The first record that is provable: the recovery itself.
    pub first_seq: u64,
    /// What is no part of the log any more.
    pub set_aside: Vec<SetAside>,
}

impl Store {
    /// Whether a person has to give up on the log as it is.
    pub fn is_lost(&self) -> bool {
        self.quarantined || self.exports_missing || self.rotations_missing
    }

    /// Writes the log anew beside the old one, and speaks of that one from here on. Then a posture has to be exported,
    /// and [`Store::reopen`] called, whether it was or not. Every window is closed, and nothing waits.
    ///
    /// # Errors
    /// [`RecoverError`]; the log is then as it was.
    pub fn begin_anew(&mut self, totals: Checkpoint, now: Timestamp) -> Result<Recovered, RecoverError> {
        let Some(signed) = self.signed.clone().filter(|_| self.is_lost()) else { return Err(RecoverError::Nothing) };
        // What is written from here on belongs in the log anew.
        self.sync()?;
        let mut set_aside = Vec::new();
        let [segments, quarantine] = self.to_set_aside()?;
        for path in segments.iter().chain(&quarantine) {
            let name = self.name_aside(path, signed.chain.next_seq(), &set_aside)?;
            let (bytes, sha256) = hash(path)?;
            set_aside.push(SetAside { bytes, name, sha256 });
        }
        let totals = Checkpoint { counts: signed.counts.clone(), ..totals };
        let (draft, chain, counts) = (Draft::new(&self.folder)?, signed.chain.clone(), signed.counts.clone());
        let mut anew = Anew { draft, chain, counts };
        let mut files = set_aside.chunks(Recovery::MAX_SET_ASIDE).map(<[_]>::to_vec);
        let recovery = Recovery { set_aside: files.next().unwrap_or_default(), totals: totals.clone() };
        anew.event(EventBody::Recovery(Box::new(recovery)), now)?;
        files.try_for_each(|files| anew.event(EventBody::SetAside { files }, now))?;
        // Above the signed head the old log may still be what it was.
        let mut carried = anew.carry(&segments, &signed.chain)?;
        carried += anew.carry(&quarantine, &Chain::genesis())?;
        let counts = anew.counts.clone();
        anew.event(EventBody::Checkpoint(Box::new(Checkpoint { counts, ..totals })), now)?;
        let Anew { draft, chain, .. } = anew;
        self.clear_of_strangers(&self.folder.join(PENDING))?;
        draft.persist(&self.folder.join(PENDING))?;
        file::sync_folder(&self.folder)?;

        let found = self.walk_pending(&chain, now)?;
        self.adopt(found, PENDING)?;
        Ok(Recovered { first_seq: signed.chain.next_seq(), carried, set_aside })
    }

    /// Reads the log again, and moves what a signed recovery has to move.
    ///
    /// # Errors
    /// What the system says: it is tried again.
    pub fn reopen(&mut self, now: Timestamp) -> io::Result<()> {
        self.log = None;
        let loaded = self.load(now).map(drop);
        if let Err(error) = &loaded {
            self.fail("open the log", error);
        }
        loaded
    }

    /// Completes a recovery that a posture covers. False when there is none.
    pub(super) fn finish_recovery(&self, now: Timestamp) -> io::Result<bool> {
        let pending = self.folder.join(PENDING);
        let Some(signed) = &self.signed else { return Ok(false) };
        if self.clear_of_strangers(&pending)? == Cleared::Nothing {
            return Ok(false);
        }
        let found = self.walk_pending(&signed.chain, now)?;
        // A copy of one that was carried out may lead to the same head: where the log begins, a posture says.
        let signed_last = found.reaches && found.begins_at(signed.first_seq);
        let Some(listed) = found.listed().filter(|_| signed_last) else { return Ok(false) };
        let paths = self.to_set_aside()?.concat();
        let hashed = paths.into_iter().map(|path| Ok((hash(&path)?.1, path))).collect::<io::Result<Vec<_>>>()?;
        for (sha256, path) in &hashed {
            if path.ends_with(QUARANTINE) && !listed.iter().any(|file| file.sha256 == *sha256) {
                // Records this recovery did not carry over: of them a person has to be asked anew.
                return Ok(false);
            }
        }
        for (sha256, path) in hashed {
            let is_its = |file: &&SetAside| {
                file.sha256 == sha256 && is_a_name_aside(&file.name) && !self.folder.join(&file.name).exists()
            };
            let name = match listed.iter().find(is_its) {
                Some(file) => file.name.clone(),
                // It was not there, or not like this, when the person asked.
                None => self.name_aside(&path, signed.chain.next_seq(), &[])?,
            };
            file::rename_new(&path, &self.folder.join(name))?;
        }
        file::sync_folder(&self.folder)?;
        file::rename(&pending, &self.folder.join(log::NEWEST))?;
        file::sync_folder(&self.folder)?;
        tracing::warn!("the log was begun anew; what was damaged is set aside");
        Ok(true)
    }

    /// Sets aside what has the name of a file of ours and is none: a folder, a pipe or a link would be in its way for
    /// good.
    pub(super) fn clear_of_strangers(&self, path: &Path) -> io::Result<Cleared> {
        match path.symlink_metadata() {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Cleared::Nothing),
            Err(e) => Err(e),
            Ok(found) if found.is_file() => Ok(Cleared::AFile),
            Ok(_) => {
                let signed_seq = self.signed.as_ref().map_or(0, |signed| signed.chain.next_seq());
                file::rename_new(path, &free_name(damaged_names(&self.folder, "damaged", signed_seq))?)?;
                file::sync_folder(&self.folder)?;
                tracing::warn!("something other than a file had the name of one of the log's; it was set aside");
                Ok(Cleared::Nothing)
            }
        }
    }

    fn walk_pending(&self, through: &Chain, now: Timestamp) -> io::Result<Found> {
        let signed = self.signed.clone().map(|signed| super::Signed { chain: through.clone(), ..signed });
        self.walk(vec![self.folder.join(PENDING)], signed.as_ref(), now)
    }

    /// Every segment that holds anything, oldest first; and the quarantine, if it does.
    fn to_set_aside(&self) -> io::Result<[Vec<PathBuf>; 2]> {
        let mut segments = log::sealed(&self.folder)?;
        segments.push(self.folder.join(log::NEWEST));
        let holds = |path: &PathBuf| path.symlink_metadata().is_ok_and(|found| found.len() > 0);
        let quarantine = vec![self.folder.join(QUARANTINE)];
        Ok([segments, quarantine].map(|paths| paths.into_iter().filter(holds).collect()))
    }

    /// A name that neither a file nor one of these has.
    fn name_aside(&self, path: &Path, signed_seq: u64, taken: &[SetAside]) -> io::Result<String> {
        let quarantine = path.file_name().is_some_and(|name| name == QUARANTINE);
        let seq = if quarantine { Some(signed_seq) } else { walk::begin(reader(path)?)?.map(|begin| begin.next_seq()) };
        let stem = if quarantine { "quarantine" } else { "damaged" };
        let taken: HashSet<_> = taken.iter().map(|file| self.folder.join(&file.name)).collect();
        let free = free_name(damaged_names(&self.folder, stem, seq.unwrap_or(0)).filter(|name| !taken.contains(name)))?;
        let name = free.file_name().and_then(|name| name.to_str());
        name.map(str::to_owned).ok_or_else(|| io::ErrorKind::InvalidInput.into())
    }
}

/// What is left under a name of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cleared {
    Nothing,
    AFile,
}

impl Found {
    /// The files that the recovery this log begins with names.
    fn listed(&self) -> Option<&[SetAside]> {
        self.seen.set_aside.as_deref()
    }
}

/// The log anew, being written.
struct Anew {
    draft: Draft,
    chain: Chain,
    /// What was signed, and what is carried over.
    counts: Counts,
}

impl Anew {
    fn event(&mut self, event: EventBody, now: Timestamp) -> io::Result<()> {
        let framed = self.chain.event(now, event).map_err(|_| io::ErrorKind::InvalidData)?;
        self.draft.write_all(&framed.line)?;
        self.chain.advance(&framed);
        Ok(())
    }

    /// The records behind `from` in these files, as far as they are one chain. Returns how many.
    fn carry(&mut self, files: &[PathBuf], from: &Chain) -> io::Result<u64> {
        let moved = self.chain.next_seq() - from.next_seq();
        let (mut at, mut carried, mut line) = (from.clone(), 0, Vec::new());
        for path in files {
            let mut input = reader(path)?;
            loop {
                walk::read_line(&mut input, &mut line)?;
                if line.is_empty() {
                    break;
                }
                let bare = line.strip_suffix(b"\n").unwrap_or(&line);
                if at == *from && Chain::before(bare).as_ref() != Some(from) {
                    continue;
                }
                let Some(record) = at.follow(bare).ok().filter(|_| line.ends_with(b"\n")) else { return Ok(carried) };
                carried += u64::from(self.carry_one(record, from.next_seq(), moved)?);
            }
        }
        Ok(carried)
    }

    /// False for a record that is not carried over.
    fn carry_one(&mut self, record: Record, first: u64, moved: u64) -> io::Result<bool> {
        if speaks_of_another_log(&record) {
            return Ok(false);
        }
        record.count(&mut self.counts);
        let framed = match record {
            Record::Finding(finding) => {
                self.chain.finding(|seq, prev_sha256| FindingRecord { seq, prev_sha256, ..*finding })
            }
            Record::Event(event) => match event.event {
                EventBody::Fold { count, finding_seq } if finding_seq >= first => {
                    self.chain.event(event.timestamp, EventBody::Fold { count, finding_seq: finding_seq + moved })
                }
                other => self.chain.event(event.timestamp, other),
            },
        };
        let framed = framed.map_err(|_| io::ErrorKind::InvalidData)?;
        self.draft.write_all(&framed.line)?;
        self.chain.advance(&framed);
        Ok(true)
    }
}

/// Whether a record speaks of the log as it was, or is one that no log of ours has.
fn speaks_of_another_log(record: &Record) -> bool {
    match record {
        Record::Finding(finding) => !is_known(finding),
        Record::Event(event) => matches!(
            event.event,
            EventBody::ExportsMissing { .. }
                | EventBody::Prune(_)
                | EventBody::Recovery(_)
                | EventBody::Rotate { .. }
                | EventBody::Seal { .. }
                | EventBody::SetAside { .. }
        ),
    }
}

fn hash(path: &Path) -> io::Result<(u64, posture::Sha256Hex)> {
    let mut input = log::open_private(path)?;
    let (mut hasher, mut bytes, mut piece) = (Sha256::new(), 0, vec![0; 64 << 10]);
    loop {
        let read = input.read(&mut piece)?;
        if read == 0 {
            return Ok((bytes, posture::Sha256Hex::from_bytes(&hasher.finalize().into())));
        }
        hasher.update(&piece[..read]);
        bytes += read as u64;
    }
}
/// Whether a name is one that this gives: a planted one must not lead elsewhere.
fn is_a_name_aside(name: &str) -> bool {
    ["damaged-", "quarantine-"].iter().any(|begin| name.starts_with(begin))
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.')
}
