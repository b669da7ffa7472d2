//! Statements of rotations → which key signs which posture, and whether the log bears them out.

use crate::{
    chain::Record,
    digest::key_id,
    folder::{self, Folder, FolderError},
    reason::Reason,
    rotation::{RotationError, Rotations, StatementError},
};
use keys::{PublicKey, Signature};
use posture::{EventBody, Rotation, Sha256Hex};

/// The keys of an installation, each with the first posture it signs, and the one a reader pinned.
#[derive(Debug, Clone)]
pub struct Keyring {
    pub(crate) keys: Vec<(u64, PublicKey)>,
    pub(crate) statements: Vec<Rotation>,
    pub(crate) pinned: usize,
}

/// The keys of this folder, as seen by whoever pinned `anchor`.
pub(crate) fn of(folder: &Folder, anchor: &PublicKey) -> Result<Keyring, Reason> {
    let Some(path) = folder.rotations() else { return Ok(Keyring::alone(anchor.clone())) };
    let bytes = match folder::read(&path) {
        Err(FolderError::Missing { .. }) => return Ok(Keyring::alone(anchor.clone())),
        read => read?,
    };
    let place = || path.as_path().into();
    let rotations = Rotations::read(&bytes).map_err(|(line, problem)| match problem {
        StatementError::UnknownVersion => Reason::UnknownVersion { path: place() },
        problem => RotationError::RotationStatement { path: place(), line, problem }.into(),
    })?;
    rotations.keyring(anchor).ok_or_else(|| RotationError::RotationAnchor { path: place() }.into())
}

impl Keyring {
    /// One key, that never changed.
    pub fn alone(key: PublicKey) -> Self {
        Self { keys: vec![(0, key)], statements: vec![], pinned: 0 }
    }

    /// The one key that may sign the posture of this number, and its state.
    pub fn signer(&self, sequence: u64) -> &PublicKey {
        &self.keys[self.place(sequence)].1
    }

    /// Whether this posture is of a time before the pinned key: its signer is vouched for by later ones alone.
    pub(crate) fn is_before_pinned(&self, sequence: u64) -> bool {
        self.place(sequence) < self.pinned
    }

    /// Whether the signer of this posture was reached from an older, pinned one.
    pub(crate) fn is_walked_to(&self, sequence: u64) -> bool {
        self.place(sequence) > self.pinned
    }

    /// The key that gave way before this posture and signed these bytes all the same.
    pub(crate) fn retired(&self, sequence: u64, bytes: &[u8], signature: &Signature) -> Option<&PublicKey> {
        let before = self.keys[..self.place(sequence)].iter().map(|(_, key)| key);
        before.rev().find(|key| key.verify(bytes, signature).is_ok())
    }

    /// Every statement's event is below `next_seq`: a posture covers it.
    pub(crate) fn check_signed(&self, next_seq: u64) -> Result<(), RotationError> {
        match self.statements.iter().find(|s| s.log_seq >= next_seq) {
            None => Ok(()),
            Some(s) => Err(RotationError::RotationUnsigned { number: s.number, log_seq: s.log_seq }),
        }
    }

    /// Whether the key of this identifier is one of them.
    pub(crate) fn has(&self, id: &Sha256Hex) -> bool {
        self.keys.iter().any(|(_, key)| key_id(key.key_id()) == *id)
    }

    fn place(&self, sequence: u64) -> usize {
        // The first key signs from the beginning.
        self.keys.partition_point(|(from, _)| *from <= sequence).saturating_sub(1)
    }
}

/// What the log says of the rotations, while it is followed.
pub(crate) struct Witness<'k> {
    ring: &'k Keyring,
    /// Events that bear out a statement.
    met: Vec<u64>,
    /// An event of a key in use that no statement is of.
    missing: Option<u64>,
}

impl<'k> Witness<'k> {
    pub(crate) fn new(ring: &'k Keyring) -> Self {
        Self { ring, met: vec![], missing: None }
    }

    /// The next record, and the hash of its line.
    pub(crate) fn see(&mut self, record: &Record, sha256: &Sha256Hex) {
        let Record::Event(event) = record else { return };
        let EventBody::Rotate { new_key_id, number, old_key_id } = &event.event else { return };
        let seq = event.seq;
        match self.ring.statements.iter().find(|s| s.log_seq == seq) {
            Some(s) if (&s.new_key_id, &s.number, &s.old_key_id) == (new_key_id, number, old_key_id) => {
                self.met.extend((s.log_head == *sha256).then_some(seq));
            }
            // A rotation that was given up: its key is in no use.
            None if !self.ring.has(new_key_id) => {}
            _ => self.missing = self.missing.or(Some(seq)),
        }
    }

    /// Whether every statement is borne out by the records `first_seq` to `next_seq` − 1, or was by earlier ones.
    pub(crate) fn settle(&self, first_seq: u64, next_seq: u64) -> Result<(), RotationError> {
        let retained = self.ring.statements.iter().filter(|s| (first_seq..next_seq).contains(&s.log_seq));
        let mut unmet = retained.filter(|s| !self.met.contains(&s.log_seq));
        if let Some(Rotation { number, log_seq, .. }) = unmet.next() {
            return Err(RotationError::RotationEvent { number: *number, log_seq: *log_seq });
        }
        self.missing.map_or(Ok(()), |seq| Err(RotationError::RotationMissing { seq }))
    }
}
