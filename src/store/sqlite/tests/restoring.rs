//! Backups that come back, and what must never happen on the way.

use super::{folder, open};
use crate::{
    domain::Timestamp,
    store::{
        Backup, EventLog,
        conformance::sample,
        sqlite::{OpenError, RestoreError, SqliteLog, restore, restore::beside},
    },
};
use std::{
    fs,
    path::{Path, PathBuf},
};

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

/// A backup of a log with one session and three events, beside the log, which has gone on since.
async fn backed_up(path: &Path) -> (SqliteLog, PathBuf) {
    let log = open(path).unwrap();
    sample::make(&log, 1).await;
    sample::add(&log, 1, vec![sample::output("one"), sample::output("two")]).await;
    let copy = beside(path, ".backup");
    assert!(matches!(log.backup(copy.clone()).await.unwrap(), Backup::Made { .. }));
    sample::add(&log, 1, vec![sample::output("later")]).await;
    (log, copy)
}

#[tokio::test]
async fn a_backup_comes_back_under_another_identity_and_the_former_database_stays() {
    let (_folder, path) = folder();
    let (log, backup) = backed_up(&path).await;
    let id = log.store_id();
    log.close().await.unwrap();
    let restored = restore(&backup, &path, NOW).unwrap();
    assert_eq!((restored.sessions, restored.events), (1, 3));
    assert_eq!(restored.bytes, fs::metadata(&path).unwrap().len());

    let log = open(&path).unwrap();
    assert_ne!(log.store_id(), id);
    assert_eq!(sample::all(&log, 1).await.lines.len(), 3);
    assert_eq!(sample::add(&log, 1, vec![sample::output("on")]).await, 4);
    log.close().await.unwrap();
    let former = open(&restored.replaced.unwrap()).unwrap();
    assert_eq!(former.store_id(), id);
    assert_eq!(sample::all(&former, 1).await.lines.len(), 4);
}

#[tokio::test]
async fn a_database_that_died_keeps_what_its_write_ahead_log_has() {
    let (_folder, path) = folder();
    let (log, backup) = backed_up(&path).await;
    // As a server that was killed leaves it: the log beside the database.
    let (_other, copy) = folder();
    for companion in ["", "-wal"] {
        fs::copy(beside(&path, companion), beside(&copy, companion)).unwrap();
    }
    drop(log);
    let restored = restore(&backup, &copy, NOW).unwrap();
    let former = open(&restored.replaced.unwrap()).unwrap();
    assert_eq!(sample::all(&former, 1).await.lines.len(), 4);
    assert_eq!(sample::all(&open(&copy).unwrap(), 1).await.lines.len(), 3);
}

#[tokio::test]
async fn a_damaged_database_is_set_aside_with_its_companions() {
    let (_folder, path) = folder();
    let (log, backup) = backed_up(&path).await;
    log.close().await.unwrap();
    fs::write(&path, "not a database any more").unwrap();
    fs::write(beside(&path, "-wal"), "nor its log").unwrap();
    let aside = restore(&backup, &path, NOW).unwrap().replaced.unwrap();
    assert_eq!(fs::read(&aside).unwrap(), b"not a database any more");
    assert_eq!(fs::read(beside(&aside, "-wal")).unwrap(), b"nor its log");
    assert_eq!(sample::all(&open(&path).unwrap(), 1).await.lines.len(), 3);
}

#[tokio::test]
async fn where_there_is_no_database_the_backup_becomes_the_first() {
    let (_folder, path) = folder();
    let (log, backup) = backed_up(&path).await;
    log.close().await.unwrap();
    let (_empty, place) = folder();
    assert_eq!(restore(&backup, &place, NOW).unwrap().replaced, None);
    assert_eq!(sample::all(&open(&place).unwrap(), 1).await.lines.len(), 3);
}

#[tokio::test]
async fn what_is_no_sound_backup_changes_nothing() {
    let (_folder, path) = folder();
    let (log, _) = backed_up(&path).await;
    log.close().await.unwrap();
    let before = fs::read(&path).unwrap();
    let bad = beside(&path, ".bad");
    assert!(matches!(restore(&bad, &path, NOW), Err(RestoreError::Place { .. })));
    assert!(!bad.exists());
    for content in ["", "my only copy of a novel"] {
        fs::write(&bad, content).unwrap();
        let refused = restore(&bad, &path, NOW).unwrap_err();
        let RestoreError::Backup(OpenError::Damaged { .. }) = refused else { panic!("{refused}") };
        assert_eq!(fs::read(&bad).unwrap(), content.as_bytes());
    }
    assert_eq!(fs::read(&path).unwrap(), before);
    assert!(!beside(&path, ".restoring").exists());
}
