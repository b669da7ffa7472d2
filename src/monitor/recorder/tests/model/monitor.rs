//! What a monitor makes of a folder: which records it believes, what it writes next, and what it says of itself.
//!
//! It is told the bytes there are and the steps that are taken, and knows of hashes, numbers and times alone.

use super::disk::{Disk, Line, Lines};
use super::reader::{self, Archive, Ring};
use attest::{Chain, Record, digest::sha256};
use chrono::TimeDelta;
use posture::{Checkpoint, Ended, EventBody, Posture, Prune, PruneReason, Retention, Sha256Hex, Timestamp};
use std::{
    cmp::Ordering,
    collections::{BTreeMap, HashMap, VecDeque},
    rc::Rc,
    time::{Duration, Instant},
};

const WINDOW: Duration = Duration::from_secs(600);
const YOUNG: TimeDelta = TimeDelta::days(7);

/// A record, but for what only the files' sizes bring about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum What {
    ClockStep { backwards: bool },
    ExportsMissing { last: Option<u64> },
    Fold(u64),
    Found(u64),
    Gap { unclean: bool },
    Overflow(u64),
    Prune { last_seq: u64 },
    Recovery,
    Reload,
    Rotate,
    Start,
    Stop(Ended),
}

impl What {
    /// `None` of a seal, a checkpoint, and a list of files.
    pub(super) fn of(line: &Line) -> Option<Self> {
        if let Some(number) = line.found() {
            return Some(Self::Found(number));
        }
        match line.event()? {
            EventBody::ClockStep { backwards, .. } => Some(Self::ClockStep { backwards: *backwards }),
            EventBody::ExportsMissing { last_sequence, .. } => Some(Self::ExportsMissing { last: *last_sequence }),
            EventBody::Fold { count, .. } => Some(Self::Fold(*count)),
            EventBody::Gap { unclean, .. } => Some(Self::Gap { unclean: *unclean }),
            EventBody::Overflow { count, .. } => Some(Self::Overflow(*count)),
            EventBody::Prune(prune) => Some(Self::Prune { last_seq: prune.last_seq }),
            EventBody::Recovery(_) => Some(Self::Recovery),
            EventBody::Reload(_) => Some(Self::Reload),
            EventBody::Rotate { .. } => Some(Self::Rotate),
            EventBody::Start { .. } => Some(Self::Start),
            EventBody::Stop { ended } => Some(Self::Stop(*ended)),
            EventBody::Checkpoint(_) | EventBody::Seal { .. } | EventBody::SetAside { .. } => None,
            EventBody::TunnelFallback { .. } => unreachable!("nothing is inspected here"),
        }
    }
}

/// What the records up to one add up to since genesis, and the first of them that is retained.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sums {
    pub(super) findings: u64,
    pub(super) folded: u64,
    pub(super) first_seq: u64,
}

/// By the hash of the last of these records.
pub(super) type Ledger = HashMap<Sha256Hex, Sums>;

/// A ledger that holds the beginning of a log.
pub(super) fn ledger() -> Ledger {
    let none = Sums { findings: 0, folded: 0, first_seq: 1 };
    HashMap::from([(Chain::genesis().head().clone(), none)])
}

/// Enters a line that follows on one that is known.
pub(super) fn enter(ledger: &mut Ledger, archive: &Archive, line: &Line) -> Result<(), String> {
    let before = line.before().ok_or("not a record")?;
    let signed = |seq: u64, head: &Sha256Hex| {
        let mut postures = archive.values().filter_map(|signed| signed.posture.as_deref());
        postures.find(|p| p.finding_log.next_seq == seq && p.finding_log_sha256 == *head).cloned()
    };
    let sums = match line.event() {
        Some(EventBody::Recovery(recovery)) => {
            let last = signed(before.next_seq(), before.head()).ok_or("a recovery stands where nothing was signed")?;
            if recovery.totals.counts != last.counts {
                return Err("a recovery goes on from other counts than were signed".into());
            }
            let (findings, folded) = (last.counts.findings, last.counts.folded);
            Sums { findings, folded, first_seq: before.next_seq() }
        }
        event => {
            let mut sums = *ledger.get(before.head()).ok_or("it follows on nothing known")?;
            match event {
                Some(EventBody::Fold { count, .. }) => sums.folded += count,
                Some(EventBody::Prune(prune)) => {
                    let gone = ledger.get(&prune.last_sha256).ok_or("a prune of records nobody knows")?;
                    if (prune.counts.findings, prune.counts.folded) != (gone.findings, gone.folded) {
                        return Err(format!("a prune says {:?}, and what goes adds up to {gone:?}", prune.counts));
                    }
                    sums.first_seq = prune.last_seq + 1;
                }
                None => sums.findings += 1,
                _ => {}
            }
            sums
        }
    };
    ledger.insert(line.sha256.clone(), sums);
    Ok(())
}

