//! Laws 5 and 9: a message is entered once, and is queued until it is dispatched or failed.

use super::{Subject, on_every_backend, sample};
use crate::{
    domain::{ContentBlock, Seq, content},
    store::{Appended, MessageStatus, Receipt, StoreError},
};
use std::thread;

on_every_backend![
    a_message_sent_twice_is_stored_once_with_the_first_receipt,
    a_message_sent_by_eight_at_once_is_stored_once,
    other_content_under_a_known_id_changes_nothing,
    a_message_is_queued_until_it_is_dispatched,
    a_message_is_queued_until_it_is_failed,
    a_message_longer_than_its_event_may_be_is_kept_whole,
    the_same_message_id_in_two_sessions_is_two_messages,
    messages_of_a_session_that_is_not_there_are_asked_for_in_vain,
];

async fn receipt(subject: &Subject, message: &str) -> Option<Receipt> {
    subject.message(sample::id(1), sample::message_id(message)).await.unwrap()
}

async fn queue(subject: &Subject) -> Vec<(String, u64)> {
    let queued = subject.queued(sample::id(1)).await.unwrap();
    let stored = subject.session(sample::id(1)).await.unwrap();
    assert_eq!(stored.queued as usize, queued.len());
    queued.into_iter().map(|message| (message.message_id.to_string(), message.seq.0)).collect()
}

async fn a_message_sent_twice_is_stored_once_with_the_first_receipt(mut subject: Subject) {
    sample::make(&*subject, 1).await;
    assert_eq!(sample::head(subject.append(sample::send(1, "m", "hello")).await.unwrap()), 2);
    sample::add(&*subject, 1, vec![sample::output("x")]).await;
    let digest = content::digest(&[ContentBlock::text("hello")]);
    let first = Receipt { seq: Seq(2), digest, status: MessageStatus::Queued };
    for _ in 0..2 {
        let again = subject.append(sample::send(1, "m", "hello")).await.unwrap();
        assert_eq!(again, Appended::Known(first));
        assert_eq!(receipt(&subject, "m").await, Some(first));
        assert_eq!(subject.session(sample::id(1)).await.unwrap().head, Seq(3));
        subject.reopen().await;
    }
    // Also long after it has left the queue.
    sample::add(&*subject, 1, vec![sample::dispatched("m")]).await;
    let again = subject.append(sample::send(1, "m", "hello")).await.unwrap();
    assert_eq!(again, Appended::Known(Receipt { status: MessageStatus::Dispatched, ..first }));
    assert_eq!(queue(&subject).await, []);
}

async fn a_message_sent_by_eight_at_once_is_stored_once(subject: Subject) {
    sample::make(&*subject, 1).await;
    let senders: Vec<_> = (0..8)
        .map(|_| {
            let log = subject.log();
            thread::spawn(move || log.append(sample::send(1, "m", "hello")).wait().unwrap())
        })
        .collect();
    let answers: Vec<_> = senders.into_iter().map(|sender| sender.join().unwrap()).collect();
    let stored =
        answers.iter().filter(|answer| matches!(answer, Appended::Stored { head: Seq(2), .. }));
    let known = answers
        .iter()
        .filter(|answer| matches!(answer, Appended::Known(receipt) if receipt.seq == Seq(2)));
    assert_eq!((stored.count(), known.count()), (1, 7));
    assert_eq!(queue(&subject).await, [("m".to_string(), 2)]);
    assert_eq!(sample::all(&*subject, 1).await.head, Seq(2));
}

async fn other_content_under_a_known_id_changes_nothing(subject: Subject) {
    sample::make(&*subject, 1).await;
    let first = sample::send(1, "m", "hello");
    let kept = first.accept.clone().unwrap();
    subject.append(first).await.unwrap();
    match subject.append(sample::send(1, "m", "goodbye")).await.unwrap() {
        Appended::Known(receipt) => assert_eq!(receipt.digest, kept.digest),
        other => panic!("{other:?}"),
    }
    let content = subject.content(sample::id(1), sample::message_id("m")).await.unwrap();
    assert_eq!(content, Some(kept.content));
}

async fn a_message_is_queued_until_it_is_dispatched(mut subject: Subject) {
    sample::make(&*subject, 1).await;
    let mut urgent = sample::send(1, "b", "second");
    urgent.accept.as_mut().unwrap().interrupt = true;
    subject.append(sample::send(1, "c", "first")).await.unwrap();
    subject.append(urgent).await.unwrap();
    assert_eq!(queue(&subject).await, [("c".to_string(), 2), ("b".to_string(), 3)]);
    let queued = subject.queued(sample::id(1)).await.unwrap();
    assert_eq!(queued.iter().map(|message| message.interrupt).collect::<Vec<_>>(), [false, true]);

    sample::add(&*subject, 1, vec![sample::dispatched("c")]).await;
    subject.reopen().await;
    assert_eq!(queue(&subject).await, [("b".to_string(), 3)]);
    assert_eq!(receipt(&subject, "c").await.unwrap().status, MessageStatus::Dispatched);
    assert_eq!(receipt(&subject, "b").await.unwrap().status, MessageStatus::Queued);
    assert_eq!(subject.content(sample::id(1), sample::message_id("c")).await, Ok(None));
}

async fn a_message_is_queued_until_it_is_failed(subject: Subject) {
    sample::make(&*subject, 1).await;
    for message in ["a", "b"] {
        subject.append(sample::send(1, message, "text")).await.unwrap();
    }
    sample::add(
        &*subject,
        1,
        vec![sample::dispatched("a"), sample::failed("a"), sample::failed("b")],
    )
    .await;
    assert_eq!(queue(&subject).await, []);
    for message in ["a", "b"] {
        assert_eq!(receipt(&subject, message).await.unwrap().status, MessageStatus::Failed);
        assert_eq!(subject.content(sample::id(1), sample::message_id(message)).await, Ok(None));
    }
}

async fn a_message_longer_than_its_event_may_be_is_kept_whole(mut subject: Subject) {
    sample::make(&*subject, 1).await;
    // Far over the limit at which its event is cut.
    let send = sample::send(1, "m", &"long ".repeat(600_000));
    let content = send.accept.clone().unwrap().content;
    subject.append(send).await.unwrap();
    subject.reopen().await;
    assert!(sample::all(&*subject, 1).await.lines[1].bytes.len() < content.len());
    let kept = subject.content(sample::id(1), sample::message_id("m")).await.unwrap();
    assert!(kept.is_some_and(|kept| kept == content));
}

async fn the_same_message_id_in_two_sessions_is_two_messages(subject: Subject) {
    for number in [1, 2] {
        sample::make(&*subject, number).await;
        let sent = subject.append(sample::send(number, "m", "hello")).await.unwrap();
        assert_eq!(sample::head(sent), 2);
    }
    sample::add(&*subject, 2, vec![sample::dispatched("m")]).await;
    assert_eq!(queue(&subject).await, [("m".to_string(), 2)]);
}

async fn messages_of_a_session_that_is_not_there_are_asked_for_in_vain(subject: Subject) {
    sample::make(&*subject, 1).await;
    assert_eq!(receipt(&subject, "never").await, None);
    assert_eq!(subject.content(sample::id(1), sample::message_id("never")).await, Ok(None));
    let (nobody, message) = (sample::id(2), sample::message_id("m"));
    assert_eq!(subject.message(nobody, message.clone()).await, Err(StoreError::Unknown));
    assert_eq!(subject.content(nobody, message).await, Err(StoreError::Unknown));
    assert_eq!(subject.queued(nobody).await, Err(StoreError::Unknown));
}
