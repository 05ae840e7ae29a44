//! Moves events from the table `recent`, where they lie in the order of the commits, into the table `packed`, where a
//! session's lie together: a little at a time, between the groups of the writer. Nobody can tell by reading.

use super::{
    block::{self, Builder, Span},
    page::packed_run,
    recent::{Recent, Run, Size},
    row::{Key, damaged},
};
use crate::domain::Seq;
use rusqlite::{Connection, Transaction, TransactionBehavior, params};

/// How many runs may wait, whatever they hold: each has its place in memory.
const RUNS_MAX: usize = 32 * 1024;
/// A packed row is not made longer than this; one event alone may be.
const BLOCK_BYTES: usize = 32 * 1024;
/// How much is moved in one portion, or removed: little enough that an append that comes meanwhile hardly waits.
pub(super) const PORTION_BYTES: usize = 256 * 1024;

/// Whether it is time to pack: much waits, of which `bytes_max` of lines may, or half of what is in the table is over. With
/// that goes what deleted sessions left there.
pub(super) fn is_due(size: Size, bytes_max: u64) -> bool {
    let is_long = size.runs > RUNS_MAX || size.table > bytes_max;
    is_long || size.table > 0 && size.table >= 2 * size.live
}

/// Whether more comes than is packed: then it goes before what comes next, so that what waits in memory stays bounded.
/// Some portions are no delay.
pub(super) fn is_behind(size: Size, bytes_max: u64) -> bool {
    size.runs > 2 * RUNS_MAX || size.table > 2 * bytes_max + 4 * PORTION_BYTES as u64
}

/// One walk over all sessions that have something to pack. The rows are removed when all are through: they lie in the
/// order of the commits, so that whole pages become free.
#[derive(Debug)]
pub(super) struct Packing {
    /// The last row of this walk.
    upto: i64,
    sessions: Vec<Key>,
}

impl Packing {
    pub(super) fn new(recent: &Recent) -> Self {
        let (upto, sessions) = recent.sessions();
        Self { upto, sessions }
    }

    /// Goes on a little. False where nothing is left to do.
    pub(super) fn portion(&mut self, conn: &Connection, recent: &Recent) -> rusqlite::Result<bool> {
        if self.sessions.is_empty() {
            return remove_rows(conn, recent, self.upto);
        }
        let tx = Transaction::new_unchecked(conn, TransactionBehavior::Immediate)?;
        let (mut moved, mut bytes) = (Vec::new(), 0);
        let mut through = 0;
        for key in self.sessions.iter().rev() {
            let packed = pack(&tx, recent, *key, self.upto)?;
            moved.extend(packed.upto.map(|upto| (*key, upto)));
            bytes += packed.bytes;
            if packed.has_more {
                break;
            }
            through += 1;
            if bytes >= PORTION_BYTES {
                break;
            }
        }
        commit(tx, recent, &moved)?;
        self.sessions.truncate(self.sessions.len() - through);
        Ok(true)
    }
}

/// Packs a portion of one session's events. False where it had none to pack.
pub(super) fn session(conn: &Connection, recent: &Recent, key: Key) -> rusqlite::Result<bool> {
    let (newest, _) = recent.sessions();
    let tx = Transaction::new_unchecked(conn, TransactionBehavior::Immediate)?;
    match pack(&tx, recent, key, newest)?.upto {
        None => Ok(false),
        Some(upto) => commit(tx, recent, &[(key, upto)]).map(|()| true),
    }
}

/// The events change their table for every reader at one moment.
fn commit(tx: Transaction<'_>, recent: &Recent, moved: &[(Key, Seq)]) -> rusqlite::Result<()> {
    let _moving = recent.moving();
    tx.commit()?;
    for (key, upto) in moved {
        recent.packed(*key, *upto);
    }
    Ok(())
}

#[derive(Debug, Default)]
struct Packed {
    /// The last event that was packed.
    upto: Option<Seq>,
    bytes: usize,
    has_more: bool,
}

/// Writes a portion of the session's runs up to the row `upto` as packed rows.
fn pack(tx: &Connection, recent: &Recent, key: Key, upto: i64) -> rusqlite::Result<Packed> {
    let (runs, has_more) = recent.first_runs(key, upto, PORTION_BYTES);
    let Some(first) = runs.first().map(|run| run.span.first) else {
        return Ok(Packed::default());
    };
    let bytes = runs.iter().map(|run| run.lines.len()).sum();
    let mut block = Block { tx, key, first, builder: Builder::default() };
    block.join_last(bytes)?;
    for run in &runs {
        block.add(run)?;
    }
    block.write()?;
    Ok(Packed { upto: runs.last().map(|run| run.span.last()), bytes, has_more })
}