/// Enters a prune by its own word: nothing signed is left to hold it against.
fn enter_by_its_word(ledger: &mut Ledger, line: &Line, prune: &Prune) {
    let Some(before) = line.before() else { return };
    let (Some(sums), Some(gone)) = (ledger.get(before.head()), ledger.get(&prune.last_sha256)) else { return };
    let sums = Sums {
        findings: prune.counts.findings + sums.findings - gone.findings,
        folded: prune.counts.folded + sums.folded - gone.folded,
        first_seq: prune.last_seq + 1,
    };
    ledger.entry(line.sha256.clone()).or_insert(sums);
}

/// What is stated and cannot be recounted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) expected: u64,
    pub(super) not_recorded: u64,
    pub(super) self_tests: u64,
    pub(super) bytes: u64,
}

impl Tally {
    pub(super) fn of_posture(posture: &Posture) -> Self {
        Self::new(&posture.attested, &posture.coverage)
    }

    pub(super) fn of_checkpoint(checkpoint: &Checkpoint) -> Self {
        Self::new(&checkpoint.attested, &checkpoint.coverage)
    }

    fn new(attested: &posture::Attested, coverage: &posture::Coverage) -> Self {
        let posture::Attested { expected, not_recorded, self_tests, .. } = *attested;
        Self { expected, not_recorded, self_tests, bytes: coverage.seen.bytes }
    }
}

struct Window {
    value: u64,
    opened: Instant,
    more: u64,
}

/// What is known of a walk along a log.
struct Walk {
    valid: Lines,
    end: Chain,
    /// It goes through what was signed.
    reaches: bool,
    rotations_missing: bool,
    /// It goes through what this process left there.
    goes_on: bool,
    exports_missing: bool,
    checkpoint: Option<Checkpoint>,
    /// The last start or stop: its number, and whether it was a start.
    run: Option<(u64, bool)>,
    /// What a recovery it begins with set aside.
    set_aside: Option<Vec<Sha256Hex>>,
}

/// What was signed last of the log: by a posture, or by a rotation where no posture that covers it is left.
#[derive(Clone)]
pub(super) struct Held {
    pub(super) first_seq: u64,
    pub(super) chain: Chain,
    /// Findings, and further sightings.
    pub(super) counts: (u64, u64),
    /// A posture is left.
    exported: bool,
    unfinished: bool,
}

impl Held {
    pub(super) fn by(posture: &Posture) -> Self {
        Self {
            first_seq: posture.finding_log.first_seq,
            chain: Chain::resume(posture.finding_log.next_seq, posture.finding_log_sha256.clone()),
            counts: (posture.counts.findings, posture.counts.folded),
            exported: true,
            unfinished: matches!(posture.ended, Ended::Running | Ended::Unclean),
        }
    }

    fn now(last: Option<&Posture>, disk: &Disk) -> Option<Self> {
        let last = last.map(Self::by);
        let Some(statement) = disk.rotations.last() else { return last };
        let chain = Chain::resume(statement.log_seq + 1, statement.log_head.clone());
        match last {
            Some(last) if last.chain.next_seq() >= chain.next_seq() => Some(last),
            Some(last) => Some(Self { chain, unfinished: true, ..last }),
            None => Some(Self { first_seq: 1, chain, counts: (0, 0), exported: false, unfinished: true }),
        }
    }
}

/// The bounds a monitor is given.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub(super) retention: Retention,
    pub(super) fold_open_max: usize,
}

