//! Tools in ACP's words: what kind of work each does, on what, and what came of it. Tools that are not known here are
//! shown by their name.

use super::text;
use serde_json::{Map, Value, json};

const TITLE_MAX: usize = 200;

/// How a tool's result is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shown {
    WithResult,
    /// The call shows the change to a file.
    WithChange,
    /// The tool keeps the agent's list of what to do.
    AsPlan,
}

pub(super) fn shown(name: &str) -> Shown {
    match name {
        "TodoWrite" => Shown::AsPlan,
        "Edit" | "MultiEdit" | "Write" => Shown::WithChange,
        _ => Shown::WithResult,
    }
}

/// A call as ACP's `tool_call`.
pub(super) fn call(id: &str, name: &str, input: &Value) -> Map<String, Value> {
    let mut call = Map::new();
    call.insert("tool_call_id".into(), id.into());
    call.insert("title".into(), title(name, input).into());
    call.insert("kind".into(), kind(name).into());
    call.insert("status".into(), "pending".into());
    let content = content(name, input);
    if !content.is_empty() {
        call.insert("content".into(), content.into());
    }
    if let Some(path) = path(input) {
        let mut location = json!({ "path": path });
        if let Some(line) = input.get("offset").and_then(Value::as_u64) {
            location["line"] = line.into();
        }
        call.insert("locations".into(), json!([location]));
    }
    call.insert("raw_input".into(), input.clone());
    call
}

pub(super) fn in_progress(id: &str) -> Map<String, Value> {
    let mut update = Map::new();
    update.insert("tool_call_id".into(), id.into());
    update.insert("status".into(), "in_progress".into());
    update
}

fn kind(name: &str) -> &'static str {
    match name {
        "Bash" | "BashOutput" | "KillShell" | "KillBash" | "Monitor" => "execute",
        "Read" | "NotebookRead" => "read",
        "Edit" | "MultiEdit" | "Write" | "NotebookEdit" => "edit",
        "Glob" | "Grep" | "LS" | "ToolSearch" => "search",
        "WebFetch" | "WebSearch" => "fetch",
        "Task" | "Agent" => "think",
        "EnterPlanMode" | "ExitPlanMode" => "switch_mode",
        _ => "other",
    }
}

fn title(name: &str, input: &Value) -> String {
    let of = ["command", "file_path", "notebook_path", "pattern", "query", "url", "description"];
    let what = of.iter().find_map(|key| text(input, key)).unwrap_or_default();
    let title = match (name, what.lines().next().unwrap_or_default()) {
        ("Bash", command) if !command.is_empty() => command.to_owned(),
        (_, "") => name.to_owned(),
        (_, what) => format!("{name} {what}"),
    };
    title.chars().take(TITLE_MAX).collect()
}

fn path(input: &Value) -> Option<&str> {
    ["file_path", "notebook_path", "path"].iter().find_map(|key| text(input, key))
}

fn content(name: &str, input: &Value) -> Vec<Value> {
    let path = path(input).unwrap_or_default();
    let diff = |old: &Value, new: &Value| json!({"type": "diff", "path": path, "old_text": old, "new_text": new});
    match name {
        "Edit" => vec![diff(&input["old_string"], &input["new_string"])],
        "MultiEdit" => {
            let edits = input["edits"].as_array().into_iter().flatten();
            edits.map(|edit| diff(&edit["old_string"], &edit["new_string"])).collect()
        }
        "Write" => vec![diff(&Value::Null, &input["content"])],
        "ExitPlanMode" => text(input, "plan").map(said).into_iter().collect(),
        _ => Vec::new(),
    }
}

fn said(text: &str) -> Value {
    json!({"type": "content", "content": {"type": "text", "text": text}})
}

/// The agent's list of what to do. Its states are ACP's; it knows no priorities.
pub(super) fn plan(input: &Value) -> Option<Map<String, Value>> {
    let entries = input.get("todos")?.as_array()?.iter().map(|todo| {
        let (content, status) = (text(todo, "content")?, text(todo, "status")?);
        Some(json!({"content": content, "priority": "medium", "status": status}))
    });
    let mut plan = Map::new();
    plan.insert("entries".into(), entries.collect::<Option<Vec<_>>>()?.into());
    Some(plan)
}

