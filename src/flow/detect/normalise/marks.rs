//! Text → where its marks stand: one look at every byte for all that undoes a spelling.
//!
//! Whether a byte is a mark is told for a block at once and without a branch: in a text that does not repeat itself a
//! branch a mark costs more than all else.

use super::spaced;
use crate::flow::detect::bits::{BLOCK, Block, Lanes, comes_again};

/// What a mark may spell, a bit each, as far as the bytes beside it tell.
pub(super) type Spells = u16;

/// A quote that may end a literal to which another one is joined.
pub(super) const SEAM: Spells = 1 << 7;

/// `\` before what a shell reads as itself.
const ESCAPE: Spells = 1;
/// A quote between bytes of a word.
pub(super) const IN_WORD: Spells = 1 << 1;
/// A quote where a word begins.
pub(super) const OPENS: Spells = 1 << 2;
/// `$` before a name, a quote, or what else a shell puts something in place of.
const DOLLAR: Spells = 1 << 3;
/// `{` where a word begins.
const BRACE: Spells = 1 << 4;
/// `{` after a folder, after the dot that a hidden name begins with, or after a low line within a name.
const AFTER_SLASH: Spells = 1 << 5;
/// `^` between letters.
const CARET: Spells = 1 << 6;
/// `\`, `^` or a backquote at the end of a line, which may be continued on the next one.
pub(super) const CONTINUES: Spells = 1 << 8;
/// `\` behind a word and before a quote, as in a literal.
pub(super) const IN_LITERAL: Spells = 1 << 9;
/// A backquote between letters, as PowerShell breaks a word with.
pub(super) const TICK: Spells = 1 << 10;
/// What spells something for certain.
pub(super) const CERTAIN: Spells = ESCAPE | DOLLAR | BRACE | AFTER_SLASH | CARET;

/// What a byte makes possible as the mark, before it and after it.
#[derive(Clone, Copy)]
struct Role {
    before: Spells,
    mark: Spells,
    after: Spells,
}

static ROLES: [Role; 256] = {
    let mut roles = [Role { before: 0, mark: 0, after: 0 }; 256];
    let mut b = 0;
    while b < roles.len() {
        #[expect(clippy::cast_possible_truncation, reason = "counts to 255")]
        let byte = b as u8;
        roles[b] = role(byte);
        b += 1;
    }
    roles
};

const fn role(b: u8) -> Role {
    let word = is_of_word(b);
    let blank = is_blank(b);
    let line_end = matches!(b, b'\n' | b'\r');
    let mut role = Role { before: SEAM | ESCAPE | DOLLAR | CONTINUES, mark: 0, after: AFTER_SLASH };
    role.mark = match b {
        b'\\' => ESCAPE | CONTINUES | IN_LITERAL,
        b'\'' | b'"' => SEAM | IN_WORD | OPENS,
        b'$' => DOLLAR,
        b'{' => BRACE | AFTER_SLASH,
        b'^' => CARET | CONTINUES,
        b'`' => SEAM | CONTINUES | TICK,
        _ => 0,
    };
    if word || matches!(b, b'\'' | b'"') {
        role.before |= IN_WORD;
        role.after |= IN_WORD;
    }
    if blank || matches!(b, b';' | b'|' | b'&' | b'(' | b'`') {
        role.before |= OPENS;
    }
    if !word && b != b'$' {
        role.before |= BRACE;
    }
    if word {
        role.after |= BRACE;
    }
    if word {
        role.before |= IN_LITERAL;
    }
    if matches!(b, b'\'' | b'"') {
        role.after |= IN_LITERAL;
    }
    if matches!(b, b'/' | b'.' | b'_') {
        role.before |= AFTER_SLASH;
    }
    if b.is_ascii_alphabetic() {
        role.before |= CARET | TICK;
        role.after |= CARET | TICK;
    }
    if line_end {
        role.after |= CONTINUES;
    }
    if b.is_ascii_alphanumeric() || matches!(b, b'/' | b'-' | b'.' | b'_') {
        role.after |= ESCAPE;
    }
    if b.is_ascii_alphabetic() || matches!(b, b'_' | b'1'..=b'9' | b'\'' | b'"' | b'(' | b'`' | b'@' | b'*' | b'{') {
        role.after |= DOLLAR;
    }
    let means_more =
        blank || matches!(b, b';' | b'|' | b'&' | b'<' | b'>' | b'(' | b')' | b'"' | b'\'' | b'`' | b',' | b':');
    if !means_more {
        role.after |= OPENS;
    }
    if blank || matches!(b, b'+' | b'.' | b'~' | b'&' | b'|' | b'\\' | b'<' | b';' | b']' | b'%' | b'{') {
        role.after |= SEAM;
    }
    role
}

/// Whether a byte is a blank or ends a line, the vertical tab included, as in a regex.
pub(super) const fn is_blank(b: u8) -> bool {
    b.is_ascii_whitespace() || b == 0x0b
}

const fn is_of_word(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'_' | b'/' | b'.' | b'-' | b'~' | b'*' | b'?')
}

/// Whether a byte is one of a word.
pub(super) fn in_word(b: u8) -> bool {
    ROLES[usize::from(b)].after & BRACE != 0
}

