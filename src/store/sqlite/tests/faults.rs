//! Faults while it runs: a full disk, a file that went away, a full queue, a writer that dies.

use super::{folder, hold_up, inject, open, options, packed_events, recent_events};
use crate::store::{
    EventLog, StoreError,
    conformance::sample,
    sqlite::{SqliteLog, SqliteOptions, sweep},
};
use futures_util::FutureExt;
use rusqlite::Connection;
use std::{
    fs,
    sync::{Arc, mpsc},
    time::Duration,
};
use tokio::sync::Notify;

fn unavailable<T: std::fmt::Debug>(result: Result<T, StoreError>) -> String {
    match result {
        Err(StoreError::Unavailable(reason)) => reason,
        other => panic!("{other:?}"),
    }
}

/// Lets the database have no more pages than it has: SQLite then fails as it does when the disk is full.
fn fill_disk(conn: &Connection) {
    conn.query_row("PRAGMA max_page_count = 1", [], |row| row.get::<_, i64>(0)).unwrap();
}

fn free_disk(conn: &Connection) {
    conn.query_row("PRAGMA max_page_count = 1000000", [], |row| row.get::<_, i64>(0)).unwrap();
}

#[tokio::test]
async fn a_full_disk_leaves_nothing_half_there_and_writing_goes_on_when_there_is_space() {
    let (_folder, path) = folder();
    let log = open(&path).unwrap();
    sample::make(&log, 1).await;
    let notify = Arc::new(Notify::new());
    let watch = log.watch(sample::id(1), notify.clone()).await.unwrap();
    let before = (log.session(sample::id(1)).await.unwrap(), sample::all(&log, 1).await.lines);

    inject(&log, fill_disk).await.unwrap();
    let big = || sample::output("x".repeat(100_000));
    for _ in 0..3 {
        let mut send = sample::send(1, "m", &"y".repeat(100_000));
        let mut row = sample::session(1);
        row.restarts = 9;
        send.row = Some(Arc::new(row));
        let reason = unavailable(log.append(send).await);
        assert!(reason.contains("full"), "{reason}");
        let mut create = sample::create(2);
        create.events.push(big());
        unavailable(log.create(create).await);
    }
    assert_eq!(log.session(sample::id(1)).await.unwrap(), before.0);
    assert_eq!(sample::all(&log, 1).await.lines, before.1);
    assert_eq!(log.message(sample::id(1), sample::message_id("m")).await, Ok(None));
    assert_eq!(log.session(sample::id(2)).await, Err(StoreError::Unknown));
    assert_eq!(watch.snapshot().queued, 0);
    assert_eq!(watch.head().0, 1);
    assert!(notify.notified().now_or_never().is_none(), "what was not committed was announced");

    inject(&log, free_disk).await.unwrap();
    assert_eq!(sample::add(&log, 1, vec![big()]).await, 2);
    let sent = log.append(sample::send(1, "m", "again")).await.unwrap();
    assert_eq!(sample::head(sent), 3);
    sample::make(&log, 2).await;
    assert_eq!(watch.head().0, 3);
    assert_eq!(sample::seqs(&sample::all(&log, 1).await), [1, 2, 3]);
}

#[tokio::test]
async fn a_group_that_cannot_be_committed_fails_as_a_whole_and_numbers_are_used_again() {
    let (_folder, path) = folder();
    let log = open(&path).unwrap();
    sample::make(&log, 1).await;
    // The writer is held up until all of these wait: they become one group.
    let (release, holding) = hold_up(&log);
    let small = log.append(sample::append(1, vec![sample::output("small")]));
    let full = inject(&log, fill_disk);
    let big = log.append(sample::append(1, vec![sample::output("x".repeat(100_000))]));
    let last = log.append(sample::append(1, vec![sample::output("never tried")]));
    release.send(()).unwrap();
    holding.await.unwrap();
    unavailable(small.await);
    unavailable(full.await);
    unavailable(big.await);
    unavailable(last.await);
    assert_eq!(sample::seqs(&sample::all(&log, 1).await), [1]);
    inject(&log, free_disk).await.unwrap();
    assert_eq!(sample::add(&log, 1, vec![sample::output("x".repeat(100_000))]).await, 2);
}

