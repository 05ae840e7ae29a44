//! What is in the table `recent`. A row of it is what a group of the writer's has appended, whoever did; it is written at the
//! table's end only, and read when the log is opened: what is in it is in memory as well, and found there. Old rows move on
//! into the table `packed`.
//!
//! ```text
//!  append ──> recent (a row a group, in the order of the commits) ──> packed (larger rows, by session and seq)
//! ```

use super::{
    block::Span,
    row::{Key, damaged},
};
use crate::domain::Seq;
use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension};
use std::{
    collections::{HashMap, VecDeque},
    ops::{Deref, Range},
    sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

/// Events of one session that were appended together. The lines are mostly the same bytes as those of a feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Run {
    /// The row that it is in: its place in the order of the commits.
    pub(super) n: i64,
    pub(super) span: Span,
    pub(super) lines: Bytes,
}

/// A row as the table has it: which runs it holds, and their lines, one run behind the other.
#[derive(Debug, Default)]
pub(super) struct Row {
    /// Of each run the session, the first seq, the number of events and of bytes.
    pub(super) runs: Vec<u8>,
    pub(super) lines: Vec<u8>,
}

/// How long a run's entry is: one number of eight bytes and three of four, the lowest byte first.
const ENTRY: usize = 20;

impl Row {
    pub(super) fn push(&mut self, key: Key, span: Span, lines: &[u8]) {
        self.runs.extend_from_slice(&key.0.to_le_bytes());
        for number in [span.first.0 as u32, span.count, lines.len() as u32] {
            self.runs.extend_from_slice(&number.to_le_bytes());
        }
        self.lines.extend_from_slice(lines);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// The runs of the row `n`; None where it does not hold what it says.
    pub(super) fn read(self, n: i64) -> Option<Vec<(Key, Run)>> {
        let (entries, rest) = self.runs.as_chunks::<ENTRY>();
        let mut lines = Bytes::from(self.lines);
        let mut runs = Vec::with_capacity(entries.len());
        for entry in entries {
            let number = |at: usize| {
                u32::from_le_bytes([entry[at], entry[at + 1], entry[at + 2], entry[at + 3]])
            };
            let key = Key((i64::from(number(4)) << 32) | i64::from(number(0)));
            let span = Span { first: Seq(number(8).into()), count: number(12) };
            let length = number(16) as usize;
            if span.count == 0 || length > lines.len() {
                return None;
            }
            runs.push((key, Run { n, span, lines: lines.split_to(length) }));
        }
        (rest.is_empty() && lines.is_empty()).then_some(runs)
    }
}

/// Shared by the writer, which alone changes it, and the readers.
#[derive(Debug, Default)]
pub(super) struct Recent {
    rows: Mutex<Rows>,
    /// Readers hold it as long as they look; the writer takes it to move runs elsewhere. Appending needs it not: a reader
    /// leaves out what its transaction does not see yet.
    still: RwLock<()>,
}

#[derive(Debug, Default)]
struct Rows {
    sessions: HashMap<Key, VecDeque<Run>>,
    /// The rows of the table and the bytes of their lines, in order.
    table: VecDeque<(i64, u64)>,
    size: Size,
    /// The last row that was written, and the last one that was committed.
    last: i64,
    committed: i64,
    /// Whose runs were added since.
    staged: Vec<Key>,
}

/// How much there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Size {
    /// Runs that the table `packed` does not have.
    pub(super) runs: usize,
    /// The bytes of their lines.
    pub(super) live: u64,
    /// The bytes of all lines in the table, also of those that are packed or whose session was deleted.
    pub(super) table: u64,
    /// The bytes of all lines that ever were in it.
    pub(super) written: u64,
}

impl Recent {
    /// Reads the table.
    pub(super) fn load(conn: &Connection) -> rusqlite::Result<Self> {
        let mut rows = Rows::default();
        let mut packed: HashMap<Key, Option<Seq>> = HashMap::new();
        let mut statement = conn.prepare("SELECT n, runs, lines FROM recent ORDER BY n")?;
        let mut found = statement.query([])?;
        while let Some(row) = found.next()? {
            let n = row.get(0)?;
            let row = Row { runs: row.get(1)?, lines: row.get(2)? };
            let bytes = row.lines.len() as u64;
            let runs = row.read(n);
            for (key, run) in runs.ok_or_else(|| damaged("a row of events is not what it says"))? {
                let packed_to = match packed.get(&key) {
                    Some(known) => *known,
                    None => *packed.entry(key).or_insert(packed_to(conn, key)?),
                };
                // Else its session was deleted, or a death came between the packing and the removal of the row.
                if packed_to.is_some_and(|packed_to| run.span.last() > packed_to) {
                    rows.add(key, run);
                }
            }
            rows.close(n, bytes);
        }
        rows.staged.clear();
        rows.committed = rows.last;
        Ok(Self { rows: Mutex::new(rows), still: RwLock::default() })
    }

