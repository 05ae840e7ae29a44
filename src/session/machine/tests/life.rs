//! From CREATED to ENDED and to the next life: starting, failing to start, resuming, the server's shutdown.

use super::script::{Script, lines, policy, secs};
use crate::{
    agent::AgentEvent,
    domain::{
        State,
        event::{AgentContext, StopReason, TransportFault},
    },
};

#[test]
fn a_session_starts_its_child_and_is_active_when_it_answers() {
    Script::given(policy())
        .begin(false)
        .then("STARTING; spawn 1")
        .spawned()
        .then("")
        .ready()
        .then("started new; ACTIVE");
}

#[test]
fn a_child_that_does_not_answer_in_time_is_killed_and_the_start_has_failed() {
    Script::starting(policy())
        .after(secs(59))
        .then("")
        .after(secs(1))
        .then("!SIGKILL; transport failed handshake")
        .dies(9)
        .then("exited by signal 9; ENDED start_failed");
}

#[test]
fn a_command_that_cannot_be_executed_ends_the_session_at_once() {
    Script::given(policy())
        .begin(false)
        .send("m1")
        .quiet()
        .not_spawned()
        .then("!SIGKILL; transport failed spawn; ENDED start_failed; failed m1 session_ended");
}

#[test]
fn an_agent_that_refuses_the_handshake_is_not_asked_again() {
    for code in [TransportFault::AuthRequired, TransportFault::Handshake] {
        Script::starting(policy()).fails(code).dies(9).is(State::Ended);
    }
}

#[test]
fn a_transport_that_fails_in_the_handshake_is_restarted() {
    Script::starting(policy())
        .fails(TransportFault::Protocol)
        .then("!SIGKILL; transport failed protocol")
        .after(secs(60))
        .dies(9)
        .then("exited by signal 9; restarting 1; STARTING");
}

#[test]
fn an_agent_that_has_forgotten_its_session_is_restarted_and_begins_another() {
    let script = Script::running("m1").turn_ends(StopReason::EndTurn).dies(9).after(secs(1));
    let session = script.machine.session();
    assert_eq!((session.agent_session_id.as_deref(), session.has_context), (Some("theirs"), true));
    let script = script.spawned().quiet().fails(TransportFault::Resume);
    let script = script.then("!SIGKILL; transport failed resume").exits(1);
    let session = script.machine.session();
    assert_eq!((&session.agent_session_id, session.lost), (&None, true));
    let script = script.then("exited 1; restarting 2; STARTING").after(secs(1)).spawned().ready();
    assert!(!script.machine.session().lost);
}

#[test]
fn an_agent_that_goes_on_in_another_session_of_its_own_says_so_once() {
    let another = |agent_session_id: &str| AgentEvent::Ready {
        agent_session_id: Some(agent_session_id.into()),
        context: AgentContext::New,
        can_resume: true,
    };
    let script = Script::running("m1").quiet().says(another("another")).then("started new");
    let script = script.says(another("another")).then("").is(State::Active);
    assert_eq!(script.machine.session().agent_session_id.as_deref(), Some("another"));
}

#[test]
fn resuming_an_ended_session_starts_another_run() {
    Script::active()
        .exits(0)
        .then("exited 0; ENDED completed")
        .resume()
        .then("CREATED; STARTING; spawn 2; done");
}

#[test]
fn resuming_needs_a_place_only_where_there_is_no_run() {
    Script::active().full().resume().then("done");
    Script::active().exits(0).quiet().full().resume().then("refused TooManySessions");
    Script::active().draining(true).resume().then("refused Draining");
}

#[test]
fn resuming_while_closing_is_a_new_run_after_the_end() {
    Script::active()
        .stop()
        .quiet()
        .resume()
        .then("done")
        .exits(0)
        .then("exited 0; ENDED stopped; CREATED; STARTING; spawn 2");
}

#[test]
fn resuming_while_a_failed_start_is_taken_down_is_a_new_run_too() {
    Script::starting(policy())
        .after(secs(60))
        .resume()
        .quiet()
        .dies(9)
        .then("exited by signal 9; ENDED start_failed; CREATED; STARTING; spawn 2");
}

#[test]
fn a_stop_takes_a_resume_back() {
    Script::active().stop().resume().stop().quiet().exits(0).then("exited 0; ENDED stopped");
}

#[test]
fn shutting_down_an_idle_session_goes_down_the_ladder_and_keeps_what_is_sent() {
    let script = Script::active()
        .leave(secs(20))
        .then("!close stdin; CLOSING server_restart; rung close_stdin")
        .send("m1")
        .then("user m1; receipt")
        .exits(0)
        .then("exited 0; ENDED server_restart");
    assert!(!script.machine.is_at_rest(), "m1 waits for the next start");
    script.crash().then("").begin(false).then("CREATED; STARTING; spawn 2");
}

