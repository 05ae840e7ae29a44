//! The log: the only truth and the only buffer. One trait with its laws, two backends that keep them, and one suite
//! that checks every law on every backend.
//!
//! ```text
//!  append ──> one writer ──> commit ──> feed (head, newest lines, row) ──> tell each `Reader`
//!                              │
//!                              └──> the caller's `Pending` resolves
//!  page, session, … ──> pooled readers
//! ```

#[cfg(test)]
mod conformance;
pub mod doorbell;
pub mod feed;
mod held;
pub mod memory;
pub mod sqlite;

use crate::{
    domain::{
        Draft, MessageId, Seq, Session, SessionId, State, StoreId, Timestamp,
        content::ContentDigest, event::EncodedDraft, session::Queued,
    },
    metrics::StoreMetrics,
};
use bytes::Bytes;
use std::{
    collections::{BTreeMap, BTreeSet},
    future::Future,
    io,
    path::PathBuf,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};
use tokio::sync::{broadcast, oneshot};

pub use doorbell::Reader;
pub use feed::{Snapshot, Watch};
pub use held::Held;

/// A log of events per session, with the row of each session and the ledger of its messages.
///
/// Laws (checked by `conformance`; `n` is a session's head):
///
/// 1. **Dense.** `append` of `k` drafts stores them as `n+1 ..= n+k`, and nobody else assigns numbers.
/// 2. **All or nothing.** The drafts, the row and the ledger of one `append` or `create` become visible together, to
///    every reader and after every crash, or not at all.
/// 3. **Durable before visible.** What a [`Watch`], a page or a resolved [`Pending`] shows survives `kill -9` (with
///    `durability = "full"` also the loss of power).
/// 4. **In order.** Appends take effect in the order in which they were handed over, per session.
/// 5. **Once.** An [`Accept`] of a known message id stores nothing and answers with the first one's seq.
/// 6. **Verbatim.** A line reads the same bytes for ever, whichever way it is read.
/// 7. **Alone.** A session's pages hold that session's events only.
/// 8. **Announced.** After every commit each [`Reader`] watching that session is told, and the watch's snapshot is
///    at least as new. Notifications may be merged and spurious: a reader compares heads.
/// 9. **The ledger follows the log.** A message is queued from its `user.message` until its `message.dispatched` or
///    `message.failed` is appended.
/// 10. **Refusal leaves no trace.** An error of `append` or `create` means that nothing was stored; a dropped
///     [`Pending`] says nothing about the outcome.
/// 11. **Pruned from below.** `prune` takes a session's oldest events and no others: the first one moves up, head and
///     numbering stay. Never taken are the newest event, a queued message's `user.message` and what came after it, and
///     what came since the append whose row first had open work ([`Session::has_open_work`]). The ledger stays.
///
/// A call that names a session answers [`StoreError::Unknown`] where there never was one and [`StoreError::Deleted`]
/// where there was; [`EventLog::create`] and [`EventLog::delete`] say so in their answers.
pub trait EventLog: Send + Sync + 'static {
    /// Identity of the store; cursors of another store are recognised by it.
    fn store_id(&self) -> StoreId;

    /// Stores a new session's row, its first events, and its first message if there is one.
    fn create(&self, create: Create) -> Pending<Created>;

    /// Appends events of an existing session.
    fn append(&self, append: Append) -> Pending<Appended>;

    /// Removes a session with all it has; its id is remembered as deleted. False where there was none.
    fn delete(&self, session: SessionId) -> Pending<bool>;

    /// Removes the events that `retention` does not keep, in the background, a little at a time; answers when it has
    /// been through all sessions.
    fn prune(&self, retention: Retention) -> Pending<Pruned>;

    /// Follows a session: the head, the newest lines and the row in memory, kept new by every commit.
    fn watch(&self, session: SessionId, reader: Arc<dyn Reader>) -> Pending<Watch>;

    /// Answers when all that was handed over before is in the log or refused; writes nothing. A read or a watch by itself may
    /// see the log as it was before an append whose caller has gone. It also shows that the writer is not stuck.
    fn settled(&self) -> Pending<()>;

    /// Reads events in ascending order.
    fn page(&self, query: PageQuery) -> Pending<Page>;

    /// The row of a session, true at `head`.
    fn session(&self, session: SessionId) -> Pending<Stored>;

    /// Rows, newest `updated_at` first, ties by id. A row that cannot be read is not among them: what it would say is not
    /// known, and the others are not to be withheld for it. [`EventLog::session`] says [`StoreError::Damaged`] of it.
    fn sessions(&self, query: SessionQuery) -> Pending<Vec<Stored>>;

    /// What the ledger knows of a message; None where the id was never accepted.
    fn message(&self, session: SessionId, message: MessageId) -> Pending<Option<Receipt>>;

    /// Messages accepted and neither dispatched nor failed, in order of seq.
    fn queued(&self, session: SessionId) -> Pending<Vec<Queued>>;

    /// The content of a queued message, whole, as canonical JSON of its blocks; None once it is not queued any more.
    fn content(&self, session: SessionId, message: MessageId) -> Pending<Option<Bytes>>;

    /// Sessions that are not ENDED, or have queued messages, in any order: what recovery has to look at.
    fn unfinished(&self) -> Pending<Unfinished>;

    /// Writes a copy of the whole log, as it is at one moment after the call, to a file that is not there yet and that
    /// only its owner can read. Reading and writing go on meanwhile; one copy is made at a time.
    fn backup(&self, to: PathBuf) -> Pending<Backup>;

    /// How much there is, counted at one moment.
    fn stats(&self) -> Pending<StoreStats>;

    /// What is free for it on its disk; None where it has none. It asks the file system, and may take as long as that does.
    fn free_bytes(&self) -> io::Result<Option<u64>> {
        Ok(None)
    }

    /// Whether the store can write at this moment: runs an empty write through the writer.
    fn probe(&self) -> Pending<()>;

    /// Sessions that have events which the store did not take yet ([`Watch::hold`]).
    fn held(&self) -> BTreeSet<SessionId>;

    /// What was counted since it was opened.
    fn metrics(&self) -> &StoreMetrics;

    /// How often readers asked for events ([`EventLog::page`]): lets tests show that quiet sessions cost nothing.
    fn pages_read(&self) -> u64 {
        self.metrics().pages_read.get()
    }

    /// Sessions whose row or queue has changed, or that were deleted, after each such commit. A receiver that lags
    /// has missed some and looks at the list again.
    fn changes(&self) -> broadcast::Receiver<SessionId>;

    /// Ends when the writer has ended, which it does by failure only, before [`EventLog::close`].
    fn closed(&self) -> Pin<Box<dyn Future<Output = ()> + Send>>;

    /// Commits what is queued, then closes. Later calls answer [`StoreError::Unavailable`].
    fn close(&self) -> Pending<()>;
}

