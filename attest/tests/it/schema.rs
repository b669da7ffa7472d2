//! The published JSON Schemas against what the code reads: each takes a document exactly where the other does.

use crate::support::{Home, finding, key, posture, state};
use ::posture::{
    Attested, Checkpoint, Counts, Coverage, Ended, Event, EventBody, Family, InstallId, MAX_INTEGER, Memory, Platform,
    Posture, Prune, PruneReason, PublicKeyHex, Recovery, Reload, Rotation, RunId, SetAside, Sha256Hex, State,
    Unscanned, UnscannedReason, Verdict, VerdictResult, schema,
};
use attest::{
    Chain, Document, canonical, chain,
    digest::{self, sha256},
    report::verdict,
};
use jsonschema::Validator;
use keys::Signature;
use serde_json::{Value, json};
use std::fs;

/// A kind of document: its schema, how `verify` reads one, and good ones.
struct Kind {
    schema: Validator,
    reads: fn(&[u8]) -> bool,
    good: Vec<Value>,
}

fn kind(name: &str) -> Kind {
    let text = schema::ALL.into_iter().find(|s| s.name == name).unwrap().text;
    let schema = jsonschema::draft202012::new(&serde_json::from_str(text).unwrap()).unwrap();
    let (reads, good): (fn(&[u8]) -> bool, _) = match name {
        "posture" => (reads::<Posture>, postures()),
        "state" => (reads::<State>, vec![json!(state(&key(1)))]),
        "verdict" => (reads::<Verdict>, verdicts()),
        "finding" | "event" => (reads_line, if name == "event" { events() } else { findings() }),
        "rotation" => (reads_rotation, vec![json!(rotation())]),
        "memory" => (reads_memory, vec![json!(memory())]),
        other => panic!("no documents of {other}"),
    };
    Kind { schema, reads, good: good.into_iter().map(bound).collect() }
}

/// As `verify` reads a document, but for the value of its digest, which no schema can tell.
fn reads<D: Document>(bytes: &[u8]) -> bool {
    let same = |document: D| document.schema_version() == D::SCHEMA && document.digests().algorithm == "sha256";
    canonical::read::<D>(bytes).is_ok_and(same)
}

fn reads_line(bytes: &[u8]) -> bool {
    chain::read_line(bytes).is_ok()
}

fn reads_rotation(bytes: &[u8]) -> bool {
    let signature = |text: &str| Signature::from_base64_line(format!("{text}\n").as_bytes()).is_ok();
    canonical::read::<Rotation>(bytes).is_ok_and(|r| {
        r.schema_version == ::posture::ROTATION_SCHEMA && signature(&r.old_signature) && signature(&r.new_signature)
    })
}

fn reads_memory(bytes: &[u8]) -> bool {
    canonical::read::<Memory>(bytes).is_ok_and(|m| m.schema_version == ::posture::MEMORY_SCHEMA)
}

fn bound(mut document: Value) -> Value {
    if let Some(digests) = document.get_mut("digests") {
        digests["algorithm"] = "sha256".into();
    }
    document
}

fn postures() -> Vec<Value> {
    let plain = posture(&state(&key(1)));
    let mut full = plain.clone();
    full.ca.key_sha256 = Some(sha256("key"));
    full.ca.not_after = Some(full.valid_until);
    full.ca_fingerprint_sha256 = Some(sha256("certificate"));
    full.previous_sha256 = Some(sha256("before"));
    full.counts.add_finding(&"outbound".parse().unwrap(), &Family::Canary.into(), &"high".parse().unwrap());
    full.degraded_reasons = vec!["a_word_of_tomorrow".parse().unwrap()];
    full.self_test.last_run_at = None;
    full.sequence = MAX_INTEGER;
    [plain, full].map(|p| json!(p)).to_vec()
}

fn verdicts() -> Vec<Value> {
    let all = VerdictResult::ALL.iter().flat_map(|r| [None, Some(key(1).public().key_id())].map(|id| verdict(*r, id)));
    all.map(|bytes| serde_json::from_slice(&bytes.unwrap()).unwrap()).collect()
}

fn findings() -> Vec<Value> {
    Family::ALL.iter().map(|f| json!(finding(7, sha256("before"), *f))).collect()
}

fn checkpoint() -> Checkpoint {
    let not_scanned =
        vec![Unscanned { bytes: 1, connections: 1, messages: 1, reason: UnscannedReason::Dropped.into() }];
    let mut counts = Counts::default();
    counts.add_finding(&"inbound".parse().unwrap(), &Family::PipeToShell.into(), &"low".parse().unwrap());
    Checkpoint {
        attested: Attested::default(),
        counts,
        coverage: Coverage { not_scanned, ..Coverage::default() },
        install_id: InstallId::from_bytes(&[1; 16]),
        next_sequence: 3,
    }
}

