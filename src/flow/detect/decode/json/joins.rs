//! Neighbouring strings → the text they make together, for what one of them alone does not say.
//!
//! An object is read as `name: value` lines; an array of strings as a command line, its items with spaces between; and
//! the pieces of a text that was cut into array items are put back together.

use super::{Unwrap, Voice, part::Part, words::Words};
use crate::flow::detect::key_name;
use memchr::{memchr, memmem, memrchr, memrchr2};
use std::ops::Range;

/// Longer strings are matched alone; only their beginning joins in.
const PIECE: usize = 128;
/// So much joins in of what is secret in a key of the web's form, however long it is: a published one is told by that.
const TOLD: usize = 32;
/// A join is shown when it reaches this, and begun anew.
const LONGEST: usize = 64 << 10;
/// A longer name of an object is no vendor's.
const LONGEST_VENDOR: usize = 32;
/// A shorter string is no key without a shape.
const SHORTEST_KEY: usize = 24;
/// How far before an object's name its vendor's may stand, in what is around it.
const MOST_AROUND: usize = 160;
/// A text put together from pieces is no longer than this.
const LONGEST_GLUED: usize = 16 << 10;
/// A longer string is no piece, unless its name says that it is one.
const LONGEST_UNNAMED: usize = 64;

/// Values that say nothing beside others, and stand beside most.
static PLAIN: Words = Words::new(&[
    b"assistant",
    b"developer",
    b"error",
    b"function",
    b"info",
    b"input_text",
    b"message",
    b"object",
    b"output_text",
    b"string",
    b"system",
    b"text",
    b"tool",
    b"user",
]);

/// Names of the pieces of a text.
static PIECES: Words = Words::new(&[b"text", b"content", b"value", b"data", b"delta", b"part", b"chunk"]);

pub(super) struct Joins {
    /// The lines of every open object, the items of every open array: a stack of texts.
    lines: Vec<u8>,
    /// The pieces of every open object or array without anything between them: a stack of texts.
    glued: Vec<u8>,
    piece: Piece,
    open: Vec<Open>,
}

/// What the object now open, or the one inside it that ended last, adds to the array around it.
#[derive(Default)]
struct Piece {
    /// Where it is in the lines of an open object; as long as it is there, it is not copied.
    at: Option<Range<usize>>,
    text: Vec<u8>,
    named: bool,
}

#[derive(Default)]
struct Open {
    object: bool,
    apart: bool,
    /// The array that gets what this object adds is apart.
    apart_around: bool,
    /// Where its name begins in the lines of the object around it.
    name: usize,
    /// Strings that have a key's name: whose key it is may be the name of its object.
    keys: usize,
    lines: usize,
    glued: usize,
    strings: usize,
    /// Strings too short to have been shown alone.
    short: usize,
    pieces: usize,
    /// The last string of an object, if an array may follow it as its arguments.
    last: Option<Range<usize>>,
    /// What the object around its array adds, as far as is known when it begins.
    piece_around: Option<Piece>,
}

impl Joins {
    pub(super) fn new(w: &mut Unwrap<'_>) -> Self {
        let piece = Piece { text: w.buffer(), ..Piece::default() };
        Self { lines: w.buffer(), glued: w.buffer(), piece, open: vec![Open::default()] }
    }

    /// An object or array begins. `apart` says that the items of an array are texts of their own, not pieces of one.
    pub(super) fn open(&mut self, object: bool, key: Option<Part<'_>>, apart: bool) {
        let name = self.lines.len();
        let around = self.open.last();
        let is_item = around.is_some_and(|o| object && !o.object);
        let apart_around = around.is_some_and(|o| if o.object { o.apart_around } else { o.apart });
        let piece_around = (is_item && self.piece.is_set()).then(|| std::mem::take(&mut self.piece));
        // What an array that is apart is called says nothing of its items.
        let says_whose = |key: &Part<'_>| key.len() <= LONGEST_VENDOR && !(is_item && apart_around);
        if let Some(key) = key.filter(|key| !object || says_whose(key)) {
            line(&mut self.lines, key, Part::default());
        }
        self.open.push(Open {
            object,
            apart,
            apart_around,
            name,
            lines: self.lines.len(),
            glued: self.glued.len(),
            piece_around,
            ..Open::default()
        });
    }

    /// A string that is neither named nor an item.
    pub(super) fn item(&mut self, text: Part<'_>) {
        self.leaf(None, text);
    }

    /// A string, and its name when an object holds it.
    pub(super) fn leaf(&mut self, key: Option<Part<'_>>, text: Part<'_>) {
        if PLAIN.have(text.bytes()) {
            return;
        }
        let Self { lines, glued, piece, open } = self;
        let Some(open) = open.last_mut() else { return };
        open.strings += 1;
        open.short += usize::from(text.len() < super::SHORT);
        let is_secret = key.as_ref().is_some_and(|key| key.bytes() == b"d")
            && memmem::find(&lines[open.lines..], b"kty: RSA \n").is_some();
        let least = if is_secret { TOLD } else { 0 };
        let begins = text.first(beginning(text.bytes()).max(least));
        if open.object {
            let key = key.unwrap_or_default();
            let is_bare = || text.len() >= SHORTEST_KEY && key_name::is_bare(key.bytes());
            open.keys += usize::from(key_name::ends(key.bytes()) || is_bare());
            line(lines, key, begins);
            let at = lines.len() - begins.len()..lines.len();
            // A blank before the line's end: its last word does not go on in the next member.
            lines.extend_from_slice(b" \n");
            let whole = begins.len() == text.len();
            open.last = whole.then(|| at.clone());
            let named = PIECES.have(key.bytes());
            if named || (!piece.named && text.len() <= LONGEST_UNNAMED) {
                // What an array that is apart gets is not looked at.
                let most = if open.apart_around { 0 } else { LONGEST_GLUED };
                piece.set(at, text.first(most), whole);
                piece.named = named;
            }
            if is_numbered(key.bytes()) {
                open.pieces += 1;
                text.first(LONGEST_GLUED).append_to(glued);
            }
        } else {
            open.pieces += 1;
            let told = tells_to_run(&lines[open.lines..]) && memchr(b'\'', begins.bytes()).is_none();
            let quote = if told { &b"'"[..] } else { b"" };
            lines.extend_from_slice(quote);
            begins.append_to(lines);
            lines.extend_from_slice(quote);
            // A row of a table is a line of its own.
            let is_row = matches!(begins.bytes(), [b'|', .., b'|']);
            lines.push(if is_row { b'\n' } else { b' ' });
            text.first(LONGEST_GLUED).append_to(glued);
            if is_row {
                glued.push(b'\n');
            }
        }
    }

