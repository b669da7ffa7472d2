//! Hermes' `.env` files, the variables the operator named, and planted canaries → what the scanners know, kept up to
//! date while the monitor runs.
//!
//! A value is in memory from when its file is read to when it is digested, and wiped. Of a file that cannot be read for
//! once, what it held before is still known; of one that is gone it is not. A reload takes everything anew: another rule
//! may say whose a value is.

use super::signs::Signs;
use crate::{
    clock,
    config::Config,
    control::{KnownValues, Skipped},
    flow::detect::{
        Detector,
        known::{
            CanaryError, Digest, DigestKeys, Kind, MAX_CANARIES, MAX_SECRETS, NameKind, Planted, Untaken, Values,
            kind_of, secret_of, shown_name,
        },
    },
    home::{Home, file},
    platform::dotenv,
};
use keys::FingerprintKey;
use posture::Timestamp;
use std::{
    io::{self, Read},
    os::unix::{ffi::OsStringExt, fs::MetadataExt},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{task::spawn_blocking, time::sleep};
use zeroize::Zeroizing;

/// No canary's file comes near it.
const MAX_CANARY_BYTES: u64 = 4096;
/// Values that were not taken are told by name up to this many; all of them are counted.
const MAX_TOLD: usize = 64;
/// A file that changed this recently may change again within the same tick of its clock: it is read once more.
const UNSETTLED: i64 = 2;

/// What the scanners know, and where it is from.
pub(super) struct Knowing {
    enabled: bool,
    files: Vec<Watched>,
    variables: Taken,
    canaries: Watched,
    keys: Arc<DigestKeys>,
    detector: Arc<Detector>,
}

/// A file, or the folder of the canaries, and what was taken from it.
struct Watched {
    path: PathBuf,
    /// As it was when it was read.
    seen: Seen,
    taken: Taken,
}

/// What was taken from one place, and what not.
#[derive(Default)]
struct Taken {
    digests: Vec<Digest>,
    skipped: Vec<Skipped>,
}

/// What there is of a file.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Seen {
    /// It is not there.
    Gone,
    /// It came to rest.
    Settled(Stamp),
    /// It may change, and look the same; or it was never read.
    Unsettled,
}

/// What changes when a file does.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    bytes: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Seen {
    fn of(path: &Path, now: Timestamp) -> Self {
        let found = match std::fs::metadata(path) {
            Ok(found) => found,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Self::Gone,
            Err(_) => return Self::Unsettled,
        };
        let stamp = Stamp {
            device: found.dev(),
            inode: found.ino(),
            bytes: found.len(),
            modified: (found.mtime(), found.mtime_nsec()),
            changed: (found.ctime(), found.ctime_nsec()),
        };
        let age = now.to_utc().timestamp().saturating_sub(stamp.changed.0);
        if age > UNSETTLED { Self::Settled(stamp) } else { Self::Unsettled }
    }
}

impl Watched {
    fn new(path: PathBuf) -> Self {
        Self { path, seen: Seen::Unsettled, taken: Taken::default() }
    }

    /// Whether it has to be read: it changed since, or may have.
    fn is_due(&mut self, now: Timestamp) -> bool {
        let before = std::mem::replace(&mut self.seen, Seen::of(&self.path, now));
        before == Seen::Unsettled || self.seen != before
    }

    fn take(&mut self, read: impl FnOnce(&Path) -> io::Result<Taken>) {
        match read(&self.path) {
            Ok(taken) => self.taken = taken,
            Err(e) if e.kind() == io::ErrorKind::NotFound => self.taken = Taken::default(),
            Err(_) => {
                self.seen = Seen::Unsettled;
                self.taken.skipped = vec![skipped(&self.path.display().to_string(), Untaken::Unreadable)];
            }
        }
    }
}

impl Knowing {
    /// Takes what there is now, for this process.
    ///
    /// # Errors
    /// The system has no random bytes.
    pub(super) fn open(
        config: &Config,
        home: &Home,
        fingerprint_key: &[u8; 32],
        detector: &Arc<Detector>,
    ) -> io::Result<Self> {
        let mut process = Zeroizing::new([0; 32]);
        getrandom::fill(&mut *process)?;
        let (enabled, keys) = (config.known_secrets.enabled, Arc::new(DigestKeys::new(fingerprint_key, &process)));
        let files = enabled.then(|| dotenv::files(&config.hermes_home)).into_iter().flatten();
        Ok(Self {
            enabled,
            files: files.map(Watched::new).collect(),
            variables: of_environment(&config.known_secrets.variables, &keys, detector),
            canaries: Watched::new(home.canaries_dir()),
            keys,
            detector: Arc::clone(detector),
        })
    }