/// Which events are kept; what is needed still is kept whatever this says (law 11).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// Older events may go; None: none is too old.
    pub since: Option<Timestamp>,
    /// Of each session the newest so many stay, and the others may go; None: none is too many.
    pub events: Option<u64>,
}

/// What a call of [`EventLog::prune`] took away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    pub sessions: u64,
    pub events: u64,
}

impl Retention {
    /// The lowest seq that has to stay of a session with events `first..=head`; `needed` is the lowest that something
    /// under way needs. `ts` tells when an event happened, as far as that is known.
    fn floor<E>(
        &self,
        (first, head): (Seq, Seq),
        needed: Option<Seq>,
        mut ts: impl FnMut(Seq) -> Result<Option<Timestamp>, E>,
    ) -> Result<Seq, E> {
        let mut floor = first;
        if let Some(events) = self.events {
            floor = floor.max(Seq((head.0 + 1).saturating_sub(events.max(1))));
        }
        if let Some(since) = self.since {
            // Times grow with the seq, but for steps of the clock. What has no time is kept.
            let mut is_old = |seq| Ok(ts(seq)?.is_some_and(|ts| ts < since));
            let (mut low, mut high) = (floor, head);
            // Mostly not even the first one is too old.
            if is_old(low)? {
                while low < high {
                    let middle = Seq(low.0 + (high.0 - low.0) / 2);
                    match is_old(middle)? {
                        true => low = middle.next(),
                        false => high = middle,
                    }
                }
            }
            floor = low;
        }
        Ok(floor.min(needed.unwrap_or(head)).min(head))
    }
}

