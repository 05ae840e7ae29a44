//! The state file of an outbox: what must not be lost with the process, and a lock so that two processes do not send
//! the same. It is replaced as a whole or not at all; what is in a message is not looked at.

use super::queue::{Entry, OUTBOX_MAX};
use crate::domain::SessionId;
use rustix::fs::FlockOperation;
use serde::{Deserialize, Serialize};
use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

/// A hundred of the largest messages that a server takes by default do not fit: the one that is too much is refused.
const FILE_MAX: u64 = 256 * 1024 * 1024;

const VERSION: u32 = 1;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FileError {
    /// Another process sends what is in it.
    #[error("{} is in use{holder}; end that one first, or name another file", .path.display())]
    Locked { path: PathBuf, holder: String },
    /// Left as it is: somebody may want what it holds.
    #[error("{} is not an outbox of this session: {why}. It is left as it is; move it away, or name another file", .path.display())]
    Foreign { path: PathBuf, why: String },
    #[error("cannot {what} {}: {why}", .path.display())]
    Io { what: &'static str, path: PathBuf, why: String },
}

/// An outbox on disk, locked for as long as this lives.
#[derive(Debug)]
pub struct StateFile {
    path: PathBuf,
    session: SessionId,
    entries: Vec<Entry>,
    /// Dropped, it lets the next process in.
    _lock: File,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Content {
    seawall_outbox: u32,
    session_id: SessionId,
    entries: Vec<Entry>,
}

impl StateFile {
    /// Locks and reads it; a missing file is an empty one. Folders that are missing are made, for their owner alone.
    pub fn open(path: &Path, session: SessionId) -> Result<Self, FileError> {
        let folder = folder_of(path);
        let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
        made.map_err(|error| io_error("make the folder", folder, &error))?;
        let lock = lock(path)?;
        let entries = read(path, session)?;
        Ok(Self { path: path.to_owned(), session, entries, _lock: lock })
    }

    /// What it held when it was opened, or last saved.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Replaces its content; on disk when this answers. No entries: no file.
    pub fn save(&mut self, entries: Vec<Entry>) -> Result<(), FileError> {
        match entries.is_empty() {
            true => self.remove()?,
            false => {
                let content = Content {
                    seawall_outbox: VERSION,
                    session_id: self.session,
                    entries: entries.clone(),
                };
                let bytes = serde_json::to_vec(&content)
                    .map_err(|error| io_error("write", &self.path, &error.into()))?;
                self.replace(&bytes).map_err(|error| io_error("write", &self.path, &error))?;
            }
        }
        self.entries = entries;
        Ok(())
    }

    fn replace(&self, bytes: &[u8]) -> io::Result<()> {
        if bytes.len() as u64 > FILE_MAX {
            return Err(io::Error::other(format!("it would have more than {FILE_MAX} bytes")));
        }
        let fresh = beside(&self.path, ".new");
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&fresh, &self.path)?;
        sync_folder(&self.path)
    }

    fn remove(&self) -> Result<(), FileError> {
        match fs::remove_file(&self.path) {
            Ok(()) => sync_folder(&self.path),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        }
        .map_err(|error| io_error("remove", &self.path, &error))
    }
}

fn read(path: &Path, session: SessionId) -> Result<Vec<Entry>, FileError> {
    let foreign = |why: String| FileError::Foreign { path: path.to_owned(), why };
    let mut bytes = Vec::new();
    match File::open(path) {
        Ok(file) => file.take(FILE_MAX + 1).read_to_end(&mut bytes),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => Err(error),
    }
    .map_err(|error| io_error("read", path, &error))?;
    if bytes.len() as u64 > FILE_MAX {
        return Err(foreign(format!("it has more than {FILE_MAX} bytes")));
    }
    let content: Content =
        serde_json::from_slice(&bytes).map_err(|error| foreign(error.to_string()))?;
    if content.seawall_outbox != VERSION {
        return Err(foreign(format!("it is of version {}", content.seawall_outbox)));
    }
    if content.session_id != session {
        return Err(foreign(format!("it belongs to {}", content.session_id)));
    }
    if content.entries.iter().filter(|entry| !entry.kept).count() > OUTBOX_MAX {
        return Err(foreign(format!("it holds more than {OUTBOX_MAX} messages")));
    }
    Ok(content.entries)
}

/// The lock is a file of its own: the state file is replaced, and a lock would stay on the old one.
fn lock(path: &Path) -> Result<File, FileError> {
    let lock = beside(path, ".lock");
    let mut options = OpenOptions::new();
    let opened =
        options.read(true).write(true).create(true).truncate(false).mode(0o600).open(&lock);
    let mut file = opened.map_err(|error| io_error("open", &lock, &error))?;
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(rustix::io::Errno::WOULDBLOCK) => {
            let mut pid = String::new();
            // Who holds it is a courtesy.
            let _ = (&mut file).take(32).read_to_string(&mut pid);
            let pid = pid.trim();
            let is_pid = !pid.is_empty() && pid.bytes().all(|byte| byte.is_ascii_digit());
            let holder = if is_pid { format!(" by process {pid}") } else { String::new() };
            return Err(FileError::Locked { path: path.to_owned(), holder });
        }
        Err(error) => return Err(io_error("lock", &lock, &error.into())),
    }
    let noted = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
    noted.map_err(|error| io_error("write", &lock, &error))?;
    Ok(file)
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    }
}

/// A rename is on disk when its folder is.
fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(folder_of(path))?.sync_all()
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn io_error(what: &'static str, path: &Path, error: &io::Error) -> FileError {
    FileError::Io { what, path: path.to_owned(), why: error.to_string() }
}
