//! The app-server of Codex as its client: the codec of one run of one `codex app-server`. One thread is kept, and one turn
//! at a time is begun in it; what the protocol says beyond our words is passed on as it came.

mod handshake;
mod input;
mod item;
mod patch;
mod request;
mod text;
mod tool;
mod turn;
mod wire;

#[cfg(test)]
mod tests;

use super::{
    AgentEvent, AgentRequest, Codec, CodecOptions, Output, RawLine,
    rpc::{self, Kind},
};
use crate::domain::{
    ContentBlock, MessageId,
    event::{Outcome, StopReason, TransportFault},
};
use handshake::{Handshake, LOGIN, Progress};
use item::Items;
use request::Requests;
use serde_json::{Value, json};
use turn::{Turn, TurnEnd};
use wire::Caller;

/// A turn is the time between `turn/started` and `turn/completed`. Seen from outside:
///
/// - lines that are no JSON object or array are output, truncated lines too: half a message has no meaning;
/// - notifications of other threads (those of sub-agents) and all that is not mapped are raw;
/// - every request is answered: asked of people where there are words for it, else refused. Those of other threads are
///   asked too, since an agent waits for its answer for ever.
pub struct Codex {
    options: CodecOptions,
    caller: Caller,
    phase: Phase,
    requests: Requests,
}

enum Phase {
    /// Not started, or failed for good.
    Closed,
    Opening(Handshake),
    Open(Box<Conversation>),
}

#[derive(Default)]
struct Conversation {
    thread_id: String,
    /// A message whose turn has not begun.
    starting: Option<Starting>,
    turn: Option<Turn>,
    /// A message that came while a turn of the agent's own accord was running: begun now, it would only steer that.
    held: Option<(MessageId, Vec<Value>)>,
    /// Cancelled before its turn had begun: Codex ends only a turn that it has announced.
    cancelled: bool,
    /// Our last `turn/interrupt`.
    interrupt: Option<i64>,
    items: Items,
    /// Nothing more can come of this run.
    is_over: bool,
}

struct Starting {
    /// Our `turn/start`.
    call: i64,
    message_id: MessageId,
    /// From its response.
    turn_id: Option<String>,
}

impl Codex {
    pub fn new(options: CodecOptions) -> Self {
        Self {
            options,
            caller: Caller::default(),
            phase: Phase::Closed,
            requests: Requests::default(),
        }
    }

    fn message(&mut self, message: Value, out: &mut Output) {
        let Some(fields) = message.as_object() else {
            return out.events.push(AgentEvent::Raw(message));
        };
        match Kind::of(fields) {
            Kind::Response { id } => {
                let id = id.as_i64();
                self.response(id, message, out);
            }
            Kind::Notification { method: "serverRequest/resolved" } => {
                let resolved = message.pointer("/params/requestId");
                if let Some(request) = resolved.and_then(|id| self.requests.resolved(id)) {
                    out.events.push(AgentEvent::RequestCancelled { request });
                }
            }
            Kind::Notification { method } => match &mut self.phase {
                Phase::Open(open) if open.is_of_thread(&message) => {
                    let method = method.to_owned();
                    open.notification(&method, message, &mut self.caller, out);
                    if open.is_over {
                        self.phase = Phase::Closed;
                    }
                }
                _ => out.events.push(AgentEvent::Raw(message)),
            },
            Kind::Request { .. } => match &self.phase {
                Phase::Open(open) => self.requests.ask(message, Some(&open.items), out),
                _ => self.requests.ask(message, None, out),
            },
            Kind::Unknown => out.events.push(AgentEvent::Raw(message)),
        }
    }