/// A result on its way. Dropping it does not undo what was asked for.
#[derive(Debug)]
pub struct Pending<T>(oneshot::Receiver<Result<T, StoreError>>);

/// The store's end of a [`Pending`].
pub type Answer<T> = oneshot::Sender<Result<T, StoreError>>;

impl<T> Pending<T> {
    pub fn new() -> (Answer<T>, Self) {
        let (answer, pending) = oneshot::channel();
        (answer, Self(pending))
    }

    pub fn ready(result: Result<T, StoreError>) -> Self {
        let (answer, pending) = Self::new();
        // The receiver is in our hand.
        let _ = answer.send(result);
        pending
    }

    /// Waits on a thread that runs no executor.
    pub fn wait(self) -> Result<T, StoreError> {
        self.0.blocking_recv().unwrap_or_else(|_| Err(StoreError::closed()))
    }
}

impl<T> Future for Pending<T> {
    type Output = Result<T, StoreError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0)
            .poll(cx)
            .map(|answer| answer.unwrap_or_else(|_| Err(StoreError::closed())))
    }
}

/// A new session.
#[derive(Debug)]
pub struct Create {
    /// As it stands after `events`.
    pub session: Session,
    pub events: Vec<Entry>,
    /// The first message, if `events` ends with its `user.message`.
    pub accept: Option<Accept>,
}

#[derive(Debug)]
pub enum Created {
    /// Stored; `head` is the seq of its last event.
    New { head: Seq },
    /// The id is taken by this session: the same create again if its `create_digest` is equal.
    Exists(Box<Stored>),
    /// The id belonged to a session that was deleted.
    Deleted,
}

/// Events of one session that belong together.
#[derive(Debug)]
pub struct Append {
    pub session: SessionId,
    pub events: Vec<Entry>,
    /// The session's row as it stands after `events`, where they changed it.
    pub row: Option<Arc<Session>>,
    /// Makes the append conditional: `events` is one `user.message`.
    pub accept: Option<Accept>,
}

/// A draft, encoded by its author's thread, with what the ledger has to know of it.
#[derive(Clone, Debug)]
pub struct Entry {
    pub(crate) encoded: EncodedDraft,
    pub(crate) type_name: &'static str,
    pub(crate) ledger: Option<LedgerChange>,
}

/// What an event does to the ledger of messages (law 9).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum LedgerChange {
    Dispatched(MessageId),
    Failed(MessageId),
}

impl Entry {
    pub fn new(draft: &Draft, max_event_bytes: usize) -> Self {
        use crate::domain::Body;
        let ledger = match &draft.body {
            Body::MessageDispatched { message_id } => {
                Some(LedgerChange::Dispatched(message_id.clone()))
            }
            Body::MessageFailed { message_id, .. } => {
                Some(LedgerChange::Failed(message_id.clone()))
            }
            _ => None,
        };
        Self { encoded: draft.encode(max_event_bytes), type_name: draft.body.type_name(), ledger }
    }

    /// What its line takes in the log.
    pub(crate) fn bytes(&self) -> usize {
        self.encoded.len()
    }
}

