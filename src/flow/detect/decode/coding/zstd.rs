//! Zstandard frames → their content (RFC 8878).

use super::{Pipe, aside::Aside};
use ruzstd::decoding::FrameDecoder;
use std::io::{self, BufRead, ErrorKind};

/// The largest window (RFC 9659).
const WINDOW: u64 = 8 << 20;

/// Zstandard frames, a block at a time: given more, the library would decode it all into memory first.
#[derive(Default)]
pub(super) struct Zstd {
    pub(super) pipe: Pipe,
    frame: Option<FrameDecoder>,
    /// The frame ends in a checksum.
    checked: bool,
    /// Bytes of a skippable frame still to come.
    skip: usize,
}

impl Zstd {
    /// The next of what the frames hold; what skippable ones do is no part of it, and goes to `aside`.
    pub(super) fn read(&mut self, block: &mut [u8], aside: &mut Aside) -> io::Result<usize> {
        loop {
            let held = &self.pipe.held[self.pipe.at..];
            let left = held.len();
            if self.skip > 0 {
                let passed = self.skip.min(left);
                if passed == 0 {
                    return self.wait();
                }
                aside.say(&held[..passed]);
                self.skip -= passed;
                self.pipe.consume(passed);
                continue;
            }
            let needed = match &self.frame {
                Some(frame) if frame.can_collect() > 0 => Some(0),
                Some(frame) if frame.is_finished() => {
                    self.frame = None;
                    continue;
                }
                Some(_) => next_block(held, self.checked),
                None => match *held {
                    [a, 0x2a, 0x4d, 0x18, l0, l1, l2, l3, ..] if a & 0xf0 == 0x50 => {
                        self.skip = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
                        self.pipe.consume(8);
                        aside.begin();
                        continue;
                    }
                    [a, 0x2a, 0x4d, 0x18, ..] if a & 0xf0 == 0x50 => return self.wait(),
                    _ => frame_header(held),
                },
            };
            let (input, problem) = match needed {
                Some(needed) if needed <= left => (needed, ErrorKind::InvalidData),
                // Cut short: the library may still make something of it.
                _ if self.pipe.over && left > 0 => (left, ErrorKind::UnexpectedEof),
                _ => return self.wait(),
            };
            let frame = self.frame.get_or_insert_with(|| {
                self.checked = held.get(4).is_some_and(|descriptor| descriptor & 4 != 0);
                let mut frame = FrameDecoder::new();
                frame.set_max_window_size(WINDOW);
                frame
            });
            let (read, made) = frame.decode_from_to(&held[..input], block).map_err(|_| io::Error::from(problem))?;
            // It claims four bytes of a checksum that is not there.
            self.pipe.consume(read.min(left));
            if made > 0 {
                return Ok(made);
            }
            if read.min(left) == 0 && !frame.is_finished() {
                return self.wait();
            }
        }
    }

    fn wait(&mut self) -> io::Result<usize> {
        if self.pipe.over {
            return if self.pipe.left() > 0 { Err(ErrorKind::UnexpectedEof.into()) } else { Ok(0) };
        }
        self.pipe.held.drain(..std::mem::take(&mut self.pipe.at));
        Err(ErrorKind::WouldBlock.into())
    }
}

/// The length of the frame header `held` begins with (RFC 8878, section 3.1.1.1).
fn frame_header(held: &[u8]) -> Option<usize> {
    let descriptor = *held.get(4)?;
    let single_segment = descriptor & 0x20 != 0;
    let content_size = match descriptor >> 6 {
        0 => usize::from(single_segment),
        flag => 1 << flag,
    };
    Some(5 + usize::from(!single_segment) + [0, 1, 2, 4][usize::from(descriptor & 3)] + content_size)
}

/// The length of the block `held` begins with, its header and a checksum after it included (section 3.1.1.2).
fn next_block(held: &[u8], checked: bool) -> Option<usize> {
    let &[a, b, c, ..] = held else { return None };
    let header = u32::from_le_bytes([a, b, c, 0]);
    let run_of_one_byte = header >> 1 & 3 == 1;
    let content = if run_of_one_byte { 1 } else { (header >> 3) as usize };
    let is_last = header & 1 == 1;
    Some(3 + content + if is_last && checked { 4 } else { 0 })
}