    /// The innermost object or array ends: shows what it made.
    pub(super) fn close(&mut self, w: &mut Unwrap<'_>, voice: Voice) {
        let Some(mut open) = self.open.pop() else { return };
        let joined = &self.lines[open.lines..];
        // Read with its own name and what stands before it, too, where that may say more than the names in it.
        let whose = open.object && open.keys > 0 && open.name < open.lines;
        if open.strings > 1 || open.short > 0 || whose {
            let shown = if whose { &self.lines[self.around(open.name)..] } else { joined };
            for part in shown.chunks(LONGEST) {
                w.show(part, None, voice);
            }
        }
        let glued = &self.glued[open.glued..];
        if open.pieces > 1 && glued.len() <= LONGEST_GLUED && w.afford(glued.len()) {
            w.joined(glued, None, voice);
        }
        let joined = joined.len();
        self.glued.truncate(open.glued);
        if let (true, Some(around)) = (open.object, self.open.last_mut()) {
            let piece = self.piece.text(&self.lines);
            if around.object {
                self.piece.outlive(&self.lines, open.name);
            } else {
                if !around.apart && !piece.is_empty() {
                    around.pieces += 1;
                    self.glued.extend_from_slice(piece);
                }
                match open.piece_around.take() {
                    Some(piece) => self.piece = piece,
                    None => self.piece.clear(),
                }
            }
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
            w.give_back(std::mem::take(&mut self.piece.text));
        }
    }

    /// Where the objects begin that stand around one whose name begins at `name`: those that are near.
    fn around(&self, name: usize) -> usize {
        let near = self.open.iter().rev().take_while(|o| o.object && o.name + MOST_AROUND >= name);
        near.last().map_or(name, |o| o.name)
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
}

impl Piece {
    /// The string `text`, which is at `at` in the lines of its object if it is there `whole`: the one its name calls a
    /// piece, else the last one.
    fn set(&mut self, at: Range<usize>, text: Part<'_>, whole: bool) {
        self.at = Some(at).filter(|at| whole && !at.is_empty());
        if self.at.is_none() {
            self.text.clear();
            text.append_to(&mut self.text);
        }
    }

    /// Whether a string was told, if only an empty one.
    fn is_set(&self) -> bool {
        self.named || self.at.is_some() || !self.text.is_empty()
    }

    fn text<'t>(&'t self, lines: &'t [u8]) -> &'t [u8] {
        self.at.as_ref().map_or(&self.text, |at| &lines[at.clone()])
    }

    /// The lines from `end` on are let go of.
    fn outlive(&mut self, lines: &[u8], end: usize) {
        if let Some(at) = self.at.take_if(|at| at.end > end) {
            self.text.clear();
            self.text.extend_from_slice(&lines[at]);
        }
    }

    fn clear(&mut self) {
        self.at = None;
        self.text.clear();
        self.named = false;
    }
}

/// Appends `key: value`, without the line's end.
fn line(lines: &mut Vec<u8>, key: Part<'_>, value: Part<'_>) {
    if key.len() > 0 {
        key.append_to(lines);
        lines.extend_from_slice(b": ");
    }
    value.append_to(lines);
}

/// Whether the items so far end in what tells a shell to run the next one, which then is one word however many it has.
fn tells_to_run(items: &[u8]) -> bool {
    let [items @ .., b' '] = items else { return false };
    if !matches!(items.last(), Some(b'c' | b'e')) {
        return false;
    }
    let last = &items[memrchr(b' ', items).map_or(0, |at| at + 1)..];
    matches!(last, [b'-', flags @ .., b'c' | b'e'] if flags.len() <= 4 && flags.iter().all(u8::is_ascii_lowercase))
}

/// Whether a key is one of several that number the pieces of a text: `part1`, `a`.
fn is_numbered(key: &[u8]) -> bool {
    key.len() == 1 || key.last().is_some_and(u8::is_ascii_digit)
}

/// How much of `text` joins in: whole words of its first line, and no part of a key block, which would look like another
/// key.
fn beginning(text: &[u8]) -> usize {
    if text.len() <= PIECE {
        return text.len();
    }
    let piece = &text[..PIECE];
    let end = memchr(b'\n', piece).or_else(|| memrchr2(b' ', b'\t', piece)).unwrap_or(0);
    let piece = &piece[..end];
    // Five dashes have one at every fifth place.
    let dashes = piece.iter().skip(4).step_by(5).any(|b| *b == b'-') && memmem::find(piece, b"-----").is_some();
    if piece.is_ascii() && !dashes { piece.len() } else { 0 }
}
