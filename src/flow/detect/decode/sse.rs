//! Server-sent events, JSON lines or numbered parts → events, as they come (HTML, section 9.2).

use super::{
    Deltas, Unwrap, Voice, json,
    shape::{is_field, numbered},
};
use crate::flow::detect::Limits;
use memchr::memchr2;

/// Lines that are no event's are shown together when there is more of them than this.
const LONGEST_WRITTEN: usize = 256 << 10;
/// What is kept of lines that were shown, and of a longer line of an event.
const KEPT: usize = 4 << 10;

/// A stream of events, cut anywhere.
pub(in crate::flow::detect) struct Events {
    line: Vec<u8>,
    data: Vec<u8>,
    has_data: bool,
    /// The last piece ended in CR: an LF would belong to it.
    after_cr: bool,
    begun: bool,
    written: Written,
    /// The longest event held; a longer one is judged in parts.
    longest: usize,
    deltas: Deltas,
}

impl Events {
    pub(in crate::flow::detect) fn new(limits: &Limits) -> Self {
        Self {
            line: Vec::new(),
            data: Vec::new(),
            has_data: false,
            after_cr: false,
            begun: false,
            written: Written::default(),
            longest: limits.max_scan_bytes / 4 * 3,
            deltas: Deltas::new(),
        }
    }

    /// Bytes in memory.
    pub(in crate::flow::detect) fn held(&self) -> usize {
        self.line.len() + self.data.len() + self.written.lines.len() + self.deltas.held()
    }

    /// The next piece of the stream.
    pub(in crate::flow::detect) fn push(&mut self, w: &mut Unwrap<'_>, mut piece: &[u8]) {
        while !piece.is_empty() {
            if std::mem::take(&mut self.after_cr) && piece[0] == b'\n' {
                piece = &piece[1..];
                continue;
            }
            let Some(end) = memchr2(b'\r', b'\n', piece) else {
                // Cut by count, not by piece: where a stream is cut must not matter.
                let room = piece.len().min(self.longest - self.line.len());
                self.line.extend_from_slice(&piece[..room]);
                piece = &piece[room..];
                if self.line.len() == self.longest {
                    self.take_line(w);
                    self.event(w);
                }
                continue;
            };
            self.after_cr = piece[end] == b'\r';
            if self.line.is_empty() && end < self.longest {
                self.field(w, &piece[..end]);
            } else {
                let room = end.min(self.longest - self.line.len());
                self.line.extend_from_slice(&piece[..room]);
                self.take_line(w);
                if room < end {
                    self.event(w);
                    self.line.extend_from_slice(&piece[room..end]);
                    self.take_line(w);
                }
            }
            piece = &piece[end + 1..];
        }
    }

    /// The stream is over; an event cut short is judged like a whole one.
    pub(in crate::flow::detect) fn end(&mut self, w: &mut Unwrap<'_>) {
        self.take_line(w);
        self.event(w);
        self.written.show(w);
        self.deltas.end(w);
    }

    fn take_line(&mut self, w: &mut Unwrap<'_>) {
        let mut line = std::mem::take(&mut self.line);
        if !line.is_empty() {
            self.field(w, &line);
        }
        line.clear();
        self.line = line;
    }

    /// One line, without its end.
    fn field(&mut self, w: &mut Unwrap<'_>, line: &[u8]) {
        let line = if self.begun { line } else { line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line) };
        self.begun = true;
        self.written.line(w, line);
        if line.is_empty() {
            return self.event(w);
        }
        if let Some(data) = line.strip_prefix(b"data:") {
            if self.data.len() + data.len() > self.longest {
                self.event(w);
            }
            if self.has_data {
                self.data.push(b'\n');
            }
            self.data.extend_from_slice(data.strip_prefix(b" ").unwrap_or(data));
            self.has_data = true;
        } else if json::likely(line) {
            self.deltas.event(w, line);
        } else if let Some((kind, data)) = numbered(line) {
            self.deltas.part(w, kind, data);
        } else if !line.strip_prefix(b"event:").is_some_and(is_plain) {
            w.text(line, None, Voice::Unknown);
        }
    }

    fn event(&mut self, w: &mut Unwrap<'_>) {
        if !std::mem::take(&mut self.has_data) {
            return;
        }
        let mut data = std::mem::take(&mut self.data);
        if data.trim_ascii() == b"[DONE]" {
            self.deltas.settle(w);
        } else if json::likely(&data) {
            self.deltas.event(w, &data);
        } else {
            w.text(&data, None, Voice::Unknown);
            self.deltas.plain(w, &data);
        }
        data.clear();
        self.data = data;
    }
}

/// The lines since the last event, as they are written. A text that begins as a stream does may be another, to whoever
/// reads it: what stands on several of its lines would be in no event.
#[derive(Default)]
struct Written {
    lines: Vec<u8>,
    /// One of them is no event's.
    other: bool,
}

impl Written {
    fn line(&mut self, w: &mut Unwrap<'_>, line: &[u8]) {
        if line.is_empty() && !self.other {
            return self.lines.clear();
        }
        match of_stream(line) {
            Some(Line::Whole) if !self.other => return self.lines.clear(),
            Some(Line::Field) if !self.other => self.lines.extend_from_slice(&line[line.len().saturating_sub(KEPT)..]),
            of_stream => {
                self.other |= of_stream.is_none() && !line.is_empty();
                self.lines.extend_from_slice(line);
            }
        }
        self.lines.push(b'\n');
        if self.lines.len() > LONGEST_WRITTEN {
            self.show(w);
            self.lines.drain(..self.lines.len() - KEPT);
        }
    }

    fn show(&self, w: &mut Unwrap<'_>) {
        if self.other {
            w.text(&self.lines, None, Voice::Unknown);
        }
    }
}

/// A line of a stream.
enum Line {
    /// A field of an event.
    Field,
    /// A document or a part, by itself.
    Whole,
}

/// What a line is to a stream; `None` when it is nothing to it.
fn of_stream(line: &[u8]) -> Option<Line> {
    if is_field(line) {
        return Some(Line::Field);
    }
    let ended = matches!(line.trim_ascii_end().last(), Some(b'}' | b']' | b'"'));
    (ended && (json::likely(line) || numbered(line).is_some())).then_some(Line::Whole)
}

/// Whether the name of an event is a word as every stream has them, not worth a look.
fn is_plain(name: &[u8]) -> bool {
    name.len() < 32 && name.iter().all(|b| b.is_ascii_lowercase() || b" ._-".contains(b))
}
