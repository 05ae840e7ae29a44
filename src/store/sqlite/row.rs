//! Sessions' rows and events' keys as the tables hold them. No SQL; only the mapping between values and columns.

use super::super::StoreError;
use crate::domain::{Seq, Session};

/// What separates the parts of a row's searchable text, so that no search finds a word that spans two of them.
const PART: char = '\u{1f}';

/// Enough for most sessions' rows, so that they are encoded without moving.
const ROOM: usize = 1024;

/// A session's row, encoded by its author's thread: the writer copies bytes and encodes nothing.
#[derive(Debug)]
pub(super) struct EncodedRow {
    pub(super) json: Vec<u8>,
    pub(super) state: &'static str,
    pub(super) agent: String,
    pub(super) search: String,
    pub(super) updated_at: i64,
    pub(super) has_open_work: bool,
}

impl EncodedRow {
    pub(super) fn new(session: &Session) -> Self {
        let mut json = Vec::with_capacity(ROOM);
        serde_json::to_writer(&mut json, session)
            .expect("a session has string keys only, a Vec takes all");
        let title = session.title.as_deref().unwrap_or_default();
        let search =
            format!("{title}{PART}{}{PART}{}{PART}{}", session.cwd, session.agent, session.id);
        Self {
            json,
            state: session.state.as_str(),
            agent: session.agent.clone(),
            search: search.to_ascii_lowercase(),
            updated_at: session.updated_at.as_millis(),
            has_open_work: session.has_open_work(),
        }
    }

    pub(super) fn decode(json: &[u8]) -> Result<Session, StoreError> {
        serde_json::from_slice(json).map_err(|error| {
            StoreError::Damaged(format!("a session's row cannot be read: {error}"))
        })
    }
}

/// What SQLite says of a page, said of a row that is not what it should be.
pub(super) fn damaged(what: &str) -> rusqlite::Error {
    let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT);
    rusqlite::Error::SqliteFailure(code, Some(what.into()))
}

/// A session's number in the tables; never given to another session, not even after a deletion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key(pub(super) i64);

/// The highest seq that has a place in an event's key.
pub(super) const SEQ_MAX: Seq = Seq(u32::MAX as u64);

impl Key {
    /// The key of the session's event `seq`: the session above, the seq in the lower 32 bits. Seqs beyond
    /// [`SEQ_MAX`] exist in questions only; they stand for the last one.
    pub(super) fn event(self, seq: Seq) -> i64 {
        let seq = seq.min(SEQ_MAX).0;
        (self.0 << 32) | i64::try_from(seq).expect("it has 32 bits")
    }

    /// Keys of all events of the session, first and last.
    pub(super) fn events(self) -> (i64, i64) {
        (self.event(Seq::ZERO), self.event(SEQ_MAX))
    }
}

/// The seq in an event's key.
pub(super) fn seq(event: i64) -> Seq {
    Seq(event as u64 & SEQ_MAX.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_events_key_holds_its_seq_and_stays_within_its_session() {
        let (first, last) = Key(7).events();
        for n in [0, 1, 4711, u64::from(u32::MAX)] {
            assert_eq!(seq(Key(7).event(Seq(n))), Seq(n));
            assert!((first..=last).contains(&Key(7).event(Seq(n))));
        }
        assert!(Key(6).events().1 < first && last < Key(8).events().0);
        assert_eq!(Key(7).event(Seq(u64::MAX)), last);
    }
}