#[tokio::test]
async fn a_session_with_something_damaged_fails_the_group_once_and_from_then_on_alone() {
    let (_folder, path) = folder();
    let log = open(&path).unwrap();
    for number in [1, 2] {
        sample::make(&log, number).await;
    }
    log.append(sample::send(1, "m", "hello")).await.unwrap();
    let damage = |conn: &Connection| {
        conn.execute("UPDATE messages SET status = 9", []).unwrap();
    };
    inject(&log, damage).await.unwrap();
    for round in 0..2 {
        // Held up, so that these become one group.
        let (release, holding) = hold_up(&log);
        let before = log.append(sample::append(2, vec![sample::output("before")]));
        let damaged = log.append(sample::send(1, "m", "hello"));
        let after = log.append(sample::append(2, vec![sample::output("after")]));
        release.send(()).unwrap();
        holding.await.unwrap();
        let damaged = damaged.await;
        assert!(matches!(damaged, Err(StoreError::Damaged(_))), "{damaged:?}");
        match round {
            0 => {
                unavailable(before.await);
                unavailable(after.await);
            }
            _ => {
                assert_eq!(sample::head(before.await.unwrap()), 2);
                assert_eq!(sample::head(after.await.unwrap()), 3);
            }
        }
    }
    assert_eq!(sample::seqs(&sample::all(&log, 2).await), [1, 2, 3]);
}

#[tokio::test]
async fn a_database_that_another_process_has_locked_fails_the_probe_until_it_is_free() {
    let (_folder, path) = folder();
    let log = open(&path).unwrap();
    sample::make(&log, 1).await;
    // Waiting for the lock is SQLite's; here it need not take its time.
    inject(&log, |conn| conn.busy_timeout(Duration::ZERO).unwrap()).await.unwrap();
    let other = Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let reason = unavailable(log.probe().await);
    assert!(reason.contains("locked"), "{reason}");
    unavailable(log.append(sample::append(1, vec![sample::output("a")])).await);
    unavailable(log.delete(sample::id(1)).await);
    assert_eq!(sample::all(&log, 1).await.lines.len(), 1, "reading goes on");
    other.execute_batch("ROLLBACK").unwrap();
    log.probe().await.unwrap();
    assert_eq!(sample::add(&log, 1, vec![sample::output("a")]).await, 2);
}

#[tokio::test]
async fn nothing_is_acknowledged_into_a_file_that_was_moved_away() {
    let (folder, path) = folder();
    let log = open(&path).unwrap();
    sample::make(&log, 1).await;
    let away = folder.path().join("away.db");
    fs::rename(&path, &away).unwrap();
    let reason = unavailable(log.append(sample::append(1, vec![sample::output("a")])).await);
    assert!(reason.contains("log.db was moved"), "{reason}");
    fs::write(&path, "another file").unwrap();
    unavailable(log.probe().await);
    fs::rename(&away, &path).unwrap();
    assert_eq!(sample::add(&log, 1, vec![sample::output("a")]).await, 2);
}

#[tokio::test]
async fn a_writer_that_panics_ends_the_log_and_keeps_what_was_acknowledged() {
    let (_folder, path) = folder();
    let log = open(&path).unwrap();
    sample::make(&log, 1).await;
    let ended = log.closed();
    let lost = log.append(sample::append(1, vec![sample::output("maybe")]));
    let acknowledged = lost.await.is_ok();
    unavailable(inject(&log, |_| panic!("injected")).await);
    ended.await;
    unavailable(log.append(sample::append(1, vec![sample::output("late")])).await);
    unavailable(log.probe().await);
    unavailable(log.session(sample::id(1)).await);
    unavailable(log.close().await);
    drop(log);
    let log = open(&path).unwrap();
    assert_eq!(sample::all(&log, 1).await.lines.len(), 1 + usize::from(acknowledged));
}

#[tokio::test]
async fn a_full_queue_is_an_answer_and_not_a_wait() {
    let (_folder, path) = folder();
    let log = SqliteLog::open(&SqliteOptions { queue: 2, ..options(&path) }).unwrap();
    sample::make(&log, 1).await;
    let (release, holding) = hold_up(&log);
    let waiting: Vec<_> =
        (0..2).map(|_| log.append(sample::append(1, vec![sample::output("a")]))).collect();
    // Answered while the writer is still held up.
    let reason = unavailable(log.append(sample::append(1, vec![sample::output("b")])).await);
    assert!(reason.contains("2 calls wait already"), "{reason}");
    release.send(()).unwrap();
    holding.await.unwrap();
    for (pending, head) in waiting.into_iter().zip(2..) {
        assert_eq!(sample::head(pending.await.unwrap()), head);
    }
    assert_eq!(sample::add(&log, 1, vec![sample::output("c")]).await, 4);
}

