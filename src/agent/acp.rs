//! The Agent Client Protocol, version 1, as its client: the codec of one run of one agent. What the protocol does not
//! define is passed on and never guessed at; nothing an agent writes can make the codec fail.

mod handshake;
pub(super) mod names;
mod prompt;
mod rpc;
#[cfg(test)]
mod tests;
mod update;

use super::{AgentEvent, AgentRequest, Codec, CodecOptions, Output, RawLine};
use crate::domain::{
    ContentBlock, MessageId,
    event::{Outcome, PermissionOption, TransportFault},
};
use agent_client_protocol_schema::v1::{
    AGENT_METHOD_NAMES as METHODS, AuthMethod, CLIENT_METHOD_NAMES as ASKED, CancelNotification,
    PROTOCOL_LEVEL_METHOD_NAMES as PROTOCOL, PromptCapabilities, PromptRequest,
    RequestPermissionOutcome, RequestPermissionResponse, SelectedPermissionOutcome,
};
use handshake::{Handshake, Progress, login_detail};
use rpc::{AUTH_REQUIRED, Caller, Kind};
use serde_json::Value;
use update::TurnEnd;

/// The most permissions that an agent may wait for at a time; one more is answered with an error.
const OPEN_PERMISSIONS_MAX: usize = 64;

/// A turn is the time between `session/prompt` and its response, which carries the stop reason. Seen from outside:
///
/// - lines that are no JSON object or array are output, truncated lines too: half a message has no meaning;
/// - messages that are not mapped, responses to nothing we asked, and updates of other sessions are raw;
/// - what an agent repeats of a session that it loads is not said again, and its modes and options are raw;
/// - requests other than for permission are refused: the handshake offered nothing else.
pub struct Acp {
    options: CodecOptions,
    caller: Caller,
    phase: Phase,
    permissions: Vec<OpenPermission>,
    permissions_made: u64,
}

enum Phase {
    /// Not started, or failed for good.
    Closed,
    Opening(Handshake),
    Open(Conversation),
}

struct Conversation {
    session_id: String,
    takes: PromptCapabilities,
    /// How the agent lets people log in.
    ways: Vec<AuthMethod>,
    prompt: Option<OpenPrompt>,
}

struct OpenPrompt {
    id: i64,
    message_id: MessageId,
    /// The agent was told to leave off.
    cancelled: bool,
}

struct OpenPermission {
    request: AgentRequest,
    /// The agent's id, echoed in the answer as it came.
    id: Value,
}

impl Acp {
    pub fn new(options: CodecOptions) -> Self {
        Self {
            options,
            caller: Caller::default(),
            phase: Phase::Closed,
            permissions: Vec::new(),
            permissions_made: 0,
        }
    }

    fn message(&mut self, message: Value, out: &mut Output) {
        let Some(fields) = message.as_object() else {
            return out.events.push(AgentEvent::Raw(message));
        };
        match Kind::of(fields) {
            Kind::Response { id } if self.awaits(id) => self.response(message, out),
            Kind::Notification { method } if method == ASKED.session_update => {
                self.session_update(message, out);
            }
            Kind::Notification { method } if method == PROTOCOL.cancel_request => {
                self.request_cancelled(message, out);
            }
            Kind::Request { id, method } if method == ASKED.session_request_permission => {
                let id = id.clone();
                self.permission_request(id, message, out);
            }
            Kind::Request { id, method } => {
                let refusal = format!("{method} is not offered by this client");
                rpc::refuse(id, rpc::METHOD_NOT_FOUND, &refusal, out);
                out.events.push(AgentEvent::Raw(message));
            }
            Kind::Response { .. } | Kind::Notification { .. } | Kind::Unknown => {
                out.events.push(AgentEvent::Raw(message));
            }
        }
    }

    fn awaits(&self, id: &Value) -> bool {
        match &self.phase {
            Phase::Closed => false,
            Phase::Opening(handshake) => handshake.awaits(id),
            Phase::Open(Conversation { prompt, .. }) => {
                prompt.as_ref().is_some_and(|prompt| id.as_i64() == Some(prompt.id))
            }
        }
    }

    fn response(&mut self, message: Value, out: &mut Output) {
        let Some(fields) = message.as_object() else {
            return;
        };
        match std::mem::replace(&mut self.phase, Phase::Closed) {
            Phase::Closed => {}
            Phase::Opening(handshake) => {
                let outcome = rpc::outcome(fields);
                let says_more = outcome.as_ref().is_ok_and(|result| handshake.says_more(result));
                let progress = handshake.response(outcome, &self.options, &mut self.caller, out);
                if says_more {
                    out.events.push(AgentEvent::Raw(message));
                }
                self.opened(progress, out);
            }
            Phase::Open(mut conversation) => {
                let prompt = conversation.prompt.take();
                let cancelled = prompt.as_ref().is_some_and(|prompt| prompt.cancelled);
                let outcome = rpc::outcome(fields);
                let login = outcome.as_ref().err().filter(|error| error.code == AUTH_REQUIRED);
                let login = login.map(|error| login_detail(error, &conversation.ways));
                let end = TurnEnd::of(outcome, cancelled);
                self.phase = Phase::Open(conversation);
                if end.keep_raw {
                    out.events.push(AgentEvent::Raw(message));
                }
                out.events.push(AgentEvent::TurnEnded {
                    message_id: prompt.map(|prompt| prompt.message_id),
                    stop_reason: end.stop_reason,
                    usage: end.usage,
                });
                // Agents look for who is logged in when they start: the next run may find it.
                if let Some(detail) = login {
                    self.phase = Phase::Closed;
                    out.events
                        .push(AgentEvent::Failed { code: TransportFault::AuthRequired, detail });
                }
            }
        }
    }

