//! The log in memory: for tests, and as the plain reading of the trait's laws that the other backend is compared to.
//! Everything happens under one lock, in the call; nothing is kept when it is dropped.

use super::{
    Accept, Append, Appended, Backup, Create, Created, Entry, EventLog, LedgerChange, Line,
    MessageStatus, Page, PageFrom, PageQuery, Pending, Pruned, Reader, Receipt, Retention,
    SessionQuery, StoreError, StoreStats, Stored, Unfinished, Watch,
    feed::{Commit, Feeds},
};
use crate::{
    domain::{MessageId, Seq, Session, SessionId, StoreId, event::line_timestamp, session::Queued},
    metrics::StoreMetrics,
};
use bytes::Bytes;
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque},
    convert::Infallible,
    future::Future,
    path::PathBuf,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::sync::{broadcast, watch};
use uuid::Uuid;

#[derive(Debug)]
pub struct MemoryLog {
    store_id: StoreId,
    state: Mutex<State>,
    feeds: Feeds,
    metrics: StoreMetrics,
    is_closed: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct State {
    keys_given: u32,
    sessions: HashMap<SessionId, Log>,
    deleted: HashSet<SessionId>,
    write_fault: Option<StoreError>,
    read_fault: Option<StoreError>,
}

/// One session.
#[derive(Debug)]
struct Log {
    key: u32,
    row: Arc<Session>,
    /// Without those that were pruned; the first one is the event `first`.
    events: VecDeque<Event>,
    first: Seq,
    /// The first event of the append whose row first had open work; None: it has none.
    open_from: Option<Seq>,
    ledger: BTreeMap<MessageId, Message>,
}

#[derive(Debug)]
struct Event {
    type_name: &'static str,
    line: Bytes,
}

#[derive(Debug)]
struct Message {
    receipt: Receipt,
    interrupt: bool,
    content: Bytes,
}

impl Default for MemoryLog {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryLog {
    pub fn new() -> Self {
        Self {
            store_id: StoreId::from_uuid(Uuid::new_v4()),
            state: Mutex::default(),
            feeds: Feeds::default(),
            metrics: StoreMetrics::default(),
            is_closed: watch::Sender::new(false),
        }
    }

    /// Lets every write fail as unavailable for this reason, until None is set: for tests of what a full disk does.
    pub fn fail_writes(&self, reason: Option<&str>) {
        self.lock().write_fault = reason.map(|reason| StoreError::Unavailable(reason.into()));
    }

    /// Lets every read fail as unavailable for this reason, until None is set. Feeds go on: they are in memory.
    pub fn fail_reads(&self, reason: Option<&str>) {
        self.lock().read_fault = reason.map(|reason| StoreError::Unavailable(reason.into()));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write<T>(&self, change: impl FnOnce(&mut State) -> Result<T, StoreError>) -> Pending<T> {
        let mut state = self.lock();
        if *self.is_closed.borrow() {
            return Pending::ready(Err(StoreError::closed()));
        }
        match state.write_fault.clone() {
            Some(fault) => Pending::ready(Err(fault)),
            None => Pending::ready(change(&mut state)),
        }
    }

    fn read<T>(&self, query: impl FnOnce(&State) -> Result<T, StoreError>) -> Pending<T> {
        let state = self.lock();
        if *self.is_closed.borrow() {
            return Pending::ready(Err(StoreError::closed()));
        }
        match state.read_fault.clone() {
            Some(fault) => Pending::ready(Err(fault)),
            None => Pending::ready(query(&state)),
        }
    }
}

impl State {
    fn missing(&self, session: SessionId) -> StoreError {
        if self.deleted.contains(&session) { StoreError::Deleted } else { StoreError::Unknown }
    }

    fn log(&self, session: SessionId) -> Result<&Log, StoreError> {
        self.sessions.get(&session).ok_or_else(|| self.missing(session))
    }

    fn log_mut(&mut self, session: SessionId) -> Result<&mut Log, StoreError> {
        let missing = self.missing(session);
        self.sessions.get_mut(&session).ok_or(missing)
    }
}

impl Log {
    fn head(&self) -> Seq {
        Seq(self.first.0 - 1 + self.events.len() as u64)
    }

    /// Takes over the row that came with the event `from` and those after it.
    fn set_row(&mut self, row: Arc<Session>, from: Seq) {
        self.open_from = row.has_open_work().then(|| self.open_from.unwrap_or(from));
        self.row = row;
    }

    /// Removes what `retention` does not keep; how many events that was.
    fn prune(&mut self, retention: &Retention) -> u64 {
        let queued = self.queued().first().map(|message| message.seq);
        let needed = self.open_from.into_iter().chain(queued).min();
        let ts = |seq: Seq| {
            let event = &self.events[(seq.0 - self.first.0) as usize];
            Ok::<_, Infallible>(line_timestamp(&event.line))
        };
        let Ok(floor) = retention.floor((self.first, self.head()), needed, ts);
        let removed = floor.0 - self.first.0;
        self.events.drain(..removed as usize);
        self.first = floor;
        removed
    }

