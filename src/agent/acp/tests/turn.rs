//! A session that is open: prompts, cancels, permissions, and messages that belong to none of them. The handshake is
//! behind it.

use super::*;

fn ended(message_id: &str, stop_reason: StopReason) -> AgentEvent {
    let message_id = Some(message_id.parse().unwrap());
    AgentEvent::TurnEnded { message_id, stop_reason, usage: None }
}

fn selected() -> Outcome {
    Outcome::Selected { option_id: "ok".to_owned() }
}

#[test]
fn a_prompt_opens_a_turn_and_its_response_ends_it() {
    let mut probe = Probe::open();
    probe.prompt("m-1", "hi");
    assert_eq!(
        probe.written(),
        [json!({"jsonrpc": "2.0", "id": 3, "method": "session/prompt", "params": {
            "sessionId": "s-1", "prompt": [{"type": "text", "text": "hi"}]
        }})]
    );
    probe.hear(chunk("yes")).hear(json!({"id": 3, "result": {"stopReason": "end_turn"}}));
    assert_eq!(
        probe.said(),
        [
            AgentEvent::TurnStarted { message_id: Some("m-1".parse().unwrap()) },
            AgentEvent::Message { delta: "yes".to_owned() },
            ended("m-1", StopReason::EndTurn),
        ]
    );
    probe.prompt("m-2", "again");
    assert_eq!(probe.written()[0]["id"], 4);
}

#[test]
fn a_prompt_that_the_agent_fails_ends_its_turn_and_says_why() {
    let mut probe = Probe::prompted();
    let response = json!({"id": 3, "error": {"code": -32603, "message": "overloaded"}});
    probe.hear(response.clone());
    assert_eq!(probe.said(), [AgentEvent::Raw(response), ended("m-1", StopReason::Error)]);
    let mut probe = Probe::prompted();
    probe.hear(json!({"id": 3, "error": {"code": -32800, "message": "cancelled"}}));
    assert_eq!(probe.said(), [ended("m-1", StopReason::Cancelled)]);
}

#[test]
fn an_agent_that_finds_out_in_a_turn_that_nobody_is_logged_in_is_started_anew() {
    let mut probe = Probe::started(None);
    let methods = json!([{"id": "login", "name": "Log in"}]);
    probe.hear(json!({"id": 1, "result": {"protocolVersion": 1, "authMethods": methods}}));
    probe.hear(json!({"id": 2, "result": {"sessionId": "s-1"}}));
    probe.prompt("m-1", "hi");
    probe.said();
    let response = json!({"id": 3, "error": {"code": -32000, "message": "log in"}});
    probe.hear(response.clone());
    let said = probe.said();
    assert_eq!(said[..2], [AgentEvent::Raw(response), ended("m-1", StopReason::Error)]);
    let AgentEvent::Failed { code: TransportFault::AuthRequired, detail } = &said[2] else {
        panic!("not told: {said:?}")
    };
    assert!(detail.contains("Log in (login)"), "{detail}");
    probe.prompt("m-2", "hi");
    assert!(matches!(probe.said()[..], [AgentEvent::Rejected { .. }]));
}

#[test]
fn a_late_answer_to_a_cancelled_prompt_does_not_end_the_next_turn() {
    let mut probe = Probe::prompted();
    probe.cancel();
    let answer = |id: u64| json!({"id": id, "result": {"stopReason": "cancelled"}});
    probe.hear(answer(3));
    assert_eq!(probe.said(), [ended("m-1", StopReason::Cancelled)]);
    probe.prompt("m-2", "go on");
    probe.said();
    let late = json!({"id": 3, "error": {"code": -32800, "message": "cancelled"}});
    for late in [answer(3), late] {
        probe.hear(late.clone());
        assert_eq!(probe.said(), [AgentEvent::Raw(late)]);
    }
    probe.hear(json!({"id": 4, "result": {"stopReason": "end_turn"}}));
    assert_eq!(probe.said(), [ended("m-2", StopReason::EndTurn)]);
}

