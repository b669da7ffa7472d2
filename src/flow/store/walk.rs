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
    /// Where it is asked whether it goes through.
    marks: [Mark<'a>; 2],
    line: Vec<u8>,
}

struct Mark<'a> {
    /// Any chain does where there is none.
    at: Option<&'a Chain>,
    is_met: bool,
}

impl<'a> Mark<'a> {
    fn new(at: Option<&'a Chain>, begin: &Chain) -> Self {
        Self { at, is_met: at.is_none_or(|at| at == begin) }
    }
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
    pub(super) fn new(begin: Chain, marks: [Option<&'a Chain>; 2]) -> Self {
        let marks = marks.map(|at| Mark::new(at, &begin));
        Self { end: begin, marks, line: Vec::with_capacity(1024) }
    }

    /// Whether the chain goes through each of the marks.
    pub(super) fn met(&self) -> [bool; 2] {
        [self.marks[0].is_met, self.marks[1].is_met]
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
            for mark in &mut self.marks {
                mark.is_met |= mark.at == Some(&self.end);
            }
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
