//! Text with some stretches replaced → only the neighbourhoods of what was replaced.
//!
//! The rest of the text was shown already, as it stood.

use memchr::{memchr3, memrchr3};

/// The longest word followed to its end. What is longer is no key, and cut off it would look like one.
const WORD: usize = 4 << 10;

/// A text being patched from left to right.
pub(super) struct Patch<'t, F: FnMut(&[u8])> {
    text: &'t [u8],
    out: Vec<u8>,
    /// Bytes shown on each side of a replacement.
    context: usize,
    /// The end of what was taken from `text`.
    taken: usize,
    open: bool,
    show: F,
}

impl<'t, F: FnMut(&[u8])> Patch<'t, F> {
    /// A patch of `text` that shows `context` bytes on each side of a replacement, written to `out`.
    pub(super) fn new(text: &'t [u8], context: usize, out: Vec<u8>, show: F) -> Self {
        Self { text, out, context, taken: 0, open: false, show }
    }

    /// Puts `with` in place of `text[start..end]`; `start` is not before the last `end`.
    pub(super) fn replace(&mut self, start: usize, end: usize, with: &[u8]) {
        if self.open && start - self.taken > 2 * self.context && !self.in_one_word(start) {
            self.close(start);
        }
        let from = if self.open { self.taken } else { self.window_start(start) };
        self.open = true;
        self.out.extend_from_slice(&self.text[from..start]);
        self.out.extend_from_slice(with);
        self.taken = end;
    }

    /// Shows what is pending and gives the buffer back.
    pub(super) fn finish(mut self) -> Vec<u8> {
        if self.open {
            self.close(self.text.len());
        }
        self.out
    }

    /// Whether nothing but one word lies between the last replacement and `start`.
    fn in_one_word(&self, start: usize) -> bool {
        start - self.taken <= WORD && memchr3(b'\n', b' ', b'\t', &self.text[self.taken..start]).is_none()
    }

    /// Shows the window, which ends before `next` is replaced.
    fn close(&mut self, next: usize) {
        let end = self.window_end().min(next);
        self.out.extend_from_slice(&self.text[self.taken..end]);
        (self.show)(&self.out);
        self.out.clear();
        self.taken = end;
        self.open = false;
    }

    /// Not in the middle of a word: half a word can look like a whole one.
    fn window_start(&self, start: usize) -> usize {
        let near = start.saturating_sub(self.context).max(self.taken);
        let far = start.saturating_sub(self.context + WORD).max(self.taken);
        if near == self.taken {
            return near;
        }
        memrchr3(b'\n', b' ', b'\t', &self.text[far..near]).map_or(far, |at| far + at)
    }

    /// Nor at its other end.
    fn window_end(&self) -> usize {
        let near = self.text.len().min(self.taken + self.context);
        let far = self.text.len().min(near + WORD);
        memchr3(b'\n', b' ', b'\t', &self.text[near..far]).map_or(far, |at| near + at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn windows(text: &[u8], holes: &[(usize, usize, &[u8])]) -> Vec<Vec<u8>> {
        let mut shown = Vec::new();
        let mut patch = Patch::new(text, 512, Vec::new(), |t: &[u8]| shown.push(t.to_vec()));
        for &(start, end, with) in holes {
            patch.replace(start, end, with);
        }
        patch.finish();
        shown
    }

    #[test]
    fn near_replacements_share_a_window() {
        assert_eq!(windows(b"a%20b%20c", &[(1, 4, b" "), (5, 8, b" ")]), [b"a b c".to_vec()]);
    }

    #[test]
    fn far_replacements_do_not() {
        let text = vec![b'x'; 10_000];
        let shown = windows(&text, &[(10, 11, b"A"), (9_000, 9_001, b"B")]);
        assert_eq!(shown.len(), 2);
        assert!(shown.iter().all(|w| w.len() <= 2 * (512 + WORD) + 1));
    }

    #[test]
    fn a_window_ends_with_a_word() {
        let token = "k".repeat(90);
        let text = ["a%20", &token, " ", &"x".repeat(600)].concat();
        let mut shown = Vec::new();
        let mut patch = Patch::new(text.as_bytes(), 32, Vec::new(), |t: &[u8]| shown.push(t.to_vec()));
        patch.replace(1, 4, b" ");
        patch.finish();
        assert_eq!(shown, [["a ", &token].concat().into_bytes()]);
    }

    #[test]
    fn a_long_word_is_shown_whole_however_far_its_replacements_stand_apart() {
        let text = ["a%41", &"k".repeat(300), "%41", &"k".repeat(300), " z", &"z".repeat(300)].concat();
        let holes: Vec<(usize, usize, &[u8])> = vec![(1, 4, b"A"), (304, 307, b"A")];
        let mut shown = Vec::new();
        let mut patch = Patch::new(text.as_bytes(), 32, Vec::new(), |t: &[u8]| shown.push(t.len()));
        for &(start, end, with) in &holes {
            patch.replace(start, end, with);
        }
        patch.finish();
        assert_eq!(shown, [603]);
    }

    #[test]
    fn nothing_replaced_shows_nothing() {
        assert!(windows(b"plain", &[]).is_empty());
    }
}
