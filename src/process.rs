//! Child processes: spawning through the guard, bounded lines, signals, and the actor that owns one child's stdio.
//! Nothing here decides: what to restart and when to kill is the session machine's.

mod account;
pub mod child;
mod descriptors;
pub mod guard;
pub mod line;
mod procfs;
pub mod sweep;
pub mod transport;
mod tree;
pub mod usage;

use crate::{
    agent::{AgentEvent, AgentRequest},
    domain::{
        ContentBlock, MessageId, SessionId, StoreId,
        event::{Exit, Outcome, TransportFault},
    },
};
use std::{collections::BTreeMap, fmt, path::PathBuf};
use tokio::sync::oneshot;

/// Everything that a child is started with; nothing else of the server's environment reaches it.
#[derive(Clone)]
pub struct ChildSpec {
    pub command: String,
    pub args: Vec<String>,
    /// The child's whole environment, but for the marker.
    pub env: BTreeMap<String, String>,
    /// Absolute.
    pub cwd: PathBuf,
    /// The account to run as; None: the server's own.
    pub user: Option<String>,
    pub marker: Marker,
    /// A line of output over this many bytes becomes one truncated line.
    pub max_line_bytes: usize,
}

/// Without what the child is told: it may be secret.
impl fmt::Debug for ChildSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { command, cwd, user, marker, .. } = self;
        let mut spec = f.debug_struct("ChildSpec");
        spec.field("command", command).field("cwd", cwd).field("user", user);
        spec.field("marker", marker).finish_non_exhaustive()
    }
}

/// Whose child a process is: in its environment as `SEAWALL_CHILD=STORE/SESSION/RUN`, inherited by all it starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Marker {
    pub store: StoreId,
    pub session: SessionId,
    pub run: u32,
}

impl Marker {
    /// The variable that carries a marker.
    pub const VARIABLE: &str = "SEAWALL_CHILD";
}

impl fmt::Display for Marker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.store, self.session, self.run)
    }
}

/// A signal to the child's process group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupSignal {
    Interrupt,
    Terminate,
}

/// What a session asks of its transport. None of these waits for the child.
#[derive(Debug, actix::Message)]
#[rtype(result = "()")]
pub enum Order {
    Prompt {
        message_id: MessageId,
        content: Vec<ContentBlock>,
    },
    /// The protocol's own cancel.
    Cancel,
    Answer {
        request: AgentRequest,
        outcome: Outcome,
    },
    CloseStdin,
    Signal(GroupSignal),
    /// SIGKILL to the whole tree, setsid grandchildren included.
    Kill,
}

/// What a transport tells its session. Reports of a run other than the current one are dropped and counted.
#[derive(Debug, actix::Message)]
#[rtype(result = "()")]
pub struct Report {
    pub run: u32,
    pub what: Happened,
}

#[derive(Debug)]
pub enum Happened {
    /// The child runs (its handshake may not be done).
    Spawned { pid: u32 },
    /// There is no child and there will be none: it could not be executed (final), or the guard failed.
    SpawnFailed { code: TransportFault, detail: String },
    /// What the child said. The transport reads on when `ack` is answered or dropped: that is the back-pressure. None:
    /// nothing waits for it.
    Said { events: Vec<AgentEvent>, ack: Option<oneshot::Sender<()>> },
    /// The prompt's bytes are in the child's stdin.
    Written { message_id: MessageId },
    /// The child and its whole tree are gone and all its output has been reported. The last report of a run.
    Exited(Exit),
}
