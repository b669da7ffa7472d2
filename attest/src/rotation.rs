//! `rotations.jsonl` → statements, each checked against those before it.
//!
//! Each line is signed by the key that goes and by the key that comes, names the line before, and is borne out by a
//! `rotate` event in the log. A reader who pinned any of the keys reaches the later ones, and none of the earlier.

use crate::{
    canonical::{self, CanonicalError},
    chain::Chain,
    digest::{key_id, sha256},
    folder::Place,
    keyring::Keyring,
};
use keys::{PublicKey, Signature, SigningKey};
use posture::{Platform, PublicKeyHex, ROTATION_SCHEMA, Rotation, Sha256Hex};
use serde::Serialize;
use serde_json::Value;

const SIGNATURES: [&str; 2] = ["new_signature", "old_signature"];

/// Why a statement was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StatementError {
    /// The last line has no end.
    #[error("the line is cut off")]
    Torn,
    /// Not a statement of this schema in canonical form.
    #[error("{0}")]
    Form(CanonicalError),
    /// A statement of a later version of the schema, signed.
    #[error("a statement of a version not known here")]
    UnknownVersion,
    /// A key that signatures prove nothing under, or in a second spelling.
    #[error("the {0} key is weak or not a key")]
    Key(&'static str),
    /// An identifier that is another key's.
    #[error("the identifier of the {0} key is another key's")]
    KeyId(&'static str),
    /// A key did not sign it.
    #[error("the {0} key did not sign it")]
    Signature(&'static str),
    /// A key gave way twice.
    #[error("a second statement from one old key")]
    SameOldKey,
    /// Another number than the next.
    #[error("it has number {found}, expected {expected}")]
    Number {
        /// The next number.
        expected: u64,
        /// The statement's.
        found: u64,
    },
    /// Not bound to the line before.
    #[error("it does not name the line before it")]
    Previous,
    /// Its old key is not the one that signed until then.
    #[error("its old key is not the new key of the statement before")]
    OldKey,
    /// A key is taken up again.
    #[error("its new key was in use before")]
    KeyAgain,
    /// `from_sequence` or `log_seq` does not go on.
    #[error("it does not come after the statement before")]
    Order,
}

/// Why a change of the key is not accepted.
#[derive(Debug, thiserror::Error, Serialize)]
#[serde(tag = "code", rename_all = "snake_case")]
#[non_exhaustive]
pub enum RotationError {
    /// A statement is not what it should be.
    #[error("{path} line {line}: {problem}")]
    RotationStatement {
        /// The file.
        path: Place,
        /// The line, from 1.
        line: u64,
        /// What is wrong with it.
        #[serde(serialize_with = "crate::reason::as_text")]
        problem: StatementError,
    },
    /// The pinned key is none of those the statements speak of.
    #[error("{path}: the rotations there neither lead to the pinned key nor from it")]
    RotationAnchor {
        /// The file.
        path: Place,
    },
    /// The log does not say what a statement says.
    #[error("rotation number {number} is not borne out by the log: record {log_seq} is not its event")]
    RotationEvent {
        /// The statement.
        number: u64,
        /// Where the event should be.
        log_seq: u64,
    },
    /// The posture does not cover the event of a statement.
    #[error("rotation number {number} names record {log_seq}, which no posture signs")]
    RotationUnsigned {
        /// The statement.
        number: u64,
        /// Where the event should be.
        log_seq: u64,
    },
    /// The log says that a key took over, and no statement does.
    #[error(
        "record {seq} of the log says that the key in use took over from another, and rotations.jsonl does not state it"
    )]
    RotationMissing {
        /// The event.
        seq: u64,
    },
    /// A key signed what it may not sign any more.
    #[error("{path}: signed by key {key_id}, which gave way to another before posture number {sequence}")]
    RetiredKey {
        /// The document.
        path: Place,
        /// The old key.
        key_id: Sha256Hex,
        /// The posture's number.
        sequence: u64,
    },
    /// Signed by a key older than the pinned one.
    #[error("posture number {sequence} is of the time before the pinned key")]
    BeforePinned {
        /// The posture's number.
        sequence: u64,
    },
}

/// The statements of an installation, checked one by one.
#[derive(Debug, Clone, Default)]
pub struct Rotations {
    statements: Vec<Rotation>,
    /// The first old key, and every new one.
    keys: Vec<PublicKey>,
    head: Option<Sha256Hex>,
}

impl Rotations {
    /// Reads the content of `rotations.jsonl`.
    ///
    /// # Errors
    /// The number of the first line that is wrong, from 1, and what is wrong with it.
    pub fn read(bytes: &[u8]) -> Result<Self, (u64, StatementError)> {
        let mut this = Self::default();
        for (number, line) in (1..).zip(bytes.split_inclusive(|b| *b == b'\n')) {
            let line = line.strip_suffix(b"\n").ok_or((number, StatementError::Torn))?;
            this.follow(line).map_err(|problem| (number, problem))?;
        }
        Ok(this)
    }

    /// The statements, oldest first.
    pub fn statements(&self) -> &[Rotation] {
        &self.statements
    }

    /// The key that signs now; `None` without statements.
    pub fn newest(&self) -> Option<&PublicKey> {
        self.keys.last()
    }

    /// The key it took over from.
    pub fn before_newest(&self) -> Option<&PublicKey> {
        self.keys.iter().nth_back(1)
    }

    /// The number the next statement gets.
    pub fn next_number(&self) -> u64 {
        self.statements.len() as u64 + 1
    }

