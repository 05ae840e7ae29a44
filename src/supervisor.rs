//! The root of the tree: hosts the registry and the sessions' actors, learns of each end exactly once, and starts
//! the registry again. It decides as little as it can, because nothing stands behind it but the process's end.

use crate::{
    domain::{SessionId, Timestamp},
    metrics::Restart,
    registry::{
        Registry, Root,
        actor::{
            self, Host, Hosted, LetGo, RegistryActor, SessionEnded, StartSession, restart_policy,
        },
    },
    session::{
        actor::{self as session_actor, SessionActor, SessionNews},
        surroundings::Surroundings,
    },
    supervise::{
        record::Record,
        restart::Decision,
        watch::{self, End},
    },
};
use actix::prelude::*;
use std::{collections::HashMap, sync::Arc};
use tokio::sync::mpsc;

/// The threads that sessions run on. A test gives one and so owns the order of things.
#[derive(Clone, Debug)]
pub(crate) struct Arbiters {
    handles: Vec<ArbiterHandle>,
}

impl Arbiters {
    pub(crate) fn new(handles: Vec<ArbiterHandle>) -> Self {
        Self { handles }
    }

    /// A session stays on one thread for the life of its actor.
    fn of(&self, session: SessionId) -> ArbiterHandle {
        let (_, random) = session.as_uuid().as_u64_pair();
        let index = random % self.handles.len().max(1) as u64;
        self.handles.get(index as usize).cloned().unwrap_or_else(Arbiter::current)
    }
}

pub(crate) struct Supervisor {
    around: Arc<Surroundings>,
    registry: Registry,
    arbiters: Arbiters,
    sessions: HashMap<SessionId, Hosted>,
    generation: u64,
    since: Timestamp,
    record: Record,
    /// Told when the tree cannot be kept up: the process ends then, and what watches it starts it again.
    fatal: mpsc::Sender<String>,
}

impl Supervisor {
    /// Starts the tree on the current thread's arbiter.
    pub(crate) fn start(
        around: Arc<Surroundings>,
        registry: Registry,
        arbiters: Arbiters,
        fatal: mpsc::Sender<String>,
    ) -> Addr<Self> {
        let since = around.clock.now();
        let record = Record::new(restart_policy(&around.config.now()), since);
        let dead = fatal.clone();
        let supervisor = Supervisor {
            around,
            registry,
            arbiters,
            sessions: HashMap::new(),
            generation: 0,
            since,
            record,
            fatal,
        };
        watch::start(
            &Arbiter::current(),
            actor::MAILBOX,
            |_| supervisor,
            move |end| {
                // Full means that another cause was told before.
                let _ = dead.try_send(format!("the supervisor ended: {end:?}"));
            },
        )
    }

    fn start_registry(&mut self, ctx: &mut Context<Self>) {
        let adopted = self.sessions.iter().map(|(id, hosted)| (*id, hosted.clone())).collect();
        let host = Host { start: ctx.address().recipient(), let_go: ctx.address().recipient() };
        let is_rebuilt = self.registry.root().is_some();
        let registry = RegistryActor::new(
            self.around.clone(),
            host,
            self.registry.draining(),
            adopted,
            is_rebuilt,
        );
        let supervisor = ctx.address();
        let addr = watch::start(
            &Arbiter::current(),
            actor::MAILBOX,
            |_| registry,
            move |end| supervisor.do_send(RegistryEnded(end)),
        );
        self.registry.set_current(Some(addr));
        self.record.started(self.around.clock.now());
        self.show();
    }

    fn show(&self) {
        let root = Root { supervisor_since: self.since, registry: self.record.clone() };
        self.registry.set_root(root);
    }
}

/// Answered when the supervisor comes round to it: shows that it is not stuck.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Ping;

#[derive(Message)]
#[rtype(result = "()")]
struct RegistryEnded(End);

/// Takes the tree down: nothing is started any more, and no end is an accident.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct TakeDown;

