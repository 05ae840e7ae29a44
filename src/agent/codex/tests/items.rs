//! The items of a turn as a person sees them: every text once, every tool with its end.

use super::*;

fn item(method: &str, item: Value) -> Value {
    notice(&format!("item/{method}"), json!({"turnId": "t-1", "item": item}))
}

fn said_text(id: &str, text: &str) -> Value {
    item("completed", json!({"type": "agentMessage", "id": id, "text": text}))
}

fn piece(method: &str, id: &str, delta: &str) -> Value {
    notice(&format!("item/{method}"), json!({"itemId": id, "delta": delta}))
}

fn thought(text: &str) -> AgentEvent {
    AgentEvent::Thought { delta: text.to_owned() }
}

#[test]
fn a_text_is_told_once_whether_in_pieces_or_whole() {
    let mut probe = Probe::running();
    probe.hear(delta("a")).hear(delta("b")).hear(said_text("i-1", "ab"));
    assert_eq!(probe.said(), [message("a"), message("b")]);
    let mut probe = Probe::running();
    probe.hear(said_text("i-1", "ab"));
    assert_eq!(probe.said(), [message("ab")]);
}

#[test]
fn a_text_that_is_not_the_sum_of_its_pieces_is_kept_beside_them() {
    let mut probe = Probe::running();
    let whole = said_text("i-1", "abc");
    probe.hear(delta("a")).hear(whole.clone());
    assert_eq!(probe.said(), [message("a"), AgentEvent::Raw(whole)]);
}

#[test]
fn two_messages_in_a_row_do_not_run_into_one() {
    let mut probe = Probe::running();
    probe.hear(said_text("i-1", "first")).hear(said_text("i-2", "second"));
    assert_eq!(probe.said(), [message("first"), message("\n\nsecond")]);
    let tool = json!({"type": "webSearch", "id": "w", "query": "x"});
    probe.hear(item("started", tool)).hear(said_text("i-3", "third"));
    assert_eq!(probe.said().pop(), Some(message("third")), "a tool stands between");
}

#[test]
fn reasoning_is_thought() {
    let reasoning =
        json!({"type": "reasoning", "id": "r", "summary": ["one", "two"], "content": []});
    let mut probe = Probe::running();
    probe.hear(item("completed", reasoning.clone()));
    assert_eq!(probe.said(), [thought("one\n\ntwo")]);
    let part = notice("item/reasoning/summaryPartAdded", json!({"itemId": "r", "summaryIndex": 0}));
    let mut probe = Probe::running();
    probe.hear(part.clone()).hear(piece("reasoning/summaryTextDelta", "r", "one"));
    probe.hear(part).hear(piece("reasoning/summaryTextDelta", "r", "two"));
    probe.hear(item("completed", reasoning)).hear(piece("reasoning/textDelta", "q", "raw"));
    assert_eq!(probe.said(), [thought("one"), thought("\n\n"), thought("two"), thought("\n\nraw")]);
}

#[test]
fn a_command_is_a_tool_call_with_its_output_and_its_end() {
    let command = |status: &str, output: Value| {
        json!({"type": "commandExecution", "id": "c", "command": "ls", "cwd": "/project",
            "status": status, "aggregatedOutput": output, "exitCode": 0})
    };
    let mut probe = Probe::running();
    probe.hear(item("started", command("inProgress", json!(null))));
    probe.hear(piece("commandExecution/outputDelta", "c", "a\n"));
    probe.hear(item("completed", command("completed", json!("a\nb\n"))));
    let [AgentEvent::ToolCall(call), AgentEvent::ToolUpdate(piece), AgentEvent::ToolUpdate(end)] =
        &probe.said()[..]
    else {
        panic!("a call and two updates")
    };
    assert_eq!(
        Value::from(call.clone()),
        json!({"tool_call_id": "c", "title": "ls", "kind": "execute", "status": "in_progress",
            "raw_input": {"command": "ls", "cwd": "/project"}})
    );
    assert_eq!(piece["_meta"]["terminal_output"]["data"], "a\n");
    assert_eq!(end["status"], "completed");
    assert_eq!(end["content"][0]["content"]["text"], "a\nb\n");
    assert_eq!(end["raw_output"]["exitCode"], 0);
}