    fn response(&mut self, id: Option<i64>, message: Value, out: &mut Output) {
        match std::mem::replace(&mut self.phase, Phase::Closed) {
            Phase::Opening(handshake) if id == Some(handshake.awaited()) => {
                let outcome = message.as_object().map_or(Ok(&Value::Null), rpc::outcome);
                match handshake.response(outcome, &self.options, &mut self.caller, out) {
                    Progress::Waiting(handshake) => self.phase = Phase::Opening(handshake),
                    Progress::Failed { code, detail } => {
                        out.events.push(AgentEvent::Failed { code, detail });
                    }
                    Progress::Done { thread_id, context } => {
                        let agent_session_id = Some(thread_id.clone());
                        let open = Conversation { thread_id, ..Conversation::default() };
                        self.phase = Phase::Open(Box::new(open));
                        out.events.push(AgentEvent::Ready {
                            agent_session_id,
                            context,
                            can_resume: true,
                        });
                    }
                }
            }
            Phase::Open(mut open) => {
                open.response(id, message, out);
                self.phase = Phase::Open(open);
            }
            other => {
                self.phase = other;
                out.events.push(AgentEvent::Raw(message));
            }
        }
    }
}

impl Conversation {
    fn is_of_thread(&self, message: &Value) -> bool {
        let thread = message.pointer("/params/threadId").and_then(Value::as_str);
        thread == Some(&self.thread_id)
    }

    /// Asks for a turn, which begins when Codex says so.
    fn start(
        &mut self,
        message_id: MessageId,
        input: Vec<Value>,
        caller: &mut Caller,
        out: &mut Output,
    ) {
        let params = json!({
            "threadId": self.thread_id,
            "clientUserMessageId": message_id,
            "input": input,
        });
        let call = caller.call("turn/start", params, out);
        self.starting = Some(Starting { call, message_id, turn_id: None });
    }

    fn response(&mut self, id: Option<i64>, message: Value, out: &mut Output) {
        let outcome = message.as_object().map_or(Ok(&Value::Null), rpc::outcome);
        let is_of_start = self.starting.as_ref().is_some_and(|start| id == Some(start.call));
        if is_of_start {
            match outcome.map(|result| result.pointer("/turn/id").and_then(Value::as_str)) {
                Ok(Some(turn_id)) => self.accepted(turn_id),
                Ok(None) => self.refused("the answer to turn/start names no turn".to_owned(), out),
                Err(error) => self.refused(error.to_string(), out),
            }
            return;
        }
        let is_known = match outcome {
            Ok(_) if id.is_some() && id == self.interrupt => true,
            Ok(_) => self.turn.as_mut().is_some_and(|turn| turn.is_answered_by(id)),
            Err(_) => false,
        };
        if !is_known {
            out.events.push(AgentEvent::Raw(message));
        }
    }

    fn accepted(&mut self, turn_id: &str) {
        match &mut self.turn {
            // The message became part of a turn that the agent had just begun by itself.
            Some(turn) if turn.id == turn_id => {
                turn.message_id = self.starting.take().map(|start| start.message_id);
            }
            _ => {
                if let Some(start) = &mut self.starting {
                    start.turn_id = Some(turn_id.to_owned());
                }
            }
        }
    }

    fn refused(&mut self, detail: String, out: &mut Output) {
        self.cancelled = false;
        if let Some(Starting { message_id, .. }) = self.starting.take() {
            out.events.push(AgentEvent::Rejected { message_id, detail });
        }
    }

    fn notification(
        &mut self,
        method: &str,
        mut message: Value,
        caller: &mut Caller,
        out: &mut Output,
    ) {
        let turn_id = || message.pointer("/params/turn/id").and_then(Value::as_str);
        match method {
            "turn/started" => match turn_id().map(str::to_owned) {
                Some(id) => self.turn_started(id, caller, out),
                None => out.events.push(AgentEvent::Raw(message)),
            },
            "turn/completed" => self.turn_completed(message, caller, out),
            "turn/plan/updated" => match turn::plan(&mut message["params"]) {
                Some(plan) => out.events.push(AgentEvent::Plan(plan)),
                None => out.events.push(AgentEvent::Raw(message)),
            },
            "thread/tokenUsage/updated" => {
                if let Some(turn) = &mut self.turn {
                    turn.add_usage(&message["params"]);
                }
                // What the context holds of what it can has no word of ours.
                out.events.push(AgentEvent::Raw(message));
            }
            _ => {
                let prompt = self.turn.as_ref().and_then(|turn| turn.message_id.as_ref());
                self.items.notification(method, message, prompt, out);
            }
        }
    }

