//! Lines → the longest valid chain they begin with, and what lies beyond it.

use attest::chain::{Chain, MAX_LINE_BYTES, Record};
use std::io::{self, BufRead, Read};

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

/// What a log turned out to be.
#[derive(Debug)]
pub(super) struct Walked {
    /// Where the valid chain ends.
    pub(super) end: Chain,
    /// The bytes it takes.
    pub(super) valid_bytes: u64,
    /// What follows them.
    pub(super) damage: Damage,
    /// The chain goes through the mark that was asked about.
    pub(super) reaches: bool,
}

/// Reads to the end, showing each valid record.
pub(super) fn walk(
    mut input: impl BufRead,
    through: Option<&Chain>,
    visit: &mut dyn FnMut(&Record),
) -> io::Result<Walked> {
    let mut end = Chain::genesis();
    let mut valid_bytes = 0;
    let mut reaches = through.is_none_or(|chain| *chain == end);
    let mut line = Vec::with_capacity(1024);
    loop {
        line.clear();
        (&mut input).take(MAX_LINE_BYTES as u64 + 1).read_until(b'\n', &mut line)?;
        let Some(record) = line.strip_suffix(b"\n").and_then(|line| end.follow(line).ok()) else { break };
        visit(&record);
        valid_bytes += line.len() as u64;
        reaches |= through == Some(&end);
    }
    let damage = remainder(&line, input)?;
    Ok(Walked { end, valid_bytes, damage, reaches })
}

fn remainder(line: &[u8], mut input: impl BufRead) -> io::Result<Damage> {
    let mut damage = Damage::default();
    let mut last = count(&mut damage, line);
    loop {
        let bytes = input.fill_buf()?;
        if bytes.is_empty() {
            break;
        }
        last = count(&mut damage, bytes);
        let len = bytes.len();
        input.consume(len);
    }
    // A torn last line is a record that was being written.
    damage.records += u64::from(last.is_some_and(|byte| byte != b'\n'));
    Ok(damage)
}

fn count(damage: &mut Damage, bytes: &[u8]) -> Option<u8> {
    damage.bytes += bytes.len() as u64;
    damage.records += memchr::memchr_iter(b'\n', bytes).count() as u64;
    bytes.last().copied()
}

/// The bytes and lines of a file that was set aside.
pub(super) fn damage_in(path: &std::path::Path) -> io::Result<Damage> {
    remainder(&[], io::BufReader::new(std::fs::File::open(path)?))
}
