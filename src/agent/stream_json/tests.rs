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

type Probe = crate::agent::probe::Probe<StreamJson>;

impl Probe {
    fn started(options: CodecOptions) -> Self {
        Self::of(StreamJson::new(options), Value::is_object)
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
}

/// The session of the recordings, in its first run.
fn options() -> CodecOptions {
    let session = Uuid::from_u128(0x0e3b_36f4_5c1e_4dd4_9a52_1f1f_2fd4_a2a7);
    CodecOptions { cwd: "/srv/project".into(), session, run: 1, ..CodecOptions::default() }
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
