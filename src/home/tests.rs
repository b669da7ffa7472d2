use super::*;
use posture::RunId;
use std::{fs, os::unix::fs::PermissionsExt};

/// The default configuration with everything below `home`, and a port of its own.
pub(crate) fn config(home: &Path) -> Config {
    let mut config = Config::defaults(home.to_owned(), home.to_owned());
    config.listen.set_port(0);
    config
}

fn unsafe_of(result: Result<Home, HomeError>) -> (PathBuf, Unsafe) {
    match result {
        Err(HomeError::Unsafe { path, why }) => (path, why),
        other => panic!("{other:?}"),
    }
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn folders_are_made_for_us_alone() {
    let dir = tempfile::tempdir().unwrap();
    let home = Home::open(&config(&dir.path().join("a/b/home"))).unwrap();
    for folder in [home.root(), home.log_dir(), home.export_dir(), &home.run_dir()] {
        assert_eq!(fs::metadata(folder).unwrap().permissions().mode() & 0o777, 0o700, "{}", folder.display());
    }
    Home::open(&config(home.root())).unwrap();
}

#[test]
fn a_linked_state_folder_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("real")).unwrap();
    let link = dir.path().join("link");
    std::os::unix::fs::symlink("real", &link).unwrap();
    assert_eq!(unsafe_of(Home::open(&config(&link))), (link, Unsafe::Link));
}

#[test]
fn a_linked_folder_above_is_fine() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("real")).unwrap();
    std::os::unix::fs::symlink("real", dir.path().join("link")).unwrap();
    Home::open(&config(&dir.path().join("link/home"))).unwrap();
}

#[test]
fn a_folder_others_can_write_to_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    for mode in [0o720, 0o702, 0o777, 0o1777] {
        let home = dir.path().join(format!("{mode:o}"));
        fs::create_dir(&home).unwrap();
        chmod(&home, mode);
        assert!(matches!(unsafe_of(Home::open(&config(&home))), (path, Unsafe::Writable(_)) if path == home));
    }
}

#[test]
fn a_folder_above_that_others_can_write_to_is_refused_unless_sticky() {
    let dir = tempfile::tempdir().unwrap();
    let above = dir.path().join("above");
    fs::create_dir(&above).unwrap();
    chmod(&above, 0o777);
    let (path, why) = unsafe_of(Home::open(&config(&above.join("mid/home"))));
    assert_eq!(path, above.canonicalize().unwrap());
    assert!(why.hint(&path).starts_with("chmod"), "{why:?}");
    chmod(&above, 0o1777);
    Home::open(&config(&above.join("mid/home"))).unwrap();
}

#[test]
fn a_folder_of_another_user_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().join("home");
    fs::create_dir(&home).unwrap();
    // Only root can give a folder away.
    if std::os::unix::fs::chown(&home, Some(12345), None).is_ok() {
        assert_eq!(unsafe_of(Home::open(&config(&home))), (home, Unsafe::Owner(12345)));
    }
}

/// The lock can be taken, though perhaps not at once: a child of another test has what we had open until it is a program.
fn free(home: &Home) {
    let taken = (0..1000).any(|_| {
        home.lock().is_ok() || {
            std::thread::sleep(std::time::Duration::from_millis(20));
            false
        }
    });
    assert!(taken);
}

#[test]
fn a_second_holder_is_told_who_has_the_lock() {
    let dir = tempfile::tempdir().unwrap();
    let home = Home::open(&config(&dir.path().join("home"))).unwrap();
    let lock = home.lock().unwrap();
    match home.lock() {
        Err(error @ HomeError::Held { pid, .. }) => {
            assert_eq!(pid, Some(std::process::id()));
            assert!(error.to_string().ends_with(&format!("process {}", std::process::id())), "{error}");
        }
        other => panic!("{other:?}"),
    }
    drop(lock);
    free(&home);
}

#[test]
fn a_lock_whose_file_is_removed_still_holds() {
    let dir = tempfile::tempdir().unwrap();
    let home = Home::open(&config(&dir.path().join("home"))).unwrap();
    let lock = home.lock().unwrap();
    fs::remove_dir_all(home.run_dir()).unwrap();
    Home::open(&config(home.root())).unwrap();
    assert!(matches!(home.lock(), Err(HomeError::Held { pid: None, .. })));
    drop(lock);
    free(&home);
}

