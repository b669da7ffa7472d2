//! Keys and signatures against the vectors of RFC 8032, and what must never pass.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use data_encoding::{BASE64, HEXLOWER};
use keys::{KeyError, PublicKey, Signature, SigningKey};
use proptest::prelude::*;

fn vectors(text: &'static str) -> impl Iterator<Item = Vec<&'static str>> {
    text.lines().filter(|l| !l.starts_with('#')).map(|l| l.split_whitespace().collect())
}

fn hex<const N: usize>(text: &str) -> [u8; N] {
    HEXLOWER.decode(text.as_bytes()).unwrap().try_into().unwrap()
}

/// The PKCS#8 v1 form by hand: version 0, the algorithm of RFC 8410, the seed, and no public key.
fn pem(seed: &[u8; 32]) -> String {
    let der = [&hex::<16>("302e020100300506032b657004220420")[..], seed].concat();
    format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", BASE64.encode(&der))
}

fn key(seed: u8) -> SigningKey {
    SigningKey::from_pem(&pem(&[seed; 32])).unwrap()
}

#[test]
fn rfc_8032_vectors_sign_and_verify() {
    for v in vectors(include_str!("vectors/rfc8032.txt")) {
        let (name, message) = (v[0], if v[3] == "-" { vec![] } else { HEXLOWER.decode(v[3].as_bytes()).unwrap() });
        let key = SigningKey::from_pem(&pem(&hex(v[1]))).unwrap();
        assert_eq!(key.public().to_bytes(), hex::<32>(v[2]), "{name}");
        assert_eq!(key.sign(&message).to_bytes(), hex::<64>(v[4]), "{name}");
        key.public().verify(&message, &Signature::from_bytes(&hex(v[4]))).unwrap();
    }
}

#[test]
fn weak_and_doubly_spelt_keys_are_refused() {
    for v in vectors(include_str!("vectors/weak_keys.txt")) {
        let refused = PublicKey::from_bytes(&hex(v[1])).unwrap_err();
        assert_eq!(matches!(refused, KeyError::WeakKey), v[0].starts_with("small_order"), "{} {refused}", v[0]);
        let der = [&hex::<12>("302a300506032b6570032100")[..], &hex::<32>(v[1])].concat();
        let pem = format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", BASE64.encode(&der));
        assert!(PublicKey::from_pem(&pem).is_err(), "{}", v[0]);
    }
}

#[test]
fn a_signature_with_the_group_order_added_is_refused() {
    // L = 2^252 + 27742317777372353535851937790883648493, little-endian (RFC 8032, section 5.1).
    let order: [u8; 32] = hex("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");
    let key = key(1);
    let mut bytes = key.sign(b"posture").to_bytes();
    let mut carry = 0;
    for (digit, add) in bytes[32..].iter_mut().zip(order) {
        carry += u16::from(*digit) + u16::from(add);
        *digit = carry.to_le_bytes()[0];
        carry >>= 8;
    }
    assert!(key.public().verify(b"posture", &Signature::from_bytes(&bytes)).is_err());
}

#[test]
fn what_only_a_lenient_verifier_takes_is_refused() {
    for v in vectors(include_str!("vectors/lenient_signatures.txt")) {
        let signature = Signature::from_bytes(&hex(v[1]));
        assert!(key(1).public().verify(b"posture", &signature).is_err(), "{}", v[0]);
    }
}

#[test]
fn the_private_key_is_written_as_pkcs8_version_1() {
    assert_eq!(*key(7).to_pem(), pem(&[7; 32]));
    assert!(SigningKey::from_pem(&SigningKey::generate().unwrap().to_pem()).is_ok());
}

#[test]
fn generated_keys_differ() {
    assert_ne!(SigningKey::generate().unwrap().public(), SigningKey::generate().unwrap().public());
}

#[test]
fn a_key_id_is_the_hash_of_the_canonical_tuf_key() {
    let public = key(3).public();
    let tuf = serde_json::json!({"scheme": "ed25519", "keytype": "ed25519",
        "keyval": {"public": HEXLOWER.encode(&public.to_bytes())}});
    let hash = <sha2::Sha256 as sha2::Digest>::digest(serde_jcs::to_vec(&tuf).unwrap());
    assert_eq!(public.key_id().to_string(), HEXLOWER.encode(&hash));
}

#[test]
fn a_public_key_survives_its_pem_and_other_texts_are_refused() {
    let public = key(2).public();
    let pem = public.to_pem();
    assert!(!pem.contains('\r') && pem.ends_with("-----END PUBLIC KEY-----\n"));
    assert_eq!(PublicKey::from_pem(&pem).unwrap(), public);
    let private = key(2).to_pem();
    for bad in ["", "x", &pem[1..], &pem[..40], &pem.replace("PUBLIC", "PRIVATE"), private.as_str()] {
        assert!(matches!(PublicKey::from_pem(bad), Err(KeyError::PublicKeyForm)), "{bad}");
    }
    for bad in ["", &pem, &private[..60], &private.replace("MC4C", "MC4D")] {
        assert!(matches!(SigningKey::from_pem(bad), Err(KeyError::PrivateKeyForm)), "{bad}");
    }
}

#[test]
fn debug_shows_only_the_key_id() {
    let key = key(5);
    assert_eq!(format!("{key:?}"), format!("SigningKey({})", key.public().key_id()));
}

#[test]
fn other_spellings_of_a_signature_line_are_refused() {
    let line = key(1).sign(b"x").to_base64_line();
    assert_eq!(line.len(), Signature::LINE_BYTES);
    let digits = line.trim_end();
    // The last digit before the padding carries four unused bits: sixteen spellings for a lenient decoder.
    let last = usize::from(digits.as_bytes()[85]);
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let spellings = alphabet.iter().filter(|b| usize::from(**b) != last);
    let altered = spellings.map(|b| format!("{}{}==\n", &digits[..85], char::from(*b)));
    let others = [
        digits.to_owned(),
        format!("{digits}\r\n"),
        format!("{digits}\n\n"),
        format!(" {digits}\n"),
        format!("{}\n", digits.trim_end_matches('=')),
        format!("{}\n{}\n", &digits[..44], &digits[44..]),
        line.replace('+', "-").replace('/', "_").replace("==", "=_"),
        String::new(),
        "\n".into(),
    ];
    let public = key(1).public();
    for bad in altered.chain(others) {
        let taken = Signature::from_base64_line(bad.as_bytes()).is_ok_and(|s| public.verify(b"x", &s).is_ok());
        assert!(!taken, "{bad:?}");
    }
}

proptest! {
    #[test]
    fn one_flipped_bit_never_verifies(seed: u8, message in prop::collection::vec(any::<u8>(), 1..64), at: prop::sample::Index) {
        let key = key(seed);
        let mut whole = key.sign(&message).to_bytes().to_vec();
        whole.extend(&message);
        let bit = at.index(whole.len() * 8);
        whole[bit / 8] ^= 1 << (bit % 8);
        let signature = Signature::from_bytes(whole[..64].try_into().unwrap());
        prop_assert!(key.public().verify(&whole[64..], &signature).is_err());
    }

    #[test]
    fn a_line_that_is_read_is_the_line_that_is_written(bytes: [u8; 32], more: [u8; 32]) {
        let signature = Signature::from_bytes(&[bytes, more].concat().try_into().unwrap());
        let line = signature.to_base64_line();
        prop_assert_eq!(Signature::from_base64_line(line.as_bytes()).unwrap(), signature);
    }
}
