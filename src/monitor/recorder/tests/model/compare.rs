//! A folder before a step and behind it → whether that is what had to come of it.

use super::disk::{Disk, Line};
use super::expect::Expected;
use super::ledger::{self, Ledger, Tally, What};
use super::monitor::{self, Held, Monitor};
use super::reader::{Ring, Signed};
use super::world::{Checked, World, same};
use attest::digest::sha256;
use posture::{Checkpoint, Ended, EventBody, Posture, Sha256Hex};
use std::{collections::BTreeSet, rc::Rc};

impl World {
    /// What is in some file stays in some file, until it is pruned.
    pub(super) fn nothing_is_lost(before: &Disk, after: &Disk) -> Checked {
        let newest =
            after.exports.values().rev().find_map(|files| serde_json::from_slice::<Posture>(files[0].as_ref()?).ok());
        let first = newest.map_or(1, |posture| posture.finding_log.first_seq);
        let pruned: BTreeSet<_> = before
            .lines()
            .iter()
            .filter(|l| l.before().is_some_and(|b| b.next_seq() < first))
            .filter_map(|l| l.found())
            .collect();
        let lost: Vec<_> = before.findings.iter().filter(|n| !after.holds(**n) && !pruned.contains(n)).collect();
        same!("findings lost", lost, Vec::<&u64>::new());
        Ok(())
    }

    /// The process is no more. What it signed, it signed.
    pub(super) fn died(&mut self, before: &Disk, after: &Disk) -> Checked {
        (self.recorder, self.monitor) = (None, None);
        self.rig.new_process();
        for lines in [after.lines(), after.pending.clone()] {
            for line in lines {
                let known = line.before().is_some_and(|b| self.ledger.contains_key(b.head()));
                let begins = matches!(line.event(), Some(EventBody::Recovery(_)));
                if (known || begins) && !self.ledger.contains_key(&line.sha256) {
                    // Of a recovery before what it stands on is entered, a later look makes more.
                    let entered = ledger::enter(&mut self.ledger, &self.archive, &line);
                    if !begins && !matches!(line.event(), Some(EventBody::Prune(_))) {
                        entered?;
                    }
                }
            }
            self.archive_new(before, after)?;
        }
        Ok(())
    }

    fn archive_new(&mut self, before: &Disk, after: &Disk) -> Checked<Vec<(Rc<Posture>, Sha256Hex)>> {
        let mut new = Vec::new();
        for (number, files) in &after.exports {
            let [Some(posture), Some(signature), Some(state), Some(state_signature)] = files else { continue };
            // A signature that is cut in half is none.
            let torn = signature.len() != 89 || state_signature.len() != 89;
            if torn || before.is_complete(*number) {
                continue;
            }
            let said: Posture = serde_json::from_slice(posture).map_err(|e| e.to_string())?;
            let (said, hash) = (Rc::new(said), sha256(posture));
            let key_id = said.key_id.clone();
            let signed =
                |signature: &Vec<u8>, posture| Signed { signature: signature.clone(), key_id: key_id.clone(), posture };
            self.archive.insert(hash.clone(), signed(signature, Some(Rc::clone(&said))));
            self.archive.insert(sha256(state), signed(state_signature, None));
            new.push((said, hash));
        }
        for (posture, _) in &new {
            *self.covering.entry(posture.finding_log.first_seq).or_default() += 1;
        }
        Ok(new)
    }

    pub(super) fn compare(&mut self, expected: &Expected, before: &Disk, after: &Disk) -> Checked {
        let new = self.archive_new(before, after)?;
        let Self { monitor: Some(monitor), archive, ledger, rig, covering, .. } = self else { return Ok(()) };
        if !monitor.has_looked() {
            monitor.base = monitor.as_it_lies(before);
        }
        if expected.anew {
            monitor.begun_anew(after);
            let (signed, _) = new.first().or(monitor.signed.as_ref()).ok_or("nothing is signed")?;
            monitor.end = Held::by(signed).chain;
            monitor.base.clear();
        } else if monitor.is_quarantined {
            same!("the damaged log", hashes(&after.lines()), hashes(&before.lines()));
        }
        let there = monitor.as_it_lies(after);
        let gone = there.first().map_or(monitor.base.len(), |first| {
            monitor.base.iter().position(|line| line.sha256 == first.sha256).unwrap_or(0)
        });
        let kept = monitor.base.len() - gone;
        same!("what was in the log", hashes(there.get(..kept).unwrap_or(&there)), hashes(&monitor.base[gone..]));
        let added = &there[kept..];
        if !expected.anew && !monitor.is_quarantined {
            for line in added {
                monitor.wrote(line);
            }
        }
        let mut events = monitor.events.clone();
        if expected.looks_for_old && !monitor.is_quarantined {
            let first_seq = ledger.get(monitor.end.head()).map_or(1, |sums| sums.first_seq);
            let said = added.iter().position(|line| matches!(line.event(), Some(EventBody::Prune(_))));
            monitor.deleted(after, first_seq);
            if !monitor.is_deleting(first_seq) {
                events.extend(monitor.due(after, &added[said.unwrap_or(added.len())..], rig.now));
            }
        }
        same!("what was written", added.iter().filter_map(|line| What::of(line)).collect::<Vec<_>>(), events);
        for (left, line) in (1..=added.len()).rev().zip(added) {
            same!("the chain", line.before(), Some(monitor.end.clone()));
            match line.event() {
                // One that was carried over says what it said.
                Some(EventBody::Checkpoint(told)) if !expected.anew || left == 1 => {
                    check(monitor, ledger, told, expected.told)?;
                }
                _ => {}
            }
            ledger::enter(ledger, archive, line)?;
            monitor.end = line.behind().ok_or("not a record")?;
        }
        if monitor.has_looked() || expected.anew {
            monitor.leaves(after);
        }
        if expected.anew {
            monitor.begun_anew(after);
        }
        let first_seq = ledger.get(monitor.end.head()).map_or(1, |sums| sums.first_seq);
        monitor.deleted(after, first_seq);
        let covering = covering.get(&first_seq).copied().unwrap_or(0);
        let last = monitor.base[..gone].last().and_then(|line| line.before()).map_or(0, |last| last.next_seq());
        if gone > 0 && (covering < 3 || last >= first_seq) {
            return Err(format!("record {last} deleted, and {covering} exports begin the log at {first_seq}"));
        }
        self.compare_exports(expected, before, after, new)
    }

