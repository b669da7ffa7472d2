//! The answer of a verification, for a person, for a program, and for `hermes-attestation-guardian`.

use crate::{
    canonical::{self, CanonicalError},
    digest,
    limit::Limit,
    memory::MemoryError,
    reason::Reason,
    verify::Verified,
};
use keys::KeyId;
use posture::{Digests, Memory, Platform, Posture, Sha256Hex, VERDICT_SCHEMA, Verdict, VerdictResult};
use serde::{Serialize, Serializer};
use std::borrow::Cow;

/// `schema_version` of a serialised [`Report`].
pub const REPORT_SCHEMA: &str = "clawsec-traffic-verification/v1";

/// The answer and its grounds.
#[derive(Debug)]
pub struct Report {
    /// The answer.
    pub result: VerdictResult,
    /// The first step that failed; `None` when none did.
    pub reason: Option<Reason>,
    /// The key that was checked against; `None` when none could be read.
    pub key_id: Option<KeyId>,
    /// The posture, once everything about it is authentic: with `drifted`, `not_current` and `degraded` too.
    pub posture: Option<Verified<Posture>>,
    /// What a passing answer does not prove; empty otherwise.
    pub limits: Vec<Limit>,
    /// What the reader is to remember: there once the posture is authentic and does not contradict what was remembered.
    pub memory: Option<Memory>,
    /// What the memory said against the posture, accepted all the same because a person restored a backup.
    pub accepted: Option<MemoryError>,
}

impl Report {
    /// The answer when the first step already failed: nothing was checked, no key vouches for anything.
    pub fn refused(reason: Reason) -> Self {
        Self { result: reason.result(), reason: Some(reason), ..Self::of(None) }
    }

    /// Of a verification that has not failed yet.
    pub(crate) fn of(key_id: Option<KeyId>) -> Self {
        let result = VerdictResult::Verified;
        Self { result, reason: None, key_id, posture: None, limits: Vec::new(), memory: None, accepted: None }
    }

    /// The exit code of `verify`: 0 to 2 mean the same to `hermes-attestation-guardian`.
    pub fn exit_code(&self) -> u8 {
        exit_code(self.result)
    }

    /// The content of `verdict.json` for this answer.
    ///
    /// # Errors
    /// As [`verdict`].
    pub fn verdict(&self) -> Result<Vec<u8>, CanonicalError> {
        verdict(self.result, self.key_id)
    }
}

/// The exit code of an answer.
pub fn exit_code(result: VerdictResult) -> u8 {
    match result {
        VerdictResult::Verified => 0,
        VerdictResult::NotAuthentic => 1,
        VerdictResult::Drifted => 2,
        VerdictResult::NotCurrent | VerdictResult::Degraded => 3,
        VerdictResult::Unverifiable => 74,
    }
}

/// The content of `verdict.json`: the same bytes for the same answer and key, so write it only where they differ.
///
/// # Errors
/// [`CanonicalError`], which a verdict's fixed members never cause.
pub fn verdict(result: VerdictResult, key_id: Option<KeyId>) -> Result<Vec<u8>, CanonicalError> {
    let mut verdict = Verdict {
        digests: Digests { algorithm: String::new(), canonical_sha256: Sha256Hex::from_bytes(&[0; 32]) },
        key_id: key_id.map(digest::key_id),
        platform: Platform::Hermes,
        result,
        schema_version: VERDICT_SCHEMA.into(),
    };
    digest::bind(&mut verdict)?;
    canonical::to_vec(&verdict)
}

/// As `clawsec-traffic-verification/v1`.
impl Serialize for Report {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Json<'a> {
            schema_version: &'static str,
            platform: Platform,
            result: VerdictResult,
            exit_code: u8,
            reason: Option<&'a Reason>,
            message: Option<String>,
            hint: Option<&'static str>,
            key_id: Option<Sha256Hex>,
            posture: Option<&'a Posture>,
            limits: Vec<Named>,
            remembered: Option<&'a Memory>,
            accepted: Option<&'a MemoryError>,
        }
        #[derive(Serialize)]
        struct Named {
            name: Limit,
            text: Cow<'static, str>,
        }
        Json {
            schema_version: REPORT_SCHEMA,
            platform: Platform::Hermes,
            result: self.result,
            exit_code: self.exit_code(),
            reason: self.reason.as_ref(),
            message: self.reason.as_ref().map(ToString::to_string),
            hint: self.reason.as_ref().and_then(Reason::hint),
            key_id: self.key_id.map(digest::key_id),
            posture: self.posture.as_deref(),
            limits: self.limits.iter().map(|l| Named { name: *l, text: l.text() }).collect(),
            remembered: self.memory.as_ref(),
            accepted: self.accepted.as_ref(),
        }
        .serialize(serializer)
    }
}
