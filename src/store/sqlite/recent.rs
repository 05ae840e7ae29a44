//! Which rows of the table `recent` hold which events. That table is written at its end only, whoever appends, and so has
//! no index: this is it, in memory, read from the table when the log is opened. Old rows move on into the table `packed`.
//!
//! ```text
//!  append ──> recent (a row an append, in the order of the commits) ──> packed (larger rows, by session and seq)
//! ```

use super::{block::Span, row::Key};
use crate::domain::Seq;
use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension};
use std::{
    collections::{HashMap, VecDeque},
    ops::{Deref, Range},
    sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

/// A row of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Run {
    /// Its place in the order of the commits.
    pub(super) n: i64,
    pub(super) span: Span,
    pub(super) lines: Lines,
}

/// What a row holds. Of those that this process wrote the lines are in memory still, mostly the same as those of a feed:
/// the sessions' rows lie scattered, and packing would read each page of the table once for every session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Lines {
    Here(Bytes),
    /// So many bytes, to be read from the table.
    OnDisk(u32),
}

impl Lines {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Here(lines) => lines.len(),
            Self::OnDisk(length) => *length as usize,
        }
    }
}

/// Shared by the writer, which alone changes it, and the readers.
#[derive(Debug, Default)]
pub(super) struct Recent {
    rows: Mutex<Rows>,
    /// Readers hold it as long as they look; the writer takes it to move rows elsewhere. Appending needs it not: a reader
    /// leaves out what its transaction does not see yet.
    still: RwLock<()>,
}

#[derive(Debug, Default)]
struct Rows {
    sessions: HashMap<Key, VecDeque<Run>>,
    size: Size,
    /// The last row that was written, and the last one that was committed.
    last: i64,
    committed: i64,
    /// Whose rows were written since.
    staged: Vec<Key>,
    /// Rows of sessions that were deleted.
    orphans: Vec<i64>,
}

/// How much is in the table that the table `packed` does not have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) rows: usize,
    pub(super) bytes: u64,
}

impl Recent {
    /// Reads which rows there are. Blobs are not touched.
    pub(super) fn load(conn: &Connection) -> rusqlite::Result<Self> {
        let mut rows = Rows::default();
        let mut packed: HashMap<Key, Option<Seq>> = HashMap::new();
        let mut statement =
            conn.prepare("SELECT n, k, first, count, length(lines) FROM recent ORDER BY n")?;
        let mut found = statement.query([])?;
        while let Some(row) = found.next()? {
            let (n, key) = (row.get(0)?, Key(row.get(1)?));
            let first = Seq(row.get::<_, u32>(2)?.into());
            let span = Span { first, count: row.get(3)? };
            let run = Run { n, span, lines: Lines::OnDisk(row.get(4)?) };
            rows.last = n;
            let packed_to = match packed.get(&key) {
                Some(known) => *known,
                None => *packed.entry(key).or_insert(packed_to(conn, key)?),
            };
            match packed_to {
                None => rows.orphans.push(n),
                // A death came between the packing and the removal; that removes it later.
                Some(packed_to) if span.last() <= packed_to => {}
                Some(_) => rows.add(key, run),
            }
        }
        rows.staged.clear();
        rows.committed = rows.last;
        Ok(Self { rows: Mutex::new(rows), still: RwLock::default() })
    }

    fn lock(&self) -> MutexGuard<'_, Rows> {
        // Every change under this lock is complete before anything in it can panic.
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a row that is about to be written; its number. It counts when it is committed.
    pub(super) fn add(&self, key: Key, span: Span, lines: Bytes) -> i64 {
        let mut rows = self.lock();
        let n = rows.last + 1;
        rows.add(key, Run { n, span, lines: Lines::Here(lines) });
        n
    }

    pub(super) fn commit(&self) {
        let mut rows = self.lock();
        rows.committed = rows.last;
        rows.staged.clear();
    }

    pub(super) fn rollback(&self) {
        let mut rows = self.lock();
        let committed = rows.committed;
        for key in std::mem::take(&mut rows.staged) {
            rows.take_back(key, committed);
        }
        rows.last = committed;
    }

