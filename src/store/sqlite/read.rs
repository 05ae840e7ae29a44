//! The reading half of the SQL. Each function runs within one transaction of its caller's and changes nothing.

use super::{
    super::{MessageStatus, Receipt, SessionQuery, StoreError, StoreStats, Stored, Unfinished},
    file, page,
    recent::View,
    row::{EncodedRow, Key, seq},
};
use crate::domain::{MessageId, SessionId, State, session::Queued};
use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension, Row, named_params, params};
use std::{path::Path, sync::Arc};
use uuid::Uuid;

/// A row with its packed events' ends and its queue. The keys are those of [`Key::events`].
macro_rules! stored_where {
    ($condition:literal) => {
        concat!(
            "SELECT row,
                (SELECT id FROM packed WHERE id BETWEEN k << 32 AND k << 32 | 0xffffffff
                    ORDER BY id LIMIT 1),
                (SELECT id + count - 1 FROM packed WHERE id BETWEEN k << 32 AND k << 32 | 0xffffffff
                    ORDER BY id DESC LIMIT 1),
                (SELECT count(*) FROM queue WHERE id BETWEEN k << 32 AND k << 32 | 0xffffffff),
                k, id
            FROM sessions WHERE ",
            $condition
        )
    };
}

/// A row, or which session's cannot be read and why.
type Decoded = Result<Stored, (SessionId, StoreError)>;

fn decode_stored(view: &View<'_>, row: &Row<'_>) -> rusqlite::Result<Decoded> {
    let end = |column| row.get::<_, Option<i64>>(column).map(|id| id.map(seq));
    let packed = end(1)?.zip(end(2)?);
    let queued = row.get(3)?;
    let key = row.get(4)?;
    let recent = view.recent.extent(Key(i64::from(key)), view.newest);
    let (first, head) = page::joined(packed, recent);
    let id = SessionId::from_uuid(Uuid::from_bytes(row.get(5)?));
    let decoded = EncodedRow::decode(row.get_ref(0)?.as_blob()?);
    Ok(match decoded {
        Ok(session) => Ok(Stored { key, session: Arc::new(session), head, first, queued }),
        Err(error) => Err((id, error)),
    })
}

/// The session's key; [`StoreError::Unknown`] or [`StoreError::Deleted`] where it is not there.
pub(super) fn key(conn: &Connection, session: SessionId) -> Result<Key, StoreError> {
    let id = session.as_uuid().as_bytes();
    let key = conn
        .prepare_cached("SELECT k FROM sessions WHERE id = ?1")?
        .query_row([id], |row| row.get(0))
        .optional()?;
    if let Some(key) = key {
        return Ok(Key(key));
    }
    let was_deleted = conn.prepare_cached("SELECT 1 FROM deleted WHERE id = ?1")?.exists([id])?;
    Err(if was_deleted { StoreError::Deleted } else { StoreError::Unknown })
}

pub(super) fn stored(view: &View<'_>, session: SessionId) -> Result<Stored, StoreError> {
    let key = key(view, session)?;
    let mut statement = view.prepare_cached(stored_where!("k = ?1"))?;
    statement.query_row([key.0], |row| decode_stored(view, row))?.map_err(|(_, error)| error)
}

pub(super) fn unfinished(view: &View<'_>) -> Result<Unfinished, StoreError> {
    // A union, since an OR would read every session there is.
    let sql = stored_where!(
        "k IN (SELECT k FROM sessions WHERE state <> 'ENDED' UNION SELECT id >> 32 FROM queue)
        ORDER BY k"
    );
    let mut unfinished = Unfinished::default();
    for row in view.prepare_cached(sql)?.query_map([], |row| decode_stored(view, row))? {
        match row? {
            Ok(stored) => unfinished.sessions.push(stored),
            Err(damaged) => unfinished.damaged.push(damaged),
        }
    }
    Ok(unfinished)
}

pub(super) fn list(view: &View<'_>, query: &SessionQuery) -> Result<Vec<Stored>, StoreError> {
    // One text for every combination of filters: the order by the index is what makes a page cheap, not the filters.
    let sql = stored_where!(
        "updated_at <= :before_at AND (updated_at < :before_at OR id > :after_id)
            AND (:state IS NULL OR state = :state)
            AND (:agent IS NULL OR agent = :agent)
            AND (:agents IS NULL OR agent IN (SELECT value FROM json_each(:agents)))
            AND (:text IS NULL OR instr(search, :text) > 0)
        ORDER BY updated_at DESC, id"
    );
    let (before_at, after_id) = match &query.after {
        Some((at, id)) => (at.as_millis(), id.as_uuid().as_bytes().as_slice()),
        // Every id comes after the empty one.
        None => (i64::MAX, [].as_slice()),
    };
    view.prepare_cached(sql)?
        .query_map(
            named_params! {
                ":before_at": before_at,
                ":after_id": after_id,
                ":state": query.state.map(|state| state.as_str()),
                ":agent": query.agent,
                ":agents": query.agents.as_deref().map(json_array),
                ":text": query.text.as_ref().map(|text| text.to_ascii_lowercase()),
            },
            |row| decode_stored(view, row),
        )?
        // Counted here and not by SQL: a row that cannot be read takes no other's place. No more are read than are taken.
        .filter_map(|row| row.map(Result::ok).transpose())
        .take(query.limit)
        .map(|row| Ok(row?))
        .collect()
}

