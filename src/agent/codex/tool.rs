//! Items that are tool calls, in ACP's words: a title, a kind, a status, content that can be shown, and the item itself
//! as raw output.

use super::patch;
use crate::agent::acp::names;
use serde_json::{Map, Value, json};

type Object = Map<String, Value>;

/// What a tool call is called while it runs.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Tool {
    pub(super) title: String,
    pub(super) kind: &'static str,
}

impl Tool {
    /// None: an item that is no tool call.
    pub(super) fn of(kind: &str, item: &Object) -> Option<Self> {
        let text = |key: &str| item.get(key).and_then(Value::as_str);
        let (title, kind) = match kind {
            "commandExecution" => command(item),
            "fileChange" => (patch::title(item.get("changes")), "edit"),
            "mcpToolCall" => {
                let (server, tool) = (text("server").unwrap_or("?"), text("tool").unwrap_or("?"));
                (format!("{server}: {tool}"), "other")
            }
            "dynamicToolCall" => (text("tool").unwrap_or("a tool").to_owned(), "other"),
            "webSearch" => (format!("Search the web: {}", text("query").unwrap_or("")), "fetch"),
            "imageView" => (format!("Look at {}", text("path").unwrap_or("an image")), "read"),
            "imageGeneration" => ("Make an image".to_owned(), "other"),
            "collabAgentToolCall" => {
                (format!("Another agent: {}", text("tool").unwrap_or("?")), "think")
            }
            _ => return None,
        };
        Some(Self { title, kind })
    }

    /// ACP's `tool_call`.
    pub(super) fn call(&self, id: &str, item: &Object) -> Object {
        let mut call = object(json!({
            "tool_call_id": id, "title": self.title, "kind": self.kind, "status": "in_progress",
        }));
        if let Some(changes) = item.get("changes") {
            call.insert("content".into(), patch::diffs(changes).into());
            call.insert("locations".into(), patch::locations(changes).into());
            return call;
        }
        let input = match (item.get("command"), item.get("arguments")) {
            (Some(command), _) => json!({ "command": command, "cwd": item.get("cwd") }),
            (None, Some(arguments)) => arguments.clone(),
            (None, None) => Value::Object(item.clone()),
        };
        call.insert("raw_input".into(), input);
        call
    }

    /// ACP's `tool_call_update` at the end. What was shown already, here or with the call, is not repeated in the raw
    /// output.
    pub(super) fn result(&self, id: &str, item: &Object, was_shown: bool) -> Object {
        let mut output = item.clone();
        let mut content = Vec::new();
        if let Some(Value::String(text)) = output.get_mut("aggregatedOutput")
            && !text.is_empty()
        {
            content.push(text_content(std::mem::take(text)));
            output.shift_remove("aggregatedOutput");
        }
        if let Some(Value::Array(blocks)) = output.get("result").and_then(|r| r.get("content")) {
            content.extend(blocks.iter().filter_map(block_content));
        }
        if let Some(Value::String(error)) = output.get("error").and_then(|e| e.get("message")) {
            content.push(text_content(error.clone()));
        }
        if was_shown {
            output.shift_remove("changes");
        }
        let status = status(item);
        let mut update = object(json!({ "tool_call_id": id, "status": status }));
        if !content.is_empty() {
            update.insert("content".into(), content.into());
        }
        update.insert("raw_output".into(), Value::Object(output));
        update
    }
}

/// The end of a tool whose turn was broken off.
pub(super) fn broken_off(id: &str) -> Object {
    object(json!({ "tool_call_id": id, "status": "failed" }))
}

/// ACP has no word for output that is added to; agents put it here.
pub(super) fn output(id: &str, delta: &str) -> Object {
    let output = json!({ "terminal_output": { "terminal_id": id, "data": delta } });
    object(json!({ "tool_call_id": id, "_meta": output }))
}

/// Other changes than the call began with.
pub(super) fn patch(id: &str, changes: &Value) -> Option<Object> {
    changes.as_array()?;
    Some(object(json!({
        "tool_call_id": id, "content": patch::diffs(changes), "locations": patch::locations(changes),
    })))
}

