//! A copy of the database while it is in use. It is made by a thread and a connection of its own, in one read transaction:
//! neither the writer nor the readers wait for it. Where copies belong, and who may ask, is not known here.

use super::{
    super::{Answer, Backup, Pending, StoreError},
    compact, file,
    open::connect,
};
use rusqlite::OpenFlags;
use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

/// The copies of one database.
#[derive(Debug)]
pub(super) struct Backups {
    database: PathBuf,
    /// Two at a time would only take the disk from each other.
    is_busy: Arc<AtomicBool>,
}

/// Lets the next one begin when it is dropped, by a panic too.
struct Turn(Arc<AtomicBool>);

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

impl Backups {
    pub(super) fn of(database: PathBuf) -> Self {
        Self { database, is_busy: Arc::default() }
    }

    /// What is free on the database's disk.
    pub(super) fn free_bytes(&self) -> io::Result<u64> {
        Ok(file::free_bytes(&self.database)?)
    }

    pub(super) fn begin(&self, to: PathBuf) -> Pending<Backup> {
        if self.is_busy.swap(true, Ordering::AcqRel) {
            let reason = "another backup is being made; try again when it is done".into();
            return Pending::ready(Err(StoreError::Unavailable(reason)));
        }
        let turn = Turn(self.is_busy.clone());
        let (answer, pending): (Answer<Backup>, _) = Pending::new();
        let database = self.database.clone();
        let body = move || {
            let made = make(&database, &to);
            drop(turn);
            // Whoever asked may have gone away; the copy is there all the same.
            let _ = answer.send(made);
        };
        // A thread that cannot be started drops the answer, which is one.
        match thread::Builder::new().name("log-backup".into()).spawn(body) {
            Ok(_) => pending,
            Err(error) => Pending::ready(Err(unavailable(Path::new("a thread"), &error))),
        }
    }
}

/// Writes the copy beside its place and moves it there when it is whole and on disk.
fn make(database: &Path, to: &Path) -> Result<Backup, StoreError> {
    if fs::symlink_metadata(to).is_ok() {
        return Ok(Backup::Exists);
    }
    let (Some(folder), Some(name)) = (to.parent(), to.file_name()) else {
        return Err(unavailable(to, &io::ErrorKind::InvalidInput.into()));
    };
    let mut partial = std::ffi::OsString::from(".");
    partial.push(name);
    partial.push(".partial");
    let partial = folder.join(partial);
    let copied = copy(database, &partial).and_then(|bytes| {
        let moved = rename_new(&partial, to).and_then(|is_new| {
            File::open(folder)?.sync_all()?;
            Ok(is_new)
        });
        match moved.map_err(|error| unavailable(to, &error))? {
            true => Ok(Backup::Made { bytes }),
            false => Ok(Backup::Exists),
        }
    });
    if !matches!(copied, Ok(Backup::Made { .. })) {
        // The next attempt removes it where this one cannot.
        let _ = fs::remove_file(&partial);
    }
    copied
}

/// How many bytes the copy has.
pub(super) fn copy(database: &Path, partial: &Path) -> Result<u64, StoreError> {
    let fault = |error: io::Error| unavailable(partial, &error);
    match fs::remove_file(partial) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(fault(error)),
        _ => {}
    }
    // Made before SQLite opens it, so that nobody else can ever read it.
    file::make(partial).map_err(fault)?;
    let name = partial.to_str().ok_or_else(|| {
        StoreError::Unavailable(format!("{} is not UTF-8; rename it", partial.display()))
    })?;
    let conn = connect(database, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    // In a write-ahead log a read transaction holds up no writer, however long it lasts. The online backup's steps would
    // begin anew after every commit.
    compact::prepare(&conn)?;
    conn.execute("VACUUM INTO ?1", [name])?;
    let copy = File::open(partial).map_err(fault)?;
    copy.sync_all().map_err(fault)?;
    Ok(copy.metadata().map_err(fault)?.len())
}

/// False where the name is taken; then nothing is moved.
fn rename_new(from: &Path, to: &Path) -> io::Result<bool> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Ok(()) => Ok(true),
        Err(rustix::io::Errno::EXIST) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn unavailable(path: &Path, error: &io::Error) -> StoreError {
    StoreError::Unavailable(format!("cannot write {}: {error}", path.display()))
}
