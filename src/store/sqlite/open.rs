//! Opening: is the file ours, whole and of a version we know? Only then is anything in it changed.

use super::{
    Durability, SqliteLog, SqliteOptions,
    backup::Backups,
    compact, file,
    gate::{Gate, Read},
    migrations,
    recent::Recent,
    writer::{self, Shared, Writer},
};
use crate::{domain::StoreId, metrics::StoreMetrics};
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, config::DbConfig};
use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, mpsc::Receiver},
    thread,
    time::Duration,
};
use tokio::sync::watch;
use uuid::Uuid;

/// How long a statement waits for a lock that another process holds (a backup tool, a shell).
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// What a burst leaves of the write-ahead log on disk.
const WAL_KEPT_BYTES: i64 = 64 * 1024 * 1024;
/// A database up to this size is checked whole when it is opened; of a larger one what everything else needs, and its
/// events are checked when they are read: a start must not take longer the more there is.
const CHECKED_WHOLE_BYTES: i64 = 64 * 1024 * 1024;
/// What is checked in any case. Each is small, however many events there are.
const CORE_TABLES: [&str; 5] = ["meta", "sessions", "deleted", "queue", "recent"];
/// Statements kept prepared per connection: more than there are.
const STATEMENTS: usize = 64;

/// Why the log cannot be used. A file that was refused is as it was.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Also where another process holds a lock on it.
    #[error("cannot open the database {path}: {cause}")]
    Unreachable { path: PathBuf, cause: String },
    #[error(
        "the database {path} is damaged ({detail}); nothing was changed: move it away, with its -wal and -shm files, and restore a backup"
    )]
    Damaged { path: PathBuf, detail: String },
    #[error(
        "{path} is a database of another program (application id {application_id:#x}); nothing was changed: set store.path to another file"
    )]
    Foreign { path: PathBuf, application_id: i32 },
    #[error(
        "the database {path} has version {found}, and this program knows versions up to {known}; nothing was changed: run the newer program"
    )]
    Newer { path: PathBuf, found: i64, known: i64 },
    #[error("cannot start a thread of the store: {0}")]
    Thread(io::Error),
}

pub(super) fn open(options: &SqliteOptions) -> Result<SqliteLog, OpenError> {
    let path = &options.path;
    let fault = |error| read_fault(path, error);
    file::make(path).map_err(|error| unreachable(path, &error))?;
    let conn = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(fault)?;
    let version = inspect(path, &conn, Check::Core)?;
    let store_id = prepare(&conn, version, options.durability).map_err(fault)?;
    let identity = file::Identity::of(path).map_err(|error| unreachable(path, &error))?;

    let recent = Arc::new(Recent::load(&conn).map_err(fault)?);
    let shared = Shared { recent, ..Shared::default() };
    let (gate, jobs, reads) = Gate::new(options.queue, Arc::clone(&shared.metrics));
    let gate = Arc::new(gate);
    let reads = Arc::new(Mutex::new(reads));
    for number in 0..options.readers.max(1) {
        let conn = connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(fault)?;
        let (reads, metrics) = (Arc::clone(&reads), Arc::clone(&shared.metrics));
        spawn(format!("log-reader-{number}"), move || read_all(&conn, &reads, &metrics))?;
    }
    let (running, ended) = watch::channel(());
    let writer = Writer::new(conn, identity, jobs, shared.clone(), options).map_err(fault)?;
    let weak_gate = Arc::downgrade(&gate);
    spawn("log-writer".into(), move || writer::run(writer, weak_gate, running))?;
    let backups = Backups::of(path.clone());
    let Shared { feeds, metrics, recent } = shared;
    Ok(SqliteLog { store_id, gate, feeds, metrics, recent, backups, writer: ended })
}

fn spawn(name: String, body: impl FnOnce() + Send + 'static) -> Result<(), OpenError> {
    thread::Builder::new().name(name).spawn(body).map(drop).map_err(OpenError::Thread)
}

pub(super) fn connect(path: &Path, access: OpenFlags) -> rusqlite::Result<Connection> {
    // No `SQLITE_OPEN_URI`: a path is a path. No mutex: a connection never leaves its thread.
    let conn = Connection::open_with_flags(path, access | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    conn.busy_timeout(BUSY_TIMEOUT)?;
    conn.set_prepared_statement_cache_capacity(STATEMENTS);
    conn.pragma_update(None, "trusted_schema", false)?;
    conn.pragma_update(None, "cell_size_check", true)?;
    Ok(conn)
}

/// How much of a large database is looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Check {
    Whole,
    Core,
}