/// A message to be entered in the ledger, once.
#[derive(Clone, Debug)]
pub struct Accept {
    pub message_id: MessageId,
    pub digest: ContentDigest,
    pub interrupt: bool,
    /// The whole content as canonical JSON: the event may be cut at `max_event_bytes`, what the agent gets may not.
    pub content: Bytes,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Appended {
    /// Stored; `head` is the seq of its last event. `taken` are the contents of the messages that a
    /// `message.dispatched` among the events took out of the queue, in order: nothing keeps them any longer.
    Stored { head: Seq, taken: Vec<(MessageId, Bytes)> },
    /// The message id was known; nothing was stored.
    Known(Receipt),
}

/// The ledger's entry of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    pub seq: Seq,
    pub digest: ContentDigest,
    pub status: MessageStatus,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageStatus {
    Queued,
    Dispatched,
    Failed,
}

/// A row with what the log knows beside it, all read at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Stored {
    /// The session's short number in this store, never given to another; it stands for the id in cursor tokens.
    pub key: u32,
    pub session: Arc<Session>,
    pub head: Seq,
    /// The lowest seq that is still stored, or `head + 1` where none is.
    pub first: Seq,
    pub queued: u32,
}

/// What [`EventLog::unfinished`] finds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Unfinished {
    pub sessions: Vec<Stored>,
    /// Those whose row cannot be read, and why.
    pub damaged: Vec<(SessionId, StoreError)>,
}

/// The outcome of [`EventLog::backup`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backup {
    /// It is on disk, whole.
    Made { bytes: u64 },
    /// There is a file of this name; it was not touched.
    Exists,
}

/// What a log holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoreStats {
    /// Sessions by state; a state without any is not named.
    pub sessions: BTreeMap<State, u64>,
    /// Messages that are neither dispatched nor failed.
    pub queued: u64,
    /// What the store takes on disk, with what it keeps for reuse; 0 where it keeps nothing there.
    pub bytes: u64,
    /// What is free for it on its disk; None where it has none, or that cannot be told.
    pub free_bytes: Option<u64>,
}

/// Which events to read, and at most how many.
#[derive(Clone, Debug)]
pub struct PageQuery {
    pub session: SessionId,
    pub from: PageFrom,
    pub limit: usize,
    /// A page ends early at this many bytes of lines, but has at least one event.
    pub max_bytes: usize,
    /// Only events of these types; empty: all.
    pub types: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageFrom {
    /// The events after this seq.
    After(Seq),
    /// The last events before this seq, ascending.
    Before(Seq),
    /// The newest events, ascending.
    Newest,
}

/// Events in ascending order.
#[derive(Clone, Debug)]
pub struct Page {
    pub lines: Vec<Line>,
    /// The lowest seq that is still stored, or `head + 1` where none is.
    pub first: Seq,
    pub head: Seq,
    /// Whether there is more in the direction that was asked for.
    pub has_more: bool,
}

/// One stored event: its number and the bytes of its `data:` line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    pub seq: Seq,
    pub bytes: Bytes,
}

#[derive(Clone, Debug, Default)]
pub struct SessionQuery {
    pub state: Option<State>,
    pub agent: Option<String>,
    /// Found in the title, the working directory, the agent's name or the id, without regard to ASCII case.
    pub text: Option<String>,
    /// Only sessions of these profiles.
    pub agents: Option<Vec<String>>,
    /// Only sessions that come after this one in the order of the list.
    pub after: Option<(Timestamp, SessionId)>,
    pub limit: usize,
}

/// Why the store did not do what was asked. Each variant is another decision of the caller.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    #[error("there is no such session")]
    Unknown,
    #[error("the session was deleted")]
    Deleted,
    /// Cannot write or read now; the cause may go away.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// What was read is not what was written.
    #[error("the store is damaged: {0}")]
    Damaged(String),
}

impl StoreError {
    pub(crate) fn closed() -> Self {
        StoreError::Unavailable("it is closed".into())
    }
}
