//! A state folder as it lies, taken in whole: who compares two of them sees what happened between.

use super::super::{Home, Rig};
use attest::{Chain, Record, digest::sha256};
use posture::{EventBody, Rotation, Sha256Hex};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fs,
    path::Path,
    rc::Rc,
};

/// In a generation: what is signed, and its signature behind it.
pub(super) const FILES: [&str; 4] = ["posture.json", "posture.json.sig", "state.json", "state.json.sig"];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Link {
    None,
    To(u64),
}

/// One line of a log.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) bytes: Vec<u8>,
    pub(super) sha256: Sha256Hex,
    /// `None` when it is not one whole record.
    pub(super) record: Option<Record>,
    /// It ends without LF.
    pub(super) is_torn: bool,
}

impl Line {
    fn of(bytes: &[u8]) -> Self {
        let bare = bytes.strip_suffix(b"\n").unwrap_or(bytes);
        let is_torn = bare.len() == bytes.len();
        let record = attest::chain::read_line(bare).ok().filter(|_| !is_torn);
        Self { bytes: bytes.to_owned(), sha256: sha256(bare), record, is_torn }
    }

    /// Its first so many bytes.
    pub(super) fn cut(&self, len: usize) -> Self {
        Self::of(&self.bytes[..len])
    }

    /// Where it says that it stands.
    pub(super) fn before(&self) -> Option<Chain> {
        self.record.as_ref().map(|record| Chain::resume(record.seq(), record.prev_sha256().clone()))
    }

    pub(super) fn behind(&self) -> Option<Chain> {
        self.record.as_ref().map(|record| Chain::resume(record.seq() + 1, self.sha256.clone()))
    }

    pub(super) fn event(&self) -> Option<&EventBody> {
        match &self.record {
            Some(Record::Event(event)) => Some(&event.event),
            _ => None,
        }
    }

    /// The number of a finding.
    pub(super) fn found(&self) -> Option<u64> {
        match &self.record {
            Some(Record::Finding(finding)) => u64::from_str_radix(finding.fingerprint.as_str(), 16).ok(),
            _ => None,
        }
    }
}

pub(super) type Lines = Vec<Rc<Line>>;

pub(super) struct Segment {
    /// As its name has it; `None` of one that is not sealed.
    pub(super) first_seq: Option<u64>,
    pub(super) bytes: u64,
    pub(super) lines: Lines,
    pub(super) is_newest: bool,
}

pub(super) struct Disk {
    pub(super) anchor: Option<Sha256Hex>,
    pub(super) current: Link,
    pub(super) exports: BTreeMap<u64, [Option<Vec<u8>>; 4]>,
    pub(super) rotations: Vec<Rotation>,
    /// Oldest first.
    pub(super) segments: Vec<Segment>,
    pub(super) quarantine: Option<Segment>,
    pub(super) pending: Lines,
    /// What was set aside, if it holds anything.
    pub(super) aside: BTreeSet<String>,
    /// The findings in any file, but for a recovery that is pending.
    pub(super) findings: BTreeSet<u64>,
}

impl Disk {
    pub(super) fn lines(&self) -> Lines {
        self.segments.iter().flat_map(|segment| segment.lines.iter().cloned()).collect()
    }

    pub(super) fn bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.bytes).sum()
    }

    pub(super) fn newest(&self) -> Option<&Segment> {
        self.segments.last().filter(|segment| segment.is_newest)
    }

    /// Whether a finding is in any file.
    pub(super) fn holds(&self, number: u64) -> bool {
        self.findings.contains(&number) || self.pending.iter().any(|line| line.found() == Some(number))
    }

    /// Whether all four files are there.
    pub(super) fn is_complete(&self, number: u64) -> bool {
        self.exports.get(&number).is_some_and(|files| files.iter().all(Option::is_some))
    }
}

/// Reads folders; a line that was read before is not taken apart again.
#[derive(Default)]
pub(super) struct Look {
    known: HashMap<Vec<u8>, Rc<Line>>,
}

impl Look {
    pub(super) fn at(&mut self, rig: &Rig) -> Disk {
        let home = Home::of(&rig.config);
        let statement = |line: &[u8]| serde_json::from_slice(line).unwrap();
        let rotations = fs::read(home.rotations()).unwrap_or_default();
        let anchor = keys::file::read_public(&home.public_key()).ok();
        let current = fs::read_link(home.export_dir().join("current"));
        let mut disk = Disk {
            anchor: anchor.map(|key| attest::digest::key_id(key.key_id())),
            current: current.map_or(Link::None, |to| Link::To(to.to_str().unwrap().parse().unwrap())),
            exports: BTreeMap::new(),
            rotations: rotations.split(|b| *b == b'\n').filter(|line| !line.is_empty()).map(statement).collect(),
            segments: Vec::new(),
            quarantine: None,
            pending: Lines::new(),
            aside: BTreeSet::new(),
            findings: BTreeSet::new(),
        };
        for name in names(home.export_dir()) {
            if let Ok(number) = name.parse() {
                let folder = home.export_dir().join(name);
                disk.exports.insert(number, FILES.map(|file| fs::read(folder.join(file)).ok()));
            }
        }
        for name in names(home.log_dir()).into_iter().filter(|name| {
            Path::new(name).extension().is_some_and(|extension| extension == "jsonl") && name != "rotations.jsonl"
        }) {
            let segment = self.segment(&home.log_dir().join(&name), name == "findings.jsonl");
            if !name.starts_with("recovery") {
                disk.findings.extend(segment.lines.iter().filter_map(|line| line.found()));
            }
            match name.split(['-', '.']).next() {
                Some("findings") => disk.segments.push(segment),
                Some("recovery") => disk.pending = segment.lines,
                _ if name == "quarantine.jsonl" => disk.quarantine = Some(segment),
                _ if segment.bytes > 0 => drop(disk.aside.insert(name)),
                _ => {}
            }
        }
        // `findings-…` sorts before `findings.…`.
        disk
    }

    fn segment(&mut self, path: &Path, is_newest: bool) -> Segment {
        let bytes = fs::read(path).unwrap();
        let lines = bytes.split_inclusive(|b| *b == b'\n').map(|line| self.line(line)).collect();
        let digits = path.file_stem().unwrap().to_str().unwrap().strip_prefix("findings-");
        Segment { first_seq: digits.map(|n| n.parse().unwrap()), bytes: bytes.len() as u64, lines, is_newest }
    }

    fn line(&mut self, bytes: &[u8]) -> Rc<Line> {
        if let Some(line) = self.known.get(bytes) {
            return Rc::clone(line);
        }
        let line = Rc::new(Line::of(bytes));
        self.known.insert(bytes.to_owned(), Rc::clone(&line));
        line
    }
}

fn names(folder: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort_unstable();
    names
}

/// Without another process: what is locked here must not be held by one that is about to become another program.
pub(super) fn copy(from: &Path, to: &Path) {
    use std::os::unix::fs::{DirBuilderExt, symlink};
    if from.is_symlink() {
        symlink(fs::read_link(from).unwrap(), to).unwrap();
    } else if from.is_dir() {
        fs::DirBuilder::new().mode(0o700).create(to).unwrap();
        for name in names(from) {
            copy(&from.join(&name), &to.join(&name));
        }
    } else if from.is_file() {
        fs::copy(from, to).unwrap();
    }
}