#[test]
fn a_shutdown_waits_for_the_turn_but_begins_no_other() {
    Script::running("m1")
        .send("m2")
        .quiet()
        .leave(secs(20))
        .after(secs(9))
        .then("")
        .turn_ends(StopReason::EndTurn)
        .then("!close stdin; turn of m1 ended end_turn; CLOSING server_restart; rung close_stdin");
}

#[test]
fn a_shutdown_waits_for_a_prompt_whose_turn_has_not_begun() {
    Script::active().send("m1").quiet().leave(secs(20)).then("").turn("m1").then("turn of m1");
    Script::given(lines())
        .begin(false)
        .spawned()
        .ready()
        .send("m1")
        .quiet()
        .leave(secs(20))
        .then("")
        .written("m1")
        .then("!close stdin; CLOSING server_restart; rung close_stdin");
}

#[test]
fn a_shutdown_waits_half_its_time_for_the_turn_and_climbs_in_the_other() {
    Script::running("m1")
        .leave(secs(20))
        .after(secs(10))
        .then("!cancel; CLOSING server_restart; rung cancel")
        .after(secs(10))
        .then(
            "!close stdin; rung close_stdin
             !SIGINT; rung sigint
             !SIGTERM; rung sigterm
             !SIGKILL; rung sigkill",
        );
}

#[test]
fn a_second_shutdown_hurries_the_first() {
    Script::running("m1")
        .leave(secs(20))
        .leave(secs(0))
        .then("!SIGKILL; CLOSING server_restart; rung sigkill");
}

#[test]
fn a_shutdown_hurries_a_stop_that_was_given_long() {
    Script::active()
        .stop_within(secs(600))
        .quiet()
        .leave(secs(10))
        .after(secs(5))
        .then("!SIGINT; rung sigint; !SIGTERM; rung sigterm; !SIGKILL; rung sigkill");
}

#[test]
fn a_stop_during_a_shutdown_has_no_more_time_than_the_shutdown() {
    let script = Script::running("m1").leave(secs(20)).stop_within(secs(600)).quiet();
    script.after(secs(10)).then(
        "!close stdin; rung close_stdin
         !SIGINT; rung sigint
         !SIGTERM; rung sigterm
         !SIGKILL; rung sigkill",
    );
}

#[test]
fn a_shutdown_ends_a_session_without_a_child_at_once() {
    Script::given(policy()).leave(secs(20)).then("ENDED server_restart");
    Script::active().exits(1).quiet().leave(secs(20)).then("ENDED server_restart");
}

#[test]
fn a_shutdown_between_the_start_and_the_spawn_starts_no_child() {
    Script::given(policy())
        .store_stalls()
        .begin(false)
        .leave(secs(20))
        .quiet()
        .store_heals()
        .then("spawn 1; ENDED server_restart");
}

#[test]
fn a_child_that_dies_during_a_shutdown_is_not_restarted() {
    Script::running("m1").leave(secs(20)).quiet().exits(1).then(
        "exited 1; turn of m1 ended transport_lost; failed m1 transport_lost uncertain
         ENDED server_restart",
    );
}

#[test]
fn a_send_that_reaches_the_log_after_the_end_by_shutdown_starts_nothing() {
    let script = Script::active().leave(secs(20)).store_stalls().send("m1").exits(0).quiet();
    script.store_heals().then("user m1; receipt").crash().begin(false).is(State::Starting);
}

/// Scenario 63.
#[test]
fn late_words_of_an_older_run_are_dropped_and_counted() {
    let mut script = Script::active().exits(1).after(secs(1)).quiet();
    let what = crate::process::Happened::Said { events: Vec::new(), ack: None };
    script.step(crate::session::machine::Input::Transport { run: 1, what });
    assert_eq!(script.machine.stats().late_reports, 1);
    let detail = String::new();
    script.step(crate::session::machine::Input::TransportLost { run: 1, detail });
    script.then("").is(State::Starting);
}

#[test]
fn a_title_can_be_given_in_every_state_and_the_same_one_is_no_event() {
    use crate::session::Request::Rename;
    let title = || Rename { title: Some("new".into()) };
    for script in [Script::starting(policy()), Script::active(), Script::active().exits(0).quiet()]
    {
        script.ask(title()).then("titled new; done").ask(title()).then("done");
    }
}

#[test]
fn a_deletion_is_left_to_the_store() {
    Script::running("m1").ask(crate::session::Request::Delete).then("delete");
}