/// Whether a byte means the same in quotes and without them.
pub(super) fn means_itself(b: u8) -> bool {
    ROLES[usize::from(b)].after & OPENS != 0
}

/// Whether a byte is one of the marks.
pub(super) fn is_mark(b: u8) -> bool {
    ROLES[usize::from(b)].mark != 0
}

/// Which bytes are marks.
#[inline]
fn marks(bytes: Lanes) -> Lanes {
    b"'\"${^`".iter().fold(bytes.is(b'\\'), |marks, mark| marks.or(bytes.is(*mark)))
}

/// Who is told, in order of position, what stands where.
pub(super) trait Reader {
    /// A mark stands at `at` that may spell something.
    fn mark(&mut self, at: usize, spells: Spells);
    /// A line ends at `at`.
    fn line_end(&mut self, at: usize);
    /// From `at` on, every other byte is the same.
    fn spaced(&mut self, at: usize);
}

/// Looks at every byte of `text`, and tells of those that are more than themselves.
pub(super) fn read(text: &[u8], reader: &mut impl Reader) {
    for at in (0..text.len()).step_by(BLOCK) {
        look(text, at, reader);
    }
}

#[inline]
fn look(text: &[u8], at: usize, reader: &mut impl Reader) {
    let block = Block::at(text, at);
    places(spaced::stretches(comes_again(text, at)), |n| reader.spaced(at + n));
    places(block.bits(|b| b.is(b'\n')), |n| reader.line_end(at + n));
    places(block.bits(marks), |n| {
        let at = at + n;
        let role = |at: Option<usize>| ROLES[usize::from(at.and_then(|at| text.get(at)).copied().unwrap_or(b' '))];
        let spells = role(at.checked_sub(1)).before & role(Some(at)).mark & role(Some(at + 1)).after;
        if spells != 0 {
            reader.mark(at, spells);
        }
    });
}

/// The longest text that [`has_none`] can tell of.
pub(super) const SHORT: usize = 32;

/// Whether nothing in a short text is worth a look: no mark, no line end, too few blanks for a stretch between them.
pub(super) fn has_none(short: &[u8]) -> bool {
    short.len() <= SHORT && short.iter().fold(0, |sum, b| sum + WEIGHTS[usize::from(*b)]) < ENOUGH
}

/// The least that is worth a look.
const ENOUGH: u8 = 7;

/// A byte's share of what is worth a look. The bytes of a short text together have no more than 255.
static WEIGHTS: [u8; 256] = {
    let mut weights = [0; 256];
    let mut b = 0;
    while b < weights.len() {
        weights[b] = if ROLES[b].mark == 0 { 0 } else { ENOUGH };
        b += 1;
    }
    weights[b'\n' as usize] = ENOUGH;
    weights[b' ' as usize] = 1;
    weights
};

#[inline]
fn places(mut bits: u64, mut on: impl FnMut(usize)) {
    while bits != 0 {
        on(bits.trailing_zeros() as usize);
        bits &= bits - 1;
    }
}

#[cfg(test)]
mod tests {
    use super::{BLOCK, ENOUGH, Reader, SHORT, Spells, has_none, is_mark, read};

    #[derive(Default)]
    struct Seen {
        marks: Vec<usize>,
        lines: Vec<usize>,
    }

    impl Reader for Seen {
        fn mark(&mut self, at: usize, _: Spells) {
            self.marks.push(at);
        }

        fn line_end(&mut self, at: usize) {
            self.lines.push(at);
        }

        fn spaced(&mut self, _: usize) {}
    }

    #[test]
    fn a_short_text_with_something_to_undo_is_looked_at() {
        for text in ["a\nb", "it's", "$x", "a b c d e f g h", "- - - - - - - - - - - - - - - -"] {
            assert!(!has_none(text.as_bytes()), "{text}");
        }
        for text in ["", "terminal", "what can you do for me today", "a b c d e f g"] {
            assert!(has_none(text.as_bytes()), "{text}");
        }
        assert!(!has_none(&[b'a'; SHORT + 1]));
        const { assert!(SHORT * ENOUGH as usize <= u8::MAX as usize) };
    }

    proptest::proptest! {
        #[test]
        fn every_mark_and_line_end_is_seen_once_and_in_order(
            before in 0..2 * BLOCK,
            text in "[a'\"\\\\${^` \n\r+1]{0,90}",
        ) {
            let text = ["-".repeat(before), text].concat();
            let mut seen = Seen::default();
            read(text.as_bytes(), &mut seen);
            let Seen { marks, lines } = seen;
            let all: Vec<usize> = memchr::memchr_iter(b'\n', text.as_bytes()).collect();
            proptest::prop_assert_eq!(lines, all);
            proptest::prop_assert!(marks.is_sorted_by(|a, b| a < b));
            proptest::prop_assert!(marks.iter().all(|at| is_mark(text.as_bytes()[*at])));
            // A quote after a blank begins a word, whatever it is, if the next byte is one of a word.
            let opening = text.as_bytes().windows(3).enumerate().filter(|(_, w)| matches!(w, [b' ', b'"', b'a']));
            for (at, _) in opening {
                proptest::prop_assert!(marks.contains(&(at + 1)));
            }
        }
    }
}