    fn compare_exports(
        &mut self,
        expected: &Expected,
        before: &Disk,
        after: &Disk,
        new: Vec<(Rc<Posture>, Sha256Hex)>,
    ) -> Checked {
        let Self { monitor: Some(monitor), ledger, rig, .. } = self else { return Ok(()) };
        same!("exports", new.len(), expected.exports);
        let mut last_number = before.exports.keys().copied().max().unwrap_or(0);
        for (posture, hash) in new {
            let number = posture.sequence;
            if number <= last_number {
                return Err(format!("posture number {number} after {last_number}"));
            }
            last_number = number;
            same!("the posture before", posture.previous_sha256, monitor.signed.as_ref().map(|(_, hash)| hash.clone()));
            let said = Held::by(&posture);
            let known = ledger.get(said.chain.head());
            let again = monitor.held.as_ref().filter(|held| held.chain.head() == said.chain.head());
            let again = again.filter(|_| known.is_none_or(|sums| (sums.findings, sums.folded) != said.counts));
            let (counts, first_seq) = if let Some(held) = again {
                (held.counts, held.first_seq)
            } else {
                let sums = ledger.get(said.chain.head()).ok_or("a head nobody knows")?;
                ((sums.findings, sums.folded), sums.first_seq)
            };
            same!("counts and first_seq", (said.counts, said.first_seq), (counts, first_seq));
            same!("tally", Tally::of_posture(&posture), monitor.tally);
            same!("ended", (posture.ended, posture.monitor_enabled), (expected.ended, expected.enabled));
            let anchor = after.anchor.as_ref().ok_or("no anchor")?;
            let ring = Ring::of(after, anchor).ok_or("the anchor is none of the keys")?;
            same!("the signer", posture.key_id, *ring.signer(number));
            monitor.held = Some(said);
            monitor.signed = Some((posture, hash));
            monitor.told = monitor.tally;
            monitor.keys = monitor::keys(after);
        }
        let Some((last, _)) = monitor.signed.as_ref().filter(|_| expected.exports > 0) else { return Ok(()) };
        if !monitor.is_quarantined {
            same!("what is signed", Held::by(last).chain, *expected.signs.as_ref().unwrap_or(&monitor.end));
        }
        if last.ended == Ended::Running {
            let words: Vec<_> = last.degraded_reasons.iter().map(posture::Word::as_str).collect();
            let mut ails = expected.ails.clone().unwrap_or_else(|| monitor.ails(after));
            ails.sort_unstable();
            same!("what ails it", words, ails);
            same!("the period", last.period_seconds, rig.config.export_every.as_secs());
        }
        Ok(())
    }
}

/// A checkpoint carries every number across.
fn check(monitor: &Monitor, ledger: &Ledger, checkpoint: &Checkpoint, before: Option<Tally>) -> Checked {
    let sums = ledger.get(monitor.end.head()).ok_or("a checkpoint behind nothing known")?;
    let standing = match &monitor.held {
        Some(held) if monitor.is_quarantined => held.counts,
        _ => (sums.findings, sums.folded),
    };
    same!("a checkpoint's counts", (checkpoint.counts.findings, checkpoint.counts.folded), standing);
    let tally = Tally::of_checkpoint(checkpoint);
    if tally != monitor.told && Some(tally) != before {
        same!("a checkpoint's tally", tally, monitor.tally);
    }
    Ok(())
}

fn hashes(lines: &[Rc<Line>]) -> Vec<&Sha256Hex> {
    lines.iter().map(|line| &line.sha256).collect()
}
