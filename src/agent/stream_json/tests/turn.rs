//! Turns: of our messages, of the agent's own accord, cut short, and answered late.

use super::*;
use crate::domain::event::OutputStream;

#[test]
fn a_message_opens_a_turn_when_it_is_taken_up_and_the_result_ends_it() {
    for begins in [receipt("started"), init()] {
        let mut probe = Probe::open();
        probe.prompt("m-1", "hi");
        let [line] = &probe.written()[..] else { panic!("one line") };
        assert_eq!(line["message"]["content"], json!([{"type": "text", "text": "hi"}]));
        assert_eq!(line["uuid"], receipt("")["command_uuid"]);
        assert_eq!(probe.said(), []);
        probe.hear(begins).hear(piece("yes"));
        let said = probe.said();
        assert_eq!(said[0], started(Some("m-1")));
        assert_eq!(said.last(), Some(&AgentEvent::Message { delta: "yes".into() }));
        probe.hear(result());
        assert_eq!(probe.said(), [ended(Some("m-1"), StopReason::EndTurn)]);
        // The last receipt comes behind the result.
        probe.hear(receipt("completed"));
        assert_eq!(probe.said(), []);
    }
}

#[test]
fn one_message_is_given_at_a_time() {
    let mut probe = Probe::prompted();
    probe.prompt("m-2", "me too");
    assert!(matches!(probe.said()[..], [AgentEvent::Rejected { .. }]));
    assert_eq!(probe.written(), [] as [Value; 0]);
    probe.hear(result());
    assert_eq!(probe.said(), [started(Some("m-1")), ended(Some("m-1"), StopReason::EndTurn)]);
    probe.prompt("m-2", "now");
    assert_eq!(probe.written().len(), 1);
}

#[test]
fn a_turn_of_the_agents_own_is_not_taken_for_ours() {
    let mut probe = Probe::open();
    probe.hear(init());
    assert_eq!(probe.said()[0], started(None));
    // Meanwhile a message is handed over; it waits in the agent.
    probe.prompt("m-1", "hi");
    probe.hear(receipt("queued")).hear(piece("a task is done")).hear(result());
    let said = probe.said();
    assert_eq!(said.last(), Some(&ended(None, StopReason::EndTurn)));
    probe.hear(receipt("started")).hear(init()).hear(result());
    assert_eq!(probe.said(), [started(Some("m-1")), ended(Some("m-1"), StopReason::EndTurn)]);
}

#[test]
fn a_message_may_be_taken_into_the_agents_own_turn() {
    let mut probe = Probe::open();
    probe.hear(init());
    probe.prompt("m-1", "hi");
    probe.said();
    probe.hear(receipt("queued")).hear(receipt("started")).hear(result());
    assert_eq!(
        probe.said(),
        [
            ended(None, StopReason::EndTurn),
            started(Some("m-1")),
            ended(Some("m-1"), StopReason::EndTurn)
        ]
    );
}

#[test]
fn a_result_of_nothing_we_know_is_raw() {
    let mut probe = Probe::open();
    probe.hear(result());
    assert_eq!(probe.said(), [AgentEvent::Raw(result())]);
    // Where receipts are given, a message that was not taken up has no result.
    let mut probe = Probe::prompted();
    probe.hear(receipt("queued")).hear(result());
    assert_eq!(probe.said(), [AgentEvent::Raw(result())]);
}

#[test]
fn cancel_is_told_only_while_there_is_something_to_cancel() {
    let mut probe = Probe::open();
    assert_eq!(probe.cancel().written(), [] as [Value; 0]);
    let mut probe = Probe::in_turn();
    let [line] = &probe.cancel().written()[..] else { panic!("one line") };
    assert_eq!(line["request"], json!({"subtype": "interrupt", "cancel_queued": true}));
    let note = json!([{"type": "text", "text": "[Request interrupted by user]"}]);
    probe.hear(json!({"type": "user", "message": {"content": note}}));
    probe.hear(json!({"type": "result", "subtype": "error_during_execution"}));
    assert_eq!(probe.said(), [ended(Some("m-1"), StopReason::Cancelled)]);
    assert_eq!(probe.cancel().written(), [] as [Value; 0]);
}

#[test]
fn receipts_settle_a_message_that_gets_no_result() {
    for (states, expected) in [
        (
            vec!["queued", "cancelled"],
            vec![started(Some("m-1")), ended(Some("m-1"), StopReason::Cancelled)],
        ),
        // Known from before a crash: acknowledged, and not run again.
        (vec!["completed"], vec![started(Some("m-1")), ended(Some("m-1"), StopReason::EndTurn)]),
        (
            vec!["started", "discarded"],
            vec![started(Some("m-1")), ended(Some("m-1"), StopReason::Error)],
        ),
        (
            vec!["queued", "discarded"],
            vec![AgentEvent::Rejected {
                message_id: "m-1".parse().unwrap(),
                detail: "the agent discarded the message".into(),
            }],
        ),
    ] {
        let mut probe = Probe::prompted();
        for state in &states {
            probe.hear(receipt(state));
        }
        assert_eq!(probe.said(), expected, "{states:?}");
        probe.prompt("m-2", "the next");
        assert_eq!(probe.written().len(), 1);
    }
}