    fn stored(&self) -> Stored {
        Stored {
            key: self.key,
            session: self.row.clone(),
            head: self.head(),
            first: self.first,
            queued: self.queued().len() as u32,
        }
    }

    fn queued(&self) -> Vec<Queued> {
        let mut queued: Vec<_> = self
            .ledger
            .iter()
            .filter(|(_, message)| message.receipt.status == MessageStatus::Queued)
            .map(|(message_id, message)| Queued {
                message_id: message_id.clone(),
                seq: message.receipt.seq,
                interrupt: message.interrupt,
            })
            .collect();
        queued.sort_by_key(|message| message.seq);
        queued
    }

    /// Adds events; their lines, and the contents of the messages that they dispatch.
    fn add(
        &mut self,
        events: &[Entry],
        accept: Option<&Accept>,
    ) -> (Vec<Bytes>, Vec<(MessageId, Bytes)>) {
        let session = self.row.id;
        let (mut lines, mut taken) = (Vec::new(), Vec::new());
        for entry in events {
            let line = Bytes::from(entry.encoded.line(session, self.head().next()));
            lines.push(line.clone());
            self.events.push_back(Event { type_name: entry.type_name, line });
            let (message_id, status) = match &entry.ledger {
                None => continue,
                Some(LedgerChange::Dispatched(id)) => (id, MessageStatus::Dispatched),
                Some(LedgerChange::Failed(id)) => (id, MessageStatus::Failed),
            };
            if let Some(message) = self.ledger.get_mut(message_id) {
                let was_queued = message.receipt.status == MessageStatus::Queued;
                if was_queued && status == MessageStatus::Dispatched {
                    taken.push((message_id.clone(), message.content.clone()));
                }
                message.receipt.status = status;
            }
        }
        if let Some(accept) = accept {
            let receipt =
                Receipt { seq: self.head(), digest: accept.digest, status: MessageStatus::Queued };
            let message =
                Message { receipt, interrupt: accept.interrupt, content: accept.content.clone() };
            self.ledger.insert(accept.message_id.clone(), message);
        }
        (lines, taken)
    }

    fn page(&self, query: &PageQuery) -> Page {
        let numbered = (self.first.0..).map(Seq).zip(&self.events);
        let mut wanted: Vec<Line> = numbered
            .filter(|(seq, event)| {
                let is_in_range = match query.from {
                    PageFrom::After(after) => *seq > after,
                    PageFrom::Before(before) => *seq < before,
                    PageFrom::Newest => true,
                };
                let types = &query.types;
                is_in_range
                    && (types.is_empty() || types.iter().any(|name| name == event.type_name))
            })
            .map(|(seq, event)| Line { seq, bytes: event.line.clone() })
            .collect();
        let is_ascending = matches!(query.from, PageFrom::After(_));
        if !is_ascending {
            wanted.reverse();
        }
        let mut bytes = 0;
        let fitting = wanted.iter().take(query.limit).enumerate().take_while(|(index, line)| {
            bytes += line.bytes.len();
            *index == 0 || bytes <= query.max_bytes
        });
        let fitting = fitting.count();
        let has_more = fitting < wanted.len();
        wanted.truncate(fitting);
        if !is_ascending {
            wanted.reverse();
        }
        Page { lines: wanted, first: self.first, head: self.head(), has_more }
    }
}

fn matches(query: &SessionQuery, session: &Session) -> bool {
    let has_text = |text: &String| {
        let text = text.to_ascii_lowercase();
        let title = session.title.as_deref().unwrap_or_default();
        [title, &session.cwd, &session.agent, &session.id.to_string()]
            .iter()
            .any(|part| part.to_ascii_lowercase().contains(&text))
    };
    let is_after = |(at, id)| (Reverse(session.updated_at), session.id) > (Reverse(at), id);
    query.state.is_none_or(|state| state == session.state)
        && query.agent.as_ref().is_none_or(|agent| *agent == session.agent)
        && query.agents.as_ref().is_none_or(|agents| agents.contains(&session.agent))
        && query.text.as_ref().is_none_or(has_text)
        && query.after.is_none_or(is_after)
}

impl EventLog for MemoryLog {
    fn store_id(&self) -> StoreId {
        self.store_id
    }

    fn create(&self, create: Create) -> Pending<Created> {
        self.write(|state| {
            let id = create.session.id;
            if let Some(log) = state.sessions.get(&id) {
                return Ok(Created::Exists(Box::new(log.stored())));
            }
            if state.deleted.contains(&id) {
                return Ok(Created::Deleted);
            }
            let row = Arc::new(create.session);
            state.keys_given += 1;
            let mut log = Log {
                key: state.keys_given,
                open_from: row.has_open_work().then_some(Seq(1)),
                row,
                events: VecDeque::new(),
                first: Seq(1),
                ledger: BTreeMap::new(),
            };
            log.add(&create.events, create.accept.as_ref());
            self.metrics.committed(create.events.len() as u64, Duration::ZERO);
            let head = log.head();
            state.sessions.insert(id, log);
            self.feeds.changed(id);
            Ok(Created::New { head })
        })
    }