/// A monitor, or whoever does something without one.
#[expect(clippy::struct_excessive_bools, reason = "facts that do not depend on each other")]
pub(super) struct Monitor {
    pub(super) bounds: Bounds,
    /// The last whole posture, and its hash.
    pub(super) signed: Option<(Rc<Posture>, Sha256Hex)>,
    pub(super) held: Option<Held>,
    /// The keys in use, the one that signs among them.
    pub(super) keys: Vec<Sha256Hex>,
    /// Until when the last posture of this process holds.
    pub(super) valid_until: Option<Instant>,
    pub(super) tally: Tally,
    /// What a segment that begins now would be told.
    pub(super) told: Tally,
    pub(super) end: Chain,
    /// It has looked: `end` is what it left there.
    is_known: bool,
    pub(super) is_quarantined: bool,
    pub(super) exports_missing: bool,
    rotations_missing: bool,
    /// What it writes to, as it left it, and how long that was.
    pub(super) left: Lines,
    pub(super) left_bytes: u64,
    pub(super) unclean: bool,
    /// What was in the log when it wrote to it.
    pub(super) base: Lines,
    /// What it writes behind that.
    pub(super) events: Vec<What>,
    pub(super) refused: bool,
    sealed: BTreeMap<u64, Sealed>,
    /// What is in the newest segment, as it was read or written.
    active: Lines,
    /// It has seen a finding since it opened the log.
    seen: bool,
    looked: bool,
    /// Some of it is gone, though it has not looked yet.
    is_shorter: bool,
    windows: VecDeque<Window>,
    overflow: Option<(Instant, u64)>,
    unreported: bool,
    checkpoint: Option<Checkpoint>,
    clock: (Timestamp, Instant),
}

impl Monitor {
    /// Reads the log for the first time.
    pub(super) fn open(
        bounds: Bounds,
        archive: &Archive,
        ledger: &mut Ledger,
        disk: &Disk,
        (now, at): (Timestamp, Instant),
    ) -> Self {
        let newest = disk.rotations.last().map(|s| &s.new_key_id).or(disk.anchor.as_ref());
        let ring = newest.and_then(|key| Ring::of(disk, key));
        let mut this = Self {
            bounds,
            signed: ring.and_then(|ring| reader::last_whole(archive, disk, &ring)),
            held: None,
            keys: keys(disk),
            valid_until: None,
            tally: Tally::default(),
            told: Tally::default(),
            end: Chain::genesis(),
            is_known: false,
            is_quarantined: false,
            exports_missing: false,
            rotations_missing: false,
            left: Lines::new(),
            left_bytes: 0,
            unclean: false,
            base: Lines::new(),
            events: Vec::new(),
            refused: false,
            sealed: BTreeMap::new(),
            active: Lines::new(),
            seen: false,
            looked: false,
            is_shorter: false,
            windows: VecDeque::new(),
            overflow: None,
            unreported: false,
            checkpoint: None,
            clock: (now, at),
        };
        this.held = Held::now(this.signed.as_ref().map(|(last, _)| &**last), disk);
        let run = this.read(archive, ledger, disk, now);
        let signed_seq = this.held.as_ref().map_or(0, |held| held.chain.next_seq());
        let begun = run.is_some_and(|(seq, open)| open && (this.is_quarantined || seq >= signed_seq));
        this.unclean = begun || this.held.as_ref().is_some_and(|held| held.unfinished);
        this.tally = match (&this.signed, &this.checkpoint) {
            (Some((last, _)), _) => Tally::of_posture(last),
            (None, Some(checkpoint)) => Tally::of_checkpoint(checkpoint),
            (None, None) => Tally::default(),
        };
        this.told = this.tally;
        this
    }

    /// What a run begins with.
    pub(super) fn begin(&mut self, ledger: &Ledger) {
        if self.unclean || std::mem::take(&mut self.unreported) {
            self.events.push(What::Gap { unclean: self.unclean });
        }
        self.unreported = false;
        let last = self.signed.as_ref().map(|(last, _)| last.sequence);
        let fewer = self.checkpoint.as_ref().is_some_and(|c| c.next_sequence > last.unwrap_or(0) + 1);
        let sums = ledger[self.end.head()];
        if fewer || last.is_none() && (sums.first_seq > 1 || sums.findings > 0 || sums.folded > 0) {
            self.exports_missing |= last.is_none();
            self.events.push(What::ExportsMissing { last });
        }
        self.events.push(What::Start);
    }