#[test]
fn another_session_of_the_agent_is_told_when_it_begins() {
    let mut probe = Probe::in_turn();
    let mut cleared = init();
    cleared["session_id"] = json!("another");
    probe.hear(cleared.clone()).hear(cleared);
    let (agent_session_id, context) = (Some("another".to_owned()), AgentContext::New);
    assert_eq!(probe.said(), [AgentEvent::Ready { agent_session_id, context, can_resume: true }]);
}

#[test]
fn what_was_told_in_pieces_is_not_told_again() {
    let mut probe = Probe::in_turn();
    let message = |id: &str, text: &str| {
        let content = json!([{"type": "text", "text": text}]);
        json!({"type": "assistant", "message": {"id": id, "content": content}})
    };
    probe.hear(
        json!({"type": "stream_event", "event": {"type": "message_start", "message": {"id": "a"}}}),
    );
    probe.hear(piece("yes")).hear(message("a", "yes")).hear(message("b", "by command"));
    let delta = |text: &str| AgentEvent::Message { delta: text.into() };
    assert_eq!(probe.said(), [delta("yes"), delta("by command")]);
}

#[test]
fn what_subagents_say_does_not_mix_with_the_answer() {
    let mut probe = Probe::in_turn();
    let blocks =
        json!([{"type": "tool_use", "id": "t", "name": "Bash", "input": {"command": "ls"}}]);
    let of = |kind: &str, content: Value| json!({"type": kind, "parent_tool_use_id": "task", "message": {"id": "a", "content": content}});
    let text = of("assistant", json!([{"type": "text", "text": "inner"}]));
    let mut inner = piece("inner");
    inner["parent_tool_use_id"] = json!("task");
    probe.hear(of("assistant", blocks)).hear(inner).hear(text.clone());
    probe.hear(of("user", json!([{"type": "tool_result", "tool_use_id": "t", "content": "x"}])));
    let said = probe.said();
    let [AgentEvent::ToolCall(call), AgentEvent::Raw(raw), AgentEvent::ToolUpdate(update)] =
        &said[..]
    else {
        panic!("{said:?}")
    };
    let below = json!({"parent_tool_call_id": "task"});
    assert_eq!((&call["_meta"], &update["_meta"], raw), (&below, &below, &text));
}

#[test]
fn a_list_of_what_to_do_is_a_plan_and_no_tool() {
    let mut probe = Probe::in_turn();
    let todos = json!([{"content": "a", "status": "pending", "activeForm": "b"}]);
    let blocks =
        json!([{"type": "tool_use", "id": "t", "name": "TodoWrite", "input": {"todos": todos}}]);
    probe.hear(json!({"type": "assistant", "message": {"id": "a", "content": blocks}}));
    assert!(matches!(probe.said()[..], [AgentEvent::Plan(_)]));
    let result =
        json!([{"type": "tool_result", "tool_use_id": "t", "content": "Todos were modified"}]);
    probe.hear(json!({"type": "user", "message": {"content": result}}));
    assert_eq!(probe.said(), []);
}

#[test]
fn what_is_not_mapped_is_kept_whole() {
    let mut probe = Probe::in_turn();
    for message in [
        json!({"type": "rate_limit_event", "x": 1}),
        json!({"type": "system", "subtype": "compact_boundary"}),
        json!({"type": "system", "subtype": "status", "status": null, "permissionMode": "plan"}),
        json!({"type": "stream_event", "event": {"type": "new"}}),
        json!({"type": "stream_event", "event": {"type": "content_block_delta", "delta": {"type": "text_delta"}}}),
        json!({"type": "assistant", "message": {"content": [{"type": "redacted_thinking", "data": "x"}]}}),
        json!({"type": "assistant", "message": "text"}),
        json!({"type": "user", "message": {"content": "a note"}}),
        json!({"type": "user", "isReplay": true, "uuid": "of another"}),
        json!({"type": "user", "message": {"content": [{"type": "tool_result"}]}}),
        json!({"type": "command_lifecycle", "command_uuid": "of another", "state": "queued"}),
        json!({"type": "control_cancel_request", "request_id": "unknown"}),
        json!({"type": 7}),
        json!({}),
    ] {
        probe.hear(message.clone());
        assert_eq!(probe.said(), [AgentEvent::Raw(message)]);
    }
}

#[test]
fn progress_without_content_is_not_told() {
    let mut probe = Probe::in_turn();
    for message in [
        json!({"type": "keep_alive"}),
        json!({"type": "system", "subtype": "status", "status": "requesting"}),
        json!({"type": "system", "subtype": "thinking_tokens", "estimated_tokens": 1}),
        json!({"type": "stream_event", "event": {"type": "message_stop"}}),
        piece(""),
        init(),
    ] {
        probe.hear(message.clone());
        assert_eq!(probe.said(), [], "{message}");
    }
}

#[test]
fn text_is_output_and_so_is_half_a_message() {
    let mut probe = Probe::in_turn();
    let output = |text: &str, truncated| AgentEvent::Output {
        stream: OutputStream::Stdout,
        text: text.to_owned(),
        truncated,
    };
    probe.hear_line(b"a\xff\0", false).hear_line(b"[1]", false).hear_line(b"  ", false);
    probe.hear_line(br#"{"type":"result"}"#, true);
    assert_eq!(
        probe.said(),
        [output("a\u{fffd}\0", false), output("[1]", false), output("{\"type\":\"result\"}", true)]
    );
}
