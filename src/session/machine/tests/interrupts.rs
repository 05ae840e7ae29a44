//! Interrupts: what they reach, how far they go, and that what follows is delivered whatever becomes of them.

use super::script::{Script, lines, policy, secs};
use crate::domain::{State, event::StopReason};

#[test]
fn an_interrupted_turn_ends_and_the_next_message_goes() {
    Script::running("m1")
        .send("m2")
        .quiet()
        .interrupt()
        .then("!cancel; requested; interrupt by ann")
        .turn_ends(StopReason::Cancelled)
        .then("turn of m1 ended cancelled; interrupt completed; dispatched m2; prompt m2");
}

#[test]
fn without_work_there_is_nothing_to_interrupt() {
    let ended = Script::active().exits(0).quiet();
    for script in [Script::active(), Script::starting(policy()), ended] {
        script.interrupt().then("nothing to interrupt");
    }
}

#[test]
fn a_second_interrupt_joins_the_first() {
    Script::running("m1")
        .interrupt()
        .quiet()
        .interrupt()
        .then("requested")
        .turn_ends(StopReason::Cancelled)
        .then("turn of m1 ended cancelled; interrupt completed");
}

#[test]
fn an_interrupt_before_the_turn_began_cancels_it_when_it_begins() {
    Script::active()
        .send("m1")
        .quiet()
        .interrupt()
        .then("requested; interrupt by ann")
        .turn("m1")
        .then("!cancel; turn of m1")
        .turn_ends(StopReason::Cancelled)
        .then("turn of m1 ended cancelled; interrupt completed");
}

#[test]
fn an_interrupt_of_a_prompt_that_is_refused_is_done() {
    Script::active()
        .send("m1")
        .interrupt()
        .quiet()
        .rejects("m1")
        .then("agent.raw; failed m1 rejected; interrupt completed");
}

#[test]
fn an_ignored_interrupt_goes_on_to_sigint_and_to_another_child() {
    Script::running("m1")
        .send("m2")
        .interrupt()
        .quiet()
        .after(secs(5))
        .then("!SIGINT; interrupt failed sigint")
        .after(secs(5))
        .then("!SIGKILL; interrupt failed restart")
        .after(secs(60))
        .then("")
        .dies(9)
        .then(
            "exited by signal 9; turn of m1 ended transport_lost
             failed m1 transport_lost uncertain; restarting 1; STARTING",
        )
        .after(secs(1))
        .ready()
        .then("spawn 2; started new; ACTIVE; dispatched m2; prompt m2");
}

#[test]
fn a_turn_that_ends_while_its_child_is_killed_is_no_answer() {
    Script::running("m1")
        .send("m2")
        .interrupt()
        .after(secs(10))
        .quiet()
        .turn_ends(StopReason::Cancelled)
        .then("turn of m1 ended cancelled")
        .dies(9)
        .then("exited by signal 9; restarting 1; STARTING");
}

#[test]
fn a_sigint_of_ours_that_makes_the_agent_exit_0_is_a_restart() {
    Script::running("m1").interrupt().after(secs(5)).quiet().exits(0).then(
        "exited 0; turn of m1 ended transport_lost; failed m1 transport_lost uncertain
         interrupt failed sigint; restarting 1; STARTING",
    );
}

#[test]
fn an_exit_0_after_the_interrupted_turn_has_ended_is_a_restart_after_a_sigint_only() {
    let answered = |wait| {
        let script = Script::running("m1").interrupt().after(secs(wait));
        script.turn_ends(StopReason::Cancelled).exits(0)
    };
    answered(1).is(State::Ended);
    answered(6).is(State::Starting);
}

#[test]
fn after_a_sigint_the_next_message_waits_until_the_agent_has_exited_or_shown_that_it_lives() {
    let answered = || {
        let script = Script::running("m1").send("m2").interrupt().after(secs(5)).quiet();
        script.turn_ends(StopReason::Cancelled)
    };
    answered()
        .then("turn of m1 ended cancelled; interrupt completed")
        .exits(0)
        .after(secs(1))
        .quiet()
        .ready()
        .then("started new; ACTIVE; dispatched m2; prompt m2");
    answered().quiet().after(secs(5)).then("dispatched m2; prompt m2");
}

