//! Law 11: what retention removes, and what it leaves whatever it was told.

use super::{Subject, on_every_backend, sample};
use crate::{
    domain::{Seq, Timestamp},
    store::{MessageStatus, Pruned, Retention},
};
use std::sync::Arc;
use tokio::sync::Notify;

on_every_backend![
    of_each_session_the_newest_events_stay,
    events_of_a_certain_age_go,
    an_age_holds_for_what_came_after_an_earlier_removal,
    what_was_removed_does_not_come_back,
    both_limits_hold_together,
    numbering_goes_on_after_everything_but_the_newest_event_was_removed,
    a_queued_message_and_what_came_after_it_stay,
    what_open_work_began_with_stays_until_it_is_done,
    the_ledger_remembers_messages_whose_events_are_gone,
    a_watch_shows_where_the_log_begins_now,
    a_long_log_is_removed_whole,
    without_a_limit_nothing_goes,
];

const NEWEST: Retention = Retention { since: None, events: Some(1) };

async fn seqs(subject: &Subject, number: u64) -> Vec<u64> {
    let page = sample::all(&**subject, number).await;
    let stored = subject.session(sample::id(number)).await.unwrap();
    assert_eq!((page.first, page.head), (stored.first, stored.head));
    assert_eq!(page.lines.first().map(|line| line.seq), Some(page.first));
    sample::seqs(&page)
}

async fn prune(subject: &Subject, retention: Retention, sessions: u64, events: u64) {
    let pruned = subject.prune(retention).await.unwrap();
    assert_eq!(pruned, Pruned { sessions, events });
}

/// Sessions of five events that happened at 2,000 (the first one), 10, 20, 30 and 40.
async fn five(subject: &Subject, numbers: &[u64]) {
    for number in numbers {
        sample::make(&**subject, *number).await;
        for at in [10, 20, 30, 40] {
            sample::add(&**subject, *number, vec![sample::output_at(at)]).await;
        }
    }
}

async fn of_each_session_the_newest_events_stay(mut subject: Subject) {
    five(&subject, &[1, 2]).await;
    sample::make(&*subject, 3).await;
    prune(&subject, Retention { since: None, events: Some(2) }, 2, 6).await;
    assert_eq!(seqs(&subject, 1).await, [4, 5]);
    assert_eq!(seqs(&subject, 2).await, [4, 5]);
    assert_eq!(seqs(&subject, 3).await, [1]);
    subject.reopen().await;
    assert_eq!(seqs(&subject, 1).await, [4, 5]);
    prune(&subject, Retention { since: None, events: Some(2) }, 0, 0).await;
}

async fn events_of_a_certain_age_go(subject: Subject) {
    for (number, since, expected) in
        [(1, 5, vec![1, 2, 3, 4, 5]), (2, 20, vec![3, 4, 5]), (3, 21, vec![4, 5]), (4, 99, vec![5])]
    {
        sample::make(&*subject, number).await;
        // The first event is of another time, as after a step of the clock; one by one is all that is known of them.
        prune(&subject, Retention { since: None, events: Some(0) }, 0, 0).await;
        for at in [10, 20, 30, 40] {
            sample::add(&*subject, number, vec![sample::output_at(at)]).await;
        }
        let without_first = Retention { since: None, events: Some(4) };
        prune(&subject, without_first, 1, 1).await;
        let since = Some(Timestamp::from_millis(since));
        subject.prune(Retention { since, events: None }).await.unwrap();
        let expected: Vec<u64> = expected.into_iter().filter(|seq| *seq > 1).collect();
        assert_eq!(seqs(&subject, number).await, expected);
        subject.delete(sample::id(number)).await.unwrap();
    }
}

async fn an_age_holds_for_what_came_after_an_earlier_removal(subject: Subject) {
    five(&subject, &[1]).await;
    prune(&subject, Retention { since: None, events: Some(4) }, 1, 1).await;
    for at in [50, 60] {
        sample::add(&*subject, 1, vec![sample::output_at(at)]).await;
    }
    let since = Some(Timestamp::from_millis(55));
    prune(&subject, Retention { since, events: None }, 1, 5).await;
    assert_eq!(seqs(&subject, 1).await, [7]);
}

async fn what_was_removed_does_not_come_back(mut subject: Subject) {
    five(&subject, &[1]).await;
    prune(&subject, NEWEST, 1, 4).await;
    sample::add(&*subject, 1, vec![sample::output("next")]).await;
    prune(&subject, NEWEST, 1, 1).await;
    subject.reopen().await;
    assert_eq!(seqs(&subject, 1).await, [6]);
    sample::add(&*subject, 1, vec![sample::output("last")]).await;
    subject.reopen().await;
    assert_eq!(seqs(&subject, 1).await, [6, 7]);
}

