//! A session that has nothing to do: its child is stopped, it stays, and the next message starts another child.

use super::script::{Script, lines, policy, secs};
use crate::{
    agent::{AgentEvent, AgentRequest},
    config::Restart,
    domain::{State, event::StopReason},
    session::{Request, machine::Policy},
};

const LIMIT: u64 = 900;
const TIMEOUT: u64 = 48 * 3600;

fn thrifty() -> Policy {
    Policy { park_after: Some(secs(LIMIT)), ..policy() }
}

/// ACTIVE and watched, with an agent that can be resumed.
fn active() -> Script {
    Script::starting(thrifty()).ready_to_resume().quiet()
}

/// Its child has been told to leave.
fn parking() -> Script {
    active().after(secs(LIMIT)).quiet()
}

fn parked() -> Script {
    parking().exits(0).quiet()
}

#[test]
fn a_session_without_work_has_its_child_stopped_and_stays() {
    let script = active().after(secs(LIMIT - 1)).then("");
    let script = script.after(secs(1)).then("!close stdin; rung close_stdin");
    let script = script.exits(0).then("exited 0").is(State::Active);
    assert!(script.machine.session().parked);
    assert_eq!(script.machine.session().pid, None);
    script.after(secs(TIMEOUT)).then("").is(State::Active);
}

#[test]
fn a_child_that_does_not_leave_is_helped_up_the_ladder_and_nothing_counts_as_a_failure() {
    parking()
        .after(secs(10))
        .then("!SIGINT; rung sigint; !SIGTERM; rung sigterm; !SIGKILL; rung sigkill")
        .dies(9)
        .then("exited by signal 9");
    let mut script = active();
    for run in 2..12 {
        let message = format!("m{run}");
        script = script.after(secs(LIMIT)).dies(15).quiet().send(&message).is(State::Starting);
        script = script.ready_to_resume().turn(&message).turn_ends(StopReason::EndTurn);
    }
    assert_eq!(script.machine.session().restarts, 0);
}

#[test]
fn the_profiles_choice_of_restarts_says_nothing_of_it() {
    for restart in [Restart::OnFailure, Restart::Always, Restart::Never] {
        let script = Script::starting(Policy { restart, ..thrifty() }).ready_to_resume();
        let script = script.after(secs(LIMIT)).quiet().exits(1).then("exited 1");
        script.is(State::Active).send("m1").is(State::Starting);
    }
}

#[test]
fn the_next_message_starts_a_child_that_goes_on() {
    parked()
        .after(secs(60))
        .send("m1")
        .then("user m1; receipt; STARTING; spawn 2")
        .spawned()
        .ready_to_resume()
        .then("started new; ACTIVE; dispatched m1; prompt m1");
}

#[test]
fn a_message_that_comes_while_the_child_leaves_is_given_to_the_next() {
    let script = parking().send("m1").send_urgent("m2").then("user m1; receipt; user m2; receipt");
    script.exits(0).then("exited 0; STARTING; spawn 2");
}

#[test]
fn work_of_any_kind_keeps_the_child() {
    for script in [
        active().send("m1").turn("m1"),
        active().send("m1"),
        active().own_turn(),
        active().asks_permission(1),
        active().asks_question(1),
        active().store_stalls().send("m1"),
    ] {
        script.quiet().after(secs(10 * LIMIT)).then("");
    }
}

#[test]
fn the_time_begins_anew_with_every_line_and_with_the_end_of_work() {
    let request = AgentRequest(1);
    for script in [
        active().after(secs(LIMIT - 1)).delta("from the background"),
        active().after(secs(LIMIT - 1)).babbles(),
        active().asks_question(1).after(secs(LIMIT)).says(AgentEvent::RequestCancelled { request }),
        active().asks_permission(1).after(secs(LIMIT)).permit("p1.1", "yes"),
        active().send("m1").turn("m1").after(secs(LIMIT)).turn_ends(StopReason::EndTurn),
    ] {
        let script = script.quiet().after(secs(LIMIT - 1)).then("").after(secs(1));
        script.then("!close stdin; rung close_stdin");
    }
}

#[test]
fn a_child_that_would_forget_is_left_running() {
    let script = Script::starting(thrifty()).ready().quiet();
    script.after(secs(100 * LIMIT)).then("");
    let lines = Policy { park_after: Some(secs(LIMIT)), ..lines() };
    Script::active_with(lines).after(secs(100 * LIMIT)).then("");
}

#[test]
fn an_agent_that_can_be_resumed_no_more_is_parked_no_more() {
    let script = parked().send("m1").spawned().ready().turn("m1").turn_ends(StopReason::EndTurn);
    script.quiet().after(secs(100 * LIMIT)).then("");
}

#[test]
fn who_watches_makes_no_difference_and_starts_no_child() {
    let script = parked().watchers(0, 0).after(secs(5)).then("DETACHED").watchers(1, 0);
    let script = script.then("ACTIVE").watchers(0, 1).then("SUSPENDED");
    let script = script.after(secs(120)).then("DETACHED").watchers(1, 0).then("ACTIVE");
    assert_eq!(script.child, None);
    let script = active().watchers(0, 0).after(secs(LIMIT)).quiet().exits(0).is(State::Detached);
    script
        .send("m1")
        .quiet()
        .ready_to_resume()
        .then("started new; ACTIVE; dispatched m1; prompt m1");
    let script = active().watchers(0, 1).quiet().after(secs(119)).is(State::Suspended);
    assert!(script.after(secs(LIMIT)).exits(0).machine.session().parked);
}

