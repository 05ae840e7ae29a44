//! Bodies of the admin calls (contract, section 6). What is asked stands in the path, but for a backup's name.

use crate::domain::{ConnectionId, Seq, SessionId, State, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// `GET /admin/status`
#[derive(Clone, Debug, Serialize, Deserialize)]
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

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SessionCounts {
    /// A state without any session is not named.
    pub by_state: BTreeMap<State, u64>,
    /// Those that take a place under `sessions.max_live`.
    pub live: usize,
    /// Those that wait for such a place.
    pub waiting: usize,
    /// How often the agents of live sessions were restarted.
    pub restarts: u64,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct StreamCounts {
    pub open: usize,
    pub suspended: usize,
    /// Streams that have events to come.
    pub behind: usize,
    /// The most events that one stream is behind.
    pub max_lag: u64,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct StoreCounts {
    /// On disk, with what is kept for reuse.
    pub bytes: u64,
    /// How often events were read from it since the start: by history and by readers that are behind what is in memory.
    pub pages_read: u64,
}

/// `GET /admin/connections`
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ConnectionList {
    pub connections: Vec<ConnectionView>,
}

/// An open stream.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ConnectionView {
    pub id: ConnectionId,
    /// The credential's name.
    pub credential: String,
    /// The client's address; null where that is a socket without one.
    pub peer: Option<String>,
    pub opened_at: Timestamp,
    pub suspended: bool,
    /// Written to it so far, without HTTP's own framing.
    pub bytes: u64,
    /// How many events it is behind, all its sessions together.
    pub lag: u64,
    pub sessions: Vec<FollowedView>,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct FollowedView {
    pub session_id: SessionId,
    /// The highest contiguous seq that was handed over.
    pub cursor: Seq,
    pub head_seq: Seq,
}

/// `POST /admin/backup`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MakeBackup {
    /// A file name below `store.backup_dir`.
    pub name: String,
}

/// A backup that is on disk, whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupMade {
    pub name: String,
    pub bytes: u64,
}

/// `POST` and `DELETE /admin/drain`: as it is now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Draining {
    pub draining: bool,
}

/// `GET /admin/supervision`: an actor, with those that it started.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ActorNode {
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_id: Option<SessionId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    pub state: ActorState,
    pub on_failure: OnFailure,
    /// When it was last started.
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
    pub children: Vec<ActorNode>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ActorState {
    Running,
    /// It is on its way, or waits for the backoff before a restart.
    Starting,
    /// It does not answer; nothing can be done about that but to end the process.
    Hanging,
}

/// What is done about a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActorPolicy {
    pub max_restarts: u32,
    pub within_ms: u64,
    pub backoff_min_ms: u64,
    pub backoff_max_ms: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActorFailure {
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
