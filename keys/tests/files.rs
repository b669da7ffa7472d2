//! Key files: made once, with their mode, and refused when anything about them is off.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use keys::{Created, KeyError, KeyFolder, KeySwap, SigningKey, file};
use std::{
    fs::{self, Permissions},
    os::unix::fs::{MetadataExt, PermissionsExt, symlink},
    path::{Path, PathBuf},
};
use tempfile::TempDir;

struct Home(TempDir);

impl Home {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }
    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
    fn open(&self) -> Result<(KeyFolder, Created), KeyError> {
        KeyFolder::open_or_create(&self.at("keys"), &self.at("signing.pub.pem"))
    }
    /// The error, which must name `path`.
    fn refused(&self, path: &str) -> KeyError {
        let error = self.open().map(|_| ()).unwrap_err();
        assert!(error.to_string().contains(self.at(path).to_str().unwrap()), "{error}");
        error
    }
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().mode() & 0o7777
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn put(path: &Path, text: &str) {
    let _ = fs::remove_file(path);
    file::create_private(path, text.as_bytes()).unwrap();
}

const SECRETS: [&str; 3] = ["keys/signing.key.pem", "keys/fingerprint.key", "keys/proxy.token"];

#[test]
fn the_first_opening_makes_everything_and_the_second_nothing() {
    let home = Home::new();
    let (first, created) = home.open().unwrap();
    assert_eq!(created, Created { signing_key: true, public_key: true, fingerprint_key: true, proxy_token: true });
    assert_eq!(mode(&home.at("keys")), 0o700);
    for secret in SECRETS {
        assert_eq!(mode(&home.at(secret)), 0o600, "{secret}");
    }
    let (second, created) = home.open().unwrap();
    assert_eq!(created, Created::default());
    assert_eq!(first.signing_key.public(), second.signing_key.public());
    assert_eq!(first.signing_key.public(), file::read_public(&home.at("signing.pub.pem")).unwrap());
    assert_eq!(first.fingerprint_key.expose(), second.fingerprint_key.expose());
    assert_eq!(first.proxy_token.expose(), second.proxy_token.expose());
    assert_eq!(first.proxy_token.expose().len(), 43);
    assert_eq!(fs::read_dir(home.at("keys")).unwrap().count(), 3);
}

#[test]
fn a_missing_public_key_is_written_again_from_the_private_one() {
    let home = Home::new();
    home.open().unwrap();
    let before = fs::read(home.at("signing.pub.pem")).unwrap();
    fs::remove_file(home.at("signing.pub.pem")).unwrap();
    assert_eq!(home.open().unwrap().1, Created { public_key: true, ..Created::default() });
    assert_eq!(fs::read(home.at("signing.pub.pem")).unwrap(), before);
}

#[test]
fn a_new_identity_is_never_made_where_an_anchor_stands() {
    let home = Home::new();
    home.open().unwrap();
    fs::remove_file(home.at(SECRETS[0])).unwrap();
    assert!(matches!(home.refused("signing.pub.pem"), KeyError::MissingPrivate { .. }));
    assert!(!home.at(SECRETS[0]).exists());
}

#[test]
fn two_halves_of_different_keys_are_refused() {
    let home = Home::new();
    home.open().unwrap();
    put(&home.at(SECRETS[0]), &SigningKey::generate().unwrap().to_pem());
    assert!(matches!(home.refused("signing.pub.pem"), KeyError::Mismatch { .. }));
}

#[test]
fn corrupt_files_are_named_and_left_alone() {
    for name in ["keys/signing.key.pem", "signing.pub.pem", "keys/fingerprint.key", "keys/proxy.token"] {
        for text in [
            "",
            "x",
            "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
            &"0".repeat(63),
            &"é".repeat(43),
        ] {
            let home = Home::new();
            home.open().unwrap();
            put(&home.at(name), text);
            let error = home.refused(name);
            assert!(matches!(error, KeyError::In { .. } | KeyError::Corrupt { .. }), "{name} {error:?}");
            assert_eq!(fs::read_to_string(home.at(name)).unwrap(), text);
        }
    }
}

