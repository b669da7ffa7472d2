//! Folder → Report: every step in its order, and the first that fails decides.
//!
//! Strict signature over the bytes as they lie → schema version → canonical form → closed schema → digest → the state,
//! linked and signed → the chain over everything signed → recount → rotations → earlier generations → later ones → memory
//! → clock and expiry → degraded → baseline. Nothing of a document is believed before the steps above it passed. Which key
//! is to have signed, the rotations say that the pinned key vouches for.

use crate::{
    ahead::{self, At, Read},
    canonical::{self, CanonicalError},
    chain::{Chain, Entry, FIRST_SEQ, LineError, Record},
    digest::{self, Document, sha256},
    folder::{self, Folder, Generation, Place},
    memory::Seen,
    prefix::Prefix,
    reason::{Limit, Reason},
    report::Report,
    rotation::{self, Keyring, RotationError, Witness},
};
use chrono::TimeDelta;
use keys::{PublicKey, Signature};
use posture::{
    Counts, Ended, Memory, MonitorStatus, Posture, Sha256Hex, State, Timestamp, UnscannedReason, VALID_PERIODS,
};
use serde::Deserialize;
use std::{collections::BTreeMap, ops::Deref, path::Path, thread, time::Duration};

/// A posture may be this many seconds ahead of the verifier's clock.
pub const MAX_AHEAD_SECONDS: i64 = 120;
/// How often a folder that a monitor changed while it was read is read again.
const RETRIES: u32 = 3;
/// A monitor that has written a generation lets `current` lead to it within this time.
const PUBLISHED_WITHIN: Duration = Duration::from_millis(200);
/// So many retained generations below the one verified, and above it, are compared with it.
const EARLIER: usize = 128;

/// What to verify against.
#[derive(Debug, Clone)]
pub struct Options {
    /// The public key.
    pub anchor: Anchor,
    /// The time it is.
    pub now: Timestamp,
    /// How old the posture may be, in place of its own expiry.
    pub max_age: Option<Duration>,
    /// Whether a monitor that was stopped on purpose passes, however long ago.
    pub accept_stopped: bool,
    /// The state there should be.
    pub baseline: Option<Baseline>,
    /// What the reader remembers of the last authentic posture.
    pub remembered: Option<Memory>,
    /// Whether a posture that contradicts what is remembered is taken all the same: a backup was restored.
    pub accept_restore: bool,
}

impl Options {
    /// Against this key, at this time, and nothing else.
    pub fn new(anchor: Anchor, now: Timestamp) -> Self {
        let (max_age, baseline, remembered) = (None, None, None);
        Self { anchor, now, max_age, accept_stopped: false, baseline, remembered, accept_restore: false }
    }
}

/// The public key to check against.
#[derive(Debug, Clone)]
pub enum Anchor {
    /// The folder's own `signing.pub.pem`: for the configured home alone.
    Own,
    /// A key obtained apart from the folder.
    Pinned(PublicKey),
    /// None: nothing passes.
    Unpinned,
}

/// The state there should be.
#[derive(Debug, Clone)]
pub struct Baseline {
    sha256: Sha256Hex,
    state: Option<Box<State>>,
}

impl Baseline {
    /// From the bytes of a `state.json` kept by the reader: a difference is named.
    ///
    /// # Errors
    /// [`CanonicalError`] when they are not a state's.
    pub fn from_state(bytes: &[u8]) -> Result<Self, CanonicalError> {
        Ok(Self { sha256: sha256(bytes), state: Some(canonical::read(bytes)?) })
    }

    /// From the SHA-256 of a `state.json`: a difference is only noticed.
    pub fn from_sha256(sha256: Sha256Hex) -> Self {
        Self { sha256, state: None }
    }

    /// The hash of that state.
    pub fn sha256(&self) -> &Sha256Hex {
        &self.sha256
    }

    fn check(&self, state: &State, sha256: Sha256Hex) -> Result<(), Reason> {
        if sha256 == self.sha256 {
            return Ok(());
        }
        let members = |s: &State| serde_json::to_value(s).ok().and_then(|v| v.as_object().cloned()).unwrap_or_default();
        let (then, now) = (self.state.as_deref().map(members).unwrap_or_default(), members(state));
        let differ = then.into_iter().filter(|(name, value)| name != "digests" && now.get(name) != Some(value));
        Err(Reason::Drifted { fields: differ.map(|(name, _)| name).collect(), state_sha256: sha256 })
    }
}

/// A document that passed every step up to authenticity. Only this module makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified<T>(T);

impl<T> Deref for Verified<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

