//! What somebody does to the folder who has no key.

use super::super::{Home, Rig};
use super::disk::{Disk, FILES, Line, Link};
use attest::Chain;
use posture::{Counts, EventBody, FindingRecord, Prune, PruneReason};
use std::{
    fs,
    io::Write,
    os::unix::fs::{FileExt, symlink},
    path::{Path, PathBuf},
    rc::Rc,
};

/// The numbers choose among what there is.
#[derive(Debug, Clone)]
pub(super) enum Tamper {
    /// Another record of the same length, as good as the one before.
    Edit(u8),
    /// No record any more.
    Garble(u8),
    CutLines(u8),
    CutBytes(u8),
    Garbage,
    Forge(u8),
    ForgePrune,
    DropFirst(u8),
    DropSegment,
    DropLog,
    /// The posture or the state of one generation, with or without its signature, into another's.
    Swap {
        from: u8,
        to: u8,
        file: u8,
        signed: bool,
    },
    Flip {
        generation: u8,
        file: u8,
        at: u8,
    },
    RollBack(u8),
    LoseCurrent,
    DropNewest(u8),
    DropExports,
    DropRotations,
}

fn overwrite(path: &Path, bytes: &[u8]) {
    fs::File::create(path).unwrap().write_all(bytes).unwrap();
}

fn append(path: &Path, bytes: &[u8]) {
    if let Ok(mut file) = fs::File::options().append(true).open(path) {
        file.write_all(bytes).unwrap();
    }
}

fn choose<T>(from: &[T], number: u8) -> Option<&T> {
    from.get(usize::from(number) % from.len().max(1))
}

/// Where a generation is.
fn generation(rig: &Rig, number: u64) -> PathBuf {
    rig.config.export_dir.join(format!("{number:012}"))
}

/// The files of the log, as [`Disk::segments`] has them.
fn files(rig: &Rig) -> Vec<PathBuf> {
    let entries = fs::read_dir(&rig.config.log_dir).unwrap().map(|entry| entry.unwrap().path());
    let is_one = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().starts_with("findings");
    let mut files: Vec<_> = entries.filter(is_one).collect();
    files.sort_unstable();
    files
}

