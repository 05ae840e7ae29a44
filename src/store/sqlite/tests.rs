//! What only the SQLite backend does: which files it opens, and how it meets a disk or a thread that fails.
//! The laws that hold for every backend are in the conformance suite.

mod faults;
mod opening;
mod packing;
mod restoring;

use super::{
    Durability, OpenError, RECENT_BYTES, SqliteLog, SqliteOptions,
    gate::{Job, Write},
    recent::Row,
};
use crate::store::Pending;
use rusqlite::Connection;
use std::{
    path::{Path, PathBuf},
    sync::mpsc,
};
use tempfile::TempDir;

pub(super) fn folder() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.db");
    (folder, path)
}

fn options(path: &Path) -> SqliteOptions {
    SqliteOptions {
        path: path.to_owned(),
        durability: Durability::Normal,
        readers: 1,
        queue: 64,
        recent_bytes: RECENT_BYTES,
    }
}

fn open(path: &Path) -> Result<SqliteLog, OpenError> {
    SqliteLog::open(&options(path))
}

/// How many events are in the table `recent`, also such as are packed or deleted.
fn recent_events(conn: &Connection) -> u64 {
    let mut statement = conn.prepare("SELECT runs, lines FROM recent").unwrap();
    let row = |row: &rusqlite::Row<'_>| Ok(Row { runs: row.get(0)?, lines: row.get(1)? });
    let rows = statement.query_map([], row).unwrap().map(|row| row.unwrap().read(0).unwrap());
    rows.flatten().map(|(_, run)| u64::from(run.span.count)).sum()
}

fn packed_events(conn: &Connection) -> u64 {
    let sql = "SELECT coalesce(sum(count), 0) FROM packed";
    conn.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap().unsigned_abs()
}

/// Runs `fault` in the writer, within a group's transaction.
fn inject(log: &SqliteLog, fault: impl FnOnce(&Connection) + Send + 'static) -> Pending<()> {
    let (answer, pending) = Pending::new();
    log.gate.write(Job::Write(Write::Inject(Box::new(fault), answer)));
    pending
}

/// Holds the writer up in the middle of a group until it is released; what is asked meanwhile becomes one group.
fn hold_up(log: &SqliteLog) -> (mpsc::Sender<()>, Pending<()>) {
    let (release, held) = mpsc::channel();
    let (entered, is_held) = mpsc::channel();
    let holding = inject(log, move |_| {
        entered.send(()).unwrap();
        held.recv().unwrap();
    });
    is_held.recv().unwrap();
    (release, holding)
}
