//! Tally → Posture and State → sealed files, one generation.
//!
//! The state says nothing that moves, so equal settings give equal bytes, signature included (Ed25519 has no nonce to
//! choose). The posture says the truth at one moment. The operator's intent, `monitor_enabled`, lives nowhere but in
//! these documents: the next run reads it back from the last complete generation.

mod generation;
mod succession;

pub use generation::Incomplete;
pub use succession::{Succession, SuccessionError, read as read_rotations};

use crate::{config::Config, flow::store::Stated, home::Home, warned};
use attest::{Chain, Sealed, canonical::CanonicalError, digest, seal::SealError};
use generation::{Exports, Generation};
use keys::SigningKey;
use posture::{
    Attested, Ca, CaMode, Counts, Coverage, DegradedReason, Digests, Ended, EventBody, FindingLog, InstallId, Mode,
    MonitorStatus, PatternSet, Platform, Posture, Redaction, Retention, Rotation, RunId, Scan, SelfTest, Sha256Hex,
    State, StateCa, Timestamp, VALID_PERIODS, Word,
};
use std::{collections::BTreeSet, io, path::PathBuf};

/// A name further above the last complete generation is not one we left incomplete: it would only use up the numbers,
/// of which there are twelve digits' worth.
const MAX_INCOMPLETE: u64 = 1 << 20;