/// Verifies a folder, or a posture alone. Reads only, and only inside the folder.
pub fn verify(folder: &Folder, options: &Options) -> Report {
    let anchor = match &options.anchor {
        Anchor::Pinned(key) => Ok(key.clone()),
        Anchor::Own => {
            folder.anchor().map_or(Err(Reason::Unpinned), |read| read.map_err(|source| Reason::Anchor { source }))
        }
        Anchor::Unpinned => Err(Reason::Unpinned),
    };
    let key_id = anchor.as_ref().ok().map(PublicKey::key_id);
    let mut report = Report::of(key_id);
    if let Err(reason) = run(folder, options, anchor, &mut report) {
        report.result = reason.result();
        report.reason = Some(reason);
        report.limits.clear();
    }
    report
}

fn run(
    folder: &Folder,
    options: &Options,
    anchor: Result<PublicKey, Reason>,
    report: &mut Report,
) -> Result<(), Reason> {
    let mut generation = folder.current()?;
    let anchor = anchor?;
    let mut retries = RETRIES;
    let authentic = loop {
        let authentic = authenticate(folder, &generation, &anchor, options.remembered.as_ref());
        let last = authentic.and_then(|read| match check_newer(folder, &read.posture, &read.ring) {
            Err(Reason::RolledBack { newer, .. }) if leads_to(folder, newer)? => Ok(read),
            judged => {
                judged?;
                read.ring.check_signed(read.posture.finding_log.next_seq)?;
                Ok(read)
            }
        });
        match last {
            Ok(documents) => break documents,
            Err(reason) if reason.is_racy() && retries > 0 => {
                let now = folder.current()?;
                if now.number() == generation.number() {
                    return Err(reason);
                }
                (generation, retries) = (now, retries - 1);
            }
            Err(reason) => return Err(reason),
        }
    };
    let continuity = recall(folder, options, &authentic, &anchor, report);
    let Authentic { posture, state, ring, log, .. } = authentic;
    let posture = report.posture.insert(Verified(posture));
    let continuity = continuity?;
    check_time(posture, options)?;
    if posture.monitor_status == MonitorStatus::Degraded || !posture.degraded_reasons.is_empty() {
        return Err(Reason::Degraded { reasons: posture.degraded_reasons.clone() });
    }
    if let Some(baseline) = &options.baseline {
        baseline.check(&state, posture.state_sha256.clone())?;
    }
    report.limits = vec![Limit::KeyHolder, Limit::UnsignedRecords];
    let is_remembered = options.remembered.is_some() && report.accepted.is_none();
    let more = [
        (!is_remembered, Limit::FolderRollback),
        (true, Limit::OtherTraffic),
        (matches!(options.anchor, Anchor::Own), Limit::OwnAnchor),
        (!generation.is_named(), Limit::NoCurrent),
        (posture.finding_log.first_seq != FIRST_SEQ && !log.begun_anew, Limit::PrunedRecords),
        (log.begun_anew, Limit::BegunAnew { first_seq: posture.finding_log.first_seq }),
        (posture.monitor_status == MonitorStatus::Stopped && options.max_age.is_none(), Limit::ExpiryNotTested),
        (!is_remembered && ring.is_walked_to(posture.sequence), Limit::OlderAnchor),
    ];
    report.limits.extend(more.into_iter().filter_map(|(holds, limit)| holds.then_some(limit)));
    report.limits.extend(continuity);
    Ok(())
}

/// Against what the reader remembers; fills in what is to be remembered from here on.
fn recall(
    folder: &Folder,
    options: &Options,
    authentic: &Authentic,
    anchor: &PublicKey,
    report: &mut Report,
) -> Result<Option<Limit>, Reason> {
    let Authentic { posture, posture_sha256, ring, log, .. } = authentic;
    let then_sha256 = options.remembered.as_ref().and_then(|then| posture_of(folder, then.sequence, authentic));
    let (then_sha256, then_head) = (then_sha256.as_ref(), log.then_head.as_ref());
    let seen = Seen { posture, posture_sha256, ring, then_sha256, then_head };
    let mut continuity = None;
    if let Some(then) = &options.remembered {
        match seen.follows(then) {
            Err(problem) if options.accept_restore => report.accepted = Some(problem),
            followed => followed?,
        }
        let before_seq = posture.finding_log.first_seq;
        continuity = then_head.is_none().then_some(Limit::Continuity { before_seq });
    }
    report.memory = Some(seen.memory(anchor.key_id()));
    Ok(continuity)
}

