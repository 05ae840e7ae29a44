//! Laws 1, 2, 4, 6, 7 and 10: what an append and a create leave in the log.

use super::{Subject, on_every_backend, sample};
use crate::{
    domain::{Seq, SessionId, State},
    store::{Created, PageFrom, StoreError},
};
use serde::Deserialize;
use std::{sync::Arc, thread};

on_every_backend![
    eight_sessions_that_append_at_once_are_each_dense_and_hold_their_own_events_only,
    appends_handed_over_without_waiting_take_effect_in_that_order,
    what_was_handed_over_by_someone_who_has_gone_is_seen_once_the_log_is_settled,
    the_head_is_0_then_1_then_n_and_an_unknown_session_has_none,
    several_drafts_are_numbered_in_one_go,
    a_row_is_stored_with_its_events,
    a_row_alone_moves_no_head,
    a_line_carries_its_session_and_seq,
    a_refused_append_leaves_the_session_and_its_neighbours_as_they_were,
    the_same_create_again_finds_the_first_session,
    a_create_stores_its_row_events_and_message_together,
];

/// What a line says of itself.
#[derive(Deserialize)]
struct Stamp {
    session_id: SessionId,
    seq: u64,
}

fn stamp(line: &[u8]) -> Stamp {
    serde_json::from_slice(line).unwrap()
}

async fn what_was_handed_over_by_someone_who_has_gone_is_seen_once_the_log_is_settled(
    subject: Subject,
) {
    sample::make(&*subject, 1).await;
    let watch = subject.watch(sample::id(1), Arc::new(tokio::sync::Notify::new())).await.unwrap();
    for n in 2..=200 {
        let text = n.to_string().repeat(1000);
        drop(subject.append(sample::append(1, vec![sample::output(text)])));
        subject.settled().await.unwrap();
        assert_eq!(
            (watch.head(), subject.session(sample::id(1)).await.unwrap().head),
            (Seq(n), Seq(n))
        );
    }
}

/// Scenario 8.
async fn eight_sessions_that_append_at_once_are_each_dense_and_hold_their_own_events_only(
    subject: Subject,
) {
    const APPENDS: u64 = 100;
    for number in 0..8 {
        sample::make(&*subject, number).await;
    }
    let authors: Vec<_> = (0..8)
        .map(|number| {
            let log = subject.log();
            thread::spawn(move || {
                for n in 1..=APPENDS {
                    let append =
                        sample::append(number, vec![sample::output(format!("{number}:{n}"))]);
                    assert_eq!(sample::head(log.append(append).wait().unwrap()), n + 1);
                }
            })
        })
        .collect();
    authors.into_iter().for_each(|author| author.join().unwrap());
    for number in 0..8 {
        let page = sample::all(&*subject, number).await;
        assert_eq!(sample::seqs(&page), (1..=APPENDS + 1).collect::<Vec<_>>());
        assert!(page.lines.iter().all(|line| stamp(&line.bytes).session_id == sample::id(number)));
    }
}

async fn appends_handed_over_without_waiting_take_effect_in_that_order(subject: Subject) {
    sample::make(&*subject, 1).await;
    let pending: Vec<_> = (0..500)
        .map(|n| subject.append(sample::append(1, vec![sample::output(format!("text {n}"))])))
        .collect();
    for (pending, head) in pending.into_iter().zip(2..) {
        assert_eq!(sample::head(pending.await.unwrap()), head);
    }
    let page = sample::all(&*subject, 1).await;
    for (line, n) in page.lines.iter().skip(1).zip(0..) {
        let text = String::from_utf8(line.bytes.to_vec()).unwrap();
        assert!(text.contains(&format!("\"text {n}\"")), "{text}");
    }
}

/// Scenario 9.
async fn the_head_is_0_then_1_then_n_and_an_unknown_session_has_none(mut subject: Subject) {
    assert_eq!(subject.session(sample::id(1)).await.unwrap_err(), StoreError::Unknown);
    let empty = sample::query(1, PageFrom::Newest, 9);
    assert_eq!(subject.page(empty.clone()).await.unwrap_err(), StoreError::Unknown);

    let mut create = sample::create(1);
    create.events.clear();
    assert!(matches!(subject.create(create).await, Ok(Created::New { head: Seq(0) })));
    let stored = subject.session(sample::id(1)).await.unwrap();
    assert_eq!((stored.head, stored.first), (Seq(0), Seq(1)));
    let page = subject.page(empty).await.unwrap();
    assert_eq!(
        (page.lines.len(), page.head, page.first, page.has_more),
        (0, Seq(0), Seq(1), false)
    );

    for n in 1..=5 {
        assert_eq!(sample::add(&*subject, 1, vec![sample::output("x")]).await, n);
        assert_eq!(subject.session(sample::id(1)).await.unwrap().head, Seq(n));
    }
    subject.reopen().await;
    assert_eq!(sample::add(&*subject, 1, vec![sample::output("x")]).await, 6);
}

