//! Who watches: DETACHED, SUSPENDED, the detach timeout and its rescue.

use super::script::{Script, policy, secs};
use crate::domain::{State, event::StopReason};

const TIMEOUT: u64 = 48 * 3600;

#[test]
fn a_session_is_detached_five_seconds_after_its_last_watcher_left() {
    Script::active()
        .watchers(0, 0)
        .after(secs(4))
        .then("")
        .after(secs(1))
        .then("DETACHED")
        .watchers(1, 0)
        .then("ACTIVE")
        .after(secs(TIMEOUT))
        .then("");
}

#[test]
fn a_reconnect_within_the_five_seconds_writes_no_event() {
    let script = Script::active().watchers(0, 0).after(secs(4)).watchers(1, 0);
    script.watchers(2, 0).after(secs(60)).then("");
}

#[test]
fn a_session_that_nobody_ever_watched_is_detached_after_its_start() {
    let script = Script::given(policy()).watchers(0, 0).begin(false).ready().quiet();
    script.after(secs(5)).then("DETACHED").after(secs(TIMEOUT - 5)).then("CLOSING detach_timeout");
}

#[test]
fn a_session_whose_watchers_go_to_the_background_is_suspended_and_then_detached() {
    Script::active()
        .watchers(0, 1)
        .then("SUSPENDED")
        .watchers(0, 1)
        .watchers(0, 2)
        .after(secs(119))
        .then("")
        .after(secs(1))
        .then("DETACHED");
}

#[test]
fn one_watcher_in_the_foreground_keeps_a_session_active() {
    Script::active().watchers(2, 0).watchers(1, 1).after(secs(600)).then("");
}

#[test]
fn a_suspended_watcher_that_leaves_is_waited_for_as_long() {
    let script = Script::active().watchers(0, 1).quiet().after(secs(60)).watchers(0, 0);
    script.after(secs(59)).then("").after(secs(1)).then("DETACHED");
}

#[test]
fn a_suspended_watcher_that_comes_back_finds_the_session_active() {
    let script = Script::active().watchers(0, 1).quiet();
    script.watchers(0, 0).watchers(1, 0).then("ACTIVE").after(secs(600)).then("");
}

#[test]
fn a_session_that_starts_with_suspended_watchers_only_is_suspended() {
    let script = Script::starting(policy()).watchers(0, 1).ready();
    script.then("started new; ACTIVE; SUSPENDED");
}

#[test]
fn a_session_that_nobody_watches_for_two_days_is_closed() {
    Script::active()
        .watchers(0, 0)
        .after(secs(TIMEOUT))
        .then("DETACHED; CLOSING detach_timeout")
        .after(secs(10))
        .then("!close stdin; rung close_stdin")
        .exits(0)
        .then("exited 0; ENDED detach_timeout");
}

#[test]
fn hearing_again_that_nobody_watches_puts_nothing_off() {
    Script::active()
        .watchers(0, 0)
        .after(secs(100))
        .quiet()
        .watchers(0, 0)
        .after(secs(TIMEOUT - 101))
        .then("")
        .after(secs(1))
        .then("CLOSING detach_timeout");
}

#[test]
fn the_detach_timeout_counts_from_the_leaving_of_a_suspended_watcher() {
    Script::active()
        .watchers(0, 1)
        .quiet()
        .after(secs(100))
        .watchers(0, 0)
        .after(secs(20))
        .then("DETACHED")
        .after(secs(TIMEOUT - 21))
        .then("")
        .after(secs(1))
        .then("CLOSING detach_timeout");
}

#[test]
fn restarts_do_not_put_the_detach_timeout_off() {
    Script::active()
        .watchers(0, 0)
        .after(secs(TIMEOUT - 60))
        .exits(1)
        .after(secs(10))
        .ready()
        .quiet()
        .after(secs(49))
        .then("DETACHED")
        .after(secs(1))
        .then("CLOSING detach_timeout");
}

#[test]
fn a_watcher_or_a_message_during_the_grace_saves_the_session_with_its_child_untouched() {
    let closing = || Script::active().watchers(0, 0).after(secs(TIMEOUT + 9)).quiet();
    closing().watchers(1, 0).then("ACTIVE").after(secs(60)).then("");
    closing().resume().then("ACTIVE; done");
    closing()
        .send("m1")
        .then("user m1; receipt; ACTIVE; dispatched m1; prompt m1")
        .after(secs(5))
        .then("DETACHED")
        .after(secs(TIMEOUT - 6))
        .then("")
        .after(secs(1))
        .then("CLOSING detach_timeout");
}

#[test]
fn a_message_that_saved_the_session_fails_with_it_like_any_other() {
    let script = Script::running("m1").watchers(0, 0).after(secs(TIMEOUT)).send("m2");
    script.stop().quiet().dies(9).then(
        "exited by signal 9; turn of m1 ended transport_lost; failed m1 transport_lost uncertain
         ENDED stopped; failed m2 session_ended",
    );
    let mut script = Script::running("m1").watchers(0, 0).after(secs(TIMEOUT)).send("m2");
    for _ in 0..4 {
        script = script.exits(1).after(secs(2));
    }
    script.is(State::Ended);
}

#[test]
fn a_session_that_was_saved_has_five_seconds_like_any_other() {
    let script = Script::active().watchers(0, 0).after(secs(TIMEOUT - 3)).exits(1);
    let script = script.after(secs(1)).ready().after(secs(2)).is(State::Closing);
    script.send("m1").after(secs(4)).is(State::Active).after(secs(1)).is(State::Detached);
}

#[test]
fn after_the_grace_there_is_no_way_back() {
    let script = Script::active().watchers(0, 0).after(secs(TIMEOUT + 10)).quiet();
    script
        .watchers(1, 0)
        .then("")
        .send("m1")
        .then("user m1; receipt")
        .exits(0)
        .then("exited 0; ENDED detach_timeout; CREATED; STARTING; spawn 2");
}

#[test]
fn a_turn_goes_on_through_the_grace_and_what_waits_does_not_begin() {
    let script = Script::running("m1").send("m2").watchers(0, 0).after(secs(TIMEOUT)).quiet();
    let script = script.turn_ends(StopReason::EndTurn).then("turn of m1 ended end_turn");
    script.watchers(1, 0).then("ACTIVE; dispatched m2; prompt m2");
}

#[test]
fn a_child_that_exits_during_the_grace_ends_the_session() {
    for code in [0, 1] {
        let script = Script::active().watchers(0, 0).after(secs(TIMEOUT)).quiet();
        script.exits(code).then(&format!("exited {code}; ENDED detach_timeout"));
    }
}

#[test]
fn a_stop_during_the_grace_begins_the_ladder() {
    let script = Script::active().watchers(0, 0).after(secs(TIMEOUT)).quiet();
    script.stop().then("!close stdin; done; rung close_stdin").exits(0).is(State::Ended);
}

#[test]
fn a_shutdown_during_the_grace_begins_the_ladder() {
    let script = Script::active().watchers(0, 0).after(secs(TIMEOUT)).quiet();
    let script = script.leave(secs(20)).then("!close stdin; rung close_stdin");
    script.exits(0).then("exited 0; ENDED server_restart");
}
