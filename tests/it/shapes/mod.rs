//! Every shape of key, in every dress it can travel in, and what only resembles one.

mod carry;
pub(crate) mod made;
mod noise;
mod redacted;

use carry::{CARRIERS, FORMS, Said, detector, scan};
use guardian::flow::detect::{Detector, rule::RuleSet};
use made::Draw;
use posture::{Direction, Family, Severity};
use serde::Deserialize;
use std::{collections::BTreeSet, num::NonZero, sync::Arc, thread};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    key: Vec<Key>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Key {
    rule: String,
    shape: String,
    #[serde(default)]
    beside: Option<String>,
    #[serde(default)]
    wrong: Vec<String>,
}

impl Key {
    /// A text that holds a key of this shape, drawn anew.
    fn text(&self, draw: &mut Draw) -> String {
        let key = draw.fill(&self.shape);
        self.beside.as_ref().map_or_else(|| key.clone(), |text| text.replace("<key>", &key))
    }
}

fn table() -> Vec<Key> {
    toml::from_str::<Table>(include_str!("../../vectors/keys.toml")).unwrap().key
}

/// The rules by which the key in `text` is found in this dress: its family's, at their own severity.
fn rules(said: &[Said]) -> BTreeSet<&str> {
    said.iter().filter(|s| s.severity > Severity::Info).map(|s| s.rule.as_str()).collect()
}

#[test]
fn the_table_has_every_rule_of_a_key() {
    let known: BTreeSet<String> = table().into_iter().map(|k| k.rule).collect();
    let keys = [Family::AiApiKey, Family::AwsAccessKeyId, Family::PrivateKeyPem];
    for rule in RuleSet::embedded().rules().iter().filter(|r| keys.contains(&r.family())) {
        let documented = rule.severity() == Severity::Info;
        assert!(documented || known.contains(rule.id().as_str()), "{} is in no row of keys.toml", rule.id());
    }
}

/// A text with a key that is taken for one when it stands plain: all but one in two hundred are, as another test shows.
fn taken(detector: &Arc<Detector>, key: &Key, draw: &mut Draw) -> String {
    let (_, plain) = CARRIERS[0];
    for _ in 0..3 {
        let text = key.text(draw);
        let carried = plain(&text);
        let said = scan(detector, Direction::Outbound, &carried, [&carried.body[..]], &mut |_| {});
        if rules(&said).contains(key.rule.as_str()) {
            return text;
        }
    }
    panic!("{} {}: three in a row are not found", key.rule, key.shape);
}

#[test]
fn a_key_is_found_in_every_dress() {
    let detector = detector();
    let mut draw = Draw(1);
    let mut missed = Vec::new();
    for key in table() {
        for (name, carry) in CARRIERS.iter().chain(FORMS) {
            let text = taken(&detector, &key, &mut draw);
            let carried = carry(&text);
            let said = scan(&detector, Direction::Outbound, &carried, [&carried.body[..]], &mut |_| {});
            if !rules(&said).contains(key.rule.as_str()) {
                missed.push(format!("{} {} {name}: {:?}", key.rule, key.shape, rules(&said)));
            }
        }
    }
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}

#[test]
fn what_tells_keys_from_names_takes_nearly_every_key() {
    const DRAWN: usize = 400;
    let detector = detector();
    let mut draw = Draw(4);
    let (_, plain) = CARRIERS[0];
    for key in table() {
        let found = (0..DRAWN).filter(|_| {
            let carried = plain(&key.text(&mut draw));
            let said = scan(&detector, Direction::Outbound, &carried, [&carried.body[..]], &mut |_| {});
            rules(&said).contains(key.rule.as_str())
        });
        let found = found.count();
        assert!(found + DRAWN / 200 >= DRAWN, "{} {}: {found} of {DRAWN}", key.rule, key.shape);
    }
}

#[test]
fn what_is_no_key_of_that_shape_is_not_found() {
    let detector = detector();
    let mut draw = Draw(2);
    let mut found = Vec::new();
    for key in table() {
        for wrong in &key.wrong {
            for (name, carry) in CARRIERS {
                let carried = carry(&draw.fill(wrong));
                let said = scan(&detector, Direction::Outbound, &carried, [&carried.body[..]], &mut |_| {});
                if !rules(&said).is_empty() {
                    found.push(format!("{} {wrong} {name}: {:?}", key.rule, rules(&said)));
                }
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn what_vendors_print_in_their_documentation_is_no_more_than_info() {
    #[derive(Deserialize)]
    struct Documented {
        texts: Vec<String>,
    }
    let Documented { texts } = toml::from_str(include_str!("../../vectors/documented.toml")).unwrap();
    let detector = detector();
    for text in texts {
        for (name, carry) in CARRIERS {
            let carried = carry(&text);
            let said = scan(&detector, Direction::Outbound, &carried, [&carried.body[..]], &mut |_| {});
            assert!(rules(&said).is_empty(), "{text} {name}: {:?}", rules(&said));
        }
    }
}

/// At every border between two bytes. A third of the dresses for each key: every one for many keys. With `HTG_BORDERS=all`
/// every dress for each. It takes longer than any other test: the processors share it.
#[test]
fn where_a_body_is_cut_in_two_changes_nothing() {
    let detector = detector();
    let mut draw = Draw(3);
    let every = if std::env::var_os("HTG_BORDERS").is_some_and(|v| v == "all") { 1 } else { 3 };
    let mut bodies = Vec::new();
    for (n, key) in table().into_iter().enumerate() {
        for (name, carry) in CARRIERS.iter().skip(n % every).step_by(every) {
            bodies.push((format!("{} {name}", key.rule), carry(&key.text(&mut draw))));
        }
    }
    let cuts: usize = bodies.iter().map(|(_, carried)| carried.body.len() + 1).sum();
    assert!(cuts > 50_000, "{cuts}");
    let share = bodies.len().div_ceil(thread::available_parallelism().map_or(1, NonZero::get));
    let detector = &detector;
    thread::scope(|scope| {
        for bodies in bodies.chunks(share) {
            scope.spawn(move || {
                for (what, carried) in bodies {
                    let body = &carried.body[..];
                    let whole = scan(detector, Direction::Outbound, carried, [body], &mut |_| {});
                    for (a, b) in (0..=body.len()).map(|at| body.split_at(at)) {
                        let cut = scan(detector, Direction::Outbound, carried, [a, b], &mut |_| {});
                        assert_eq!(cut, whole, "{what} cut at {}", a.len());
                    }
                }
            });
        }
    });
}
