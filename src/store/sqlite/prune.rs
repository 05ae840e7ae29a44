//! Retention: removes the oldest events of sessions, a little at a time, between the groups of the writer. What may
//! go, [`Retention::floor`] says; nothing of a deleted session is handled here.

use super::{
    super::{Pruned, Retention, StoreError},
    pack, page,
    recent::{Recent, View},
    row::{Key, seq},
};
use crate::domain::{Seq, SessionId, event::line_timestamp};
use rusqlite::{Connection, Transaction, TransactionBehavior};
use uuid::Uuid;

/// Sessions looked at in one portion, where nothing is to be removed.
const SESSIONS: usize = 64;
/// Events removed in one portion: little enough that an append that comes meanwhile hardly waits.
const EVENTS: u64 = 1024;

/// One walk over all sessions.
#[derive(Debug)]
pub(super) struct Pruning {
    retention: Retention,
    /// The last session that is through.
    done: Key,
    /// Of the session after it something was removed already.
    is_midway: bool,
    pub(super) pruned: Pruned,
}

/// What one portion did.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Portion {
    /// The session begins with this event now.
    Removed(SessionId, Seq),
    /// Some sessions have nothing to remove.
    Nothing,
    /// All sessions are through.
    Finished,
}

impl Pruning {
    pub(super) fn new(retention: Retention) -> Self {
        Self { retention, done: Key(0), is_midway: false, pruned: Pruned::default() }
    }

    /// Goes on a little.
    pub(super) fn portion(
        &mut self,
        conn: &Connection,
        recent: &Recent,
    ) -> Result<Portion, StoreError> {
        let view = View::of_writer(conn, recent);
        for _ in 0..SESSIONS {
            let Some(session) = next_session(conn, self.done)? else {
                return Ok(Portion::Finished);
            };
            let Some((first, floor)) = session.floor(&view, &self.retention)? else {
                self.pass(session.key);
                continue;
            };
            // Events are removed from packed rows alone, and of these the newest one stays: rows of `recent` that it covers
            // are known to be over by it when the log is opened.
            if recent.extent(session.key, i64::MAX).is_some()
                && pack::session(conn, recent, session.key)?
            {
                return Ok(Portion::Nothing);
            }
            let upto = floor.min(Seq(first.0 + EVENTS));
            remove(conn, session.key, upto)?;
            self.pruned.events += upto.0 - first.0;
            self.pruned.sessions += u64::from(!self.is_midway);
            self.is_midway = true;
            if upto == floor {
                self.pass(session.key);
            }
            return Ok(Portion::Removed(session.id, upto));
        }
        Ok(Portion::Nothing)
    }

    fn pass(&mut self, key: Key) {
        self.done = key;
        self.is_midway = false;
    }
}

struct Prunable {
    key: Key,
    id: SessionId,
    open_from: Option<Seq>,
}

fn next_session(conn: &Connection, after: Key) -> rusqlite::Result<Option<Prunable>> {
    use rusqlite::OptionalExtension;
    conn.prepare_cached("SELECT k, id, open_from FROM sessions WHERE k > ?1 ORDER BY k LIMIT 1")?
        .query_row([after.0], |row| {
            let id = SessionId::from_uuid(Uuid::from_bytes(row.get(1)?));
            let open_from = row.get::<_, Option<i64>>(2)?.map(|open| Seq(open.unsigned_abs()));
            Ok(Prunable { key: Key(row.get(0)?), id, open_from })
        })
        .optional()
}

impl Prunable {
    /// The first event that there is and the first one to keep; None where they are the same.
    fn floor(
        &self,
        view: &View<'_>,
        retention: &Retention,
    ) -> Result<Option<(Seq, Seq)>, StoreError> {
        let (first, head) = page::extent(view, self.key)?;
        if first > head {
            return Ok(None);
        }
        let queued: Option<i64> = view
            .prepare_cached("SELECT min(id) FROM queue WHERE id BETWEEN ?1 AND ?2")?
            .query_row(self.key.events(), |row| row.get(0))?;
        let needed = self.open_from.into_iter().chain(queued.map(seq)).min();
        let ts = |seq| {
            let line = page::line(view, self.key, seq)?;
            Ok::<_, StoreError>(line.and_then(|line| line_timestamp(&line)))
        };
        let floor = retention.floor((first, head), needed, ts)?;
        Ok((floor > first).then_some((first, floor)))
    }
}

fn remove(conn: &Connection, key: Key, upto: Seq) -> rusqlite::Result<()> {
    let tx = Transaction::new_unchecked(conn, TransactionBehavior::Immediate)?;
    pack::cut(&tx, key, upto)?;
    tx.commit()
}
