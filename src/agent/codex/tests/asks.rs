//! What Codex asks, and that each request gets one answer.

use super::*;
use crate::domain::event::PermissionOption;

fn request(id: Value, method: &str, mut params: Value) -> Value {
    params["threadId"] = "th".into();
    params["turnId"] = "t-1".into();
    json!({"id": id, "method": method, "params": params})
}

fn approval(id: Value, listed: Value) -> Value {
    let params =
        json!({"itemId": "c", "command": "ls", "reason": "why", "availableDecisions": listed});
    request(id, "item/commandExecution/requestApproval", params)
}

fn asked(probe: &mut Probe) -> (AgentRequest, Value, Vec<PermissionOption>) {
    match probe.said().pop() {
        Some(AgentEvent::PermissionRequested { request, tool_call, options }) => {
            (request, tool_call, options)
        }
        other => panic!("no permission: {other:?}"),
    }
}

fn select(option: &str) -> Outcome {
    Outcome::Selected { option_id: option.to_owned() }
}

fn result(probe: &mut Probe) -> Value {
    let [line] = &probe.written()[..] else { panic!("one answer") };
    line["result"].clone()
}

#[test]
fn decisions_become_options_by_what_they_mean_and_go_back_as_they_came() {
    let amend = json!({"acceptWithExecpolicyAmendment": {"execpolicy_amendment": ["git", "log"]}});
    let network = |action: &str| json!({"applyNetworkPolicyAmendment": {"network_policy_amendment": {"host": "a.b", "action": action}}});
    let listed = json!([
        "accept", "acceptForSession", amend, network("allow"), network("deny"), "decline", "cancel",
        "ponder", {"laterOne": 1}, 7,
    ]);
    for (id, kind, name, decision) in [
        ("accept", "allow_once", "Allow", json!("accept")),
        ("acceptForSession", "allow_always", "session", json!("acceptForSession")),
        ("acceptWithExecpolicyAmendment", "allow_always", "git log", amend),
        ("applyNetworkPolicyAmendment", "allow_always", "a.b", network("allow")),
        ("applyNetworkPolicyAmendment-5", "reject_always", "a.b", network("deny")),
        ("decline", "reject_once", "go on", json!("decline")),
        ("cancel", "reject_once", "end the turn", json!("cancel")),
        ("ponder", "ponder", "ponder", json!("ponder")),
        ("laterOne", "laterOne", "laterOne", json!({"laterOne": 1})),
        ("?", "?", "?", json!(7)),
    ] {
        let mut probe = Probe::running();
        probe.hear(approval(json!(0), listed.clone()));
        let (request, _, options) = asked(&mut probe);
        let option = options.iter().find(|option| option.option_id == id).unwrap();
        assert_eq!(option.kind, kind);
        assert!(option.name.contains(name), "{}", option.name);
        probe.answer(request, select(id)).answer(request, select("accept"));
        assert_eq!(result(&mut probe), json!({ "decision": decision }));
    }
}

#[test]
fn a_request_that_lists_no_decisions_has_the_usual_ones() {
    for listed in [json!(null), json!([]), json!(7)] {
        let mut probe = Probe::running();
        probe.hear(approval(json!(0), listed));
        let (_, tool_call, options) = asked(&mut probe);
        let ids: Vec<_> = options.iter().map(|option| option.option_id.as_str()).collect();
        assert_eq!(ids, ["accept", "acceptForSession", "decline", "cancel"]);
        assert_eq!(tool_call["title"], "ls");
        assert_eq!(tool_call["raw_input"], json!({"command": "ls", "reason": "why"}));
    }
}

#[test]
fn an_approval_is_shown_as_the_tool_that_it_is_for() {
    let file = json!({"type": "fileChange", "id": "f", "changes": [{"path": "/a"}]});
    let mut probe = Probe::running();
    probe.hear(notice("item/started", json!({ "item": file })));
    probe.hear(request(json!(0), "item/fileChange/requestApproval", json!({"itemId": "f"})));
    let (_, tool_call, _) = asked(&mut probe);
    assert_eq!(
        (&tool_call["tool_call_id"], &tool_call["title"], &tool_call["kind"]),
        (&json!("f"), &json!("Edit /a"), &json!("edit"))
    );
}

#[test]
fn nobodys_answer_declines_and_a_cancel_cancels() {
    for (outcome, decision) in [(Outcome::Expired, "decline"), (Outcome::Cancelled, "cancel")] {
        let mut probe = Probe::running();
        probe.hear(approval(json!("id"), json!(["accept"])));
        let (request, ..) = asked(&mut probe);
        probe.answer(request, outcome);
        assert_eq!(result(&mut probe), json!({ "decision": decision }));
    }
}

#[test]
fn more_permissions_are_given_for_the_turn_the_session_or_not_at_all() {
    let wanted = json!({"network": {"enabled": true}, "fileSystem": null});
    for (outcome, answer) in [
        (select("turn"), json!({"permissions": wanted, "scope": "turn"})),
        (select("session"), json!({"permissions": wanted, "scope": "session"})),
        (select("decline"), json!({"permissions": {}, "scope": "turn"})),
        (Outcome::Cancelled, json!({"permissions": {}, "scope": "turn"})),
    ] {
        let mut probe = Probe::running();
        let params = json!({"itemId": "c", "reason": "to fetch", "permissions": wanted});
        probe.hear(request(json!(1), "item/permissions/requestApproval", params));
        let (request, tool_call, _) = asked(&mut probe);
        assert_eq!(tool_call["title"], "to fetch");
        probe.answer(request, outcome);
        assert_eq!(result(&mut probe), answer);
    }
}