    /// A posture is out. What it has to say of the silence before is written behind it.
    pub(super) fn exports(&mut self, period: Duration, at: Instant) -> Option<What> {
        let was_silent = self.valid_until.is_some_and(|until| at > until);
        self.valid_until = Some(at + 3 * period);
        was_silent.then_some(What::Gap { unclean: false })
    }

    /// What an export covers now; from here on the log is held against that.
    pub(super) fn signs(&mut self, ledger: &Ledger) -> Option<Chain> {
        if !self.is_quarantined {
            let sums = ledger.get(self.end.head())?;
            let (chain, counts) = (self.end.clone(), (sums.findings, sums.folded));
            self.held = Some(Held { first_seq: sums.first_seq, chain, counts, exported: true, unfinished: true });
        }
        self.held.as_ref().map(|held| held.chain.clone())
    }

    /// A new step: nothing is written yet.
    pub(super) fn rest(&mut self) {
        self.events.clear();
        self.base.clear();
        self.looked = false;
    }

    pub(super) fn report_damage(&mut self) {
        if std::mem::take(&mut self.unreported) {
            self.events.push(What::Gap { unclean: false });
        }
    }

    // === the log, as it is found ===

    /// Before it writes: is what it writes to still what it left?
    pub(super) fn notice(&mut self, archive: &Archive, ledger: &mut Ledger, disk: &Disk, now: Timestamp) {
        if self.looked {
            return;
        }
        let target = if self.is_quarantined { disk.quarantine.as_ref() } else { disk.newest() };
        match target {
            None if self.is_shorter => drop(self.read(archive, ledger, disk, now)),
            Some(target) if target.bytes != self.left_bytes => drop(self.read(archive, ledger, disk, now)),
            Some(_) => self.base = self.as_it_lies(disk),
            // Its name is given back to it.
            None if self.is_quarantined => self.base = self.left.clone(),
            None => self.base = [disk.lines(), self.left.clone()].concat(),
        }
        self.looked = true;
    }

    /// What it writes to, whether it knows of it or not.
    pub(super) fn as_it_lies(&self, disk: &Disk) -> Lines {
        if self.is_quarantined {
            return disk.quarantine.as_ref().map_or_else(Lines::new, |q| q.lines.clone());
        }
        disk.lines()
    }

    /// Reads all of it again. Returns the last word on a run.
    pub(super) fn read(
        &mut self,
        archive: &Archive,
        ledger: &mut Ledger,
        disk: &Disk,
        now: Timestamp,
    ) -> Option<(u64, bool)> {
        let mut walk = self.walk(archive, ledger, disk, false, &disk.lines(), self.held.as_ref(), now);
        let mut all = disk.lines();
        let mut is_pending = false;
        if let Some(held) = self.held.as_ref().filter(|_| !walk.reaches && !disk.pending.is_empty()) {
            let anew = self.walk(archive, ledger, disk, true, &disk.pending, Some(held), now);
            let begins = disk.pending[0].before().is_some_and(|before| before.next_seq() == held.first_seq);
            let quarantine = disk.quarantine.as_ref().filter(|q| q.bytes > 0);
            let hash = quarantine.map(|q| sha256(q.lines.iter().flat_map(|l| l.bytes.clone()).collect::<Vec<_>>()));
            let carried = |files: &Vec<Sha256Hex>| hash.is_none_or(|hash| files.contains(&hash));
            if anew.reaches && begins && anew.set_aside.as_ref().is_some_and(carried) {
                (walk, all, is_pending) = (anew, disk.pending.clone(), true);
            }
        }
        let was_quarantined = std::mem::replace(&mut self.is_quarantined, !walk.reaches);
        if self.is_quarantined {
            all = disk.quarantine.as_ref().map_or_else(Lines::new, |q| q.lines.clone());
            walk = self.walk(archive, ledger, disk, true, &all, None, now);
        }
        let same_file = was_quarantined == self.is_quarantined;
        let set_aside = format!("damaged-{:012}", walk.end.next_seq());
        self.unreported = walk.valid.len() < all.len()
            || disk.aside.iter().any(|name| name.starts_with(&set_aside))
            || same_file && self.is_known && !walk.goes_on;
        if !same_file || walk.end != self.end {
            self.windows.clear();
        }
        (self.exports_missing, self.rotations_missing) = (walk.exports_missing, walk.rotations_missing);
        self.seen = walk.valid.iter().any(|line| line.found().is_some());
        (self.looked, self.is_shorter) = (true, false);
        (self.sealed, self.active, self.is_known) = (BTreeMap::new(), walk.valid.clone(), true);
        let is_own = !is_pending && !self.is_quarantined;
        for segment in disk.segments.iter().filter(|s| is_own && !s.is_newest) {
            if (1..=self.active.len()).contains(&segment.lines.len()) {
                let lines: Lines = self.active.drain(..segment.lines.len()).collect();
                self.seal(&lines);
            }
        }
        (self.end, self.checkpoint, self.base, self.refused) = (walk.end, walk.checkpoint, walk.valid, false);
        walk.run
    }

