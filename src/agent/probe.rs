//! A codec as a session has it, for the codecs' tests: calls and lines in, events and lines out.

use super::{AgentEvent, AgentRequest, Codec, Output, RawLine};
use crate::domain::{ContentBlock, event::Outcome};
use serde_json::Value;

/// A codec and what it wrote and said since it was last looked at.
pub(super) struct Probe<C> {
    pub(super) codec: C,
    pub(super) out: Output,
    /// Whether the protocol allows us to write this.
    is_ours: fn(&Value) -> bool,
}

impl<C: Codec> Probe<C> {
    /// Of a codec whose child was spawned.
    pub(super) fn of(mut codec: C, is_ours: fn(&Value) -> bool) -> Self {
        let mut out = Output::default();
        codec.start(&mut out);
        Self { codec, out, is_ours }
    }

    pub(super) fn hear(&mut self, message: Value) -> &mut Self {
        self.hear_line(message.to_string().as_bytes(), false)
    }

    pub(super) fn hear_line(&mut self, bytes: &[u8], truncated: bool) -> &mut Self {
        self.codec.line(RawLine { bytes, truncated }, &mut self.out);
        self
    }

    pub(super) fn prompt(&mut self, message_id: &str, text: &str) {
        let message_id = message_id.parse().unwrap();
        self.codec.prompt(&message_id, &[ContentBlock::text(text)], &mut self.out);
    }

    pub(super) fn cancel(&mut self) -> &mut Self {
        self.codec.cancel(&mut self.out);
        self
    }

    pub(super) fn answer(&mut self, request: AgentRequest, outcome: Outcome) -> &mut Self {
        self.codec.answer(request, &outcome, &mut self.out);
        self
    }

    /// Whole lines, each a message of the protocol's.
    pub(super) fn written(&mut self) -> Vec<Value> {
        let text = String::from_utf8(std::mem::take(&mut self.out.stdin)).unwrap();
        assert!(text.is_empty() || text.ends_with('\n'), "half a line: {text}");
        let lines = text.split_terminator('\n');
        let messages: Vec<Value> = lines.map(|line| serde_json::from_str(line).unwrap()).collect();
        assert!(messages.iter().all(self.is_ours), "{text}");
        messages
    }

    pub(super) fn said(&mut self) -> Vec<AgentEvent> {
        std::mem::take(&mut self.out.events)
    }
}