#[test]
fn secrets_others_can_reach_are_refused() {
    for name in SECRETS.into_iter().chain(["keys"]) {
        for bits in [0o640, 0o604, 0o620, 0o610, 0o601, 0o1700, 0o4700] {
            let home = Home::new();
            home.open().unwrap();
            chmod(&home.at(name), bits | if name == "keys" { 0o100 } else { 0 });
            assert!(matches!(home.refused(name), KeyError::Mode { .. }), "{name} {bits:o}");
        }
    }
}

#[test]
fn symlinks_folders_and_pipes_are_refused() {
    for name in SECRETS {
        let home = Home::new();
        home.open().unwrap();
        let (path, aside) = (home.at(name), home.at("aside"));
        fs::rename(&path, &aside).unwrap();
        symlink(&aside, &path).unwrap();
        assert!(matches!(home.refused(name), KeyError::Symlink { .. }));
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert!(matches!(home.refused(name), KeyError::Kind { .. }));
        fs::remove_dir(&path).unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::RUSR).unwrap();
        assert!(matches!(home.refused(name), KeyError::Kind { .. }));
    }
    let home = Home::new();
    fs::create_dir(home.at("elsewhere")).unwrap();
    symlink(home.at("elsewhere"), home.at("keys")).unwrap();
    assert!(matches!(home.refused("keys"), KeyError::Symlink { .. }));
    assert_eq!(fs::read_dir(home.at("elsewhere")).unwrap().count(), 0);
}

#[test]
fn a_file_larger_than_any_key_is_refused() {
    let home = Home::new();
    home.open().unwrap();
    let limit = usize::try_from(file::MAX_BYTES).unwrap();
    put(&home.at(SECRETS[2]), &"a".repeat(limit + 1));
    assert!(matches!(home.refused(SECRETS[2]), KeyError::TooLarge { .. }));
}

#[test]
fn nothing_is_overwritten_and_no_link_followed() {
    let home = Home::new();
    put(&home.at("a"), "first");
    symlink(home.at("target"), home.at("link")).unwrap();
    for name in ["a", "link"] {
        assert!(matches!(file::create_private(&home.at(name), b"second"), Err(KeyError::Exists { .. })));
    }
    assert_eq!(fs::read(home.at("a")).unwrap(), b"first");
    assert!(!home.at("target").exists());
    let missing = file::create_public(&home.at("no/such/folder"), b"x").unwrap_err();
    assert!(missing.is_not_found(), "{missing}");
}

#[test]
fn a_key_is_whole_under_its_name_or_not_there() {
    let dir = tempfile::tempdir().unwrap();
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            let mut sizes = std::collections::BTreeSet::new();
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                for entry in fs::read_dir(dir.path()).unwrap().flatten() {
                    let draft = entry.file_name().to_string_lossy().starts_with('.');
                    // One that is renamed while we look is seen the next time.
                    sizes.extend(entry.metadata().ok().filter(|_| !draft).map(|found| found.len()));
                }
            }
            sizes
        });
        for n in 0..100 {
            file::create_private(&dir.path().join(n.to_string()), &[b'x'; 9_000]).unwrap();
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        assert_eq!(watcher.join().unwrap().into_iter().collect::<Vec<_>>(), [9_000]);
    });
}

#[test]
fn a_foreign_owner_is_refused() {
    if !rustix::process::geteuid().is_root() {
        return; // Only root can give a file away.
    }
    let home = Home::new();
    home.open().unwrap();
    std::os::unix::fs::chown(home.at(SECRETS[1]), Some(65534), None).unwrap();
    assert!(matches!(home.refused(SECRETS[1]), KeyError::Owner { owner: 65534, .. }));
}

#[test]
fn no_key_is_in_any_error() {
    let home = Home::new();
    home.open().unwrap();
    let text = "c2VjcmV0LXNlY3JldC1zZWNyZXQ";
    for name in SECRETS {
        put(&home.at(name), text);
        let error = home.refused(name);
        assert!(!format!("{error} {error:?}").contains(text));
        fs::remove_file(home.at(name)).unwrap();
        fs::remove_file(home.at("signing.pub.pem")).ok();
    }
}