/// The command without the shell around it, where Codex says which it is.
fn command(item: &Object) -> (String, &'static str) {
    let text = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
    let whole = item.get("command").and_then(Value::as_str).unwrap_or("a command").to_owned();
    match item.get("commandActions").and_then(Value::as_array).map(Vec::as_slice) {
        Some([action]) => {
            let kind = match action.get("type").and_then(Value::as_str) {
                Some("read") => "read",
                Some("listFiles" | "search") => "search",
                _ => "execute",
            };
            (text(action, "command").unwrap_or(whole), kind)
        }
        _ => (whole, "execute"),
    }
}

/// Of an item that is done. `declined` is the failure of not having been allowed.
fn status(item: &Object) -> &'static str {
    match item.get("status").and_then(Value::as_str) {
        Some("failed" | "declined" | "interrupted") => "failed",
        _ => "completed",
    }
}

/// A content block of MCP, which ACP has taken over.
fn block_content(block: &Value) -> Option<Value> {
    let mut block = block.as_object()?.clone();
    names::content_block(&mut block);
    Some(json!({ "type": "content", "content": block }))
}

fn text_content(text: String) -> Value {
    json!({ "type": "content", "content": { "type": "text", "text": text } })
}

fn object(value: Value) -> Object {
    match value {
        Value::Object(object) => object,
        _ => Object::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tool(item: &Value) -> Option<Tool> {
        Tool::of(item["type"].as_str().unwrap(), item.as_object().unwrap())
    }

    #[test]
    fn a_command_is_called_what_it_does_without_its_shell() {
        let action = |kind: &str| json!([{"type": kind, "command": "cat a"}]);
        for (actions, title, kind) in [
            (action("read"), "cat a", "read"),
            (action("listFiles"), "cat a", "search"),
            (action("unknown"), "cat a", "execute"),
            (json!([]), "bash -lc 'cat a'", "execute"),
            (json!(null), "bash -lc 'cat a'", "execute"),
        ] {
            let item = json!({"type": "commandExecution", "command": "bash -lc 'cat a'", "commandActions": actions});
            assert_eq!(tool(&item), Some(Tool { title: title.into(), kind }));
        }
    }

    #[test]
    fn every_kind_of_tool_has_a_title_and_the_rest_are_none() {
        for (item, title) in [
            (json!({"type": "mcpToolCall", "server": "db", "tool": "query"}), "db: query"),
            (json!({"type": "dynamicToolCall", "tool": "look"}), "look"),
            (json!({"type": "webSearch", "query": "rust"}), "Search the web: rust"),
            (json!({"type": "imageView", "path": "/a.png"}), "Look at /a.png"),
            (json!({"type": "imageGeneration"}), "Make an image"),
            (
                json!({"type": "collabAgentToolCall", "tool": "spawnAgent"}),
                "Another agent: spawnAgent",
            ),
        ] {
            assert_eq!(tool(&item).unwrap().title, title);
        }
        for kind in ["contextCompaction", "enteredReviewMode", "a later one"] {
            assert_eq!(tool(&json!({"type": kind})), None);
        }
    }

    #[test]
    fn what_a_tool_gave_is_content_and_the_item_is_kept_beside_it() {
        let item = json!({
            "type": "mcpToolCall", "server": "db", "tool": "query", "status": "failed",
            "arguments": {"q": 1}, "error": {"message": "no table"},
            "result": {"content": [{"type": "image", "data": "AA==", "mimeType": "image/png"}, 7]},
        });
        let (tool, item) = (tool(&item).unwrap(), item.as_object().unwrap());
        assert_eq!(tool.call("c", item)["raw_input"], json!({"q": 1}));
        let update = tool.result("c", item, true);
        assert_eq!(update["status"], "failed");
        assert_eq!(
            update["content"],
            json!([
                {"type": "content", "content": {"type": "image", "data": "AA==", "mime_type": "image/png"}},
                {"type": "content", "content": {"type": "text", "text": "no table"}},
            ])
        );
        assert_eq!(update["raw_output"], Value::Object(item.clone()));
    }
}
