//! From the spawn to the first message.

use super::*;

fn ready(context: AgentContext, id: &str) -> AgentEvent {
    AgentEvent::Ready { agent_session_id: Some(id.to_owned()), context, can_resume: true }
}

#[test]
fn the_agent_is_ready_when_it_has_answered() {
    let mut probe = Probe::started(options());
    let request = json!({"subtype": "initialize", "hooks": null});
    let expected =
        json!({"type": "control_request", "request_id": "seawall-1", "request": request});
    assert_eq!(probe.written(), [expected]);
    probe.hear(initialized(json!({"account": {"tokenSource": "none", "apiKeySource": "x"}})));
    let id = arguments::session_id(&options());
    assert_eq!(probe.said(), [ready(AgentContext::New, &id)]);
    // It may be said again; the run is open already.
    probe.hear(initialized(json!({})));
    assert_eq!(probe.said(), []);
}

#[test]
fn the_context_says_what_the_agent_remembers() {
    let resume = Some("of-before".to_owned());
    let mut probe = Probe::started(CodecOptions { resume, ..options() });
    probe.hear(initialized(json!({})));
    assert_eq!(probe.said(), [ready(AgentContext::Resumed, "of-before")]);
    let mut probe = Probe::started(CodecOptions { lost: true, ..options() });
    probe.hear(initialized(json!({})));
    assert_eq!(probe.said(), [ready(AgentContext::Lost, &arguments::session_id(&options()))]);
}

/// The code that a run fails with, and why.
fn failure(probe: &mut Probe) -> (TransportFault, String) {
    match &probe.said()[..] {
        [AgentEvent::Failed { code, detail }] => (*code, detail.clone()),
        other => panic!("no failure: {other:?}"),
    }
}

#[test]
fn a_session_that_the_agent_does_not_know_is_told_apart_from_other_failures() {
    let gave_up = |error: &str| json!({"type": "result", "subtype": "error_during_execution", "errors": [error]});
    let unknown = gave_up("No conversation found with session ID: x");
    for (resume, result, code) in [
        (Some("x".to_owned()), unknown.clone(), TransportFault::Resume),
        (Some("x".to_owned()), gave_up("the disk is full"), TransportFault::Protocol),
        (None, unknown, TransportFault::Protocol),
    ] {
        let mut probe = Probe::started(CodecOptions { resume, ..options() });
        probe.hear(result);
        assert_eq!(failure(&mut probe).0, code);
        probe.hear(initialized(json!({})));
        assert_eq!(probe.said(), [], "what failed stays so");
    }
}

#[test]
fn an_agent_without_a_login_says_how_to_log_in() {
    let mut probe = Probe::started(options());
    probe.hear(initialized(
        json!({"account": {"tokenSource": "none", "apiProvider": "firstParty"}}),
    ));
    let (code, detail) = failure(&mut probe);
    assert_eq!(code, TransportFault::AuthRequired);
    assert!(detail.contains("claude /login") && detail.contains("ANTHROPIC_API_KEY"), "{detail}");
    // Those of another provider have accounts elsewhere.
    let mut probe = Probe::started(options());
    probe.hear(initialized(json!({"account": {"apiProvider": "bedrock"}})));
    assert!(matches!(probe.said()[..], [AgentEvent::Ready { .. }]));
}

#[test]
fn no_turn_begins_before_the_agent_is_ready() {
    let mut probe = Probe::started(options());
    probe.hear(init());
    assert_eq!(probe.said(), [AgentEvent::Raw(init())]);
}

#[test]
fn a_refused_handshake_says_why() {
    let mut probe = Probe::started(options());
    let response = json!({"subtype": "error", "request_id": "seawall-1", "error": "too old"});
    probe.hear(json!({"type": "control_response", "response": response}));
    let (code, detail) = failure(&mut probe);
    assert_eq!(code, TransportFault::Handshake);
    assert!(detail.contains("too old"), "{detail}");
    probe.prompt("m-1", "hi");
    assert!(matches!(probe.said()[..], [AgentEvent::Rejected { .. }]));
    assert_eq!(probe.written().len(), 1, "nothing is written after the handshake's first line");
}