    #[expect(clippy::too_many_arguments, reason = "a log, and what it is held against")]
    fn walk(
        &self,
        archive: &Archive,
        ledger: &mut Ledger,
        disk: &Disk,
        is_alone: bool,
        lines: &Lines,
        held: Option<&Held>,
        now: Timestamp,
    ) -> Walk {
        let through = held.map(|held| held.chain.clone());
        let exported = held.is_some_and(|held| held.exported);
        let known_first_seq = ledger.get(self.end.head()).map_or(1, |sums| sums.first_seq);
        let begin = lines.first().and_then(|line| line.before()).unwrap_or_else(Chain::genesis);
        let mut walk = Walk {
            valid: Lines::new(),
            end: begin.clone(),
            reaches: through.as_ref().is_none_or(|through| *through == begin),
            goes_on: self.end == begin,
            rotations_missing: false,
            exports_missing: false,
            checkpoint: None,
            run: None,
            set_aside: None,
        };
        let (mut first_seq, mut torn_off) = (1, false);
        for line in lines {
            let (Some(before), Some(behind)) = (line.before(), line.behind()) else { break };
            let seq = before.next_seq();
            let is_signed = through.as_ref().is_none_or(|t| seq < t.next_seq());
            if before != walk.end {
                break;
            }
            let covered = through.as_ref().is_some_and(|t| seq < t.next_seq());
            match line.event() {
                Some(EventBody::Prune(prune)) => {
                    let knows_better = self.is_known && prune.last_seq >= known_first_seq;
                    let alone = !exported && begin.next_seq() > first_seq && !knows_better;
                    let gone_already = prune.last_seq + 1 < begin.next_seq();
                    if covered && gone_already {
                        // Of its own records nothing is left.
                    } else if covered || alone || !is_alone && self.would(disk, ledger, prune, first_seq, now) {
                        first_seq = prune.last_seq + 1;
                        if !covered && alone {
                            enter_by_its_word(ledger, line, prune);
                        }
                    } else {
                        break;
                    }
                }
                Some(EventBody::Recovery(recovery)) => {
                    if !is_signed || seq != begin.next_seq() || seq <= first_seq {
                        break;
                    }
                    first_seq = seq;
                    walk.set_aside = Some(recovery.set_aside.iter().map(|file| file.sha256.clone()).collect());
                }
                Some(EventBody::Rotate { new_key_id, .. }) if !covered && self.keys.contains(new_key_id) => break,
                Some(EventBody::Rotate { new_key_id, .. }) => {
                    // The first key took over from none.
                    walk.rotations_missing |= self.keys.first() == Some(new_key_id);
                }
                Some(EventBody::ExportsMissing { last_sequence: None, .. }) if !covered && exported => break,
                Some(EventBody::ExportsMissing { last_sequence: None, .. }) => walk.exports_missing = true,
                Some(EventBody::Checkpoint(checkpoint)) => walk.checkpoint = Some(Checkpoint::clone(checkpoint)),
                Some(EventBody::Start { .. }) => walk.run = Some((seq, true)),
                Some(EventBody::Stop { .. }) => walk.run = Some((seq, false)),
                _ => {}
            }
            if !ledger.contains_key(&line.sha256) && ledger.contains_key(before.head()) {
                // What nobody wrote may say anything; what was written is checked when it is.
                let _ = enter(ledger, archive, line);
            }
            walk.valid.push(Rc::clone(line));
            walk.end = behind;
            walk.reaches |= through.as_ref() == Some(&walk.end);
            walk.goes_on |= self.end == walk.end;
        }
        torn_off |= begin.next_seq() > first_seq;
        if torn_off {
            let reaches = through.is_none();
            let (valid, end) = (Lines::new(), Chain::genesis());
            let (goes_on, exports_missing, rotations_missing) = (false, false, false);
            let (checkpoint, run, set_aside) = (None, None, None);
            walk =
                Walk { valid, end, reaches, goes_on, exports_missing, rotations_missing, checkpoint, run, set_aside };
        }
        walk
    }

