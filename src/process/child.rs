//! Spawning a child through a guard, and the server's end of the guard. What the child says and is told goes through its
//! pipes; what becomes of it is not decided here.

pub use super::account::AccountError;
use super::{
    ChildSpec, Marker, account, descriptors,
    guard::protocol::{GuardOrder, GuardReport, Spawn},
    line::LineReader,
    sweep,
};
use crate::domain::event::KilledProcess;
use std::{
    io,
    os::fd::{AsFd, OwnedFd},
    path::PathBuf,
    process::Stdio,
    time::{Duration, Instant},
};
use tokio::net::{
    UnixStream,
    unix::{OwnedReadHalf, OwnedWriteHalf, pipe},
};

/// A report names at most some hundred processes.
const MAX_REPORT_BYTES: usize = 64 * 1024;

/// How children are started: the program that, with the one argument `guard`, calls [`super::guard::stand`].
#[derive(Clone, Debug)]
pub struct Launcher {
    pub guard: PathBuf,
}

impl Default for Launcher {
    /// Our own binary, also after its file was replaced by an update.
    fn default() -> Self {
        Self { guard: "/proc/self/exe".into() }
    }
}

/// Why there is no child.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// The profile is wrong, or its program is not installed: trying again will not help.
    #[error("{0}")]
    NotExecutable(String),
    #[error(transparent)]
    Account(#[from] AccountError),
    #[error("cannot start the guard `{guard}`: {source}")]
    Guard { guard: PathBuf, source: io::Error },
    /// No descriptors, no memory, or the guard was killed while it spawned.
    #[error("the guard did not start the child: {0}")]
    Handover(io::Error),
}

/// A guard process, before or after it has its child. Dropping the socket is what makes it kill the tree and end.
#[derive(Debug)]
pub(super) struct GuardProcess {
    process: tokio::process::Child,
    marker: Marker,
}

/// What the guard needs to become a parent.
#[derive(Debug)]
pub(super) struct Handover {
    socket: UnixStream,
    spawn: Spawn,
    child_ends: [OwnedFd; 3],
    stdin: pipe::Sender,
    stdout: pipe::Receiver,
    stderr: pipe::Receiver,
}

/// A child that runs.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) pid: u32,
    pub(super) stdin: pipe::Sender,
    pub(super) stdout: pipe::Receiver,
    pub(super) stderr: pipe::Receiver,
    pub(super) orders: GuardOrders,
    pub(super) reports: GuardReports,
}

impl Launcher {
    /// Starts a guard. The child is spawned by [`Handover::complete`]; dropping the handover ends the guard.
    pub(super) fn launch(&self, spec: &ChildSpec) -> Result<(GuardProcess, Handover), LaunchError> {
        let account = spec.user.as_deref().map(account::look_up).transpose()?.flatten();
        let mut env = spec.env.clone();
        env.insert(Marker::VARIABLE.into(), spec.marker.to_string());
        let spawn = Spawn {
            command: spec.command.clone(),
            args: spec.args.clone(),
            env,
            cwd: spec.cwd.clone(),
            account,
        };
        let (theirs, ours) =
            std::os::unix::net::UnixStream::pair().map_err(LaunchError::Handover)?;
        let process = self.start_guard(spec.marker, theirs.into())?;
        let handover = Handover::prepare(ours, spawn).map_err(LaunchError::Handover)?;
        Ok((GuardProcess { process, marker: spec.marker }, handover))
    }

    /// Starts a child and takes it down again, and tells how long the start took: for measuring.
    pub async fn start_and_end(&self, spec: &ChildSpec) -> Result<Duration, LaunchError> {
        let start = Instant::now();
        let (guard, handover) = self.launch(spec)?;
        let running = handover.complete().await?;
        let took = start.elapsed();
        // The guard takes the tree down when this end of its socket is gone.
        drop(running);
        guard.ended().await;
        Ok(took)
    }

