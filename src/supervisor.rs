//! The root of the tree: hosts the registry and the sessions' actors, learns of each end exactly once, and starts
//! the registry again. It decides as little as it can, because nothing stands behind it but the process's end.

use crate::{
    domain::SessionId,
    registry::{
        Registry,
        actor::{self, Hosted, RegistryActor, SessionEnded, StartSession, restart_policy},
    },
    session::actor::{self as session_actor, Resting, SessionActor, Surroundings},
    supervise::{
        restart::{Decision, RestartHistory},
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
    restarts: RestartHistory,
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
        let restarts = RestartHistory::new(restart_policy(&around.config));
        let dead = fatal.clone();
        let supervisor = Supervisor {
            around,
            registry,
            arbiters,
            sessions: HashMap::new(),
            generation: 0,
            restarts,
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
        let registry = RegistryActor::new(
            self.around.clone(),
            ctx.address().recipient(),
            self.registry.draining(),
            adopted,
        );
        let supervisor = ctx.address();
        let addr = watch::start(
            &Arbiter::current(),
            actor::MAILBOX,
            |_| registry,
            move |end| supervisor.do_send(RegistryEnded(end)),
        );
        self.registry.set_current(Some(addr));
    }
}

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
        self.generation += 1;
        let generation = self.generation;
        let (watch, sent) = (beginning.watch.clone(), beginning.sent.clone());
        let (around, resting) = (self.around.clone(), ctx.address().recipient());
        let supervisor = ctx.address();
        let addr = watch::start(
            &self.arbiters.of(session),
            session_actor::MAILBOX,
            move |_| SessionActor::new(around, resting, generation, beginning),
            move |end| supervisor.do_send(SessionEnded { session, generation, end }),
        );
        let hosted = Hosted { addr, watch, sent, generation };
        self.sessions.insert(session, hosted.clone());
        MessageResult(hosted)
    }
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

impl Handler<Resting> for Supervisor {
    type Result = ();

    fn handle(&mut self, resting: Resting, _: &mut Self::Context) {
        if let Some(registry) = self.registry.current() {
            registry.do_send(resting);
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
        match self.restarts.next(self.around.clock.now(), 0.5) {
            Decision::Restart { attempt, delay } => {
                log::error!(attempt, panic; "the registry panicked and is rebuilt");
                let clock = self.around.clock.clone();
                let wait = async move { clock.sleep(delay).await };
                ctx.spawn(wait.into_actor(self).map(|(), supervisor, ctx| {
                    supervisor.start_registry(ctx);
                }));
            }
            Decision::GiveUp { attempt } => {
                let cause = format!("the registry panicked {attempt} times in a row: {panic}");
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