#[test]
fn a_pipe_in_the_place_of_a_file_of_ours_makes_nobody_wait() {
    let dir = tempfile::tempdir().unwrap();
    let home = Home::open(&config(&dir.path().join("home"))).unwrap();
    let made = std::process::Command::new("mkfifo").arg(home.monitor_json()).arg(home.lock_file()).status().unwrap();
    assert!(made.success());
    assert_eq!(home.running(), None);
    assert_eq!(file::read(&home.monitor_json(), 100).unwrap_err().kind(), io::ErrorKind::InvalidData);
    file::create(&dir.path().join("long"), file::PRIVATE, &[b'x'; 101]).unwrap();
    assert_eq!(file::read(&dir.path().join("long"), 100).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
    assert_eq!(file::read(&dir.path().join("long"), 101).unwrap().len(), 101);
}

#[test]
fn the_running_monitor_is_believed_only_while_it_holds_the_lock() {
    let dir = tempfile::tempdir().unwrap();
    let home = Home::open(&config(&dir.path().join("home"))).unwrap();
    assert_eq!(home.running(), None);
    let lock = home.lock().unwrap();
    let run = RunId::from_bytes(&[7; 16]);
    let running = Running::new(&lock, "127.0.0.1:8790".parse().unwrap(), run, crate::clock::now());
    running.write(&home).unwrap();
    assert_eq!(home.running(), Some(running.clone()));
    Running { pid: 1, ..running.clone() }.write(&home).unwrap();
    assert_eq!(home.running(), None);
    Running { start_time: Some(1), ..running.clone() }.write(&home).unwrap();
    assert_eq!(home.running(), None);
    running.write(&home).unwrap();
    drop(lock);
    assert_eq!(home.running(), None);
}

#[test]
fn a_process_that_ended_is_gone_before_its_parent_looks() {
    assert!(process_start_time(std::process::id()).is_some());
    let mut shell = std::process::Command::new("/bin/sh");
    let mut child = shell.args(["-c", "read line"]).stdin(std::process::Stdio::piped()).spawn().unwrap();
    assert!(process_start_time(child.id()).is_some());
    drop(child.stdin.take());
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while process_start_time(child.id()).is_some() {
        assert!(std::time::Instant::now() < deadline);
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    assert!(child.wait().unwrap().code().is_some());
}

#[test]
fn a_file_is_never_made_through_a_link_nor_over_another() {
    let dir = tempfile::tempdir().unwrap();
    let (target, link) = (dir.path().join("target"), dir.path().join("link"));
    std::os::unix::fs::symlink(&target, &link).unwrap();
    assert_eq!(file::create(&link, file::PRIVATE, b"x").unwrap_err().kind(), io::ErrorKind::AlreadyExists);
    assert!(file::open(&link, file::PRIVATE, true).is_err());
    assert!(!target.exists());
    file::create(&target, file::PRIVATE, b"x").unwrap();
    assert!(file::create(&target, file::PRIVATE, b"y").is_err());
    assert_eq!(fs::read(&target).unwrap(), b"x");
}

#[test]
fn of_a_file_that_cannot_be_written_nothing_stays() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("half");
    for step in ["write", "sync"].into_iter().zip(1..) {
        let fault = file::fault::Fault::Fail(step.1);
        let (made, ..) = file::fault::play(fault, || file::create(&path, file::PRIVATE, b"all of it"));
        assert_eq!(made.unwrap_err().kind(), io::ErrorKind::StorageFull, "{step:?}");
        assert!(!path.exists(), "{step:?}");
    }
    file::create(&path, file::PRIVATE, b"all of it").unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"all of it");
}

#[test]
fn a_replaced_file_has_its_final_mode_and_replaces_a_link_itself() {
    let dir = tempfile::tempdir().unwrap();
    let (target, link) = (dir.path().join("target"), dir.path().join("link"));
    file::create(&target, file::PRIVATE, b"old").unwrap();
    std::os::unix::fs::symlink("target", &link).unwrap();
    file::replace(&link, file::PUBLIC, b"new").unwrap();
    assert_eq!(fs::read(&target).unwrap(), b"old");
    let made = fs::symlink_metadata(&link).unwrap();
    assert!(made.is_file());
    assert_eq!(made.permissions().mode() & 0o777, 0o644);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2, "no temporary file stays behind");
}
