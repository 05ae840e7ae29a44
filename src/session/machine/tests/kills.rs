//! Kills by an administrator: the child dies as by any other hand, and nothing of a session's fate is decided by it.

use super::script::{Script, policy, secs};
use crate::{config::Restart, domain::State, session::Request, session::machine::Policy};

impl Script {
    fn kill(self) -> Self {
        self.ask(Request::Kill)
    }
}

#[test]
fn a_killed_child_is_restarted_as_one_that_died() {
    let script = Script::running("m1").kill();
    let script = script.then("!SIGKILL; kill requested").dies(9);
    assert!(script.machine.session().state == State::Starting, "{:?}", script.machine);
    let failed = "exited by signal 9; turn of m1 ended transport_lost";
    assert!(script.told.join("; ").starts_with(failed), "{:?}", script.told);
}

#[test]
fn nothing_is_given_to_a_child_that_is_being_killed() {
    Script::active().kill().quiet().send("m1").then("user m1; receipt").is(State::Active);
}

#[test]
fn a_kill_waits_for_no_store() {
    Script::running("m1").store_stalls().kill().then("!SIGKILL; kill requested");
}

#[test]
fn without_a_child_there_is_nothing_to_kill() {
    Script::active().exits(0).quiet().is(State::Ended).kill().then("nothing to kill");
    let backing_off = Script::active().dies(9).quiet().is(State::Starting);
    backing_off.kill().then("nothing to kill").after(secs(1)).then("spawn 2");
}

#[test]
fn a_kill_in_a_stop_ends_what_was_to_end() {
    let script = Script::running("m1").stop().quiet().kill().then("!SIGKILL; kill requested");
    script.dies(9).quiet().is(State::Ended);
    let never = Policy { restart: Restart::Never, ..policy() };
    Script::starting(never).ready().quiet().kill().quiet().dies(9).quiet().is(State::Ended);
}

#[test]
fn a_start_that_was_killed_before_its_child_was_there_spawns_none() {
    let script = Script::given(policy()).store_stalls().begin(false).quiet().kill();
    let script = script.then("!SIGKILL; kill requested");
    assert!(!script.machine.wants_child(1));
}