    fn turn_started(&mut self, id: String, caller: &mut Caller, out: &mut Output) {
        if self.turn.as_ref().is_some_and(|turn| turn.id == id) {
            return;
        }
        // Before the response says which turn it is, the one that begins is taken for ours.
        let is_ours = |start: &mut Starting| start.turn_id.as_ref().is_none_or(|turn| *turn == id);
        let start = self.starting.take_if(is_ours);
        let message_id = start.as_ref().map(|start| start.message_id.clone());
        let call = start.filter(|start| start.turn_id.is_none()).map(|start| start.call);
        self.items.pause();
        out.events.push(AgentEvent::TurnStarted { message_id: message_id.clone() });
        if self.starting.is_none() && std::mem::take(&mut self.cancelled) {
            self.interrupt(&id, caller, out);
        }
        self.turn = Some(Turn::new(id, message_id, call));
    }

    fn turn_completed(&mut self, message: Value, caller: &mut Caller, out: &mut Output) {
        let id = message.pointer("/params/turn/id").and_then(Value::as_str).unwrap_or_default();
        let is_unannounced =
            self.starting.as_ref().is_some_and(|start| start.turn_id.as_deref() == Some(id));
        if is_unannounced {
            self.turn_started(id.to_owned(), caller, out);
        }
        let Some(turn) = self.turn.take_if(|turn| turn.id == id) else {
            return out.events.push(AgentEvent::Raw(message));
        };
        self.items.pause();
        let shut_out = turn::shut_out(&message["params"]["turn"]);
        let shut_out = shut_out.map(|why| format!("codex was not let in: {why}; {LOGIN}"));
        let TurnEnd { stop_reason, keep_raw } = TurnEnd::of(&message["params"]["turn"]);
        if stop_reason != StopReason::EndTurn {
            self.items.break_off(out);
        }
        let (message_id, usage) = turn.settle();
        if keep_raw {
            out.events.push(AgentEvent::Raw(message));
        }
        out.events.push(AgentEvent::TurnEnded { message_id, stop_reason, usage });
        if let Some(detail) = shut_out {
            // Codex reads who is logged in when it starts: the next run may find it.
            self.is_over = true;
            let code = TransportFault::AuthRequired;
            return out.events.push(AgentEvent::Failed { code, detail });
        }
        if let Some((message_id, input)) = self.held.take() {
            self.start(message_id, input, caller, out);
        }
    }

    fn interrupt(&mut self, turn_id: &str, caller: &mut Caller, out: &mut Output) {
        let params = json!({ "threadId": self.thread_id, "turnId": turn_id });
        self.interrupt = Some(caller.call("turn/interrupt", params, out));
    }
}

impl Codec for Codex {
    fn start(&mut self, out: &mut Output) {
        self.phase = Phase::Opening(Handshake::begin(&mut self.caller, out));
    }

    fn line(&mut self, line: RawLine<'_>, out: &mut Output) {
        if let Some(message) = rpc::read(line, rpc::is_message, out) {
            self.message(message, out);
        }
    }

    fn prompt(&mut self, message: &MessageId, content: &[ContentBlock], out: &mut Output) {
        let refused = match &mut self.phase {
            Phase::Open(open) if open.starting.is_none() && open.held.is_none() => {
                match input::blocks(content) {
                    Ok(input) if open.turn.is_some() => {
                        open.held = Some((message.clone(), input));
                        return;
                    }
                    Ok(input) => return open.start(message.clone(), input, &mut self.caller, out),
                    Err(refused) => refused,
                }
            }
            Phase::Open(_) => "a message waits for its turn; send one at a time".to_owned(),
            _ => "codex has no open thread".to_owned(),
        };
        out.events.push(AgentEvent::Rejected { message_id: message.clone(), detail: refused });
    }

    fn cancel(&mut self, out: &mut Output) {
        let Phase::Open(open) = &mut self.phase else { return };
        match open.turn.as_ref().map(|turn| turn.id.clone()) {
            Some(turn_id) => open.interrupt(&turn_id, &mut self.caller, out),
            None => open.cancelled = open.starting.is_some(),
        }
    }

    fn answer(&mut self, request: AgentRequest, outcome: &Outcome, out: &mut Output) {
        self.requests.answer(request, outcome, out);
    }
}
