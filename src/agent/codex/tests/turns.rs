//! Turns: begun by a message or by the agent, interrupted at any moment, ended once.

use super::*;

#[test]
fn a_turn_begins_and_ends_when_codex_says_so() {
    let mut probe = Probe::open();
    probe.prompt("m-1", "hi");
    assert_eq!(
        probe.written(),
        [json!({"id": 4, "method": "turn/start", "params": {
            "threadId": "th", "clientUserMessageId": "m-1",
            "input": [{"type": "text", "text": "hi", "text_elements": []}],
        }})]
    );
    probe.hear(accepted(4, "t-1"));
    assert_eq!(probe.said(), [], "it is accepted, no more");
    probe.hear(started("t-1")).hear(delta("yes")).hear(completed("t-1", "completed"));
    assert_eq!(
        probe.said(),
        [begun(Some("m-1")), message("yes"), ended(Some("m-1"), StopReason::EndTurn)]
    );
    probe.prompt("m-2", "again");
    assert_eq!(probe.written()[0]["id"], 5);
}

#[test]
fn the_order_of_response_and_beginning_does_not_matter() {
    let mut probe = Probe::prompted();
    probe.hear(started("t-1")).hear(accepted(4, "t-1")).hear(completed("t-1", "completed"));
    assert_eq!(probe.said(), [begun(Some("m-1")), ended(Some("m-1"), StopReason::EndTurn)]);
}

#[test]
fn a_turn_whose_beginning_was_lost_still_ends() {
    let mut probe = Probe::prompted();
    probe.hear(accepted(4, "t-1")).hear(completed("t-1", "completed"));
    assert_eq!(probe.said(), [begun(Some("m-1")), ended(Some("m-1"), StopReason::EndTurn)]);
}

#[test]
fn a_refused_turn_is_a_rejected_message() {
    let mut probe = Probe::prompted();
    probe.hear(json!({"id": 4, "error": {"code": -32600, "message": "thread not found"}}));
    let [AgentEvent::Rejected { message_id, detail }] = &probe.said()[..] else {
        panic!("not rejected")
    };
    assert_eq!(message_id.as_str(), "m-1");
    assert!(detail.contains("thread not found"), "{detail}");
    probe.prompt("m-2", "again");
    assert_eq!(methods(&mut probe), ["turn/start"]);
}

#[test]
fn a_message_waits_for_the_end_of_a_turn_that_the_agent_began() {
    let mut probe = Probe::open();
    probe.hear(started("own"));
    probe.prompt("m-1", "hi");
    assert_eq!(methods(&mut probe), [] as [&str; 0], "it would only steer that turn");
    probe.prompt("m-2", "one too many");
    probe.hear(completed("own", "completed"));
    assert_eq!(methods(&mut probe), ["turn/start"]);
    probe.hear(accepted(4, "t-1")).hear(started("t-1")).hear(completed("t-1", "completed"));
    let said = probe.said();
    assert!(
        matches!(&said[1], AgentEvent::Rejected { message_id, .. } if message_id.as_str() == "m-2")
    );
    assert_eq!(
        [&said[0], &said[2], &said[3], &said[4]],
        [
            &begun(None),
            &ended(None, StopReason::EndTurn),
            &begun(Some("m-1")),
            &ended(Some("m-1"), StopReason::EndTurn),
        ]
    );
}

#[test]
fn a_message_that_became_part_of_a_running_turn_ends_with_it() {
    let mut probe = Probe::prompted();
    // The agent began a turn of its own at the same moment; the answer names that one.
    probe.hear(accepted(4, "t-1"));
    probe.hear(started("own"));
    assert_eq!(probe.said(), [begun(None)], "another turn than the one we were told of");
    let mut probe = Probe::open();
    probe.hear(started("own"));
    probe.hear(completed("own", "completed"));
    probe.said();
    probe.prompt("m-1", "hi");
    probe.hear(accepted(4, "t-2")).hear(started("t-2")).hear(completed("t-2", "completed"));
    assert_eq!(probe.said(), [begun(Some("m-1")), ended(Some("m-1"), StopReason::EndTurn)]);
}

#[test]
fn a_running_turn_is_interrupted_under_its_id() {
    let mut probe = Probe::running();
    probe.cancel();
    let params = json!({"threadId": "th", "turnId": "t-1"});
    assert_eq!(probe.written(), [json!({"id": 5, "method": "turn/interrupt", "params": params})]);
    probe.hear(json!({"id": 5, "result": {}})).hear(completed("t-1", "interrupted"));
    assert_eq!(probe.said(), [ended(Some("m-1"), StopReason::Cancelled)]);
}

