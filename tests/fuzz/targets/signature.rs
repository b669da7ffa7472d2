//! Bytes → a signature file: what is read is written as the same bytes, and no key of ours made it.

#![no_main]

use keys::{PublicKey, Signature};
use libfuzzer_sys::fuzz_target;

/// The key of RFC 8032's first vector.
const KEY: &str = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n-----END PUBLIC KEY-----\n";

fuzz_target!(|bytes: &[u8]| {
    if let Ok(signature) = Signature::from_base64_line(bytes) {
        assert_eq!(signature.to_base64_line().as_bytes(), bytes);
        let key = PublicKey::from_pem(KEY).expect("a good key");
        assert!(key.verify(b"what nobody signed", &signature).is_err());
    }
    if let Ok(pem) = std::str::from_utf8(bytes)
        && let Ok(key) = PublicKey::from_pem(pem)
    {
        assert_eq!(PublicKey::from_pem(&key.to_pem()).expect("its own PEM"), key);
    }
});
