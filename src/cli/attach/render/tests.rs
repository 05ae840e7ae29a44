//! What a person sees of a run of events. Colours are left out: `paint` has its own tests.

use super::*;
use serde_json::json;

fn event(kind: &str, data: &Value) -> LogEvent {
    let line = json!({
        "session_id": "0198c2f4-0000-7000-8000-000000000000", "seq": 1, "run": 1,
        "ts": "2026-11-23T08:20:01.123Z", "type": kind, "data": data,
    });
    LogEvent::parse(line.to_string().into()).unwrap()
}

fn shown(renderer: &mut Renderer, events: &[(&str, Value)]) -> String {
    events.iter().map(|(kind, data)| renderer.event(&event(kind, data))).collect()
}

#[track_caller]
fn check(events: &[(&str, Value)], expected: &str) {
    assert_eq!(shown(&mut Renderer::new(false), events), expected);
}

fn delta(block: &str, delta: &str, last: bool) -> Value {
    json!({ "turn_id": "t", "block_id": block, "delta": delta, "final": last })
}

#[test]
fn text_comes_piece_by_piece_and_a_block_ends_its_line() {
    let mut renderer = Renderer::new(false);
    assert_eq!(renderer.event(&event("agent.message", &delta("a", "hel", false))), "hel");
    assert_eq!(renderer.event(&event("agent.message", &delta("a", "lo", true))), "lo\n");
    assert_eq!(renderer.event(&event("agent.message", &delta("b", "again", false))), "again");
}

#[test]
fn another_block_begins_a_line_though_the_first_was_not_ended() {
    check(
        &[("agent.thought", delta("a", "hm", false)), ("agent.message", delta("b", "yes", true))],
        "hm\nyes\n",
    );
}

#[test]
fn a_whole_block_is_its_text_or_its_kind() {
    let whole = |content: Value| json!({ "turn_id": "t", "block_id": "a", "content": content, "final": true });
    check(
        &[
            ("agent.message", whole(json!({ "type": "text", "text": "all" }))),
            ("agent.message", whole(json!({ "type": "image", "data": "AA==" }))),
        ],
        "all\n[image]\n",
    );
}

#[test]
fn a_tool_is_one_line_when_it_begins_and_one_when_it_ends() {
    check(
        &[
            ("agent.message", delta("a", "let me see", false)),
            (
                "agent.tool_call",
                json!({ "tool_call_id": "1", "title": "ls -l\n/tmp", "status": "pending" }),
            ),
            ("agent.tool_update", json!({ "tool_call_id": "1", "status": "in_progress" })),
            ("agent.tool_update", json!({ "tool_call_id": "1", "status": "failed" })),
        ],
        "let me see\n* ls -l\n* ls -l: failed\n",
    );
}

#[test]
fn what_was_typed_here_is_not_repeated_and_what_others_typed_is_shown() {
    let mut renderer = Renderer::new(false);
    renderer.typed("mine".parse().unwrap());
    let message = |id: &str| json!({ "message_id": id, "content": [{ "type": "text", "text": "hi" }], "by": "ann" });
    assert_eq!(shown(&mut renderer, &[("user.message", message("mine"))]), "");
    assert_eq!(shown(&mut renderer, &[("user.message", message("theirs"))]), "ann> hi\n");
}

#[test]
fn a_permission_lists_its_options_by_number() {
    check(
        &[(
            "permission.requested",
            json!({
                "permission_id": "p", "tool_call": { "title": "rm -r build" }, "expires_at": "2026-11-23T20:20:01.123Z",
                "options": [
                    { "option_id": "a", "name": "Allow once", "kind": "allow_once" },
                    { "option_id": "r", "name": "Reject", "kind": "reject_once" },
                ],
            }),
        )],
        "? the agent asks to do: rm -r build\n  1  Allow once\n  2  Reject\n  0  cancel the request\n",
    );
}

#[test]
fn uncertainty_and_lost_context_are_told() {
    check(
        &[
            (
                "message.failed",
                json!({ "message_id": "m", "reason": "transport_lost", "uncertain": true }),
            ),
            ("transport.started", json!({ "pid": 1, "agent_session_id": null, "context": "lost" })),
        ],
        "! message m failed: transport lost; it may have run\n\
         ! the agent could not resume and has forgotten what was said before\n",
    );
}

#[test]
fn a_crash_shows_the_end_of_stderr() {
    let exit =
        json!({ "exit_code": 1, "signal": null, "stderr_tail": "a\nb\nc\nd\n", "killed": [] });
    check(
        &[("transport.exited", exit)],
        "! the agent exited with code 1\nstderr: b\nstderr: c\nstderr: d\n",
    );
}

#[test]
fn a_quiet_end_of_a_turn_and_an_unknown_event_show_nothing() {
    let end =
        json!({ "turn_id": "t", "message_id": null, "stop_reason": "end_turn", "usage": null });
    check(&[("turn.ended", end), ("agent.dreamt", json!({}))], "");
}

#[test]
fn an_agents_escape_sequences_are_shown_and_not_obeyed() {
    check(
        &[("agent.output", json!({ "stream": "stdout", "text": "\u{1b}[2J", "truncated": true }))],
        "␛[2J [cut]\n",
    );
}

#[test]
fn an_agent_that_was_told_to_leave_is_no_failure_and_its_session_stays_parked() {
    let stopping = || ("transport.stopping", json!({ "rung": "sigterm", "deadline_ms": 4000 }));
    let exited = || {
        let exit = json!({ "exit_code": null, "signal": 15, "stderr_tail": "", "killed": [] });
        ("transport.exited", exit)
    };
    let becomes = |to: &str, reason: Option<&str>| {
        let change = json!({ "from": null, "to": to, "reason": reason, "client_state": "idle" });
        ("session.state", change)
    };
    check(
        &[stopping(), exited()],
        "- stopping: sigterm\n- the agent was ended by signal 15\n\
         - the session is parked: the next message starts the agent again\n",
    );
    check(
        &[becomes("CLOSING", Some("stopped")), stopping(), exited()],
        "- the session is CLOSING, idle\n- stopping: sigterm\n- the agent was ended by signal 15\n",
    );
    let mut renderer = Renderer::new(false);
    shown(&mut renderer, &[stopping(), exited()]);
    assert_eq!(shown(&mut renderer, &[exited()]), "! the agent was ended by signal 15\n");
}

#[test]
fn an_agent_that_says_nothing_is_a_note() {
    check(
        &[("agent.inactive", json!({ "since": "2026-11-23T08:20:01.123Z" }))],
        "- the agent has said nothing since 2026-11-23T08:20:01.123Z\n",
    );
}