    /// Takes everything anew, by this configuration and these rules, and tells what is known since.
    fn reloaded(&mut self, config: &Config, detector: &Arc<Detector>, now: Timestamp) -> Option<KnownValues> {
        self.enabled = config.known_secrets.enabled;
        self.detector = Arc::clone(detector);
        let mut before = std::mem::take(&mut self.files);
        let files = self.enabled.then(|| dotenv::files(&config.hermes_home)).into_iter().flatten();
        // One that cannot be read for once is not forgotten for a reload.
        let again = |path| match before.iter().position(|file| file.path == path) {
            Some(at) => Watched { seen: Seen::Unsettled, ..before.swap_remove(at) },
            None => Watched::new(path),
        };
        self.files = files.map(again).collect();
        self.variables = of_environment(&config.known_secrets.variables, &self.keys, detector);
        self.canaries.seen = Seen::Unsettled;
        self.look(now)
    }

    /// Takes anew what changed, and tells what is known since. `None` when nothing did.
    pub(super) fn look(&mut self, now: Timestamp) -> Option<KnownValues> {
        let Self { files, canaries, keys, detector, .. } = self;
        let mut due = false;
        for file in files.iter_mut() {
            if file.is_due(now) {
                due = true;
                file.take(|path| of_file(path, keys, detector));
            }
        }
        if canaries.is_due(now) {
            due = true;
            canaries.take(|path| of_canaries(path, keys));
        }
        due.then(|| self.replace())
    }

    fn replace(&self) -> KnownValues {
        let secrets = self.files.iter().map(|file| &file.taken).chain([&self.variables]);
        let mut skips: Vec<_> = secrets.clone().flat_map(|taken| taken.skipped.iter().cloned()).collect();
        let mut digests: Vec<Digest> = Vec::new();
        for digest in secrets.flat_map(|taken| &taken.digests) {
            if !digests.iter().any(|other| other.is_of_same_value(digest)) {
                digests.push(digest.clone());
            }
        }
        let over = digests.len().saturating_sub(MAX_SECRETS);
        skips.extend((0..over).map(|_| skipped("(one of many)", Untaken::OneTooMany)));
        digests.truncate(MAX_SECRETS);
        let canaries = &self.canaries.taken;
        skips.extend_from_slice(&canaries.skipped);
        let told = KnownValues {
            canaries: canaries.digests.len() as u64,
            enabled: self.enabled,
            secrets: digests.len() as u64,
            skipped: skips.len() as u64,
            skips: skips.into_iter().take(MAX_TOLD).collect(),
        };
        digests.extend_from_slice(&canaries.digests);
        self.detector.known().replace(Values::new(&self.keys, digests));
        told
    }
}

/// What the scanners know, for who takes it anew each second and for who reloads; and where it is told.
#[derive(Clone)]
pub(super) struct Knowledge {
    knowing: Arc<Mutex<Knowing>>,
    signs: Arc<Signs>,
}

impl Knowledge {
    pub(super) fn new(knowing: Knowing, signs: Arc<Signs>) -> Self {
        Self { knowing: Arc::new(Mutex::new(knowing)), signs }
    }

    /// Takes everything anew, by this configuration and these rules.
    pub(super) fn reloaded(&self, config: &Config, detector: &Arc<Detector>) {
        self.take(|knowing| knowing.reloaded(config, detector, clock::now()));
    }

    /// Looks once a second, for as long as it is polled.
    pub(super) async fn attend(self) {
        loop {
            sleep(Duration::from_secs(1)).await;
            let this = self.clone();
            if spawn_blocking(move || this.take(|knowing| knowing.look(clock::now()))).await.is_err() {
                return tracing::error!("known secrets and canaries are no longer taken anew");
            }
        }
    }

    fn take(&self, anew: impl FnOnce(&mut Knowing) -> Option<KnownValues>) {
        // Held until it is told: what was known later is told last.
        let mut knowing = self.knowing.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(told) = anew(&mut knowing) {
            self.signs.knows(told);
        }
    }
}

