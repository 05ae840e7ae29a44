//! From the spawn to the first message, and every way in which it can go wrong. What a turn does is not tested here.

use super::*;

fn error(id: u64, text: &str) -> Value {
    json!({"id": id, "error": {"code": -32600, "message": text}})
}

fn thread(id: u64, thread: &str) -> Value {
    json!({"id": id, "result": {"thread": {"id": thread}}})
}

fn ready(thread: &str, context: AgentContext) -> AgentEvent {
    AgentEvent::Ready { agent_session_id: Some(thread.to_owned()), context, can_resume: true }
}

fn failure(probe: &mut Probe) -> (TransportFault, String) {
    match probe.said().pop() {
        Some(AgentEvent::Failed { code, detail }) => (code, detail),
        other => panic!("not a failure: {other:?}"),
    }
}

/// With `initialize` and the question for the account answered.
fn known(resume: Option<&str>) -> Probe {
    let mut probe = Probe::started(resume);
    probe.hear(json!({"id": 1, "result": {}})).hear(json!({"id": 2, "result": {}}));
    probe
}

#[test]
fn a_new_thread_is_made_in_the_sessions_directory() {
    let mut probe = known(None);
    let written = probe.written();
    let methods: Vec<_> = written.iter().map(|line| line["method"].as_str().unwrap()).collect();
    assert_eq!(methods, ["initialize", "initialized", "account/read", "thread/start"]);
    assert_eq!(written[3]["params"], json!({"cwd": "/project"}));
    assert!(written.iter().all(|line| line.get("jsonrpc").is_none()));
    probe.hear(thread(3, "th"));
    assert_eq!(probe.said(), [ready("th", AgentContext::New)]);
}

#[test]
fn an_account_that_codex_cannot_tell_of_is_no_obstacle() {
    let mut probe = Probe::started(None);
    probe.hear(json!({"id": 1, "result": {}})).hear(error(2, "unknown variant"));
    assert_eq!(methods(&mut probe).pop().unwrap(), "thread/start");
}

#[test]
fn who_is_not_logged_in_is_told_before_the_first_turn_fails() {
    for (account, is_asked) in [
        (json!({"account": null, "requiresOpenaiAuth": true}), true),
        (json!({"account": {"type": "apiKey"}, "requiresOpenaiAuth": true}), false),
        (json!({"account": null, "requiresOpenaiAuth": false}), false),
    ] {
        let mut probe = Probe::started(None);
        probe.hear(json!({"id": 1, "result": {}})).hear(json!({"id": 2, "result": account}));
        if is_asked {
            let (code, detail) = failure(&mut probe);
            assert_eq!(code, TransportFault::AuthRequired);
            assert!(detail.contains("codex login"), "{detail}");
        } else {
            assert_eq!(methods(&mut probe).pop().unwrap(), "thread/start");
        }
    }
}

#[test]
fn a_thread_is_resumed_without_its_turns() {
    let mut probe = known(Some("th-0"));
    let resume = probe.written().pop().unwrap();
    assert_eq!(resume["method"], "thread/resume");
    let params = json!({"threadId": "th-0", "cwd": "/project", "excludeTurns": true});
    assert_eq!(resume["params"], params);
    probe.hear(thread(3, "th-0"));
    assert_eq!(probe.said(), [ready("th-0", AgentContext::Resumed)]);
}

#[test]
fn a_thread_that_codex_does_not_find_is_begun_anew_and_its_context_is_lost() {
    let mut probe = known(Some("th-0"));
    probe.hear(error(3, "no rollout found for thread id th-0"));
    assert_eq!(methods(&mut probe).pop().unwrap(), "thread/start");
    probe.hear(thread(4, "th-1"));
    assert_eq!(probe.said(), [ready("th-1", AgentContext::Lost)]);
}

#[test]
fn a_thread_that_another_codex_writes_is_left_alone_and_may_be_free_at_the_next_run() {
    let mut probe = known(Some("th-0"));
    probe.written();
    probe.hear(error(3, "thread th-0 already has an active writer"));
    let (code, detail) = failure(&mut probe);
    // Of all faults this one is followed by another run.
    assert_eq!(code, TransportFault::Protocol);
    assert!(detail.contains("th-0") && detail.contains("end that one"), "{detail}");
    assert_eq!(probe.written(), [] as [Value; 0]);
}

#[test]
fn a_handshake_that_cannot_be_read_fails_with_a_sentence() {
    let known = [json!({"id": 1, "result": {}}), json!({"id": 2, "result": {}})];
    for (lines, word) in [
        (vec![error(1, "no")], "initialize"),
        ([&known[..], &[error(3, "no")]].concat(), "thread/start"),
        ([&known[..], &[json!({"id": 3, "result": {}})]].concat(), "thread/start"),
    ] {
        let mut probe = Probe::started(None);
        for line in lines {
            probe.hear(line);
        }
        let (code, detail) = failure(&mut probe);
        assert_eq!(code, TransportFault::Handshake);
        assert!(detail.contains(word), "{detail}");
        probe.prompt("m-1", "hi");
        assert!(matches!(probe.said()[..], [AgentEvent::Rejected { .. }]));
    }
}

#[test]
fn what_is_said_before_the_thread_is_open_is_kept() {
    let mut probe = Probe::started(None);
    let warning = json!({"method": "configWarning", "params": {"summary": "no bubblewrap"}});
    let stray = json!({"id": 9, "result": {}});
    probe.hear(warning.clone()).hear(stray.clone()).hear_line(b"hello", false);
    let output = AgentEvent::Output {
        stream: OutputStream::Stdout,
        text: "hello".to_owned(),
        truncated: false,
    };
    assert_eq!(probe.said(), [AgentEvent::Raw(warning), AgentEvent::Raw(stray), output]);
}