#[test]
fn a_parked_session_that_nobody_watches_is_closed_and_saved_like_any_other() {
    let closing = || parked().watchers(0, 0).after(secs(TIMEOUT));
    closing().then("DETACHED; CLOSING detach_timeout").after(secs(10)).then("ENDED detach_timeout");
    closing().quiet().watchers(1, 0).then("ACTIVE").after(secs(60)).then("");
    closing().quiet().send("m1").then("user m1; receipt; ACTIVE; STARTING; spawn 2");
    closing().quiet().resume().then("ACTIVE; STARTING; done; spawn 2");
}

#[test]
fn the_detach_timeout_waits_for_a_child_that_is_being_parked() {
    let policy = Policy { park_after: Some(secs(TIMEOUT - 1)), ..policy() };
    let script = Script::starting(policy).ready_to_resume().watchers(0, 0).after(secs(TIMEOUT));
    let script = script.quiet().after(secs(60)).quiet().dies(9).then("exited by signal 9");
    script
        .after(secs(0))
        .then("CLOSING detach_timeout")
        .after(secs(10))
        .then("ENDED detach_timeout");
}

#[test]
fn resuming_starts_the_child_also_without_a_message() {
    parked().full().resume().then("STARTING; done; spawn 2");
    parked().draining(true).resume().then("refused Draining");
    parking().resume().then("done").exits(0).then("exited 0; STARTING; spawn 2");
    let script = parking().resume().resume().exits(0).ready_to_resume().quiet();
    script.after(secs(LIMIT)).then("!close stdin; rung close_stdin").exits(0).is(State::Active);
}

#[test]
fn there_is_nothing_to_interrupt_kill_or_answer() {
    parked().interrupt().then("nothing to interrupt");
    parking().interrupt().then("nothing to interrupt");
    parked().ask(Request::Kill).then("nothing to kill");
    parked().permit("p1.1", "yes").then("refused UnknownRequest");
    parking()
        .ask(Request::Kill)
        .then("!SIGKILL; kill requested")
        .dies(9)
        .then("exited by signal 9");
    parked().ask(Request::Delete).then("delete");
    parked().ask(Request::Rename { title: Some("new".into()) }).then("titled new; done");
}

#[test]
fn a_stop_ends_it_at_once_and_while_the_child_leaves_with_the_rungs_that_are_left() {
    parked().stop().then("done; ENDED stopped");
    let script = parking().after(secs(3)).quiet();
    script
        .stop()
        .then("done; CLOSING stopped")
        .after(secs(1))
        .then("!SIGTERM; rung sigterm")
        .exits(0)
        .then("exited 0; ENDED stopped");
    parking().stop_within(secs(0)).then("!SIGKILL; done; CLOSING stopped; rung sigkill");
    let script = parking().send("m1").resume().stop().quiet();
    script.exits(0).then("exited 0; ENDED stopped; failed m1 session_ended");
}

#[test]
fn a_shutdown_ends_it_and_what_waits_is_kept() {
    parked().leave(secs(20)).then("ENDED server_restart");
    let script = parking().leave(secs(20)).then("CLOSING server_restart").send("m1").quiet();
    let script = script.exits(0).then("exited 0; ENDED server_restart");
    script.crash().begin(false).is(State::Starting);
}

#[test]
fn a_crash_of_the_server_ends_it_like_every_live_session() {
    parked().crash().then("ENDED server_restart").send("m1").is(State::Starting);
    parking().crash().then("ENDED server_restart");
}

#[test]
fn an_actor_that_is_rebuilt_finds_it_parked() {
    let rebuilt = |mut script: Script| {
        script.actor_dies();
        script
    };
    let script = rebuilt(parked()).then("").is(State::Active);
    script.send("m1").then("user m1; receipt; STARTING; spawn 2");
    let script = rebuilt(parked().watchers(0, 0).after(secs(5)).quiet()).then("");
    script.after(secs(TIMEOUT)).then("CLOSING detach_timeout");
    let script = rebuilt(parked().watchers(0, 1).quiet()).is(State::Suspended);
    script.after(secs(120)).then("DETACHED");
    let script = rebuilt(parked().watchers(0, 0).after(secs(TIMEOUT)).quiet());
    script.then("ENDED detach_timeout");
    // Its child was lost with the actor, and nobody can say whether it was gone.
    let script = rebuilt(parking());
    script.then("transport failed protocol; exited unseen; restarting 1; STARTING");
}

#[test]
fn a_transport_that_is_lost_while_it_parks_has_parked() {
    let script = parking().vanishes().then("transport failed protocol; exited unseen");
    script.is(State::Active).send("m1").then("user m1; receipt; STARTING; spawn 2");
}

#[test]
fn what_the_agent_still_asks_while_it_leaves_is_answered_at_once() {
    let script = parking().asks_permission(1);
    script.then("!answer 1 cancelled; asks p1.1; p1.1 cancelled").exits(0).is(State::Active);
    let script = parking().own_turn().delta("wait").quiet().exits(0);
    script.then("exited 0; says final; turn of ended transport_lost").is(State::Active);
}

#[test]
fn another_limit_acts_on_the_session_that_is_idle() {
    let mut script = Script::starting(policy()).ready_to_resume().after(secs(60)).quiet();
    script.reload(thrifty());
    script.after(secs(LIMIT - 61)).then("").after(secs(1)).then("!close stdin; rung close_stdin");
    let mut script = active();
    script.reload(policy());
    script.after(secs(100 * LIMIT)).then("");
}
