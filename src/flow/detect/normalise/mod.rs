//! View → the text its receiver would act on: Unicode look-alikes folded, shell spellings undone, split literals joined.
//!
//! Each pass is linear and bounded, and makes nothing where there is nothing to undo.

pub(crate) mod control;
mod dump;
mod folded;
pub(crate) mod join;
mod literals;
mod marks;
mod shell;
mod spaced;
pub(crate) mod unicode;

use join::Wrapped;
use literals::Seams;
use marks::{Reader, Spells};
use shell::Shell;
use spaced::Spaced;

/// The other ways to read `text`: its literals joined, its characters closed up, its lines put together, its shell
/// spellings undone. Each is only what stands around what was undone; `None` where nothing was.
pub(crate) fn undone(text: &[u8]) -> [Option<Vec<u8>>; 4] {
    if marks::has_none(text) {
        return [const { None }; 4];
    }
    let mut joined = Vec::new();
    let seams = Seams::new(text, |part: &[u8]| {
        joined.extend_from_slice(part);
        joined.push(b'\n');
    });
    let mut undoing =
        Undoing { seams, spaced: Spaced::new(text), wrapped: Wrapped::new(text), shell: Shell::new(text) };
    marks::read(text, &mut undoing);
    let Undoing { seams, spaced, wrapped, shell } = undoing;
    seams.finish();
    [(!joined.is_empty()).then_some(joined), spaced.finish(), wrapped.finish(), shell.finish()]
}

/// What a word of base64 says, with its padding or without.
pub(crate) fn of_base64(word: &[u8]) -> Option<Vec<u8>> {
    let end = word.iter().rposition(|b| *b != b'=').map_or(0, |n| n + 1);
    data_encoding::BASE64_NOPAD.decode(&word[..end]).ok()
}

/// All that can be undone in one text, as its marks come.
struct Undoing<'t, F: FnMut(&[u8])> {
    seams: Seams<'t, F>,
    spaced: Spaced<'t>,
    wrapped: Wrapped<'t>,
    shell: Shell<'t>,
}

impl<F: FnMut(&[u8])> Reader for Undoing<'_, F> {
    fn mark(&mut self, at: usize, spells: Spells) {
        if spells & marks::SEAM != 0 {
            self.seams.quote(at);
        }
        if spells & !marks::SEAM != 0 {
            self.shell.mark(at, spells);
        }
    }

    fn line_end(&mut self, at: usize) {
        self.wrapped.line(at);
    }

    fn spaced(&mut self, at: usize) {
        self.spaced.stretch(at);
    }
}

/// `text` with its literals joined.
#[cfg(test)]
fn joined(text: &[u8]) -> Option<Vec<u8>> {
    undone(text).into_iter().next().flatten()
}
