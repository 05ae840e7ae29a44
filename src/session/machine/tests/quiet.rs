//! An agent of which nothing is heard: when it is told of, when its silence is nobody's business, and what is done.

use super::script::{Script, lines, policy, secs};
use crate::{
    agent::{AgentEvent, AgentRequest},
    domain::{Body, event::StopReason},
    session::{Request, machine::Policy},
};

const LIMIT: u64 = 600;

fn watchful() -> Policy {
    Policy { inactivity: Some(secs(LIMIT)), ..policy() }
}

fn hasty() -> Policy {
    Policy { inactivity_interrupt: true, ..watchful() }
}

#[test]
fn an_agent_that_says_nothing_for_ten_minutes_of_its_turn_is_told_of_once() {
    let script = Script::running_with(watchful(), "m1");
    let since = script.now;
    let script = script.after(secs(LIMIT - 1)).then("").after(secs(1)).then("agent.inactive");
    let told = script.log.last().map(|draft| draft.body.clone());
    assert_eq!(told, Some(Body::AgentInactive { since }));
    script.after(secs(100 * LIMIT)).then("");
}

#[test]
fn it_is_told_of_again_only_after_it_spoke() {
    let script = Script::running_with(watchful(), "m1").after(secs(2 * LIMIT)).quiet();
    let script = script.delta("a").quiet().after(secs(LIMIT - 1)).then("");
    script.after(secs(1)).then("agent.inactive").after(secs(2 * LIMIT)).then("");
}

#[test]
fn every_line_is_a_sign_of_life_and_none_of_them_moves_a_timer() {
    let mut script = Script::running_with(watchful(), "m1");
    let first = script.machine.next_deadline();
    for _ in 0..9 {
        script = script.after(secs(60)).babbles();
        assert_eq!(script.machine.next_deadline(), first);
    }
    let script = script.then("").after(secs(LIMIT - 1)).then("");
    script.after(secs(1)).then("agent.inactive");
}

#[test]
fn nothing_is_expected_of_an_agent_without_a_turn() {
    let script = Script::active_with(watchful()).after(secs(2 * LIMIT)).then("");
    let script = script.send("m1").turn("m1").turn_ends(StopReason::EndTurn).quiet();
    script.after(secs(2 * LIMIT)).then("");
    let lines = Policy { inactivity: Some(secs(LIMIT)), ..lines() };
    Script::active_with(lines).send("m1").quiet().after(secs(2 * LIMIT)).then("");
}

#[test]
fn a_prompt_that_no_turn_comes_of_is_a_silence_too() {
    let script = Script::active_with(watchful()).send("m1").quiet();
    script.after(secs(LIMIT)).then("agent.inactive");
}

#[test]
fn the_time_begins_with_the_turn_and_not_with_the_last_word_before_it() {
    let script = Script::active_with(watchful()).after(secs(LIMIT - 1)).send("m1").turn("m1");
    let script = script.quiet().after(secs(LIMIT - 1)).then("");
    script.after(secs(1)).then("agent.inactive");
}

/// A person may sleep.
#[test]
fn an_agent_that_waits_for_an_answer_is_not_inactive_and_has_its_time_anew_after_it() {
    let running = || Script::running_with(watchful(), "m1").after(secs(60));
    let patient = |script: Script| script.quiet().after(secs(11 * 3600)).then("");
    let request = AgentRequest(1);
    for script in [
        patient(running().asks_permission(1)).permit("p1.1", "yes"),
        patient(running().asks_question(1)).says(AgentEvent::RequestCancelled { request }),
    ] {
        let script = script.quiet().after(secs(LIMIT - 1)).then("");
        script.after(secs(1)).then("agent.inactive");
    }
}

#[test]
fn a_profile_may_have_the_turn_of_a_silent_agent_interrupted() {
    let script = Script::running_with(hasty(), "m1").send("m2").quiet().after(secs(LIMIT));
    let script = script.then("!cancel; agent.inactive; interrupt by inactivity");
    script.turn_ends(StopReason::Cancelled).then(
        "turn of m1 ended cancelled; interrupt completed
         dispatched m2; prompt m2",
    );
}

#[test]
fn a_silent_agent_that_hears_no_interrupt_is_replaced() {
    let script = Script::running_with(hasty(), "m1").after(secs(LIMIT)).quiet();
    script
        .after(secs(10))
        .then("!SIGINT; interrupt failed sigint; !SIGKILL; interrupt failed restart")
        .after(secs(2 * LIMIT))
        .then("")
        .dies(9)
        .then(
            "exited by signal 9; turn of m1 ended transport_lost; failed m1 transport_lost uncertain
             restarting 1; STARTING",
        );
}

#[test]
fn a_person_who_interrupts_is_joined_by_nobody() {
    let script = Script::running_with(hasty(), "m1").after(secs(LIMIT - 2)).interrupt().quiet();
    script
        .after(secs(2))
        .then("agent.inactive")
        .after(secs(3))
        .then("!SIGINT; interrupt failed sigint");
}

#[test]
fn an_agent_that_is_being_stopped_is_not_waited_for() {
    let script = Script::running_with(hasty(), "m1").stop_within(secs(10 * LIMIT)).quiet();
    script.after(secs(2 * LIMIT - 1)).then("");
    let script = Script::running_with(watchful(), "m1").ask(Request::Kill).quiet();
    script.after(secs(2 * LIMIT)).then("");
}

#[test]
fn the_next_child_has_its_time_from_its_own_turn_on() {
    let script = Script::running_with(watchful(), "m1").send("m2").after(secs(LIMIT - 1)).exits(1);
    let script = script.after(secs(1)).spawned().after(secs(50)).ready().quiet();
    let script = script.after(secs(LIMIT - 1)).then("");
    script.after(secs(1)).then("agent.inactive");
}

#[test]
fn while_the_store_takes_nothing_nothing_is_read_and_that_is_not_the_agents_silence() {
    let mut script = Script::running_with(watchful(), "m1").after(secs(LIMIT - 1));
    script.machine.excuse_silence(script.now);
    script.after(secs(LIMIT - 1)).then("").after(secs(1)).then("agent.inactive");
}

#[test]
fn another_limit_acts_on_the_turn_that_runs_and_tells_nothing_twice() {
    let limited = |seconds| Policy { inactivity: Some(secs(seconds)), ..policy() };
    let mut script = Script::running("m1").after(secs(60));
    script.reload(limited(100));
    let mut script = script.after(secs(39)).then("").after(secs(1)).then("agent.inactive");
    script.reload(limited(200));
    let mut script = script.after(secs(600)).then("").delta("a").quiet();
    script.reload(policy());
    script.after(secs(600)).then("");
}
