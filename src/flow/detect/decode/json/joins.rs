//! Neighbouring strings → the text they make together, for what one of them alone does not say.
//!
//! An object is read as `name: value` lines; an array of strings as a command line, its items with spaces between; and
//! the pieces of a text that was cut into array items are put back together.

use super::{Unwrap, Voice};
use memchr::{memchr, memmem, memrchr, memrchr2};
use std::ops::Range;

/// Longer strings are matched alone; only their beginning joins in.
const PIECE: usize = 128;
/// A join is shown when it reaches this, and begun anew.
const LONGEST: usize = 64 << 10;
/// A text put together from pieces is no longer than this.
const LONGEST_GLUED: usize = 16 << 10;
/// A longer string is no piece, unless its name says that it is one.
const LONGEST_UNNAMED: usize = 64;

/// Whether a value says nothing beside others, and stands beside most.
fn is_plain(text: &[u8]) -> bool {
    matches!(
        text,
        b"assistant"
            | b"developer"
            | b"error"
            | b"function"
            | b"info"
            | b"input_text"
            | b"message"
            | b"object"
            | b"output_text"
            | b"string"
            | b"system"
            | b"text"
            | b"tool"
            | b"user"
    )
}

pub(super) struct Joins {
    /// The lines of every open object, the items of every open array: a stack of texts.
    lines: Vec<u8>,
    /// The pieces of every open object or array without anything between them: a stack of texts.
    glued: Vec<u8>,
    /// What the object now open, or the one inside it that ended last, adds to the array around it.
    piece: Vec<u8>,
    piece_is_named: bool,
    open: Vec<Open>,
}

#[derive(Default)]
struct Open {
    object: bool,
    apart: bool,
    /// Where the name of this array begins in the lines of the object around it.
    name: usize,
    lines: usize,
    glued: usize,
    strings: usize,
    /// Strings too short to have been shown alone.
    short: usize,
    pieces: usize,
    /// The last string of an object, if an array may follow it as its arguments.
    last: Option<Range<usize>>,
}

impl Joins {
    pub(super) fn new(w: &mut Unwrap<'_>) -> Self {
        let (lines, glued, piece) = (w.buffer(), w.buffer(), w.buffer());
        Self { lines, glued, piece, piece_is_named: false, open: vec![Open::default()] }
    }

    /// An object or array begins. `apart` says that the items of an array are texts of their own, not pieces of one.
    pub(super) fn open(&mut self, object: bool, key: Option<&[u8]>, apart: bool) {
        let name = self.lines.len();
        if let (false, Some(key)) = (object, key) {
            self.line(key, b"");
        }
        self.open.push(Open {
            object,
            apart,
            name,
            lines: self.lines.len(),
            glued: self.glued.len(),
            ..Open::default()
        });
    }

    /// A string that is neither named nor an item.
    pub(super) fn item(&mut self, text: &[u8]) {
        self.leaf(None, text);
    }

    /// A string, and its name when an object holds it.
    pub(super) fn leaf(&mut self, key: Option<&[u8]>, text: &[u8]) {
        if is_plain(text) {
            return;
        }
        let Some(mut open) = self.open.pop() else { return };
        open.strings += 1;
        open.short += usize::from(text.len() < super::SHORT);
        let piece = beginning(text);
        if open.object {
            let end = self.line(key.unwrap_or_default(), piece);
            open.last = (piece.len() == text.len()).then_some(end - piece.len()..end);
            // A blank before the line's end: its last word does not go on in the next member.
            self.lines.extend_from_slice(b" \n");
            self.name_piece(key.unwrap_or_default(), text);
            if key.is_some_and(is_numbered) {
                open.pieces += 1;
                self.glued.extend_from_slice(&text[..text.len().min(LONGEST_GLUED)]);
            }
        } else {
            open.pieces += 1;
            let told = tells_to_run(&self.lines[open.lines..]) && memchr(b'\'', piece).is_none();
            let quote = if told { &b"'"[..] } else { b"" };
            for part in [quote, piece, quote, b" "] {
                self.lines.extend_from_slice(part);
            }
            self.glued.extend_from_slice(&text[..text.len().min(LONGEST_GLUED)]);
        }
        self.open.push(open);
    }

