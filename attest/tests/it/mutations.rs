//! A good folder, damaged at random: nothing that differs in what is signed ever verifies.
//!
//! `HTG_MUTATIONS=10000 cargo test -p attest --test it mutations` is the long run: two minutes.

use crate::support::{Home, answer, key, put, settled};
use attest::{Anchor, Folder, verify};
use keys::PublicKey;
use posture::{EventBody, Family};
use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};
use std::{env, fs, path::PathBuf};

/// Damages done to one folder at a time, in the short run. Together they take ten seconds.
const DAMAGES: u32 = 1_000;

/// One thing somebody does to a file, or to two.
#[derive(Debug, Clone)]
enum Damage {
    FlipBit(prop::sample::Index),
    SetByte(prop::sample::Index, u8),
    Truncate(prop::sample::Index),
    Append(Vec<u8>),
    Insert(prop::sample::Index, Vec<u8>),
    Remove(prop::sample::Index, usize),
    SwapLines(prop::sample::Index, prop::sample::Index),
    DropLine(prop::sample::Index),
    DoubleLine(prop::sample::Index),
    MoveLine(prop::sample::Index, prop::sample::Index),
    Exchange(prop::sample::Index),
    Copy(prop::sample::Index),
    Gone,
}

fn damage() -> impl Strategy<Value = Damage> {
    let at = any::<prop::sample::Index>;
    let bytes = || prop::collection::vec(any::<u8>(), 1..40);
    prop_oneof![
        4 => at().prop_map(Damage::FlipBit),
        2 => (at(), any::<u8>()).prop_map(|(a, b)| Damage::SetByte(a, b)),
        2 => at().prop_map(Damage::Truncate),
        2 => bytes().prop_map(Damage::Append),
        2 => (at(), bytes()).prop_map(|(a, b)| Damage::Insert(a, b)),
        2 => (at(), 1..200_usize).prop_map(|(a, n)| Damage::Remove(a, n)),
        2 => (at(), at()).prop_map(|(a, b)| Damage::SwapLines(a, b)),
        2 => at().prop_map(Damage::DropLine),
        2 => at().prop_map(Damage::DoubleLine),
        2 => (at(), at()).prop_map(|(a, b)| Damage::MoveLine(a, b)),
        1 => at().prop_map(Damage::Exchange),
        1 => at().prop_map(Damage::Copy),
        1 => Just(Damage::Gone),
    ]
}

/// Everything of a folder that `verify` reads: two segments below the signed head, one line above it, two generations,
/// a rotation and the anchor.
struct Subject {
    home: Home,
    files: Vec<(PathBuf, Vec<u8>)>,
    /// The newest segment, and how many bytes of it are signed.
    log: (usize, usize),
    /// Files of the generation before the newest: they bear witness and are not what is verified.
    earlier: Vec<usize>,
}

impl Subject {
    fn new() -> Self {
        let mut home = Home::new();
        home.rotate(key(2));
        home.event(EventBody::Fold { count: 1, finding_seq: 2 });
        home.export(settled);
        let signed = fs::read(home.log()).unwrap().len();
        home.find(Family::Canary);
        let before = home.sequence - 1;
        let documents = ["posture.json", "posture.json.sig", "state.json", "state.json.sig"];
        let mut paths = documents.map(|name| home.exported(name)).to_vec();
        paths.extend(documents.map(|name| home.at(&format!("export/{before:012}/{name}"))));
        paths.extend(
            ["findings-000000000001.jsonl", "findings.jsonl", "rotations.jsonl", "signing.pub.pem"].map(|n| home.at(n)),
        );
        let log = paths.iter().position(|p| *p == home.log()).unwrap();
        let files = paths.into_iter().map(|path| (path.clone(), fs::read(path).unwrap())).collect();
        Self { home, files, log: (log, signed), earlier: vec![4, 5, 6, 7] }
    }

    /// Puts what differs in place of what was there.
    fn lay(&self, all: &[Option<Vec<u8>>]) {
        for (at, bytes) in self.differing(all) {
            let (path, _) = &self.files[at];
            // Anew, not over the old one: some file systems bring a file that was emptied to the disk at once.
            fs::remove_file(path).unwrap();
            if let Some(bytes) = bytes {
                put(path, bytes);
            }
        }
    }