#[test]
fn a_turn_that_has_not_begun_is_interrupted_when_it_does() {
    for answered in [false, true] {
        let mut probe = Probe::prompted();
        if answered {
            probe.hear(accepted(4, "t-1"));
        }
        probe.cancel();
        assert_eq!(methods(&mut probe), [] as [&str; 0], "codex would find no turn");
        probe.hear(started("t-1"));
        assert_eq!(probe.written()[0]["params"]["turnId"], "t-1");
        probe.hear(completed("t-1", "interrupted"));
        assert_eq!(probe.said(), [begun(Some("m-1")), ended(Some("m-1"), StopReason::Cancelled)]);
        probe.prompt("m-2", "again");
        probe.hear(started("t-2"));
        assert_eq!(methods(&mut probe), ["turn/start"], "the cancel was for the turn before");
    }
}

#[test]
fn without_a_turn_there_is_nothing_to_interrupt() {
    let mut probe = Probe::open();
    probe.cancel();
    probe.prompt("m-1", "hi");
    probe.hear(started("t-1"));
    assert_eq!(methods(&mut probe), ["turn/start"]);
}

#[test]
fn a_refused_interrupt_is_kept_and_ends_nothing() {
    let mut probe = Probe::running();
    probe.cancel();
    let refusal = json!({"id": 5, "error": {"code": -32600, "message": "no active turn"}});
    probe.hear(refusal.clone());
    assert_eq!(probe.said(), [AgentEvent::Raw(refusal)]);
}

#[test]
fn the_end_of_another_turn_or_thread_ends_none_of_ours() {
    let mut foreign = completed("t-1", "completed");
    foreign["params"]["threadId"] = json!("of a sub-agent");
    let late = completed("t-0", "interrupted");
    let mut probe = Probe::running();
    for message in [foreign, late] {
        probe.hear(message.clone());
        assert_eq!(probe.said(), [AgentEvent::Raw(message)]);
    }
}

#[test]
fn a_failed_turn_is_kept_with_what_codex_says_of_it() {
    let mut failed = completed("t-1", "failed");
    failed["params"]["turn"]["error"] = json!({"message": "overloaded"});
    let mut probe = Probe::running();
    probe.hear(failed.clone());
    assert_eq!(probe.said(), [AgentEvent::Raw(failed), ended(Some("m-1"), StopReason::Error)]);
}

#[test]
fn a_turn_that_the_provider_did_not_let_in_says_so_and_the_agent_is_started_anew() {
    let mut failed = completed("t-1", "failed");
    failed["params"]["turn"]["error"] =
        json!({"message": "401 Unauthorized", "codexErrorInfo": "unauthorized"});
    let mut probe = Probe::running();
    probe.hear(failed);
    let Some(AgentEvent::Failed { code: TransportFault::AuthRequired, detail }) =
        probe.said().pop()
    else {
        panic!("not told")
    };
    assert!(detail.contains("401 Unauthorized") && detail.contains("codex login"), "{detail}");
    probe.prompt("m-2", "again");
    assert!(matches!(probe.said()[..], [AgentEvent::Rejected { .. }]));
}

#[test]
fn what_the_turn_spent_is_told_at_its_end() {
    let usage = |turn: u64| {
        notice("thread/tokenUsage/updated", json!({"tokenUsage": {"last": {"totalTokens": turn}}}))
    };
    let mut probe = Probe::running();
    probe.hear(usage(10)).hear(usage(5)).hear(completed("t-1", "completed"));
    let said = probe.said();
    assert_eq!(said[..2], [AgentEvent::Raw(usage(10)), AgentEvent::Raw(usage(5))]);
    let AgentEvent::TurnEnded { usage: Some(usage), .. } = &said[2] else { panic!("no usage") };
    assert_eq!(usage["total_tokens"], 15);
}

#[test]
fn responses_to_nothing_we_asked_and_unknown_messages_are_raw() {
    let mut probe = Probe::running();
    for message in [
        json!({"id": 4, "result": {}}),
        json!({"id": "4", "result": {}}),
        json!({"id": null, "error": {}}),
        json!([1]),
        json!({}),
        json!({"method": "account/rateLimits/updated", "params": {}}),
        notice("thread/name/updated", json!({"threadName": "x"})),
        notice("turn/started", json!({})),
        notice("turn/plan/updated", json!({"plan": 7})),
    ] {
        probe.hear(message.clone());
        assert_eq!(probe.said(), [AgentEvent::Raw(message)]);
    }
}

#[test]
fn a_truncated_line_is_output() {
    let mut probe = Probe::running();
    let line = completed("t-1", "completed").to_string();
    probe.hear_line(line.as_bytes(), true).hear_line(b" ", false);
    let output = AgentEvent::Output { stream: OutputStream::Stdout, text: line, truncated: true };
    assert_eq!(probe.said(), [output]);
}
