//! Killing many processes so that none slips through: all are frozen before the first is killed. Which ones, the caller
//! says; that they are gone, it has to see for itself.

use super::procfs::{self, Process};
use crate::domain::event::KilledProcess;
use rustix::process::Signal;
use std::{collections::BTreeSet, io, time::Duration};

/// How long a tree may take to die before what is left is given up on (a process in the kernel's hands cannot be killed).
pub(super) const PATIENCE: Duration = Duration::from_secs(5);
/// Between two looks at processes that die.
pub(super) const PAUSE: Duration = Duration::from_millis(2);
/// So many rounds of freezing; who forks faster than we look is killed piecemeal.
const ROUNDS: usize = 50;
/// So many killed processes are named; a fork bomb's others are killed unnamed.
const NAMED: usize = 256;

/// What was killed so far, each process once.
#[derive(Debug, Default)]
pub(super) struct Killed {
    named: Vec<KilledProcess>,
}

impl Killed {
    pub(super) fn add(&mut self, process: &Process) {
        let known = self.named.iter().any(|killed| killed.pid == process.pid);
        if !known && self.named.len() < NAMED {
            self.named.push(KilledProcess { pid: process.pid, name: process.name.clone() });
        }
    }

    pub(super) fn into_named(self) -> Vec<KilledProcess> {
        self.named
    }
}

/// Kills all that `select` chooses, again and again, until it chooses nobody new: everyone is stopped first, so that
/// nobody can fork, and killed then. Gives back who was killed; they may take a moment to be gone.
pub(super) fn strike(select: impl Fn(Vec<Process>) -> Vec<Process>) -> io::Result<Vec<Process>> {
    let mut frozen = Vec::new();
    let mut seen = BTreeSet::new();
    for _ in 0..ROUNDS {
        let mut new = select(procfs::processes()?);
        new.retain(|process| !process.zombie && seen.insert(process.pid));
        if new.is_empty() {
            break;
        }
        for process in new {
            match process.signal(Signal::STOP) {
                Ok(true) => frozen.push(process),
                Ok(false) => {}
                Err(error) => {
                    log::warn!(pid = process.pid, name = process.name, error:%; "a process cannot be stopped");
                }
            }
        }
    }
    for process in &frozen {
        // It was stoppable a moment ago; if it is gone by now, all the better.
        let _ = process.signal(Signal::KILL);
    }
    Ok(frozen)
}

/// All below `root`, itself not included.
pub(super) fn descendants(mut processes: Vec<Process>, root: u32) -> Vec<Process> {
    let mut family = BTreeSet::from([root]);
    let mut found = Vec::new();
    loop {
        let (below, others): (Vec<_>, Vec<_>) =
            processes.into_iter().partition(|process| family.contains(&process.parent));
        if below.is_empty() {
            return found;
        }
        family.extend(below.iter().map(|process| process.pid));
        found.extend(below);
        processes = others;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descendants_are_found_at_any_depth_and_in_any_order() {
        let processes = |pairs: &[(u32, u32)]| {
            let of = |&(pid, parent)| Process::for_test(pid, parent);
            pairs.iter().map(of).collect::<Vec<_>>()
        };
        for (pairs, expected) in [
            (&[(2, 1), (3, 2), (4, 3), (9, 1)][..], &[3, 4][..]),
            (&[(4, 3), (3, 2), (2, 1), (5, 2), (6, 9)], &[3, 4, 5]),
            (&[(3, 1), (2, 1)], &[]),
            (&[], &[]),
        ] {
            let mut found: Vec<_> =
                descendants(processes(pairs), 2).iter().map(|process| process.pid).collect();
            found.sort_unstable();
            assert_eq!(found, expected, "{pairs:?}");
        }
    }

    #[test]
    fn everyone_is_stopped_before_the_last_look_and_killed_after_it() {
        use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};
        let mut child = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
        let looks = std::cell::Cell::new(0);
        let struck = strike(|mut processes| {
            processes.retain(|process| process.pid == child.id());
            if looks.replace(looks.get() + 1) == 1 {
                let any = WaitIdOptions::STOPPED | WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
                let seen = waitid(WaitId::Pid(Pid::from_child(&child)), any).unwrap().unwrap();
                assert!(seen.stopped());
            }
            processes
        });
        assert_eq!(struck.unwrap().len(), 1);
        assert_eq!(looks.get(), 2);
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&child.wait().unwrap()), Some(9));
    }

    #[test]
    fn the_list_of_the_killed_is_bounded_and_names_each_once() {
        let mut killed = Killed::default();
        for pid in (0..1000).chain(0..1000) {
            killed.add(&Process::for_test(pid, 1));
        }
        assert_eq!(killed.into_named().len(), NAMED);
    }
}
