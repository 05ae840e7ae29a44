//! Killing children by the marker in their environment, where the guard that should have done it is gone. It touches
//! only what carries this store's id, or belongs to a session of processes that a dead guard of ours led.

use super::{
    Marker,
    procfs::{self, Process},
    tree::{self, Killed},
};
use crate::domain::{SessionId, StoreId, event::KilledProcess};
use std::{thread, time::Instant};

/// In the environment of guards only: a sweep lets them finish first.
pub(super) const GUARD_VARIABLE: &str = "SEAWALL_GUARD";

/// Kills what an earlier server of this store has left running. At the start of a server, before it spawns anything.
///
/// The guards of a dead server are at it already, and they see what has shed its marker: they are given some seconds.
/// Blocks until all are gone, at most some seconds; what was killed here is given back.
pub fn sweep(store: StoreId) -> Vec<KilledProcess> {
    sweep_prefix(&format!("{store}/"), None)
}

/// The same for one session: after the transport ended in a way that left nobody to see the tree die, and before the
/// session's next child.
pub fn sweep_session(store: StoreId, session: SessionId) -> Vec<KilledProcess> {
    sweep_prefix(&format!("{store}/{session}/"), None)
}

/// After the death of a run's guard, and before it is reaped: until then nobody else can be given its pid.
pub(super) fn sweep_run(marker: Marker, guard: Option<u32>) -> Vec<KilledProcess> {
    sweep_prefix(&marker.to_string(), guard)
}

/// `led_by`: the dead guard; all that did not leave its session of processes is killed too, marker or not.
fn sweep_prefix(prefix: &str, led_by: Option<u32>) -> Vec<KilledProcess> {
    let marked = |mut processes: Vec<Process>| {
        let me = std::process::id();
        processes.retain(|process| {
            process.pid != me
                && (Some(process.session) == led_by
                    || procfs::variable(process.pid, Marker::VARIABLE)
                        .is_some_and(|marker| marker_matches(&marker, prefix)))
        });
        processes
    };
    wait_for_guards(&marked);
    let mut killed = Killed::default();
    let deadline = Instant::now() + tree::PATIENCE;
    loop {
        match tree::strike(marked) {
            Ok(struck) if struck.is_empty() => break,
            Ok(struck) => struck.iter().for_each(|process| killed.add(process)),
            Err(error) => {
                log::error!(marker = prefix, error:%; "/proc cannot be searched for children that were left; look for the marker by hand");
                break;
            }
        }
        if Instant::now() > deadline {
            log::error!(marker = prefix; "children are still there after SIGKILL; look for the marker by hand");
            break;
        }
        thread::sleep(tree::PAUSE);
    }
    killed.into_named()
}

/// `STORE/SESSION/RUN` against the whole or a beginning that ends in a slash: run 1 is not run 10.
fn marker_matches(marker: &str, prefix: &str) -> bool {
    marker == prefix || (prefix.ends_with('/') && marker.starts_with(prefix))
}

fn wait_for_guards(marked: &impl Fn(Vec<Process>) -> Vec<Process>) {
    let deadline = Instant::now() + tree::PATIENCE;
    while Instant::now() < deadline {
        let Ok(processes) = procfs::processes() else {
            return;
        };
        let guarded = marked(processes).iter().any(|process| {
            !process.zombie && procfs::variable(process.pid, GUARD_VARIABLE).is_some()
        });
        if !guarded {
            return;
        }
        thread::sleep(tree::PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marker_is_of_a_store_a_session_or_one_run() {
        for (prefix, matches) in [
            ("store/", true),
            ("store/session/", true),
            ("store/session/1", true),
            ("store/session/10", false),
            ("store/session", false),
            ("stor", false),
            ("other/", false),
        ] {
            assert_eq!(marker_matches("store/session/1", prefix), matches, "{prefix}");
        }
        assert!(!marker_matches("store/session/10", "store/session/1"));
    }
}