/// What a monitor of this configuration would know of its secrets: for who asks while none runs.
pub fn survey(config: &Config) -> KnownValues {
    let detector = Detector::new(config.scan, &config.audience, None);
    // Where there is no key, there is no canary either.
    let key = FingerprintKey::read(&config.keys_dir).ok();
    let key = key.as_ref().map_or(&[0; 32], FingerprintKey::expose);
    let knowing = Knowing::open(config, &Home::of(config), key, &detector);
    knowing.ok().and_then(|mut knowing| knowing.look(clock::now())).unwrap_or_default()
}

fn skipped(name: &str, why: Untaken) -> Skipped {
    Skipped { name: name.to_owned(), why: why.as_str().parse().expect("letters and underscores are a word") }
}

impl Taken {
    fn add(
        &mut self,
        kind: Kind,
        (name, says): (&str, NameKind),
        value: &[u8],
        keys: &DigestKeys,
        detector: &Detector,
    ) {
        let secret = match secret_of(says, value) {
            Ok(Some(secret)) => secret,
            Ok(None) => return,
            Err(why) => return self.skipped.push(skipped(shown_name(name), why)),
        };
        let owners = detector.owners(name, &secret);
        self.digests.extend(keys.digest(kind, &secret, owners));
    }
}

/// The secrets of a dotenv file.
fn of_file(path: &Path, keys: &DigestKeys, detector: &Detector) -> io::Result<Taken> {
    let text = read(path, dotenv::MAX_BYTES)?;
    let mut taken = Taken::default();
    dotenv::variables(&text, &mut |name, value| {
        let Some(says) = kind_of(name).filter(|_| !value.is_empty()) else { return };
        taken.add(Kind::EnvFile, (name, says), value, keys, detector);
    });
    Ok(taken)
}

/// The values of variables the operator named.
fn of_environment(names: &[String], keys: &DigestKeys, detector: &Detector) -> Taken {
    let mut taken = Taken::default();
    for name in names {
        let Some(value) = std::env::var_os(name).filter(|value| !value.is_empty()) else {
            taken.skipped.push(skipped(shown_name(name), Untaken::Unset));
            continue;
        };
        let value = Zeroizing::new(value.into_vec());
        taken.add(Kind::EnvVariable, (name, NameKind::Secret), &value, keys, detector);
    }
    taken
}

fn of_canaries(folder: &Path, keys: &DigestKeys) -> io::Result<Taken> {
    let mut taken = Taken::default();
    for path in canary_files(folder)? {
        let planted = read_canary(&path).and_then(|planted| planted.recognised(keys));
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        match planted {
            Ok(_) if taken.digests.len() == MAX_CANARIES => taken.skipped.push(skipped(&name, Untaken::OneTooMany)),
            Ok(digest) => taken.digests.push(digest),
            Err(CanaryError::OtherKey) => taken.skipped.push(skipped(&name, Untaken::OtherKey)),
            Err(_) => taken.skipped.push(skipped(&name, Untaken::Unreadable)),
        }
    }
    Ok(taken)
}

/// The files of planted canaries, in the order of their names: those are theirs alone.
///
/// # Errors
/// What the system says of the folder.
pub fn canary_files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let named = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_suffix(".json"));
        name.is_some_and(|name| name.parse::<posture::Fingerprint>().is_ok())
    };
    let mut files: Vec<_> = std::fs::read_dir(folder)?.flatten().map(|entry| entry.path()).filter(named).collect();
    files.sort();
    Ok(files)
}

/// A planted canary's file.
///
/// # Errors
/// [`CanaryError::Form`] for one that cannot be read, or is something else.
pub fn read_canary(path: &Path) -> Result<Planted, CanaryError> {
    Planted::read(&read(path, MAX_CANARY_BYTES).map_err(|_| CanaryError::Form)?)
}

/// All of a file, in one buffer that is wiped: one that grows leaves copies behind.
fn read(path: &Path, max: u64) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut file = file::open_to_read(path)?;
    let length = usize::try_from(file.metadata()?.len()).ok().filter(|&length| length as u64 <= max);
    let room = length.ok_or(io::ErrorKind::FileTooLarge)? + 1;
    let mut bytes = Zeroizing::new(vec![0; room]);
    let mut at = 0;
    while at < room {
        match file.read(&mut bytes[at..]) {
            Ok(0) => break,
            Ok(read) => at += read,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    if at == room {
        // It grows: the next look finds it at rest.
        return Err(io::ErrorKind::WouldBlock.into());
    }
    bytes.truncate(at);
    Ok(bytes)
}

#[cfg(test)]
mod tests;
