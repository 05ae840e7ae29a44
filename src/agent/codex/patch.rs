//! File changes as ACP's diffs. Codex gives the text of files that come or go, and a unified diff of those that change; of
//! the latter each hunk is a diff of its own, since nobody here reads the file.

use serde_json::{Value, json};

/// What the changes are called.
pub(super) fn title(changes: Option<&Value>) -> String {
    let mut paths = changes.and_then(Value::as_array).into_iter().flatten().map(path);
    match (paths.next(), paths.count()) {
        (None, _) => "Change files".to_owned(),
        (Some(first), 0) => format!("Edit {first}"),
        (Some(first), more) => format!("Edit {first} and {more} more"),
    }
}

pub(super) fn locations(changes: &Value) -> Vec<Value> {
    let changes = changes.as_array().into_iter().flatten();
    changes.map(|change| json!({ "path": path(change) })).collect()
}

pub(super) fn diffs(changes: &Value) -> Vec<Value> {
    changes.as_array().into_iter().flatten().flat_map(diff).collect()
}

fn path(change: &Value) -> &str {
    change.get("path").and_then(Value::as_str).unwrap_or("?")
}

fn diff(change: &Value) -> Vec<Value> {
    let text = change.get("diff").and_then(Value::as_str).unwrap_or_default();
    let block = |old: Option<&str>, new: &str| {
        let path = change.pointer("/kind/move_path").and_then(Value::as_str);
        let path = path.unwrap_or_else(|| self::path(change));
        json!({ "type": "diff", "path": path, "old_text": old, "new_text": new })
    };
    match change.pointer("/kind/type").and_then(Value::as_str) {
        Some("add") => vec![block(None, text)],
        Some("delete") => vec![block(Some(text), "")],
        _ => hunks(text).iter().map(|hunk| block(Some(&hunk.old), &hunk.new)).collect(),
    }
}

#[derive(Debug, Default, PartialEq)]
struct Hunk {
    old: String,
    new: String,
}

/// Lines before the first `@@` belong to no hunk: they name files.
fn hunks(diff: &str) -> Vec<Hunk> {
    let mut hunks: Vec<Hunk> = Vec::new();
    for line in diff.split_inclusive('\n') {
        if line.starts_with("@@") {
            hunks.push(Hunk::default());
            continue;
        }
        let Some(hunk) = hunks.last_mut() else { continue };
        match line.as_bytes().first() {
            Some(b'-') => hunk.old.push_str(&line[1..]),
            Some(b'+') => hunk.new.push_str(&line[1..]),
            Some(b' ') => {
                hunk.old.push_str(&line[1..]);
                hunk.new.push_str(&line[1..]);
            }
            // "\ No newline at end of file", and what is no diff.
            _ => {}
        }
    }
    hunks
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(kind: Value, diff: &str) -> Value {
        json!([{"path": "/a", "kind": kind, "diff": diff}])
    }

    #[test]
    fn a_file_that_comes_or_goes_is_shown_whole() {
        let blocks = diffs(&change(json!({"type": "add"}), "hi\n"));
        assert_eq!(
            blocks,
            [json!({"type": "diff", "path": "/a", "old_text": null, "new_text": "hi\n"})]
        );
        let blocks = diffs(&change(json!({"type": "delete"}), "hi\n"));
        assert_eq!(
            blocks,
            [json!({"type": "diff", "path": "/a", "old_text": "hi\n", "new_text": ""})]
        );
    }

    #[test]
    fn each_hunk_of_a_change_is_a_diff_under_its_new_name() {
        let diff = "--- a\n+++ b\n@@ -1,2 +1,2 @@\n hi\n-there\n+yöu\n@@ -9 +9 @@\n-x\n\\ No newline at end of file\n+z";
        let blocks = diffs(&change(json!({"type": "update", "move_path": "/b"}), diff));
        assert_eq!(
            blocks,
            [
                json!({"type": "diff", "path": "/b", "old_text": "hi\nthere\n", "new_text": "hi\nyöu\n"}),
                json!({"type": "diff", "path": "/b", "old_text": "x\n", "new_text": "z"}),
            ]
        );
    }

    #[test]
    fn the_title_names_the_first_file() {
        let changes = json!([{"path": "/a"}, {"path": "/b"}]);
        assert_eq!(title(Some(&changes)), "Edit /a and 1 more");
        assert_eq!(title(Some(&json!([{"path": "/a"}]))), "Edit /a");
        assert_eq!(title(None), "Change files");
        assert_eq!(locations(&changes), [json!({"path": "/a"}), json!({"path": "/b"})]);
    }

    #[test]
    fn what_is_no_change_is_shown_as_nothing() {
        for changes in [json!(7), json!([]), json!([7]), change(json!("odd"), "ü\n@")] {
            assert_eq!(diffs(&changes), [] as [Value; 0], "{changes}");
        }
    }
}
