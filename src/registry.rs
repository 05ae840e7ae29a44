//! The registry: which sessions have an actor, which streams are open and how far they are; the sync tick and the
//! replay cap. It keeps the book, never the bytes.

pub(crate) mod actor;
pub mod connections;
#[cfg(test)]
mod interleavings;
pub mod recovery;
pub mod replay;
pub(crate) mod retention;

use crate::{
    domain::{ConnectionId, ContentBlock, MessageId, Session, SessionId, Timestamp},
    session::{Refusal, Reply, Request},
    store::Stored,
    supervise::record::{Record, Standing},
    wire::admin::TickReport,
};
use actix::{Addr, Message};
use actor::RegistryActor;
use connections::Connection;
use std::{collections::BTreeMap, sync::Arc};
use tokio::sync::{Semaphore, oneshot, watch};

/// Requests that may be on their way through the actors at a time, over all sessions.
const ASKS_UNDER_WAY: usize = 8192;

/// A session to be made.
#[derive(Clone, Debug)]
pub struct NewSession {
    pub id: SessionId,
    /// The profile's name.
    pub agent: String,
    pub cwd: Option<String>,
    pub title: Option<String>,
    pub env: BTreeMap<String, String>,
    pub message: Option<(MessageId, Vec<ContentBlock>)>,
    /// SHA-256 over the creating body: the same id with the same digest is the same call again.
    pub digest: [u8; 32],
    /// The credential's name.
    pub by: String,
}

#[derive(Clone, Debug)]
pub struct CreatedSession {
    pub stored: Stored,
    /// False where the session was there already.
    pub is_new: bool,
    /// The receipt of the first message, if one was given.
    pub receipt: Option<Reply>,
}

/// The way to the registry for all who are not actors; survives the registry's restarts.
#[derive(Clone, Debug)]
pub struct Registry(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    current: watch::Sender<Option<Addr<RegistryActor>>>,
    draining: watch::Sender<bool>,
    root: watch::Sender<Option<Root>>,
    permits: Semaphore,
}

/// A stream in the book of whichever registry there is. Dropping it takes the stream out, and it alone; that never waits.
#[must_use]
#[derive(Debug)]
pub struct Entered {
    registry: Registry,
    connection: Arc<Connection>,
}

impl Entered {
    pub(crate) fn new(registry: Registry, connection: Arc<Connection>) -> Self {
        Self { registry, connection }
    }

    pub fn connection(&self) -> &Arc<Connection> {
        &self.connection
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.connection.set_ended();
        if let Some(registry) = &*self.registry.0.current.borrow() {
            registry.do_send(actor::Closed { connection: self.connection.id });
        }
    }
}

impl Default for Registry {
    fn default() -> Self {
        Self::new()
    }
}

impl Registry {
    /// A way that leads nowhere until a registry is started.
    pub fn new() -> Self {
        Self(Arc::new(Inner {
            current: watch::Sender::new(None),
            draining: watch::Sender::new(false),
            root: watch::Sender::new(None),
            permits: Semaphore::new(ASKS_UNDER_WAY),
        }))
    }

    pub(crate) fn set_current(&self, addr: Option<Addr<RegistryActor>>) {
        self.0.current.send_replace(addr);
    }

    pub(crate) fn set_root(&self, root: Root) {
        self.0.root.send_replace(Some(root));
    }

    /// The supervisor and the registry's record; None before there is one.
    pub fn root(&self) -> Option<Root> {
        self.0.root.borrow().clone()
    }

    pub(crate) fn current(&self) -> Option<Addr<RegistryActor>> {
        self.0.current.borrow().clone()
    }

    /// Changes when another registry has taken over: streams register anew then.
    pub(crate) fn generations(&self) -> watch::Receiver<Option<Addr<RegistryActor>>> {
        self.0.current.subscribe()
    }

    /// Whether the server takes no new work, and when that changes.
    pub fn draining(&self) -> watch::Receiver<bool> {
        self.0.draining.subscribe()
    }

    /// True where that is a change.
    pub fn set_draining(&self, draining: bool) -> bool {
        self.0.draining.send_if_modified(|now| std::mem::replace(now, draining) != draining)
    }

    /// Makes a session, once: the same id and digest again answers with the same session.
    pub async fn create(&self, new: NewSession) -> Result<CreatedSession, Refusal> {
        self.call(|answer| actor::Create { new, answer }).await
    }

    /// Finds the session's actor, or wakes it from its row, and asks it.
    pub async fn ask(
        &self,
        session: SessionId,
        by: &str,
        request: Request,
    ) -> Result<Reply, Refusal> {
        let by = by.to_owned();
        self.call(|answer| actor::AskSession { session, by, request, answer }).await
    }

