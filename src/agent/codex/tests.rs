//! The codec as a session sees it: calls and lines in, events and lines out. What single messages mean is tested
//! beside the modules that read them.

mod arbitrary;
mod asks;
mod handshake;
mod items;
mod recorded;
mod turns;

use super::*;
use crate::domain::event::{AgentContext, OutputStream};

type Probe = crate::agent::probe::Probe<Codex>;

impl Probe {
    fn started(resume: Option<&str>) -> Self {
        let cwd = "/project".to_owned();
        let resume = resume.map(str::to_owned);
        let codec = Codex::new(CodecOptions { cwd, resume, ..CodecOptions::default() });
        Self::of(codec, Value::is_object)
    }

    /// In thread `th`, with the handshake behind it.
    fn open() -> Self {
        let mut probe = Self::started(None);
        probe.hear(json!({"id": 1, "result": {}})).hear(json!({"id": 2, "result": {}}));
        probe.hear(json!({"id": 3, "result": {"thread": {"id": "th"}}}));
        probe.written();
        probe.said();
        probe
    }

    /// With a message handed over as request 4, message `m-1`.
    fn prompted() -> Self {
        let mut probe = Self::open();
        probe.prompt("m-1", "hi");
        probe.written();
        probe
    }

    /// In turn `t-1`.
    fn running() -> Self {
        let mut probe = Self::prompted();
        probe.hear(started("t-1")).hear(accepted(4, "t-1"));
        probe.said();
        probe
    }
}

fn methods(probe: &mut Probe) -> Vec<String> {
    let written = probe.written();
    written.iter().filter_map(|line| line["method"].as_str().map(str::to_owned)).collect()
}

fn accepted(call: i64, turn: &str) -> Value {
    json!({"id": call, "result": {"turn": {"id": turn, "status": "inProgress"}}})
}

fn notice(method: &str, mut params: Value) -> Value {
    params["threadId"] = "th".into();
    json!({"method": method, "params": params, "emittedAtMs": 1})
}

fn started(turn: &str) -> Value {
    notice("turn/started", json!({"turn": {"id": turn, "status": "inProgress"}}))
}

fn completed(turn: &str, status: &str) -> Value {
    notice("turn/completed", json!({"turn": {"id": turn, "status": status, "error": null}}))
}

fn delta(text: &str) -> Value {
    notice("item/agentMessage/delta", json!({"itemId": "i-1", "delta": text}))
}

fn begun(message_id: Option<&str>) -> AgentEvent {
    AgentEvent::TurnStarted { message_id: message_id.map(|id| id.parse().unwrap()) }
}

fn ended(message_id: Option<&str>, stop_reason: StopReason) -> AgentEvent {
    let message_id = message_id.map(|id| id.parse().unwrap());
    AgentEvent::TurnEnded { message_id, stop_reason, usage: None }
}

fn message(text: &str) -> AgentEvent {
    AgentEvent::Message { delta: text.to_owned() }
}
