//! ACP's names in snake_case: a table of where its camelCase keys stand, applied in place. Keys that ACP does not
//! know are left as they are, and so is all below `rawInput`, `rawOutput` and `_meta`, which is the agent's own.

use serde_json::{Map, Value};

type Object = Map<String, Value>;

pub(super) fn tool_call(call: &mut Object) {
    rename(
        call,
        &[("toolCallId", "tool_call_id"), ("rawInput", "raw_input"), ("rawOutput", "raw_output")],
    );
    each(call, "content", tool_content);
}

/// `content`, `diff` or `terminal`.
fn tool_content(content: &mut Object) {
    rename(
        content,
        &[("oldText", "old_text"), ("newText", "new_text"), ("terminalId", "terminal_id")],
    );
    within(content, "content", content_block);
}

pub(in crate::agent) fn content_block(block: &mut Object) {
    rename(block, &[("mimeType", "mime_type")]);
    within(block, "resource", |resource| rename(resource, &[("mimeType", "mime_type")]));
    within(block, "annotations", |notes| rename(notes, &[("lastModified", "last_modified")]));
}

pub(super) fn usage(usage: &mut Object) {
    rename(
        usage,
        &[
            ("totalTokens", "total_tokens"),
            ("inputTokens", "input_tokens"),
            ("outputTokens", "output_tokens"),
            ("thoughtTokens", "thought_tokens"),
            ("cachedReadTokens", "cached_read_tokens"),
            ("cachedWriteTokens", "cached_write_tokens"),
        ],
    );
}

/// Renames keys and keeps the order of all.
fn rename(object: &mut Object, names: &[(&str, &str)]) {
    if !names.iter().any(|(from, _)| object.contains_key(*from)) {
        return;
    }
    *object = std::mem::take(object)
        .into_iter()
        .map(|(key, value)| match names.iter().find(|(from, _)| *from == key) {
            Some((_, to)) => ((*to).to_owned(), value),
            None => (key, value),
        })
        .collect();
}

fn within(object: &mut Object, key: &str, change: impl FnOnce(&mut Object)) {
    if let Some(Value::Object(inner)) = object.get_mut(key) {
        change(inner);
    }
}

fn each(object: &mut Object, key: &str, change: impl Fn(&mut Object)) {
    if let Some(Value::Array(items)) = object.get_mut(key) {
        items.iter_mut().filter_map(Value::as_object_mut).for_each(change);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(change: fn(&mut Object), mut given: Value, expected: Value) {
        change(given.as_object_mut().unwrap());
        assert_eq!(given, expected);
    }

    #[test]
    fn a_tool_call_is_renamed_at_its_places() {
        check(
            tool_call,
            json!({
                "toolCallId": "c", "rawInput": {"toolCallId": 1}, "rawOutput": [{"mimeType": 2}],
                "_meta": {"rawInput": 3}, "newThing": 4,
                "content": [
                    {"type": "diff", "path": "p", "oldText": "o", "newText": "n"},
                    {"type": "terminal", "terminalId": "t"},
                    {"type": "content", "content": {"type": "image", "mimeType": "image/png"}},
                    {"type": "content", "content": {"type": "resource", "resource": {"uri": "u", "mimeType": "m"}}},
                    "odd",
                ],
            }),
            json!({
                "tool_call_id": "c", "raw_input": {"toolCallId": 1}, "raw_output": [{"mimeType": 2}],
                "_meta": {"rawInput": 3}, "newThing": 4,
                "content": [
                    {"type": "diff", "path": "p", "old_text": "o", "new_text": "n"},
                    {"type": "terminal", "terminal_id": "t"},
                    {"type": "content", "content": {"type": "image", "mime_type": "image/png"}},
                    {"type": "content", "content": {"type": "resource", "resource": {"uri": "u", "mime_type": "m"}}},
                    "odd",
                ],
            }),
        );
    }

    #[test]
    fn annotations_and_usage_have_names_of_their_own() {
        check(
            content_block,
            json!({"type": "text", "annotations": {"lastModified": "x", "audience": []}}),
            json!({"type": "text", "annotations": {"last_modified": "x", "audience": []}}),
        );
        check(usage, json!({"totalTokens": 3, "cost": 1}), json!({"total_tokens": 3, "cost": 1}));
    }

    #[test]
    fn what_has_another_shape_stays_as_it_is() {
        for given in [json!({"content": 7, "locations": null}), json!({"content": {"a": 1}})] {
            check(tool_call, given.clone(), given);
        }
    }

    #[test]
    fn the_order_of_keys_is_kept() {
        let mut call = json!({"title": "t", "toolCallId": "c", "kind": "read"});
        tool_call(call.as_object_mut().unwrap());
        assert_eq!(call.to_string(), r#"{"title":"t","tool_call_id":"c","kind":"read"}"#);
    }
}
