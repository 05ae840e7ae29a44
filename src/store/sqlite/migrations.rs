//! The tables, as the list of steps that made them. A step that was released is never changed: the next one is added.

use super::block::Builder;
use rusqlite::{Connection, Transaction, TransactionBehavior};

/// Stands in the header of the file and says whose it is: "SEAW".
pub(super) const APPLICATION_ID: i32 = 0x5345_4157;

/// Step `n` brings a database of version `n` to version `n + 1`.
const STEPS: &[Step] =
    &[Step::Sql(TABLES), Step::Sql(OPEN_FROM), Step::Sql(RUNS), Step::Moving(move_events, EVENTS)];

enum Step {
    Sql(&'static str),
    /// Called until it has nothing left to do, each time in a transaction of its own; then the SQL.
    Moving(fn(&Connection) -> rusqlite::Result<bool>, &'static str),
}

/// An event's key is `k << 32 | seq`: a session's events lie together, in order, and its head is one seek away.
/// The newest event of each session always stays, since the numbering goes on from it.
const TABLES: &str = "
    CREATE TABLE meta (
        name TEXT PRIMARY KEY,
        value ANY NOT NULL
    ) STRICT, WITHOUT ROWID;

    -- AUTOINCREMENT: a key is not given out again while events of a deleted session are still being removed.
    CREATE TABLE sessions (
        k INTEGER PRIMARY KEY AUTOINCREMENT,
        id BLOB NOT NULL UNIQUE,
        state TEXT NOT NULL,
        agent TEXT NOT NULL,
        search TEXT NOT NULL,
        updated_at INTEGER NOT NULL,
        row BLOB NOT NULL
    ) STRICT;
    CREATE INDEX sessions_by_activity ON sessions (updated_at DESC, id);
    CREATE INDEX sessions_live ON sessions (state) WHERE state <> 'ENDED';

    -- k: what is still to be removed of it; NULL: nothing.
    CREATE TABLE deleted (
        id BLOB PRIMARY KEY,
        k INTEGER
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX deleted_unswept ON deleted (k) WHERE k IS NOT NULL;

    CREATE TABLE events (
        id INTEGER PRIMARY KEY,
        type TEXT NOT NULL,
        line BLOB NOT NULL
    ) STRICT;

    CREATE TABLE messages (
        k INTEGER NOT NULL,
        message_id TEXT NOT NULL,
        seq INTEGER NOT NULL,
        digest BLOB NOT NULL,
        status INTEGER NOT NULL,
        PRIMARY KEY (k, message_id)
    ) STRICT, WITHOUT ROWID;

    -- Messages that are neither dispatched nor failed, by the key of their event.
    CREATE TABLE queue (
        id INTEGER PRIMARY KEY,
        message_id TEXT NOT NULL,
        interrupt INTEGER NOT NULL,
        content BLOB NOT NULL
    ) STRICT;
";

/// What retention must not pass: the seq of the first event of the append whose row first had open work. Of rows from
/// before it is not known, and need not be: recovery closes what is open when a server starts.
const OPEN_FROM: &str = "ALTER TABLE sessions ADD COLUMN open_from INTEGER;";

/// Events as runs of lines, with a line end between each two. `recent` is written at its end, a row for all that was committed
/// together; older events move to `packed`, where a session's lie together under the key of their first event.
const RUNS: &str = "
    -- runs: session, first seq, events and bytes of each run in lines, in 8, 4, 4 and 4 bytes, the lowest first.
    CREATE TABLE recent (
        n INTEGER PRIMARY KEY,
        runs BLOB NOT NULL,
        lines BLOB NOT NULL
    ) STRICT;

    CREATE TABLE packed (
        id INTEGER PRIMARY KEY,
        count INTEGER NOT NULL,
        lines BLOB NOT NULL
    ) STRICT;
";

/// A row an event, as it was before.
const EVENTS: &str = "DROP TABLE events;";

/// Packs the next of the events that have a row each. False where there are none.
fn move_events(tx: &Connection) -> rusqlite::Result<bool> {
    let (mut first, mut last) = (None, 0);
    let mut builder = Builder::default();
    {
        let mut statement =
            tx.prepare_cached("SELECT id, line FROM events ORDER BY id LIMIT 4096")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let id: i64 = row.get(0)?;
            let line = row.get_ref(1)?.as_blob()?;
            let is_next = first.is_none() || id == last + 1;
            if !is_next || builder.len() + line.len() > MOVED_BYTES && first.is_some() {
                break;
            }
            first.get_or_insert(id);
            last = id;
            builder.push(|bytes| bytes.extend_from_slice(line));
        }
    }
    let Some(first) = first else { return Ok(false) };
    tx.prepare_cached("INSERT INTO packed (id, count, lines) VALUES (?1, ?2, ?3)")?.execute((
        first,
        builder.count(),
        builder.bytes(),
    ))?;
    tx.prepare_cached("DELETE FROM events WHERE id BETWEEN ?1 AND ?2")?.execute((first, last))?;
    Ok(true)
}

/// How long a row becomes.
const MOVED_BYTES: usize = 32 * 1024;
/// How many rows are made in one transaction.
const MOVED_ROWS: usize = 256;

/// The version that this program writes.
pub(super) fn newest() -> i64 {
    STEPS.len() as i64
}

/// Brings the database from `version` to the newest; each step is one transaction, so that a crash leaves a version
/// from which the next start goes on.
pub(super) fn migrate(conn: &Connection, version: i64) -> rusqlite::Result<()> {
    migrate_to(conn, version, newest())
}

/// The same, as a program would whose newest version is `target`.
pub(super) fn migrate_to(conn: &Connection, version: i64, target: i64) -> rusqlite::Result<()> {
    let wanted = |number: &i64| (version + 1..=target).contains(number);
    for (step, number) in STEPS.iter().zip(1_i64..).filter(|(_, number)| wanted(number)) {
        let begin = || Transaction::new_unchecked(conn, TransactionBehavior::Immediate);
        let sql = match step {
            Step::Sql(sql) => sql,
            Step::Moving(portion, sql) => {
                log::info!("the database is brought to version {number}; this may take a while");
                let mut has_more = true;
                while has_more {
                    let tx = begin()?;
                    for _ in 0..MOVED_ROWS {
                        has_more = portion(&tx)?;
                        if !has_more {
                            break;
                        }
                    }
                    tx.commit()?;
                }
                sql
            }
        };
        let tx = begin()?;
        tx.execute_batch(sql)?;
        tx.pragma_update(None, "application_id", APPLICATION_ID)?;
        tx.pragma_update(None, "user_version", number)?;
        tx.commit()?;
    }
    Ok(())
}
