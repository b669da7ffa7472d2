//! The canonical form: RFC 8785's own vectors, and what each guard refuses.

use crate::support;
use attest::{
    canonical::{self, CanonicalError},
    digest, seal,
};
use posture::{MAX_INTEGER, Posture, State};
use proptest::prelude::*;
use serde::{Deserialize, Serialize};

#[test]
fn rfc_8785_numbers() {
    for line in include_str!("../vectors/rfc8785_numbers.txt").lines().filter(|l| !l.starts_with('#')) {
        let (bits, expected) = line.split_once(' ').unwrap();
        let number = f64::from_bits(u64::from_str_radix(bits, 16).unwrap());
        assert_eq!(serde_jcs::to_string(&number).unwrap(), expected, "{bits}");
    }
}

#[test]
fn rfc_8785_documents() {
    #[derive(Deserialize)]
    struct Vector {
        name: String,
        input: String,
        canonical: String,
    }
    let vectors: Vec<Vector> = serde_json::from_str(include_str!("../vectors/rfc8785_documents.json")).unwrap();
    assert!(!vectors.is_empty());
    for v in vectors {
        let value: serde_json::Value = serde_json::from_str(&v.input).unwrap();
        assert_eq!(serde_jcs::to_string(&value).unwrap(), v.canonical, "{}", v.name);
    }
}

fn bound_state() -> State {
    let mut state = support::state(&support::key(1));
    digest::bind(&mut state).unwrap();
    state
}