/// One of each, in the order of their names.
fn events() -> Vec<Value> {
    let hash = sha256("line");
    let set_aside = SetAside { bytes: 5, name: "damaged-000000000001.jsonl".into(), sha256: hash.clone() };
    let prune =
        Prune { counts: checkpoint().counts, last_seq: 3, last_sha256: hash.clone(), reason: PruneReason::Bytes };
    let reload = Reload {
        config_sha256: hash.clone(),
        pattern_set_sha256: hash.clone(),
        previous_config_sha256: hash.clone(),
        previous_pattern_set_sha256: hash.clone(),
        weakened: vec!["rules".parse().unwrap()],
    };
    let bodies = [
        EventBody::Checkpoint(Box::new(checkpoint())),
        EventBody::ClockStep { backwards: true, milliseconds: 5 },
        EventBody::ExportsMissing { last_sequence: None, next_sequence: Some(3) },
        EventBody::Fold { count: 3, finding_seq: 2 },
        EventBody::Gap { damaged_bytes: 0, damaged_records: 0, seconds: None, unclean: true },
        EventBody::Gap { damaged_bytes: 9, damaged_records: 1, seconds: Some(4), unclean: false },
        EventBody::Overflow { count: 1, dest: None, rule: "canary.planted".parse().unwrap() },
        EventBody::Prune(Box::new(prune)),
        EventBody::Recovery(Box::new(Recovery { set_aside: vec![set_aside.clone()], totals: checkpoint() })),
        EventBody::Reload(Box::new(reload)),
        EventBody::Rotate { new_key_id: hash.clone(), number: 1, old_key_id: hash },
        EventBody::Seal { bytes: 10, first_seq: 1 },
        EventBody::SetAside { files: vec![set_aside] },
        EventBody::Start { run_id: RunId::from_bytes(&[1; 16]) },
        EventBody::Stop { ended: Ended::Signal },
        EventBody::TunnelFallback { dest: "api.example.com:443".into(), seconds: 60 },
    ];
    bodies.into_iter().map(|event| json!(event_of(event))).collect()
}

fn event_of(event: EventBody) -> Event {
    let framed = Chain::resume(7, sha256("before")).event("2026-04-26T00:00:00.000Z".parse().unwrap(), event).unwrap();
    match chain::read_line(framed.line.trim_ascii_end()).unwrap() {
        attest::Record::Event(event) => *event,
        attest::Record::Finding(_) => panic!("an event"),
    }
}

fn rotation() -> Rotation {
    let id = |seed| digest::key_id(key(seed).public().key_id());
    let public = |seed| PublicKeyHex::from_bytes(&key(seed).public().to_bytes());
    let signature = |seed| key(seed).sign(b"statement").to_base64_line().trim_end().to_owned();
    Rotation {
        from_sequence: 3,
        log_head: sha256("line"),
        log_seq: 9,
        new_key_id: id(2),
        new_public_key: public(2),
        new_signature: signature(2),
        number: 1,
        old_key_id: id(1),
        old_public_key: public(1),
        old_signature: signature(1),
        platform: Platform::Hermes,
        previous_sha256: None,
        schema_version: ::posture::ROTATION_SCHEMA.into(),
    }
}

fn memory() -> Memory {
    let hash: Sha256Hex = sha256("any");
    Memory {
        anchor_key_id: hash.clone(),
        install_id: InstallId::from_bytes(&[1; 16]),
        log_head: hash.clone(),
        newest_key_id: hash.clone(),
        next_seq: 9,
        platform: Platform::Hermes,
        posture_sha256: hash,
        schema_version: ::posture::MEMORY_SCHEMA.into(),
        sequence: 2,
    }
}

