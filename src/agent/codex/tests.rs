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

/// A codec and what it wrote and said since it was last looked at.
struct Probe {
    codec: Codex,
    out: Output,
}

impl Probe {
    fn started(resume: Option<&str>) -> Self {
        let cwd = "/project".to_owned();
        let resume = resume.map(str::to_owned);
        let mut codec = Codex::new(CodecOptions { cwd, resume, ..CodecOptions::default() });
        let mut out = Output::default();
        codec.start(&mut out);
        Self { codec, out }
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

    fn hear(&mut self, message: Value) -> &mut Self {
        self.hear_line(message.to_string().as_bytes(), false)
    }

    fn hear_line(&mut self, bytes: &[u8], truncated: bool) -> &mut Self {
        self.codec.line(RawLine { bytes, truncated }, &mut self.out);
        self
    }

    fn prompt(&mut self, message_id: &str, text: &str) {
        let message_id = message_id.parse().unwrap();
        self.codec.prompt(&message_id, &[ContentBlock::text(text)], &mut self.out);
    }

    fn cancel(&mut self) -> &mut Self {
        self.codec.cancel(&mut self.out);
        self
    }

    fn answer(&mut self, request: AgentRequest, outcome: Outcome) -> &mut Self {
        self.codec.answer(request, &outcome, &mut self.out);
        self
    }

    fn written(&mut self) -> Vec<Value> {
        messages(&std::mem::take(&mut self.out.stdin))
    }

    fn said(&mut self) -> Vec<AgentEvent> {
        std::mem::take(&mut self.out.events)
    }
}

/// Whole lines, each a message.
fn messages(stdin: &[u8]) -> Vec<Value> {
    let text = std::str::from_utf8(stdin).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'), "half a line: {text}");
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
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