#[test]
fn the_receiver_refuses_every_other_spelling() {
    let good = String::from_utf8(canonical::to_vec(&bound_state()).unwrap()).unwrap();
    assert!(canonical::read::<State>(good.as_bytes()).is_ok());
    let reordered = good.replace(r#""key_sha256":null,"mode":"off""#, r#""mode":"off","key_sha256":null"#);
    let bomb = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
    let others = [
        good.replace(':', ": "),
        format!("{good}\n"),
        format!(" {good}"),
        format!("\u{feff}{good}"),
        format!("{good}{good}"),
        reordered,
        good.replace(r#""mode":"detect""#, r#""mode":"detect","mode":"detect""#),
        good.replace(r#""mode":"detect""#, r#""mode":"block","mode":"detect""#),
        good.replace("detect", "d\\u0065tect"),
        good.replace("1.0.0", "1.0\\/0"),
        good.replace(r#""max_depth":4"#, r#""max_depth":4.0"#),
        good.replace(r#""max_depth":4"#, r#""max_depth":4e0"#),
        good.replace(r#""max_depth":4"#, r#""max_depth":04"#),
        good.replace(r#""max_depth":4"#, r#""max_depth":-0"#),
        good.replace(r#""max_depth":4"#, r#""max_depth":NaN"#),
        good.replace(r#""max_depth":4"#, r#""max_depth":9007199254740993"#),
        good[..good.len() - 1].to_owned(),
        format!("{},\"__proto__\":{{\"mode\":\"off\"}}}}", &good[..good.len() - 1]),
        bomb,
        String::new(),
    ];
    for other in others {
        assert_ne!(other, good);
        assert_eq!(canonical::read::<State>(other.as_bytes()), Err(CanonicalError::Spelling), "{other:.200}");
    }
    let latin: Vec<u8> = good.bytes().map(|b| if b == b'd' { 0xe9 } else { b }).collect();
    assert_eq!(canonical::read::<State>(&latin), Err(CanonicalError::Spelling));
}

#[test]
fn the_receiver_refuses_canonical_json_of_another_schema() {
    let good = String::from_utf8(canonical::to_vec(&bound_state()).unwrap()).unwrap();
    for (from, to) in [
        (r#"{"ca""#, r#"{"__proto__":{"mode":"off"},"ca""#),
        (r#"{"ca""#, r#"{"a":1,"ca""#),
        (r#""canonical_sha256""#, r#""by":"me","canonical_sha256""#),
        (r#""monitor_enabled":true,"#, ""),
        (r#""key_sha256":null,"#, ""),
        (r#""monitor_enabled":true"#, r#""monitor_enabled":null"#),
        (r#""monitor_enabled":true"#, r#""monitor_enabled":"true""#),
        (r#""mode":"detect""#, r#""mode":"block""#),
        (r#""max_depth":4"#, r#""max_depth":4.5"#),
        (r#""max_depth":4"#, r#""max_depth":-4"#),
        (r#""max_depth":4"#, r#""max_depth":1e+30"#),
    ] {
        let other = good.replacen(from, to, 1);
        assert_ne!(other, good);
        assert_eq!(canonical::read::<State>(other.as_bytes()), Err(CanonicalError::Schema), "{other}");
    }
}

#[test]
fn integers_end_at_two_to_the_53_less_one() {
    let mut state = bound_state();
    let good = String::from_utf8(canonical::to_vec(&state).unwrap()).unwrap();
    for (value, expected) in [
        (0, None),
        (MAX_INTEGER, None),
        (MAX_INTEGER + 1, Some(CanonicalError::Number)),
        (MAX_INTEGER + 2, Some(CanonicalError::Spelling)),
        (u64::MAX, Some(CanonicalError::Spelling)),
    ] {
        state.scan.max_depth = value;
        assert_eq!(canonical::to_vec(&state).err().is_some(), expected.is_some(), "{value}");
        let written = good.replacen("\"max_depth\":4,", &format!("\"max_depth\":{value},"), 1);
        assert_eq!(canonical::read::<State>(written.as_bytes()).err(), expected, "{value}");
    }
}

#[test]
fn the_producer_refuses_what_would_not_read_back() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Float {
        value: Option<f64>,
    }
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Collides {
        #[serde(flatten)]
        rest: std::collections::BTreeMap<String, u64>,
        value: u64,
    }
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Skips {
        #[serde(skip_serializing, default)]
        value: u64,
    }
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 0.5, -0.0] {
        assert!(canonical::to_vec(&Float { value: Some(value) }).is_err(), "{value}");
    }
    let collides = Collides { rest: [("value".to_owned(), 1)].into(), value: 2 };
    assert!(canonical::to_vec(&collides).is_err());
    assert_eq!(canonical::to_vec(&Skips { value: 1 }), Err(CanonicalError::Lossy));
}

#[test]
fn the_digest_is_that_of_sorted_members_without_it() {
    // What `JSON.stringify` over sorted keys writes for this state, without `digests`.
    let expected = include_str!("../vectors/state_without_digests.json").trim_end();
    let state = bound_state();
    assert_eq!(state.digests.canonical_sha256, digest::sha256(expected));
    assert_eq!(state.digests.algorithm, "sha256");
    assert!(digest::check(&state));
}

#[test]
fn a_stale_or_foreign_digest_does_not_hold() {
    let mut state = bound_state();
    state.monitor_enabled = false;
    assert!(!digest::check(&state));
    let mut state = bound_state();
    state.digests.algorithm = "sha512".into();
    assert!(!digest::check(&state));
}

#[test]
fn only_what_a_verifier_would_take_is_sealed() {
    let key = support::key(1);
    assert!(seal(&key, &bound_state()).is_ok());
    assert!(seal(&support::key(2), &bound_state()).is_err(), "another key's document");
    let mut state = bound_state();
    state.monitor_enabled = false;
    assert!(seal(&key, &state).is_err(), "a stale digest");
    state.schema_version = posture::POSTURE_SCHEMA.into();
    digest::bind(&mut state).unwrap();
    assert!(seal(&key, &state).is_err(), "another schema");
    let mut state = bound_state();
    state.period_seconds = MAX_INTEGER + 1;
    digest::bind(&mut state).unwrap();
    assert!(seal(&key, &state).is_err(), "a number out of bounds");
}

proptest! {
    #[test]
    fn a_document_survives_its_canonical_form(n in 0..=MAX_INTEGER, text in ".*", flag: bool) {
        let mut state = bound_state();
        (state.period_seconds, state.pattern_set.version, state.https_inspection) = (n, text, flag);
        let mut posture = support::posture(&state);
        posture.attested.expected = n;
        digest::bind(&mut posture).unwrap();
        let bytes = canonical::to_vec(&posture).unwrap();
        let back = canonical::read::<Posture>(&bytes).unwrap();
        prop_assert!(digest::check(&back));
        prop_assert_eq!(back, posture);
    }

    #[test]
    fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(canonical::read::<State>(&bytes).is_err());
        prop_assert!(attest::chain::read_line(&bytes).is_err());
    }
}
