//! One keyword: how it begins, what tells of it, and where it ends.

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

    /// The probes that tell of the keyword: their first three bytes, the [`fourths`] of those their fourth may be, and
    /// where the keyword begins, in bytes after a sign of theirs does.
    ///
    /// A probe stands where the keyword begins, or a byte later; where the keyword is too short for that, a byte earlier.
    /// Its first three bytes are as they are written: only after them may a blank be a run of blanks.
    pub(super) fn probes(&self, on: &mut dyn FnMut([u8; LEAST], u8, usize)) {
        let Some((&three, rest)) = self.text.split_first_chunk::<LEAST>() else { return };
        let [first, second, third] = three;
        let blanks = fourths(b' ') | fourths(b'\t');
        let Some(&fourth) = rest.first() else {
            on(three, u8::MAX, BEFORE);
            return (0..=u8::MAX).for_each(|before| on([before, first, second], fourths(third), BEFORE + 1));
        };
        let runs = is_blank(third) || is_blank(fourth);
        on(three, fourths(fourth) | if runs { blanks } else { 0 }, BEFORE);
        let then = match rest.get(1) {
            Some(&fifth) if !runs => fourths(fifth) | if is_blank(fifth) { blanks } else { 0 },
            _ => u8::MAX,
        };
        on([second, third, fourth], then, BEFORE - 1);
        if runs {
            on([second, third, b' '], then, BEFORE - 1);
            on([second, third, b'\t'], then, BEFORE - 1);
        }
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

/// A bit for the last three bits of a byte, whatever its case.
#[inline]
pub(super) const fn fourths(byte: u8) -> u8 {
    1 << (byte & 7)
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
