//! Lines → the longest valid chain they begin with, and what lies beyond it.

use super::log;
use attest::chain::{Chain, MAX_LINE_BYTES, Record};
use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read, Seek, SeekFrom},
};

/// Of what is damaged, lines are counted in so many bytes; a hole in a file has as many as it likes.
const COUNTED: u64 = 16 << 20;

/// Bytes and lines that are not part of the chain.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Damage {
    pub(super) bytes: u64,
    pub(super) records: u64,
}

impl std::ops::AddAssign for Damage {
    fn add_assign(&mut self, other: Self) {
        self.bytes += other.bytes;
        self.records += other.records;
    }
}

/// Follows a chain from one segment to the next.
pub(super) struct Walker<'a> {
    /// Where the valid chain ends.
    pub(super) end: Chain,
    /// The chain goes through the mark that was asked about.
    pub(super) reaches: bool,
    through: Option<&'a Chain>,
    line: Vec<u8>,
}

/// What one segment turned out to be.
#[derive(Debug)]
pub(super) struct Walked {
    /// The bytes that are the chain's.
    pub(super) valid_bytes: u64,
    /// What follows them.
    pub(super) damage: Damage,
}

impl<'a> Walker<'a> {
    pub(super) fn new(begin: Chain, through: Option<&'a Chain>) -> Self {
        let reaches = through.is_none_or(|chain| *chain == begin);
        Self { end: begin, reaches, through, line: Vec::with_capacity(1024) }
    }

    /// Reads a segment to its end, showing each valid record that follows on the one before, up to one that is not
    /// believed.
    pub(super) fn read(
        &mut self,
        mut input: BufReader<File>,
        believe: &mut dyn FnMut(&Record) -> bool,
    ) -> io::Result<Walked> {
        let mut valid_bytes = 0;
        loop {
            read_line(&mut input, &mut self.line)?;
            let before = self.end.clone();
            let Some(record) = self.line.strip_suffix(b"\n").and_then(|line| self.end.follow(line).ok()) else { break };
            if !believe(&record) {
                self.end = before;
                break;
            }
            valid_bytes += self.line.len() as u64;
            self.reaches |= self.through == Some(&self.end);
        }
        Ok(Walked { valid_bytes, damage: remainder(input.get_ref(), valid_bytes)? })
    }
}

/// Where the chain of a segment begins, as its first line says; `None` when that says nothing.
pub(super) fn begin(mut input: impl BufRead) -> io::Result<Option<Chain>> {
    let mut line = Vec::new();
    read_line(&mut input, &mut line)?;
    Ok(line.strip_suffix(b"\n").and_then(Chain::before))
}

pub(super) fn read_line(input: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<()> {
    line.clear();
    input.take(MAX_LINE_BYTES as u64 + 1).read_until(b'\n', line).map(drop)
}

/// What a file holds from byte `from` on.
fn remainder(mut file: &File, from: u64) -> io::Result<Damage> {
    let bytes = file.metadata()?.len().saturating_sub(from);
    let mut damage = Damage { bytes, records: 0 };
    if bytes == 0 {
        return Ok(damage);
    }
    file.seek(SeekFrom::Start(from))?;
    let (mut counted, mut piece) = (file.take(COUNTED), vec![0; 64 << 10]);
    loop {
        let read = counted.read(&mut piece)?;
        if read == 0 {
            break;
        }
        damage.records += memchr::memchr_iter(b'\n', &piece[..read]).count() as u64;
    }
    let mut last = [b'\n'];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    // A torn last line is a record that was being written.
    damage.records += u64::from(last != [b'\n']);
    Ok(damage)
}

/// The bytes and lines of a file that was set aside.
pub(super) fn damage_in(path: &std::path::Path) -> io::Result<Damage> {
    remainder(&log::open_private(path)?, 0)
}
