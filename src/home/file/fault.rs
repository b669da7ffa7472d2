//! Steps → the same steps, one of which fails, or is the last before a crash; and what they were, in their order.
//!
//! A script holds for the thread that [`play`]s it.

use super::Step;
use std::{
    cell::RefCell,
    fs::File,
    io::{self, Write},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing.
    None,
    /// The step of this number, from 0, fails.
    Fail(usize),
    /// The step of this number and all behind it are not taken; a write is cut in half.
    Crash(usize),
}

/// A step that was taken, or was to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Taken {
    Opened(PathBuf, u64),
    Write(u64, Vec<u8>),
    Cut(u64, u64),
    Sync(u64),
    SyncFolder(PathBuf),
    Rename(PathBuf, PathBuf),
    Remove(PathBuf),
    RemoveFolder(PathBuf),
    Link(String, PathBuf),
    MakeFolder(PathBuf),
    /// It changes nothing.
    Look,
}

struct Script {
    fault: Fault,
    taken: Vec<Taken>,
    steps: usize,
}

thread_local! {
    static SCRIPT: RefCell<Option<Script>> = const { RefCell::new(None) };
}

/// Does `work` with this fault. Returns what it returns, how many steps it came to, and those that were taken.
pub(crate) fn play<T>(fault: Fault, work: impl FnOnce() -> T) -> (T, usize, Vec<Taken>) {
    SCRIPT.set(Some(Script { fault, taken: Vec::new(), steps: 0 }));
    let done = work();
    let Script { steps, taken, .. } = SCRIPT.take().unwrap();
    (done, steps, taken)
}

pub(super) fn step(step: Step<'_>) -> io::Result<()> {
    SCRIPT.with_borrow_mut(|script| {
        let Some(script) = script else { return Ok(()) };
        let number = script.steps;
        script.steps += 1;
        match script.fault {
            Fault::Fail(at) if number == at => Err(io::ErrorKind::StorageFull.into()),
            Fault::Crash(at) if number >= at => {
                if let (Step::Write(mut file, bytes), true) = (step, number == at) {
                    file.write_all(&bytes[..bytes.len() / 2])?;
                }
                Err(io::ErrorKind::Other.into())
            }
            _ => {
                script.taken.push(taken(step));
                Ok(())
            }
        }
    })
}

pub(super) fn opened(path: &Path, file: &File) {
    SCRIPT.with_borrow_mut(|script| {
        if let Some(script) = script {
            script.taken.push(Taken::Opened(path.to_owned(), number_of(file)));
        }
    });
}

fn taken(step: Step<'_>) -> Taken {
    match step {
        Step::Open | Step::List => Taken::Look,
        Step::Write(file, bytes) => Taken::Write(number_of(file), bytes.to_owned()),
        Step::Cut(file, len) => Taken::Cut(number_of(file), len),
        Step::Sync(file) => Taken::Sync(number_of(file)),
        Step::SyncFolder(path) => Taken::SyncFolder(path.to_owned()),
        Step::Rename(from, to) => Taken::Rename(from.to_owned(), to.to_owned()),
        Step::Remove(path) => Taken::Remove(path.to_owned()),
        Step::RemoveFolder(path) => Taken::RemoveFolder(path.to_owned()),
        Step::Link(target, path) => Taken::Link(target.to_owned(), path.to_owned()),
        Step::MakeFolder(path) => Taken::MakeFolder(path.to_owned()),
    }
}

fn number_of(file: &File) -> u64 {
    file.metadata().unwrap().ino()
}