impl Actor for Supervisor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.start_registry(ctx);
    }
}

impl Handler<StartSession> for Supervisor {
    type Result = MessageResult<StartSession>;

    fn handle(&mut self, start: StartSession, ctx: &mut Self::Context) -> Self::Result {
        let StartSession(beginning) = start;
        let session = beginning.stored.session.id;
        // One that an earlier registry asked for, and did not live to hear of: a session never has two actors.
        if let Some(hosted) = self.sessions.get(&session).filter(|hosted| hosted.addr.connected()) {
            return MessageResult(hosted.clone());
        }
        self.generation += 1;
        let generation = self.generation;
        let (watch, sent) = (beginning.watch.clone(), beginning.sent.clone());
        let (around, news) = (self.around.clone(), ctx.address().recipient());
        let supervisor = ctx.address();
        let addr = watch::start(
            &self.arbiters.of(session),
            session_actor::MAILBOX,
            move |_| SessionActor::new(around, news, generation, beginning),
            move |end| supervisor.do_send(SessionEnded { session, generation, end }),
        );
        let hosted = Hosted { addr, watch, sent, generation };
        self.sessions.insert(session, hosted.clone());
        MessageResult(hosted)
    }
}

impl Handler<LetGo> for Supervisor {
    type Result = ();

    fn handle(&mut self, LetGo { session, generation }: LetGo, _: &mut Self::Context) {
        if self.sessions.get(&session).is_some_and(|hosted| hosted.generation == generation) {
            self.sessions.remove(&session);
        }
    }
}

impl Handler<Ping> for Supervisor {
    type Result = ();

    fn handle(&mut self, _: Ping, _: &mut Self::Context) {}
}

impl Handler<SessionEnded> for Supervisor {
    type Result = ();

    fn handle(&mut self, ended: SessionEnded, _: &mut Self::Context) {
        let hosted = self.sessions.get(&ended.session);
        if hosted.is_some_and(|hosted| hosted.generation == ended.generation) {
            self.sessions.remove(&ended.session);
        }
        if let Some(registry) = self.registry.current() {
            registry.do_send(ended);
        }
    }
}

impl Handler<SessionNews> for Supervisor {
    type Result = ();

    fn handle(&mut self, news: SessionNews, _: &mut Self::Context) {
        if let Some(registry) = self.registry.current() {
            registry.do_send(news);
        }
    }
}

impl Handler<RegistryEnded> for Supervisor {
    type Result = ();

    fn handle(&mut self, RegistryEnded(end): RegistryEnded, ctx: &mut Self::Context) {
        self.registry.set_current(None);
        let panic = match end {
            End::Panicked(panic) => panic,
            End::Stopped => return,
            End::ArbiterGone => return ctx.stop(),
        };
        self.record.set_policy(restart_policy(&self.around.config.now()));
        let decision = self.record.failed(self.around.clock.now(), panic.clone(), 0.5);
        self.show();
        match decision {
            Decision::Restart { attempt, delay } => {
                log::error!(attempt, panic; "the registry panicked and is rebuilt");
                self.around.metrics.restarts.of(Restart::RegistryPanic).add(1);
                let clock = self.around.clock.clone();
                let wait = async move { clock.sleep(delay).await };
                ctx.spawn(wait.into_actor(self).map(|(), supervisor, ctx| {
                    supervisor.start_registry(ctx);
                }));
            }
            Decision::GiveUp { attempt } => {
                let first = self.record.standing(self.around.clock.now()).first_failure;
                let first = first.map_or_else(|| panic.clone(), |failure| failure.cause);
                let cause = format!(
                    "the registry panicked {attempt} times in a row, at first: {first}; at last: {panic}"
                );
                let _ = self.fatal.try_send(cause);
            }
        }
    }
}

impl Handler<TakeDown> for Supervisor {
    type Result = ();

    fn handle(&mut self, _: TakeDown, ctx: &mut Self::Context) {
        self.registry.set_current(None);
        ctx.stop();
    }
}
