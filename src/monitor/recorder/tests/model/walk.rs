//! A log as it is found → the part of it a monitor believes, and where it goes on.

use super::disk::{Disk, Lines};
use super::ledger::{Ledger, What, enter, enter_by_its_word};
use super::monitor::{Held, Monitor};
use super::reader::Archive;
use attest::{Chain, digest::sha256};
use posture::{Checkpoint, EventBody, Sha256Hex, Timestamp};
use std::{cmp::Ordering, collections::BTreeMap, rc::Rc};

/// What is known of a walk along a log.
#[expect(clippy::struct_excessive_bools, reason = "facts that do not depend on each other")]
struct Walk {
    valid: Lines,
    end: Chain,
    /// It goes through what was signed.
    reaches: bool,
    /// It goes through what this process left there.
    goes_on: bool,
    exports_missing: bool,
    rotations_missing: bool,
    checkpoint: Option<Checkpoint>,
    /// The last start or stop: its number, and whether it was a start.
    run: Option<(u64, bool)>,
    /// What a recovery it begins with set aside.
    set_aside: Option<Vec<Sha256Hex>>,
}

impl Monitor {
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
            self.forget();
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
                    } else if covered || alone || !is_alone && self.would(disk, ledger, (seq, prune), first_seq, now) {
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
