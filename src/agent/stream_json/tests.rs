//! The codec as a session sees it: calls and lines in, events and lines out. What single messages mean is tested
//! beside the modules that read them.

mod arbitrary;
mod asks;
mod handshake;
mod recorded;
mod turn;

use super::*;
use crate::domain::event::StopReason;
use uuid::Uuid;

/// A codec and what it wrote and said since it was last looked at.
struct Probe {
    codec: StreamJson,
    out: Output,
}

impl Probe {
    fn started(options: CodecOptions) -> Self {
        let mut codec = StreamJson::new(options);
        let mut out = Output::default();
        codec.start(&mut out);
        Self { codec, out }
    }

    /// With the handshake behind it.
    fn open() -> Self {
        let mut probe = Self::started(options());
        probe.hear(initialized(json!({})));
        probe.written();
        probe.said();
        probe
    }

    /// With a message handed over, `m-1`, of which nothing was heard yet.
    fn prompted() -> Self {
        let mut probe = Self::open();
        probe.prompt("m-1", "hi");
        probe.written();
        probe
    }

    /// In the turn of that message.
    fn in_turn() -> Self {
        let mut probe = Self::prompted();
        probe.hear(init());
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

    fn answer(&mut self, request: AgentRequest, outcome: Outcome) -> &mut Self {
        self.codec.answer(request, &outcome, &mut self.out);
        self
    }

    fn cancel(&mut self) -> &mut Self {
        self.codec.cancel(&mut self.out);
        self
    }

    fn written(&mut self) -> Vec<Value> {
        messages(&std::mem::take(&mut self.out.stdin))
    }

    fn said(&mut self) -> Vec<AgentEvent> {
        std::mem::take(&mut self.out.events)
    }
}

/// The session of the recordings, in its first run.
fn options() -> CodecOptions {
    let session = Uuid::from_u128(0x0e3b_36f4_5c1e_4dd4_9a52_1f1f_2fd4_a2a7);
    CodecOptions { cwd: "/srv/project".into(), session, run: 1, ..CodecOptions::default() }
}

/// Whole lines, each a JSON object.
fn messages(stdin: &[u8]) -> Vec<Value> {
    let text = std::str::from_utf8(stdin).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'), "half a line: {text}");
    let messages: Vec<Value> =
        text.split_terminator('\n').map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(messages.iter().all(Value::is_object), "{text}");
    messages
}

/// The answer to our first request.
fn initialized(agent: Value) -> Value {
    let response = json!({"subtype": "success", "request_id": "seawall-1", "response": agent});
    json!({"type": "control_response", "response": response})
}

fn init() -> Value {
    json!({"type": "system", "subtype": "init"})
}

fn receipt(state: &str) -> Value {
    let uuid = prompt::uuid(&options().session, &"m-1".parse().unwrap());
    json!({"type": "command_lifecycle", "command_uuid": uuid, "state": state})
}

fn result() -> Value {
    json!({"type": "result", "subtype": "success", "stop_reason": "end_turn"})
}

fn piece(text: &str) -> Value {
    let delta = json!({"type": "text_delta", "text": text});
    json!({"type": "stream_event", "event": {"type": "content_block_delta", "delta": delta}})
}

fn permission_request(id: &str) -> Value {
    let request = json!({
        "subtype": "can_use_tool", "tool_name": "Bash", "tool_use_id": "t-1",
        "input": {"command": "ls"},
        "permission_suggestions": [{"type": "setMode", "mode": "acceptEdits"}],
    });
    json!({"type": "control_request", "request_id": id, "request": request})
}

fn started(message_id: Option<&str>) -> AgentEvent {
    AgentEvent::TurnStarted { message_id: message_id.map(|id| id.parse().unwrap()) }
}

fn ended(message_id: Option<&str>, stop_reason: StopReason) -> AgentEvent {
    let message_id = message_id.map(|id| id.parse().unwrap());
    AgentEvent::TurnEnded { message_id, stop_reason, usage: None }
}
