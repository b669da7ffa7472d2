//! One keyword: how it begins, what tells of it, and where it ends.

use super::probe::PROBE;

/// The shortest keyword.
pub(super) const LEAST: usize = 3;
/// The longest run of blanks that a keyword's blank stands for.
const MAX_BLANKS: usize = 64;
/// How many bytes before its probe a sign begins.
pub(super) const BEFORE: usize = 1;

/// A keyword of one or more rules.
pub(super) struct Keyword {
    /// In lower case.
    pub(super) text: Box<[u8]>,
    /// It has blanks.
    blank: bool,
    /// The rules it brings into play; none for one written backwards.
    pub(super) rules: Vec<usize>,
}

/// As many bytes of a keyword are compared at once.
const WORD: usize = size_of::<u64>();

/// Eight bytes of which some bits are told: of a letter all but its case, of a blank those that all blanks have.
#[derive(Clone, Copy)]
pub(super) struct Sign {
    mask: u64,
    /// No bit that is not told.
    word: u64,
}

impl Sign {
    /// Of what has nothing in common.
    pub(super) const NONE: Self = Self { mask: 0, word: 0 };

    #[inline]
    pub(super) const fn fits(self, text: u64) -> bool {
        (text & self.mask) == self.word
    }

    /// What both tell.
    pub(super) const fn common(self, other: Self) -> Self {
        let mask = self.mask & other.mask & !(self.word ^ other.word);
        Self { mask, word: self.word & mask }
    }
}

/// How a keyword begins.
pub(super) struct Start {
    pub(super) sign: Sign,
    /// Its length when that is all of it, else 0.
    pub(super) len: usize,
}

impl Keyword {
    pub(super) fn new(text: &[u8], rules: Vec<usize>) -> Self {
        Self { blank: text.iter().any(|b| is_blank(*b)), text: text.into(), rules }
    }

    pub(super) fn start(&self) -> Start {
        let whole = !self.blank && self.text.len() <= WORD;
        Start { sign: self.sign(0), len: if whole { self.text.len() } else { 0 } }
    }

    /// What eight bytes have in which the keyword begins at `begins`.
    pub(super) fn sign(&self, begins: usize) -> Sign {
        let (mut mask, mut word) = ([0; WORD], [0; WORD]);
        for (n, &b) in (begins..WORD).zip(&self.text) {
            mask[n] = match b {
                b' ' | b'\t' => !(b' ' ^ b'\t'),
                _ if b.is_ascii_lowercase() => !CASE,
                _ => u8::MAX,
            };
            word[n] = b & mask[n];
            // It may be any run of blanks: from here on, nothing stands where the keyword has it.
            if is_blank(b) {
                break;
            }
        }
        Sign { mask: u64::from_le_bytes(mask), word: u64::from_le_bytes(word) }
    }

    /// The probes that tell of the keyword: what each of their bytes may be, and where the keyword begins, in bytes after
    /// a sign of theirs does.
    ///
    /// One stands where the keyword begins, the other a byte later, or where [`Keyword::told_before`] a byte earlier. The
    /// keyword's first three bytes are as they are written: only after them may a blank be a run of blanks.
    pub(super) fn probes(&self) -> [([Vec<u8>; PROBE], usize); 2] {
        let byte = |n: usize| self.text.get(n).map_or_else(|| (0..=u8::MAX).collect(), |&b| vec![b]);
        let after = |n: usize| if self.text.get(n).copied().is_some_and(is_blank) { b" \t".to_vec() } else { byte(n) };
        let fourth = match self.text.get(2..4) {
            Some([third, fourth]) if is_blank(*third) => vec![*fourth, b' ', b'\t'],
            _ => after(3),
        };
        let at_it = ([byte(0), byte(1), byte(2), fourth], BEFORE);
        if self.told_before() {
            let any = (0..=u8::MAX).collect();
            [at_it, ([any, byte(0), byte(1), byte(2)], BEFORE + 1)]
        } else {
            [at_it, ([byte(1), byte(2), byte(3), after(4)], BEFORE - 1)]
        }
    }

    /// Whether a probe tells of it that stands a byte before it: one behind its first byte would have no more than two of
    /// its own, or a run of blanks.
    pub(super) fn told_before(&self) -> bool {
        self.text.len() == LEAST || self.text[2..4].iter().any(|b| is_blank(*b))
    }

    /// How long the keyword is at the start of `text`, if it stands there. Its blanks may be any run of them.
    pub(super) fn len_at(&self, text: &[u8]) -> Option<usize> {
        let len = self.text.len();
        if text.get(..len).is_some_and(|t| t.eq_ignore_ascii_case(&self.text)) {
            return Some(len);
        }
        if !self.blank {
            return None;
        }
        let mut at = 0;
        for (n, &b) in self.text.iter().enumerate() {
            if matches!(b, b' ' | b'\t') {
                let last = !matches!(self.text.get(n + 1), Some(b' ' | b'\t'));
                let most = if last { MAX_BLANKS } else { 1 };
                let run = text.get(at..)?.iter().take(most).take_while(|b| matches!(b, b' ' | b'\t')).count();
                at += run;
                if run == 0 {
                    return None;
                }
            } else if text.get(at)?.eq_ignore_ascii_case(&b) {
                at += 1;
            } else {
                return None;
            }
        }
        Some(at)
    }
}

const fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// The bit in which the cases of a letter differ.
const CASE: u8 = 0x20;

/// The first eight bytes; zeros for those that are missing.
#[inline]
pub(super) fn word(bytes: &[u8]) -> u64 {
    if let Some(whole) = bytes.first_chunk() {
        return u64::from_le_bytes(*whole);
    }
    let mut word = [0; WORD];
    word[..bytes.len()].copy_from_slice(bytes);
    u64::from_le_bytes(word)
}
