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
mod tests {
    use super::*;
    use crate::client::scripted;

    fn place(begin: Begin) -> Place {
        Place::new(StreamRequest::session(scripted::session(), begin))
    }

    fn after(seq: u64) -> Begin {
        Begin::After(vec![(scripted::session(), Seq(seq))])
    }

    #[test]
    fn the_next_event_moves_cursor_and_token() {
        let mut place = place(after(4));
        assert_eq!(place.advance(&scripted::event(5), "t5"), Step::Show);
        assert_eq!((place.cursor(scripted::session()), place.token()), (Some(Seq(5)), Some("t5")));
    }

    #[test]
    fn an_event_that_was_shown_moves_nothing() {
        let mut place = place(after(4));
        assert_eq!(place.advance(&scripted::event(4), "t4"), Step::Known);
        assert_eq!((place.cursor(scripted::session()), place.token()), (Some(Seq(4)), None));
    }

    #[test]
    fn a_hole_is_noticed_and_the_token_before_it_is_kept() {
        let mut place = place(after(4));
        place.advance(&scripted::event(5), "t5");
        let hole = Step::Hole { session: scripted::session(), cursor: Seq(5), seq: Seq(7) };
        assert_eq!(place.advance(&scripted::event(7), "t7"), hole);
        assert_eq!((place.cursor(scripted::session()), place.token()), (Some(Seq(5)), Some("t5")));
    }

    #[test]
    fn a_gap_moves_the_cursor_even_back() {
        let mut place = place(after(900));
        place.advance(&scripted::gap(12), "t12");
        assert_eq!(place.cursor(scripted::session()), Some(Seq(12)));
        assert_eq!(place.advance(&scripted::event(13), "t13"), Step::Show);
    }

    #[test]
    fn a_snapshot_tells_where_the_head_is_and_moves_no_cursor() {
        let mut fresh = place(Begin::Head);
        fresh.advance(&scripted::snapshot(40), "t40");
        assert_eq!(fresh.cursor(scripted::session()), Some(Seq(40)));
        let mut behind = place(after(39));
        behind.advance(&scripted::snapshot(40), "t39");
        assert_eq!(behind.cursor(scripted::session()), Some(Seq(39)));
    }

    #[test]
    fn a_session_that_is_gone_is_not_asked_for_again() {
        let mut place = place(after(1));
        place.advance(&scripted::gone(), "");
        assert!(place.is_empty());
        assert_eq!(place.cursors().count(), 0);
    }
}