#[test]
fn an_agent_that_fails_the_prompt_it_was_told_to_leave_off_has_cancelled_it() {
    let mut probe = Probe::prompted();
    probe.cancel();
    let response = json!({"id": 3, "error": {"code": -32603, "message": "aborted"}});
    probe.hear(response.clone());
    assert_eq!(probe.said(), [AgentEvent::Raw(response), ended("m-1", StopReason::Cancelled)]);
}

#[test]
fn a_prompt_that_the_agent_cannot_take_is_rejected_and_nothing_is_written() {
    let mut probe = Probe::open();
    let (data, mime_type) = ("AA==".to_owned(), "image/png".to_owned());
    let image = ContentBlock::Image { data, mime_type, uri: None };
    probe.codec.prompt(&"m-1".parse().unwrap(), &[image], &mut probe.out);
    assert!(matches!(probe.said()[..], [AgentEvent::Rejected { .. }]));
    assert_eq!(probe.written(), [] as [Value; 0]);
    probe.prompt("m-2", "text is still taken");
    assert_eq!(probe.written().len(), 1);
}

#[test]
fn responses_to_nothing_we_asked_are_raw_and_end_no_turn() {
    let mut probe = Probe::prompted();
    for id in [json!(2), json!(4), json!("3"), json!(null)] {
        let response = json!({"id": id, "result": {"stopReason": "end_turn"}});
        probe.hear(response.clone());
        assert_eq!(probe.said(), [AgentEvent::Raw(response)]);
    }
}

#[test]
fn an_id_of_the_agent_is_never_taken_for_one_of_ours() {
    let mut probe = Probe::prompted();
    probe.hear(permission_request(json!(3)));
    assert!(matches!(probe.said()[..], [AgentEvent::PermissionRequested { .. }]));
    probe.hear(json!({"id": 3, "result": {"stopReason": "end_turn"}}));
    assert_eq!(probe.said(), [ended("m-1", StopReason::EndTurn)]);
    probe.answer(AgentRequest(1), selected());
    assert_eq!(probe.written()[0]["id"], 3);
}

#[test]
fn a_permission_is_answered_once_under_the_agents_own_id() {
    for (number, id) in [json!(0), json!("b1c2"), json!(1.5)].into_iter().enumerate() {
        let mut probe = Probe::prompted();
        for _ in 0..number {
            probe.hear(permission_request(json!("other")));
        }
        probe.said();
        probe.hear(permission_request(id.clone()));
        let request = AgentRequest(number as u64 + 1);
        let [AgentEvent::PermissionRequested { request: asked, tool_call, options }] =
            &probe.said()[..]
        else {
            panic!("no permission was asked");
        };
        assert_eq!((*asked, options[0].option_id.as_str()), (request, "ok"));
        assert_eq!(tool_call, &json!({"tool_call_id": "c"}));
        probe.answer(request, selected()).answer(request, selected());
        let outcome = json!({"outcome": {"outcome": "selected", "optionId": "ok"}});
        assert_eq!(probe.written(), [json!({"jsonrpc": "2.0", "id": id, "result": outcome})]);
    }
}

#[test]
fn a_cancelled_and_an_expired_permission_are_told_as_cancelled() {
    for outcome in [Outcome::Cancelled, Outcome::Expired] {
        let mut probe = Probe::prompted();
        probe.hear(permission_request(json!(0))).answer(AgentRequest(1), outcome);
        assert_eq!(probe.written()[0]["result"], json!({"outcome": {"outcome": "cancelled"}}));
    }
}

#[test]
fn a_permission_that_the_agent_takes_back_is_closed() {
    let mut probe = Probe::prompted();
    let cancel = |id| json!({"method": "$/cancel_request", "params": {"requestId": id}});
    probe.hear(permission_request(json!("p")));
    probe.said();
    probe.hear(cancel("unknown"));
    assert_eq!(probe.said(), [AgentEvent::Raw(cancel("unknown"))]);
    probe.hear(cancel("p"));
    assert_eq!(probe.said(), [AgentEvent::RequestCancelled { request: AgentRequest(1) }]);
    assert_eq!(probe.written()[0]["error"]["code"], -32800);
    probe.answer(AgentRequest(1), selected());
    assert_eq!(probe.written(), [] as [Value; 0], "the answer came too late");
}

