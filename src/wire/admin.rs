//! Bodies of the admin calls (contract, section 6). What is asked stands in the path, but for a backup's
//! name and the log's filter.

use super::api::SessionView;
use crate::domain::{ConnectionId, MessageId, Seq, SessionId, State, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// `GET /admin/status`
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Status {
    pub version: String,
    pub uptime_ms: u64,
    pub draining: bool,
    pub sessions: SessionCounts,
    /// Messages that are neither dispatched nor failed.
    pub queued_messages: u64,
    pub streams: StreamCounts,
    pub store: StoreCounts,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct SessionCounts {
    /// A state without any session is not named.
    #[schema(value_type = BTreeMap<String, u64>)]
    pub by_state: BTreeMap<State, u64>,
    /// Those that take a place under `sessions.max_live`.
    pub live: usize,
    /// Those that wait for such a place.
    pub waiting: usize,
    /// How often the agents of live sessions were restarted.
    pub restarts: u64,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize, ToSchema)]
pub struct StreamCounts {
    pub open: usize,
    pub suspended: usize,
    /// Streams that have events to come.
    pub behind: usize,
    /// The most events that one stream is behind.
    pub max_lag: u64,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize, ToSchema)]
pub struct StoreCounts {
    /// On disk, with what is kept for reuse.
    pub bytes: u64,
    /// Free for it on its disk; null where that cannot be told.
    pub free_bytes: Option<u64>,
    /// How often events were read from it since the start: by history and by readers that are behind what is in memory.
    pub pages_read: u64,
}

/// `GET /admin/history`
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct History {
    /// The oldest first.
    pub samples: Vec<HistorySample>,
}

/// The server at one moment, and what it did since the sample before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HistorySample {
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// How long the sample before is ago.
    pub over_ms: u64,
    /// Events that were committed to the log.
    pub appended: u64,
    /// Restarts of agents, sessions and the registry.
    pub restarts: u64,
    /// Open streams.
    pub streams: usize,
    /// The most events that one stream is behind.
    pub max_lag: u64,
}

/// `GET /admin/connections`
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ConnectionList {
    pub connections: Vec<ConnectionView>,
}

/// An open stream.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ConnectionView {
    #[schema(value_type = String, format = Uuid)]
    pub id: ConnectionId,
    /// The credential's name.
    pub credential: String,
    /// The client's address; null where that is a socket without one.
    pub peer: Option<String>,
    #[schema(value_type = String, format = DateTime)]
    pub opened_at: Timestamp,
    pub suspended: bool,
    /// Written to it so far, without HTTP's own framing.
    pub bytes: u64,
    /// How many events it is behind, all its sessions together.
    pub lag: u64,
    pub sessions: Vec<FollowedView>,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize, ToSchema)]
pub struct FollowedView {
    #[schema(value_type = String, format = Uuid)]
    pub session_id: SessionId,
    /// The highest contiguous seq that was handed over.
    #[schema(value_type = u64)]
    pub cursor: Seq,
    #[schema(value_type = u64)]
    pub head_seq: Seq,
}

/// `GET /admin/sessions`
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct AdminSessionList {
    pub sessions: Vec<AdminSession>,
    /// For the next page; null on the last one.
    pub next_cursor: Option<String>,
}

/// A session with what runs for it and who follows it.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct AdminSession {
    #[serde(flatten)]
    pub session: SessionView,
    /// Open streams that follow it, by whether they are in the background.
    pub watchers: WatcherCounts,
    /// The streams themselves, the oldest first.
    pub streams: Vec<SessionStream>,
    /// The most events that one of its streams is behind.
    pub lag: u64,
    /// Null where no child runs.
    pub child: Option<ChildView>,
    /// Null where nothing is kept for it in memory: it has ended and nobody asks anything of it.
    pub supervision: Option<SessionSupervision>,
    /// What waits for the agent, in the order in which it will get it; in the answer about one session only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<Vec<QueuedView>>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WatcherCounts {
    pub active: usize,
    pub suspended: usize,
}

/// How far a stream is in a session.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct SessionStream {
    #[schema(value_type = String, format = Uuid)]
    pub connection_id: ConnectionId,
    /// The credential's name.
    pub credential: String,
    pub suspended: bool,
    /// The highest contiguous seq that was handed over.
    #[schema(value_type = u64)]
    pub cursor: Seq,
    pub lag: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChildView {
    pub pid: u32,
    /// Memory of the child and of all it has started; null where that cannot be read.
    pub rss_bytes: Option<u64>,
}

