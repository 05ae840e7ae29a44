//! A client that follows sessions over cuts, and believes no frame: what is not the next event must be announced, and
//! what it was sent once is the same bytes for ever.

use super::schedule::Place;
use crate::support::{Api, Sse};
use seawall::wire::sse::ServerEvent;
use serde_json::Value;
use std::collections::BTreeMap;

pub(super) const MAX_REPLAY_GAP: u64 = 50;

/// The line of every event that any reader was sent.
pub(super) type Lines = BTreeMap<(String, u64), String>;

#[derive(Debug, Default)]
pub(super) struct Told {
    pub(super) events: usize,
    pub(super) gaps: usize,
    pub(super) replayed: u64,
}

/// One session on a reader's stream.
#[derive(Debug)]
struct Following {
    id: String,
    /// Everything up to here came, or a gap told of it. None: it began at a head that it was not told yet.
    cursor: Option<u64>,
    opening: Option<Opening>,
}

/// Before the snapshot.
#[derive(Debug)]
struct Opening {
    /// The head before the stream was asked for.
    head: u64,
    replayed: u64,
}

pub(super) struct Reader {
    following: Vec<Following>,
    stream: Option<Sse>,
    connection: Option<String>,
    is_suspended: bool,
    token: String,
    pub(super) told: Told,
}

impl Reader {
    pub(super) fn new(sessions: impl Iterator<Item = String>) -> Self {
        let following = sessions.map(|id| Following { id, cursor: None, opening: None }).collect();
        Self {
            following,
            stream: None,
            connection: None,
            is_suspended: false,
            token: String::new(),
            told: Told::default(),
        }
    }

    pub(super) fn sessions(&self) -> Vec<String> {
        self.following.iter().map(|session| session.id.clone()).collect()
    }

    pub(super) fn is_open(&self) -> bool {
        self.stream.is_some()
    }

    pub(super) fn cut(&mut self) {
        self.stream = None;
        self.connection = None;
        self.is_suspended = false;
    }

    /// Opens a stream; `heads` are those of its sessions at this moment.
    pub(super) async fn open(&mut self, api: &Api, place: Place, heads: &[u64]) {
        self.cut();
        let mut path = format!("/v1/stream?sessions={}", self.sessions().join(","));
        let mut token = "";
        match place {
            Place::Token if !self.token.is_empty() => token = &self.token,
            Place::After if self.following.iter().all(|session| session.cursor.is_some()) => {
                let after = |session: &Following| {
                    format!("{}:{}", session.id, session.cursor.expect("it is known"))
                };
                let after: Vec<_> = self.following.iter().map(after).collect();
                path = format!("{path}&after={}", after.join(","));
            }
            // It forgets all it had.
            _ => self.following.iter_mut().for_each(|session| session.cursor = None),
        }
        let stream = api.narrow_stream(&path, token).await;
        self.token = token.to_owned();
        self.stream = Some(stream);
        for (session, head) in self.following.iter_mut().zip(heads) {
            session.opening = Some(Opening { head: *head, replayed: 0 });
        }
    }

    /// Reads until it has all up to these heads, or the stream ends. False where there is no stream to read.
    pub(super) async fn read(&mut self, heads: &[u64], lines: &mut Lines) -> bool {
        let has = |session: &Following, head: u64| session.cursor.is_some_and(|at| at >= head);
        while !self.following.iter().zip(heads).all(|(session, head)| has(session, *head)) {
            if self.is_suspended || !self.read_frame(lines).await {
                return false;
            }
        }
        self.stream.is_some()
    }

    /// The id of its connection, once it has read that far.
    pub(super) async fn connection(&mut self, lines: &mut Lines) -> Option<String> {
        while self.connection.is_none() && self.read_frame(lines).await {}
        self.connection.clone()
    }

    pub(super) fn suspended(&mut self) {
        self.is_suspended = true;
    }

    async fn read_frame(&mut self, lines: &mut Lines) -> bool {
        let Some(stream) = &mut self.stream else { return false };
        let Some(frame) = stream.next().await else {
            self.cut();
            return false;
        };
        self.take(&frame, lines);
        self.token.clone_from(&frame.id);
        true
    }

    fn take(&mut self, frame: &ServerEvent, lines: &mut Lines) {
        let line = String::from_utf8(frame.data.to_vec()).expect("UTF-8");
        let data: Value = serde_json::from_str(&line).expect("JSON");
        match frame.event.as_str() {
            "welcome" => self.connection = data["connection_id"].as_str().map(Into::into),
            "message" => {
                let seq = data["seq"].as_u64().expect("a seq");
                let session = self.following(&data);
                let replayed = session.takes_event(seq);
                let id = session.id.clone();
                self.told.events += 1;
                self.told.replayed = self.told.replayed.max(replayed);
                let first = lines.entry((id, seq)).or_insert_with(|| line.clone());
                assert_eq!(*first, line, "an event changed");
            }
            "gap" => {
                self.following(&data).takes_gap(&data);
                self.told.gaps += 1;
            }
            "snapshot" => self.following(&data).takes_snapshot(&data),
            "ping" | "server" | "bye" => {}
            other => panic!("{other}: {line}"),
        }
    }

    fn following(&mut self, data: &Value) -> &mut Following {
        let is_it = |session: &&mut Following| data["session_id"] == session.id.as_str();
        self.following.iter_mut().find(is_it).expect("a session that was asked for")
    }
}

impl Following {
    /// Gives how many events that were stored before the stream was asked for it has brought so far.
    fn takes_event(&mut self, seq: u64) -> u64 {
        match self.cursor {
            Some(cursor) => assert_eq!(seq, cursor + 1, "a hole or a double in {self:?}"),
            None => {
                let head = self.opening.as_ref().map_or(0, |opening| opening.head);
                assert!(seq > head, "history without being asked: {seq} in {self:?}");
            }
        }
        self.cursor = Some(seq);
        let Some(opening) = &mut self.opening else { return 0 };
        opening.replayed += u64::from(seq <= opening.head);
        assert!(opening.replayed <= MAX_REPLAY_GAP, "a replay storm: {self:?}");
        opening.replayed
    }

    fn takes_gap(&mut self, gap: &Value) {
        // The log forgets nothing here and every token is its own: there is one reason left.
        assert_eq!(gap["reason"], "replay_cap", "{gap} for {self:?}");
        assert_eq!(gap["after"].as_u64(), self.cursor, "{gap} for {self:?}");
        let resume_at = gap["resume_at"].as_u64().expect("a seq");
        let missed = resume_at - self.cursor.expect("it was compared");
        assert!(missed > MAX_REPLAY_GAP && gap["missed"] == missed, "{gap} for {self:?}");
        self.cursor = Some(resume_at);
    }

    fn takes_snapshot(&mut self, snapshot: &Value) {
        let head = snapshot["head_seq"].as_u64().expect("a seq");
        assert!(self.cursor.is_none_or(|cursor| cursor == head), "{snapshot} for {self:?}");
        let opening = self.opening.take().expect("one snapshot a stream");
        assert!(head >= opening.head, "the log went back: {snapshot} after {opening:?}");
        self.cursor = Some(head);
    }
}
