//! The store by itself, without a server: a log in a folder that goes with it, and sessions and events to put into it.

use super::{place::fresh_folder, target::Setup};
use crate::{
    domain::{
        Body, Draft, EndReason, Session, SessionId, State, Timestamp,
        event::{AgentContext, OutputStream},
    },
    store::{
        Append, Create, Entry, EventLog,
        sqlite::{Durability, RECENT_BYTES, SqliteLog, SqliteOptions},
    },
};
use futures_util::future::try_join_all;
use std::{fs, path::PathBuf};
use uuid::Uuid;

/// What an agent's line is cut at; none here is so long.
const MAX_EVENT: usize = 1 << 20;
/// When all of it happened.
const WHEN: Timestamp = Timestamp::from_millis(1_795_000_000_000);
/// Events of one append where only their number counts.
const CHUNK: u64 = 500;
/// Appends under way at a time then.
const AT_A_TIME: u64 = 32;

/// A folder that goes when this is dropped.
pub(super) struct Folder(pub(super) PathBuf);

impl Folder {
    pub(super) fn new(setup: &Setup) -> anyhow::Result<Self> {
        fresh_folder(&setup.folder).map(Self)
    }

    pub(super) fn open(&self, durability: Durability) -> anyhow::Result<SqliteLog> {
        let options = SqliteOptions {
            path: self.0.join("seawall.db"),
            durability,
            readers: 2,
            queue: 4096,
            recent_bytes: RECENT_BYTES,
        };
        Ok(SqliteLog::open(&options)?)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

pub(super) fn id(number: u64) -> SessionId {
    SessionId::from_uuid(Uuid::from_u64_pair(1, number))
}

/// One line of an agent.
pub(super) fn entry(length: usize) -> Entry {
    let (stream, text) = (OutputStream::Stdout, "x".repeat(length));
    let body = Body::AgentOutput { stream, text, truncated: false };
    Entry::new(&Draft { run: 1, ts: WHEN, body }, MAX_EVENT)
}

/// A session that is live or has ended, as the events of its life say it.
pub(super) fn create(number: u64, is_live: bool) -> Create {
    let ts = WHEN;
    let mut session = Session::new(id(number), "cat".into(), "/".into(), [7; 32], ts);
    let state = |from, to, reason| Body::SessionState {
        from,
        to,
        reason,
        client_state: Default::default(),
    };
    let (pid, agent_session_id, context) = (None, None, AgentContext::New);
    let mut bodies = vec![
        (0, state(None, State::Created, None)),
        (1, state(Some(State::Created), State::Starting, None)),
        (1, Body::TransportStarted { pid, agent_session_id, context }),
        (1, state(Some(State::Starting), State::Active, None)),
    ];
    if !is_live {
        bodies.push((1, state(Some(State::Active), State::Ended, Some(EndReason::Completed))));
    }
    let mut events = Vec::new();
    for (run, body) in bodies {
        let draft = Draft { run, ts, body };
        session.apply(&draft);
        events.push(Entry::new(&draft, MAX_EVENT));
    }
    Create { session, events, accept: None }
}

pub(super) fn append(number: u64, events: Vec<Entry>) -> Append {
    Append { session: id(number), events, row: None, accept: None }
}

/// Makes sessions `from..to`, of which the first so many are live.
pub(super) async fn make(log: &SqliteLog, from: u64, to: u64, live: u64) -> anyhow::Result<()> {
    for first in (from..to).step_by(AT_A_TIME as usize) {
        let some = first..to.min(first + AT_A_TIME);
        try_join_all(some.map(|number| log.create(create(number, number < live)))).await?;
    }
    Ok(())
}

/// Adds so many events, spread over sessions `0..sessions` a chunk at a time.
pub(super) async fn fill(log: &SqliteLog, sessions: u64, events: u64) -> anyhow::Result<()> {
    let entry = entry(256);
    let chunk = CHUNK.min(events.div_ceil(sessions)).max(1);
    let chunks = events / chunk;
    for first in (0..chunks).step_by(AT_A_TIME as usize) {
        let some = first..chunks.min(first + AT_A_TIME);
        // Each of those under way is another session's: only one append of a session is, ever.
        let appends = some.map(|number| {
            log.append(append(number % sessions, vec![entry.clone(); chunk as usize]))
        });
        try_join_all(appends).await?;
    }
    Ok(())
}
