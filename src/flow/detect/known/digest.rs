//! Value → Digest: keyed, so that it tells nothing to who has not the key.
//!
//! The keys are derived from that of the fingerprints, each for its own use (RFC 5869, section 2.3, one block). That of
//! known secrets is another in each process; that of canaries stays, since their digests do.

use super::{Kind, MAX_VALUE, MIN_VALUE};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::{borrow::Cow, fmt, sync::Arc};
use zeroize::{Zeroize, Zeroizing};

/// The bytes of one look at a text.
pub(super) const WINDOW: usize = 8;
/// The bytes from one look to the next. Of this many windows in a row, one is looked at wherever a value stands.
pub(super) const STRIDE: usize = 4;
/// The bytes of a value that its windows cover: its last ones, since many begin alike.
const COVERED: usize = WINDOW + STRIDE - 1;
const _: () = assert!(MIN_VALUE >= COVERED);

/// Digests values, one way for each kind.
pub struct DigestKeys {
    known: Hmac<Sha256>,
    canary: Hmac<Sha256>,
    pub(super) gate: Gate,
    check: [u8; 8],
}

/// A keyed hash of eight bytes: cheap, short, and never the last word.
#[derive(Clone, Copy, Default)]
pub(super) struct Gate {
    window: [u64; 2],
    head: [u64; 2],
}

impl Gate {
    /// Sixteen bits of what is looked at.
    pub(super) fn window(self, bytes: u64) -> u16 {
        Self::hash(self.window, bytes)
    }

    /// Sixteen other bits, for a value's beginning.
    pub(super) fn head(self, bytes: u64) -> u16 {
        Self::hash(self.head, bytes)
    }

    fn hash([mask, odd]: [u64; 2], bytes: u64) -> u16 {
        ((bytes ^ mask).wrapping_mul(odd) >> 48) as u16
    }
}

impl DigestKeys {
    /// The keys of an installation, in a process that has `process` as its own random bytes.
    pub fn new(fingerprint_key: &[u8; 32], process: &[u8; 32]) -> Self {
        let derived = |label: &[u8], extra: &[u8]| {
            let mut keyed = keyed(fingerprint_key);
            for part in [b"hermes-traffic-guardian ", label, &[0], extra, &[1]] {
                keyed.update(part);
            }
            Zeroizing::new(<[u8; 32]>::from(keyed.finalize().into_bytes()))
        };
        let gate = derived(b"gate", b"");
        let mut words = gate.chunks_exact(8).map(|word| u64::from_le_bytes(word.try_into().expect("eight bytes")));
        let mut pair = || [words.next().unwrap_or_default(), words.next().unwrap_or_default() | 1];
        let canary = derived(b"canaries", b"");
        let mut check = keyed(&canary);
        check.update(b"check");
        Self {
            gate: Gate { window: pair(), head: pair() },
            known: keyed(&derived(b"known secrets", process)),
            check: *check.finalize().into_bytes().first_chunk().expect("SHA-256 has 32 bytes"),
            canary: keyed(&canary),
        }
    }

    /// The digest of a value, which belongs to these vendors; `None` for one too short or too long to look for.
    pub fn digest(&self, kind: Kind, value: &[u8], vendors: Arc<[String]>) -> Option<Digest> {
        if !(MIN_VALUE..=MAX_VALUE).contains(&value.len()) {
            return None;
        }
        let plain = value.iter().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(b));
        let host = Some(as_host(value)).filter(|host| plain && host.len() >= MIN_VALUE);
        let host = host.map(|host| Zeroizing::new(host.into_owned())).map(|host| self.mark(kind, &host));
        Some(Digest { kind, vendors, mark: self.mark(kind, value), host })
    }

    /// What tells these keys from others: a canary planted under others is never seen.
    pub(super) fn check(&self) -> &[u8; 8] {
        &self.check
    }

    /// Whether `bytes` are the value of this digest.
    pub(super) fn confirms(&self, digest: &Digest, bytes: &[u8]) -> bool {
        self.hmac(digest.kind, bytes) == digest.mark.hmac
    }

    fn mark(&self, kind: Kind, value: &[u8]) -> Mark {
        let covered = value.len() - COVERED;
        let window = |n: usize| self.gate.window(word(&value[covered + n..]));
        Mark {
            len: value.len(),
            windows: std::array::from_fn(window),
            head: self.gate.head(word(value)),
            hmac: self.hmac(kind, value),
        }
    }

    fn hmac(&self, kind: Kind, value: &[u8]) -> [u8; 32] {
        let mut keyed = if kind == Kind::Canary { self.canary.clone() } else { self.known.clone() };
        keyed.update(value);
        keyed.finalize().into_bytes().into()
    }
}

impl Drop for DigestKeys {
    fn drop(&mut self) {
        self.gate.window.zeroize();
        self.gate.head.zeroize();
    }
}

/// The first eight bytes.
pub(super) fn word(bytes: &[u8]) -> u64 {
    u64::from_le_bytes(*bytes.first_chunk::<WINDOW>().expect("a value is longer"))
}

fn keyed(key: &[u8; 32]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC takes a key of any length")
}

/// As the name of a host spells it: in lower case, its labels in one.
pub(super) fn as_host(text: &[u8]) -> Cow<'_, [u8]> {
    Cow::Owned(text.iter().filter(|&&b| b != b'.').map(u8::to_ascii_lowercase).collect())
}

/// What is kept of a value.
#[derive(Clone)]
pub struct Digest {
    pub(super) kind: Kind,
    pub(super) vendors: Arc<[String]>,
    pub(super) mark: Mark,
    /// The same of the value as a host's name spells it, when it could.
    pub(super) host: Option<Mark>,
}

/// What one spelling of a value is recognised by.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) len: usize,
    pub(super) windows: [u16; STRIDE],
    pub(super) head: u16,
    pub(super) hmac: [u8; 32],
}

impl Mark {
    /// The bytes of the value before its `n`th window.
    pub(super) fn before(&self, n: usize) -> usize {
        self.len - COVERED + n
    }
}

impl Digest {
    /// Whether both are of one value, wherever it is from. Digests of one process alone can be told so.
    pub fn is_of_same_value(&self, other: &Self) -> bool {
        self.mark == other.mark
    }

    /// Where the value is from.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Whose it is: names of the vendor table.
    pub fn vendors(&self) -> &[String] {
        &self.vendors
    }

    /// The digest of the value as a host's name spells it.
    pub(super) fn in_host(&self) -> Option<Self> {
        self.host.clone().map(|mark| Self { mark, host: None, ..self.clone() })
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Digest").field("kind", &self.kind).finish_non_exhaustive()
    }
}