    fn lock(&self) -> MutexGuard<'_, Rows> {
        // Every change under this lock is complete before anything in it can panic.
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a run of the row that is about to be written. It counts when it is committed.
    pub(super) fn add(&self, key: Key, span: Span, lines: Bytes) {
        let mut rows = self.lock();
        let n = rows.last + 1;
        rows.add(key, Run { n, span, lines });
    }

    /// The row with the runs that were added is complete, with so many bytes of lines. Its number.
    pub(super) fn close(&self, bytes: usize) -> i64 {
        let mut rows = self.lock();
        let n = rows.last + 1;
        rows.close(n, bytes as u64);
        n
    }

    pub(super) fn commit(&self) {
        let mut rows = self.lock();
        rows.committed = rows.last;
        rows.staged.clear();
    }

    pub(super) fn rollback(&self) {
        let rows = &mut *self.lock();
        let committed = rows.committed;
        for key in std::mem::take(&mut rows.staged) {
            rows.take_back(key, committed);
        }
        while let Some((_, bytes)) = rows.table.back().filter(|(n, _)| *n > committed) {
            rows.size.table -= *bytes;
            rows.table.pop_back();
        }
        rows.last = committed;
    }

    /// The session was deleted.
    pub(super) fn forget(&self, key: Key) {
        self.lock().take_first(key, |_| true);
    }

    /// The session's events up to the seq `upto` were packed.
    pub(super) fn packed(&self, key: Key, upto: Seq) {
        self.lock().take_first(key, |run| run.span.last() <= upto);
    }

    /// The last of the oldest rows up to the row `upto` that have at most so many bytes together; one row always.
    pub(super) fn oldest(&self, upto: i64, bytes: usize) -> Option<i64> {
        let rows = self.lock();
        let mut sum = 0;
        let is_taken = |(n, length): &&(i64, u64)| {
            let is_first = sum == 0;
            sum += length;
            *n <= upto && (is_first || sum <= bytes as u64)
        };
        rows.table.iter().take_while(is_taken).last().map(|(n, _)| *n)
    }

    /// The rows up to the row `upto` are not in the table any more.
    pub(super) fn removed(&self, upto: i64) {
        let rows = &mut *self.lock();
        while let Some((_, bytes)) = rows.table.front().filter(|(n, _)| *n <= upto) {
            rows.size.table -= *bytes;
            rows.table.pop_front();
        }
    }

    pub(super) fn size(&self) -> Size {
        self.lock().size
    }

    /// The last row that was committed, and all sessions that have runs.
    pub(super) fn sessions(&self) -> (i64, Vec<Key>) {
        let rows = self.lock();
        (rows.committed, rows.sessions.keys().copied().collect())
    }

    /// The session's runs up to the row `newest` that hold any of `wanted`, in order.
    pub(super) fn runs(&self, key: Key, newest: i64, wanted: &Range<Seq>) -> Vec<Run> {
        let rows = self.lock();
        let Some(runs) = rows.sessions.get(&key) else { return Vec::new() };
        let from = runs.partition_point(|run| run.span.last() < wanted.start);
        let is_wanted = |run: &&Run| run.n <= newest && run.span.first < wanted.end;
        runs.range(from..).take_while(is_wanted).cloned().collect()
    }

    /// The session's oldest runs up to the row `newest`, as far as they have at most so many bytes; one always. And
    /// whether there are more.
    pub(super) fn first_runs(&self, key: Key, newest: i64, bytes: usize) -> (Vec<Run>, bool) {
        let rows = self.lock();
        let Some(runs) = rows.sessions.get(&key) else { return (Vec::new(), false) };
        let mut runs = runs.iter().take_while(|run| run.n <= newest).peekable();
        let (mut first, mut sum) = (Vec::new(), 0);
        while let Some(run) = runs.next_if(|run| sum == 0 || sum + run.lines.len() <= bytes) {
            sum += run.lines.len();
            first.push(run.clone());
        }
        (first, runs.peek().is_some())
    }

    /// The first and the last seq of the session's runs up to the row `newest`.
    pub(super) fn extent(&self, key: Key, newest: i64) -> Option<(Seq, Seq)> {
        let rows = self.lock();
        let runs = rows.sessions.get(&key)?;
        let seen = runs.partition_point(|run| run.n <= newest).checked_sub(1)?;
        Some((runs.front()?.span.first, runs.get(seen)?.span.last()))
    }

