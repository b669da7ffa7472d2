//! Posture → an in-toto Statement in a DSSE envelope: the same word, for readers that know that form alone.
//!
//! Nothing new is said. The statement's subject is `posture.json` by its hash and its predicate is that document, so that
//! the predicate's canonical form hashes to the subject's digest. What is signed begins with `DSSEv1`, which no document
//! does: neither signature can stand for the other.

use crate::{
    canonical::{self, CanonicalError},
    digest::{self, sha256},
    folder::POSTURE,
    seal::SealError,
};
use data_encoding::BASE64;
use keys::SigningKey;
use posture::Posture;
use serde::Serialize;
use serde_json::{Value, json};

/// The type of an envelope's payload (in-toto Attestation Framework, Envelope v1).
pub const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";
/// The type of the statement (in-toto Attestation Framework, Statement v1).
pub const STATEMENT_TYPE: &str = "https://in-toto.io/Statement/v1";
/// The type of the predicate: the posture's `schema_version` as a URN. A name, not an address.
pub const PREDICATE_TYPE: &str = "urn:clawsec-traffic-posture:v1";

/// A DSSE envelope (DSSE 1.0), members in the order of their names.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Envelope {
    payload: String,
    payload_type: &'static str,
    signatures: [Line; 1],
}

#[derive(Serialize)]
struct Line {
    keyid: String,
    sig: String,
}

/// The envelope of an exported posture, as canonical JSON and LF, signed by the key that signed the posture.
///
/// # Errors
/// [`SealError`] for bytes that are no posture, or one that names another key.
pub fn envelope(key: &SigningKey, posture: &[u8]) -> Result<String, SealError> {
    let document: Posture = canonical::read(posture)?;
    if !digest::check(&document) {
        return Err(SealError::Digest);
    }
    let key_id = digest::key_id(key.public().key_id());
    if document.key_id != key_id {
        return Err(SealError::Key);
    }
    let payload = serde_jcs::to_vec(&statement(posture)?).map_err(|_| CanonicalError::Lossy)?;
    let signature = key.sign(&pre_authentication(&payload));
    let envelope = Envelope {
        payload: BASE64.encode(&payload),
        payload_type: PAYLOAD_TYPE,
        signatures: [Line { keyid: key_id.into(), sig: signature.to_base64_line().trim_end().to_owned() }],
    };
    Ok(serde_jcs::to_string(&envelope).map_err(|_| CanonicalError::Lossy)? + "\n")
}

fn statement(posture: &[u8]) -> Result<Value, CanonicalError> {
    let predicate: Value = canonical::read(posture)?;
    Ok(json!({
        "_type": STATEMENT_TYPE,
        "subject": [{ "name": POSTURE, "digest": { "sha256": sha256(posture) } }],
        "predicateType": PREDICATE_TYPE,
        "predicate": predicate,
    }))
}

/// What is signed: the type and the payload, each after its length (DSSE 1.0, "PAE").
fn pre_authentication(payload: &[u8]) -> Vec<u8> {
    let head = format!("DSSEv1 {} {PAYLOAD_TYPE} {} ", PAYLOAD_TYPE.len(), payload.len());
    [head.as_bytes(), payload].concat()
}
