//! What a reader has to be told of a folder: by what the monitor is known to have signed, and what lies there now.

use super::disk::{Disk, Line, Link};
use attest::{Chain, digest::sha256};
use chrono::TimeDelta;
use posture::{Ended, EventBody, MonitorStatus, Posture, Rotation, Sha256Hex, Timestamp};
use std::{
    collections::{BTreeMap, HashMap},
    rc::Rc,
};

/// A document the monitor signed.
pub(super) struct Signed {
    pub(super) signature: Vec<u8>,
    pub(super) key_id: Sha256Hex,
    /// `None` of a state.
    pub(super) posture: Option<Rc<Posture>>,
}

/// All documents the monitor ever signed, by the hash of their bytes.
pub(super) type Archive = HashMap<Sha256Hex, Signed>;

/// What a reader brings along.
#[derive(Default)]
pub(super) struct Question {
    /// The key it pinned; the folder's own without one.
    pub(super) pinned: Option<Sha256Hex>,
    pub(super) accept_stopped: bool,
    pub(super) accept_restore: bool,
    pub(super) baseline: Option<Sha256Hex>,
    pub(super) remembered: Option<Remembered>,
}

#[derive(Clone)]
pub(super) struct Remembered {
    pub(super) anchor: Sha256Hex,
    pub(super) posture: Sha256Hex,
}

/// What it is to be told.
pub(super) struct Answer {
    /// Why not; `None` when all is well.
    pub(super) code: Option<&'static str>,
    /// What it remembers from here on; `None` when that does not change.
    pub(super) remember: Option<Remembered>,
}

/// The exit code that goes with a reason.
pub(super) fn exit_code(code: Option<&str>) -> u8 {
    match code {
        None => 0,
        Some("drifted") => 2,
        Some("rolled_back" | "stopped" | "clock_ahead" | "expired" | "degraded") => 3,
        Some(code) if code.starts_with("memory_") => 3,
        Some("no_export" | "anchor") => 74,
        Some(_) => 1,
    }
}

/// The keys, each with the first posture it signs.
pub(super) struct Ring<'d> {
    keys: Vec<(u64, Sha256Hex)>,
    pinned: usize,
    statements: &'d [Rotation],
}

impl<'d> Ring<'d> {
    /// `None` when the pinned key is none of them.
    pub(super) fn of(disk: &'d Disk, pinned: &Sha256Hex) -> Option<Self> {
        let statements = &disk.rotations;
        let mut keys = vec![(0, statements.first().map_or(pinned, |s| &s.old_key_id).clone())];
        keys.extend(statements.iter().map(|s| (s.from_sequence, s.new_key_id.clone())));
        let pinned = keys.iter().position(|(_, id)| id == pinned)?;
        Some(Self { keys, pinned, statements })
    }

    fn place(&self, number: u64) -> usize {
        self.keys.iter().rposition(|(from, _)| *from <= number).unwrap_or(0)
    }

    pub(super) fn signer(&self, number: u64) -> &Sha256Hex {
        &self.keys[self.place(number)].1
    }

    fn has(&self, id: &Sha256Hex) -> bool {
        self.keys.iter().any(|(_, key)| key == id)
    }
}

