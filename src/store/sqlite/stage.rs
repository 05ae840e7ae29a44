//! The writing half of the SQL: what each job puts into the group's transaction. Nothing is visible before the writer
//! has committed it, and nothing here commits.

use super::{
    super::{
        Accept, Append, Appended, Create, Created, Entry, LedgerChange, MessageStatus, Receipt,
        StoreError, feed::Commit,
    },
    block::{Builder, Span},
    page, read,
    recent::{Recent, Row, View},
    row::{EncodedRow, Key, SEQ_MAX},
};
use crate::domain::{MessageId, Seq, SessionId};
use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension, params};
use std::{collections::HashMap, ops::Range};

/// How many sessions' places are remembered; beyond it all are forgotten and looked up again.
const PLACES_MAX: usize = 16 * 1024;

/// After so many bytes an append goes on in another run: a line that somebody keeps in memory keeps its run there.
const RUN_BYTES: usize = 32 * 1024;
/// After so many bytes a group goes on in another row.
const ROW_BYTES: usize = 256 * 1024;

/// Why a job was not staged.
pub(super) enum Stop {
    /// For a reason of its own, found before it wrote anything: the group goes on without it.
    Refused(StoreError),
    /// The transaction cannot be relied on any more: the group fails.
    Failed(StoreError),
}

impl From<rusqlite::Error> for Stop {
    fn from(error: rusqlite::Error) -> Self {
        Stop::Failed(error.into())
    }
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unknown | StoreError::Deleted => Stop::Refused(error),
            StoreError::Unavailable(_) | StoreError::Damaged(_) => Stop::Failed(error),
        }
    }
}

/// Where a session's next event goes.
#[derive(Clone, Copy, Debug)]
struct Place {
    key: Key,
    head: Seq,
    /// What was written last of what its row is found by.
    state: Option<&'static str>,
}

impl Place {
    /// Refuses what there are no numbers for, before anything of it is written.
    fn has_room(&self, session: SessionId, events: usize) -> Result<(), Stop> {
        if self.head.0 + events as u64 <= SEQ_MAX.0 {
            return Ok(());
        }
        Err(Stop::Refused(StoreError::Unavailable(format!(
            "session {session} has {} events and can have {SEQ_MAX} at most; go on in a new session",
            self.head
        ))))
    }
}

/// The places of the sessions written to lately, as of the transaction that is being staged. After a rollback they
/// are wrong and have to be forgotten.
#[derive(Debug, Default)]
pub(super) struct Places(HashMap<SessionId, Place>);

impl Places {
    pub(super) fn forget_all(&mut self) {
        self.0.clear();
    }

    fn find(&mut self, view: &View<'_>, session: SessionId) -> Result<Place, Stop> {
        if let Some(place) = self.0.get(&session) {
            return Ok(*place);
        }
        let key = read::key(view, session)?;
        let (_, head) = page::extent(view, key)?;
        let place = Place { key, head, state: None };
        self.keep(session, place);
        Ok(place)
    }

    fn keep(&mut self, session: SessionId, place: Place) {
        if self.0.len() >= PLACES_MAX {
            self.0.clear();
        }
        self.0.insert(session, place);
    }
}

/// What becomes visible with the commit.
#[derive(Debug)]
pub(super) enum Change {
    Committed(SessionId, Commit),
    /// With so many events.
    Created(SessionId, u64),
    Deleted(SessionId, Key),
}

impl Change {
    /// How many events it has added.
    pub(super) fn events(&self) -> u64 {
        match self {
            Self::Committed(_, commit) => commit.lines.len() as u64,
            Self::Created(_, events) => *events,
            Self::Deleted(..) => 0,
        }
    }
}

/// Events of one session that were staged.
#[derive(Default)]
struct Staged {
    lines: Vec<Bytes>,
    /// By how much the queue has changed.
    queued_change: i32,
    taken: Vec<(MessageId, Bytes)>,
}

/// Lines of one run in the making.
struct Run {
    builder: Builder,
    /// Where each of them is.
    lines: Vec<Range<usize>>,
}

impl Run {
    /// With room for `events`, as far as they go into one run.
    fn of(events: &[Entry]) -> Self {
        let bytes: usize = events.iter().map(|entry| entry.bytes() + 1).sum();
        let builder = Builder::with_capacity(bytes.min(2 * RUN_BYTES));
        Self { builder, lines: Vec::with_capacity(events.len()) }
    }

    fn is_full(&self) -> bool {
        self.builder.len() >= RUN_BYTES
    }

    fn push(&mut self, entry: &Entry, session: SessionId, seq: Seq) {
        let write = |bytes: &mut Vec<u8>| entry.encoded.write_line(session, seq, bytes);
        self.lines.push(self.builder.push(write));
    }
}

/// A group's transaction in the making.
pub(super) struct Stage<'a> {
    pub(super) tx: &'a Connection,
    pub(super) recent: &'a Recent,
    /// What was appended and is not in the table yet.
    row: Row,
    places: &'a mut Places,
    changes: &'a mut Vec<Change>,
}