    /// The session was deleted.
    pub(super) fn forget(&self, key: Key) {
        let mut rows = self.lock();
        while let Some(run) = rows.take_first(key) {
            rows.orphans.push(run.n);
        }
    }

    /// Rows that belong to nobody, at most so many of them.
    pub(super) fn take_orphans(&self, most: usize) -> Vec<i64> {
        let mut rows = self.lock();
        let rest = rows.orphans.len().saturating_sub(most);
        rows.orphans.split_off(rest)
    }

    /// The session's rows up to the row `upto` were packed.
    pub(super) fn packed(&self, key: Key, upto: i64) {
        let mut rows = self.lock();
        while rows.first(key).is_some_and(|run| run.n <= upto) {
            rows.take_first(key);
        }
    }

    pub(super) fn size(&self) -> Size {
        self.lock().size
    }

    /// The last row that was committed, and all sessions that have rows.
    pub(super) fn sessions(&self) -> (i64, Vec<Key>) {
        let rows = self.lock();
        (rows.committed, rows.sessions.keys().copied().collect())
    }

    /// The session's rows up to the row `newest` that hold any of `wanted`, in order.
    pub(super) fn runs(&self, key: Key, newest: i64, wanted: &Range<Seq>) -> Vec<Run> {
        let rows = self.lock();
        let Some(runs) = rows.sessions.get(&key) else { return Vec::new() };
        let from = runs.partition_point(|run| run.span.last() < wanted.start);
        let is_wanted = |run: &&Run| run.n <= newest && run.span.first < wanted.end;
        runs.range(from..).take_while(is_wanted).cloned().collect()
    }

    /// The first and the last seq of the session's rows up to the row `newest`.
    pub(super) fn extent(&self, key: Key, newest: i64) -> Option<(Seq, Seq)> {
        let rows = self.lock();
        let runs = rows.sessions.get(&key)?;
        let seen = runs.partition_point(|run| run.n <= newest).checked_sub(1)?;
        Some((runs.front()?.span.first, runs.get(seen)?.span.last()))
    }

    /// Nobody reads while rows are moved.
    pub(super) fn moving(&self) -> RwLockWriteGuard<'_, ()> {
        self.still.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Rows {
    fn add(&mut self, key: Key, run: Run) {
        self.last = run.n;
        self.staged.push(key);
        self.size.rows += 1;
        self.size.bytes += run.lines.len() as u64;
        self.sessions.entry(key).or_default().push_back(run);
    }

    fn first(&self, key: Key) -> Option<&Run> {
        self.sessions.get(&key)?.front()
    }

    fn take_first(&mut self, key: Key) -> Option<Run> {
        let runs = self.sessions.get_mut(&key)?;
        let run = runs.pop_front();
        self.taken(key, run)
    }

    fn take_back(&mut self, key: Key, committed: i64) {
        while let Some(runs) = self.sessions.get_mut(&key) {
            if runs.back().is_none_or(|run| run.n <= committed) {
                return;
            }
            let run = runs.pop_back();
            self.taken(key, run);
        }
    }

    /// A session without rows has no entry.
    fn taken(&mut self, key: Key, run: Option<Run>) -> Option<Run> {
        if let Some(run) = &run {
            self.size.rows -= 1;
            self.size.bytes -= run.lines.len() as u64;
        }
        if self.sessions.get(&key).is_some_and(VecDeque::is_empty) {
            self.sessions.remove(&key);
        }
        run
    }
}

/// The last seq of the session in the table `packed`, 0 where it has none; None where there is no such session.
fn packed_to(conn: &Connection, key: Key) -> rusqlite::Result<Option<Seq>> {
    let (lowest, highest) = key.events();
    conn.prepare_cached(
        "SELECT coalesce((SELECT (id & 0xffffffff) + count - 1 FROM packed
            WHERE id BETWEEN ?2 AND ?3 ORDER BY id DESC LIMIT 1), 0) FROM sessions WHERE k = ?1",
    )?
    .query_row((key.0, lowest, highest), |row| row.get::<_, u32>(0).map(|last| Seq(last.into())))
    .optional()
}

