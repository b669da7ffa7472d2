//! Until the detector is here.

use crate::flow::detect::Detector;
use posture::{PatternSet, Sha256Hex};

pub(super) struct Selftest;

impl Selftest {
    pub(super) fn passed(&self) -> bool {
        let _ = self;
        true
    }
}

impl Detector {
    pub(super) fn pattern_set(&self) -> PatternSet {
        PatternSet { rules: 0, sha256: self.vectors_sha256(), version: "0.0.0".into() }
    }

    pub(super) fn vectors_sha256(&self) -> Sha256Hex {
        let _ = self;
        attest::digest::sha256([])
    }

    pub(super) fn selftest(&self) -> Selftest {
        let _ = self;
        Selftest
    }
}
