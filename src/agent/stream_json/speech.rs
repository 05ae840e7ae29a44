//! What the agent says, thinks and does: pieces while they are made (`stream_event`), whole messages behind them, and the
//! results of tools.

use super::{text, tool};
use crate::agent::{AgentEvent, Output};
use serde_json::{Map, Value, json};
use std::collections::HashMap;

/// The most tool calls whose kind is remembered until their result; the results of others are told in full.
const CALLS_MAX: usize = 1024;

#[derive(Debug, Default)]
pub(super) struct Speech {
    /// The message that is told in pieces, or was last.
    streamed: Option<String>,
    /// Calls of tools whose result is not there yet.
    calls: HashMap<String, tool::Shown>,
}

impl Speech {
    /// Pieces of subagents are dropped, since their whole messages follow; so is what has no text in it.
    pub(super) fn stream_event(&mut self, mut message: Value, out: &mut Output) {
        if parent(&message).is_some() {
            return;
        }
        match message.pointer("/event/type").and_then(Value::as_str) {
            Some("message_start") => {
                let id = message.pointer("/event/message/id").and_then(Value::as_str);
                self.streamed = id.map(Into::into);
            }
            Some("content_block_delta") => {
                match message.pointer_mut("/event/delta").and_then(piece) {
                    Some(Piece::Told(event)) => out.events.push(event),
                    Some(Piece::Silent) => {}
                    None => out.events.push(AgentEvent::Raw(message)),
                }
            }
            Some(
                "content_block_start"
                | "content_block_stop"
                | "message_delta"
                | "message_stop"
                | "ping",
            ) => {}
            _ => out.events.push(AgentEvent::Raw(message)),
        }
    }

    /// A whole message, or one block of it. What was told in pieces is not told again.
    pub(super) fn assistant(&mut self, message: Value, out: &mut Output) {
        let parent = parent(&message);
        let id = message.pointer("/message/id").and_then(Value::as_str);
        let was_told = id.is_some() && id == self.streamed.as_deref();
        let Some(blocks) = message.pointer("/message/content").and_then(Value::as_array) else {
            return out.events.push(AgentEvent::Raw(message));
        };
        let mut is_mapped = true;
        for block in blocks {
            match text(block, "type") {
                Some("tool_use") => is_mapped &= self.tool_use(block, parent, out),
                Some("text" | "thinking") if parent.is_none() => {
                    if !was_told {
                        out.events.extend(whole(block));
                    }
                }
                _ => is_mapped = false,
            }
        }
        if !is_mapped {
            out.events.push(AgentEvent::Raw(message));
        }
    }

    fn tool_use(&mut self, block: &Value, parent: Option<&str>, out: &mut Output) -> bool {
        let (Some(id), Some(name)) = (text(block, "id"), text(block, "name")) else {
            return false;
        };
        let shown = tool::shown(name);
        let input = &block["input"];
        if shown == tool::Shown::AsPlan && parent.is_none() {
            let Some(plan) = tool::plan(input) else { return false };
            out.events.push(AgentEvent::Plan(plan));
        } else {
            let mut call = tool::call(id, name, input);
            place_below(&mut call, parent);
            out.events.push(AgentEvent::ToolCall(call));
        }
        if self.calls.len() < CALLS_MAX {
            self.calls.insert(id.to_owned(), shown);
        }
        true
    }

    /// Results of tools. Other messages of a user are notes that the agent makes to itself.
    pub(super) fn user(&mut self, message: Value, is_cancelling: bool, out: &mut Output) {
        let Some(blocks) = message.pointer("/message/content").and_then(Value::as_array) else {
            return out.events.push(AgentEvent::Raw(message));
        };
        // The details are of one result.
        let details = Some(&message["tool_use_result"]).filter(|details| details.is_object());
        let details = details.filter(|_| blocks.len() == 1);
        let mut is_mapped = true;
        for block in blocks {
            match text(block, "type") {
                Some("tool_result") => {
                    is_mapped &= self.tool_result(block, details, parent(&message), out);
                }
                // The turn's end says it.
                Some("text") if is_cancelling && is_note_of_interrupt(block) => {}
                _ => is_mapped = false,
            }
        }
        if !is_mapped {
            out.events.push(AgentEvent::Raw(message));
        }
    }

    fn tool_result(
        &mut self,
        block: &Value,
        details: Option<&Value>,
        parent: Option<&str>,
        out: &mut Output,
    ) -> bool {
        let Some(id) = text(block, "tool_use_id") else { return false };
        let is_error = block["is_error"] == true;
        let shown = self.calls.remove(id).unwrap_or(tool::Shown::WithResult);
        if shown == tool::Shown::AsPlan && parent.is_none() {
            // A plan has no result to show; that it was refused is not said elsewhere.
            return !is_error;
        }
        let mut update = Map::new();
        update.insert("tool_call_id".into(), id.into());
        update.insert("status".into(), if is_error { "failed" } else { "completed" }.into());
        // The change that was shown with the call says more than "the file was updated".
        if is_error || shown != tool::Shown::WithChange {
            update.insert("content".into(), tool::result_content(&block["content"]));
        }
        if let Some(details) = details {
            update.insert("raw_output".into(), details.clone());
        }
        place_below(&mut update, parent);
        out.events.push(AgentEvent::ToolUpdate(update));
        true
    }

    /// A sign of life of a tool that takes long.
    pub(super) fn tool_progress(&mut self, message: Value, out: &mut Output) {
        let Some(id) = text(&message, "tool_use_id") else {
            return out.events.push(AgentEvent::Raw(message));
        };
        let mut update = tool::in_progress(id);
        place_below(&mut update, parent(&message));
        out.events.push(AgentEvent::ToolUpdate(update));
    }
}

enum Piece {
    Told(AgentEvent),
    Silent,
}

fn piece(delta: &mut Value) -> Option<Piece> {
    let (key, event): (_, fn(String) -> AgentEvent) = match text(delta, "type")? {
        "text_delta" => ("text", |delta| AgentEvent::Message { delta }),
        "thinking_delta" => ("thinking", |delta| AgentEvent::Thought { delta }),
        "input_json_delta" | "signature_delta" | "citations_delta" => return Some(Piece::Silent),
        _ => return None,
    };
    match delta.get_mut(key) {
        Some(Value::String(piece)) if piece.is_empty() => Some(Piece::Silent),
        Some(Value::String(piece)) => Some(Piece::Told(event(std::mem::take(piece)))),
        _ => None,
    }
}

/// A block that was not told in pieces: the agent's own words, such as what a command prints.
fn whole(block: &Value) -> Option<AgentEvent> {
    let told = |key| text(block, key).filter(|text| !text.is_empty()).map(str::to_owned);
    match text(block, "type")? {
        "text" => told("text").map(|delta| AgentEvent::Message { delta }),
        _ => told("thinking").map(|delta| AgentEvent::Thought { delta }),
    }
}

fn is_note_of_interrupt(block: &Value) -> bool {
    text(block, "text").is_some_and(|text| text.starts_with("[Request interrupted by user"))
}

/// The tool call whose subagent speaks.
fn parent(message: &Value) -> Option<&str> {
    text(message, "parent_tool_use_id")
}

fn place_below(call: &mut Map<String, Value>, parent: Option<&str>) {
    if let Some(parent) = parent {
        call.insert("_meta".into(), json!({"parent_tool_call_id": parent}));
    }
}
