//! The configuration: one TOML file over the built-in `config/default.toml`, then `SEAWALL__SECTION__KEY` variables.
//! Strict: what is unknown, of a wrong type or contradictory is an error that names file, line and key.

mod fault;
mod include;
mod live;
mod load;
mod log;
mod place;
mod print;
mod read;
mod rules;
mod secret;
mod sections;
mod suggest;
mod tree;
mod values;

pub use fault::{ConfigErrors, Fault, Origin};
pub use live::{Live, Order, Orders, Refused, Reloaded, Source};
pub use log::{Log, LogFormat, filter};
pub use place::{NoDataFolder, environment};
pub use print::Setting;
pub use secret::Variables;

use crate::agent::Protocol;
use std::{
    collections::BTreeMap, fmt, net::IpAddr, num::NonZeroU32, path::PathBuf, time::Duration,
};

#[derive(Clone, Debug)]
pub struct Config {
    pub server: Server,
    pub admin: Admin,
    pub auth: Auth,
    pub store: Store,
    pub streams: Streams,
    pub sessions: Sessions,
    pub supervision: Supervision,
    pub log: Log,
    pub agents: BTreeMap<String, Agent>,
    /// Each value with where it came from, in the order of reading.
    entries: Vec<read::Entry>,
}

impl Config {
    /// Whether what clients say to the listener of this key is hidden from the network in between.
    fn may_cross_networks(&self, key: &str) -> bool {
        self.server.behind_proxy || (key == "server.listen" && self.server.tls.is_some())
    }

    /// Whether the listener of this key may take tokens at this address.
    pub fn may_listen(&self, key: &str, address: IpAddr) -> bool {
        address.is_loopback() || self.may_cross_networks(key)
    }
}

#[derive(Clone, Debug)]
pub struct Server {
    pub listen: String,
    /// Names that `Host` may have; empty: the listen address, localhost, 127.0.0.1, `[::1]`.
    pub hosts: Vec<String>,
    /// The certificate's chain and its key, as PEM files; None: no TLS.
    pub tls: Option<Tls>,
    pub behind_proxy: bool,
    /// The public listener answers the admin calls that a console needs, below `/v1/admin`.
    pub admin_api: bool,
    /// Threads that serve HTTP; 0: one a core.
    pub workers: usize,
    pub shutdown_grace: Duration,
    pub request_timeout: Duration,
    /// Of messages; every other body may have at most 1 MiB.
    pub max_body_bytes: usize,
    /// Failed logins of one peer; None: without a limit.
    pub login_rate: Option<Rate>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    pub cert: PathBuf,
    pub key: PathBuf,
}

/// So many in so much time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    pub count: NonZeroU32,
    pub per: Duration,
}

#[derive(Clone, Debug)]
pub struct Admin {
    /// An address, or `unix:PATH`.
    pub listen: String,
}

#[derive(Clone, Debug, Default)]
pub struct Auth {
    pub tokens: Vec<Token>,
}

#[derive(Clone, Debug)]
pub struct Token {
    pub name: String,
    pub role: Role,
    pub sha256: [u8; 32],
    /// The profiles it may see; None: all.
    pub agents: Option<Vec<String>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    Viewer,
    Operator,
    Admin,
}

#[derive(Clone, Debug)]
pub struct Store {
    /// The data folder's database; None: in the default data folder.
    pub path: Option<PathBuf>,
    pub durability: Durability,
    pub max_event_bytes: usize,
    /// Where `POST /admin/backup` puts its copies; None: there are none.
    pub backup_dir: Option<PathBuf>,
    /// Older events are removed; None: none is too old.
    pub retention_age: Option<Duration>,
    /// Of each session the newest so many events are kept; None: all.
    pub retention_events: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// A commit survives the loss of power.
    Full,
    /// A commit survives the death of the process; the last ones may be lost with the power.
    Normal,
}

#[derive(Clone, Debug)]
pub struct Streams {
    pub heartbeat: Duration,
    pub max_replay_gap: u64,
    pub sync_interval: Duration,
    pub sync_batch: usize,
    pub queue_frames: usize,
    pub queue_bytes: usize,
    pub stall_timeout: Duration,
    pub max_streams: usize,
    pub max_sessions_per_stream: usize,
}

#[derive(Clone, Debug)]
pub struct Sessions {
    pub max_live: usize,
    pub max_queued_messages: usize,
    pub start_timeout: Duration,
    pub detach_after: Duration,
    pub detach_timeout: Duration,
    pub close_grace: Duration,
    pub suspend_grace: Duration,
    pub permission_timeout: Duration,
    pub interrupt_step: Duration,
}

#[derive(Clone, Debug)]
pub struct Supervision {
    pub max_restarts: u32,
    pub within: Duration,
    pub backoff_min: Duration,
    pub backoff_max: Duration,
}

/// A profile: how one kind of agent is started and spoken to.
#[derive(Clone)]
pub struct Agent {
    pub protocol: Protocol,
    /// A program by path or by name on PATH; of the built-in `demo`, the path of our own binary.
    pub command: String,
    pub args: Vec<String>,
    /// Those of `env_file` too.
    pub env: Variables,
    /// Keys that a session's `env` may set.
    pub env_allow: Vec<String>,
    /// Where sessions run that name no `cwd`; None: the home folder.
    pub cwd: Option<PathBuf>,
    /// Folders below which a session's `cwd` may lie; empty: `cwd` only.
    pub cwd_allow: Vec<PathBuf>,
    pub user: Option<String>,
    pub restart: Restart,
    pub resume_on_start: bool,
    /// Shorter than `sessions.permission_timeout`; None: that.
    pub permission_timeout: Option<Duration>,
    /// How long the agent may say nothing during a turn; None: for ever.
    pub inactivity: Option<Duration>,
    /// The turn is interrupted then.
    pub inactivity_interrupt: bool,
    /// How long a session may be without work before its agent is stopped; None: for ever.
    pub park_after: Option<Duration>,
    pub escape_newlines: bool,
    pub max_line_bytes: usize,
}

/// Without what agents are told: it may be secret.
impl fmt::Debug for Agent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { protocol, command, cwd, user, .. } = self;
        let mut agent = f.debug_struct("Agent");
        agent.field("protocol", protocol).field("command", command);
        agent.field("cwd", cwd).field("user", user).finish_non_exhaustive()
    }
}

/// When a child that ended is started again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restart {
    /// After a failure, not after an exit with 0 that means completion.
    OnFailure,
    /// After every end that was not asked for.
    Always,
    /// Never: the session ends with `error`.
    Never,
}