/// The log at one moment: a transaction, and the rows of `recent` that it sees.
pub(super) struct View<'a> {
    conn: &'a Connection,
    pub(super) recent: &'a Recent,
    /// Later rows are not there yet.
    pub(super) newest: i64,
    _still: Option<RwLockReadGuard<'a, ()>>,
}

impl<'a> View<'a> {
    /// In a transaction of a reader's that has not read yet.
    pub(super) fn begin(tx: &'a Connection, recent: &'a Recent) -> rusqlite::Result<Self> {
        let still = recent.still.read().unwrap_or_else(PoisonError::into_inner);
        // With this read the transaction begins.
        let newest = tx
            .prepare_cached("SELECT coalesce(max(n), 0) FROM recent")?
            .query_row([], |row| row.get(0))?;
        Ok(Self { conn: tx, recent, newest, _still: Some(still) })
    }

    /// The writer sees all, and moves nothing while it looks.
    pub(super) fn of_writer(conn: &'a Connection, recent: &'a Recent) -> Self {
        Self { conn, recent, newest: i64::MAX, _still: None }
    }
}

impl Deref for View<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        self.conn
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Key = Key(1);
    const B: Key = Key(2);

    fn add(recent: &Recent, key: Key, first: u64, count: u32) {
        recent.add(key, Span { first: Seq(first), count }, Bytes::from_static(b"0123456789"));
    }

    fn firsts(recent: &Recent, newest: i64, wanted: Range<u64>) -> Vec<u64> {
        let runs = recent.runs(A, newest, &(Seq(wanted.start)..Seq(wanted.end)));
        runs.iter().map(|run| run.span.first.0).collect()
    }

    #[test]
    fn rows_are_found_by_their_numbers_and_only_by_who_can_see_them() {
        let recent = Recent::default();
        for (key, first, count) in [(A, 1, 2), (B, 1, 1), (A, 3, 1), (A, 4, 3)] {
            add(&recent, key, first, count);
        }
        recent.commit();
        assert_eq!(firsts(&recent, i64::MAX, 0..9), [1, 3, 4]);
        assert_eq!(firsts(&recent, i64::MAX, 2..4), [1, 3]);
        assert_eq!(firsts(&recent, i64::MAX, 3..4), [3]);
        assert_eq!(firsts(&recent, i64::MAX, 6..9), [4]);
        assert!(firsts(&recent, i64::MAX, 7..9).is_empty());
        assert_eq!(firsts(&recent, 3, 0..9), [1, 3]);
        assert_eq!(recent.extent(A, i64::MAX), Some((Seq(1), Seq(6))));
        assert_eq!(recent.extent(A, 3), Some((Seq(1), Seq(3))));
        assert_eq!(recent.extent(A, 0), None);
        assert_eq!(recent.size(), Size { rows: 4, bytes: 40 });
    }

    #[test]
    fn what_was_rolled_back_is_forgotten_and_its_numbers_are_used_again() {
        let recent = Recent::default();
        add(&recent, A, 1, 1);
        recent.commit();
        add(&recent, A, 2, 1);
        add(&recent, B, 1, 1);
        add(&recent, A, 3, 1);
        recent.rollback();
        assert_eq!(firsts(&recent, i64::MAX, 0..9), [1]);
        assert_eq!(recent.extent(B, i64::MAX), None);
        assert_eq!(recent.size(), Size { rows: 1, bytes: 10 });
        recent.rollback();
        assert_eq!(recent.size().rows, 1);
        assert_eq!(recent.add(A, Span { first: Seq(2), count: 1 }, Bytes::new()), 2);
    }

    #[test]
    fn packed_rows_leave_from_the_front_and_those_of_a_deleted_session_are_orphans() {
        let recent = Recent::default();
        for first in 1..=3 {
            add(&recent, A, first, 1);
        }
        recent.commit();
        recent.packed(A, 2);
        assert_eq!(firsts(&recent, i64::MAX, 0..9), [3]);
        recent.packed(A, 2);
        recent.forget(A);
        assert_eq!(recent.size(), Size::default());
        assert_eq!(recent.sessions(), (3, vec![]));
        assert_eq!(recent.take_orphans(9), [3]);
        assert!(recent.take_orphans(9).is_empty());
    }
}