/// What a tool answered, as the content of ACP's `tool_call_update`.
pub(super) fn result_content(content: &Value) -> Value {
    match content {
        Value::String(text) => json!([said(text)]),
        Value::Array(blocks) => blocks.iter().map(result_block).collect(),
        _ => json!([]),
    }
}

fn result_block(block: &Value) -> Value {
    let source = &block["source"];
    match (text(block, "type"), text(block, "text"), text(source, "data")) {
        (Some("text"), Some(text), _) => said(text),
        (Some("image"), _, Some(data)) => {
            let image = json!({"type": "image", "data": data, "mime_type": source["media_type"]});
            json!({"type": "content", "content": image})
        }
        // No block of ACP's; better seen as it is than not at all.
        _ => said(&block.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tools_are_told_by_what_they_do_and_on_what() {
        for (name, input, kind, title, locations) in [
            ("Bash", json!({"command": "ls\npwd"}), "execute", "ls", json!(null)),
            (
                "Read",
                json!({"file_path": "/a", "offset": 7}),
                "read",
                "Read /a",
                json!([{"path": "/a", "line": 7}]),
            ),
            (
                "Grep",
                json!({"pattern": "x", "path": "/p"}),
                "search",
                "Grep x",
                json!([{"path": "/p"}]),
            ),
            (
                "WebFetch",
                json!({"url": "https://x.example"}),
                "fetch",
                "WebFetch https://x.example",
                json!(null),
            ),
            ("Task", json!({"description": "look"}), "think", "Task look", json!(null)),
            ("mcp__it__does", json!({"x": 1}), "other", "mcp__it__does", json!(null)),
            ("Odd", json!("no object"), "other", "Odd", json!(null)),
        ] {
            let call = call("c", name, &input);
            assert_eq!((&call["kind"], &call["title"]), (&json!(kind), &json!(title)));
            assert_eq!(call.get("locations").unwrap_or(&Value::Null), &locations);
            assert_eq!((&call["status"], &call["raw_input"]), (&json!("pending"), &input));
        }
    }

    #[test]
    fn a_change_to_a_file_is_shown_as_one() {
        let diff =
            |old: Value| json!({"type": "diff", "path": "/a", "old_text": old, "new_text": "n"});
        let edit = json!({"file_path": "/a", "old_string": "o", "new_string": "n"});
        assert_eq!(call("c", "Edit", &edit)["content"], json!([diff(json!("o"))]));
        let write = json!({"file_path": "/a", "content": "n"});
        assert_eq!(call("c", "Write", &write)["content"], json!([diff(json!(null))]));
    }

    #[test]
    fn a_title_is_short() {
        let command = "ä".repeat(TITLE_MAX + 1);
        let title = title("Bash", &json!({ "command": command }));
        assert_eq!(title.chars().count(), TITLE_MAX);
    }

    #[test]
    fn results_are_content_whatever_they_are() {
        let text =
            |text: &str| json!({"type": "content", "content": {"type": "text", "text": text}});
        assert_eq!(result_content(&json!("x")), json!([text("x")]));
        assert_eq!(result_content(&json!(null)), json!([]));
        let image = json!({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA=="}});
        let blocks = json!([{"type": "text", "text": "x"}, image, {"type": "new"}]);
        let shown = json!({"type": "image", "data": "AA==", "mime_type": "image/png"});
        let expected =
            json!([text("x"), {"type": "content", "content": shown}, text("{\"type\":\"new\"}")]);
        assert_eq!(result_content(&blocks), expected);
    }

    #[test]
    fn a_list_of_what_to_do_is_a_plan() {
        let todo = json!({"content": "a", "status": "in_progress", "activeForm": "Doing a"});
        let entry = json!({"content": "a", "priority": "medium", "status": "in_progress"});
        let plan_of = |todos: Value| plan(&json!({ "todos": todos })).map(Value::from);
        assert_eq!(plan_of(json!([todo])), Some(json!({"entries": [entry]})));
        assert_eq!(plan_of(json!([{"content": 1}])), None);
        assert_eq!(plan(&json!({})), None);
    }
}