    fn start_guard(
        &self,
        marker: Marker,
        socket: OwnedFd,
    ) -> Result<tokio::process::Child, LaunchError> {
        let mut command = tokio::process::Command::new(&self.guard);
        // No uid, no group, no pre_exec: with these the server's memory would be forked, which takes its size in time.
        command
            .arg0("seawall")
            .arg("guard")
            .env_clear()
            .env(Marker::VARIABLE, marker.to_string())
            .env(sweep::GUARD_VARIABLE, "1")
            .current_dir("/")
            .stdin(Stdio::from(socket))
            .stdout(Stdio::null());
        let cannot = |source| LaunchError::Guard { guard: self.guard.clone(), source };
        command.spawn().map_err(cannot)
    }
}

impl Handover {
    fn prepare(socket: std::os::unix::net::UnixStream, spawn: Spawn) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        let (child_stdin, stdin) = io::pipe()?;
        let (stdout, child_stdout) = io::pipe()?;
        let (stderr, child_stderr) = io::pipe()?;
        Ok(Self {
            socket: UnixStream::from_std(socket)?,
            spawn,
            child_ends: [child_stdin.into(), child_stdout.into(), child_stderr.into()],
            stdin: pipe::Sender::from_owned_fd(stdin.into())?,
            stdout: pipe::Receiver::from_owned_fd(stdout.into())?,
            stderr: pipe::Receiver::from_owned_fd(stderr.into())?,
        })
    }

    /// Hands the child's stdio to the guard and waits for its word on the spawn.
    pub(super) async fn complete(mut self) -> Result<Running, LaunchError> {
        let message = serde_json::to_vec(&self.spawn).map_err(|error| {
            LaunchError::NotExecutable(format!("cannot be written down: {error}"))
        })?;
        let ends = self.child_ends.each_ref().map(AsFd::as_fd);
        let sent = descriptors::send(&mut self.socket, &message, ends).await;
        sent.map_err(LaunchError::Handover)?;
        // From here on only the child's side holds them: when it is gone, our ends see the end.
        drop(self.child_ends);
        let (read, write) = self.socket.into_split();
        let mut reports = GuardReports(LineReader::new(read, MAX_REPORT_BYTES));
        match reports.next().await {
            Some(GuardReport::Spawned { pid }) => Ok(Running {
                pid,
                stdin: self.stdin,
                stdout: self.stdout,
                stderr: self.stderr,
                orders: GuardOrders(write),
                reports,
            }),
            Some(GuardReport::Failed { detail }) => Err(LaunchError::NotExecutable(detail)),
            _ => Err(LaunchError::Handover(io::Error::other("it ended without a word"))),
        }
    }
}

/// The server's way of ordering a guard about. Dropping it makes the guard take the tree down and end.
#[derive(Debug)]
pub(super) struct GuardOrders(OwnedWriteHalf);

impl GuardOrders {
    /// Does not wait. False: the guard is gone, or does not read its orders any more.
    pub(super) fn give(&self, order: GuardOrder) -> bool {
        let mut line = serde_json::to_vec(&order).expect("an order is a word");
        line.push(b'\n');
        // An order is far smaller than what the socket takes at once or not at all.
        self.0.try_write(&line).is_ok_and(|written| written == line.len())
    }
}

#[derive(Debug)]
pub(super) struct GuardReports(LineReader<OwnedReadHalf>);

impl GuardReports {
    /// None: the guard is gone, or talks nonsense, which amounts to the same.
    pub(super) async fn next(&mut self) -> Option<GuardReport> {
        serde_json::from_slice(&self.0.next_line().await?).ok()
    }
}

impl GuardProcess {
    /// Reaps a guard that is ending.
    pub(super) async fn ended(mut self) {
        // Fails only where somebody else has reaped it.
        let _ = self.process.wait().await;
    }

    /// The guard is dead or does not do its work: takes its tree down without it. What was killed, and the guard, which
    /// is ending; it must not be reaped before, since until then nobody else is given its pid.
    pub(super) async fn replace(mut self) -> (Vec<KilledProcess>, Self) {
        // Fails only where it is dead already.
        let _ = self.process.start_kill();
        let (marker, pid) = (self.marker, self.process.id());
        let swept = tokio::task::spawn_blocking(move || sweep::sweep_run(marker, pid)).await;
        let mut killed = swept.unwrap_or_default();
        // It may have been found on its way out.
        killed.retain(|process| Some(process.pid) != pid);
        (killed, self)
    }
}