#[test]
fn a_token_matches_itself_alone() {
    let (folder, _) = Home::new().open().unwrap();
    let token = folder.proxy_token.expose();
    assert!(folder.proxy_token.matches(token.as_bytes()));
    let other = token.replace(&token[..1], if token.starts_with('A') { "B" } else { "A" });
    for bad in ["", &token[1..], &format!("{token}A"), &other] {
        assert!(!folder.proxy_token.matches(bad.as_bytes()));
    }
}

// === One key in the place of another ===

fn swap(home: &Home) -> KeySwap {
    KeySwap::new(&home.at("keys"), &home.at("signing.pub.pem"))
}

#[test]
fn a_staged_key_is_in_no_use_until_it_is_taken_up() {
    let home = Home::new();
    let old = home.open().unwrap().0.signing_key.public();
    let swap = swap(&home);
    assert!(swap.staged().unwrap().is_none());
    let next = swap.stage().unwrap().public();
    assert_eq!(mode(&home.at("keys/signing.next.pem")), 0o600);
    assert_eq!(swap.staged().unwrap().unwrap().public(), next);
    assert_eq!(home.open().unwrap().0.signing_key.public(), old);
    swap.discard().unwrap();
    swap.discard().unwrap();
    assert!(swap.staged().unwrap().is_none());
    assert!(matches!(swap.take_up(), Err(KeyError::Io { .. })));
    assert_eq!(home.open().unwrap().0.signing_key.public(), old);
}

#[test]
fn a_key_left_waiting_is_replaced_by_another_one() {
    let home = Home::new();
    home.open().unwrap();
    let first = swap(&home).stage().unwrap().public();
    let second = swap(&home).stage().unwrap().public();
    assert!(first != second);
    assert_eq!(swap(&home).staged().unwrap().unwrap().public(), second);
}

#[test]
fn a_key_taken_up_is_the_one_in_use_and_the_anchor_follows_when_it_is_put() {
    let home = Home::new();
    let old = home.open().unwrap().0.signing_key.public();
    let swap = swap(&home);
    let new = swap.stage().unwrap().public();
    swap.take_up().unwrap();
    assert_eq!(mode(&home.at("keys/signing.key.pem")), 0o600);
    assert!(swap.anchor_differs(&new).unwrap());
    // Between the two, only whoever knows of the old key takes them together.
    assert!(matches!(home.refused("signing.pub.pem"), KeyError::Mismatch { .. }));
    let between = |old| KeyFolder::open_or_create_after(&home.at("keys"), &home.at("signing.pub.pem"), Some(old));
    assert_eq!(between(&old).unwrap().0.signing_key.public(), new);
    assert!(matches!(between(&new), Err(KeyError::Mismatch { .. })));
    swap.put_anchor(&new).unwrap();
    assert_eq!(mode(&home.at("signing.pub.pem")) & 0o644, mode(&home.at("signing.pub.pem")));
    assert!(!swap.anchor_differs(&new).unwrap());
    assert_eq!(home.open().unwrap().0.signing_key.public(), new);
    assert_eq!(fs::read_dir(home.at("keys")).unwrap().count(), 3, "the old key is gone");
}

#[test]
fn a_waiting_key_others_could_reach_or_that_is_none_is_refused() {
    let home = Home::new();
    home.open().unwrap();
    let path = home.at("keys/signing.next.pem");
    swap(&home).stage().unwrap();
    chmod(&path, 0o644);
    assert!(matches!(swap(&home).staged(), Err(KeyError::Mode { .. })));
    put(&path, "no key");
    assert!(matches!(swap(&home).staged(), Err(KeyError::In { .. })));
    fs::remove_file(&path).unwrap();
    symlink("signing.key.pem", &path).unwrap();
    assert!(matches!(swap(&home).staged(), Err(KeyError::Symlink { .. })));
    // The link itself goes, and not what it leads to.
    swap(&home).stage().unwrap();
    home.open().unwrap();
}
