//! One turn after the other, in the order of the log, and what is said in them.

use super::script::{Script, id, lines, policy, secs, sent};
use crate::{
    agent::AgentEvent,
    domain::{ClientState, State, event::StopReason},
};
use serde_json::json;

#[test]
fn a_message_is_dispatched_in_the_log_before_it_is_given_to_the_child() {
    Script::active().send("m1").then("user m1; receipt; dispatched m1; prompt m1");
}

#[test]
fn messages_wait_for_the_turn_and_go_in_the_order_of_the_log() {
    Script::running("m1")
        .send("m2")
        .send("m3")
        .then("user m2; receipt; user m3; receipt")
        .turn_ends(StopReason::EndTurn)
        .then("turn of m1 ended end_turn; dispatched m2; prompt m2")
        .turn("m2")
        .turn_ends(StopReason::EndTurn)
        .then("turn of m2; turn of m2 ended end_turn; dispatched m3; prompt m3");
}

#[test]
fn a_message_does_not_overtake_one_whose_outcome_is_late() {
    let mut script = Script::active();
    script.is_prompt = false;
    script.asks("ann", sent("m1", "m1", false));
    script.asks("bob", sent("m2", "m2", false));
    script.commit(2);
    script.hear_outcome(1);
    script.commit(1);
    let mut script = script.then("user m1; user m2; receipt");
    script.hear_outcome(0);
    script.store_heals().then("receipt; dispatched m1; prompt m1");
}

#[test]
fn a_message_that_waits_for_the_start_is_dispatched_when_the_child_answers() {
    Script::starting(policy())
        .send("m1")
        .then("user m1; receipt")
        .ready()
        .then("started new; ACTIVE; dispatched m1; prompt m1");
}

#[test]
fn one_block_is_extended_until_something_else_is_said() {
    let call = json!({"tool_call_id": "1"}).as_object().unwrap().clone();
    Script::running("m1")
        .delta("He")
        .delta("llo")
        .thought("hm")
        .then("says He; says llo; says final; thinks hm")
        .says(AgentEvent::ToolCall(call))
        .then("thinks final; agent.tool_call")
        .delta("!")
        .turn_ends(StopReason::EndTurn)
        .then("says !; says final; turn of m1 ended end_turn");
}

#[test]
fn a_delta_within_a_block_changes_no_row() {
    let mut script = Script::running("m1").delta("He");
    let events = vec![AgentEvent::Message { delta: "llo".into() }];
    let what = crate::process::Happened::Said { events, ack: None };
    let input = crate::session::machine::Input::Transport { run: 1, what };
    assert!(!script.machine.step(script.now, input).changed);
}

#[test]
fn a_prompt_that_the_agent_refuses_fails_and_the_next_one_goes() {
    Script::active()
        .send("m1")
        .send("m2")
        .quiet()
        .rejects("m1")
        .then("agent.raw; failed m1 rejected; dispatched m2; prompt m2")
        .rejects("m1")
        .then("agent.raw");
}

#[test]
fn a_turn_that_begins_in_another_ends_it() {
    Script::running("m1").own_turn().then("turn of m1 ended end_turn; turn of");
}

#[test]
fn the_client_state_is_of_turns_and_requests_whoever_watches() {
    let script = Script::running("m1").watchers(0, 0).after(secs(10)).is(State::Detached);
    assert_eq!(script.machine.session().client_state(), ClientState::Running);
    let script = script.asks_permission(1).watchers(1, 0).is(State::Active);
    assert_eq!(script.machine.session().client_state(), ClientState::RequiresAction);
    let script = script.permit("p1.1", "yes").turn_ends(StopReason::EndTurn);
    assert_eq!(script.machine.session().client_state(), ClientState::Idle);
}

#[test]
fn an_agent_of_lines_gets_the_next_message_when_the_last_one_is_written() {
    Script::starting(lines())
        .ready()
        .quiet()
        .send("m1")
        .send("m2")
        .then("user m1; receipt; dispatched m1; prompt m1; user m2; receipt")
        .written("m1")
        .then("dispatched m2; prompt m2")
        .exits(0)
        .then("exited 0; failed m2 transport_lost uncertain; ENDED completed");
}

#[test]
fn nothing_is_given_to_a_child_that_is_being_killed() {
    Script::running("m1")
        .fails(crate::domain::event::TransportFault::Protocol)
        .turn_ends(StopReason::EndTurn)
        .quiet()
        .send("m2")
        .then("user m2; receipt")
        .dies(9)
        .after(secs(1))
        .quiet()
        .ready()
        .then("started new; ACTIVE; dispatched m2; prompt m2");
}

#[test]
fn the_receipt_has_the_seq_of_the_message() {
    let script = Script::active().send("m1");
    // CREATED, STARTING, transport.started, ACTIVE.
    assert_eq!(script.ledger[&id("m1")].0.seq.0, 5);
}
