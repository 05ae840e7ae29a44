//! The registry's actor: finds and wakes sessions, keeps the book of streams, runs the sync tick. All it knows can
//! be rebuilt: sessions from their actors and the log, streams from their registering again.

mod book;
mod rebuilding;
mod waking;

use super::{
    CreatedSession, NewSession, Overview, SessionStanding, StreamRefusal, connections::Connection,
    replay::Progress,
};
use crate::{
    config::Config,
    domain::{ConnectionId, SessionId},
    metrics::Restart,
    session::{
        Refusal, Reply, Request,
        actor::{Ask, Beginning, News, Retire, SessionActor, SessionNews, Watchers},
        machine::Admission,
        news::ChildNews,
        surroundings::Surroundings,
    },
    store::{Snapshot, Watch},
    supervise::{
        record::Record,
        restart::{Decision, RestartPolicy},
        watch::End,
    },
    wire::admin::TickReport,
};
use actix::prelude::*;
use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::sync::{mpsc, oneshot};

pub(crate) const MAILBOX: usize = 256;

pub(crate) struct RegistryActor {
    around: Arc<Surroundings>,
    host: Host,
    /// Boxed: the table has room for up to twice as many.
    sessions: HashMap<SessionId, Box<Entry>>,
    connections: HashMap<ConnectionId, Booked>,
    watching: HashMap<SessionId, Watchers>,
    /// Sessions that wait for a place under `max_live`.
    waiting: VecDeque<SessionId>,
    /// Sessions that are woken for a new run.
    resumes: HashSet<SessionId>,
    live: usize,
    draining: tokio::sync::watch::Receiver<bool>,
    is_ticking: bool,
    is_leaving: bool,
    /// It came after one that panicked.
    is_rebuilt: bool,
}

/// The supervisor, which holds sessions' actors: they outlive the registry.
#[derive(Clone)]
pub(crate) struct Host {
    pub(crate) start: Recipient<StartSession>,
    pub(crate) let_go: Recipient<LetGo>,
}

/// A session that has an actor, or is being given one.
struct Entry {
    actor: Stage,
    /// Asks that were sent to the actor, over all registries that it has seen.
    sent: Arc<AtomicU64>,
    /// Counts towards `max_live`.
    is_live: bool,
    /// It had ended with this run when it was last seen to need a place; None: it was live.
    ended_run: Option<u32>,
    record: Record,
    /// Of its child, since this registry knows the session.
    child: Record,
}

enum Stage {
    /// The row is being read; these wait for it.
    Waking(Vec<PendingAsk>),
    Up {
        addr: Addr<SessionActor>,
        watch: Watch,
        generation: u64,
    },
}

impl Entry {
    /// It has ended since it took its place, and nothing is left for it to do.
    fn is_over(&self) -> bool {
        let Stage::Up { watch, .. } = &self.actor else {
            return false;
        };
        let snapshot = watch.snapshot();
        let ended_run = ended_run(&snapshot);
        ended_run.is_some() && ended_run != self.ended_run && snapshot.queued == 0
    }
}

fn ended_run(snapshot: &Snapshot) -> Option<u32> {
    (!snapshot.session.state.is_live()).then_some(snapshot.session.run)
}

struct PendingAsk {
    by: String,
    request: Request,
    answer: oneshot::Sender<Result<Reply, Refusal>>,
}

/// A stream with its places at the last tick.
struct Booked {
    connection: Arc<Connection>,
    last: Vec<Progress>,
}

/// A session's actor as the supervisor keeps it, so that a rebuilt registry finds it again.
#[derive(Clone)]
pub(crate) struct Hosted {
    pub(crate) addr: Addr<SessionActor>,
    pub(crate) watch: Watch,
    pub(crate) sent: Arc<AtomicU64>,
    /// Which of the session's actors, one after another, this is.
    pub(crate) generation: u64,
}

#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Create {
    pub(crate) new: NewSession,
    pub(crate) answer: oneshot::Sender<Result<CreatedSession, Refusal>>,
}

#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct AskSession {
    pub(crate) session: SessionId,
    pub(crate) by: String,
    pub(crate) request: Request,
    pub(crate) answer: oneshot::Sender<Result<Reply, Refusal>>,
}

#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Open {
    pub(crate) connection: Arc<Connection>,
    pub(crate) answer: oneshot::Sender<Result<(), StreamRefusal>>,
}

#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Closed {
    pub(crate) connection: ConnectionId,
}

#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Suspend {
    pub(crate) connection: ConnectionId,
    pub(crate) credential: String,
    pub(crate) answer: oneshot::Sender<bool>,
}

#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Probe {
    pub(crate) answer: oneshot::Sender<()>,
}

#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Sync {
    pub(crate) answer: Option<oneshot::Sender<TickReport>>,
}

#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Look {
    pub(crate) answer: oneshot::Sender<Overview>,
}

#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct WakeAll {
    pub(crate) sessions: Vec<SessionId>,
}

