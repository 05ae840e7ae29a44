//! A client that sends in a storm and remembers every acknowledgement. It believes no answer but a receipt.

use super::{about, assert_dense};
use crate::support::{Api, within};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// A call to a server that may answer anything or nothing.
pub(super) async fn attempt(request: reqwest::RequestBuilder) -> Option<(u16, Value)> {
    let answer = async {
        let response = request.send().await.ok()?;
        let status = response.status().as_u16();
        let text = response.text().await.ok()?;
        // 408: the connection was kept for later, and the server closed it as the call began.
        (status != 408).then(|| (status, serde_json::from_str(&text).unwrap_or(Value::Null)))
    };
    within("an answer or none", answer).await
}

#[derive(Clone, Debug)]
pub(super) struct Message {
    pub(super) session: String,
    message_id: String,
    text: String,
}

pub(super) struct Client {
    /// With whether the agent speaks plain lines.
    pub(super) sessions: Vec<(String, bool)>,
    written: u64,
    /// The receipts' places.
    acknowledged: BTreeMap<(String, String), u64>,
    /// Sent, and nobody knows yet.
    open: Vec<(String, String)>,
}

impl Client {
    pub(super) fn new(sessions: Vec<(String, bool)>) -> Self {
        Self { sessions, written: 0, acknowledged: BTreeMap::new(), open: Vec::new() }
    }

    pub(super) fn write(&mut self, session: &str, text: &str) -> Message {
        self.written += 1;
        let message_id = format!("m{}", self.written);
        self.open.push((session.into(), message_id.clone()));
        Message { session: session.into(), message_id, text: text.into() }
    }

    pub(super) fn acknowledged(&self) -> usize {
        self.acknowledged.len()
    }

    pub(super) fn is_acknowledged(&self, message: &Message) -> bool {
        self.acknowledged.contains_key(&(message.session.clone(), message.message_id.clone()))
    }

    pub(super) fn has_ended(&self, message: &Message, events: &[Value]) -> bool {
        let told = about(events, &message.message_id);
        let is_plain =
            self.sessions.iter().any(|(id, is_plain)| *is_plain && *id == message.session);
        let end = if is_plain { "message.dispatched" } else { "turn.ended" };
        told.contains(&end) || told.contains(&"message.failed")
    }

    /// Posts a message once more. True where there is nothing to gain by another try.
    pub(super) async fn post(&mut self, api: &Api, message: &Message) -> bool {
        let Message { session, message_id, text } = message;
        let key = (session.clone(), message_id.clone());
        let body = json!({ "message_id": message_id, "text": text });
        let path = format!("/v1/sessions/{session}/messages");
        match attempt(api.request("POST", &path).json(&body)).await {
            Some((202, receipt)) => {
                let seq = receipt["seq"].as_u64().expect("a seq");
                self.open.retain(|open| *open != key);
                let first = self.acknowledged.insert(key, seq);
                assert!(first.is_none_or(|first| first == seq), "{receipt} after {first:?}");
                true
            }
            // A full queue: not taken, and what was answered before that stays open.
            Some((429, _)) => true,
            None | Some((500 | 503, _)) => false,
            Some(other) => panic!("{message:?}: {other:?}"),
        }
    }

    #[track_caller]
    pub(super) fn check(&self, session: &str, is_plain: bool, events: &[Value]) {
        assert_dense(events, 1);
        let mine = |(id, _): &(String, String)| id == session;
        for ((_, message_id), seq) in self.acknowledged.iter().filter(|(key, _)| mine(key)) {
            let at = &events[usize::try_from(*seq).expect("an index") - 1];
            assert_eq!(at["data"]["message_id"], message_id.as_str(), "{at}");
            self.check_message(message_id, is_plain, events, 1);
        }
        for (_, message_id) in self.open.iter().filter(|key| mine(key)) {
            let taken = about(events, message_id).contains(&"user.message");
            self.check_message(message_id, is_plain, events, usize::from(taken));
        }
        let count = |name: &str| events.iter().filter(|event| event["type"] == name).count();
        assert_eq!(count("turn.started"), count("turn.ended"), "an open turn in {session}");
    }

    #[track_caller]
    fn check_message(&self, id: &str, is_plain: bool, events: &[Value], taken: usize) {
        let told = about(events, id);
        let count = |name: &str| told.iter().filter(|told| **told == name).count();
        let what = || format!("{id}: {told:?}");
        assert_eq!(count("user.message"), taken, "{}", what());
        let (dispatched, failed) = (count("message.dispatched"), count("message.failed"));
        assert!(dispatched <= taken && failed <= 1, "{}", what());
        let ended = if is_plain { dispatched } else { count("turn.ended") };
        assert!(taken == 0 || ended + failed > 0, "{} has no end", what());
    }
}
