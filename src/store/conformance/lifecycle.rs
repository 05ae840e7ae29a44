//! Deleting, reopening and closing: what stays, what does not come back, and who is told.

use super::{Subject, on_every_backend, sample};
use crate::{
    domain::Seq,
    store::{Created, EventLog, PageFrom, StoreError},
};

on_every_backend![
    a_deleted_session_is_gone_and_its_id_is_never_given_out_again,
    a_deletion_leaves_the_neighbours_alone,
    deleting_what_is_not_there_says_so,
    reopening_keeps_everything_and_numbering_goes_on,
    closing_keeps_what_was_handed_over_and_later_calls_are_unavailable,
    a_probe_of_a_log_that_can_write_succeeds,
];

async fn a_deleted_session_is_gone_and_its_id_is_never_given_out_again(mut subject: Subject) {
    sample::make(&*subject, 1).await;
    subject.append(sample::send(1, "m", "hello")).await.unwrap();
    assert_eq!(subject.delete(sample::id(1)).await, Ok(true));
    for _ in 0..2 {
        let id = sample::id(1);
        let message = sample::message_id("m");
        assert_eq!(subject.session(id).await, Err(StoreError::Deleted));
        assert_eq!(subject.queued(id).await, Err(StoreError::Deleted));
        assert_eq!(subject.message(id, message.clone()).await, Err(StoreError::Deleted));
        assert_eq!(subject.content(id, message).await, Err(StoreError::Deleted));
        let page = subject.page(sample::query(1, PageFrom::Newest, 9)).await;
        assert_eq!(page.unwrap_err(), StoreError::Deleted);
        let append = sample::append(1, vec![sample::output("late")]);
        assert_eq!(subject.append(append).await, Err(StoreError::Deleted));
        assert!(matches!(subject.create(sample::create(1)).await, Ok(Created::Deleted)));
        assert_eq!(subject.delete(id).await, Ok(false));
        subject.reopen().await;
    }
}

async fn a_deletion_leaves_the_neighbours_alone(mut subject: Subject) {
    for number in 1..=3 {
        sample::make(&*subject, number).await;
        subject.append(sample::send(number, "m", "hello")).await.unwrap();
    }
    subject.delete(sample::id(2)).await.unwrap();
    sample::make(&*subject, 4).await;
    for _ in 0..2 {
        assert_eq!(sample::seqs(&sample::all(&*subject, 4).await), [1]);
        assert_eq!(subject.queued(sample::id(4)).await, Ok(vec![]));
        for number in [1, 3] {
            assert_eq!(sample::seqs(&sample::all(&*subject, number).await), [1, 2]);
            assert_eq!(subject.queued(sample::id(number)).await.unwrap().len(), 1);
        }
        subject.reopen().await;
    }
}

async fn deleting_what_is_not_there_says_so(subject: Subject) {
    assert_eq!(subject.delete(sample::id(1)).await, Ok(false));
    sample::make(&*subject, 1).await;
}

async fn reopening_keeps_everything_and_numbering_goes_on(mut subject: Subject) {
    let store_id = subject.store_id();
    for number in 1..=3 {
        sample::make(&*subject, number).await;
        sample::add(&*subject, number, vec![sample::output("a"), sample::output("b")]).await;
    }
    subject.append(sample::send(2, "m", "hello")).await.unwrap();
    let mut before = Vec::new();
    for number in 1..=3 {
        let stored = subject.session(sample::id(number)).await.unwrap();
        before.push((stored, sample::all(&*subject, number).await.lines));
    }
    subject.reopen().await;
    assert_eq!(subject.store_id(), store_id);
    for (number, (stored, lines)) in (1..=3).zip(before) {
        assert_eq!(subject.session(sample::id(number)).await.unwrap(), stored);
        assert_eq!(sample::all(&*subject, number).await.lines, lines);
        let head = sample::add(&*subject, number, vec![sample::output("c")]).await;
        assert_eq!(head, stored.head.0 + 1);
    }
}

async fn closing_keeps_what_was_handed_over_and_later_calls_are_unavailable(mut subject: Subject) {
    sample::make(&*subject, 1).await;
    let log = subject.log();
    let pending: Vec<_> =
        (0..100).map(|_| log.append(sample::append(1, vec![sample::output("x")]))).collect();
    let ended = log.closed();
    log.close().await.unwrap();
    ended.await;
    for (pending, head) in pending.into_iter().zip(2..) {
        assert_eq!(sample::head(pending.await.unwrap()), head);
    }
    let is_unavailable = |error| matches!(error, StoreError::Unavailable(_));
    let append = sample::append(1, vec![sample::output("late")]);
    assert!(log.append(append).await.is_err_and(is_unavailable));
    assert!(log.session(sample::id(1)).await.is_err_and(is_unavailable));
    assert!(
        log.watch(sample::id(1), std::sync::Arc::new(tokio::sync::Notify::new()))
            .await
            .is_err_and(is_unavailable)
    );
    assert!(log.probe().await.is_err_and(is_unavailable));
    assert!(log.close().await.is_err_and(is_unavailable));
    if let Subject::Sqlite(folder, log, recent_bytes) = &mut subject {
        *log = super::open_sqlite(folder.path(), *recent_bytes);
        assert_eq!(log.session(sample::id(1)).await.unwrap().head, Seq(101));
    }
}

async fn a_probe_of_a_log_that_can_write_succeeds(subject: Subject) {
    assert_eq!(subject.probe().await, Ok(()));
    assert_eq!(subject.probe().await, Ok(()));
}
