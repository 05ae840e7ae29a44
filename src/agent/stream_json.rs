//! Claude Code's stream-json, as its host: the codec of one run of one `claude`. Messages that are not mapped are passed on
//! and never guessed at; nothing the agent writes can make the codec fail.

mod arguments;
mod ask;
mod prompt;
mod result;
mod speech;
#[cfg(test)]
mod tests;
mod tool;
mod turns;
mod wire;

pub(super) use arguments::{arguments, reserved_argument};

use super::{AgentEvent, AgentRequest, Codec, CodecOptions, Output, RawLine, rpc};
use crate::domain::{
    ContentBlock, MessageId,
    event::{AgentContext, Outcome, TransportFault},
};
use ask::Asks;
use result::TurnEnd;
use serde_json::{Value, json};
use speech::Speech;
use turns::Turns;

/// How our own requests are numbered; the agent's have names of its own.
const OUR_REQUESTS: &str = "seawall-";

/// A turn begins when the agent takes up a message, and ends with its `result`. Seen from outside:
///
/// - lines that are no JSON object are output, truncated lines too: half a message has no meaning;
/// - what is said while it is made is told, and the whole message that follows is not told again;
/// - tools of subagents are told as tool calls, with `parent_tool_call_id` in `_meta`; what subagents say to each other is
///   raw, so that it never mixes with the answer;
/// - progress that says nothing to a person (`status: requesting`, token counts, receipts) is dropped. Of `system/init`,
///   which comes with every turn, the first of a run is kept raw.
pub struct StreamJson {
    options: CodecOptions,
    phase: Phase,
    requests_made: u64,
    turns: Turns,
    speech: Speech,
    asks: Asks,
    /// The agent's session; its `/clear` begins another.
    session_id: String,
    has_told_init: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Not started, or failed for good.
    Closed,
    Opening,
    Open,
}

impl StreamJson {
    pub fn new(options: CodecOptions) -> Self {
        let session_id = arguments::session_id(&options);
        Self {
            options,
            phase: Phase::Closed,
            requests_made: 0,
            turns: Turns::default(),
            speech: Speech::default(),
            asks: Asks::default(),
            session_id,
            has_told_init: false,
        }
    }

    fn request(&mut self, request: Value, out: &mut Output) {
        self.requests_made += 1;
        let id = format!("{OUR_REQUESTS}{}", self.requests_made);
        wire::request(&id, request, out);
    }

    fn message(&mut self, message: Value, out: &mut Output) {
        match text(&message, "type") {
            Some("stream_event") => self.speech.stream_event(message, out),
            Some("assistant") => self.speech.assistant(message, out),
            Some("user") => self.user(message, out),
            Some("result") => self.result(message, out),
            Some("system") => self.system(message, out),
            Some("command_lifecycle") => self.turns.receipt(message, out),
            Some("control_request") => self.asks.requested(message, out),
            Some("control_cancel_request") => self.asks.taken_back(message, out),
            Some("control_response") => self.response(message, out),
            Some("tool_progress") => self.speech.tool_progress(message, out),
            Some("keep_alive") => {}
            _ => out.events.push(AgentEvent::Raw(message)),
        }
    }

    /// The answer to one of our requests. The agent may repeat ours to its own, which say nothing new.
    fn response(&mut self, message: Value, out: &mut Output) {
        let response = &message["response"];
        let id = text(response, "request_id").unwrap_or_default();
        let is_error = text(response, "subtype") == Some("error");
        if self.phase == Phase::Opening && id == format!("{OUR_REQUESTS}1") {
            let event = if is_error {
                let why = text(response, "error").unwrap_or("it gives no reason");
                self.failed(
                    TransportFault::Handshake,
                    format!("the agent refused initialize: {why}"),
                )
            } else {
                self.opened(&response["response"])
            };
            return out.events.push(event);
        }
        // An interrupt that was refused: the ladder goes on from there.
        if is_error || !message["response"].is_object() {
            out.events.push(AgentEvent::Raw(message));
        }
    }

    fn failed(&mut self, code: TransportFault, detail: String) -> AgentEvent {
        self.phase = Phase::Closed;
        AgentEvent::Failed { code, detail }
    }

