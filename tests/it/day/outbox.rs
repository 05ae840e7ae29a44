//! What clients know of the messages that they sent, held against the log: acknowledged means kept, and once. How a
//! message travels is not known here.

use crate::support::{assert_dense, of_type};
use serde_json::{Value, json};

/// The messages of one session.
#[derive(Debug)]
pub(super) struct Outbox {
    pub(super) id: String,
    has_turns: bool,
    sent: Vec<Message>,
}

#[derive(Clone, Debug)]
pub(super) struct Message {
    pub(super) message_id: String,
    pub(super) text: String,
    attempts: u32,
    fate: Fate,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    /// No answer, or one that says nothing: it may or may not be there.
    Unknown,
    Refused,
    Acknowledged(u64),
}

impl Outbox {
    pub(super) fn new(id: String, has_turns: bool) -> Self {
        Self { id, has_turns, sent: Vec::new() }
    }

    /// A new message. What an agent of lines is given can be told apart.
    pub(super) fn write(&mut self, text: &str) -> Message {
        let message_id = format!("m{}", self.sent.len());
        let text =
            if self.has_turns { text.to_owned() } else { format!("{} {message_id}", self.id) };
        let message = Message { message_id, text, attempts: 0, fate: Fate::Unknown };
        self.sent.push(message.clone());
        message
    }

    /// One that was sent before.
    pub(super) fn earlier(&self, which: usize) -> Option<Message> {
        self.sent.get(which.checked_rem(self.sent.len())?).cloned()
    }

    /// An answer to a send came, or none.
    pub(super) fn learn(&mut self, message_id: &str, answer: Option<(u16, Value)>) {
        let message = self.sent.iter_mut().find(|message| message.message_id == message_id);
        let message = message.expect("it was sent");
        message.attempts += 1;
        let Some((status, body)) = answer else { return };
        match (status, body["code"].as_str()) {
            (202, _) => {
                let seq = body["seq"].as_u64().expect("a seq");
                let is_known = matches!(message.fate, Fate::Acknowledged(_));
                assert!(!is_known || body["duplicate"] == true, "{message:?} twice: {body}");
                assert!(message.fate != Fate::Refused || body["duplicate"] == false, "{message:?}");
                assert!(
                    !is_known || message.fate == Fate::Acknowledged(seq),
                    "{message:?}: {body}"
                );
                message.fate = Fate::Acknowledged(seq);
            }
            (503, Some("interrupted" | "store_unavailable")) => {}
            (429, Some("queue_full")) => {
                assert!(!matches!(message.fate, Fate::Acknowledged(_)), "{message:?}: {body}");
                // An earlier attempt may still be on its way.
                if message.attempts == 1 {
                    message.fate = Fate::Refused;
                }
            }
            _ => panic!("{message:?}: {status} {body}"),
        }
    }

    pub(super) fn is_kept(&self, message: &Message) -> bool {
        matches!(message.fate, Fate::Acknowledged(_))
    }

    pub(super) fn text(&self, message_id: &str) -> &str {
        let message = self.sent.iter().find(|message| message.message_id == message_id);
        &message.expect("it was sent").text
    }

    /// How many of those that had no answer are in the log.
    pub(super) fn unheard(&self, events: &[Value]) -> usize {
        let accepted = of_type(events, "user.message");
        let unknown = self.sent.iter().filter(|sent| sent.fate == Fate::Unknown);
        let is_there = |sent: &&Message| {
            accepted.iter().any(|event| event["data"]["message_id"] == sent.message_id.as_str())
        };
        unknown.filter(is_there).count()
    }

    pub(super) fn acknowledged(&self) -> usize {
        self.sent.iter().filter(|sent| matches!(sent.fate, Fate::Acknowledged(_))).count()
    }

    /// When the session has ended for good.
    pub(super) fn check(&self, events: &[Value]) {
        assert_dense(events, 1);
        let count = |kind: &str, id: &str| {
            of_type(events, kind).iter().filter(|event| event["data"]["message_id"] == id).count()
        };
        for message in &self.sent {
            let id = message.message_id.as_str();
            let accepted = count("user.message", id);
            let (dispatched, failed) =
                (count("message.dispatched", id), count("message.failed", id));
            let ended = count("turn.ended", id);
            match message.fate {
                Fate::Unknown => assert!(accepted <= 1, "{message:?}"),
                Fate::Refused => assert_eq!(accepted, 0, "{message:?}"),
                Fate::Acknowledged(seq) => {
                    let event = &events[usize::try_from(seq).expect("an index") - 1];
                    let found = (&event["type"], &event["data"]["message_id"]);
                    assert_eq!(found, (&json!("user.message"), &json!(id)));
                    assert_eq!(accepted, 1, "{message:?}");
                }
            }
            assert!(dispatched <= accepted, "{message:?} is dispatched {dispatched} times");
            assert!(failed <= 1 && ended <= 1, "{message:?}");
            // It ran, or it is told that it did not or may not have.
            let is_told = if self.has_turns { ended + failed > 0 } else { dispatched + failed > 0 };
            assert_eq!(is_told, accepted == 1, "{message:?}: {dispatched}, {ended}, {failed}");
            if dispatched == 0 && failed == 1 {
                let failures = of_type(events, "message.failed");
                let failure = failures.iter().find(|event| event["data"]["message_id"] == id);
                assert_eq!(failure.expect("one")["data"]["uncertain"], false, "{message:?}");
            }
        }
    }
}
