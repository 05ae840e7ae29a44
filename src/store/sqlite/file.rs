//! The database's file as the file system knows it: made for its owner alone, and recognised again.
//! What is in it is not this module's business.

use super::super::StoreError;
use std::{
    fs::{self, OpenOptions},
    io,
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

/// Makes the file where there is none, readable by its owner alone; SQLite gives its other files the same mode.
pub(super) fn make(path: &Path) -> io::Result<()> {
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made.map(drop),
    }
}

/// Whether a write-ahead log lies beside the file, with something in it.
pub(super) fn has_write_ahead_log(path: &Path) -> bool {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    fs::metadata(PathBuf::from(name)).is_ok_and(|log| log.len() > 0)
}

/// What is free on the disk that the file is on, whether the file is still there or not.
pub(super) fn free_bytes(path: &Path) -> rustix::io::Result<u64> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let disk = rustix::fs::statvfs(folder.unwrap_or(Path::new(".")))?;
    Ok(disk.f_bavail * disk.f_frsize)
}

/// Which file was opened. SQLite goes on writing to a file that was renamed or deleted, where no restart would find
/// what it acknowledged.
#[derive(Debug)]
pub(super) struct Identity {
    path: PathBuf,
    device: u64,
    inode: u64,
}

impl Identity {
    pub(super) fn of(path: &Path) -> io::Result<Self> {
        let file = fs::metadata(path)?;
        Ok(Self { path: path.to_owned(), device: file.dev(), inode: file.ino() })
    }

    /// Whether the path still leads to the file that was opened.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        let now = Self::of(&self.path).ok();
        if now.is_some_and(|now| (now.device, now.inode) == (self.device, self.inode)) {
            return Ok(());
        }
        let path = self.path.display();
        Err(StoreError::Unavailable(format!(
            "{path} was moved, deleted or replaced while it was in use; put it back, or restart the server"
        )))
    }
}
