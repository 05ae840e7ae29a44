//! Stops in every state, and what becomes of the messages that wait then.

use super::script::{Script, policy, secs};
use crate::domain::{State, event::StopReason};
use std::time::Duration;

#[test]
fn a_stop_goes_down_the_ladder_and_each_rung_is_an_event() {
    Script::running("m1")
        .stop()
        .then("!cancel; done; CLOSING stopped; rung cancel")
        .after(secs(10))
        .then(
            "!close stdin; rung close_stdin
             !SIGINT; rung sigint
             !SIGTERM; rung sigterm
             !SIGKILL; rung sigkill",
        )
        .after(secs(60))
        .then("")
        .dies(9)
        .then(
            "exited by signal 9; turn of m1 ended transport_lost
             failed m1 transport_lost uncertain; ENDED stopped",
        );
}

#[test]
fn a_rung_that_worked_makes_room_for_the_next() {
    Script::running("m1")
        .stop()
        .quiet()
        .turn_ends(StopReason::Cancelled)
        .then("!close stdin; turn of m1 ended cancelled; rung close_stdin")
        .exits(0)
        .then("exited 0; ENDED stopped");
}

#[test]
fn an_idle_agent_has_nothing_to_cancel() {
    Script::active().stop().then("!close stdin; done; CLOSING stopped; rung close_stdin");
}

#[test]
fn without_grace_the_tree_is_killed_at_once() {
    let script = Script::running("m1").stop_within(Duration::ZERO);
    script.then("!SIGKILL; done; CLOSING stopped; rung sigkill");
}

#[test]
fn a_second_stop_may_hurry_the_first_and_never_slows_it() {
    Script::active()
        .stop()
        .quiet()
        .stop_within(secs(600))
        .after(secs(2))
        .then("done; !SIGINT; rung sigint")
        .stop_within(Duration::ZERO)
        .then("!SIGKILL; done; rung sigkill")
        .stop()
        .then("done");
}

#[test]
fn a_stop_cancels_what_waits_for_a_person() {
    Script::running("m1")
        .asks_permission(1)
        .quiet()
        .stop()
        .then("!answer 1 cancelled; !cancel; done; CLOSING stopped; rung cancel; p1.1 cancelled");
}

#[test]
fn messages_that_waited_fail_with_the_stop() {
    Script::running("m1")
        .send("m2")
        .send("m3")
        .send("m4")
        .stop()
        .turn_ends(StopReason::Cancelled)
        .quiet()
        .exits(0)
        .then(
            "exited 0; ENDED stopped
             failed m2 session_ended; failed m3 session_ended; failed m4 session_ended",
        );
}

#[test]
fn messages_sent_while_closing_get_a_new_run_and_no_more_than_that() {
    let script = Script::active()
        .stop()
        .quiet()
        .send("m1")
        .then("user m1; receipt")
        .exits(0)
        .then("exited 0; ENDED stopped; CREATED; STARTING; spawn 2");
    // The new run owes it what any run owes a message: it does not survive the next end.
    script.not_spawned().is(State::Ended).send("m2").is(State::Starting);
}

#[test]
fn a_second_stop_takes_back_what_was_sent_since_the_first() {
    let script = Script::active().stop().send("m1").stop().quiet();
    script.exits(0).then("exited 0; ENDED stopped; failed m1 session_ended");
}

#[test]
fn a_stop_during_a_detach_timeouts_ladder_makes_it_a_stop() {
    let script = Script::active().watchers(0, 0).after(secs(48 * 3600 + 10)).send("m1").quiet();
    script
        .is(State::Closing)
        .stop()
        .exits(0)
        .then("done; exited 0; ENDED stopped; failed m1 session_ended");
}

#[test]
fn a_stop_before_there_is_a_child_ends_the_session_at_once() {
    Script::given(policy()).stop().then("done; ENDED stopped");
    let backing_off = Script::active().exits(1).is(State::Starting).quiet();
    backing_off.stop().then("done; ENDED stopped").after(secs(60)).then("");
}

#[test]
fn a_stop_during_a_stalled_start_works_at_once() {
    Script::starting(policy())
        .stop()
        .then("!close stdin; done; CLOSING stopped; rung close_stdin")
        .after(secs(10))
        .quiet()
        .dies(9)
        .then("exited by signal 9; ENDED stopped");
}

#[test]
fn a_stop_between_the_start_and_the_spawn_starts_no_child() {
    let script = Script::given(policy()).store_stalls().begin(false).quiet();
    let script = script.stop().then("!close stdin; done; CLOSING stopped; rung close_stdin");
    script.store_heals().then("spawn 1; ENDED stopped");
}

#[test]
fn a_child_that_answers_its_handshake_while_it_is_stopped_gets_no_work() {
    Script::starting(policy())
        .send("m1")
        .stop()
        .quiet()
        .ready()
        .then("started new")
        .exits(0)
        .then("exited 0; ENDED stopped; failed m1 session_ended");
}

#[test]
fn a_stop_while_the_disk_is_full_acts_at_once_and_is_told_later() {
    Script::running("m1")
        .store_stalls()
        .stop()
        .then("!cancel; done; CLOSING stopped; rung cancel")
        .after(secs(10))
        .dies(9)
        .is(State::Ended)
        .quiet()
        .store_heals()
        .then("");
}

#[test]
fn a_stop_of_a_failed_start_is_a_stop() {
    let script = Script::starting(policy()).after(secs(60)).stop().quiet();
    script.dies(9).then("exited by signal 9; ENDED stopped");
}

#[test]
fn stopping_an_ended_session_is_no_event() {
    Script::active().exits(0).quiet().stop().then("done");
}
