//! What the kernel tells of processes, from `/proc`. It looks; the only thing it does to a process is to signal the very
//! one it looked at.

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::{fs, io};

/// A process as it was when it was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Process {
    pub(super) pid: u32,
    pub(super) parent: u32,
    /// The pid of its session's leader, who may be gone.
    pub(super) session: u32,
    /// At most 15 bytes, chosen by the process itself.
    pub(super) name: String,
    /// It has ended and waits for its parent to notice.
    pub(super) zombie: bool,
    /// In clock ticks since boot; with the pid it names a process for good.
    started: u64,
}

/// All processes, as far as they can be seen. One that comes or goes meanwhile may be in it or not.
pub(super) fn processes() -> io::Result<Vec<Process>> {
    let mut processes = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        processes.extend(process(pid));
    }
    Ok(processes)
}

fn process(pid: u32) -> Option<Process> {
    parse_stat(&fs::read(format!("/proc/{pid}/stat")).ok()?)
}

/// `pid (name) state parent group session …`; the name may hold spaces, parentheses, anything.
fn parse_stat(stat: &[u8]) -> Option<Process> {
    let stat = String::from_utf8_lossy(stat);
    let (pid, rest) = stat.split_once(" (")?;
    let (name, rest) = rest.rsplit_once(") ")?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    Some(Process {
        pid: pid.parse().ok()?,
        parent: fields.get(1)?.parse().ok()?,
        session: fields.get(3)?.parse().ok()?,
        name: name.to_owned(),
        zombie: matches!(*fields.first()?, "Z" | "X"),
        started: fields.get(19)?.parse().ok()?,
    })
}

/// The value of a variable in the environment a process was started with; None also where we may not look.
pub(super) fn variable(pid: u32, name: &str) -> Option<String> {
    let environment = fs::read(format!("/proc/{pid}/environ")).ok()?;
    environment.split(|byte| *byte == 0).find_map(|variable| {
        let value = variable.strip_prefix(name.as_bytes())?.strip_prefix(b"=")?;
        Some(String::from_utf8_lossy(value).into_owned())
    })
}

impl Process {
    /// Signals this process and none that was given its pid since; `Ok(false)`: it is gone.
    pub(super) fn signal(&self, signal: Signal) -> io::Result<bool> {
        let Some(pid) = i32::try_from(self.pid).ok().and_then(Pid::from_raw) else {
            return Ok(false);
        };
        let sent = pidfd_open(pid, PidfdFlags::empty()).and_then(|pidfd| {
            // The descriptor is of whoever has the pid now; only then can it be asked who that is.
            if process(self.pid).is_none_or(|now| now.started != self.started) {
                return Err(rustix::io::Errno::SRCH);
            }
            pidfd_send_signal(pidfd, signal)
        });
        match sent {
            Ok(()) => Ok(true),
            Err(rustix::io::Errno::SRCH) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

#[cfg(test)]
impl Process {
    pub(super) fn for_test(pid: u32, parent: u32) -> Self {
        Self { pid, parent, session: pid, name: "test".into(), zombie: false, started: 1 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_hold_anything() {
        let rest = "S 7 8 9 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 4711 0 0";
        for name in ["sh", "a b", ") Z 1 (", "((", "\u{fffd}"] {
            let process = parse_stat(format!("12 ({name}) {rest}").as_bytes()).unwrap();
            assert_eq!(process.name, name);
            assert_eq!((process.pid, process.parent, process.session), (12, 7, 9));
            assert_eq!((process.started, process.zombie), (4711, false));
        }
    }

    #[test]
    fn what_is_no_stat_line_is_no_process() {
        for stat in ["", "12", "12 (sh", "12 (sh) Z 1", "x (sh) S 7 8 9"] {
            assert_eq!(parse_stat(stat.as_bytes()), None, "{stat}");
        }
    }

    #[test]
    fn a_process_sees_itself() {
        let me = std::process::id();
        let process = processes().unwrap().into_iter().find(|process| process.pid == me).unwrap();
        assert!(!process.zombie);
        assert_eq!(variable(me, "PATH"), std::env::var("PATH").ok());
        assert_eq!(variable(me, "PAT"), None);
    }

    #[test]
    fn a_pid_that_was_given_to_another_is_not_signalled() {
        let me = process(std::process::id()).unwrap();
        let earlier = Process { started: me.started - 1, ..me };
        assert!(!earlier.signal(Signal::KILL).unwrap());
    }
}