/// The hash of the posture numbered `sequence`: of its bytes if they are there, or else what the next one says it follows on.
fn posture_of(folder: &Folder, sequence: u64, authentic: &Authentic) -> Option<Sha256Hex> {
    let Authentic { posture, posture_sha256, ring, .. } = authentic;
    if posture.sequence == sequence {
        return Some(posture_sha256.clone());
    }
    let lies = retained(folder, sequence, ring).map(|(_, sha256)| sha256);
    let next = sequence.saturating_add(1);
    if posture.sequence == next {
        return lies.or_else(|| posture.previous_sha256.clone());
    }
    lies.or_else(|| retained(folder, next, ring)?.0.previous_sha256)
}

/// Whether `current` moves on to the generation `newer`, or past it: then what was read was the last word when it was read.
fn leads_to(folder: &Folder, newer: u64) -> Result<bool, Reason> {
    thread::sleep(PUBLISHED_WITHIN);
    Ok(folder.current()?.number().is_some_and(|now| now >= newer))
}

// === Authenticity: everything that does not depend on the time or the reader's wishes ===

/// What is authentic, and what was learnt on the way.
struct Authentic {
    posture: Posture,
    posture_sha256: Sha256Hex,
    state: State,
    ring: Keyring,
    log: Learnt,
}

fn authenticate(
    folder: &Folder,
    generation: &Generation,
    anchor: &PublicKey,
    remembered: Option<&Memory>,
) -> Result<Authentic, Reason> {
    let bytes = folder::read(generation.posture())?;
    let (Some(path), Some(number)) = (generation.state(), generation.number()) else {
        document::<Posture>(generation.posture(), &bytes, anchor)?;
        return Err(Reason::Partial);
    };
    let ring = rotation::keyring(folder, anchor)?;
    let key = ring.signer(number);
    let posture: Posture = document(generation.posture(), &bytes, key)
        .map_err(|reason| retired(generation.posture(), &bytes, &ring, number).unwrap_or(reason))?;
    if posture.sequence != number {
        return Err(Reason::Generation { path: generation.posture().into(), sequence: posture.sequence });
    }
    if ring.is_before_pinned(number) {
        return Err(RotationError::BeforePinned { sequence: number }.into());
    }
    let state_bytes = folder::read(path)?;
    if sha256(&state_bytes) != posture.state_sha256 {
        return Err(Reason::StateLink { path: path.into(), sequence: posture.sequence });
    }
    let state = document(path, &state_bytes, key)?;
    let log = check_log(folder, &posture, &ring, remembered.map(|then| then.next_seq))?;
    check_earlier(folder, &posture, &ring)?;
    Ok(Authentic { posture, posture_sha256: sha256(&bytes), state, ring, log })
}

/// A key that gave way signed this all the same.
fn retired(path: &Path, bytes: &[u8], ring: &Keyring, number: u64) -> Option<Reason> {
    let signature = Signature::from_base64_line(&folder::read(&folder::signature_path(path)).ok()?).ok()?;
    let key_id = digest::key_id(ring.retired(number, bytes, &signature)?.key_id());
    Some(RotationError::RetiredKey { path: path.into(), key_id, sequence: number }.into())
}

/// A signed document, step by step.
fn document<D: Document>(path: &Path, bytes: &[u8], key: &PublicKey) -> Result<D, Reason> {
    #[derive(Deserialize)]
    struct Version {
        schema_version: String,
    }
    let file = || path.into();
    let signature_path = folder::signature_path(path);
    let signature = Signature::from_base64_line(&folder::read(&signature_path)?)
        .map_err(|_| Reason::SignatureForm { path: signature_path.as_path().into() })?;
    let key_id = key.key_id();
    key.verify(bytes, &signature).map_err(|_| Reason::Signature { path: file(), key_id })?;
    let malformed = |problem| Reason::Document { path: file(), problem };
    let version: Version = serde_json::from_slice(bytes).map_err(|_| malformed(CanonicalError::Spelling))?;
    if version.schema_version != D::SCHEMA {
        let family = D::SCHEMA.trim_end_matches(char::is_numeric);
        let newer = version.schema_version.starts_with(family);
        return Err(if newer { Reason::UnknownVersion { path: file() } } else { malformed(CanonicalError::Schema) });
    }
    let document: D = canonical::read(bytes).map_err(malformed)?;
    if !digest::check(&document) {
        return Err(Reason::Digest { path: file() });
    }
    if document.key_id() != Some(&digest::key_id(key_id)) {
        return Err(Reason::NamedKey { path: file() });
    }
    Ok(document)
}

/// What following the log taught.
struct Learnt {
    /// The first record retained is the one a person began the log anew with.
    begun_anew: bool,
    /// The head of the chain at the record the reader remembers; `None` when it is gone, or none was asked about.
    then_head: Option<Sha256Hex>,
}

