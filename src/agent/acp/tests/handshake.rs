//! From the spawn to the first prompt, and every way in which it can go wrong. What a turn does is not tested here.

use super::*;

fn initialized(capabilities: Value) -> Value {
    let methods = json!([{"id": "login", "name": "Log in", "description": "run `agent login`"}]);
    let result =
        json!({"protocolVersion": 1, "agentCapabilities": capabilities, "authMethods": methods});
    json!({"jsonrpc": "2.0", "id": 1, "result": result})
}

fn error(id: u64, code: i64) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "error": {"code": code, "message": "no"}})
}

fn ready(session: &str, context: AgentContext, can_resume: bool) -> AgentEvent {
    AgentEvent::Ready { agent_session_id: Some(session.to_owned()), context, can_resume }
}

fn failure(probe: &mut Probe) -> (TransportFault, String) {
    match probe.said().pop() {
        Some(AgentEvent::Failed { code, detail }) => (code, detail),
        other => panic!("not a failure: {other:?}"),
    }
}

fn methods(probe: &mut Probe) -> Vec<String> {
    probe.written().iter().map(|message| message["method"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_new_session_is_made_in_the_sessions_directory() {
    let mut probe = Probe::started(None);
    assert_eq!(
        probe.written(),
        [json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
            "protocolVersion": 1,
            "clientCapabilities": {
                "fs": {"readTextFile": false, "writeTextFile": false}, "terminal": false,
                "auth": {"terminal": false}
            },
            "clientInfo": {"name": "seawall", "version": env!("CARGO_PKG_VERSION")},
        }})]
    );
    probe.hear(initialized(json!({})));
    assert_eq!(
        probe.written(),
        [json!({"jsonrpc": "2.0", "id": 2, "method": "session/new", "params": {
            "cwd": "/project", "mcpServers": []
        }})]
    );
    probe.hear(json!({"id": 2, "result": {"sessionId": "s-1", "modes": null}}));
    assert_eq!(probe.said(), [ready("s-1", AgentContext::New, false)]);
}

#[test]
fn the_modes_and_options_of_a_session_are_kept_as_they_came() {
    for (resume, opened) in [
        (None, json!({"sessionId": "s-1", "modes": {"currentModeId": "plan"}})),
        (Some("s-1"), json!({"configOptions": [{"id": "model"}]})),
    ] {
        let mut probe = Probe::started(resume);
        let response = json!({"id": 2, "result": opened});
        probe.hear(initialized(json!({"loadSession": true}))).hear(response.clone());
        let context = if resume.is_some() { AgentContext::Resumed } else { AgentContext::New };
        assert_eq!(probe.said(), [AgentEvent::Raw(response), ready("s-1", context, true)]);
    }
}

#[test]
fn an_agent_that_can_resume_is_asked_to() {
    let mut probe = Probe::started(Some("s-0"));
    let both = json!({"loadSession": true, "sessionCapabilities": {"resume": {}}});
    probe.hear(initialized(both));
    assert_eq!(methods(&mut probe), ["initialize", "session/resume"]);
    probe.hear(json!({"id": 2, "result": null}));
    assert_eq!(probe.said(), [ready("s-0", AgentContext::Resumed, true)]);
}

#[test]
fn what_a_load_replays_is_not_said_again() {
    let mut probe = Probe::started(Some("s-1"));
    probe.hear(initialized(json!({"loadSession": true})));
    assert_eq!(methods(&mut probe), ["initialize", "session/load"]);
    probe.hear(chunk("old")).hear(update(json!({"sessionUpdate": "plan", "entries": []})));
    assert_eq!(probe.said(), []);
    probe.hear(json!({"id": 2, "result": {}})).hear(chunk("new"));
    assert_eq!(
        probe.said(),
        [
            ready("s-1", AgentContext::Resumed, true),
            AgentEvent::Message { delta: "new".to_owned() }
        ]
    );
}

#[test]
fn an_agent_that_resumes_and_yet_repeats_the_past_is_not_heard_twice() {
    let mut probe = Probe::started(Some("s-1"));
    probe.hear(initialized(json!({"sessionCapabilities": {"resume": {}}})));
    probe.hear(chunk("old"));
    assert_eq!(probe.said(), []);
    probe.hear(json!({"id": 2, "result": {}})).hear(chunk("new"));
    assert_eq!(probe.said()[1], AgentEvent::Message { delta: "new".to_owned() });
}