impl Tamper {
    pub(super) fn with(&self, rig: &Rig, disk: &Disk) {
        let (home, files) = (Home::of(&rig.config), files(rig));
        let numbers: Vec<u64> = disk.exports.keys().copied().collect();
        match self {
            Self::Edit(n) => replace(disk, &files, *n, ("\"severity\":\"high\"", "\"severity\":\"info\"")),
            Self::Garble(n) => replace(disk, &files, *n, ("\"platform\":\"hermes\"", "\"platform\":\"Hermes\"")),
            Self::CutLines(n) => cut(disk, &rig.log(), usize::from(*n % 6) + 1, 0),
            Self::CutBytes(n) => cut(disk, &rig.log(), 0, usize::from(*n) + 1),
            Self::Garbage => append(&rig.log(), b"{\"event\":\n"),
            Self::Forge(value) => forge(rig, disk, |chain| {
                let make = |seq, prev_sha256| FindingRecord {
                    seq,
                    prev_sha256,
                    timestamp: rig.now,
                    ..super::finding(u64::from(*value), true)
                };
                chain.finding(make).unwrap().line
            }),
            Self::ForgePrune => {
                let Some(end) = super::segments::sealed(disk).next().map(|sealed| sealed.end) else { return };
                let prune = Prune {
                    counts: Counts::default(),
                    last_seq: end.next_seq() - 1,
                    last_sha256: end.head().clone(),
                    reason: PruneReason::Age,
                };
                forge(rig, disk, |chain| chain.event(rig.now, EventBody::Prune(Box::new(prune))).unwrap().line);
            }
            Self::DropFirst(n) => {
                let Some((path, segment)) = files.first().zip(disk.segments.first()) else { return };
                let kept = segment.lines.iter().skip(usize::from(*n % 4) + 1);
                overwrite(path, &kept.flat_map(|line| line.bytes.clone()).collect::<Vec<_>>());
            }
            Self::DropSegment => drop(files.first().map(fs::remove_file)),
            Self::DropLog => files.iter().for_each(|path| fs::remove_file(path).unwrap()),
            Self::Swap { from, to, file, signed } => {
                let Some((from, to)) = choose(&numbers, *from).zip(choose(&numbers, *to)) else { return };
                let first = usize::from(file % 2) * 2;
                for name in &FILES[first..first + 1 + usize::from(*signed)] {
                    if let Ok(bytes) = fs::read(generation(rig, *from).join(name)) {
                        overwrite(&generation(rig, *to).join(name), &bytes);
                    }
                }
            }
            Self::Flip { generation: number, file, at } => {
                let Some(number) = choose(&numbers, *number) else { return };
                let path = generation(rig, *number).join(FILES[usize::from(file % 4)]);
                let Ok(mut bytes) = fs::read(&path) else { return };
                // A signature stays one line of base64.
                let at = usize::from(at % 80);
                // One that a crash cut in half may be shorter.
                let Some(byte) = bytes.get_mut(at) else { return };
                *byte = if *byte == b'A' { b'B' } else { b'A' };
                overwrite(&path, &bytes);
            }
            Self::RollBack(n) => drop(choose(&numbers, *n).map(|number| lead_to(rig, *number))),
            Self::LoseCurrent => drop(fs::remove_file(home.export_dir().join("current"))),
            Self::DropNewest(n) => {
                let kept = numbers.len().saturating_sub(usize::from(n % 3) + 1).max(1);
                for number in numbers.iter().skip(kept) {
                    fs::remove_dir_all(generation(rig, *number)).unwrap();
                }
                if let (Link::To(_), Some(number)) = (disk.current, numbers.get(kept - 1)) {
                    lead_to(rig, *number);
                }
            }
            Self::DropExports => drop(fs::remove_dir_all(home.export_dir())),
            // Half-way through a rotation nothing is left to say which of two keys is ours, and a person has to.
            Self::DropRotations
                if disk.rotations.last().is_some_and(|s| Some(&s.new_key_id) != disk.anchor.as_ref()) => {}
            Self::DropRotations => drop(fs::remove_file(home.rotations())),
        }
    }
}

fn lead_to(rig: &Rig, number: u64) {
    let link = rig.config.export_dir.join("current");
    let _ = fs::remove_file(&link);
    symlink(format!("{number:012}"), link).unwrap();
}

/// In place, and no byte longer: whoever has the file open does not notice.
fn replace(disk: &Disk, files: &[PathBuf], n: u8, (from, to): (&str, &str)) {
    let mut places = Vec::new();
    for (path, segment) in files.iter().zip(&disk.segments) {
        let mut at = 0;
        for line in &segment.lines {
            let found = std::str::from_utf8(&line.bytes).ok().and_then(|text| text.find(from));
            places.extend(found.map(|found| (path, at + found as u64)));
            at += line.bytes.len() as u64;
        }
    }
    if let Some((path, at)) = choose(&places, n) {
        fs::File::options().write(true).open(path).unwrap().write_all_at(to.as_bytes(), *at).unwrap();
    }
}

fn cut(disk: &Disk, path: &Path, lines: usize, bytes: usize) {
    let Some(newest) = disk.newest() else { return };
    let kept = newest.lines.len().saturating_sub(lines);
    let len: usize = newest.lines[..kept].iter().map(|line| line.bytes.len()).sum();
    let len = len.saturating_sub(bytes) as u64;
    fs::File::options().write(true).open(path).unwrap().set_len(len).unwrap();
}

/// A record that follows on the last one.
fn forge(rig: &Rig, disk: &Disk, line: impl FnOnce(Chain) -> Vec<u8>) {
    let end = disk.lines().last().map(Rc::clone);
    let end = end.as_deref().map_or_else(|| Some(Chain::genesis()), Line::behind);
    if let Some(end) = end {
        append(&rig.log(), &line(end));
    }
}
