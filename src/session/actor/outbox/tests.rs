//! The order of appends and effects. There is no store: a batch is committed or fails when the test says so.

use super::*;
use crate::{
    domain::{Body, Draft, Timestamp},
    session::machine::Ticket,
};

/// An event that only its place in the log tells from others.
fn entry(title: &str) -> Entry {
    let body = Body::SessionTitled { title: Some(title.into()) };
    Entry::new(&Draft { run: 0, ts: Timestamp::from_millis(0), body }, 1 << 20)
}

fn spawn(run: u32) -> Effect {
    Effect::Spawn { run }
}

fn accept(ticket: u64) -> Effect {
    Effect::Accept {
        ticket: Ticket(ticket),
        message_id: "m".parse().unwrap(),
        content: Vec::new(),
        interrupt: false,
        by: "ann".into(),
    }
}

fn row(run: u32) -> Arc<Session> {
    let id = SessionId::from_uuid(uuid::Uuid::nil());
    let mut session =
        Session::new(id, "demo".into(), "/".into(), [0; 32], Timestamp::from_millis(0));
    session.run = run;
    Arc::new(session)
}

impl Outbox {
    fn put(&mut self, titles: &[&str], then: Vec<Effect>) {
        self.push(titles.iter().map(|title| entry(title)).collect(), None, then, None);
    }

    #[track_caller]
    fn appends(&mut self) -> Batch {
        match self.next() {
            Some(Work::Append(batch)) => batch,
            Some(Work::Effect(effect)) => panic!("{effect:?} instead of an append"),
            None => panic!("nothing instead of an append"),
        }
    }

    #[track_caller]
    fn does(&mut self, expected: &Effect) {
        match self.next() {
            Some(Work::Effect(effect)) => assert_eq!(effect, *expected),
            Some(Work::Append(batch)) => panic!("an append of {} events", batch.entries.len()),
            None => panic!("nothing instead of {expected:?}"),
        }
    }

    #[track_caller]
    fn waits(&mut self) {
        assert!(self.next().is_none());
    }
}

fn titles(batch: &Batch) -> Vec<String> {
    let session = SessionId::from_uuid(uuid::Uuid::nil());
    let line = |entry: &Entry| entry.encoded.line(session, crate::domain::Seq(1));
    let title = |entry| {
        let event: serde_json::Value = serde_json::from_slice(&line(entry)).unwrap();
        event["data"]["title"].as_str().unwrap().to_owned()
    };
    batch.entries.iter().map(title).collect()
}

#[test]
fn an_effect_waits_for_its_events_and_for_all_before_them() {
    let mut outbox = Outbox::default();
    outbox.put(&["a"], vec![spawn(1)]);
    let batch = outbox.appends();
    outbox.begin(batch);
    outbox.put(&[], vec![spawn(2)]);
    outbox.waits();
    outbox.commit();
    outbox.does(&spawn(1));
    outbox.does(&spawn(2));
    outbox.waits();
    assert!(outbox.is_empty());
}

#[test]
fn an_effect_without_events_and_with_nothing_before_it_is_done_at_once() {
    let mut outbox = Outbox::default();
    outbox.put(&[], vec![spawn(1)]);
    outbox.does(&spawn(1));
}

#[test]
fn what_comes_during_an_append_is_the_next_append() {
    let mut outbox = Outbox::default();
    outbox.put(&["a"], vec![]);
    let batch = outbox.appends();
    outbox.begin(batch);
    outbox.push(vec![entry("b")], Some(row(1)), vec![spawn(1)], None);
    outbox.push(vec![entry("c")], Some(row(2)), vec![], None);
    outbox.push(vec![entry("d")], None, vec![spawn(2)], None);
    outbox.waits();
    outbox.commit();
    let batch = outbox.appends();
    assert_eq!(titles(&batch), ["b", "c", "d"]);
    assert_eq!(batch.row.as_ref().map(|row| row.run), Some(2), "the newest row is stored");
    outbox.begin(batch);
    outbox.commit();
    outbox.does(&spawn(1));
    outbox.does(&spawn(2));
}

#[test]
fn effects_that_are_ready_are_done_before_the_next_append_begins() {
    let mut outbox = Outbox::default();
    outbox.put(&["a"], vec![spawn(1)]);
    let batch = outbox.appends();
    outbox.begin(batch);
    outbox.commit();
    outbox.put(&["b"], vec![]);
    outbox.does(&spawn(1));
    assert_eq!(titles(&outbox.appends()), ["b"]);
}