pub(super) fn receipt(
    conn: &Connection,
    key: Key,
    message: &MessageId,
) -> Result<Option<Receipt>, StoreError> {
    conn.prepare_cached(
        "SELECT seq, digest, status, EXISTS (SELECT 1 FROM queue WHERE id = k << 32 | seq)
            FROM messages WHERE k = ?1 AND message_id = ?2",
    )?
    .query_row(params![key.0, message.as_str()], |row| {
        Ok((row.get::<_, i64>(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
    })
    .optional()?
    .map(|(event_seq, digest, status, is_queued)| {
        let status = status_of(status, is_queued)?;
        Ok(Receipt { seq: seq(event_seq), digest, status })
    })
    .transpose()
}

/// The status of a message that is queued for as long as the queue has it, and dispatched when it has left it: so dispatching
/// a message does not write its page of the ledger again. A former version wrote 1 then.
pub(super) const ACCEPTED: i64 = 0;
pub(super) const FAILED: i64 = 2;

fn status_of(number: i64, is_queued: bool) -> Result<MessageStatus, StoreError> {
    match number {
        ACCEPTED if is_queued => Ok(MessageStatus::Queued),
        ACCEPTED | 1 => Ok(MessageStatus::Dispatched),
        FAILED => Ok(MessageStatus::Failed),
        _ => Err(StoreError::Damaged(format!("a message has the unknown status {number}"))),
    }
}

pub(super) fn queued(conn: &Connection, session: SessionId) -> Result<Vec<Queued>, StoreError> {
    let key = key(conn, session)?;
    conn.prepare_cached(
        "SELECT id, message_id, interrupt FROM queue WHERE id BETWEEN ?1 AND ?2 ORDER BY id",
    )?
    .query_map(key.events(), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
    .map(|row| {
        let (id, message_id, interrupt): (i64, String, bool) = row?;
        let message_id = MessageId::try_from(message_id)
            .map_err(|error| StoreError::Damaged(format!("a queued message: {error}")))?;
        Ok(Queued { message_id, seq: seq(id), interrupt })
    })
    .collect()
}

pub(super) fn content(
    conn: &Connection,
    session: SessionId,
    message: &MessageId,
) -> Result<Option<Bytes>, StoreError> {
    let key = key(conn, session)?;
    let content = conn
        .prepare_cached(
            "SELECT content FROM queue WHERE id =
                (SELECT k << 32 | seq FROM messages WHERE k = ?1 AND message_id = ?2)",
        )?
        .query_row(params![key.0, message.as_str()], |row| row.get::<_, Vec<u8>>(0))
        .optional()?;
    Ok(content.map(Bytes::from))
}

pub(super) fn stats(conn: &Connection) -> Result<StoreStats, StoreError> {
    let mut stats = StoreStats::default();
    let mut by_state =
        conn.prepare_cached("SELECT state, count(*) FROM sessions GROUP BY state")?;
    let mut rows = by_state.query([])?;
    while let Some(row) = rows.next()? {
        let word: String = row.get(0)?;
        let known = State::ALL.into_iter().find(|state| state.as_str() == word);
        let unknown = || StoreError::Damaged(format!("a session has the unknown state {word}"));
        stats.sessions.insert(known.ok_or_else(unknown)?, count_of(row, 1)?);
    }
    let number = |sql| conn.prepare_cached(sql)?.query_row([], |row| count_of(row, 0));
    stats.queued = number("SELECT count(*) FROM queue")?;
    stats.bytes = number("PRAGMA page_count")? * number("PRAGMA page_size")?;
    stats.free_bytes = conn.path().and_then(|path| file::free_bytes(Path::new(path)).ok());
    Ok(stats)
}

/// SQLite's numbers have a sign; those that count things do not use it.
fn count_of(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    row.get::<_, i64>(column).map(i64::unsigned_abs)
}

/// A list as SQL can take it in one parameter.
fn json_array(items: &[String]) -> String {
    serde_json::to_string(items).expect("strings are JSON")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_that_left_the_queue_is_dispatched_unless_it_failed() {
        for (number, is_queued, expected) in [
            (ACCEPTED, true, MessageStatus::Queued),
            (ACCEPTED, false, MessageStatus::Dispatched),
            // As versions before wrote it.
            (1, false, MessageStatus::Dispatched),
            (FAILED, false, MessageStatus::Failed),
        ] {
            assert_eq!(status_of(number, is_queued).unwrap(), expected);
        }
        assert!(matches!(status_of(3, false), Err(StoreError::Damaged(_))));
    }
}