#[tokio::test]
async fn more_bytes_than_may_wait_are_refused_at_once() {
    let (_folder, path) = folder();
    let log = open(&path).unwrap();
    sample::make(&log, 1).await;
    let (release, holding) = hold_up(&log);
    let send = |message: &str| {
        let mut send = sample::send(1, message, "text");
        let content = vec![b'x'; 40 * 1024 * 1024];
        send.accept.as_mut().unwrap().content = content.into();
        log.append(send)
    };
    let first = send("a");
    let reason = unavailable(send("b").await);
    assert!(reason.contains("bytes wait already"), "{reason}");
    release.send(()).unwrap();
    holding.await.unwrap();
    assert_eq!(sample::head(first.await.unwrap()), 2);
    assert_eq!(sample::head(send("b").await.unwrap()), 3);
}

/// How many events there are in both tables.
fn events(conn: &Connection) -> i64 {
    (recent_events(conn) + packed_events(conn)) as i64
}

fn rows(conn: &Connection, table: &str) -> i64 {
    let sql = format!("SELECT count(*) FROM {table}");
    conn.query_row(&sql, [], |row| row.get(0)).unwrap()
}

/// Two sessions of 602 events and a waiting message each.
async fn two_long_sessions(log: &SqliteLog) {
    for number in [1, 2] {
        sample::make(log, number).await;
        let events = (0..600).map(|n| sample::output(n.to_string())).collect();
        sample::add(log, number, events).await;
        log.append(sample::send(number, "m", "hello")).await.unwrap();
    }
}

#[tokio::test]
async fn what_a_deleted_session_left_is_removed_behind_it() {
    let (_folder, path) = folder();
    let log = open(&path).unwrap();
    two_long_sessions(&log).await;
    log.delete(sample::id(1)).await.unwrap();
    // Each answer gives the writer a moment without work.
    loop {
        let (answer, counted) = mpsc::channel();
        inject(&log, move |conn| {
            let counts = ["messages", "queue"].map(|table| rows(conn, table));
            answer.send((events(conn), counts)).unwrap();
        })
        .await
        .unwrap();
        if counted.recv().unwrap() == (602, [1, 1]) {
            break;
        }
    }
    assert_eq!(sample::all(&log, 2).await.lines.len(), 602);
}

#[test]
fn a_sweep_that_a_death_cut_short_goes_on_where_it_was() {
    let (_folder, path) = folder();
    drop(open(&path).unwrap());
    let conn = Connection::open(&path).unwrap();
    conn.execute_batch(
        "INSERT INTO deleted (id, k) VALUES (x'01', 7);
         INSERT INTO packed (id, count, lines) VALUES (7 << 32 | 9, 1, x'00'), (8 << 32 | 1, 1, x'00');",
    )
    .unwrap();
    while sweep::portion(&conn).unwrap() {}
    assert_eq!((events(&conn), rows(&conn, "deleted")), (1, 1));
    assert!(!sweep::portion(&conn).unwrap());
}

#[tokio::test]
async fn a_session_that_has_as_many_events_as_it_can_is_refused_alone() {
    let (_folder, path) = folder();
    let log = open(&path).unwrap();
    for number in [1, 2] {
        sample::make(&log, number).await;
    }
    log.close().await.unwrap();
    let conn = Connection::open(&path).unwrap();
    let row = "SELECT runs FROM recent WHERE n = 1";
    let mut runs: Vec<u8> = conn.query_row(row, [], |row| row.get(0)).unwrap();
    runs[8..12].copy_from_slice(&(u32::MAX - 1).to_le_bytes());
    conn.execute("UPDATE recent SET runs = ?1 WHERE n = 1", [runs]).unwrap();
    drop(conn);
    let log = open(&path).unwrap();
    let two = || vec![sample::output("a"), sample::output("b")];
    let reason = unavailable(log.append(sample::append(1, two())).await);
    assert!(reason.contains("4294967295 at most"), "{reason}");
    assert_eq!(sample::add(&log, 2, two()).await, 3);
    assert_eq!(sample::add(&log, 1, vec![sample::output("last")]).await, 4_294_967_295);
    unavailable(log.append(sample::append(1, vec![sample::output("over")])).await);
    assert_eq!(sample::seqs(&sample::all(&log, 2).await), [1, 2, 3]);
}