/// One of a generation's two documents, if the key of its time signed it as it lies there.
fn document<'a>(
    archive: &'a Archive,
    disk: &Disk,
    number: u64,
    which: usize,
    ring: &Ring<'_>,
) -> Result<(&'a Signed, Sha256Hex), &'static str> {
    let file = |n: usize| disk.exports.get(&number).and_then(|files| files[2 * which + n].as_deref()).ok_or("missing");
    let hash = sha256(file(0)?);
    let signature = file(1)?;
    if signature.len() != 89 {
        return Err("signature_form");
    }
    let signed = archive.get(&hash).filter(|signed| signed.signature == signature).ok_or("signature")?;
    let place = ring.place(number);
    if signed.key_id == ring.keys[place].1 {
        return Ok((signed, hash));
    }
    let gave_way = ring.keys[..place].iter().any(|(_, id)| *id == signed.key_id);
    Err(if gave_way { "retired_key" } else { "signature" })
}

/// The posture in a generation, whatever number it bears.
fn posture(archive: &Archive, disk: &Disk, number: u64, ring: &Ring<'_>) -> Option<(Rc<Posture>, Sha256Hex)> {
    let (signed, hash) = document(archive, disk, number, 0, ring).ok()?;
    Some((Rc::clone(signed.posture.as_ref()?), hash))
}

/// The newest generation that is whole, signed, and in its place: what a monitor that starts goes on from.
pub(super) fn last_whole(archive: &Archive, disk: &Disk, ring: &Ring<'_>) -> Option<(Rc<Posture>, Sha256Hex)> {
    disk.exports.keys().rev().find_map(|number| {
        let (posture, hash) = posture(archive, disk, *number, ring)?;
        let (_, state) = document(archive, disk, *number, 1, ring).ok()?;
        (posture.sequence == *number && posture.state_sha256 == state).then_some((posture, hash))
    })
}

/// What the reader is to be told.
pub(super) fn answer(archive: &Archive, disk: &Disk, question: &Question, now: Timestamp) -> Answer {
    let mut remember = None;
    let code = judge(archive, disk, question, now, &mut remember).err();
    Answer { code, remember }
}

fn judge(
    archive: &Archive,
    disk: &Disk,
    question: &Question,
    now: Timestamp,
    remember: &mut Option<Remembered>,
) -> Result<(), &'static str> {
    let complete: Vec<u64> = disk.exports.keys().copied().filter(|number| disk.is_complete(*number)).collect();
    let number = match disk.current {
        Link::To(number) => number,
        Link::None => *complete.last().ok_or("no_export")?,
    };
    let anchor = question.pinned.as_ref().or(disk.anchor.as_ref()).ok_or("anchor")?;
    disk.exports.get(&number).and_then(|files| files[0].as_ref()).ok_or("missing")?;
    let ring = Ring::of(disk, anchor).ok_or("rotation_anchor")?;
    let (signed, hash) = document(archive, disk, number, 0, &ring)?;
    // A state's signature does not make it a posture: that is for the schema to say.
    let last = signed.posture.as_deref().ok_or("document")?;
    if last.sequence != number {
        return Err("generation");
    }
    if ring.place(number) < ring.pinned {
        return Err("before_pinned");
    }
    let state = disk.exports[&number][2].as_deref().ok_or("missing")?;
    if sha256(state) != last.state_sha256 {
        return Err("state_link");
    }
    document(archive, disk, number, 1, &ring).map_err(|code| if code == "retired_key" { "signature" } else { code })?;
    let heads = log(disk, last, &ring)?;
    let whole = |n: &u64| Some((*n, posture(archive, disk, *n, &ring)?.0));
    let mut earlier = complete.iter().rev().filter(|n| **n < number).take(128).filter_map(whole);
    if earlier.any(|(_, then)| counters(&then).iter().zip(counters(last)).any(|(then, now)| now < *then)) {
        return Err("decreased");
    }
    let mut later = complete.iter().rev().filter(|n| **n > number).take(128).filter_map(whole);
    if later.any(|(n, later)| later.sequence == n) {
        return Err("rolled_back");
    }
    if ring.statements.iter().any(|s| s.log_seq >= last.finding_log.next_seq) {
        return Err("rotation_unsigned");
    }
    let followed = question.remembered.as_ref().map_or(Ok(()), |then| {
        let before = archive[&then.posture].posture.as_ref().expect("what is remembered is a posture");
        let lies = |number| posture(archive, disk, number, &ring);
        let kept = lies(before.sequence).map(|(_, hash)| hash).or_else(|| match before.sequence + 1 {
            // What the next one says it follows on.
            next if next == last.sequence => last.previous_sha256.clone(),
            next => lies(next)?.0.previous_sha256.clone(),
        });
        follows(then, before, last, &hash, kept.as_ref(), &ring, &heads)
    });
    if !question.accept_restore {
        followed?;
    }
    *remember = Some(Remembered { anchor: anchor.clone(), posture: hash });
    time(last, question.accept_stopped, now)?;
    if last.monitor_status == MonitorStatus::Degraded {
        return Err("degraded");
    }
    let drifted = question.baseline.as_ref().is_some_and(|baseline| *baseline != last.state_sha256);
    if drifted { Err("drifted") } else { Ok(()) }
}

