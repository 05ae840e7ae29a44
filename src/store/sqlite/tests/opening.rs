//! Opening: sound files are used, all others are refused and left as they were.

use super::{folder, open, options};
use crate::{
    domain::Seq,
    store::{
        EventLog,
        conformance::sample,
        sqlite::{OpenError, SqliteLog, SqliteOptions, migrations, row::EncodedRow},
    },
};
use rusqlite::Connection;
use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs,
    os::unix::fs::{FileExt, PermissionsExt},
    path::Path,
};

/// The files of a folder, but for SQLite's index of the write-ahead log, which is a cache.
fn files(folder: &Path) -> BTreeMap<OsString, Vec<u8>> {
    fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| !entry.file_name().to_string_lossy().ends_with("-shm"))
        .map(|entry| (entry.file_name(), fs::read(entry.path()).unwrap()))
        .collect()
}

fn refused(path: &Path) -> OpenError {
    let before = files(path.parent().unwrap());
    let error = open(path).expect_err("it must be refused");
    assert!(files(path.parent().unwrap()) == before, "a refused file was changed");
    assert!(error.to_string().contains(&path.display().to_string()), "{error}");
    error
}

/// They come by one variable, which `.cargo/config.toml` sets for every build; not all of them can be asked for.
#[test]
fn sqlite_is_built_as_this_project_builds_it() {
    let connection = Connection::open_in_memory().unwrap();
    let mut options = connection.prepare("PRAGMA compile_options").unwrap();
    let options = options.query_map([], |row| row.get::<_, String>(0)).unwrap();
    assert!(options.map(Result::unwrap).any(|option| option == "DEFAULT_MEMSTATUS=0"));
}

/// A closed database of one session with many events.
async fn make(path: &Path) {
    let log = open(path).unwrap();
    sample::make(&log, 1).await;
    let events = (0..200).map(|n| sample::output(format!("{n} {}", "x".repeat(500)))).collect();
    sample::add(&log, 1, events).await;
    log.close().await.unwrap();
}

#[tokio::test]
async fn the_files_can_be_read_by_their_owner_alone() {
    let (folder, path) = folder();
    let log = open(&path).unwrap();
    sample::make(&log, 1).await;
    let mut names = Vec::new();
    for entry in fs::read_dir(folder.path()).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{entry:?}");
        names.push(entry.file_name());
    }
    assert_eq!(names.len(), 3, "{names:?}");
}

#[tokio::test]
async fn a_database_with_a_broken_page_is_refused_and_left_as_it_was() {
    let (_folder, path) = folder();
    make(&path).await;
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    let middle = file.metadata().unwrap().len() / 2 / 4096 * 4096;
    file.write_all_at(&[0xa5; 4096], middle).unwrap();
    let error = refused(&path);
    assert!(matches!(error, OpenError::Damaged { .. }), "{error}");
    assert!(error.to_string().contains("restore a backup"), "{error}");
}

#[tokio::test]
async fn newest_events_that_are_not_what_their_row_says_are_refused_at_the_start() {
    let (_folder, path) = folder();
    make(&path).await;
    let conn = Connection::open(&path).unwrap();
    assert!(conn.execute("UPDATE recent SET lines = zeroblob(length(lines) + 1)", []).unwrap() > 0);
    drop(conn);
    let error = refused(&path);
    assert!(matches!(error, OpenError::Damaged { .. }), "{error}");
}

#[tokio::test]
async fn a_damaged_database_is_left_as_it_was_with_its_write_ahead_log() {
    let (_folder, path) = folder();
    make(&path).await;
    // A server that died leaves a log that was not copied into the database.
    let (_other, copy) = folder_with_a_crash(&path).await;
    let file = fs::OpenOptions::new().write(true).open(&copy).unwrap();
    let middle = file.metadata().unwrap().len() / 2 / 4096 * 4096;
    file.write_all_at(&[0xa5; 4096], middle).unwrap();
    let error = refused(&copy);
    assert!(matches!(error, OpenError::Damaged { .. }), "{error}");
}

/// A copy of what is on disk while the database at `path` is open and has just been written to.
async fn folder_with_a_crash(path: &Path) -> (tempfile::TempDir, std::path::PathBuf) {
    let log = open(path).unwrap();
    sample::make(&log, 2).await;
    let (copies, copy) = folder();
    for (name, bytes) in files(path.parent().unwrap()) {
        fs::write(copies.path().join(name), bytes).unwrap();
    }
    log.close().await.unwrap();
    (copies, copy)
}

#[tokio::test]
async fn what_was_acknowledged_is_there_after_a_death_without_a_close() {
    let (_folder, path) = folder();
    make(&path).await;
    let (copies, copy) = folder_with_a_crash(&path).await;
    assert!(files(copies.path()).len() == 2, "the write-ahead log is part of the copy");
    let log = open(&copy).unwrap();
    assert_eq!(sample::all(&log, 1).await.lines.len(), 201);
    assert_eq!(sample::all(&log, 2).await.lines.len(), 1);
    assert_eq!(sample::add(&log, 2, vec![sample::output("on")]).await, 2);
}

