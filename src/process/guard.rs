//! The tiny parent of every child: it outlives the server by just as long as it takes to leave nothing of the child
//! behind. It decides nothing and does not touch the child's stdio, which are pipes straight to the server.

pub(super) mod protocol;

use super::{
    descriptors,
    line::LineReader,
    procfs::Process,
    tree::{self, Killed},
};
use protocol::{GuardOrder, GuardReport, Spawn};
use rustix::{
    io::Errno,
    process::{Pid, Signal, WaitOptions, WaitStatus},
};
use std::{
    io,
    os::{
        fd::{AsFd, OwnedFd},
        unix::{net::UnixStream, process::CommandExt},
    },
    process::{Command, Stdio},
    thread,
    time::Instant,
};
use tokio::{
    io::AsyncWriteExt,
    net::unix::OwnedWriteHalf,
    signal::unix::{SignalKind, signal},
};

/// Orders are short; a longer line is not one.
const MAX_ORDER_BYTES: usize = 1024;

/// The whole life of a guard, on a socket from the server as stdin. Ends when nothing of the tree is left.
///
/// # Errors
/// Where it cannot begin to guard: stdin is not such a socket, or the server died at once.
pub fn stand() -> io::Result<()> {
    let mut socket = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    // What `ps` and the kernel's log show instead of `exe`.
    let _ = std::fs::write("/proc/self/comm", "seawall-guard");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        // Before the server hears of us: from now on only SIGKILL and the end of the socket end this process. Handlers,
        // because a child inherits what is ignored and not what is handled.
        for kind in [
            SignalKind::hangup(),
            SignalKind::interrupt(),
            SignalKind::quit(),
            SignalKind::terminate(),
            SignalKind::alarm(),
            SignalKind::user_defined1(),
            SignalKind::user_defined2(),
        ] {
            // The handler stays when its stream is dropped.
            drop(signal(kind)?);
        }
        let mut children = signal(SignalKind::child())?;
        rustix::process::setsid()?;
        rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;

        let (message, stdio) = descriptors::receive(&mut socket)?;
        let spawn = serde_json::from_slice(&message)?;
        socket.set_nonblocking(true)?;
        let (read, mut server) = tokio::net::UnixStream::from_std(socket)?.into_split();
        let child = match execute(spawn, stdio) {
            Ok(child) => child,
            Err(detail) => return report(&mut server, &GuardReport::Failed { detail }).await,
        };
        report(&mut server, &GuardReport::Spawned { pid: child }).await?;

        let mut guard = Guard { child, exited: false, killed: Killed::default(), server };
        let mut orders = LineReader::new(read, MAX_ORDER_BYTES);
        loop {
            tokio::select! {
                biased;
                _ = children.recv() => { guard.reap().await; }
                line = orders.next_line() => {
                    // What is no order comes from no server of ours: then there is nobody to guard for.
                    let order = line.and_then(|line| serde_json::from_slice(&line).ok());
                    if guard.obey(order.unwrap_or(GuardOrder::Finish)).await {
                        break;
                    }
                }
            }
        }
        let killed = guard.killed.into_named();
        // There may be no server to hear it.
        let _ = report(&mut guard.server, &GuardReport::Finished { killed }).await;
        Ok(())
    })
}

