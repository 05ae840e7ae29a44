//! Where a stream is in each of its sessions, and what an item does to that. Pure: it decides what is new, what was
//! shown before and what is missing; it connects to nothing.

use super::StreamRequest;
use crate::{
    client::StreamItem,
    domain::{Seq, SessionId},
};
use std::collections::BTreeMap;

/// Where to begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Begin {
    /// With what happens from now on.
    Head,
    /// After these events; a session that is not named begins at its head.
    After(Vec<(SessionId, Seq)>),
    /// Where another stream was: [`super::Stream::token`].
    Token(String),
}

#[derive(Debug)]
pub(super) struct Place {
    sessions: Vec<SessionId>,
    list: bool,
    token: Option<String>,
    cursors: BTreeMap<SessionId, Seq>,
}

/// What an item is to its reader.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    Show,
    /// It was shown before.
    Known,
    /// Events between `cursor` and `seq` did not arrive, and no gap was told.
    Hole {
        session: SessionId,
        cursor: Seq,
        seq: Seq,
    },
}

impl Place {
    pub(super) fn new(request: StreamRequest) -> Self {
        let StreamRequest { sessions, list, begin } = request;
        let (token, cursors) = match begin {
            Begin::Head => (None, BTreeMap::new()),
            Begin::After(cursors) => (None, cursors.into_iter().collect()),
            Begin::Token(token) => (Some(token), BTreeMap::new()),
        };
        Self { sessions, list, token, cursors }
    }

    pub(super) fn sessions(&self) -> &[SessionId] {
        &self.sessions
    }

    pub(super) fn list(&self) -> bool {
        self.list
    }

    /// There is nothing left to follow.
    pub(super) fn is_empty(&self) -> bool {
        self.sessions.is_empty() && !self.list
    }

    pub(super) fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    pub(super) fn cursor(&self, session: SessionId) -> Option<Seq> {
        self.cursors.get(&session).copied()
    }

    pub(super) fn cursors(&self) -> impl Iterator<Item = (SessionId, Seq)> {
        self.cursors.iter().map(|(session, seq)| (*session, *seq))
    }

    /// Moves on by an item that arrived with this last event id.
    pub(super) fn advance(&mut self, item: &StreamItem, id: &str) -> Step {
        match item {
            StreamItem::Event(event) => {
                let (session, seq) = (event.session_id, event.seq);
                match self.cursor(session) {
                    Some(cursor) if seq <= cursor => return Step::Known,
                    Some(cursor) if seq > cursor.next() => {
                        return Step::Hole { session, cursor, seq };
                    }
                    _ => self.cursors.insert(session, seq),
                };
            }
            // The one item that may move a cursor back: the log is shorter than what was shown.
            StreamItem::Gap(gap) => {
                self.cursors.insert(gap.session_id, gap.resume_at);
            }
            StreamItem::Snapshot(snapshot) => {
                self.cursors.entry(snapshot.session_id).or_insert(snapshot.head_seq);
            }
            StreamItem::Gone(gone) => {
                self.forget(&gone.session_id);
                return Step::Show;
            }
            _ => return Step::Show,
        }
        if !id.is_empty() {
            self.token = Some(id.to_owned());
        }
        Step::Show
    }

    fn forget(&mut self, session: &str) {
        self.sessions.retain(|known| known.to_string() != session);
        self.cursors.retain(|known, _| known.to_string() != session);
    }
}

#[cfg(test)]
mod vectors;
