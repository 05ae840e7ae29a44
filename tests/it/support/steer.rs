//! What clients ask of a session, in a word each, and how tests find their way in its events. No server is started here.

use super::{Answer, Api, PATIENCE, Sse};
use serde_json::{Value, json};
use std::time::Instant;

impl Api {
    /// Sends a message as it is given.
    pub(crate) async fn post_message(&self, id: &str, body: Value) -> Answer {
        self.post(&format!("/v1/sessions/{id}/messages"), body).await
    }

    /// Tries to send a text.
    pub(crate) async fn try_send(&self, id: &str, message_id: &str, text: &str) -> Answer {
        self.post_message(id, json!({ "message_id": message_id, "text": text })).await
    }

    pub(crate) async fn withdraw(&self, id: &str, message_id: &str) -> Answer {
        self.delete(&format!("/v1/sessions/{id}/messages/{message_id}")).await
    }

    /// Whether there was something to interrupt.
    pub(crate) async fn interrupt(&self, id: &str) -> bool {
        let answer = self.post(&format!("/v1/sessions/{id}/interrupt"), json!({})).await;
        answer.expect(202)["requested"].as_bool().expect("a truth")
    }

    pub(crate) async fn stop_session(&self, id: &str, body: Value) {
        self.post(&format!("/v1/sessions/{id}/stop"), body).await.expect(202);
    }

    pub(crate) async fn resume(&self, id: &str) -> Answer {
        self.post(&format!("/v1/sessions/{id}/resume"), json!({})).await
    }

    /// Answers a permission.
    pub(crate) async fn settle(&self, id: &str, permission_id: &str, body: Value) -> Answer {
        self.post(&format!("/v1/sessions/{id}/permissions/{permission_id}"), body).await
    }

    /// A stream of all events of a session, which watches it.
    pub(crate) async fn follow(&self, id: &str) -> Sse {
        self.stream(&format!("/v1/stream?sessions={id}&after={id}:0")).await
    }

    /// All events of a session as soon as one fits, without watching it: a stream would keep it from being detached.
    pub(crate) async fn look_until(
        &self,
        id: &str,
        mut fits: impl FnMut(&Value) -> bool,
    ) -> Vec<Value> {
        let start = Instant::now();
        loop {
            let events = self.events(id).await;
            if events.iter().any(&mut fits) {
                return events;
            }
            assert!(start.elapsed() < PATIENCE, "it did not come to pass: {events:#?}");
        }
    }
}

/// The types of events, in order.
pub(crate) fn types(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["type"].as_str().expect("a type")).collect()
}

/// The events of one type.
pub(crate) fn of_type<'a>(events: &'a [Value], name: &str) -> Vec<&'a Value> {
    events.iter().filter(|event| event["type"] == name).collect()
}

/// What the agent said, all deltas together.
pub(crate) fn said(events: &[Value]) -> String {
    let deltas = of_type(events, "agent.message");
    deltas.iter().filter_map(|event| event["data"]["delta"].as_str()).collect()
}

/// The seqs are first, first + 1, first + 2 …
#[track_caller]
pub(crate) fn assert_dense(events: &[Value], first: u64) {
    for (event, expected) in events.iter().zip(first..) {
        assert_eq!(event["seq"], expected, "a hole or a double before {event}");
    }
}

/// Fits the events of one type.
pub(crate) fn is(name: &'static str) -> impl FnMut(&Value) -> bool {
    move |event| event["type"] == name
}

/// Fits the event that ends a session so.
pub(crate) fn ends(reason: &'static str) -> impl FnMut(&Value) -> bool {
    move |event| {
        let data = &event["data"];
        event["type"] == "session.state" && data["to"] == "ENDED" && data["reason"] == reason
    }
}

/// Fits the event that brings a session to this state.
pub(crate) fn becomes(state: &'static str) -> impl FnMut(&Value) -> bool {
    move |event| event["type"] == "session.state" && event["data"]["to"] == state
}

/// Fits the end of this message's turn.
pub(crate) fn turn_of(message_id: &'static str) -> impl FnMut(&Value) -> bool {
    move |event| event["type"] == "turn.ended" && event["data"]["message_id"] == message_id
}

/// The message ids of the events of one type, in order.
pub(crate) fn message_ids<'a>(events: &'a [Value], name: &str) -> Vec<&'a str> {
    let of_type = events.iter().filter(|event| event["type"] == name);
    of_type.map(|event| event["data"]["message_id"].as_str().expect("an id")).collect()
}

/// The data of the only event of this type.
#[track_caller]
pub(crate) fn only<'a>(events: &'a [Value], name: &str) -> &'a Value {
    let found = of_type(events, name);
    assert_eq!(found.len(), 1, "{name} in {events:#?}");
    &found[0]["data"]
}

/// The data of this message's `message.failed`, if there is one.
pub(crate) fn failure<'a>(events: &'a [Value], message_id: &str) -> Option<&'a Value> {
    events.iter().map(|event| (&event["type"], &event["data"])).find_map(|(name, data)| {
        (name == "message.failed" && data["message_id"] == message_id).then_some(data)
    })
}

/// Lines of configuration for one more profile of the demo agent.
pub(crate) fn demo_profile(name: &str, lines: &str) -> String {
    format!(
        "[agents.{name}]\nprotocol = \"acp\"\ncommand = \"seawall:self\"\nargs = [\"demo-agent\"]\n{lines}\n"
    )
}
