//! A backup becomes the database again. Nobody may have the database open; who sees to that, and what is said of it, is
//! not known here. What was there before is set aside and never overwritten.

use super::{
    backup, migrations,
    open::{Check, OpenError, connect, inspect, read_fault, unreachable},
    page,
    recent::{Recent, View},
    row::Key,
};
use crate::domain::Timestamp;
use rusqlite::{Connection, OpenFlags, config::DbConfig};
use std::{
    ffi::OsString,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};
use uuid::Uuid;

/// What a database has beside itself while it is in use, and after a crash.
const COMPANIONS: [&str; 2] = ["-wal", "-shm"];

/// What was brought back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    pub sessions: u64,
    pub events: u64,
    pub bytes: u64,
    /// Where that is now which was in the database's place.
    pub replaced: Option<PathBuf>,
}

/// Why a backup was not restored; the database is as it was.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The backup is damaged, of another program, of a newer version, or not to be read.
    #[error("not restored: {0}")]
    Backup(#[from] OpenError),
    #[error("not restored: {0}")]
    Copy(#[from] crate::store::StoreError),
    #[error("not restored: {}: {error}", path.display())]
    Place { path: PathBuf, error: io::Error },
}

/// Puts a copy of `backup` into the place of `database`. The copy has an identity of its own: events that clients saw
/// after the backup are not in it, so that their cursors must not be taken for places in it.
pub fn restore(backup: &Path, database: &Path, now: Timestamp) -> Result<Restored, RestoreError> {
    let partial = beside(database, ".restoring");
    let made = copy(backup, &partial).and_then(|restored| {
        let replaced = set_in_place(&partial, database, now)?;
        Ok(Restored { replaced, ..restored })
    });
    if made.is_err() {
        // The next attempt removes it where this one cannot.
        let _ = fs::remove_file(&partial);
    }
    made
}

/// A sound copy with a new identity, on disk.
fn copy(backup: &Path, partial: &Path) -> Result<Restored, RestoreError> {
    if let Err(error) = fs::metadata(backup) {
        return Err(RestoreError::Place { path: backup.to_owned(), error });
    }
    let fault = |error| read_fault(backup, error);
    let conn = connect(backup, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(fault)?;
    // An empty file would be a sound start of a log, but is nobody's backup.
    let version = inspect(backup, &conn, Check::Whole)?;
    if version == 0 {
        let detail = "it is empty".into();
        return Err(OpenError::Damaged { path: backup.to_owned(), detail }.into());
    }
    drop(conn);
    backup::copy(backup, partial)?;
    let fault = |error| read_fault(partial, error);
    let conn = connect(partial, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(fault)?;
    migrations::migrate(&conn, version).map_err(fault)?;
    let id = Uuid::new_v4().into_bytes();
    let changed = conn.execute("UPDATE meta SET value = ?1 WHERE name = 'store_id'", [id]);
    changed.map_err(fault)?;
    let (sessions, events) = count(&conn).map_err(fault)?;
    conn.close().map_err(|(_, error)| fault(error))?;
    let file = File::open(partial).and_then(|file| file.sync_all().map(|()| file));
    let bytes = file.and_then(|file| file.metadata()).map_err(|error| unreachable(partial, &error));
    Ok(Restored { sessions, events, bytes: bytes?.len(), replaced: None })
}

/// How many sessions and events there are.
fn count(conn: &Connection) -> rusqlite::Result<(u64, u64)> {
    let recent = Recent::load(conn)?;
    let view = View::of_writer(conn, &recent);
    let (mut sessions, mut events) = (0, 0);
    let mut statement = conn.prepare("SELECT k FROM sessions")?;
    for key in statement.query_map([], |row| row.get(0).map(Key))? {
        let (first, head) = page::extent(&view, key?)?;
        sessions += 1;
        events += head.0 + 1 - first.0;
    }
    Ok((sessions, events))
}

/// Exchanges the two, so that at no moment there is no database; then gives the old one its name.
fn set_in_place(
    partial: &Path,
    database: &Path,
    now: Timestamp,
) -> Result<Option<PathBuf>, RestoreError> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    let at = |path: &Path| {
        let path = path.to_owned();
        move |error: io::Error| RestoreError::Place { path: path.clone(), error }
    };
    if fs::symlink_metadata(database).is_err() {
        fs::rename(partial, database).map_err(at(database))?;
        sync_folder(database).map_err(at(database))?;
        return Ok(None);
    }
    let aside = beside(database, &format!(".replaced-{}", name_of(now)));
    fold_in(database);
    // A database that is too damaged to be opened keeps its companions; beside another one they would be taken for its own.
    for companion in COMPANIONS {
        match fs::rename(beside(database, companion), beside(&aside, companion)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(at(&beside(database, companion))(error));
            }
            _ => {}
        }
    }
    renameat_with(CWD, partial, CWD, database, RenameFlags::EXCHANGE)
        .map_err(|error| at(database)(error.into()))?;
    fs::rename(partial, &aside).map_err(at(&aside))?;
    sync_folder(database).map_err(at(database))?;
    Ok(Some(aside))
}

/// Copies a write-ahead log into its database, where both are sound. Else both stay as they are.
fn fold_in(database: &Path) {
    let folded = connect(database, OpenFlags::SQLITE_OPEN_READ_WRITE).and_then(|conn| {
        // Closing would remove a log that could not be read.
        conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
    });
    if let Err(error) = folded {
        log::info!(error:%; "the former database is set aside with its write-ahead log");
    }
}

pub(super) fn beside(database: &Path, ending: &str) -> PathBuf {
    let mut name: OsString = database.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

fn sync_folder(of: &Path) -> io::Result<()> {
    of.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

/// A time as part of a file's name.
fn name_of(time: Timestamp) -> String {
    let text = time.to_string();
    text.chars().filter(|char| char.is_ascii_alphanumeric()).collect()
}
