//! The last posture and the rotations → what was signed of the log.

use attest::Chain;
use posture::{Counts, Sha256Hex, Timestamp};

/// What was signed last of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// The first record retained.
    pub first_seq: u64,
    /// Where the chain stood.
    pub chain: Chain,
    /// What the log held.
    pub counts: Counts,
    /// When the last complete posture was; `None` where a rotation alone speaks of the log.
    pub at: Option<Timestamp>,
    /// Whether the run it speaks of did not end as it should, or not yet.
    pub unfinished: bool,
}

/// What the rotations of the signing key say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stated {
    /// The identifiers of all keys that signed, oldest first, and of the one that does.
    pub keys: Vec<Sha256Hex>,
    /// Where the chain stood when the last of them was announced. Both keys signed that.
    pub chain: Option<Chain>,
}

impl Stated {
    /// Whether a key that signs or signed is said to have taken over from one that no statement knows.
    pub(super) fn misses(&self, new_key_id: &Sha256Hex) -> bool {
        self.keys.first() == Some(new_key_id)
    }

    /// The later word of a posture and a rotation.
    pub(super) fn or(&self, posture: Option<Signed>) -> Option<Signed> {
        let Some(chain) = self.chain.clone() else { return posture };
        let seq = chain.next_seq();
        match posture {
            Some(signed) if signed.chain.next_seq() >= seq => Some(signed),
            // The postures that covered it are gone.
            Some(signed) => Some(Signed { chain, unfinished: true, ..signed }),
            None => {
                let (first_seq, counts) = (attest::chain::FIRST_SEQ, Counts::default());
                Some(Signed { first_seq, chain, counts, at: None, unfinished: true })
            }
        }
    }
}