/// Follows the chain up to the signed head. What stands above it is nobody's word yet, and is not looked at.
fn check_log(folder: &Folder, posture: &Posture, ring: &Keyring, then: Option<u64>) -> Result<Learnt, Reason> {
    let next = posture.finding_log.next_seq;
    let last = next.saturating_sub(1);
    let mut walk = Walk::new(posture.finding_log.first_seq, Witness::new(ring), then);
    if next > FIRST_SEQ {
        let log = folder.log_retained_from(walk.first_seq)?;
        if walk.chain.next_seq() < next {
            ahead::for_each(log, |Read { at, entry }| {
                walk.step(entry, &at).map_err(|problem| Reason::LogLine {
                    path: (*at.path).into(),
                    line: at.number,
                    seq: walk.chain.next_seq(),
                    problem,
                })?;
                Ok::<_, Reason>(walk.chain.next_seq() < next)
            })?;
        }
        if walk.chain.next_seq() < next {
            return Err(Reason::LogCut { missing: walk.chain.next_seq(), last });
        }
    }
    if walk.chain != Chain::resume(next, posture.finding_log_sha256.clone()) {
        return Err(Reason::LogHead { last });
    }
    if let Some(path) = walk.unknown {
        return Err(Reason::UnknownVersion { path });
    }
    walk.look();
    let learnt = Learnt { begun_anew: walk.prefix.is_recovery(), then_head: walk.then_head.take() };
    let rotations = walk.witness.settle(walk.first_seq, next);
    if walk.counts()? != posture.counts {
        return Err(Reason::Counts { last });
    }
    rotations?;
    Ok(learnt)
}

/// What following the chain up to the signed head learns.
struct Walk<'k> {
    /// The first record retained, as the posture has it.
    first_seq: u64,
    chain: Chain,
    /// Whether `chain` is that of a line in the log, or where it should begin.
    begun: bool,
    /// The hash of the record before `first_seq`.
    before_first: Option<Sha256Hex>,
    /// What the retained records add up to.
    retained: Counts,
    /// Why the log begins where it does.
    prefix: Prefix,
    /// Where the first record of a version not known here stands.
    unknown: Option<Place>,
    /// What it says of the keys.
    witness: Witness<'k>,
    /// The record before which the head is asked for, and that head.
    then: Option<u64>,
    then_head: Option<Sha256Hex>,
}

impl<'k> Walk<'k> {
    fn new(first_seq: u64, witness: Witness<'k>, then: Option<u64>) -> Self {
        let genesis = Chain::genesis();
        let begun = first_seq <= genesis.next_seq();
        let chain = if begun { genesis } else { Chain::resume(first_seq, genesis.head().clone()) };
        Self {
            first_seq,
            chain,
            begun,
            before_first: None,
            retained: Counts::default(),
            prefix: Prefix::Whole,
            unknown: None,
            witness,
            then,
            then_head: None,
        }
    }

    fn step(&mut self, entry: Entry, at: &At) -> Result<(), LineError> {
        if !self.begun || at.after_gap {
            self.begin(&entry)?;
        }
        self.look();
        let seq = self.chain.next_seq();
        if seq == self.first_seq {
            self.before_first = Some(self.chain.head().clone());
        }
        let Some(record) = self.chain.take(entry)? else {
            self.unknown.get_or_insert_with(|| (*at.path).into());
            return Ok(());
        };
        if seq >= self.first_seq {
            record.count(&mut self.retained);
        }
        self.witness.see(&record, self.chain.head());
        if let Record::Event(event) = record {
            self.prefix.see(*event);
        }
        Ok(())
    }

    fn look(&mut self) {
        if self.then == Some(self.chain.next_seq()) {
            self.then_head = Some(self.chain.head().clone());
        }
    }

    /// Some of the pruned records may still be there. Nothing is left to hold their own beginning against, so they need
    /// only chain into what is retained.
    fn begin(&mut self, entry: &Entry) -> Result<(), LineError> {
        let chain = entry.before().ok_or(LineError::Malformed)?;
        if chain.next_seq() > self.first_seq {
            return Err(LineError::Seq { expected: self.first_seq, found: chain.next_seq() });
        }
        (self.chain, self.begun) = (chain, true);
        Ok(())
    }

    /// What all records since genesis add up to: those retained, and those the newest event on the prefix speaks for.
    fn counts(self) -> Result<Counts, Reason> {
        let Self { first_seq, before_first, retained, prefix, .. } = self;
        let mut counts = prefix.counts(first_seq, before_first.as_ref()).ok_or(Reason::LogPrefix { first_seq })?;
        counts.add(&retained);
        Ok(counts)
    }
}