async fn both_limits_hold_together(subject: Subject) {
    five(&subject, &[1, 2]).await;
    let since = Some(Timestamp::from_millis(40));
    prune(&subject, Retention { since, events: Some(3) }, 2, 8).await;
    assert_eq!(seqs(&subject, 1).await, [5]);
}

async fn numbering_goes_on_after_everything_but_the_newest_event_was_removed(mut subject: Subject) {
    five(&subject, &[1]).await;
    prune(&subject, Retention { since: None, events: Some(0) }, 1, 4).await;
    assert_eq!(seqs(&subject, 1).await, [5]);
    subject.reopen().await;
    assert_eq!(sample::add(&*subject, 1, vec![sample::output("next")]).await, 6);
    assert_eq!(seqs(&subject, 1).await, [5, 6]);
}

async fn a_queued_message_and_what_came_after_it_stay(subject: Subject) {
    five(&subject, &[1]).await;
    subject.append(sample::send(1, "m", "hello")).await.unwrap();
    sample::add(&*subject, 1, vec![sample::output("after")]).await;
    prune(&subject, NEWEST, 1, 5).await;
    assert_eq!(seqs(&subject, 1).await, [6, 7]);
    sample::add(&*subject, 1, vec![sample::dispatched("m")]).await;
    prune(&subject, NEWEST, 1, 2).await;
    assert_eq!(seqs(&subject, 1).await, [8]);
}

async fn what_open_work_began_with_stays_until_it_is_done(mut subject: Subject) {
    five(&subject, &[1]).await;
    for row in [sample::running(1), sample::running(1)] {
        let mut append = sample::append(1, vec![sample::titled("a"), sample::titled("b")]);
        append.row = Some(Arc::new(row));
        subject.append(append).await.unwrap();
    }
    prune(&subject, NEWEST, 1, 5).await;
    assert_eq!(seqs(&subject, 1).await, [6, 7, 8, 9], "from the append that opened it");
    subject.reopen().await;
    prune(&subject, NEWEST, 0, 0).await;
    subject.append(sample::update(sample::session(1))).await.unwrap();
    prune(&subject, NEWEST, 1, 3).await;
    assert_eq!(seqs(&subject, 1).await, [9]);
}

async fn the_ledger_remembers_messages_whose_events_are_gone(subject: Subject) {
    sample::make(&*subject, 1).await;
    subject.append(sample::send(1, "m", "hello")).await.unwrap();
    sample::add(&*subject, 1, vec![sample::dispatched("m"), sample::output("a")]).await;
    prune(&subject, NEWEST, 1, 3).await;
    let receipt = subject.message(sample::id(1), sample::message_id("m")).await.unwrap().unwrap();
    assert_eq!((receipt.seq, receipt.status), (Seq(2), MessageStatus::Dispatched));
}

async fn a_watch_shows_where_the_log_begins_now(subject: Subject) {
    five(&subject, &[1]).await;
    let notify = Arc::new(Notify::new());
    let watch = subject.watch(sample::id(1), notify).await.unwrap();
    prune(&subject, Retention { since: None, events: Some(2) }, 1, 3).await;
    let snapshot = watch.snapshot();
    assert_eq!((snapshot.first, snapshot.head), (Seq(4), Seq(5)));
}

async fn a_long_log_is_removed_whole(subject: Subject) {
    for number in [1, 2] {
        sample::make(&*subject, number).await;
        let events = (0..2_000).map(|n| sample::output(n.to_string())).collect();
        sample::add(&*subject, number, events).await;
    }
    // Writes go on meanwhile, and none waits for the end of it.
    let pruning = subject.prune(NEWEST);
    sample::add(&*subject, 1, vec![sample::output("meanwhile")]).await;
    assert_eq!(pruning.await.unwrap().sessions, 2);
    subject.prune(NEWEST).await.unwrap();
    assert_eq!(seqs(&subject, 1).await, [2_002]);
    assert_eq!(seqs(&subject, 2).await, [2_001]);
}

async fn without_a_limit_nothing_goes(subject: Subject) {
    five(&subject, &[1]).await;
    prune(&subject, Retention::default(), 0, 0).await;
    assert_eq!(seqs(&subject, 1).await, [1, 2, 3, 4, 5]);
}
