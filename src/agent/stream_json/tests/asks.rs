//! Permissions and questions, from the request to the one answer that each has.

use super::*;

fn selected(option_id: &str) -> Outcome {
    Outcome::Selected { option_id: option_id.to_owned() }
}

/// What was answered to this request of the agent.
fn answered(probe: &mut Probe, id: &str) -> Value {
    let written = probe.written();
    let [answer] = &written[..] else { panic!("one answer: {written:?}") };
    assert_eq!(
        (&answer["type"], &answer["response"]["request_id"]),
        (&json!("control_response"), &json!(id))
    );
    answer["response"].clone()
}

#[test]
fn a_permission_is_asked_with_the_call_and_answered_once() {
    for (option, expected) in [
        ("allow_once", json!({"behavior": "allow", "updatedInput": {"command": "ls"}})),
        (
            "allow_always",
            json!({
                "behavior": "allow", "updatedInput": {"command": "ls"},
                "updatedPermissions": [{"type": "setMode", "mode": "acceptEdits"}],
            }),
        ),
        ("reject_once", json!({"behavior": "deny", "message": "This was refused."})),
    ] {
        let mut probe = Probe::in_turn();
        probe.hear(permission_request("r"));
        let said = probe.said();
        let [AgentEvent::PermissionRequested { request, tool_call, options }] = &said[..] else {
            panic!("{said:?}")
        };
        let ids: Vec<_> = options.iter().map(|option| option.option_id.as_str()).collect();
        assert_eq!(ids, ["allow_once", "allow_always", "reject_once"]);
        assert_eq!(
            (&tool_call["tool_call_id"], &tool_call["title"]),
            (&json!("t-1"), &json!("ls"))
        );
        probe.answer(*request, selected(option)).answer(*request, selected(option));
        assert_eq!(answered(&mut probe, "r")["response"], expected);
        let began = matches!(&probe.said()[..], [AgentEvent::ToolUpdate(update)] if update["status"] == "in_progress");
        assert_eq!(began, option != "reject_once");
    }
}

#[test]
fn a_cancelled_and_an_expired_permission_are_denied_with_the_reason() {
    for (outcome, reason) in [(Outcome::Cancelled, "called off"), (Outcome::Expired, "in time")] {
        let mut probe = Probe::in_turn();
        probe.hear(permission_request("r")).answer(AgentRequest(1), outcome);
        let answer = answered(&mut probe, "r");
        assert_eq!(answer["response"]["behavior"], "deny");
        assert!(answer["response"]["message"].as_str().unwrap().contains(reason));
    }
}

#[test]
fn a_question_is_answered_in_the_input_of_its_tool() {
    let mut probe = Probe::in_turn();
    let mut request = permission_request("r");
    let questions = json!([{"question": "Which?", "options": [{"label": "a"}]}]);
    request["request"]["tool_name"] = json!("AskUserQuestion");
    request["request"]["input"] = json!({"questions": questions});
    probe.hear(request.clone());
    let question =
        AgentEvent::QuestionRequested { request: AgentRequest(1), questions: questions.clone() };
    assert_eq!(probe.said(), [question]);
    probe.answer(AgentRequest(1), Outcome::Answered { answers: json!({"Which?": ["a", "b"]}) });
    let input = json!({"questions": questions, "answers": {"Which?": "a, b"}});
    assert_eq!(
        answered(&mut probe, "r")["response"],
        json!({"behavior": "allow", "updatedInput": input})
    );
    // What is no list of questions is asked as any tool is.
    probe.said();
    request["request"]["input"] = json!({"questions": 7});
    probe.hear(request);
    assert!(matches!(probe.said()[..], [AgentEvent::PermissionRequested { .. }]));
}

#[test]
fn a_request_that_the_agent_takes_back_is_closed_and_not_answered() {
    let mut probe = Probe::in_turn();
    probe.hear(permission_request("r"));
    probe.said();
    probe.hear(json!({"type": "control_cancel_request", "request_id": "r"}));
    assert_eq!(probe.said(), [AgentEvent::RequestCancelled { request: AgentRequest(1) }]);
    probe.answer(AgentRequest(1), selected("allow_once"));
    assert_eq!((probe.written(), probe.said()), (vec![], vec![]));
}

#[test]
fn what_is_not_offered_is_refused_by_name_and_kept_raw() {
    let mut malformed = permission_request("r");
    malformed["request"]["input"] = json!("none");
    for (request, named) in [
        (json!({"subtype": "hook_callback", "callback_id": "x"}), "hook_callback"),
        (json!({"subtype": "mcp_message"}), "mcp_message"),
        (json!({}), "without a subtype"),
        (malformed["request"].clone(), "input"),
    ] {
        let message = json!({"type": "control_request", "request_id": "r", "request": request});
        let mut probe = Probe::in_turn();
        probe.hear(message.clone());
        assert_eq!(probe.said(), [AgentEvent::Raw(message)]);
        let answer = answered(&mut probe, "r");
        assert_eq!(answer["subtype"], "error");
        assert!(answer["error"].as_str().unwrap().contains(named), "{answer}");
    }
}

#[test]
fn open_requests_are_bounded() {
    let mut probe = Probe::in_turn();
    for id in 0..64 {
        probe.hear(permission_request(&id.to_string()));
    }
    assert_eq!((probe.said().len(), probe.written().len()), (64, 0));
    probe.hear(permission_request("one more"));
    assert_eq!(answered(&mut probe, "one more")["subtype"], "error");
    assert!(matches!(probe.said()[..], [AgentEvent::Raw(_)]));
    probe.answer(AgentRequest(1), selected("reject_once")).hear(permission_request("now"));
    assert!(matches!(probe.said()[..], [AgentEvent::PermissionRequested { .. }]));
}

#[test]
fn our_own_answers_repeated_by_the_agent_mean_nothing() {
    let mut probe = Probe::in_turn();
    for response in [
        json!({"subtype": "success", "request_id": "r", "response": {"behavior": "allow"}}),
        json!({"subtype": "success", "request_id": "seawall-2", "response": {"still_queued": []}}),
    ] {
        probe.hear(json!({"type": "control_response", "response": response}));
        assert_eq!(probe.said(), []);
    }
    let refused = json!({"subtype": "error", "request_id": "seawall-2", "error": "no"});
    let refused = json!({"type": "control_response", "response": refused});
    probe.hear(refused.clone());
    assert_eq!(probe.said(), [AgentEvent::Raw(refused)]);
}