#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct ShutDown {
    pub(crate) grace: Duration,
    pub(crate) answer: oneshot::Sender<()>,
}

/// Asks the supervisor for a session's actor.
#[derive(Message)]
#[rtype(result = "Hosted")]
pub(crate) struct StartSession(pub(crate) Beginning);

/// Tells the supervisor that a session's actor is not needed any more.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct LetGo {
    pub(crate) session: SessionId,
    pub(crate) generation: u64,
}

/// The supervisor tells that a session's actor has ended.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct SessionEnded {
    pub(crate) session: SessionId,
    pub(crate) generation: u64,
    pub(crate) end: End,
}

impl RegistryActor {
    pub(crate) fn new(
        around: Arc<Surroundings>,
        host: Host,
        draining: tokio::sync::watch::Receiver<bool>,
        adopted: Vec<(SessionId, Hosted)>,
        is_rebuilt: bool,
    ) -> Self {
        let sessions: HashMap<_, _> = adopted
            .into_iter()
            .map(|(id, hosted)| {
                let Hosted { addr, watch, sent, generation } = hosted;
                let is_live = watch.snapshot().session.state.is_live();
                let ended_run = ended_run(&watch.snapshot());
                let actor = Stage::Up { addr, watch, generation };
                let record = Record::new(restart_policy(&around.config.now()), around.clock.now());
                let child = record.clone();
                (id, Box::new(Entry { actor, sent, is_live, ended_run, record, child }))
            })
            .collect();
        let live = sessions.values().filter(|entry| entry.is_live).count();
        Self {
            around,
            host,
            sessions,
            connections: HashMap::new(),
            watching: HashMap::new(),
            waiting: VecDeque::new(),
            resumes: HashSet::new(),
            live,
            draining,
            is_ticking: false,
            is_leaving: false,
            is_rebuilt,
        }
    }

    fn is_draining(&self) -> bool {
        *self.draining.borrow() || self.is_leaving
    }

    /// Hands an ask to the session's actor, waking it if need be.
    fn route(&mut self, session: SessionId, ask: PendingAsk, ctx: &mut Context<Self>) {
        let max_live = self.around.config.now().sessions.max_live;
        let draining = self.is_draining();
        let takes_place = matches!(ask.request, Request::Send { .. } | Request::Resume);
        let has_place = takes_place && !draining && self.has_place();
        let Some(entry) = self.sessions.get_mut(&session) else {
            return self.wake(session, Some(ask), ctx);
        };
        let (addr, watch) = match &mut entry.actor {
            Stage::Waking(asks) => return asks.push(ask),
            Stage::Up { addr, watch, .. } => (addr.clone(), watch),
        };
        if has_place && !entry.is_live {
            entry.ended_run = ended_run(&watch.snapshot());
            entry.is_live = true;
            self.live += 1;
        }
        entry.sent.fetch_add(1, Ordering::AcqRel);
        let full = (!entry.is_live).then_some(max_live);
        let PendingAsk { by, request, answer } = ask;
        addr.do_send(Ask { by, request, answer, admission: Admission { draining, full } });
    }

    /// Whether one more session may be live. A session gives its place back when its actor rests, which is a moment after
    /// its end can be read; who has read of it is not to be refused for that moment.
    fn has_place(&mut self) -> bool {
        let limit = self.around.config.now().sessions.max_live;
        if self.live >= limit {
            for entry in self.sessions.values_mut().filter(|entry| entry.is_live) {
                if entry.is_over() {
                    entry.is_live = false;
                    self.live -= 1;
                }
            }
        }
        self.live < limit
    }

    fn remove(&mut self, session: SessionId, ctx: &mut Context<Self>) -> Option<Box<Entry>> {
        let entry = self.sessions.remove(&session)?;
        self.live -= usize::from(entry.is_live);
        self.wake_waiting(ctx);
        Some(entry)
    }
}

impl Actor for RegistryActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        if self.is_rebuilt {
            self.catch_up(ctx);
        }
    }
}

impl Handler<AskSession> for RegistryActor {
    type Result = ();

    fn handle(&mut self, ask: AskSession, ctx: &mut Self::Context) {
        crate::fault::point!("registry::ask");
        let AskSession { session, by, request, answer } = ask;
        self.route(session, PendingAsk { by, request, answer }, ctx);
    }
}

impl Handler<SessionNews> for RegistryActor {
    type Result = ();

    fn handle(&mut self, news: SessionNews, ctx: &mut Self::Context) {
        let Some(entry) = self.sessions.get_mut(&news.session) else { return };
        let Stage::Up { addr, generation, .. } = &entry.actor else { return };
        if *generation != news.generation {
            return;
        }
        let now = self.around.clock.now();
        match news.what {
            // An ask that is still on its way keeps the actor; it says again when it is at rest.
            News::Resting { taken } => {
                if entry.sent.load(Ordering::Acquire) == taken {
                    addr.do_send(Retire);
                    // Told before the session can be started anew: what retires is given to nobody.
                    let (session, generation) = (news.session, news.generation);
                    self.host.let_go.do_send(LetGo { session, generation });
                    self.remove(news.session, ctx);
                }
            }
            News::Child(ChildNews::Started) => entry.child.started(now),
            // What is done about it, the session has decided.
            News::Child(ChildNews::Failed { cause }) => {
                log::warn!(session:% = news.session, cause; "an agent failed");
                entry.child.failed(now, cause, 0.0);
            }
        }
    }
}

