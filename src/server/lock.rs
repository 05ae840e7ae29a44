//! The lock on the data folder: one server at a time. The kernel lets go of it when its holder is gone, however.

use super::StartError;
use rustix::fs::FlockOperation;
use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Seek, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::Path,
};

/// Held as long as this lives.
#[derive(Debug)]
pub(super) struct DataLock {
    _file: File,
}

impl DataLock {
    /// Makes the folder if it is not there (mode 0700) and takes its lock, without waiting.
    pub(super) fn take(data: &Path) -> Result<Self, StartError> {
        let refused = |error| StartError::DataFolder { path: data.into(), error };
        fs::DirBuilder::new().recursive(true).mode(0o700).create(data).map_err(refused)?;
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .mode(0o600)
            .open(data.join("lock"))
            .map_err(refused)?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                let pid = holder(&mut file).unwrap_or_else(|_| "unknown".into());
                return Err(StartError::InUse { path: data.into(), pid });
            }
            Err(error) => return Err(refused(error.into())),
        }
        write_holder(&mut file).map_err(refused)?;
        Ok(Self { _file: file })
    }
}

fn holder(file: &mut File) -> io::Result<String> {
    let mut pid = String::new();
    file.read_to_string(&mut pid)?;
    Ok(pid.trim().to_owned())
}

fn write_holder(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", std::process::id())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_server_is_refused_with_the_pid_of_the_first() {
        let folder = tempfile::tempdir().unwrap();
        let first = DataLock::take(folder.path()).unwrap();
        match DataLock::take(folder.path()) {
            Err(StartError::InUse { pid, .. }) => assert_eq!(pid, std::process::id().to_string()),
            other => panic!("{other:?}"),
        }
        drop(first);
        DataLock::take(folder.path()).unwrap();
    }
}