#[test]
fn a_file_that_is_no_database_is_refused() {
    let (_folder, path) = folder();
    fs::write(&path, "my only copy of a novel\n".repeat(500)).unwrap();
    let error = refused(&path);
    assert!(matches!(error, OpenError::Damaged { .. }), "{error}");
}

#[test]
fn the_database_of_another_program_is_refused() {
    for sql in [
        "PRAGMA application_id = 42",
        "CREATE TABLE recipes (name TEXT)",
        "PRAGMA application_id = 42; CREATE TABLE recipes (name TEXT)",
    ] {
        let (_folder, path) = folder();
        Connection::open(&path).unwrap().execute_batch(sql).unwrap();
        let error = refused(&path);
        assert!(matches!(error, OpenError::Foreign { .. }), "{sql}: {error}");
    }
}

#[tokio::test]
async fn a_database_of_a_newer_version_is_refused() {
    let (_folder, path) = folder();
    make(&path).await;
    let newer = migrations::newest() + 1;
    Connection::open(&path).unwrap().pragma_update(None, "user_version", newer).unwrap();
    let error = refused(&path);
    assert!(matches!(error, OpenError::Newer { found, .. } if found == newer), "{error}");
}

#[test]
fn an_empty_file_becomes_a_database() {
    let (_folder, path) = folder();
    fs::write(&path, "").unwrap();
    open(&path).unwrap();
    open(&path).unwrap();
}

#[test]
fn a_folder_that_is_not_there_is_named_with_the_cause() {
    let (folder, _) = folder();
    let path = folder.path().join("nowhere").join("log.db");
    let error = open(&path).unwrap_err();
    assert!(matches!(error, OpenError::Unreachable { .. }), "{error}");
    assert!(error.to_string().contains("nowhere/log.db: No such file"), "{error}");
    // A folder in the place of the file is no database either.
    let error = open(folder.path()).unwrap_err();
    assert!(matches!(error, OpenError::Unreachable { .. }), "{error}");
}

#[tokio::test]
async fn numbers_of_threads_and_places_below_one_count_as_one() {
    let (_folder, path) = folder();
    let options = SqliteOptions { readers: 0, queue: 0, ..options(&path) };
    let log = SqliteLog::open(&options).unwrap();
    sample::make(&log, 1).await;
    assert_eq!(sample::all(&log, 1).await.lines.len(), 1);
}

#[tokio::test]
async fn a_database_of_every_earlier_version_is_brought_up_and_keeps_what_it_has() {
    for version in 1..migrations::newest() {
        let (_folder, path) = folder();
        let conn = Connection::open(&path).unwrap();
        migrations::migrate_to(&conn, 0, version).unwrap();
        let row = EncodedRow::new(&sample::session(1));
        let id = sample::id(1);
        conn.execute(
            "INSERT INTO sessions (id, state, agent, search, updated_at, row)
                VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            (id.as_uuid().as_bytes(), row.state, row.agent, row.search, row.updated_at, row.json),
        )
        .unwrap();
        let line = sample::created().encoded.line(id, Seq(1));
        let second = sample::output("second").encoded.line(id, Seq(2));
        for (seq, line) in [(1, &line), (2, &second)] {
            conn.execute(
                "INSERT INTO events VALUES (?1, 'session.state', ?2)",
                (1_i64 << 32 | seq, line),
            )
            .unwrap();
        }
        drop(conn);

        let log = open(&path).unwrap();
        let page = sample::all(&log, 1).await;
        let lines: Vec<_> = page.lines.iter().map(|line| &line.bytes[..]).collect();
        assert_eq!((page.head, lines), (Seq(2), vec![&line[..], &second[..]]), "version {version}");
        assert_eq!(*log.session(id).await.unwrap().session, sample::session(1));
        assert_eq!(sample::add(&log, 1, vec![sample::output("next")]).await, 3);
    }
}

#[tokio::test]
async fn a_new_database_and_a_copy_of_an_old_one_can_give_space_back() {
    let vacuum = |path: &Path| -> i64 {
        let conn = Connection::open(path).unwrap();
        conn.pragma_query_value(None, "auto_vacuum", |row| row.get(0)).unwrap()
    };
    const INCREMENTAL: i64 = 2;
    let (_folder, path) = folder();
    make(&path).await;
    assert_eq!(vacuum(&path), INCREMENTAL);
    let (_folder, path) = folder();
    let conn = Connection::open(&path).unwrap();
    migrations::migrate_to(&conn, 0, 1).unwrap();
    drop(conn);
    assert_eq!(vacuum(&path), 0);
    let log = open(&path).unwrap();
    let copy = path.with_extension("copy");
    log.backup(copy.clone()).await.unwrap();
    assert_eq!(vacuum(&copy), INCREMENTAL);
}
