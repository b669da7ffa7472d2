//! The posture as an in-toto statement in a DSSE envelope, taken apart by hand.

use crate::support::{Home, key};
use attest::{digest::sha256, dsse, seal::SealError};
use data_encoding::BASE64;
use keys::Signature;
use serde_json::Value;
use std::fs;

const FORMAT: &str = include_str!("../../FORMAT.md");

/// The envelope, the payload in it, and its signature.
fn taken_apart(envelope: &str) -> (Value, Vec<u8>, Signature) {
    let value: Value = serde_json::from_str(envelope).unwrap();
    let payload = BASE64.decode(value["payload"].as_str().unwrap().as_bytes()).unwrap();
    let line = value["signatures"][0]["sig"].as_str().unwrap().to_owned() + "\n";
    (value, payload, Signature::from_base64_line(line.as_bytes()).unwrap())
}

#[test]
fn the_statement_holds_the_posture_and_its_hash_and_nothing_else() {
    let home = Home::new();
    let posture = fs::read(home.exported("posture.json")).unwrap();
    let envelope = dsse::envelope(&home.key, &posture).unwrap();
    let (value, payload, signature) = taken_apart(&envelope);
    assert_eq!(envelope, serde_jcs::to_string(&value).unwrap() + "\n");
    assert_eq!(value["payloadType"], "application/vnd.in-toto+json");
    assert_eq!(value["signatures"].as_array().unwrap().len(), 1);
    assert_eq!(value["signatures"][0]["keyid"], home.key.public().key_id().to_string());
    let signed = [format!("DSSEv1 28 application/vnd.in-toto+json {} ", payload.len()).as_bytes(), &payload].concat();
    home.key.public().verify(&signed, &signature).unwrap();

    let statement: Value = serde_json::from_slice(&payload).unwrap();
    assert_eq!(serde_jcs::to_vec(&statement).unwrap(), payload);
    assert_eq!(statement["_type"], "https://in-toto.io/Statement/v1");
    assert_eq!(statement["predicateType"], "urn:clawsec-traffic-posture:v1");
    assert_eq!(serde_jcs::to_vec(&statement["predicate"]).unwrap(), posture);
    let subject = serde_json::json!([{ "name": "posture.json", "digest": { "sha256": sha256(&posture) } }]);
    assert_eq!(statement["subject"], subject);
    assert_eq!(statement.as_object().unwrap().len(), 4);
}

#[test]
fn neither_signature_stands_for_the_other() {
    let home = Home::new();
    let posture = fs::read(home.exported("posture.json")).unwrap();
    let (_, payload, signature) = taken_apart(&dsse::envelope(&home.key, &posture).unwrap());
    let own = Signature::from_base64_line(&fs::read(home.exported("posture.json.sig")).unwrap()).unwrap();
    let public = home.key.public();
    for bytes in [&posture, &payload] {
        assert!(public.verify(bytes, &signature).is_err());
    }
    assert!(public.verify(&payload, &own).is_err());
}

#[test]
fn nothing_but_a_posture_of_the_key_is_put_in_an_envelope() {
    let home = Home::new();
    let posture = fs::read(home.exported("posture.json")).unwrap();
    assert!(matches!(dsse::envelope(&key(9), &posture), Err(SealError::Key)));
    let text = String::from_utf8(posture).unwrap();
    let edited = text.replacen("\"expected\":3", "\"expected\":4", 1);
    assert!(matches!(dsse::envelope(&home.key, edited.as_bytes()), Err(SealError::Digest)));
    let state = fs::read_to_string(home.exported("state.json")).unwrap();
    for other in [String::new(), "{}".into(), format!("{text}\n"), state] {
        assert!(matches!(dsse::envelope(&home.key, other.as_bytes()), Err(SealError::Canonical(_))), "{other:.40}");
    }
}

#[test]
fn the_types_name_what_they_are_of() {
    assert_eq!(dsse::PREDICATE_TYPE, format!("urn:{}", posture::POSTURE_SCHEMA.replace('/', ":")));
    for word in [dsse::PREDICATE_TYPE, dsse::STATEMENT_TYPE, dsse::PAYLOAD_TYPE] {
        assert!(FORMAT.contains(&format!("`{word}`")), "{word}");
    }
}