    // === what goes ===

    /// Whether a prune nobody signed is what would be done now.
    fn would(&self, disk: &Disk, ledger: &Ledger, prune: &Prune, first_seq: u64, now: Timestamp) -> bool {
        let at_least_so_old = match prune.reason {
            PruneReason::Age => self.max_age(),
            PruneReason::Bytes => YOUNG,
        };
        let mut going = sealed(disk).take_while(|s| s.end.next_seq() <= prune.last_seq + 1).collect::<Vec<_>>();
        let Some(youngest) = going.pop() else { return false };
        let begins = disk.lines().first().and_then(|line| line.before()).is_some_and(|b| b.next_seq() <= first_seq);
        let adds_up = ledger
            .get(&prune.last_sha256)
            .is_some_and(|s| (s.findings, s.folded) == (prune.counts.findings, prune.counts.folded));
        let old = going.iter().chain([&youngest]).all(|s| s.age(now) >= at_least_so_old);
        let fits = *youngest.end.head() == prune.last_sha256 && youngest.end.next_seq() == prune.last_seq + 1;
        fits && old && adds_up && begins && prune.last_seq + 1 > first_seq
    }

    fn max_age(&self) -> TimeDelta {
        TimeDelta::days(self.bounds.retention.max_age_days.cast_signed())
    }

    /// What a look at these segments comes to, none of which is to go yet; without what was `said` of it.
    pub(super) fn due(&self, disk: &Disk, said: &[Rc<Line>], now: Timestamp) -> Option<What> {
        let max_bytes = self.bounds.retention.max_bytes;
        let said_bytes = said.iter().map(|line| line.bytes.len() as u64).sum::<u64>();
        let newest = disk.newest().map_or(0, |newest| newest.bytes);
        let sealed_bytes = self.sealed.values().map(|segment| segment.bytes).sum::<u64>();
        let (mut rest, mut last) = (newest + sealed_bytes - said_bytes, None);
        let from = said.first().and_then(|line| line.before()).map_or(u64::MAX, |before| before.next_seq());
        for segment in self.sealed.values().filter(|segment| segment.end.next_seq() <= from) {
            let age = segment.age(now);
            if age < self.max_age() && (age < YOUNG || rest <= max_bytes - max_bytes / 4) {
                break;
            }
            rest -= segment.bytes;
            last = Some(What::Prune { last_seq: segment.end.next_seq() - 1 });
        }
        last
    }

    // === what comes in ===

    /// The fold events of windows that have lasted.
    pub(super) fn close_lasted(&mut self, at: Instant) -> Vec<What> {
        self.close(|window| at.saturating_duration_since(window.opened) >= WINDOW)
    }

    pub(super) fn close_all(&mut self) -> Vec<What> {
        let mut events = self.close(|_| true);
        events.extend(self.overflow.take().map(|(_, count)| What::Overflow(count)));
        events
    }

    pub(super) fn close_too_many(&mut self) -> Vec<What> {
        let too_many = self.windows.len().saturating_sub(self.bounds.fold_open_max);
        self.close_oldest(too_many)
    }

    pub(super) fn overflow_lasted(&mut self, at: Instant) -> Option<What> {
        let lasted = self.overflow.is_some_and(|(opened, _)| at.saturating_duration_since(opened) >= WINDOW);
        if lasted { self.overflow.take().map(|(_, count)| What::Overflow(count)) } else { None }
    }

    fn close_oldest(&mut self, number: usize) -> Vec<What> {
        let folded: Vec<_> = self.windows.drain(..number).map(|window| window.more).collect();
        folded.into_iter().filter(|more| *more > 0).map(What::Fold).collect()
    }

    fn close(&mut self, mut lasted: impl FnMut(&Window) -> bool) -> Vec<What> {
        let mut events = Vec::new();
        while self.windows.front().is_some_and(&mut lasted) {
            let window = self.windows.pop_front().expect("it was there");
            events.extend((window.more > 0).then_some(What::Fold(window.more)));
        }
        events
    }