/// Beside a later authentic statement an earlier one is no last word, whatever `current` says.
fn check_newer(folder: &Folder, posture: &Posture, ring: &Keyring) -> Result<(), Reason> {
    let above = folder.generations()?.into_iter().rev().take_while(|n| *n > posture.sequence).take(EARLIER);
    for number in above {
        if retained(folder, number, ring).is_some_and(|(newer, _)| newer.sequence == number) {
            return Err(Reason::RolledBack { sequence: posture.sequence, newer: number });
        }
    }
    Ok(())
}

/// Numbers that never decrease, against every earlier generation that is still there and authentic.
fn check_earlier(folder: &Folder, posture: &Posture, ring: &Keyring) -> Result<(), Reason> {
    let now = counters(posture);
    let below = folder.generations()?.into_iter().rev().filter(|n| *n < posture.sequence).take(EARLIER);
    for number in below {
        let Some((then, _)) = retained(folder, number, ring) else { continue };
        let fallen = counters(&then).into_iter().find(|(name, value)| now.get(name).is_none_or(|n| n < value));
        if let Some((counter, _)) = fallen {
            return Err(Reason::Decreased { counter, sequence: posture.sequence, earlier: number });
        }
    }
    Ok(())
}

/// The posture in another generation and its hash, if it is there and signed by the key of its own time.
fn retained(folder: &Folder, number: u64, ring: &Keyring) -> Option<(Posture, Sha256Hex)> {
    let generation = folder.generation(number, false);
    let bytes = folder::read(generation.posture()).ok()?;
    let posture = document(generation.posture(), &bytes, ring.signer(number)).ok()?;
    Some((posture, sha256(bytes)))
}

fn counters(posture: &Posture) -> BTreeMap<String, u64> {
    let mut all = BTreeMap::from([
        ("counts.findings".to_owned(), posture.counts.findings),
        ("counts.folded".to_owned(), posture.counts.folded),
        ("finding_log.first_seq".to_owned(), posture.finding_log.first_seq),
        ("finding_log.next_seq".to_owned(), posture.finding_log.next_seq),
    ]);
    let mut add = |section: String, value: Result<serde_json::Value, _>| {
        let members = value.ok().and_then(|v: serde_json::Value| v.as_object().cloned()).unwrap_or_default();
        all.extend(
            members.into_iter().filter_map(|(name, value)| Some((format!("{section}.{name}"), value.as_u64()?))),
        );
    };
    add("attested".into(), serde_json::to_value(&posture.attested));
    add("coverage.seen".into(), serde_json::to_value(posture.coverage.seen));
    add("coverage.scanned".into(), serde_json::to_value(posture.coverage.scanned));
    // What is in progress ends, and is then counted elsewhere.
    let settled = |reason: &str| reason != UnscannedReason::InProgress.as_str();
    for unscanned in posture.coverage.not_scanned.iter().filter(|u| settled(u.reason.as_str())) {
        add(format!("coverage.not_scanned.{}", unscanned.reason), serde_json::to_value(unscanned));
    }
    all
}

// === Time ===

fn check_time(posture: &Posture, options: &Options) -> Result<(), Reason> {
    let (generated_at, valid_until, now) = (posture.generated_at, posture.valid_until, options.now);
    if generated_at.since(now) > TimeDelta::seconds(MAX_AHEAD_SECONDS) {
        return Err(Reason::ClockAhead { generated_at, now });
    }
    let span = posture.period_seconds.checked_mul(VALID_PERIODS).and_then(|s| i64::try_from(s).ok());
    if span.and_then(TimeDelta::try_seconds) != Some(valid_until.since(generated_at)) {
        return Err(Reason::ClockSpan { generated_at, valid_until });
    }
    let stopped = posture.monitor_status == MonitorStatus::Stopped;
    let on_purpose = matches!(posture.ended, Ended::OperatorStop | Ended::RunFinished);
    if stopped && !(options.accept_stopped && on_purpose) {
        return Err(Reason::Stopped { ended: posture.ended, at: generated_at, sequence: posture.sequence });
    }
    let Some(max_age) = options.max_age else {
        return if now > valid_until && !stopped { Err(Reason::Expired { valid_until, now }) } else { Ok(()) };
    };
    let age = now.since(generated_at).to_std().unwrap_or_default();
    if age > max_age {
        let (age_seconds, max_age_seconds) = (age.as_secs(), max_age.as_secs());
        return Err(Reason::TooOld { generated_at, age_seconds, max_age_seconds });
    }
    Ok(())
}
