//! Which turn is open, and what became of the message that the agent was given. Turns that the agent begins by itself, when
//! something in its background is done, are told apart from ours by the receipts that newer agents give.

use super::{result::TurnEnd, text};
use crate::{
    agent::{AgentEvent, Output},
    domain::{MessageId, event::StopReason},
};
use serde_json::Value;

/// Receipts (`command_lifecycle`) are given by agents with this capability.
const RECEIPTS: &str = "msg_lifecycle_v1";

#[derive(Debug, Default)]
pub(super) struct Turns {
    /// Given to the agent, its turn not ended.
    prompt: Option<Prompt>,
    open: Option<Open>,
    /// The agent says when it takes up a message; others only that they begin a turn.
    gives_receipts: bool,
    /// The last message that was settled: the receipt for its end is still to come.
    settled: Option<String>,
    is_cancelling: bool,
}

#[derive(Clone, Debug)]
struct Prompt {
    uuid: String,
    message_id: MessageId,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Open {
    OfPrompt,
    OfAgent,
}

impl Turns {
    pub(super) fn capabilities(&mut self, agent: &Value) {
        let capabilities = agent["capabilities"].as_array().into_iter().flatten();
        self.gives_receipts |= capabilities.into_iter().any(|capability| capability == RECEIPTS);
    }

    pub(super) fn has_prompt(&self) -> bool {
        self.prompt.is_some()
    }

    pub(super) fn is_cancelling(&self) -> bool {
        self.is_cancelling
    }

    pub(super) fn given(&mut self, uuid: String, message_id: MessageId) {
        self.prompt = Some(Prompt { uuid, message_id });
    }

    /// False where there is nothing to cancel.
    pub(super) fn cancel(&mut self) -> bool {
        self.is_cancelling = self.open.is_some() || self.prompt.is_some();
        self.is_cancelling
    }

    /// The agent begins a turn, and does not say of what.
    pub(super) fn taken_up(&mut self, out: &mut Output) {
        if self.open.is_some() {
            return;
        }
        if self.prompt.is_some() && !self.gives_receipts {
            return self.begin_prompt(out);
        }
        self.open = Some(Open::OfAgent);
        out.events.push(AgentEvent::TurnStarted { message_id: None });
    }

    /// The turn of the prompt begins, if it has not.
    fn begin_prompt(&mut self, out: &mut Output) {
        let Some(prompt) = &self.prompt else { return };
        let message_id = Some(prompt.message_id.clone());
        match self.open.replace(Open::OfPrompt) {
            Some(Open::OfPrompt) => return,
            // The message was taken into a turn that the agent had begun.
            Some(Open::OfAgent) => {
                out.events.push(ended(None, TurnEnd::plain(StopReason::EndTurn)))
            }
            None => {}
        }
        out.events.push(AgentEvent::TurnStarted { message_id });
    }

    /// The agent repeats a message that it takes up. False: it is none of ours.
    pub(super) fn replayed(&mut self, message: &Value, out: &mut Output) -> bool {
        let uuid = text(message, "uuid");
        let is_ours = self.is_of_prompt(uuid);
        if is_ours {
            self.begin_prompt(out);
        }
        is_ours || (uuid.is_some() && self.settled.as_deref() == uuid)
    }

    fn is_of_prompt(&self, uuid: Option<&str>) -> bool {
        self.prompt.as_ref().is_some_and(|prompt| Some(prompt.uuid.as_str()) == uuid)
    }

    pub(super) fn receipt(&mut self, message: Value, out: &mut Output) {
        self.gives_receipts = true;
        let (uuid, state) = (text(&message, "command_uuid"), text(&message, "state"));
        let is_known =
            matches!(state, Some("queued" | "started" | "completed" | "cancelled" | "discarded"));
        if !self.is_of_prompt(uuid) || !is_known {
            let is_late = uuid.is_some() && self.settled.as_deref() == uuid;
            if !is_late || !is_known {
                out.events.push(AgentEvent::Raw(message));
            }
            return;
        }
        match state {
            Some("started") => self.begin_prompt(out),
            Some("completed") => self.end_prompt(StopReason::EndTurn, out),
            Some("cancelled") => self.end_prompt(StopReason::Cancelled, out),
            Some("discarded") if self.open != Some(Open::OfPrompt) => self.reject(out),
            Some("discarded") => self.end_prompt(StopReason::Error, out),
            _ => {}
        }
    }

    /// It came to an end without a `result`: it was in the queue, or known to the agent already.
    fn end_prompt(&mut self, stop_reason: StopReason, out: &mut Output) {
        self.begin_prompt(out);
        self.ended(TurnEnd::plain(stop_reason), out);
    }

    fn reject(&mut self, out: &mut Output) {
        if let Some(Prompt { uuid, message_id }) = self.prompt.take() {
            self.settled = Some(uuid);
            let detail = "the agent discarded the message".to_owned();
            out.events.push(AgentEvent::Rejected { message_id, detail });
        }
    }

    /// Whether a `result` ends a turn that we know of.
    pub(super) fn has_one_to_end(&self) -> bool {
        self.open.is_some() || (self.prompt.is_some() && !self.gives_receipts)
    }

    pub(super) fn ended(&mut self, end: TurnEnd, out: &mut Output) {
        if !self.has_one_to_end() {
            return;
        }
        if self.open.is_none() {
            self.begin_prompt(out);
        }
        self.is_cancelling = false;
        let prompt = match self.open.take() {
            Some(Open::OfPrompt) => self.prompt.take(),
            _ => None,
        };
        let message_id = prompt.map(|prompt| {
            self.settled = Some(prompt.uuid);
            prompt.message_id
        });
        out.events.push(ended(message_id, end));
    }
}

fn ended(message_id: Option<MessageId>, end: TurnEnd) -> AgentEvent {
    let TurnEnd { stop_reason, usage, keep_raw: _ } = end;
    AgentEvent::TurnEnded { message_id, stop_reason, usage }
}
