//! Bytes → canonical JSON: what the receiver's guard takes is spelt in one way alone, and is written back the same.

#![no_main]

use attest::canonical;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(|bytes: &[u8]| {
    let read = canonical::read::<Value>(bytes);
    if let Ok(value) = &read {
        assert_eq!(canonical::to_vec(value).expect("what was read can be written"), bytes);
    }
    // Whatever is JSON has a canonical form, or none at all; the form is a fixed point.
    let Ok(value) = serde_json::from_slice::<Value>(bytes) else {
        assert!(read.is_err());
        return;
    };
    if let Ok(form) = canonical::to_vec(&value) {
        assert_eq!(canonical::read::<Value>(&form).expect("a canonical form is read"), value);
        assert_eq!(read.is_ok(), form == bytes);
    }
});