    /// Nobody reads while runs are moved.
    pub(super) fn moving(&self) -> RwLockWriteGuard<'_, ()> {
        self.still.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Rows {
    fn add(&mut self, key: Key, run: Run) {
        self.staged.push(key);
        self.size.runs += 1;
        self.size.live += run.lines.len() as u64;
        self.sessions.entry(key).or_default().push_back(run);
    }

    fn close(&mut self, n: i64, bytes: u64) {
        self.last = n;
        self.table.push_back((n, bytes));
        self.size.table += bytes;
        self.size.written += bytes;
    }

    /// Forgets the session's oldest runs, as long as they are to be.
    fn take_first(&mut self, key: Key, is_taken: impl Fn(&Run) -> bool) {
        self.take(key, |runs| {
            runs.front().is_some_and(&is_taken).then(|| runs.pop_front()).flatten()
        });
    }

    fn take_back(&mut self, key: Key, committed: i64) {
        self.take(key, |runs| {
            runs.back().is_some_and(|run| run.n > committed).then(|| runs.pop_back()).flatten()
        });
    }

    fn take(&mut self, key: Key, next: impl Fn(&mut VecDeque<Run>) -> Option<Run>) {
        let Some(runs) = self.sessions.get_mut(&key) else { return };
        while let Some(run) = next(runs) {
            self.size.runs -= 1;
            self.size.live -= run.lines.len() as u64;
        }
        // A session without runs has no entry.
        if runs.is_empty() {
            self.sessions.remove(&key);
        }
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

    /// A row with one run.
    fn row(recent: &Recent, key: Key, first: u64, count: u32) {
        add(recent, key, first, count);
        recent.close(10);
    }

    fn firsts(recent: &Recent, newest: i64, wanted: Range<u64>) -> Vec<u64> {
        let runs = recent.runs(A, newest, &(Seq(wanted.start)..Seq(wanted.end)));
        runs.iter().map(|run| run.span.first.0).collect()
    }

    #[test]
    fn runs_are_found_by_their_numbers_and_only_by_who_can_see_them() {
        let recent = Recent::default();
        for (key, first, count) in [(A, 1, 2), (B, 1, 1), (A, 3, 1), (A, 4, 3)] {
            row(&recent, key, first, count);
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
        assert_eq!(recent.size(), Size { runs: 4, live: 40, table: 40, written: 40 });
        let first = |newest, bytes| {
            let (runs, has_more) = recent.first_runs(A, newest, bytes);
            (runs.iter().map(|run| run.span.first.0).collect::<Vec<_>>(), has_more)
        };
        assert_eq!(first(i64::MAX, 5), (vec![1], true));
        assert_eq!(first(i64::MAX, 20), (vec![1, 3], true));
        assert_eq!(first(3, 20), (vec![1, 3], false));
        assert_eq!(first(i64::MAX, 30), (vec![1, 3, 4], false));
    }

    #[test]
    fn what_was_rolled_back_is_forgotten_and_its_numbers_are_used_again() {
        let recent = Recent::default();
        row(&recent, A, 1, 1);
        recent.commit();
        row(&recent, A, 2, 1);
        add(&recent, B, 1, 1);
        row(&recent, A, 3, 1);
        add(&recent, A, 4, 1);
        recent.rollback();
        assert_eq!(firsts(&recent, i64::MAX, 0..9), [1]);
        assert_eq!(recent.extent(B, i64::MAX), None);
        assert_eq!(recent.size(), Size { runs: 1, live: 10, table: 10, written: 30 });
        recent.rollback();
        assert_eq!(recent.size().runs, 1);
        add(&recent, A, 2, 1);
        assert_eq!(recent.close(10), 2);
    }

    #[test]
    fn packed_runs_leave_from_the_front_and_those_of_a_deleted_session_at_once() {
        let recent = Recent::default();
        for first in 1..=3 {
            row(&recent, A, first, 1);
        }
        recent.commit();
        recent.packed(A, Seq(2));
        assert_eq!(firsts(&recent, i64::MAX, 0..9), [3]);
        recent.packed(A, Seq(2));
        recent.forget(A);
        assert_eq!(recent.size(), Size { runs: 0, live: 0, table: 30, written: 30 });
        assert_eq!(recent.sessions(), (3, vec![]));
        assert_eq!(recent.oldest(3, 1), Some(1));
        assert_eq!(recent.oldest(3, 20), Some(2));
        assert_eq!(recent.oldest(2, 100), Some(2));
        recent.removed(2);
        assert_eq!((recent.size().table, recent.oldest(2, 100)), (10, None));
    }

    #[test]
    fn a_row_is_read_as_it_was_written_and_refused_where_it_is_not_what_it_says() {
        let row = || {
            let mut row = Row::default();
            row.push(Key(1 << 40), Span { first: Seq(7), count: 2 }, b"a\nbb");
            row.push(B, Span { first: Seq(u32::MAX.into()), count: 1 }, b"c");
            row
        };
        let runs = row().read(9).unwrap();
        let shown: Vec<_> = runs
            .iter()
            .map(|(key, run)| (key.0, run.span.first.0, run.span.count, &run.lines[..]))
            .collect();
        assert_eq!(shown, [(1 << 40, 7, 2, &b"a\nbb"[..]), (2, u32::MAX.into(), 1, &b"c"[..])]);
        assert!(runs.iter().all(|(_, run)| run.n == 9));
        let damaged = |change: fn(&mut Row)| {
            let mut row = row();
            change(&mut row);
            row.read(9).is_none()
        };
        assert!(damaged(|row| row.lines.truncate(3)));
        assert!(damaged(|row| row.lines.push(b'x')));
        assert!(damaged(|row| row.runs.truncate(39)));
        assert!(damaged(|row| row.runs[12..16].fill(0)));
        assert!(damaged(|row| row.runs[16] = 200));
    }
}