#[test]
fn a_tool_that_is_told_of_only_at_its_end_is_still_a_call() {
    let mut probe = Probe::running();
    let search = json!({"type": "webSearch", "id": "w", "query": "rust"});
    probe.hear(item("completed", search));
    let [AgentEvent::ToolCall(call), AgentEvent::ToolUpdate(end)] = &probe.said()[..] else {
        panic!("a call and its end")
    };
    assert_eq!(
        (&call["title"], &end["status"]),
        (&json!("Search the web: rust"), &json!("completed"))
    );
}

#[test]
fn a_patch_that_changes_while_it_runs_replaces_what_was_shown() {
    let change = |text: &str| json!([{"path": "/a", "kind": {"type": "add"}, "diff": text}]);
    let file =
        json!({"type": "fileChange", "id": "f", "changes": change("a"), "status": "inProgress"});
    let mut probe = Probe::running();
    probe.hear(item("started", file));
    let params = json!({"itemId": "f", "changes": change("b")});
    probe.hear(notice("item/fileChange/patchUpdated", params));
    let said = probe.said();
    let [AgentEvent::ToolCall(call), AgentEvent::ToolUpdate(update)] = &said[..] else {
        panic!("a call and an update")
    };
    assert_eq!(call["content"][0]["new_text"], "a");
    assert_eq!(update["content"][0]["new_text"], "b");
}

#[test]
fn the_echo_of_our_message_is_not_told_and_anothers_is() {
    let echo = |client: Value| {
        item(
            "started",
            json!({"type": "userMessage", "id": "u", "clientId": client, "content": []}),
        )
    };
    let mut probe = Probe::running();
    probe.hear(echo(json!("m-1")));
    assert_eq!(probe.said(), []);
    for client in [json!("m-9"), json!(null)] {
        probe.hear(echo(client.clone()));
        assert_eq!(probe.said(), [AgentEvent::Raw(echo(client))]);
    }
}

#[test]
fn items_of_no_known_kind_or_shape_are_raw() {
    let mut probe = Probe::running();
    for message in [
        item("started", json!({"type": "contextCompaction", "id": "x"})),
        item("completed", json!({"type": "a later one", "id": "x"})),
        item("started", json!({"type": "agentMessage"})),
        item("completed", json!({"type": "agentMessage", "id": "x", "text": 7})),
        item("updated", json!({})),
        piece("a/later/delta", "x", "y"),
        notice("item/agentMessage/delta", json!({"itemId": "x"})),
        notice("item/fileChange/patchUpdated", json!({"itemId": "x", "changes": 7})),
        notice("item/started", json!(null)),
    ] {
        probe.hear(message.clone());
        assert_eq!(probe.said(), [AgentEvent::Raw(message)]);
    }
}

#[test]
fn the_next_turn_knows_nothing_of_the_items_of_the_last() {
    let mut probe = Probe::running();
    probe.hear(delta("cut")).hear(completed("t-1", "interrupted"));
    probe.prompt("m-2", "again");
    probe.hear(started("t-2"));
    probe.said();
    probe.hear(said_text("i-1", "a new text under an old id"));
    assert_eq!(probe.said(), [message("a new text under an old id")]);
}

#[test]
fn a_tool_that_is_cut_with_its_turn_ends_and_one_in_the_background_ends_later() {
    let command = |method: &str, status: &str| {
        let command =
            json!({"type": "commandExecution", "id": "c", "command": "ls", "status": status});
        item(method, command)
    };
    for (status, ends_with_the_turn) in
        [("interrupted", true), ("failed", true), ("completed", false)]
    {
        let mut probe = Probe::running();
        probe.hear(command("started", "inProgress"));
        probe.said();
        probe.hear(completed("t-1", status));
        let said = probe.said();
        let cut = json!({"tool_call_id": "c", "status": "failed"});
        let cut = AgentEvent::ToolUpdate(cut.as_object().unwrap().clone());
        assert_eq!(said.contains(&cut), ends_with_the_turn, "{status}");
        assert!(matches!(said.last(), Some(AgentEvent::TurnEnded { .. })));
        if !ends_with_the_turn {
            probe.hear(command("completed", "completed"));
            assert!(matches!(probe.said()[..], [AgentEvent::ToolUpdate(_)]), "no second call");
        }
    }
}
