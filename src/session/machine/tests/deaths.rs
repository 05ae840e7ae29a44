//! The end of a child and the end of a server: what was open is closed, what is uncertain is told, policy says what
//! follows.

use super::script::{Script, lines, policy, secs};
use crate::{
    config::Restart,
    domain::{EndReason, State, event::StopReason},
    session::machine::Policy,
};

#[test]
fn a_child_that_dies_in_a_turn_leaves_nothing_open() {
    Script::running("m1")
        .send("m2")
        .delta("Hel")
        .asks_permission(1)
        .asks_question(2)
        .quiet()
        .dies(11)
        .then(
            "exited by signal 11; says final; p1.1 cancelled; q1.2 cancelled
             turn of m1 ended transport_lost; failed m1 transport_lost uncertain
             restarting 1; STARTING",
        )
        .permit("p1.1", "yes")
        .then("refused RequestClosed");
}

#[test]
fn a_message_whose_turn_never_began_is_uncertain_too() {
    let script = Script::active().send("m1").quiet();
    script.exits(1).then("exited 1; failed m1 transport_lost uncertain; restarting 1; STARTING");
}

#[test]
fn a_turn_of_the_agents_own_is_closed_beside_the_message_that_waits_for_its_turn() {
    let script = Script::active().own_turn().quiet();
    script.exits(1).then("exited 1; turn of ended transport_lost; restarting 1; STARTING");
}

#[test]
fn exit_0_is_completion_where_nothing_is_open() {
    Script::active().exits(0).then("exited 0; ENDED completed");
    Script::running("m1").exits(0).is(State::Starting);
    Script::starting(policy()).exits(0).is(State::Starting);
    let script = Script::running("m1").turn_ends(StopReason::EndTurn).send("m2").turn("m2");
    script.turn_ends(StopReason::EndTurn).exits(0).is(State::Ended);
}

#[test]
fn a_run_that_completes_with_messages_waiting_is_followed_by_the_next() {
    let script = Script::running("m1").send("m2").quiet();
    // It ends its turn and is gone before it is given the next message.
    let script = script.store_stalls().turn_ends(StopReason::EndTurn);
    script
        .store_heals()
        .quiet()
        .exits(0)
        .then("exited 0; failed m2 transport_lost uncertain; restarting 1; STARTING");
}

#[test]
fn the_profile_says_what_follows_an_exit() {
    let with = |restart| Script::starting(Policy { restart, ..policy() }).ready();
    with(Restart::Always).exits(0).is(State::Starting);
    with(Restart::Never).exits(0).is(State::Ended);
    with(Restart::Never)
        .send("m1")
        .send("m2")
        .quiet()
        .exits(1)
        .then("exited 1; failed m1 transport_lost uncertain; ENDED error; failed m2 session_ended");
}

#[test]
fn restarts_come_later_and_later() {
    let mut script = Script::active();
    let mut delays = Vec::new();
    for _ in 0..3 {
        script = script.exits(1);
        let due = script.machine.next_deadline().unwrap();
        let delay = due - script.now;
        delays.push(delay);
        script = script.after(delay).spawned().ready();
    }
    assert!(delays.is_sorted() && delays[0] >= policy().restarts.backoff_min, "{delays:?}");
    assert!(delays[2] > delays[0], "{delays:?}");
}

#[test]
fn the_fourth_exit_in_the_window_is_given_up_on_and_the_next_send_starts_afresh() {
    let mut script = Script::starting(policy()).send("m1").quiet();
    for run in 1..=3 {
        script = script.exits(1).then(&format!("exited 1; restarting {run}; STARTING"));
        script = script.after(secs(2)).then(&format!("spawn {}", run + 1));
    }
    script
        .exits(1)
        .then("exited 1; gave up 4; ENDED restart_limit; failed m1 session_ended")
        .send("m2")
        .then("user m2; receipt; CREATED; STARTING; spawn 5")
        .exits(1)
        .then("exited 1; restarting 1; STARTING");
}

#[test]
fn exits_further_apart_than_the_window_are_restarted_for_ever() {
    let mut script = Script::active();
    for _ in 0..10 {
        script = script.exits(1).after(secs(20)).ready();
    }
    script.is(State::Active);
}

#[test]
fn an_agent_that_exits_0_before_it_takes_anything_does_not_respawn_for_ever() {
    let mut script = Script::active().store_stalls().send("m1");
    script = script.exits(0).store_heals();
    for _ in 0..20 {
        // Each run answers its handshake in a closing moment, in which nothing is dispatched.
        script = script.ready_and_gone();
    }
    let session = script.machine.session();
    assert_eq!(session.state, State::Ended);
    assert!(session.run <= 6, "{} runs", session.run);
}