impl Handler<SessionEnded> for RegistryActor {
    type Result = ();

    /// A session's actor that ended by itself is rebuilt from the log, unless it does so too often.
    fn handle(&mut self, ended: SessionEnded, ctx: &mut Self::Context) {
        crate::fault::point!("registry::ended");
        let SessionEnded { session, generation, end } = ended;
        // The session may have another actor by now.
        let is_current = self.sessions.get(&session).is_some_and(|entry| {
            matches!(entry.actor, Stage::Up { generation: current, .. } if current == generation)
        });
        if !is_current {
            return;
        }
        let Some(mut entry) = self.remove(session, ctx) else { return };
        let End::Panicked(panic) = end else { return };
        entry.record.set_policy(restart_policy(&self.around.config.now()));
        match entry.record.failed(self.around.clock.now(), panic.clone(), 0.5) {
            Decision::Restart { attempt, delay } => {
                log::error!(session:%, attempt, panic; "a session panicked and is rebuilt from the log");
                self.around.metrics.restarts.of(Restart::SessionPanic).add(1);
                let clock = self.around.clock.clone();
                let (record, child) = (entry.record, entry.child);
                let wait = async move { clock.sleep(delay).await };
                ctx.spawn(wait.into_actor(self).map(move |(), registry, ctx| {
                    // Whoever asked meanwhile has woken it; a second actor would write into the first one's log.
                    if !registry.sessions.contains_key(&session) {
                        registry.wake(session, None, ctx);
                    }
                    let now = registry.around.clock.now();
                    if let Some(entry) = registry.sessions.get_mut(&session) {
                        (entry.record, entry.child) = (record, child);
                        entry.record.started(now);
                    }
                }));
            }
            Decision::GiveUp { attempt } => {
                log::error!(session:%, attempt, panic; "a session panics again and again; it is left until somebody asks for it");
            }
        }
    }
}

impl Handler<Probe> for RegistryActor {
    type Result = ();

    fn handle(&mut self, probe: Probe, _: &mut Self::Context) {
        let _ = probe.answer.send(());
    }
}

impl Handler<Look> for RegistryActor {
    type Result = ();

    fn handle(&mut self, look: Look, _: &mut Self::Context) {
        let now = self.around.clock.now();
        let policy = restart_policy(&self.around.config.now());
        for entry in self.sessions.values_mut() {
            entry.record.set_policy(policy);
            entry.child.set_policy(policy);
        }
        let sessions = self.sessions.iter().map(|(id, entry)| SessionStanding {
            id: *id,
            row: match &entry.actor {
                Stage::Up { watch, .. } => Some(watch.snapshot().session),
                Stage::Waking(_) => None,
            },
            actor: entry.record.standing(now),
            child: entry.child.standing(now),
        });
        let overview = Overview {
            connections: self
                .connections
                .values()
                .map(|booked| booked.connection.clone())
                .collect(),
            live: self.live,
            waiting: self.waiting.len(),
            sessions: sessions.collect(),
        };
        // Whoever asked may have gone.
        let _ = look.answer.send(overview);
    }
}

impl Handler<ShutDown> for RegistryActor {
    type Result = ();

    fn handle(&mut self, order: ShutDown, ctx: &mut Self::Context) {
        for booked in self.connections.values() {
            booked.connection.close(crate::wire::api::ByeReason::Shutdown);
        }
        let (done, mut all_done) = mpsc::channel(1);
        self.waiting.clear();
        for entry in self.sessions.values() {
            if let Stage::Up { addr, .. } = &entry.actor {
                let leave = crate::session::actor::Leave { grace: order.grace, done: done.clone() };
                addr.do_send(leave);
            }
        }
        drop(done);
        self.is_leaving = true;
        let answer = order.answer;
        // Every session holds a sender until it has ended; the channel closes with the last of them.
        let wait = async move {
            let _ = all_done.recv().await;
            let _ = answer.send(());
        };
        ctx.spawn(wait.into_actor(self));
    }
}

pub(crate) fn restart_policy(config: &Config) -> RestartPolicy {
    let supervision = &config.supervision;
    RestartPolicy {
        max_restarts: supervision.max_restarts,
        within: supervision.within,
        backoff_min: supervision.backoff_min,
        backoff_max: supervision.backoff_max,
    }
}

/// The sessions on a connection, each once.
fn followed_sessions(connection: &Connection) -> HashSet<SessionId> {
    connection.followed.iter().map(|followed| followed.session()).collect()
}
