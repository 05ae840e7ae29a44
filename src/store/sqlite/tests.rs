//! What only the SQLite backend does: which files it opens, and how it meets a disk or a thread that fails.
//! The laws that hold for every backend are in the conformance suite.

mod faults;
mod opening;
mod packing;
mod restoring;

use super::{
    Durability, OpenError, RECENT_BYTES, SqliteLog, SqliteOptions,
    gate::{Job, Write},
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
    let mut statement = conn.prepare("SELECT runs FROM recent").unwrap();
    let counts = |runs: Vec<u8>| {
        let count = |entry: &[u8]| u32::from_le_bytes(entry[12..16].try_into().unwrap());
        runs.chunks_exact(20).map(|entry| u64::from(count(entry))).sum::<u64>()
    };
    let rows = statement.query_map([], |row| row.get(0)).unwrap();
    rows.map(|runs| counts(runs.unwrap())).sum()
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
