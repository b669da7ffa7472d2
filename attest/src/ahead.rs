//! Log → its lines, each read by itself, in their order: by every core.
//!
//! To read a line is most of what a verification costs, and needs no other line; only its place in the chain does.

use crate::{
    chain::Entry,
    folder::{FolderError, Log},
};
use std::{
    collections::VecDeque,
    ops::Range,
    panic,
    path::Path,
    sync::Arc,
    thread::{self, Scope, ScopedJoinHandle},
};

/// So many bytes of lines, and at most one line more, are read by one thread: some milliseconds of work.
const BATCH_BYTES: usize = 256 * 1024;
/// And no more lines than that, however short: an empty one takes room too.
const BATCH_LINES: usize = 1024;
/// So many batches at once: what is in memory has a bound however many cores there are.
const MAX_BATCHES: usize = 8;

/// One line that was read, and where it stands.
pub(crate) struct Read {
    pub(crate) at: At,
    pub(crate) entry: Entry,
}

/// Where a line stands.
#[derive(Clone)]
pub(crate) struct At {
    /// The segment.
    pub(crate) path: Arc<Path>,
    /// Its line in the segment, from 1.
    pub(crate) number: u64,
    /// True for the first line behind a pruned segment that vanished while the log was read.
    pub(crate) after_gap: bool,
}

/// Hands over line after line as long as `step` says to go on. A last line that was cut off before its LF is none.
///
/// # Errors
/// Those of `step`, and those of [`Log::next_line`] once all lines before were handed over.
pub(crate) fn for_each<E: From<FolderError>>(
    mut log: Log,
    mut step: impl FnMut(Read) -> Result<bool, E>,
) -> Result<(), E> {
    let most = thread::available_parallelism().map_or(1, usize::from).min(MAX_BATCHES);
    thread::scope(|scope| {
        let (mut under_way, mut end) = (VecDeque::new(), None);
        loop {
            while end.is_none() && under_way.len() < most {
                let batch;
                (batch, end) = Batch::next(&mut log);
                // A last one, of many logs the only one, is not worth a thread.
                let elsewhere = (most > 1 && end.is_none()).then_some(scope);
                under_way.push_back(Reading::begin(batch, elsewhere));
            }
            let Some(reading) = under_way.pop_front() else { break };
            for read in reading.end() {
                if !step(read)? {
                    return Ok(());
                }
            }
        }
        Ok(end.unwrap_or(Ok(()))?)
    })
}

/// Lines to be read together.
#[derive(Default)]
struct Batch {
    bytes: Vec<u8>,
    lines: Vec<(At, Range<usize>)>,
}

impl Batch {
    /// The next ones, and how the log ends if it does behind them.
    fn next(log: &mut Log) -> (Self, Option<Result<(), FolderError>>) {
        let mut batch = Self::default();
        while batch.bytes.len() < BATCH_BYTES && batch.lines.len() < BATCH_LINES {
            let line = match log.next_line() {
                Ok(Some(line)) if line.complete => line,
                Ok(_) => return (batch, Some(Ok(()))),
                Err(problem) => return (batch, Some(Err(problem))),
            };
            let begin = batch.bytes.len();
            batch.bytes.extend_from_slice(line.bytes);
            let at = At { path: Arc::clone(line.path), number: line.number, after_gap: line.after_gap };
            batch.lines.push((at, begin..batch.bytes.len()));
        }
        (batch, None)
    }

    fn read(&self) -> Vec<Read> {
        let read =
            |(at, place): &(At, Range<usize>)| Read { at: at.clone(), entry: Entry::read(&self.bytes[place.clone()]) };
        self.lines.iter().map(read).collect()
    }
}

/// A batch that is being read, or will be when it is its turn.
struct Reading<'s> {
    batch: Arc<Batch>,
    thread: Option<ScopedJoinHandle<'s, Vec<Read>>>,
}

impl<'s> Reading<'s> {
    /// On a thread of its own, if there is one to be had.
    fn begin(batch: Batch, elsewhere: Option<&'s Scope<'s, '_>>) -> Self {
        let batch = Arc::new(batch);
        let thread = elsewhere.and_then(|scope| {
            let batch = Arc::clone(&batch);
            thread::Builder::new().spawn_scoped(scope, move || batch.read()).ok()
        });
        Self { batch, thread }
    }

    fn end(self) -> Vec<Read> {
        let Some(thread) = self.thread else { return self.batch.read() };
        thread.join().unwrap_or_else(|panicked| panic::resume_unwind(panicked))
    }
}

#[cfg(test)]
mod tests {
    use super::{BATCH_BYTES, BATCH_LINES, Batch};
    use crate::{Folder, chain::MAX_LINE_BYTES};
    use std::{fs::File, io::Write};

    #[test]
    fn a_batch_has_its_bounds_whatever_the_lines_are() {
        let home = tempfile::tempdir().unwrap();
        for line in [String::new(), "{}".into(), "x".repeat(500), "x".repeat(MAX_LINE_BYTES)] {
            let lines = 100.max(3 * BATCH_LINES / (1 + line.len() / 100));
            let mut file = File::create(home.path().join("findings.jsonl")).unwrap();
            file.write_all(format!("{line}\n").repeat(lines).as_bytes()).unwrap();
            let mut log = Folder::open(home.path()).log().unwrap();
            let mut read = 0;
            loop {
                let (batch, end) = Batch::next(&mut log);
                assert!(batch.lines.len() <= BATCH_LINES && batch.bytes.len() < BATCH_BYTES + MAX_LINE_BYTES);
                assert_eq!(batch.read().len(), batch.lines.len());
                read += batch.lines.len();
                if let Some(end) = end {
                    break end.unwrap();
                }
            }
            assert_eq!(read, lines);
        }
    }
}
