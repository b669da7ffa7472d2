//! Folder → Report: every step in its order, and the first that fails decides.
//!
//! Strict signature over the bytes as they lie → schema version → canonical form → closed schema → digest → the state,
//! linked and signed → the chain over everything signed → recount → earlier generations → later ones → clock and expiry
//! → degraded → baseline. Nothing of a document is believed before the steps above it passed.

use crate::{
    canonical::{self, CanonicalError},
    chain::{Chain, FIRST_SEQ, LineError, Record},
    digest::{self, Document, sha256},
    folder::{self, Folder, Generation, Line, Place},
    prefix::Prefix,
    reason::{Limit, Reason},
    report::Report,
};
use chrono::TimeDelta;
use keys::{PublicKey, Signature};
use posture::{
    Counts, Ended, MonitorStatus, Posture, Sha256Hex, State, Timestamp, UnscannedReason, VALID_PERIODS, VerdictResult,
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
    let mut report = Report { result: VerdictResult::Verified, reason: None, key_id, posture: None, limits: vec![] };
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
    let Authentic { posture, state, begun_anew } = loop {
        let authentic = authenticate(folder, &generation, &anchor);
        let last = authentic.and_then(|documents| match check_newer(folder, &documents.posture, &anchor) {
            Err(Reason::RolledBack { newer, .. }) if leads_to(folder, newer)? => Ok(documents),
            judged => judged.map(|()| documents),
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
    let posture = report.posture.insert(Verified(posture));
    check_time(posture, options)?;
    if posture.monitor_status == MonitorStatus::Degraded || !posture.degraded_reasons.is_empty() {
        return Err(Reason::Degraded { reasons: posture.degraded_reasons.clone() });
    }
    if let Some(baseline) = &options.baseline {
        baseline.check(&state, posture.state_sha256.clone())?;
    }
    report.limits = vec![Limit::KeyHolder, Limit::UnsignedRecords, Limit::FolderRollback, Limit::OtherTraffic];
    let more = [
        (matches!(options.anchor, Anchor::Own), Limit::OwnAnchor),
        (!generation.is_named(), Limit::NoCurrent),
        (posture.finding_log.first_seq != FIRST_SEQ && !begun_anew, Limit::PrunedRecords),
        (begun_anew, Limit::BegunAnew { first_seq: posture.finding_log.first_seq }),
        (posture.monitor_status == MonitorStatus::Stopped && options.max_age.is_none(), Limit::ExpiryNotTested),
    ];
    report.limits.extend(more.into_iter().filter_map(|(holds, limit)| holds.then_some(limit)));
    Ok(())
}

/// Whether `current` moves on to the generation `newer`, or past it: then what was read was the last word when it was read.
fn leads_to(folder: &Folder, newer: u64) -> Result<bool, Reason> {
    thread::sleep(PUBLISHED_WITHIN);
    Ok(folder.current()?.number().is_some_and(|now| now >= newer))
}

// === Authenticity: everything that does not depend on the time or the reader's wishes ===

/// Everything that was signed, and holds.
struct Authentic {
    posture: Posture,
    state: State,
    /// The first record retained is the one a person began the log anew with.
    begun_anew: bool,
}

fn authenticate(folder: &Folder, generation: &Generation, key: &PublicKey) -> Result<Authentic, Reason> {
    let posture: Posture = document(generation.posture(), &folder::read(generation.posture())?, key)?;
    let (Some(path), Some(number)) = (generation.state(), generation.number()) else { return Err(Reason::Partial) };
    if posture.sequence != number {
        return Err(Reason::Generation { path: generation.posture().into(), sequence: posture.sequence });
    }
    let bytes = folder::read(path)?;
    if sha256(&bytes) != posture.state_sha256 {
        return Err(Reason::StateLink { path: path.into(), sequence: posture.sequence });
    }
    let state = document(path, &bytes, key)?;
    let begun_anew = check_log(folder, &posture)?;
    check_earlier(folder, &posture, key)?;
    Ok(Authentic { posture, state, begun_anew })
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

/// Follows the chain up to the signed head. What stands above it is nobody's word yet, and is not looked at. True when
/// the log was begun anew, and nothing was pruned since.
fn check_log(folder: &Folder, posture: &Posture) -> Result<bool, Reason> {
    let next = posture.finding_log.next_seq;
    let last = next.saturating_sub(1);
    let mut walk = Walk::new(posture.finding_log.first_seq);
    if next > FIRST_SEQ {
        let mut log = folder.log_retained_from(walk.first_seq)?;
        while walk.chain.next_seq() < next {
            let Some(line) = log.next_line()?.filter(|l| l.complete) else {
                return Err(Reason::LogCut { missing: walk.chain.next_seq(), last });
            };
            walk.step(&line).map_err(|problem| Reason::LogLine {
                path: line.path.into(),
                line: line.number,
                seq: walk.chain.next_seq(),
                problem,
            })?;
        }
    }
    if walk.chain != Chain::resume(next, posture.finding_log_sha256.clone()) {
        return Err(Reason::LogHead { last });
    }
    if let Some(path) = walk.unknown {
        return Err(Reason::UnknownVersion { path });
    }
    let begun_anew = walk.prefix.is_recovery();
    if walk.counts()? == posture.counts { Ok(begun_anew) } else { Err(Reason::Counts { last }) }
}

/// What following the chain up to the signed head learns.
struct Walk {
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
}

impl Walk {
    fn new(first_seq: u64) -> Self {
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
        }
    }

    fn step(&mut self, line: &Line<'_>) -> Result<(), LineError> {
        if !self.begun || line.after_gap {
            self.begin(line.bytes)?;
        }
        let seq = self.chain.next_seq();
        if seq == self.first_seq {
            self.before_first = Some(self.chain.head().clone());
        }
        let record = match self.chain.follow(line.bytes) {
            Err(LineError::UnknownVersion) => {
                self.unknown.get_or_insert_with(|| line.path.into());
                return self.chain.follow_unknown(line.bytes);
            }
            followed => followed?,
        };
        if seq >= self.first_seq {
            record.count(&mut self.retained);
        }
        if let Record::Event(event) = record {
            self.prefix.see(*event);
        }
        Ok(())
    }

    /// Some of the pruned records may still be there. Nothing is left to hold their own beginning against, so they need
    /// only chain into what is retained.
    fn begin(&mut self, line: &[u8]) -> Result<(), LineError> {
        let chain = Chain::before(line).ok_or(LineError::Malformed)?;
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
fn check_newer(folder: &Folder, posture: &Posture, key: &PublicKey) -> Result<(), Reason> {
    let above = folder.generations()?.into_iter().rev().take_while(|n| *n > posture.sequence).take(EARLIER);
    for number in above {
        let path = folder.generation(number, false).posture().to_owned();
        let read = folder::read(&path).map_err(Reason::from).and_then(|bytes| document::<Posture>(&path, &bytes, key));
        if read.is_ok_and(|newer| newer.sequence == number) {
            return Err(Reason::RolledBack { sequence: posture.sequence, newer: number });
        }
    }
    Ok(())
}

/// Numbers that never decrease, against every earlier generation that is still there and authentic.
fn check_earlier(folder: &Folder, posture: &Posture, key: &PublicKey) -> Result<(), Reason> {
    let now = counters(posture);
    let earlier = folder.generations()?.into_iter().rev().filter(|n| *n < posture.sequence).take(EARLIER);
    for number in earlier {
        let path = folder.generation(number, false).posture().to_owned();
        let read = folder::read(&path).map_err(Reason::from).and_then(|bytes| document::<Posture>(&path, &bytes, key));
        let Ok(then) = read else { continue };
        let fallen = counters(&then).into_iter().find(|(name, value)| now.get(name).is_none_or(|n| n < value));
        if let Some((counter, _)) = fallen {
            return Err(Reason::Decreased { counter, sequence: posture.sequence, earlier: number });
        }
    }
    Ok(())
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
