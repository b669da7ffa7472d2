//! Bytes that come in pieces → a reader for decoders that pull.

use std::io::{self, BufRead, ErrorKind, Read};

/// Bytes between us and a decoder that pulls: it is told to come back when there are none yet.
#[derive(Default)]
pub(super) struct Pipe {
    pub(super) held: Vec<u8>,
    pub(super) at: usize,
    pub(super) over: bool,
}

impl Pipe {
    pub(super) fn left(&self) -> usize {
        self.held.len() - self.at
    }
}

impl BufRead for Pipe {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.left() == 0 {
            self.held.clear();
            self.at = 0;
            if !self.over {
                return Err(ErrorKind::WouldBlock.into());
            }
        }
        Ok(&self.held[self.at..])
    }

    fn consume(&mut self, amount: usize) {
        self.at += amount;
    }
}

impl Read for Pipe {
    fn read(&mut self, block: &mut [u8]) -> io::Result<usize> {
        let ready = self.fill_buf()?;
        let taken = ready.len().min(block.len());
        block[..taken].copy_from_slice(&ready[..taken]);
        self.consume(taken);
        Ok(taken)
    }
}