#[test]
fn how_a_session_stands_is_kept_while_it_is_loaded_and_its_past_is_not() {
    let mut probe = Probe::started(Some("s-1"));
    probe.hear(initialized(json!({"loadSession": true})));
    let text = json!({"type": "text", "text": "x"});
    for past in [
        json!({"sessionUpdate": "user_message_chunk", "content": text}),
        json!({"sessionUpdate": "agent_thought_chunk", "content": text}),
        json!({"sessionUpdate": "tool_call", "toolCallId": "c"}),
        json!({"sessionUpdate": "tool_call_update", "toolCallId": "c"}),
    ] {
        probe.hear(update(past));
        assert_eq!(probe.said(), []);
    }
    for state in [
        json!({"sessionUpdate": "current_mode_update", "currentModeId": "plan"}),
        json!({"sessionUpdate": "config_option_update", "configOptions": []}),
        json!({"sessionUpdate": "usage_update", "used": 1, "size": 2}),
        json!({"sessionUpdate": "available_commands_update", "availableCommands": []}),
    ] {
        probe.hear(update(state.clone()));
        assert_eq!(probe.said(), [AgentEvent::Raw(update(state))]);
    }
}

#[test]
fn an_agent_that_cannot_resume_has_lost_its_context() {
    let mut probe = Probe::started(Some("s-0"));
    probe.hear(initialized(json!({})));
    assert_eq!(methods(&mut probe), ["initialize", "session/new"]);
    probe.hear(json!({"id": 2, "result": {"sessionId": "s-1"}}));
    assert_eq!(probe.said(), [ready("s-1", AgentContext::Lost, false)]);
}

#[test]
fn a_failed_resume_or_load_begins_anew_and_says_lost() {
    for capabilities in
        [json!({"sessionCapabilities": {"resume": {}}}), json!({"loadSession": true})]
    {
        let mut probe = Probe::started(Some("s-0"));
        probe.hear(initialized(capabilities)).hear(error(2, -32002));
        assert_eq!(methods(&mut probe)[2], "session/new");
        probe.hear(json!({"id": 3, "result": {"sessionId": "s-1"}}));
        assert_eq!(probe.said(), [ready("s-1", AgentContext::Lost, true)]);
    }
}

#[test]
fn what_cannot_be_resumed_may_still_be_loaded() {
    let mut probe = Probe::started(Some("s-1"));
    let both = json!({"loadSession": true, "sessionCapabilities": {"resume": {}}});
    probe.hear(initialized(both)).hear(error(2, -32002));
    assert_eq!(methods(&mut probe), ["initialize", "session/resume", "session/load"]);
    probe.hear(chunk("old")).hear(json!({"id": 3, "result": null}));
    assert_eq!(probe.said(), [ready("s-1", AgentContext::Resumed, true)]);
}

#[test]
fn an_agent_that_wants_a_login_is_named_with_its_ways() {
    for resume in [None, Some("s-0")] {
        let mut probe = Probe::started(resume);
        probe.hear(initialized(json!({"loadSession": true}))).hear(error(2, -32000));
        let (code, detail) = failure(&mut probe);
        assert_eq!(code, TransportFault::AuthRequired);
        assert!(detail.contains("Log in (login): run `agent login`"), "{detail}");
    }
    let mut probe = Probe::started(None);
    probe.hear(error(1, -32000));
    assert_eq!(failure(&mut probe).0, TransportFault::AuthRequired);
}

#[test]
fn a_handshake_that_cannot_be_read_fails_with_a_sentence() {
    let open = initialized(json!({}));
    for (lines, word) in [
        (vec![error(1, -32603)], "initialize"),
        (vec![json!({"id": 1, "result": {}})], "initialize"),
        (vec![json!({"id": 1, "result": {"protocolVersion": "one"}})], "initialize"),
        (vec![json!({"id": 1, "result": {"protocolVersion": 2}})], "version 2"),
        (vec![open.clone(), error(2, -32602)], "session/new"),
        (vec![open.clone(), json!({"id": 2, "result": {}})], "session/new"),
    ] {
        let mut probe = Probe::started(None);
        for line in lines {
            probe.hear(line);
        }
        let (code, detail) = failure(&mut probe);
        assert_eq!(code, TransportFault::Handshake);
        assert!(detail.contains(word), "{detail}");
    }
}

#[test]
fn after_a_failure_nothing_opens_the_session_any_more() {
    let mut probe = Probe::started(None);
    probe.hear(error(1, -32603));
    probe.said();
    probe.written();
    let late = initialized(json!({}));
    probe.hear(late.clone());
    assert_eq!(probe.said(), [AgentEvent::Raw(late)]);
    probe.prompt("m-1", "hi");
    assert!(matches!(probe.said()[..], [AgentEvent::Rejected { .. }]));
    assert_eq!(probe.written(), [] as [Value; 0]);
}

#[test]
fn words_before_the_handshake_are_output_and_do_not_fail_it() {
    let mut probe = Probe::started(None);
    probe.hear_line(b"Welcome to the agent!", false).hear_line(b"  ", false);
    probe.hear(chunk("too early")).hear(initialized(json!({})));
    assert_eq!(
        probe.said(),
        [
            AgentEvent::Output {
                stream: OutputStream::Stdout,
                text: "Welcome to the agent!".to_owned(),
                truncated: false
            },
            AgentEvent::Raw(chunk("too early")),
        ]
    );
    assert_eq!(methods(&mut probe), ["initialize", "session/new"]);
}
