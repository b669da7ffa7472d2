//! View → the text its receiver would act on: Unicode look-alikes folded, shell spellings undone, split literals joined.
//!
//! Each pass is linear and bounded, and makes nothing where there is nothing to undo.

pub(crate) mod join;
mod literals;
mod marks;
mod shell;
mod spaced;
pub(crate) mod unicode;

use join::Wrapped;
use literals::Seams;
use shell::Shell;

/// A look at each byte by itself is cheaper up to this length.
const SHORT: usize = 48;

/// The other ways to read `text`: its literals joined, its characters closed up, its lines put together, its shell
/// spellings undone. Each is only what stands around what was undone; `None` where nothing was.
pub(crate) fn undone(text: &[u8]) -> [Option<Vec<u8>>; 4] {
    if text.len() <= SHORT && marks::has_none(text) {
        return [None, spaced::closed_up(text), None, None];
    }
    let mut joined = Vec::new();
    let mut seams = Seams::new(text, |part: &[u8]| {
        joined.extend_from_slice(part);
        joined.push(b'\n');
    });
    let mut wrapped = Wrapped::new(text);
    let mut shell = Shell::new(text);
    marks::each(text, &mut |at| wrapped.line(at), &mut |at, spells| {
        if spells & marks::SEAM != 0 {
            seams.quote(at);
        }
        if spells & !marks::SEAM != 0 {
            shell.mark(at);
        }
    });
    seams.finish();
    [(!joined.is_empty()).then_some(joined), spaced::closed_up(text), wrapped.finish(), shell.finish()]
}

/// `text` with its literals joined.
#[cfg(test)]
fn joined(text: &[u8]) -> Option<Vec<u8>> {
    undone(text).into_iter().next().flatten()
}