    /// Puts a stream into the book, where it stays until what comes back is dropped.
    pub async fn open(&self, connection: Arc<Connection>) -> Result<Entered, StreamRefusal> {
        // Before it waits: who asks may go away when the registry has answered already.
        let entered = Entered::new(self.clone(), connection.clone());
        self.enter(connection).await?;
        Ok(entered)
    }

    /// Puts a stream into the book of a registry that does not know it yet.
    pub(crate) async fn enter(&self, connection: Arc<Connection>) -> Result<(), StreamRefusal> {
        let (answer, opened) = oneshot::channel();
        self.tell(actor::Open { connection, answer }).await.map_err(|_| StreamRefusal::Busy)?;
        opened.await.unwrap_or(Err(StreamRefusal::Busy))
    }

    /// The client goes to the background. False where this credential has no such stream.
    pub async fn suspend(&self, connection: ConnectionId, credential: &str) -> bool {
        let (answer, known) = oneshot::channel();
        let credential = credential.to_owned();
        let told = self.tell(actor::Suspend { connection, credential, answer }).await;
        told.is_ok() && known.await.unwrap_or(false)
    }

    /// Answers when the registry does: shows that it is not stuck.
    pub async fn probe(&self) -> bool {
        let (answer, alive) = oneshot::channel();
        self.tell(actor::Probe { answer }).await.is_ok() && alive.await.is_ok()
    }

    /// Runs one sync tick now.
    pub async fn sync(&self) -> Option<TickReport> {
        let (answer, done) = oneshot::channel();
        self.tell(actor::Sync { answer: Some(answer) }).await.ok()?;
        done.await.ok()
    }

    /// What the book says now; None while the registry is being restarted.
    pub async fn overview(&self) -> Option<Overview> {
        let (answer, overview) = oneshot::channel();
        self.tell(actor::Look { answer }).await.ok()?;
        overview.await.ok()
    }

    /// Wakes these sessions for a new run, each when there is a place for it.
    pub(crate) async fn wake(&self, sessions: Vec<SessionId>) {
        // Without a registry there is nobody to run them either.
        let _ = self.tell(actor::WakeAll { sessions }).await;
    }

    /// Ends all streams with `bye`, then all children, and answers when every session is in the log as ended.
    pub(crate) async fn shut_down(&self, grace: std::time::Duration) {
        let (answer, done) = oneshot::channel();
        if self.tell(actor::ShutDown { grace, answer }).await.is_ok() {
            let _ = done.await;
        }
    }

    async fn call<M, T>(
        &self,
        message: impl FnOnce(oneshot::Sender<Result<T, Refusal>>) -> M,
    ) -> Result<T, Refusal>
    where
        M: Message<Result = ()> + Send + 'static,
        RegistryActor: actix::Handler<M>,
    {
        // Mailboxes do not bound what do_send puts into them, so the work is bounded here.
        let Ok(_permit) = self.0.permits.try_acquire() else {
            return Err(Refusal::Busy { limit: ASKS_UNDER_WAY });
        };
        let (answer, result) = oneshot::channel();
        self.tell(message(answer)).await?;
        result.await.unwrap_or(Err(Refusal::Interrupted))
    }

    async fn tell<M>(&self, message: M) -> Result<(), Refusal>
    where
        M: Message<Result = ()> + Send + 'static,
        RegistryActor: actix::Handler<M>,
    {
        let registry = match self.current() {
            Some(registry) => registry,
            // Between two registries the way leads nowhere for a moment.
            None => {
                let mut current = self.generations();
                let next = current.wait_for(Option::is_some).await;
                next.ok().and_then(|addr| addr.clone()).ok_or(Refusal::Interrupted)?
            }
        };
        registry.do_send(message);
        Ok(())
    }
}

/// The registry's book at one moment.
#[derive(Clone, Debug, Default)]
pub struct Overview {
    /// In no order.
    pub connections: Vec<Arc<Connection>>,
    /// Sessions that take a place under `max_live`.
    pub live: usize,
    /// Sessions that wait for such a place.
    pub waiting: usize,
    /// Those that have an actor, in no order.
    pub sessions: Vec<SessionStanding>,
}

/// A session that has an actor, or is being given one.
#[derive(Clone, Debug)]
pub struct SessionStanding {
    pub id: SessionId,
    /// None: it is being read.
    pub row: Option<Arc<Session>>,
    pub actor: Standing,
    /// Of its child: failures since the registry knows the session.
    pub child: Standing,
}

/// The top of the tree.
#[derive(Clone, Debug)]
pub struct Root {
    pub supervisor_since: Timestamp,
    pub registry: Record,
}

/// Why a stream is not opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamRefusal {
    /// `streams.max_streams` are open.
    Full { limit: usize },
    /// The registry is being restarted.
    Busy,
}