/// Why an export did not become one.
#[derive(Debug, thiserror::Error)]
pub enum VouchError {
    /// A document has no canonical form.
    #[error("could not spell the document: {0}")]
    Canonical(#[from] CanonicalError),
    /// The key refused to sign it.
    #[error("could not seal the document: {0}")]
    Seal(#[from] SealError),
    /// Nothing was exported yet.
    #[error("nothing was exported yet")]
    Nothing,
    /// The key that would sign is not the one that has to.
    #[error(transparent)]
    Succession(#[from] SuccessionError),
    /// The system refused.
    #[error("could not {action} {}: {source}", folder.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The folder of the exports.
        folder: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
}

/// What holds for a whole run. All of the state but the operator's intent comes from here.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The certificate authority of HTTPS inspection.
    pub ca: Ca,
    /// SHA-256 of the authority's certificate.
    pub ca_fingerprint_sha256: Option<Sha256Hex>,
    /// [`Config::security_sha256`].
    pub config_sha256: Sha256Hex,
    /// Whether HTTPS is decrypted and scanned.
    pub https_inspection: bool,
    /// The rule set in force.
    pub pattern_set: PatternSet,
    /// Seconds between exports.
    pub period_seconds: u64,
    /// The bounds of the log.
    pub retention: Retention,
    /// The bounds of scanning.
    pub scan: Scan,
}

impl Settings {
    /// Of a run without HTTPS inspection.
    pub fn of(config: &Config, pattern_set: PatternSet) -> Self {
        Self {
            ca: Ca { key_sha256: None, mode: CaMode::Off, not_after: None },
            ca_fingerprint_sha256: None,
            config_sha256: config.security_sha256(),
            https_inspection: false,
            pattern_set,
            period_seconds: config.export_every.as_secs(),
            retention: config.retention,
            scan: Scan {
                max_depth: config.scan.max_depth as u64,
                max_decoded_bytes: config.scan.max_decoded_bytes as u64,
                max_scan_bytes: config.scan.max_scan_bytes as u64,
                queue_bytes: config.scan_queue_bytes as u64,
            },
        }
    }

    /// As they were signed: without a monitor nobody can say anything else.
    pub fn as_signed(last: &Last) -> Self {
        let posture = last.posture.clone();
        Self {
            ca: posture.ca,
            ca_fingerprint_sha256: posture.ca_fingerprint_sha256,
            config_sha256: posture.config_sha256,
            https_inspection: posture.https_inspection,
            pattern_set: posture.pattern_set,
            period_seconds: posture.period_seconds,
            retention: posture.retention,
            scan: posture.scan,
        }
    }
}

/// What is true at one moment.
#[derive(Debug, Clone)]
pub struct Statement {
    /// Stated counts.
    pub attested: Attested,
    /// The moment.
    pub at: Timestamp,
    /// Findings, recountable.
    pub counts: Counts,
    /// What passed.
    pub coverage: Coverage,
    /// Why the monitor is not whole.
    pub degraded: BTreeSet<DegradedReason>,
    /// How the last run ended, or that it has not.
    pub ended: Ended,
    /// What the log holds.
    pub finding_log: FindingLog,
    /// The head of its chain.
    pub head: Sha256Hex,
    /// This installation.
    pub install_id: InstallId,
    /// The operator's intent.
    pub monitor_enabled: bool,
    /// The run that speaks, or the last one.
    pub run_id: RunId,
    /// The last self-test.
    pub self_test: SelfTest,
}

impl Statement {
    /// The fact, from how the run ended and what ails it.
    pub fn status(&self) -> MonitorStatus {
        match (self.ended, self.degraded.is_empty()) {
            (Ended::Running, true) => MonitorStatus::Running,
            (Ended::Running, false) => MonitorStatus::Degraded,
            _ => MonitorStatus::Stopped,
        }
    }
}

/// A complete generation: one we made, or one whose signatures were checked against our own key.
#[derive(Debug, Clone)]
pub struct Last {
    /// Its posture.
    pub posture: Posture,
    /// SHA-256 over the posture's bytes.
    pub posture_sha256: Sha256Hex,
    /// Its state.
    pub state: State,
}

/// The one who signs.
pub struct Vouch {
    exports: Exports,
    key: SigningKey,
    key_id: Sha256Hex,
    /// The posture published last, by us.
    published: Option<Vec<u8>>,
    /// The state written last.
    signed_state: Option<(State, Sealed<State>)>,
    succession: Succession,
    next_sequence: u64,
    previous_sha256: Option<Sha256Hex>,
}

impl Vouch {
    /// Looks at the exports there are, and returns the last complete one.
    ///
    /// # Errors
    /// When the folder of the exports or the rotations cannot be read, or the key is not the one that has to sign.
    pub fn open(home: &Home, key: SigningKey) -> Result<(Self, Option<Last>), VouchError> {
        let exports = Exports::open(home.export_dir());
        let public = key.public();
        let (succession, ring) = Succession::open(home, &public)?;
        let numbers = exports.numbers().map_err(exports.trouble("read"))?;
        let last = numbers.iter().rev().find_map(|number| exports.read(*number, &ring));
        // An incomplete generation may have been seen: its number is never used again.
        let complete = last.as_ref().map_or(0, |last| last.posture.sequence);
        let ours = numbers.iter().rev().find(|number| **number <= complete + MAX_INCOMPLETE);
        let this = Self {
            key_id: digest::key_id(public.key_id()),
            key,
            published: None,
            signed_state: None,
            next_sequence: ours.map_or(1, |highest| highest + 1).max(succession.first_sequence()),
            succession,
            previous_sha256: last.as_ref().map(|last| last.posture_sha256.clone()),
            exports,
        };
        Ok((this, last))
    }

    /// The number the next export gets.
    pub fn next_sequence(&self) -> u64 {
        self.next_sequence
    }

    /// The next export's number is at least this one.
    pub fn not_below(&mut self, sequence: u64) {
        self.next_sequence = self.next_sequence.max(sequence);
    }

    /// What the rotations say of the keys and of the log.
    pub fn stated(&self) -> Stated {
        self.succession.stated(&self.key_id)
    }

    /// The signing key's identifier.
    pub fn key_id(&self) -> &Sha256Hex {
        &self.key_id
    }

    /// Signs and publishes. The log it covers is on the disk already.
    ///
    /// # Errors
    /// Readers then still find the generation before. The number is used up.
    pub fn publish(&mut self, settings: &Settings, statement: Statement) -> Result<Last, VouchError> {
        let sequence = self.next_sequence;
        let (state, sealed_state) = self.state(settings, statement.monitor_enabled)?;
        let posture = self.posture(settings, statement, sequence, sealed_state.sha256())?;
        let sealed = attest::seal(&self.key, &posture)?;
        self.next_sequence += 1;
        let generation = Generation { number: sequence, state: &sealed_state, posture: &sealed };
        self.exports.write(&generation).map_err(self.exports.trouble("write an export into"))?;
        // From here on a reader may have seen it, whatever fails: it is what the next one follows on.
        let posture_sha256 = sealed.sha256();
        self.previous_sha256 = Some(posture_sha256.clone());
        self.signed_state = Some((state.clone(), sealed_state));
        self.exports.lead_to(sequence).map_err(self.exports.trouble("publish an export in"))?;
        self.published = Some(sealed.bytes().to_vec());
        self.succession.signed(&self.key.public());
        if let Err(error) = self.exports.prune(sequence) {
            tracing::warn!(error = warned::why(&error), "could not remove old exports");
        }
        Ok(Last { posture, posture_sha256, state })
    }

    /// The posture published last, as an in-toto statement in a DSSE envelope.
    ///
    /// # Errors
    /// [`VouchError::Nothing`] before the first of this run, or of the key that signs now.
    pub fn envelope(&self) -> Result<String, VouchError> {
        let posture = self.published.as_deref().ok_or(VouchError::Nothing)?;
        Ok(attest::dsse::envelope(&self.key, posture)?)
    }

    /// Makes the key that is to sign next, and says what the log has to say before it does.
    ///
    /// # Errors
    /// [`VouchError::Succession`]: nothing has changed.
    pub fn stage_key(&mut self) -> Result<EventBody, VouchError> {
        Ok(self.succession.stage(&self.key_id)?)
    }

    /// Gives up a key that was staged.
    pub fn discard_key(&mut self) {
        self.succession.discard();
    }

    /// From the next export on the staged key signs. `log` ends with the event that says so, and an export covers it.
    ///
    /// # Errors
    /// [`VouchError::Succession`]: the key that signed until now still does.
    pub fn succeed(&mut self, log: &Chain) -> Result<Rotation, VouchError> {
        let (key, statement) = self.succession.succeed(&self.key, self.next_sequence, log)?;
        (self.key_id, self.key, self.published) = (digest::key_id(key.public().key_id()), key, None);
        Ok(statement)
    }

    /// The state, sealed: anew only where it is another than the one sealed last.
    fn state(&mut self, settings: &Settings, monitor_enabled: bool) -> Result<(State, Sealed<State>), VouchError> {
        let mut state = State {
            ca: StateCa { key_sha256: settings.ca.key_sha256.clone(), mode: settings.ca.mode },
            config_sha256: settings.config_sha256.clone(),
            digests: unbound(),
            https_inspection: settings.https_inspection,
            key_id: self.key_id.clone(),
            mode: Mode::Detect,
            monitor_enabled,
            pattern_set: settings.pattern_set.clone(),
            period_seconds: settings.period_seconds,
            platform: Platform::Hermes,
            redaction: Redaction { snippets: true },
            retention: settings.retention,
            scan: settings.scan,
            schema_version: posture::STATE_SCHEMA.to_owned(),
        };
        if let Some((signed, sealed)) = self.signed_state.take() {
            state.digests = signed.digests.clone();
            if state == signed {
                return Ok((signed, sealed));
            }
        }
        digest::bind(&mut state)?;
        let sealed = attest::seal(&self.key, &state)?;
        Ok((state, sealed))
    }

    fn posture(
        &self,
        settings: &Settings,
        statement: Statement,
        sequence: u64,
        state_sha256: Sha256Hex,
    ) -> Result<Posture, CanonicalError> {
        let status = statement.status();
        let mut degraded_reasons: Vec<Word> = statement.degraded.iter().map(|r| (*r).into()).collect();
        degraded_reasons.sort();
        if status != MonitorStatus::Degraded {
            degraded_reasons.clear();
        }
        let valid = chrono::Duration::seconds((settings.period_seconds * VALID_PERIODS).cast_signed());
        let mut posture = Posture {
            attested: statement.attested,
            ca: settings.ca.clone(),
            ca_fingerprint_sha256: settings.ca_fingerprint_sha256.clone(),
            config_sha256: settings.config_sha256.clone(),
            counts: statement.counts,
            coverage: statement.coverage,
            degraded_reasons,
            digests: unbound(),
            ended: statement.ended,
            finding_log: statement.finding_log,
            finding_log_sha256: statement.head,
            generated_at: statement.at,
            https_inspection: settings.https_inspection,
            install_id: statement.install_id,
            key_id: self.key_id.clone(),
            mode: Mode::Detect,
            monitor_enabled: statement.monitor_enabled,
            monitor_status: status,
            pattern_set: settings.pattern_set.clone(),
            period_seconds: settings.period_seconds,
            platform: Platform::Hermes,
            previous_sha256: self.previous_sha256.clone(),
            retention: settings.retention,
            run_id: statement.run_id,
            scan: settings.scan,
            schema_version: posture::POSTURE_SCHEMA.to_owned(),
            self_test: statement.self_test,
            sequence,
            state_sha256,
            valid_until: statement.at.plus(valid),
        };
        digest::bind(&mut posture)?;
        Ok(posture)
    }
}

/// What [`digest::bind`] replaces.
fn unbound() -> Digests {
    Digests { algorithm: "sha256".to_owned(), canonical_sha256: digest::sha256([]) }
}

#[cfg(test)]
pub(crate) mod tests;
