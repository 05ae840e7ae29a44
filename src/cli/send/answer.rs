//! Which events answer a message, and when the answer is complete. Pure: events in, text and an end out.

use crate::{
    cli::words::{end_reason, word},
    domain::{
        Body, MessageId, State,
        event::{Chunk, StopReason},
    },
};

/// Listens for the answer to one message.
pub(super) struct Answer {
    message: MessageId,
    /// The message's turn is running.
    listening: bool,
    dispatched: bool,
    last: Option<char>,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Progress {
    Nothing,
    /// A piece of what the agent says.
    Text(String),
    Done,
    /// Why there is no answer.
    Failed(String),
}

impl Answer {
    pub(super) fn new(message: MessageId) -> Self {
        Self { message, listening: false, dispatched: false, last: None }
    }

    /// None: an event of a type that this version does not know.
    pub(super) fn hear(&mut self, event: Option<Body>) -> Progress {
        match event {
            Some(Body::MessageDispatched { message_id }) if message_id == self.message => {
                self.dispatched = true;
                Progress::Nothing
            }
            Some(Body::TurnStarted { message_id, .. }) if self.is_mine(message_id.as_ref()) => {
                self.listening = true;
                Progress::Nothing
            }
            Some(Body::AgentMessage(chunk)) if self.listening => self.piece(chunk),
            Some(Body::TurnEnded { message_id, stop_reason, .. })
                if self.is_mine(message_id.as_ref()) =>
            {
                match stop_reason {
                    StopReason::EndTurn => Progress::Done,
                    other => Progress::Failed(format!(
                        "the turn ended: {}",
                        word(&other).replace('_', " ")
                    )),
                }
            }
            Some(Body::MessageFailed { message_id, reason, uncertain })
                if message_id == self.message =>
            {
                let uncertain = if uncertain { "; it may have run" } else { "" };
                let reason = word(&reason).replace('_', " ");
                Progress::Failed(format!("the message failed: {reason}{uncertain}"))
            }
            // The last word for an agent without turns. Others have said how their turn ended before.
            Some(Body::SessionState { to: State::Ended, reason, .. }) if self.dispatched => {
                let reason = reason.map_or_else(|| "ended".into(), end_reason);
                Progress::Failed(format!("the session ended before the turn did: {reason}"))
            }
            _ => Progress::Nothing,
        }
    }

    pub(super) fn is_mid_line(&self) -> bool {
        self.last.is_some_and(|last| last != '\n')
    }

    fn is_mine(&self, message: Option<&MessageId>) -> bool {
        message == Some(&self.message)
    }

    fn piece(&mut self, chunk: Chunk) -> Progress {
        let whole = chunk.content.as_ref().and_then(|content| content.get("text")?.as_str());
        let mut text = chunk.delta.as_deref().or(whole).unwrap_or_default().to_owned();
        self.last = text.chars().last().or(self.last);
        // A block is a paragraph of its own.
        if chunk.is_final && self.is_mid_line() {
            text.push('\n');
            self.last = Some('\n');
        }
        if text.is_empty() { Progress::Nothing } else { Progress::Text(text) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn hear(answer: &mut Answer, kind: &str, data: Value) -> Progress {
        let body = serde_json::from_value(json!({ "type": kind, "data": data })).unwrap();
        answer.hear(Some(body))
    }

    fn answer() -> Answer {
        Answer::new("mine".parse().unwrap())
    }

    fn say(answer: &mut Answer, delta: &str, last: bool) -> Progress {
        let data = json!({ "turn_id": "t", "block_id": "b", "delta": delta, "final": last });
        hear(answer, "agent.message", data)
    }

    fn end(answer: &mut Answer, message: &str, reason: &str) -> Progress {
        let data =
            json!({ "turn_id": "t", "message_id": message, "stop_reason": reason, "usage": null });
        hear(answer, "turn.ended", data)
    }

    #[test]
    fn only_what_is_said_in_the_messages_own_turn_is_its_answer() {
        let mut answer = answer();
        assert_eq!(say(&mut answer, "of another turn", true), Progress::Nothing);
        assert_eq!(end(&mut answer, "other", "end_turn"), Progress::Nothing);
        hear(&mut answer, "turn.started", json!({ "turn_id": "t", "message_id": "mine" }));
        assert_eq!(say(&mut answer, "hel", false), Progress::Text("hel".into()));
        assert_eq!(say(&mut answer, "lo", true), Progress::Text("lo\n".into()));
        assert_eq!(end(&mut answer, "mine", "end_turn"), Progress::Done);
        assert!(!answer.is_mid_line());
    }

    #[test]
    fn a_turn_that_ends_otherwise_is_a_failure_with_its_reason() {
        let failed = Progress::Failed("the turn ended: transport lost".into());
        assert_eq!(end(&mut answer(), "mine", "transport_lost"), failed);
    }

    #[test]
    fn a_message_that_may_have_run_says_so() {
        let data = json!({ "message_id": "mine", "reason": "transport_lost", "uncertain": true });
        let failed = Progress::Failed("the message failed: transport lost; it may have run".into());
        assert_eq!(hear(&mut answer(), "message.failed", data), failed);
    }

    #[test]
    fn the_end_of_the_session_counts_once_the_message_was_dispatched() {
        let mut answer = answer();
        let ended = json!({ "from": "ACTIVE", "to": "ENDED", "reason": "completed", "client_state": "idle" });
        assert_eq!(hear(&mut answer, "session.state", ended.clone()), Progress::Nothing);
        hear(&mut answer, "message.dispatched", json!({ "message_id": "mine" }));
        let failed = Progress::Failed("the session ended before the turn did: completed".into());
        assert_eq!(hear(&mut answer, "session.state", ended), failed);
    }
}
