//! Sessions, events and messages for the suite, told apart by a number.

use super::super::{Accept, Append, Create, Created, Entry, EventLog, Page, PageFrom, PageQuery};
use crate::{
    domain::{
        Body, ClientState, ContentBlock, Draft, MessageId, Seq, Session, SessionId, State,
        Timestamp, content,
        event::{FailReason, OutputStream},
        session::OpenTurn,
    },
    store::Appended,
};
use bytes::Bytes;
use std::sync::Arc;
use uuid::Uuid;

pub(in crate::store) fn id(number: u64) -> SessionId {
    SessionId::from_uuid(Uuid::from_u64_pair(0, number))
}

pub(in crate::store) fn message_id(text: &str) -> MessageId {
    text.parse().unwrap()
}

pub(in crate::store) fn session(number: u64) -> Session {
    let created_at = Timestamp::from_millis(1_000);
    let cwd = "/home/ann".into();
    let mut session = Session::new(id(number), "claude".into(), cwd, [7; 32], created_at);
    session.title = Some(format!("session {number}"));
    session.env.insert("LANG".into(), "C".into());
    session.updated_at = Timestamp::from_millis(1_000 + number as i64);
    session
}

pub(in crate::store) fn entry(body: Body) -> Entry {
    entry_at(2_000, body)
}

fn entry_at(millis: i64, body: Body) -> Entry {
    Entry::new(&Draft { run: 1, ts: Timestamp::from_millis(millis), body }, 1 << 20)
}

pub(in crate::store) fn output_at(millis: i64) -> Entry {
    let (stream, text) = (OutputStream::Stdout, String::new());
    entry_at(millis, Body::AgentOutput { stream, text, truncated: false })
}

/// The session with a turn under way.
pub(in crate::store) fn running(number: u64) -> Session {
    let turn = OpenTurn { turn_id: "1-1".into(), message_id: None };
    Session { turn: Some(turn), ..session(number) }
}

pub(in crate::store) fn output(text: impl Into<String>) -> Entry {
    let (stream, text) = (OutputStream::Stdout, text.into());
    entry(Body::AgentOutput { stream, text, truncated: false })
}

pub(in crate::store) fn titled(title: &str) -> Entry {
    entry(Body::SessionTitled { title: Some(title.into()) })
}

pub(in crate::store) fn created() -> Entry {
    entry(Body::SessionState {
        from: None,
        to: State::Created,
        reason: None,
        client_state: ClientState::Idle,
    })
}

pub(in crate::store) fn dispatched(message: &str) -> Entry {
    entry(Body::MessageDispatched { message_id: message_id(message) })
}

pub(in crate::store) fn failed(message: &str) -> Entry {
    let (message_id, reason) = (message_id(message), FailReason::Withdrawn);
    entry(Body::MessageFailed { message_id, reason, uncertain: false })
}

/// A new session with one event.
pub(in crate::store) fn create(number: u64) -> Create {
    Create { session: session(number), events: vec![created()], accept: None }
}

pub(in crate::store) fn append(number: u64, events: Vec<Entry>) -> Append {
    Append { session: id(number), events, row: None, accept: None }
}

/// Changes a session's row and nothing else.
pub(in crate::store) fn update(row: Session) -> Append {
    Append { session: row.id, events: Vec::new(), row: Some(Arc::new(row)), accept: None }
}

/// A message from a person.
pub(in crate::store) fn send(number: u64, message: &str, text: &str) -> Append {
    let (event, accept) = user_message(message, text);
    Append { session: id(number), events: vec![event], row: None, accept: Some(accept) }
}

pub(in crate::store) fn user_message(message: &str, text: &str) -> (Entry, Accept) {
    let (message_id, content) = (message_id(message), vec![ContentBlock::text(text)]);
    let accept = Accept {
        message_id: message_id.clone(),
        digest: content::digest(&content),
        interrupt: false,
        content: Bytes::from(serde_json::to_vec(&content).unwrap()),
    };
    (entry(Body::UserMessage { message_id, content, by: "ann".into() }), accept)
}

/// Makes the session with one event; its head must then be 1.
pub(in crate::store) async fn make(log: &dyn EventLog, number: u64) {
    let created = log.create(create(number)).await.unwrap();
    assert!(matches!(created, Created::New { head: Seq(1) }), "{created:?}");
}

/// Appends events; the head after them.
pub(in crate::store) async fn add(log: &dyn EventLog, number: u64, events: Vec<Entry>) -> u64 {
    head(log.append(append(number, events)).await.unwrap())
}

pub(in crate::store) fn head(appended: Appended) -> u64 {
    match appended {
        Appended::Stored { head, .. } => head.0,
        Appended::Known(receipt) => panic!("known as {receipt:?}"),
    }
}

pub(in crate::store) fn query(number: u64, from: PageFrom, limit: usize) -> PageQuery {
    PageQuery { session: id(number), from, limit, max_bytes: usize::MAX, types: Vec::new() }
}

/// All events of a session.
pub(in crate::store) async fn all(log: &dyn EventLog, number: u64) -> Page {
    log.page(query(number, PageFrom::After(Seq::ZERO), usize::MAX)).await.unwrap()
}

pub(in crate::store) fn seqs(page: &Page) -> Vec<u64> {
    page.lines.iter().map(|line| line.seq.0).collect()
}
