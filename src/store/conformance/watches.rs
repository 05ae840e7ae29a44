//! Laws 3, 6 and 8: what a watch shows, and that no commit goes by it.

use super::{Subject, on_every_backend, sample};
use crate::{
    domain::{Seq, State},
    store::{StoreError, Watch},
};
use futures_util::FutureExt;
use std::{sync::Arc, thread};
use tokio::sync::Notify;

on_every_backend![
    a_watch_begins_at_the_head_and_shows_the_row_true_there,
    a_commit_wakes_whoever_watches_and_nobody_else,
    live_lines_are_the_bytes_that_pages_have,
    a_reader_that_misses_and_merges_wake_ups_sees_every_event,
    a_second_watch_of_a_session_shows_the_same,
    watching_what_is_not_there_is_refused,
    a_deletion_ends_every_watch,
    the_queue_in_the_snapshot_follows_the_ledger,
];

async fn watch(subject: &Subject, number: u64) -> (Watch, Arc<Notify>) {
    let notify = Arc::new(Notify::new());
    let watch = subject.watch(sample::id(number), notify.clone()).await.unwrap();
    (watch, notify)
}

async fn a_watch_begins_at_the_head_and_shows_the_row_true_there(mut subject: Subject) {
    sample::make(&*subject, 1).await;
    sample::add(&*subject, 1, vec![sample::output("a")]).await;
    subject.reopen().await;
    let (watch, _notify) = watch(&subject, 1).await;
    assert_eq!((watch.head(), watch.session()), (Seq(2), sample::id(1)));
    let snapshot = watch.snapshot();
    assert_eq!((snapshot.head, snapshot.first, snapshot.queued), (Seq(2), Seq(1), 0));
    assert_eq!(*snapshot.session, sample::session(1));

    let mut row = sample::session(1);
    row.state = State::Active;
    let mut append = sample::append(1, vec![sample::output("b")]);
    append.row = Some(Arc::new(row.clone()));
    subject.append(append).await.unwrap();
    let snapshot = watch.snapshot();
    assert_eq!((snapshot.head, &*snapshot.session), (Seq(3), &row));
}

async fn a_commit_wakes_whoever_watches_and_nobody_else(subject: Subject) {
    for number in [1, 2] {
        sample::make(&*subject, number).await;
    }
    let ((_mine, notify), (_other, other)) = (watch(&subject, 1).await, watch(&subject, 2).await);
    sample::add(&*subject, 1, vec![sample::output("a")]).await;
    // Announced before the append is answered: nothing to wait for.
    assert!(notify.notified().now_or_never().is_some());
    assert!(other.notified().now_or_never().is_none());
    // A row alone is announced as well.
    subject.append(sample::update(sample::session(1))).await.unwrap();
    assert!(notify.notified().now_or_never().is_some());
}

async fn live_lines_are_the_bytes_that_pages_have(mut subject: Subject) {
    sample::make(&*subject, 1).await;
    let (watch, _notify) = watch(&subject, 1).await;
    assert_eq!(watch.lines_after(Seq(0), 9, 9999), None, "older than the watch");
    sample::add(&*subject, 1, vec![sample::output("ä"), sample::titled("b\u{2028}")]).await;
    let live = watch.lines_after(Seq(1), 9, 9999).unwrap();
    assert_eq!(live.len(), 2);
    assert_eq!(sample::all(&*subject, 1).await.lines[1..], live);
    subject.reopen().await;
    assert_eq!(sample::all(&*subject, 1).await.lines[1..], live);
}

async fn a_reader_that_misses_and_merges_wake_ups_sees_every_event(subject: Subject) {
    const EVENTS: u64 = 2_000;
    sample::make(&*subject, 1).await;
    let (watch, notify) = watch(&subject, 1).await;
    let log = subject.log();
    let author = thread::spawn(move || {
        for batch in 0..EVENTS / 10 {
            let events = (0..10).map(|n| sample::output(format!("{batch}.{n}"))).collect();
            log.append(sample::append(1, events)).wait().unwrap();
        }
    });
    let (mut cursor, mut seen) = (Seq(1), Vec::new());
    while cursor < Seq(EVENTS + 1) {
        let lines = match watch.lines_after(cursor, 64, 1 << 16) {
            Some(lines) => lines,
            None => {
                let query = sample::query(1, crate::store::PageFrom::After(cursor), 64);
                subject.page(query).await.unwrap().lines
            }
        };
        if lines.is_empty() {
            notify.notified().await;
        }
        for line in lines {
            assert_eq!(line.seq, cursor.next());
            cursor = line.seq;
            seen.push(line);
        }
    }
    author.join().unwrap();
    assert_eq!(sample::all(&*subject, 1).await.lines[1..], seen);
}

async fn a_second_watch_of_a_session_shows_the_same(subject: Subject) {
    sample::make(&*subject, 1).await;
    let (one, _one) = watch(&subject, 1).await;
    sample::add(&*subject, 1, vec![sample::output("a")]).await;
    let (two, notify) = watch(&subject, 1).await;
    assert_eq!(two.head(), Seq(2));
    assert_eq!(two.lines_after(Seq(1), 9, 999), one.lines_after(Seq(1), 9, 999));
    drop(one);
    sample::add(&*subject, 1, vec![sample::output("b")]).await;
    assert!(notify.notified().now_or_never().is_some());
    assert_eq!(two.head(), Seq(3));
}

async fn watching_what_is_not_there_is_refused(subject: Subject) {
    sample::make(&*subject, 1).await;
    subject.delete(sample::id(1)).await.unwrap();
    let refused = |number| subject.watch(sample::id(number), Arc::new(Notify::new()));
    assert_eq!(refused(1).await.unwrap_err(), StoreError::Deleted);
    assert_eq!(refused(2).await.unwrap_err(), StoreError::Unknown);
}

async fn a_deletion_ends_every_watch(subject: Subject) {
    sample::make(&*subject, 1).await;
    let (watch, notify) = watch(&subject, 1).await;
    assert!(!watch.is_deleted());
    subject.delete(sample::id(1)).await.unwrap();
    assert!(notify.notified().now_or_never().is_some());
    assert!(watch.is_deleted());
    let again = subject.watch(sample::id(1), notify).await;
    assert_eq!(again.unwrap_err(), StoreError::Deleted);
}

async fn the_queue_in_the_snapshot_follows_the_ledger(subject: Subject) {
    sample::make(&*subject, 1).await;
    subject.append(sample::send(1, "a", "one")).await.unwrap();
    let (watch, _notify) = watch(&subject, 1).await;
    assert_eq!(watch.snapshot().queued, 1);
    for message in ["b", "c", "b"] {
        subject.append(sample::send(1, message, "more")).await.unwrap();
    }
    assert_eq!(watch.snapshot().queued, 3);
    // What is dispatched and then failed leaves the queue once.
    let events = vec![sample::dispatched("a"), sample::failed("a"), sample::failed("c")];
    sample::add(&*subject, 1, events).await;
    assert_eq!(watch.snapshot().queued, 1);
    sample::add(&*subject, 1, vec![sample::failed("never-seen")]).await;
    assert_eq!(watch.snapshot().queued, 1);
}