impl Script {
    /// A child that exits with 0 in its handshake, if there is one.
    fn ready_and_gone(self) -> Self {
        match self.child {
            Some(_) => self.exits(0),
            None => self.after(secs(2)),
        }
    }
}

#[test]
fn a_run_that_takes_nothing_of_what_waits_is_counted_also_where_it_was_up() {
    // The message before it is still on its way into the log, and nothing overtakes it.
    let mut script = Script::active().store_stalls().send("m1").send("m2");
    script.commit(usize::MAX);
    script.hear_outcome(1);
    for _ in 0..3 {
        script = script.exits(0);
        script.commit(usize::MAX);
        script = script.ready().is(State::Active);
    }
    let script = script.exits(0).is(State::Ended);
    assert_eq!(script.machine.session().end_reason, Some(EndReason::RestartLimit));
}

#[test]
fn runs_that_take_one_message_each_are_not_counted() {
    let mut script = Script::starting(lines()).ready();
    for number in 1..=9 {
        script = script.send(&format!("m{number}"));
    }
    for number in 2..=9 {
        // It exits in the middle of the line before.
        script = script.exits(0).quiet().ready();
        script =
            script.then(&format!("started new; ACTIVE; dispatched m{number}; prompt m{number}"));
    }
}

#[test]
fn a_transport_that_ends_without_a_word_is_told_and_restarted() {
    Script::running("m1").vanishes().then(
        "transport failed protocol; exited unseen; turn of m1 ended transport_lost
         failed m1 transport_lost uncertain; restarting 1; STARTING",
    );
    Script::active()
        .stop()
        .quiet()
        .vanishes()
        .then("transport failed protocol; exited unseen; ENDED stopped");
}

#[test]
fn a_line_that_was_written_is_done_with_and_one_that_was_not_is_uncertain() {
    let script = Script::starting(lines()).ready().send("m1").quiet();
    script.exits(1).then("exited 1; failed m1 transport_lost uncertain; restarting 1; STARTING");
    let script = Script::starting(lines()).ready().send("m1").written("m1").quiet();
    script.exits(1).then("exited 1; restarting 1; STARTING");
}

#[test]
fn after_a_crash_of_the_server_what_was_open_is_closed_in_the_log() {
    Script::running("m1")
        .send("m2")
        .delta("Hel")
        .asks_permission(1)
        .asks_question(2)
        .interrupt()
        .asks_permission(3)
        .quiet()
        .crash()
        .then(
            "says final; turn of m1 ended transport_lost; failed m1 transport_lost uncertain
             interrupt failed none; ENDED server_restart",
        )
        .begin(false)
        .ready()
        .then("CREATED; STARTING; spawn 2; started new; ACTIVE; dispatched m2; prompt m2");
}

#[test]
fn a_crash_cancels_what_waited_for_a_person() {
    let script = Script::running("m1").turn_ends(StopReason::EndTurn).asks_permission(1).quiet();
    script.crash().then("p1.1 cancelled; ENDED server_restart").begin(false).then("");
}

#[test]
fn a_crash_between_receipt_and_dispatch_dispatches_once_and_one_after_it_never_again() {
    let script = Script::starting(policy()).send("m1").crash().begin(false).quiet();
    let script = script.ready().then("started new; ACTIVE; dispatched m1; prompt m1");
    let script = script.crash().then("failed m1 transport_lost uncertain; ENDED server_restart");
    script.begin(true).ready().quiet().then("").is(State::Active);
}

#[test]
fn a_crash_says_nothing_of_a_line() {
    let script = Script::starting(lines()).ready().send("m1").quiet();
    script.crash().then("ENDED server_restart");
}

#[test]
fn every_live_state_is_ended_by_recovery_and_an_ended_one_is_left_alone() {
    let states = [
        Script::given(policy()),
        Script::starting(policy()),
        Script::active(),
        Script::active().watchers(0, 0).after(secs(5)),
        Script::active().watchers(0, 1),
        Script::active().stop(),
    ];
    for script in states {
        script.quiet().crash().then("ENDED server_restart").begin(false).then("");
    }
    Script::active().exits(0).quiet().crash().then("");
}

#[test]
fn a_session_that_is_rebuilt_lost_its_child() {
    let mut script = Script::running("m1").send("m2").quiet();
    script.actor_dies();
    script.then(
        "transport failed protocol; exited unseen; turn of m1 ended transport_lost
         failed m1 transport_lost uncertain; restarting 1; STARTING",
    );
}

#[test]
fn a_session_that_is_rebuilt_while_closing_ends_for_the_reason_it_was_closed_for() {
    let mut script = Script::active().stop().quiet();
    script.actor_dies();
    script.then("transport failed protocol; exited unseen; ENDED stopped");
    let mut script = Script::active().leave(secs(20)).quiet();
    script.actor_dies();
    script.then("transport failed protocol; exited unseen; ENDED server_restart");
}