async fn several_drafts_are_numbered_in_one_go(subject: Subject) {
    sample::make(&*subject, 1).await;
    let three = vec![sample::output("a"), sample::output("b"), sample::output("c")];
    assert_eq!(sample::add(&*subject, 1, three).await, 4);
    assert_eq!(sample::seqs(&sample::all(&*subject, 1).await), [1, 2, 3, 4]);
}

async fn a_row_is_stored_with_its_events(mut subject: Subject) {
    sample::make(&*subject, 1).await;
    let mut row = sample::session(1);
    row.state = State::Active;
    row.title = Some("new title".into());
    let mut append = sample::append(1, vec![sample::titled("new title")]);
    append.row = Some(Arc::new(row.clone()));
    subject.append(append).await.unwrap();
    for _ in 0..2 {
        let stored = subject.session(sample::id(1)).await.unwrap();
        assert_eq!((&*stored.session, stored.head), (&row, Seq(2)));
        subject.reopen().await;
    }
}

async fn a_row_alone_moves_no_head(subject: Subject) {
    sample::make(&*subject, 1).await;
    let mut row = sample::session(1);
    row.restarts = 3;
    assert_eq!(sample::head(subject.append(sample::update(row)).await.unwrap()), 1);
    let stored = subject.session(sample::id(1)).await.unwrap();
    assert_eq!((stored.session.restarts, stored.head), (3, Seq(1)));
}

async fn a_line_carries_its_session_and_seq(mut subject: Subject) {
    sample::make(&*subject, 1).await;
    sample::add(&*subject, 1, vec![sample::output("ü\n\"\0")]).await;
    let before = sample::all(&*subject, 1).await.lines;
    for line in &before {
        assert_eq!(stamp(&line.bytes).seq, line.seq.0);
        assert_eq!(stamp(&line.bytes).session_id, sample::id(1));
        assert!(!line.bytes.contains(&b'\n'));
    }
    subject.reopen().await;
    assert_eq!(sample::all(&*subject, 1).await.lines, before);
}

async fn a_refused_append_leaves_the_session_and_its_neighbours_as_they_were(subject: Subject) {
    sample::make(&*subject, 1).await;
    // Handed over together, so that they meet in one group where there are groups.
    let good = subject.append(sample::append(1, vec![sample::output("a")]));
    let unknown = subject.append(sample::append(2, vec![sample::output("b")]));
    let first = subject.append(sample::send(1, "m", "hello"));
    let again = subject.append(sample::send(1, "m", "hello"));
    let last = subject.append(sample::append(1, vec![sample::output("c")]));
    assert_eq!(sample::head(good.await.unwrap()), 2);
    assert_eq!(unknown.await, Err(StoreError::Unknown));
    assert_eq!(sample::head(first.await.unwrap()), 3);
    assert!(matches!(again.await, Ok(crate::store::Appended::Known(_))));
    assert_eq!(sample::head(last.await.unwrap()), 4);
    assert_eq!(sample::seqs(&sample::all(&*subject, 1).await), [1, 2, 3, 4]);
    assert_eq!(subject.session(sample::id(2)).await, Err(StoreError::Unknown));
}

async fn the_same_create_again_finds_the_first_session(mut subject: Subject) {
    sample::make(&*subject, 1).await;
    sample::add(&*subject, 1, vec![sample::output("a")]).await;
    subject.reopen().await;
    let mut again = sample::create(1);
    again.session.title = Some("another".into());
    match subject.create(again).await.unwrap() {
        Created::Exists(stored) => {
            assert_eq!((&*stored.session, stored.head), (&sample::session(1), Seq(2)));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(sample::all(&*subject, 1).await.lines.len(), 2);
}

async fn a_create_stores_its_row_events_and_message_together(mut subject: Subject) {
    let (event, accept) = sample::user_message("first", "hello");
    let content = accept.content.clone();
    let mut create = sample::create(1);
    create.events.push(event);
    create.accept = Some(accept);
    assert!(matches!(subject.create(create).await, Ok(Created::New { head: Seq(2) })));
    subject.reopen().await;
    let stored = subject.session(sample::id(1)).await.unwrap();
    assert_eq!((stored.head, stored.queued), (Seq(2), 1));
    let kept = subject.content(sample::id(1), sample::message_id("first")).await.unwrap();
    assert_eq!(kept, Some(content));
}