#[test]
fn an_append_that_failed_is_tried_again_before_what_came_since() {
    let mut outbox = Outbox::default();
    outbox.push(vec![entry("a")], Some(row(1)), vec![spawn(1)], None);
    let batch = outbox.appends();
    outbox.begin(batch);
    outbox.push(vec![entry("b")], Some(row(2)), vec![spawn(2)], None);
    assert!(outbox.fail(), "the first failure is worth a word");
    outbox.waits();
    outbox.retry();
    let batch = outbox.appends();
    assert_eq!(titles(&batch), ["a", "b"]);
    assert_eq!(batch.row.as_ref().map(|row| row.run), Some(2));
    outbox.begin(batch);
    assert!(!outbox.fail(), "the second is not");
    outbox.put(&["c"], vec![]);
    outbox.retry();
    let batch = outbox.appends();
    assert_eq!(batch.row.as_ref().map(|row| row.run), Some(2), "a later event has no row");
    outbox.begin(batch);
    outbox.commit();
    outbox.does(&spawn(1));
    outbox.does(&spawn(2));
    assert!(outbox.is_empty());
    assert!(outbox.fail(), "after a success a failure is news again");
}

#[test]
fn an_answer_is_given_when_the_events_before_it_are_committed() {
    let mut outbox = Outbox::default();
    let (ack, mut answered) = oneshot::channel();
    outbox.push(vec![entry("a")], None, vec![], Some(ack));
    let batch = outbox.appends();
    outbox.begin(batch);
    assert_eq!(answered.try_recv(), Err(oneshot::error::TryRecvError::Empty));
    assert!(outbox.fail());
    outbox.retry();
    assert_eq!(answered.try_recv(), Err(oneshot::error::TryRecvError::Empty));
    let batch = outbox.appends();
    outbox.begin(batch);
    outbox.commit();
    assert_eq!(answered.try_recv(), Err(oneshot::error::TryRecvError::Closed));
}

#[test]
fn an_answer_to_output_that_makes_no_event_is_given_at_once_and_in_its_turn() {
    let mut outbox = Outbox::default();
    let (ack, mut answered) = oneshot::channel();
    outbox.put(&["a"], vec![]);
    let batch = outbox.appends();
    outbox.begin(batch);
    outbox.push(vec![], None, vec![], Some(ack));
    outbox.waits();
    assert_eq!(answered.try_recv(), Err(oneshot::error::TryRecvError::Empty));
    outbox.commit();
    outbox.waits();
    assert_eq!(answered.try_recv(), Err(oneshot::error::TryRecvError::Closed));
    assert!(outbox.is_empty());
}

#[test]
fn sends_go_into_the_log_side_by_side_and_all_else_waits_for_them() {
    let mut outbox = Outbox::default();
    outbox.put(&[], vec![accept(1)]);
    outbox.does(&accept(1));
    outbox.hold();
    outbox.put(&[], vec![accept(2)]);
    outbox.does(&accept(2));
    outbox.hold();
    outbox.put(&["a"], vec![spawn(1)]);
    outbox.waits();
    outbox.put(&[], vec![accept(3)]);
    outbox.waits();
    outbox.release();
    outbox.waits();
    outbox.release();
    let batch = outbox.appends();
    outbox.begin(batch);
    outbox.commit();
    outbox.does(&spawn(1));
    outbox.does(&accept(3));
    outbox.hold();
    assert!(!outbox.is_empty());
}

#[test]
fn a_send_does_not_overtake_an_effect_that_waits_for_another_send() {
    let mut outbox = Outbox::default();
    outbox.put(&[], vec![accept(1)]);
    outbox.does(&accept(1));
    outbox.hold();
    outbox.put(&[], vec![spawn(1), accept(2)]);
    outbox.waits();
    outbox.release();
    outbox.does(&spawn(1));
    outbox.does(&accept(2));
}

#[test]
fn sends_that_wait_are_taken_out_in_their_order_wherever_they_wait() {
    let mut outbox = Outbox::default();
    outbox.put(&["a"], vec![spawn(1), accept(1)]);
    let batch = outbox.appends();
    outbox.begin(batch);
    outbox.put(&["b", "c"], vec![accept(2), spawn(2)]);
    assert_eq!(outbox.held(), 3);
    assert!(outbox.fail());
    assert_eq!(outbox.take_accepts(), [accept(1), accept(2)]);
    assert!(outbox.take_accepts().is_empty());
    outbox.retry();
    let batch = outbox.appends();
    assert_eq!(titles(&batch), ["a", "b", "c"]);
    outbox.begin(batch);
    outbox.commit();
    outbox.does(&spawn(1));
    outbox.does(&spawn(2));
    assert_eq!(outbox.held(), 0);
    assert!(outbox.is_empty());
}