/// Looks without touching. The version of the database; 0 where it is empty.
pub(super) fn inspect(path: &Path, conn: &Connection, check: Check) -> Result<i64, OpenError> {
    let fault = |error| read_fault(path, error);
    // Else closing the connection would copy what a crash left in the write-ahead log into a file that we refuse.
    // Without such a log there is nothing to copy, and closing takes away the empty one that reading made.
    let keeps_log = file::has_write_ahead_log(path);
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, keeps_log).map_err(fault)?;
    let number = |sql| conn.query_row(sql, [], |row| row.get::<_, i64>(0)).map_err(fault);
    let version = number("PRAGMA user_version")?;
    let application_id = number("PRAGMA application_id")? as i32;
    let is_empty = number("SELECT NOT EXISTS (SELECT 1 FROM sqlite_schema)")? == 1;
    if application_id != migrations::APPLICATION_ID && !(application_id == 0 && is_empty) {
        return Err(OpenError::Foreign { path: path.to_owned(), application_id });
    }
    if version > migrations::newest() {
        let (path, known) = (path.to_owned(), migrations::newest());
        return Err(OpenError::Newer { path, found: version, known });
    }
    let bytes = number("PRAGMA page_count")? * number("PRAGMA page_size")?;
    // Tables that a former version did not have are not there to be checked.
    let tables: Vec<String> = match check == Check::Whole || bytes <= CHECKED_WHOLE_BYTES {
        true => vec!["1".into()],
        false => tables(conn).map_err(fault)?,
    };
    for table in tables {
        let sql = format!("PRAGMA quick_check({table})");
        let verdict: String = conn.query_row(&sql, [], |row| row.get(0)).map_err(fault)?;
        if verdict != "ok" {
            return Err(OpenError::Damaged { path: path.to_owned(), detail: verdict });
        }
    }
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false).map_err(fault)?;
    Ok(version)
}

fn tables(conn: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut statement = conn.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'")?;
    let names = statement.query_map([], |row| row.get::<_, String>(0))?;
    let is_core = |name: &String| CORE_TABLES.contains(&name.as_str());
    names.filter(|name| name.as_ref().map_or(true, is_core)).collect()
}

/// Brings a sound database into use: journal, version, identity.
fn prepare(conn: &Connection, version: i64, durability: Durability) -> rusqlite::Result<StoreId> {
    if version == 0 {
        compact::prepare(conn)?;
    }
    conn.pragma_update_and_check(None, "journal_mode", "wal", |row| {
        let mode: String = row.get(0)?;
        if mode == "wal" { Ok(()) } else { Err(no_wal(&mode)) }
    })?;
    set_durability(conn, durability)?;
    conn.pragma_update_and_check(None, "journal_size_limit", WAL_KEPT_BYTES, |_| Ok(()))?;
    migrations::migrate(conn, version)?;

    let known = conn
        .query_row("SELECT value FROM meta WHERE name = 'store_id'", [], |row| {
            row.get::<_, [u8; 16]>(0)
        })
        .optional()?;
    let id = known.unwrap_or_else(|| Uuid::new_v4().into_bytes());
    if known.is_none() {
        conn.execute("INSERT INTO meta (name, value) VALUES ('store_id', ?1)", [id])?;
    }
    Ok(StoreId::from_uuid(Uuid::from_bytes(id)))
}

/// What a commit waits for, from the next one on.
pub(super) fn set_durability(conn: &Connection, durability: Durability) -> rusqlite::Result<()> {
    let synchronous = match durability {
        Durability::Full => "full",
        Durability::Normal => "normal",
    };
    conn.pragma_update(None, "synchronous", synchronous)
}

fn no_wal(mode: &str) -> rusqlite::Error {
    let text = format!("the file system allows journal mode {mode} only, and wal is needed");
    rusqlite::Error::SqliteFailure(
        rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CANTOPEN),
        Some(text),
    )
}

pub(super) fn unreachable(path: &Path, error: &io::Error) -> OpenError {
    OpenError::Unreachable {
        path: path.to_owned(),
        cause: format!("{error}; its folder must exist and this user must be able to write there"),
    }
}

pub(super) fn read_fault(path: &Path, error: rusqlite::Error) -> OpenError {
    let path = path.to_owned();
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            OpenError::Damaged { path, detail: error.to_string() }
        }
        _ => OpenError::Unreachable { path, cause: error.to_string() },
    }
}

/// A reader's life: one read after the other, until the gate is closed and the queue is empty.
fn read_all(conn: &Connection, reads: &Mutex<Receiver<Read>>, metrics: &StoreMetrics) {
    loop {
        // Held while waiting, and not while reading: the readers take turns at the queue.
        let next = reads.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(read) = next else { return };
        metrics.waiting_reads.subtract(1);
        read(Ok(conn));
    }
}