/// Every document that differs from this one in one place.
fn mutations(document: &Value) -> Vec<Value> {
    let others = [
        json!(null),
        json!(true),
        json!(1.5),
        json!(-1),
        json!(7),
        json!(MAX_INTEGER + 1),
        json!(""),
        json!("A word"),
        json!("2026-04-26T24:00:00.000Z"),
        json!("2026-04-26T00:00:00Z"),
        json!([]),
        json!([null]),
        json!({}),
        json!({ "start": {} }),
    ];
    let mut all = vec![];
    for pointer in pointers(document, "") {
        for other in &others {
            let mut mutated = document.clone();
            *mutated.pointer_mut(&pointer).unwrap() = other.clone();
            all.push(mutated);
        }
        for (wrong, right) in [("f", ""), ("", "0"), ("F", "f")] {
            // A digit more, a digit less, a digit in the other case.
            let mut mutated = document.clone();
            if let Some(Value::String(text)) = mutated.pointer_mut(&pointer) {
                *text = format!("{wrong}{}", text.strip_prefix(right).unwrap_or(text));
                all.push(mutated);
            }
        }
        if document.pointer(&pointer).unwrap().is_object() {
            let mut mutated = document.clone();
            mutated.pointer_mut(&pointer).unwrap()["unknown"] = json!(1);
            all.push(mutated);
        }
        if let Some((parent, member)) = pointer.rsplit_once('/') {
            let mut mutated = document.clone();
            if let Some(object) = mutated.pointer_mut(parent).unwrap().as_object_mut() {
                object.remove(member);
                all.push(mutated);
            }
        }
    }
    all.retain(|mutated| mutated != document);
    all
}

/// Where each value of the document is (RFC 6901).
fn pointers(value: &Value, at: &str) -> Vec<String> {
    let children: Vec<_> = match value {
        Value::Object(members) => members.iter().map(|(name, v)| (name.clone(), v)).collect(),
        Value::Array(each) => each.iter().enumerate().map(|(n, v)| (n.to_string(), v)).collect(),
        _ => vec![],
    };
    let below = children.into_iter().flat_map(|(name, v)| pointers(v, &format!("{at}/{name}")));
    [at.to_owned()].into_iter().chain(below).collect()
}

#[test]
fn every_kind_of_document_fits_its_schema() {
    for name in schema::ALL.map(|s| s.name) {
        let kind = kind(name);
        assert!(!kind.good.is_empty());
        for document in &kind.good {
            assert!((kind.reads)(&serde_jcs::to_vec(document).unwrap()), "{name}: {document}");
            let problems: Vec<_> = kind.schema.iter_errors(document).map(|e| e.to_string()).collect();
            assert!(problems.is_empty(), "{name}: {problems:?}");
        }
    }
}

#[test]
fn what_the_schema_refuses_the_code_refuses_and_the_other_way_round() {
    for name in schema::ALL.map(|s| s.name) {
        let kind = kind(name);
        let mut refused = 0;
        for document in kind.good.iter().flat_map(mutations) {
            let fits = kind.schema.is_valid(&document);
            let reads = (kind.reads)(&serde_jcs::to_vec(&document).unwrap());
            assert_eq!(fits, reads, "{name}: the schema says {fits}: {document}");
            refused += u32::from(!fits);
        }
        assert!(refused > 50, "{name}: {refused}");
    }
}

#[test]
fn every_event_there_is_has_been_looked_at() {
    let schema: Value =
        serde_json::from_str(schema::ALL.into_iter().find(|s| s.name == "event").unwrap().text).unwrap();
    let variants = schema["$defs"]["EventBody"]["oneOf"].as_array().unwrap();
    let mut known: Vec<_> = variants.iter().map(|v| v["required"][0].as_str().unwrap().to_owned()).collect();
    let mut seen: Vec<_> =
        events().iter().flat_map(|e| e["event"].as_object().unwrap().keys().cloned().collect::<Vec<_>>()).collect();
    seen.dedup();
    known.sort();
    assert_eq!(seen, known);
}

#[test]
fn no_document_is_taken_for_one_of_another_kind() {
    let kinds = schema::ALL.map(|s| (s.name, kind(s.name)));
    for (name, kind) in &kinds {
        for (_, other) in kinds.iter().filter(|(other, _)| other != name) {
            for document in &other.good {
                assert!(!kind.schema.is_valid(document), "{name}: {document}");
                if *name != "finding" && *name != "event" {
                    assert!(!(kind.reads)(&serde_jcs::to_vec(document).unwrap()), "{name}: {document}");
                }
            }
        }
    }
}

#[test]
fn what_an_export_writes_fits() {
    let home = Home::new();
    for (name, file) in [("posture", home.exported("posture.json")), ("state", home.exported("state.json"))] {
        let document = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
        assert!(kind(name).schema.is_valid(&document), "{name}");
    }
    let (finding, event) = (kind("finding").schema, kind("event").schema);
    for line in fs::read_to_string(home.log()).unwrap().lines() {
        let record: Value = serde_json::from_str(line).unwrap();
        let fitting = if record.get("event").is_some() { &event } else { &finding };
        assert!(fitting.is_valid(&record), "{line}");
    }
}
