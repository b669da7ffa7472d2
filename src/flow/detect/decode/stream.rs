//! One text in the making → views of it as it grows, and of all of it at its end.

use super::{Unwrap, Voice, json};
use memchr::{memchr, memchr3, memmem, memrchr, memrchr3};
use posture::Encoding;

/// A text that grows beyond this is judged, and only its end kept.
const LONGEST: usize = 256 << 10;
/// What is shown again before a line that is new: a command may begin on the line before.
const OVERLAP: usize = 256;
/// What is kept of a text that was judged and let go.
const KEPT: usize = 4 << 10;
/// Most texts end once. Of one that is said to have ended again and again, as much is shown again with what came since;
/// then it is shown again when it has grown by half, and at its true end.
const MAX_AGAIN: usize = LONGEST;
/// A line longer than this is judged word by word.
const LONG_LINE: usize = 2 << 10;
/// Tool-call arguments are judged early from this size on, and again when they have doubled.
const EARLY_JSON: usize = 16 << 10;
/// A shorter piece may well come twice in a row.
const SHORTEST_CONSTANT: usize = 12;
/// A longer one is not remembered: it counts as another each time.
const LONGEST_CONSTANT: usize = 1 << 10;
/// As many bytes at an end of a text tell whether it is JSON.
const TELLING: usize = 1 << 10;

/// One text in the making.
pub(super) struct Stream {
    key: u64,
    name: Vec<u8>,
    text: Vec<u8>,
    /// Its pieces are pieces for certain, so they were not shown one by one.
    streamed: bool,
    pieces: usize,
    /// Its beginning is no longer held.
    cut: bool,
    /// Judged while it grew, up to here.
    judged: usize,
    /// Judged as a whole when it was this long.
    settled: usize,
    /// As much of it was judged as a whole already, and again with what came then.
    again: usize,
    /// Where the last line ends that is whole, and the last word.
    line_end: usize,
    word_end: usize,
    /// The last piece: what repeats in every event is no piece.
    last: Vec<u8>,
}

impl Stream {
    pub(super) fn new(key: u64, name: &[u8], streamed: bool) -> Self {
        let name = name[..name.len().min(64)].to_vec();
        Self {
            key,
            name,
            text: Vec::new(),
            streamed,
            pieces: 0,
            cut: false,
            judged: 0,
            settled: 0,
            again: 0,
            line_end: 0,
            word_end: 0,
            last: Vec::new(),
        }
    }

    pub(super) fn key(&self) -> u64 {
        self.key
    }

    pub(super) fn held(&self) -> usize {
        self.text.len() + self.last.len()
    }

    /// Whether its pieces are pieces for certain.
    pub(super) fn is_streamed(&self) -> bool {
        self.streamed
    }

    /// Whether the text is a JSON document in the making: a tool call's arguments.
    pub(super) fn is_json(&self) -> bool {
        let Some((text, end)) = self.text.get(..TELLING).zip(self.text.last_chunk::<TELLING>()) else {
            return !self.cut && json::likely(&self.text);
        };
        let quoted = text.trim_ascii_start().first() == Some(&b'"');
        !self.cut && if quoted { end.trim_ascii_end().ends_with(b"\"") } else { json::likely(text) }
    }

    /// Appends a piece, unless it only repeats the last one.
    pub(super) fn piece(&mut self, w: &mut Unwrap<'_>, piece: &[u8]) {
        if !self.streamed && piece.len() >= SHORTEST_CONSTANT {
            if self.last == piece {
                return;
            }
            self.last.clear();
            if piece.len() <= LONGEST_CONSTANT {
                self.last.extend_from_slice(piece);
            }
        }
        self.pieces += 1;
        for piece in piece.chunks(LONGEST) {
            let before = self.text.len();
            self.text.extend_from_slice(piece);
            if self.streamed {
                self.line_end = memrchr(b'\n', piece).map_or(self.line_end, |at| before + at + 1);
                self.word_end = memrchr3(b' ', b'\t', b'\r', piece).map_or(self.word_end, |at| before + at + 1);
            }
            self.grow(w);
        }
    }

    /// The text is said to be whole, which may be said again.
    pub(super) fn settle(&mut self, w: &mut Unwrap<'_>) {
        let again = self.again + self.settled;
        if again <= MAX_AGAIN || self.text.len() > self.settled + self.settled / 2 {
            self.again = again;
            self.finish(w);
        }
    }

    /// Nothing more comes, or what is here is let go of.
    pub(super) fn finish(&mut self, w: &mut Unwrap<'_>) {
        // One piece that may be a text of its own was shown as one.
        if self.text.len() > self.settled && (self.streamed || self.pieces > 1) {
            self.settled = self.text.len();
            self.judged = self.text.len();
            self.show(w, 0, self.text.len());
        }
    }

    fn grow(&mut self, w: &mut Unwrap<'_>) {
        if self.is_json() {
            if self.text.len() >= EARLY_JSON.max(2 * self.judged) {
                self.judged = self.text.len();
                // A value still being written could end otherwise.
                let end = memmem::rfind(&self.text, b"\\n").or_else(|| memrchr(b' ', &self.text)).unwrap_or(0);
                self.show(w, 0, end);
            }
        } else if self.streamed {
            let end = self.certain();
            if end > self.judged {
                let start = self.line_start(self.judged.saturating_sub(OVERLAP));
                self.judged = end;
                self.show(w, start, end);
            }
        }
        if self.text.len() > LONGEST {
            self.finish(w);
            let keep = self.text.len() - KEPT;
            self.text.drain(..keep);
            self.cut = true;
            self.judged = self.text.len();
            self.settled = self.text.len();
            (self.again, self.line_end, self.word_end) = (0, 0, 0);
        }
    }

    /// The end of what can no longer change its meaning: a whole line, or of a long one, whole words.
    fn certain(&self) -> usize {
        let new = &self.text[self.judged..];
        let long = new.len() > LONG_LINE;
        let end = if self.line_end <= self.judged && long { self.word_end } else { self.line_end };
        if end <= self.judged {
            return self.judged;
        }
        let whole = &self.text[self.judged..end];
        // A key block is one match, not one for every line it has so far.
        match memmem::rfind(whole, b"-----BEGIN ") {
            Some(at) if memmem::find(&whole[at..], b"-----END ").is_none() && new.len() < EARLY_JSON => {
                self.judged + at
            }
            _ => end,
        }
    }

    fn line_start(&self, from: usize) -> usize {
        if from == 0 {
            return 0;
        }
        let rest = &self.text[from..self.judged];
        memchr(b'\n', rest).or_else(|| memchr3(b' ', b'\t', b'\r', rest)).map_or(self.judged, |at| from + at + 1)
    }

    fn show(&self, w: &mut Unwrap<'_>, start: usize, end: usize) {
        let text = &self.text[start..end];
        let framing = if self.is_json() { Encoding::ToolCall } else { Encoding::Json };
        w.within(framing, |w| {
            if self.streamed {
                w.text(text, Some(&self.name), Voice::Unknown);
            } else {
                w.joined(text, Some(&self.name), Voice::Unknown);
            }
        });
    }
}