#[test]
fn a_timer_that_ends_meanwhile_hurries_neither_the_ladder_nor_the_next_message() {
    let script = Script::running("m1").send("m2").watchers(0, 0).after(secs(3)).interrupt();
    let script = script.quiet().after(secs(2)).then("DETACHED");
    script.after(secs(3)).then("!SIGINT; interrupt failed sigint");

    let script = Script::running("m1").send("m2").interrupt().after(secs(3)).watchers(0, 0);
    script
        .after(secs(2))
        .quiet()
        .turn_ends(StopReason::Cancelled)
        .then("turn of m1 ended cancelled; interrupt completed")
        .after(secs(3))
        .then("DETACHED")
        .after(secs(2))
        .then("dispatched m2; prompt m2");
}

#[test]
fn a_child_that_dies_of_the_cancel_is_told_as_a_failed_interrupt() {
    Script::running("m1").interrupt().quiet().exits(1).then(
        "exited 1; turn of m1 ended transport_lost; failed m1 transport_lost uncertain
         interrupt failed none; restarting 1; STARTING",
    );
}

#[test]
fn an_interrupt_cancels_what_waits_for_a_person_first() {
    Script::running("m1")
        .asks_permission(1)
        .asks_question(2)
        .quiet()
        .interrupt()
        .then(
            "!answer 1 cancelled; !answer 2 cancelled; !cancel; requested
             interrupt by ann; p1.1 cancelled; q1.2 cancelled",
        )
        .asks_permission(3)
        .then("!answer 3 cancelled; asks p1.3; p1.3 cancelled");
}

#[test]
fn an_urgent_message_cancels_the_turn_and_goes_before_all_others() {
    Script::running("m1")
        .send("m2")
        .quiet()
        .send_urgent("m3")
        .then("user m3; !cancel; receipt; interrupt by ann")
        .send_urgent("m4")
        .then("user m4; receipt")
        .turn_ends(StopReason::Cancelled)
        .then("turn of m1 ended cancelled; interrupt completed; dispatched m3; prompt m3")
        .turn("m3")
        .turn_ends(StopReason::EndTurn)
        .then("turn of m3; turn of m3 ended end_turn; dispatched m4; prompt m4")
        .turn("m4")
        .turn_ends(StopReason::EndTurn)
        .then("turn of m4; turn of m4 ended end_turn; dispatched m2; prompt m2");
}

#[test]
fn an_urgent_message_to_an_idle_agent_is_a_message() {
    Script::active().send_urgent("m1").then("user m1; receipt; dispatched m1; prompt m1");
}

#[test]
fn an_urgent_message_is_delivered_by_the_next_run_if_this_one_dies() {
    Script::running("m1")
        .send_urgent("m2")
        .exits(1)
        .after(secs(1))
        .quiet()
        .ready()
        .then("started new; ACTIVE; dispatched m2; prompt m2");
}

#[test]
fn a_duplicate_interrupts_nothing() {
    Script::running("m1").send_urgent("m1").then("receipt again");
}

#[test]
fn an_agent_of_lines_is_interrupted_by_sigint_and_no_more() {
    Script::starting(lines())
        .interrupt()
        .then("nothing to interrupt")
        .ready()
        .quiet()
        .interrupt()
        .then("!SIGINT; requested; interrupt by ann; interrupt completed")
        .after(secs(60))
        .then("")
        .exits(0)
        .then("exited 0; restarting 1; STARTING");
}

#[test]
fn an_interrupt_acts_and_is_answered_while_the_store_cannot_write() {
    Script::running("m1")
        .store_stalls()
        .interrupt()
        .then("!cancel; requested; interrupt by ann")
        .after(secs(10))
        .then("!SIGINT; interrupt failed sigint; !SIGKILL; interrupt failed restart")
        .dies(9)
        .quiet()
        .store_heals()
        .then("");
}

#[test]
fn an_interrupt_while_stopping_leaves_the_ladder_to_the_stop() {
    Script::running("m1")
        .stop_within(secs(600))
        .quiet()
        .interrupt()
        .then("!cancel; requested; interrupt by ann")
        .after(secs(120))
        .then("!close stdin; rung close_stdin")
        .turn_ends(StopReason::Cancelled)
        .then("turn of m1 ended cancelled; interrupt completed");
}
