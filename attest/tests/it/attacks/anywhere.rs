//! A bit, or a cut, anywhere at all.

use super::segment;
use crate::support::{Home, put};
use attest::Anchor;
use proptest::prelude::*;
use std::fs;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]
    #[test]
    fn one_flipped_bit_anywhere_never_verifies(file in 0..7_usize, at: prop::sample::Index) {
        let home = Home::new();
        let paths = [
            home.exported("posture.json"), home.exported("posture.json.sig"), home.exported("state.json"),
            home.exported("state.json.sig"), segment(&home), home.log(), home.at("signing.pub.pem"),
        ];
        let mut bytes = fs::read(&paths[file]).unwrap();
        let bit = at.index(bytes.len() * 8);
        bytes[bit / 8] ^= 1 << (bit % 8);
        put(&paths[file], &bytes);
        let report = home.verify_with(|o| o.anchor = Anchor::Own);
        prop_assert_eq!(report.exit_code(), 1, "{} bit {}: {:?}", paths[file].display(), bit, report.reason);
    }

    #[test]
    fn a_file_cut_anywhere_never_verifies(file in 0..6_usize, at: prop::sample::Index) {
        let home = Home::new();
        let paths = [
            home.exported("posture.json"), home.exported("posture.json.sig"), home.exported("state.json"),
            home.exported("state.json.sig"), segment(&home), home.log(),
        ];
        let bytes = fs::read(&paths[file]).unwrap();
        put(&paths[file], &bytes[..at.index(bytes.len())]);
        let report = home.verify();
        prop_assert_eq!(report.exit_code(), 1, "{}: {:?}", paths[file].display(), report.reason);
    }
}
