//! The codec as a session sees it: calls and lines in, events and lines out. What single messages mean is tested
//! beside the modules that read them.

mod arbitrary;
mod handshake;
mod recorded;
mod turn;

use super::*;
use crate::domain::event::{AgentContext, OutputStream, StopReason, TransportFault};
use serde_json::json;

type Probe = crate::agent::probe::Probe<Acp>;

impl Probe {
    fn started(resume: Option<&str>) -> Self {
        let cwd = "/project".to_owned();
        let resume = resume.map(str::to_owned);
        let codec = Acp::new(CodecOptions { cwd, resume, ..CodecOptions::default() });
        Self::of(codec, |message| message["jsonrpc"] == "2.0")
    }

    /// In session `s-1`, with the handshake behind it.
    fn open() -> Self {
        let mut probe = Self::started(None);
        probe.hear(json!({"id": 1, "result": {"protocolVersion": 1}}));
        probe.hear(json!({"id": 2, "result": {"sessionId": "s-1"}}));
        probe.written();
        probe.said();
        probe
    }

    /// With a prompt handed over as request 3, message `m-1`.
    fn prompted() -> Self {
        let mut probe = Self::open();
        probe.prompt("m-1", "hi");
        probe.written();
        probe.said();
        probe
    }
}

fn update(update: Value) -> Value {
    let params = json!({"sessionId": "s-1", "update": update});
    json!({"jsonrpc": "2.0", "method": "session/update", "params": params})
}

fn chunk(text: &str) -> Value {
    update(
        json!({"sessionUpdate": "agent_message_chunk", "content": {"type": "text", "text": text}}),
    )
}

fn permission_request(id: Value) -> Value {
    let options = json!([{"optionId": "ok", "name": "Allow", "kind": "allow_once"}]);
    let params = json!({"sessionId": "s-1", "toolCall": {"toolCallId": "c"}, "options": options});
    json!({"jsonrpc": "2.0", "id": id, "method": "session/request_permission", "params": params})
}