    /// Whether a window is open for this value: then it counts one more.
    pub(super) fn sighting(&mut self, value: u64) -> bool {
        self.windows.iter_mut().find(|window| window.value == value).map(|window| window.more += 1).is_some()
    }

    /// Whether there is room for a finding, grave or seen before.
    pub(super) fn admits(&self, disk: &Disk, grave: bool, now: Timestamp) -> bool {
        let max = self.bounds.retention.max_bytes;
        let quarantine = disk.quarantine.as_ref().map_or(0, |q| q.bytes);
        let newest = if self.is_quarantined { quarantine } else { disk.newest().map_or(0, |s| s.bytes) };
        let sealed = self.sealed.values().filter(|_| !self.is_quarantined);
        let young = newest + sealed.clone().filter(|s| s.age(now) < YOUNG).map(|s| s.bytes).sum::<u64>();
        let used = newest + sealed.map(|s| s.bytes).sum::<u64>();
        used < max - max / 8 && (young < max / 2 || grave || !self.seen)
    }

    pub(super) fn refuse(&mut self, at: Instant) {
        self.overflow.get_or_insert((at, 0)).1 += 1;
        self.tally.not_recorded += 1;
        self.refused = true;
    }

    /// A finding is in the log: its window opens.
    pub(super) fn found(&mut self, value: u64, at: Instant) {
        self.events.push(What::Found(value));
        self.seen = true;
        if self.windows.len() >= self.bounds.fold_open_max {
            let oldest = self.close_oldest(1);
            self.events.extend(oldest);
        }
        self.windows.push_back(Window { value, opened: at, more: 0 });
    }

    /// The log was begun anew, and is this one.
    pub(super) fn begun_anew(&mut self, disk: &Disk) {
        (self.is_quarantined, self.exports_missing, self.rotations_missing) = (false, false, false);
        self.refused = false;
        let set_aside = format!("damaged-{:012}", self.end.next_seq());
        self.unreported = disk.aside.iter().any(|name| name.starts_with(&set_aside));
        self.seen = disk.lines().iter().any(|line| line.found().is_some());
        self.sealed.clear();
        self.active = disk.lines();
        self.windows.clear();
    }

    /// Somebody was at what it writes to: in place, so that it does not notice, or so that less of it is there.
    pub(super) fn edited(&mut self, disk: &Disk) {
        let newest = if self.is_quarantined { disk.quarantine.as_ref() } else { disk.newest() };
        let Some(newest) = newest else { return };
        match newest.bytes.cmp(&self.left_bytes) {
            Ordering::Less => self.is_shorter = true,
            // What others wrote behind its own lines is not among them.
            Ordering::Equal | Ordering::Greater => {
                self.is_shorter = false;
                let mut rest = usize::try_from(self.left_bytes).expect("no log is so long");
                self.left.clear();
                for line in newest.lines.iter().filter(|line| !line.bytes.is_empty()) {
                    match line.bytes.len() {
                        _ if rest == 0 => break,
                        len if len <= rest => self.left.push(Rc::clone(line)),
                        _ => self.left.push(Rc::new(line.cut(rest))),
                    }
                    rest = rest.saturating_sub(line.bytes.len());
                }
            }
        }
    }

    /// It left what it writes to like this.
    pub(super) fn leaves(&mut self, disk: &Disk) {
        let newest = if self.is_quarantined { disk.quarantine.as_ref() } else { disk.newest() };
        self.left = newest.map_or_else(Lines::new, |segment| segment.lines.clone());
        self.left_bytes = newest.map_or(0, |segment| segment.bytes);
    }

    /// A line it wrote: behind a seal, the next segment begins.
    pub(super) fn wrote(&mut self, line: &Rc<Line>) {
        if self.active.last().is_some_and(|last| matches!(last.event(), Some(EventBody::Seal { .. }))) {
            let lines = std::mem::take(&mut self.active);
            self.seal(&lines);
        }
        self.active.push(Rc::clone(line));
    }

    fn seal(&mut self, lines: &[Rc<Line>]) {
        let sealed = Sealed::of(lines).expect("it knows its records");
        self.sealed.insert(sealed.begin.next_seq(), sealed);
    }