    fn append(&self, append: Append) -> Pending<Appended> {
        self.write(|state| {
            let log = state.log_mut(append.session)?;
            let known =
                append.accept.as_ref().and_then(|accept| log.ledger.get(&accept.message_id));
            if let Some(message) = known {
                return Ok(Appended::Known(message.receipt));
            }
            let queued_before = log.queued().len() as i32;
            let from = log.head().next();
            let (lines, taken) = log.add(&append.events, append.accept.as_ref());
            self.metrics.committed(lines.len() as u64, Duration::ZERO);
            if let Some(row) = &append.row {
                log.set_row(row.clone(), from);
            }
            let queued_change = log.queued().len() as i32 - queued_before;
            let head = log.head();
            self.feeds.publish(append.session, Commit { lines, row: append.row, queued_change });
            Ok(Appended::Stored { head, taken })
        })
    }

    fn delete(&self, session: SessionId) -> Pending<bool> {
        self.write(|state| {
            let was_there = state.sessions.remove(&session).is_some();
            if was_there {
                state.deleted.insert(session);
                self.feeds.delete(session);
            }
            Ok(was_there)
        })
    }

    fn prune(&self, retention: Retention) -> Pending<Pruned> {
        self.write(|state| {
            let mut pruned = Pruned::default();
            for (session, log) in &mut state.sessions {
                let removed = log.prune(&retention);
                if removed > 0 {
                    pruned.sessions += 1;
                    pruned.events += removed;
                    self.feeds.pruned(*session, log.first);
                }
            }
            Ok(pruned)
        })
    }

    fn watch(&self, session: SessionId, reader: Arc<dyn Reader>) -> Pending<Watch> {
        // Under the lock that every change is made under: the feed is opened between two commits.
        self.read(|state| Ok(self.feeds.open(state.log(session)?.stored(), &reader)))
    }

    fn page(&self, query: PageQuery) -> Pending<Page> {
        self.metrics.pages_read.add(1);
        self.read(|state| Ok(state.log(query.session)?.page(&query)))
    }

    fn session(&self, session: SessionId) -> Pending<Stored> {
        self.read(|state| Ok(state.log(session)?.stored()))
    }

    fn sessions(&self, query: SessionQuery) -> Pending<Vec<Stored>> {
        self.read(|state| {
            let rows = state.sessions.values().filter(|log| matches(&query, &log.row));
            let mut rows: Vec<_> = rows.map(Log::stored).collect();
            rows.sort_by_key(|row| (Reverse(row.session.updated_at), row.session.id));
            rows.truncate(query.limit);
            Ok(rows)
        })
    }

    fn message(&self, session: SessionId, message: MessageId) -> Pending<Option<Receipt>> {
        self.read(|state| Ok(state.log(session)?.ledger.get(&message).map(|found| found.receipt)))
    }

    fn queued(&self, session: SessionId) -> Pending<Vec<Queued>> {
        self.read(|state| Ok(state.log(session)?.queued()))
    }

    fn content(&self, session: SessionId, message: MessageId) -> Pending<Option<Bytes>> {
        self.read(|state| {
            let message = state.log(session)?.ledger.get(&message);
            let queued = message.filter(|found| found.receipt.status == MessageStatus::Queued);
            Ok(queued.map(|found| found.content.clone()))
        })
    }

    fn unfinished(&self) -> Pending<Unfinished> {
        self.read(|state| {
            let rows = state.sessions.values().map(Log::stored);
            let is_unfinished = |row: &Stored| row.session.state.is_live() || row.queued > 0;
            let sessions = rows.filter(is_unfinished).collect();
            Ok(Unfinished { sessions, damaged: Vec::new() })
        })
    }

    fn backup(&self, _: PathBuf) -> Pending<Backup> {
        let reason = "a log in memory has no copy on disk".into();
        Pending::ready(Err(StoreError::Unavailable(reason)))
    }

    fn stats(&self) -> Pending<StoreStats> {
        self.read(|state| {
            let mut stats = StoreStats::default();
            for log in state.sessions.values() {
                *stats.sessions.entry(log.row.state).or_default() += 1;
                stats.queued += log.queued().len() as u64;
            }
            Ok(stats)
        })
    }

    fn settled(&self) -> Pending<()> {
        self.read(|_| Ok(()))
    }

    fn probe(&self) -> Pending<()> {
        self.write(|_| Ok(()))
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
        let mut is_closed = self.is_closed.subscribe();
        Box::pin(async move {
            // An error means that the log itself is gone, which ends it too.
            let _ = is_closed.wait_for(|closed| *closed).await;
        })
    }

    fn close(&self) -> Pending<()> {
        // Taken so that a write that is under way ends first.
        let _state = self.lock();
        if self.is_closed.send_replace(true) {
            return Pending::ready(Err(StoreError::closed()));
        }
        Pending::ready(Ok(()))
    }
}