    /// The keys, as seen by whoever pinned `key`. `None` when it is none of them; without statements it is alone.
    pub fn keyring(&self, key: &PublicKey) -> Option<Keyring> {
        if self.keys.is_empty() {
            return Some(Keyring::alone(key.clone()));
        }
        let pinned = self.keys.iter().position(|k| k == key)?;
        let from = std::iter::once(0).chain(self.statements.iter().map(|s| s.from_sequence));
        let keys = from.zip(self.keys.iter().cloned()).collect();
        Some(Keyring { keys, statements: self.statements.clone(), pinned })
    }

    /// The next line: `old` gives way to `new`, which signs from `from_sequence` on. `log` ends with the event that says
    /// so.
    ///
    /// # Errors
    /// [`StatementError`] for a statement that would be refused.
    pub fn state(
        &self,
        old: &SigningKey,
        new: &SigningKey,
        from_sequence: u64,
        log: &Chain,
    ) -> Result<Vec<u8>, StatementError> {
        let hex = |key: &PublicKey| PublicKeyHex::from_bytes(&key.to_bytes());
        let (old_public, new_public) = (old.public(), new.public());
        let mut statement = Rotation {
            from_sequence,
            log_head: log.head().clone(),
            log_seq: log.next_seq().saturating_sub(1),
            new_key_id: key_id(new_public.key_id()),
            new_public_key: hex(&new_public),
            new_signature: String::new(),
            number: self.next_number(),
            old_key_id: key_id(old_public.key_id()),
            old_public_key: hex(&old_public),
            old_signature: String::new(),
            platform: Platform::Hermes,
            previous_sha256: self.head.clone(),
            schema_version: ROTATION_SCHEMA.into(),
        };
        let value = serde_json::to_value(&statement).map_err(|_| StatementError::Form(CanonicalError::Lossy))?;
        let signed = signed_bytes(value).map_err(StatementError::Form)?;
        let sign = |key: &SigningKey| key.sign(&signed).to_base64_line().trim_end().to_owned();
        (statement.old_signature, statement.new_signature) = (sign(old), sign(new));
        let mut line = canonical::to_vec(&statement).map_err(StatementError::Form)?;
        self.clone().follow(&line)?;
        line.push(b'\n');
        Ok(line)
    }

    fn follow(&mut self, line: &[u8]) -> Result<(), StatementError> {
        let (statement, old, new) = statement(line)?;
        if self.statements.iter().any(|s| s.old_key_id == statement.old_key_id) {
            return Err(StatementError::SameOldKey);
        }
        let (expected, found) = (self.next_number(), statement.number);
        if found != expected {
            return Err(StatementError::Number { expected, found });
        }
        if statement.previous_sha256 != self.head {
            return Err(StatementError::Previous);
        }
        if self.keys.last().is_some_and(|last| *last != old) {
            return Err(StatementError::OldKey);
        }
        if new == old || self.keys.contains(&new) {
            return Err(StatementError::KeyAgain);
        }
        let before = self.statements.last().map_or((0, 0), |s| (s.from_sequence, s.log_seq));
        if statement.from_sequence <= before.0 || statement.log_seq <= before.1 {
            return Err(StatementError::Order);
        }
        if self.keys.is_empty() {
            self.keys.push(old);
        }
        self.keys.push(new);
        self.head = Some(sha256(line));
        self.statements.push(statement);
        Ok(())
    }
}

/// One statement, by itself: its form, its keys, and their signatures.
fn statement(line: &[u8]) -> Result<(Rotation, PublicKey, PublicKey), StatementError> {
    let value: Value = canonical::read(line).map_err(StatementError::Form)?;
    let version = value.get("schema_version").and_then(Value::as_str).unwrap_or_default();
    let foreign = version != ROTATION_SCHEMA;
    if foreign && !version.starts_with(ROTATION_SCHEMA.trim_end_matches(char::is_numeric)) {
        return Err(StatementError::Form(CanonicalError::Schema));
    }
    let key = |of: &'static str| {
        let hex = value.get(format!("{of}_public_key")).and_then(Value::as_str).and_then(|hex| hex.parse().ok());
        let hex: PublicKeyHex = hex.ok_or(StatementError::Form(CanonicalError::Schema))?;
        PublicKey::from_bytes(&hex.to_bytes()).map_err(|_| StatementError::Key(of))
    };
    let (old, new) = (key("old")?, key("new")?);
    let signed = signed_bytes(value.clone()).map_err(StatementError::Form)?;
    for (of, key) in [("old", &old), ("new", &new)] {
        let line = value.get(format!("{of}_signature")).and_then(Value::as_str).map(|text| format!("{text}\n"));
        let signature = line.and_then(|line| Signature::from_base64_line(line.as_bytes()).ok());
        let holds = signature.is_some_and(|signature| key.verify(&signed, &signature).is_ok());
        if !holds {
            return Err(StatementError::Signature(of));
        }
    }
    if foreign {
        return Err(StatementError::UnknownVersion);
    }
    let statement: Rotation = canonical::read(line).map_err(StatementError::Form)?;
    for (of, key, id) in [("old", &old, &statement.old_key_id), ("new", &new, &statement.new_key_id)] {
        if key_id(key.key_id()) != *id {
            return Err(StatementError::KeyId(of));
        }
    }
    Ok((statement, old, new))
}

/// What both keys sign: the canonical form without their signatures.
fn signed_bytes(mut statement: Value) -> Result<Vec<u8>, CanonicalError> {
    let members = statement.as_object_mut().ok_or(CanonicalError::Schema)?;
    members.retain(|name, _| !SIGNATURES.contains(&name.as_str()));
    serde_jcs::to_vec(&statement).map_err(|_| CanonicalError::Lossy)
}