/// A packed row in the making.
struct Block<'a> {
    tx: &'a Connection,
    key: Key,
    first: Seq,
    builder: Builder,
}

impl Block<'_> {
    /// Takes those of the session's last packed rows in that are at most twice as long as what comes after them: so there
    /// are few short rows, and an event is written again a number of times that grows with the logarithm of a row's length.
    fn join_last(&mut self, mut bytes: usize) -> rusqlite::Result<()> {
        let (lowest, highest) = self.key.events();
        let mut joined = None;
        {
            let mut statement = self.tx.prepare_cached(
                "SELECT id, length(lines) FROM packed WHERE id BETWEEN ?1 AND ?2 ORDER BY id DESC",
            )?;
            let mut rows = statement.query((lowest, highest))?;
            while let Some(row) = rows.next()? {
                let length = row.get::<_, u32>(1)? as usize;
                if length > 2 * bytes || length + bytes > BLOCK_BYTES {
                    break;
                }
                bytes += length;
                joined = Some(row.get::<_, i64>(0)?);
            }
        }
        let Some(from) = joined else { return Ok(()) };
        let mut statement = self.tx.prepare_cached(
            "SELECT id, count, lines FROM packed WHERE id BETWEEN ?1 AND ?2 ORDER BY id",
        )?;
        let mut rows = statement.query((from, highest))?;
        while let Some(row) = rows.next()? {
            let (span, lines) = packed_run(row)?;
            self.first = self.first.min(span.first);
            self.builder.extend(lines, span.count);
        }
        self.tx
            .prepare_cached("DELETE FROM packed WHERE id BETWEEN ?1 AND ?2")?
            .execute((from, highest))
            .map(drop)
    }

    fn add(&mut self, run: &Run) -> rusqlite::Result<()> {
        if self.builder.count() > 0 && self.builder.len() + run.lines.len() > BLOCK_BYTES {
            self.write()?;
            self.first = run.span.first;
        }
        self.builder.extend(&run.lines, run.span.count);
        Ok(())
    }

    fn write(&mut self) -> rusqlite::Result<()> {
        let builder = std::mem::take(&mut self.builder);
        let count = builder.count();
        insert(self.tx, self.key, Span { first: self.first, count }, &builder.bytes())
    }
}

pub(super) fn insert(tx: &Connection, key: Key, span: Span, lines: &[u8]) -> rusqlite::Result<()> {
    tx.prepare_cached("INSERT INTO packed (id, count, lines) VALUES (?1, ?2, ?3)")?
        .execute(params![key.event(span.first), span.count, lines])
        .map(drop)
}

/// Removes the oldest rows, of which all is packed. False where none is left.
fn remove_rows(conn: &Connection, recent: &Recent, upto: i64) -> rusqlite::Result<bool> {
    let Some(last) = recent.oldest(upto, PORTION_BYTES) else { return Ok(false) };
    conn.prepare_cached("DELETE FROM recent WHERE n <= ?1")?.execute([last])?;
    recent.removed(last);
    Ok(true)
}

/// Takes the events before `floor` out of the session's packed rows.
pub(super) fn cut(tx: &Connection, key: Key, floor: Seq) -> rusqlite::Result<()> {
    let (lowest, floor_id) = (key.events().0, key.event(floor));
    tx.prepare_cached("DELETE FROM packed WHERE id >= ?1 AND id < ?2 AND id + count <= ?2")?
        .execute((lowest, floor_id))?;
    let mut statement = tx.prepare_cached(
        "DELETE FROM packed WHERE id >= ?1 AND id < ?2 RETURNING id, count, lines",
    )?;
    let mut rows = statement.query((lowest, floor_id))?;
    let mut rest = None;
    while let Some(row) = rows.next()? {
        let (span, lines) = packed_run(row)?;
        let kept = block::rest(lines, span, floor)
            .ok_or_else(|| damaged("a row of events is shorter than it says"))?;
        let span = Span { first: floor, count: span.count - (floor.0 - span.first.0) as u32 };
        rest = Some((span, kept.to_vec()));
    }
    drop(rows);
    match rest {
        None => Ok(()),
        Some((span, lines)) => insert(tx, key, span, &lines),
    }
}