    fn opened(&mut self, progress: Progress, out: &mut Output) {
        match progress {
            Progress::Waiting(handshake) => self.phase = Phase::Opening(handshake),
            Progress::Failed { code, detail } => {
                out.events.push(AgentEvent::Failed { code, detail });
            }
            Progress::Done { session_id, context, agent } => {
                let agent_session_id = Some(session_id.clone());
                let can_resume = handshake::can_resume(&agent.agent_capabilities);
                self.phase = Phase::Open(Conversation {
                    session_id,
                    takes: agent.agent_capabilities.prompt_capabilities,
                    ways: agent.auth_methods,
                    prompt: None,
                });
                out.events.push(AgentEvent::Ready { agent_session_id, context, can_resume });
            }
        }
    }

    fn session_update(&mut self, message: Value, out: &mut Output) {
        let session = session_of(&message);
        match &self.phase {
            Phase::Open(open) if session == Some(&open.session_id) => {
                out.events.push(update::session_update(message));
            }
            Phase::Opening(handshake)
                if session.is_some_and(|id| handshake.may_replay(id))
                    && update::is_history(&message) => {}
            _ => out.events.push(AgentEvent::Raw(message)),
        }
    }

    fn permission_request(&mut self, id: Value, message: Value, out: &mut Output) {
        match self.read_permission(&message) {
            Ok((tool_call, options)) => {
                self.permissions_made += 1;
                let request = AgentRequest(self.permissions_made);
                self.permissions.push(OpenPermission { request, id });
                out.events.push(AgentEvent::PermissionRequested { request, tool_call, options });
            }
            Err((code, detail)) => {
                rpc::refuse(&id, code, &detail, out);
                out.events.push(AgentEvent::Raw(message));
            }
        }
    }

    /// Or the code and the words to refuse it with.
    fn read_permission(
        &self,
        message: &Value,
    ) -> Result<(Value, Vec<PermissionOption>), (i64, String)> {
        match &self.phase {
            Phase::Open(open) if session_of(message) == Some(&open.session_id) => {}
            _ => {
                let detail = "sessionId names no session of this client".to_owned();
                return Err((rpc::INVALID_PARAMS, detail));
            }
        }
        if self.permissions.len() >= OPEN_PERMISSIONS_MAX {
            let detail = format!("{OPEN_PERMISSIONS_MAX} permissions are open; wait for an answer");
            return Err((rpc::INTERNAL_ERROR, detail));
        }
        update::permission(&message["params"])
            .map_err(|fault| (rpc::INVALID_PARAMS, fault.to_owned()))
    }

    /// The agent must still get an answer to the request that it takes back.
    fn request_cancelled(&mut self, message: Value, out: &mut Output) {
        let cancelled = message.pointer("/params/requestId");
        let open = self.permissions.iter().position(|open| Some(&open.id) == cancelled);
        let Some(position) = open else {
            return out.events.push(AgentEvent::Raw(message));
        };
        let OpenPermission { request, id } = self.permissions.remove(position);
        rpc::refuse(&id, rpc::REQUEST_CANCELLED, "request cancelled", out);
        out.events.push(AgentEvent::RequestCancelled { request });
    }
}

impl Codec for Acp {
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
            Phase::Open(open) if open.prompt.is_none() => {
                match prompt::blocks(content, &open.takes) {
                    Ok(blocks) => {
                        let request = PromptRequest::new(open.session_id.clone(), blocks);
                        let id = self.caller.call(METHODS.session_prompt, request, out);
                        let message_id = message.clone();
                        open.prompt = Some(OpenPrompt { id, message_id, cancelled: false });
                        let message_id = Some(message.clone());
                        return out.events.push(AgentEvent::TurnStarted { message_id });
                    }
                    Err(refused) => refused,
                }
            }
            Phase::Open(_) => "a turn is open, and the agent takes one prompt at a time".to_owned(),
            _ => "the agent has no open session".to_owned(),
        };
        out.events.push(AgentEvent::Rejected { message_id: message.clone(), detail: refused });
    }

    fn cancel(&mut self, out: &mut Output) {
        // Without a prompt there is nothing to end, and an agent might end the next one.
        if let Phase::Open(Conversation { session_id, prompt: Some(prompt), .. }) = &mut self.phase
        {
            prompt.cancelled = true;
            rpc::notify(METHODS.session_cancel, CancelNotification::new(session_id.clone()), out);
        }
    }

    fn answer(&mut self, request: AgentRequest, outcome: &Outcome, out: &mut Output) {
        let Some(position) = self.permissions.iter().position(|open| open.request == request)
        else {
            return;
        };
        let id = self.permissions.remove(position).id;
        let outcome = match outcome {
            Outcome::Selected { option_id } => RequestPermissionOutcome::Selected(
                SelectedPermissionOutcome::new(option_id.clone()),
            ),
            // Answers are for questions, which ACP agents are not offered; expiry has no word of its own.
            Outcome::Cancelled | Outcome::Expired | Outcome::Answered { .. } => {
                RequestPermissionOutcome::Cancelled
            }
        };
        rpc::answer(&id, RequestPermissionResponse::new(outcome), out);
    }
}

fn session_of(message: &Value) -> Option<&String> {
    match message.get("params")?.get("sessionId") {
        Some(Value::String(session)) => Some(session),
        _ => None,
    }
}