impl<'a> Stage<'a> {
    pub(super) fn new(
        tx: &'a Connection,
        recent: &'a Recent,
        places: &'a mut Places,
        changes: &'a mut Vec<Change>,
    ) -> Self {
        Self { tx, recent, row: Row::default(), places, changes }
    }

    /// All jobs of the group are staged.
    pub(super) fn finish(mut self) -> rusqlite::Result<()> {
        self.write_row()
    }

    fn view(&self) -> View<'a> {
        View::of_writer(self.tx, self.recent)
    }

    pub(super) fn create(&mut self, create: &Create, row: &EncodedRow) -> Result<Created, Stop> {
        let id = create.session.id;
        match read::key(self.tx, id) {
            Ok(_) => return Ok(Created::Exists(Box::new(read::stored(&self.view(), id)?))),
            Err(StoreError::Deleted) => return Ok(Created::Deleted),
            Err(StoreError::Unknown) => {}
            Err(error) => return Err(error.into()),
        }
        self.tx
            .prepare_cached(
                "INSERT INTO sessions (id, state, agent, search, updated_at, row, open_from)
                    VALUES (?1, ?2, ?3, ?4, ?5, ?6, iif(?7, 1, NULL))",
            )?
            .execute(params![
                id.as_uuid().as_bytes(),
                row.state,
                row.agent,
                row.search,
                row.updated_at,
                row.json,
                row.has_open_work
            ])?;
        let key = Key(self.tx.last_insert_rowid());
        let mut place = Place { key, head: Seq::ZERO, state: Some(row.state) };
        if let Some(accept) = &create.accept {
            self.accept(place, create.events.len(), accept)?;
        }
        // A session that is new has no feed to tell and no queue to take from.
        self.events(id, &mut place, &create.events)?;
        self.places.keep(id, place);
        self.changes.push(Change::Created(id, create.events.len() as u64));
        Ok(Created::New { head: place.head })
    }

    pub(super) fn append(
        &mut self,
        append: &Append,
        row: Option<&EncodedRow>,
    ) -> Result<Appended, Stop> {
        let mut place = self.places.find(&self.view(), append.session)?;
        place.has_room(append.session, append.events.len())?;
        if let Some(accept) = &append.accept
            && let Some(first) = self.accept(place, append.events.len(), accept)?
        {
            return Ok(Appended::Known(first));
        }
        let from = place.head.next();
        let Staged { lines, mut queued_change, taken } =
            self.events(append.session, &mut place, &append.events)?;
        queued_change += i32::from(append.accept.is_some());
        if let Some(row) = row {
            self.row(&mut place, row, from)?;
        }
        self.places.keep(append.session, place);
        let commit = Commit { lines, row: append.row.clone(), queued_change };
        self.changes.push(Change::Committed(append.session, commit));
        Ok(Appended::Stored { head: place.head, taken })
    }

    /// Takes the session away at once and leaves its events to the sweep: a long log must not hold up the writer.
    pub(super) fn delete(&mut self, session: SessionId) -> Result<bool, Stop> {
        let key = match read::key(self.tx, session) {
            Ok(key) => key,
            Err(StoreError::Unknown | StoreError::Deleted) => return Ok(false),
            Err(error) => return Err(error.into()),
        };
        self.tx.prepare_cached("DELETE FROM sessions WHERE k = ?1")?.execute([key.0])?;
        self.tx
            .prepare_cached("INSERT INTO deleted (id, k) VALUES (?1, ?2)")?
            .execute(params![session.as_uuid().as_bytes(), key.0])?;
        self.places.0.remove(&session);
        self.changes.push(Change::Deleted(session, key));
        Ok(true)
    }

    /// Writes a page, so that a disk that cannot be written to is found out.
    pub(super) fn probe(&mut self) -> Result<(), Stop> {
        self.tx
            .prepare_cached(
                "INSERT INTO meta (name, value) VALUES ('probes', 1)
                    ON CONFLICT (name) DO UPDATE SET value = value + 1",
            )?
            .execute([])?;
        Ok(())
    }

    /// Numbers and stores events; moves `place` on.
    fn events(
        &mut self,
        session: SessionId,
        place: &mut Place,
        events: &[Entry],
    ) -> Result<Staged, Stop> {
        let mut staged = Staged::default();
        let mut run = Run::of(events);
        for entry in events {
            if run.is_full() {
                self.run(place, std::mem::replace(&mut run, Run::of(&[])), &mut staged)?;
            }
            place.head = place.head.next();
            run.push(entry, session, place.head);
            let (message_id, status) = match &entry.ledger {
                None => continue,
                Some(LedgerChange::Dispatched(id)) => (id, MessageStatus::Dispatched),
                Some(LedgerChange::Failed(id)) => (id, MessageStatus::Failed),
            };
            let Some(content) = self.settle(place.key, message_id, status)? else {
                continue;
            };
            staged.queued_change -= 1;
            if status == MessageStatus::Dispatched {
                staged.taken.push((message_id.clone(), content));
            }
        }
        self.run(place, run, &mut staged)?;
        Ok(staged)
    }

    /// Stores a run of lines, which ends with the session's newest event.
    fn run(&mut self, place: &Place, run: Run, staged: &mut Staged) -> Result<(), Stop> {
        let count = run.builder.count();
        if count == 0 {
            return Ok(());
        }
        let span = Span { first: Seq(place.head.0 + 1 - u64::from(count)), count };
        // The very bytes that are stored are those that are published.
        let bytes = Bytes::from(run.builder.bytes());
        self.row.push(place.key, span, &bytes);
        self.recent.add(place.key, span, bytes.clone());
        staged.lines.extend(run.lines.into_iter().map(|range| bytes.slice(range)));
        if self.row.lines.len() >= ROW_BYTES {
            self.write_row()?;
        }
        Ok(())
    }

    fn write_row(&mut self) -> rusqlite::Result<()> {
        if self.row.is_empty() {
            return Ok(());
        }
        let row = std::mem::take(&mut self.row);
        let n = self.recent.close(row.lines.len());
        self.tx
            .prepare_cached("INSERT INTO recent (n, runs, lines) VALUES (?1, ?2, ?3)")?
            .execute(params![n, row.runs, row.lines])
            .map(drop)
    }

    /// Enters a message in the ledger and the queue, under the seq of the last of the `events` that come with it. Its first
    /// receipt, where it is known: then nothing was written.
    fn accept(
        &self,
        place: Place,
        events: usize,
        accept: &Accept,
    ) -> Result<Option<Receipt>, Stop> {
        let seq = Seq(place.head.0 + events as u64);
        let message_id = accept.message_id.as_str();
        let entered = self
            .tx
            .prepare_cached(
                "INSERT INTO messages (k, message_id, seq, digest, status)
                    VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING",
            )?
            .execute(params![
                place.key.0,
                message_id,
                seq_column(seq),
                accept.digest,
                read::ACCEPTED
            ])?;
        if entered == 0 {
            return Ok(read::receipt(self.tx, place.key, &accept.message_id)?);
        }
        self.tx
            .prepare_cached(
                "INSERT INTO queue (id, message_id, interrupt, content) VALUES (?1, ?2, ?3, ?4)",
            )?
            .execute(params![
                place.key.event(seq),
                message_id,
                accept.interrupt,
                &accept.content[..]
            ])?;
        Ok(None)
    }

    /// Takes a message out of the queue, which mostly is all that says that it is dispatched. Its content; None if it had left before.
    fn settle(
        &self,
        key: Key,
        message: &MessageId,
        status: MessageStatus,
    ) -> Result<Option<Bytes>, Stop> {
        // DELETE … RETURNING would make a table in between, each time.
        let found = self
            .tx
            .prepare_cached(
                "SELECT id, content FROM queue WHERE id =
                    (SELECT k << 32 | seq FROM messages WHERE k = ?1 AND message_id = ?2)",
            )?
            .query_row(params![key.0, message.as_str()], |row| {
                Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?))
            })
            .optional()?;
        if let Some((id, _)) = found {
            self.tx.prepare_cached("DELETE FROM queue WHERE id = ?1")?.execute([id])?;
        }
        let has_failed = status == MessageStatus::Failed;
        if has_failed || found.is_none() {
            let number = if has_failed { read::FAILED } else { read::ACCEPTED };
            self.tx
                .prepare_cached("UPDATE messages SET status = ?3 WHERE k = ?1 AND message_id = ?2")?
                .execute(params![key.0, message.as_str(), number])?;
        }
        Ok(found.map(|(_, content)| Bytes::from(content)))
    }

    /// Stores the row that came with the event `from` and those after it.
    fn row(&self, place: &mut Place, row: &EncodedRow, from: Seq) -> Result<(), Stop> {
        let k = place.key.0;
        // Where it is the same, as mostly, the index of the live sessions is left alone.
        if place.state != Some(row.state) {
            self.tx
                .prepare_cached("UPDATE sessions SET state = ?2 WHERE k = ?1")?
                .execute(params![k, row.state])?;
            place.state = Some(row.state);
        }
        self.tx
            .prepare_cached(
                "UPDATE sessions SET agent = ?2, search = ?3, updated_at = ?4, row = ?5,
                    open_from = iif(?6, coalesce(open_from, ?7), NULL) WHERE k = ?1",
            )?
            .execute(params![
                k,
                row.agent,
                row.search,
                row.updated_at,
                row.json,
                row.has_open_work,
                seq_column(from)
            ])?;
        Ok(())
    }
}

/// Seqs in the log have 32 bits.
fn seq_column(seq: Seq) -> i64 {
    seq.min(SEQ_MAX).0 as i64
}