#[test]
fn a_question_goes_to_people_and_their_answers_back_as_lists() {
    let questions =
        json!([{"id": "color", "question": "Which?", "isOther": true, "isSecret": false}]);
    for (outcome, answers) in [
        (json!({"color": "Red"}), json!({"color": {"answers": ["Red"]}})),
        (json!({"color": ["Red", "Blue"]}), json!({"color": {"answers": ["Red", "Blue"]}})),
        (json!({"color": {"answers": ["Red"]}}), json!({"color": {"answers": ["Red"]}})),
        (json!({"n": 7, "x": null}), json!({"n": {"answers": ["7"]}, "x": {"answers": []}})),
        (json!({"color": ""}), json!({"color": {"answers": []}})),
        (json!("Red"), json!({})),
    ] {
        let mut probe = Probe::running();
        let params = json!({"itemId": "q", "questions": questions});
        probe.hear(request(json!(0), "item/tool/requestUserInput", params));
        let [AgentEvent::QuestionRequested { request, questions }] = &probe.said()[..] else {
            panic!("no question")
        };
        assert_eq!(questions[0]["is_other"], true);
        probe.answer(*request, Outcome::Answered { answers: outcome });
        assert_eq!(result(&mut probe), json!({ "answers": answers }));
    }
    let mut probe = Probe::running();
    let params = json!({"itemId": "q", "questions": questions});
    probe.hear(request(json!(0), "item/tool/requestUserInput", params));
    probe.answer(AgentRequest(1), Outcome::Expired);
    assert_eq!(result(&mut probe), json!({"answers": {}}));
}

#[test]
fn an_mcp_servers_form_is_a_question_and_its_yes_or_no_a_permission() {
    let elicit = |schema: Value| {
        let params = json!({"serverName": "db", "mode": "form", "message": "Sure?", "requestedSchema": schema});
        request(json!(0), "mcpServer/elicitation/request", params)
    };
    let form = json!({"type": "object", "properties": {"name": {"type": "string"}}});
    let mut probe = Probe::running();
    probe.hear(elicit(form));
    let [AgentEvent::QuestionRequested { request, questions }] = &probe.said()[..] else {
        panic!("no question")
    };
    assert_eq!(
        (&questions[0]["id"], &questions[0]["question"]),
        (&json!("name"), &json!("Sure?\nname"))
    );
    probe.answer(*request, Outcome::Answered { answers: json!({"name": "ann"}) });
    assert_eq!(
        result(&mut probe),
        json!({"action": "accept", "content": {"name": "ann"}, "_meta": null})
    );
    for (outcome, action) in [
        (select("accept"), "accept"),
        (select("decline"), "decline"),
        (Outcome::Expired, "decline"),
        (Outcome::Cancelled, "cancel"),
    ] {
        let mut probe = Probe::running();
        probe.hear(elicit(json!({"type": "object", "properties": {}})));
        let (request, tool_call, _) = asked(&mut probe);
        assert_eq!(tool_call["title"], "Sure?");
        probe.answer(request, outcome);
        assert_eq!(result(&mut probe)["action"], action);
    }
}

#[test]
fn a_request_that_codex_settles_otherwise_is_taken_back_once() {
    let resolved = |id: Value| notice("serverRequest/resolved", json!({"requestId": id}));
    let mut probe = Probe::running();
    probe.hear(approval(json!(0), json!(["accept"])));
    let (request, ..) = asked(&mut probe);
    probe.hear(resolved(json!(0)));
    assert_eq!(probe.said(), [AgentEvent::RequestCancelled { request }]);
    probe.answer(request, select("accept")).hear(resolved(json!(0)));
    assert_eq!(probe.written(), [] as [Value; 0], "the answer came too late");
    assert_eq!(probe.said(), []);
}

#[test]
fn the_end_of_a_request_that_was_answered_says_nothing_new() {
    let mut probe = Probe::running();
    probe.hear(approval(json!(0), json!(["accept"])));
    let (request, ..) = asked(&mut probe);
    probe.answer(request, select("accept"));
    probe.hear(notice("serverRequest/resolved", json!({"requestId": 0})));
    assert_eq!(probe.said(), []);
}

#[test]
fn what_is_not_offered_is_refused_by_name() {
    for method in ["item/tool/call", "account/chatgptAuthTokens/refresh", "a/later/one"] {
        let mut probe = Probe::running();
        let request = request(json!("r"), method, json!({}));
        probe.hear(request.clone());
        assert_eq!(probe.said(), [AgentEvent::Raw(request)]);
        let [refusal] = &probe.written()[..] else { panic!("one answer") };
        assert_eq!((&refusal["id"], &refusal["error"]["code"]), (&json!("r"), &json!(-32601)));
        assert!(refusal["error"]["message"].as_str().unwrap().contains(method));
    }
}

#[test]
fn a_sub_agents_request_and_one_before_the_thread_are_asked_too() {
    let mut foreign = approval(json!(0), json!(["accept"]));
    foreign["params"]["threadId"] = json!("of a sub-agent");
    for mut probe in [Probe::running(), Probe::started(None)] {
        probe.written();
        probe.hear(foreign.clone());
        let (request, ..) = asked(&mut probe);
        probe.answer(request, select("accept"));
        assert_eq!(result(&mut probe), json!({"decision": "accept"}));
    }
}

#[test]
fn open_requests_are_bounded() {
    let mut probe = Probe::running();
    for id in 0..64 {
        probe.hear(approval(json!(id), json!(["accept"])));
    }
    assert_eq!(probe.said().len(), 64);
    probe.hear(approval(json!("one more"), json!(["accept"])));
    assert!(matches!(probe.said()[..], [AgentEvent::Raw(_)]));
    assert_eq!(probe.written()[0]["id"], "one more");
    probe.answer(AgentRequest(1), select("accept"));
    probe.hear(approval(json!("now"), json!(["accept"])));
    asked(&mut probe);
}
