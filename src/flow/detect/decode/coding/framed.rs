//! What an SDK of Amazon's uploads in chunks → the content in them (Signature Version 4, "Signature Calculations for the
//! Authorization Header: Transferring Payload in Multiple Chunks"; the coding `aws-chunked`).
//!
//! Each chunk is its size in hexadecimal, what signs it, a line's end, so many bytes and another line's end; after one of
//! no bytes come trailers. It is the outermost coding wherever it is named.

use super::{Stop, aside::Aside};

/// The longest line before a chunk.
const MAX_LINE: usize = 1 << 10;
/// Digits of the largest size.
const MAX_DIGITS: usize = 16;

/// Takes the frames off, piece by piece.
#[derive(Default)]
pub(super) struct Framed {
    state: State,
    /// A line that is not whole yet.
    line: Vec<u8>,
    /// Signatures and trailers.
    pub(super) aside: Aside,
}

#[derive(Default)]
enum State {
    /// Nothing says yet whether there are frames at all.
    #[default]
    Begin,
    /// In the line before a chunk.
    Size,
    /// In a chunk, with so many bytes to come.
    Data(u64),
    /// Behind a chunk.
    LineEnd,
    /// Behind the last one.
    Trailers,
    /// There are no frames.
    Plain,
}

impl Framed {
    /// Whether any content came.
    pub(super) fn has_made(&self) -> bool {
        !matches!(self.state, State::Begin | State::Plain)
    }

    /// Bytes that are held.
    pub(super) fn held(&self) -> usize {
        self.line.len() + self.aside.held()
    }

    /// Gives the content of the next piece.
    pub(super) fn push(
        &mut self,
        mut piece: &[u8],
        out: &mut dyn FnMut(&[u8]) -> Result<(), Stop>,
    ) -> Result<(), Stop> {
        while !piece.is_empty() {
            match &mut self.state {
                State::Plain => return out(piece),
                State::Trailers => {
                    self.aside.say(piece);
                    return Ok(());
                }
                State::Data(left) => {
                    let len = usize::try_from(*left).unwrap_or(usize::MAX).min(piece.len());
                    *left -= len as u64;
                    if *left == 0 {
                        self.state = State::LineEnd;
                    }
                    let (content, rest) = piece.split_at(len);
                    piece = rest;
                    out(content)?;
                }
                State::Begin | State::Size | State::LineEnd => {
                    let (len, ends) = memchr::memchr(b'\n', piece).map_or((piece.len(), false), |n| (n + 1, true));
                    self.line.extend_from_slice(&piece[..len]);
                    piece = &piece[len..];
                    if ends || self.line.len() > MAX_LINE {
                        self.line_ends(out)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// The input is over: a first line that is not whole has no chunk behind it, and any other stands beside the content.
    pub(super) fn end(&mut self, out: &mut dyn FnMut(&[u8]) -> Result<(), Stop>) -> Result<(), Stop> {
        let line = std::mem::take(&mut self.line);
        if matches!(self.state, State::Begin) {
            return out(&line);
        }
        if !line.is_empty() {
            self.aside.begin();
            self.aside.say(&line);
        }
        Ok(())
    }

    /// A line is whole, or longer than any.
    fn line_ends(&mut self, out: &mut dyn FnMut(&[u8]) -> Result<(), Stop>) -> Result<(), Stop> {
        let line = std::mem::take(&mut self.line);
        if matches!(self.state, State::LineEnd) {
            self.state = State::Size;
            return if line == b"\r\n" { Ok(()) } else { Err(Stop::Broken) };
        }
        match (size(&line), &self.state) {
            (Some((size, signature)), _) => {
                self.aside.begin();
                self.aside.say(signature);
                self.state = if size == 0 { State::Trailers } else { State::Data(size) };
                Ok(())
            }
            (None, State::Begin) => {
                self.state = State::Plain;
                out(&line)
            }
            (None, _) => Err(Stop::Broken),
        }
    }
}

/// The size that a line says, and what stands behind it.
fn size(line: &[u8]) -> Option<(u64, &[u8])> {
    let line = line.strip_suffix(b"\r\n")?;
    let digits = line.iter().take_while(|b| b.is_ascii_hexdigit()).count();
    let (digits, rest) = line.split_at(digits);
    let plain = (1..=MAX_DIGITS).contains(&digits.len()) && (rest.is_empty() || rest.starts_with(b";"));
    let size = u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    plain.then_some((size, rest))
}

#[cfg(test)]
mod tests {
    use super::{Framed, Stop};
    use proptest::prelude::*;

    /// The content, what is beside it, and how it ended; cut into pieces of a length.
    fn taken_off(body: &[u8], by: usize) -> (Vec<u8>, Vec<u8>, Result<(), Stop>) {
        let (mut framed, mut content) = (Framed::default(), Vec::new());
        let mut out = |bytes: &[u8]| {
            content.extend_from_slice(bytes);
            Ok(())
        };
        let mut done = body.chunks(by).try_for_each(|piece| framed.push(piece, &mut out));
        done = done.and_then(|()| framed.end(&mut out));
        (content, framed.aside.said().collect::<Vec<_>>().join(&b'|'), done)
    }

    #[test]
    fn content_signatures_and_trailers_are_told_apart() {
        for by in [1, 2, 3, 7, 64, 4096] {
            let body =
                b"5;chunk-signature=ab\r\nhello\r\n3\r\n w\n\r\n0;chunk-signature=cd\r\nx-amz-trailer: t\r\n\r\n";
            let (content, aside, done) = taken_off(body, by);
            assert_eq!((&content[..], done), (&b"hello w\n"[..], Ok(())));
            assert_eq!(aside, b";chunk-signature=ab||;chunk-signature=cdx-amz-trailer: t\r\n\r\n");
        }
    }

    #[test]
    fn what_has_no_frames_is_as_it_is_and_what_breaks_off_is_broken() {
        for plain in [&b"hello\r\nworld"[..], b"5", b"", b"5 \r\nhello", b"12345678901234567\r\nx", b"\r\n"] {
            assert_eq!(taken_off(plain, 3), (plain.to_vec(), Vec::new(), Ok(())));
        }
        assert_eq!(taken_off(b"5\r\nhel", 2).0, b"hel");
        let cut = |body| taken_off(body, 4).1;
        assert_eq!(cut(b"5\r\nhello\r\n6;chunk-sig"), b"|6;chunk-sig");
        assert_eq!(cut(b"5\r\nhello\r\nwhat is no size"), b"|what is no size");
        assert_eq!(cut(b"5\r\nhello and"), b"| and");
        assert_eq!(taken_off(b"5\r\nhello2\r\nx", 2).2, Err(Stop::Broken));
        assert_eq!(taken_off(b"5\r\nhello\r\nsize\r\n", 2).2, Err(Stop::Broken));
        assert_eq!(taken_off(&[&b"1\r\na\r\n"[..], &[b'7'; 2000]].concat(), 9).2, Err(Stop::Broken));
    }

    proptest! {
        #[test]
        fn what_was_framed_comes_out(parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 0..6), by in 1..50_usize) {
            let mut body: Vec<u8> =
                parts.iter().flat_map(|part| [format!("{:X}\r\n", part.len()).as_bytes(), part, b"\r\n"].concat()).collect();
            body.extend_from_slice(b"0\r\n\r\n");
            let (content, _, done) = taken_off(&body, by);
            prop_assert_eq!((content, done), (parts.concat(), Ok(())));
        }
    }
}