    /// The innermost object or array ends: shows what it made.
    pub(super) fn close(&mut self, w: &mut Unwrap<'_>, voice: Voice) {
        let Some(open) = self.open.pop() else { return };
        let joined = &self.lines[open.lines..];
        if open.strings > 1 || open.short > 0 {
            for part in joined.chunks(LONGEST) {
                w.show(part, None, voice);
            }
        }
        let glued = &self.glued[open.glued..];
        if open.pieces > 1 && glued.len() <= LONGEST_GLUED && w.afford(glued.len()) {
            w.text(glued, None, voice);
        }
        let joined = joined.len();
        self.glued.truncate(open.glued);
        if let (true, Some(around)) = (open.object, self.open.last_mut())
            && !around.object
            && !self.piece.is_empty()
        {
            if !around.apart {
                around.pieces += 1;
                self.glued.extend_from_slice(&self.piece);
            }
            self.piece.clear();
            self.piece_is_named = false;
        }
        if open.object || open.strings == 0 || joined > PIECE || self.open.is_empty() {
            self.lines.truncate(open.name);
        } else {
            self.call(w, &open, voice);
            self.lines.push(b'\n');
        }
        if self.open.is_empty() {
            w.give_back(std::mem::take(&mut self.lines));
            w.give_back(std::mem::take(&mut self.glued));
            w.give_back(std::mem::take(&mut self.piece));
        }
    }

    /// Notes what an object would add to a text its array makes: the string its name calls a piece, else its last one.
    fn name_piece(&mut self, key: &[u8], text: &[u8]) {
        let named = matches!(key, b"text" | b"content" | b"value" | b"data" | b"delta" | b"part" | b"chunk");
        if named || (!self.piece_is_named && text.len() <= LONGEST_UNNAMED) {
            self.piece.clear();
            self.piece.extend_from_slice(&text[..text.len().min(LONGEST_GLUED)]);
            self.piece_is_named = named;
        }
    }

    /// A string followed by an array of strings reads as a program and its arguments.
    fn call(&mut self, w: &mut Unwrap<'_>, array: &Open, voice: Voice) {
        let Some(last) = self.open.last_mut().and_then(|around| around.last.take()) else { return };
        let mut command = w.buffer();
        command.extend_from_slice(&self.lines[last]);
        command.push(b' ');
        command.extend_from_slice(&self.lines[array.lines..]);
        w.show(&command, None, voice);
        w.give_back(command);
    }

    fn line(&mut self, key: &[u8], value: &[u8]) -> usize {
        if !key.is_empty() {
            self.lines.extend_from_slice(key);
            self.lines.extend_from_slice(b": ");
        }
        self.lines.extend_from_slice(value);
        self.lines.len()
    }
}

/// Whether the items so far end in what tells a shell to run the next one, which then is one word however many it has.
fn tells_to_run(items: &[u8]) -> bool {
    let last = items.strip_suffix(b" ").map_or(items, |i| &i[memrchr(b' ', i).map_or(0, |at| at + 1)..i.len()]);
    matches!(last, [b'-', flags @ .., b'c' | b'e'] if flags.len() <= 4 && flags.iter().all(u8::is_ascii_lowercase))
}

/// Whether a key is one of several that number the pieces of a text: `part1`, `a`.
fn is_numbered(key: &[u8]) -> bool {
    key.len() == 1 || key.last().is_some_and(u8::is_ascii_digit)
}

/// As much of `text` as joins in: whole words of its first line, and no part of a key block, which would look like
/// another key.
fn beginning(text: &[u8]) -> &[u8] {
    if text.len() <= PIECE {
        return text;
    }
    let piece = &text[..PIECE];
    let end = memchr(b'\n', piece).or_else(|| memrchr2(b' ', b'\t', piece)).unwrap_or(0);
    let piece = &piece[..end];
    // Five dashes have one at every fifth place.
    let dashes = piece.iter().skip(4).step_by(5).any(|b| *b == b'-') && memmem::find(piece, b"-----").is_some();
    if piece.is_ascii() && !dashes { piece } else { &[] }
}