/// Along the chain to the signed head. Returns the head before each record.
fn log(disk: &Disk, last: &Posture, ring: &Ring<'_>) -> Result<BTreeMap<u64, Sha256Hex>, &'static str> {
    let (first, next) = (last.finding_log.first_seq, last.finding_log.next_seq);
    if next > 1 && disk.segments.is_empty() {
        return Err("missing");
    }
    let lines = disk.lines();
    let mut lines = lines.iter();
    let mut chain = (first == 1).then(Chain::genesis);
    let (mut heads, mut announced) = (BTreeMap::new(), Vec::new());
    while chain.as_ref().is_none_or(|chain| chain.next_seq() < next) {
        let line = lines.next().filter(|line| !line.is_torn).ok_or("log_cut")?;
        let before = line.before().ok_or("log_line")?;
        let at = chain.take().or_else(|| (before.next_seq() <= first).then(|| before.clone())).ok_or("log_line")?;
        if at != before {
            return Err("log_line");
        }
        heads.insert(at.next_seq(), at.head().clone());
        announced.extend(line.event().and_then(|event| announces(event, line)));
        chain = line.behind();
    }
    let chain = chain.expect("the loop ends with one");
    if *chain.head() != last.finding_log_sha256 || chain.next_seq() != next {
        return Err("log_head");
    }
    heads.insert(next, chain.head().clone());
    let stated = |seq: u64| ring.statements.iter().find(|s| s.log_seq == seq);
    let met = |s: &Rotation| {
        announced.iter().any(|(seq, new, hash)| (seq, new, hash) == (&s.log_seq, &s.new_key_id, &s.log_head))
    };
    if ring.statements.iter().any(|s| (first..next).contains(&s.log_seq) && !met(s)) {
        return Err("rotation_event");
    }
    if announced.iter().any(|(seq, new, _)| stated(*seq).map_or(ring.has(new), |s| s.new_key_id != *new)) {
        return Err("rotation_missing");
    }
    Ok(heads)
}

fn announces(event: &EventBody, line: &Line) -> Option<(u64, Sha256Hex, Sha256Hex)> {
    let EventBody::Rotate { new_key_id, .. } = event else { return None };
    Some((line.before()?.next_seq(), new_key_id.clone(), line.sha256.clone()))
}

fn follows(
    then: &Remembered,
    before: &Posture,
    last: &Posture,
    hash: &Sha256Hex,
    kept: Option<&Sha256Hex>,
    ring: &Ring<'_>,
    heads: &BTreeMap<u64, Sha256Hex>,
) -> Result<(), &'static str> {
    if last.install_id != before.install_id {
        return Err("memory_install");
    }
    if last.sequence < before.sequence {
        return Err("memory_rolled_back");
    }
    if !ring.has(&then.anchor) || !ring.has(&before.key_id) {
        return Err("memory_key");
    }
    let same = if last.sequence == before.sequence { Some(hash) } else { kept };
    if same.is_some_and(|same| *same != then.posture) {
        return Err("memory_forked");
    }
    let head = heads.get(&before.finding_log.next_seq);
    let elsewhere = head.is_some_and(|head| *head != before.finding_log_sha256);
    let shorter = last.finding_log.next_seq < before.finding_log.next_seq;
    if shorter || elsewhere { Err("memory_log") } else { Ok(()) }
}

fn time(last: &Posture, accept_stopped: bool, now: Timestamp) -> Result<(), &'static str> {
    if last.generated_at.since(now) > TimeDelta::minutes(2) {
        return Err("clock_ahead");
    }
    let stopped = last.monitor_status == MonitorStatus::Stopped;
    let on_purpose = matches!(last.ended, Ended::OperatorStop | Ended::RunFinished);
    if stopped && !(accept_stopped && on_purpose) {
        return Err("stopped");
    }
    let period = TimeDelta::seconds(last.period_seconds.cast_signed());
    if !stopped && now.since(last.generated_at) > period * 3 { Err("expired") } else { Ok(()) }
}

/// What never decreases.
fn counters(posture: &Posture) -> [u64; 10] {
    let Posture { counts, finding_log, attested, coverage, .. } = posture;
    [
        counts.findings,
        counts.folded,
        finding_log.first_seq,
        finding_log.next_seq,
        attested.expected,
        attested.not_recorded,
        attested.self_tests,
        coverage.seen.bytes,
        coverage.scanned.bytes,
        coverage.seen.messages,
    ]
}
