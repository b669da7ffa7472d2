//! Every rule's examples in every writing: found, and nothing of them left in what is kept.

use super::{
    carry::{Carried, WRITTEN, detector, scan},
    made::Draw,
};
use guardian::flow::{
    detect::{Hit, rule::RuleSet},
    redact::Redactor,
};
use memchr::memmem;
use posture::{Direction, Family, FindingRecord, Sha256Hex, Timestamp};
use std::collections::BTreeMap;

const PIECE: usize = 8;
/// A shorter text is a word to whoever looks for runs of base64 or hexadecimal.
const SHORTEST: usize = 9;

/// The record a hit becomes.
fn record(redactor: &Redactor, hit: &Hit<'_>) -> FindingRecord {
    let now = "2026-03-02T10:00:00.000Z".parse::<Timestamp>().unwrap();
    redactor.finding(hit, now).record(1, Sha256Hex::from_bytes(&[0; 32]))
}

/// A text written in one way, or in one way around another.
fn writings(text: &str) -> Vec<(String, String)> {
    let once = WRITTEN.iter().map(|(name, write)| ((*name).to_owned(), write(text)));
    let twice = WRITTEN.iter().flat_map(|(inner, write)| {
        let written = write(text);
        WRITTEN.iter().map(move |(outer, around)| (format!("{inner} in {outer}"), around(&written)))
    });
    once.chain(twice).collect()
}

#[test]
fn every_example_is_found_in_every_writing_and_in_that_of_another() {
    let detector = detector();
    let mut draw = Draw(5);
    let mut missed: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for rule in RuleSet::embedded().rules() {
        for example in rule.examples() {
            let text = draw.fill(example);
            if text.len() < SHORTEST {
                continue;
            }
            for (name, written) in writings(&text) {
                let carried = Carried::body(written);
                let direction = rule.family().direction();
                let said = scan(&detector, direction, &carried, [&carried.body[..]], &mut |_| {});
                if !said.iter().any(|s| s.family == rule.family()) {
                    missed.entry(name).or_default().push(format!("{} {example}", rule.id()));
                }
            }
        }
    }
    assert!(missed.is_empty(), "{missed:#?}");
}

#[test]
fn what_is_kept_of_a_hit_holds_nothing_of_it_and_nothing_a_rule_matches() {
    let detector = detector();
    let redactor = Redactor::new(&[7; 32]);
    let mut draw = Draw(6);
    let mut kept = 0;
    for rule in RuleSet::embedded().rules() {
        for example in rule.examples() {
            let carried = Carried::body(draw.fill(example));
            let direction = rule.family().direction();
            let mut lines = Vec::new();
            let mut leaked = false;
            scan(&detector, direction, &carried, [&carried.body[..]], &mut |hit| {
                let line = serde_json::to_string(&record(&redactor, hit)).unwrap();
                // What every key of a vendor begins with stands in the rule's own name.
                let holds = |text: &[u8], piece: &[u8]| memmem::find(text, piece).is_some();
                let secret = |piece: &&[u8]| !rule.keywords().iter().any(|k| holds(k.as_bytes(), piece));
                leaked |= matches!(rule.family(), Family::AiApiKey | Family::AwsAccessKeyId | Family::PrivateKeyPem)
                    && hit.matched.windows(PIECE).filter(secret).any(|piece| holds(line.as_bytes(), piece));
                lines.push(line);
            });
            assert!(!leaked, "{} {example}: {lines:?}", rule.id());
            for line in lines {
                kept += 1;
                // A command's finding shows the rule's own sketch of such a command, which is one going in, never out.
                let ways = [Direction::Outbound, Direction::Inbound];
                let secret = direction == Direction::Outbound;
                for way in ways.into_iter().filter(|way| secret || *way == Direction::Outbound) {
                    let body = Carried::body(line.clone());
                    let said = scan(&detector, way, &body, [&body.body[..]], &mut |_| {});
                    assert!(said.is_empty(), "{}: {:?} in {line}", rule.id(), said[0].rule);
                }
            }
        }
    }
    assert!(kept > 500, "{kept}");
}