    fn opened(&mut self, agent: &Value) -> AgentEvent {
        // A way to log in has a source, or is another provider's.
        let account = &agent["account"];
        if text(account, "tokenSource") == Some("none") && account.get("apiKeySource").is_none() {
            let detail = "the agent is not logged in; run `claude /login` as the account that it runs as, or give its \
                          profile ANTHROPIC_API_KEY in `env_file`, then resume the session";
            return self.failed(TransportFault::AuthRequired, detail.to_owned());
        }
        self.phase = Phase::Open;
        self.turns.capabilities(agent);
        let context = match &self.options.resume {
            Some(_) => AgentContext::Resumed,
            None if self.options.lost => AgentContext::Lost,
            None => AgentContext::New,
        };
        AgentEvent::Ready {
            agent_session_id: Some(self.session_id.clone()),
            context,
            can_resume: true,
        }
    }

    fn user(&mut self, message: Value, out: &mut Output) {
        if message["isReplay"] == true {
            if !self.turns.replayed(&message, out) {
                out.events.push(AgentEvent::Raw(message));
            }
            return;
        }
        let is_cancelling = self.turns.is_cancelling();
        self.speech.user(message, is_cancelling, out);
    }

    fn result(&mut self, message: Value, out: &mut Output) {
        if self.phase == Phase::Opening {
            let event = self.not_opened(&message);
            return out.events.push(event);
        }
        let end = TurnEnd::of(&message, self.turns.is_cancelling());
        let keep_raw = end.keep_raw || !self.turns.has_one_to_end();
        if keep_raw {
            out.events.push(AgentEvent::Raw(message));
        }
        self.turns.ended(end, out);
    }

    /// The agent gives up before it has answered: most of all, it does not know the session that it is to resume.
    fn not_opened(&mut self, result: &Value) -> AgentEvent {
        let errors = result["errors"].as_array().into_iter().flatten();
        let errors: Vec<_> = errors.filter_map(Value::as_str).collect();
        let why = errors.join("; ");
        if self.options.resume.is_some() && why.contains("No conversation found") {
            let detail = format!("{why}; the next run begins another session");
            return self.failed(TransportFault::Resume, detail);
        }
        self.failed(TransportFault::Protocol, format!("the agent gave up at its start: {why}"))
    }

    fn system(&mut self, message: Value, out: &mut Output) {
        match text(&message, "subtype") {
            Some("init") if self.phase == Phase::Open => self.init(message, out),
            Some("thinking_tokens") => {}
            Some("status") if message["status"] == "requesting" => {}
            _ => out.events.push(AgentEvent::Raw(message)),
        }
    }

    /// What the agent says of itself at the beginning of each turn, of its own turns too.
    fn init(&mut self, message: Value, out: &mut Output) {
        self.turns.capabilities(&message);
        self.turns.taken_up(out);
        let session_id = text(&message, "session_id");
        if let Some(session_id) = session_id.filter(|id| *id != self.session_id) {
            self.session_id = session_id.to_owned();
            let agent_session_id = Some(self.session_id.clone());
            out.events.push(AgentEvent::Ready {
                agent_session_id,
                context: AgentContext::New,
                can_resume: true,
            });
        }
        if !std::mem::replace(&mut self.has_told_init, true) {
            out.events.push(AgentEvent::Raw(message));
        }
    }
}

impl Codec for StreamJson {
    fn start(&mut self, out: &mut Output) {
        self.phase = Phase::Opening;
        self.request(json!({"subtype": "initialize", "hooks": null}), out);
    }

    fn line(&mut self, line: RawLine<'_>, out: &mut Output) {
        if let Some(message) = rpc::read(line, Value::is_object, out) {
            self.message(message, out);
        }
    }

    fn prompt(&mut self, message: &MessageId, content: &[ContentBlock], out: &mut Output) {
        let refused = if self.phase != Phase::Open {
            "the agent has no open session".to_owned()
        } else if self.turns.has_prompt() {
            "a message is with the agent already, and it is given one at a time".to_owned()
        } else {
            match prompt::content(content) {
                Ok(content) => {
                    let uuid = prompt::uuid(&self.options.session, message);
                    wire::user(content, &uuid, out);
                    return self.turns.given(uuid, message.clone());
                }
                Err(refused) => refused,
            }
        };
        out.events.push(AgentEvent::Rejected { message_id: message.clone(), detail: refused });
    }

    fn cancel(&mut self, out: &mut Output) {
        // Without a turn there is nothing to end.
        if self.turns.cancel() {
            self.request(json!({"subtype": "interrupt", "cancel_queued": true}), out);
        }
    }

    fn answer(&mut self, request: AgentRequest, outcome: &Outcome, out: &mut Output) {
        self.asks.answer(request, outcome, out);
    }
}

fn text<'a>(message: &'a Value, key: &str) -> Option<&'a str> {
    message.get(key)?.as_str()
}
