//! Bytes → the documents, behind the signature: what is taken is canonical, closed, and survives being read again.

#![no_main]

use attest::{Document, canonical, digest};
use libfuzzer_sys::fuzz_target;
use posture::{Posture, State, Verdict};

fn document<D: Document + std::fmt::Debug>(bytes: &[u8]) {
    if let Ok(document) = canonical::read::<D>(bytes) {
        assert_eq!(canonical::to_vec(&document).expect("what was read can be written"), bytes);
        let mut bound = document;
        digest::bind(&mut bound).expect("it has a digest");
        assert!(digest::check(&bound));
    }
}

fuzz_target!(|bytes: &[u8]| {
    document::<Posture>(bytes);
    document::<State>(bytes);
    document::<Verdict>(bytes);
});
