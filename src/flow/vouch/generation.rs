//! Sealed documents → a folder that never changes again, and the one name that leads to the newest.
//!
//! A reader resolves `current` once and reads inside: four files of one generation, whatever we write meanwhile.

use super::{Last, VouchError};
use crate::home::file;
use attest::{Document, Keyring, Sealed, canonical, digest, folder::MAX_DOCUMENT_BYTES};
use keys::{PublicKey, Signature};
use posture::{Posture, State};
use std::{
    fmt, fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::Duration,
};

/// Generations kept whatever their age.
const KEEP: usize = 16;
/// Generations kept while they are this young: a reader may be inside.
const KEEP_YOUNGER_THAN: Duration = Duration::from_secs(60);
/// Exports are a second apart at least, so that more than this many are never that young.
const KEEP_AT_MOST: usize = 256;

/// A generation whose files are not all there, or not ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Incomplete;

impl fmt::Display for Incomplete {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a complete generation of this key")
    }
}

/// What is published together.
pub(super) struct Generation<'g> {
    pub(super) number: u64,
    pub(super) state: &'g Sealed<State>,
    pub(super) posture: &'g Sealed<Posture>,
}

/// The folder of the exports.
pub(super) struct Exports {
    folder: PathBuf,
}

impl Exports {
    pub(super) fn open(folder: &Path) -> Self {
        Self { folder: folder.to_owned() }
    }

    /// What the system refused to do in this folder.
    pub(super) fn trouble(&self, action: &'static str) -> impl FnOnce(io::Error) -> VouchError {
        let folder = self.folder.clone();
        move |source| VouchError::Io { action, folder, source }
    }

    /// The numbers of all generations, incomplete ones too, in order.
    pub(super) fn numbers(&self) -> io::Result<Vec<u64>> {
        let mut numbers = Vec::new();
        for path in file::list(&self.folder)? {
            numbers.extend(path.file_name().and_then(|name| name.to_str()).and_then(number));
        }
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// A generation, if all of it is there, signed with our key of its time, and of one piece.
    pub(super) fn read(&self, number: u64, ring: &Keyring) -> Option<Last> {
        let key = ring.signer(number);
        let folder = self.folder.join(name(number));
        let (posture, posture_sha256) = document::<Posture>(&folder, "posture.json", key).ok()?;
        let (state, state_sha256) = document::<State>(&folder, "state.json", key).ok()?;
        let whole = posture.sequence == number && posture.state_sha256 == state_sha256;
        whole.then_some(Last { posture, posture_sha256, state })
    }

    /// Writes a generation, or nothing that anybody takes for one.
    pub(super) fn write(&self, generation: &Generation<'_>) -> io::Result<()> {
        file::make_folders(&self.folder)?;
        // Who may read is what the operator gave the folder of the exports.
        let found = fs::symlink_metadata(&self.folder)?;
        if !found.is_dir() {
            // A link may lead to anyone's folder, and old generations are removed there.
            return Err(io::ErrorKind::NotADirectory.into());
        }
        let mode = found.mode();
        let folder = self.folder.join(name(generation.number));
        file::make_folder(&folder, mode & 0o755)?;
        let written = write(&folder, mode & 0o644, generation);
        if written.is_err() {
            // Its last file is missing, so that nobody takes it for complete.
            let _ = file::remove_folder(&folder);
        }
        written
    }

    /// Lets `current` lead to a generation that was written.
    pub(super) fn lead_to(&self, number: u64) -> io::Result<()> {
        // A link that outlives a power loss must not lead to a folder that does not.
        file::sync_folder(&self.folder)?;
        let link = self.folder.join(".current.new");
        file::remove(&link)?;
        file::link(&name(number), &link)?;
        file::rename(&link, &self.folder.join("current"))?;
        file::sync_folder(&self.folder)
    }

    /// Removes what no reader can be inside any more, now that `newest` is published.
    pub(super) fn prune(&self, newest: u64) -> io::Result<()> {
        let mut numbers = self.numbers()?;
        numbers.retain(|number| *number <= newest);
        // Both times are the file system's, so that our own clock may be wrong.
        let now = fs::symlink_metadata(self.folder.join(name(newest)))?.modified()?;
        for (rank, number) in numbers.iter().rev().enumerate().skip(KEEP).rev() {
            let folder = self.folder.join(name(*number));
            let age = now.duration_since(fs::symlink_metadata(&folder)?.modified()?).unwrap_or_default();
            if age < KEEP_YOUNGER_THAN && rank < KEEP_AT_MOST {
                // The later ones are younger still.
                break;
            }
            file::remove_folder(&folder)?;
        }
        Ok(())
    }
}

fn write(folder: &Path, mode: u32, generation: &Generation<'_>) -> io::Result<()> {
    let Generation { state, posture, .. } = generation;
    file::create(&folder.join("state.json"), mode, state.bytes())?;
    file::create(&folder.join("state.json.sig"), mode, state.signature_line().as_bytes())?;
    file::create(&folder.join("posture.json"), mode, posture.bytes())?;
    file::create(&folder.join("posture.json.sig"), mode, posture.signature_line().as_bytes())?;
    file::sync_folder(folder)
}

fn document<D: Document>(folder: &Path, name: &str, key: &PublicKey) -> Result<(D, posture::Sha256Hex), Incomplete> {
    let read = |name: &str| file::read(&folder.join(name), MAX_DOCUMENT_BYTES).map_err(|_| Incomplete);
    let bytes = read(name)?;
    let signature = Signature::from_base64_line(&read(&format!("{name}.sig"))?).map_err(|_| Incomplete)?;
    key.verify(&bytes, &signature).map_err(|_| Incomplete)?;
    let document: D = canonical::read(&bytes).map_err(|_| Incomplete)?;
    let ours = document.schema_version() == D::SCHEMA && digest::check(&document);
    if ours { Ok((document, digest::sha256(&bytes))) } else { Err(Incomplete) }
}

fn name(number: u64) -> String {
    format!("{number:012}")
}

fn number(name: &str) -> Option<u64> {
    let digits = name.len() == 12 && name.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| name.parse().ok())?
}
