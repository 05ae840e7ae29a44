//! Removes what deleted sessions left behind, a little at a time. It is out of sight already: nothing here can be
//! seen by a reader, and where it stops the next start goes on. What they have in rows of `recent` goes with the packing.

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior};

use super::row::Key;

/// Rows removed in one transaction: little enough that an append that comes meanwhile hardly waits.
const ROWS: i64 = 256;

/// Packed rows removed in one transaction: each has many events.
const PACKED_ROWS: i64 = 16;

/// Removes one portion. False where nothing was left.
pub(super) fn portion(conn: &Connection) -> rusqlite::Result<bool> {
    let left = conn
        .prepare_cached("SELECT k FROM deleted WHERE k IS NOT NULL LIMIT 1")?
        .query_row([], |row| row.get(0).map(Key))
        .optional()?;
    let Some(key) = left else { return Ok(false) };
    let tx = Transaction::new_unchecked(conn, TransactionBehavior::Immediate)?;
    if remove(&tx, key)? == 0 {
        tx.prepare_cached("UPDATE deleted SET k = NULL WHERE k = ?1")?.execute([key.0])?;
    }
    tx.commit()?;
    Ok(true)
}

fn remove(tx: &Connection, key: Key) -> rusqlite::Result<usize> {
    let (lowest, highest) = key.events();
    for (sql, rows) in [
        (
            "DELETE FROM packed WHERE id IN
                (SELECT id FROM packed WHERE id BETWEEN ?1 AND ?2 LIMIT ?3)",
            PACKED_ROWS,
        ),
        (
            "DELETE FROM queue WHERE id IN
                (SELECT id FROM queue WHERE id BETWEEN ?1 AND ?2 LIMIT ?3)",
            ROWS,
        ),
    ] {
        let removed = tx.prepare_cached(sql)?.execute((lowest, highest, rows))?;
        if removed > 0 {
            return Ok(removed);
        }
    }
    tx.prepare_cached(
        "DELETE FROM messages WHERE k = ?1 AND message_id IN
            (SELECT message_id FROM messages WHERE k = ?1 LIMIT ?2)",
    )?
    .execute((key.0, ROWS))
}
