//! The codec as a session sees it: calls and lines in, events and lines out. What single messages mean is tested
//! beside the modules that read them.

mod arbitrary;
mod handshake;
mod recorded;
mod turn;

use super::*;
use crate::domain::event::{AgentContext, OutputStream, StopReason, TransportFault};
use serde_json::json;

/// A codec and what it wrote and said since it was last looked at.
struct Probe {
    codec: Acp,
    out: Output,
}

impl Probe {
    fn started(resume: Option<&str>) -> Self {
        let cwd = "/project".to_owned();
        let resume = resume.map(str::to_owned);
        let mut codec = Acp::new(CodecOptions { cwd, resume, ..CodecOptions::default() });
        let mut out = Output::default();
        codec.start(&mut out);
        Self { codec, out }
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

    fn written(&mut self) -> Vec<Value> {
        messages(&std::mem::take(&mut self.out.stdin))
    }

    fn said(&mut self) -> Vec<AgentEvent> {
        std::mem::take(&mut self.out.events)
    }
}

/// Whole lines, each a JSON-RPC message.
fn messages(stdin: &[u8]) -> Vec<Value> {
    let text = std::str::from_utf8(stdin).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'), "half a line: {text}");
    let messages: Vec<Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(messages.iter().all(|message| message["jsonrpc"] == "2.0"), "{text}");
    messages
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
