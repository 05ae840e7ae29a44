//! The log in one SQLite file: one writer thread that commits in groups, and a few reader threads. All SQL of the
//! program is in this room; no decision about sessions ever is.
//!
//! ```text
//!  append, create, delete, watch ──> gate (bounded) ──> writer: begin, stage …, commit ──> feeds ──> answers
//!  page, session, sessions, …    ──> gate (bounded) ──> readers: one read transaction a call
//! ```

mod backup;
mod block;
mod compact;
mod error;
mod file;
mod gate;
mod migrations;
mod open;
mod pace;
mod pack;
mod page;
mod prune;
mod read;
mod recent;
mod restore;
mod row;
mod stage;
mod sweep;
#[cfg(test)]
mod tests;
mod wal;
mod writer;

use super::{
    Answer, Append, Appended, Backup, Create, Created, EventLog, Page, PageQuery, Pending, Pruned,
    Reader, Receipt, Retention, SessionQuery, StoreError, StoreStats, Stored, Unfinished, Watch,
    feed::Feeds,
};
use crate::{
    domain::{MessageId, SessionId, StoreId, session::Queued},
    metrics::StoreMetrics,
};
use backup::Backups;
use bytes::Bytes;
use gate::{Gate, Job, Write};
use recent::{Recent, View};
use row::EncodedRow;
use rusqlite::Connection;
use std::{
    collections::BTreeSet,
    future::Future,
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    pin::Pin,
    sync::Arc,
};
use tokio::sync::{broadcast, watch};

pub use crate::config::Durability;
pub use open::OpenError;
pub use restore::{RestoreError, Restored, restore};

#[derive(Clone, Debug)]
pub struct SqliteOptions {
    /// The database file. Its folder must exist; SQLite keeps `-wal` and `-shm` files beside it.
    pub path: PathBuf,
    pub durability: Durability,
    /// Threads that read, each with its own connection; at least one.
    pub readers: usize,
    /// How many calls may wait for the writer, and as many for the readers, before the next is refused; at least one.
    pub queue: usize,
    /// How many bytes of lines stay in the order of the commits, and in memory, before they are put together by session.
    pub recent_bytes: u64,
}

/// More makes better rows of the sessions' older events; all of it is read when the log is opened.
pub const RECENT_BYTES: u64 = 8 * 1024 * 1024;

/// The log in one SQLite file. Dropping it ends its threads after they have done what is queued.
#[derive(Debug)]
pub struct SqliteLog {
    store_id: StoreId,
    gate: Arc<Gate>,
    feeds: Arc<Feeds>,
    metrics: Arc<StoreMetrics>,
    recent: Arc<Recent>,
    backups: Backups,
    /// Ends when the writer thread does.
    writer: watch::Receiver<()>,
}

impl SqliteLog {
    /// Opens the database, or makes it where there is none (mode 0600), and starts the threads. Blocks: the whole file
    /// is checked. What cannot be used is left as it was, byte for byte.
    pub fn open(options: &SqliteOptions) -> Result<Self, OpenError> {
        open::open(options)
    }

    fn write<T>(&self, write: impl FnOnce(Answer<T>) -> Write) -> Pending<T> {
        let (answer, pending) = Pending::new();
        self.gate.write(Job::Write(write(answer)));
        pending
    }

    fn read<T, Q>(&self, query: Q) -> Pending<T>
    where
        T: Send + 'static,
        Q: FnOnce(&View<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        let (answer, pending) = Pending::<T>::new();
        let recent = Arc::clone(&self.recent);
        self.gate.read(Box::new(move |conn| {
            // Who asked may have gone away while the call waited; thousands do so when a network breaks.
            if !answer.is_closed() {
                let _ = answer.send(conn.and_then(|conn| in_one_moment(conn, &recent, query)));
            }
        }));
        pending
    }
}

/// Runs `query` in one read transaction: all that it sees is of the same commit.
fn in_one_moment<T>(
    conn: &Connection,
    recent: &Recent,
    query: impl FnOnce(&View<'_>) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    // The transaction is rolled back by its drop, in a panic as well, so that the connection can be used again.
    let look = || query(&View::begin(&*conn.unchecked_transaction()?, recent)?);
    catch_unwind(AssertUnwindSafe(look))
        .unwrap_or_else(|_| Err(StoreError::Unavailable("a read panicked".into())))
}

impl EventLog for SqliteLog {
    fn store_id(&self) -> StoreId {
        self.store_id
    }

    fn create(&self, create: Create) -> Pending<Created> {
        let row = EncodedRow::new(&create.session);
        self.write(|answer| Write::Create(Box::new((create, row)), answer))
    }

    fn append(&self, append: Append) -> Pending<Appended> {
        let row = append.row.as_deref().map(EncodedRow::new);
        self.write(|answer| Write::Append(Box::new((append, row)), answer))
    }

    fn delete(&self, session: SessionId) -> Pending<bool> {
        self.write(|answer| Write::Delete(session, answer))
    }

    fn prune(&self, retention: Retention) -> Pending<Pruned> {
        let (answer, pending) = Pending::new();
        self.gate.write(Job::Prune(retention, answer));
        pending
    }

    fn watch(&self, session: SessionId, reader: Arc<dyn Reader>) -> Pending<Watch> {
        if self.gate.is_open()
            && let Some(watch) = self.feeds.join(session, &reader)
        {
            return Pending::ready(Ok(watch));
        }
        let (answer, pending) = Pending::new();
        self.gate.write(Job::Watch(session, reader, answer));
        pending
    }

    fn settled(&self) -> Pending<()> {
        let (answer, pending) = Pending::new();
        self.gate.write(Job::Settled(answer));
        pending
    }

    fn page(&self, query: PageQuery) -> Pending<Page> {
        self.metrics.pages_read.add(1);
        self.read(move |view| page::page(view, &query))
    }

    fn session(&self, session: SessionId) -> Pending<Stored> {
        self.read(move |view| read::stored(view, session))
    }

    fn sessions(&self, query: SessionQuery) -> Pending<Vec<Stored>> {
        self.read(move |view| read::list(view, &query))
    }

    fn message(&self, session: SessionId, message: MessageId) -> Pending<Option<Receipt>> {
        self.read(move |view| read::receipt(view, read::key(view, session)?, &message))
    }

    fn queued(&self, session: SessionId) -> Pending<Vec<Queued>> {
        self.read(move |view| read::queued(view, session))
    }

    fn content(&self, session: SessionId, message: MessageId) -> Pending<Option<Bytes>> {
        self.read(move |view| read::content(view, session, &message))
    }

    fn unfinished(&self) -> Pending<Unfinished> {
        self.read(read::unfinished)
    }

    fn backup(&self, to: PathBuf) -> Pending<Backup> {
        self.backups.begin(to)
    }

    fn stats(&self) -> Pending<StoreStats> {
        self.read(|view| read::stats(view))
    }

    fn free_bytes(&self) -> io::Result<Option<u64>> {
        self.backups.free_bytes().map(Some)
    }

    fn probe(&self) -> Pending<()> {
        self.write(Write::Probe)
    }

    fn held(&self) -> BTreeSet<SessionId> {
        self.feeds.held()
    }

    fn metrics(&self) -> &StoreMetrics {
        &self.metrics
    }

    fn changes(&self) -> broadcast::Receiver<SessionId> {
        self.feeds.changes()
    }

    fn closed(&self) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let mut writer = self.writer.clone();
        Box::pin(async move { while writer.changed().await.is_ok() {} })
    }

    fn close(&self) -> Pending<()> {
        let (answer, pending) = Pending::new();
        self.gate.close(answer);
        pending
    }
}