/// Spawns the child at the head of a group of its own, below the guard's session.
fn execute(spawn: Spawn, stdio: [OwnedFd; 3]) -> Result<u32, String> {
    let Spawn { command, args, env, cwd, account } = spawn;
    // Otherwise a missing folder would read as a missing program.
    match std::fs::metadata(&cwd) {
        Ok(folder) if folder.is_dir() => {}
        Ok(_) => {
            return Err(format!("cannot run in `{}`: it is not a folder", cwd.display()));
        }
        Err(error) => return Err(format!("cannot run in `{}`: {error}", cwd.display())),
    }
    let mut child = Command::new(&command);
    child.args(args).env_clear().envs(env).current_dir(&cwd).process_group(0);
    if let Some(account) = account {
        for pipe in &stdio {
            let uid = rustix::process::Uid::from_raw(account.uid);
            // A program may open /dev/stderr anew, which asks who owns the pipe.
            let _ = rustix::fs::fchown(pipe, Some(uid), None);
        }
        // As root, std drops the supplementary groups where a uid is set.
        child.uid(account.uid).gid(account.gid);
    }
    let [stdin, stdout, stderr] = stdio;
    child.stdin(Stdio::from(stdin)).stdout(Stdio::from(stdout)).stderr(Stdio::from(stderr));
    match child.spawn() {
        Ok(child) => Ok(child.id()),
        Err(error) => Err(match error.kind() {
            io::ErrorKind::NotFound => format!(
                "cannot execute `{command}`: not found (it, or the interpreter it names); \
                 give its full path or a PATH that has it"
            ),
            io::ErrorKind::PermissionDenied => format!(
                "cannot execute `{command}` in `{}`: permission denied; it must be an executable file, \
                 and both must be open to the account it runs as",
                cwd.display()
            ),
            _ => format!("cannot execute `{command}`: {error}"),
        }),
    }
}

async fn report(server: &mut OwnedWriteHalf, report: &GuardReport) -> io::Result<()> {
    let mut line = serde_json::to_vec(report)?;
    line.push(b'\n');
    server.write_all(&line).await
}

struct Guard {
    child: u32,
    /// The child was reaped: its pid may be another's.
    exited: bool,
    killed: Killed,
    server: OwnedWriteHalf,
}

impl Guard {
    /// True: the guard's work is done.
    async fn obey(&mut self, order: GuardOrder) -> bool {
        match order {
            GuardOrder::Interrupt => self.signal_group(Signal::INT),
            GuardOrder::Terminate => self.signal_group(Signal::TERM),
            GuardOrder::Kill => self.kill_tree().await,
            GuardOrder::Finish => {
                self.kill_tree().await;
                return true;
            }
        }
        false
    }

    fn signal_group(&self, signal: Signal) {
        // While the child is not reaped its pid is its own, and with it the group's number.
        if let Some(group) = pid(self.child).filter(|_| !self.exited) {
            let _ = rustix::process::kill_process_group(group, signal);
        }
    }

    /// Takes note of all that have ended; true: no descendant is left. For whoever loses its parent becomes a child of
    /// this subreaper, so that one without children has no descendants either.
    async fn reap(&mut self) -> bool {
        loop {
            match rustix::process::wait(WaitOptions::NOHANG) {
                Ok(Some((ended, status))) => {
                    if Some(ended) == pid(self.child) {
                        self.exited = true;
                        // There may be no server to hear it.
                        let _ = report(&mut self.server, &exited(status)).await;
                    }
                }
                Ok(None) => return false,
                Err(Errno::INTR) => {}
                Err(_) => return true,
            }
        }
    }

    /// Blocks: a guard that kills has nothing else to do.
    async fn kill_tree(&mut self) {
        let me = std::process::id();
        let below_me = |processes: Vec<Process>| tree::descendants(processes, me);
        let deadline = Instant::now() + tree::PATIENCE;
        while !self.reap().await {
            match tree::strike(below_me) {
                Ok(struck) => {
                    let others = struck.iter().filter(|process| process.pid != self.child);
                    others.for_each(|process| self.killed.add(process));
                }
                Err(error) => {
                    eprintln!("seawall guard {me}: cannot look for children in /proc: {error}")
                }
            }
            if Instant::now() > deadline {
                eprintln!(
                    "seawall guard {me}: children are still there after SIGKILL; look for them by hand"
                );
                return;
            }
            thread::sleep(tree::PAUSE);
        }
    }
}

fn pid(pid: u32) -> Option<Pid> {
    i32::try_from(pid).ok().and_then(Pid::from_raw)
}

fn exited(status: WaitStatus) -> GuardReport {
    GuardReport::Exited { exit_code: status.exit_status(), signal: status.terminating_signal() }
}
