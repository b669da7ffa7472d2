//! Home → an address its socket can be bound and reached at, however long the path.

use crate::home::Home;
use std::{fs::File, io, os::fd::AsRawFd, path::PathBuf};

/// Room in `sockaddr_un`, less on some systems than on Linux (unix(7)).
const MAX_PATH_BYTES: usize = 100;

/// A path to the socket, good while this lives.
pub(super) struct Address {
    path: PathBuf,
    // A long path is reached through the descriptor of its folder.
    _folder: Option<File>,
}

impl Address {
    pub(super) fn of(home: &Home) -> io::Result<Self> {
        let path = home.control_socket();
        if path.as_os_str().len() <= MAX_PATH_BYTES {
            return Ok(Self { path, _folder: None });
        }
        let folder = File::open(home.run_dir())?;
        let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
        let path = PathBuf::from(format!("/proc/self/fd/{}", folder.as_raw_fd())).join(name);
        Ok(Self { path, _folder: Some(folder) })
    }

    pub(super) fn path(&self) -> &std::path::Path {
        &self.path
    }
}