    /// Takes note of segments that were deleted.
    pub(super) fn deleted(&mut self, disk: &Disk, first_seq: u64) {
        self.sealed.retain(|seq, _| *seq >= first_seq || disk.segments.iter().any(|s| s.first_seq == Some(*seq)));
    }

    /// Whether a prune is not done yet.
    pub(super) fn is_deleting(&self, first_seq: u64) -> bool {
        self.sealed.keys().any(|seq| *seq < first_seq)
    }

    pub(super) fn is_lost(&self) -> bool {
        self.is_quarantined || self.exports_missing || self.rotations_missing
    }

    pub(super) fn has_looked(&self) -> bool {
        self.looked
    }

    /// Whether the wall clock did more than pass since the last look.
    pub(super) fn clock_step(&mut self, now: Timestamp, at: Instant) -> Option<What> {
        let steady = i64::try_from(at.duration_since(self.clock.1).as_millis()).expect("no such sequence is so long");
        let step = now.since(self.clock.0).num_milliseconds() - steady;
        self.clock = (now, at);
        (step.abs() >= 1000).then_some(What::ClockStep { backwards: step < 0 })
    }

    /// What a posture says ails it.
    pub(super) fn ails(&self, disk: &Disk) -> Vec<&'static str> {
        let max = self.bounds.retention.max_bytes;
        let quarantine = disk.quarantine.as_ref().map_or(0, |q| q.bytes);
        let used = if self.is_quarantined { quarantine } else { disk.bytes() };
        let full = self.refused || used >= max - max / 8;
        let all = [
            (self.exports_missing, "exports_missing"),
            (self.is_quarantined, "log_damaged"),
            (full, "log_full"),
            (self.rotations_missing, "rotations_missing"),
        ];
        all.into_iter().filter_map(|(is, word)| is.then_some(word)).collect()
    }

    /// What a person who recovers the log carries over: the records behind the signed head, and the quarantine's.
    pub(super) fn carried(&self, disk: &Disk) -> Vec<What> {
        let from = self.held.as_ref().expect("nobody recovers what was never signed").chain.clone();
        let quarantine = disk.quarantine.as_ref().map_or_else(Lines::new, |q| q.lines.clone());
        let mut whats = Vec::new();
        for (lines, from) in [(disk.lines(), from), (quarantine, Chain::genesis())] {
            let mut end = from.clone();
            for line in lines.iter().skip_while(|line| line.before().as_ref() != Some(&from)) {
                let (Some(before), Some(behind)) = (line.before(), line.behind()) else { break };
                if before != end {
                    break;
                }
                end = behind;
                let of_the_old = |what: &What| {
                    matches!(what, What::ExportsMissing { .. } | What::Prune { .. } | What::Recovery | What::Rotate)
                };
                whats.extend(What::of(line).filter(|what| !of_the_old(what)));
            }
        }
        whats
    }
}

/// Every key that signs or signed.
pub(super) fn keys(disk: &Disk) -> Vec<Sha256Hex> {
    let old = disk.rotations.iter().map(|s| &s.old_key_id);
    let newest = disk.rotations.last().map(|s| &s.new_key_id).or(disk.anchor.as_ref());
    old.chain(newest).cloned().collect()
}

/// A segment that is sealed, as its lines have it.
pub(super) struct Sealed {
    pub(super) begin: Chain,
    pub(super) end: Chain,
    bytes: u64,
    youngest: Option<Timestamp>,
}

impl Sealed {
    fn of(lines: &[Rc<Line>]) -> Option<Self> {
        let ages = |line: &&Rc<Line>| !matches!(line.event(), Some(EventBody::Seal { .. }));
        Some(Self {
            begin: lines.first()?.before()?,
            end: lines.last()?.behind()?,
            bytes: lines.iter().map(|line| line.bytes.len() as u64).sum(),
            youngest: lines.iter().filter(ages).filter_map(|l| l.record.as_ref()).map(Record::timestamp).max(),
        })
    }

    fn age(&self, now: Timestamp) -> TimeDelta {
        self.youngest.map_or(TimeDelta::MAX, |youngest| now.since(youngest))
    }
}

pub(super) fn sealed(disk: &Disk) -> impl Iterator<Item = Sealed> {
    disk.segments.iter().filter(|segment| !segment.is_newest).filter_map(|segment| Sealed::of(&segment.lines))
}