    fn restore(&self, all: &[Option<Vec<u8>>]) {
        for (at, bytes) in self.differing(all) {
            let (path, good) = &self.files[at];
            if bytes.is_some() {
                fs::remove_file(path).unwrap();
            }
            put(path, good);
        }
    }

    fn differing<'a>(&'a self, all: &'a [Option<Vec<u8>>]) -> impl Iterator<Item = (usize, &'a Option<Vec<u8>>)> {
        all.iter().enumerate().filter(|(at, bytes)| bytes.as_ref() != Some(&self.files[*at].1))
    }

    /// The bytes of every file after the damage; `None` for one that is gone.
    fn damaged(&self, file: usize, damage: &Damage) -> Vec<Option<Vec<u8>>> {
        let mut all: Vec<_> = self.files.iter().map(|(_, bytes)| Some(bytes.clone())).collect();
        let bytes = self.files[file].1.clone();
        let mut lines: Vec<Vec<u8>> = bytes.split_inclusive(|b| *b == b'\n').map(<[u8]>::to_vec).collect();
        let (length, count) = (bytes.len(), lines.len());
        let mut edited = bytes;
        match damage {
            Damage::FlipBit(at) => edited[at.index(length)] ^= 1 << (at.index(length * 8) % 8),
            Damage::SetByte(at, byte) => edited[at.index(length)] = *byte,
            Damage::Truncate(at) => edited.truncate(at.index(length)),
            Damage::Append(more) => edited.extend(more),
            Damage::Insert(at, more) => drop(edited.splice(at.index(length)..at.index(length), more.clone())),
            Damage::Remove(at, n) => drop(edited.drain(at.index(length)..(at.index(length) + n).min(length))),
            Damage::SwapLines(a, b) => {
                lines.swap(a.index(count), b.index(count));
                edited = lines.concat();
            }
            Damage::DropLine(at) => {
                lines.remove(at.index(count));
                edited = lines.concat();
            }
            Damage::DoubleLine(at) => {
                lines.insert(at.index(count), lines[at.index(count)].clone());
                edited = lines.concat();
            }
            Damage::MoveLine(a, b) => {
                let line = lines.remove(a.index(count));
                lines.insert(b.index(count), line);
                edited = lines.concat();
            }
            Damage::Exchange(other) => {
                let other = other.index(self.files.len());
                all[other] = Some(edited.clone());
                edited.clone_from(&self.files[other].1);
            }
            Damage::Copy(other) => edited.clone_from(&self.files[other.index(self.files.len())].1),
            Damage::Gone => {
                all[file] = None;
                return all;
            }
        }
        all[file] = Some(edited);
        all
    }

    /// Whether everything that is signed is there, byte for byte.
    fn is_the_same(&self, all: &[Option<Vec<u8>>]) -> bool {
        self.files.iter().enumerate().all(|(n, (_, bytes))| match &all[n] {
            _ if self.earlier.contains(&n) => true,
            Some(now) if n == self.log.0 => now.starts_with(&bytes[..self.log.1]),
            // Not signed: the key counts, however its file spells it.
            Some(now) if n == self.files.len() - 1 => anchor(now) == anchor(bytes),
            now => now.as_ref() == Some(bytes),
        })
    }
}

fn anchor(pem: &[u8]) -> Option<PublicKey> {
    PublicKey::from_pem(std::str::from_utf8(pem).ok()?).ok()
}

#[test]
fn no_random_damage_to_what_is_signed_verifies() {
    let cases = env::var("HTG_MUTATIONS").map_or(DAMAGES, |n| n.parse().unwrap());
    let subject = Subject::new();
    let strategy = (0..subject.files.len(), damage());
    let mut runner = TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() });
    let outcome = runner.run(&strategy, |(file, damage)| {
        let all = subject.damaged(file, &damage);
        subject.lay(&all);
        let own = verify(
            &Folder::open(subject.home.path()),
            &attest::Options { anchor: Anchor::Own, ..subject.home.options() },
        );
        let own = answer(&own);
        subject.restore(&all);
        prop_assert_eq!(own.0 == 0, subject.is_the_same(&all), "{:?}", own);
        Ok(())
    });
    outcome.unwrap();
}