#[test]
fn a_permission_that_cannot_be_asked_is_refused_and_kept_raw() {
    let mut foreign = permission_request(json!(1));
    foreign["params"]["sessionId"] = json!("another");
    let mut empty = permission_request(json!(1));
    empty["params"]["options"] = json!(null);
    for request in [foreign, empty] {
        let mut probe = Probe::prompted();
        probe.hear(request.clone());
        assert_eq!(probe.said(), [AgentEvent::Raw(request)]);
        assert_eq!(probe.written()[0]["error"]["code"], -32602);
    }
}

#[test]
fn open_permissions_are_bounded() {
    let mut probe = Probe::prompted();
    for id in 0..OPEN_PERMISSIONS_MAX {
        probe.hear(permission_request(json!(id)));
    }
    assert_eq!(probe.said().len(), OPEN_PERMISSIONS_MAX);
    probe.hear(permission_request(json!("one more")));
    assert!(matches!(probe.said()[..], [AgentEvent::Raw(_)]));
    assert_eq!(probe.written()[0]["id"], "one more");
    probe.answer(AgentRequest(1), selected()).hear(permission_request(json!("now")));
    assert!(matches!(probe.said()[..], [AgentEvent::PermissionRequested { .. }]));
}

#[test]
fn other_requests_are_refused_by_name() {
    let mut probe = Probe::prompted();
    let request =
        json!({"id": "r", "method": "fs/read_text_file", "params": {"path": "/etc/passwd"}});
    probe.hear(request.clone());
    assert_eq!(probe.said(), [AgentEvent::Raw(request)]);
    let [refusal] = &probe.written()[..] else { panic!("one answer") };
    assert_eq!((&refusal["id"], &refusal["error"]["code"]), (&json!("r"), &json!(-32601)));
    assert!(refusal["error"]["message"].as_str().unwrap().contains("fs/read_text_file"));
}

#[test]
fn cancel_is_told_only_while_a_turn_is_open() {
    let mut probe = Probe::prompted();
    let cancel =
        json!({"jsonrpc": "2.0", "method": "session/cancel", "params": {"sessionId": "s-1"}});
    probe.cancel();
    assert_eq!(probe.written(), [cancel]);
    probe.hear(json!({"id": 3, "result": {"stopReason": "cancelled"}}));
    assert_eq!(probe.said(), [ended("m-1", StopReason::Cancelled)]);
    probe.cancel();
    assert_eq!(probe.written(), [] as [Value; 0]);
}

#[test]
fn updates_of_another_session_and_unknown_messages_are_raw() {
    let mut foreign = chunk("not ours");
    foreign["params"]["sessionId"] = json!("s-2");
    let batch = json!([chunk("in a batch")]);
    let notice = json!({"method": "_vendor/notice", "params": [1]});
    let mut probe = Probe::prompted();
    for message in [foreign, batch, notice, json!({})] {
        probe.hear(message.clone());
        assert_eq!(probe.said(), [AgentEvent::Raw(message)]);
    }
}

#[test]
fn a_truncated_line_and_a_bare_value_are_output() {
    let mut probe = Probe::prompted();
    let response = br#"{"id":3,"result":{"stopReason":"end_turn"}}"#;
    probe.hear_line(response, true).hear_line(b"42", false).hear_line(b"a\xff\0", false);
    let output = |text: &str, truncated| AgentEvent::Output {
        stream: OutputStream::Stdout,
        text: text.to_owned(),
        truncated,
    };
    assert_eq!(
        probe.said(),
        [
            output(std::str::from_utf8(response).unwrap(), true),
            output("42", false),
            output("a\u{fffd}\0", false),
        ]
    );
}
