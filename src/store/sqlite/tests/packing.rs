//! Events on their way from the order of the commits into the sessions' own rows: seen by readers, cut short by deaths.

use super::{folder, hold_up, inject, open, options, packed_events, recent_events};
use crate::{
    domain::Seq,
    store::{
        EventLog, Page, PageFrom, PageQuery,
        conformance::sample,
        sqlite::{SqliteLog, SqliteOptions},
    },
};
use rusqlite::Connection;
use std::{
    cell::Cell,
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

/// A log that packs whenever there is anything to pack.
fn packing(path: &Path) -> SqliteLog {
    SqliteLog::open(&SqliteOptions { recent_bytes: 0, readers: 2, ..options(path) }).unwrap()
}

fn query(number: u64, from: PageFrom, limit: usize) -> PageQuery {
    let (session, types) = (sample::id(number), Vec::new());
    PageQuery { session, from, limit, max_bytes: usize::MAX, types }
}

/// How many events are in each table.
fn counts(path: &Path) -> (u64, u64) {
    let conn = Connection::open(path).unwrap();
    (recent_events(&conn), packed_events(&conn))
}

#[track_caller]
fn assert_dense(page: &Page, from: u64, upto: u64) {
    let seqs: Vec<u64> = page.lines.iter().map(|line| line.seq.0).collect();
    assert_eq!(seqs, (from..=upto).collect::<Vec<_>>());
    for line in &page.lines {
        let text = str::from_utf8(&line.bytes).unwrap();
        assert!(text.contains(&format!("\"seq\":{},", line.seq)), "{text}");
    }
}

#[test]
fn readers_see_each_event_once_while_rows_change_their_table() {
    let (_folder, path) = folder();
    let log = Arc::new(packing(&path));
    for number in [1, 2, 3] {
        log.create(sample::create(number)).wait().unwrap();
    }
    let over = Arc::new(AtomicBool::new(false));
    let readers: Vec<_> = (0..2)
        .map(|_| {
            let (log, over) = (log.clone(), over.clone());
            thread::spawn(move || {
                let mut seen = 1;
                while !over.load(Ordering::Relaxed) {
                    let page = log.page(query(1, PageFrom::After(Seq(0)), 10_000)).wait().unwrap();
                    assert_dense(&page, 1, page.head.0);
                    assert!(page.head.0 >= seen, "{} after {seen}", page.head);
                    seen = page.head.0;
                    let newest = log.page(query(1, PageFrom::Newest, 7)).wait().unwrap();
                    assert_dense(&newest, newest.head.0.saturating_sub(6).max(1), newest.head.0);
                    let stored = log.session(sample::id(1)).wait().unwrap();
                    assert!(stored.head >= newest.head);
                }
                seen
            })
        })
        .collect();
    for round in 0..400 {
        for number in [1, 2, 3] {
            let events = (0..1 + round % 5).map(|n| sample::output("x".repeat(n * 900))).collect();
            log.append(sample::append(number, events)).wait().unwrap();
        }
    }
    over.store(true, Ordering::Relaxed);
    readers.into_iter().for_each(|reader| assert!(reader.join().unwrap() > 1));
    let head = log.session(sample::id(1)).wait().unwrap().head.0;
    assert_eq!(head, 1 + 400 * 3);
    while counts(&path).0 > 0 {
        log.probe().wait().unwrap();
    }
    assert_eq!(counts(&path), (0, 3 * head), "all is packed when there is nothing else to do");
}

#[tokio::test]
async fn a_death_at_any_moment_of_the_packing_leaves_each_event_once() {
    let (_folder, path) = folder();
    let log = packing(&path);
    for number in [1, 2] {
        sample::make(&log, number).await;
    }
    let (mut head, both) = (1, Cell::new(0));
    // At some moment an event is in both tables: the longer packing takes, the sooner that is seen.
    for round in (0..400_usize).take_while(|round| *round < 40 || both.get() == 0) {
        let events =
            (0..1 + round % 3).map(|n| sample::output("x".repeat(700 << (4 * n)))).collect();
        sample::add(&log, 1, events).await;
        head += 1 + (round % 3) as u64;
        // Between two groups: chores have done more or less of their work.
        let (release, holding) = hold_up(&log);
        let (copies, copy) = folder();
        for ending in ["", "-wal"] {
            let from = format!("{}{ending}", path.display());
            fs::copy(from, format!("{}{ending}", copy.display())).unwrap();
        }
        release.send(()).unwrap();
        holding.await.unwrap();
        let (recent, packed) = counts(&copy);
        both.set(both.get() + u64::from(recent + packed > head + 1));
        let other = open(&copy).unwrap();
        assert_dense(&sample::all(&other, 1).await, 1, head);
        assert_dense(&sample::all(&other, 2).await, 1, 1);
        assert_eq!(sample::add(&other, 1, vec![sample::output("on")]).await, head + 1);
        assert_dense(&sample::all(&other, 1).await, 1, head + 1);
        other.close().await.unwrap();
        drop(copies);
    }
    assert!(both.get() > 0, "at no moment was an event in both tables");
}

#[tokio::test]
async fn packed_rows_grow_with_what_comes_and_end_at_their_length() {
    let (_folder, path) = folder();
    let log = packing(&path);
    sample::make(&log, 1).await;
    for _ in 0..600 {
        sample::add(&log, 1, vec![sample::output("x".repeat(400))]).await;
    }
    sample::add(&log, 1, vec![sample::output("y".repeat(300_000)), sample::output("z")]).await;
    // An answer gives the writer a moment without work.
    while counts(&path).0 > 0 {
        log.probe().await.unwrap();
    }
    let conn = Connection::open(&path).unwrap();
    let mut statement = conn.prepare("SELECT length(lines) FROM packed ORDER BY id").unwrap();
    let lengths: Vec<usize> = statement
        .query_map([], |row| row.get::<_, u32>(0))
        .unwrap()
        .map(|length| length.unwrap() as usize)
        .collect();
    let (long, rest): (Vec<_>, Vec<_>) = lengths.iter().partition(|length| **length > 32 * 1024);
    assert_eq!(long.len(), 1, "only the event that is longer by itself: {lengths:?}");
    let bytes: usize = rest.iter().sum();
    assert!(rest.len() < 4 * bytes / (32 * 1024), "{lengths:?}");
}

#[tokio::test]
async fn where_packing_fails_appends_go_on_and_it_is_tried_again() {
    let (_folder, path) = folder();
    let log = packing(&path);
    sample::make(&log, 1).await;
    let sql = "CREATE TRIGGER refuse BEFORE INSERT ON packed BEGIN SELECT RAISE(ABORT, 'no'); END";
    inject(&log, |conn| conn.execute_batch(sql).unwrap()).await.unwrap();
    for _ in 0..3 {
        sample::add(&log, 1, vec![sample::output("x")]).await;
    }
    assert_dense(&sample::all(&log, 1).await, 1, 4);
    inject(&log, |conn| conn.execute_batch("DROP TRIGGER refuse").unwrap()).await.unwrap();
    while counts(&path) != (0, 4) {
        log.probe().await.unwrap();
    }
    assert_dense(&sample::all(&log, 1).await, 1, 4);
}

#[tokio::test]
async fn the_write_ahead_log_is_copied_before_it_grows_long() {
    let (_folder, path) = folder();
    let log = open(&path).unwrap();
    sample::make(&log, 1).await;
    for _ in 0..200 {
        sample::add(&log, 1, vec![sample::output("x".repeat(500_000))]).await;
    }
    let bytes = fs::metadata(format!("{}-wal", path.display())).unwrap().len();
    assert!(bytes < 30_000_000, "{bytes} bytes after 100 MB were written");
}