/// What became of a session's actor and of its child so far, since the registry knows the session.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct SessionSupervision {
    pub actor: FailureHistory,
    pub child: FailureHistory,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct FailureHistory {
    /// When it was last started.
    #[schema(value_type = String, format = DateTime)]
    pub since: Timestamp,
    pub failures: u64,
    /// Those that count towards the policy's `max_restarts` now.
    pub failures_in_window: usize,
    pub policy: ActorPolicy,
    /// What began the row of failures that the last one belongs to.
    pub first_failure: Option<ActorFailure>,
    pub last_failure: Option<ActorFailure>,
}

/// A message that waits for the agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct QueuedView {
    #[schema(value_type = String)]
    pub message_id: MessageId,
    #[schema(value_type = u64)]
    pub seq: Seq,
    /// It goes before those that do not interrupt.
    pub interrupt: bool,
}

/// `POST /admin/sessions/{id}/kill`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Killed {
    /// False: there was no child.
    pub requested: bool,
}

/// `POST /admin/sync`: what one sync tick did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TickReport {
    pub streams: usize,
    /// Streams that were behind and were woken.
    pub nudged: usize,
    /// Sessions of streams that were moved to the head, with a gap.
    pub moved: usize,
    /// Streams that took nothing for `stall_timeout` and were closed.
    pub stalled: usize,
}

/// `PUT /admin/log`, and its answer: the filter in use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LogFilter {
    /// As `RUST_LOG`: `info,seawall::registry=debug`.
    pub filter: String,
}

/// `POST /admin/reload`: keys by what became of their change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Reloaded {
    /// In use from now on.
    pub changed: Vec<String>,
    /// In use from the next start on; until then what was goes on.
    pub needs_restart: Vec<String>,
}

/// `GET /admin/config`: every value in effect, in the order of the sections.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EffectiveConfig {
    pub values: Vec<ConfigValue>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ConfigValue {
    /// The key's full path, such as `streams.heartbeat`.
    pub key: String,
    /// As it is written in a file; what may be secret is `<hidden>`.
    #[schema(value_type = Value)]
    pub value: serde_json::Value,
    /// `default`, `FILE:LINE`, or the name of a variable.
    pub origin: String,
}

/// `POST /admin/backup`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MakeBackup {
    /// A file name below `store.backup_dir`.
    #[schema(min_length = 1, max_length = 100, pattern = "^[A-Za-z0-9_-][A-Za-z0-9._-]*$")]
    pub name: String,
}

/// A backup that is on disk, whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BackupMade {
    pub name: String,
    pub bytes: u64,
}

/// `POST` and `DELETE /admin/drain`: as it is now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Draining {
    pub draining: bool,
}

/// `GET /admin/supervision`: an actor, with those that it started.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ActorNode {
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = Uuid)]
    pub session_id: Option<SessionId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    pub state: ActorState,
    pub on_failure: OnFailure,
    /// When it was last started.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub since: Option<Timestamp>,
    /// Failures over its life; of a session's child, since the registry knows the session.
    pub failures: u64,
    /// Those that count towards the policy's `max_restarts` now.
    pub failures_in_window: usize,
    /// How it is restarted; null where a failure ends the process.
    pub policy: Option<ActorPolicy>,
    /// What began the row of failures that the last one belongs to.
    pub first_failure: Option<ActorFailure>,
    pub last_failure: Option<ActorFailure>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(no_recursion)]
    pub children: Vec<ActorNode>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ActorState {
    Running,
    /// It is on its way, or waits for the backoff before a restart.
    Starting,
    /// It does not answer; nothing can be done about that but to end the process.
    Hanging,
}

/// What is done about a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnFailure {
    /// The process ends cleanly, and what watches it starts it again.
    EndProcess,
    /// It is rebuilt from the log, with backoff, up to the limit.
    Restart,
    /// As the agent's profile says (`restart`), within the same limits.
    Profile,
}

/// One failure more than `max_restarts` within `within_ms` is given up on; each restart waits longer than the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ActorPolicy {
    pub max_restarts: u32,
    pub within_ms: u64,
    pub backoff_min_ms: u64,
    pub backoff_max_ms: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ActorFailure {
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    pub cause: String,
}

impl ActorNode {
    /// One of which nothing else is known yet.
    pub fn new(name: &str, state: ActorState, on_failure: OnFailure) -> Self {
        Self {
            name: name.into(),
            session_id: None,
            run: None,
            pid: None,
            state,
            on_failure,
            since: None,
            failures: 0,
            failures_in_window: 0,
            policy: None,
            first_failure: None,
            last_failure: None,
            children: Vec::new(),
        }
    }
}
