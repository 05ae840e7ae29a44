//! What is answered: receipts and refusals, withdrawals, permissions and questions.

use super::script::{Script, lines, policy, secs, sent};
use crate::{
    agent::{AgentEvent, AgentRequest},
    domain::{
        State,
        event::{Outcome, StopReason},
    },
    session::{Request, machine::Policy},
};

#[test]
fn the_same_message_again_is_the_same_receipt_and_nothing_else() {
    Script::active()
        .send("m1")
        .quiet()
        .send("m1")
        .then("receipt again")
        .ask(sent("m1", "other", false))
        .then("refused MessageConflict");
}

#[test]
fn a_duplicate_resumes_nothing() {
    let ended = Script::running("m1").turn_ends(StopReason::EndTurn).exits(0).quiet();
    ended.send("m1").then("receipt again").is(State::Ended);
}

#[test]
fn refusals_are_for_messages_that_are_not_known() {
    let full = || {
        let policy = Policy { max_queued_messages: 2, ..policy() };
        Script::starting(policy).send("m1").send("m2").quiet()
    };
    full().send("m3").then("refused QueueFull");
    full().send("m2").then("receipt again");
    full().ask(sent("m2", "other", false)).then("refused MessageConflict");
    full().withdraw("m1").quiet().send("m3").then("user m3; receipt");
    full().draining(true).send("m1").then("receipt again");
    full().draining(true).send("m3").then("refused Draining");
}

#[test]
fn sends_under_way_count_towards_the_limit() {
    let policy = Policy { max_queued_messages: 2, ..policy() };
    let script = Script::starting(policy).store_stalls().send("m1").send("m2").send("m3");
    script.store_heals().then("user m1; receipt; user m2; receipt; refused QueueFull");
}

#[test]
fn a_send_to_an_ended_session_is_a_new_run_if_there_is_a_place() {
    let ended = || Script::active().exits(0).quiet();
    ended().send("m1").then("user m1; receipt; CREATED; STARTING; spawn 2");
    ended().full().send("m1").then("refused TooManySessions").is(State::Ended);
    Script::active().full().send("m1").then("user m1; receipt; dispatched m1; prompt m1");
}

#[test]
fn a_send_that_the_store_does_not_take_is_refused_and_leaves_no_trace() {
    let mut script = Script::active();
    script.store_fails = true;
    let mut script = script.send("m1").then("refused Store");
    script.store_fails = false;
    script.send("m1").then("user m1; receipt; dispatched m1; prompt m1");
}

#[test]
fn a_message_that_waits_can_be_withdrawn_once() {
    Script::running("m1")
        .send("m2")
        .quiet()
        .withdraw("m2")
        .then("failed m2 withdrawn; done")
        .withdraw("m2")
        .then("done")
        .turn_ends(StopReason::EndTurn)
        .then("turn of m1 ended end_turn")
        .send("m2")
        .then("receipt again");
}

#[test]
fn a_message_that_was_given_to_the_agent_cannot_be_withdrawn() {
    Script::active().send("m1").quiet().withdraw("m1").then("refused AlreadyDispatched");
    Script::active().withdraw("m1").then("refused UnknownMessage");
}

#[test]
fn a_message_on_its_way_into_the_log_is_withdrawn_when_it_is_there() {
    let mut script = Script::running("m1");
    script.is_prompt = false;
    let mut script = script.send("m2").withdraw("m2");
    script.commit(2);
    script.then("user m2").store_heals().then("receipt; failed m2 withdrawn; done");
}

#[test]
fn a_withdrawal_of_a_message_that_the_store_did_not_take_knows_of_none() {
    let mut script = Script::running("m1");
    (script.is_prompt, script.store_fails) = (false, true);
    script.send("m2").withdraw("m2").store_heals().then("refused Store; refused UnknownMessage");
}

#[test]
fn a_permission_is_answered_once_and_the_agent_learns_of_it_after_the_log() {
    Script::running("m1")
        .asks_permission(1)
        .then("asks p1.1")
        .permit("p1.1", "yes")
        .then("p1.1 selected; answer 1 selected; done")
        .permit("p1.1", "no")
        .then("refused RequestClosed")
        .permit("p9.9", "no")
        .then("refused UnknownRequest");
}

#[test]
fn an_answer_that_was_not_offered_is_refused_and_the_permission_stays_open() {
    let script = Script::running("m1").asks_permission(1).quiet();
    script
        .permit("p1.1", "maybe")
        .then("refused Invalid")
        .permit("p1.1", "no")
        .then("p1.1 selected; answer 1 selected; done");
}

#[test]
fn a_permission_can_be_cancelled_by_a_person() {
    let ask =
        Request::AnswerPermission { permission_id: "p1.1".into(), outcome: Outcome::Cancelled };
    let script = Script::running("m1").asks_permission(1).quiet();
    script.ask(ask).then("p1.1 cancelled; answer 1 cancelled; done");
}

#[test]
fn an_unanswered_permission_expires_and_a_late_answer_is_refused() {
    Script::running("m1")
        .asks_permission(1)
        .quiet()
        .after(secs(12 * 3600 - 1))
        .then("")
        .after(secs(1))
        .then("p1.1 expired; answer 1 expired")
        .permit("p1.1", "yes")
        .then("refused RequestClosed");
}

#[test]
fn a_permission_outlives_the_turn_that_asked_for_it() {
    Script::running("m1")
        .asks_permission(1)
        .quiet()
        .turn_ends(StopReason::EndTurn)
        .then("turn of m1 ended end_turn")
        .send("m2")
        .then("user m2; receipt; dispatched m2; prompt m2")
        .permit("p1.1", "yes")
        .then("p1.1 selected; answer 1 selected; done");
}

#[test]
fn a_request_that_the_agent_takes_back_is_cancelled_and_not_answered() {
    let script = Script::running("m1").asks_permission(1).quiet();
    let request = AgentRequest(1);
    script.says(AgentEvent::RequestCancelled { request }).then("p1.1 cancelled");
}

#[test]
fn a_question_is_answered_like_a_permission() {
    let ask = || Request::AnswerQuestion {
        question_id: "q1.1".into(),
        outcome: Outcome::Answered { answers: serde_json::json!({"a": 1}) },
    };
    let script = Script::running("m1").asks_question(1).quiet();
    script
        .ask(ask())
        .then("q1.1 answered; answer 1 answered; done")
        .ask(ask())
        .then("refused UnknownRequest");
}

#[test]
fn draining_lets_answers_interrupts_and_stops_through() {
    let script = Script::running("m1").asks_permission(1).quiet().draining(true);
    let script = script.permit("p1.1", "yes").then("p1.1 selected; answer 1 selected; done");
    script.interrupt().then("!cancel; requested; interrupt by ann").stop().is(State::Closing);
}

#[test]
fn an_agent_of_lines_takes_messages_under_the_same_rules() {
    let script = Script::starting(lines()).ready().send("m1").quiet();
    script.send("m1").then("receipt again").withdraw("m1").then("refused AlreadyDispatched");
}
